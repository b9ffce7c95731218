//! Which fields an answer has, and of which types.

use serde_json::Value;

use crate::desk::Desk;

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    /// True or false, whatever the setting.
    Truth,
    /// A task's flag: a truth, or with `api.compat: head` 0 or 1.
    Flag,
    /// RFC 3339, UTC, milliseconds, `Z`.
    Time,
    /// JSON as text.
    Json,
    /// Such a field that may be null.
    OrNull(&'static Kind),
}

use Kind::{Flag, Integer, Json, OrNull, Text, Time, Truth};

const TEXT: Kind = OrNull(&Text);
const INTEGER: Kind = OrNull(&Integer);
const TIME: Kind = OrNull(&Time);
const JSON: Kind = OrNull(&Json);

/// Every field of a task; those after `needs_intervention` are additions.
pub const TASK: [(&str, Kind); 51] = [
    ("id", Text),
    ("file_path", Text),
    ("title", Text),
    ("content", TEXT),
    ("queue", Text),
    ("priority", Text),
    ("complexity", TEXT),
    ("role", TEXT),
    ("type", TEXT),
    ("branch", Text),
    ("blocked_by", TEXT),
    ("claimed_by", TEXT),
    ("claimed_at", TIME),
    ("lease_expires_at", TIME),
    ("orchestrator_id", TEXT),
    ("commits_count", Integer),
    ("turns_used", INTEGER),
    ("attempt_count", Integer),
    ("rejection_count", Integer),
    ("has_plan", Flag),
    ("plan_id", TEXT),
    ("project_id", TEXT),
    ("auto_accept", Flag),
    ("pr_number", INTEGER),
    ("pr_url", TEXT),
    ("checks", TEXT),
    ("check_results", TEXT),
    ("needs_rebase", Flag),
    ("last_rebase_attempt_at", TIME),
    ("staging_url", TEXT),
    ("submitted_at", TIME),
    ("completed_at", TIME),
    ("created_at", Time),
    ("updated_at", Time),
    ("version", Integer),
    ("needs_breakdown", Flag),
    ("review_round", Integer),
    ("execution_notes", TEXT),
    ("hooks", JSON),
    ("flow", Text),
    ("flow_overrides", JSON),
    ("scope", Text),
    ("needs_intervention", Flag),
    ("epoch", Integer),
    ("attempt", TEXT),
    ("contested", Truth),
    ("holder", TEXT),
    ("node", TEXT),
    ("merged_commit", TEXT),
    ("awaiting_merge", TEXT),
    ("retry_at", TIME),
];

pub const PROJECT: [(&str, Kind); 11] = [
    ("id", Text),
    ("title", Text),
    ("description", TEXT),
    ("status", Text),
    ("branch", Text),
    ("base_branch", Text),
    ("auto_accept", Truth),
    ("created_at", Time),
    ("created_by", TEXT),
    ("completed_at", TIME),
    ("scope", Text),
];

pub const DRAFT: [(&str, Kind); 12] = [
    ("id", Integer),
    ("title", Text),
    ("status", Text),
    ("author", TEXT),
    ("domain", TEXT),
    ("file_path", TEXT),
    ("linked_task_id", TEXT),
    ("linked_project_id", TEXT),
    ("tags", JSON),
    ("scope", Text),
    ("created_at", Time),
    ("updated_at", Time),
];

pub const MESSAGE: [(&str, Kind); 10] = [
    ("id", Text),
    ("task_id", Text),
    ("from_actor", Text),
    ("to_actor", TEXT),
    ("type", Text),
    ("content", Text),
    ("parent_message_id", TEXT),
    ("thread_id", TEXT),
    ("scope", Text),
    ("created_at", Time),
];

pub const ACTION: [(&str, Kind); 16] = [
    ("id", Text),
    ("entity_type", Text),
    ("entity_id", Text),
    ("action_type", Text),
    ("label", Text),
    ("description", TEXT),
    ("status", Text),
    ("proposed_by", Text),
    ("expires_at", TIME),
    ("metadata", JSON),
    ("action_data", JSON),
    ("result", TEXT),
    ("scope", Text),
    ("created_at", Time),
    ("updated_at", Time),
    ("executed_at", TIME),
];

pub const FLOW: [(&str, Kind); 6] =
    [("name", Text), ("states", Json), ("transitions", Json), ("scope", Text), ("created_at", Time), ("updated_at", Time)];

pub const ROLE: [(&str, Kind); 6] =
    [("name", Text), ("claims_from", TEXT), ("description", TEXT), ("orchestrator_id", TEXT), ("scope", Text), ("created_at", Time)];

pub const ORCHESTRATOR: [(&str, Kind); 11] = [
    ("id", Text),
    ("cluster", Text),
    ("machine_id", Text),
    ("hostname", TEXT),
    ("repo_url", TEXT),
    ("registered_at", Time),
    ("last_heartbeat", TIME),
    ("status", Text),
    ("version", TEXT),
    ("capabilities", JSON),
    ("scope", Text),
];

pub const EVENT: [(&str, Kind); 6] =
    [("event", Text), ("agent", TEXT), ("details", TEXT), ("timestamp", Time), ("node", TEXT), ("record_id", TEXT)];

pub const ATTEMPT: [(&str, Kind); 14] = [
    ("attempt", Text),
    ("epoch", Integer),
    ("state", Text),
    ("current", Truth),
    ("agent", TEXT),
    ("orchestrator_id", TEXT),
    ("node", TEXT),
    ("claimed_at", Time),
    ("submitted_at", TIME),
    ("ended_at", TIME),
    ("branch", TEXT),
    ("commits_count", INTEGER),
    ("turns_used", INTEGER),
    ("reason", TEXT),
];

pub const POLLED: [(&str, Kind); 4] = [("id", Text), ("hooks", JSON), ("pr_number", INTEGER), ("claimed_by", TEXT)];

impl Desk {
    /// Checks that an answer has every field, each of its type. It may have more.
    #[track_caller]
    pub fn has_shape(&self, value: &Value, fields: &[(&str, Kind)]) {
        for (name, kind) in fields {
            let Some(found) = value.get(*name) else { panic!("no field '{name}' in {value}") };
            assert!(is(found, *kind, self.mode.head), "'{name}' is {found}, which is not {kind:?}, in {value}");
        }
    }

    /// Checks a page of a list: its counts, and the shape of each entry.
    #[track_caller]
    pub fn has_page(&self, page: &Value, name: &str, fields: &[(&str, Kind)]) {
        self.has_shape(page, &[("total", Integer), ("offset", Integer), ("limit", Integer)]);
        let entries = page[name].as_array().unwrap_or_else(|| panic!("no list '{name}' in {page}"));
        entries.iter().for_each(|entry| self.has_shape(entry, fields));
    }
}

fn is(value: &Value, kind: Kind, head: bool) -> bool {
    match kind {
        Text => value.is_string(),
        Integer => value.is_u64(),
        Truth => value.is_boolean(),
        Flag if head => matches!(value.as_u64(), Some(0 | 1)),
        Flag => value.is_boolean(),
        Time => value.as_str().is_some_and(is_time),
        Json => value.as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok()),
        OrNull(kind) => value.is_null() || is(value, *kind, head),
    }
}

/// Tells whether a text is a time such as `2026-01-31T12:00:00.000Z`.
pub fn is_time(text: &str) -> bool {
    const LIKE: &[u8] = b"0000-00-00T00:00:00.000Z";
    let fits = |(like, byte): (&u8, u8)| if like.is_ascii_digit() { byte.is_ascii_digit() } else { *like == byte };
    text.len() == LIKE.len() && LIKE.iter().zip(text.bytes()).all(fits)
}
