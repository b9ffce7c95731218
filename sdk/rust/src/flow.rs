//! Flows: states besides the built-in queues, and the steps between them.

use serde::{Deserialize, Serialize};

/// One flow, every field always present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flow {
    /// The name, unique in its scope; tasks name it in `flow`.
    pub name: String,
    /// The states, as JSON text: a list of names.
    pub states: String,
    /// The steps, as JSON text: a list of `{"from", "to"}`.
    pub transitions: String,
    /// The tenant.
    pub scope: String,
    /// When it was first registered.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// One page of flows, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowList {
    /// The flows of this page.
    pub flows: Vec<Flow>,
    /// How many there are in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// Registers a flow, or replaces it; the path names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PutFlow {
    /// The states: incoming, claimed, done and failed at least.
    pub states: Vec<String>,
    /// The steps; without any the built-in rules hold.
    #[serde(default)]
    pub transitions: Vec<FlowTransition>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

/// A step from one state to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowTransition {
    /// Where it begins.
    pub from: String,
    /// Where it leads.
    pub to: String,
}

/// Tells that a flow is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowDeleted {
    /// `Flow deleted`.
    pub message: String,
    /// The name that it had.
    pub name: String,
}
