//! The one task that owns the swarm.
//!
//! **Invariants**: it never waits for a peer or for the owner of the events; every table in it is bounded by the members, by [`Limits`], or
//! by a constant.

mod backoff;
mod dial;
mod joins;
mod links;
mod listen;
mod names;
mod notices;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::futures::StreamExt;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use libp2p_ping as ping;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::address;
use crate::command::Command;
use crate::discovery::{self, Heard};
use crate::event::{Delivery, Event, Events};
use crate::key::PeerKey;
use crate::limits::{EVENTS_WAITING, PARTING_TIME};
use crate::network::{Network, PeerStatus};
use crate::session;
use crate::shared::Shared;
use crate::start::{Settings, StartError};
use crate::streams::{Kind, Order, Purpose, Report};
use crate::transport::{self, Behaviour, BehaviourEvent};
use dial::Reach;
use joins::{JOINS_IN, JOINS_OUT, Joining};
use links::{Carried, Link, Use};
use names::Names;
use notices::Notices;

/// How often silent peers and due dials are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How many commands wait for the driver.
const COMMANDS_WAITING: usize = 64;

/// See the module.
struct Driver {
    own: PeerKey,
    swarm: Swarm<Behaviour>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Delivery>,
    notices: Notices,
    reaches: BTreeMap<PeerKey, Reach>,
    links: HashMap<ConnectionId, Link>,
    carried: HashMap<PeerKey, Carried>,
    sessions: JoinSet<PeerKey>,
    serving: JoinSet<()>,
    joining: HashMap<ConnectionId, Joining>,
    joins_in: Arc<Semaphore>,
    joins_out: Arc<Semaphore>,
    join_time: Duration,
    names: Names,
    announced: watch::Sender<BTreeSet<Multiaddr>>,
}

/// Starts the driver; see [`crate::start`].
pub(crate) fn start(settings: Settings) -> Result<(Network, Events), StartError> {
    let own = settings.secret.peer_key();
    let shared = Arc::new(Shared::default());
    let join_time = settings.limits.join_time;
    let mut swarm = transport::swarm(&settings.secret, &shared, settings.limits).map_err(StartError::Encryption)?;
    listen::listen(&mut swarm, &settings.listen)?;
    let (commands, commanded) = mpsc::channel(COMMANDS_WAITING);
    let (events, inbox) = mpsc::channel(EVENTS_WAITING);
    let (announced, announcing) = watch::channel(BTreeSet::new());
    let heard = settings.mdns.then(|| discovery::start(own, announcing));
    let driver = Driver {
        own,
        swarm,
        shared: Arc::clone(&shared),
        events,
        notices: Notices::default(),
        reaches: BTreeMap::new(),
        links: HashMap::new(),
        carried: HashMap::new(),
        sessions: JoinSet::new(),
        serving: JoinSet::new(),
        joining: HashMap::new(),
        joins_in: Arc::new(Semaphore::new(JOINS_IN)),
        joins_out: Arc::new(Semaphore::new(JOINS_OUT)),
        join_time,
        names: Names::default(),
        announced,
    };
    tokio::spawn(driver.run(commanded, heard));
    Ok((Network { shared, commands, own }, Events(inbox)))
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut heard: Option<mpsc::Receiver<Heard>>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticked = Instant::now();
        let events = self.events.clone();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = commands.recv() => match command {
                    Some(Command::Request { peer, reply }) => {
                        // Without a connection the reply is dropped, which says so.
                        if let Some(connection) = self.carried.get(&peer).map(|carried| carried.connection) {
                            self.order(&peer, connection, Order::Open { purpose: Purpose::Request, reply: Some(reply) });
                        }
                    }
                    Some(Command::Join { address, peer, reply }) => self.dial_join(address, peer, reply),
                    Some(Command::Stop) | None => break,
                },
                () = self.shared.changed.notified() => self.reconcile(),
                _ = ticks.tick() => {
                    // A node that was stopped, or a machine that slept, has not listened: only so much counts as silence.
                    let ran = ticked.elapsed().min(TICK * 2);
                    ticked = Instant::now();
                    self.sweep(ran);
                    self.dial_due();
                }
                Some(Ok(peer)) = self.sessions.join_next() => self.on_session_ended(peer),
                Some(_) = self.serving.join_next() => (),
                name = next(&mut heard) => match name {
                    Some(name) => self.on_heard(name),
                    None => heard = None,
                },
                permit = events.reserve(), if !self.notices.is_empty() => match (permit, self.notices.pop()) {
                    (Ok(permit), Some(event)) => permit.send(Delivery::plain(event)),
                    // Nobody takes events any more.
                    _ => break,
                },
            }
        }
        self.part().await;
        drop(self);
        if let Some(mut heard) = heard {
            // The announcer has ended when its end of the channel is gone.
            let ended = async { while heard.recv().await.is_some() {} };
            let _ = timeout(PARTING_TIME, ended).await;
        }
    }

    /// Lets what waits go out, for a while.
    async fn part(&mut self) {
        for carried in self.carried.values() {
            carried.lane.part();
        }
        let sent = async {
            while !self.sessions.is_empty() {
                tokio::select! {
                    _ = self.sessions.join_next() => (),
                    _ = self.swarm.select_next_some() => (),
                }
            }
            // What the streams took is on its way through the connections, which must not be dropped with it.
            for connection in self.links.keys() {
                self.swarm.close_connection(*connection);
            }
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(PARTING_TIME, sent).await.is_err() {
            tracing::debug!("not everything that waited could be sent before the stop");
        }
        self.shared.state().lanes.clear();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; the rest is told by other events")]
    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams((connection, report))) => self.on_report(connection, report),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { connection, result: Ok(round_trip), .. })) => {
                self.on_ping(connection, round_trip);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let kind = self.swarm.behaviour().streams.kind(connection_id);
                if let (Some(peer), Some(kind)) = (PeerKey::from_peer_id(&peer_id), kind) {
                    let address = bare(endpoint.get_remote_address());
                    self.on_established(connection_id, peer, kind, address, endpoint.is_listener());
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => self.on_closed(connection_id),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let dialed = self.reaches.iter().find(|(_, reach)| reach.dialing == Some(connection_id));
                let dialed = dialed.map(|(peer, _)| *peer);
                if !self.on_join_failed(connection_id, &error)
                    && let Some(peer) = dialed
                {
                    self.on_dial_failed(peer, &error);
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address, true),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_listening(address, false),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?reason, "a listener has ended");
                addresses.into_iter().for_each(|address| self.on_listening(address, false));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a connection could not be accepted"),
            _ => (),
        }
    }

    fn on_established(&mut self, connection: ConnectionId, peer: PeerKey, kind: Kind, address: Multiaddr, dialed_by_peer: bool) {
        let (since, silent) = (Instant::now(), Duration::ZERO);
        let used = if kind == Kind::Member { Use::Waiting } else { Use::None };
        let link = Link { peer, address, kind, dialed_by_peer, since, used, silent, round_trip: None };
        match kind {
            Kind::Member => {
                if let Some(reach) = self.reaches.get_mut(&peer) {
                    if reach.dialing == Some(connection) {
                        reach.dialing = None;
                    }
                    reach.last_failure = None;
                }
                self.on_link(connection, link);
                self.publish(&peer);
            }
            Kind::Guest => drop(self.links.insert(connection, link)),
            Kind::Joining => {
                self.links.insert(connection, link);
                self.on_join_connected(connection, peer);
            }
        }
    }

    fn on_report(&mut self, connection: ConnectionId, report: Report) {
        match report {
            Report::Opened(stream) => self.on_opened(connection, stream),
            Report::Refused => self.on_refused(connection),
            Report::Came(Purpose::Frames, stream) => self.on_frames_came(connection, stream),
            Report::Came(Purpose::Request, stream) => {
                let Some(link) = self.links.get(&connection) else { return };
                // Requests belong to the connection that carries the frames, and to members.
                let carried = self.carried.get(&link.peer).filter(|carried| carried.connection == connection);
                if let Some(carried) = carried
                    && self.shared.is_member(&link.peer)
                {
                    self.serving.spawn(session::serve(link.peer, stream, Arc::clone(&carried.lane), self.events.clone()));
                }
            }
            Report::Came(Purpose::Join, stream) => {
                let from = self.links.get(&connection).map(|link| (link.peer, link.address.clone()));
                if let Some((peer, address)) = from {
                    self.on_join_came(peer, address, stream);
                }
            }
        }
    }

    /// Does what follows from new members and addresses.
    fn reconcile(&mut self) {
        let (members, addresses) = {
            let state = self.shared.state();
            (state.members.clone(), state.addresses.clone())
        };
        let removed: Vec<PeerKey> = self.reaches.keys().filter(|peer| !members.contains(peer)).copied().collect();
        for peer in removed {
            self.reaches.remove(&peer);
            self.cut_off(&peer);
        }
        for peer in members.into_iter().filter(|peer| *peer != self.own) {
            let given = addresses.get(&peer).cloned().unwrap_or_default();
            self.reaches.entry(peer).or_insert_with(|| Reach::new(given.clone())).give(given);
            self.publish(&peer);
        }
        self.dial_due();
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Name(peer, address) => {
                if peer != self.own && self.names.add(peer, address.clone()) {
                    self.notices.push(Event::Discovered { peer, address });
                    if let Some(reach) = self.reaches.get_mut(&peer) {
                        reach.hurry();
                    }
                    self.dial_due();
                }
            }
            Heard::Gone(peer, address) => {
                if self.names.remove(peer, address.clone()) {
                    self.notices.push(Event::Gone { peer, address });
                }
            }
            Heard::Flood => {
                for (peer, address) in self.names.clear() {
                    self.notices.push(Event::Gone { peer, address });
                }
            }
        }
    }

    fn on_listening(&mut self, address: Multiaddr, listening: bool) {
        if !address::is_shareable(&address) {
            return;
        }
        let changed = {
            let mut state = self.shared.state();
            if listening { state.listening.insert(address.clone()) } else { state.listening.remove(&address) }
        };
        if changed {
            self.announced.send_replace(self.shared.state().listening.clone());
            self.notices.push(if listening { Event::Listening { address } } else { Event::NotListening { address } });
        }
    }

    fn order(&mut self, peer: &PeerKey, connection: ConnectionId, order: Order) {
        self.swarm.behaviour_mut().streams.order(peer, connection, order);
    }

    /// Writes down how it stands with a member.
    fn publish(&self, peer: &PeerKey) {
        let Some(reach) = self.reaches.get(peer) else { return };
        let carried = self.carried.get(peer);
        let link = carried.and_then(|carried| self.links.get(&carried.connection));
        let status = PeerStatus {
            peer: *peer,
            connected: link.is_some(),
            address: link.map(|link| link.address.clone()),
            connections: self.links.values().filter(|link| link.peer == *peer).count(),
            round_trip: link.and_then(|link| link.round_trip),
            queued_bytes: 0,
            failed_dials: if link.is_some() { 0 } else { reach.failures },
            last_failure: reach.last_failure.clone(),
        };
        let mut state = self.shared.state();
        if state.members.contains(peer) {
            state.statuses.insert(*peer, status);
        }
    }
}

async fn next(heard: &mut Option<mpsc::Receiver<Heard>>) -> Option<Heard> {
    match heard {
        Some(heard) => heard.recv().await,
        None => std::future::pending().await,
    }
}

/// Takes the peer's name from the end of an address.
fn bare(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, libp2p::multiaddr::Protocol::P2p(_))).collect()
}
