//! Makes of a task's row, its file and its history what is to be written here.

use std::collections::BTreeMap;

use octopoid_crdt::document::{Fields, Value};
use octopoid_crdt::ids::{IdError, Name};
use octopoid_crdt::record::{Queue, limits};
use serde_json::{Map, Value as Json, json};

use super::cells::Cells;
use super::queues::{self, FROM_CLAIMED, Landing};
use super::tables::{Row, Skipped, Table, shown};
use super::task_file::{self, TaskFile, bare};
use super::times::{self, Zone};
use crate::ops;
use crate::rest::texts;
use crate::store::imported::{self, Imported, PastEvent};

/// How much of the text in a creation is left for history, so that the rest always fits.
const HISTORY: usize = limits::IMPORTED - 24 * 1024;
/// How much of it is left for what has no place here.
const EXTRA: usize = 16 * 1024;

/// What keys of task files are called in rows.
const KEYS: [(&str, &str); 20] = [
    ("ROLE", "role"),
    ("PRIORITY", "priority"),
    ("BRANCH", "branch"),
    ("CREATED", "created_at"),
    ("CREATED_BY", "created_by"),
    ("PROJECT", "project_id"),
    ("PROJECT_ID", "project_id"),
    ("BLOCKED_BY", "blocked_by"),
    ("CHECKS", "checks"),
    ("COMPLEXITY", "complexity"),
    ("CLAIMED_BY", "claimed_by"),
    ("CLAIMED_AT", "claimed_at"),
    ("SUBMITTED_AT", "submitted_at"),
    ("COMMITS_COUNT", "commits_count"),
    ("TURNS_USED", "turns_used"),
    ("COMPLETED_AT", "completed_at"),
    ("ACCEPTED_AT", "completed_at"),
    ("ATTEMPT_COUNT", "attempt_count"),
    ("PLAN_ID", "plan_id"),
    ("PR_URL", "pr_url"),
];

/// Columns that speak of the node that served the task, or of a claim that nobody holds any more.
const LOCAL: [&str; 11] = [
    "version",
    "lease_expires_at",
    "epoch",
    "attempt",
    "contested",
    "holder",
    "node",
    "awaiting_merge",
    "retry_at",
    "claimed_by",
    "claimed_at",
];

/// A task that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPlan {
    /// The tenant.
    pub scope: String,
    /// The id.
    pub id: Name,
    /// Where it is put.
    pub queue: Queue,
    /// What people edit, the body included; blockers are beside it.
    pub fields: Fields,
    /// Whom it waits for.
    pub blocked_by: Vec<String>,
    /// What it brings along.
    pub imported: Imported,
    /// How many rows of history it takes along.
    pub history_rows: u64,
    /// The name of the file that it takes along.
    pub file: Option<String>,
}

/// What is known of a task beside its row.
#[derive(Debug, Default)]
pub(super) struct Beside<'f> {
    /// Its file's name and text.
    pub file: Option<(&'f str, &'f str)>,
    /// What happened to it, oldest first.
    pub history: Vec<PastEvent>,
    /// The task that took its place.
    pub successor: Option<String>,
}

/// What all rows of one source share.
pub(super) struct Reading<'r> {
    pub scope: &'r str,
    pub kind: &'r str,
    pub zone: &'r Zone,
}

/// Plans one task. History that does not fit is added to `skipped`, what cannot be used otherwise to `warnings`.
pub(super) fn plan(
    row: Row,
    beside: Beside<'_>,
    reading: &Reading<'_>,
    skipped: &mut Vec<Skipped>,
    warnings: &mut Vec<String>,
) -> Result<TaskPlan, Skipped> {
    let parsed = beside.file.map(|(_, text)| task_file::parse(text)).unwrap_or_default();
    let mut cells = Cells::new(Table::Tasks, fill_in(row, &parsed), reading.zone, warnings);
    let (scope, id) = place(&mut cells, reading.scope)?;
    let old_queue = cells.text("queue").unwrap_or_else(|| "incoming".to_owned());
    let unknown = || Skipped::new(Table::Tasks, id.as_str(), format!("'{}' is no name of a queue", shown(&old_queue)));
    let landing = queues::land(old_queue.trim()).ok_or_else(unknown)?;
    let times = Times::of(&mut cells);
    let holder = Holder { agent: cells.text("claimed_by"), since: cells.time("claimed_at") };
    let blocked_by = cells.list("blocked_by");
    let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
    let (attempt_count, rejection_count) = (count(cells.number("attempt_count")), count(cells.number("rejection_count")));
    if landing.event == Some(FROM_CLAIMED) {
        cells.ignore(&["orchestrator_id"]);
    }
    let fields = fields(&mut cells, &id, &parsed, &landing, beside.file.map(|(_, text)| text));
    let fields = if landing.queue == Queue::Failed { kept_holder(fields, &holder) } else { fields };
    let mut history = beside.history;
    let history_rows = history.len() as u64;
    if history.is_empty() {
        history = events_of(&parsed, reading.zone);
    }
    history.extend(told_of(&landing, &holder, &times, &parsed, beside.successor.as_deref(), &history, &fields));
    cells.ignore(&LOCAL);
    let extra = extra(&mut cells, &parsed);
    let cut = shorten(&mut history).min(history_rows);
    for number in 1..=cut {
        let reason = format!("a task takes {HISTORY} bytes of history along, the latest");
        skipped.push(Skipped::new(Table::TaskHistory, format!("{id}, event {number}"), reason));
    }
    let mut planned = TaskPlan {
        scope,
        id,
        queue: landing.queue,
        fields,
        blocked_by,
        imported: Imported {
            version: imported::VERSION,
            source: reading.kind.to_owned(),
            hash: String::new(),
            created_ms: times.created.or_else(|| history.iter().map(|event| event.at_ms).filter(|at| *at > 0).min()),
            updated_ms: times.updated,
            submitted_ms: times.submitted,
            completed_ms: times.completed,
            attempt_count,
            rejection_count,
            history,
            extra,
        },
        history_rows: history_rows - cut,
        file: beside.file.map(|(name, _)| name.to_owned()),
    };
    planned.imported.hash = hash(&planned);
    Ok(planned)
}

/// Reads what names the task.
fn place(cells: &mut Cells<'_>, scope: &str) -> Result<(String, Name), Skipped> {
    let id = cells.text("id").unwrap_or_default();
    let wrong = |what: &str, error: IdError| Skipped::new(Table::Tasks, id.as_str(), format!("the {what} cannot be used: {error}"));
    let name = id.trim().parse().map_err(|error| wrong("id", error))?;
    let scope = cells.text("scope").unwrap_or_else(|| scope.to_owned());
    scope.parse::<Name>().map_err(|error| wrong("scope", error))?;
    Ok((scope, name))
}

/// Adds what the file says where the row has no such column: a column that is null says so itself.
fn fill_in(mut row: Row, file: &TaskFile) -> Row {
    for (key, column) in KEYS {
        if let Some(value) = file.get(key).filter(|_| !row.contains_key(column)) {
            row.insert(column.to_owned(), value.into());
        }
    }
    row
}

struct Times {
    created: Option<u64>,
    updated: Option<u64>,
    submitted: Option<u64>,
    completed: Option<u64>,
}

impl Times {
    fn of(cells: &mut Cells<'_>) -> Self {
        Self {
            created: cells.time("created_at"),
            updated: cells.time("updated_at"),
            submitted: cells.time("submitted_at"),
            completed: cells.time("completed_at"),
        }
    }
}

/// Who held the task.
struct Holder {
    agent: Option<String>,
    since: Option<u64>,
}

/// A failed task goes on showing who had it.
fn kept_holder(fields: Fields, holder: &Holder) -> Fields {
    match &holder.agent {
        Some(agent) if texts::label("claimed_by", agent).is_ok() => fields.with("claimed_by", agent.as_str()),
        Some(_) | None => fields,
    }
}

type Check = fn(&str, &str) -> Result<(), ops::Refused>;

fn is_name(field: &str, text: &str) -> Result<(), ops::Refused> {
    ops::name(field, text).map(drop)
}

fn is_complexity(_: &str, text: &str) -> Result<(), ops::Refused> {
    ops::complexity(text)
}

/// Texts that are taken where they pass their check.
const TEXTS: [(&str, Check); 10] = [
    ("complexity", is_complexity),
    ("type", texts::label),
    ("orchestrator_id", texts::label),
    ("project_id", is_name),
    ("plan_id", texts::label),
    ("pr_url", texts::url),
    ("staging_url", texts::url),
    ("execution_notes", texts::body),
    ("created_by", texts::label),
    ("base_branch", texts::branch),
];

/// Reads what people edit.
fn fields(cells: &mut Cells<'_>, id: &Name, file: &TaskFile, landing: &Landing, text: Option<&str>) -> Fields {
    let in_file = file.title.clone().filter(|title| texts::line("title", title).is_ok());
    let title = cells.checked("title", texts::line).or(in_file).unwrap_or_else(|| id.to_string());
    let mut fields = Fields::default().with("file_path", file_path(cells, id)).with("title", title);
    for (field, check) in TEXTS {
        if let Some(text) = cells.checked(field, check) {
            fields = fields.with(field, text);
        }
    }
    let role = cells.checked("role", texts::label).map(|role| queues::role(&role));
    if let Some(role) = landing.role.map(str::to_owned).or(role) {
        fields = fields.with("role", role);
    }
    fields = fields.with("priority", priority(cells));
    fields = fields.with("branch", cells.checked("branch", texts::branch).unwrap_or_else(|| "main".to_owned()));
    fields = fields.with("flow", cells.checked("flow", is_name).unwrap_or_else(|| "default".to_owned()));
    let checks = cells.list("checks").join(",");
    if !checks.is_empty() && texts::line("checks", &checks).is_ok() {
        fields = fields.with("checks", checks);
    }
    fields = numbers(cells, fields, landing);
    fields = texts_of_json(cells, fields);
    match cells.text("content").or_else(|| text.map(str::to_owned)) {
        Some(content) => fields.with_content(content),
        None => fields,
    }
}

fn numbers(cells: &mut Cells<'_>, mut fields: Fields, landing: &Landing) -> Fields {
    for field in ["commits_count", "turns_used", "pr_number", "review_round"] {
        // Zero is what a task shows that says nothing, but for the turns.
        let number = cells.number(field).filter(|number| *number > 0 || field == "turns_used");
        if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
            fields = fields.with(field, number);
        }
    }
    for field in ["auto_accept", "has_plan", "needs_rebase", "needs_breakdown", "needs_intervention"] {
        let flag = cells.flag(field).unwrap_or(false) || (field == "needs_intervention" && landing.needs_intervention);
        if flag {
            fields = fields.with(field, true);
        }
    }
    if let Some(at) = cells.time("last_rebase_attempt_at") {
        fields = fields.with("last_rebase_attempt_at", times::rfc3339(at));
    }
    fields
}

fn texts_of_json(cells: &mut Cells<'_>, mut fields: Fields) -> Fields {
    for field in ["check_results", "flow_overrides"] {
        if let Some(text) = cells.json(field) {
            fields = fields.with(field, text);
        }
    }
    if let Some(hooks) = cells.json("hooks") {
        match texts::hooks("hooks", Json::String(hooks)) {
            Ok(hooks) => fields = fields.with("hooks", hooks),
            Err(why) => cells.warn(format_args!("left out: {why}")),
        }
    }
    fields
}

fn priority(cells: &mut Cells<'_>) -> String {
    let Some(text) = cells.text("priority") else { return "P2".to_owned() };
    let upper = text.trim().to_ascii_uppercase();
    if ops::priority(&upper).is_ok() {
        return upper;
    }
    cells.warn(format_args!("the priority '{}' is none of P0 to P3 and became P2", shown(&text)));
    "P2".to_owned()
}

/// Makes the path relative to the folder of version 1, which wrote whole ones at times.
fn file_path(cells: &mut Cells<'_>, id: &Name) -> String {
    let path = cells.text("file_path").unwrap_or_default();
    let below = path.rsplit_once(".orchestrator/").map_or(path.as_str(), |(_, below)| below);
    if texts::file_path("file_path", below).is_ok() { below.to_owned() } else { format!("{id}.md") }
}

/// Tells from a file's keys what happened, where no table of history does.
fn events_of(file: &TaskFile, zone: &Zone) -> Vec<PastEvent> {
    let steps = [
        ("CREATED", "CREATED_BY", "created", None),
        ("CLAIMED_AT", "CLAIMED_BY", "claimed", None),
        ("SUBMITTED_AT", "LAST_AGENT", "submitted", None),
        ("REJECTED_AT", "REJECTED_BY", "rejected", file.get("REJECTION_REASON")),
        ("FAILED_AT", "LAST_AGENT", "failed", file.get("FAILURE_REASON")),
        ("ACCEPTED_AT", "ACCEPTED_BY", "accepted", None),
    ];
    let event = |(at, by, event, details): (&str, &str, &str, Option<&str>)| {
        let at_ms = times::parse(file.get(at)?, zone)?;
        let (agent, details) = (file.get(by).map(str::to_owned), details.map(str::to_owned));
        Some(PastEvent { event: event.to_owned(), agent, details, at_ms, node: None })
    };
    let mut events: Vec<PastEvent> = steps.into_iter().filter_map(event).collect();
    events.sort_by_key(|event| event.at_ms);
    events
}

/// Tells what the change of the queue leaves out. The time is one of the source's, so that a repeated import tells the same.
fn told_of(
    landing: &Landing,
    holder: &Holder,
    times: &Times,
    file: &TaskFile,
    successor: Option<&str>,
    history: &[PastEvent],
    fields: &Fields,
) -> Option<PastEvent> {
    let event = landing.event?;
    let said = |event: &str| history.iter().rev().find(|known| known.event == event).and_then(|known| known.details.clone());
    let (agent, details) = match event {
        FROM_CLAIMED => {
            let branch = file.get("WIP_BRANCH").or(fields.text("branch")).unwrap_or("main");
            let by = holder.agent.as_deref().map_or_else(String::new, |agent| format!(" by {agent}"));
            (holder.agent.clone(), Some(format!("was claimed{by}; the branch {branch} is kept")))
        }
        "migrated_from_recycled" => {
            let reason =
                file.get("RECYCLE_REASON").map(str::to_owned).or_else(|| said("recycled")).unwrap_or_else(|| "recycled".to_owned());
            (None, Some(successor.map_or_else(|| reason.clone(), |id| format!("{reason}; {id} took its place"))))
        }
        "migrated_from_rejected" => {
            let reason = file.get("REJECTION_REASON").map(str::to_owned).or_else(|| said("rejected"));
            (file.get("REJECTED_BY").map(str::to_owned), Some(reason.unwrap_or_else(|| "rejected".to_owned())))
        }
        _ => (None, None),
    };
    let last = history.last().map(|event| event.at_ms);
    let at_ms = holder.since.or(times.updated).or(last).or(times.created).unwrap_or(0);
    Some(PastEvent { event: event.to_owned(), agent, details, at_ms, node: None })
}

/// Keeps what has no place here: columns that nobody reads, keys of the file that are no columns.
fn extra(cells: &mut Cells<'_>, file: &TaskFile) -> BTreeMap<String, Json> {
    let mut found = cells.take_rest();
    let is_column = |key: &str| KEYS.iter().any(|(known, _)| *known == key);
    for (key, value) in file.keys.iter().filter(|(key, _)| !is_column(key)) {
        found.entry(key.clone()).or_insert_with(|| value.as_str().into());
    }
    let mut room = EXTRA;
    let (mut kept, mut left_out) = (BTreeMap::new(), Vec::new());
    for (key, value) in found {
        let needs = Json::from(key.as_str()).to_string().len() + value.to_string().len() + 2;
        if needs <= room {
            room -= needs;
            kept.insert(key, value);
        } else {
            left_out.push(shown(&key));
        }
    }
    if !left_out.is_empty() {
        cells.warn(format_args!("too large to be kept: {}", left_out.join(", ")));
    }
    kept
}

/// Drops the oldest events until the rest fits; returns how many.
fn shorten(history: &mut Vec<PastEvent>) -> u64 {
    let mut room = HISTORY;
    let fits = |event: &PastEvent| {
        let needs = serde_json::to_string(event).map_or(usize::MAX, |text| text.len() + 1);
        let fits = needs <= room;
        room = if fits { room - needs } else { 0 };
        fits
    };
    let kept = history.iter().rev().map_while({
        let mut fits = fits;
        move |event| fits(event).then_some(())
    });
    let cut = history.len() - kept.count();
    history.drain(..cut);
    cut as u64
}

/// Hashes what is known of a task, the same for every way in which it was written.
fn hash(task: &TaskPlan) -> String {
    let scalar = |value: &Value| match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
    };
    let scalars: Map<String, Json> = task.fields.scalars.iter().map(|(field, value)| (field.clone(), scalar(value))).collect();
    let mut blockers: Vec<&str> = task.blocked_by.iter().map(|id| bare(id)).collect();
    blockers.sort_unstable();
    blockers.dedup();
    let imported = Imported { source: String::new(), hash: String::new(), ..task.imported.clone() };
    // Maps are written in the order of their keys, so one task has one text.
    let text = json!({
        "scope": task.scope,
        "id": task.id.as_str(),
        "queue": task.queue.as_str(),
        "fields": scalars,
        "lists": task.fields.lists,
        "content": task.fields.content,
        "blocked_by": blockers,
        "imported": imported,
    });
    blake3::hash(text.to_string().as_bytes()).to_hex().to_string()
}

/// Finds which task took the place of which, by `ORIGINAL_TASK` in the files of the later ones.
pub(super) fn successors<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> BTreeMap<String, String> {
    let pair = |(id, text): (&str, &str)| Some((bare(task_file::parse(text).get("ORIGINAL_TASK")?).to_owned(), bare(id).to_owned()));
    // The last one stays where several name the same.
    files.filter_map(pair).collect()
}
