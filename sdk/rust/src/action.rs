//! Actions: what somebody proposes to be done about a task, a project or anything else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::patch;

/// One action, every field always present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// The action's id.
    pub id: String,
    /// What kind of thing it is about, for example `task`.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// What it is, `proposal` by default.
    pub action_type: String,
    /// What people see.
    pub label: String,
    /// More about it.
    pub description: Option<String>,
    /// proposed, execute_requested, executing, completed or failed.
    pub status: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When it is no longer wanted, unless it was begun.
    pub expires_at: Option<String>,
    /// Anything, as JSON text.
    pub metadata: Option<String>,
    /// What whoever executes it needs, as JSON text.
    pub action_data: Option<String>,
    /// What it led to, as text.
    pub result: Option<String>,
    /// The tenant.
    pub scope: String,
    /// When it was proposed.
    pub created_at: String,
    /// When its status was last set.
    pub updated_at: String,
    /// When its execution was asked for.
    pub executed_at: Option<String>,
}

/// One page of actions, newest first. What expired before anybody began it is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionList {
    /// The actions of this page.
    pub actions: Vec<Action>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// Proposes an action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewAction {
    /// What kind of thing it is about.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// Defaults to `proposal`.
    #[serde(default)]
    pub action_type: Option<String>,
    /// What people see.
    pub label: String,
    /// More about it.
    #[serde(default)]
    pub description: Option<String>,
    /// Who proposes it.
    #[serde(default)]
    pub proposed_by: Option<String>,
    /// When it is no longer wanted.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Any JSON.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// Any JSON.
    #[serde(default)]
    pub action_data: Option<Value>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

patch! {
    /// Tells how the execution of an action goes.
    pub struct ActionPatch {
        /// executing, completed or failed.
        status: String,
        /// What it led to: a text, or any JSON.
        result: Value,
    }
    flags {}
}
