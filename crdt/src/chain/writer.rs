//! Where a node's own next record goes.
//!
//! **Invariants**: a session is drawn when its first record is written, never reused after a restart, and its first
//! record continues the author's last; so a node that was restored from a backup forks, and never uses one
//! (session, seq) twice.

use super::Chains;
use crate::{
    ids::{AuthorKey, RecordId, SessionId},
    record::Verified,
};

/// The place for one record, to be put into its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The session.
    pub session: SessionId,
    /// The place in the session.
    pub seq: u64,
    /// The author's record before it.
    pub prev: Option<RecordId>,
}

/// States why a record cannot be the writer's last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriterError {
    /// It does not stand in the slot that the writer gave.
    #[error("the record is not the one that follows the author's last")]
    Slot,
}

/// Gives out the places of one run of a node. Cheap to clone: a batch works on a clone and keeps it once committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    author: AuthorKey,
    session: Option<SessionId>,
    seq: u64,
    prev: Option<RecordId>,
}

impl Writer {
    /// Starts after what is held of the author's records; with several tips after the one of the lowest id.
    ///
    /// Before a session's first record a node asks connected members for its own tips, so that a restored store does
    /// not fork when others can still tell it what it wrote.
    #[must_use]
    pub fn new(author: AuthorKey, held: &Chains) -> Self {
        let prev = held.author(&author).and_then(|chain| chain.tips().next().copied());
        Self { author, session: None, seq: 0, prev }
    }

    /// Tells whether this run has written nothing yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.session.is_none()
    }

    /// Returns the place of the next record; `draw` makes 16 random bytes and is called for a session's first only.
    ///
    /// The place is given again until [`Writer::wrote`] takes it.
    pub fn slot(&self, draw: impl FnOnce() -> SessionId) -> Slot {
        Slot { session: self.session.unwrap_or_else(draw), seq: self.seq, prev: self.prev }
    }

    /// Takes note that a record was written into the slot.
    ///
    /// # Errors
    /// When the record stands elsewhere; the writer is unchanged then.
    pub fn wrote(&mut self, record: &Verified) -> Result<(), WriterError> {
        let payload = record.payload();
        let fits = payload.author == self.author
            && self.session.is_none_or(|session| session == payload.session)
            && (payload.seq, payload.prev) == (self.seq, self.prev);
        if !fits {
            return Err(WriterError::Slot);
        }
        let Some(next) = self.seq.checked_add(1) else { return Err(WriterError::Slot) };
        *self = Self { author: self.author, session: Some(payload.session), seq: next, prev: Some(record.id()) };
        Ok(())
    }
}
