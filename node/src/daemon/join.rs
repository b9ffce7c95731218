//! Makes a project a member of a cluster: by a ticket, or by the cluster's name on the local network.
//!
//! **Invariants**: the store of a cluster is made only after its host has said yes; until then nothing but the project's
//! files is written; a store that holds tasks of its own is never thrown away.

use std::collections::BTreeSet;
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, ClusterId, Name};
use octopoid_crdt::peer::join::{Code, JoinError, JoinFrame, JoinFrameError, Joiner, JoinerOutput, Refusal, Ticket, TicketError};
use octopoid_crdt::record::Verified;
use octopoid_net::{DialError, Event, Events, JoinStream, Limits, Multiaddr, Network, PeerKey, SecretKey};
use tokio::sync::mpsc;

use super::carry_over::{CarryError, put_aside};
use super::identity::{self, KeyError};
use crate::cluster::AddressBook;
use crate::config::{self, Merge};
use crate::git::Repository;
use crate::ops::members::{MembersRefused, open_to_others};
use crate::project::Layout;
use crate::store::{self, Store};

/// How long the local network is searched.
const SEARCH: Duration = Duration::from_secs(5);
/// How many nodes that mDNS shows wait to be asked; as many as the network itself keeps.
const SIGHTINGS: usize = 256;
/// How long one step of the host may take.
const STEP: Duration = Duration::from_secs(10);
/// How often the host is asked whether somebody has approved.
const POLL: Duration = Duration::from_secs(2);
/// How long an approval is waited for.
const APPROVAL: Duration = Duration::from_secs(10 * 60);

/// States why a machine did not become a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinClusterError {
    /// The text is no ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The network cannot be started.
    #[error(transparent)]
    Network(#[from] octopoid_net::StartError),
    /// Nobody answers at the ticket's addresses.
    #[error(
        "nobody answers at the ticket's addresses ({tried}): is the node that made it running, and can this machine reach it? Another address of it goes into network.peers of config.yaml"
    )]
    Unreachable {
        /// What was tried.
        tried: String,
    },
    /// The dialed node could not be spoken to.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A step was not understood.
    #[error("the other node answered something else than the join protocol")]
    Frame(#[from] JoinFrameError),
    /// The connection broke.
    #[error(transparent)]
    Stream(#[from] octopoid_net::JoinError),
    /// The host did not answer in time.
    #[error("the other node did not answer in time: try again")]
    Silent,
    /// The host said no.
    #[error(transparent)]
    Refused(#[from] JoinError),
    /// Nobody approved in time.
    #[error("nobody approved the request within 10 minutes: run the command again")]
    NotApproved,
    /// The person did not confirm the code.
    #[error("the code was not confirmed; nothing was changed")]
    NotConfirmed,
    /// The project belongs to another cluster.
    #[error("this project belongs to the cluster '{0}' already: `octopoid uninit` leaves it")]
    OtherCluster(String),
    /// The open tasks could not be taken along.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The project's own node, or another command, has the store.
    #[error("this project's node is running: `octopoid stop`, then run the command again")]
    Running,
    /// The store cannot be used.
    #[error(transparent)]
    Store(store::OpenError),
    /// The store does not take what the host sent.
    #[error("the store did not take the cluster's first record: {0}")]
    Write(String),
    /// The cluster could not be named.
    #[error(transparent)]
    Name(#[from] MembersRefused),
}

impl From<store::OpenError> for JoinClusterError {
    fn from(error: store::OpenError) -> Self {
        if matches!(error, store::OpenError::Locked(_)) { Self::Running } else { Self::Store(error) }
    }
}

/// How a project came to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// It was a member before.
    Already { cluster: String },
    /// No cluster of that name was found, so it was made.
    Created { cluster: Name },
    /// It was let in.
    Joined { cluster: ClusterId },
}

/// How long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Asks a person whether both sides show the same code.
pub type Confirm<'a> = &'a mut (dyn FnMut(&Code) -> bool + Send);

/// Joins by a ticket.
///
/// # Errors
/// When the ticket is none or used, its inviter cannot be reached, or the project belongs to another cluster.
pub async fn join_by_ticket(layout: &Layout, ticket: &str, machine: &Name) -> Result<Membership, JoinClusterError> {
    let ticket: Ticket = ticket.trim().parse()?;
    let opening = Opening::of(layout)?;
    if let Some(held) = opening.membership()? {
        if held.cluster == ticket.cluster {
            return Ok(held.already());
        }
        if !held.alone || held.name.is_some() {
            return Err(JoinClusterError::OtherCluster(held.shown()));
        }
    }
    let (network, _events) = opening.network(false).await?;
    let welcomed = redeem(&network, &ticket, &opening.reach(&ticket), opening.me, machine).await;
    network.shutdown().await;
    let genesis = welcomed?;
    opening.keep(&genesis, ticket.inviter, &ticket.addresses).await?;
    Ok(Membership::Joined { cluster: ticket.cluster })
}

async fn redeem(
    network: &Network,
    ticket: &Ticket,
    addresses: &[String],
    me: AuthorKey,
    machine: &Name,
) -> Result<Verified, JoinClusterError> {
    let mut stream = reach(network, &ticket.inviter, addresses).await?;
    let host = AuthorKey(stream.peer().0);
    let (mut joiner, frame) = Joiner::redeem(me, host, ticket, machine.clone())?;
    match joiner.handle(exchange(&mut stream, &frame).await?)? {
        JoinerOutput::Joined { genesis, .. } => Ok(*genesis),
        JoinerOutput::Send(_) | JoinerOutput::Show { .. } | JoinerOutput::Wait => Err(JoinError::Unexpected.into()),
    }
}

/// Dials a node at all its addresses, one after the other without waiting for those that do not answer, and takes the first.
async fn reach(network: &Network, node: &AuthorKey, addresses: &[String]) -> Result<JoinStream, JoinClusterError> {
    let mut dials = tokio::task::JoinSet::new();
    for (number, address) in (0..).zip(addresses) {
        let Ok(address) = format!("{address}/p2p/{}", PeerKey(node.0)).parse::<Multiaddr>() else { continue };
        let network = network.clone();
        dials.spawn(async move {
            tokio::time::sleep(HEAD_START * number).await;
            network.dial_join(address).await
        });
    }
    let mut tried = Vec::new();
    while let Some(dialed) = dials.join_next().await {
        match dialed {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => tried.push(error.to_string()),
            Err(error) => tried.push(error.to_string()),
        }
    }
    Err(JoinClusterError::Unreachable { tried: tried.join("; ") })
}

/// Joins the cluster of a name on the local network, or makes it when there is none.
///
/// # Errors
/// When the request is denied or not approved in time, or the project belongs to another cluster.
pub async fn join_by_name(layout: &Layout, cluster: &Name, machine: &Name, confirm: Confirm<'_>) -> Result<Membership, JoinClusterError> {
    let opening = Opening::of(layout)?;
    if let Some(held) = opening.membership()? {
        match &held.name {
            Some(name) if name == cluster => return Ok(held.already()),
            Some(_) => return Err(JoinClusterError::OtherCluster(held.shown())),
            None => {}
        }
        if !held.alone {
            return Err(JoinClusterError::OtherCluster(held.shown()));
        }
    }
    let (network, events) = opening.network(true).await?;
    let found = search(&network, sightings(events), opening.me, cluster, machine).await;
    let joined = match found {
        Ok(Some(asked)) => asked.finish(&network, confirm).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    network.shutdown().await;
    match joined? {
        Some((genesis, host, address)) => {
            opening.keep(&genesis, host, &[address]).await?;
            Ok(Membership::Joined { cluster: genesis.cluster() })
        }
        None => {
            opening.found(cluster, machine).await?;
            Ok(Membership::Created { cluster: cluster.clone() })
        }
    }
}

/// A host that has answered for the cluster's name, and shows a code now.
struct Asked {
    joiner: Joiner,
    code: Code,
    host: AuthorKey,
    address: Multiaddr,
}

/// Passes on whom mDNS shows, and takes every other event for as long as the network lasts: it stops when nobody does, and another
/// machine that searches is told at once that nobody can join by this one.
fn sightings(mut events: Events) -> mpsc::Receiver<(PeerKey, Multiaddr)> {
    let (seen, sightings) = mpsc::channel(SIGHTINGS);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Discovered { peer, address } = event {
                // Nobody looks once a cluster was found.
                let _ = seen.try_send((peer, address));
            }
        }
    });
    sightings
}

/// Asks every node that mDNS shows, as it appears.
async fn search(
    network: &Network,
    mut sightings: mpsc::Receiver<(PeerKey, Multiaddr)>,
    me: AuthorKey,
    cluster: &Name,
    machine: &Name,
) -> Result<Option<Asked>, JoinClusterError> {
    let mut tried = BTreeSet::new();
    let mut refused = None;
    let end = tokio::time::Instant::now() + SEARCH;
    while let Ok(Some((peer, address))) = tokio::time::timeout_at(end, sightings.recv()).await {
        if !tried.insert((peer, address.clone())) {
            continue;
        }
        let Ok(address) = format!("{address}/p2p/{peer}").parse::<Multiaddr>() else { continue };
        match ask(network, address, me, cluster, machine).await {
            Ok(Some(asked)) => return Ok(Some(asked)),
            Ok(None) => {}
            Err(JoinClusterError::Refused(JoinError::Refused(refusal))) => refused = Some(refusal),
            Err(error) => tracing::debug!(%peer, %error, "a node on the local network could not be asked"),
        }
    }
    // Who has the name but cannot let anybody in: to make another cluster of that name would surprise.
    match refused {
        Some(refusal) => Err(JoinError::Refused(refusal).into()),
        None => Ok(None),
    }
}

async fn ask(
    network: &Network,
    address: Multiaddr,
    me: AuthorKey,
    cluster: &Name,
    machine: &Name,
) -> Result<Option<Asked>, JoinClusterError> {
    let mut stream = network.dial_join(address.clone()).await?;
    let host = AuthorKey(stream.peer().0);
    let nonce = random()?;
    let (mut joiner, mut frame) = Joiner::ask(me, host, cluster.clone(), machine.clone(), nonce);
    loop {
        match joiner.handle(exchange(&mut stream, &frame).await?) {
            Ok(JoinerOutput::Send(next)) => frame = next,
            Ok(JoinerOutput::Show { code, .. }) => return Ok(Some(Asked { joiner, code, host, address })),
            Ok(JoinerOutput::Wait | JoinerOutput::Joined { .. }) => return Err(JoinError::Unexpected.into()),
            Err(JoinError::Refused(Refusal::NoSuchCluster)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Asked {
    /// Shows the code, and asks until an admin has decided.
    async fn finish(mut self, network: &Network, confirm: Confirm<'_>) -> Result<(Verified, AuthorKey, String), JoinClusterError> {
        if !confirm(&self.code) {
            let withdraw = self.joiner.withdraw();
            if let Ok(mut stream) = network.dial_join(self.address.clone()).await {
                // The request ends by itself, too.
                let _ = exchange(&mut stream, &withdraw).await;
            }
            return Err(JoinClusterError::NotConfirmed);
        }
        let end = tokio::time::Instant::now() + APPROVAL;
        while tokio::time::Instant::now() < end {
            let frame = self.joiner.confirm()?;
            match self.once(network, &frame).await {
                Ok(JoinerOutput::Joined { genesis, .. }) => return Ok((*genesis, self.host, self.address.to_string())),
                Ok(JoinerOutput::Wait) => {}
                Ok(JoinerOutput::Send(_) | JoinerOutput::Show { .. }) => return Err(JoinError::Unexpected.into()),
                Err(JoinClusterError::Refused(error)) => return Err(error.into()),
                // The host may be restarting: ask again.
                Err(error) => tracing::debug!(%error, "the host did not answer"),
            }
            tokio::time::sleep(POLL).await;
        }
        Err(JoinClusterError::NotApproved)
    }

    async fn once(&mut self, network: &Network, frame: &JoinFrame) -> Result<JoinerOutput, JoinClusterError> {
        let mut stream = network.dial_join(self.address.clone()).await?;
        let answer = exchange(&mut stream, frame).await?;
        Ok(self.joiner.handle(answer)?)
    }
}

async fn exchange(stream: &mut JoinStream, frame: &JoinFrame) -> Result<JoinFrame, JoinClusterError> {
    stream.send(&frame.encode()?).await?;
    let answer = tokio::time::timeout(STEP, stream.receive()).await.map_err(|_| JoinClusterError::Silent)??;
    Ok(JoinFrame::decode(&answer)?)
}

fn random() -> Result<[u8; 32], JoinClusterError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}

/// The project that wants to join.
struct Opening<'l> {
    layout: &'l Layout,
    me: AuthorKey,
    merge_blocks: bool,
    /// `network.peers` of config.yaml.
    configured: Vec<String>,
}

/// The cluster that the project's store is of.
struct HeldCluster {
    cluster: ClusterId,
    name: Option<Name>,
    /// Nobody else is a member.
    alone: bool,
}

impl HeldCluster {
    fn shown(&self) -> String {
        self.name.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string)
    }

    fn already(&self) -> Membership {
        Membership::Already { cluster: self.shown() }
    }
}

impl<'l> Opening<'l> {
    fn of(layout: &'l Layout) -> Result<Self, JoinClusterError> {
        let identity = identity::load(&layout.key_file(), &layout.store_file(), None)?;
        let config = config::load(layout).ok().map(|(config, _)| config);
        let merge_blocks = config.as_ref().is_some_and(|config| config.repo.merge != Merge::Never);
        let configured = config.map(|config| config.network.peers).unwrap_or_default();
        Ok(Self { layout, me: identity.signer.author(), merge_blocks, configured })
    }

    /// Returns where a ticket's inviter may be: as `network.peers` says, because a node does not know the address that a router or a cloud
    /// gives it towards others, and as the ticket says.
    fn reach(&self, ticket: &Ticket) -> Vec<String> {
        let configured = self.configured.iter().filter_map(|text| octopoid_net::bootstrap(text).ok());
        let inviter = configured.filter(|(peer, _)| peer.0 == ticket.inviter.0).map(|(_, address)| address.to_string());
        inviter.chain(ticket.addresses.iter().cloned()).collect()
    }

    fn identity(&self) -> Result<store::Identity, JoinClusterError> {
        let root = Repository::open(self.layout.root()).ok().and_then(|repository| repository.root_commit().ok());
        Ok(identity::load(&self.layout.key_file(), &self.layout.store_file(), root)?)
    }

    fn membership(&self) -> Result<Option<HeldCluster>, JoinClusterError> {
        if !self.layout.store_file().exists() {
            return Ok(None);
        }
        let store = Store::open(&self.layout.store_file(), self.identity()?, self.merge_blocks)?;
        let view = store.membership();
        let held = HeldCluster { cluster: store.cluster(), name: view.name().cloned(), alone: view.members().count() <= 1 };
        store.close();
        Ok(Some(held))
    }

    async fn network(&self, mdns: bool) -> Result<(Network, Events), JoinClusterError> {
        let mut seed = identity::seed(&self.layout.key_file())?;
        let secret = SecretKey::from_bytes(&mut seed);
        let listen = if mdns { vec!["/ip4/0.0.0.0/tcp/0".parse().expect("an address")] } else { Vec::new() };
        Ok(octopoid_net::start(octopoid_net::Settings { secret, listen, mdns, limits: Limits::default() }).await?)
    }

    /// Makes the store of the cluster that let this machine in.
    async fn keep(&self, genesis: &Verified, host: AuthorKey, addresses: &[String]) -> Result<(), JoinClusterError> {
        let path = self.layout.store_file();
        if path.exists() {
            let old = Store::open(&path, self.identity()?, self.merge_blocks)?;
            let (tasks, backup) = put_aside(self.layout, old)?;
            tracing::info!(tasks, backup = %backup.display(), "the project's own store was put aside; its open tasks come along");
        }
        let store = Store::join(&path, self.identity()?, genesis.cluster(), self.merge_blocks)?;
        let genesis = genesis.clone();
        let taken = store.write(move |unit| unit.receive(genesis)).await;
        let wrote = match taken {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(JoinClusterError::Write(error.to_string())),
            Ok(Err(error)) => Err(JoinClusterError::Write(error.to_string())),
            Err(error) => Err(JoinClusterError::Write(error.to_string())),
        };
        store.close();
        wrote?;
        let bare: Vec<String> = addresses.iter().map(|address| bare(address)).collect();
        AddressBook::open(&self.layout.peers_file()).told(host, &bare);
        Ok(())
    }

    /// Makes the cluster, or gives the project's own its name.
    async fn found(&self, name: &Name, machine: &Name) -> Result<(), JoinClusterError> {
        let store = Store::open(&self.layout.store_file(), self.identity()?, self.merge_blocks)?;
        let (name, machine) = (name.clone(), machine.clone());
        let named = store.write(move |unit| open_to_others(unit, &name, Some(machine))).await;
        store.close();
        named.map_err(|error| JoinClusterError::Write(error.to_string()))??;
        Ok(())
    }
}

/// Takes the peer's id from the end of an address.
fn bare(address: &str) -> String {
    address.split("/p2p/").next().unwrap_or(address).to_owned()
}
