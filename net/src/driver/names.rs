//! The names that mDNS shows, of a bounded number.

use std::collections::BTreeSet;

use libp2p::Multiaddr;

use crate::address;
use crate::key::PeerKey;

/// How many names are kept in all. A network with more nodes than that does not look for them by mDNS.
const NAMES: usize = 256;
/// How many addresses are kept for one name.
const ADDRESSES: usize = 8;

/// How many of them at one host, so that another host cannot use up what a peer has.
const ADDRESSES_PER_HOST: usize = 2;
/// How many names are kept of one host. libp2p replaces the host in what it hears by the sender's, so that nobody uses up what others have.
const NAMES_PER_HOST: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<(PeerKey, Multiaddr)>);

impl Names {
    /// Returns whether a name is new and was kept.
    pub(super) fn add(&mut self, peer: PeerKey, address: Multiaddr) -> bool {
        let host = address::ip(&address);
        let of_host = self.0.iter().filter(|(_, other)| address::ip(other) == host).count();
        let here = self.of(&peer).filter(|other| address::ip(other) == host).count();
        let room = self.0.len() < NAMES && of_host < NAMES_PER_HOST && self.of(&peer).count() < ADDRESSES && here < ADDRESSES_PER_HOST;
        room && self.0.insert((peer, address))
    }

    /// Returns whether a name was kept until now.
    pub(super) fn remove(&mut self, peer: PeerKey, address: Multiaddr) -> bool {
        self.0.remove(&(peer, address))
    }

    /// Forgets all names and returns them.
    pub(super) fn clear(&mut self) -> BTreeSet<(PeerKey, Multiaddr)> {
        std::mem::take(&mut self.0)
    }

    /// Returns where a peer is shown.
    pub(super) fn of(&self, peer: &PeerKey) -> impl Iterator<Item = Multiaddr> {
        let peer = *peer;
        self.0.range((peer, Multiaddr::empty())..).take_while(move |(named, _)| *named == peer).map(|(_, address)| address.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u16) -> PeerKey {
        let mut key = [7; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        PeerKey(key)
    }

    #[test]
    fn ten_thousand_names_keep_no_more_than_there_is_room_for() {
        let mut names = Names::default();
        let address = |n: u16| format!("/ip4/192.0.{}.1/tcp/1", n % 250).parse().expect("an address");
        assert_eq!((0..10_000).filter(|n| names.add(key(*n), address(*n))).count(), NAMES);
    }

    #[test]
    fn one_host_cannot_take_all_the_room() {
        let mut names = Names::default();
        let address = |n: u16| format!("/ip4/192.0.2.1/tcp/{n}").parse().expect("an address");
        assert_eq!((1..10_000).filter(|n| names.add(key(*n), address(*n))).count(), NAMES_PER_HOST);
        assert!(names.add(key(1), "/ip4/192.0.2.2/tcp/1".parse().expect("an address")));
    }

    #[test]
    fn one_name_cannot_take_all_the_room_and_one_host_not_all_of_a_name() {
        let mut names = Names::default();
        let peer = PeerKey([1; 32]);
        let address = |host: u16, port: u16| format!("/ip4/192.0.2.{host}/tcp/{port}").parse::<Multiaddr>().expect("an address");
        assert_eq!((1..100).filter(|port| names.add(peer, address(1, *port))).count(), ADDRESSES_PER_HOST);
        assert_eq!((2..100).filter(|host| names.add(peer, address(*host, 1))).count(), ADDRESSES - ADDRESSES_PER_HOST);
        assert!(!names.add(peer, address(1, 1)), "not new");
        assert!(names.remove(peer, address(1, 1)) && !names.remove(peer, address(1, 1)));
        assert_eq!(names.of(&peer).count(), ADDRESSES - 1);
        assert_eq!(names.of(&PeerKey([0; 32])).count() + names.of(&PeerKey([2; 32])).count(), 0);
    }
}
