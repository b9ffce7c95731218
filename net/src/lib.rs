//! Carries opaque frames between authenticated members. Knows no task.
//!
//! [`start`] gives a [`Network`] to ask and [`Events`] to read. The owner says who is a member and where members may be; the network keeps
//! one connection to each, re-dials, and carries frames, requests and joins as docs/protocol.md, section Transport, describes.
//!
//! **Invariants**: a node's id in the network follows from its key alone; nothing of one that is no member surfaces but join frames;
//! everything that waits is bounded.

mod address;
mod choose;
mod command;
mod discovery;
mod driver;
mod event;
mod exchange;
mod frame;
mod gate;
#[cfg(test)]
mod hostile;
mod join;
mod key;
mod lane;
mod limits;
mod muxer;
mod network;
mod session;
mod shared;
mod start;
mod streams;
mod transport;

pub use address::{AddressError, bootstrap, reachable};
pub use event::{Ended, Event, Events, Offence};
pub use exchange::{Exchange, ExchangeError, RespondError, Responder};
pub use join::{JoinError, JoinStream};
pub use key::{PeerIdError, PeerKey, SecretKey};
pub use libp2p::Multiaddr;
pub use limits::{ADDRESSES_PER_PEER, CHUNK_LIMIT, EXCHANGE_LIMIT, FRAME_LIMIT, JOIN_FRAME_LIMIT, JOIN_STEPS, Limits, Rate};
pub use network::{DialError, Network, PeerStatus, RequestError, SendError};
pub use start::{Settings, StartError, start};

use libp2p::identity::{PublicKey, ed25519};

/// States that a key is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no Ed25519 public key")]
pub struct KeyError;

/// Returns the id in the network of the node that has a public key, such as `12D3KooW…`.
///
/// # Errors
/// When the bytes are no point of the curve.
pub fn peer_id(public_key: &[u8; 32]) -> Result<String, KeyError> {
    let key = ed25519::PublicKey::try_from_bytes(public_key).map_err(|_| KeyError)?;
    Ok(PublicKey::from(key).to_peer_id().to_string())
}
