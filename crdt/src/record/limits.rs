//! Sizes that a record never exceeds, checked before anything is allocated for the field.
//!
//! **Invariants**: these are part of wire version 1. Raising one makes records that older nodes refuse, so it needs
//! a new kind; the sum of the largest fields of any kind stays below [`RECORD`].

/// A whole record, signature included.
pub const RECORD: usize = 384 * 1024;
/// One automerge change.
pub const CHANGE: usize = 256 * 1024;
/// Reasons and notes.
pub const TEXT: usize = 16 * 1024;
/// Names of agents, orchestrators and people, and ids of documents.
pub const LABEL: usize = 128;
/// A custom queue's or any other [`crate::ids::Name`].
pub const NAME: usize = 128;
/// The name of a collection.
pub const COLLECTION: usize = 32;
/// The key of an entry in a plain collection.
pub const KEY: usize = 512;
/// The JSON text of such an entry.
pub const VALUE: usize = 256 * 1024;
/// The JSON text of what a task brought from another system.
pub const IMPORTED: usize = 96 * 1024;
/// Records that one record may build on; with more heads a `Heads` record joins them first.
pub const DEPS: usize = 64;
/// Sessions that a removal's or forced policy's frontier may name.
pub const FRONTIER: usize = 8192;
/// The longest lease, in seconds.
pub const TTL_SECONDS: u32 = 3600;
