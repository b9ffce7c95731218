//! Projects: tasks that share a branch. Each is a document, so that people can edit it on two nodes at once.
//!
//! **Invariants**: a project with tasks is not deleted; a task never names a project that is not there when it is made.

use octopoid_crdt::document::{Document, Edit, Fields, Value};
use octopoid_crdt::ids::Name;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::Body;

use super::create::refuse;
use super::{Refused, allow};
use crate::store::index::Facet;
use crate::store::{Fault, Filter, Reader, Sort, TaskNo, TaskRow, Unit, WriteFault};

/// The collection of projects.
pub const COLLECTION: &str = "project";
/// The field that says when a project was made in the system that it comes from.
pub const IMPORTED_CREATED: &str = "imported_created_ms";
/// The field that tells a repeated import from a changed project.
pub const IMPORTED_HASH: &str = "imported_hash";

/// What a project says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

impl Stored {
    fn of(row: &TaskRow, content: Option<String>) -> Self {
        let text = |field: &str| row.text(field).map(str::to_owned);
        Self {
            title: text("title").unwrap_or_default(),
            description: content,
            status: text("status").unwrap_or_else(|| "draft".to_owned()),
            branch: text("branch"),
            base_branch: text("base_branch"),
            auto_accept: row.flag("auto_accept"),
            created_by: text("created_by"),
            created_ms: row.number(IMPORTED_CREATED).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(row.created_ms),
            completed_ms: row.number("completed_ms").and_then(|ms| u64::try_from(ms).ok()),
        }
    }

    fn fields(&self) -> Fields {
        let scalars = self.scalars().into_iter().filter(|(_, value)| *value != Value::Null);
        let fields = scalars.fold(Fields::default(), |fields, (field, value)| fields.with(field, value));
        match &self.description {
            Some(description) => fields.with_content(description.as_str()),
            None => fields,
        }
    }

    fn scalars(&self) -> [(&'static str, Value); 7] {
        let text = |text: &Option<String>| text.as_ref().map_or(Value::Null, |text| Value::from(text.as_str()));
        let completed = self.completed_ms.and_then(|ms| i64::try_from(ms).ok());
        [
            ("title", Value::from(self.title.as_str())),
            ("status", Value::from(self.status.as_str())),
            ("branch", text(&self.branch)),
            ("base_branch", text(&self.base_branch)),
            ("auto_accept", Value::Bool(self.auto_accept)),
            ("created_by", text(&self.created_by)),
            ("completed_ms", completed.map_or(Value::Null, Value::Int)),
        ]
    }

    /// Returns the edits that lead from another state of the project to this one.
    fn edits_from(&self, before: &Self) -> Vec<Edit> {
        let changed = self.scalars().into_iter().zip(before.scalars()).filter(|(new, old)| new != old);
        let mut edits: Vec<Edit> = changed.map(|((field, value), _)| Edit::set(field, value)).collect();
        if self.description != before.description {
            edits.push(Edit::Content(self.description.clone()));
        }
        edits
    }
}

/// Names the field of a refused edit as people know it.
fn refused(error: octopoid_crdt::document::EditError) -> Refused {
    let mut refused = refuse(error);
    if let Refused::Field { field, .. } = &mut refused
        && field == "content"
    {
        "description".clone_into(field);
    }
    refused
}

/// Finds a project that is there.
fn find_no(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<TaskNo>, WriteFault> {
    match unit.find_document(COLLECTION, scope, id)? {
        Some(no) if unit.row(no)?.listed => Ok(Some(no)),
        Some(_) | None => Ok(None),
    }
}

fn read(unit: &mut Unit<'_>, no: TaskNo) -> Result<Stored, WriteFault> {
    let row = unit.row(no)?.clone();
    Ok(Stored::of(&row, unit.content(no)?))
}

/// Returns a project as the unit sees it.
///
/// # Errors
/// When the store fails.
pub fn find(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<Stored>, WriteFault> {
    find_no(unit, scope, id)?.map(|no| read(unit, no)).transpose()
}

/// Returns the branch that a project gives its tasks; none where there is no such project.
///
/// # Errors
/// When the store cannot be read.
pub fn branch_of(reader: &Reader, scope: &str, id: &str) -> Result<Option<String>, Fault> {
    let Some(no) = reader.document_no(COLLECTION, scope, id)? else { return Ok(None) };
    Ok(reader.row(no)?.filter(|row| row.listed).and_then(|row| row.text("branch").map(str::to_owned)))
}

/// Makes a project.
///
/// # Errors
/// When the id is taken, or a text is too long.
pub fn create(unit: &mut Unit<'_>, scope: &Name, id: &Name, mut stored: Stored) -> Result<Project, ProjectRefused> {
    if find_no(unit, scope.as_str(), id.as_str())?.is_some() {
        return Err(ProjectRefused::Exists(id.to_string()));
    }
    stored.completed_ms = (stored.status == "completed").then_some(unit.now_ms());
    let (document, change) = Document::create(unit.actor(), &stored.fields()).map_err(refused)?;
    let no = unit.create_document((COLLECTION, scope, id.as_str()), document, change)?;
    Ok(Project { scope: scope.to_string(), id: id.to_string(), stored: read(unit, no)? })
}

/// Edits a project.
///
/// # Errors
/// When there is none of this id, or a text is too long.
pub fn edit(unit: &mut Unit<'_>, scope: &Name, id: &str, changes: Changes) -> Result<Project, ProjectRefused> {
    let no = find_no(unit, scope.as_str(), id)?.ok_or_else(|| ProjectRefused::NotFound(id.to_owned()))?;
    let before = read(unit, no)?;
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
    unit.edit(no, &stored.edits_from(&before))?.map_err(refused)?;
    Ok(Project { scope: scope.to_string(), id: id.to_owned(), stored: read(unit, no)? })
}

/// Deletes a project.
///
/// # Errors
/// When there is none of this id, or tasks name it.
pub fn delete(unit: &mut Unit<'_>, scope: &Name, id: &str) -> Result<(), ProjectRefused> {
    let no = find_no(unit, scope.as_str(), id)?.ok_or_else(|| ProjectRefused::NotFound(id.to_owned()))?;
    let tasks = count_tasks(unit, scope.as_str(), id)?;
    if tasks > 0 {
        return Err(ProjectRefused::HasTasks { id: id.to_owned(), tasks });
    }
    allow(unit, no, &Act::Delete, &format!("Cannot delete project '{id}'"))?;
    unit.write(no, Body::DocDelete { by: String::new() })?;
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

/// Returns a project; none where there is none of this id in the scope.
///
/// # Errors
/// When the store cannot be read.
pub fn get(reader: &Reader, scope: &str, id: &str) -> Result<Option<Project>, Fault> {
    let Some(no) = reader.document_no(COLLECTION, scope, id)? else { return Ok(None) };
    let Some(row) = reader.row(no)?.filter(|row| row.listed) else { return Ok(None) };
    let stored = Stored::of(&row, reader.content(no)?);
    Ok(Some(Project { scope: row.scope, id: row.id, stored }))
}

/// Returns the projects of one scope, or of all, the newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: Option<&str>) -> Result<Vec<Project>, Fault> {
    let mut found = Vec::new();
    for (no, row) in reader.documents(COLLECTION, scope)? {
        let stored = Stored::of(&row, reader.content(no)?);
        found.push(Project { scope: row.scope, id: row.id, stored });
    }
    found.sort_by(|a, b| b.stored.created_ms.cmp(&a.stored.created_ms).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}
