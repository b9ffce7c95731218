//! What a node grants to others, in one place. docs/protocol.md, section Transport, repeats every number.

use std::time::Duration;

/// The largest frame between members, in bytes.
pub const FRAME_LIMIT: usize = 1024 * 1024;
/// The largest frame of the join protocol, in bytes.
pub const JOIN_FRAME_LIMIT: usize = 1024;
/// How many frames each side may send on one join stream.
pub const JOIN_STEPS: u8 = 4;
/// The most that an asker may ask for in one exchange, in bytes.
pub const EXCHANGE_LIMIT: u64 = 1 << 32;
/// The largest piece of an exchange's answer, in bytes.
pub const CHUNK_LIMIT: usize = 64 * 1024;
/// How many addresses are kept for one peer.
pub const ADDRESSES_PER_PEER: usize = 16;

/// How many frames wait for one peer; with [`QUEUED_BYTES`] it bounds what a peer that does not read costs.
pub(crate) const QUEUED_FRAMES: usize = 1024;
/// How many bytes wait for one peer.
pub(crate) const QUEUED_BYTES: usize = 4 * FRAME_LIMIT;
/// How many bytes of one peer wait for [`Events::next`](crate::Events::next).
pub(crate) const INBOX_BYTES: usize = 2 * FRAME_LIMIT;
/// How many events of all peers wait for [`Events::next`](crate::Events::next).
pub(crate) const EVENTS_WAITING: usize = 256;
/// How many requests run at once between two members, each way.
pub(crate) const REQUESTS_PER_PEER: usize = 16;
/// How many streams a member may have open: its member stream, requests both ways, pings, and room for those that just end.
pub(crate) const MEMBER_STREAMS: usize = 64;
/// How many bytes of a member wait unread in its streams, in all. Beyond the 16 MiB that its streams have from the start, those that are read
/// fast may widen: enough for 1 Gbit/s over 100 ms.
pub(crate) const MEMBER_WINDOW: usize = 32 * 1024 * 1024;
/// How many streams a guest may have open. Each may hold 256 KiB, and most guests are strangers.
pub(crate) const GUEST_STREAMS: usize = 8;
/// How many bytes of a guest wait unread in its streams: what Yamux grants from the start.
pub(crate) const GUEST_WINDOW: usize = GUEST_STREAMS * 256 * 1024;

/// How long a connection may take from the first packet to an authenticated, multiplexed one.
pub(crate) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a stream may take until both sides agree on its protocol, and a request until it is read.
pub(crate) const OPENING_TIME: Duration = Duration::from_secs(10);
/// How long a connection without a purpose stays.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(2);
/// How long a connection may last that carries no frames of members.
pub(crate) const GUEST_TIME: Duration = Duration::from_secs(20);
/// How long an asker may take to read one piece of an answer.
pub(crate) const CHUNK_TIME: Duration = Duration::from_secs(60);
/// How often a member is asked whether it is there.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long a member may be silent, in time during which this node ran.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How long a node that stops tries to hand over what waits.
pub(crate) const PARTING_TIME: Duration = Duration::from_millis(500);

/// How many strangers a node puts up with. The defaults suit a machine with a few hundred MiB to spare.
///
/// Members are never counted, once they have shown who they are.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that have not shown who they are, in all.
    pub pending: usize,
    /// The same from one IP address.
    pub pending_per_address: usize,
    /// Connections of non-members, in all.
    pub guests: usize,
    /// The same from one IP address.
    pub guests_per_address: usize,
    /// New connections from one IP address: so many at once, and so many each second after that.
    pub connects: Rate,
    /// Join streams from one IP address.
    pub joins: Rate,
    /// Join streams in all.
    pub joins_in_all: Rate,
    /// How long one join stream may last.
    pub join_time: Duration,
}

/// States how often something may happen: `burst` at once, and `per_second` after that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many may come at once after a pause.
    pub burst: u32,
    /// How many may come each second for ever.
    pub per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: 128,
            pending_per_address: 32,
            guests: 48,
            guests_per_address: 16,
            connects: Rate { burst: 64, per_second: 16.0 },
            joins: Rate { burst: 20, per_second: 5.0 },
            joins_in_all: Rate { burst: 60, per_second: 10.0 },
            join_time: Duration::from_secs(15),
        }
    }
}
