//! Follows accepted work through a pull request, with the `gh` program that the user is logged in with.

use std::process::Stdio;
use std::time::Duration;

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::{AttemptName, Name, Oid, RecordId};
use serde::Deserialize;

use super::context::{Context, StepError};
use crate::causes::describe;
use crate::git::{Branch, LocalBranch};
use crate::ops::create::refuse;
use crate::ops::finish::merged;
use crate::store::{TaskNo, TaskRow};

/// How long `gh` may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    state: String,
    url: String,
    number: u64,
    merge_commit: Option<MergeCommit>,
}

#[derive(Debug, Deserialize)]
struct MergeCommit {
    oid: String,
}

/// Opens the pull request of accepted work, or looks whether it is merged; returns why it waits.
pub(super) async fn follow(context: &Context, no: TaskNo, row: TaskRow) -> Result<Option<String>, StepError> {
    let Some(accept) = row.accept.map(RecordId) else { return Ok(None) };
    let (Some(attempt), Ok(task)) = (row.attempt.as_ref().and_then(|name| name.parse::<AttemptName>().ok()), row.id.parse::<Name>()) else {
        return Ok(Some("the accepted attempt has no branch".to_owned()));
    };
    let branch = Branch::of_attempt(&task, attempt);
    let known = gh(context, &["pr", "view", branch.as_str(), "--json", "state,url,number,mergeCommit"]).await;
    match known.ok().and_then(|text| serde_json::from_str::<View>(&text).ok()) {
        Some(view) if view.state == "MERGED" => {
            // Tasks that waited for this one start from what was merged, so it comes here first.
            let main = context.main_branch.clone();
            match context.git(move |git| git.follow_origin(&main)).await? {
                Ok(LocalBranch::Current) => {}
                Ok(LocalBranch::Behind { reason }) => tracing::warn!(task = %row.id, %reason, "the local branch was left behind"),
                Err(error) => return Ok(Some(format!("{} is merged and could not be fetched: {}", view.url, describe(&error)))),
            }
            let commit = view.merge_commit.and_then(|commit| commit.oid.parse::<Oid>().ok());
            tracing::info!(task = %row.id, url = %view.url, "the pull request is merged");
            context.write(move |unit| merged(unit, no, accept, commit).map(drop)).await?;
            Ok(None)
        }
        Some(view) if view.state == "CLOSED" => {
            Ok(Some(format!("{} was closed without a merge: `octopoid requeue {} --reopen`", view.url, row.id)))
        }
        Some(view) => {
            note(context, no, &row, &view.url, view.number).await?;
            Ok(Some(format!("{} waits to be merged", view.url)))
        }
        None => open(context, no, &row, branch).await,
    }
}

async fn open(context: &Context, no: TaskNo, row: &TaskRow, branch: Branch) -> Result<Option<String>, StepError> {
    let pushed = branch.clone();
    if let Err(error) = context.git(move |git| git.push_branch(&pushed)).await? {
        return Ok(Some(describe(&error)));
    }
    let title = row.text("title").unwrap_or(&row.id);
    let body = format!("{}\n\nOctopoid task {}", row.text("execution_notes").unwrap_or_default(), row.id);
    let base = context.main_branch.as_str();
    let made = gh(context, &["pr", "create", "--head", branch.as_str(), "--base", base, "--title", title, "--body", &body]).await;
    let url = match made {
        Ok(url) => url.trim().to_owned(),
        Err(reason) => return Ok(Some(format!("no pull request could be opened: {reason}"))),
    };
    if let Some(number) = url.rsplit_once('/').and_then(|(_, number)| number.parse().ok()) {
        note(context, no, row, &url, number).await?;
    }
    Ok(Some(format!("{url} waits to be merged")))
}

/// Keeps the pull request's address with the task, once.
async fn note(context: &Context, no: TaskNo, row: &TaskRow, url: &str, number: u64) -> Result<(), StepError> {
    if row.text("pr_url") == Some(url) {
        return Ok(());
    }
    let number = Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let edits = vec![Edit::set("pr_url", url), Edit::set("pr_number", number)];
    context.write(move |unit| unit.edit(no, &edits)?.map_err(refuse)).await
}

async fn gh(context: &Context, arguments: &[&str]) -> Result<String, String> {
    let command = tokio::process::Command::new("gh")
        .args(arguments)
        .current_dir(context.layout.root())
        .env("GH_PROMPT_DISABLED", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ANSWER_TIME, command).await.map_err(|_| "gh gave no answer in time".to_owned())?;
    let output = output.map_err(|error| format!("gh could not be run: {error}; install it from https://cli.github.com"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect())
    }
}
