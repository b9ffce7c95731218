//! Applies verified records to a unit of work: numbers them, judges them, and lets their views follow.
//!
//! **Invariants**: a record is applied once, after `prev` and all `deps`; its verdict is reached here and never again.

use std::collections::HashMap;

use octopoid_crdt::chain::{Applied, Place};
use octopoid_crdt::document::{Actor, Document};
use octopoid_crdt::ids::{RecordId, Subject};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Verified};

use super::row::TaskNo;
use super::unit::{NewRecord, Unit, WriteFault};
use super::{Fault, Stored};

impl Unit<'_> {
    /// Applies a record whose past is known; a record that is known already changes nothing.
    pub(super) fn apply(&mut self, record: Verified) -> Result<(), WriteFault> {
        if self.knows(&record.id())? {
            return Ok(());
        }
        self.chain(&record)?;
        let arrival = self.state.next_arrival;
        self.state.next_arrival += 1;
        let task = self.follow(arrival, &record)?;
        self.by_id.insert(record.id(), self.records.len());
        self.records.push(NewRecord { arrival, record, task });
        Ok(())
    }

    /// Adds a record to its author's chain.
    fn chain(&mut self, record: &Verified) -> Result<(), WriteFault> {
        let payload = record.payload();
        let mut places = HashMap::new();
        for id in payload.prev.iter().chain(&payload.deps) {
            places.insert(*id, self.place_of(id)?);
        }
        let applied = self.state.chains.apply(record, |id| places.get(id).copied().flatten());
        let applied = applied.map_err(|error| Fault::Chain(error.to_string()));
        if let Applied::Added { fork: Some(fork) } = self.note(applied)? {
            tracing::warn!(author = %fork.author, record = %fork.by, "two records continue the same one: a store was restored from a backup");
        }
        Ok(())
    }

    /// Returns the place in its author's chain of a record that is applied.
    fn place_of(&mut self, id: &RecordId) -> Result<Option<Place>, WriteFault> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(Some(Place::of(self.records[*at].record.payload())));
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
            | Body::DocDelete { .. }
            | Body::Unknown { .. } => Ok(None),
            Body::Heads if payload.subject == Subject::CLUSTER => Ok(None),
            Body::TaskCreate { .. }
            | Body::DocChange { .. }
            | Body::Heads
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
        let anew = entry.anew;
        log.log.push(entry);
        log.arrivals.push(arrival);
        slot.stale = true;
        slot.changed = true;
        slot.row.updated_ms = slot.row.updated_ms.max(payload.wall_ms);
        match &payload.body {
            Body::TaskCreate { scope, id, change, .. } => {
                (slot.row.scope, slot.row.id) = (scope.to_string(), id.to_string());
                self.task_ids.insert((id.to_string(), scope.to_string()), no);
                if anew {
                    // What a deleted task said is no part of the one that is made anew under its id.
                    self.slot(no)?.document = Some(Document::empty());
                }
                self.follow_change(no, record, change)?;
            }
            Body::DocChange { change } => self.follow_change(no, record, change)?,
            _ => {}
        }
        Ok(no)
    }

    /// Lets the document follow a change that passes the gate; one that does not is left out on every node.
    fn follow_change(&mut self, no: TaskNo, record: &Verified, change: &[u8]) -> Result<(), WriteFault> {
        let actor = Actor { author: record.payload().author, session: record.payload().session };
        self.load_document(no)?;
        let slot = self.slot(no)?;
        let known = slot.document.take();
        let document = match slot.prepared.clone() {
            Some(prepared) => prepared,
            None => {
                let mut document = known.unwrap_or_else(Document::empty);
                if let Err(refused) = document.admit(change, actor) {
                    tracing::warn!(record = %record.id(), reason = %refused, "a document change is left out");
                }
                document
            }
        };
        let fields = document.fields();
        let slot = self.slot(no)?;
        slot.row.blocked_by = fields.entries("blocked_by").map(str::to_owned).collect();
        slot.row.fields = fields.scalars;
        slot.content = Some(fields.content);
        slot.document = Some(document);
        slot.document_changed = true;
        self.link_blockers(no)
    }

    /// Notes which tasks the task waits for, so that it is looked at when one of them ends.
    fn link_blockers(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let slot = self.slot(no)?;
        let scope = slot.row.scope.clone();
        let after = slot.row.blocked_by.clone();
        let before = slot.committed.as_ref().map(|row| row.blocked_by.clone()).unwrap_or_default();
        let subject = |id: &String| Some(Subject::task(&scope.parse().ok()?, &id.parse().ok()?));
        let gone = before.iter().filter(|id| !after.contains(id));
        let changes: Vec<_> = gone.map(|id| (subject(id), false)).chain(after.iter().map(|id| (subject(id), true))).collect();
        for (blocker, present) in changes {
            if let Some(blocker) = blocker {
                self.dependents.insert((blocker, no), present);
            }
        }
        Ok(())
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
