//! Messages between actors about a task.
//!
//! **Invariants**: a message is written once and never changed; an answer is about the task of what it answers, and comes
//! after it in every order.

use octopoid_crdt::ids::{Name, RecordId};

use super::{Refused, Target, find};
use crate::store::Unit;
use crate::store::posts::{MESSAGES, MessageEntry};

/// A message to be written.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The task that it is about.
    pub task: Target,
    /// Who writes it.
    pub from_actor: String,
    /// Who should read it.
    pub to_actor: Option<String>,
    /// What it is.
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message that it answers.
    pub parent: Option<RecordId>,
}

/// A message with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its record.
    pub id: RecordId,
    /// The tenant.
    pub scope: String,
    /// What is stored.
    pub entry: MessageEntry,
    /// When it was written.
    pub wall_ms: u64,
}

/// Writes a message.
///
/// # Errors
/// When there is no such task, or what it answers is no message of that task.
pub fn write(unit: &mut Unit<'_>, message: NewMessage) -> Result<Written, Refused> {
    let no = find(unit, &message.task)?;
    let row = unit.row(no)?;
    let (scope, task) = (row.scope.clone(), row.id.clone());
    let (scope, task): (Name, Name) = (super::name("scope", &scope)?, super::name("task_id", &task)?);
    let mut entry = MessageEntry {
        task_id: task.to_string(),
        from_actor: message.from_actor,
        to_actor: message.to_actor,
        kind: message.kind,
        content: message.content,
        parent_message_id: None,
        thread_id: None,
        imported: None,
    };
    if let Some(parent) = message.parent {
        let unknown = || Refused::field("parent_message_id", format!("'{parent}' is no message of task '{task}'"));
        let answered = unit.message(&scope, &task, &parent)?.ok_or_else(unknown)?;
        entry.parent_message_id = Some(parent.to_string());
        entry.thread_id = Some(answered.thread_id.unwrap_or_else(|| parent.to_string()));
    }
    let json = serde_json::to_string(&entry).map_err(|error| Refused::field("content", error.to_string()))?;
    let id = unit.append(MESSAGES, &scope, task.as_str(), json, message.parent)?;
    Ok(Written { id, scope: scope.to_string(), entry, wall_ms: unit.now_ms() })
}
