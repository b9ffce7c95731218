//! Calls about tasks.

use std::collections::VecDeque;

use http::Method;
use serde_json::json;

use super::{Client, LogQuery, TextStream, request::Call};
use crate::{
    AcceptRequest, Attempts, CancelRequest, ClaimRequest, ClientError, Deleted, ForceQueueRequest, History, HookCompletion, MergeRequest,
    Messages, NewTask, RejectRequest, ReleaseRequest, RenewRequest, RequeueRequest, Resolved, SubmitRequest, Task, TaskList, TaskPatch,
};

/// Which tasks a list holds. Several values of one field mean any of them; an empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Queues.
    pub queue: Vec<String>,
    /// Priorities.
    pub priority: Vec<String>,
    /// Roles.
    pub role: Vec<String>,
    /// Holders.
    pub claimed_by: Vec<String>,
    /// Projects.
    pub project_id: Vec<String>,
    /// Whether a person is asked for.
    pub needs_intervention: Option<bool>,
    /// Tenant; the node's own by default.
    pub scope: Option<String>,
    /// Priority first, then oldest first, instead of newest first.
    pub by_priority: bool,
    /// Page size, 50 by default and 500 at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
}

/// Which diff is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiffQuery {
    /// The attempt; the current one by default.
    pub attempt: Option<String>,
    /// Whether only a summary per file is wanted.
    pub stat: bool,
}

/// How many tasks are asked for at once.
const PAGE: u64 = 500;

/// All tasks that match, read page by page. Tasks that come or go meanwhile may be told twice or not at all.
#[derive(Debug)]
pub struct Tasks {
    client: Client,
    filter: TaskFilter,
    page: VecDeque<Task>,
    /// How many are read, and how many there are.
    read: (u64, Option<u64>),
}

impl Tasks {
    /// Reads the next task; `None` is the end.
    ///
    /// # Errors
    /// As every call.
    pub async fn next(&mut self) -> Result<Option<Task>, ClientError> {
        if self.page.is_empty() && self.read.1.is_none_or(|total| self.read.0 < total) {
            let filter = TaskFilter { limit: Some(PAGE), offset: Some(self.read.0), ..self.filter.clone() };
            let TaskList { tasks, total, .. } = self.client.tasks(&filter).await?;
            // An empty page ends it, whatever the total says.
            let read = self.read.0 + tasks.len() as u64;
            self.read = (read, Some(if tasks.is_empty() { read } else { total }));
            self.page = tasks.into();
        }
        Ok(self.page.pop_front())
    }
}

impl Client {
    /// Reads all tasks that match, whatever limit and offset the filter has.
    #[must_use]
    pub fn every_task(&self, filter: &TaskFilter) -> Tasks {
        Tasks { client: self.clone(), filter: filter.clone(), page: VecDeque::new(), read: (0, None) }
    }

    /// Lists tasks.
    ///
    /// # Errors
    /// As every call.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<TaskList, ClientError> {
        let call = Call::new(Method::GET, &["tasks"])?
            .query_list("queue", &filter.queue)
            .query_list("priority", &filter.priority)
            .query_list("role", &filter.role)
            .query_list("claimed_by", &filter.claimed_by)
            .query_list("project_id", &filter.project_id)
            .query("needs_intervention", filter.needs_intervention.map(|flag| flag.to_string()))
            .query("scope", filter.scope.as_ref())
            .query("sort", filter.by_priority.then_some("priority"))
            .query_number("limit", filter.limit)
            .query_number("offset", filter.offset);
        self.answer(call).await
    }

    /// Shows a task.
    ///
    /// # Errors
    /// As every call; 404 when there is none of that id.
    pub async fn task(&self, id: &str) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::GET, &["tasks", id])?).await
    }

    /// Finds the one task whose id is, or begins with, this text.
    ///
    /// # Errors
    /// As every call; 404 when there is none, 409 with candidates when there are several.
    pub async fn resolve_task(&self, prefix: &str) -> Result<Resolved, ClientError> {
        self.answer(Call::new(Method::GET, &["tasks", "resolve", prefix])?).await
    }

    /// Makes a task.
    ///
    /// # Errors
    /// As every call; 409 when the id is taken.
    pub async fn create_task(&self, task: &NewTask) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::POST, &["tasks"])?.body(task)?).await
    }

    /// Edits a task.
    ///
    /// # Errors
    /// As every call.
    pub async fn patch_task(&self, id: &str, patch: &TaskPatch) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::PATCH, &["tasks", id])?.body(patch)?).await
    }

    /// Deletes a task.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_task(&self, id: &str) -> Result<Deleted, ClientError> {
        let gone = json!({ "message": "Task deleted", "task_id": id });
        self.answer(Call::new(Method::DELETE, &["tasks", id])?.or_gone(&gone)).await
    }

    /// Claims the next task; `None` when none is available.
    ///
    /// # Errors
    /// As every call.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Option<Task>, ClientError> {
        match self.answer(Call::new(Method::POST, &["tasks", "claim"])?.body(request)?).await {
            Ok(task) => Ok(Some(task)),
            // An empty queue answers with a message and no error; a node without this call names the route.
            Err(ClientError::Status { status: 404, body }) if body.error.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a claim alive.
    ///
    /// # Errors
    /// As every call; 409 when the caller does not hold the task.
    pub async fn renew(&self, id: &str, request: &RenewRequest) -> Result<Task, ClientError> {
        self.act(id, "renew", request).await
    }

    /// Hands in finished work.
    ///
    /// # Errors
    /// As every call; 409 when the claim has ended or is another's.
    pub async fn submit(&self, id: &str, request: &SubmitRequest) -> Result<Task, ClientError> {
        self.act(id, "submit", request).await
    }

    /// Judges that the work is good.
    ///
    /// # Errors
    /// As every call; 409 when nothing waits for a verdict.
    pub async fn accept(&self, id: &str, request: &AcceptRequest) -> Result<Task, ClientError> {
        self.act(id, "accept", request).await
    }

    /// Judges that the work is not good.
    ///
    /// # Errors
    /// As every call; 409 when nothing waits for a verdict.
    pub async fn reject(&self, id: &str, request: &RejectRequest) -> Result<Task, ClientError> {
        self.act(id, "reject", request).await
    }

    /// Sends a task back to be tried again.
    ///
    /// # Errors
    /// As every call; 409 when its queue does not allow it.
    pub async fn requeue(&self, id: &str, request: &RequeueRequest) -> Result<Task, ClientError> {
        self.act(id, "requeue", request).await
    }

    /// Gives a claimed task back.
    ///
    /// # Errors
    /// As every call; 409 when it is not claimed, or by another.
    pub async fn release(&self, id: &str, request: &ReleaseRequest) -> Result<Task, ClientError> {
        self.act(id, "release", request).await
    }

    /// Gives a task up.
    ///
    /// # Errors
    /// As every call; 409 when it has ended.
    pub async fn cancel(&self, id: &str, request: &CancelRequest) -> Result<Task, ClientError> {
        self.act(id, "cancel", request).await
    }

    /// Moves a task past its flow.
    ///
    /// # Errors
    /// As every call.
    pub async fn force_queue(&self, id: &str, request: &ForceQueueRequest) -> Result<Task, ClientError> {
        self.act(id, "force-queue", request).await
    }

    /// Merges accepted work that awaits it.
    ///
    /// # Errors
    /// As every call; 409 when nothing awaits merging, or it does not merge.
    pub async fn merge(&self, id: &str, request: &MergeRequest) -> Result<Task, ClientError> {
        self.act(id, "merge", request).await
    }

    /// Reports the end of a hook.
    ///
    /// # Errors
    /// As every call; 404 when the task has no such hook.
    pub async fn complete_hook(&self, id: &str, hook: &str, request: &HookCompletion) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::POST, &["tasks", id, "hooks", hook, "complete"])?.body(request)?).await
    }

    /// Shows what happened to a task.
    ///
    /// # Errors
    /// As every call.
    pub async fn history(&self, id: &str) -> Result<History, ClientError> {
        self.answer(Call::new(Method::GET, &["tasks", id, "history"])?).await
    }

    /// Shows every try at a task.
    ///
    /// # Errors
    /// As every call.
    pub async fn attempts(&self, id: &str) -> Result<Attempts, ClientError> {
        self.answer(Call::new(Method::GET, &["tasks", id, "attempts"])?).await
    }

    /// Shows what was written about a task.
    ///
    /// # Errors
    /// As every call.
    pub async fn task_messages(&self, id: &str) -> Result<Messages, ClientError> {
        self.answer(Call::new(Method::GET, &["tasks", id, "messages"])?).await
    }

    /// Shows what an attempt changed.
    ///
    /// # Errors
    /// As every call; 404 when there is no such attempt or nothing is committed.
    pub async fn diff(&self, id: &str, query: &DiffQuery) -> Result<TextStream, ClientError> {
        let call = Call::new(Method::GET, &["tasks", id, "diff"])?;
        self.text(call.query("attempt", query.attempt.as_ref()).query_flag("stat", query.stat)).await
    }

    /// Shows, or follows, what an attempt's agent printed.
    ///
    /// # Errors
    /// As every call; 404 when there is no such attempt.
    pub async fn log(&self, id: &str, query: &LogQuery) -> Result<TextStream, ClientError> {
        let call = Call::new(Method::GET, &["tasks", id, "log"])?;
        self.text(call.query("attempt", query.attempt.as_ref()).query_flag("raw", query.raw).query_flag("follow", query.follow)).await
    }

    async fn act<T: serde::Serialize>(&self, id: &str, verb: &str, request: &T) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::POST, &["tasks", id, verb])?.body(request)?).await
    }
}
