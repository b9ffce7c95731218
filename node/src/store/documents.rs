//! The documents of tasks within a unit of work, and what rows show of them.
//!
//! **Invariants**: a document holds the changes of the task's present life alone, so a task that is made anew after its
//! deletion starts empty on every node; what this node wrote itself needs no gate, everything else passes it.

use std::collections::BTreeSet;

use octopoid_crdt::document::{Actor, Document, Edit, EditError, Fields, GateVerdict, History, Reason, Refused, Standing};
use octopoid_crdt::ids::{Name, RecordId, Subject};
use octopoid_crdt::lifecycle::{Act, Entry, Index, TaskLog};
use octopoid_crdt::record::{Body, Verified};

use super::row::TaskNo;
use super::slot::Prepared;
use super::undo::Step;
use super::unit::{Unit, WriteFault};

/// The part of a task's log that has an effect now: in its present life, and masked by no removal.
///
/// The present life builds on the latest creation; what came before a deletion is history.
pub(crate) struct Life {
    /// The latest creations after a deletion; none for a task that was never made anew, of which all counts.
    creations: Vec<Index>,
    out: BTreeSet<Index>,
}

impl Life {
    pub fn of(log: &TaskLog, out: BTreeSet<Index>) -> Self {
        let effective = |index: Index, entry: &Entry| entry.anew && entry.counts() && !out.contains(&index);
        let again: Vec<(Index, &Entry)> = (0..).zip(log.entries()).filter(|(index, entry)| effective(*index, entry)).collect();
        let latest = |index: &Index| !again.iter().any(|(_, later)| later.past.contains(*index));
        Self { creations: again.iter().map(|(index, _)| *index).filter(latest).collect(), out }
    }

    pub fn holds(&self, index: Index, entry: &Entry) -> bool {
        let present =
            self.creations.is_empty() || self.creations.iter().any(|creation| *creation == index || entry.past.contains(*creation));
        present && !self.out.contains(&index)
    }
}

impl Unit<'_> {
    /// Returns the entries of a task that removals leave out.
    pub(super) fn left_out(&mut self, no: TaskNo) -> Result<BTreeSet<Index>, WriteFault> {
        let masks = self.state.masks.clone();
        if masks.is_empty() { Ok(BTreeSet::new()) } else { Ok(self.log(no)?.log.left_out(&masks)) }
    }

    pub(super) fn life(&mut self, no: TaskNo) -> Result<Life, WriteFault> {
        let out = self.left_out(no)?;
        Ok(Life::of(&self.log(no)?.log, out))
    }

    pub(super) fn load_document(&mut self, no: TaskNo) -> Result<Option<&mut Document>, WriteFault> {
        if self.slot(no)?.document.is_none() {
            let stored = self.reader.document(no);
            if let Some(bytes) = self.note(stored)? {
                let loaded = match Document::load_stored(&bytes) {
                    Ok(document) => document,
                    Err(error) => {
                        tracing::error!(task = no, reason = %error, "a stored document is made anew from its records");
                        self.touch(no);
                        self.slot(no)?.document_changed = true;
                        self.history(no)?.into_document()
                    }
                };
                self.slot(no)?.document = Some(loaded);
            }
        }
        Ok(self.slot(no)?.document.as_mut())
    }

    /// Gathers the changes of a task's document from its records.
    fn history(&mut self, no: TaskNo) -> Result<History, WriteFault> {
        let life = self.life(no)?;
        let log = self.log(no)?;
        let entries = (0..).zip(log.log.entries()).zip(&log.arrivals);
        let changing = |entry: &Entry| matches!(entry.act, Act::Create | Act::Edit) && entry.counts();
        let in_effect = entries.filter(|((index, entry), _)| changing(entry) && life.holds(*index, entry));
        let records: Vec<(RecordId, u64)> = in_effect.map(|((_, entry), arrival)| (entry.id, *arrival)).collect();
        let mut history = History::default();
        for (id, arrival) in records {
            let record = self.record(arrival, &id)?;
            let Some(change) = change_of(&record.payload().body) else { continue };
            let standing = history.insert(change, actor_of(&record)).map(|change| history.standing(&change));
            match standing {
                Err(reason) | Ok(Standing::Judged(GateVerdict::Quarantined(reason))) => self.leave_out(&id, reason),
                Ok(Standing::Judged(GateVerdict::Admitted) | Standing::Waiting) => {}
            }
        }
        Ok(history)
    }

    /// Notes that the gate keeps a change out of its document.
    fn leave_out(&mut self, record: &RecordId, reason: Reason) {
        tracing::warn!(record = %record, %reason, "a document change is left out");
        if self.records.last().is_some_and(|latest| latest.record.id() == *record) {
            self.quarantined = Some(reason);
        }
    }

    /// Makes a task's document anew from its records.
    pub(super) fn document_anew(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let history = self.history(no)?;
        let broken = history.is_read_only().then(|| "the document does not work with all of its changes".to_owned());
        let knotted = !history.is_whole();
        let slot = self.slot(no)?;
        (slot.row.broken, slot.row.knotted) = (broken, knotted);
        // Whatever changed the set of changes may have changed the creation.
        slot.creation_stale = true;
        slot.document = Some(history.into_document());
        self.show_document(no, true)
    }

    /// Lets the document follow a record that counts, the last of the task's log.
    pub(super) fn follow_change(&mut self, no: TaskNo, record: &Verified, change: &[u8]) -> Result<(), WriteFault> {
        let life = self.life(no)?;
        let log = &self.log(no)?.log;
        let Some((index, entry)) = log.position(&record.id()).and_then(|index| Some((index, log.at(index)?))) else { return Ok(()) };
        let (anew, present) = (entry.anew, life.holds(index, entry));
        if !present {
            return Ok(());
        }
        let slot = self.slot(no)?;
        let (prepared, knotted) = (slot.prepared, slot.row.knotted);
        if knotted || (anew && prepared.is_none()) {
            return self.document_anew(no);
        }
        if prepared.is_none() {
            self.load_document(no)?;
            let mut document = self.slot(no)?.document.take().unwrap_or_else(Document::empty);
            let admitted = match self.made.take().filter(|_| document.heads().is_empty()) {
                Some(made) => {
                    document = made;
                    Ok(())
                }
                None => document.admit(change, actor_of(record)),
            };
            self.slot(no)?.document = Some(document);
            match admitted {
                Ok(()) => {}
                Err(Refused::Quarantined(reason)) => self.leave_out(&record.id(), reason),
                // What is shown depends on more than what the document holds.
                Err(Refused::Missing(_) | Refused::Fork(_) | Refused::InUse(_)) => return self.document_anew(no),
            }
        }
        self.show_document(no, prepared.is_none_or(|prepared| prepared.content))
    }

    /// Shows in the row what the document says now.
    fn show_document(&mut self, no: TaskNo, content: bool) -> Result<(), WriteFault> {
        let slot = self.slot(no)?;
        let fields = slot.document.as_ref().map(Document::fields).unwrap_or_default();
        let waits = slot.row.collection.is_none();
        let blockers = fields.entries("blocked_by").filter(|_| waits).map(str::to_owned).collect();
        let before = std::mem::replace(&mut slot.row.blocked_by, blockers);
        slot.row.fields = fields.scalars;
        slot.document_changed = true;
        if content {
            slot.content = Some(fields.content);
            slot.content_changed = true;
        }
        self.link_blockers(no, &before)
    }

    /// Notes which tasks the task waits for, so that it is looked at when one of them ends.
    pub(super) fn link_blockers(&mut self, no: TaskNo, before: &[String]) -> Result<(), WriteFault> {
        let slot = self.slot(no)?;
        let (scope, after) = (slot.row.scope.clone(), slot.row.blocked_by.clone());
        if before == after {
            return Ok(());
        }
        slot.blockers_stale = true;
        let subject = |id: &String| Some(Subject::task(&scope.parse().ok()?, &id.parse().ok()?));
        let gone = before.iter().filter(|id| !after.contains(id)).map(|id| (subject(id), false));
        let come = after.iter().filter(|id| !before.contains(id)).map(|id| (subject(id), true));
        for (blocker, present) in gone.chain(come) {
            if let Some(blocker) = blocker {
                let before = self.dependents.insert((blocker, no), present);
                self.undoable(|| Step::Dependent((blocker, no), before));
            }
        }
        self.cut_circles(no, before)
    }

    /// Creates a task from its document and the change that makes it elsewhere.
    ///
    /// # Errors
    /// When the store fails.
    pub fn create(
        &mut self,
        (scope, id): (&Name, &Name),
        document: Document,
        change: Vec<u8>,
        imported: Option<String>,
    ) -> Result<TaskNo, WriteFault> {
        let no = self.of_subject(Subject::task(scope, id))?;
        // Over a task that is there, the new change has to meet the document that the records make.
        if self.log(no)?.log.is_empty() || self.state(no)?.deleted {
            self.touch(no);
            let slot = self.slot(no)?;
            slot.document = Some(document);
            slot.prepared = Some(Prepared { content: true });
        }
        let body = Body::TaskCreate { scope: scope.clone(), id: id.clone(), change, imported };
        self.write(no, body)?;
        self.slot(no)?.prepared = None;
        Ok(no)
    }

    /// Makes a document of another collection than tasks.
    ///
    /// # Errors
    /// When the store fails.
    pub fn create_document(
        &mut self,
        (collection, scope, id): (&str, &Name, &str),
        document: Document,
        change: Vec<u8>,
    ) -> Result<TaskNo, WriteFault> {
        let no = self.of_subject(Subject::entry(collection, scope, id))?;
        if self.log(no)?.log.is_empty() || self.state(no)?.deleted {
            self.touch(no);
            let slot = self.slot(no)?;
            slot.document = Some(document);
            slot.prepared = Some(Prepared { content: true });
        }
        let body = Body::DocCreate { collection: collection.to_owned(), scope: scope.clone(), id: id.to_owned(), change };
        self.write(no, body)?;
        self.slot(no)?.prepared = None;
        Ok(no)
    }

    /// Finds a document of another collection than tasks, a deleted one included.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find_document(&mut self, collection: &str, scope: &str, id: &str) -> Result<Option<TaskNo>, WriteFault> {
        if let Some(no) = self.document_ids.get(&(collection.to_owned(), scope.to_owned(), id.to_owned())) {
            return Ok(Some(*no));
        }
        let found = self.reader.document_no(collection, scope, id);
        self.note(found)
    }

    /// Edits a task's document; writes nothing when the edits change nothing.
    ///
    /// # Errors
    /// When the edit breaks a limit of documents; the store's own failure is in the outer error.
    pub fn edit(&mut self, no: TaskNo, edits: &[Edit]) -> Result<Result<(), EditError>, WriteFault> {
        let actor = self.actor();
        self.slot(no)?;
        self.touch(no);
        let Some(document) = self.load_document(no)? else { return Ok(Err(EditError::Unusable)) };
        let changes = match document.edit(actor, edits) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Err(refused)),
        };
        let content = edits.iter().any(|edit| matches!(edit, Edit::Content(_)));
        self.slot(no)?.prepared = Some(Prepared { content });
        for change in changes {
            self.write(no, Body::DocChange { change })?;
        }
        self.slot(no)?.prepared = None;
        Ok(Ok(()))
    }

    /// Returns a document's fields.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fields(&mut self, no: TaskNo) -> Result<Fields, WriteFault> {
        Ok(self.load_document(no)?.map(|document| document.fields()).unwrap_or_default())
    }

    /// Returns a document's fields as they would be with only the changes that `holds` takes; these must have each other's pasts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fields_of(&mut self, no: TaskNo, holds: impl Fn(Index) -> bool) -> Result<Fields, WriteFault> {
        let life = self.life(no)?;
        let log = self.log(no)?;
        let changes = |entry: &Entry| entry.counts() && matches!(entry.act, Act::Create | Act::Edit);
        let entries = (0..).zip(log.log.entries()).zip(&log.arrivals);
        let held = entries.filter(|((index, entry), _)| holds(*index) && changes(entry) && life.holds(*index, entry));
        let records: Vec<(RecordId, u64)> = held.map(|((_, entry), arrival)| (entry.id, *arrival)).collect();
        let mut document = Document::empty();
        for (id, arrival) in records {
            let record = self.record(arrival, &id)?;
            if let Some(change) = change_of(&record.payload().body) {
                // What the gate keeps out of the whole it keeps out here.
                let _ = document.admit(change, actor_of(&record));
            }
        }
        Ok(document.fields())
    }

    /// Returns a document's fields as an edit's author saw them, and as that edit left them; none for what is no edit that counts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fields_around(&mut self, no: TaskNo, edit: &RecordId) -> Result<Option<(Fields, Fields)>, WriteFault> {
        let log = self.log(no)?;
        let Some(past) = log.log.position(edit).and_then(|index| log.log.at(index)).map(|entry| entry.past.clone()) else {
            return Ok(None);
        };
        let changes = |entry: &Entry| entry.counts() && matches!(entry.act, Act::Create | Act::Edit);
        let entries = (0u32..).zip(log.log.entries()).zip(&log.arrivals);
        let seen = entries.filter(|((index, entry), _)| changes(entry) && (past.contains(*index) || entry.id == *edit));
        let records: Vec<(RecordId, u64)> = seen.map(|((_, entry), arrival)| (entry.id, *arrival)).collect();
        let (mut document, mut base) = (Document::empty(), None);
        for (id, arrival) in records {
            let record = self.record(arrival, &id)?;
            let Some(change) = change_of(&record.payload().body) else { continue };
            if id == *edit {
                base = Some(document.fields());
            }
            // What the gate keeps out had no effect there either.
            let admitted = document.admit(change, actor_of(&record)).is_ok();
            if id == *edit && !admitted {
                return Ok(None);
            }
        }
        Ok(base.map(|base| (base, document.fields())))
    }

    /// Returns a task's body.
    ///
    /// # Errors
    /// When the store fails.
    pub fn content(&mut self, no: TaskNo) -> Result<Option<String>, WriteFault> {
        if self.slot(no)?.content.is_none() {
            let content = self.reader.content(no);
            let content = self.note(content)?;
            self.slot(no)?.content = Some(content);
        }
        Ok(self.slot(no)?.content.clone().flatten())
    }
}

fn actor_of(record: &Verified) -> Actor {
    Actor { author: record.payload().author, session: record.payload().session }
}

fn change_of(body: &Body) -> Option<&[u8]> {
    let (Body::TaskCreate { change, .. } | Body::DocCreate { change, .. } | Body::DocChange { change }) = body else { return None };
    Some(change)
}
