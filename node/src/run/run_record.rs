//! What this node remembers of an attempt that it runs, so that a restart can tidy up after it.

use octopoid_crdt::ids::{AttemptName, Name, RecordId};
use serde::{Deserialize, Serialize};

use crate::agent::ProcessRecord;
use crate::config::Agent;
use crate::ops::Snapshot;

/// One attempt or review under way on this node. Local: other nodes never see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub scope: String,
    pub task: String,
    /// The claim or review, in hex.
    pub claim: String,
    pub attempt: String,
    pub agent: String,
    pub review: bool,
    /// The commit that the worktree started from, once it is known.
    pub base: Option<String>,
    /// The agent's process, once it exists.
    pub process: Option<ProcessRecord>,
}

impl RunRecord {
    /// Describes an attempt or review that was just claimed.
    pub fn begun(task: &Snapshot, agent: &Agent, claim: &RecordId, review: bool) -> Self {
        Self {
            scope: task.row.scope.clone(),
            task: task.row.id.clone(),
            claim: claim.to_string(),
            attempt: AttemptName::new(task.row.epoch, claim).to_string(),
            agent: agent.name.to_string(),
            review,
            base: None,
            process: None,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn claim(&self) -> Option<RecordId> {
        self.claim.parse().ok()
    }

    pub fn names(&self) -> Option<(Name, AttemptName)> {
        Some((self.task.parse().ok()?, self.attempt.parse().ok()?))
    }
}
