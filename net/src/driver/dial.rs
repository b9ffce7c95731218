//! Whom the node dials, when and where.
//!
//! **Invariants**: a member is dialed only while it has addresses and no connection; an address at which another node answered is left out
//! while there are others, because the first that answers decides a dial.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{self, ConnectionId};
use libp2p::{Multiaddr, TransportError};

use super::{Driver, backoff};
use crate::address;
use crate::event::Event;
use crate::key::PeerKey;
use crate::network::DialError;

/// How long after a dial news of a peer make another.
const HURRY: Duration = Duration::from_secs(1);
/// How many dials to members are under way at once.
const DIALS: usize = 16;
/// Up to how many members everybody dials everybody.
const MESH: usize = 50;
/// How many connections are enough in a larger cluster; others come in.
const DEGREE: usize = 12;

/// What is known about reaching a member.
pub(super) struct Reach {
    pub given: Vec<Multiaddr>,
    pub dialing: Option<ConnectionId>,
    pub failures: u32,
    pub due: Instant,
    pub last_failure: Option<DialError>,
    dialed: Option<Instant>,
    /// Who answered at an address instead.
    wrong: HashMap<Multiaddr, Option<PeerKey>>,
}

impl Reach {
    pub(super) fn new(given: Vec<Multiaddr>) -> Self {
        Self { given, dialing: None, failures: 0, due: Instant::now(), last_failure: None, dialed: None, wrong: HashMap::new() }
    }

    /// Takes new addresses, and dials at once if they differ.
    pub(super) fn give(&mut self, given: Vec<Multiaddr>) {
        if self.given != given {
            *self = Self { dialing: self.dialing, ..Self::new(given) };
        }
    }

    /// Dials soon: mDNS has news of the peer. Anybody can make such news, so that they hurry nobody more than once a second.
    pub(super) fn hurry(&mut self) {
        let now = Instant::now();
        self.failures = 0;
        self.due = self.dialed.map_or(now, |dialed| now.max(dialed + HURRY));
    }

    /// Waits before the next dial, longer each time, though not long for a peer that is `near`.
    pub(super) fn wait(&mut self, near: bool) {
        // Without randomness the pauses are merely not spread.
        let draw = getrandom::u64().unwrap_or(u64::MAX / 2);
        self.due = Instant::now() + backoff::pause(self.failures, near, draw);
        self.failures = self.failures.saturating_add(1);
    }

    fn candidates(&mut self, named: impl Iterator<Item = Multiaddr>) -> Vec<Multiaddr> {
        let mut all = self.given.clone();
        all.extend(named.filter(|address| !self.given.contains(address)));
        // What nobody names any more is not remembered either.
        self.wrong.retain(|address, _| all.contains(address));
        let right: Vec<Multiaddr> = all.iter().filter(|address| !self.wrong.contains_key(address)).cloned().collect();
        if right.is_empty() { all } else { right }
    }
}

impl Driver {
    /// Dials every member whose time has come.
    pub(super) fn dial_due(&mut self) {
        let now = Instant::now();
        let sparse = self.reaches.len() > MESH && self.carried.len() >= DEGREE;
        let mut under_way = self.reaches.values().filter(|reach| reach.dialing.is_some()).count();
        if sparse {
            return;
        }
        let due = self.reaches.iter().filter(|(_, reach)| reach.dialing.is_none() && reach.due <= now);
        let due: Vec<PeerKey> = due.map(|(peer, _)| *peer).filter(|peer| !self.has_link(peer)).collect();
        for peer in due {
            if under_way >= DIALS {
                return;
            }
            under_way += usize::from(self.dial(peer));
        }
    }

    fn dial(&mut self, peer: PeerKey) -> bool {
        let Some(reach) = self.reaches.get_mut(&peer) else { return false };
        let addresses = reach.candidates(self.names.of(&peer));
        if addresses.is_empty() {
            return false;
        }
        let options = DialOpts::peer_id(peer.peer_id()).addresses(addresses).condition(PeerCondition::Always).allocate_new_port().build();
        let connection = options.connection_id();
        reach.dialed = Some(Instant::now());
        tracing::debug!(%peer, "dialing");
        match self.swarm.dial(options) {
            Ok(()) => reach.dialing = Some(connection),
            Err(error) => self.on_dial_failed(peer, &error),
        }
        true
    }

    /// Tells whether a member has an address on a network of this node.
    pub(super) fn is_near(&self, peer: &PeerKey) -> bool {
        let own = self.shared.state().listening.clone();
        let given = self.reaches.get(peer).into_iter().flat_map(|reach| reach.given.iter().cloned());
        given.chain(self.names.of(peer)).any(|address| own.iter().any(|own| address::is_beside(&address, own)))
    }

    /// Takes note that a dial to a member failed.
    pub(super) fn on_dial_failed(&mut self, peer: PeerKey, error: &swarm::DialError) {
        let near = self.is_near(&peer);
        let Some(reach) = self.reaches.get_mut(&peer) else { return };
        reach.dialing = None;
        reach.wait(near);
        let dialed = reach.given.first().cloned().or_else(|| self.names.of(&peer).next());
        let Some(failure) = dialed.and_then(|dialed| failure(error, &dialed)) else { return };
        tracing::debug!(%peer, %failure, "dial failed");
        if let DialError::WrongPeer { address, found } = &failure {
            let known = reach.wrong.insert(address.clone(), *found);
            // The other addresses have not had their turn.
            if known.is_none() {
                reach.due = Instant::now();
            }
            if known != Some(*found) {
                let (address, found) = (address.clone(), *found);
                self.notices.push(Event::Misdialed { peer, address, found });
            }
        }
        reach.last_failure = Some(failure);
        self.publish(&peer);
    }
}

/// Puts libp2p's error in this crate's words; `None` when there is nothing to correct.
///
/// libp2p leaves out addresses at which this node itself listens; where none is left, `dialed` is such a one.
pub(super) fn failure(error: &swarm::DialError, dialed: &Multiaddr) -> Option<DialError> {
    match error {
        swarm::DialError::NoAddresses => Some(DialError::Own { address: dialed.clone() }),
        swarm::DialError::LocalPeerId { address } => Some(DialError::Own { address: bare(address) }),
        swarm::DialError::WrongPeerId { obtained, address } => {
            Some(DialError::WrongPeer { address: bare(address), found: PeerKey::from_peer_id(obtained) })
        }
        swarm::DialError::Transport(failures) => failures.last().map(|(address, error)| {
            let kind = match error {
                TransportError::Other(error) => io_kind(error),
                TransportError::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported,
            };
            DialError::Unreachable { address: bare(address), kind }
        }),
        swarm::DialError::DialPeerConditionFalse(_) | swarm::DialError::Aborted | swarm::DialError::Denied { .. } => None,
    }
}

/// Takes the error that [`crate::transport`] made out of the box that libp2p puts it in.
fn io_kind(error: &io::Error) -> io::ErrorKind {
    error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).unwrap_or(error).kind()
}

fn bare(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}
