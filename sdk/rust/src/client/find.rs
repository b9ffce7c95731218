//! Reads by id whose result may be that there is nothing.

use super::Client;
use crate::{Action, ClientError, Draft, Flow, Orchestrator, Project, Role, Task};

/// Turns the error that tells of an absence into `None`.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Client {
    /// Shows a task; `None` when there is none of that id.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_task(&self, id: &str) -> Result<Option<Task>, ClientError> {
        found(self.task(id).await)
    }

    /// Shows a project; `None` when there is none of that id.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_project(&self, id: &str) -> Result<Option<Project>, ClientError> {
        found(self.project(id).await)
    }

    /// Shows a draft; `None` when there is none of that number.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_draft(&self, id: u64) -> Result<Option<Draft>, ClientError> {
        found(self.draft(id).await)
    }

    /// Shows an action; `None` when there is none of that id.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_action(&self, id: &str) -> Result<Option<Action>, ClientError> {
        found(self.action(id).await)
    }

    /// Shows a flow; `None` when there is none of that name.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_flow(&self, name: &str) -> Result<Option<Flow>, ClientError> {
        found(self.flow(name).await)
    }

    /// Shows a role; `None` when there is none of that name.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_role(&self, name: &str) -> Result<Option<Role>, ClientError> {
        found(self.role(name).await)
    }

    /// Shows an orchestrator; `None` when there is none of that id.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_orchestrator(&self, id: &str) -> Result<Option<Orchestrator>, ClientError> {
        found(self.orchestrator(id).await)
    }
}
