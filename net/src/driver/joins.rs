//! Joins, both ways.

use std::sync::Arc;
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, Stream};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{Driver, dial};
use crate::command::OpenError;
use crate::event::Event;
use crate::join::JoinStream;
use crate::key::PeerKey;
use crate::network::DialError;
use crate::streams::{Order, Purpose};

/// How many joins are dialed, or run after a dial, at once.
pub(super) const JOINS_OUT: usize = 64;
/// How many joins of others run at once.
pub(super) const JOINS_IN: usize = 32;

type JoinReply = oneshot::Sender<Result<JoinStream, DialError>>;

/// A dial for the join protocol.
pub(super) struct Joining {
    address: Multiaddr,
    slot: OwnedSemaphorePermit,
    reply: JoinReply,
}

impl Driver {
    /// Dials somebody for the join protocol.
    pub(super) fn dial_join(&mut self, address: Multiaddr, peer: Option<PeerKey>, reply: JoinReply) {
        let answer = |reply: JoinReply, error| drop(reply.send(Err(error)));
        let Ok(slot) = Arc::clone(&self.joins_out).try_acquire_owned() else { return answer(reply, DialError::Busy) };
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer.peer_id())
                .addresses(vec![address.clone()])
                .condition(PeerCondition::Always)
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
        };
        let connection = options.connection_id();
        self.swarm.behaviour_mut().streams.expect_joining(connection);
        match self.swarm.dial(options) {
            Ok(()) => drop(self.joining.insert(connection, Joining { address, slot, reply })),
            Err(error) => answer(reply, dial::failure(&error, &address).unwrap_or(DialError::Refused { address })),
        }
    }

    /// Answers a dial that failed; returns whether it was one for the join protocol.
    pub(super) fn on_join_failed(&mut self, connection: ConnectionId, error: &libp2p::swarm::DialError) -> bool {
        let Some(Joining { address, reply, .. }) = self.joining.remove(&connection) else { return false };
        drop(reply.send(Err(dial::failure(error, &address).unwrap_or(DialError::Refused { address }))));
        true
    }

    /// Opens the stream on a connection that was dialed for it.
    pub(super) fn on_join_connected(&mut self, connection: ConnectionId, peer: PeerKey) {
        let Some(Joining { address, slot, reply }) = self.joining.remove(&connection) else { return };
        let (stream_reply, stream) = oneshot::channel();
        self.order(&peer, connection, Order::Open { purpose: Purpose::Join, reply: Some(stream_reply) });
        let deadline = Instant::now() + self.join_time;
        self.serving.spawn(async move {
            let result = match stream.await {
                Ok(Ok(stream)) => Ok(JoinStream::new((peer, address), stream, true, deadline, slot)),
                Ok(Err(OpenError::Broken(error))) => Err(DialError::Unreachable { address, kind: error.kind() }),
                Ok(Err(OpenError::Refused)) | Err(_) => Err(DialError::Refused { address }),
            };
            drop(reply.send(result));
        });
    }

    /// Takes a join of somebody else, if there is room.
    pub(super) fn on_join_came(&mut self, peer: PeerKey, address: Multiaddr, stream: Stream) {
        if !self.swarm.behaviour_mut().streams.admit_join(&address) {
            return tracing::debug!(%peer, %address, "too many joins; one was refused");
        }
        let Ok(slot) = Arc::clone(&self.joins_in).try_acquire_owned() else {
            return tracing::debug!(%peer, %address, "too many joins at once; one was refused");
        };
        let deadline = Instant::now() + self.join_time;
        self.notices.push(Event::Join { stream: JoinStream::new((peer, address), stream, false, deadline, slot) });
    }

    /// Returns how long a connection may last that carries no frames.
    pub(super) fn guest_time(&self) -> Duration {
        crate::limits::GUEST_TIME.max(self.join_time + crate::limits::HANDSHAKE_TIME)
    }
}
