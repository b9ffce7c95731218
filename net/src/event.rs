//! What the network tells its owner.
//!
//! **Invariants**: what one peer does is told in the order in which it happened, beginning with [`Event::Connected`] and ending with
//! [`Event::Disconnected`]; once [`Network::set_members`](crate::Network::set_members) has returned, no frame and no request of one that it
//! removed comes any more.

use std::sync::Arc;

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::exchange::Responder;
use crate::join::JoinStream;
use crate::key::PeerKey;
use crate::lane::Lane;

/// Tells one thing that happened.
#[derive(Debug)]
pub enum Event {
    /// This node can be reached at an address. With a port of 0 in the settings this shows the port to keep.
    Listening { address: Multiaddr },
    /// An address is gone, with its interface or its socket.
    NotListening { address: Multiaddr },
    /// Frames to a member are taken from now on. Nothing that was sent before is known to have arrived: begin anew.
    Connected { peer: PeerKey, address: Multiaddr },
    /// Frames to a member are not taken any more; those that it has not acknowledged may be lost.
    Disconnected { peer: PeerKey, reason: Ended },
    /// A member sent a frame.
    Frame { peer: PeerKey, bytes: Bytes },
    /// A member asks for something.
    Request { peer: PeerKey, bytes: Bytes, responder: Responder },
    /// Somebody speaks the join protocol; who, tells [`JoinStream::peer`].
    Join { stream: JoinStream },
    /// mDNS shows a node at an address. Anybody can claim anything there: use it for [`Network::dial_join`](crate::Network::dial_join).
    Discovered { peer: PeerKey, address: Multiaddr },
    /// mDNS shows a node at an address no more.
    Gone { peer: PeerKey, address: Multiaddr },
    /// Another node than the expected answers at an address: correct the address, or find out who sits there.
    Misdialed { peer: PeerKey, address: Multiaddr, found: Option<PeerKey> },
    /// A member broke the protocol of the transport.
    Struck { peer: PeerKey, offence: Offence },
}

/// States why a member is not connected any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The peer ended it, or its process did.
    #[error("the peer closed the connection")]
    ByPeer,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// Nothing was heard for five seconds.
    #[error("the peer does not answer")]
    Silent,
    /// Another connection to the same peer took over.
    #[error("a newer connection replaced this one")]
    Replaced,
    /// The peer is no member any more.
    #[error("the peer was removed")]
    Removed,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Offence(Offence),
    /// The owner closed the connection; the peer is dialed again after a pause.
    #[error("this node closed the connection")]
    Parted,
    /// This node stops.
    #[error("this node stops")]
    Stopped,
}

/// States how a member broke the protocol of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// A frame is longer than is allowed.
    #[error("a frame of {bytes} bytes; at most 1048576 are allowed")]
    FrameTooLarge { bytes: usize },
    /// A request's frame is longer than is allowed.
    #[error("a request of {bytes} bytes; at most 1048576 are allowed")]
    RequestTooLarge { bytes: usize },
    /// The peer opened a stream for frames where it may not.
    #[error("a stream for frames that this node has not opened and did not expect")]
    UnexpectedStream,
}

/// An event on its way to the owner, with the room that it takes until then.
#[derive(Debug)]
pub(crate) struct Delivery {
    event: Event,
    lane: Option<Arc<Lane>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Delivery {
    /// Wraps what needs no room of a peer.
    pub(crate) fn plain(event: Event) -> Self {
        Self { event, lane: None, _room: None }
    }

    /// Wraps what a member sent: it surfaces only while the sender is a member.
    pub(crate) fn of_member(event: Event, lane: &Arc<Lane>, room: OwnedSemaphorePermit) -> Self {
        Self { event, lane: Some(Arc::clone(lane)), _room: Some(room) }
    }
}

/// Gives the events out, one by one. What is not taken holds the peers up and costs a bounded amount of memory.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Delivery>);

impl Events {
    /// Returns the next event, and `None` when the network has stopped. No event is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let delivery = self.0.recv().await?;
            if delivery.lane.as_ref().is_none_or(|lane| !lane.is_revoked()) {
                return Some(delivery.event);
            }
        }
    }
}
