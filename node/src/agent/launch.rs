//! Starts an agent in two steps, so that it is on record before it runs.
//!
//! [`Launcher::launch`] gives a [`Held`] process: its number and start time are known, and it leads its own session, but the agent's
//! program has not begun. The caller stores [`Held::record`] and then calls [`Held::go`]. Dropping it, or the death of the node,
//! ends it without a trace.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use super::{
    Argv, Environment, Limits, ProcessRecord, Running, Token,
    capture::CappedLog,
    environ::TOKEN_VARIABLE,
    exec_order::{ExecFailure, ExecOrder, GO, MAX_FAILURE_BYTES, MAX_ORDER_BYTES, READY, Step},
    process_table, roll, running,
};

/// How long each step of the launcher may take: it is our own program and does next to nothing, but machines can be busy.
const STEP_TIME: Duration = Duration::from_secs(30);

/// The program that calls [`launcher_main`](super::launcher_main), normally this very program in a hidden mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program's path.
    pub program: PathBuf,
    /// The arguments that bring it into that mode.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// The running program, with `__launch` as its only argument.
    ///
    /// # Errors
    /// When the system does not tell the program's path.
    pub fn this_program() -> io::Result<Self> {
        // The link, not what it points to: after an upgrade of the binary it still leads to the program that runs.
        let link = Path::new("/proc/self/exe");
        let program = if link.exists() { link.to_owned() } else { std::env::current_exe()? };
        Ok(Self { program, arguments: vec!["__launch".into()] })
    }
}

/// What an agent's program reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing.
    Null,
    /// This file.
    File(PathBuf),
}

/// Everything that one agent's process needs.
#[derive(Debug, Clone)]
pub struct AgentProcess {
    /// The program and its arguments.
    pub argv: Argv,
    /// Its environment, complete.
    pub environment: Environment,
    /// Its working directory: the worktree.
    pub directory: PathBuf,
    /// What it reads.
    pub stdin: Stdin,
    /// The folder for `stdout.log` and `stderr.log`; must exist.
    pub logs: PathBuf,
    /// Time and size limits.
    pub limits: Limits,
}

/// States why an agent did not start. In every case none of its instructions ran.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program is missing or not executable.
    #[error("start the agent's program '{program}': install it or change `command` in agents.yaml")]
    Program {
        program: String,
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("enter the worktree {}", .path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file for stdin cannot be read.
    #[error("open {} for the agent to read", .path.display())]
    Stdin {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A log file cannot be opened.
    #[error("open the agent's log in {}", .path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Arguments and environment together exceed what any system accepts.
    #[error("pass the agent's arguments and environment: {bytes} bytes are too many; shorten `command` or `env` in agents.yaml")]
    TooLarge { bytes: usize },
    /// An argument or variable holds a NUL character.
    #[error("pass '{name}' to the agent: it holds a NUL character")]
    Nul { name: String },
    /// The launcher could not be run, or did not behave as one.
    #[error("run the agent launcher '{}'", .program.display())]
    Launcher {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A process that waits to become the agent. Dropping it ends it.
#[derive(Debug)]
pub struct Held {
    launcher: PathBuf,
    order: ExecOrder,
    node: UnixStream,
    child: Child,
    record: ProcessRecord,
    logs: [CappedLog; 2],
    limits: Limits,
}

impl std::fmt::Debug for CappedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CappedLog")
    }
}

impl Launcher {
    /// Brings a process up to the point where it leads its own session and waits for [`Held::go`].
    ///
    /// # Errors
    /// When logs cannot be opened or the launcher does not come up within 30 s.
    pub async fn launch(&self, agent: AgentProcess) -> Result<Held, LaunchError> {
        let fail = |source: io::Error| LaunchError::Launcher { program: self.program.clone(), source };
        let token = Token::random().map_err(|error| fail(io::Error::other(error)))?;
        let order = order(&agent, &token)?;
        let bytes = encode(&order).map_err(fail)?.ok_or_else(|| LaunchError::TooLarge { bytes: order_size(&order) })?;
        let log = async |name: &str| {
            let path = agent.logs.join(name);
            CappedLog::open(&path, agent.limits.log_bytes).await.map_err(|source| LaunchError::Log { path, source })
        };
        let logs = [log("stdout.log").await?, log("stderr.log").await?];

        let (mut node, theirs) = socket_pair().map_err(fail)?;
        // The marker is there from the start, so that even the launcher can be found.
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env(TOKEN_VARIABLE, token.as_str())
            .stdin(theirs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let ready = async {
            node.write_all(&bytes).await?;
            node.read_u8().await
        };
        match timeout(STEP_TIME, ready).await {
            Ok(Ok(READY)) => {}
            Ok(Ok(first)) => return Err(refusal(first, node, &order, &self.program).await),
            Ok(Err(source)) => return Err(fail(source)),
            Err(_) => return Err(fail(io::ErrorKind::TimedOut.into())),
        }
        let record = record(&child, token).map_err(fail)?;
        roll::began(&record);
        Ok(Held { launcher: self.program.clone(), order, node, child, record, logs, limits: agent.limits })
    }
}

impl Held {
    /// Returns what to store before [`Self::go`].
    #[must_use]
    pub fn record(&self) -> &ProcessRecord {
        &self.record
    }

    /// Lets the agent's program run.
    ///
    /// # Errors
    /// When the program cannot be run; see [`LaunchError`].
    pub async fn go(mut self) -> Result<Running, LaunchError> {
        let started = async {
            self.node.write_all(&[GO]).await?;
            let mut failure = Vec::new();
            (&mut self.node).take(MAX_FAILURE_BYTES).read_to_end(&mut failure).await?;
            Ok(failure)
        };
        let failure = match timeout(STEP_TIME, started).await {
            Ok(Ok(failure)) => failure,
            Ok(Err(source)) => return Err(LaunchError::Launcher { program: self.launcher, source }),
            Err(_) => return Err(LaunchError::Launcher { program: self.launcher, source: io::ErrorKind::TimedOut.into() }),
        };
        if failure.is_empty() {
            return Ok(running::supervise(self.child, self.record, self.logs, self.limits));
        }
        roll::ended(&self.record);
        // Reaped here, so that a missing program leaves no zombie for as long as the node lives.
        let _status = self.child.wait().await;
        Err(explain(&failure, &self.order, &self.launcher))
    }
}

fn order(agent: &AgentProcess, token: &Token) -> Result<ExecOrder, LaunchError> {
    let mut environment = agent.environment.clone();
    environment.mark(token);
    let order = ExecOrder {
        program: agent.argv.program.clone(),
        arguments: agent.argv.arguments.clone(),
        environment: environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        directory: agent.directory.clone().into(),
        stdin: match &agent.stdin {
            Stdin::Null => None,
            Stdin::File(path) => Some(path.clone().into()),
        },
    };
    let variables = order.environment.iter().map(|(name, value)| (name, value));
    let arguments = std::iter::once(&order.program).chain(&order.arguments).map(|argument| (argument, argument));
    for (name, value) in variables.chain(arguments) {
        if value.as_bytes().contains(&0) {
            let name = name.to_string_lossy().replace('\0', "\u{fffd}");
            return Err(LaunchError::Nul { name });
        }
    }
    Ok(order)
}

fn order_size(order: &ExecOrder) -> usize {
    let variables = order.environment.iter().map(|(name, value)| name.len() + value.len());
    variables.chain(order.arguments.iter().map(|argument| argument.len())).sum()
}

/// Encodes the order with its length, or nothing when it is too large.
fn encode(order: &ExecOrder) -> io::Result<Option<Vec<u8>>> {
    let json = serde_json::to_vec(order)?;
    let length = u32::try_from(json.len()).ok().filter(|&length| length <= MAX_ORDER_BYTES);
    Ok(length.map(|length| [&length.to_be_bytes()[..], &json].concat()))
}

fn socket_pair() -> io::Result<(UnixStream, Stdio)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, Stdio::from(std::os::fd::OwnedFd::from(theirs))))
}

fn record(child: &Child, token: Token) -> io::Result<ProcessRecord> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(io::ErrorKind::NotFound)?;
    let process = process_table::one(pid);
    if process.is_some_and(|process| process.session != pid || process.group != pid) {
        return Err(io::Error::other("the launcher does not lead its own session"));
    }
    Ok(ProcessRecord { pid, started: process.map(|process| process.started), boot: process_table::boot(), token })
}

/// Reads why the launcher did not get ready.
async fn refusal(first: u8, node: UnixStream, order: &ExecOrder, launcher: &Path) -> LaunchError {
    let mut failure = vec![first];
    let _partial = timeout(STEP_TIME, node.take(MAX_FAILURE_BYTES).read_to_end(&mut failure)).await;
    explain(&failure, order, launcher)
}

fn explain(failure: &[u8], order: &ExecOrder, launcher: &Path) -> LaunchError {
    let failure = match serde_json::from_slice::<ExecFailure>(failure) {
        Ok(failure) => failure,
        Err(error) => return LaunchError::Launcher { program: launcher.to_owned(), source: error.into() },
    };
    let source = failure.source();
    match failure.step {
        Step::Session => LaunchError::Launcher { program: launcher.to_owned(), source },
        Step::Directory => LaunchError::Directory { path: order.directory.clone().into(), source },
        Step::Stdin => LaunchError::Stdin { path: order.stdin.clone().unwrap_or_default().into(), source },
        Step::Exec => LaunchError::Program { program: order.program.to_string_lossy().into_owned(), source },
    }
}
