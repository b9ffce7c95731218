//! Drafts: ideas that may become tasks or projects.

use serde::{Deserialize, Serialize};

use crate::wire::patch;

/// One draft, every field always present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Draft {
    /// The id, unique in its scope; below 2^53.
    pub id: u64,
    /// One line for people.
    pub title: String,
    /// idea, draft, review, approved, implemented or archived.
    pub status: String,
    /// Who had the idea.
    pub author: Option<String>,
    /// What it is about.
    pub domain: Option<String>,
    /// The file that holds the text.
    pub file_path: Option<String>,
    /// The task that it became, or belongs to.
    pub linked_task_id: Option<String>,
    /// The project that it became, or belongs to.
    pub linked_project_id: Option<String>,
    /// Words to find it by, as JSON text: a list of texts.
    pub tags: Option<String>,
    /// The tenant.
    pub scope: String,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// One page of drafts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DraftList {
    /// The drafts of this page.
    pub drafts: Vec<Draft>,
    /// How many match in all.
    pub total: u64,
    /// How many were skipped.
    pub offset: u64,
    /// How many a page holds.
    pub limit: u64,
}

/// Asks for a new draft; its node gives the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewDraft {
    /// One line for people.
    pub title: String,
    /// Defaults to `idea`.
    #[serde(default)]
    pub status: Option<String>,
    /// Who had the idea.
    #[serde(default)]
    pub author: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub domain: Option<String>,
    /// The file that holds the text.
    #[serde(default)]
    pub file_path: Option<String>,
    /// The task that it belongs to.
    #[serde(default)]
    pub linked_task_id: Option<String>,
    /// The project that it belongs to.
    #[serde(default)]
    pub linked_project_id: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Defaults to the node's own scope.
    #[serde(default)]
    pub scope: Option<String>,
}

patch! {
    /// Changes the fields of a draft that it names and leaves the others.
    pub struct DraftPatch {
        title: String,
        /// idea, draft, review, approved, implemented or archived.
        status: String,
        author: Option<String>,
        domain: Option<String>,
        file_path: Option<String>,
        linked_task_id: Option<String>,
        linked_project_id: Option<String>,
        /// All tags, instead of those before.
        tags: Option<Vec<String>>,
    }
    flags {}
}

/// Tells that a draft is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DraftDeleted {
    /// `Draft deleted`.
    pub message: String,
    /// The id that it had.
    pub draft_id: u64,
}
