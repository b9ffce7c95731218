//! Brings accepted work to the integration branch, one task at a time, and rolls forward what a crash cut short.
//!
//! **Invariants**: the fence in git decides, not this node's memory: a task merges at most once unless it was reopened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use octopoid_client::{AwaitingMerge, Task};
use octopoid_crdt::ids::{AttemptName, AuthorKey, Name, Oid, RecordId};
use octopoid_crdt::lifecycle::{Act, Entry, Removals};
use octopoid_crdt::record::{Cause, Queue};

use super::branches::ORIGIN;
use super::brief::{Story, claim_of};
use super::context::{Context, StepError};
use super::control::ControlError;
use super::pull_request;
use crate::causes::describe;
use crate::config::Merge;
use crate::git::{Identity, LocalBranch, MergeOutcome, MergeRequest, Reopened, Strategy};
use crate::ops::finish::merged;
use crate::ops::judge::{Move, move_to};
use crate::store::index::Facet;
use crate::store::{Fault, Filter, Reader, Sort, StoredLog, TaskNo, TaskRow};

/// How many accepted tasks one round looks at; the others follow in the next.
const ROUND: usize = 64;

/// How many are read at once.
const PAGE: u64 = 256;

/// How long a merge is left to the node that accepted it.
const TURN: Duration = Duration::from_secs(5 * 60);

/// How long the answer about a pull request is good for: each question goes over the network.
const POLL: Duration = Duration::from_secs(60);

/// Accepted work that waits, by task number.
pub(super) type Waiting = BTreeMap<TaskNo, Wait>;

/// Why accepted work waits.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub id: String,
    pub reason: String,
    /// The accept that waits; another one is looked at at once.
    accept: Option<[u8; 32]>,
    looked: Instant,
    /// When this node first saw that it waits.
    since: Instant,
}

/// Accepted work that is to be merged.
struct Accepted {
    no: TaskNo,
    row: TaskRow,
    accept: RecordId,
    task: Name,
    attempt: AttemptName,
    agent: String,
    /// The node that ran the attempt.
    node: AuthorKey,
    base: Option<Oid>,
    head: Oid,
    reopened: Reopened,
}

/// Merges what was accepted as `repo.merge` says; returns what waits and why.
pub(super) async fn round(context: &Arc<Context>, before: Waiting) -> Result<Waiting, StepError> {
    context.succeed().await?;
    let (mut waiting, due) = due(context, &before)?;
    for no in due {
        let Some(row) = context.store.reader()?.row(no)?.filter(|row| row.needs_merge) else { continue };
        let (id, accept) = (row.id.clone(), row.accept);
        let since = before.get(&no).filter(|wait| wait.accept == accept).map_or_else(Instant::now, |wait| wait.since);
        let wait = |reason: String| Wait { id: id.clone(), reason, accept, looked: Instant::now(), since };
        let outcome = match context.config.repo.merge {
            Merge::Auto => match another(context, &row, since).await? {
                Some(reason) => Ok(Some(reason)),
                None => one(context, no, row).await,
            },
            Merge::Pr => pull_request::follow(context, no, row).await,
            Merge::Never => Ok(Some(never(&id, other_integrator(context).await?))),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(reason)) => drop(waiting.insert(no, wait(reason))),
            // One task's trouble does not keep the others waiting.
            Err(StepError::Refused(refused)) => drop(waiting.insert(no, wait(refused.to_string()))),
            Err(error) => return Err(error),
        }
    }
    Ok(waiting)
}

/// Sorts what awaits merging into what is known to wait and what this round looks at: what was looked at longest ago first, so
/// that what waits keeps nothing from its turn; in the order of priorities.
fn due(context: &Context, before: &Waiting) -> Result<(Waiting, Vec<TaskNo>), Fault> {
    let reader = context.store.reader()?;
    let (mut waiting, mut due) = (Waiting::new(), Vec::new());
    loop {
        let seen = u64::try_from(waiting.len() + due.len()).unwrap_or(u64::MAX);
        let page = reader.list(&awaiting(), Sort::Priority, seen, PAGE)?;
        if page.tasks.is_empty() {
            break;
        }
        for (no, row) in page.tasks {
            let known = before.get(&no).filter(|wait| wait.accept == row.accept);
            match known {
                Some(known) if context.config.repo.merge == Merge::Pr && known.looked.elapsed() < POLL => {
                    drop(waiting.insert(no, known.clone()))
                }
                known => due.push((known.map(|wait| wait.looked), due.len(), no)),
            }
        }
    }
    due.sort_unstable();
    for (_, _, no) in due.split_off(due.len().min(ROUND)) {
        if let Some(known) = before.get(&no) {
            waiting.insert(no, known.clone());
        }
    }
    due.sort_unstable_by_key(|(_, place, _)| *place);
    Ok((waiting, due.into_iter().map(|(_, _, no)| no).collect()))
}

/// Tells why another node merges a task, if one does: the integrator where there is no remote, else whoever accepted it, for
/// a while.
async fn another(context: &Context, row: &TaskRow, since: Instant) -> Result<Option<String>, StepError> {
    let Some(cluster) = &context.cluster else { return Ok(None) };
    if !context.has_origin().await? {
        return Ok(context.other_integrator().map(|name| left_to(&name)));
    }
    let by = row.accept.map(|accept| cluster.author_of(&RecordId(accept))).transpose()?.flatten();
    match by {
        Some(author) if !cluster.is_me(&author) && since.elapsed() < TURN => {
            Ok(Some(format!("'{}' accepted it {}", cluster.name_of(&author), Task::MERGED_ELSEWHERE)))
        }
        Some(_) | None => Ok(None),
    }
}

/// Names the node that alone moves the integration branch, where there is no remote and it is another one.
async fn other_integrator(context: &Context) -> Result<Option<String>, StepError> {
    let Some(name) = context.other_integrator() else { return Ok(None) };
    Ok((!context.has_origin().await?).then_some(name))
}

fn left_to(integrator: &str) -> String {
    format!("'{integrator}' is this cluster's integrator {}", Task::MERGED_ELSEWHERE)
}

fn never(id: &str, integrator: Option<String>) -> String {
    match integrator {
        Some(name) => format!("repo.merge is never: `octopoid merge {id}` on '{name}', this cluster's integrator, merges it"),
        None => format!("repo.merge is never: merge it with `octopoid merge {id}`, or set it to auto in config.yaml"),
    }
}

/// Says why accepted work waits while no node runs.
pub(super) fn at_rest(context: &Context) -> Result<Vec<AwaitingMerge>, Fault> {
    let page = context.store.reader()?.list(&awaiting(), Sort::Priority, 0, PAGE)?;
    let integrator = context.other_integrator().filter(|_| !context.repository.has_remote(ORIGIN).unwrap_or(false));
    let reason = |id: &str| match (context.config.repo.merge, &integrator) {
        (Merge::Never, _) => never(id, integrator.clone()),
        (Merge::Auto, Some(name)) => left_to(name),
        (Merge::Auto, None) => format!("no node runs: `octopoid start` merges it, or `octopoid merge {id}`"),
        (Merge::Pr, _) => "no node runs: `octopoid start` looks after its pull request".to_owned(),
    };
    Ok(page.tasks.into_iter().map(|(_, row)| AwaitingMerge { reason: reason(&row.id), task_id: row.id }).collect())
}

/// Returns the filter of tasks whose accepted branch is not merged.
pub(crate) fn awaiting() -> Filter {
    Filter { facet: Some((Facet::AwaitingMerge, vec![String::new()])), ..Filter::default() }
}

/// Merges one accepted task because a person asks for it, whatever `repo.merge` says.
///
/// Where there is no remote the integrator alone does: nobody would fetch what another node merged, and with it recorded as merged
/// the integrator would leave it out.
pub(super) async fn by_hand(context: &Context, scope: &str, id: &str) -> Result<TaskNo, ControlError> {
    let refused = |error: &dyn std::error::Error| ControlError::Refused(describe(error));
    let reader = context.store.reader().map_err(|error| refused(&error))?;
    let found = reader.task_no(scope, id).and_then(|no| no.map_or(Ok(None), |no| Ok(reader.row(no)?.map(|row| (no, row)))));
    let found = found.map_err(|error| refused(&error))?;
    let (no, row) = found.ok_or_else(|| ControlError::NotFound(id.to_owned()))?;
    if row.merged_commit.is_some() {
        // Somebody was faster: what was asked for is done.
        return Ok(no);
    }
    if !row.needs_merge {
        return Err(ControlError::Refused(format!("Task '{id}' has nothing to merge: it is in '{}'", row.queue)));
    }
    if let Some(name) = other_integrator(context).await.map_err(|error| refused(&error))? {
        return Err(ControlError::Refused(format!(
            "Task '{id}' was not merged: without a remote '{name}', this cluster's integrator, merges it; run this there, or make another \
             node the integrator: octopoid cluster integrator NAME"
        )));
    }
    match one(context, no, row).await.map_err(|error| refused(&error))? {
        None => Ok(no),
        Some(reason) => Err(ControlError::Refused(format!("Task '{id}' was not merged: {reason}"))),
    }
}

/// Merges one task; returns why it waits, if it does.
pub(super) async fn one(context: &Context, no: TaskNo, row: TaskRow) -> Result<Option<String>, StepError> {
    let Some(accepted) = accepted(&context.store.reader()?, &context.store.masks(), no, row)? else { return Ok(None) };
    let obtained = context.obtain(&accepted.head, &accepted.task, accepted.attempt, &accepted.node).await?;
    if let Some(why) = obtained.lacks(&format!("commit {} of attempt {}", accepted.head, accepted.attempt)) {
        return Ok(Some(why));
    }
    // What it is built on may have come along.
    context.bring_merges_in().await?;
    let strategy = if context.has_origin().await? { Strategy::Origin } else { Strategy::Local };
    let (task, attempt, accept) = (accepted.task.clone(), accepted.attempt, accepted.accept);
    let (base, head, reopened) = (accepted.base.clone(), accepted.head.clone(), accepted.reopened.clone());
    let title = accepted.row.text("title").unwrap_or(&accepted.row.id).to_owned();
    let author = Identity::new(&format!("{} (octopoid)", accepted.agent), &format!("{}@octopoid.invalid", accepted.agent));
    let branch = context.main_branch.clone();
    let outcome = context.git(move |git| {
        git.merge(&MergeRequest {
            task: &task,
            attempt,
            accept,
            base: base.as_ref(),
            head: Some(&head),
            branch: &branch,
            title: &title,
            author: &author,
            reopened: &reopened,
            strategy,
        })
    });
    match outcome.await? {
        Ok(outcome) => carry_out(context, &accepted, outcome).await,
        Err(error) => Ok(Some(describe(&error))),
    }
}

async fn carry_out(context: &Context, accepted: &Accepted, outcome: MergeOutcome) -> Result<Option<String>, StepError> {
    let (no, accept) = (accepted.no, accepted.accept);
    match outcome {
        MergeOutcome::Merged { commit, local } | MergeOutcome::AlreadyThere { commit, local } => {
            if let LocalBranch::Behind { reason } = local {
                tracing::warn!(task = %accepted.task, %reason, "the local branch was left behind");
            }
            tracing::info!(task = %accepted.task, attempt = %accepted.attempt, commit = %commit, "merged");
            context.write(move |unit| merged(unit, no, accept, Some(commit)).map(drop)).await?;
            Ok(None)
        }
        MergeOutcome::NothingToMerge => {
            context.write(move |unit| merged(unit, no, accept, None).map(drop)).await?;
            Ok(None)
        }
        MergeOutcome::Conflict { paths } => {
            tracing::info!(task = %accepted.task, ?paths, "the accepted branch does not merge; it goes back to be rebased");
            let reason = format!("merge_conflict: '{}' changed the same places in {}", context.main_branch, paths.join(", "));
            let step = Move { queue: Queue::Incoming, cause: Cause::MergeConflict, by: "octopoid".to_owned(), reason, keep: None };
            context.write(move |unit| move_to(unit, no, step).map(drop)).await?;
            Ok(None)
        }
        MergeOutcome::OtherAccept { landing } if landing.attempt == Some(accepted.attempt) => Ok(Some(format!(
            "commit {} has merged this attempt, which was accepted twice: it counts when the node that merged it says so; if that is gone, \
             requeue the task with --reopen",
            landing.commit
        ))),
        MergeOutcome::OtherAccept { landing } => {
            let commit = landing.commit;
            Ok(Some(format!("commit {commit} has merged another attempt of this task: requeue it with --reopen if this one should follow")))
        }
        MergeOutcome::Awaiting { reason } => Ok(Some(reason)),
    }
}

/// Reads what was accepted, and which earlier merges a reopening allows.
fn accepted(reader: &Reader, masks: &Removals, no: TaskNo, row: TaskRow) -> Result<Option<Accepted>, Fault> {
    let Some(accept) = row.accept.map(RecordId) else { return Ok(None) };
    let stored = reader.log(no)?;
    let story = Story::read(reader, masks, no)?;
    let entry = stored.log.entries().iter().find(|entry| entry.id == accept);
    let on = entry.and_then(|entry| if let Act::Accept { on } = &entry.act { Some(*on) } else { None });
    let chapter = on.and_then(|on| claim_of(&stored, &on)).and_then(|claim| story.chapter(&claim).cloned());
    let (Some(chapter), Ok(task)) = (chapter, row.id.parse::<Name>()) else { return Ok(None) };
    let Some(head) = chapter.head.clone() else { return Ok(None) };
    let reopened = reopened(&stored, accept);
    Ok(Some(Accepted {
        no,
        row,
        accept,
        task,
        attempt: chapter.attempt,
        agent: chapter.agent,
        node: chapter.node,
        base: chapter.base,
        head,
        reopened,
    }))
}

/// Returns the accepts that a Move or Delete in this accept's past has undone: a task that is deleted and made anew is merged anew.
fn reopened(stored: &StoredLog, accept: RecordId) -> Reopened {
    let entries = stored.log.entries();
    let Some(this) = entries.iter().find(|entry| entry.id == accept) else { return Reopened::default() };
    let undoes = |entry: &Entry| matches!(entry.act, Act::Move { .. } | Act::Delete) && entry.counts();
    let undoing: Vec<&Entry> =
        (0u32..).zip(entries).filter(|(at, entry)| undoes(entry) && this.past.contains(*at)).map(|(_, entry)| entry).collect();
    let mut reopened = Reopened::default();
    let mut standing = BTreeSet::new();
    for (index, earlier) in (0u32..).zip(entries) {
        let Act::Accept { on } = &earlier.act else { continue };
        let attempt = claim_of(stored, on).and_then(|claim| attempt_of(entries, &claim));
        if undoing.iter().any(|entry| entry.past.contains(index)) {
            reopened.accepts.push(earlier.id);
            reopened.attempts.extend(attempt);
        } else {
            standing.extend(attempt);
        }
    }
    reopened.attempts.retain(|attempt| !standing.contains(attempt));
    reopened
}

fn attempt_of(entries: &[Entry], claim: &RecordId) -> Option<AttemptName> {
    let entry = entries.iter().find(|entry| entry.id == *claim)?;
    if let Act::Claim { epoch, .. } = entry.act { Some(AttemptName::new(epoch, claim)) } else { None }
}
