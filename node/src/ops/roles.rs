//! Roles that orchestrators registered: which jobs a scope's tasks may name, and where their agents claim from.
//!
//! **Invariants**: agents.yaml registers no role here; a role is written when it says something new.

use octopoid_crdt::ids::Name;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::store::{Fault, Reader, Unit};

/// The collection of roles.
pub const COLLECTION: &str = "roles";

/// A role as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The queue that its agents claim from.
    #[serde(default)]
    pub claims_from: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Who registered it as it is now.
    #[serde(default)]
    pub orchestrator_id: Option<String>,
    /// When it was first registered.
    #[serde(default)]
    pub created_ms: u64,
}

/// One role with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The tenant.
    pub scope: String,
    /// The name.
    pub name: String,
    /// What is stored.
    pub stored: Stored,
}

fn parse(json: &str) -> Option<Stored> {
    serde_json::from_str(json).ok()
}

/// Registers a role, or brings its registration up to date.
///
/// # Errors
/// When the store fails.
pub fn register(unit: &mut Unit<'_>, scope: &Name, name: &str, wanted: Stored) -> Result<Listed, Refused> {
    let known = unit.item(COLLECTION, scope.as_str(), name)?.and_then(|item| parse(&item.json));
    let same = |known: &Stored| (&known.claims_from, &known.description) == (&wanted.claims_from, &wanted.description);
    let stored = match known {
        Some(known) if same(&known) => known,
        known => {
            let stored = Stored { created_ms: known.map_or(unit.now_ms(), |known| known.created_ms), ..wanted };
            let json = serde_json::to_string(&stored).map_err(|error| Refused::field("roles", error.to_string()))?;
            unit.put(COLLECTION, scope, name, Some(json))?;
            stored
        }
    };
    Ok(Listed { scope: scope.to_string(), name: name.to_owned(), stored })
}

/// Returns a role; none where there is none of this name in the scope.
///
/// # Errors
/// When the store cannot be read.
pub fn get(reader: &Reader, scope: &str, name: &str) -> Result<Option<Listed>, Fault> {
    let stored = reader.item(COLLECTION, scope, name)?.and_then(|item| parse(&item.json));
    Ok(stored.map(|stored| Listed { scope: scope.to_owned(), name: name.to_owned(), stored }))
}

/// Returns the roles of a scope, in the order of their names.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: &str) -> Result<Vec<Listed>, Fault> {
    let items = reader.items(COLLECTION, Some(scope))?.into_iter();
    Ok(items.filter_map(|(scope, name, item)| Some(Listed { scope, name, stored: parse(&item.json)? })).collect())
}
