//! What happened to a task, and each try at it.

use serde::{Deserialize, Serialize};

/// A task's audit trail, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// The events.
    pub history: Vec<HistoryEvent>,
}

/// One line of the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEvent {
    /// What happened: created, claimed, review_claimed, submitted, accepted, rejected, requeued, blocked, unblocked,
    /// lease_expired, burnout_detected, force_queue, superseded, conflict or archived. A task that came from another system
    /// has what happened there before these, by that system's names, then how its queue was read, and imported.
    pub event: String,
    /// Who did it.
    pub agent: Option<String>,
    /// More about it, for people.
    pub details: Option<String>,
    /// When, by the clock of the node that wrote it.
    pub timestamp: String,
    /// The name of the node that wrote it.
    pub node: Option<String>,
    /// The record that says so, as hex; null for what follows from several.
    pub record_id: Option<String>,
}

/// Every try at a task, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempts {
    /// The attempts.
    pub attempts: Vec<AttemptInfo>,
}

/// One try at a task: from a claim to its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptInfo {
    /// The name, `<epoch>-<8 hex>`.
    pub attempt: String,
    /// The claim's epoch.
    pub epoch: u64,
    /// claimed, submitted, accepted, rejected, failed, released, expired, moved or superseded.
    pub state: String,
    /// Whether the task's state rests on this attempt.
    pub current: bool,
    /// The agent that claimed it.
    pub agent: Option<String>,
    /// The orchestrator that claimed it.
    pub orchestrator_id: Option<String>,
    /// The name of the node that claimed it.
    pub node: Option<String>,
    /// When it was claimed.
    pub claimed_at: String,
    /// When it was submitted.
    pub submitted_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The branch that holds the work.
    pub branch: Option<String>,
    /// The commit that the work starts from.
    pub base: Option<String>,
    /// The submitted commit.
    pub head: Option<String>,
    /// Commits of its submit.
    pub commits_count: Option<u64>,
    /// Turns of its submit.
    pub turns_used: Option<u64>,
    /// What it cost, in US dollars, where the agent's program says so.
    pub cost_usd: Option<f64>,
    /// Why it ended, or what a review said.
    pub reason: Option<String>,
    /// What its agent wrote about the work.
    pub notes: Option<String>,
}

impl AttemptInfo {
    /// What [`Self::state`] is of an attempt that came to nothing by itself.
    pub const FAILED: &'static str = "failed";
}
