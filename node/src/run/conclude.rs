//! Decides what came of an attempt, from git and the process rather than from what the agent says, and writes it down.
//!
//! **Invariants**: an attempt's work is committed before its end is recorded; the end and the removal of the run's record are
//! one commit.

use std::path::Path;

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::{Oid, RecordId};
use octopoid_crdt::record::Cause;

use super::attempt::{AttemptError, Job, was_stopped};
use super::brief::Story;
use super::context::{Context, StepError};
use super::hold::until_first;
use super::workplace::Workplace;
use crate::agent::{self, Ended, Evidence, ResultFile, RoleKind, StopReason, Verdict, Work};
use crate::causes::describe;
use crate::cluster::PassedVerdict;
use crate::config::role_of;
use crate::git::{self, Identity, Repository};
use crate::ops::breakdown::{Part, break_down};
use crate::ops::claim::{Holds, release, withdraw};
use crate::ops::create::refuse;
use crate::ops::fail::fail;
use crate::ops::finish::{Submission, submit};
use crate::ops::judge::{accept, reject};
use crate::ops::{Expect, Refused, roles};
use crate::store::{TaskNo, Unit};

/// Why an attempt was stopped that had begun on both sides of a partition.
const LOST: &str = "another node's attempt goes first";

/// What the scheduler does after an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conclusion {
    /// The agent hit a rate limit, until then if that is known (seconds since 1970).
    pub limited: Option<Option<u64>>,
    /// A review ended without a verdict.
    pub review_failed: Option<String>,
}

/// What git says after the agent's end.
struct Evident {
    work: Work,
    head: Oid,
    /// Where the work left the integration branch.
    base: Oid,
    tree: Option<Oid>,
    commits: usize,
    /// What the agent changed of what git runs, and that it moved the branch of everybody's work: for a person to look at.
    held: Option<String>,
    /// Which other branches it moved.
    moved: Option<String>,
    /// A commit that says it is a merge of ours.
    forged: Option<String>,
}

/// Writes down how an attempt ended.
pub(super) async fn conclude(
    context: &Context,
    job: &Job,
    story: &Story,
    place: &Workplace,
    ended: &Ended,
    result_file: &Path,
) -> Result<Conclusion, AttemptError> {
    let seen = look(context, job, story, place).await;
    if let Ok(Evident { moved: Some(moved), .. }) = &seen {
        tracing::warn!(task = %job.task.row.id, agent = %job.agent.name, attempt = %job.attempt(), "{moved}");
    }
    if let Some(reason) = was_stopped(ended) {
        // An agent that was ended in the midst of a rebase has not failed.
        match &seen {
            Ok(evident) => show_planted(context, job, evident).await?,
            Err(error) => {
                tracing::warn!(task = %job.task.row.id, reason = %describe(error), "what a stopped agent left cannot be committed")
            }
        }
        stopped(context, job, reason).await?;
        return Ok(Conclusion::default());
    }
    let Some(outcome) = ended.outcome() else { return Ok(Conclusion::default()) };
    let path = result_file.to_owned();
    let result = tokio::task::spawn_blocking(move || ResultFile::read(&path)).await.map_err(StepError::from)?;
    let verdict = agent::judge(&Evidence {
        kind: kind_of(job),
        work: seen.as_ref().map_or(Work { commits: 0, dirty: true }, |evident| evident.work),
        outcome,
        max_turns: Some(job.agent.max_turns),
        stream: &ended.stream,
        result: result.as_ref().map(Option::as_ref),
    });
    tracing::info!(task = %job.task.row.id, agent = %job.agent.name, attempt = %job.attempt(), verdict = name(&verdict), "an attempt ended");
    match (seen, verdict) {
        (Ok(evident), verdict) => write_down(context, job, &evident, verdict).await,
        // A limit says nothing about the work.
        (Err(_), Verdict::RateLimited { until }) => limited(context, job, until).await,
        (Err(error), _) => Err(error),
    }
}

async fn write_down(context: &Context, job: &Job, evident: &Evident, verdict: Verdict) -> Result<Conclusion, AttemptError> {
    // A submission is held in the commit that hands it in, so that no reviewer gets it between the two.
    if !matches!(verdict, Verdict::Submit { .. } | Verdict::NeedsContinuation { .. } | Verdict::NoChange { .. }) {
        show_planted(context, job, evident).await?;
    }
    // A verdict names the work that it is about, whoever else reviews it.
    if !job.review
        && let Some(reason) = until_first(context, job).await?
    {
        stopped(context, job, reason).await?;
        return Ok(Conclusion::default());
    }
    carry_out(context, job, evident, verdict).await
}

fn kind_of(job: &Job) -> RoleKind {
    match job.agent.role.as_str() {
        _ if job.review => RoleKind::Review,
        "breakdown" => RoleKind::Breakdown,
        _ => RoleKind::Work,
    }
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Submit { .. } => "submit",
        Verdict::NeedsContinuation { .. } => "needs continuation",
        Verdict::Failed { .. } => "failed",
        Verdict::RateLimited { .. } => "rate limited",
        Verdict::NoChange { .. } => "no change",
        Verdict::Subtasks(_) => "subtasks",
        Verdict::Accept { .. } => "accept",
        Verdict::Reject { .. } => "reject",
    }
}

/// Commits what is left in the worktree and reads what git shows.
async fn look(context: &Context, job: &Job, story: &Story, place: &Workplace) -> Result<Evident, AttemptError> {
    let (worktree, start) = (place.worktree.clone(), place.base.clone());
    let (guard, branches) = (place.guard.clone(), place.branches.clone());
    let message = format!("Work left uncommitted on task {}\n\nCommitted by octopoid when the agent ended.", job.task.row.id);
    let author = job.agent.name.to_string();
    let shared = [context.base_branch.clone(), context.main_branch.clone()];
    let known = story.start_from().and_then(|chapter| chapter.base.clone());
    let (name, attempt) = (worktree.task().clone(), worktree.attempt());
    let seen = context.git(move |git: &Repository| -> Result<Evident, String> {
        let changes = git::Snapshot::compare(&guard, &git.snapshot(Some(&worktree)));
        let dirty = !git.is_clean(&worktree).map_err(|error| describe(&error))?;
        let author = Identity::new(&format!("{author} (octopoid)"), &format!("{author}@octopoid.invalid"));
        git.commit_all(&worktree, &message, &author, &Identity::octopoid()).map_err(|error| describe(&error))?;
        let head = git.attempt_tip(&name, attempt).map_err(|error| describe(&error))?;
        let moved = git.moved_by(author.email(), &branches, &head, &name, attempt).unwrap_or_else(|error| {
            tracing::warn!(task = %name, reason = %describe(&error), "it is not known which branches the agent moved");
            Vec::new()
        });
        // What the agent merged in is neither its work nor a reviewer's matter; what it moved a branch to is both.
        let tips: Vec<Oid> = shared.iter().filter_map(|branch| tip_without(git, branch, &moved)).collect();
        let merged_in: Vec<&Oid> = tips.iter().chain([&start]).collect();
        let commits = git.own_commits(&head, &merged_in).map_err(|error| describe(&error))?;
        let forged = git.forged_merge(&head, &tips.iter().collect::<Vec<_>>()).map_err(|error| describe(&error))?;
        let forked = tips.first().and_then(|tip| git.merge_base(tip, &head).ok().flatten()).filter(|base| *base != head);
        let base = forked.or(known).unwrap_or(start);
        let tree = git.tree_of(&head).ok();
        let (ours, others): (Vec<_>, Vec<_>) = moved.into_iter().partition(|moved| shared.iter().any(|branch| moved.is(branch)));
        let (held, moved) = (held(&changes, &ours), told(&others));
        Ok(Evident { work: Work { commits, dirty }, head, base, tree, commits, held, moved, forged })
    });
    seen.await?.map_err(AttemptError::Git)
}

/// Returns where a branch is, or was before the agent moved it.
fn tip_without(git: &Repository, branch: &git::Branch, moved: &[git::Moved]) -> Option<Oid> {
    let by_agent = moved.iter().find(|moved| moved.is(branch)).map(|moved| moved.before.clone());
    by_agent.or_else(|| git.newest_tip(branch).ok())
}

/// Tells what an agent did that a person must look at; nothing when it did none of it.
fn held(changes: &[git::Change], moved: &[git::Moved]) -> Option<String> {
    let shown = |changes: &[git::Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let changed = (!changes.is_empty()).then(|| format!("the agent changed what git runs in this repository ({})", shown(changes)));
    let parts: Vec<String> = changed.into_iter().chain(told(moved)).collect();
    (!parts.is_empty()).then(|| format!("Held for a person: {}.", parts.join("; ")))
}

/// Tells which branches an agent moved that are not its own.
fn told(moved: &[git::Moved]) -> Option<String> {
    let shown: Vec<String> = moved.iter().map(ToString::to_string).collect();
    (!shown.is_empty()).then(|| format!("the agent touched branches that are not its own: {}", shown.join("; ")))
}

/// Asks for a person when the agent changed what git runs, or moved everybody's branch: the next one would take it for granted.
async fn show_planted(context: &Context, job: &Job, evident: &Evident) -> Result<(), AttemptError> {
    let Some(held) = evident.held.clone() else { return Ok(()) };
    tracing::warn!(task = %job.task.row.id, agent = %job.agent.name, "{held}");
    let no = job.task.no;
    let edits = [Edit::set("needs_intervention", Value::Bool(true)), Edit::set("execution_notes", held)];
    context.write(move |unit| unit.edit(no, &edits)?.map(drop).map_err(refuse)).await?;
    Ok(())
}

/// Says why an attempt can never be merged, if so.
fn forged(evident: &Evident) -> Option<String> {
    let commit = evident.forged.as_ref()?;
    Some(format!("commit {commit} carries an Octopoid-Task trailer, which only merges may: leave it out of the message"))
}

/// The node ended the agent: its claim is given back unless somebody else ended it.
async fn stopped(context: &Context, job: &Job, reason: StopReason) -> Result<(), AttemptError> {
    let lost = context.cluster.as_ref().is_some_and(|cluster| cluster.settling().is_lost(&job.claim));
    let cause = if lost { Cause::Superseded } else { Cause::Stopped };
    let why = if lost { LOST.to_owned() } else { reason.to_string() };
    let text = format!("{why}; what was done is on the attempt's branch");
    let claim = job.claim;
    finish(context, job, move |unit, no, _| Ok(withdraw(unit, no, claim, cause, &text).map(drop)?)).await
}

/// Runs the last operation of an attempt and forgets its run in the same commit.
async fn finish(
    context: &Context,
    job: &Job,
    operation: impl FnOnce(&mut Unit<'_>, u64, Holds) -> Result<(), Refused> + Send + 'static,
) -> Result<(), AttemptError> {
    let (no, claim) = (job.task.no, job.claim);
    let holds = Holds { claim: Some(claim), ..Holds::default() };
    context
        .write(move |unit| {
            let result = operation(unit, no, holds);
            unit.set_run(&claim, None);
            match result {
                // The attempt was ended by somebody else meanwhile: its branch is kept, and there is nothing to record.
                Err(Refused::Transition { message, details }) => {
                    tracing::info!(%message, ?details, "an attempt's end came too late");
                    Ok(())
                }
                other => other,
            }
        })
        .await?;
    Ok(())
}

async fn carry_out(context: &Context, job: &Job, evident: &Evident, verdict: Verdict) -> Result<Conclusion, AttemptError> {
    let agent = job.agent.name.to_string();
    let about = job.task.row.rests_on.map(RecordId);
    let good = matches!(verdict, Verdict::Accept { .. });
    let mut end = Conclusion::default();
    match verdict {
        Verdict::Submit { .. } | Verdict::NeedsContinuation { .. } if let Some(reason) = forged(evident) => {
            finish(context, job, move |unit, no, holds| fail(unit, no, &holds, &reason).map(drop)).await?;
        }
        Verdict::Submit { notes, turns } => hand_in(context, job, evident, notes, turns, false).await?,
        Verdict::NeedsContinuation { reason, turns } => hand_in(context, job, evident, reason, turns, true).await?,
        Verdict::NoChange { reason } => hand_in(context, job, evident, reason, None, false).await?,
        Verdict::Failed { reason } if job.review => {
            end.review_failed = Some(reason.clone());
            give_back(context, job, format!("the review came to no verdict: {reason}")).await?;
        }
        Verdict::Failed { reason } => {
            let reason = [Some(reason), evident.held.clone(), evident.moved.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
            finish(context, job, move |unit, no, holds| fail(unit, no, &holds, &reason).map(drop)).await?;
        }
        Verdict::RateLimited { until } => end = limited(context, job, until).await?,
        Verdict::Subtasks(parts) => {
            let parts: Vec<Part> = parts.into_iter().map(part).collect();
            let known: Vec<String> = job.roles.iter().map(|role| role.name.clone()).collect();
            finish(context, job, move |unit, no, holds| {
                let planned = known_roles(unit, no, &known, &parts)?.and_then(|()| break_down(unit, no, &holds, &parts).map(drop));
                match planned {
                    Err(Refused::Field { field, message }) => {
                        fail(unit, no, &holds, &format!("its plan is wrong: {field}: {message}")).map(drop)
                    }
                    other => other,
                }
            })
            .await?;
        }
        Verdict::Accept { reason } | Verdict::Reject { reason } if !context.decides() => {
            hand_over(context, job, good, reason).await?;
        }
        Verdict::Accept { reason } => finish(context, job, move |unit, no, _| accept(unit, no, about, &agent, &reason).map(drop)).await?,
        Verdict::Reject { reason } => finish(context, job, move |unit, no, _| reject(unit, no, about, &agent, &reason).map(drop)).await?,
    }
    Ok(end)
}

/// Keeps a verdict for the authority, and hands it over at once if that can be reached.
async fn hand_over(context: &Context, job: &Job, good: bool, reason: String) -> Result<(), AttemptError> {
    let row = &job.task.row;
    let Some(on) = row.rests_on.map(RecordId) else { return Ok(()) };
    let verdict = PassedVerdict {
        scope: row.scope.clone(),
        task: row.id.clone(),
        on: on.to_string(),
        accept: good,
        by: job.agent.name.to_string(),
        reason,
    };
    context.keep_verdict(job.claim, verdict).map_err(AttemptError::Folder)?;
    finish(context, job, |_, _, _| Ok(())).await?;
    Ok(context.hand_verdicts_over().await?)
}

async fn give_back(context: &Context, job: &Job, reason: String) -> Result<(), AttemptError> {
    finish(context, job, move |unit, no, holds| release(unit, no, &holds, Cause::Stopped, &reason).map(drop)).await
}

/// Refuses a plan with a role that neither this node's agents nor anybody of the scope knows: nobody would ever take that part.
fn known_roles(unit: &mut Unit<'_>, no: TaskNo, known: &[String], parts: &[Part]) -> Result<Result<(), Refused>, Refused> {
    let scope = unit.row(no)?.scope.clone();
    for role in parts.iter().filter_map(|part| part.role.as_ref()).filter(|role| !known.contains(role)) {
        if unit.item(roles::COLLECTION, &scope, role)?.is_none() {
            let known = known.join(", ");
            return Ok(Err(Refused::field("role", format!("no agent has the role '{role}': use one of {known}"))));
        }
    }
    Ok(Ok(()))
}

/// Gives a claim back whose agent met a rate limit; its agent pauses.
async fn limited(context: &Context, job: &Job, until: Option<u64>) -> Result<Conclusion, AttemptError> {
    give_back(context, job, "rate limit".to_owned()).await?;
    Ok(Conclusion { limited: Some(until), ..Conclusion::default() })
}

fn part(subtask: agent::Subtask) -> Part {
    Part {
        title: subtask.title,
        body: subtask.body,
        // As agents.yaml reads roles: planners know the words of other tools.
        role: subtask.role.map(|word| role_of(&word).map_or(word, str::to_owned)),
        priority: subtask.priority,
        complexity: subtask.complexity,
        depends_on: subtask.depends_on,
    }
}

async fn hand_in(
    context: &Context,
    job: &Job,
    evident: &Evident,
    notes: String,
    turns: Option<u32>,
    out_of_turns: bool,
) -> Result<(), AttemptError> {
    let worked = evident.head != evident.base;
    // History tells a submit's notes: what its agent did beside the work belongs there.
    let told = evident.moved.iter().cloned().chain([notes].into_iter().filter(|notes| !notes.is_empty()));
    let notes = told.collect::<Vec<_>>().join("\n\n");
    let work = Submission {
        commits: i64::try_from(evident.commits).unwrap_or(i64::MAX),
        turns: turns.map_or(0, i64::from),
        notes: Some(notes),
        base: worked.then(|| evident.base.clone()),
        head: worked.then(|| evident.head.clone()),
        tree: evident.tree.clone().filter(|_| worked),
        out_of_turns,
        held: evident.held.clone(),
        ..Submission::default()
    };
    if let (true, Some(task)) = (worked, job.name()) {
        context.share_branch(&job.claim, &job.task.row.scope, &task, job.attempt()).await?;
    }
    finish(context, job, move |unit, no, holds| submit(unit, no, &holds, &Expect::default(), &work).map(drop)).await
}

/// Gives a claim back whose attempt was stopped before its agent began.
pub(super) async fn not_begun(context: &Context, job: &Job, reason: StopReason) -> Conclusion {
    if let Err(error) = stopped(context, job, reason).await {
        tracing::error!(task = %job.task.row.id, reason = %describe(&error), "an attempt's end could not be written");
    }
    Conclusion::default()
}

/// Writes down that an attempt could not run at all.
pub(super) async fn not_run(context: &Context, job: &Job, reason: &str) -> Conclusion {
    let text = reason.to_owned();
    let ended = if job.review {
        give_back(context, job, format!("the review could not run: {text}")).await
    } else {
        finish(context, job, move |unit, no, holds| fail(unit, no, &holds, &text).map(drop)).await
    };
    if let Err(error) = ended {
        tracing::error!(task = %job.task.row.id, reason = %describe(&error), "an attempt's end could not be written");
    }
    Conclusion { review_failed: job.review.then(|| reason.to_owned()), ..Conclusion::default() }
}
