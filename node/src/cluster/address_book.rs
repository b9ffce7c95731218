//! Where members can be reached: as configured, as a ticket said, as they tell, and as mDNS shows.
//!
//! **Invariants**: what members told is kept over restarts; nobody has more than [`PER_MEMBER`] addresses here; an address is
//! tried, never trusted: the connection proves who answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use octopoid_crdt::ids::AuthorKey;
use octopoid_net::{ADDRESSES_PER_PEER, AddressError, Multiaddr, PeerKey, bootstrap};
use serde::{Deserialize, Serialize};

use super::shared::author;
use crate::project::replace_file;

const PER_MEMBER: usize = ADDRESSES_PER_PEER;
/// Strangers that mDNS shows and that are remembered; a flood of names stays small.
const STRANGERS: usize = 256;

/// The file that keeps addresses over restarts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The port that members reach this node at.
    #[serde(default)]
    port: Option<u16>,
    /// Peer id → addresses.
    #[serde(default)]
    members: BTreeMap<String, Vec<String>>,
}

/// Known addresses.
#[derive(Debug)]
pub struct AddressBook {
    path: PathBuf,
    port: Option<u16>,
    configured: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
    told: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
    seen: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
}

impl AddressBook {
    /// Opens the file; one that is missing or unreadable is an empty book.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        let mut book =
            Self { path: path.to_owned(), port: kept.port, configured: BTreeMap::new(), told: BTreeMap::new(), seen: BTreeMap::new() };
        for (peer, addresses) in kept.members {
            if let Ok(peer) = peer.parse::<PeerKey>() {
                book.told.insert(author(&peer), parse(&addresses));
            }
        }
        book
    }

    /// Adds the addresses of `network.peers`, each with its peer id.
    ///
    /// # Errors
    /// When one is no address, or names no peer.
    pub fn configure(&mut self, peers: &[String]) -> Result<(), AddressError> {
        for text in peers {
            let (peer, address) = bootstrap(text)?;
            self.configured.entry(author(&peer)).or_default().insert(address);
        }
        Ok(())
    }

    /// Returns the port that this node listened at before.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns a member's addresses.
    #[must_use]
    pub fn of(&self, member: &AuthorKey) -> Vec<Multiaddr> {
        let all = [&self.configured, &self.seen, &self.told].into_iter().filter_map(|known| known.get(member)).flatten();
        let mut unique: Vec<Multiaddr> = Vec::new();
        for address in all {
            if unique.len() < PER_MEMBER && !unique.contains(address) {
                unique.push(address.clone());
            }
        }
        unique
    }

    /// Notes what a member, or a ticket, told of where it is; returns whether that is news.
    pub fn told(&mut self, member: AuthorKey, addresses: &[String]) -> bool {
        let addresses = parse(addresses);
        if addresses.is_empty() || self.told.get(&member) == Some(&addresses) {
            return false;
        }
        self.told.insert(member, addresses);
        self.keep();
        true
    }

    /// Notes where somebody else says that a member is, while it has not told itself; returns whether that is news.
    pub fn hinted(&mut self, member: AuthorKey, addresses: &[String]) -> bool {
        !self.told.contains_key(&member) && self.told(member, addresses)
    }

    /// Returns where members said that they are, of a few of them.
    #[must_use]
    pub fn told_of(&self, members: usize, each: usize) -> Vec<(String, Vec<String>)> {
        let told = self.told.iter().take(members);
        told.map(|(key, addresses)| (PeerKey(key.0).to_string(), addresses.iter().take(each).map(ToString::to_string).collect())).collect()
    }

    /// Notes what mDNS shows; returns whether that is news.
    pub fn found(&mut self, peer: AuthorKey, address: Multiaddr) -> bool {
        if !self.seen.contains_key(&peer) && self.seen.len() >= STRANGERS {
            return false;
        }
        let addresses = self.seen.entry(peer).or_default();
        addresses.len() < PER_MEMBER && addresses.insert(address)
    }

    /// Returns whom mDNS shows, each at one address.
    #[must_use]
    pub fn on_the_network(&self) -> Vec<(AuthorKey, Multiaddr)> {
        self.seen.iter().filter_map(|(key, addresses)| Some((*key, addresses.first()?.clone()))).collect()
    }

    /// Forgets what mDNS shows no more; returns whether that was the last of this peer.
    pub fn gone(&mut self, peer: &AuthorKey, address: &Multiaddr) -> bool {
        let Some(addresses) = self.seen.get_mut(peer) else { return false };
        addresses.remove(address);
        let last = addresses.is_empty();
        if last {
            self.seen.remove(peer);
        }
        last
    }

    /// Notes where this node listens, to take the same port after a restart.
    pub fn listening(&mut self, address: &Multiaddr) {
        let text = address.to_string();
        let port = text.split_once("/tcp/").and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        if port.is_some() && port != self.port {
            self.port = port;
            self.keep();
        }
    }

    fn keep(&self) {
        let text = |addresses: &BTreeSet<Multiaddr>| addresses.iter().map(ToString::to_string).collect();
        let members = self.told.iter().map(|(member, addresses)| (PeerKey(member.0).to_string(), text(addresses))).collect();
        let kept = Kept { port: self.port, members };
        let written =
            serde_json::to_vec_pretty(&kept).map_err(std::io::Error::from).and_then(|json| replace_file(&self.path, &json, 0o600));
        if let Err(error) = written {
            tracing::warn!(%error, "the members' addresses could not be kept; they are found again when members connect");
        }
    }
}

fn parse(addresses: &[String]) -> BTreeSet<Multiaddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).take(PER_MEMBER).collect()
}
