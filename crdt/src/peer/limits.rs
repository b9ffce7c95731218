//! Sizes and counts that frames between members never exceed, checked before anything is allocated for them.
//!
//! **Invariants**: every message that respects the limits of its parts fits [`FRAME`]; these are part of protocol version 1.

/// One frame between members, in bytes.
pub const FRAME: usize = 1024 * 1024;
/// The wire bytes of all records of one frame: what [`FRAME`] leaves beside heads and lengths.
pub const RECORD_BYTES: usize = FRAME - 64 * 1024;
/// Records in one frame.
pub const RECORDS: usize = 1024;
/// Ids in one frame of tips or of unknown tips.
pub const IDS: usize = 8 * 1024;
/// Authors in one frame of tips.
pub const AUTHORS: usize = 8 * 1024;
/// Ids in all frames of one telling of tips; an author with more forks than fit is told in part, which costs repetition alone.
pub const TIPS: usize = 64 * 1024;
/// Tips told of one author.
pub const TIPS_OF_AUTHOR: usize = 1024;
/// Rivals in the answer to one claim: those who started first, then by rank.
pub const RIVALS: usize = 6;
/// Renewals in one frame.
pub const RENEWALS: usize = 512;
/// A member's presence: a text that the node understands.
pub const PRESENCE: usize = 16 * 1024;
/// The reason in a strike or a farewell.
pub const REASON: usize = 512;
/// One frame of the join protocol.
pub const JOIN_FRAME: usize = 1024;
/// A ticket's text.
pub const TICKET_TEXT: usize = 4 * 1024;
/// Addresses in a ticket.
pub const TICKET_ADDRESSES: usize = 16;
/// One address in a ticket.
pub const ADDRESS: usize = 128;
