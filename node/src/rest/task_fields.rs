//! How the fields of a request become fields of a task's document, and which steps a patch stands for.

use std::collections::BTreeSet;

use octopoid_client::{NewTask, TaskPatch};
use octopoid_crdt::document::{Edit, Fields, Value};
use octopoid_crdt::record::Queue;
use serde_json::Value as Json;

use super::texts;
use super::times;
use crate::ops::{Refused, complexity, name, priority};

/// The longest lease, in milliseconds.
const LONGEST_LEASE_MS: u64 = octopoid_crdt::lease::LONGEST_SECONDS as u64 * 1_000;

/// A check of a text field.
type Check = fn(&str, &str) -> Result<(), Refused>;

fn flow_name(field: &str, text: &str) -> Result<(), Refused> {
    name(field, text).map(drop)
}

fn priority_name(_: &str, text: &str) -> Result<(), Refused> {
    priority(text)
}

fn complexity_name(_: &str, text: &str) -> Result<(), Refused> {
    complexity(text)
}

/// Reads a list of ids with commas.
pub(super) fn ids(field: &str, text: &str) -> Result<BTreeSet<String>, Refused> {
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    ids.map(|id| name(field, id).map(|id| id.to_string())).collect()
}

fn number(field: &str, number: u64) -> Result<Value, Refused> {
    i64::try_from(number).map(Value::Int).map_err(|_| Refused::field(field, format!("{number} is too large")))
}

/// Builds the document of a new task; the branch of its project is added by the operation.
pub(super) fn new_task(task: &NewTask) -> Result<Fields, Refused> {
    let mut fields = Fields::default();
    let texts: [(&str, &Option<String>, Check); 12] = [
        ("title", &task.title, texts::line),
        ("priority", &task.priority, priority_name),
        ("complexity", &task.complexity, complexity_name),
        ("role", &task.role, texts::label),
        ("type", &task.kind, texts::label),
        ("branch", &task.branch, texts::branch),
        ("project_id", &task.project_id, flow_name),
        ("plan_id", &task.plan_id, texts::label),
        ("pr_url", &task.pr_url, texts::url),
        ("checks", &task.checks, texts::line),
        ("staging_url", &task.staging_url, texts::url),
        ("execution_notes", &task.execution_notes, texts::body),
    ];
    texts::file_path("file_path", &task.file_path)?;
    fields = fields.with("file_path", task.file_path.as_str());
    for (field, text, check) in texts {
        // An empty text means "none", as for a field that is left out.
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            check(field, text)?;
            fields = fields.with(field, text);
        }
    }
    for (field, flag) in [
        ("auto_accept", task.auto_accept),
        ("has_plan", task.has_plan),
        ("needs_breakdown", task.needs_breakdown),
        ("needs_intervention", task.needs_intervention),
    ] {
        if let Some(flag) = flag {
            fields = fields.with(field, flag);
        }
    }
    if let Some(pr) = task.pr_number {
        fields = fields.with("pr_number", number("pr_number", pr)?);
    }
    if let Some(flow) = task.flow.as_deref().filter(|flow| !flow.is_empty()) {
        flow_name("flow", flow)?;
        fields = fields.with("flow", flow);
    }
    if let Some(hooks) = given(&task.hooks) {
        fields = fields.with("hooks", texts::hooks("hooks", hooks)?);
    }
    if let Some(overrides) = given(&task.flow_overrides) {
        fields = fields.with("flow_overrides", texts::json("flow_overrides", overrides)?);
    }
    for blocker in ids("blocked_by", task.blocked_by.as_deref().unwrap_or_default())? {
        fields = fields.with_entry("blocked_by", &blocker);
    }
    if let Some(content) = &task.content {
        texts::body("content", content)?;
        fields = fields.with_content(content.as_str());
    }
    Ok(with_defaults(fields, &task.id))
}

fn given(value: &Option<Json>) -> Option<Json> {
    value.clone().filter(|value| !value.is_null())
}

/// Sets what every task has.
fn with_defaults(mut fields: Fields, id: &str) -> Fields {
    for (field, default) in [("title", id), ("priority", "P2"), ("branch", "main"), ("flow", "default")] {
        fields.scalars.entry(field.to_owned()).or_insert_with(|| Value::from(default));
    }
    fields
}

/// What a patch of a task asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Patch {
    /// Fields of the document.
    pub edits: Vec<Edit>,
    /// The new set of blockers.
    pub blocked_by: Option<BTreeSet<String>>,
    /// The queue to move to.
    pub queue: Option<Queue>,
    /// `claimed_by` or `lease_expires_at` is null: nobody holds the task any more.
    pub release: bool,
    /// `claimed_by` names somebody.
    pub claimed_by: Option<String>,
    /// `lease_expires_at` is a time, in milliseconds since 1970.
    pub lease_ms: Option<u64>,
    /// The version that the caller saw.
    pub version: Option<u64>,
}

impl Patch {
    /// Reads a patch.
    pub(super) fn of(patch: &TaskPatch) -> Result<Self, Refused> {
        let mut edits = Vec::new();
        text_edits(patch, &mut edits)?;
        number_edits(patch, &mut edits)?;
        for (field, value, check) in [
            ("check_results", &patch.check_results, texts::json as fn(&str, Json) -> Result<String, Refused>),
            ("hooks", &patch.hooks, texts::hooks),
            ("flow_overrides", &patch.flow_overrides, texts::json),
        ] {
            if let Some(value) = value {
                let text = value.clone().filter(|value| !value.is_null()).map(|value| check(field, value)).transpose()?;
                edits.push(Edit::set(field, text.map_or(Value::Null, Value::Text)));
            }
        }
        if let Some(content) = &patch.content {
            texts::body("content", content.as_deref().unwrap_or_default())?;
            edits.push(Edit::Content(content.clone()));
        }
        if let Some(time) = &patch.last_rebase_attempt_at {
            let time = time.as_deref().map(|time| times::parse("last_rebase_attempt_at", time)).transpose()?;
            edits.push(Edit::set("last_rebase_attempt_at", time.map_or(Value::Null, |ms| Value::Text(times::rfc3339(ms)))));
        }
        if let Some(Some(agent)) = &patch.claimed_by {
            texts::label("claimed_by", agent)?;
        }
        let lease = patch.lease_expires_at.as_ref();
        let lease_ms = lease.and_then(Option::as_deref).map(|time| times::parse("lease_expires_at", time)).transpose()?;
        Ok(Self {
            edits,
            blocked_by: patch.blocked_by.as_ref().map(|text| ids("blocked_by", text.as_deref().unwrap_or_default())).transpose()?,
            queue: patch.queue.as_deref().map(|queue| texts::queue("queue", queue)).transpose()?,
            release: patch.claimed_by == Some(None) || lease == Some(&None),
            claimed_by: patch.claimed_by.clone().flatten(),
            lease_ms,
            version: patch.version,
        })
    }

    /// Returns for how many seconds a lease is renewed, by this machine's clock.
    pub(super) fn lease_seconds(lease_ms: u64, now_ms: u64) -> Result<u32, Refused> {
        let left = lease_ms.saturating_sub(now_ms);
        if (1..=LONGEST_LEASE_MS).contains(&left) {
            Ok(u32::try_from(left.div_ceil(1_000)).unwrap_or(octopoid_crdt::lease::LONGEST_SECONDS))
        } else {
            Err(Refused::field("lease_expires_at", "must lie in the future, one hour at most"))
        }
    }
}

fn text_edits(patch: &TaskPatch, edits: &mut Vec<Edit>) -> Result<(), Refused> {
    let required: [(&str, &Option<String>, Check); 5] = [
        ("file_path", &patch.file_path, texts::file_path),
        ("title", &patch.title, texts::line),
        ("priority", &patch.priority, priority_name),
        ("branch", &patch.branch, texts::branch),
        ("flow", &patch.flow, flow_name),
    ];
    for (field, text, check) in required {
        if let Some(text) = text {
            check(field, text)?;
            edits.push(Edit::set(field, text.as_str()));
        }
    }
    let optional: [(&str, &Option<Option<String>>, Check); 10] = [
        ("complexity", &patch.complexity, complexity_name),
        ("role", &patch.role, texts::label),
        ("type", &patch.kind, texts::label),
        ("orchestrator_id", &patch.orchestrator_id, texts::label),
        ("plan_id", &patch.plan_id, texts::label),
        ("project_id", &patch.project_id, flow_name),
        ("pr_url", &patch.pr_url, texts::url),
        ("checks", &patch.checks, texts::line),
        ("staging_url", &patch.staging_url, texts::url),
        ("execution_notes", &patch.execution_notes, texts::body),
    ];
    for (field, text, check) in optional {
        let Some(text) = text else { continue };
        let value = match text.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => {
                check(field, text)?;
                Value::from(text)
            }
            None => Value::Null,
        };
        edits.push(Edit::set(field, value));
    }
    Ok(())
}

fn number_edits(patch: &TaskPatch, edits: &mut Vec<Edit>) -> Result<(), Refused> {
    for (field, value) in [("turns_used", patch.turns_used), ("pr_number", patch.pr_number)] {
        if let Some(value) = value {
            edits.push(Edit::set(field, value.map(|value| number(field, value)).transpose()?.unwrap_or_default()));
        }
    }
    for (field, value) in [("commits_count", patch.commits_count), ("review_round", patch.review_round)] {
        if let Some(value) = value {
            edits.push(Edit::set(field, number(field, value)?));
        }
    }
    for (field, flag) in [
        ("has_plan", patch.has_plan),
        ("auto_accept", patch.auto_accept),
        ("needs_rebase", patch.needs_rebase),
        ("needs_breakdown", patch.needs_breakdown),
        ("needs_intervention", patch.needs_intervention),
    ] {
        if let Some(flag) = flag {
            edits.push(Edit::set(field, flag));
        }
    }
    Ok(())
}
