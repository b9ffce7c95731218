//! Claims and reviews as they compete: what a task's log shows of them, and their rank.
//!
//! **Invariants**: the rank is the lifecycle's own for what is not submitted, so what settles here is what resolves there.

use std::cmp::Reverse;

use crate::{
    ids::{AuthorKey, RecordId, Subject},
    lifecycle::{Act, AttemptStatus, Entry, TaskLog, TaskState, claim_lot, review_lot},
    peer::Rival,
};

/// What a claim or review competes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stake {
    /// The attempt of this epoch.
    Claim { epoch: u64 },
    /// The verdict on the record that the state rests on.
    Review { on: RecordId },
}

/// A claim or review with what its rank needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// The Claim or Review record.
    pub id: RecordId,
    /// Who wrote it.
    pub author: AuthorKey,
    /// The task.
    pub task: Subject,
    /// What it competes for.
    pub stake: Stake,
}

/// Reads a claim or review that counts out of a task's log.
#[must_use]
pub fn contender(log: &TaskLog, id: &RecordId) -> Option<Contender> {
    let entry = log.position(id).and_then(|index| log.at(index)).filter(|entry| entry.counts())?;
    let stake = match &entry.act {
        Act::Claim { epoch, .. } => Stake::Claim { epoch: *epoch },
        Act::Review { on, .. } => Stake::Review { on: *on },
        Act::Create
        | Act::Edit
        | Act::Heads
        | Act::Grant { .. }
        | Act::Release { .. }
        | Act::Expire { .. }
        | Act::Submit { .. }
        | Act::Accept { .. }
        | Act::Reject { .. }
        | Act::Merged { .. }
        | Act::Finish
        | Act::Move { .. }
        | Act::Cancel
        | Act::Delete
        | Act::Unknown => return None,
    };
    Some(Contender { id: *id, author: entry.author, task: log.task(), stake })
}

/// Lists a task's claims that are not over and its open reviews, each with whether the log alone shows that work on it has
/// started: what is submitted was started.
#[must_use]
pub fn contenders(log: &TaskLog, state: &TaskState) -> Vec<Known> {
    let claims = state.attempts.iter().filter_map(|attempt| {
        let started = match attempt.status {
            AttemptStatus::Running | AttemptStatus::Superseded => attempt.submit.is_some(),
            AttemptStatus::Submitted | AttemptStatus::Accepted | AttemptStatus::Merged | AttemptStatus::Contested => true,
            AttemptStatus::Ungranted
            | AttemptStatus::Released
            | AttemptStatus::Expired
            | AttemptStatus::Rejected
            | AttemptStatus::MovedAway
            | AttemptStatus::Withdrawn => return None,
        };
        Some(Known { contender: contender(log, &attempt.claim)?, started })
    });
    let ends =
        |entry: &Entry, id: &RecordId| entry.counts() && matches!(&entry.act, Act::Release { of, .. } | Act::Expire { of } if of == id);
    let rests = |entry: &Entry| matches!(&entry.act, Act::Review { on, .. } if state.rests_on == Some(*on));
    let ended = |entry: &Entry| log.entries().iter().any(|end| ends(end, &entry.id));
    let reviews = log.entries().iter().filter(|entry| rests(entry) && !ended(entry));
    let reviews = reviews.filter_map(|entry| Some(Known { contender: contender(log, &entry.id)?, started: false }));
    claims.chain(reviews).collect()
}

pub(super) type Rank = (u64, Reverse<[u8; 32]>, Reverse<RecordId>);

impl Contender {
    /// The lifecycle's rank of what is not submitted; the greatest wins.
    pub(super) fn rank(&self) -> Rank {
        match self.stake {
            Stake::Claim { epoch } => (epoch, claim_lot(&self.task, epoch, &self.author), Reverse(self.id)),
            Stake::Review { on } => (0, review_lot(&self.task, &on, &self.author), Reverse(self.id)),
        }
    }

    pub(super) fn rank_of(&self, rival: &Rival) -> Rank {
        let stake = match self.stake {
            Stake::Claim { .. } => Stake::Claim { epoch: rival.epoch },
            Stake::Review { on } => Stake::Review { on },
        };
        Contender { id: rival.id, author: rival.author, task: self.task, stake }.rank()
    }

    pub(super) fn as_rival(&self, started: bool) -> Rival {
        let epoch = match self.stake {
            Stake::Claim { epoch } => epoch,
            Stake::Review { .. } => 0,
        };
        Rival { id: self.id, author: self.author, epoch, started }
    }

    pub(super) fn competes_with(&self, other: &Self) -> bool {
        let same = match (self.stake, other.stake) {
            (Stake::Claim { .. }, Stake::Claim { .. }) => true,
            (Stake::Review { on }, Stake::Review { on: other }) => on == other,
            (Stake::Claim { .. }, Stake::Review { .. }) | (Stake::Review { .. }, Stake::Claim { .. }) => false,
        };
        same && self.task == other.task && self.id != other.id
    }
}

/// A claim or review that a log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The claim or review.
    pub contender: Contender,
    /// Whether it is known that work on it has started.
    pub started: bool,
}
