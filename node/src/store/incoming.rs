//! Records of other nodes on their way in, with what can be found out about them before the writer sees them.
//!
//! Checking a signature and letting a change through the gate are most of the work of a first sync. Both can be done on
//! several threads: a creation has no past, so its verdict is the same wherever it is reached.
//!
//! **Invariants**: what is found out beforehand is what the writer would have found out.

use octopoid_crdt::document::{Actor, Document};
use octopoid_crdt::record::{Body, Verified};

/// A verified record, and the document that it makes if it is a creation that passes the gate.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub(super) record: Verified,
    pub(super) made: Option<Document>,
}

impl Incoming {
    /// Does beforehand what needs nothing of the store. Takes about 0.3 ms for a creation, nothing for any other record.
    #[must_use]
    pub fn prepare(record: Verified) -> Self {
        let payload = record.payload();
        let (Body::TaskCreate { change, .. } | Body::DocCreate { change, .. }) = &payload.body else { return record.into() };
        let mut document = Document::empty();
        let made = document.admit(change, Actor { author: payload.author, session: payload.session }).is_ok();
        Self { made: made.then_some(document), record }
    }

    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> &Verified {
        &self.record
    }
}

impl From<Verified> for Incoming {
    fn from(record: Verified) -> Self {
        Self { record, made: None }
    }
}
