//! The attempts of a task in one set of records: which are open, in which order, and what became of the others.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    act::Act,
    log::TaskLog,
    past::{Index, Past},
    rank::{Rank, claim_lot},
};
use crate::{ids::RecordId, record::Queue};

/// What became of a claim and its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Waits for the authority; no attempt yet.
    Ungranted,
    /// The task is claimed by it.
    Running,
    /// The task waits for a verdict on it.
    Submitted,
    /// Open, but another attempt or a verdict won.
    Superseded,
    /// Its holder gave it back.
    Released,
    /// Its lease ran out.
    Expired,
    /// It was judged not good.
    Rejected,
    /// A Move or Delete closed it.
    MovedAway,
    /// The task is done by it.
    Accepted,
    /// The task is done by it, and it is on the integration branch.
    Merged,
    /// It was accepted as well, but another one counts.
    Contested,
    /// Its author was removed, or it is of the task as it was before it was deleted and made anew.
    Withdrawn,
}

/// A claim that counts and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub claim: Index,
    pub status: Status,
    /// The grant's number where there is one, else the claim's own epoch.
    pub epoch: u64,
    /// The Submit that stands for the attempt.
    pub submit: Option<Index>,
    /// The Reject of lowest id that ended it.
    pub rejected_by: Option<Index>,
    /// Whether the claim is in effect: neither masked by a removal nor of an earlier life of the task.
    pub in_effect: bool,
}

/// An open attempt.
pub(super) struct Open {
    pub rank: Rank,
    pub claim: Index,
    pub submit: Option<Index>,
    pub rests_on: Index,
}

/// The records in effect, sorted out by what they do to attempts. All lists are in log order.
pub(super) struct Effects<'a> {
    pub log: &'a TaskLog,
    pub claims: Vec<Index>,
    pub reviews: Vec<Index>,
    pub accepts: Vec<Index>,
    pub finishes: Vec<Index>,
    pub cancels: Vec<Index>,
    pub moves: Vec<Index>,
    pub deletes: Vec<Index>,
    pub rejects: Vec<Index>,
    pub created: bool,
    /// Claim → its submits.
    pub submits: BTreeMap<Index, Vec<Index>>,
    /// Claim → its highest grant.
    pub grants: BTreeMap<Index, (u64, u64)>,
    /// Accept → the Merged of lowest id.
    pub merged: BTreeMap<Index, Index>,
    pub released: BTreeSet<Index>,
    pub expired: BTreeSet<Index>,
    /// Submit or Claim → the Reject of lowest id.
    pub rejected: BTreeMap<Index, Index>,
    /// What a Move or Delete has in its past.
    pub closed: Past,
    /// What a Move, Delete or Reject has in its past: such a one of these is not the last word.
    pub overruled: Past,
}

impl<'a> Effects<'a> {
    pub fn of(log: &'a TaskLog, in_effect: impl IntoIterator<Item = Index>) -> Self {
        let mut effects = Self {
            log,
            claims: Vec::new(),
            reviews: Vec::new(),
            accepts: Vec::new(),
            finishes: Vec::new(),
            cancels: Vec::new(),
            moves: Vec::new(),
            deletes: Vec::new(),
            rejects: Vec::new(),
            created: false,
            submits: BTreeMap::new(),
            grants: BTreeMap::new(),
            merged: BTreeMap::new(),
            released: BTreeSet::new(),
            expired: BTreeSet::new(),
            rejected: BTreeMap::new(),
            closed: Past::default(),
            overruled: Past::default(),
        };
        for index in in_effect {
            effects.sort_in(index);
        }
        effects.reject();
        effects
    }

    fn sort_in(&mut self, index: Index) {
        let Some(entry) = self.log.at(index) else { return };
        match (&entry.act, entry.target) {
            (Act::Create, _) => self.created = true,
            (Act::Claim { .. }, _) => self.claims.push(index),
            (Act::Review { .. }, _) => self.reviews.push(index),
            (Act::Accept { .. }, _) => self.accepts.push(index),
            (Act::Finish, _) => self.finishes.push(index),
            (Act::Cancel, _) => self.cancels.push(index),
            (Act::Submit { .. }, Some(claim)) => self.submits.entry(claim).or_default().push(index),
            (Act::Grant { epoch, .. }, Some(claim)) => {
                let number = (entry.standing.policy.map_or(0, |policy| policy.number), *epoch);
                let highest = self.grants.entry(claim).or_insert(number);
                *highest = number.max(*highest);
            }
            (Act::Release { .. }, Some(of)) => drop(self.released.insert(of)),
            (Act::Expire { .. }, Some(of)) => drop(self.expired.insert(of)),
            (Act::Merged { .. }, Some(accept)) => {
                let log = self.log;
                keep_lowest(&mut self.merged, log, accept, index);
            }
            (Act::Reject { .. }, _) => {
                self.rejects.push(index);
                self.overruled.union(&entry.past);
            }
            (Act::Move { .. } | Act::Delete, _) => {
                let list = if matches!(entry.act, Act::Delete) { &mut self.deletes } else { &mut self.moves };
                list.push(index);
                self.closed.union(&entry.past);
                self.overruled.union(&entry.past);
            }
            (Act::Submit { .. } | Act::Grant { .. } | Act::Release { .. } | Act::Expire { .. } | Act::Merged { .. }, None)
            | (Act::Edit | Act::Heads | Act::Unknown, _) => {}
        }
    }

    /// A Reject of a Submit or Claim rejects that one; of a Move, every submit of the attempt it keeps that the author had seen.
    fn reject(&mut self) {
        let log = self.log;
        for &index in &self.rejects {
            let Some(reject) = log.at(index) else { continue };
            let Some(on) = reject.target else { continue };
            if !log.at(on).is_some_and(|entry| matches!(entry.act, Act::Move { .. })) {
                keep_lowest(&mut self.rejected, log, on, index);
            } else if let Some(claim) = reject.about.and_then(|about| log.claim_of(about)) {
                for &submit in self.submits.get(&claim).into_iter().flatten().filter(|submit| reject.past.contains(**submit)) {
                    keep_lowest(&mut self.rejected, log, submit, index);
                }
            }
        }
    }

    fn lowest(&self, among: impl Iterator<Item = Index>) -> Option<Index> {
        among.min_by_key(|&index| self.log.id(index))
    }

    /// Claim → the last Move that keeps its submitted attempt open.
    ///
    /// In a queue that is claimed from, a Move only names the attempt to go on from: a task that waits cannot be under judgement too.
    fn kept(&self) -> BTreeMap<Index, (Index, Index)> {
        let mut kept: BTreeMap<Index, (Index, Index)> = BTreeMap::new();
        let mut moves: Vec<Index> = self.moves.iter().copied().filter(|&m| !self.overruled.contains(m)).collect();
        moves.sort_by_key(|&index| self.log.id(index));
        for index in moves {
            let Some(entry) = self.log.at(index) else { continue };
            let (Act::Move { queue, .. }, Some(claim)) = (&entry.act, entry.target) else { continue };
            if matches!(queue, Queue::Incoming | Queue::NeedsContinuation) || !self.claims.contains(&claim) {
                continue;
            }
            let submits = self.submits.get(&claim).into_iter().flatten().copied();
            if let Some(submit) = self.lowest(submits.filter(|s| entry.past.contains(*s) && !self.rejected.contains_key(s))) {
                kept.entry(claim).or_insert((index, submit));
            }
        }
        kept
    }

    /// Returns the open attempts and what became of every claim in effect.
    pub fn attempts(&self) -> (Vec<Open>, Vec<Fate>) {
        let kept = self.kept();
        let (mut open, mut fates) = (Vec::new(), Vec::with_capacity(self.claims.len()));
        for &claim in &self.claims {
            let Some(entry) = self.log.at(claim) else { continue };
            let Act::Claim { epoch: asked, .. } = entry.act else { continue };
            let grant = self.grants.get(&claim).copied();
            let epoch = grant.map_or(asked, |(_, number)| number);
            let opened = grant.is_some() || entry.standing.authority().is_none();
            let stands = self.stands(claim, opened, kept.get(&claim).copied());
            let submits = self.submits.get(&claim).map_or(&[][..], Vec::as_slice);
            let (submit, status) = match stands {
                Some((rests_on, submit)) => {
                    let lot = claim_lot(&self.log.task(), epoch, &entry.author);
                    let rank = Rank { grant, submitted: submit.is_some(), epoch, lot, id: std::cmp::Reverse(entry.id) };
                    open.push(Open { rank, claim, submit, rests_on });
                    (submit, Status::Superseded)
                }
                None => (self.lowest(submits.iter().copied()), self.ended(claim, submits)),
            };
            let rejected_by = submits.iter().chain([&claim]).filter_map(|s| self.rejected.get(s)).min_by_key(|r| self.log.id(**r)).copied();
            fates.push(Fate { claim, status, epoch, submit, rejected_by, in_effect: true });
        }
        (open, fates)
    }

    /// What the state would rest on if this attempt won, and its submit; `None` when the attempt is over or not yet open.
    fn stands(&self, claim: Index, opened: bool, kept: Option<(Index, Index)>) -> Option<(Index, Option<Index>)> {
        if let Some((by, submit)) = kept {
            return Some((by, Some(submit)));
        }
        let over = |index: &Index| self.rejected.contains_key(index) || self.closed.contains(*index);
        match self.submits.get(&claim) {
            _ if !opened => None,
            Some(submits) => self.lowest(submits.iter().copied().filter(|s| !over(s))).map(|submit| (submit, Some(submit))),
            None => (!over(&claim) && !self.released.contains(&claim) && !self.expired.contains(&claim)).then_some((claim, None)),
        }
    }

    fn ended(&self, claim: Index, submits: &[Index]) -> Status {
        if !submits.is_empty() {
            let all = submits.iter().all(|submit| self.rejected.contains_key(submit));
            return if all { Status::Rejected } else { Status::MovedAway };
        }
        if self.rejected.contains_key(&claim) {
            Status::Rejected
        } else if self.expired.contains(&claim) {
            Status::Expired
        } else if self.released.contains(&claim) {
            Status::Released
        } else if self.closed.contains(claim) {
            Status::MovedAway
        } else {
            Status::Ungranted
        }
    }
}

fn keep_lowest(map: &mut BTreeMap<Index, Index>, log: &TaskLog, key: Index, value: Index) {
    let lowest = map.entry(key).or_insert(value);
    let id = |index: Index| -> Option<RecordId> { log.id(index) };
    if id(value) < id(*lowest) {
        *lowest = value;
    }
}
