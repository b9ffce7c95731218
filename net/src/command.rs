//! What the handles ask of the driver.

use std::io;

use libp2p::{Multiaddr, Stream};
use tokio::sync::oneshot;

use crate::join::JoinStream;
use crate::key::PeerKey;
use crate::network::DialError;

/// States why a stream was not opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The other side does not speak the protocol with this node.
    Refused,
    /// The connection broke or was too slow.
    Broken(io::Error),
}

/// Takes the stream that was asked for.
pub(crate) type StreamReply = oneshot::Sender<Result<Stream, OpenError>>;

/// See the module.
pub(crate) enum Command {
    /// Opens a stream for a request on the connection in use.
    Request { peer: PeerKey, reply: StreamReply },
    /// Dials somebody for the join protocol.
    Join { address: Multiaddr, peer: Option<PeerKey>, reply: oneshot::Sender<Result<JoinStream, DialError>> },
    /// Ends everything.
    Stop,
}
