//! Projects: tasks that share a branch.

use serde::{Deserialize, Serialize};

use crate::{
    task::Task,
    wire::{flag, optional_flag, patch},
};

/// One project, every field always present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// The id, unique in its scope.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// draft, active, completed or archived.
    pub status: String,
    /// The branch of its tasks; `project/<id>` by default.
    pub branch: Option<String>,
    /// The branch that it is meant for.
    pub base_branch: Option<String>,
    /// Whether its tasks' submits need no review.
    #[serde(deserialize_with = "flag")]
    pub auto_accept: bool,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was completed.
    pub completed_at: Option<String>,
    /// The tenant.
    pub scope: String,
}

/// One page of projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectList {
    /// The projects of this page.
    pub projects: Vec<Project>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// A project's tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectTasks {
    /// The project.
    pub project_id: String,
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// How many there are.
    pub total: u64,
}

/// Asks for a new project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewProject {
    /// The id.
    pub id: String,
    /// One line for people; `name` means the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the first SDKs call the title; the title wins where both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Defaults to `draft`.
    #[serde(default)]
    pub status: Option<String>,
    /// Defaults to `project/<id>`.
    #[serde(default)]
    pub branch: Option<String>,
    /// Defaults to `main`.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// Whether its tasks' submits need no review.
    #[serde(default, deserialize_with = "optional_flag")]
    pub auto_accept: Option<bool>,
    /// Who makes it.
    #[serde(default)]
    pub created_by: Option<String>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

patch! {
    /// Changes the fields of a project that it names and leaves the others.
    pub struct ProjectPatch {
        title: String,
        /// What the first SDKs call the title.
        name: String,
        description: Option<String>,
        /// `completed` sets `completed_at`.
        status: String,
        branch: Option<String>,
        base_branch: Option<String>,
    }
    flags { auto_accept }
}
