//! Brings a node into its cluster's network.

use std::sync::Arc;

use octopoid_net::Multiaddr;

use super::identity::{self, KeyError};
use crate::cluster::{AddressBook, Cluster, ClusterError, ClusterSettings, Presence};
use crate::config::{Config, Mode, Network};
use crate::project::Layout;
use crate::store::{Fault, Store};

/// States why a node cannot take part in its cluster.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `network.peers` holds what is no address.
    #[error("network.peers in config.yaml")]
    Peers(#[source] octopoid_net::AddressError),
    /// The network cannot be started.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A node's part in its cluster, and the task that keeps it up.
pub(super) struct Joined {
    pub cluster: Cluster,
    pub driver: tokio::task::JoinHandle<Result<(), Fault>>,
}

/// Tells whether a project shares its tasks: it has a name, or other members, or is set to `mode: mesh`.
pub(super) fn is_shared(config: &Config, store: &Store) -> bool {
    let view = store.membership();
    config.mode == Mode::Mesh || view.name().is_some() || view.access(&store.me()).is_none() || view.members().count() > 1
}

/// Starts to listen and to look for members, and waits a moment for what they know of this node.
pub(super) async fn join(layout: &Layout, config: &Config, store: &Arc<Store>, machine: &str) -> Result<Joined, NetworkError> {
    let mut book = AddressBook::open(&layout.peers_file());
    book.configure(&config.network.peers).map_err(NetworkError::Peers)?;
    let kept = listen_addresses(&config.network, book.port());
    let machine = machine.to_owned();
    let settings = |book: AddressBook, listen: Vec<Multiaddr>| -> Result<ClusterSettings, NetworkError> {
        let machine = machine.clone();
        Ok(ClusterSettings {
            store: store.clone(),
            seed: identity::seed(&layout.key_file())?,
            listen,
            announce: config.network.announce.clone(),
            mdns: config.network.mdns,
            book,
            invites: layout.invites_file(),
            starts: layout.starts_file(),
            describe: Arc::new(move || Presence {
                machine: machine.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Presence::default()
            }),
        })
    };
    let started = match Cluster::start(settings(book, kept)?).await {
        Err(ClusterError::Network(octopoid_net::StartError::PortTaken { address })) if config.network.listen != [address.clone()] => {
            tracing::warn!(%address, "another program took the port that members know; another one is used");
            let mut book = AddressBook::open(&layout.peers_file());
            book.configure(&config.network.peers).map_err(NetworkError::Peers)?;
            Cluster::start(settings(book, config.network.listen.clone())?).await?
        }
        started => started?,
    };
    let (cluster, driver) = started;
    cluster.catch_up().await;
    Ok(Joined { cluster, driver })
}

/// Puts the port that members know in place of any free one.
fn listen_addresses(network: &Network, port: Option<u16>) -> Vec<Multiaddr> {
    let kept = |address: &Multiaddr| {
        let (text, port) = (address.to_string(), port?);
        text.strip_suffix("/tcp/0").and_then(|host| format!("{host}/tcp/{port}").parse().ok())
    };
    network.listen.iter().map(|address| kept(address).unwrap_or_else(|| address.clone())).collect()
}
