//! Where the node listens.

use std::io;
use std::net::{SocketAddr, TcpListener};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm, TransportError};

use crate::address;
use crate::start::StartError;
use crate::transport::Behaviour;

/// Listens on every address, or on none.
pub(super) fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<(), StartError> {
    let mut bare = Vec::new();
    for address in addresses {
        let shown = || address.clone();
        let (address, _) = address::split(address).map_err(|source| StartError::Address { address: shown(), source })?;
        probe(&address).map_err(|source| failure(shown(), source))?;
        bare.push(address);
    }
    for address in bare {
        swarm.listen_on(address.clone()).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(_) => failure(address, io::ErrorKind::Unsupported.into()),
            TransportError::Other(source) => failure(address, source),
        })?;
    }
    Ok(())
}

/// Finds out whether a port is free. libp2p shares the port with any program that shares it as well, such as a second node by mistake.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let port = address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None });
    match (address::ip(address), port) {
        (Some(ip), Some(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}

fn failure(address: Multiaddr, source: io::Error) -> StartError {
    if source.kind() == io::ErrorKind::AddrInUse { StartError::PortTaken { address } } else { StartError::Listen { address, source } }
}
