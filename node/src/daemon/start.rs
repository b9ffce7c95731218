//! Starts a node, or opens its store without one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use octopoid_crdt::ids::Oid;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::alone;
use super::carry_over;
use super::identity::{self, KeyError};
use super::listen::{ListenError, listen};
use super::network::{self, NetworkError};
use super::node_file::NodeFile;
use crate::agent::{Launcher, render_line};
use crate::causes::describe;
use crate::cluster::Cluster;
use crate::config::{self, AgentsFile, Config, Invalid, Merge};
use crate::git::{Branch, BranchError, CompareError, DiffForm, DiffText, Repository};
use crate::project::Layout;
use crate::rest::{self, ApiToken, App, Auth, BringWork, DiffError, DiffQuery, DiffSource, JoinKeyFile, WantedWork};
use crate::run::{self, Context, Control, ControlError, Farewell, Mode, Scheduler, Spending, StepError, Succession, Unshared, Verdicts};
use crate::store::{self, Store};
use crate::tls::{Certificate, TlsError};

/// How long agents get to end when the store has failed and nothing can be written any more.
const FAREWELL: Duration = Duration::from_secs(8);
/// How long commands may hold the store that a node wants.
const COMMANDS: Duration = Duration::from_secs(3);
/// How often a node looks whether the store is free.
const GLANCE: Duration = Duration::from_millis(20);
/// The most bytes of a difference that the API shows.
const DIFF_BYTES: usize = 4 * 1024 * 1024;

/// How a node runs.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// Whether it starts agents, and for how long.
    pub mode: Mode,
    /// The time between ticks; config.yaml's where none is given.
    pub tick: Option<Duration>,
    /// The port of the API: an explicit one must be free, 0 takes any.
    pub api_port: Option<u16>,
    /// Whether the pid file is written, for a node that runs in the background.
    pub pid_file: bool,
    /// Starts agents.
    pub launcher: Launcher,
}

/// States why a project's store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// config.yaml cannot be used.
    #[error("the configuration has mistakes:\n{}", shown(.0))]
    Config(Invalid),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The token's file cannot be read.
    #[error("failed to read the token {}: run `octopoid init`", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The key has no id in the network.
    #[error("the node's key is no key of the network")]
    Network(#[from] octopoid_net::KeyError),
}

/// States why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store or what lies beside it cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// agents.yaml cannot be used.
    #[error("agents.yaml has mistakes:\n{}", shown(.0))]
    Agents(Invalid),
    /// The repository cannot be used.
    #[error(transparent)]
    Repository(#[from] crate::git::OpenError),
    /// A branch of config.yaml has no valid name.
    #[error("config.yaml names a branch that cannot be")]
    Branch(#[from] BranchError),
    /// The node cannot take part in its cluster.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// `api.tls` cannot be used.
    #[error("api.tls cannot be used")]
    Tls(#[from] TlsError),
    /// The API has no port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The program's own path is unknown, or node.json cannot be written.
    #[error("failed to announce the node in {}", path.display())]
    Announce {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The API's socket failed.
    #[error("the API's socket failed")]
    Serve(#[source] io::Error),
    /// The scheduler ended.
    #[error("the scheduler ended")]
    Scheduler(#[source] StepError),
    /// The store does not write any more.
    #[error("the store does not write any more: {0}; agents were ended")]
    Store(Arc<str>),
}

fn shown(invalid: &Invalid) -> String {
    invalid.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What every way of opening a project needs.
pub(super) struct Opened {
    config: Config,
    pub(super) store: Arc<Store>,
    token: ApiToken,
    token_text: String,
    peer_id: String,
    machine: String,
    repository: Option<Arc<Repository>>,
    repository_error: Option<crate::git::OpenError>,
}

pub(super) fn open(layout: &Layout) -> Result<Opened, OpenError> {
    let (config, warnings) = config::load(layout).map_err(OpenError::Config)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (repository, repository_error) = match Repository::open(&config.repo.path) {
        Ok(repository) => (Some(Arc::new(repository)), None),
        Err(error) => (None, Some(error)),
    };
    let root_commit = repository.as_ref().and_then(|repository| repository.root_commit().ok());
    let identity = identity::load(&layout.key_file(), &layout.store_file(), root_commit)?;
    let peer_id = octopoid_net::peer_id(identity.signer.author().as_bytes())?;
    let path = layout.token_file();
    let token = std::fs::read_to_string(&path).map_err(|source| OpenError::Token { path, source })?;
    let store = Arc::new(Store::open(&layout.store_file(), identity, config.repo.merge != Merge::Never)?);
    let machine = config.server.machine_id.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string);
    Ok(Opened {
        config,
        store,
        token: ApiToken::new(&token),
        token_text: token.trim().to_owned(),
        peer_id,
        machine,
        repository,
        repository_error,
    })
}

/// Opens a project for a node. A command that works on the store itself is done in a moment, so it does not keep a node out.
async fn open_patiently(layout: &Layout) -> Result<Opened, OpenError> {
    let end = tokio::time::Instant::now() + COMMANDS;
    loop {
        match open(layout) {
            Err(OpenError::Store(store::OpenError::Locked(_))) if tokio::time::Instant::now() < end => tokio::time::sleep(GLANCE).await,
            opened => return opened,
        }
    }
}

impl Opened {
    fn app(
        &self,
        layout: &Layout,
        cluster: Option<Cluster>,
        bring: Option<BringWork>,
        control: Option<Control>,
        front: Option<&Front>,
    ) -> App {
        let idle = self.repository.clone().zip(cluster.clone());
        let idle = idle.map(|(repository, cluster)| -> rest::IdleBecause { Arc::new(move || cluster.idle_because(&repository)) });
        App::new(rest::Settings {
            store: self.store.clone(),
            scope: self.config.scope.clone(),
            machine_id: self.machine.clone(),
            peer_id: self.peer_id.clone(),
            token: self.token.clone(),
            auth: match self.config.api.auth {
                config::Auth::Token => Auth::Required,
                config::Auth::None => Auth::NoneOnLoopback,
            },
            join_key: JoinKeyFile::open(layout.join_key_file()),
            compat: self.config.api.compat,
            hosts: self.config.api.hosts.iter().cloned().chain(front.and_then(Front::own_host)).collect(),
            cluster,
            control,
            api_url: front.map(Front::url),
            certificate: front.and_then(|front| front.certificate.clone()),
            logs: layout.logs_dir(),
            diff: self.repository.clone().map(diff_source),
            bring,
            idle,
            render: render_line,
        })
    }
}

fn bring_work(context: Arc<Context>) -> BringWork {
    Arc::new(move |wanted| {
        let context = context.clone();
        Box::pin(async move {
            let WantedWork { task, attempt, head, node } = wanted;
            run::bring(&context, &task, attempt, head, &node).await
        })
    })
}

/// Says at the end of a patch that it is not whole: nobody judges what they have not seen.
fn cut(patch: &str, base: &Oid, head: &Oid) -> String {
    format!("{}\n… cut after {} MiB: git diff {base} {head} shows all\n", patch.trim_end_matches('\n'), DIFF_BYTES >> 20)
}

fn diff_source(repository: Arc<Repository>) -> DiffSource {
    Arc::new(move |query: &DiffQuery| {
        let failed = |error: &dyn std::error::Error| DiffError::Failed(error.to_string());
        let head = match &query.head {
            Some(head) => head.clone(),
            None => {
                let branch: Branch = query.branch.parse().map_err(|error: BranchError| failed(&error))?;
                repository.branch_tip(&branch).map_err(|_| {
                    DiffError::Nothing(format!(
                        "branch '{branch}' is not here: nothing was done yet, or the machine that has it is not reached"
                    ))
                })?
            }
        };
        let base = match &query.base {
            Some(base) => base.clone(),
            None => {
                let tip = repository.head_branch().ok().flatten().and_then(|branch| repository.newest_tip(&branch).ok());
                let base = tip.and_then(|tip| repository.merge_base(&tip, &head).ok().flatten());
                base.ok_or_else(|| DiffError::Nothing("the commit that the attempt started from is not known".to_owned()))?
            }
        };
        let form = if query.stat { DiffForm::Stat } else { DiffForm::Patch };
        let whole = |diff: DiffText| if diff.truncated { cut(&diff.text, &base, &head) } else { diff.text };
        repository.diff(&base, &head, form, DIFF_BYTES).map(whole).map_err(|error| match &error {
            CompareError::NoCommit(commit) => {
                DiffError::Nothing(format!("commit {commit} is not here, and no machine that has it is reached"))
            }
            CompareError::Git(_) => failed(&error),
        })
    })
}

/// A project that is open without a node: its API answers within this process.
pub struct Local {
    /// Answers the API's calls; they need the token, as over a socket.
    pub router: axum::Router,
}

/// Opens a project's store under its lock, without scheduler and socket. `launcher` is the one that a node would have.
///
/// # Errors
/// When another process has the store, or the project cannot be used.
///
/// # Panics
/// Outside a tokio runtime.
pub fn open_local(layout: &Layout, launcher: Launcher) -> Result<Local, OpenError> {
    let opened = open(layout)?;
    let repository = match (&opened.repository, &opened.repository_error) {
        (Some(repository), _) => Ok(repository.clone()),
        (None, Some(error)) => Err(describe(error)),
        (None, None) => Err(format!("{} is no git repository", layout.root().display())),
    };
    let context = repository.and_then(|repository| context(layout, &opened, repository, launcher, None).map_err(|error| describe(&error)));
    let control = run::at_rest(layout, context.map(Arc::new).map_err(ControlError::Refused));
    Ok(Local { router: rest::router(opened.app(layout, None, None, Some(control), None)) })
}

/// Runs a node until `stop` says so or the API does. `ready` is called once the API answers and `node.json` is written.
///
/// # Errors
/// When the node cannot start, or its store, socket or scheduler fails.
pub async fn start(
    layout: &Layout,
    options: StartOptions,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(&NodeFile),
) -> Result<(), StartError> {
    let opened = open_patiently(layout).await?;
    let (agents, warnings) = AgentsFile::open(layout).map_err(StartError::Agents)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let Some(repository) = opened.repository.clone() else {
        return Err(match opened.repository_error {
            Some(error) => StartError::Repository(error),
            None => StartError::Repository(crate::git::OpenError::NotARepository(layout.root().to_owned())),
        });
    };
    if opened.config.joins_a_server() && alone::of(&opened.store) {
        tracing::warn!(
            "mode is remote, but this machine is no member of a cluster yet and works alone: 'octopoid stop', 'octopoid init' to join by server.url, 'octopoid start'"
        );
    }
    let joined = match network::is_shared(&opened.config, &opened.store) {
        true => Some(network::join(layout, &opened.config, &opened.store, &opened.machine).await?),
        false => None,
    };
    let cluster = joined.as_ref().map(|joined| joined.cluster.clone());
    let context = Arc::new(context(layout, &opened, repository, options.launcher, cluster.clone())?);
    let tick = options.tick.unwrap_or(context.config.tick_interval);
    let (scheduler, control) = Scheduler::new(context.clone(), agents, options.mode, tick);
    let front = Front::open(&context.config.api, options.api_port).await?;
    let file = NodeFile {
        pid: std::process::id(),
        api_url: front.url(),
        api_certificate: front.certificate.as_ref().map(|certificate| certificate.fingerprint().to_string()),
        peer_id: opened.peer_id.clone(),
        machine_id: opened.machine.clone(),
    };
    let bring = cluster.as_ref().map(|_| bring_work(context.clone()));
    let app = opened.app(layout, cluster.clone(), bring, Some(control.clone()), Some(&front));
    if let Some(cluster) = &cluster {
        let bearer = format!("Bearer {}", opened.token_text);
        tokio::spawn(carry_over::take_along(layout.clone(), opened.store.clone(), rest::router(app.clone()), bearer));
        cluster.give_branches(run::give_branches(context.repository.clone(), context.main_branch.clone(), layout.runtime_dir()));
        cluster.answer_calls(rest::answer_calls(&app, &rest::router(app.clone())));
        cluster.answer_reads(rest::answer_reads(&app, &rest::router(app.clone())));
    }
    let pid_file = options.pid_file.then(|| layout.pid_file());
    let announce =
        |path: &Path| file.announce(path, pid_file.as_deref()).map_err(|source| StartError::Announce { path: path.to_owned(), source });
    let announced = announce(&layout.node_file())?.with(layout.dashboard_page());
    tracing::info!(api = %file.api_url, machine = %file.machine_id, "the node serves");
    ready(&file);
    let result = serve(opened.store.clone(), scheduler, control, front, app, stop).await;
    if let Some(joined) = joined {
        joined.cluster.stop().await;
        joined.driver.abort();
    }
    announced.withdraw();
    result
}

fn context(
    layout: &Layout,
    opened: &Opened,
    repository: Arc<Repository>,
    launcher: Launcher,
    cluster: Option<Cluster>,
) -> Result<Context, StartError> {
    let known = opened.store.membership().name().map(ToString::to_string);
    let name = known.or_else(|| opened.config.server.cluster.as_ref().map(ToString::to_string)).unwrap_or_else(|| "local".to_owned());
    Ok(Context {
        layout: layout.clone(),
        config: opened.config.clone(),
        store: opened.store.clone(),
        repository,
        launcher,
        cluster,
        verdicts: Verdicts::at(layout.verdicts_dir()),
        unshared: Unshared::at(layout.unshared_dir()),
        succession: Succession::default(),
        spending: Spending::open(layout),
        machine: opened.machine.clone(),
        orchestrator: format!("{name}-{}", opened.machine),
        main_branch: opened.config.repo.main_branch.parse()?,
        base_branch: opened.config.repo.base.parse()?,
    })
}

/// Where callers from outside the process come in.
struct Front {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
}

impl Front {
    async fn open(api: &config::Api, port: Option<u16>) -> Result<Self, StartError> {
        let certificate = api.tls.as_ref().map(Certificate::load).transpose()?;
        for doubt in certificate.iter().flat_map(|certificate| certificate.doubts(Timestamp::now())) {
            tracing::warn!("{doubt}");
        }
        let listener = listen(api.host, port.or(api.port)).await?;
        let address = listener.local_addr().map_err(StartError::Serve)?;
        Ok(Self { listener, address, certificate })
    }

    /// Returns the address by which this machine reaches it.
    fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Returns the address that was chosen for it, as a name that requests may carry: no page of another site can have it as its own.
    fn own_host(&self) -> Option<String> {
        match self.address.ip() {
            IpAddr::V4(ip) => (!ip.is_unspecified()).then(|| ip.to_string()),
            IpAddr::V6(ip) => (!ip.is_unspecified()).then(|| format!("[{ip}]")),
        }
    }
}

/// Runs scheduler and API side by side; the end of one ends the other.
async fn serve(
    store: Arc<Store>,
    scheduler: Scheduler,
    control: Control,
    front: Front,
    app: App,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let (close, mut closed) = watch::channel(false);
    let shutdown = async move {
        // The sender lives as long as this function, so the wait ends by its word.
        let _ = closed.wait_for(|closed| *closed).await;
    };
    let tls = front.certificate.as_ref().map(Certificate::acceptor);
    let mut serving = tokio::spawn(rest::serve(front.listener, tls, app, rest::Limits::default(), shutdown));
    let mut scheduling = tokio::spawn(scheduler.run());
    let mut stop = std::pin::pin!(stop);
    let mut asked = false;
    let result = loop {
        tokio::select! {
            () = &mut stop, if !asked => {
                asked = true;
                let control = control.clone();
                tokio::spawn(async move { control.stop(Farewell::Orderly).await });
            }
            ended = &mut scheduling => break match ended {
                Ok(Ok(())) => Ok(()),
                // The store says better why than the scheduler that could not use it.
                Ok(Err(error)) => Err(store.writer().failure().map_or(StartError::Scheduler(error), StartError::Store)),
                Err(error) => Err(StartError::Scheduler(error.into())),
            },
            ended = &mut serving => {
                let error = match ended {
                    Ok(Ok(())) => io::Error::other("it was closed"),
                    Ok(Err(error)) => error,
                    Err(error) => io::Error::other(error),
                };
                break Err(StartError::Serve(error));
            }
            why = store.writer().wait_for_failure() => {
                // Nothing can be written any more: agents are ended, and a restart tidies up after them.
                let ended = tokio::time::timeout(FAREWELL, control.stop(Farewell::Hurried)).await;
                tracing::error!(reason = %why, agents_ended = ended.is_ok(), "the node ends");
                scheduling.abort();
                break Err(StartError::Store(why));
            }
        }
    };
    close.send_replace(true);
    if !serving.is_finished() {
        // What was asked before the end is still answered.
        let _ = tokio::time::timeout(FAREWELL, serving).await;
    }
    result
}
