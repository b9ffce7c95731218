//! Tidies up after a node that ended without doing so itself.
//!
//! **Invariants**: what a dead agent left is committed or rescued before its claim is given back, and no worktree is
//! touched before the agent's processes are dead.

use octopoid_crdt::record::Cause;

use super::context::{Context, StepError};
use super::run_record::RunRecord;
use crate::agent::leftovers;
use crate::causes::describe;
use crate::git::Identity;
use crate::ops::claim::withdraw;
use crate::ops::{Refused, Target, find};

/// Ends what is left of agents that a former run of this node started, and gives their claims back.
pub(super) async fn recover(context: &Context) -> Result<(), StepError> {
    let runs: Vec<RunRecord> = context.store.reader()?.runs()?.iter().filter_map(|bytes| RunRecord::decode(bytes)).collect();
    let processes: Vec<_> = runs.iter().filter_map(|run| run.process.clone()).collect();
    if !processes.is_empty() {
        let report = leftovers(processes).await;
        tracing::info!(killed = report.killed, survivors = ?report.survivors, "ended what a former run left");
    }
    for run in runs {
        save_work(context, &run).await?;
        give_back(context, run).await?;
    }
    sweep(context).await
}

/// Commits what an agent left in its worktree, and removes the worktree.
async fn save_work(context: &Context, run: &RunRecord) -> Result<(), StepError> {
    let Some((task, attempt)) = run.names() else { return Ok(()) };
    let worktrees = context.worktrees();
    let agent = run.agent.clone();
    let saved = context.git(move |git| {
        let found = git.list_worktrees(&worktrees).map_err(|error| describe(&error))?;
        let Some(worktree) = found.into_iter().find(|worktree| *worktree.task() == task && worktree.attempt() == attempt) else {
            return Ok(());
        };
        let author = Identity::new(&format!("{agent} (octopoid)"), &format!("{agent}@octopoid.invalid"));
        let message = format!("Work left uncommitted on task {task}\n\nCommitted by octopoid after its node was restarted.");
        if let Err(error) = git.commit_all(&worktree, &message, &author, &Identity::octopoid()) {
            // The removal below rescues what cannot be committed.
            tracing::warn!(%task, reason = %describe(&error), "work could not be committed");
        }
        git.remove_worktree(&worktree).map(drop).map_err(|error| describe(&error))
    });
    if let Err(reason) = saved.await? {
        tracing::warn!(task = %run.task, %reason, "a worktree stays");
    }
    Ok(())
}

async fn give_back(context: &Context, run: RunRecord) -> Result<(), StepError> {
    let Some(claim) = run.claim() else { return Ok(()) };
    let own_scope = context.config.scope.to_string();
    context
        .write(move |unit| {
            unit.set_run(&claim, None);
            let target = Target { scope: Some(run.scope), own_scope, bound: None, id: run.task };
            let no = match find(unit, &target) {
                Ok(no) => no,
                Err(Refused::NotFound { .. }) => return Ok(()),
                Err(refused) => return Err(refused),
            };
            withdraw(unit, no, claim, Cause::Stopped, "the node was restarted; what was done is on the attempt's branch")?;
            Ok(())
        })
        .await
}

/// Deletes worktree folders whose removal was cut short.
async fn sweep(context: &Context) -> Result<(), StepError> {
    let worktrees = context.worktrees();
    if let Err(error) = context.git(move |git| git.sweep_removed(&worktrees)).await? {
        tracing::warn!(reason = %describe(&error), "a half-removed worktree stays");
    }
    Ok(())
}
