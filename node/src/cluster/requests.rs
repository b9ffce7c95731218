//! What members ask of each other on streams of their own: calls that only the holder's node or the authority can answer, verdicts of
//! agents, and branches.
//!
//! **Invariants**: a request comes from a member that may work; an answer is bounded by what the asker takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_net::{RequestError, Responder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bundles::{self, BranchAsk};
use super::reads::{self, PassedRead};
use super::shared::{Shared, peer_key};
use crate::ops::judge::{accept, reject};
use crate::ops::{Refused, Target, find};
use crate::store::Store;

/// The largest answer to a call.
const ANSWER: u64 = 1024 * 1024;
/// How long an answer may take: as long as a claim waits for a member twice.
const PATIENCE: Duration = Duration::from_secs(15);

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
    /// The only scope that the caller may see, if there is but one: its keys for repeating a call are its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
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
                bundles::give(give.clone(), ask, responder).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn again<T: Serialize + DeserializeOwned>(text: &str) -> String {
        let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        serde_json::to_string(&read).expect("JSON")
    }

    #[test]
    fn the_golden_asks_and_answers_of_version_1_are_read_and_written_the_same() {
        let mut kinds = std::collections::BTreeSet::new();
        for line in include_str!("../../tests/golden/asks/v1.txt").lines() {
            let (what, text) = line.split_once(' ').expect("a kind and a text");
            let written = match what {
                "ask" => again::<Ask>(text),
                "answer" => again::<PassedAnswer>(text),
                "verdict" => again::<VerdictAnswer>(text),
                "branch" => again::<bundles::Refused>(text),
                other => panic!("'{other}' is none"),
            };
            assert_eq!(written, text);
            kinds.insert(text.split('"').take(4).collect::<Vec<_>>().join("\""));
        }
        // A later version's fields are skipped, and its asks are none.
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"branch","branch":"main","have":[],"later":1}"#).is_ok());
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"later"}"#).is_err());
        for ask in ["call", "read", "branch", "verdict"] {
            assert!(kinds.contains(&format!("{{\"ask\":\"{ask}")), "no golden {ask}: {kinds:?}");
        }
    }
}
