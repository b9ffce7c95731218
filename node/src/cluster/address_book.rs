//! Where members can be reached: as configured, as a ticket said, as they tell, and as mDNS shows; and when they were connected last.
//!
//! **Invariants**: what members told is kept over restarts, and when they were met, to within [`MET_AGAIN_MS`]; nobody has more than [`PER_MEMBER`] addresses here; an address is
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

/// A member that stays connected is noted so often: a crash loses no more than that.
const MET_AGAIN_MS: u64 = 5 * 60_000;

/// The file that keeps addresses over restarts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Where this node listens at any free port, without it → the port that it got. IPv4 and IPv6 get different ones.
    #[serde(default)]
    ports: BTreeMap<String, u16>,
    /// Peer id → addresses.
    #[serde(default)]
    members: BTreeMap<String, Vec<String>>,
    /// Peer id → when it was connected last, in milliseconds since 1970.
    #[serde(default)]
    met: BTreeMap<String, u64>,
}

/// Known addresses.
#[derive(Debug)]
pub struct AddressBook {
    path: PathBuf,
    ports: BTreeMap<String, u16>,
    /// Where this node is to listen at any free port, without it.
    free: Vec<String>,
    configured: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
    told: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
    seen: BTreeMap<AuthorKey, BTreeSet<Multiaddr>>,
    /// When members were connected last, in milliseconds since 1970.
    met: BTreeMap<AuthorKey, u64>,
    /// Whether the file is behind in that.
    behind: bool,
}

impl AddressBook {
    /// Opens the file; one that is missing or unreadable is an empty book.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        let mut book = Self {
            path: path.to_owned(),
            ports: kept.ports,
            free: Vec::new(),
            configured: BTreeMap::new(),
            told: BTreeMap::new(),
            seen: BTreeMap::new(),
            met: kept.met.iter().filter_map(|(peer, at)| Some((author(&peer.parse::<PeerKey>().ok()?), *at))).collect(),
            behind: false,
        };
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

    /// Notes where this node is to listen, and puts the port that it had before in place of any free one. One of `taken` is another
    /// program's now.
    #[must_use]
    pub fn listen_at(&mut self, listen: &[Multiaddr], taken: &[Multiaddr]) -> Vec<Multiaddr> {
        self.free = listen.iter().filter_map(|address| split(address).filter(|(_, port)| *port == 0)).map(|(host, _)| host).collect();
        let kept = |address: &Multiaddr| {
            let (host, _) = split(address).filter(|(_, port)| *port == 0)?;
            let kept: Multiaddr = format!("{host}/tcp/{}", self.ports.get(&host)?).parse().ok()?;
            (!taken.contains(&kept)).then_some(kept)
        };
        listen.iter().map(|address| kept(address).unwrap_or_else(|| address.clone())).collect()
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

    /// Returns when a member was connected last, in milliseconds since 1970; none when it never was.
    #[must_use]
    pub fn met_last(&self, member: &AuthorKey) -> Option<u64> {
        self.met.get(member).copied()
    }

    /// Notes that a member is connected now.
    pub fn meets(&mut self, member: AuthorKey, now_ms: u64) {
        if self.met_last(&member).is_none_or(|last| now_ms.abs_diff(last) >= MET_AGAIN_MS) {
            self.parts(member, now_ms);
        }
    }

    /// Notes that a member was connected until now.
    pub fn parts(&mut self, member: AuthorKey, now_ms: u64) {
        self.met.insert(member, now_ms);
        self.behind = true;
    }

    /// Writes down when members were met, if that has changed. A connection that comes and goes does not write a file each time.
    pub fn catch_up(&mut self, members: impl Fn(&AuthorKey) -> bool) {
        if std::mem::take(&mut self.behind) {
            self.met.retain(|member, _| members(member));
            self.keep();
        }
    }

    /// Notes where this node listens, to take the same port after a restart.
    pub fn listening(&mut self, address: &Multiaddr) {
        let Some((host, port)) = split(address) else { return };
        let everywhere = if host.starts_with("/ip6/") { "/ip6/::" } else { "/ip4/0.0.0.0" };
        // An address of an interface is of what listens on all of them.
        let Some(of) = [host.as_str(), everywhere].into_iter().find(|of| self.free.iter().any(|free| free == of)) else { return };
        if self.ports.get(of) != Some(&port) {
            self.ports.insert(of.to_owned(), port);
            self.keep();
        }
    }

    fn keep(&self) {
        let text = |addresses: &BTreeSet<Multiaddr>| addresses.iter().map(ToString::to_string).collect();
        let members = self.told.iter().map(|(member, addresses)| (PeerKey(member.0).to_string(), text(addresses))).collect();
        let met = self.met.iter().map(|(member, at)| (PeerKey(member.0).to_string(), *at)).collect();
        let kept = Kept { ports: self.ports.clone(), members, met };
        let written =
            serde_json::to_vec_pretty(&kept).map_err(std::io::Error::from).and_then(|json| replace_file(&self.path, &json, 0o600));
        if let Err(error) = written {
            tracing::warn!(%error, "the members' addresses could not be kept; they are found again when members connect");
        }
    }
}

/// Splits an address into its host and its port.
fn split(address: &Multiaddr) -> Option<(String, u16)> {
    let text = address.to_string();
    let (host, rest) = text.split_once("/tcp/")?;
    Some((host.to_owned(), rest.split('/').next()?.parse().ok()?))
}

fn parse(addresses: &[String]) -> BTreeSet<Multiaddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).take(PER_MEMBER).collect()
}
