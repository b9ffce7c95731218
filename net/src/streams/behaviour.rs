//! All connections' streams, and who may have a connection at all.
//!
//! **Invariants**: what a connection is for is decided when it begins and stays: membership can be lost on a connection, but not won; one
//! that a node dials to join offers nothing to the other side.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, ToSwarm};
use libp2p::{Multiaddr, PeerId};

use super::handler::{Handler, Order, Purpose, Report};
use crate::address;
use crate::gate::Gate;
use crate::key::PeerKey;
use crate::limits::Limits;
use crate::shared::Shared;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Frames and requests of members.
    Member,
    /// Somebody unknown that may ask to join.
    Guest,
    /// This node asks somebody to let it join.
    Joining,
}

/// States that a peer has no business here.
#[derive(Debug, thiserror::Error)]
enum Unwelcome {
    #[error("the key is not an Ed25519 key")]
    Key,
    #[error("the peer is not a member")]
    NoMember,
}

/// See the module.
pub(crate) struct Streams {
    shared: Arc<Shared>,
    gate: Gate<ConnectionId>,
    joining: HashSet<ConnectionId>,
    kinds: HashMap<ConnectionId, Kind>,
    waiting: VecDeque<ToSwarm<(ConnectionId, Report), Order>>,
}

impl Streams {
    pub(crate) fn new(shared: Arc<Shared>, limits: Limits) -> Self {
        Self { shared, gate: Gate::new(limits, Instant::now()), joining: HashSet::new(), kinds: HashMap::new(), waiting: VecDeque::new() }
    }

    /// States that a dial that begins now is for the join protocol.
    pub(crate) fn expect_joining(&mut self, connection: ConnectionId) {
        self.joining.insert(connection);
    }

    /// Returns what a connection is for.
    pub(crate) fn kind(&self, connection: ConnectionId) -> Option<Kind> {
        self.kinds.get(&connection).copied()
    }

    /// Gives an order to a connection; one that is gone drops it, and with it the reply.
    pub(crate) fn order(&mut self, peer: &PeerKey, connection: ConnectionId, order: Order) {
        self.waiting.push_back(ToSwarm::NotifyHandler { peer_id: peer.peer_id(), handler: NotifyHandler::One(connection), event: order });
    }

    /// Returns whether a join stream from an address may begin.
    pub(crate) fn admit_join(&mut self, from: &Multiaddr) -> bool {
        self.gate.admit_join(ip(from), Instant::now())
    }

    fn handler(&mut self, connection: ConnectionId, kind: Kind) -> Handler {
        self.kinds.insert(connection, kind);
        match kind {
            Kind::Member => Handler::new(&[Purpose::Frames, Purpose::Request, Purpose::Join], true),
            Kind::Guest => Handler::new(&[Purpose::Join], false),
            Kind::Joining => Handler::new(&[], false),
        }
    }
}

/// Returns where a connection comes from; all that have no IP address count as one.
fn ip(address: &Multiaddr) -> IpAddr {
    address::ip(address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = (ConnectionId, Report);

    fn handle_pending_inbound_connection(&mut self, id: ConnectionId, _: &Multiaddr, from: &Multiaddr) -> Result<(), ConnectionDenied> {
        self.gate.admit_pending(id, ip(from), Instant::now()).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.gate.shown(&id);
        let peer = PeerKey::from_peer_id(&peer).ok_or_else(|| ConnectionDenied::new(Unwelcome::Key))?;
        if self.shared.is_member(&peer) {
            return Ok(self.handler(id, Kind::Member));
        }
        self.gate.admit_guest(id, ip(from)).map_err(ConnectionDenied::new)?;
        Ok(self.handler(id, Kind::Guest))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        let peer = PeerKey::from_peer_id(&peer).ok_or_else(|| ConnectionDenied::new(Unwelcome::Key))?;
        if self.joining.contains(&id) {
            return Ok(self.handler(id, Kind::Joining));
        }
        // It may have been removed while the dial was under way.
        if !self.shared.is_member(&peer) {
            return Err(ConnectionDenied::new(Unwelcome::NoMember));
        }
        Ok(self.handler(id, Kind::Member))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; the rest does not concern streams")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let gone = match event {
            FromSwarm::ConnectionClosed(closed) => closed.connection_id,
            FromSwarm::ListenFailure(failure) => failure.connection_id,
            FromSwarm::DialFailure(failure) => failure.connection_id,
            _ => return,
        };
        self.gate.ended(&gone);
        self.joining.remove(&gone);
        self.kinds.remove(&gone);
    }

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, report: Report) {
        self.waiting.push_back(ToSwarm::GenerateEvent((connection, report)));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<(ConnectionId, Report), Order>> {
        // The driver that fills the queue polls the swarm right after.
        self.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
