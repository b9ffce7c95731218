//! Records and the views of them in one redb file.
//!
//! **Invariants**: a record, its verdict and every view that follows from it are written in one transaction; nothing is
//! answered before that transaction is durable; a start replays nothing.

mod apply;
mod check;
mod circles;
mod commit;
pub mod conflicts;
mod documents;
mod file;
mod hold;
pub mod imported;
mod incoming;
pub mod index;
mod items;
mod leases;
mod list;
mod load;
mod members;
mod merges;
mod open;
pub mod posts;
mod put_off;
mod read;
mod rebuild;
mod row;
mod slot;
mod state;
mod sync;
pub mod tables;
mod undo;
mod unit;
mod view;
mod writer;

use minicbor::{CborLen, Decode, Encode};
use octopoid_crdt::ids::RecordId;

pub use apply::{ReceiveError, Received};
pub use check::Findings;
pub(crate) use documents::Life;
pub use hold::HeldBack;
pub use incoming::Incoming;
pub use leases::{Leases, now};
pub use list::{Filter, Page, Sort};
pub use open::{Identity, OpenError, Settings, Store};
pub use read::{ForkPoint, Reader, StoredLog};
pub use rebuild::{RebuildError, Rebuilt};
pub use row::{Holder, TaskNo, TaskRow};
pub use unit::{Unit, WriteFault};
pub use view::{retry_wait_ms, waits_to_retry};
pub use writer::{Unavailable, Writer};

/// Returns this machine's time in milliseconds since 1970, for display.
#[must_use]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// States what went wrong inside the store; none of these is the caller's doing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] redb::Error),
    /// A row of the view does not decode.
    #[error("row {no} of the view is damaged; run `octopoid doctor --rebuild`")]
    Row {
        no: TaskNo,
        #[source]
        source: minicbor::decode::Error,
    },
    /// An entry of a task's log does not decode.
    #[error("an entry of task {no} is damaged; run `octopoid doctor --rebuild`")]
    Entry { no: TaskNo },
    /// A stored record does not decode.
    #[error("record {arrival} is damaged; restore the store from a backup")]
    Record {
        arrival: u64,
        #[source]
        source: octopoid_crdt::record::RecordError,
    },
    /// A record that a view names is not there.
    #[error("record {0} is missing; restore the store from a backup")]
    Missing(String),
    /// A record does not fit its author's chain.
    #[error("a record does not fit its author's chain: {0}")]
    Chain(String),
    /// A defect while a commit was written: memory and disk may disagree until the store is opened again.
    #[error("a commit ended unexpectedly: {0}")]
    Defect(String),
    /// The founding record could not be made.
    #[error("the founding record could not be signed")]
    Sign(#[source] octopoid_crdt::record::SignError),
    /// The tables of the membership do not fit together.
    #[error("the stored membership is damaged; run `octopoid doctor --rebuild`")]
    Membership(#[from] octopoid_crdt::membership::MembershipError),
}

macro_rules! database_faults {
    ($($source:ident),*) => {$(
        impl From<redb::$source> for Fault {
            fn from(source: redb::$source) -> Self {
                Self::Database(source.into())
            }
        }
    )*};
}
database_faults!(StorageError, TableError, TransactionError, CommitError, DatabaseError);

/// An entry of a plain collection: JSON text and the record that set it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct Stored {
    /// The entry as JSON text.
    #[n(0)]
    pub json: String,
    /// The record that set it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub record: [u8; 32],
    /// When its author says it was written, in milliseconds since 1970.
    #[n(2)]
    pub wall_ms: u64,
}

/// What a commit changed, for those who wait for news.
#[derive(Debug, Clone)]
pub struct Event {
    /// The arrival number of the record.
    pub arrival: u64,
    /// The record.
    pub record: RecordId,
    /// Whether this node wrote it.
    pub own: bool,
    /// Its kind's name, such as `claim`.
    pub kind: &'static str,
    /// The task that it speaks of.
    pub task: Option<TaskNo>,
    /// The task's tenant and id, where it is known.
    pub scope: String,
    /// The task's id.
    pub id: String,
    /// The queue after the commit.
    pub queue: String,
}
