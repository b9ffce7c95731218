//! What a document holds, as plain data.

use std::collections::{BTreeMap, BTreeSet};

/// The scalar fields of a task's document; `content` and the lists of [`TASK_LISTS`] come beside them.
pub const TASK_FIELDS: &[&str] = &[
    "auto_accept",
    "base_branch",
    "branch",
    "check_results",
    "checks",
    "commits_count",
    "complexity",
    "created_by",
    "execution_notes",
    "file_path",
    "flow",
    "flow_overrides",
    "has_plan",
    "hooks",
    "last_rebase_attempt_at",
    "needs_breakdown",
    "needs_intervention",
    "needs_rebase",
    "plan_id",
    "pr_number",
    "pr_url",
    "priority",
    "project_id",
    "review_round",
    "role",
    "staging_url",
    "title",
    "turns_used",
    "type",
];

/// The lists of a task's document: sets of short texts to which two people can add at the same time.
pub const TASK_LISTS: &[&str] = &["blocked_by", "labels"];

/// One scalar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// Unset, or of a type that no field has.
    #[default]
    Null,
    /// A flag.
    Bool(bool),
    /// A number; JSON numbers with a fraction are no field of ours.
    Int(i64),
    /// Text, JSON text included.
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// All that a document says, read out of it or to be written into a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Fields by name; one that a later version wrote is here too.
    pub scalars: BTreeMap<String, Value>,
    /// The body. `None` and an empty text are different.
    pub content: Option<String>,
    /// Entries by the list's name. A list without entries is left out.
    pub lists: BTreeMap<String, BTreeSet<String>>,
}

impl Fields {
    /// Adds or replaces a field, for building in one expression.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.scalars.insert(field.to_owned(), value.into());
        self
    }

    /// Adds an entry to a list, for building in one expression.
    #[must_use]
    pub fn with_entry(mut self, list: &str, entry: &str) -> Self {
        self.lists.entry(list.to_owned()).or_default().insert(entry.to_owned());
        self
    }

    /// Sets the body, for building in one expression.
    #[must_use]
    pub fn with_content(mut self, content: impl Into<String>) -> Self {
        self.content = Some(content.into());
        self
    }

    /// Returns a field's value, [`Value::Null`] when it is absent.
    #[must_use]
    pub fn get(&self, field: &str) -> &Value {
        self.scalars.get(field).unwrap_or(&Value::Null)
    }

    /// Returns a text field, `None` when it is absent or of another type.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.get(field) {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Int(_) => None,
        }
    }

    /// Returns a number field, `None` when it is absent or of another type.
    #[must_use]
    pub fn int(&self, field: &str) -> Option<i64> {
        match self.get(field) {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Bool(_) | Value::Text(_) => None,
        }
    }

    /// Returns a flag, false when it is absent or of another type.
    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        matches!(self.get(field), Value::Bool(true))
    }

    /// Returns a list's entries in order.
    pub fn entries(&self, list: &str) -> impl Iterator<Item = &str> {
        self.lists.get(list).into_iter().flatten().map(String::as_str)
    }
}
