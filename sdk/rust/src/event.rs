//! What a node tells as it happens.

use serde::{Deserialize, Serialize};

/// One server-sent event. Its `data` line is this as JSON; `id` and `event` lines repeat the id and the kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// What `Last-Event-ID` takes to go on after this event.
    pub id: String,
    /// task.created, task.updated, task.claimed and so on; project and draft with created, updated, deleted; message.created;
    /// action.created, action.updated; flow.updated, flow.deleted; role.registered; peer.up or peer.down.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the node saw it.
    #[serde(default)]
    pub timestamp: String,
    /// The task that it is about; of a message, its task.
    #[serde(default)]
    pub task_id: Option<String>,
    /// What it is about besides tasks: the id or name of the project, draft, message, action, flow or role.
    #[serde(default)]
    pub entity_id: Option<String>,
    /// The tenant of what it is about.
    #[serde(default)]
    pub scope: Option<String>,
    /// Where that task now waits.
    #[serde(default)]
    pub queue: Option<String>,
    /// That task's version.
    #[serde(default)]
    pub version: Option<u64>,
    /// The peer that it is about.
    #[serde(default)]
    pub peer: Option<String>,
}
