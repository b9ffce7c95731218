//! Finds messages and actions: what was said and proposed, by every filter that lists have.
//!
//! A **post** is an entry of an append-only collection, or a record of a task that people read as a message: a rejection, a
//! forced move. What it says stays in its record; here are only the keys under which it is found, in order of time.
//!
//! **Invariants**: a post's keys follow from its record, an action's from that of its state too, so they are the same
//! whatever came first; what a removal masks has none.

mod find;
mod follow;

use std::collections::BTreeSet;

use octopoid_crdt::action::Status;
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::{Body, Cause, Verified};
use serde::{Deserialize, Serialize};

pub use find::{Post, PostQuery};

/// The reason with which a task is put into its first queue.
pub const CREATED_THERE: &str = "created in this queue";
/// What the Finish of a task says whose subtasks are all done.
pub const SUBTASKS_DONE: &str = "subtasks_done";
/// What a Finish says, or begins with, that stands for an accept of a task that rests on no record.
pub const ACCEPTED: &str = "accepted by its flow";

/// The collection of messages.
pub const MESSAGES: &str = "messages";
/// The collection of actions as they were proposed.
pub const ACTIONS: &str = "actions";
/// The collection of what became of actions, by their ids.
pub const ACTION_STATES: &str = "action_states";

/// The longest value that something is found under, in bytes: twice what the API takes for any.
const LONGEST: usize = 512;

/// What a post can be found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PostFacet {
    /// All messages.
    Message = 1,
    /// Messages by task.
    MessageTask = 2,
    /// Messages by whom they are for.
    MessageTo = 3,
    /// Messages by who wrote them.
    MessageFrom = 4,
    /// Messages by type.
    MessageType = 5,
    /// Messages by the first one of their thread, itself included.
    MessageThread = 6,
    /// Messages by the one that they answer.
    MessageReply = 7,
    /// Actions by status.
    ActionStatus = 10,
    /// Actions by the kind of what they are about.
    ActionEntityType = 11,
    /// Actions by what they are about.
    ActionEntity = 12,
    /// Actions by type.
    ActionType = 13,
}

/// A message as its record holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEntry {
    /// The task that it is about.
    pub task_id: String,
    /// Who wrote it.
    pub from_actor: String,
    /// Who should read it.
    #[serde(default)]
    pub to_actor: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message that it answers.
    #[serde(default)]
    pub parent_message_id: Option<String>,
    /// The first message of its thread, unless it is that itself. Its author knew it, so no other record is needed to find it.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// What it was in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Brought>,
}

/// What a post was in the system that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Its id there.
    pub id: String,
    /// When it was written there, in milliseconds since 1970.
    #[serde(default)]
    pub created_ms: u64,
}

/// An action as it was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEntry {
    /// What kind of thing it is about.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// What it is.
    pub action_type: String,
    /// What people see.
    pub label: String,
    /// More about it.
    #[serde(default)]
    pub description: Option<String>,
    /// Who proposed it.
    pub proposed_by: String,
    /// When it is no longer wanted, unless it was begun.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// JSON text.
    #[serde(default)]
    pub metadata: Option<String>,
    /// JSON text.
    #[serde(default)]
    pub action_data: Option<String>,
    /// What it was in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Brought>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionState {
    /// The status's name.
    pub status: String,
    /// What it led to, as text.
    #[serde(default)]
    pub result: Option<String>,
    /// When its execution was asked for.
    #[serde(default)]
    pub executed_ms: Option<u64>,
    /// When it was last changed, where that was in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<u64>,
}

impl ActionState {
    /// Returns the status; one that a later version wrote counts as ended, so that nothing is begun twice.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::parse(&self.status).unwrap_or(Status::Failed)
    }
}

/// Reads what is stored about a post.
pub fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Tells whether a Finish follows from something else, so that nobody forced it.
fn is_of_course(reason: &str) -> bool {
    reason == CREATED_THERE || reason == SUBTASKS_DONE || reason.starts_with(ACCEPTED)
}

/// Returns what a record of a task says to people: the message's type, who said it, and the text.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind says nothing to anybody")]
pub fn told(body: &Body) -> Option<(&'static str, &str, &str)> {
    match body {
        Body::Reject { by, reason, .. } => Some(("rejection", by, reason)),
        Body::Move { cause: Cause::ForceQueue, by, reason, .. } => Some(("force_queue", by, reason)),
        Body::Finish { by, reason } if !is_of_course(reason) => Some(("force_queue", by, reason)),
        _ => None,
    }
}

/// Where a post stands in a list: by time, then in the order in which its author wrote it, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PostAt {
    /// When its author says it was written, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Its number in its author's session: what one author writes within a millisecond stays in order.
    pub seq: u64,
    /// Its record.
    pub id: RecordId,
}

impl PostAt {
    fn of(record: &Verified) -> Self {
        let payload = record.payload();
        Self { wall_ms: payload.wall_ms, seq: payload.seq, id: record.id() }
    }
}

/// (scope, facet, value, place).
pub(super) type PostKey = (String, u8, String, PostAt);

/// The keys of one post, and until when it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Keys {
    keys: BTreeSet<PostKey>,
    until_ms: u64,
}

impl Keys {
    fn of(scope: &str, at: PostAt, until_ms: u64, under: &[(PostFacet, Option<&str>)]) -> Self {
        let short = under.iter().filter_map(|(facet, value)| Some((*facet, value.filter(|value| value.len() <= LONGEST)?)));
        let keys = short.map(|(facet, value)| (scope.to_owned(), facet as u8, value.to_owned(), at)).collect();
        Self { keys, until_ms }
    }

    fn of_message(scope: &str, at: PostAt, message: &MessageEntry) -> Self {
        let own = at.id.to_string();
        let under = [
            (PostFacet::Message, Some("")),
            (PostFacet::MessageTask, Some(message.task_id.as_str())),
            (PostFacet::MessageTo, message.to_actor.as_deref()),
            (PostFacet::MessageFrom, Some(message.from_actor.as_str())),
            (PostFacet::MessageType, Some(message.kind.as_str())),
            (PostFacet::MessageThread, Some(message.thread_id.as_deref().unwrap_or(&own))),
            (PostFacet::MessageReply, message.parent_message_id.as_deref()),
        ];
        Self::of(scope, at, u64::MAX, &under)
    }

    fn of_action(scope: &str, at: PostAt, action: &ActionEntry, state: Option<&ActionState>) -> Self {
        let status = state.map_or(Status::Proposed, ActionState::status);
        let until_ms = action.expires_ms.filter(|_| status.expires()).unwrap_or(u64::MAX);
        let under = [
            (PostFacet::ActionStatus, Some(status.as_str())),
            (PostFacet::ActionEntityType, Some(action.entity_type.as_str())),
            (PostFacet::ActionEntity, Some(action.entity_id.as_str())),
            (PostFacet::ActionType, Some(action.action_type.as_str())),
        ];
        Self::of(scope, at, until_ms, &under)
    }
}

impl MessageEntry {
    fn told(task_id: String, (kind, by, reason): (&str, &str, &str)) -> Self {
        Self {
            task_id,
            from_actor: by.to_owned(),
            to_actor: None,
            kind: kind.to_owned(),
            content: reason.to_owned(),
            parent_message_id: None,
            thread_id: None,
            imported: None,
        }
    }

    /// Reads a message out of its record; `task` is the one that a record of a task is about.
    fn of(record: &Verified, task: &str) -> Option<Self> {
        let body = &record.payload().body;
        if let Body::Append { value, .. } = body { parse(value) } else { told(body).map(|told| Self::told(task.to_owned(), told)) }
    }
}
