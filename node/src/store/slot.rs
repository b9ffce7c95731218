//! One task within a unit of work: what is loaded of it, and what has changed.

use octopoid_crdt::document::Document;
use octopoid_crdt::ids::{RecordId, Subject};

use super::read::StoredLog;
use super::row::{TaskNo, TaskRow};

/// An edit that this node made itself: the slot's document holds it before its records are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prepared {
    /// It touches the body.
    pub content: bool,
}

/// A task that an operation looks at or changes.
#[derive(Clone)]
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
    pub prepared: Option<Prepared>,
    pub content: Option<Option<String>>,
    /// Open claims and reviews that do not hold the task, with their leases' lengths in seconds.
    pub outranked: Vec<(RecordId, u32)>,
    /// A record came: the row must be derived anew.
    pub stale: bool,
    /// The blockers or one of them changed: they must be looked at anew.
    pub blockers_stale: bool,
    /// Which creation the task goes back to may have changed: what it brought must be read anew.
    pub creation_stale: bool,
    /// Those who wait for this new task were told of it.
    pub announced: bool,
    /// The row differs from the committed one, or may.
    pub changed: bool,
    pub document_changed: bool,
    pub content_changed: bool,
}

impl Slot {
    pub fn fresh(no: TaskNo, subject: Subject) -> Self {
        Self {
            row: TaskRow { subject: subject.0, queue: "incoming".to_owned(), blocks: true, ..TaskRow::default() },
            committed: None,
            log: Some(StoredLog::new(subject)),
            content: Some(None),
            changed: true,
            ..Self::load(no, TaskRow { subject: subject.0, ..TaskRow::default() })
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
            outranked: Vec::new(),
            stale: false,
            blockers_stale: false,
            creation_stale: false,
            announced: false,
            changed: false,
            document_changed: false,
            content_changed: false,
        }
    }

    /// Tells whether it differs from what is on disk, or must be looked at.
    pub fn is_touched(&self) -> bool {
        self.changed || self.stale || self.blockers_stale
    }
}
