//! The loop that joins the network, the store and the links of connected members.
//!
//! **Invariants**: who is let in follows from membership as the store has it; a link that ends takes its connection with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use octopoid_crdt::ids::AuthorKey;
use octopoid_crdt::peer::settle::Input as SettleInput;
use octopoid_net::{Event as NetEvent, Events, PeerKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

use super::contenders::contenders;
use super::link::{self, LinkEnd};
use super::requests;
use super::shared::{Coming, Shared, author, peer_key};
use super::welcome::Reception;
use crate::store::{Event, Fault, TaskNo, now_ms};

/// How often a node tells of itself when nothing changes.
const PRESENCE: Duration = Duration::from_secs(15);
/// Bytes of frames that wait for one link.
const BACKLOG: usize = 8 * 1024 * 1024;

/// A link as the driver sees it.
struct Attached {
    frames: mpsc::Sender<(Bytes, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    task: tokio::task::AbortHandle,
}

/// Owns the links.
pub(super) struct Driver {
    shared: Arc<Shared>,
    links: HashMap<AuthorKey, Attached>,
    ended: JoinSet<(AuthorKey, LinkEnd)>,
    reception: Arc<Reception>,
}

impl Driver {
    pub fn new(shared: Arc<Shared>, reception: Arc<Reception>) -> Self {
        Self { shared, links: HashMap::new(), ended: JoinSet::new(), reception }
    }

    /// Runs until the network stops or the store fails.
    pub async fn run(mut self, mut network: Events) -> Result<(), Fault> {
        let mut news = self.shared.store.events();
        let mut presence = tokio::time::interval(PRESENCE);
        self.follow_membership()?;
        loop {
            tokio::select! {
                event = network.next() => match event {
                    Some(event) => self.network(event),
                    None => return Ok(()),
                },
                event = news.recv() => match event {
                    Ok(events) => self.store(&events)?,
                    Err(broadcast::error::RecvError::Lagged(_)) => self.look_at_all()?,
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                Some(ended) = self.ended.join_next(), if !self.ended.is_empty() => {
                    if let Ok((peer, end)) = ended {
                        self.link_ended(peer, &end);
                    }
                }
                () = self.shared.turned.notified() => self.follow_membership()?,
                _ = presence.tick() => {
                    self.shared.tell_presence();
                    self.shared.note_meetings();
                    self.shared.look_around();
                }
            }
        }
    }

    fn network(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { peer, address } => {
                tracing::debug!(peer = %peer, %address, "connected");
                self.connect(author(&peer));
            }
            NetEvent::Disconnected { peer, reason } => {
                tracing::debug!(peer = %peer, %reason, "disconnected");
                self.disconnect(author(&peer));
            }
            NetEvent::Frame { peer, bytes } => self.frame(author(&peer), bytes),
            NetEvent::Request { peer, bytes, responder } => {
                tokio::spawn(requests::answer(self.shared.clone(), author(&peer), bytes, responder));
            }
            NetEvent::Join { .. } if self.shared.is_kept_offline() => tracing::info!("somebody asks to join; this node keeps to itself"),
            NetEvent::Join { stream } => {
                let reception = self.reception.clone();
                tokio::spawn(async move { reception.receive(stream).await });
            }
            NetEvent::Discovered { peer, address } => {
                if self.shared.book().found(author(&peer), address.clone()) {
                    self.shared.dial(&author(&peer));
                }
                self.shared.look_at(author(&peer), address);
            }
            NetEvent::Gone { peer, address } => {
                if self.shared.book().gone(&author(&peer), &address) {
                    self.shared.namesakes.forget(&author(&peer));
                }
            }
            NetEvent::Misdialed { peer, address, found } => {
                let found = found.map_or_else(|| "somebody else".to_owned(), |found| found.to_string());
                tracing::warn!(peer = %peer, %address, %found, "another node answers at a member's address");
            }
            NetEvent::Struck { peer, offence } => self.shared.strike(author(&peer), &offence),
            NetEvent::Listening { address } => {
                tracing::info!(%address, "members can reach this node here");
                self.shared.book().listening(&address);
                self.shared.tell_presence();
            }
            NetEvent::NotListening { address } => tracing::info!(%address, "members cannot reach this node there any more"),
        }
    }

    fn connect(&mut self, peer: AuthorKey) {
        self.disconnect(peer);
        let (frames, waiting) = mpsc::channel(link::WAITING);
        self.shared.settling.tell(SettleInput::Connected { peer });
        let shared = self.shared.clone();
        let task = self.ended.spawn(async move { (peer, link::run(shared, peer, waiting).await) });
        self.links.insert(peer, Attached { frames, room: Arc::new(Semaphore::new(BACKLOG)), task });
    }

    fn disconnect(&mut self, peer: AuthorKey) {
        if let Some(link) = self.links.remove(&peer) {
            link.task.abort();
        }
        self.shared.settling.tell(SettleInput::Disconnected { peer });
        let now_ms = now_ms();
        let parted = self.shared.members().get_mut(&peer).filter(|state| state.connected).map(|state| {
            (state.connected, state.since_ms) = (false, Some(now_ms));
        });
        if parted.is_some() {
            self.shared.book().parts(peer, now_ms);
            // Nobody may listen.
            let _ = self.shared.comings.send((peer, Coming::Down));
        }
    }

    fn frame(&mut self, peer: AuthorKey, bytes: Bytes) {
        let Some(link) = self.links.get(&peer) else { return };
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let taken = link.room.clone().try_acquire_many_owned(size).ok().map(|room| link.frames.try_send((bytes, room)));
        if !matches!(taken, Some(Ok(()))) {
            self.shared.strike(peer, &"it sends more than the protocol lets it; its connection is closed");
            self.part(peer);
        }
    }

    fn link_ended(&mut self, peer: AuthorKey, end: &LinkEnd) {
        // A connection that was replaced has a new link already.
        if self.links.get(&peer).is_some_and(|link| !link.task.is_finished()) {
            return;
        }
        tracing::warn!(peer = %peer, why = %crate::causes::describe(end), "parted with a member");
        self.part(peer);
    }

    fn part(&mut self, peer: AuthorKey) {
        self.disconnect(peer);
        self.shared.network.disconnect(&peer_key(&peer));
    }

    /// Follows what a commit changed: who is a member, what ended, what to settle anew.
    fn store(&mut self, events: &[Event]) -> Result<(), Fault> {
        let (mut cluster, mut tasks) = (false, BTreeSet::<TaskNo>::new());
        for event in events {
            cluster |= matches!(event.kind, "genesis" | "join" | "remove" | "policy" | "cluster_name");
            tasks.extend(event.task.filter(|no| self.shared.settling.watches(*no)));
        }
        if cluster {
            self.follow_membership()?;
        }
        tasks.into_iter().try_for_each(|no| self.settle_anew(no))
    }

    fn look_at_all(&mut self) -> Result<(), Fault> {
        self.follow_membership()?;
        self.shared.settling.watched().into_iter().try_for_each(|no| self.settle_anew(no))
    }

    fn settle_anew(&self, no: TaskNo) -> Result<(), Fault> {
        let open = contenders(&self.shared.store, no)?;
        self.shared.settling.look(&self.shared.me, no, &open);
        Ok(())
    }

    /// Lets in who is a member, and nobody else; nobody at all while this node is told to keep to itself.
    fn follow_membership(&mut self) -> Result<(), Fault> {
        let view = self.shared.store.membership();
        let members: BTreeSet<AuthorKey> = view.members().map(|(key, _)| *key).filter(|key| *key != self.shared.me).collect();
        self.shared.members().retain(|key, _| members.contains(key));
        self.shared.strikes.keep(&members);
        self.shared.namesakes.forget_members(&members);
        if self.shared.is_kept_offline() {
            self.shared.network.set_members(BTreeSet::new());
            return Ok(());
        }
        self.shared.network.set_members(members.iter().map(peer_key).collect::<BTreeSet<PeerKey>>());
        members.iter().for_each(|member| self.shared.dial(member));
        self.shared.take_hints();
        Ok(())
    }
}
