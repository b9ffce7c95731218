//! The handle to the network: what a node asks of it.
//!
//! **Invariants**: a frame that was taken is sent once, in order, on the connection that was there; whether it arrived only the other side
//! can tell. Nothing here waits for the network unless its name says so.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot};

use crate::address::{self, AddressError};
use crate::command::{Command, OpenError};
use crate::event::Ended;
use crate::exchange::Exchange;
use crate::join::JoinStream;
use crate::key::PeerKey;
use crate::limits::{EXCHANGE_LIMIT, FRAME_LIMIT};
use crate::shared::Shared;

/// Asks the network for things. Cheap to clone; the network stops when all handles are gone.
#[derive(Clone)]
pub struct Network {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) own: PeerKey,
}

/// States why a frame was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not connected, or no member.
    #[error("the peer is not connected; wait until it is")]
    NotConnected,
    /// The peer does not read as fast as this node sends.
    #[error("the peer's queue is full; wait until it has read")]
    Full,
    /// The frame is too large.
    #[error("a frame of {bytes} bytes; at most 1048576 are allowed: split it")]
    TooLarge { bytes: usize },
}

/// States why a request was not sent.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The peer is not connected, or no member.
    #[error("the peer is not connected; wait until it is or ask another member")]
    NotConnected,
    /// The request is too large.
    #[error("a request of {bytes} bytes; at most 1048576 are allowed")]
    TooLarge { bytes: usize },
    /// The limit is over what the protocol allows.
    #[error("an answer of up to {limit} bytes; at most 4294967296 can be asked for: ask for less")]
    LimitTooHigh { limit: u64 },
    /// The peer does not take the request.
    #[error("the peer does not take requests; it may not know yet that this node is a member, or its program is of another version")]
    Refused,
    /// The connection broke, or was too slow.
    #[error("the request did not get through; ask again")]
    Broken(#[source] io::Error),
}

/// States why no join stream was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The address is of no use.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// This node itself answers there.
    #[error("{address} leads to this node itself; use another node's address")]
    Own { address: Multiaddr },
    /// Another node than the expected answers.
    #[error("another node answers at {address}{}; correct the address or the id in it", found_text(.found))]
    WrongPeer { address: Multiaddr, found: Option<PeerKey> },
    /// Nobody can be reached there.
    #[error("no node can be reached at {address}: {}; check the address, the port and the firewall there", kind_text(.kind))]
    Unreachable { address: Multiaddr, kind: io::ErrorKind },
    /// The node there does not speak the join protocol.
    #[error("the node at {address} does not take joins now; it may be busy: wait some seconds and dial again")]
    Refused { address: Multiaddr },
    /// Too many dials are under way.
    #[error("too many joins are being dialed at once; wait until one has ended")]
    Busy,
    /// The network has stopped.
    #[error("the network has stopped; start the node again")]
    Stopped,
}

fn found_text(found: &Option<PeerKey>) -> String {
    found.map(|peer| format!(": {peer}")).unwrap_or_default()
}

fn kind_text(kind: &io::ErrorKind) -> String {
    kind.to_string()
}

/// Tells how it stands with a member.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerKey,
    /// Whether frames are taken.
    pub connected: bool,
    /// Where it is connected.
    pub address: Option<Multiaddr>,
    /// How many connections there are; more than one only for the moment until one is chosen.
    pub connections: usize,
    /// How long a question and its answer take, as measured last.
    pub round_trip: Option<Duration>,
    /// How many bytes wait to be sent.
    pub queued_bytes: usize,
    /// How many dials failed since the last connection.
    pub failed_dials: u32,
    /// Why the last dial failed.
    pub last_failure: Option<DialError>,
}

impl PeerStatus {
    /// What is known about a member that the driver has not looked at yet.
    fn unknown(peer: PeerKey) -> Self {
        Self {
            peer,
            connected: false,
            address: None,
            connections: 0,
            round_trip: None,
            queued_bytes: 0,
            failed_dials: 0,
            last_failure: None,
        }
    }
}

impl Network {
    /// Returns this node's key.
    #[must_use]
    pub fn own_key(&self) -> PeerKey {
        self.own
    }

    /// Sets who may connect. Who is in the list no more is cut off: once this returns, nothing of it surfaces and nothing is sent to it.
    pub fn set_members(&self, members: BTreeSet<PeerKey>) {
        let mut state = self.shared.state();
        let removed: Vec<PeerKey> = state.members.difference(&members).copied().collect();
        state.members = members;
        for peer in removed {
            if let Some(lane) = state.lanes.remove(&peer) {
                lane.revoke();
            }
            state.statuses.remove(&peer);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Sets where a peer may be reached; it is dialed while it is a member and not connected.
    ///
    /// # Errors
    /// When an address is not an IP address with a TCP port or names another peer, or there are more than 16. Nothing changes then.
    pub fn set_addresses(&self, peer: PeerKey, addresses: &[Multiaddr]) -> Result<(), AddressError> {
        let addresses = address::of_peer(peer, addresses)?;
        if addresses.is_empty() {
            self.shared.state().addresses.remove(&peer);
        } else {
            self.shared.state().addresses.insert(peer, addresses);
        }
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Queues a frame for a connected member if there is room now: at most 1,024 frames and 4 MiB wait for one peer.
    ///
    /// A frame that was taken may be lost if the connection ends before the other side acknowledged it in a way of its own.
    ///
    /// # Errors
    /// When the peer is not connected, its queue is full, or the frame is over 1 MiB.
    pub fn try_send(&self, peer: &PeerKey, bytes: Bytes) -> Result<(), SendError> {
        self.shared.lane(peer).ok_or(SendError::NotConnected)?.try_send(bytes)
    }

    /// Queues a frame for a connected member as soon as there is room. See [`Network::try_send`].
    ///
    /// Never wait for this in the task that reads the events: two nodes that both do so wait for each other.
    ///
    /// # Errors
    /// When the peer is not connected any more, or the frame is over 1 MiB.
    pub async fn send(&self, peer: &PeerKey, bytes: Bytes) -> Result<(), SendError> {
        let lane = self.shared.lane(peer).ok_or(SendError::NotConnected)?;
        lane.send(bytes).await
    }

    /// Asks a connected member on a stream of its own and takes at most `limit` bytes as the answer. Waits while 16 requests to it run.
    ///
    /// # Errors
    /// When the peer is not connected or does not take the request.
    pub async fn request(&self, peer: &PeerKey, bytes: Bytes, limit: u64) -> Result<Exchange, RequestError> {
        if bytes.len() > FRAME_LIMIT {
            return Err(RequestError::TooLarge { bytes: bytes.len() });
        }
        if limit > EXCHANGE_LIMIT {
            return Err(RequestError::LimitTooHigh { limit });
        }
        let lane = self.shared.lane(peer).ok_or(RequestError::NotConnected)?;
        let slot = Arc::clone(&lane.asking).acquire_owned().await.map_err(|_| RequestError::NotConnected)?;
        let (reply, stream) = oneshot::channel();
        self.commands.send(Command::Request { peer: *peer, reply }).await.map_err(|_| RequestError::NotConnected)?;
        let stream = stream.await.map_err(|_| RequestError::NotConnected)?.map_err(|error| match error {
            OpenError::Refused => RequestError::Refused,
            OpenError::Broken(error) => RequestError::Broken(error),
        })?;
        if lane.is_revoked() {
            return Err(RequestError::NotConnected);
        }
        Exchange::ask(stream, lane, &bytes, limit, slot).await.map_err(RequestError::Broken)
    }

    /// Closes the connection to a peer, which stays a member: it is dialed again after a pause that grows.
    pub fn disconnect(&self, peer: &PeerKey) {
        if let Some(lane) = self.shared.lane(peer) {
            lane.close(Ended::Parted);
        }
    }

    /// Dials an address for the join protocol only, whoever sits there, for at most 15 s. If the address names a peer, nobody else is accepted.
    ///
    /// # Errors
    /// When nobody can be reached there, or who answers does not take joins.
    pub async fn dial_join(&self, address: Multiaddr) -> Result<JoinStream, DialError> {
        let (bare, peer) = address::split(&address)?;
        let (reply, stream) = oneshot::channel();
        self.commands.send(Command::Join { address: bare, peer, reply }).await.map_err(|_| DialError::Stopped)?;
        stream.await.map_err(|_| DialError::Stopped)?
    }

    /// Returns where this node can be reached, with every interface's address in place of a wildcard. The peer id is not appended.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.shared.state().listening.iter().cloned().collect()
    }

    /// Returns how it stands with every other member.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        let state = self.shared.state();
        let others = state.members.iter().filter(|peer| **peer != self.own);
        let statuses = others.map(|peer| {
            let status = state.statuses.get(peer).cloned().unwrap_or_else(|| PeerStatus::unknown(*peer));
            PeerStatus { queued_bytes: state.lanes.get(peer).map_or(0, |lane| lane.queued_bytes()), ..status }
        });
        statuses.collect()
    }

    /// Stops the network: what waits gets half a second to go out, connections and the port are closed when this returns.
    pub async fn shutdown(&self) {
        // An error means that the driver has ended, which is what is asked for.
        let _ = self.commands.send(Command::Stop).await;
        self.commands.closed().await;
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("own", &self.own).finish_non_exhaustive()
    }
}
