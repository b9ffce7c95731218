//! What a change from another node must pass before it touches a document.
//!
//! A valid signature says who wrote a change, not that automerge survives it. So the gate looks at the bytes first,
//! and then tries the change on a copy of the document, cheapest checks first (`docs/adr/0002-document-gate.md`).
//!
//! **Invariants**: a verdict depends on the change, the actor that its record's author and session make, and the
//! changes that its own automerge deps reach, so that it is the same on every node; nothing panics and no allocation
//! exceeds a small multiple of the document and the change. A new rule is a new [`GATE_VERSION`].

mod columns;
mod scan;
mod trial;

use std::fmt;

pub(crate) use scan::{Scanned, scan};
pub use trial::in_trial;
pub(super) use trial::{contained, judge, proven, usable};

/// The version of the rules; stored beside verdicts.
pub const GATE_VERSION: u16 = 1;
/// The most bytes that a change may have.
pub const MAX_CHANGE_BYTES: usize = 256 * 1024;
/// The most rows that a column of a change may have.
pub const MAX_ROWS: u64 = 16_384;
/// The most actors that a change may name, its own included.
pub const MAX_ACTORS: u64 = 256;
/// The most changes that a change may build on directly.
pub const MAX_DEPS: u64 = 256;
/// The most bytes that a change's keys may have once runs of equal keys are written out.
pub const MAX_EXPANDED_KEYS: u64 = 1024 * 1024;

/// What the gate says about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateVerdict {
    /// The change counts.
    Admitted,
    /// The change's record stays and is relayed, but the document leaves the change out.
    Quarantined(Reason),
}

/// How far a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The bytes alone, and their numbers against those of the change's past.
    Scan,
    /// The trial on a copy of the document.
    Trial,
    /// The changes that it builds on.
    Past,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $stage:ident, $code:literal, $text:literal;)*) => {
        /// Why a change is left out of its document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, for tables of verdicts.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word under which verdicts are stored and compared.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns where the change was stopped.
            #[must_use]
            pub const fn stage(self) -> Stage {
                match self { $(Self::$name => Stage::$stage,)* }
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

reasons! {
    /// More than [`MAX_CHANGE_BYTES`].
    Size, Scan, "size", "the change exceeds 256 KiB";
    /// Wrong magic, length or checksum.
    Header, Scan, "header", "the chunk's header or checksum is wrong";
    /// A document, bundle or compressed change.
    ChunkType, Scan, "chunk_type", "the chunk is no plain change";
    /// A compressed column.
    Deflate, Scan, "deflate", "a column is compressed";
    /// Bytes that end early, or a number in a form that is never written.
    Malformed, Scan, "malformed", "the chunk is malformed";
    /// Unknown, empty, repeated or misplaced columns, or columns of different lengths.
    Columns, Scan, "columns", "the columns are not those of a change";
    /// More than [`MAX_ROWS`].
    Rows, Scan, "rows", "a column claims more than 16,384 rows";
    /// More than [`MAX_EXPANDED_KEYS`].
    Expansion, Scan, "expansion", "the keys expand to more than 1 MiB";
    /// More than [`MAX_ACTORS`], or one that is none.
    Actors, Scan, "actors", "the actors are not at most 256 well-formed ones";
    /// More than [`MAX_DEPS`], or not in order.
    Deps, Scan, "deps", "the deps are not at most 256 in order";
    /// A time or message, which no change of ours carries; extreme times panic only when two of them meet.
    Metadata, Scan, "metadata", "the change carries a time or a message";
    /// An operation other than setting, deleting and making lists and maps, or a counter.
    Operation, Scan, "operation", "an operation is not one of those that documents are made of";
    /// Not written by the record's author in the record's session.
    Actor, Scan, "actor", "the actor is not the record's author and session";
    /// The first operation's number is not the next one after the past.
    StartOp, Scan, "start_op", "the first operation's number does not follow the past";
    /// The sequence number is not the author's next one after the past.
    Seq, Scan, "seq", "the sequence number does not follow the past";
    /// Automerge cannot decode it.
    Encoding, Trial, "encoding", "automerge cannot decode the change";
    /// Automerge did not take it.
    Apply, Trial, "apply", "automerge refuses the change";
    /// The document with it does not load, or encoding the change again gives another hash.
    Load, Trial, "load", "the document with the change does not load again";
    /// The document with it cannot be edited.
    Write, Trial, "write", "the document with the change cannot be edited";
    /// Automerge panicked on it.
    Panic, Trial, "panic", "automerge panics on the change";
    /// Builds on two changes that one actor wrote with one number.
    Fork, Past, "fork", "the change builds on both sides of a fork of one actor";
    /// Builds on a quarantined change.
    Poisoned, Past, "poisoned", "the change builds on a quarantined one";
}

impl Reason {
    /// Reads a stored verdict's word.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}
