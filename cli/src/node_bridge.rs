//! Everything that the command line takes from `octopoid_node`, in one place.
//!
//! The node's parts are not wired yet: what needs them answers [`BridgeError::NotWired`]. The commands are written
//! against the signatures of this file alone.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use octopoid_client::{NodeInfo, Transport};
use serde::Serialize;
use tokio::sync::watch;

/// States why the node's part of a command failed.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// This build has no such part.
    #[error("this build of octopoid cannot {0} yet")]
    NotWired(&'static str),
}

/// States why no project was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none here.
    #[error("no Octopoid project at {} or above it", .from.display())]
    NotInitialised {
        /// Where the search began.
        from: PathBuf,
    },
    /// The folder that `OCTOPOID_DIR` names is none of a project.
    #[error("OCTOPOID_DIR names {}, which holds no Octopoid project", .dir.display())]
    WrongVariable {
        /// What it names.
        dir: PathBuf,
    },
}

/// The places of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Names the places of a project whose repository's work tree is `root`, whether or not they exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Finds the nearest `.octopoid` at or above a folder that has a `runtime/`, or the one that `OCTOPOID_DIR` names.
    pub fn find(start: &Path, octopoid_dir: Option<&OsStr>) -> Result<Self, FindError> {
        let initialised = |root: &Path| Self::at(root).runtime_dir().is_dir().then(|| Self::at(root));
        if let Some(named) = octopoid_dir.filter(|named| !named.is_empty()) {
            let dir = start.join(named);
            let above = if dir.file_name() == Some(OsStr::new(".octopoid")) { dir.parent() } else { None };
            return above.and_then(initialised).or_else(|| initialised(&dir)).ok_or(FindError::WrongVariable { dir });
        }
        start.ancestors().find_map(initialised).ok_or_else(|| FindError::NotInitialised { from: start.to_owned() })
    }

    /// Returns the repository's work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder `.octopoid`.
    pub fn dir(&self) -> PathBuf {
        self.root.join(".octopoid")
    }

    /// Returns the folder of this machine's state.
    pub fn runtime_dir(&self) -> PathBuf {
        self.dir().join("runtime")
    }

    /// Returns the token for the node's API.
    pub fn token_file(&self) -> PathBuf {
        self.runtime_dir().join("api.token")
    }

    /// Returns the file in which a running node says where it listens.
    pub fn node_file(&self) -> PathBuf {
        self.runtime_dir().join("node.json")
    }

    /// Returns the folder of logs.
    pub fn logs_dir(&self) -> PathBuf {
        self.dir().join("logs")
    }

    /// Returns the node's own log.
    pub fn node_log(&self) -> PathBuf {
        self.logs_dir().join("node.log")
    }
}

/// What `octopoid init` asks for.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// This machine's name; the host's name by default.
    pub machine_id: Option<String>,
    /// A fixed port for the API; 0 for any.
    pub api_port: Option<u16>,
}

/// What init did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InitReport {
    /// The repository's work tree.
    pub root: PathBuf,
    /// This machine's name.
    pub machine_id: String,
    /// Files and folders that were made, relative to the root.
    pub created: Vec<PathBuf>,
    /// Files that were there and were left alone.
    pub kept: Vec<PathBuf>,
    /// What is worth telling, one sentence each.
    pub notes: Vec<String>,
}

/// Makes the project of the repository that holds a folder.
pub fn init(start: &Path, options: &InitOptions) -> Result<InitReport, BridgeError> {
    let _ = (start, options);
    Err(BridgeError::NotWired("initialise a project"))
}

/// How a node runs.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Whether a pid file is written, for a node without a terminal.
    pub pid_file: bool,
    /// Whether one scheduler tick is enough.
    pub once: bool,
    /// Whether no agent is started and nothing claimed.
    pub no_agents: bool,
    /// Milliseconds between ticks; config.yaml's by default.
    pub tick_interval_ms: Option<u64>,
    /// A port that must be free; 0 for any.
    pub api_port: Option<u16>,
}

/// How a node is told to end from outside its API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signal {
    /// It runs on.
    #[default]
    None,
    /// It commits what agents did, ends them, and ends.
    Stop,
}

/// Runs a node until it is stopped. `ready` is called once, when the socket listens and node.json is written.
pub async fn run_node(
    layout: &Layout,
    options: &NodeOptions,
    signal: watch::Receiver<Signal>,
    ready: impl FnOnce(&NodeInfo) + Send,
) -> Result<(), BridgeError> {
    let _ = (layout, options, signal, ready);
    Err(BridgeError::NotWired("run a node"))
}

/// States why the store could not be opened without a node.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process holds the store.
    #[error("the store is in use")]
    Locked,
    /// The store, or what lies beside it, cannot be used.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

/// Opens the store under its lock and answers the API's calls in this process, until the transport is dropped.
///
/// Calls need the token of `runtime/api.token`, as over a socket.
pub async fn open_local(layout: &Layout) -> Result<Arc<dyn Transport>, LocalError> {
    let _ = layout;
    Err(BridgeError::NotWired("work on the store without a running node").into())
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works, though perhaps not as meant.
    Warning,
    /// Does not work.
    Error,
}

/// One thing that `octopoid validate` found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file, relative to the root.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// Checks the files, the repository, git, the agents' programs and the ports.
pub fn validate(layout: &Layout) -> Result<Vec<Finding>, BridgeError> {
    let _ = layout;
    Err(BridgeError::NotWired("check a project's files"))
}

/// Returns the names of the roles that agents.yaml gives its agents; none when it cannot be read.
pub fn agent_roles(layout: &Layout) -> Vec<String> {
    let _ = layout;
    Vec::new()
}

/// What uninit did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UninitReport {
    /// What was removed, relative to the root.
    pub removed: Vec<PathBuf>,
    /// What was kept, since somebody had edited it.
    pub kept: Vec<PathBuf>,
    /// Worktrees that were removed.
    pub worktrees: Vec<PathBuf>,
}

/// Takes a project's folder away. Without `force` it keeps what was edited and refuses while work is unfinished.
pub fn uninit(layout: &Layout, force: bool) -> Result<UninitReport, BridgeError> {
    let _ = (layout, force);
    Err(BridgeError::NotWired("remove a project"))
}

/// What the demo did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DemoReport {
    /// Whether everything is as it should be.
    pub ok: bool,
    /// The repository, if it was kept.
    pub repository: PathBuf,
    /// What happened to each task.
    pub tasks: Vec<DemoTask>,
}

/// What happened to one task of the demo.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DemoTask {
    /// The task.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it ended.
    pub queue: String,
    /// What happened, one line each.
    pub story: Vec<String>,
}

/// Plays the whole job in a scratch repository. `watch` is called with the node's status whenever it may have changed.
pub async fn demo(keep: bool, watch: impl FnMut(&octopoid_client::NodeStatus) + Send) -> Result<DemoReport, BridgeError> {
    let _ = (keep, watch);
    Err(BridgeError::NotWired("play the demo"))
}

/// Runs the launcher of agents' processes: the whole of a program's main function in the hidden mode `__launch`.
pub fn launcher_main() -> ExitCode {
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_project_with_a_runtime_is_found_and_a_variable_wins() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let outer = dir.path().join("outer");
        let inner = outer.join("worktree/src");
        std::fs::create_dir_all(outer.join(".octopoid/runtime")).expect("project");
        // A checkout that commits its settings has no runtime folder.
        std::fs::create_dir_all(outer.join("worktree/.octopoid")).expect("checkout");
        std::fs::create_dir_all(&inner).expect("folder");
        let other = dir.path().join("other");
        std::fs::create_dir_all(other.join(".octopoid/runtime")).expect("project");
        assert_eq!(Layout::find(&inner, None).expect("project").root(), outer);
        assert_eq!(Layout::find(&inner, Some(other.as_os_str())).expect("project").root(), other);
        assert_eq!(Layout::find(&inner, Some(other.join(".octopoid").as_os_str())).expect("project").root(), other);
        assert!(matches!(Layout::find(&inner, Some(inner.as_os_str())), Err(FindError::WrongVariable { .. })));
        assert!(matches!(Layout::find(dir.path(), None), Err(FindError::NotInitialised { .. })));
    }
}
