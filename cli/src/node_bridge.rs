//! Everything that the command line takes from `octopoid_node`, in one place.

mod migration;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use octopoid_client::{InProcess, NodeInfo, Transport};
use octopoid_node::{
    agent::Launcher,
    config::{self, Surroundings},
    daemon::{self, InitRequest, Membership, NodeFile, StartOptions},
    project::{UninitOptions, uninit as remove},
    run::Mode,
    store,
};
use serde::Serialize;
use tokio::sync::watch;

pub use migration::{MigrateError, old_agents, read_folder};
pub use octopoid_node::project::{FindError, Layout};

/// States why the node's part of a command failed.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The project could not be made.
    #[error("initialise the project")]
    Init(#[source] Box<daemon::InitError>),
    /// Another process has the store.
    #[error("the store is in use")]
    Locked,
    /// The node did not start, or did not end well.
    #[error("run the node")]
    Start(#[source] Box<daemon::StartError>),
    /// The store, or what lies beside it, cannot be used.
    #[error("open the project")]
    Open(#[source] Box<daemon::OpenError>),
    /// The project's folder was not removed.
    #[error("remove the project")]
    Uninit(#[source] Box<octopoid_node::project::UninitError>),
    /// Tasks would be lost with the store.
    #[error("{} would be lost: {}", tasks(.0.count), named(.0))]
    OpenTasks(daemon::OpenTasks),
    /// The store cannot be read.
    #[error("look for open tasks")]
    Read(#[source] store::Fault),
    /// The machine did not become a member.
    #[error("join the cluster")]
    Join(#[source] Box<daemon::JoinClusterError>),
    /// The server could not be written to local.yaml.
    #[error("keep the server's address")]
    Keep(#[source] Box<config::EditError>),
    /// A name is none.
    #[error("the name of a cluster or machine")]
    Name(#[source] octopoid_node::cluster::NameError),
    /// The program does not know its own path.
    #[error("find this program's own path")]
    Program(#[source] std::io::Error),
}

impl BridgeError {
    /// Names what to do where the project cannot be opened and the text does not say it.
    pub fn open_hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => open_hint(error),
            Self::Start(error) => match error.as_ref() {
                daemon::StartError::Open(error) => open_hint(error),
                daemon::StartError::Agents(_)
                | daemon::StartError::Repository(_)
                | daemon::StartError::Branch(_)
                | daemon::StartError::Tls(_) => Some(VALIDATE.to_owned()),
                daemon::StartError::Network(_)
                | daemon::StartError::Listen(_)
                | daemon::StartError::Announce { .. }
                | daemon::StartError::Serve(_)
                | daemon::StartError::Scheduler(_)
                | daemon::StartError::Store(_) => None,
            },
            Self::Join(error) => {
                if let daemon::JoinClusterError::Store(error) = error.as_ref() {
                    store_hint(error)
                } else {
                    None
                }
            }
            Self::Init(_)
            | Self::Locked
            | Self::Uninit(_)
            | Self::OpenTasks(_)
            | Self::Read(_)
            | Self::Keep(_)
            | Self::Name(_)
            | Self::Program(_) => None,
        }
    }
}

const VALIDATE: &str = "mend what is listed; 'octopoid validate' shows whether all is well";

fn open_hint(error: &daemon::OpenError) -> Option<String> {
    match error {
        daemon::OpenError::Config(_) => Some(VALIDATE.to_owned()),
        daemon::OpenError::Store(error) => store_hint(error),
        // Their texts say what to do.
        daemon::OpenError::Key(_) | daemon::OpenError::Token { .. } | daemon::OpenError::Network(_) => None,
    }
}

fn store_hint(error: &store::OpenError) -> Option<String> {
    match error {
        store::OpenError::Store { path, .. } => {
            Some(format!("see whether the disk is full or failing; if the file is damaged, {}", without_store(path)))
        }
        store::OpenError::Empty(path) => Some(without_store(path)),
        // Their texts say what to do.
        store::OpenError::Locked(_)
        | store::OpenError::Newer { .. }
        | store::OpenError::Older { .. }
        | store::OpenError::OtherCluster(_)
        | store::OpenError::OtherKey(_)
        | store::OpenError::Backup { .. } => None,
    }
}

/// Says how to come by the tasks of a damaged store, or to go on without them.
fn without_store(path: &Path) -> String {
    format!(
        "restore it from a backup, or move it away: mv {0} {0}.damaged; then 'octopoid init --join TICKET' gets a cluster's tasks back from another member, and 'octopoid status' goes on without them",
        path.display()
    )
}

fn tasks(count: u64) -> String {
    if count == 1 { "1 task that is open or not merged".to_owned() } else { format!("{count} tasks that are open or not merged") }
}

fn named(open: &daemon::OpenTasks) -> String {
    let ids = open.named.join(", ");
    if open.count > open.named.len() as u64 { format!("{ids}, …") } else { ids }
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
    /// Files of this machine that were brought up to date.
    pub updated: Vec<PathBuf>,
    /// What is worth telling, one sentence each.
    pub notes: Vec<String>,
}

/// Makes the project of the repository that holds a folder.
pub fn init(start: &Path, options: &InitOptions) -> Result<InitReport, BridgeError> {
    let request = InitRequest { machine_id: options.machine_id.clone(), api_port: options.api_port };
    let made = daemon::init(start, &request).map_err(|error| BridgeError::Init(Box::new(error)))?;
    let report = made.report;
    Ok(InitReport {
        root: made.root,
        machine_id: made.machine_id,
        created: report.created,
        kept: report.kept,
        updated: report.updated,
        notes: report.notes,
    })
}

/// How a machine came to its cluster.
#[derive(Debug, Clone, Serialize)]
pub struct JoinReport {
    /// already, created or joined.
    pub outcome: &'static str,
    /// The cluster's name or id.
    pub cluster: String,
}

/// With whom a project is to share its tasks.
#[derive(Debug, Clone, Copy)]
pub enum Share<'a> {
    /// The cluster of a name on the local network, made when there is none.
    Named(&'a str),
    /// The cluster of a ticket.
    Ticket(&'a str),
}

/// What a person decides before a machine becomes a member.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// Whether the other machine shows this code, too.
    Code(&'a str),
    /// Whether the cluster of this name is left, which has no other member.
    Leave(&'a str),
}

/// Makes an initialised project a member of a cluster.
pub async fn share(
    root: &Path,
    machine: &str,
    share: Share<'_>,
    ask: &mut (dyn FnMut(Question<'_>) -> bool + Send),
) -> Result<JoinReport, BridgeError> {
    let layout = Layout::at(root);
    let failed = |error| BridgeError::Join(Box::new(error));
    let name = |text: &str| text.parse().map_err(BridgeError::Name);
    let machine = name(machine)?;
    let mut confirm = |question: daemon::Question<'_>| match question {
        daemon::Question::Code(code) => ask(Question::Code(&code.to_string())),
        daemon::Question::Leave(cluster) => ask(Question::Leave(cluster.as_str())),
    };
    let membership = match share {
        Share::Ticket(ticket) => daemon::join_by_ticket(&layout, ticket, &machine, &mut confirm).await.map_err(failed)?,
        Share::Named(cluster) => daemon::join_by_name(&layout, &name(cluster)?, &machine, &mut confirm).await.map_err(failed)?,
    };
    Ok(match membership {
        Membership::Already { cluster } => JoinReport { outcome: "already", cluster },
        Membership::Created { cluster } => JoinReport { outcome: "created", cluster: cluster.to_string() },
        Membership::Joined { cluster } => JoinReport { outcome: "joined", cluster: cluster.to_string() },
    })
}

/// The node by whose API a machine comes to its cluster.
#[derive(Debug, Clone)]
pub struct ServerAddress {
    /// The address of its API.
    pub url: String,
    /// The cluster's name, where it is known before.
    pub cluster: Option<String>,
    /// The key for it.
    pub api_key: Option<String>,
    /// The PEM file of the certificates that are trusted there; the system's authorities without one.
    pub ca: Option<PathBuf>,
}

/// Returns the server that config.yaml or local.yaml names in `mode: remote`.
pub fn configured_server(layout: &Layout) -> Option<ServerAddress> {
    let (config, _) = config::load(layout).ok()?;
    let wanted = config.joins_a_server();
    let url = config.server.url.filter(|_| wanted)?;
    let api_key = config.server.api_key.map(|key| key.expose().to_owned());
    Some(ServerAddress { url, cluster: config.server.cluster.map(|name| name.to_string()), api_key, ca: config.server.ca })
}

/// Tells whether this machine is a member of no cluster, by its store.
pub fn is_alone(layout: &Layout) -> Result<bool, BridgeError> {
    daemon::is_alone(layout).map_err(|error| {
        let locked = matches!(error, daemon::OpenError::Store(store::OpenError::Locked(_)));
        if locked { BridgeError::Locked } else { BridgeError::Open(Box::new(error)) }
    })
}

/// Keeps by whose API a machine came to its cluster, as `mode: remote`; not with which key.
pub fn keep_server(root: &Path, server: &ServerAddress) -> Result<(), BridgeError> {
    let cluster = server.cluster.as_deref().map(str::parse).transpose().map_err(BridgeError::Name)?;
    let ca = server.ca.as_ref().map(|ca| ca.display().to_string());
    let joined = config::JoinedBy { url: &server.url, cluster: cluster.as_ref(), ca: ca.as_deref() };
    config::set_server(&Layout::at(root), joined).map(drop).map_err(|error| BridgeError::Keep(Box::new(error)))
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
    mut signal: watch::Receiver<Signal>,
    ready: impl FnOnce(&NodeInfo) + Send,
) -> Result<(), BridgeError> {
    let start = StartOptions {
        mode: match (options.no_agents, options.once) {
            (true, false) => Mode::NoAgents,
            (true, true) => Mode::OnceNoAgents,
            (false, true) => Mode::Once,
            (false, false) => Mode::Serve,
        },
        tick: options.tick_interval_ms.map(Duration::from_millis),
        api_port: options.api_port,
        pid_file: options.pid_file,
        launcher: Launcher::this_program().map_err(BridgeError::Program)?,
    };
    let stop = async move {
        if signal.wait_for(|signal| *signal == Signal::Stop).await.is_err() {
            // Nobody can signal any more: the node ends by its API only.
            std::future::pending::<()>().await;
        }
    };
    let tell = |file: &NodeFile| {
        ready(&NodeInfo {
            machine_id: file.machine_id.clone(),
            peer_id: file.peer_id.clone(),
            pid: Some(file.pid),
            api_url: Some(file.api_url.clone()),
            ..NodeInfo::default()
        });
    };
    daemon::start(layout, start, stop, tell).await.map_err(|error| {
        let locked = matches!(error, daemon::StartError::Open(daemon::OpenError::Store(store::OpenError::Locked(_))));
        if locked { BridgeError::Locked } else { BridgeError::Start(Box::new(error)) }
    })
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
pub fn open_local(layout: &Layout) -> Result<Arc<dyn Transport>, LocalError> {
    let launcher = Launcher::this_program().map_err(BridgeError::Program)?;
    match daemon::open_local(layout, launcher) {
        Ok(local) => Ok(Arc::new(InProcess::new(local.router))),
        Err(daemon::OpenError::Store(store::OpenError::Locked(_))) => Err(LocalError::Locked),
        Err(error) => Err(BridgeError::Open(Box::new(error)).into()),
    }
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

/// Checks the files, the repository, git, the agents' programs and the ports. `node` is the node that runs, if one does; `alone` tells
/// whether this machine is known to be a member of no cluster.
pub fn validate(layout: &Layout, node: Option<u32>, alone: bool) -> Vec<Finding> {
    let surroundings = Surroundings { path: std::env::var_os("PATH"), node, alone };
    let finding = |found: config::Finding| Finding {
        severity: match found.severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
        },
        file: found.file,
        line: found.line,
        message: found.message,
        fix: found.fix,
    };
    config::validate(layout, &surroundings).into_iter().map(finding).collect()
}

/// Tells whether a node of the project merges accepted work by itself; a file with mistakes is for `octopoid validate`.
pub fn merges_by_itself(layout: &Layout) -> bool {
    config::load(layout).is_ok_and(|(config, _)| config.repo.merge == config::Merge::Auto)
}

/// Returns the names of the roles that agents.yaml gives its agents; none when it cannot be read.
pub fn agent_roles(layout: &Layout) -> Vec<String> {
    let Ok((agents, _)) = config::load_agents(layout) else { return Vec::new() };
    let used = agents.agents.iter().map(|agent| agent.role.to_string());
    used.chain(agents.roles.iter().map(|role| role.name.to_string())).collect()
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
    /// How many branches of attempts stay in the repository.
    pub branches: usize,
}

/// Takes a project's folder away. Without `force` it keeps what was edited and refuses while tasks are open or work is unfinished.
pub fn uninit(layout: &Layout, force: bool) -> Result<UninitReport, BridgeError> {
    if !force {
        let open = daemon::open_tasks(layout).map_err(|error| match error {
            daemon::OpenTasksError::Open(daemon::OpenError::Store(store::OpenError::Locked(_))) => BridgeError::Locked,
            daemon::OpenTasksError::Open(error) => BridgeError::Open(Box::new(error)),
            daemon::OpenTasksError::Read(fault) => BridgeError::Read(fault),
        })?;
        if open.count > 0 {
            return Err(BridgeError::OpenTasks(open));
        }
    }
    let mut worktrees = daemon::remove_worktrees(layout, force);
    // What is still there could not be removed without losing something.
    let mut unfinished = |worktree: &Path| worktree.is_dir().then(|| "uncommitted work".to_owned());
    let mut options = UninitOptions { force, running: None, unfinished: &mut unfinished };
    let report = remove(layout, &mut options).map_err(|error| BridgeError::Uninit(Box::new(error)))?;
    worktrees.extend(report.worktrees);
    let branches = daemon::count_attempt_branches(layout);
    Ok(UninitReport { removed: report.removed, kept: report.kept, worktrees, branches })
}

/// Runs the launcher of agents' processes: the whole of a program's main function in the hidden mode `__launch`.
pub fn launcher_main() -> ExitCode {
    octopoid_node::agent::launcher_main()
}
