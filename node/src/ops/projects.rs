//! Projects: tasks that share a branch.
//!
//! **Invariants**: a project with tasks is not deleted; a task never names a project that is not there when it is made.

use octopoid_crdt::ids::Name;
use octopoid_crdt::record::limits;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::store::index::Facet;
use crate::store::{Fault, Filter, Reader, Sort, Unit, WriteFault};

/// The collection of projects.
pub const COLLECTION: &str = "projects";

/// One project as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stored {
    /// One line for people.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// draft, active, completed or archived.
    pub status: String,
    /// The branch of its tasks.
    pub branch: Option<String>,
    /// The branch that it is meant for.
    pub base_branch: Option<String>,
    /// Whether its tasks' submits need no review.
    pub auto_accept: bool,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_ms: u64,
    /// When it was completed.
    pub completed_ms: Option<u64>,
}

/// One project with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The tenant.
    pub scope: String,
    /// The id, unique in its scope.
    pub id: String,
    /// What is stored.
    pub stored: Stored,
}

/// What an edit changes; none leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// One line for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// draft, active, completed or archived.
    pub status: Option<String>,
    /// The branch of its tasks.
    pub branch: Option<Option<String>>,
    /// The branch that it is meant for.
    pub base_branch: Option<Option<String>>,
    /// Whether its tasks' submits need no review.
    pub auto_accept: Option<bool>,
}

/// States why a project was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ProjectRefused {
    /// There is none of this id.
    #[error("Project '{0}' not found")]
    NotFound(String),
    /// The id is taken.
    #[error("Project '{0}' already exists")]
    Exists(String),
    /// Tasks name it.
    #[error("Project '{id}' has {tasks} tasks: move them to another project or delete them first")]
    HasTasks {
        /// The project.
        id: String,
        /// How many name it.
        tasks: u64,
    },
    /// A field is wrong, or the store failed.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<WriteFault> for ProjectRefused {
    fn from(fault: WriteFault) -> Self {
        Self::Refused(fault.into())
    }
}

/// Reads a status.
///
/// # Errors
/// When it is none of the four.
pub fn status(text: &str) -> Result<(), Refused> {
    if matches!(text, "draft" | "active" | "completed" | "archived") {
        Ok(())
    } else {
        Err(Refused::field("status", format!("'{text}' is not one of draft, active, completed, archived")))
    }
}

fn read(json: &str) -> Option<Stored> {
    serde_json::from_str(json).ok()
}

/// Returns a project as the unit sees it.
///
/// # Errors
/// When the store fails.
pub fn find(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<Stored>, WriteFault> {
    Ok(unit.item(COLLECTION, scope, id)?.and_then(|item| read(&item.json)))
}

fn write(unit: &mut Unit<'_>, scope: &Name, id: &str, stored: &Stored) -> Result<(), Refused> {
    let json = serde_json::to_string(stored).map_err(|error| Refused::field("project", error.to_string()))?;
    if json.len() > limits::VALUE {
        return Err(Refused::field("description", format!("the project has {} bytes, the limit is {}", json.len(), limits::VALUE)));
    }
    unit.put(COLLECTION, scope, id, Some(json))?;
    Ok(())
}

/// Makes a project.
///
/// # Errors
/// When the id is taken.
pub fn create(unit: &mut Unit<'_>, scope: &Name, id: &Name, mut stored: Stored) -> Result<Project, ProjectRefused> {
    if unit.item(COLLECTION, scope.as_str(), id.as_str())?.is_some() {
        return Err(ProjectRefused::Exists(id.to_string()));
    }
    stored.created_ms = unit.now_ms();
    stored.completed_ms = (stored.status == "completed").then_some(stored.created_ms);
    write(unit, scope, id.as_str(), &stored)?;
    Ok(Project { scope: scope.to_string(), id: id.to_string(), stored })
}

/// Edits a project.
///
/// # Errors
/// When there is none of this id.
pub fn edit(unit: &mut Unit<'_>, scope: &Name, id: &str, changes: Changes) -> Result<Project, ProjectRefused> {
    let before = find(unit, scope.as_str(), id)?.ok_or_else(|| ProjectRefused::NotFound(id.to_owned()))?;
    let mut stored = before.clone();
    if let Some(title) = changes.title {
        stored.title = title;
    }
    if let Some(description) = changes.description {
        stored.description = description;
    }
    if let Some(branch) = changes.branch {
        stored.branch = branch;
    }
    if let Some(base_branch) = changes.base_branch {
        stored.base_branch = base_branch;
    }
    if let Some(auto_accept) = changes.auto_accept {
        stored.auto_accept = auto_accept;
    }
    if let Some(status) = changes.status {
        stored.completed_ms = match status.as_str() {
            "completed" => before.completed_ms.or(Some(unit.now_ms())),
            "archived" => before.completed_ms,
            _ => None,
        };
        stored.status = status;
    }
    if stored != before {
        write(unit, scope, id, &stored)?;
    }
    Ok(Project { scope: scope.to_string(), id: id.to_owned(), stored })
}

/// Deletes a project.
///
/// # Errors
/// When there is none of this id, or tasks name it.
pub fn delete(unit: &mut Unit<'_>, scope: &Name, id: &str) -> Result<(), ProjectRefused> {
    if unit.item(COLLECTION, scope.as_str(), id)?.is_none() {
        return Err(ProjectRefused::NotFound(id.to_owned()));
    }
    let tasks = count_tasks(unit, scope.as_str(), id)?;
    if tasks > 0 {
        return Err(ProjectRefused::HasTasks { id: id.to_owned(), tasks });
    }
    unit.put(COLLECTION, scope, id, None)?;
    Ok(())
}

/// Counts the tasks that name a project: those on disk, and those that this unit changes.
fn count_tasks(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<u64, ProjectRefused> {
    let names_it = |row: &&crate::store::TaskRow| row.listed && row.scope == scope && row.text("project_id") == Some(id);
    let pending = unit.changed_rows().filter(names_it).count() as u64;
    let page = unit.reader().list(&tasks_of(scope, id), Sort::Newest, 0, 1);
    Ok(pending.max(unit.note(page)?.total))
}

/// Picks the tasks of a project.
#[must_use]
pub fn tasks_of(scope: &str, id: &str) -> Filter {
    Filter { scopes: vec![scope.to_owned()], facet: Some((Facet::Project, vec![id.to_owned()])), ..Filter::default() }
}

/// Returns the projects of one scope, or of all, the newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: Option<&str>) -> Result<Vec<Project>, Fault> {
    let items = reader.items(COLLECTION, scope)?.into_iter();
    let mut found: Vec<_> = items.filter_map(|(scope, id, item)| Some(Project { scope, id, stored: read(&item.json)? })).collect();
    found.sort_by(|a, b| b.stored.created_ms.cmp(&a.stored.created_ms).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}
