//! What the demo tells at its end.

use std::path::PathBuf;

use serde::Serialize;

/// What came of a demo.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Whether every check holds.
    pub ok: bool,
    /// The repository; gone unless it was kept.
    pub repository: PathBuf,
    /// Whether the repository is still there.
    pub kept: bool,
    /// How long it took from the first task to the last merge, in seconds.
    pub seconds: f64,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What happened to each task, in the order in which they were made.
    pub tasks: Vec<TaskReport>,
    /// The history of main, as git draws it.
    pub graph: Vec<String>,
}

/// One thing that must be so at the end.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What must be so.
    pub what: &'static str,
    /// Why it is not so; null when it is.
    pub problem: Option<String>,
}

/// What happened to one task.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TaskReport {
    /// The task.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The role that worked on it.
    pub role: Option<String>,
    /// Where it ended.
    pub queue: String,
    /// How many tries it took.
    pub attempts: usize,
    /// How often a review rejected it.
    pub rejections: u64,
    /// The merge that brought its work to main.
    pub merged_commit: Option<String>,
    /// What its agents printed.
    pub logs: PathBuf,
    /// What happened, one line each.
    pub story: Vec<String>,
}
