//! TCP, Noise and Yamux, put together.
//!
//! **Invariants**: no Nagle delay; who the other side is, is known before streams are; a stranger gets few streams, because each of them may
//! hold 256 KiB that nobody reads.

use std::error::Error;
use std::io;
use std::num::NonZeroU8;
use std::sync::Arc;

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::transport::timeout::TransportTimeoutError;
use libp2p::core::upgrade::Version;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm, noise, swarm, tcp};
use libp2p_ping as ping;

use crate::key::{PeerKey, SecretKey};
use crate::limits::{HANDSHAKE_TIME, IDLE_TIME, Limits, PING_INTERVAL, SILENCE};
use crate::muxer::Yamux;
use crate::shared::Shared;
use crate::streams::Streams;

/// How many streams of one connection may be in negotiation at once.
const NEGOTIATING: usize = 16;
/// How many addresses of one peer are tried at once.
const ADDRESSES_AT_ONCE: NonZeroU8 = NonZeroU8::new(4).expect("four is not zero");

/// What runs on every connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub streams: Streams,
    pub ping: ping::Behaviour,
}

/// Makes the swarm, which does not listen yet.
pub(crate) fn swarm(secret: &SecretKey, shared: &Arc<Shared>, limits: Limits) -> Result<Swarm<Behaviour>, noise::Error> {
    let behaviour = Behaviour {
        streams: Streams::new(Arc::clone(shared), limits),
        // Whether a peer is dead is judged by the driver, in time during which this node ran; the ping itself has all the time it wants.
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(SILENCE * 4)),
    };
    let config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIME)
        .with_max_negotiating_inbound_streams(NEGOTIATING)
        .with_dial_concurrency_factor(ADDRESSES_AT_ONCE);
    let own = secret.peer_key().peer_id();
    Ok(Swarm::new(transport(secret, shared)?, behaviour, own, config))
}

fn transport(secret: &SecretKey, shared: &Arc<Shared>) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let noise = noise::Config::new(secret.keypair())?;
    let shared = Arc::clone(shared);
    let multiplex = move |peer: &PeerId, _: &_| Yamux::with(PeerKey::from_peer_id(peer).is_some_and(|peer| shared.is_member(&peer)));
    Ok(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map_err(Unreached)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex_ext(multiplex)
        .timeout(HANDSHAKE_TIME)
        .map_err(|error| match error {
            TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
            TransportTimeoutError::TimerError(error) => error,
            TransportTimeoutError::Other(error) => io::Error::new(kind(&error), error),
        })
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed())
}

/// Keeps the system's error apart from those of the layers above, which hide what they wrap but not its cause.
#[derive(Debug, thiserror::Error)]
#[error("no TCP connection")]
struct Unreached(#[source] io::Error);

/// Finds what the system said in an error of the layers; without such a word, who answers does not speak the protocol.
fn kind(error: &(dyn Error + 'static)) -> io::ErrorKind {
    let mut said = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        said = said.or_else(|| error.downcast_ref::<io::Error>().map(io::Error::kind));
        cause = error.source();
    }
    said.unwrap_or(io::ErrorKind::InvalidData)
}
