//! Waits for the authority's word on this node's claims and reviews.
//!
//! A claim waits for its grant. A review needs none: the authority answers it, as every member does, and names the reviews
//! that it took in before; the first one starts.
//!
//! **Invariants**: nothing starts without a word of the authority that is on disk there; a wait ends when the authority moves,
//! cannot be reached, or says nothing for [`PATIENCE`].

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::lifecycle::{AttemptStatus, Phase};
use octopoid_crdt::peer::ClaimAnswer;
use tokio::sync::Notify;

use super::contenders::is_open;
use super::settling::Outcome;
use super::shared::Shared;
use crate::store::{Fault, TaskNo};

/// How long the authority's word is waited for while it is connected.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the authority is still there.
const GLANCE: Duration = Duration::from_millis(100);

/// Answers that are kept: one may be there before its claimant has begun to wait.
const KEPT: usize = 1_024;

/// What the authority answered last.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Claims and reviews, each with whether no other review was there first; the latest last.
    said: Mutex<VecDeque<(RecordId, bool)>>,
    told: Notify,
}

impl Words {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(RecordId, bool)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a member's answer, if it is the authority's.
    pub fn answered(&self, from: &AuthorKey, authority: Option<&AuthorKey>, answer: &ClaimAnswer) {
        if authority != Some(from) {
            return;
        }
        let mut said = self.lock();
        if said.len() >= KEPT {
            said.pop_front();
        }
        said.push_back((answer.of, answer.rivals.is_empty()));
        drop(said);
        self.told.notify_waiters();
    }

    fn of(&self, review: &RecordId) -> Option<bool> {
        self.lock().iter().rev().find(|(of, _)| of == review).map(|(_, first)| *first)
    }
}

impl Shared {
    /// Returns the authority, where that is another node.
    pub fn other_authority(&self) -> Option<AuthorKey> {
        self.store.membership().authority().filter(|authority| **authority != self.me).copied()
    }

    /// Tells whether a member is connected.
    pub fn reaches(&self, member: &AuthorKey) -> bool {
        self.members().get(member).is_some_and(|state| state.connected)
    }

    /// Waits until the authority has said whether an own claim or review, which is on disk here, may start.
    pub async fn word_of(&self, authority: AuthorKey, no: TaskNo, of: &RecordId) -> Result<Outcome, Fault> {
        let mut events = self.store.events();
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut told = std::pin::pin!(self.words.told.notified());
            // From here on no answer is missed.
            told.as_mut().enable();
            if let Some(outcome) = self.word(no, of)? {
                return Ok(outcome);
            }
            if self.other_authority() != Some(authority) {
                return Ok(Outcome::Yield);
            }
            if !self.reaches(&authority) || tokio::time::Instant::now() >= end {
                return Ok(Outcome::Unreachable);
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(GLANCE) => {}
                () = touched(&mut events, no) => {}
            }
        }
    }

    /// Returns what the records and answers here say already.
    fn word(&self, no: TaskNo, of: &RecordId) -> Result<Option<Outcome>, Fault> {
        let state = self.store.reader()?.log(no)?.log.resolve(&self.store.masks());
        let Some(attempt) = state.attempts.iter().find(|attempt| attempt.claim == *of) else {
            let first = self.words.of(of).map(|first| if first { Outcome::Start } else { Outcome::Yield });
            return Ok(if is_open(&self.store, no, of)? { first } else { Some(Outcome::Yield) });
        };
        Ok(match attempt.status {
            AttemptStatus::Running => Some(Outcome::Start),
            AttemptStatus::Ungranted if matches!(state.phase, Phase::Waiting { .. }) => None,
            AttemptStatus::Ungranted
            | AttemptStatus::Submitted
            | AttemptStatus::Superseded
            | AttemptStatus::Released
            | AttemptStatus::Expired
            | AttemptStatus::Rejected
            | AttemptStatus::MovedAway
            | AttemptStatus::Accepted
            | AttemptStatus::Merged
            | AttemptStatus::Contested
            | AttemptStatus::Withdrawn => Some(Outcome::Yield),
        })
    }
}

/// Waits until a record about a task or the cluster was applied.
async fn touched(events: &mut tokio::sync::broadcast::Receiver<std::sync::Arc<[crate::store::Event]>>, no: TaskNo) {
    loop {
        match events.recv().await {
            Ok(some) if some.iter().any(|event| event.task == Some(no) || event.kind == "policy") => return,
            Ok(_) => {}
            // Behind: what was missed is in the store.
            Err(_) => return,
        }
    }
}
