//! Documents: what people edit about a task, project or draft, as one small automerge document each.
//!
//! Scalars are entries of a flat root map; the body is a list of lines; a list such as `blocked_by` is one root entry
//! `blocked_by/<entry>` for each of its members, so that two people can add at once, nothing is there twice, and two
//! documents made independently for one task merge.
//!
//! **Invariants**: a [`Document`] holds only changes that were written here or passed the [`gate`], and it can be
//! read, saved, loaded and edited; bytes of other nodes reach automerge through [`Document::admit`] alone. An
//! operation that fails leaves the document as it was.

mod clock;
mod edit;
pub mod gate;
mod history;
mod line_diff;
mod read;
mod steps;
mod value;

use std::fmt;

use automerge::{ActorId, Automerge, Change, LoadOptions};

pub use automerge::ChangeHash;
pub(crate) use clock::Clock;
pub use edit::{Edit, EditError, MAX_CONTENT_BYTES, MAX_EDITS, MAX_ENTRY_BYTES, MAX_LINES, MAX_NAME_BYTES, MAX_TEXT_BYTES};
pub use gate::{GATE_VERSION, GateVerdict, Reason};
pub use history::{History, LeftOut, Standing};
pub use value::{Fields, TASK_FIELDS, TASK_LISTS, Value};

use crate::ids::{AuthorKey, SessionId};
use gate::{Scanned, scan};

/// Who writes a change: an author in one of its sessions. Two sessions never share a sequence of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The author of the record that carries the change.
    pub author: AuthorKey,
    /// The session of that record.
    pub session: SessionId,
}

impl Actor {
    /// The size in bytes.
    pub const LEN: usize = AuthorKey::LEN + SessionId::LEN;

    /// Returns the automerge actor id: author key ‖ session.
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..AuthorKey::LEN].copy_from_slice(self.author.as_bytes());
        bytes[AuthorKey::LEN..].copy_from_slice(self.session.as_bytes());
        bytes
    }
}

/// States why stored bytes are no document. Such a task is shown read-only and rebuilt from its records.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Automerge refused the bytes.
    #[error("the stored document is damaged, rebuild it with 'octopoid doctor --rebuild'")]
    Load(#[source] automerge::AutomergeError),
    /// Automerge panicked on the bytes.
    #[error("the stored document makes automerge fail, rebuild it with 'octopoid doctor --rebuild'")]
    Panic,
}

/// States why a change was not taken into a document, which is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The gate's verdict, the same on every node.
    #[error("the change is quarantined: {0}")]
    Quarantined(Reason),
    /// A change that it builds on is not in this document: unknown yet, or left out.
    #[error("the change builds on {0}, which the document does not hold")]
    Missing(ChangeHash),
    /// The change is good, but its actor has written another one with the same number: see [`History`].
    #[error("the change's actor has written two changes numbered {0}")]
    Fork(u64),
    /// The change is good on its own past, but this document does not work with it. Never a verdict.
    #[error("the document does not work with the change: {0}")]
    InUse(Reason),
}

/// One automerge document with what the gate needs to know of its past.
#[derive(Clone)]
pub struct Document {
    doc: Automerge,
    clock: Clock,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("heads", &self.doc.get_heads()).finish_non_exhaustive()
    }
}

impl Document {
    /// Makes a document and returns it with the one change that makes it elsewhere.
    ///
    /// # Errors
    /// When a field breaks a limit, or all of them together do not fit one change.
    pub fn create(actor: Actor, fields: &Fields) -> Result<(Self, Vec<u8>), EditError> {
        let mut document = Self::empty();
        let mut changes = document.edit(actor, &edit::from_fields(fields))?;
        match (changes.pop(), changes.len()) {
            (Some(change), 0) => Ok((document, change)),
            (_, others) => Err(EditError::TooLarge(others + 1)),
        }
    }

    /// Makes a document without any change, to be filled by [`Self::admit`].
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Automerge::new())
    }

    fn of(doc: Automerge) -> Self {
        Self { clock: Clock::of(&doc), doc }
    }

    /// Loads what [`Self::save`] gave. Only bytes that this node itself saved: bytes of others may exhaust memory here.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn load_stored(bytes: &[u8]) -> Result<Self, StoredError> {
        let load = || Ok(Automerge::load_with_options(bytes, LoadOptions::new()).map(Self::of));
        gate::contained(load).map_err(|_| StoredError::Panic)?.map_err(StoredError::Load)
    }

    /// Returns the bytes to store, uncompressed: deflating costs more time than the bytes are worth.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.doc.save_nocompress()
    }

    /// Writes edits and returns their changes in order, none when nothing changes. Each is at most 256 KiB.
    ///
    /// # Errors
    /// When an edit breaks a limit, or the document cannot be edited any more.
    pub fn edit(&mut self, actor: Actor, edits: &[Edit]) -> Result<Vec<Vec<u8>>, EditError> {
        edit::check(edits)?;
        let write = || {
            let mut doc = self.doc.clone().with_actor(ActorId::from(actor.bytes()));
            Ok(steps::write(&mut doc, edits).map(|changes| (doc, changes)))
        };
        let (doc, changes) = gate::contained(write).map_err(|_| EditError::Unusable)??;
        if changes.is_empty() {
            return Ok(changes);
        }
        let mut clock = self.clock.clone();
        for change in &changes {
            clock.advance(&scan(change, actor).map_err(EditError::ReadOnly)?, actor);
        }
        *self = Self { doc, clock };
        Ok(changes)
    }

    /// Reads everything.
    #[must_use]
    pub fn fields(&self) -> Fields {
        read::fields(&self.doc)
    }

    /// Names the fields that were set concurrently to different values; one of them is shown, the same everywhere.
    #[must_use]
    pub fn conflicts(&self) -> Vec<String> {
        read::conflicts(&self.doc)
    }

    /// Returns the hashes of the changes that no other change builds on, in order.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.doc.get_heads()
    }

    /// Tells whether a change is part of the document.
    #[must_use]
    pub fn holds(&self, change: &ChangeHash) -> bool {
        self.doc.get_change_meta_by_hash(change).is_some()
    }

    /// Lets a change through the gate and applies it; harmless when repeated. `expected` is the actor that the author
    /// and session of its record make. The verdict is reached on the change's own past, whatever else is here.
    ///
    /// # Errors
    /// When the change is refused; the document is unchanged.
    pub fn admit(&mut self, change: &[u8], expected: Actor) -> Result<(), Refused> {
        let scanned = scan(change, expected).map_err(Refused::Quarantined)?;
        if self.holds(&scanned.hash) {
            return Ok(());
        }
        if let Some(missing) = scanned.deps.iter().find(|dep| !self.holds(dep)) {
            return Err(Refused::Missing(*missing));
        }
        // Automerge names an actor's own last change beside the heads, so the deps may be more than these.
        if self.heads().iter().all(|head| scanned.deps.binary_search(head).is_ok()) {
            self.doc = gate::judge(&self.doc, &self.clock, &scanned, change, expected).map_err(Refused::Quarantined)?;
            self.clock.advance(&scanned, expected);
            return Ok(());
        }
        self.at(&scanned.deps).and_then(|past| past.verdict(&scanned, change, expected)).map_err(Refused::Quarantined)?;
        self.join(&scanned, change, expected)
    }

    /// Returns the document as it was at these heads, all of which it holds.
    fn at(&self, heads: &[ChangeHash]) -> Result<Self, Reason> {
        gate::contained(|| self.doc.fork_at(heads).map(Self::of).map_err(|_| Reason::Apply))
    }

    /// Judges a change whose past this document is.
    fn verdict(&self, scanned: &Scanned, change: &[u8], actor: Actor) -> Result<(), Reason> {
        gate::judge(&self.doc, &self.clock, scanned, change, actor).map(|_| ())
    }

    /// Takes in a change that was admitted on its own past.
    fn join(&mut self, scanned: &Scanned, change: &[u8], actor: Actor) -> Result<(), Refused> {
        if self.clock.last_seq(actor) >= scanned.seq {
            return Err(Refused::Fork(scanned.seq));
        }
        let taken = gate::contained(|| gate::usable(&self.doc, Change::try_from(change).map_err(|_| Reason::Encoding)?));
        self.doc = taken.map_err(Refused::InUse)?;
        self.clock.advance(scanned, actor);
        Ok(())
    }
}
