//! Roles: the jobs that agents have, as orchestrators register them.

use serde::{Deserialize, Serialize};

/// A job that agents have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Role {
    /// Its name; tasks name it in `role`.
    pub name: String,
    /// The queue that its agents claim from.
    pub claims_from: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Who registered it as it is now.
    #[serde(default)]
    pub orchestrator_id: Option<String>,
    /// The tenant.
    #[serde(default)]
    pub scope: String,
    /// When it was first registered.
    #[serde(default)]
    pub created_at: String,
}

/// Registered roles, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleList {
    /// The roles of this page.
    pub roles: Vec<Role>,
    /// How many there are in all.
    #[serde(default)]
    pub total: u64,
    /// How many were skipped.
    #[serde(default)]
    pub offset: u64,
    /// How many a page holds.
    #[serde(default)]
    pub limit: u64,
}

/// Registers roles in an orchestrator's scope; harmless when repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterRoles {
    /// Who registers them.
    pub orchestrator_id: String,
    /// The roles.
    pub roles: Vec<NewRole>,
    /// The orchestrator's scope; needed only where its id is in several.
    #[serde(default)]
    pub scope: Option<String>,
}

/// A role to be registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// The queue that its agents claim from; `incoming` when left out.
    #[serde(default)]
    pub claims_from: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

/// The roles as they are registered now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredRoles {
    /// The roles, in the order of the request.
    pub roles: Vec<Role>,
}
