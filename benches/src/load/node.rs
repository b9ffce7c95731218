//! The node that is measured: this program again, in a second process, so that node and clients share no runtime.
//!
//! **Invariants**: the node ends when the process that started it does, however that ends.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use octopoid_node::agent::Launcher;
use octopoid_node::daemon::{self, NodeFile, StartOptions};
use octopoid_node::project::Layout;
use octopoid_node::run::Mode;
use serde::Serialize;
use tokio::process::{Child, ChildStdin, Command};

use super::http::{Connection, Endpoint, HttpError, Request};

/// The first argument of a process that is to be the node; the second is the project.
pub const HIDDEN: &str = "__node";
/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a node may take to end.
const FAREWELL: Duration = Duration::from_secs(30);
/// How often it is looked whether it answers.
const GLANCE: Duration = Duration::from_millis(1);

/// States why no node runs.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The process could not be made, or not be ended.
    #[error("failed to run the node's process")]
    Process(#[source] io::Error),
    /// A file of the project cannot be read.
    #[error("failed to read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("the node ended with {0} before it answered")]
    Ended(ExitStatus),
    /// It lives and does not answer.
    #[error("the node did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// Its address is none.
    #[error("the node's address is none")]
    Address(#[source] HttpError),
}

/// What a node takes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// Memory in use, in MiB; none where the system does not tell.
    pub rss_mib: Option<f64>,
    /// The most memory that was in use.
    pub peak_rss_mib: Option<f64>,
    /// The size of the store's file, in MiB.
    pub store_mib: Option<f64>,
}

/// A node in its own process.
pub struct Node {
    child: Child,
    /// Its end tells the node to stop.
    stdin: Option<ChildStdin>,
    layout: Layout,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// From the start of the process to its first answer out of the store.
    pub started_in: Duration,
}

impl Node {
    /// Starts a node on a project and waits until it answers.
    pub async fn start(layout: &Layout) -> Result<Self, NodeError> {
        let path = layout.token_file();
        let token = std::fs::read_to_string(&path).map_err(|source| NodeError::File { path, source })?;
        let program = std::env::current_exe().map_err(NodeError::Process)?;
        let started = Instant::now();
        let mut command = Command::new(program);
        command.arg(HIDDEN).arg(layout.root()).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(NodeError::Process)?;
        let stdin = child.stdin.take();
        let endpoint = loop {
            if let Some(endpoint) = announced(layout, &child, &token)? {
                break endpoint;
            }
            if let Some(status) = child.try_wait().map_err(NodeError::Process)? {
                return Err(NodeError::Ended(status));
            }
            if started.elapsed() > PATIENCE {
                return Err(NodeError::Silent);
            }
            tokio::time::sleep(GLANCE).await;
        };
        // The file is written after the socket listens, so the first request is answered or the node is broken.
        let answered = async {
            let mut connection = Connection::open(&endpoint).await.ok()?;
            let answer = connection.call(&Request::get("/api/v1/tasks?limit=1")).await.ok()?;
            (answer.status == 200).then_some(())
        };
        tokio::time::timeout(PATIENCE, answered).await.ok().flatten().ok_or(NodeError::Silent)?;
        Ok(Self { child, stdin, layout: layout.clone(), endpoint, started_in: started.elapsed() })
    }

    /// Returns what the node takes now.
    pub fn usage(&self) -> Usage {
        let status = self.child.id().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok()).unwrap_or_default();
        let store = std::fs::metadata(self.layout.store_file()).ok();
        Usage {
            rss_mib: mebibytes(&status, "VmRSS:"),
            peak_rss_mib: mebibytes(&status, "VmHWM:"),
            store_mib: store.map(|file| file.len() as f64 / f64::from(1 << 20)),
        }
    }

    /// Ends the node as `octopoid stop` does, and waits for it.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        drop(self.stdin.take());
        match tokio::time::timeout(FAREWELL, self.child.wait()).await {
            Ok(ended) => ended.map(drop).map_err(NodeError::Process),
            Err(_) => self.child.kill().await.map_err(NodeError::Process),
        }
    }

    /// Ends the node with SIGKILL, and waits until it is gone.
    pub async fn kill(mut self) -> Result<(), NodeError> {
        self.child.kill().await.map_err(NodeError::Process)
    }
}

/// Returns where the node answers, once it is this process that says so.
fn announced(layout: &Layout, child: &Child, token: &str) -> Result<Option<Endpoint>, NodeError> {
    let Ok(text) = std::fs::read_to_string(layout.node_file()) else { return Ok(None) };
    // One that was killed left its file behind.
    match serde_json::from_str::<NodeFile>(&text) {
        Ok(file) if Some(file.pid) == child.id() => Endpoint::new(&file.api_url, token).map(Some).map_err(NodeError::Address),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn mebibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1_024.0)
}

/// Is the node: serves a project until stdin ends.
pub fn serve(root: &Path) -> ExitCode {
    match serve_until_told(root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("load: the node ended: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve_until_told(root: &Path) -> Result<(), String> {
    let launcher = Launcher::this_program().map_err(|error| error.to_string())?;
    let options = StartOptions { mode: Mode::NoAgents, tick: None, api_port: Some(0), pid_file: false, launcher };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let told = async {
        let end = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
        // A pipe that cannot be read has no other side either.
        let _ = end.await;
    };
    let ended = runtime.block_on(daemon::start(&Layout::at(root), options, told, |_| ()));
    // A read of stdin may still be under way when the node ended by itself.
    runtime.shutdown_background();
    ended.map_err(|error| octopoid_node::causes::describe(&error))
}
