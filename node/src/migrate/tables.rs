//! Rows by table, as a source wrote them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::shapes::{FORMAT, VERSION};

/// One row, by column name.
pub type Row = Map<String, Value>;

/// What a source may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What is to be done.
    Tasks,
    /// Tasks that share a branch.
    Projects,
    /// Agents as they were last seen: history.
    Agents,
    /// What happened to tasks.
    TaskHistory,
    /// Ideas.
    Drafts,
    /// Whoever claimed tasks over REST.
    Orchestrators,
    /// Jobs that orchestrators registered.
    Roles,
    /// Flows that were registered.
    Flows,
    /// What was said about tasks.
    Messages,
    /// What was proposed.
    Actions,
    /// Task files by the id of their task.
    Files,
}

impl Table {
    /// All of them, in the order in which they are written and reported.
    pub const ALL: [Self; 11] = [
        Self::Projects,
        Self::Tasks,
        Self::TaskHistory,
        Self::Files,
        Self::Drafts,
        Self::Messages,
        Self::Actions,
        Self::Flows,
        Self::Roles,
        Self::Orchestrators,
        Self::Agents,
    ];

    /// Returns the table's name in JSON and in the database of version 1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Projects => "projects",
            Self::Agents => "agents",
            Self::TaskHistory => "task_history",
            Self::Drafts => "drafts",
            Self::Orchestrators => "orchestrators",
            Self::Roles => "roles",
            Self::Flows => "flows",
            Self::Messages => "messages",
            Self::Actions => "actions",
            Self::Files => "files",
        }
    }

    /// Finds a table by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }
}

/// A row that is left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it was.
    pub table: Table,
    /// What names it there.
    pub id: String,
    /// Why it is left out.
    pub reason: String,
}

impl Skipped {
    pub(super) fn new(table: Table, id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { table, id: shown(&id.into()), reason: reason.into() }
    }
}

/// Shortens what a source wrote so that a message stays a line.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(140).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(140).is_some() {
        short.push('…');
    }
    short
}

/// Where rows come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Which system.
    pub kind: String,
    /// The version of its tables.
    pub schema_version: Option<i64>,
    /// How far the clock of the exporting machine was ahead of UTC, such as `+02:00`.
    pub tz_offset: Option<String>,
}

/// Everything that a source holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// Where it comes from.
    pub source: Source,
    /// Rows by table; files are beside them.
    pub rows: BTreeMap<Table, Vec<Row>>,
    /// Markdown by the id of its task.
    pub files: Vec<(String, String)>,
    /// What the source held and could not be read.
    pub unread: Vec<Skipped>,
    /// What is worth telling, one sentence each.
    pub warnings: Vec<String>,
}

impl Tables {
    /// Writes the envelope that [`super::read`] reads.
    #[must_use]
    pub fn to_envelope(&self) -> Value {
        let mut envelope = json!({
            "format": FORMAT,
            "version": VERSION,
            "source": {
                "kind": self.source.kind,
                "schema_version": self.source.schema_version,
                "tz_offset": self.source.tz_offset,
            },
        });
        let Some(map) = envelope.as_object_mut() else { return envelope };
        for (table, rows) in &self.rows {
            map.insert(table.as_str().to_owned(), rows.iter().cloned().map(Value::Object).collect());
        }
        let files: Map<String, Value> = self.files.iter().map(|(id, text)| (id.clone(), text.as_str().into())).collect();
        map.insert(Table::Files.as_str().to_owned(), files.into());
        let unread = self.unread.iter().map(|row| json!({ "table": row.table.as_str(), "id": row.id, "reason": row.reason }));
        map.insert("unread".to_owned(), unread.collect());
        map.insert("warnings".to_owned(), self.warnings.clone().into());
        envelope
    }

    /// Counts the rows of a table, those included that could not be read.
    #[must_use]
    pub fn count(&self, table: Table) -> u64 {
        let rows = if table == Table::Files { self.files.len() } else { self.rows.get(&table).map_or(0, Vec::len) };
        (rows + self.unread.iter().filter(|row| row.table == table).count()) as u64
    }
}
