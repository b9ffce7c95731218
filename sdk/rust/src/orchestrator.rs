//! Orchestrators: whoever claims tasks over REST. Every node is listed as one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Makes an orchestrator known; harmless when repeated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterOrchestrator {
    /// The cluster's name, the first half of the id.
    pub cluster: String,
    /// The machine's name, the second half.
    pub machine_id: String,
    /// The repository that it works on.
    pub repo_url: String,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
    /// The host's name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Its program's version.
    #[serde(default)]
    pub version: Option<String>,
    /// What it can do: any JSON.
    #[serde(default)]
    pub capabilities: Option<Value>,
}

/// The answer to a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterAnswer {
    /// `<cluster>-<machine_id>`.
    pub orchestrator_id: String,
    /// When it first registered.
    pub registered_at: String,
    /// active, offline or maintenance.
    pub status: String,
    /// The scope's key, told once: at the scope's first registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// One orchestrator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Orchestrator {
    /// `<cluster>-<machine_id>`.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// The machine's name.
    pub machine_id: String,
    /// The host's name.
    pub hostname: Option<String>,
    /// The repository that it works on.
    pub repo_url: Option<String>,
    /// When it first registered.
    pub registered_at: String,
    /// When it was last heard; null when not since this node started.
    pub last_heartbeat: Option<String>,
    /// active, offline or maintenance.
    pub status: String,
    /// Its program's version.
    pub version: Option<String>,
    /// What it can do, as JSON text.
    pub capabilities: Option<String>,
    /// The tenant.
    pub scope: String,
}

/// One page of orchestrators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrchestratorList {
    /// The orchestrators of this page.
    pub orchestrators: Vec<Orchestrator>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    #[serde(default)]
    pub offset: u64,
    /// How many a page holds.
    #[serde(default)]
    pub limit: u64,
}

/// Changes an orchestrator's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrchestratorPatch {
    /// active, offline or maintenance.
    pub status: String,
}

/// A sign of life. Its body is optional, and so is everything in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// The sender's time; the node keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

/// The answer to a sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatAnswer {
    /// Always true.
    pub success: bool,
    /// When it was heard.
    pub last_heartbeat: String,
}

/// A scope's new key, which is told once.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeKey {
    /// The scope.
    pub scope: String,
    /// The key.
    pub api_key: String,
}

impl std::fmt::Debug for ScopeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopeKey").field("scope", &self.scope).finish_non_exhaustive()
    }
}
