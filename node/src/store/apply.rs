//! Applies verified records to a unit of work: numbers them, judges them, and lets their views follow.
//!
//! **Invariants**: a record is applied once, after `prev` and all `deps`; its verdict is reached here and never again.

use std::collections::{BTreeSet, HashMap};

use octopoid_crdt::chain::{Applied, ApplyError, Place, Writer};
use octopoid_crdt::document::Reason;
use octopoid_crdt::ids::{RecordId, Subject};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::membership::Seen;
use octopoid_crdt::record::{Body, Verified};

use super::Fault;
use super::incoming::Incoming;
use super::row::TaskNo;
use super::undo::Step;
use super::unit::{NewRecord, Unit, WriteFault};

/// What taking a record in did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is applied now.
    New,
    /// It is applied now; the gate keeps its change out of the document, on every node alike.
    LeftOut(Reason),
    /// It was held already.
    Known,
}

/// States why a record of another node is not taken in. Nothing of it stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// It was signed for another cluster.
    #[error("the record is of another cluster")]
    Cluster,
    /// Its past is not held, or its place in its author's chain cannot be.
    #[error(transparent)]
    Chain(#[from] ApplyError),
}

/// Which views follow a record, besides the membership.
pub(super) enum Goes {
    /// It is about the cluster.
    Nowhere,
    /// To the entry of a plain collection.
    Items,
    /// To the log of a task or another document.
    Log,
}

impl Goes {
    pub fn of(record: &Verified) -> Self {
        let payload = record.payload();
        match &payload.body {
            Body::Put { .. } | Body::Append { .. } => Self::Items,
            Body::Genesis { .. } | Body::ClusterName { .. } | Body::Join { .. } | Body::Remove { .. } | Body::Policy { .. } => {
                Self::Nowhere
            }
            // Understood or not, and whatever came first, they are links of the log of what they speak of.
            Body::DocChange { .. }
            | Body::Heads
            | Body::Unknown { .. }
            | Body::DocCreate { .. }
            | Body::DocDelete { .. }
            | Body::TaskCreate { .. }
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
            | Body::Delete { .. } => {
                if payload.subject == Subject::CLUSTER {
                    Self::Nowhere
                } else {
                    Self::Log
                }
            }
        }
    }
}

impl Unit<'_> {
    /// Takes in a verified record of any author; one that is held already changes nothing. [`Incoming::prepare`] does part
    /// of the work beforehand, on any thread.
    ///
    /// # Errors
    /// When its past is not held, or its place in its author's chain cannot be; the store's own failure is in the outer error.
    pub fn receive(&mut self, incoming: impl Into<Incoming>) -> Result<Result<Received, ReceiveError>, WriteFault> {
        let Incoming { record, made } = incoming.into();
        if record.cluster() != self.state.cluster {
            return Ok(Err(ReceiveError::Cluster));
        }
        if self.knows(&record.id())? {
            return Ok(Ok(Received::Known));
        }
        let own = record.payload().author == self.me();
        self.made = made;
        self.quarantined = None;
        let applied = self.apply(record, None);
        self.made = None;
        if let Err(error) = applied? {
            return Ok(Err(error.into()));
        }
        // What this node had written before its store was lost: it goes on after it, unless its key and session are in use twice.
        let me = self.me();
        let twice = self.state.chains.author(&me).is_some_and(|chain| chain.ends_in(&self.state.session));
        if own && self.state.place.is_fresh() && !twice {
            self.state.place = Writer::new(me, &self.state.chains);
        }
        Ok(Ok(self.quarantined.take().map_or(Received::New, Received::LeftOut)))
    }

    /// Applies a record that is not held yet. `prev` is the place of the record that it continues, where the caller knows it.
    pub(super) fn apply(&mut self, record: Verified, prev: Option<Place>) -> Result<Result<(), ApplyError>, WriteFault> {
        self.begin_record();
        if let Err(error) = self.chain(&record, prev)? {
            return Ok(Err(error));
        }
        let past = self.past_seen(record.payload())?;
        let arrival = self.state.next_arrival;
        self.state.next_arrival += 1;
        let at = self.records.len();
        let id = record.id();
        self.by_id.insert(id, at);
        self.records.push(NewRecord { arrival, record: record.clone(), task: None, seen: past });
        let seen = self.follow_cluster(arrival, &record, past)?;
        self.records[at].seen = seen;
        if record.payload().author == self.me() {
            self.state.last_own = Some((id, seen));
        }
        self.records[at].task = self.follow(arrival, &record, past)?;
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
                tracing::warn!(author = %fork.author, record = %fork.by, "two records of one author continue the same one: its store was restored from a backup, or it lies");
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
    fn follow(&mut self, arrival: u64, record: &Verified, past: Seen) -> Result<Option<TaskNo>, WriteFault> {
        match Goes::of(record) {
            Goes::Nowhere => Ok(None),
            Goes::Items => self.follow_item(arrival, record, past).map(|()| None),
            Goes::Log => {
                let no = self.follow_log(arrival, record, past)?;
                Ok(self.slot(no)?.row.collection.is_none().then_some(no))
            }
        }
    }

    /// Appends a record to the log of the task or other document that it speaks of.
    fn follow_log(&mut self, arrival: u64, record: &Verified, past: Seen) -> Result<TaskNo, WriteFault> {
        let payload = record.payload();
        let no = self.of_subject(payload.subject)?;
        self.load_log(no)?;
        self.touch(no);
        let standing = self.standing(&Place::of(payload), past)?;
        let masks = self.masks_in(past)?;
        // Who has seen every removal is masked by none, and saves nothing from one.
        let mask_matters = !self.state.masks.all_held_by(&standing.removals);
        let out_before = if mask_matters { self.left_out(no)? } else { BTreeSet::new() };
        let slot = self.slot(no)?;
        let log = slot.log.as_mut().ok_or(WriteFault::Store)?;
        let Some(act) = act_of(&payload.body) else { return Ok(no) };
        let past = log.log.past_of(&payload.deps);
        let entry = log.log.judge(record.id(), payload.author, past, act, standing, &masks);
        let counts = entry.counts();
        log.log.push(entry);
        log.arrivals.push(arrival);
        log.walls.push(payload.wall_ms);
        slot.stale = true;
        slot.changed = true;
        slot.row.updated_ms = slot.row.updated_ms.max(payload.wall_ms);
        self.learn_name(no, &payload.body)?;
        if mask_matters {
            let mut out = self.left_out(no)?;
            let index = self.log(no)?.log.position(&record.id());
            let masked = index.is_some_and(|index| out.remove(&index));
            if out != out_before {
                return self.document_anew(no).map(|()| no);
            }
            if masked {
                return Ok(no);
            }
        }
        if let (true, Body::TaskCreate { change, .. } | Body::DocCreate { change, .. } | Body::DocChange { change }) =
            (counts, &payload.body)
        {
            self.follow_change(no, record, change)?;
        }
        Ok(no)
    }

    /// Notes how a task or other document is found, once a record tells.
    fn learn_name(&mut self, no: TaskNo, body: &Body) -> Result<(), WriteFault> {
        if let Body::TaskCreate { scope, id, .. } = body {
            let at = (id.to_string(), scope.to_string());
            let before = self.task_ids.insert(at.clone(), no);
            self.undoable(|| Step::TaskId(at, before));
            let slot = self.slot(no)?;
            slot.creation_stale = true;
            let row = &mut slot.row;
            let named = !row.scope.is_empty();
            (row.scope, row.id) = (scope.to_string(), id.to_string());
            if !named {
                // Blockers are tasks of the same scope, which was not known before.
                self.link_blockers(no, &[])?;
            }
        }
        if let Body::DocCreate { collection, scope, id, .. } = body {
            let at = (collection.clone(), scope.to_string(), id.clone());
            let before = self.document_ids.insert(at.clone(), no);
            self.undoable(|| Step::DocumentId(at, before));
            let row = &mut self.slot(no)?.row;
            (row.scope, row.id, row.collection) = (scope.to_string(), id.clone(), Some(collection.clone()));
            // Tasks alone wait for others.
            row.blocked_by.clear();
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

/// Returns what a record does in the log of its subject: other documents are made, edited and deleted as tasks are.
fn act_of(body: &Body) -> Option<Act> {
    if matches!(body, Body::DocCreate { .. }) {
        Some(Act::Create)
    } else if matches!(body, Body::DocDelete { .. }) {
        Some(Act::Delete)
    } else {
        Act::of(body)
    }
}
