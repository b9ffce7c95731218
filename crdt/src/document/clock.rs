//! What the gate needs to know of a document's past.

use std::collections::BTreeMap;

use automerge::Automerge;

use super::{Actor, gate::Scanned};

/// The greatest operation number of a document and the last sequence number of each of its actors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    max_op: u64,
    seqs: BTreeMap<Vec<u8>, u64>,
}

impl Clock {
    /// Reads the clock of a document.
    pub(super) fn of(doc: &Automerge) -> Self {
        let mut clock = Self::default();
        for meta in doc.get_changes_meta(&[]) {
            clock.max_op = clock.max_op.max(meta.max_op);
            let last = clock.seqs.entry(meta.actor.to_bytes().to_vec()).or_default();
            *last = meta.seq.max(*last);
        }
        clock
    }

    /// Moves on over one more change.
    pub(super) fn advance(&mut self, change: &Scanned, actor: Actor) {
        self.max_op = self.max_op.max((change.start_op + change.operations).saturating_sub(1));
        self.seqs.insert(actor.bytes().to_vec(), change.seq);
    }

    pub(super) const fn max_op(&self) -> u64 {
        self.max_op
    }

    /// Returns the number of the actor's last change, 0 without one.
    pub(super) fn last_seq(&self, actor: Actor) -> u64 {
        self.seqs.get(actor.bytes().as_slice()).copied().unwrap_or(0)
    }
}
