//! One task within a unit of work: what is loaded of it, and what has changed.

use octopoid_crdt::document::Document;
use octopoid_crdt::ids::Subject;

use octopoid_crdt::lifecycle::TaskLog;

use super::read::StoredLog;
use super::row::{TaskNo, TaskRow};

/// A task that an operation looks at or changes.
pub(super) struct Slot {
    pub no: TaskNo,
    pub subject: Subject,
    /// The row as the last commit left it; none for a task that is new in this unit.
    pub committed: Option<TaskRow>,
    /// The row with this unit's changes, once it is derived anew.
    pub row: TaskRow,
    pub log: Option<StoredLog>,
    /// How many entries of the log are on disk.
    pub stored: u32,
    pub document: Option<Document>,
    /// The document as this node's own edit left it, which needs no gate.
    pub prepared: Option<Document>,
    pub content: Option<Option<String>>,
    /// A record came: the row must be derived anew.
    pub stale: bool,
    /// A blocker changed: only the blockers must be looked at anew.
    pub blockers_stale: bool,
    /// The row differs from the committed one, or may.
    pub changed: bool,
    pub document_changed: bool,
}

impl Slot {
    pub fn fresh(no: TaskNo, subject: Subject) -> Self {
        Self {
            no,
            subject,
            committed: None,
            row: TaskRow { subject: subject.0, queue: "incoming".to_owned(), blocks: true, ..TaskRow::default() },
            log: Some(StoredLog { log: TaskLog::new(subject), arrivals: Vec::new() }),
            stored: 0,
            document: None,
            prepared: None,
            content: Some(None),
            stale: false,
            blockers_stale: false,
            changed: true,
            document_changed: false,
        }
    }

    pub fn load(no: TaskNo, row: TaskRow) -> Self {
        Self {
            no,
            subject: Subject(row.subject),
            committed: Some(row.clone()),
            row,
            log: None,
            stored: 0,
            document: None,
            prepared: None,
            content: None,
            stale: false,
            blockers_stale: false,
            changed: false,
            document_changed: false,
        }
    }
}
