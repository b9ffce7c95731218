//! Connections, and which of them carries a member's frames.
//!
//! **Invariants**: at most one connection to a peer carries frames; the task of one stream has told its end before that of the next begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, Stream};

use super::Driver;
use crate::choose;
use crate::event::{Ended, Offence};
use crate::key::PeerKey;
use crate::lane::Lane;
use crate::limits::SILENCE;
use crate::session::{self, Session};
use crate::streams::{Kind, Order, Purpose};

/// After how long a connection counts as one that worked.
const LASTING: Duration = Duration::from_secs(10);

/// What is done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It waits for the leader's choice.
    Waiting,
    /// This node leads and has asked for the stream.
    Asked,
    /// It carries frames.
    Frames,
    /// It carries none, and ends soon.
    None,
}

/// A connection.
pub(super) struct Link {
    pub peer: PeerKey,
    pub address: Multiaddr,
    pub kind: Kind,
    pub dialed_by_peer: bool,
    pub since: Instant,
    pub used: Use,
    /// For how long nothing was heard, in time during which this node ran.
    pub silent: Duration,
    pub round_trip: Option<Duration>,
}

/// A member's frames, under way.
pub(super) struct Carried {
    pub connection: ConnectionId,
    pub lane: Arc<Lane>,
    since: Instant,
    next: Option<(ConnectionId, Stream)>,
}

impl Driver {
    /// Returns whether there is a connection to a member that carries frames or may come to.
    pub(super) fn has_link(&self, peer: &PeerKey) -> bool {
        self.links.values().any(|link| link.peer == *peer && link.kind == Kind::Member && link.used != Use::None)
    }

    /// Decides what becomes of a new connection between members.
    pub(super) fn on_link(&mut self, connection: ConnectionId, link: Link) {
        let (peer, dialed_by_peer) = (link.peer, link.dialed_by_peer);
        let leads = choose::leads(&self.own, &peer);
        let in_use = self.links.values().filter(|other| other.peer == peer && matches!(other.used, Use::Asked | Use::Frames));
        let in_use_for = in_use.map(|other| other.since.elapsed()).min();
        self.links.insert(connection, link);
        if !leads {
            return;
        }
        if choose::takes_over(in_use_for, dialed_by_peer) {
            self.ask_for_frames(connection);
        } else {
            self.leave_unused(connection);
        }
    }

    fn ask_for_frames(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.used = Use::Asked;
        let peer = link.peer;
        self.order(&peer, connection, Order::Keep(true));
        self.order(&peer, connection, Order::Open { purpose: Purpose::Frames, reply: None });
    }

    /// Leaves a connection to end by itself. It may be one that its dialer opened to join, which only the dialer knows.
    fn leave_unused(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.used = Use::None;
        let peer = link.peer;
        self.order(&peer, connection, Order::Keep(false));
    }

    /// Takes the stream that this node, as the leader, has asked for.
    pub(super) fn on_opened(&mut self, connection: ConnectionId, stream: Stream) {
        if self.links.get(&connection).is_some_and(|link| link.used == Use::Asked) {
            self.carry(connection, stream);
        }
    }

    /// Takes note that the other side does not take frames: to it, this node is no member, or it dialed to join.
    pub(super) fn on_refused(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get(&connection) else { return };
        let peer = link.peer;
        tracing::debug!(%peer, "the peer does not take frames on this connection");
        self.leave_unused(connection);
        self.wait_to_dial(&peer);
        self.publish(&peer);
    }

    /// Takes the stream that the leader has opened.
    pub(super) fn on_frames_came(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(link) = self.links.get(&connection) else { return };
        let peer = link.peer;
        if link.kind != Kind::Member || !self.shared.is_member(&peer) {
            return;
        }
        if choose::leads(&self.own, &peer) || link.used == Use::Frames {
            self.end_link(connection, Ended::Offence(Offence::UnexpectedStream));
            return;
        }
        self.carry(connection, stream);
    }

    /// Lets a stream carry the peer's frames from now on.
    fn carry(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.used = Use::Frames;
        let peer = link.peer;
        let Some(carried) = self.carried.get_mut(&peer) else { return self.begin(connection, stream) };
        carried.lane.close(Ended::Replaced);
        // One that was to be next is overtaken.
        let overtaken = carried.next.replace((connection, stream)).map(|(connection, _)| connection);
        let replaced = carried.connection;
        self.close_link(replaced);
        if let Some(overtaken) = overtaken {
            self.close_link(overtaken);
        }
    }

    fn begin(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(link) = self.links.get(&connection) else { return };
        let (peer, address) = (link.peer, link.address.clone());
        let (lane, frames) = Lane::new();
        {
            let mut state = self.shared.state();
            if !state.members.contains(&peer) {
                return;
            }
            state.lanes.insert(peer, Arc::clone(&lane));
        }
        tracing::info!(%peer, %address, "connected");
        let session = Session { peer, address, stream, lane: Arc::clone(&lane), frames, events: self.events.clone() };
        self.sessions.spawn(async move {
            session::run(session).await;
            peer
        });
        self.carried.insert(peer, Carried { connection, lane, since: Instant::now(), next: None });
        self.publish(&peer);
    }

    /// Goes on after a stream's task has told its end.
    pub(super) fn on_session_ended(&mut self, peer: PeerKey) {
        let Some(carried) = self.carried.remove(&peer) else { return };
        {
            let mut state = self.shared.state();
            if state.lanes.get(&peer).is_some_and(|lane| Arc::ptr_eq(lane, &carried.lane)) {
                state.lanes.remove(&peer);
            }
        }
        tracing::info!(%peer, "disconnected");
        self.close_link(carried.connection);
        if let Some(reach) = self.reaches.get_mut(&peer)
            && carried.since.elapsed() >= LASTING
        {
            reach.failures = 0;
        }
        match carried.next {
            Some((connection, stream)) => self.begin(connection, stream),
            None => self.wait_to_dial(&peer),
        }
        self.publish(&peer);
    }

    /// Ends what a connection carries, and with it the connection.
    fn end_link(&mut self, connection: ConnectionId, reason: Ended) {
        let carried = self.carried.values().find(|carried| carried.connection == connection);
        if let Some(carried) = carried {
            carried.lane.close(reason);
        }
        self.close_link(connection);
    }

    /// Closes a connection, which is gone for this node from now on however long the other side takes.
    pub(super) fn close_link(&mut self, connection: ConnectionId) {
        self.links.remove(&connection);
        self.swarm.close_connection(connection);
    }

    /// Takes note that a connection is closed. Frames that came before are still read, and the task ends with them.
    pub(super) fn on_closed(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.remove(&connection) else { return };
        if link.kind != Kind::Member || link.used == Use::None {
            return;
        }
        let left = self.links.iter().find(|(_, other)| other.peer == link.peer && other.kind == Kind::Member && other.used == Use::None);
        if let (true, Some((left, _))) = (link.used == Use::Asked, left) {
            // The one that was chosen did not come about; the other side may keep this one.
            let left = *left;
            return self.ask_for_frames(left);
        }
        self.wait_to_dial(&link.peer);
        self.publish(&link.peer);
    }

    fn wait_to_dial(&mut self, peer: &PeerKey) {
        let near = self.is_near(peer);
        if let Some(reach) = self.reaches.get_mut(peer) {
            reach.wait(near);
        }
    }

    /// Takes note that a peer answered.
    pub(super) fn on_ping(&mut self, connection: ConnectionId, round_trip: Duration) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.silent = Duration::ZERO;
        link.round_trip = Some(round_trip);
        let peer = link.peer;
        self.publish(&peer);
    }

    /// Ends connections that are silent or of no use. `ran` is for how long this node ran since the last call.
    pub(super) fn sweep(&mut self, ran: Duration) {
        for carried in self.carried.values() {
            if let Some(link) = self.links.get_mut(&carried.connection) {
                link.silent = if carried.lane.take_heard() { Duration::ZERO } else { link.silent + ran };
            }
        }
        let guest_time = self.guest_time();
        let over = self.links.iter().filter_map(|(connection, link)| match link.used {
            Use::Frames => (link.silent > SILENCE).then_some((*connection, Ended::Silent)),
            Use::Waiting | Use::Asked | Use::None => (link.since.elapsed() > guest_time).then_some((*connection, Ended::Broken)),
        });
        for (connection, reason) in over.collect::<Vec<_>>() {
            let link = self.links.get(&connection).map(|link| (link.peer, link.used));
            self.end_link(connection, reason);
            if let Some((peer, Use::Waiting | Use::Asked)) = link {
                self.wait_to_dial(&peer);
            }
        }
    }

    /// Closes the connections of one that is no member any more.
    pub(super) fn cut_off(&mut self, peer: &PeerKey) {
        let of_peer = self.links.iter().filter(|(_, link)| link.peer == *peer && link.kind == Kind::Member);
        for connection in of_peer.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            self.close_link(connection);
        }
    }
}
