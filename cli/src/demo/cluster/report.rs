//! What the cluster's demo tells at its end.

use std::path::PathBuf;

use serde::Serialize;

use crate::demo::report::{Check, TaskReport};

/// What came of a demo.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ClusterReport {
    /// Whether every check holds.
    pub ok: bool,
    /// The repository that all machines share; gone unless it was kept.
    pub repository: PathBuf,
    /// Whether the folders are still there.
    pub kept: bool,
    /// How long it took from the first task to the last merge, in seconds.
    pub seconds: f64,
    /// The machines' clones.
    pub machines: Vec<MachineReport>,
    /// What the demo did, one line each.
    pub events: Vec<String>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What happened to each task, in the order in which they were made.
    pub tasks: Vec<TaskReport>,
    /// What lost when the machines met again.
    pub lost: Vec<Lost>,
    /// The history of main in the shared repository, as git draws it.
    pub graph: Vec<String>,
}

/// One machine.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MachineReport {
    /// What it is called.
    pub name: String,
    /// Its clone.
    pub repository: PathBuf,
}

/// An attempt that lost against another one.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lost {
    /// The task.
    pub task: String,
    /// The attempt that won.
    pub winner: Option<String>,
    /// The attempt that lost.
    pub attempt: String,
    /// The machine on which its agent worked.
    pub machine: String,
    /// The agent.
    pub agent: String,
    /// The branch that keeps what it did.
    pub branch: String,
    /// The commit that the branch is at; null when there is none.
    pub commit: Option<String>,
    /// Whether its agent was stopped.
    pub stopped: bool,
}
