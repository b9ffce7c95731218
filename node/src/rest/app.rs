//! What every handler shares.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use octopoid_crdt::ids::{AttemptName, AuthorKey, Name, Oid};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use super::heartbeats::Heartbeats;
use super::hosts::Hosts;
use super::import::Imports;
use super::join_key::JoinKeyFile;
use super::metrics::Metrics;
use super::refusal::Refusal;
use super::times;
use crate::cluster::Cluster;
use crate::config::Compat;
use crate::run::{Control, ControlError};
use crate::store::{Reader, Store};
use crate::tls::Certificate;

/// The version of the API, which the first SDKs look for.
pub const API_VERSION: &str = "2.0.0";

/// The node's own bearer token. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ApiToken(String);

impl ApiToken {
    /// Takes the text of the token's file; blanks around it are dropped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the value of an `Authorization` header, for calls within this process.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Compares in a time that does not depend on where the texts differ.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

/// Who may call without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Nobody.
    #[default]
    Required,
    /// Everybody who sends no `Authorization`: `api.auth: none`, which is refused for a bind beyond loopback.
    NoneOnLoopback,
}

/// Which commits a difference is asked between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffQuery {
    /// Where the attempt started; none when the record does not say.
    pub base: Option<Oid>,
    /// What it submitted; none while it works.
    pub head: Option<Oid>,
    /// The attempt's branch, for what is not submitted.
    pub branch: String,
    /// One line for each file instead of a patch.
    pub stat: bool,
}

/// States why there is no difference to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// The attempt has no commit.
    #[error("{0}")]
    Nothing(String),
    /// Git failed.
    #[error("{0}")]
    Failed(String),
}

/// Tells how the files of two commits differ; runs on a thread that may block.
pub type DiffSource = Arc<dyn Fn(&DiffQuery) -> Result<String, DiffError> + Send + Sync>;

/// An attempt's work, which may be on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedWork {
    /// The task.
    pub task: Name,
    /// The attempt.
    pub attempt: AttemptName,
    /// What it submitted; none while it works.
    pub head: Option<Oid>,
    /// The node that ran it.
    pub node: AuthorKey,
}

/// Brings an attempt's commits here and returns the last one; none when nobody who has them is reached.
pub type BringWork = Arc<dyn Fn(WantedWork) -> Pin<Box<dyn Future<Output = Option<Oid>> + Send>> + Send + Sync>;

/// Says why this node may claim nothing for its cluster, if so; runs on a thread that may block.
pub type IdleBecause = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Turns one line of an agent's output into what a person reads; none for lines that tell a person nothing.
pub type RenderLine = fn(&str) -> Option<String>;

/// What the composition root gives the API.
pub struct Settings {
    /// The store.
    pub store: Arc<Store>,
    /// The node's own tenant.
    pub scope: Name,
    /// The machine's name.
    pub machine_id: String,
    /// The node's id in the network.
    pub peer_id: String,
    /// The node's own token.
    pub token: ApiToken,
    /// Whether it is asked for.
    pub auth: Auth,
    /// The key with which machines join by this API.
    pub join_key: JoinKeyFile,
    /// Which earlier server's answers are given.
    pub compat: Compat,
    /// Names under which the node is reached besides this machine's loopback.
    pub hosts: Vec<String>,
    /// This node among the members of its cluster; none while it is alone or no node runs.
    pub cluster: Option<Cluster>,
    /// The way to the scheduler, or to what stands in for it while no node runs; none when only the store is open.
    pub control: Option<Control>,
    /// Where the API listens; none within the CLI.
    pub api_url: Option<String>,
    /// The certificate that it shows there; none without TLS.
    pub certificate: Option<Certificate>,
    /// The folder of the logs.
    pub logs: PathBuf,
    /// Shows differences; none without a repository.
    pub diff: Option<DiffSource>,
    /// Brings the work of other nodes here; none while this one is alone.
    pub bring: Option<BringWork>,
    /// Says why this node may claim nothing; none while it is alone.
    pub idle: Option<IdleBecause>,
    /// Renders agents' logs.
    pub render: RenderLine,
}

/// The API's state. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(super) settings: Arc<Settings>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) heartbeats: Arc<Heartbeats>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) import: Arc<Imports>,
    pub(super) started_ms: u64,
    closing: watch::Sender<bool>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("scope", &self.settings.scope).finish_non_exhaustive()
    }
}

impl App {
    /// Prepares the API; nothing listens yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let (closing, _) = watch::channel(false);
        let heartbeats = Arc::<Heartbeats>::default();
        if let Some(cluster) = &settings.cluster {
            let heartbeats = heartbeats.clone();
            cluster.give_heartbeats(Arc::new(move || heartbeats.recent()));
        }
        Self {
            hosts: Arc::new(Hosts::new(&settings.hosts)),
            heartbeats,
            metrics: Arc::default(),
            import: Arc::default(),
            started_ms: times::now_ms(),
            closing,
            settings: Arc::new(settings),
        }
    }

    /// Ends the streams that would otherwise go on for ever.
    pub(super) fn close_streams(&self) {
        self.closing.send_replace(true);
    }

    /// Returns what tells a stream to end.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Reads the store on a thread that may block.
    pub(super) async fn read<T, E>(&self, read: impl FnOnce(&Self, &Reader) -> Result<T, E> + Send + 'static) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: Into<Refusal> + Send + 'static,
    {
        let app = self.clone();
        let work = move || -> Result<T, Refusal> {
            let reader = app.settings.store.reader()?;
            read(&app, &reader).map_err(Into::into)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(Refusal::Defect))
    }

    /// Returns the way to the scheduler.
    pub(super) fn control(&self) -> Result<&Control, Refusal> {
        self.settings.control.as_ref().ok_or_else(|| ControlError::NotRunning.into())
    }

    /// Names a node by its key.
    pub(super) fn node_name(&self, key: &AuthorKey) -> String {
        self.member_name(&self.settings.store.membership(), key)
    }
}
