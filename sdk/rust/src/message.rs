//! Messages between actors about a task. Append only.

use serde::{Deserialize, Serialize};

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// The message's id.
    pub id: String,
    /// The task that it is about.
    pub task_id: String,
    /// Who wrote it.
    pub from_actor: String,
    /// Who should read it.
    pub to_actor: Option<String>,
    /// What it is, for example `rejection` or `force_queue`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message that it answers.
    pub parent_message_id: Option<String>,
    /// The first message of its thread; its own id where it is that.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// The tenant.
    pub scope: String,
    /// When it was written.
    pub created_at: String,
}

/// One page of messages, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Messages {
    /// The messages of this page.
    pub messages: Vec<Message>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// Writes a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewMessage {
    /// The task that it is about.
    pub task_id: String,
    /// Who writes it.
    pub from_actor: String,
    /// Who should read it.
    #[serde(default)]
    pub to_actor: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message of the same task that it answers.
    #[serde(default)]
    pub parent_message_id: Option<String>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}
