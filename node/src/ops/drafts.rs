//! Drafts: ideas that may become tasks or projects. Each is a document, so that people can edit it on two nodes at once.
//!
//! **Invariants**: a number is given once in a scope, also when its draft is deleted; no two nodes give the same one.

use octopoid_crdt::document::{Document, Edit, Fields, Value};
use octopoid_crdt::draft::{first_free, numbers};
use octopoid_crdt::ids::Name;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::Body;

use super::create::refuse;
use super::{Refused, allow};
use crate::store::{Fault, Reader, TaskNo, TaskRow, Unit, WriteFault};

/// The collection of drafts.
pub const COLLECTION: &str = "draft";
/// The field that says when a draft was made in the system that it comes from.
pub const IMPORTED_CREATED: &str = "imported_created_ms";
/// The field that says when it was last changed there.
pub const IMPORTED_UPDATED: &str = "imported_updated_ms";
/// The field that says what its id was there.
pub const IMPORTED_ID: &str = "imported_id";
/// The field that tells a repeated import from a changed draft.
pub const IMPORTED_HASH: &str = "imported_hash";

/// What a draft says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
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
    /// A list of texts, as JSON text.
    pub tags: Option<String>,
}

/// One draft with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The tenant.
    pub scope: String,
    /// The number, unique in its scope.
    pub id: u64,
    /// What is stored.
    pub stored: Stored,
    /// When it was made.
    pub created_ms: u64,
    /// When it was last changed.
    pub updated_ms: u64,
}

/// What an edit changes; none leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// One line for people.
    pub title: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// Who had the idea.
    pub author: Option<Option<String>>,
    /// What it is about.
    pub domain: Option<Option<String>>,
    /// The file that holds the text.
    pub file_path: Option<Option<String>>,
    /// The task that it belongs to.
    pub linked_task_id: Option<Option<String>>,
    /// The project that it belongs to.
    pub linked_project_id: Option<Option<String>>,
    /// All tags.
    pub tags: Option<Option<String>>,
}

/// States why a draft was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum DraftRefused {
    /// There is none of this number.
    #[error("Draft '{0}' not found")]
    NotFound(u64),
    /// The node has given all of its numbers in the scope.
    #[error("this node has given all of its draft numbers in scope '{0}': make the draft on another node, or in another scope")]
    Full(String),
    /// A field is wrong, or the store failed.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<WriteFault> for DraftRefused {
    fn from(fault: WriteFault) -> Self {
        Self::Refused(fault.into())
    }
}

/// Reads a status.
///
/// # Errors
/// When it is none of the six.
pub fn status(text: &str) -> Result<(), Refused> {
    if matches!(text, "idea" | "draft" | "review" | "approved" | "implemented" | "archived") {
        Ok(())
    } else {
        Err(Refused::field("status", format!("'{text}' is not one of idea, draft, review, approved, implemented, archived")))
    }
}

impl Stored {
    fn of(row: &TaskRow) -> Self {
        let text = |field: &str| row.text(field).map(str::to_owned);
        Self {
            title: text("title").unwrap_or_default(),
            status: text("status").unwrap_or_else(|| "idea".to_owned()),
            author: text("author"),
            domain: text("domain"),
            file_path: text("file_path"),
            linked_task_id: text("linked_task_id"),
            linked_project_id: text("linked_project_id"),
            tags: text("tags"),
        }
    }

    fn scalars(&self) -> [(&'static str, Value); 8] {
        let text = |text: &Option<String>| text.as_ref().map_or(Value::Null, |text| Value::from(text.as_str()));
        [
            ("title", Value::from(self.title.as_str())),
            ("status", Value::from(self.status.as_str())),
            ("author", text(&self.author)),
            ("domain", text(&self.domain)),
            ("file_path", text(&self.file_path)),
            ("linked_task_id", text(&self.linked_task_id)),
            ("linked_project_id", text(&self.linked_project_id)),
            ("tags", text(&self.tags)),
        ]
    }

    fn fields(&self) -> Fields {
        let scalars = self.scalars().into_iter().filter(|(_, value)| *value != Value::Null);
        scalars.fold(Fields::default(), |fields, (field, value)| fields.with(field, value))
    }

    fn apply(&mut self, changes: Changes) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.title, changes.title);
        set(&mut self.status, changes.status);
        set(&mut self.author, changes.author);
        set(&mut self.domain, changes.domain);
        set(&mut self.file_path, changes.file_path);
        set(&mut self.linked_task_id, changes.linked_task_id);
        set(&mut self.linked_project_id, changes.linked_project_id);
        set(&mut self.tags, changes.tags);
    }
}

impl Draft {
    /// Reads a row; none for one whose id no node of this program gives.
    fn of(row: &TaskRow) -> Option<Self> {
        let id: u64 = row.id.parse().ok().filter(|id: &u64| *id > 0 && id.to_string() == row.id)?;
        let there = |field: &str| row.number(field).and_then(|ms| u64::try_from(ms).ok());
        let created_ms = there(IMPORTED_CREATED).unwrap_or(row.created_ms);
        // A second record of the draft is an edit made here.
        let updated_ms = there(IMPORTED_UPDATED).filter(|_| row.version == 1).unwrap_or(row.updated_ms);
        Some(Self { scope: row.scope.clone(), id, stored: Stored::of(row), created_ms, updated_ms })
    }
}

fn find_no(unit: &mut Unit<'_>, scope: &str, id: u64) -> Result<TaskNo, DraftRefused> {
    match unit.find_document(COLLECTION, scope, &id.to_string())? {
        Some(no) if unit.row(no)?.listed => Ok(no),
        Some(_) | None => Err(DraftRefused::NotFound(id)),
    }
}

fn read(unit: &mut Unit<'_>, no: TaskNo, id: u64) -> Result<Draft, DraftRefused> {
    Draft::of(unit.row(no)?).ok_or(DraftRefused::NotFound(id))
}

/// Makes a draft, and gives it this node's next number in the scope.
///
/// # Errors
/// When a text is too long, or the numbers are used up.
pub fn create(unit: &mut Unit<'_>, scope: &Name, stored: &Stored) -> Result<Draft, DraftRefused> {
    let (document, change) = Document::create(unit.actor(), &stored.fields()).map_err(refuse)?;
    let own = numbers(&unit.me(), unit.membership()?.creator());
    // A deleted draft's number stays known, and so stays taken.
    let free = first_free(own, |id| unit.find_document(COLLECTION, scope.as_str(), &id.to_string()).map(|no| no.is_some()))?;
    let id = free.ok_or_else(|| DraftRefused::Full(scope.to_string()))?;
    let no = unit.create_document((COLLECTION, scope, &id.to_string()), document, change)?;
    read(unit, no, id)
}

/// Edits a draft.
///
/// # Errors
/// When there is none of this number, or a text is too long.
pub fn edit(unit: &mut Unit<'_>, scope: &Name, id: u64, changes: Changes) -> Result<Draft, DraftRefused> {
    let no = find_no(unit, scope.as_str(), id)?;
    let before = Stored::of(unit.row(no)?);
    let mut after = before.clone();
    after.apply(changes);
    let changed = after.scalars().into_iter().zip(before.scalars()).filter(|(new, old)| new != old);
    let edits: Vec<Edit> = changed.map(|((field, value), _)| Edit::set(field, value)).collect();
    unit.edit(no, &edits)?.map_err(refuse)?;
    read(unit, no, id)
}

/// Deletes a draft.
///
/// # Errors
/// When there is none of this number.
pub fn delete(unit: &mut Unit<'_>, scope: &Name, id: u64) -> Result<(), DraftRefused> {
    let no = find_no(unit, scope.as_str(), id)?;
    allow(unit, no, &Act::Delete, &format!("Cannot delete draft '{id}'"))?;
    unit.write(no, Body::DocDelete { by: String::new() })?;
    Ok(())
}

/// Returns a draft; none where there is none of this number in the scope.
///
/// # Errors
/// When the store cannot be read.
pub fn find(reader: &Reader, scope: &str, id: u64) -> Result<Option<Draft>, Fault> {
    let Some(no) = reader.document_no(COLLECTION, scope, &id.to_string())? else { return Ok(None) };
    Ok(reader.row(no)?.filter(|row| row.listed).and_then(|row| Draft::of(&row)))
}

/// Returns the drafts of a scope, the newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn list(reader: &Reader, scope: &str) -> Result<Vec<Draft>, Fault> {
    let rows = reader.documents(COLLECTION, Some(scope))?;
    let mut found: Vec<Draft> = rows.iter().filter_map(|(_, row)| Draft::of(row)).collect();
    found.sort_by_key(|draft| (std::cmp::Reverse(draft.created_ms), std::cmp::Reverse(draft.id)));
    Ok(found)
}
