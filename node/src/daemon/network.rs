//! Brings a node into its cluster's network.

use std::sync::Arc;

use octopoid_net::Multiaddr;

use super::identity::{self, KeyError};
use crate::cluster::{AddressBook, Cluster, ClusterError, ClusterSettings, Presence};
use crate::config::{Config, Mode};
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

/// Starts to listen and to look for members. Until it was heard what these know of this node, which takes two seconds at most, it writes
/// nothing.
pub(super) async fn join(layout: &Layout, config: &Config, store: &Arc<Store>, machine: &str) -> Result<Joined, NetworkError> {
    let held_back = store.hold_back();
    let mut taken = Vec::new();
    let (cluster, driver) = loop {
        match Cluster::start(settings(layout, config, store, machine, &taken)?).await {
            Err(ClusterError::Network(octopoid_net::StartError::PortTaken { address }))
                if !config.network.listen.contains(&address) && !taken.contains(&address) =>
            {
                tracing::warn!(%address, "another program took the port that members know; another one is used");
                taken.push(address);
            }
            started => break started?,
        }
    };
    let joined = cluster.clone();
    tokio::spawn(async move { joined.catch_up(held_back).await });
    Ok(Joined { cluster, driver })
}

fn settings(
    layout: &Layout,
    config: &Config,
    store: &Arc<Store>,
    machine: &str,
    taken: &[Multiaddr],
) -> Result<ClusterSettings, NetworkError> {
    let mut book = AddressBook::open(&layout.peers_file());
    book.configure(&config.network.peers).map_err(NetworkError::Peers)?;
    let listen = book.listen_at(&config.network.listen, taken);
    let machine = machine.to_owned();
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
}
