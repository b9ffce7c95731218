//! What a set of one task's records resolves to, in positions of the log.
//!
//! **Invariants**
//! - A function of the set: neither the order of arrival nor the time it was computed at matters.
//! - Only entries that count are looked at, and of these only what no removal masks and no later creation buried.

use std::collections::BTreeSet;

use super::{
    act::Act,
    attempts::{Effects, Fate, Open, Status},
    law::Refusal,
    log::TaskLog,
    past::{Index, Past},
    rank::{ReviewRank, review_lot},
    standing::{Removal, left_out},
};
use crate::record::{Cause, Queue};

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// `by` is the Move that decided, `resume` the claim of the attempt to go on from.
    Waiting {
        by: Option<Index>,
        resume: Option<Index>,
    },
    Claimed {
        claim: Index,
    },
    Provisional {
        claim: Index,
        submit: Index,
        rests_on: Index,
        review: Option<Index>,
    },
    Done {
        end: Index,
        about: Option<Index>,
        merged: Option<Index>,
    },
    Cancelled {
        by: Index,
    },
    Deleted {
        by: Index,
    },
}

/// The state of a task, by positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolution {
    pub settled: Settled,
    pub queue: Queue,
    pub created: bool,
    pub contested: bool,
    pub epoch: u64,
    pub attempt_count: u32,
    pub rejection_count: u32,
    /// Every claim that counts, in log order.
    pub fates: Vec<Fate>,
}

impl Resolution {
    /// Resolves the entries of a log that are in `within`, everything when it is `None`.
    pub fn of(log: &TaskLog, within: Option<&Past>, removals: &[&(Index, Removal)]) -> Self {
        let seen: Vec<Index> = log.acting().iter().copied().filter(|&i| within.is_none_or(|past| past.contains(i))).collect();
        let mut in_effect = seen.clone();
        if !removals.is_empty() {
            let out = left_out(log.entries(), within, removals);
            in_effect.retain(|index| !out.contains(index));
        }
        bury(log, &mut in_effect);
        let effects = Effects::of(log, in_effect);
        let (open, mut fates) = effects.attempts();
        let epoch = highest_epoch(log, &seen);
        let (settled, queue, contested) = settle(&effects, &open, &mut fates);
        withdraw(log, &seen, &mut fates);
        let tries = |i: &&Index| matches!(log.act(**i), Some(Act::Move { cause: Cause::Requeue | Cause::AttemptFailed, .. }));
        Self {
            settled,
            queue,
            created: effects.created,
            contested,
            epoch,
            attempt_count: u32::try_from(effects.moves.iter().filter(tries).count()).unwrap_or(u32::MAX),
            rejection_count: u32::try_from(effects.rejects.len()).unwrap_or(u32::MAX),
            fates,
        }
    }

    /// The record that a verdict must name.
    pub const fn rests_on(&self) -> Option<Index> {
        match self.settled {
            Settled::Waiting { by, .. } => by,
            Settled::Claimed { claim } => Some(claim),
            Settled::Provisional { rests_on, .. } => Some(rests_on),
            Settled::Done { .. } | Settled::Cancelled { .. } | Settled::Deleted { .. } => None,
        }
    }

    /// What a verdict on it means: the Submit, else the Claim.
    pub const fn about(&self) -> Option<Index> {
        match self.settled {
            Settled::Claimed { claim } => Some(claim),
            Settled::Provisional { submit, .. } => Some(submit),
            Settled::Done { about, .. } => about,
            Settled::Waiting { .. } | Settled::Cancelled { .. } | Settled::Deleted { .. } => None,
        }
    }

    /// The claim or review that a lease keeps alive.
    pub const fn held_by(&self) -> Option<Index> {
        match self.settled {
            Settled::Claimed { claim } => Some(claim),
            Settled::Provisional { review, .. } => review,
            Settled::Waiting { .. } | Settled::Done { .. } | Settled::Cancelled { .. } | Settled::Deleted { .. } => None,
        }
    }

    pub const fn is_deleted(&self) -> bool {
        matches!(self.settled, Settled::Deleted { .. })
    }

    /// Tells whether the task waits where attempts begin.
    pub fn is_claimable(&self) -> Result<(), Refusal> {
        match (&self.settled, &self.queue) {
            (Settled::Waiting { .. }, Queue::Incoming | Queue::NeedsContinuation | Queue::Custom(_)) => Ok(()),
            (
                Settled::Waiting { .. },
                Queue::Claimed | Queue::Provisional | Queue::Done | Queue::Cancelled | Queue::Failed | Queue::Blocked | Queue::Backlog,
            ) => Err(Refusal::NotClaimable),
            (Settled::Claimed { .. } | Settled::Provisional { .. }, _) => Err(Refusal::Held),
            (Settled::Done { .. }, _) => Err(Refusal::Finished),
            (Settled::Cancelled { .. }, _) => Err(Refusal::Cancelled),
            (Settled::Deleted { .. }, _) => Err(Refusal::Deleted),
        }
    }

    pub fn fate(&self, claim: Index) -> Option<&Fate> {
        self.fates.binary_search_by_key(&claim, |fate| fate.claim).ok().and_then(|position| self.fates.get(position))
    }
}

/// Leaves out the earlier lives of a task that was deleted and made anew: only what builds on the latest creation counts.
fn bury(log: &TaskLog, in_effect: &mut Vec<Index>) {
    if !log.was_ever_deleted() {
        return;
    }
    let again: Vec<Index> = in_effect.iter().copied().filter(|&i| log.at(i).is_some_and(|entry| entry.anew)).collect();
    if again.is_empty() {
        return;
    }
    let mut earlier = Past::default();
    for past in again.iter().filter_map(|&i| log.at(i)).map(|entry| &entry.past) {
        earlier.union(past);
    }
    let latest: Vec<Index> = again.into_iter().filter(|&i| !earlier.contains(i)).collect();
    in_effect.retain(|i| log.at(*i).is_some_and(|entry| latest.contains(i) || latest.iter().any(|l| entry.past.contains(*l))));
}

/// The highest epoch that was ever given, by whatever counts: masked, buried or not, so that no number is given twice.
fn highest_epoch(log: &TaskLog, seen: &[Index]) -> u64 {
    let given = |index: &Index| {
        let entry = log.at(*index)?;
        match &entry.act {
            Act::Grant { epoch, .. } => Some(*epoch),
            Act::Claim { epoch, .. } if entry.standing.authority().is_none() => Some(*epoch),
            Act::Claim { .. }
            | Act::Create
            | Act::Edit
            | Act::Heads
            | Act::Review { .. }
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
            | Act::Unknown => None,
        }
    };
    seen.iter().filter_map(given).max().unwrap_or(0)
}

/// Lists the claims that count but are not in effect, so that an attempt never vanishes.
fn withdraw(log: &TaskLog, seen: &[Index], fates: &mut Vec<Fate>) {
    let listed: BTreeSet<Index> = fates.iter().map(|fate| fate.claim).collect();
    for &claim in seen.iter().filter(|claim| !listed.contains(claim)) {
        if let Some(Act::Claim { epoch, .. }) = log.act(claim) {
            let fate = Fate { claim, status: Status::Withdrawn, epoch: *epoch, submit: None, rejected_by: None, in_effect: false };
            fates.push(fate);
        }
    }
    fates.sort_by_key(|fate| fate.claim);
}

/// The order of the questions is the rule: done, deleted, cancelled, the best open attempt, the last Move or Reject.
fn settle(effects: &Effects<'_>, open: &[Open], fates: &mut [Fate]) -> (Settled, Queue, bool) {
    let lowest = |among: &[Index], past: &Past| among.iter().copied().filter(|i| !past.contains(*i)).min_by_key(|i| effects.log.id(*i));
    if let Some(done) = done(effects, fates) {
        return done;
    }
    if let Some(by) = lowest(&effects.deletes, &effects.overruled).filter(|_| open.is_empty()) {
        return (Settled::Deleted { by }, Queue::Cancelled, false);
    }
    if let Some(by) = lowest(&effects.cancels, &effects.closed) {
        return (Settled::Cancelled { by }, Queue::Cancelled, false);
    }
    if let Some(best) = open.iter().max_by(|a, b| a.rank.cmp(&b.rank)) {
        let (settled, queue) = current(effects, best);
        mark(fates, best.claim, if best.submit.is_some() { Status::Submitted } else { Status::Running });
        return (settled, queue, open.len() > 1);
    }
    let setters: Vec<Index> = effects.moves.iter().chain(&effects.rejects).copied().collect();
    let setter = lowest(&setters, &effects.overruled);
    let (settled, queue) = waiting(effects, setter);
    (settled, queue, false)
}

/// The queue of the last word: that of a Move; incoming after a Reject, going on from what was rejected.
fn waiting(effects: &Effects<'_>, setter: Option<Index>) -> (Settled, Queue) {
    let Some((by, entry)) = setter.and_then(|by| effects.log.at(by).map(|entry| (by, entry))) else {
        return (Settled::Waiting { by: None, resume: None }, Queue::Incoming);
    };
    if let Act::Move { queue, .. } = &entry.act {
        return (Settled::Waiting { by: Some(by), resume: entry.target }, queue.clone());
    }
    (Settled::Waiting { by: None, resume: entry.about.and_then(|about| effects.log.claim_of(about)) }, Queue::Incoming)
}

/// Done: what git has comes first, then Accepts, then the lowest id.
fn done(effects: &Effects<'_>, fates: &mut [Fate]) -> Option<(Settled, Queue, bool)> {
    let log = effects.log;
    let standing = |list: &[Index], finish: bool| -> Vec<(bool, bool, Index)> {
        let open = list.iter().copied().filter(|&end| !effects.closed.contains(end));
        open.map(|end| (!effects.merged.contains_key(&end), finish, end)).collect()
    };
    let mut ends = standing(&effects.accepts, false);
    ends.extend(standing(&effects.finishes, true));
    let &(_, _, end) = ends.iter().min_by_key(|(unmerged, finish, end)| (*unmerged, *finish, log.id(*end)))?;
    let merged = effects.merged.get(&end).copied();
    let about = log.at(end).and_then(|entry| entry.about);
    let mut accepted: Vec<Index> =
        ends.iter().filter_map(|&(_, _, end)| log.at(end)?.about).filter_map(|about| log.claim_of(about)).collect();
    accepted.sort_unstable();
    accepted.dedup();
    for &claim in &accepted {
        mark(fates, claim, Status::Contested);
    }
    if let Some(claim) = about.and_then(|about| log.claim_of(about)) {
        mark(fates, claim, if merged.is_some() { Status::Merged } else { Status::Accepted });
    }
    Some((Settled::Done { end, about, merged }, Queue::Done, accepted.len() > 1))
}

fn current(effects: &Effects<'_>, best: &Open) -> (Settled, Queue) {
    let Some(submit) = best.submit else { return (Settled::Claimed { claim: best.claim }, Queue::Claimed) };
    let log = effects.log;
    let queue = match log.act(best.rests_on) {
        Some(Act::Move { queue, .. }) => queue.clone(),
        _submit => Queue::Provisional,
    };
    let task = log.task();
    let waits = |index: &Index| {
        let review = log.at(*index)?;
        let over = effects.released.contains(index) || effects.expired.contains(index);
        let on = log.id(best.rests_on)?;
        let rank = ReviewRank { lot: review_lot(&task, &on, &review.author), id: std::cmp::Reverse(review.id) };
        (review.target == Some(best.rests_on) && !over).then_some((rank, *index))
    };
    let review = effects.reviews.iter().filter_map(waits).max_by(|a, b| a.0.cmp(&b.0)).map(|(_, index)| index);
    (Settled::Provisional { claim: best.claim, submit, rests_on: best.rests_on, review }, queue)
}

fn mark(fates: &mut [Fate], claim: Index, status: Status) {
    if let Some(fate) = fates.iter_mut().find(|fate| fate.claim == claim) {
        fate.status = status;
    }
}
