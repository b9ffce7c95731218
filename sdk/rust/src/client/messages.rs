//! Calls about messages and actions.

use http::Method;

use super::{Client, request::Call};
use crate::{Action, ActionList, ActionPatch, ClientError, Message, Messages, NewAction, NewMessage};

/// Which messages a list holds. Several values of one field mean any of them; an empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Tasks.
    pub task_id: Vec<String>,
    /// Whom they are for.
    pub to_actor: Vec<String>,
    /// Who wrote them.
    pub from_actor: Vec<String>,
    /// Types.
    pub kind: Vec<String>,
    /// The first message of a thread, which is listed too.
    pub thread_id: Option<String>,
    /// Only those without an answer.
    pub unreplied: bool,
    /// Tenant; the node's own by default.
    pub scope: Option<String>,
    /// Page size, 50 by default and 500 at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
}

/// Which actions a list holds. Several values of one field mean any of them; an empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionFilter {
    /// What they are about, by kind.
    pub entity_type: Vec<String>,
    /// What they are about.
    pub entity_id: Vec<String>,
    /// Types.
    pub action_type: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
    /// Tenant; the node's own by default.
    pub scope: Option<String>,
    /// Page size, 50 by default and 500 at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
}

impl Client {
    /// Lists messages, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Messages, ClientError> {
        let call = Call::new(Method::GET, &["messages"])?
            .query_list("task_id", &filter.task_id)
            .query_list("to_actor", &filter.to_actor)
            .query_list("from_actor", &filter.from_actor)
            .query_list("type", &filter.kind)
            .query("thread_id", filter.thread_id.as_ref())
            .query_flag("unreplied", filter.unreplied)
            .query("scope", filter.scope.as_ref())
            .query_number("limit", filter.limit)
            .query_number("offset", filter.offset);
        self.answer(call).await
    }

    /// Writes a message on a task.
    ///
    /// # Errors
    /// As every call; 404 when there is no such task.
    pub async fn create_message(&self, message: &NewMessage) -> Result<Message, ClientError> {
        self.answer(Call::new(Method::POST, &["messages"])?.body(message)?).await
    }

    /// Lists actions, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn actions(&self, filter: &ActionFilter) -> Result<ActionList, ClientError> {
        let call = Call::new(Method::GET, &["actions"])?
            .query_list("entity_type", &filter.entity_type)
            .query_list("entity_id", &filter.entity_id)
            .query_list("action_type", &filter.action_type)
            .query_list("status", &filter.status)
            .query("scope", filter.scope.as_ref())
            .query_number("limit", filter.limit)
            .query_number("offset", filter.offset);
        self.answer(call).await
    }

    /// Shows an action.
    ///
    /// # Errors
    /// As every call; 404 when there is none of that id.
    pub async fn action(&self, id: &str) -> Result<Action, ClientError> {
        self.answer(Call::new(Method::GET, &["actions", id])?).await
    }

    /// Proposes an action.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_action(&self, action: &NewAction) -> Result<Action, ClientError> {
        self.answer(Call::new(Method::POST, &["actions"])?.body(action)?).await
    }

    /// Asks for a proposed action to be executed.
    ///
    /// # Errors
    /// As every call; 400 when it is not proposed any more, or has expired.
    pub async fn execute_action(&self, id: &str) -> Result<Action, ClientError> {
        self.answer(Call::new(Method::POST, &["actions", id, "execute"])?).await
    }

    /// Tells how the execution of an action goes.
    ///
    /// # Errors
    /// As every call; 409 when the status does not follow from the present one.
    pub async fn patch_action(&self, id: &str, patch: &ActionPatch) -> Result<Action, ClientError> {
        self.answer(Call::new(Method::PATCH, &["actions", id])?.body(patch)?).await
    }
}
