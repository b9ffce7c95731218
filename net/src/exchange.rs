//! A request of one member to another, and the bounded run of bytes that answers it.
//!
//! **Invariants**: an asker never takes in more than the limit that it gave; an answer that was cut off is never mistaken for a whole one;
//! dropping either end cancels the exchange.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use libp2p::Stream;
use libp2p::futures::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::frame::{self, ReadError};
use crate::lane::Lane;
use crate::limits::{CHUNK_LIMIT, CHUNK_TIME, FRAME_LIMIT, OPENING_TIME};

/// Stands where a chunk's length would, when the responder cannot finish.
const GAVE_UP: u32 = u32::MAX;

/// States why an answer did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The answer is longer than the asker allowed.
    #[error("the answer is longer than the {limit} bytes that were asked for; ask again with a higher limit or for less")]
    TooLong { limit: u64 },
    /// The responder could not finish.
    #[error("the peer gave up on the answer; ask again or ask another member")]
    GaveUp,
    /// A piece of the answer is larger than the protocol allows.
    #[error("a piece of {bytes} bytes, which the protocol does not allow; the peer's program may be of another version")]
    Malformed { bytes: usize },
    /// The stream broke.
    #[error("the connection broke before the answer was whole; ask again")]
    Broken(#[source] io::Error),
}

/// States why an answer could not be given.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// The asker does not want so much.
    #[error("the answer is longer than the {limit} bytes that the asker takes")]
    TooLong { limit: u64 },
    /// The asker is gone, does not read, or is no member any more.
    #[error("the asker does not wait for the answer any more")]
    Cancelled,
}

/// Receives an answer. Dropping it cancels the request.
pub struct Exchange {
    stream: Stream,
    lane: Arc<Lane>,
    limit: u64,
    left: u64,
    finished: bool,
    _slot: OwnedSemaphorePermit,
}

impl Exchange {
    pub(crate) async fn ask(
        mut stream: Stream,
        lane: Arc<Lane>,
        request: &[u8],
        limit: u64,
        slot: OwnedSemaphorePermit,
    ) -> io::Result<Self> {
        let write = async {
            stream.write_all(&limit.to_be_bytes()).await?;
            frame::write(&mut stream, request).await?;
            stream.flush().await
        };
        timeout(OPENING_TIME, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self { stream, lane, limit, left: limit, finished: false, _slot: slot })
    }

    /// Returns the next piece of the answer, of at most 64 KiB, and `None` when it is whole.
    ///
    /// Waits as long as the connection lives: an answer may pause. Set a time-out where that is not wanted.
    ///
    /// # Errors
    /// When the rest does not come, see [`ExchangeError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        if self.finished {
            return Ok(None);
        }
        let Self { stream, lane, .. } = self;
        // Yamux leaves the readers of a connection that this side closes waiting for ever. What has arrived is read all the same.
        let length = tokio::select! {
            biased;
            length = frame::read_length(stream, CHUNK_LIMIT) => length,
            _ = lane.closed() => Err(ReadError::Broken(io::ErrorKind::ConnectionAborted.into())),
        };
        let length = match length {
            Ok(0) => {
                self.finished = true;
                return Ok(None);
            }
            Ok(length) => length,
            Err(ReadError::TooLarge { length, .. }) if length == GAVE_UP as usize => return Err(ExchangeError::GaveUp),
            Err(ReadError::TooLarge { length, .. }) => return Err(ExchangeError::Malformed { bytes: length }),
            Err(error) => return Err(broken(error)),
        };
        self.left = self.left.checked_sub(length as u64).ok_or(ExchangeError::TooLong { limit: self.limit })?;
        let Self { stream, lane, .. } = self;
        let body = tokio::select! {
            biased;
            body = frame::read_body(stream, length) => body,
            _ = lane.closed() => Err(ReadError::Broken(io::ErrorKind::ConnectionAborted.into())),
        };
        body.map(Some).map_err(broken)
    }

    /// Returns the whole answer.
    ///
    /// # Errors
    /// When it does not come whole, see [`ExchangeError`].
    pub async fn collect(mut self) -> Result<Vec<u8>, ExchangeError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

fn broken(error: ReadError) -> ExchangeError {
    match error {
        ReadError::Broken(error) => ExchangeError::Broken(error),
        ReadError::Ended | ReadError::TooLarge { .. } => ExchangeError::Broken(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("limit", &self.limit).field("left", &self.left).finish_non_exhaustive()
    }
}

/// Gives an answer. Dropping it before [`Responder::finish`] tells the asker that it is cut off.
pub struct Responder {
    stream: Stream,
    limit: u64,
    left: u64,
    lane: Arc<Lane>,
    _slot: OwnedSemaphorePermit,
}

impl Responder {
    /// Reads a request from a stream that a member opened.
    pub(crate) async fn read_head(stream: &mut Stream) -> Result<(u64, usize), ReadError> {
        let mut limit = [0; 8];
        stream.read_exact(&mut limit).await.map_err(ReadError::Broken)?;
        Ok((u64::from_be_bytes(limit), frame::read_length(stream, FRAME_LIMIT).await?))
    }

    pub(crate) fn new(stream: Stream, limit: u64, lane: Arc<Lane>, slot: OwnedSemaphorePermit) -> Self {
        Self { stream, limit, left: limit, lane, _slot: slot }
    }

    /// Returns how many bytes the asker takes in all.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Sends a piece of the answer, of any length; waits while the asker does not read, for at most a minute.
    ///
    /// # Errors
    /// When the answer is over the asker's limit, or nobody waits for it.
    pub async fn send(&mut self, piece: &[u8]) -> Result<(), RespondError> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(RespondError::TooLong { limit: self.limit })?;
        for chunk in piece.chunks(CHUNK_LIMIT) {
            let Self { stream, lane, .. } = self;
            let write = async {
                frame::write(stream, chunk).await?;
                stream.flush().await
            };
            timed(lane, write).await?;
        }
        Ok(())
    }

    /// States that the answer is whole.
    ///
    /// # Errors
    /// When nobody waits for it.
    pub async fn finish(mut self) -> Result<(), RespondError> {
        self.end(0).await
    }

    /// States that the answer cannot be given, or not to its end.
    ///
    /// # Errors
    /// When nobody waits for it.
    pub async fn give_up(mut self) -> Result<(), RespondError> {
        self.end(GAVE_UP).await
    }

    /// Waits until nobody waits for the answer; to stop work that takes long.
    pub async fn cancelled(&mut self) {
        // The asker sends nothing after its request: whatever comes is an end, or an offence that ends it as well.
        let Self { stream, lane, .. } = self;
        let mut byte = [0; 1];
        tokio::select! {
            _ = stream.read(&mut byte) => (),
            _ = lane.closed() => (),
        }
    }

    async fn end(&mut self, mark: u32) -> Result<(), RespondError> {
        let Self { stream, lane, .. } = self;
        let write = async {
            stream.write_all(&mark.to_be_bytes()).await?;
            stream.close().await
        };
        timed(lane, write).await
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("limit", &self.limit).field("left", &self.left).finish_non_exhaustive()
    }
}

/// Writes while the connection lasts and the asker reads.
async fn timed(lane: &Lane, write: impl Future<Output = io::Result<()>>) -> Result<(), RespondError> {
    tokio::select! {
        biased;
        _ = lane.closed() => Err(RespondError::Cancelled),
        written = timeout(CHUNK_TIME, write) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(RespondError::Cancelled),
        },
    }
}
