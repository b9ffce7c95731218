//! Membership within a unit of work: what a record's past says of its author, and what a change of it changes.
//!
//! **Invariants**: a record's standing follows from its own past; this node writes only while it is a member, and what
//! it writes has seen every cluster record that it holds; a removal is in effect in the commit that takes it in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use octopoid_crdt::chain::Place;
use octopoid_crdt::ids::{AuthorKey, RecordId, SessionId, Subject};
use octopoid_crdt::lifecycle::{Reach, Removal, Removals, Standing};
use octopoid_crdt::membership::{MembershipError, Seen, View};
use octopoid_crdt::record::{Access, Body, Payload, Verified, limits};

use super::Fault;
use super::apply::Goes;
use super::read::Reader;
use super::row::TaskNo;
use super::unit::{Unit, WriteFault};

/// A cluster record that counts and that this unit adds.
pub(super) struct Counted {
    pub number: usize,
    pub arrival: u64,
    pub past: Seen,
}

impl Unit<'_> {
    /// Returns who belongs to the cluster, with this unit's changes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn membership(&mut self) -> Result<Arc<View>, WriteFault> {
        let view = self.state.membership.current();
        self.note_membership(view)
    }

    fn note_membership<T>(&mut self, result: Result<T, MembershipError>) -> Result<T, WriteFault> {
        self.note(result.map_err(Fault::from))
    }

    /// Returns what a record's past says of its author.
    pub(super) fn standing(&mut self, place: &Place, past: Seen) -> Result<Standing, WriteFault> {
        let standing = self.state.membership.standing(place, past);
        self.note_membership(standing)
    }

    /// Returns what is masked in a record's past.
    pub(super) fn masks_in(&mut self, past: Seen) -> Result<Arc<Removals>, WriteFault> {
        let masks = self.state.membership.masks(past);
        self.note_membership(masks)
    }

    /// Returns what a record that is applied has seen of the cluster.
    pub(super) fn seen_of(&mut self, id: &RecordId) -> Result<Seen, WriteFault> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(self.records[*at].seen);
        }
        match self.state.last_own {
            Some((last, seen)) if last == *id => Ok(seen),
            Some(_) | None => {
                let found = self.reader.seen(id).and_then(|seen| seen.ok_or_else(|| Fault::Missing(id.to_string())));
                self.note(found)
            }
        }
    }

    /// Returns what a record's `prev` and `deps`, all of which are applied, have seen.
    pub(super) fn past_seen(&mut self, payload: &Payload) -> Result<Seen, WriteFault> {
        let all = self.state.membership.all();
        let mut found: Vec<Seen> = Vec::new();
        for id in payload.prev.iter().chain(&payload.deps) {
            let seen = self.seen_of(id)?;
            // Nothing can add to that, which is so while nothing about the cluster changes.
            if seen == all {
                return Ok(all);
            }
            if !found.contains(&seen) {
                found.push(seen);
            }
        }
        let past = self.state.membership.past(found);
        self.note_membership(past)
    }

    /// Lets membership follow a record; returns what the records that build on it have seen through it.
    pub(super) fn follow_cluster(&mut self, arrival: u64, record: &Verified, past: Seen) -> Result<Seen, WriteFault> {
        let number = self.state.membership.counted();
        let applied = self.state.membership.apply(record, past);
        let applied = self.note_membership(applied)?;
        match applied.counted {
            Some(Ok(())) => {
                self.counted.push(Counted { number, arrival, past });
                let masks = self.state.membership.masks(self.state.membership.all());
                let masks = self.note_membership(masks)?;
                let before = std::mem::replace(&mut self.state.masks, masks.clone());
                if before != masks {
                    self.mask_anew(&before, &masks)?;
                }
            }
            Some(Err(why)) => {
                tracing::warn!(record = %record.id(), author = %record.payload().author, %why, "a cluster record does not count")
            }
            None => {}
        }
        Ok(applied.seen)
    }

    /// Refuses to write what could not count: this node must be a member for what it says.
    pub(super) fn check_own_standing(&mut self, body: &Body) -> Result<(), WriteFault> {
        let me = self.me();
        let access = self.membership()?.access(&me);
        let needs = if body.is_cluster_record() { Access::Reader } else { Access::Worker };
        match access {
            Some(access) if access >= needs => Ok(()),
            Some(_) => Err(WriteFault::NotAMember("this node may only read: ask an admin for worker access")),
            None if self.state.chains.author(&me).is_some() => Err(WriteFault::NotAMember(
                "this node was removed from the cluster: `octopoid init --join TICKET` lets it in again, with what `octopoid invite` prints on an admin's machine",
            )),
            None => Err(WriteFault::NotAMember("this node is no member of the cluster yet: wait until its admission has arrived")),
        }
    }

    /// Signs a record about the cluster and applies it. The caller has checked that it will count.
    ///
    /// # Errors
    /// When the store fails, or this node is no member.
    pub fn write_cluster(&mut self, body: Body) -> Result<RecordId, WriteFault> {
        self.sign(Subject::CLUSTER, Vec::new(), body)
    }

    /// Returns this node's latest record; none before it has written any.
    #[must_use]
    pub fn last_own(&self) -> Option<RecordId> {
        self.state.place.slot(|| self.state.session).prev
    }

    /// Extends a frontier of this node's own chain by its next record and those that it may need to write before it.
    pub fn include_next(&self, frontier: &mut Vec<(SessionId, u64)>) {
        let slot = self.state.place.slot(|| self.state.session);
        let joins = u64::try_from(self.state.membership.counted() / limits::DEPS).unwrap_or(u64::MAX);
        frontier.retain(|(session, _)| *session != slot.session);
        frontier.push((slot.session, slot.seq.saturating_add(joins)));
        frontier.sort_unstable();
    }

    /// Returns the records that the next own one must name besides `deps`, so that it has seen every cluster record held.
    pub(super) fn unseen_heads(&mut self, prev: Option<RecordId>, deps: &[RecordId]) -> Result<Vec<RecordId>, WriteFault> {
        let all = self.state.membership.all();
        let mut seen = BTreeSet::new();
        for id in prev.iter().chain(deps) {
            let known = self.seen_of(id)?;
            if known == all && prev.is_some() {
                return Ok(Vec::new());
            }
            seen.insert(known);
        }
        let mut heads = self.state.membership.heads();
        heads.retain(|head| !deps.contains(head) && !seen.iter().any(|seen| self.state.membership.has_seen(*seen, head)));
        if prev.is_none() {
            // A member's first record names what let it in.
            let me = self.me();
            let by = self.membership()?.members().find(|(key, _)| **key == me).map(|(_, member)| member.by);
            heads.extend(by.filter(|by| !heads.contains(by) && !deps.contains(by)));
        }
        heads.sort_unstable();
        Ok(heads)
    }

    /// Writes records that say nothing but that this node has seen these, until so few are left that the next can name them.
    pub(super) fn join_heads(&mut self, mut heads: Vec<RecordId>, room: usize) -> Result<Vec<RecordId>, WriteFault> {
        while heads.len() > room {
            let rest = heads.split_off(heads.len().min(limits::DEPS));
            self.sign_as_is(Subject::CLUSTER, heads, Body::Heads)?;
            heads = rest;
        }
        Ok(heads)
    }

    /// Derives anew what removals mask now and did not, or the other way round.
    fn mask_anew(&mut self, before: &Removals, after: &Removals) -> Result<(), WriteFault> {
        let gone = before.iter().filter(|mask| !after.iter().any(|other| other == *mask));
        let come = after.iter().filter(|mask| !before.iter().any(|other| other == *mask));
        let changed: Vec<&Removal> = gone.chain(come).map(|(_, removal)| removal).collect();
        let authors: BTreeSet<AuthorKey> = changed.iter().map(|removal| removal.author).collect();
        let (mut tasks, mut items) = (BTreeSet::new(), BTreeSet::new());
        for author in authors {
            let masks: Vec<&Removal> = changed.iter().copied().filter(|removal| removal.author == author).collect();
            for record in self.above(&author, &masks)? {
                let subject = record.payload().subject;
                match Goes::of(&record) {
                    Goes::Nowhere => {}
                    Goes::Items => drop(items.insert(subject)),
                    Goes::Log => tasks.extend(self.find_subject(&subject)?),
                }
            }
        }
        tracing::info!(tasks = tasks.len(), entries = items.len(), "what removed members wrote is looked at again");
        tasks.into_iter().try_for_each(|no| self.look_again(no))?;
        items.into_iter().try_for_each(|subject| self.derive_items(subject))
    }

    fn look_again(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        self.slot(no)?;
        self.touch(no);
        let slot = self.slot(no)?;
        (slot.stale, slot.changed) = (true, true);
        self.document_anew(no)
    }

    /// Walks an author's chain back and returns what lies above one of the frontiers.
    fn above(&mut self, author: &AuthorKey, masks: &[&Removal]) -> Result<Vec<Verified>, WriteFault> {
        let masked = |payload: &Payload| {
            let concerned = |mask: &Removal| match mask.reach {
                Reach::Everything => true,
                Reach::Grants => matches!(payload.body, Body::Grant { .. }),
            };
            masks.iter().any(|mask| concerned(mask) && mask.lies_above(&payload.session, payload.seq))
        };
        let mut found = Vec::new();
        self.walk_back(author, |record| {
            if masked(record.payload()) {
                found.push(record.clone());
            }
        })?;
        Ok(found)
    }

    /// Shows every record of an author, each after those that continue it.
    fn walk_back(&mut self, author: &AuthorKey, mut show: impl FnMut(&Verified)) -> Result<(), WriteFault> {
        let mut pending: Vec<RecordId> = self.state.chains.author(author).map(|chain| chain.tips().copied().collect()).unwrap_or_default();
        let mut visited = BTreeSet::new();
        let forked = pending.len() > 1;
        while let Some(id) = pending.pop() {
            if forked && !visited.insert(id) {
                continue;
            }
            let record = self.by_record_id(&id)?;
            pending.extend(record.payload().prev);
            show(&record);
        }
        Ok(())
    }

    /// Returns how far this node knows a member's chain: per session the last number, the latest sessions first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn frontier_of(&mut self, author: &AuthorKey) -> Result<Vec<(SessionId, u64)>, WriteFault> {
        let mut last: BTreeMap<SessionId, u64> = BTreeMap::new();
        self.walk_back(author, |record| {
            let payload = record.payload();
            let room = last.len() < limits::FRONTIER;
            match last.get_mut(&payload.session) {
                Some(seq) => *seq = payload.seq.max(*seq),
                None if room => drop(last.insert(payload.session, payload.seq)),
                None => {}
            }
        })?;
        Ok(last.into_iter().collect())
    }
}

impl Reader {
    /// Returns the tasks that a removed member's records above the frontier speak of, as far as they are held: those that the removal may
    /// have changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn masked_by(&self, member: &AuthorKey, frontier: &[(SessionId, u64)]) -> Result<BTreeSet<TaskNo>, Fault> {
        let removal = Removal { author: *member, frontier: frontier.to_vec(), reach: Reach::Everything };
        let chains = self.chains()?;
        let mut pending: Vec<RecordId> = chains.author(member).map(|chain| chain.tips().copied().collect()).unwrap_or_default();
        let (mut visited, mut tasks) = (BTreeSet::new(), BTreeSet::new());
        while let Some(id) = pending.pop() {
            let missing = || Fault::Missing(id.to_string());
            let record = self.arrival(&id)?.map_or(Ok(None), |arrival| self.record(arrival))?.ok_or_else(missing)?;
            let payload = record.payload();
            // What comes before a record that stays in effect stays, too.
            if !visited.insert(id) || !removal.lies_above(&payload.session, payload.seq) {
                continue;
            }
            tasks.extend(self.by_subject(&payload.subject)?);
            pending.extend(payload.prev);
        }
        Ok(tasks)
    }
}
