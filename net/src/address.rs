//! Addresses that people write down and nodes hand on.
//!
//! **Invariants**: what passes here is an IP address with a TCP port, and names the expected peer or nobody.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::key::PeerKey;

/// States why an address is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address in libp2p's form.
    #[error("{address:?} is no address; write /ip4/192.0.2.7/tcp/4001 with the node's IP address and port")]
    Malformed { address: String },
    /// It is not an IP address with a TCP port.
    #[error("{address} is not /ip4/…/tcp/… or /ip6/…/tcp/…, which is all that nodes dial")]
    Unsupported { address: Multiaddr },
    /// It ends with another node's id.
    #[error("{address} names another node than {expected}; correct its last part")]
    OtherPeer { address: Multiaddr, expected: PeerKey },
    /// It does not name the node.
    #[error("{address:?} does not name the node; append /p2p/ and the peer id that `octopoid peers` shows on that machine")]
    NoPeer { address: String },
    /// There are more addresses than are kept.
    #[error("{given} addresses for {peer}; at most 16 are kept: leave out those that do not work")]
    TooMany { peer: PeerKey, given: usize },
}

/// Reads a bootstrap address, which must name the node: `/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…`.
///
/// Without the id, whoever answers there could be anybody.
///
/// # Errors
/// When the text is no such address; the error says what to write instead.
pub fn bootstrap(text: &str) -> Result<(PeerKey, Multiaddr), AddressError> {
    let shown: String = text.chars().take(200).collect();
    let address: Multiaddr = text.trim().parse().map_err(|_| AddressError::Malformed { address: shown.clone() })?;
    let (bare, peer) = split(&address)?;
    Ok((peer.ok_or(AddressError::NoPeer { address: shown })?, bare))
}

/// Reads an address where a node can be reached, without its id: `/ip4/203.0.113.7/tcp/4001`.
///
/// # Errors
/// When the text is no such address; the error says what to write instead.
pub fn reachable(text: &str) -> Result<Multiaddr, AddressError> {
    let address: Multiaddr = text.trim().parse().map_err(|_| AddressError::Malformed { address: text.chars().take(200).collect() })?;
    let (bare, peer) = split(&address)?;
    if peer.is_some() { Err(AddressError::Unsupported { address }) } else { Ok(bare) }
}

/// Splits an address into what is dialed and the peer that it names, if it does.
pub(crate) fn split(address: &Multiaddr) -> Result<(Multiaddr, Option<PeerKey>), AddressError> {
    let unsupported = || AddressError::Unsupported { address: address.clone() };
    let mut parts = address.iter();
    let (Some(host @ (Protocol::Ip4(_) | Protocol::Ip6(_))), Some(port @ Protocol::Tcp(_))) = (parts.next(), parts.next()) else {
        return Err(unsupported());
    };
    let peer = match (parts.next(), parts.next()) {
        (None, _) => None,
        (Some(Protocol::P2p(id)), None) => Some(PeerKey::from_peer_id(&id).ok_or_else(unsupported)?),
        _ => return Err(unsupported()),
    };
    Ok((Multiaddr::empty().with(host).with(port), peer))
}

/// Checks the addresses of one peer and takes its name from their ends.
pub(crate) fn of_peer(peer: PeerKey, addresses: &[Multiaddr]) -> Result<Vec<Multiaddr>, AddressError> {
    let mut kept = Vec::new();
    for address in addresses {
        let (bare, named) = split(address)?;
        if named.is_some_and(|named| named != peer) {
            return Err(AddressError::OtherPeer { address: address.clone(), expected: peer });
        }
        if !kept.contains(&bare) {
            kept.push(bare);
        }
    }
    if kept.len() > crate::limits::ADDRESSES_PER_PEER { Err(AddressError::TooMany { peer, given: kept.len() }) } else { Ok(kept) }
}

/// Returns the IP address in an address.
pub(crate) fn ip(address: &Multiaddr) -> Option<std::net::IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        _ => None,
    }
}

/// Returns whether others can use an address as it is: an IPv6 address of one link means nothing without the name of the interface.
pub(crate) fn is_shareable(address: &Multiaddr) -> bool {
    match ip(address) {
        Some(std::net::IpAddr::V6(ip)) => !ip.is_unicast_link_local(),
        Some(std::net::IpAddr::V4(_)) => true,
        None => false,
    }
}

/// Returns whether an address is of another machine on the network of `own`, as far as the addresses tell: the first 24 bits of IPv4 or 64
/// of IPv6 are the same.
pub(crate) fn is_beside(address: &Multiaddr, own: &Multiaddr) -> bool {
    use std::net::IpAddr::{V4, V6};
    match (ip(address), ip(own)) {
        (Some(V4(there)), Some(V4(here))) => there != here && !here.is_loopback() && there.octets()[..3] == here.octets()[..3],
        (Some(V6(there)), Some(V6(here))) => there != here && !here.is_loopback() && there.octets()[..8] == here.octets()[..8],
        (Some(V4(_) | V6(_)), Some(V4(_) | V6(_))) | (None, _) | (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn key(seed: u8) -> PeerKey {
        SecretKey::from_bytes(&mut [seed; 32]).peer_key()
    }

    #[test]
    fn a_bootstrap_address_must_name_its_peer_and_be_an_ip_with_a_port() {
        let peer = key(1);
        let good = format!("/ip4/192.0.2.7/tcp/4001/p2p/{peer}");
        assert_eq!(bootstrap(&good), Ok((peer, "/ip4/192.0.2.7/tcp/4001".parse().expect("an address"))));
        let nameless = bootstrap("/ip4/192.0.2.7/tcp/4001").expect_err("no name");
        assert!(nameless.to_string().contains("append /p2p/"), "{nameless}");
        let text = bootstrap("192.0.2.7:4001").expect_err("no multiaddr");
        assert!(text.to_string().contains("write /ip4/"), "{text}");
        for wrong in ["/ip4/192.0.2.7/udp/4001", "/dns4/example.org/tcp/4001", "/ip4/192.0.2.7", "/ip4/192.0.2.7/tcp/1/http", ""] {
            let error = bootstrap(wrong).expect_err(wrong);
            assert!(matches!(error, AddressError::Unsupported { .. } | AddressError::Malformed { .. }), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_address_of_another_peer_or_one_too_many_is_refused_by_name() {
        let (peer, other) = (key(1), key(2));
        let address: Multiaddr = format!("/ip6/::1/tcp/4001/p2p/{other}").parse().expect("an address");
        let error = of_peer(peer, std::slice::from_ref(&address)).expect_err("another's");
        assert_eq!(error, AddressError::OtherPeer { address, expected: peer });
        let many: Vec<Multiaddr> = (1..=17).map(|port| format!("/ip4/192.0.2.7/tcp/{port}").parse().expect("an address")).collect();
        assert_eq!(of_peer(peer, &many), Err(AddressError::TooMany { peer, given: 17 }));
        assert_eq!(of_peer(peer, &many[..16]).map(|kept| kept.len()), Ok(16));
        assert_eq!(of_peer(peer, &[many[0].clone(), many[0].clone()]).map(|kept| kept.len()), Ok(1));
    }

    #[test]
    fn an_address_of_one_link_is_not_for_others() {
        let shareable = |text: &str| is_shareable(&text.parse().expect("an address"));
        assert!(shareable("/ip6/2001:db8::1/tcp/1") && shareable("/ip6/::1/tcp/1") && shareable("/ip4/10.7.0.1/tcp/1"));
        assert!(!shareable("/ip6/fe80::1/tcp/1") && !shareable("/dns4/example.org/tcp/1"));
    }

    #[test]
    fn an_address_on_the_same_network_is_beside_and_loopback_and_the_own_one_are_not() {
        let beside = |there: &str, here: &str| {
            let of = |ip: &str| format!("{ip}/tcp/1").parse().expect("an address");
            is_beside(&of(there), &of(here))
        };
        assert!(beside("/ip4/192.168.1.7", "/ip4/192.168.1.8") && beside("/ip6/fd00::1", "/ip6/fd00::2"));
        for (there, here) in [
            ("/ip4/192.168.1.7", "/ip4/192.168.2.8"),
            ("/ip4/172.17.0.1", "/ip4/172.17.0.1"),
            ("/ip4/127.0.0.2", "/ip4/127.0.0.1"),
            ("/ip6/fd00:0:0:1::1", "/ip6/fd00::2"),
            ("/ip6/fd00::1", "/ip4/10.0.0.1"),
        ] {
            assert!(!beside(there, here), "{there} {here}");
        }
    }
}
