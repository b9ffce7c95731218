//! Removes what finished attempts left behind: worktrees that nobody works in, and old logs of tasks that are over.
//!
//! **Invariants**: nothing of an attempt that runs, or whose processes may live, is touched; a worktree goes only when its
//! work is on a kept branch or rescued; the logs of a task that can still go on stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use octopoid_client::{GcItem, GcReport};

use super::context::Context;
use super::control::ControlError;
use super::run_record::RunRecord;
use crate::causes::describe;
use crate::git::Repository;
use crate::store::{Fault, Reader};

/// How long the logs of a task that is over are kept after the last word was written to them.
const LOGS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Attempts that something may still work at, by task and attempt.
pub(super) type Busy = BTreeSet<(String, String)>;

/// Removes what nobody needs, `running` aside; with `dry_run` only says what that is.
pub(super) async fn collect(context: &Context, running: Busy, dry_run: bool) -> Result<GcReport, ControlError> {
    let refused = |error: &dyn std::error::Error| ControlError::Refused(describe(error));
    // Every attempt is noted in the store from its claim to its end, also one whose node died.
    let mut busy = context.store.reader().and_then(|reader| noted(&reader)).map_err(|error| refused(&error))?;
    busy.extend(running);
    let (store, logs, worktrees) = (context.store.clone(), context.layout.logs_dir().join("tasks"), context.worktrees());
    let removed = context.git(move |git| -> Result<Vec<GcItem>, String> {
        let mut items = collect_worktrees(git, &worktrees, &busy, dry_run)?;
        let reader = store.reader().map_err(|error| describe(&error))?;
        items.extend(collect_logs(&reader, &logs, &busy, dry_run).map_err(|error| describe(&error))?);
        Ok(items)
    });
    let items = removed.await.map_err(|error| refused(&error))?.map_err(ControlError::Refused)?;
    Ok(GcReport { items })
}

fn noted(reader: &Reader) -> Result<Busy, Fault> {
    let runs = reader.runs()?;
    Ok(runs.iter().filter_map(|bytes| RunRecord::decode(bytes)).map(|run| (run.task, run.attempt)).collect())
}

fn collect_worktrees(git: &Repository, worktrees: &Path, busy: &Busy, dry_run: bool) -> Result<Vec<GcItem>, String> {
    let mut items = Vec::new();
    for worktree in git.list_worktrees(worktrees).map_err(|error| describe(&error))? {
        if busy.contains(&(worktree.task().to_string(), worktree.attempt().to_string())) {
            continue;
        }
        let done = if dry_run { git.may_remove_worktree(&worktree) } else { git.remove_worktree(&worktree).map(drop) };
        let (kept, reason) = match done {
            Ok(()) => (false, "no agent works in it".to_owned()),
            Err(error) => (true, format!("it stays: {}", describe(&error))),
        };
        items.push(GcItem { kind: "worktree".to_owned(), path: worktree.path().display().to_string(), reason, kept });
    }
    Ok(items)
}

fn collect_logs(reader: &Reader, logs: &Path, busy: &Busy, dry_run: bool) -> Result<Vec<GcItem>, Fault> {
    let mut items = Vec::new();
    for (task, folder) in folders(logs) {
        if !is_over(reader, &task)? {
            continue;
        }
        for (attempt, folder) in folders(&folder) {
            if busy.contains(&(task.clone(), attempt)) || !is_old(&folder) {
                continue;
            }
            let done = if dry_run { Ok(()) } else { std::fs::remove_dir_all(&folder) };
            let (kept, reason) = match done {
                Ok(()) => (false, format!("the task is over and nothing was written for {} days", LOGS_KEPT.as_secs() / 86_400)),
                Err(error) => (true, format!("it stays: {error}")),
            };
            items.push(GcItem { kind: "log".to_owned(), path: folder.display().to_string(), reason, kept });
        }
        if !dry_run {
            // Only an empty one goes, so a failure means that something is left in it.
            let _ = std::fs::remove_dir(&folder);
        }
    }
    Ok(items)
}

/// Tells whether no task of this id, in any scope, can go on: logs are kept by id alone.
fn is_over(reader: &Reader, task: &str) -> Result<bool, Fault> {
    for (_, no) in reader.scopes_of(task)? {
        let row = reader.row(no)?;
        if row.is_some_and(|row| row.listed && !matches!(row.queue.as_str(), "done" | "cancelled")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells whether nothing was written into a folder for long; unreadable ones are not old.
fn is_old(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let times = entries.map(|entry| entry?.metadata()?.modified());
    let times: Result<Vec<SystemTime>, std::io::Error> = times.collect();
    times.is_ok_and(|times| times.into_iter().all(|time| time.elapsed().is_ok_and(|age| age > LOGS_KEPT)))
}

/// Returns the folders in a folder with their names, links left out; none when it is not there.
fn folders(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<_> = folders.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect();
    found.sort();
    found
}
