//! What members read at each other: the log of an attempt, as it grows.
//!
//! **Invariants**: the first piece of an answer is its head; when the reader is gone the reading ends on both sides; nothing is
//! held in memory but the piece that is passed on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use octopoid_crdt::ids::AuthorKey;
use octopoid_net::{Exchange, Responder};
use serde::{Deserialize, Serialize};
use tokio_stream::{Stream, StreamExt as _};

use super::requests::{Ask, AskError};
use super::shared::{Shared, peer_key};

/// The most that one reading takes: more than any log is kept of.
const MOST: u64 = 1 << 30;
/// How long the head of an answer may take; what follows waits for the agent to say something.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks to read something of the REST API at the node that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedRead {
    /// The path.
    pub path: String,
    /// The query, the scope included.
    pub query: String,
}

/// What stands before what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The HTTP status: text follows a 200, JSON that says what is wrong anything else.
    status: u16,
}

/// Pieces of text, as they come.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Answers what members want to read with an HTTP status and text.
pub type AnswerReads = Arc<dyn Fn(PassedRead) -> Pin<Box<dyn Future<Output = (u16, Pieces)> + Send>> + Send + Sync>;

impl Shared {
    /// Reads something at another node.
    pub(super) async fn read_at(&self, node: &AuthorKey, read: &PassedRead) -> Result<(u16, Pieces), AskError> {
        let failed = |error: &dyn std::error::Error| AskError::Failed(error.to_string());
        let ask = serde_json::to_vec(&Ask::Read(read.clone())).map_err(|error| failed(&error))?;
        let begun = async {
            let mut exchange = self.network.request(&peer_key(node), ask.into(), MOST).await.map_err(AskError::from)?;
            let head = exchange.next().await.map_err(|error| failed(&error))?;
            let head = head.ok_or_else(|| AskError::Failed("the answer is empty".to_owned()))?;
            let head: Head = serde_json::from_slice(&head).map_err(|error| failed(&error))?;
            Ok((head.status, pieces(exchange)))
        };
        tokio::time::timeout(PATIENCE, begun).await.unwrap_or_else(|_| Err(AskError::Failed("no answer within 15 s".to_owned())))
    }
}

fn pieces(exchange: Exchange) -> Pieces {
    Box::pin(futures_util::stream::try_unfold(exchange, async |mut exchange| {
        let piece = exchange.next().await.map_err(io::Error::other)?;
        Ok(piece.map(|piece| (piece, exchange)))
    }))
}

/// Answers a member that reads.
pub(super) async fn answer(reads: AnswerReads, read: PassedRead, mut responder: Responder) {
    let (status, mut pieces) = reads(read).await;
    let Ok(head) = serde_json::to_vec(&Head { status }) else { return };
    if responder.send(&head).await.is_err() {
        return;
    }
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = responder.cancelled() => return,
        };
        match piece {
            Some(Ok(piece)) if responder.send(&piece).await.is_ok() => {}
            Some(Ok(_)) => return,
            // Whoever reads is told that this is not all.
            Some(Err(_)) => return drop(responder.give_up().await),
            None => return drop(responder.finish().await),
        }
    }
}
