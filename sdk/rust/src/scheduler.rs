//! What an orchestrator's scheduler asks in one call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What waits in a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollResponse {
    /// How many tasks each queue holds.
    pub queue_counts: BTreeMap<String, u64>,
    /// The tasks that wait for a verdict.
    pub provisional_tasks: Vec<PollTask>,
    /// Whether the asking orchestrator is registered.
    pub orchestrator_registered: bool,
    /// The scope that is spoken of.
    pub scope: Option<String>,
    /// The flows of that scope, by name.
    pub flows: BTreeMap<String, FlowStates>,
}

/// A task that waits for a verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollTask {
    /// The task's id.
    pub id: String,
    /// Its hooks, as JSON text.
    pub hooks: Option<String>,
    /// The pull request's number.
    pub pr_number: Option<u64>,
    /// Who reviews it.
    pub claimed_by: Option<String>,
}

/// The states of one flow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowStates {
    /// The names of the states.
    pub states: Vec<String>,
}
