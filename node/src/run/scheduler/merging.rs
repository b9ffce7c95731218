//! Merges beside the loop: rounds over what was accepted, and what people ask for.
//!
//! **Invariants**: one merge runs at a time; the loop waits for none, since a merge may wait for other machines.

use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::super::context::StepError;
use super::super::control::ControlError;
use super::super::integrate::{self, Waiting};
use super::{REQUESTS, Scheduler};
use crate::store::TaskNo;

/// What came of a merge that ran.
pub(super) enum Merging {
    /// What waits after a round over everything.
    Round(Waiting),
    /// The task that a person had merged, unless that was refused.
    ByHand(Option<TaskNo>),
}

/// A merge that a person asks for.
pub(super) struct Asked {
    pub scope: String,
    pub id: String,
    pub answer: oneshot::Sender<Result<(), ControlError>>,
}

impl Scheduler {
    pub(super) fn start_merging(&mut self) {
        if self.merging.is_none() && !self.stopping {
            let (context, before) = (self.context.clone(), self.waiting.clone());
            self.merging = Some(tokio::spawn(async move { integrate::round(&context, before).await.map(Merging::Round) }));
        }
    }

    /// Takes in what came of the merge that ran, and goes on with what people asked for meanwhile.
    pub(super) fn merged(&mut self, merged: Result<Result<Merging, StepError>, JoinError>) -> Result<(), StepError> {
        match merged?? {
            Merging::Round(waiting) => {
                for (no, wait) in &waiting {
                    if self.waiting.get(no).is_none_or(|known| known.reason != wait.reason) {
                        tracing::warn!(task = %wait.id, reason = %wait.reason, "awaiting merge");
                    }
                }
                self.waiting = waiting;
            }
            Merging::ByHand(no) => drop(no.and_then(|no| self.waiting.remove(&no))),
        }
        self.merge_next();
        Ok(())
    }

    /// Merges one accepted task whatever `repo.merge` says, as soon as no other merge runs.
    pub(super) fn merge(&mut self, asked: Asked) {
        if self.asked.len() >= REQUESTS {
            let refused = format!("{REQUESTS} merges wait for their turn: ask again when they are done");
            // Whoever asked may be gone.
            let _ = asked.answer.send(Err(ControlError::Refused(refused)));
            return;
        }
        self.asked.push_back(asked);
        self.merge_next();
    }

    fn merge_next(&mut self) {
        if self.merging.is_some() {
            return;
        }
        let Some(Asked { scope, id, answer }) = self.asked.pop_front() else { return };
        let context = self.context.clone();
        self.merging = Some(tokio::spawn(async move {
            let merged = integrate::by_hand(&context, &scope, &id).await;
            let no = merged.as_ref().ok().copied();
            // Whoever asked may be gone.
            let _ = answer.send(merged.map(drop));
            Ok(Merging::ByHand(no))
        }));
    }
}
