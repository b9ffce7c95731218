//! How a task is shown: the only place that turns rows into the contract's tasks.
//!
//! Leases are joined here, on read, because they are no part of the state that nodes share.

use std::collections::HashMap;
use std::time::Duration;

use octopoid_client::Task;
use octopoid_crdt::ids::{AuthorKey, RecordId};

use super::app::App;
use super::times::{now_ms, rfc3339};
use crate::store::{Fault, Reader, TaskNo, TaskRow, waits_to_retry};

/// How long the scheduler may take to say why something is not merged; a busy one must not hold up a list.
const PATIENCE: Duration = Duration::from_millis(250);

/// Why accepted tasks of the node's own scope are not merged, by id.
pub(super) type MergeReasons = HashMap<String, String>;

/// A task as a snapshot holds it.
pub(super) struct Shown {
    pub row: TaskRow,
    pub content: Option<String>,
}

/// Returns when the next attempt at a task may start, while it waits after a failed one.
pub(super) fn retry_ms(row: &TaskRow, now_ms: u64) -> Option<u64> {
    row.retry_ms.filter(|_| row.queue == "incoming" && row.ready && waits_to_retry(row.retry_ms, now_ms))
}

/// Adds the bodies to the rows of a page.
pub(super) fn with_bodies(reader: &Reader, rows: Vec<(TaskNo, TaskRow)>) -> Result<Vec<Shown>, Fault> {
    rows.into_iter().map(|(no, row)| Ok(Shown { content: reader.content(no)?, row })).collect()
}

impl App {
    /// Shows a task.
    pub(super) fn view(&self, row: &TaskRow, content: Option<String>, reasons: Option<&MergeReasons>) -> Task {
        let text = |field: &str| row.text(field).map(str::to_owned);
        let count = |field: &str| row.number(field).and_then(|number| u64::try_from(number).ok());
        let holder = row.holder.as_ref();
        // A failed task shows who had it when the caller that moved it there said so.
        let kept = |field: &str| (row.queue == "failed").then(|| text(field)).flatten();
        Task {
            id: row.id.clone(),
            file_path: text("file_path").unwrap_or_default(),
            title: text("title").unwrap_or_else(|| row.id.clone()),
            content,
            queue: row.queue.clone(),
            priority: row.priority().to_owned(),
            complexity: text("complexity"),
            role: text("role"),
            kind: text("type"),
            branch: text("branch").unwrap_or_else(|| "main".to_owned()),
            blocked_by: (!row.open_blockers.is_empty()).then(|| row.open_blockers.join(",")),
            claimed_by: row.claimed_by().map(str::to_owned),
            claimed_at: holder.map(|holder| rfc3339(holder.since_ms)),
            lease_expires_at: self.lease_end(row).map(rfc3339).or_else(|| kept("lease_expires_at")),
            orchestrator_id: holder.map(|holder| holder.orchestrator.clone()).or_else(|| text("orchestrator_id")),
            commits_count: count("commits_count").unwrap_or(0),
            turns_used: count("turns_used"),
            attempt_count: row.attempt_count.into(),
            rejection_count: row.rejection_count.into(),
            has_plan: row.flag("has_plan"),
            plan_id: text("plan_id"),
            project_id: text("project_id"),
            auto_accept: row.flag("auto_accept"),
            pr_number: count("pr_number"),
            pr_url: text("pr_url"),
            checks: text("checks"),
            check_results: text("check_results"),
            needs_rebase: row.flag("needs_rebase"),
            last_rebase_attempt_at: text("last_rebase_attempt_at"),
            staging_url: text("staging_url"),
            submitted_at: row.submitted_ms.map(rfc3339),
            completed_at: row.completed_ms.map(rfc3339),
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
            version: row.version,
            needs_breakdown: row.flag("needs_breakdown"),
            review_round: count("review_round").unwrap_or(0),
            execution_notes: text("execution_notes"),
            hooks: text("hooks"),
            flow: text("flow").unwrap_or_else(|| "default".to_owned()),
            flow_overrides: text("flow_overrides"),
            scope: row.scope.clone(),
            needs_intervention: row.flag("needs_intervention"),
            epoch: row.epoch,
            attempt: row.attempt.clone(),
            contested: row.contested,
            holder: holder.map(|holder| self.node_name(&AuthorKey(holder.node))),
            node: row.creator.map(|creator| self.node_name(&AuthorKey(creator))),
            merged_commit: row.merged_commit.clone(),
            awaiting_merge: row.needs_merge.then(|| {
                let reason = reasons.and_then(|reasons| reasons.get(&row.id)).cloned();
                reason.unwrap_or_else(|| Task::MERGE_PENDING.to_owned())
            }),
            retry_at: retry_ms(row, now_ms()).map(rfc3339),
        }
    }

    /// Returns when the claim or review ends unless it is renewed, by this machine's clock.
    fn lease_end(&self, row: &TaskRow) -> Option<u64> {
        let holder = row.holder.as_ref()?;
        // A claim that is being committed is timed from its commit on.
        let left = self.settings.store.leases().remaining_ms(&RecordId(holder.record)).unwrap_or(u64::from(holder.ttl_seconds) * 1_000);
        Some(now_ms().saturating_add(left))
    }

    /// Shows the tasks of a page.
    pub(super) async fn views(&self, tasks: Vec<Shown>) -> Vec<Task> {
        // The scheduler is asked only when there is something to say, so that a busy one slows no list.
        let unmerged = tasks.iter().any(|task| task.row.needs_merge);
        let reasons = if unmerged { self.merge_reasons().await } else { MergeReasons::new() };
        tasks.into_iter().map(|task| self.view(&task.row, task.content, Some(&reasons))).collect()
    }

    /// Asks the scheduler why accepted work is not merged; nothing when it does not answer at once.
    pub(super) async fn merge_reasons(&self) -> MergeReasons {
        let Some(control) = &self.settings.control else { return MergeReasons::new() };
        match tokio::time::timeout(PATIENCE, control.agents()).await {
            Ok(Ok(view)) => view.awaiting_merge.into_iter().map(|waiting| (waiting.task_id, waiting.reason)).collect(),
            Ok(Err(_)) | Err(_) => MergeReasons::new(),
        }
    }
}
