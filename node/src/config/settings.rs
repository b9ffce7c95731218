//! The settings of a project: `.octopoid/config.yaml`, and over it `.octopoid/runtime/local.yaml`.
//!
//! **Invariants**: a value that is read lies in its documented range; a value of local.yaml wins over config.yaml; what the
//! API offers beyond loopback is authenticated, and encrypted unless `api.insecure` says otherwise.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use octopoid_crdt::ids::Name;
use octopoid_net::Multiaddr;

use super::yaml::Place;

/// The port that the API takes when none is configured; the next free one when it is taken.
pub const DEFAULT_PORT: u16 = 8787;

/// All settings of a project.
#[derive(Debug, Clone)]
pub struct Config {
    /// With whom this project shares its tasks.
    pub mode: Mode,
    /// The tenant that requests without a scope mean.
    pub scope: Name,
    /// The cluster and this machine's place in it.
    pub server: Server,
    /// How many agents run at a time, over all definitions of agents.yaml.
    pub max_concurrent: u32,
    /// The repository that agents work on.
    pub repo: Repo,
    /// The REST API.
    pub api: Api,
    /// How members reach each other.
    pub network: Network,
    /// How long a claim lives without a sign of its agent.
    pub lease_ttl: Duration,
    /// How an attempt's worktree is prepared.
    pub worktree: Worktree,
    /// How often the scheduler looks, beside at every event.
    pub tick_interval: Duration,
    /// The most bytes kept of one log file.
    pub log_limit: u64,
    pub(super) places: BTreeMap<String, Place>,
}

impl Config {
    /// Returns where a key such as `repo.main_branch` is set, when it is.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }

    /// Tells whether `octopoid init` is to join by the API of another node.
    #[must_use]
    pub fn joins_a_server(&self) -> bool {
        self.mode == Mode::Remote && self.server.enabled != Some(false)
    }
}

/// With whom a project shares its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// This machine alone.
    Local,
    /// A cluster in which one node is the authority.
    Remote,
    /// A cluster of equals.
    Mesh,
}

/// The cluster and this machine's place in it.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// Whether a server is to be used; `None` leaves it to the mode.
    pub enabled: Option<bool>,
    /// The address of a node's API.
    pub url: Option<String>,
    /// The name of the cluster.
    pub cluster: Option<Name>,
    /// This machine's name.
    pub machine_id: Option<Name>,
    /// The key for `url`.
    pub api_key: Option<ApiKey>,
    /// The PEM file of the authority that has signed the certificate at `url`, or of that certificate; the system's authorities
    /// without one.
    pub ca: Option<PathBuf>,
}

/// A key for another node's API; kept out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(pub(super) String);

impl ApiKey {
    /// Returns the secret, to be sent and never printed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The repository that agents work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Its work tree, absolute.
    pub path: PathBuf,
    /// The branch that accepted work is merged to.
    pub main_branch: String,
    /// The branch that attempts start from.
    pub base: String,
    /// What happens when work is accepted.
    pub merge: Merge,
}

/// What happens when work is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// It is merged to the main branch, and pushed where there is a remote.
    Auto,
    /// A pull request is opened.
    Pr,
    /// Nothing, until a person merges it.
    Never,
}

impl Merge {
    /// Returns the word in config.yaml.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pr => "pr",
            Self::Never => "never",
        }
    }
}

/// How members of the cluster reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where this node listens, such as `/ip4/0.0.0.0/tcp/4001`; a port of 0 takes a free one and keeps it.
    pub listen: Vec<Multiaddr>,
    /// Where members reach this node beside the addresses that it listens on: a public address that something before it
    /// translates.
    pub announce: Vec<Multiaddr>,
    /// Members' addresses, each with its peer id, for machines that do not see each other on one local network.
    pub peers: Vec<String>,
    /// Whether members are looked for on the local network.
    pub mdns: bool,
}

impl Default for Network {
    fn default() -> Self {
        let everywhere = ["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"].iter().filter_map(|address| address.parse().ok());
        Self { listen: everywhere.collect(), announce: Vec::new(), peers: Vec::new(), mdns: true }
    }
}

/// The REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The address that it listens on.
    pub host: IpAddr,
    /// The port: `None` for [`DEFAULT_PORT`] or the next free one, 0 for any free one.
    pub port: Option<u16>,
    /// Who may call it.
    pub auth: Auth,
    /// Host names that requests may carry, beside the loopback names.
    pub hosts: Vec<String>,
    /// Which earlier server's answers are given.
    pub compat: Compat,
    /// Whether a bind beyond loopback may go without TLS.
    pub insecure: bool,
    /// The certificate, for a bind beyond loopback.
    pub tls: Option<Tls>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            auth: Auth::Token,
            hosts: Vec::new(),
            compat: Compat::Seed,
            insecure: false,
            tls: None,
        }
    }
}

/// Who may call the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Who shows the node's token or a scoped key.
    Token,
    /// Anyone on this machine; for tests.
    None,
}

/// Which earlier server's answers the API gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compat {
    /// Those that the README describes.
    Seed,
    /// Those of the last TypeScript server.
    Head,
}

/// A certificate chain and its key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How an attempt's worktree is prepared before its agent starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worktree {
    /// Files and folders copied from the user's tree, relative to its root.
    pub copy: Vec<PathBuf>,
    /// The command that then runs in the worktree.
    pub setup: Option<Setup>,
}

/// A command that prepares a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// A program and its arguments, run as they are.
    Program(Vec<String>),
    /// A line for `sh -c`.
    Shell(String),
}

impl Setup {
    /// Returns the program and its arguments.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Program(words) => words.clone(),
            Self::Shell(line) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        }
    }
}
