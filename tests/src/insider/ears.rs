//! What an insider hears, and what it answers by itself: greetings, tips and acknowledgements, as an honest member does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use octopoid_crdt::ids::{ClusterId, RecordId};
use octopoid_crdt::peer::{ClaimAnswer, Message, Renewal};
use octopoid_crdt::record::{Body, Verified};
use octopoid_net::{Event, Events, Network, PeerKey, Responder};

use super::held::Held;

/// The talk with one node.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Whether the node has greeted on the connection that there is.
    pub greeted: bool,
    /// The number of the last frame of records that was sent on this connection.
    pub sent: u64,
    /// For each of these frames what the node lacked.
    pub acked: BTreeMap<u64, Vec<RecordId>>,
    /// What the node found fault with, on all connections.
    pub rebukes: Vec<String>,
    /// What the node said that it holds.
    digest: Option<[u8; 32]>,
    /// Whether tips were told that the node has not answered.
    asked: bool,
}

/// Everything that was heard.
pub(super) struct Heard {
    pub held: Held,
    pub talks: BTreeMap<PeerKey, Talk>,
    /// The lowest and the highest version that it says it speaks.
    pub versions: (u64, u64),
    /// Renewals of leases, as they were told.
    pub renewals: Vec<Renewal>,
    /// Who asks something, if they are kept waiting.
    pub askers: Option<Vec<Responder>>,
    cluster: ClusterId,
}

/// Hears until the network ends.
pub(super) async fn listen(mut events: Events, network: Network, heard: Arc<Mutex<Heard>>) {
    while let Some(event) = events.next().await {
        let (peer, answers) = heard.lock().unwrap_or_else(PoisonError::into_inner).event(event);
        for answer in answers {
            let frame = answer.encode().expect("what it answers by itself is a frame");
            // The connection may have ended meanwhile.
            let _ = peer.map(|peer| network.try_send(&peer, frame.into()));
        }
    }
}

impl Heard {
    pub(super) fn new(genesis: Verified) -> Self {
        Self {
            cluster: genesis.cluster(),
            held: Held::of(genesis),
            talks: BTreeMap::new(),
            versions: (1, 1),
            renewals: Vec::new(),
            askers: None,
        }
    }

    /// Tells whether a node said that it holds what is held here.
    pub(super) fn agrees(&self, peer: &PeerKey) -> bool {
        self.talks.get(peer).is_some_and(|talk| talk.greeted && talk.digest == Some(self.held.chains().digest()))
    }

    fn event(&mut self, event: Event) -> (Option<PeerKey>, Vec<Message>) {
        match event {
            Event::Connected { peer, .. } => {
                let talk = self.talks.entry(peer).or_default();
                *talk = Talk { rebukes: std::mem::take(&mut talk.rebukes), ..Talk::default() };
                let ((low, high), digest) = (self.versions, self.held.chains().digest());
                (Some(peer), vec![Message::Hello { low, high, cluster: self.cluster, digest }])
            }
            Event::Disconnected { peer, .. } => {
                self.talks.entry(peer).or_default().greeted = false;
                (None, Vec::new())
            }
            Event::Frame { peer, bytes } => {
                let message = Message::decode(&bytes).expect("an honest node sends well-formed frames");
                let mut talk = self.talks.remove(&peer).unwrap_or_default();
                let answers = message.map(|message| self.message(peer, &mut talk, message)).unwrap_or_default();
                self.talks.insert(peer, talk);
                (Some(peer), answers)
            }
            Event::Request { responder, .. } => {
                // Dropped requests are refused, joins below as well.
                if let Some(askers) = &mut self.askers {
                    askers.push(responder);
                }
                (None, Vec::new())
            }
            Event::Listening { .. }
            | Event::NotListening { .. }
            | Event::Join { .. }
            | Event::Discovered { .. }
            | Event::Gone { .. }
            | Event::Misdialed { .. }
            | Event::Struck { .. } => (None, Vec::new()),
        }
    }

    fn message(&mut self, peer: PeerKey, talk: &mut Talk, message: Message) -> Vec<Message> {
        match message {
            Message::Hello { digest, .. } => {
                talk.greeted = true;
                self.compare(talk, digest)
            }
            Message::Digest { digest } => self.compare(talk, digest),
            Message::Tips { more: true, .. } => Vec::new(),
            Message::Tips { tips, more: false } => {
                let known = tips.values().flatten().all(|id| self.held.get(id).is_some());
                if known && tips == self.held.chains().tips() {
                    talk.digest = Some(self.held.chains().digest());
                }
                // Either this answers the own tips, or they answer this.
                if std::mem::take(&mut talk.asked) { Vec::new() } else { vec![self.tips()] }
            }
            Message::Records { number, records } => vec![self.records(&peer, number, &records)],
            Message::Ack { number, waiting, .. } => {
                talk.acked.insert(number, waiting);
                Vec::new()
            }
            Message::Struck { reason } | Message::Bye { reason } => {
                talk.rebukes.push(reason);
                Vec::new()
            }
            Message::Renew { renewals } => {
                self.renewals.extend(renewals);
                Vec::new()
            }
            Message::Unknown { .. } | Message::Presence { .. } => Vec::new(),
        }
    }

    fn compare(&self, talk: &mut Talk, digest: [u8; 32]) -> Vec<Message> {
        talk.digest = Some(digest);
        if digest == self.held.chains().digest() {
            return Vec::new();
        }
        talk.asked = true;
        vec![self.tips()]
    }

    fn tips(&self) -> Message {
        Message::Tips { tips: self.held.chains().tips(), more: false }
    }

    /// Keeps a frame of records and acknowledges it: nothing competes with what the node claimed.
    fn records(&mut self, peer: &PeerKey, number: u64, wires: &[Vec<u8>]) -> Message {
        let check = |wire: &Vec<u8>| Verified::check(self.cluster, wire).expect("an honest node relays good records");
        let records: Vec<Verified> = wires.iter().map(check).collect();
        records.iter().for_each(|record| self.held.take(record.clone()));
        let mut waiting: Vec<RecordId> = records.iter().map(Verified::id).filter(|id| self.held.get(id).is_none()).collect();
        waiting.sort_unstable();
        let held = records.iter().filter(|record| self.held.get(&record.id()).is_some() && record.payload().author.0 == peer.0);
        let claims = held.filter(|record| matches!(record.payload().body, Body::Claim { .. } | Body::Review { .. }));
        let answers = claims.map(|claim| ClaimAnswer { of: claim.id(), rivals: Vec::new() }).collect();
        Message::Ack { number, waiting, answers }
    }
}
