//! The documents of tasks within a unit of work, and what rows show of them.
//!
//! **Invariants**: a document holds the changes of the task's present life alone, so a task that is made anew after its
//! deletion starts empty on every node; what this node wrote itself needs no gate, everything else passes it.

use octopoid_crdt::document::{Actor, Document, Edit, EditError, Fields};
use octopoid_crdt::ids::{Name, RecordId, Subject};
use octopoid_crdt::lifecycle::{Entry, Index, TaskLog};
use octopoid_crdt::record::{Body, Verified};

use super::row::TaskNo;
use super::slot::Prepared;
use super::unit::{Unit, WriteFault};

/// The part of a task's log that builds on its latest creation; what came before a deletion is history.
pub(super) struct Life {
    /// The latest creations after a deletion; none for a task that was never made anew, of which all counts.
    creations: Vec<Index>,
}

impl Life {
    pub fn of(log: &TaskLog) -> Self {
        let again: Vec<(Index, &Entry)> = (0..).zip(log.entries()).filter(|(_, entry)| entry.anew && entry.counts()).collect();
        let latest = |index: &Index| !again.iter().any(|(_, later)| later.past.contains(*index));
        Self { creations: again.iter().map(|(index, _)| *index).filter(latest).collect() }
    }

    pub fn holds(&self, index: Index, entry: &Entry) -> bool {
        self.creations.is_empty() || self.creations.iter().any(|creation| *creation == index || entry.past.contains(*creation))
    }
}

impl Unit<'_> {
    pub(super) fn load_document(&mut self, no: TaskNo) -> Result<Option<&mut Document>, WriteFault> {
        if self.slot(no)?.document.is_none() {
            let stored = self.reader.document(no);
            if let Some(bytes) = self.note(stored)? {
                let loaded = match Document::load_stored(&bytes) {
                    Ok(document) => document,
                    Err(error) => {
                        tracing::error!(task = no, reason = %error, "a stored document is made anew from its records");
                        self.slot(no)?.document_changed = true;
                        self.document_from_records(no)?
                    }
                };
                self.slot(no)?.document = Some(loaded);
            }
        }
        Ok(self.slot(no)?.document.as_mut())
    }

    /// Makes a task's document from its records, oldest first.
    fn document_from_records(&mut self, no: TaskNo) -> Result<Document, WriteFault> {
        let log = self.log(no)?;
        let life = Life::of(&log.log);
        let entries = (0..).zip(log.log.entries()).zip(&log.arrivals);
        let counting = entries.filter(|((index, entry), _)| entry.counts() && life.holds(*index, entry));
        let records: Vec<(RecordId, u64)> = counting.map(|((_, entry), arrival)| (entry.id, *arrival)).collect();
        let mut document = Document::empty();
        for (id, arrival) in records {
            let record = self.record(arrival, &id)?;
            if let Body::TaskCreate { change, .. } | Body::DocChange { change } = &record.payload().body {
                admit(&mut document, &record, change);
            }
        }
        Ok(document)
    }

    /// Lets the document follow a record that counts, the last of the task's log.
    pub(super) fn follow_change(&mut self, no: TaskNo, record: &Verified, change: &[u8]) -> Result<(), WriteFault> {
        let log = &self.log(no)?.log;
        let Some((index, entry)) = log.position(&record.id()).and_then(|index| Some((index, log.at(index)?))) else { return Ok(()) };
        let (anew, present) = (entry.anew, Life::of(log).holds(index, entry));
        if !present {
            return Ok(());
        }
        let prepared = self.slot(no)?.prepared;
        if prepared.is_none() {
            let document = if anew {
                self.document_from_records(no)?
            } else {
                self.load_document(no)?;
                let mut document = self.slot(no)?.document.take().unwrap_or_else(Document::empty);
                admit(&mut document, record, change);
                document
            };
            self.slot(no)?.document = Some(document);
        }
        let slot = self.slot(no)?;
        let fields = slot.document.as_ref().map(Document::fields).unwrap_or_default();
        let blockers = fields.entries("blocked_by").map(str::to_owned).collect();
        let before = std::mem::replace(&mut slot.row.blocked_by, blockers);
        slot.row.fields = fields.scalars;
        slot.document_changed = true;
        if prepared.is_none_or(|prepared| prepared.content) {
            slot.content = Some(fields.content);
            slot.content_changed = true;
        }
        self.link_blockers(no, &before)
    }

    /// Notes which tasks the task waits for, so that it is looked at when one of them ends.
    fn link_blockers(&mut self, no: TaskNo, before: &[String]) -> Result<(), WriteFault> {
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
                self.dependents.insert((blocker, no), present);
            }
        }
        Ok(())
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
            let slot = self.slot(no)?;
            slot.document = Some(document);
            slot.prepared = Some(Prepared { content: true });
        }
        let body = Body::TaskCreate { scope: scope.clone(), id: id.clone(), change, imported };
        self.write(no, body)?;
        self.slot(no)?.prepared = None;
        Ok(no)
    }

    /// Edits a task's document; writes nothing when the edits change nothing.
    ///
    /// # Errors
    /// When the edit breaks a limit of documents; the store's own failure is in the outer error.
    pub fn edit(&mut self, no: TaskNo, edits: &[Edit]) -> Result<Result<(), EditError>, WriteFault> {
        let actor = self.actor();
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

/// Lets a change through the gate; one that does not pass is left out on every node.
fn admit(document: &mut Document, record: &Verified, change: &[u8]) {
    let actor = Actor { author: record.payload().author, session: record.payload().session };
    if let Err(refused) = document.admit(change, actor) {
        tracing::warn!(record = %record.id(), reason = %refused, "a document change is left out");
    }
}
