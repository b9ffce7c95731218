//! Plans the rows of every table but tasks.

use octopoid_crdt::action::Status;
use octopoid_crdt::document::Fields;
use octopoid_crdt::ids::{IdError, Name};
use octopoid_crdt::record::limits;
use serde_json::{Value as Json, json};

use super::cells::Cells;
use super::tables::{Row, Skipped, Table, shown};
use super::task_file::bare;
use super::tasks::Reading;
use crate::ops::{self, drafts, flows, orchestrators, projects, roles};
use crate::rest::texts;
use crate::store::posts::{ActionEntry, ActionState, Brought};

/// A project that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectPlan {
    /// The tenant.
    pub scope: Name,
    /// The id.
    pub id: Name,
    /// What people edit.
    pub fields: Fields,
    /// What tells a repeated import from a changed row.
    pub hash: String,
}

/// A draft that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftPlan {
    /// The tenant.
    pub scope: Name,
    /// The id in the source.
    pub id: String,
    /// What people edit.
    pub fields: Fields,
    /// What tells a repeated import from a changed row.
    pub hash: String,
}

impl DraftPlan {
    /// Returns the id as a number, which it is here.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.id.parse().ok().filter(|number: &u64| (1..1 << 53).contains(number) && number.to_string() == self.id)
    }
}

/// A message that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePlan {
    /// The tenant.
    pub scope: Name,
    /// The id in the source.
    pub id: String,
    /// The task that it is about.
    pub task_id: String,
    /// Who wrote it.
    pub from_actor: String,
    /// Who should read it.
    pub to_actor: Option<String>,
    /// What it is.
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message that it answers, by its id in the source.
    pub parent: Option<String>,
    /// When it was written.
    pub created_ms: u64,
    /// Its record, where this program exported it.
    pub record: Option<String>,
}

impl MessagePlan {
    /// Returns the id of its record: its own id, unless that is one of another system.
    #[must_use]
    pub fn record_id(&self) -> &str {
        self.record.as_deref().unwrap_or(&self.id)
    }

    /// Tells whether two messages are the same, whichever records hold them.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { record: None, ..self.clone() } == Self { record: None, ..other.clone() }
    }
}

/// An action that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionPlan {
    /// The tenant.
    pub scope: Name,
    /// The id in the source.
    pub id: String,
    /// What was proposed.
    pub entry: ActionEntry,
    /// What became of it; none while it is proposed.
    pub state: Option<ActionState>,
    /// When it was proposed.
    pub created_ms: u64,
}

/// A flow that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPlan {
    /// The tenant.
    pub scope: Name,
    /// The name.
    pub name: Name,
    /// What is stored.
    pub stored: flows::Stored,
}

/// A role that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePlan {
    /// The tenant.
    pub scope: Name,
    /// The name.
    pub name: String,
    /// What is stored.
    pub stored: roles::Stored,
}

/// A registration that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrchestratorPlan {
    /// The tenant.
    pub scope: Name,
    /// The orchestrator's id.
    pub id: String,
    /// What is stored.
    pub registration: orchestrators::Registration,
}

/// What is known of an agent of another system; history only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPlan {
    /// The tenant.
    pub scope: Name,
    /// The name.
    pub name: String,
    /// The row as JSON text, without what is true of a running process only.
    pub json: String,
}

type Check = fn(&str, &str) -> Result<(), ops::Refused>;

/// Reads the tenant of a row.
fn scope(cells: &mut Cells<'_>, reading: &Reading<'_>, table: Table, id: &str) -> Result<Name, Skipped> {
    let text = cells.text("scope").unwrap_or_else(|| reading.scope.to_owned());
    text.parse().map_err(|error: IdError| Skipped::new(table, id, format!("the scope cannot be used: {error}")))
}

/// Reads a text that must be there.
fn required(cells: &mut Cells<'_>, table: Table, id: &str, column: &str, check: Check) -> Result<String, Skipped> {
    let text = cells.text(column).unwrap_or_default();
    check(column, &text).map_err(|why| Skipped::new(table, id, why.to_string()))?;
    Ok(text)
}

fn is_title(field: &str, text: &str) -> Result<(), ops::Refused> {
    if text.trim().is_empty() { Err(ops::Refused::field(field, "is required and must not be empty")) } else { texts::line(field, text) }
}

fn hash(fields: &Fields) -> String {
    let mut fields = fields.clone();
    // What an earlier import noted is none of the source's words.
    for field in [drafts::IMPORTED_ID, drafts::IMPORTED_HASH] {
        fields.scalars.remove(field);
    }
    // Maps in the order of their keys: what a document holds has one way to be written down.
    blake3::hash(format!("{fields:?}").as_bytes()).to_hex().to_string()
}

fn int(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn project(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<ProjectPlan, Skipped> {
    let mut cells = Cells::new(Table::Projects, row, reading.zone, warnings);
    let id = cells.text("id").unwrap_or_default();
    let name = id.trim().parse().map_err(|error| Skipped::new(Table::Projects, id.as_str(), format!("the id cannot be used: {error}")))?;
    let scope = scope(&mut cells, reading, Table::Projects, &id)?;
    let title = cells.checked("title", is_title).or_else(|| cells.checked("name", is_title)).unwrap_or_else(|| id.clone());
    let status = match cells.text("status") {
        Some(status) if projects::status(&status).is_ok() => status,
        Some(other) => {
            cells.warn(format_args!("the status '{}' is not known here and became active", shown(&other)));
            "active".to_owned()
        }
        None => "active".to_owned(),
    };
    let mut fields =
        Fields::default().with("title", title).with("status", status).with("auto_accept", cells.flag("auto_accept").unwrap_or(false));
    for (field, check) in [("branch", texts::branch as Check), ("base_branch", texts::branch), ("created_by", texts::label)] {
        if let Some(text) = cells.checked(field, check) {
            fields = fields.with(field, text);
        }
    }
    if let Some(hash) = cells.checked(projects::IMPORTED_HASH, texts::label) {
        fields = fields.with(projects::IMPORTED_HASH, hash);
    }
    for (column, field) in [("created_at", projects::IMPORTED_CREATED), ("completed_at", "completed_ms")] {
        if let Some(at) = cells.time(column) {
            fields = fields.with(field, int(at));
        }
    }
    if let Some(description) = cells.checked("description", texts::body) {
        fields = fields.with_content(description);
    }
    Ok(ProjectPlan { scope, id: name, hash: hash(&fields), fields })
}

pub(super) fn draft(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<DraftPlan, Skipped> {
    let mut cells = Cells::new(Table::Drafts, row, reading.zone, warnings);
    let id = cells.text("id").unwrap_or_default();
    texts::label("id", &id).map_err(|why| Skipped::new(Table::Drafts, id.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Drafts, &id)?;
    let title = required(&mut cells, Table::Drafts, &id, "title", is_title)?;
    let status = match cells.text("status") {
        Some(status) if drafts::status(&status).is_ok() => status,
        Some(other) => {
            cells.warn(format_args!("the status '{}' is not known here and became idea", shown(&other)));
            "idea".to_owned()
        }
        None => "idea".to_owned(),
    };
    let mut fields = Fields::default().with("title", title).with("status", status);
    for (field, check) in [
        ("author", texts::label as Check),
        ("domain", texts::label),
        ("file_path", texts::file_path),
        ("linked_task_id", texts::label),
        ("linked_project_id", texts::label),
    ] {
        if let Some(text) = cells.checked(field, check) {
            fields = fields.with(field, if field == "linked_task_id" { bare(&text).to_owned() } else { text });
        }
    }
    for field in [drafts::IMPORTED_ID, drafts::IMPORTED_HASH] {
        if let Some(text) = cells.checked(field, texts::label) {
            fields = fields.with(field, text);
        }
    }
    if cells.has("tags") {
        fields = fields.with("tags", json!(cells.list("tags")).to_string());
    }
    for (column, field) in [("created_at", drafts::IMPORTED_CREATED), ("updated_at", drafts::IMPORTED_UPDATED)] {
        if let Some(at) = cells.time(column) {
            fields = fields.with(field, int(at));
        }
    }
    Ok(DraftPlan { scope, id, hash: hash(&fields), fields })
}

pub(super) fn message(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<MessagePlan, Skipped> {
    let mut cells = Cells::new(Table::Messages, row, reading.zone, warnings);
    let id = cells.text("id").unwrap_or_default();
    texts::label("id", &id).map_err(|why| Skipped::new(Table::Messages, id.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Messages, &id)?;
    let task_id = cells.text("task_id").unwrap_or_default();
    let from_actor = required(&mut cells, Table::Messages, &id, "from_actor", texts::label)?;
    let kind = required(&mut cells, Table::Messages, &id, "type", texts::label)?;
    let content = required(&mut cells, Table::Messages, &id, "content", texts::body)?;
    let parent = cells.text("parent_message_id");
    let created_ms = cells.time("created_at").unwrap_or(0);
    let (to_actor, record) = (cells.checked("to_actor", texts::label), cells.text("record_id"));
    Ok(MessagePlan { record, scope, id, task_id: task_id.trim().to_owned(), from_actor, to_actor, kind, content, parent, created_ms })
}

pub(super) fn action(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<ActionPlan, Skipped> {
    let mut cells = Cells::new(Table::Actions, row, reading.zone, warnings);
    let id = cells.text("id").unwrap_or_default();
    texts::label("id", &id).map_err(|why| Skipped::new(Table::Actions, id.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Actions, &id)?;
    let created_ms = cells.time("created_at").unwrap_or(0);
    let mut need = |column: &str| required(&mut cells, Table::Actions, &id, column, texts::label);
    let (entity_type, entity_id, action_type, proposed_by) =
        (need("entity_type")?, need("entity_id")?, need("action_type")?, need("proposed_by")?);
    let label = required(&mut cells, Table::Actions, &id, "label", is_title)?;
    let entry = ActionEntry {
        entity_type,
        entity_id,
        action_type,
        label,
        description: cells.text("description"),
        proposed_by,
        expires_ms: cells.time("expires_at"),
        metadata: cells.json("metadata"),
        action_data: cells.json("action_data"),
        imported: Some(Brought { id: id.clone(), created_ms }),
    };
    let status = cells.text("status").unwrap_or_else(|| Status::Proposed.as_str().to_owned());
    let known = Status::parse(&status)
        .ok_or_else(|| Skipped::new(Table::Actions, id.as_str(), format!("the status '{}' is not known", shown(&status))))?;
    let (result, executed_ms, updated_ms) = (cells.text("result"), cells.time("executed_at"), cells.time("updated_at"));
    let state = (known != Status::Proposed).then_some(ActionState { status, result, executed_ms, updated_ms });
    fits(Table::Actions, &id, &entry)?;
    Ok(ActionPlan { scope, id, entry, state, created_ms })
}

/// Refuses what is larger than an entry may be.
fn fits(table: Table, id: &str, value: &impl serde::Serialize) -> Result<String, Skipped> {
    let text = serde_json::to_string(value).map_err(|error| Skipped::new(table, id, error.to_string()))?;
    if text.len() > limits::VALUE {
        return Err(Skipped::new(table, id, format!("{} bytes, the limit is {}", text.len(), limits::VALUE)));
    }
    Ok(text)
}

pub(super) fn flow(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<FlowPlan, Skipped> {
    let mut cells = Cells::new(Table::Flows, row, reading.zone, warnings);
    let text = cells.text("name").unwrap_or_default();
    let name = text.parse().map_err(|error| Skipped::new(Table::Flows, text.as_str(), format!("the name cannot be used: {error}")))?;
    let scope = scope(&mut cells, reading, Table::Flows, &text)?;
    let wrong = |what: &str| Skipped::new(Table::Flows, text.as_str(), format!("the {what} cannot be read"));
    let states = serde_json::from_str(&cells.json("states").unwrap_or_default()).map_err(|_| wrong("states"))?;
    let transitions = match cells.json("transitions") {
        Some(json) => serde_json::from_str(&json).map_err(|_| wrong("transitions"))?,
        None => Vec::new(),
    };
    let stored =
        flows::Stored { states, transitions, created_ms: cells.time("created_at").unwrap_or(0), updated_ms: cells.time("updated_at") };
    stored.check().map_err(|why| Skipped::new(Table::Flows, text.as_str(), why))?;
    fits(Table::Flows, &text, &stored)?;
    Ok(FlowPlan { scope, name, stored })
}

pub(super) fn role(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<RolePlan, Skipped> {
    let mut cells = Cells::new(Table::Roles, row, reading.zone, warnings);
    let text = cells.text("name").unwrap_or_default();
    let name = super::queues::role(&text);
    texts::label("name", &name).map_err(|why| Skipped::new(Table::Roles, text.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Roles, &text)?;
    let stored = roles::Stored {
        claims_from: cells.checked("claims_from", |field, text| texts::queue(field, text).map(drop)),
        description: cells.checked("description", texts::reason),
        orchestrator_id: cells.checked("orchestrator_id", texts::label),
        created_ms: cells.time("created_at").unwrap_or(0),
    };
    Ok(RolePlan { scope, name, stored })
}

pub(super) fn orchestrator(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<OrchestratorPlan, Skipped> {
    let mut cells = Cells::new(Table::Orchestrators, row, reading.zone, warnings);
    let id = cells.text("id").or_else(|| cells.text("orchestrator_id")).unwrap_or_default();
    texts::label("id", &id).map_err(|why| Skipped::new(Table::Orchestrators, id.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Orchestrators, &id)?;
    let registered_ms = cells.time("registered_at").or_else(|| cells.time("created_at")).unwrap_or(0);
    let wish = match cells.text("status").as_deref() {
        Some("maintenance") => orchestrators::Wish::Maintenance,
        // Active and offline follow from heartbeats, which nobody sends any more.
        Some(_) | None => orchestrators::Wish::Active,
    };
    let registration = orchestrators::Registration {
        cluster: cells.checked("cluster", texts::line).unwrap_or_default(),
        machine_id: cells.checked("machine_id", texts::line).unwrap_or_else(|| id.clone()),
        repo_url: cells.checked("repo_url", texts::line),
        hostname: cells.checked("hostname", texts::line),
        version: cells.checked("version", texts::line),
        capabilities: cells.json("capabilities"),
        registered: cells.flag("registered").unwrap_or(true),
        registered_ms,
        wish,
        wish_ms: if wish == orchestrators::Wish::Active { 0 } else { registered_ms },
    };
    fits(Table::Orchestrators, &id, &registration)?;
    Ok(OrchestratorPlan { scope, id, registration })
}

pub(super) fn agent(row: Row, reading: &Reading<'_>, warnings: &mut Vec<String>) -> Result<AgentPlan, Skipped> {
    let mut cells = Cells::new(Table::Agents, row, reading.zone, warnings);
    let name = cells.text("name").unwrap_or_default();
    texts::label("name", &name).map_err(|why| Skipped::new(Table::Agents, name.as_str(), why.to_string()))?;
    let scope = scope(&mut cells, reading, Table::Agents, &name)?;
    // Neither is true any more, and nobody may act on it.
    cells.ignore(&["running", "pid", "current_task_id"]);
    let role = cells.text("role").map(|role| super::queues::role(&role));
    let mut kept = cells.take_rest();
    kept.extend(role.map(|role| ("role".to_owned(), Json::from(role))));
    let json = fits(Table::Agents, &name, &kept)?;
    Ok(AgentPlan { scope, name, json })
}
