//! Whether a node can serve. The one call that needs no token.

use serde::{Deserialize, Serialize};

/// A node's state of health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// healthy or unhealthy.
    pub status: String,
    /// The version of the API, `2.0.0`.
    pub version: String,
    /// When this was answered.
    pub timestamp: String,
    /// connected, or why not.
    pub database: String,
    /// The node's name.
    #[serde(default)]
    pub node: Option<String>,
    /// The cluster's name; null for a lone node.
    #[serde(default)]
    pub cluster: Option<String>,
    /// local, peers or server-wins.
    #[serde(default)]
    pub mode: Option<String>,
}
