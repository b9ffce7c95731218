//! The one law: a record counts if it was legal in the state that its own past resolves to.
//!
//! **Invariants**
//! - The ruling depends on the record and its past alone: no clock, no arrival order, nothing that was learnt later.
//! - What a node refuses before it signs and what every node voids after it arrived are the same ruling.

use std::borrow::Cow;

use super::{
    act::Act,
    attempts::Status,
    entry::Entry,
    log::TaskLog,
    past::{Index, Past},
    resolution::{Resolution, Settled},
    standing::{Removals, Standing},
};
use crate::{
    ids::{AuthorKey, RecordId},
    record::Queue,
};

/// States why a record does not count, or why a node should not write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The author was no admin or worker.
    #[error("the author is not a member that may act on tasks: ask an admin for worker access")]
    NotAMember,
    /// The mode was server-wins and the author not the authority, or there was none for a Grant.
    #[error("only the authority may do this: send the request to its node")]
    NotTheAuthority,
    /// The record that this one names is not in its past, does not count there, or is of the wrong kind.
    #[error("the record that this one names is unknown here, void, or of another kind")]
    UnknownTarget,
    /// The named claim or review is another's.
    #[error("the claim or review belongs to another node: the request must go there")]
    NotTheHolder,
    /// The task was never created.
    #[error("there is no such task")]
    NoTask,
    /// The task was deleted.
    #[error("the task is deleted: create it anew")]
    Deleted,
    /// The task was done.
    #[error("the task is done: reopen it first")]
    Finished,
    /// The task was cancelled.
    #[error("the task is cancelled: requeue it first")]
    Cancelled,
    /// Somebody held the task or its review.
    #[error("the task is held: wait until its attempt or review ends")]
    Held,
    /// The claim had ended before it was granted.
    #[error("the claim ended before it was granted: claim again")]
    Ended,
    /// The task waited in a queue that nobody claims from.
    #[error("tasks in this queue cannot be claimed: requeue the task first")]
    NotClaimable,
    /// The epoch was not the next one.
    #[error("stale epoch: read the task again")]
    StaleEpoch,
    /// The state did not rest on the named record.
    #[error("the task's state no longer rests on that record: read the task again")]
    NotCurrent,
    /// No attempt was submitted.
    #[error("nothing is submitted for review")]
    NothingToReview,
    /// A Move to a queue that only other records lead to.
    #[error("a task cannot be moved to claimed, done or cancelled: claim, finish or cancel it")]
    NotATargetQueue,
    /// A record of a later version.
    #[error("the record is of a kind that this version does not know")]
    UnknownKind,
}

/// What the law says of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ruling {
    pub target: Option<Index>,
    pub about: Option<Index>,
    pub anew: bool,
}

/// A record before its verdict.
pub(super) struct Case<'a> {
    pub log: &'a TaskLog,
    pub author: AuthorKey,
    pub past: &'a Past,
    pub act: &'a Act,
    pub standing: &'a Standing,
    pub removals: &'a Removals,
}

impl<'a> Case<'a> {
    /// Judges the record.
    pub fn rule(&self) -> Result<Ruling, Refusal> {
        if !self.standing.is_member() {
            return Err(Refusal::NotAMember);
        }
        let authority = self.standing.authority();
        let granting = matches!(self.act, Act::Grant { .. });
        if self.act.is_for_the_authority() && authority.map_or(granting, |authority| authority != self.author) {
            return Err(Refusal::NotTheAuthority);
        }
        match self.act {
            Act::Edit | Act::Heads => Ok(Ruling::default()),
            Act::Create => Ok(Ruling { anew: self.log.was_ever_deleted() && self.state().is_deleted(), ..Ruling::default() }),
            Act::Unknown => Err(Refusal::UnknownKind),
            Act::Release { of, .. } => self.release(of),
            Act::Merged { accept, .. } => {
                let (target, entry) = self.find(accept).ok_or(Refusal::UnknownTarget)?;
                ruled(matches!(entry.act, Act::Accept { .. }), target, Refusal::UnknownTarget)
            }
            Act::Move { queue, keep, .. } => self.moved(queue, keep.as_ref()),
            Act::Delete => self.existing().map(|_| Ruling::default()),
            Act::Finish | Act::Cancel => self.unfinished().map(|_| Ruling::default()),
            Act::Claim { epoch, .. } => self.claim(*epoch),
            Act::Grant { claim, epoch } => self.grant(claim, *epoch),
            Act::Submit { claim, .. } => self.submit(claim),
            Act::Expire { of } => {
                let state = self.unfinished()?;
                let target = self.find(of).map(|(target, _)| target).ok_or(Refusal::NotCurrent)?;
                ruled(state.held_by() == Some(target), target, Refusal::NotCurrent)
            }
            Act::Accept { on } | Act::Reject { on } => self.judgement(on, &*self.unfinished()?),
            Act::Review { on, .. } => {
                let state = self.unfinished()?;
                let ruling = self.judgement(on, &state)?;
                match state.settled {
                    Settled::Provisional { review: None, .. } => Ok(ruling),
                    Settled::Provisional { review: Some(_), .. } => Err(Refusal::Held),
                    Settled::Waiting { .. }
                    | Settled::Claimed { .. }
                    | Settled::Done { .. }
                    | Settled::Cancelled { .. }
                    | Settled::Deleted { .. } => Err(Refusal::NothingToReview),
                }
            }
        }
    }

    fn state(&self) -> Cow<'a, Resolution> {
        self.log.resolution(Some(self.past), self.removals, Some(&self.standing.removals))
    }

    /// The state, of a task that exists.
    fn existing(&self) -> Result<Cow<'a, Resolution>, Refusal> {
        let state = self.state();
        match (state.created, state.is_deleted()) {
            (false, _) => Err(Refusal::NoTask),
            (true, true) => Err(Refusal::Deleted),
            (true, false) => Ok(state),
        }
    }

    /// The state, of a task that is not terminal.
    fn unfinished(&self) -> Result<Cow<'a, Resolution>, Refusal> {
        let state = self.existing()?;
        match state.settled {
            Settled::Done { .. } => Err(Refusal::Finished),
            Settled::Cancelled { .. } => Err(Refusal::Cancelled),
            Settled::Waiting { .. } | Settled::Claimed { .. } | Settled::Provisional { .. } | Settled::Deleted { .. } => Ok(state),
        }
    }

    /// Finds a named record that is in the past and counts.
    fn find(&self, id: &RecordId) -> Option<(Index, &'a Entry)> {
        let index = self.log.position(id).filter(|&index| self.past.contains(index))?;
        self.log.at(index).filter(|entry| entry.counts()).map(|entry| (index, entry))
    }

    fn release(&self, of: &RecordId) -> Result<Ruling, Refusal> {
        let (target, entry) = self.find(of).ok_or(Refusal::UnknownTarget)?;
        if !matches!(entry.act, Act::Claim { .. } | Act::Review { .. }) {
            return Err(Refusal::UnknownTarget);
        }
        ruled(entry.author == self.author, target, Refusal::NotTheHolder)
    }

    fn moved(&self, queue: &Queue, keep: Option<&RecordId>) -> Result<Ruling, Refusal> {
        let state = self.existing()?;
        if matches!(queue, Queue::Claimed | Queue::Done | Queue::Cancelled) {
            return Err(Refusal::NotATargetQueue);
        }
        let Some(keep) = keep else { return Ok(Ruling::default()) };
        let (target, _) = self.find(keep).ok_or(Refusal::UnknownTarget)?;
        ruled(state.fate(target).is_some_and(|fate| fate.in_effect && fate.status != Status::Ungranted), target, Refusal::UnknownTarget)
    }

    fn claim(&self, epoch: u64) -> Result<Ruling, Refusal> {
        let state = self.unfinished()?;
        state.is_claimable()?;
        if state.epoch.checked_add(1) == Some(epoch) { Ok(Ruling::default()) } else { Err(Refusal::StaleEpoch) }
    }

    fn grant(&self, claim: &RecordId, epoch: u64) -> Result<Ruling, Refusal> {
        let state = self.unfinished()?;
        let asked = |entry: &Entry| matches!(entry.act, Act::Claim { .. }) && entry.standing.policy.is_some_and(|p| p.authority.is_some());
        let (target, _) = self.find(claim).filter(|(_, entry)| asked(entry)).ok_or(Refusal::UnknownTarget)?;
        if !matches!(state.settled, Settled::Waiting { .. }) {
            return Err(Refusal::Held);
        }
        if !state.fate(target).is_some_and(|fate| fate.in_effect && fate.status == Status::Ungranted) {
            return Err(Refusal::Ended);
        }
        state.is_claimable()?;
        ruled(state.epoch.checked_add(1) == Some(epoch), target, Refusal::StaleEpoch)
    }

    fn submit(&self, claim: &RecordId) -> Result<Ruling, Refusal> {
        let state = self.unfinished()?;
        let (target, entry) = self.find(claim).ok_or(Refusal::UnknownTarget)?;
        if !matches!(entry.act, Act::Claim { .. }) {
            return Err(Refusal::UnknownTarget);
        }
        if entry.author != self.author {
            return Err(Refusal::NotTheHolder);
        }
        ruled(matches!(state.settled, Settled::Claimed { claim } if claim == target), target, Refusal::NotCurrent)
    }

    /// What an Accept, Reject or Review of a record means, if the state rests on that record.
    fn judgement(&self, on: &RecordId, state: &Resolution) -> Result<Ruling, Refusal> {
        let (target, _) = self.find(on).ok_or(Refusal::NotCurrent)?;
        if state.rests_on() == Some(target) {
            Ok(Ruling { target: Some(target), about: state.about(), anew: false })
        } else {
            Err(Refusal::NotCurrent)
        }
    }
}

fn ruled(legal: bool, target: Index, otherwise: Refusal) -> Result<Ruling, Refusal> {
    if legal { Ok(Ruling { target: Some(target), ..Ruling::default() }) } else { Err(otherwise) }
}
