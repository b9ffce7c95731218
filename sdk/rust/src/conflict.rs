//! What lost when nodes that knew nothing of each other did the same. Beyond the version 2 API.

use serde::{Deserialize, Serialize};

use crate::AttemptInfo;

/// Tasks about which something lost that nobody has dismissed, the newest first; before them projects and drafts of which something was
/// overridden.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConflictList {
    /// The page.
    pub conflicts: Vec<Conflict>,
    /// How many there are.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// The page's size.
    pub limit: u64,
}

/// What lost about one task, or about a document of another collection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conflict {
    /// The task, or the document's id in its collection.
    pub task_id: String,
    /// The collection of what is no task: `project` or `draft`; null for a task.
    #[serde(default)]
    pub collection: Option<String>,
    /// Its tenant.
    pub scope: String,
    /// Its title; empty for what is no task, as its queue is.
    pub title: String,
    /// Its queue.
    pub queue: String,
    /// Whether somebody has dismissed all of it.
    pub dismissed: bool,
    /// The attempt that the task rests on; null while none does.
    pub winner: Option<String>,
    /// Attempts that lost to another one, or were accepted besides it. Their branches are kept.
    pub attempts: Vec<AttemptInfo>,
    /// Creations of the same id by nodes that knew nothing of each other: they are one task now.
    pub creations: Vec<ConflictingCreation>,
    /// Commits of merges besides the one that counts.
    pub merges: Vec<String>,
    /// Blockers that are not waited for, because each closes a circle of tasks that wait for each other.
    pub cut_blockers: Vec<String>,
    /// What was done without reaching the authority, and what stands instead; the latest 64.
    #[serde(default)]
    pub overridden: Vec<OverriddenChange>,
}

/// A change that was made without reaching the authority, whose own goes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OverriddenChange {
    /// The field, `queue`, or `content`: a body's lines are merged.
    pub what: String,
    /// What was wanted; null for nothing, and for a body.
    pub lost: Option<String>,
    /// What stands; null for nothing, and for a body.
    pub kept: Option<String>,
    /// The name of the node that wanted it.
    pub node: String,
    /// When, by that node's clock.
    pub at: String,
    /// The record, as hex.
    pub record_id: String,
}

/// A creation of a task that another node had made too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConflictingCreation {
    /// The name of the node that made it.
    pub node: String,
    /// When, by that node's clock.
    pub created_at: String,
    /// The record, as hex.
    pub record_id: String,
}

/// Takes an attempt up again that lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptRequest {
    /// The attempt's name, such as `2-3fa9c2d1`, or its number where only one attempt has it.
    pub attempt: String,
    /// Who adopts it.
    #[serde(default)]
    pub adopted_by: Option<String>,
}
