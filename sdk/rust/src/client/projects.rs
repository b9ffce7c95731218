//! Calls about projects.

use http::Method;

use super::{Client, request::Call};
use crate::{ClientError, NewProject, Project, ProjectList, ProjectPatch, ProjectTasks};

/// Which projects a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Statuses; empty means all.
    pub status: Vec<String>,
    /// Tenant; the node's own by default.
    pub scope: Option<String>,
    /// Page size, 50 by default and 500 at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
}

impl Client {
    /// Lists projects.
    ///
    /// # Errors
    /// As every call.
    pub async fn projects(&self, filter: &ProjectFilter) -> Result<ProjectList, ClientError> {
        let call = Call::new(Method::GET, &["projects"])?
            .query_list("status", &filter.status)
            .query("scope", filter.scope.as_ref())
            .query_number("limit", filter.limit)
            .query_number("offset", filter.offset);
        self.answer(call).await
    }

    /// Shows a project.
    ///
    /// # Errors
    /// As every call.
    pub async fn project(&self, id: &str) -> Result<Project, ClientError> {
        self.answer(Call::new(Method::GET, &["projects", id])?).await
    }

    /// Shows a project's tasks.
    ///
    /// # Errors
    /// As every call.
    pub async fn project_tasks(&self, id: &str) -> Result<ProjectTasks, ClientError> {
        self.answer(Call::new(Method::GET, &["projects", id, "tasks"])?).await
    }

    /// Makes a project.
    ///
    /// # Errors
    /// As every call; 409 when the id is taken.
    pub async fn create_project(&self, project: &NewProject) -> Result<Project, ClientError> {
        self.answer(Call::new(Method::POST, &["projects"])?.body(project)?).await
    }

    /// Edits a project.
    ///
    /// # Errors
    /// As every call.
    pub async fn patch_project(&self, id: &str, patch: &ProjectPatch) -> Result<Project, ClientError> {
        self.answer(Call::new(Method::PATCH, &["projects", id])?.body(patch)?).await
    }

    /// Deletes a project without tasks.
    ///
    /// # Errors
    /// As every call; 409 while it has tasks.
    pub async fn delete_project(&self, id: &str) -> Result<serde_json::Value, ClientError> {
        let gone = serde_json::json!({ "message": "Project deleted", "project_id": id });
        self.answer(Call::new(Method::DELETE, &["projects", id])?.or_gone(&gone)).await
    }
}
