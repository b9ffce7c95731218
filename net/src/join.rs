//! The join protocol's carrier: the only thing that one who is no member can speak.
//!
//! **Invariants**: frames are at most 1 KiB and take turns, the dialer first, at most four each way; the whole lasts a bounded time; the key
//! of the other side is authenticated before the first byte.

use std::fmt;
use std::io;

use bytes::Bytes;
use libp2p::futures::AsyncWriteExt;
use libp2p::{Multiaddr, Stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::frame::{self, ReadError};
use crate::key::PeerKey;
use crate::limits::{JOIN_FRAME_LIMIT, JOIN_STEPS};

/// States why a step of the join protocol failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A frame is too large.
    #[error("a join frame of {bytes} bytes; at most 1024 are allowed")]
    TooLarge { bytes: usize },
    /// All steps were used.
    #[error("the join has used its {JOIN_STEPS} steps; dial again to go on")]
    NoStepsLeft,
    /// It is the other side's turn.
    #[error("it is the other side's turn; a join takes one frame each way in each step")]
    OutOfTurn,
    /// The time is over.
    #[error("the join took too long; dial again")]
    TimedOut,
    /// The other side ended it: it refuses, is busy, or limits how often one may ask.
    #[error("the other node ended the join; it may be busy: wait some seconds and dial again")]
    Ended,
    /// The stream broke.
    #[error("the connection broke during the join; dial again")]
    Broken(#[source] io::Error),
}

/// One run of the join protocol with a node whose key is authenticated, and that may be anybody.
pub struct JoinStream {
    peer: PeerKey,
    address: Multiaddr,
    stream: Stream,
    first: bool,
    sent: u8,
    received: u8,
    deadline: Instant,
    _slot: OwnedSemaphorePermit,
}

impl JoinStream {
    pub(crate) fn new(
        (peer, address): (PeerKey, Multiaddr),
        stream: Stream,
        first: bool,
        deadline: Instant,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { peer, address, stream, first, sent: 0, received: 0, deadline, _slot: slot }
    }

    /// Returns the key that the other side proved to own.
    #[must_use]
    pub fn peer(&self) -> PeerKey {
        self.peer
    }

    /// Returns where the other side was reached or came from.
    #[must_use]
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When it is too large, out of turn, or does not get through in time.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), JoinError> {
        if bytes.len() > JOIN_FRAME_LIMIT {
            return Err(JoinError::TooLarge { bytes: bytes.len() });
        }
        if self.sent == JOIN_STEPS {
            return Err(JoinError::NoStepsLeft);
        }
        if (self.sent == self.received) != self.first {
            return Err(JoinError::OutOfTurn);
        }
        self.check_time()?;
        self.sent += 1;
        let write = async {
            frame::write(&mut self.stream, bytes).await?;
            self.stream.flush().await
        };
        timeout_at(self.deadline, write).await.map_err(|_| JoinError::TimedOut)?.map_err(JoinError::Broken)
    }

    /// Receives one frame.
    ///
    /// # Errors
    /// When it is too large, out of turn, or does not come in time.
    pub async fn receive(&mut self) -> Result<Bytes, JoinError> {
        if self.received == JOIN_STEPS {
            return Err(JoinError::NoStepsLeft);
        }
        if (self.sent == self.received) == self.first {
            return Err(JoinError::OutOfTurn);
        }
        self.check_time()?;
        self.received += 1;
        let read = async {
            let length = frame::read_length(&mut self.stream, JOIN_FRAME_LIMIT).await?;
            frame::read_body(&mut self.stream, length).await
        };
        timeout_at(self.deadline, read).await.map_err(|_| JoinError::TimedOut)?.map_err(|error| match error {
            ReadError::Ended => JoinError::Ended,
            ReadError::TooLarge { length, .. } => JoinError::TooLarge { bytes: length },
            ReadError::Broken(error) => JoinError::Broken(error),
        })
    }

    /// A stream may still take bytes when the time is over; that helps nobody.
    fn check_time(&self) -> Result<(), JoinError> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(JoinError::TimedOut) }
    }

    /// Ends the run after the last frame got out. Dropping the stream may cut that frame off.
    pub async fn close(mut self) {
        // Whether the other side still listens makes no difference to one that is done.
        let _ = timeout_at(self.deadline, self.stream.close()).await;
    }
}

impl fmt::Debug for JoinStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinStream").field("peer", &self.peer).field("address", &self.address).finish_non_exhaustive()
    }
}
