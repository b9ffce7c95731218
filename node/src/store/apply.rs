//! Applies verified records to a unit of work: numbers them, judges them, and lets their views follow.
//!
//! **Invariants**: a record is applied once, after `prev` and all `deps`; its verdict is reached here and never again.

use std::collections::HashMap;

use octopoid_crdt::chain::{Applied, ApplyError, Place};
use octopoid_crdt::ids::{RecordId, Subject};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Verified};

use super::row::TaskNo;
use super::unit::{NewRecord, Unit, WriteFault};
use super::{Fault, Stored};

impl Unit<'_> {
    /// Takes in a verified record of any author; one that is held already changes nothing.
    ///
    /// # Errors
    /// When its past is not held, or its place in its author's chain cannot be; the store's own failure is in the outer error.
    pub fn receive(&mut self, record: Verified) -> Result<Result<(), ApplyError>, WriteFault> {
        if self.knows(&record.id())? {
            return Ok(Ok(()));
        }
        self.apply(record, None)
    }

    /// Applies a record that is not held yet. `prev` is the place of the record that it continues, where the caller knows it.
    pub(super) fn apply(&mut self, record: Verified, prev: Option<Place>) -> Result<Result<(), ApplyError>, WriteFault> {
        if let Err(error) = self.chain(&record, prev)? {
            return Ok(Err(error));
        }
        let arrival = self.state.next_arrival;
        self.state.next_arrival += 1;
        let at = self.records.len();
        self.by_id.insert(record.id(), at);
        self.records.push(NewRecord { arrival, record: record.clone(), task: None });
        self.records[at].task = self.follow(arrival, &record)?;
        Ok(Ok(()))
    }

    /// Adds a record to its author's chain.
    fn chain(&mut self, record: &Verified, prev: Option<Place>) -> Result<Result<(), ApplyError>, WriteFault> {
        let payload = record.payload();
        let mut places: HashMap<RecordId, Option<Place>> = HashMap::new();
        if let (Some(id), Some(place)) = (payload.prev, prev) {
            places.insert(id, Some(place));
        }
        for id in payload.prev.iter().chain(&payload.deps) {
            if !places.contains_key(id) {
                places.insert(*id, self.place_of(id, &payload.subject)?);
            }
        }
        Ok(match self.state.chains.apply(record, |id| places.get(id).copied().flatten()) {
            Ok(Applied::Added { fork: Some(fork) }) => {
                tracing::warn!(author = %fork.author, record = %fork.by, "two records continue the same one: a store was restored from a backup");
                Ok(())
            }
            Ok(Applied::Added { fork: None } | Applied::Known) => Ok(()),
            Err(error) => Err(error),
        })
    }

    /// Returns the place in its author's chain of a record that is applied; the log of the subject's task tells most.
    fn place_of(&mut self, id: &RecordId, subject: &Subject) -> Result<Option<Place>, WriteFault> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(Some(Place::of(self.records[*at].record.payload())));
        }
        let slot = self.subjects.get(subject).and_then(|no| self.slots.get(no));
        if let Some(log) = slot.and_then(|slot| slot.log.as_ref())
            && let Some(entry) = log.log.position(id).and_then(|index| log.log.at(index))
        {
            return Ok(Some(Place { author: entry.author, session: entry.standing.session, seq: entry.standing.seq }));
        }
        let arrival = self.reader.arrival(id);
        let Some(arrival) = self.note(arrival)? else { return Ok(None) };
        Ok(Some(Place::of(self.record(arrival, id)?.payload())))
    }

    /// Tells whether a record is applied.
    pub(super) fn knows(&mut self, id: &RecordId) -> Result<bool, WriteFault> {
        if self.by_id.contains_key(id) {
            return Ok(true);
        }
        let known = self.reader.arrival(id);
        Ok(self.note(known)?.is_some())
    }

    /// Lets the views follow a record; returns the task that it speaks of.
    fn follow(&mut self, arrival: u64, record: &Verified) -> Result<Option<TaskNo>, WriteFault> {
        let payload = record.payload();
        match &payload.body {
            Body::Put { collection, scope, key, value } => {
                let at = (collection.clone(), scope.to_string(), key.clone());
                let item = value.clone().map(|json| Stored { json, record: record.id().0, wall_ms: payload.wall_ms });
                self.items.insert(at, item);
                Ok(None)
            }
            Body::Append { collection, scope, key, value } => {
                let at = (collection.clone(), scope.to_string(), format!("{key}/{arrival:020}"));
                let item = Stored { json: value.clone(), record: record.id().0, wall_ms: payload.wall_ms };
                self.items.insert(at, Some(item));
                Ok(None)
            }
            Body::Genesis { .. }
            | Body::ClusterName { .. }
            | Body::Join { .. }
            | Body::Remove { .. }
            | Body::Policy { .. }
            | Body::DocCreate { .. }
            | Body::DocDelete { .. } => Ok(None),
            // These may be about something else than a task; about a task they are links of its log, understood or not.
            Body::DocChange { .. } | Body::Heads | Body::Unknown { .. } => match self.find_subject(&payload.subject)? {
                Some(_) => self.follow_task(arrival, record).map(Some),
                None => Ok(None),
            },
            Body::TaskCreate { .. }
            | Body::Claim { .. }
            | Body::Review { .. }
            | Body::Grant { .. }
            | Body::Release { .. }
            | Body::Expire { .. }
            | Body::Submit { .. }
            | Body::Accept { .. }
            | Body::Reject { .. }
            | Body::Merged { .. }
            | Body::Finish { .. }
            | Body::Move { .. }
            | Body::Cancel { .. }
            | Body::Delete { .. } => self.follow_task(arrival, record).map(Some),
        }
    }

    fn follow_task(&mut self, arrival: u64, record: &Verified) -> Result<TaskNo, WriteFault> {
        let payload = record.payload();
        let no = self.of_subject(payload.subject)?;
        self.load_log(no)?;
        let standing = self.standing(&payload.author, payload.session, payload.seq);
        let removals = self.state.settings.removals.clone();
        let slot = self.slot(no)?;
        let log = slot.log.as_mut().ok_or(WriteFault)?;
        let Some(act) = Act::of(&payload.body) else { return Ok(no) };
        let past = log.log.past_of(&payload.deps);
        let entry = log.log.judge(record.id(), payload.author, past, act, standing, &removals);
        let counts = entry.counts();
        log.log.push(entry);
        log.arrivals.push(arrival);
        log.walls.push(payload.wall_ms);
        slot.stale = true;
        slot.changed = true;
        slot.row.updated_ms = slot.row.updated_ms.max(payload.wall_ms);
        if let Body::TaskCreate { scope, id, .. } = &payload.body {
            (slot.row.scope, slot.row.id) = (scope.to_string(), id.to_string());
            self.task_ids.insert((id.to_string(), scope.to_string()), no);
        }
        if let (true, Body::TaskCreate { change, .. } | Body::DocChange { change }) = (counts, &payload.body) {
            self.follow_change(no, record, change)?;
        }
        Ok(no)
    }

    /// Returns the tasks that name a task as a blocker.
    pub(super) fn dependents_of(&mut self, subject: &Subject) -> Result<Vec<TaskNo>, WriteFault> {
        let stored = self.stored_dependents(subject);
        let mut found = self.note(stored)?;
        for ((_, no), present) in self.dependents.range((*subject, 0)..=(*subject, TaskNo::MAX)) {
            found.retain(|known| known != no);
            if *present {
                found.push(*no);
            }
        }
        Ok(found)
    }

    fn stored_dependents(&self, subject: &Subject) -> Result<Vec<TaskNo>, Fault> {
        let table = self.reader.txn().open_multimap_table(super::tables::DEPENDENTS)?;
        let mut found = Vec::new();
        for no in table.get(subject.as_bytes())? {
            found.push(no?.value());
        }
        Ok(found)
    }
}
