//! Starts the network.

use std::io;

use libp2p::Multiaddr;

use crate::address::AddressError;
use crate::event::Events;
use crate::key::SecretKey;
use crate::limits::Limits;
use crate::network::Network;

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node's key.
    pub secret: SecretKey,
    /// Where to listen, such as `/ip4/0.0.0.0/tcp/0`. Port 0 takes a free one, which [`Event::Listening`](crate::Event::Listening) shows.
    pub listen: Vec<Multiaddr>,
    /// Whether to announce this node on the local network and look for others there.
    pub mdns: bool,
    /// How many strangers this node puts up with.
    pub limits: Limits,
}

/// States why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address to listen on is of no use.
    #[error("cannot listen on {address}; correct network.listen")]
    Address {
        address: Multiaddr,
        #[source]
        source: AddressError,
    },
    /// Another program listens there.
    #[error("another program uses {address}; stop it or set another port (0 for any) in network.listen")]
    PortTaken { address: Multiaddr },
    /// The system does not let the program listen there.
    #[error("cannot listen on {address}; set an address of this machine and a port over 1023 in network.listen")]
    Listen {
        address: Multiaddr,
        #[source]
        source: io::Error,
    },
    /// The keys cannot be used for connections.
    #[error("cannot prepare encryption")]
    Encryption(#[source] libp2p::noise::Error),
}

/// Starts to listen and to look for members; nobody is one until [`Network::set_members`].
///
/// Must run in a tokio runtime with time and IO.
///
/// # Errors
/// When an address in the settings cannot be listened on.
pub async fn start(settings: Settings) -> Result<(Network, Events), StartError> {
    crate::driver::start(settings)
}
