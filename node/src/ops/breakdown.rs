//! Puts subtasks in the place of a task that is too large for one attempt.

use octopoid_crdt::document::{Document, Edit, Fields, Value};
use octopoid_crdt::ids::Name;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause};

use super::claim::Holds;
use super::create::refuse;
use super::{Refused, Snapshot, allow, snapshot};
use crate::store::{TaskNo, Unit};

/// One part of a task.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its role; `implement` where the plan names none.
    pub role: Option<String>,
    /// Its priority; the whole's where the plan names none.
    pub priority: Option<String>,
    /// Its complexity.
    pub complexity: Option<String>,
    /// The parts that must be done before it, by their place in the plan.
    pub depends_on: Vec<usize>,
}

/// Creates the parts, makes the whole wait for them and gives its claim back, all in one commit.
///
/// # Errors
/// When the caller no longer holds the task, or a part breaks a limit; nothing is created then.
pub fn break_down(unit: &mut Unit<'_>, no: TaskNo, holds: &Holds, parts: &[Part]) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?.clone();
    let refused = format!("Cannot break task '{}' down", row.id);
    let of = holds.check(&row, &refused)?;
    allow(unit, no, &Act::Release { of, cause: Cause::BrokenDown }, &refused)?;
    if parts.is_empty() {
        return Err(Refused::field("subtasks", "a plan needs at least one subtask"));
    }
    let scope: Name = super::name("scope", &row.scope)?;
    let ids = part_ids(unit, &row.scope, &row.id, &of.short(), parts.len())?;
    let mut documents = Vec::new();
    for (part, id) in parts.iter().zip(&ids) {
        if let Some(priority) = &part.priority {
            super::priority(priority)?;
        }
        let mut fields = Fields::default()
            .with("title", part.title.as_str())
            .with("file_path", format!("tasks/incoming/TASK-{id}.md"))
            .with("role", part.role.as_deref().unwrap_or("implement"))
            .with("priority", part.priority.as_deref().unwrap_or(row.priority()))
            .with("created_by", row.id.as_str())
            .with_content(part.body.as_str());
        for (field, value) in
            [("complexity", part.complexity.as_deref()), ("branch", row.text("branch")), ("project_id", row.text("project_id"))]
        {
            if let Some(value) = value {
                fields = fields.with(field, value);
            }
        }
        for before in &part.depends_on {
            let before = ids.get(*before).ok_or_else(|| Refused::field("depends_on", format!("there is no subtask {before}")))?;
            fields = fields.with_entry("blocked_by", before.as_str());
        }
        documents.push(Document::create(unit.actor(), &fields).map_err(refuse)?);
    }
    let mut edits = vec![Edit::set("has_plan", Value::Bool(true)), Edit::set("needs_breakdown", Value::Bool(false))];
    edits.extend(ids.iter().map(|id| Edit::add("blocked_by", id.as_str())));
    unit.edit(no, &edits)?.map_err(refuse)?;
    for (id, (document, change)) in ids.iter().zip(documents) {
        unit.create((&scope, id), document, change, None)?;
    }
    let reason = format!("broken down into {} subtasks", parts.len());
    unit.write(no, Body::Release { of, cause: Cause::BrokenDown, reason })?;
    Ok(snapshot(unit, no)?)
}

/// Names the parts after the whole and the claim that planned them, so that two plans never share a name.
fn part_ids(unit: &mut Unit<'_>, scope: &str, whole: &str, claim: &str, count: usize) -> Result<Vec<Name>, Refused> {
    let stem: String = whole.chars().take(96).collect();
    let stem = stem.trim_end_matches('.');
    let mut ids = Vec::with_capacity(count);
    for part in 1..=count {
        let id = format!("{stem}-{claim}-{part}");
        if unit.find(scope, &id)?.is_some() {
            return Err(Refused::Exists { id });
        }
        ids.push(super::name("id", &id)?);
    }
    Ok(ids)
}
