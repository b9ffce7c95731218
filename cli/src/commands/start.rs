//! `octopoid start`

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, timeout},
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    connection::{Connection, NodeFile, find_project},
    failure::{Exit, Failure},
    log_file::LogFile,
    node_bridge::{self, BridgeError, Layout, NodeOptions, Signal},
    output::Output,
};

/// How long a node may take to listen: opening a store after a crash included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a node that was faster may take until its address is known.
const OTHERS: Duration = Duration::from_secs(5);
/// How often it is looked whether it listens.
const GLANCE: Duration = Duration::from_millis(50);
/// How much of the log is shown when a node in the background does not start.
const TAIL: u64 = 2_000;
/// What a process ends with that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;
/// How long agents may take to die when a person is in a hurry.
const HURRY: Duration = Duration::from_secs(5);

/// States why no node was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One runs.
    #[error("a node runs for this project: process {pid} at {url}")]
    Runs { pid: u32, url: String },
    /// A process has the store and does not answer as a node.
    #[error("{} has the project's store open and does not answer", holder(*.pid))]
    Held { pid: Option<u32> },
    /// The log cannot be written.
    #[error("write the node's log at {}", .path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The process could not be made.
    #[error("start a process in the background")]
    Spawn(#[source] io::Error),
    /// Signals cannot be received.
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    /// The process ended before it listened.
    #[error("the node ended with {status} before it listened{}", said(log))]
    Ended { status: std::process::ExitStatus, log: String },
    /// The process lives and does not listen.
    #[error("process {pid} does not listen after {} s", PATIENCE.as_secs())]
    Silent { pid: u32 },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn said(log: &str) -> String {
    if log.trim().is_empty() { String::new() } else { format!("; its log ends with:\n{}", log.trim_end()) }
}

impl StartError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Runs { .. } | Self::Held { .. } => Exit::Refused,
            Self::Silent { .. } => Exit::Unreachable,
            Self::Log { .. } | Self::Spawn(_) | Self::Signals(_) | Self::Ended { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Runs { .. } => Some("'octopoid status' shows what it does, 'octopoid stop' ends it".to_owned()),
            Self::Held { pid: Some(_) } => Some("'octopoid stop' ends it".to_owned()),
            Self::Held { pid: None } => Some("it is a command that takes long, or a node that starts: try again".to_owned()),
            Self::Ended { .. } => Some("run 'octopoid validate'".to_owned()),
            Self::Silent { .. } => Some("'octopoid logs' shows what it does, 'octopoid stop' ends it".to_owned()),
            Self::Log { .. } | Self::Spawn(_) | Self::Signals(_) => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid start\n  octopoid start --daemon")]
pub struct Args {
    /// Run in the background; logs go to .octopoid/logs/.
    #[arg(long, conflicts_with = "once")]
    daemon: bool,
    /// Look for work once, wait for what was started, and end.
    #[arg(long)]
    once: bool,
    /// Tell more in the log.
    #[arg(long)]
    debug: bool,
    /// Claim nothing and start no agent; sync, clean up and merge only.
    #[arg(long)]
    no_agents: bool,
    /// Milliseconds between looks for work.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    tick_interval: Option<u64>,
    /// The port for the API; 0 for any.
    #[arg(long, value_name = "N")]
    api_port: Option<u16>,
    /// Set on the process that --daemon makes.
    #[arg(long, hide = true, conflicts_with = "daemon")]
    detached: bool,
    /// Set on the processes that the demo makes: the node ends when its stdin does, and so never outlives who holds the other end.
    #[arg(long, hide = true, conflicts_with_all = ["daemon", "detached"])]
    attached: bool,
}

#[derive(Debug, Serialize)]
struct Report<'r> {
    pid: u32,
    api_url: &'r str,
    machine_id: &'r str,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    if let Some(connection) = Connection::to_running(&layout).await?
        && let Some(node) = connection.node
    {
        return Err(StartError::Runs { pid: node.pid, url: node.api_url }.into());
    }
    if args.daemon { in_background(args, &layout, output).await } else { here(args, &layout, output).await }
}

/// Runs the node in this process.
async fn here(args: &Args, layout: &Layout, output: Output) -> Result<(), Failure> {
    if args.detached {
        // Without a terminal of its own the process outlives the one it was started from. It fails only for the leader
        // of a group, which needs it no more.
        let _ = rustix::process::setsid();
    }
    log_to(&layout.node_log(), args).map_err(|source| StartError::Log { path: layout.node_log(), source })?;
    let signals = listen(output, args.attached)?;
    let options = NodeOptions {
        pid_file: args.detached,
        once: args.once,
        no_agents: args.no_agents,
        tick_interval_ms: args.tick_interval,
        api_port: args.api_port,
    };
    let ready = move |node: &octopoid_client::NodeInfo| {
        let (pid, api_url) = (std::process::id(), node.api_url.as_deref().unwrap_or_default());
        if output.json() {
            let _ = output.value(&Report { pid, api_url, machine_id: &node.machine_id });
        } else {
            output.note(format!("node {} listens at {api_url}; Ctrl-C ends it", node.machine_id));
        }
    };
    match node_bridge::run_node(layout, &options, signals, ready).await {
        Err(BridgeError::Locked) => Err(StartError::Held { pid: NodeFile::of_living(layout).map(|node| node.pid) }.into()),
        ended => Ok(ended?),
    }
}

/// Turns the first Ctrl-C, SIGTERM or hang-up into an orderly end and the second into a quick one. An attached node ends in order when
/// its stdin does.
fn listen(output: Output, attached: bool) -> Result<watch::Receiver<Signal>, StartError> {
    let mut kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()
        .map_err(StartError::Signals)?;
    let (sender, receiver) = watch::channel(Signal::None);
    if attached {
        let sender = sender.clone();
        // Not of the runtime, which would wait for it at the end.
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            sender.send_replace(Signal::Stop);
        });
    }
    tokio::spawn(async move {
        let mut any = async || {
            let [interrupt, terminate, hangup] = kinds.as_mut_slice() else { return };
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
        };
        any().await;
        sender.send_replace(Signal::Stop);
        output.note("ending: agents get 10 s and their work is committed; once more ends at once");
        any().await;
        // What they did so far is in their worktrees: the next start keeps it, and gives their claims back.
        output.note(kill_agents().await);
        std::process::exit(INTERRUPTED);
    });
    Ok(receiver)
}

/// Kills the agents that still run and says what came of it.
async fn kill_agents() -> String {
    match timeout(HURRY, octopoid_node::agent::kill_all()).await {
        Ok(report) if report.survivors.is_empty() && report.unproven.is_empty() => {
            format!("ended at once: {} processes of agents were killed; the next start keeps what they did", report.killed)
        }
        Ok(report) => {
            let left: Vec<_> = report.survivors.iter().chain(&report.unproven).map(ToString::to_string).collect();
            format!("ended at once; processes of agents may still run: {}", left.join(", "))
        }
        Err(_) => format!("ended at once; agents may still run, the next start ends them (no end within {} s)", HURRY.as_secs()),
    }
}

/// Logs to the node's file, and to stderr when somebody may watch it.
fn log_to(path: &Path, args: &Args) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let level = if args.debug { "info,octopoid=debug,octopoid_node=debug,octopoid_net=debug,octopoid_crdt=debug" } else { "info" };
    let filter = || EnvFilter::try_from_env("OCTOPOID_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let file = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(LogFile::open(path)?)).with_filter(filter());
    let coloured = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let stderr = (!args.detached)
        .then(|| tracing_subscriber::fmt::layer().with_ansi(coloured).with_target(false).with_writer(io::stderr).with_filter(filter()));
    tracing_subscriber::registry().with(file).with(stderr).init();
    Ok(())
}

/// Starts this program again without a terminal and waits until it listens.
async fn in_background(args: &Args, layout: &Layout, output: Output) -> Result<(), Failure> {
    let path = layout.node_log();
    let before = std::fs::metadata(&path).map_or(0, |log| log.len());
    let mut child = spawn(args, layout)?;
    let end = Instant::now() + PATIENCE;
    let node = loop {
        match NodeFile::of_living(layout) {
            Some(node) if node.pid == child.id() => break node,
            Some(_) | None => {}
        }
        if let Some(status) = child.try_wait().map_err(StartError::Spawn)? {
            if status.code() == Some(Exit::Refused as i32) {
                return Err(lost(layout, end).await.into());
            }
            return Err(StartError::Ended { status, log: tail(&path, before) }.into());
        }
        if Instant::now() >= end {
            return Err(StartError::Silent { pid: child.id() }.into());
        }
        tokio::time::sleep(GLANCE).await;
    };
    if output.json() {
        return Ok(output.value(&Report { pid: node.pid, api_url: &node.api_url, machine_id: &node.machine_id })?);
    }
    output.line(format!("node {} listens at {} (process {})", node.machine_id, node.api_url, node.pid))?;
    output.note("'octopoid status' shows what it does, 'octopoid stop' ends it");
    Ok(())
}

/// Says who has the store that the process in the background found taken: mostly a node that was started at the same time.
async fn lost(layout: &Layout, end: Instant) -> StartError {
    let end = end.min(Instant::now() + OTHERS);
    loop {
        if let Some(node) = NodeFile::of_living(layout) {
            return StartError::Runs { pid: node.pid, url: node.api_url };
        }
        if Instant::now() >= end {
            return StartError::Held { pid: None };
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn spawn(args: &Args, layout: &Layout) -> Result<Child, StartError> {
    let path = layout.node_log();
    let failed = |source| StartError::Log { path: path.clone(), source };
    std::fs::create_dir_all(layout.logs_dir()).map_err(failed)?;
    // A panic's message and what libraries print go here too.
    let log = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(StartError::Spawn)?);
    command.arg("start").arg("--detached").current_dir(layout.root()).env("OCTOPOID_DIR", layout.root());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    for (set, flag) in [(args.debug, "--debug"), (args.no_agents, "--no-agents")] {
        if set {
            command.arg(flag);
        }
    }
    if let Some(interval) = args.tick_interval {
        command.arg("--tick-interval").arg(interval.to_string());
    }
    if let Some(port) = args.api_port {
        command.arg("--api-port").arg(port.to_string());
    }
    command.spawn().map_err(StartError::Spawn)
}

/// Reads the end of what was logged since a length.
fn tail(path: &Path, since: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(TAIL)).min(length)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_start_logged_is_told() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let path = dir.path().join("node.log");
        std::fs::write(&path, "long ago\nport 8787 is in use\n").expect("written");
        assert_eq!(tail(&path, 9), "port 8787 is in use\n");
        assert_eq!(tail(&path, 500), "", "the log may have been renamed since");
        std::fs::write(&path, "x".repeat(10_000)).expect("written");
        assert_eq!(tail(&path, 0).len() as u64, TAIL);
        assert_eq!(tail(Path::new("/no/such/log"), 0), "");
    }

    #[test]
    fn a_second_node_is_refused_and_a_silent_one_is_unreachable() {
        let runs = StartError::Runs { pid: 7, url: "http://127.0.0.1:8787".to_owned() };
        assert_eq!((runs.exit(), StartError::Silent { pid: 7 }.exit()), (Exit::Refused, Exit::Unreachable));
        assert!(runs.hint().is_some_and(|hint| hint.contains("octopoid stop")));
    }
}
