//! What the parts of the cluster's driver share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use octopoid_crdt::ids::{AuthorKey, ClusterId, RecordId};
use octopoid_crdt::lease::Input as LeaseInput;
use octopoid_crdt::peer::renewal::{Checked, Heard, Renewals};
use octopoid_crdt::peer::settle::Input as SettleInput;
use octopoid_crdt::peer::{Message, Renewal, limits};
use octopoid_crdt::record::Signer;
use octopoid_net::{ADDRESSES_PER_PEER, Multiaddr, Network, PeerKey};
use tokio::sync::{Notify, broadcast, watch};

use super::address_book::AddressBook;
use super::bundles::GiveBranches;
use super::namesakes::Namesakes;
use super::presence::{OTHERS, OTHERS_ADDRESSES, Presence};
use super::reads::AnswerReads;
use super::requests::AnswerCalls;
use super::settling::Settling;
use super::strikes::StrikeBook;
use super::words::Words;
use crate::store::{Leases, Store, now_ms};

/// Of how many orchestrators it is remembered when a member heard them; beyond it those that were silent longest are forgotten.
const HEARD: usize = 1_024;

/// Shared by the driver, the links and those who ask of the cluster.
pub(super) struct Shared {
    pub store: Arc<Store>,
    pub network: Network,
    /// Where others reach this node beside the addresses that it listens on.
    pub announce: Vec<Multiaddr>,
    pub settling: Arc<Settling>,
    pub signer: Signer,
    pub me: AuthorKey,
    pub cluster: ClusterId,
    pub renewals: Mutex<Renewals>,
    /// Own claims and reviews that are worked on, with their leases' lengths in seconds.
    pub running: Mutex<BTreeMap<RecordId, u32>>,
    /// Counts the starts of this node, above the counters of renewals.
    pub starts: u32,
    pub members: Mutex<BTreeMap<AuthorKey, MemberState>>,
    /// What members did that no correct node does.
    pub strikes: StrikeBook,
    /// Other clusters of this one's name.
    pub namesakes: Namesakes,
    /// Where members can be reached.
    pub book: Mutex<AddressBook>,
    /// Whether this node was told to keep to itself; see [`Shared::is_kept_offline`].
    pub kept_offline: AtomicBool,
    /// Tells the driver to look at [`Shared::kept_offline`] again.
    pub turned: Notify,
    /// Tells what this node says of itself.
    pub describe: Describe,
    /// Branches that a member has and does not give, and why.
    pub not_given: Mutex<BTreeMap<String, String>>,
    /// Why this node claims nothing, if so.
    pub idle: Mutex<Option<String>>,
    /// Answers calls that members pass on, once the API is there.
    pub calls: OnceLock<AnswerCalls>,
    /// Answers members that read, once the API is there.
    pub reads: OnceLock<AnswerReads>,
    /// What the authority answered about own reviews that wait for its word: whether it names no other.
    pub words: Words,
    /// Tells which members come and go.
    pub comings: broadcast::Sender<(AuthorKey, Coming)>,
    /// Counts the members that were met, for who waits for one.
    pub met: watch::Sender<u64>,
    /// Whether what members know of this node was asked for since its start: before that it grants nothing.
    pub caught_up: Arc<AtomicBool>,
    /// Packs branches for members, once the repository is there.
    pub branches: OnceLock<GiveBranches>,
    /// Tells when orchestrators were last heard here, once the API is there.
    pub heartbeats: OnceLock<GiveHeartbeats>,
}

/// What a member's connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// It is connected and has greeted.
    Up,
    /// It is connected no more.
    Down,
}

/// Tells when orchestrators were last heard, in seconds ago, the last one first; no more than a presence holds.
pub type GiveHeartbeats = Arc<dyn Fn() -> Vec<(String, u64)> + Send + Sync>;

/// Tells what a node says of itself.
pub(super) type Describe = Arc<dyn Fn() -> Presence + Send + Sync>;

/// How it stands with a member that is or was connected since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct MemberState {
    /// Since when it is connected, or not any more, in milliseconds since 1970; none while it was not.
    pub since_ms: Option<u64>,
    /// Whether it is connected and has greeted.
    pub connected: bool,
    /// How many records it is known to lack.
    pub lag: usize,
    /// Whether everything that it has told of is held here.
    pub current: bool,
    /// What it last told of itself.
    pub presence: Option<Presence>,
    /// When orchestrators were heard there, in milliseconds since 1970 by this machine's clock.
    pub heard: BTreeMap<String, u64>,
}

impl MemberState {
    /// Notes what a member tells of itself.
    fn hear(&mut self, presence: Presence, now_ms: u64) {
        for (name, seconds_ago) in &presence.heartbeats {
            let at = now_ms.saturating_sub(seconds_ago.saturating_mul(1_000));
            let heard = self.heard.entry(name.clone()).or_default();
            *heard = at.max(*heard);
        }
        if self.heard.len() > HEARD {
            let mut times: Vec<u64> = self.heard.values().copied().collect();
            times.sort_unstable_by(|one, other| other.cmp(one));
            let oldest = times.get(HEARD - 1).copied().unwrap_or_default();
            self.heard.retain(|_, at| *at >= oldest);
        }
        self.presence = Some(presence);
    }
}

impl Shared {
    pub fn members(&self) -> MutexGuard<'_, BTreeMap<AuthorKey, MemberState>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn renewals(&self) -> MutexGuard<'_, Renewals> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn leases(&self) -> &Leases {
        self.store.leases()
    }

    /// Returns the members that are connected and have greeted.
    pub fn connected(&self) -> Vec<AuthorKey> {
        self.members().iter().filter(|(_, state)| state.connected).map(|(key, _)| *key).collect()
    }

    /// Tells whether this node was told to keep to itself: it then connects to nobody and lets nobody connect.
    pub fn is_kept_offline(&self) -> bool {
        self.kept_offline.load(Ordering::SeqCst)
    }

    pub fn not_given(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.not_given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn idle(&self) -> MutexGuard<'_, Option<String>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn book(&self) -> MutexGuard<'_, AddressBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts against a member what no correct node does. Who is none is told of in the log alone.
    pub fn strike(&self, member: AuthorKey, why: &dyn std::fmt::Display) {
        tracing::warn!(peer = %member, %why, "a member did what no correct node does");
        if self.store.membership().access(&member).is_some() {
            self.strikes.add(member, why.to_string());
        }
    }

    /// Signs the next renewal of an own claim or review.
    pub fn renewal(&self, of: RecordId, seconds: u32) -> Option<Renewal> {
        let mut renewals = self.renewals();
        renewals.opened(of, self.me);
        renewals.sign(&self.signer, self.cluster, of, seconds, self.starts).map(|checked| checked.renewal().clone())
    }

    /// Passes renewals on where not everybody is connected to everybody. Each is heard, and so passed on, once.
    pub fn relay(&self, from: &AuthorKey, renewals: Vec<Renewal>) {
        let connected = self.connected();
        if renewals.is_empty() || self.store.membership().members().count() <= connected.len() + 1 {
            return;
        }
        let Ok(frame) = (Message::Renew { renewals }).encode() else { return };
        let frame = bytes::Bytes::from(frame);
        for member in connected.iter().filter(|member| *member != from) {
            // Who does not read now hears the next one.
            let _ = self.network.try_send(&peer_key(member), frame.clone());
        }
    }

    /// Notes that work on an own claim or review goes on.
    pub fn runs(&self, of: RecordId, seconds: u32) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(of, seconds);
    }

    /// Returns the own claims and reviews that are worked on.
    fn running(&self) -> BTreeMap<RecordId, u32> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|of, _| self.leases().remaining_ms(of).is_some());
        running.clone()
    }

    /// Returns renewals of everything that is worked on here: they tell a member that has just connected what has started.
    pub fn all_renewals(&self) -> Vec<Renewal> {
        self.running().into_iter().take(limits::RENEWALS).filter_map(|(of, seconds)| self.renewal(of, seconds)).collect()
    }

    /// Lets a member be dialed wherever it may be.
    pub fn dial(&self, member: &AuthorKey) {
        let addresses = self.book().of(member);
        if let Err(error) = self.network.set_addresses(peer_key(member), &addresses) {
            tracing::warn!(peer = %member, %error, "addresses of a member cannot be used");
        }
    }

    /// Notes what a member tells of itself, and where others may be.
    pub fn hear_presence(&self, from: AuthorKey, presence: Presence) {
        let news = self.book().told(from, &presence.addresses);
        self.members().entry(from).or_default().hear(presence, now_ms());
        if news {
            self.dial(&from);
        }
        self.take_hints();
    }

    /// Notes where members say that others are, and dials these. Who joins hears it before it knows who the others are, so this is done
    /// again whenever membership changes.
    pub fn take_hints(&self) {
        let told: Vec<_> = self.members().values().filter_map(|state| Some(state.presence.as_ref()?.others.clone())).flatten().collect();
        let membership = self.store.membership();
        for (peer, addresses) in told {
            let Ok(key) = peer.parse::<PeerKey>() else { continue };
            let key = author(&key);
            if key != self.me && membership.access(&key).is_some() && self.book().hinted(key, &addresses) {
                self.dial(&key);
            }
        }
    }

    /// Returns where this node can be reached, what it was told first: a machine has more addresses than others may be told of.
    pub fn addresses(&self) -> Vec<String> {
        let mut all: Vec<String> = self.announce.iter().map(ToString::to_string).collect();
        for address in self.network.listen_addresses() {
            let text = address.to_string();
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all
    }

    /// Returns the frame that tells what this node says of itself, where it can be reached included.
    pub fn presence(&self) -> Message {
        // An address of the link alone means nothing on another machine.
        let reachable = self.addresses().into_iter().filter(|address| !address.starts_with("/ip6/fe80:"));
        let others = self.book().told_of(OTHERS, OTHERS_ADDRESSES);
        let agents = u32::try_from(self.running().len()).unwrap_or(u32::MAX);
        let addresses = reachable.take(ADDRESSES_PER_PEER).collect();
        let heartbeats = self.heartbeats.get().map(|give| give()).unwrap_or_default();
        let idle = self.idle().clone();
        let presence = Presence { addresses, others, agents, heartbeats, idle, ..(self.describe)() };
        Message::Presence { text: presence.text() }
    }

    /// Tells all members of this node.
    pub fn tell_presence(&self) {
        if let Ok(frame) = self.presence().encode() {
            let frame = Bytes::from(frame);
            for peer in self.connected() {
                // Its queue may be full: the next one comes soon.
                let _ = self.network.try_send(&peer_key(&peer), frame.clone());
            }
        }
    }

    /// Notes who is connected, for after a restart.
    pub fn note_meetings(&self) {
        let (connected, now_ms, view) = (self.connected(), now_ms(), self.store.membership());
        let mut book = self.book();
        connected.into_iter().for_each(|member| book.meets(member, now_ms));
        book.catch_up(|member| view.access(member).is_some());
    }

    /// Lets renewals of a lease be heard that is timed here.
    fn know_lease(&self, of: RecordId) {
        let mut renewals = self.renewals();
        if self.leases().remaining_ms(&of).is_none() {
            renewals.ended(&of);
            return;
        }
        let held = self.store.reader().and_then(|reader| reader.arrival(&of)?.map_or(Ok(None), |arrival| reader.record(arrival)));
        if let Ok(Some(record)) = held {
            renewals.opened(of, record.payload().author);
        }
    }

    /// Takes a renewal in; returns whether others should hear of it.
    pub fn renewed(&self, renewal: &Checked) -> bool {
        self.know_lease(renewal.of());
        let heard = self.renewals().hear(renewal);
        let seconds = match heard {
            Heard::Extended { seconds } => seconds,
            Heard::NotTheHolder => {
                self.strike(renewal.author(), &"it renewed the lease of another member");
                return false;
            }
            Heard::Old | Heard::NotOpen => return false,
        };
        self.leases().handle(LeaseInput::Renewed { of: renewal.of(), seconds: Some(seconds) });
        self.settling.tell(SettleInput::Started { of: renewal.of() });
        true
    }
}

/// Names a member in the network.
pub(super) fn peer_key(author: &AuthorKey) -> PeerKey {
    PeerKey(*author.as_bytes())
}

/// Names a peer as an author.
pub(super) fn author(peer: &PeerKey) -> AuthorKey {
    AuthorKey(peer.0)
}
