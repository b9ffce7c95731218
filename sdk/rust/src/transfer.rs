//! Import and export.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an import did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// Nothing was written: it was only tried.
    pub dry_run: bool,
    /// Which system the rows come from.
    pub source: String,
    /// How many rows went where, by table; `source` is the sum of the others.
    pub tables: BTreeMap<String, ImportCounts>,
    /// Every row that was left out.
    pub skipped: Vec<SkippedRow>,
    /// What is worth telling, one sentence each.
    pub warnings: Vec<String>,
}

/// How many rows of a table went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportCounts {
    /// Rows of the source.
    pub source: u64,
    /// Rows that were written.
    pub imported: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows that were left out.
    pub skipped: u64,
}

/// A row that was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SkippedRow {
    /// Where it was.
    pub table: String,
    /// What names it there.
    pub id: String,
    /// Why it was left out.
    pub reason: String,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportProgress {
    /// An import runs.
    pub running: bool,
    /// Steps that are done.
    pub done: u64,
    /// All steps.
    pub total: u64,
}

/// Everything that a node knows and another can take in. Rows are objects by column name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Export {
    /// `octopoid-export`.
    pub format: String,
    /// 1.
    pub version: u64,
    /// When it was made.
    pub exported_at: String,
    /// Which system made it.
    pub source: ExportSource,
    /// Projects.
    pub projects: Vec<Map<String, Value>>,
    /// Tasks with their bodies as `content`.
    pub tasks: Vec<Map<String, Value>>,
    /// What happened to tasks, by `task_id`.
    pub task_history: Vec<Map<String, Value>>,
    /// Drafts.
    pub drafts: Vec<Map<String, Value>>,
    /// Messages, oldest first.
    pub messages: Vec<Map<String, Value>>,
    /// Actions, oldest first.
    pub actions: Vec<Map<String, Value>>,
    /// Flows.
    pub flows: Vec<Map<String, Value>>,
    /// Roles.
    pub roles: Vec<Map<String, Value>>,
    /// Orchestrators; keys are not exported.
    pub orchestrators: Vec<Map<String, Value>>,
    /// Agents of another system, as they were imported.
    pub agents: Vec<Map<String, Value>>,
    /// Empty: bodies are in `tasks`.
    pub files: BTreeMap<String, String>,
    /// Null: settings are files of the repository.
    pub config: Option<Value>,
}

/// Where an export comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportSource {
    /// `octopoid`.
    pub kind: String,
    /// The version of the rows.
    pub schema_version: u64,
    /// How far times without a zone are from UTC; there are none here.
    pub tz_offset: String,
}
