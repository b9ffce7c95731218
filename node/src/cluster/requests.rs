//! What members ask of each other on streams of their own: calls that only the holder's node or the authority can answer, verdicts of
//! agents, and branches.
//!
//! **Invariants**: a request comes from a member that may work; an answer is bounded by what the asker takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_net::{CHUNK_LIMIT, RequestError, Responder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::reads::{self, PassedRead};
use super::shared::{Shared, peer_key};
use crate::git::BUNDLE_LIMIT;
use crate::ops::judge::{accept, reject};
use crate::ops::{Refused, Target, find};
use crate::store::Store;

/// The largest answer to a call.
const ANSWER: u64 = 1024 * 1024;
/// How long an answer may take: as long as a claim waits for a member twice.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the next piece of a branch may take; packing a large one takes a while.
const PIECE: Duration = Duration::from_secs(120);

/// What a member asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(super) enum Ask {
    /// To run a call at the node that wrote the claim.
    Call(PassedCall),
    /// To read a log.
    Read(PassedRead),
    /// For a branch.
    Branch(BranchAsk),
    /// To write an agent's verdict down, which only the authority can.
    Verdict(PassedVerdict),
}

/// What an agent judged of the work that it reviewed on another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedVerdict {
    /// The task's tenant.
    pub scope: String,
    /// The task.
    pub task: String,
    /// The record that the state rested on when it was reviewed, in hex.
    pub on: String,
    /// Whether it is good.
    pub accept: bool,
    /// The agent.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What became of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum VerdictAnswer {
    /// It is written.
    Written,
    /// It came too late, or the rules do not allow it: asking again would not help.
    Refused {
        /// Why.
        reason: String,
    },
    /// The node asked cannot write it now.
    Later {
        /// Why.
        reason: String,
    },
}

/// Asks for a branch that another node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchAsk {
    /// The branch, without refs/heads/.
    pub branch: String,
    /// Commits that the asker has.
    pub have: Vec<String>,
}

/// Packs branches for members; the file is removed by the one who asked for it here.
pub type GiveBranches = Arc<dyn Fn(&BranchAsk) -> Result<PathBuf, String> + Send + Sync>;

/// A call that is passed on to the node that can answer it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedCall {
    /// The HTTP method; POST where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path of the REST API.
    pub path: String,
    /// The task's tenant.
    pub scope: String,
    /// The body, JSON text.
    pub body: String,
    /// The conditions under which it is to be carried out: `If-Match` and `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<(String, String)>,
    /// Ids of records that the asker holds and the call may rest on: it is carried out when they have arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// What the other node answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON text.
    pub body: String,
    /// The value of the `ETag` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Answers calls that members pass on; is told who did.
pub type AnswerCalls = Arc<dyn Fn(AuthorKey, PassedCall) -> std::pin::Pin<Box<dyn Future<Output = PassedAnswer> + Send>> + Send + Sync>;

/// States why a member gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is not connected.
    #[error("the member is not connected")]
    Offline,
    /// It was asked and did not answer as it should.
    #[error("{0}")]
    Failed(String),
}

impl From<RequestError> for AskError {
    fn from(error: RequestError) -> Self {
        if matches!(error, RequestError::NotConnected) { Self::Offline } else { Self::Failed(error.to_string()) }
    }
}

/// Writes an agent's verdict, if this node's word counts.
pub(super) async fn write_verdict(store: &Store, verdict: PassedVerdict) -> VerdictAnswer {
    let written = store.write(move |unit| {
        let me = unit.me();
        if unit.membership()?.authority().is_some_and(|authority| *authority != me) {
            return Ok(VerdictAnswer::Later { reason: "another node is the authority by now".to_owned() });
        }
        let PassedVerdict { scope, task, on, accept: good, by, reason } = verdict;
        let on: RecordId = on.parse().map_err(|_| Refused::field("on", "is no record"))?;
        let no = find(unit, &Target { scope: Some(scope.clone()), own_scope: scope, bound: None, id: task })?;
        if good {
            accept(unit, no, Some(on), &by, &reason)?
        } else {
            reject(unit, no, Some(on), &by, &reason)?
        };
        Ok(VerdictAnswer::Written)
    });
    match written.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Refused::Store(fault))) => VerdictAnswer::Later { reason: fault.to_string() },
        Ok(Err(refused)) => VerdictAnswer::Refused { reason: explained(&refused) },
        Err(unavailable) => VerdictAnswer::Later { reason: unavailable.to_string() },
    }
}

fn explained(refused: &Refused) -> String {
    let details = if let Refused::Transition { details, .. } = refused { details.join("; ") } else { String::new() };
    if details.is_empty() { refused.to_string() } else { format!("{refused}: {details}") }
}

impl Shared {
    /// Passes a call on to the node that can answer it.
    pub(super) async fn pass_on(&self, node: &AuthorKey, call: &PassedCall) -> Result<PassedAnswer, AskError> {
        self.ask(node, &Ask::Call(call.clone())).await
    }

    /// Hands an agent's verdict to the authority.
    pub(super) async fn hand_over(&self, node: &AuthorKey, verdict: &PassedVerdict) -> Result<VerdictAnswer, AskError> {
        self.ask(node, &Ask::Verdict(verdict.clone())).await
    }

    async fn ask<T: DeserializeOwned>(&self, node: &AuthorKey, ask: &Ask) -> Result<T, AskError> {
        let failed = |error: &dyn std::error::Error| AskError::Failed(error.to_string());
        let ask = serde_json::to_vec(ask).map_err(|error| failed(&error))?;
        let asked = async {
            let exchange = self.network.request(&peer_key(node), ask.into(), ANSWER).await;
            let exchange = exchange.map_err(AskError::from)?;
            let answer = exchange.collect().await.map_err(|error| failed(&error))?;
            serde_json::from_slice(&answer).map_err(|error| failed(&error))
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(AskError::Failed("no answer within 15 s".to_owned())))
    }
}

impl Shared {
    /// Asks a member for a branch and writes it into a file.
    pub(super) async fn take_branch(&self, node: &AuthorKey, ask: &BranchAsk, file: &Path) -> Result<(), AskError> {
        let failed = |error: &dyn std::error::Error| AskError::Failed(error.to_string());
        let request = serde_json::to_vec(&Ask::Branch(ask.clone())).map_err(|error| failed(&error))?;
        let exchange = self.network.request(&peer_key(node), request.into(), BUNDLE_LIMIT).await;
        let mut exchange = exchange.map_err(AskError::from)?;
        let mut out = tokio::fs::File::create(file).await.map_err(|error| failed(&error))?;
        loop {
            let piece = tokio::time::timeout(PIECE, exchange.next()).await;
            let piece = piece.map_err(|_| AskError::Failed("the branch did not come in time".to_owned()))?;
            let Some(piece) = piece.map_err(|error| failed(&error))? else { break };
            out.write_all(&piece).await.map_err(|error| failed(&error))?;
        }
        out.flush().await.map_err(|error| failed(&error))
    }
}

async fn give_branch(give: GiveBranches, ask: BranchAsk, mut responder: Responder) {
    let packed = tokio::task::spawn_blocking(move || give(&ask)).await;
    let file = match packed {
        Ok(Ok(file)) => file,
        Ok(Err(reason)) => return tracing::debug!(%reason, "a branch is not given"),
        Err(error) => return tracing::warn!(%error, "a branch could not be packed"),
    };
    let given = send_file(&file, &mut responder).await;
    // What stays is swept at the next start.
    let _ = tokio::fs::remove_file(&file).await;
    if given {
        // The asker may be gone.
        let _ = responder.finish().await;
    }
}

async fn send_file(file: &Path, responder: &mut Responder) -> bool {
    let Ok(mut input) = tokio::fs::File::open(file).await else { return false };
    let mut piece = vec![0; CHUNK_LIMIT];
    loop {
        match input.read(&mut piece).await {
            Ok(0) => return true,
            Ok(read) if responder.send(&piece[..read]).await.is_ok() => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// Answers one request of a member.
pub(super) async fn answer(shared: Arc<Shared>, peer: AuthorKey, bytes: Bytes, mut responder: Responder) {
    if !shared.store.membership().is_member(&peer) {
        tracing::warn!(peer = %peer, "a member that may only read asked for something");
        return;
    }
    let ask = match serde_json::from_slice(&bytes) {
        Ok(ask) => ask,
        Err(error) => {
            tracing::debug!(peer = %peer, %error, "a request that this version does not know");
            return;
        }
    };
    match ask {
        Ask::Branch(ask) => {
            if let Some(give) = shared.branches.get() {
                give_branch(give.clone(), ask, responder).await;
            }
        }
        Ask::Read(read) => {
            if let Some(answers) = shared.reads.get() {
                reads::answer(answers.clone(), read, responder).await;
            }
        }
        Ask::Verdict(verdict) => {
            let written = write_verdict(&shared.store, verdict).await;
            let Ok(json) = serde_json::to_vec(&written) else { return };
            if responder.send(&json).await.is_ok() {
                let _ = responder.finish().await;
            }
        }
        Ask::Call(call) => {
            let Some(calls) = shared.calls.get() else { return };
            let answer = calls(peer, call).await;
            let Ok(json) = serde_json::to_vec(&answer) else { return };
            // The asker may be gone.
            if responder.send(&json).await.is_ok() {
                let _ = responder.finish().await;
            }
        }
    }
}
