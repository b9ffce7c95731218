//! What a look does before it starts agents: leases that ran out, tasks that need nobody's word, and what waits to be handed on.
//!
//! **Invariants**: nothing here waits for another machine; who was faster is no failure.

use octopoid_crdt::ids::RecordId;

use super::super::context::StepError;
use super::Scheduler;
use crate::causes::describe;
use crate::ops::claim::expire;
use crate::ops::judge::{accept, finish};
use crate::store::index::Facet;
use crate::store::posts::SUBTASKS_DONE;
use crate::store::{Filter, Sort, TaskRow};

/// Why a task that was broken down is neither finished nor planned anew.
const NO_PART_DONE: &str = "every subtask was cancelled or deleted: requeue the task to have it planned anew, or cancel it";

impl Scheduler {
    /// Ends claims whose holders fell silent; where there is an authority, it alone does.
    pub(super) async fn reap(&mut self) -> Result<(), StepError> {
        if !self.context.decides() {
            return Ok(());
        }
        for of in self.context.store.leases().due() {
            let expired = self.context.write(move |unit| Ok(expire(unit, of)?)).await?;
            if let Some(task) = expired {
                tracing::info!(task = %task.row.id, "a lease ran out");
            }
        }
        Ok(())
    }

    /// Finishes tasks whose subtasks are all done.
    pub(super) async fn finish_broken_down(&self) -> Result<(), StepError> {
        let filter = Filter { facet: Some((Facet::BrokenDown, vec![String::new()])), ..Filter::default() };
        let page = self.context.store.reader()?.list(&filter, Sort::Priority, 0, 500)?;
        for (no, row) in page.tasks.into_iter().filter(|(_, row)| row.open_blockers.is_empty()) {
            if !self.has_a_part_done(&row)? {
                if !row.flag("needs_intervention") {
                    self.ask_a_person((row.scope, row.id), NO_PART_DONE.to_owned()).await?;
                }
                continue;
            }
            tracing::info!(task = %row.id, "every subtask is done");
            let finished = self.context.write(move |unit| finish(unit, no, "octopoid", SUBTASKS_DONE).map(drop)).await;
            ignore_refusal(finished)?;
        }
        Ok(())
    }

    fn has_a_part_done(&self, row: &TaskRow) -> Result<bool, StepError> {
        let reader = self.context.store.reader()?;
        for part in &row.blocked_by {
            let Some(no) = reader.task_no(&row.scope, part)? else { continue };
            if reader.row(no)?.is_some_and(|part| part.queue == "done") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Accepts submitted work of tasks that need no review.
    pub(super) async fn accept_automatic(&self) -> Result<(), StepError> {
        let filter = Filter { facet: Some((Facet::AutoAccept, vec![String::new()])), ..Filter::default() };
        let page = self.context.store.reader()?.list(&filter, Sort::Priority, 0, 500)?;
        for (no, row) in page.tasks.into_iter().filter(|(_, row)| !row.flag("needs_intervention")) {
            let about = row.rests_on.map(RecordId);
            let accepted = self.context.write(move |unit| accept(unit, no, about, "octopoid", "auto_accept").map(drop)).await;
            ignore_refusal(accepted)?;
        }
        Ok(())
    }

    /// Hands verdicts over that wait for the authority, beside everything else: it may take its time.
    pub(super) fn hand_verdicts_over(&mut self) {
        if self.context.verdicts.count() == 0 {
            return;
        }
        let context = self.context.clone();
        self.attempts.spawn(async move {
            if let Err(error) = context.hand_verdicts_over().await {
                tracing::error!(reason = %describe(&error), "verdicts could not be handed over");
            }
        });
    }

    /// Pushes what `origin` did not get, beside everything else: it may take its time, and the next start goes on.
    pub(super) fn share_again(&mut self) {
        if self.stopping || !self.context.unshared.is_due() {
            return;
        }
        let context = self.context.clone();
        self.errands.spawn(async move {
            if let Err(error) = context.share_again().await {
                tracing::error!(reason = %describe(&error), "branches could not be pushed");
            }
        });
    }
}

/// Lets a refusal pass: somebody else was faster.
fn ignore_refusal(result: Result<(), StepError>) -> Result<(), StepError> {
    match result {
        Err(StepError::Refused(refused)) => {
            tracing::debug!(reason = %refused, "refused");
            Ok(())
        }
        other => other,
    }
}
