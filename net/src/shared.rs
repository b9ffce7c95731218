//! What the handles and the driver both look at.
//!
//! **Invariants**: the lock is held for look-ups only, never across a wait; a lane is found here exactly while its peer is a member and
//! connected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::Multiaddr;
use tokio::sync::Notify;

use crate::key::PeerKey;
use crate::lane::Lane;
use crate::network::PeerStatus;

/// See the module.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the driver after members or addresses changed.
    pub changed: Notify,
}

/// What is shared.
#[derive(Default)]
pub(crate) struct State {
    pub members: BTreeSet<PeerKey>,
    pub addresses: BTreeMap<PeerKey, Vec<Multiaddr>>,
    pub lanes: HashMap<PeerKey, Arc<Lane>>,
    pub statuses: BTreeMap<PeerKey, PeerStatus>,
    pub listening: BTreeSet<Multiaddr>,
}

impl Shared {
    /// Locks the state. One that panicked while it looked something up has broken nothing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a peer is in the allow-list.
    pub(crate) fn is_member(&self, peer: &PeerKey) -> bool {
        self.state().members.contains(peer)
    }

    /// Returns the lane to a connected member.
    pub(crate) fn lane(&self, peer: &PeerKey) -> Option<Arc<Lane>> {
        self.state().lanes.get(peer).cloned()
    }
}
