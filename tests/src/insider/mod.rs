//! A member of a cluster that is no node: it speaks the protocol between nodes, and says what a test wants it to say.
//!
//! It joins by a ticket with a key of its own, keeps up with the nodes that it is connected to, and acknowledges what they
//! write, as an honest member does. What it writes is up to the test, down to the single byte.

mod ears;
mod held;
mod pen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use octopoid_client::InviteRequest;
use octopoid_crdt::ids::{AuthorKey, ClusterId, RecordId};
use octopoid_crdt::peer::join::{JoinFrame, Joiner, JoinerOutput, Ticket};
use octopoid_crdt::peer::{Message, Renewal};
use octopoid_crdt::record::{Payload, Signer, Verified};
use octopoid_net::{Event, Events, Limits, Multiaddr, Network, PeerKey, SecretKey, Settings, bootstrap, start};
use tokio::task::JoinHandle;

use self::ears::Heard;
use self::pen::Pen;
use crate::{Project, wait::until};

pub use pen::task_subject;

/// A member that a test speaks for.
pub struct Insider {
    key: AuthorKey,
    cluster: ClusterId,
    network: Network,
    heard: Arc<Mutex<Heard>>,
    pen: Pen,
    addresses: BTreeMap<PeerKey, Multiaddr>,
    listening: JoinHandle<()>,
}

impl Drop for Insider {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    bytes
}

/// Draws a key and starts its network, which nobody knows yet.
async fn appear() -> ([u8; 32], Network, Events) {
    let seed = random();
    let secret = SecretKey::from_bytes(&mut seed.clone());
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    let (network, mut events) =
        start(Settings { secret, listen, mdns: false, limits: Limits::default() }).await.expect("a network on loopback");
    while !matches!(events.next().await.expect("the network runs"), Event::Listening { .. }) {}
    (seed, network, events)
}

/// Somebody with a key who is no member.
pub struct Stranger {
    network: Network,
    // The network ends when nobody listens to it.
    _events: Events,
}

impl Stranger {
    /// Draws a key.
    pub async fn appear() -> Self {
        let (_, network, events) = appear().await;
        Self { network, _events: events }
    }

    /// Speaks the join protocol to a running node, in bytes that are none of its frames.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn say_nonsense(&self, machine: &Project) {
        let (peer, address) = address_of(machine);
        let address: Multiaddr = format!("{address}/p2p/{peer}").parse().expect("an address");
        // Behind a crowd that is only just leaving there may be no room for another stranger yet.
        let dial = async || self.network.dial_join(address.clone()).await.map_err(|error| error.to_string());
        let mut stream = machine.until("room for a stranger", dial).await;
        stream.send(&[0xff; 64]).await.expect("sent");
        let answer = JoinFrame::decode(&stream.receive().await.expect("an answer")).expect("a step of joining");
        assert!(matches!(answer, JoinFrame::Refused(_)), "{answer:?}");
    }
}

/// Returns where a running node can be reached, and its key.
fn address_of(machine: &Project) -> (PeerKey, Multiaddr) {
    let said = machine.run(&["peers", "addresses"]);
    bootstrap(said.ok().lines().next().expect("an address")).expect("an address with a key")
}

async fn redeem(network: &Network, me: AuthorKey, ticket: &Ticket, name: &str) -> Verified {
    let address = format!("{}/p2p/{}", ticket.addresses[0], PeerKey(ticket.inviter.0));
    let mut stream = network.dial_join(address.parse().expect("an address")).await.expect("the inviter answers");
    let host = AuthorKey(stream.peer().0);
    let (mut joiner, frame) = Joiner::redeem(me, host, ticket, name.parse().expect("a name")).expect("the ticket is the host's");
    stream.send(&frame.encode().expect("a frame")).await.expect("sent");
    let answer = JoinFrame::decode(&stream.receive().await.expect("an answer")).expect("a step of joining");
    let JoinerOutput::Joined { genesis, .. } = joiner.handle(answer).expect("it is let in") else { panic!("a ticket lets in at once") };
    *genesis
}

impl Insider {
    /// Joins the cluster of a running node by a ticket for this access, and connects to that node.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn join(host: &Project, name: &str, access: &str) -> Self {
        let request = InviteRequest { access: Some(access.to_owned()), ..InviteRequest::default() };
        let ticket: Ticket = host.client().invite(&request).await.expect("an invitation").ticket.parse().expect("a ticket");
        let (seed, network, events) = appear().await;
        let (key, cluster) = (Signer::from_seed(&seed).author(), ticket.cluster);
        let genesis = redeem(&network, key, &ticket, name).await;
        let heard = Arc::new(Mutex::new(Heard::new(genesis)));
        let listening = tokio::spawn(ears::listen(events, network.clone(), heard.clone()));
        let pen = Pen::new(&seed, cluster, random());
        let mut insider = Self { key, cluster, network, heard, pen, addresses: BTreeMap::new(), listening };
        insider.connect(host).await;
        insider
    }

    /// Connects to a running node as well, and waits until both hold the same records.
    ///
    /// # Panics
    /// When that fails.
    pub async fn connect(&mut self, machine: &Project) -> PeerKey {
        let peer = self.dial(machine);
        self.until("both hold the same records", |heard| heard.agrees(&peer)).await;
        peer
    }

    /// Returns the key of a running node.
    #[must_use]
    pub fn peer_of(machine: &Project) -> PeerKey {
        address_of(machine).0
    }

    /// Lets a running node be dialed, again and again, whatever it answers.
    ///
    /// # Panics
    /// When its address is none.
    pub fn dial(&mut self, machine: &Project) -> PeerKey {
        let (peer, address) = address_of(machine);
        self.network.set_addresses(peer, std::slice::from_ref(&address)).expect("an address");
        self.addresses.insert(peer, address);
        self.network.set_members(self.addresses.keys().copied().collect::<BTreeSet<_>>());
        peer
    }

    /// Sets which versions of the protocol it says that it speaks, on every connection from now on.
    pub fn speaks(&self, low: u64, high: u64) {
        self.heard().versions = (low, high);
    }

    /// Answers no request from now on, and refuses none.
    pub fn keeps_askers_waiting(&self) {
        self.heard().askers = Some(Vec::new());
    }

    /// Waits until somebody waits for an answer.
    ///
    /// # Panics
    /// When nobody does.
    pub async fn until_asked(&self) {
        self.until("somebody asks", |heard| heard.askers.as_ref().is_some_and(|askers| !askers.is_empty())).await;
    }

    /// Closes the connection to a node; it is dialed anew.
    pub fn hang_up(&self, peer: &PeerKey) {
        self.network.disconnect(peer);
    }

    /// Leaves a node for good, and waits until it is gone.
    pub async fn forget(&mut self, peer: &PeerKey) {
        self.addresses.remove(peer);
        self.network.set_members(self.addresses.keys().copied().collect::<BTreeSet<_>>());
        self.until_cut_off(peer).await;
    }

    /// Returns its key.
    #[must_use]
    pub fn key(&self) -> AuthorKey {
        self.key
    }

    /// Returns the cluster.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what it heard is as it should be.
    async fn until(&self, what: &str, mut is: impl FnMut(&Heard) -> bool) {
        let look = async || {
            let heard = self.heard();
            if is(&heard) { Ok(()) } else { Err(format!("{:#?}", heard.talks)) }
        };
        until(look).await.unwrap_or_else(|seen| panic!("never came about: {what}\nlast heard: {seen}"));
    }

    /// Waits for a record that it is told of, and returns it.
    ///
    /// # Panics
    /// When none comes.
    pub async fn until_told(&self, what: &str, is: impl Fn(&Payload) -> bool) -> Verified {
        let look = async || self.find(&is).ok_or_else(|| "no such record".to_owned());
        until(look).await.unwrap_or_else(|seen| panic!("never came: {what}: {seen}"))
    }

    /// Returns the latest record that it holds of some kind.
    #[must_use]
    pub fn find(&self, is: impl Fn(&Payload) -> bool) -> Option<Verified> {
        self.heard().held.records().rfind(|record| is(record.payload())).cloned()
    }

    /// Tells whether it holds a record.
    #[must_use]
    pub fn holds(&self, id: &RecordId) -> bool {
        self.heard().held.get(id).is_some()
    }

    /// Returns why a node said that it closed connections or found fault, in order.
    #[must_use]
    pub fn rebukes(&self, peer: &PeerKey) -> Vec<String> {
        self.heard().talks.get(peer).map(|talk| talk.rebukes.clone()).unwrap_or_default()
    }

    /// Waits until a node has told why it closed a connection, or that it found fault.
    pub async fn until_rebuked(&self, peer: &PeerKey, word: &str) {
        let told = |heard: &Heard| heard.talks.get(peer).is_some_and(|talk| talk.rebukes.iter().any(|why| why.contains(word)));
        self.until(&format!("a rebuke with '{word}'"), told).await;
    }

    /// Tells whether a node is connected and has greeted.
    #[must_use]
    pub fn is_connected(&self, peer: &PeerKey) -> bool {
        self.heard().talks.get(peer).is_some_and(|talk| talk.greeted)
    }

    /// Waits until a node has greeted, after a connection was lost too.
    pub async fn until_connected(&self, peer: &PeerKey) {
        self.until("the node has greeted", |heard| heard.talks.get(peer).is_some_and(|talk| talk.greeted)).await;
    }

    /// Waits until a node has ended the connection.
    pub async fn until_cut_off(&self, peer: &PeerKey) {
        self.until("the node has ended the connection", |heard| heard.talks.get(peer).is_some_and(|talk| !talk.greeted)).await;
    }

    /// Waits until a node has refused so many further connections.
    ///
    /// # Panics
    /// When it does not.
    pub async fn until_refused(&self, peer: &PeerKey, times: u32) {
        let look = async || {
            let status = self.network.peers().into_iter().find(|status| status.peer == *peer).ok_or("not dialed")?;
            if status.failed_dials >= times { Ok(()) } else { Err(format!("{status:#?}")) }
        };
        until(look).await.unwrap_or_else(|seen| panic!("never refused {times} times: {seen}"));
    }

    /// Returns the renewals of a claim that it was told of.
    #[must_use]
    pub fn renewals(&self, of: &RecordId) -> Vec<Renewal> {
        self.heard().renewals.iter().filter(|renewal| renewal.of() == *of).cloned().collect()
    }

    /// Sends renewals to a node.
    ///
    /// # Panics
    /// When it is not connected.
    pub fn renew(&self, peer: &PeerKey, renewals: Vec<Renewal>) {
        self.send(peer, Message::Renew { renewals }.encode().expect("a frame of renewals"));
    }

    /// Sends the bytes of a frame, whatever they are.
    ///
    /// # Panics
    /// When the node is not connected.
    pub fn send(&self, peer: &PeerKey, frame: impl Into<Bytes>) {
        self.network.try_send(peer, frame.into()).expect("the node is connected");
    }

    /// Sends a frame of records, whatever their bytes are, and waits until the node has said what came of it: the records
    /// that it does not hold because it lacks what they build on.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn give_wires(&self, peer: &PeerKey, records: Vec<Vec<u8>>) -> Vec<RecordId> {
        let number = {
            let mut heard = self.heard();
            let talk = heard.talks.get_mut(peer).filter(|talk| talk.greeted).expect("the node is connected");
            talk.sent += 1;
            let frame = Message::Records { number: talk.sent, records }.encode().expect("a frame of records");
            self.send(peer, frame);
            talk.sent
        };
        let answer = |heard: &Heard| heard.talks.get(peer).and_then(|talk| talk.acked.get(&number).cloned());
        self.until("the node acknowledges the records", |heard| answer(heard).is_some()).await;
        answer(&self.heard()).unwrap_or_default()
    }

    /// Gives records to a node, which must take them in.
    ///
    /// # Panics
    /// When it does not.
    pub async fn give(&self, peer: &PeerKey, records: &[Verified]) {
        let waiting = self.give_wires(peer, records.iter().map(|record| record.wire().to_vec()).collect()).await;
        assert!(waiting.is_empty(), "the node lacks what these build on: {waiting:?}");
    }
}
