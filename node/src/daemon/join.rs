//! Makes a project a member of a cluster: by a ticket, or by the cluster's name on the local network.
//!
//! **Invariants**: the store of a cluster is made only after its host has said yes; until then nothing but the project's
//! files is written; a store that holds tasks of its own is never thrown away; a cluster that others belong to is never left.

use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, ClusterId, Name};
use octopoid_crdt::peer::join::{Code, JoinError, JoinFrame, JoinFrameError, Joiner, JoinerOutput, Ticket, TicketError};
use octopoid_crdt::record::{Access, Verified};
use octopoid_net::{DialError, Events, JoinStream, Limits, Multiaddr, Network, PeerKey, SecretKey};

use super::carry_over::{CarryError, put_aside};
use super::identity::{self, KeyError};
use super::search::{Asked, Wanted, search, sightings};
use crate::cluster::AddressBook;
use crate::config::{self, Merge};
use crate::git::Repository;
use crate::ops::members::{MembersRefused, open_to_others};
use crate::project::Layout;
use crate::store::{self, Store};

/// How long one step of the host may take.
const STEP: Duration = Duration::from_secs(10);
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
    /// The person did not agree to leave the cluster that has no other member.
    #[error("this project stays in its cluster '{0}'; nothing was changed")]
    NotLeft(Name),
    /// There is no cluster of the name, and the project's own has another.
    #[error("no cluster '{wanted}' was found, and this project is the cluster '{held}': `octopoid cluster name {wanted}` renames it")]
    NotFound {
        /// The name that was asked for.
        wanted: Name,
        /// The project's own.
        held: Name,
    },
    /// Nobody is there who could let the machine in again.
    #[error(
        "this machine is no member of its cluster '{0}' any more, or not yet, and no admin of it answers on the local network: start one's node, or join by a ticket, which `octopoid invite` prints there"
    )]
    NobodyAnswers(Name),
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

/// What a person decides.
#[derive(Debug, Clone, Copy)]
pub enum Question<'q> {
    /// Whether both sides show this code.
    Code(&'q Code),
    /// Whether the cluster of this name is left, of which this machine is the only member. Its open tasks come along.
    Leave(&'q Name),
}

/// Asks a person.
pub type Confirm<'a> = &'a mut (dyn FnMut(Question<'_>) -> bool + Send);

/// Joins by a ticket. A member's is redeemed as well: it may have been removed without having heard of it, or the ticket may give it
/// another access.
///
/// # Errors
/// When the ticket is none or used, its inviter cannot be reached, or the project belongs to another cluster with other members.
pub async fn join_by_ticket(layout: &Layout, ticket: &str, machine: &Name, confirm: Confirm<'_>) -> Result<Membership, JoinClusterError> {
    let ticket: Ticket = ticket.trim().parse()?;
    let opening = Opening::of(layout)?;
    let held = opening.held(Some(&ticket))?;
    let same = held.as_ref().filter(|held| held.cluster == ticket.cluster);
    match (&held, same) {
        // Nobody lets itself in.
        (_, Some(same)) if ticket.inviter == opening.me => return Ok(same.already()),
        (Some(other), None) => other.leave(confirm)?,
        (None, _) | (_, Some(_)) => {}
    }
    let (network, _events) = opening.network(false).await?;
    let welcomed = redeem(&network, &ticket, &opening.reach(&ticket), opening.me, machine).await;
    network.shutdown().await;
    match (welcomed, same.filter(|same| same.redeemed)) {
        (Ok(genesis), known) => {
            opening.keep(&genesis, ticket.inviter, &ticket.addresses).await?;
            Ok(known.map_or(Membership::Joined { cluster: ticket.cluster }, HeldCluster::already))
        }
        // A script that says it again need not find the inviter running.
        (Err(JoinClusterError::Unreachable { .. }), Some(known)) => Ok(known.already()),
        (Err(error), _) => Err(error),
    }
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
/// When the request is denied or not approved in time, or the project belongs to another cluster with other members.
pub async fn join_by_name(layout: &Layout, cluster: &Name, machine: &Name, confirm: Confirm<'_>) -> Result<Membership, JoinClusterError> {
    let opening = Opening::of(layout)?;
    let held = opening.held(None)?;
    if let Some(held) = held.as_ref().filter(|held| !held.alone) {
        match &held.name {
            Some(name) if name != cluster => return Err(JoinClusterError::OtherCluster(held.shown())),
            Some(_) if held.access.is_some() => return Ok(held.already()),
            None if held.access.is_some() => return Err(JoinClusterError::OtherCluster(held.shown())),
            // It was removed, or has not heard yet that it was let in: that cluster is asked again, and no other of its name.
            Some(_) | None => {}
        }
    }
    let id = held.as_ref().filter(|held| !held.alone).map(|held| held.cluster);
    let wanted = Wanted { me: opening.me, cluster: cluster.clone(), machine: machine.clone(), id };
    let (network, events) = opening.network(true).await?;
    let joined = match search(&network, sightings(events), &wanted).await {
        Ok(Some(asked)) => finish(&network, asked, held.as_ref(), confirm).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    network.shutdown().await;
    if let Some((genesis, host, address)) = joined? {
        opening.keep(&genesis, host, &[address]).await?;
        return Ok(Membership::Joined { cluster: genesis.cluster() });
    }
    match held {
        Some(held) if !held.alone => Err(JoinClusterError::NobodyAnswers(cluster.clone())),
        Some(HeldCluster { name: Some(name), .. }) if name == *cluster => Ok(Membership::Already { cluster: name.to_string() }),
        Some(HeldCluster { name: Some(held), .. }) => Err(JoinClusterError::NotFound { wanted: cluster.clone(), held }),
        Some(_) | None => {
            opening.found(cluster, machine).await?;
            Ok(Membership::Created { cluster: cluster.clone() })
        }
    }
}

/// Has a person decide, and waits for the other side's.
async fn finish(
    network: &Network,
    asked: Asked,
    held: Option<&HeldCluster>,
    confirm: Confirm<'_>,
) -> Result<(Verified, AuthorKey, String), JoinClusterError> {
    if let Some(Err(error)) = held.filter(|held| held.cluster != asked.cluster).map(|held| held.leave(confirm)) {
        asked.withdraw(network).await;
        return Err(error);
    }
    if !confirm(Question::Code(&asked.code)) {
        asked.withdraw(network).await;
        return Err(JoinClusterError::NotConfirmed);
    }
    asked.finish(network, APPROVAL).await
}

/// Does one step with the other side.
pub(super) async fn exchange(stream: &mut JoinStream, frame: &JoinFrame) -> Result<JoinFrame, JoinClusterError> {
    stream.send(&frame.encode()?).await?;
    let answer = tokio::time::timeout(STEP, stream.receive()).await.map_err(|_| JoinClusterError::Silent)??;
    Ok(JoinFrame::decode(&answer)?)
}

/// Draws what is used once.
pub(super) fn random() -> Result<[u8; 32], JoinClusterError> {
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
    /// What this machine may do, as far as it has heard; none when it was removed.
    access: Option<Access>,
    /// This machine is a member and nobody else is.
    alone: bool,
    /// This machine has heard that the ticket let it in.
    redeemed: bool,
}

impl HeldCluster {
    /// Agrees to another cluster, where that leaves nobody behind.
    fn leave(&self, confirm: Confirm<'_>) -> Result<(), JoinClusterError> {
        match &self.name {
            _ if !self.alone => Err(JoinClusterError::OtherCluster(self.shown())),
            Some(name) if !confirm(Question::Leave(name)) => Err(JoinClusterError::NotLeft(name.clone())),
            Some(_) | None => Ok(()),
        }
    }

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

    /// Looks what cluster the project's store is of, and what it knows of a ticket.
    fn held(&self, ticket: Option<&Ticket>) -> Result<Option<HeldCluster>, JoinClusterError> {
        if !self.layout.store_file().exists() {
            return Ok(None);
        }
        let store = Store::open(&self.layout.store_file(), self.identity()?, self.merge_blocks)?;
        let view = store.membership();
        let access = view.access(&self.me);
        let let_in = ticket.and_then(|ticket| view.invited(&ticket.invite())) == Some(&self.me);
        let held = HeldCluster {
            cluster: store.cluster(),
            name: view.name().cloned(),
            access,
            alone: access.is_some() && view.members().count() == 1,
            redeemed: let_in && access.is_some(),
        };
        store.close();
        Ok(Some(held))
    }

    async fn network(&self, mdns: bool) -> Result<(Network, Events), JoinClusterError> {
        let mut seed = identity::seed(&self.layout.key_file())?;
        let secret = SecretKey::from_bytes(&mut seed);
        let listen = if mdns { vec!["/ip4/0.0.0.0/tcp/0".parse().expect("an address")] } else { Vec::new() };
        Ok(octopoid_net::start(octopoid_net::Settings { secret, listen, mdns, limits: Limits::default() }).await?)
    }

    /// Notes where the host is, and makes the store of the cluster that let this machine in, if it is not there.
    async fn keep(&self, genesis: &Verified, host: AuthorKey, addresses: &[String]) -> Result<(), JoinClusterError> {
        let path = self.layout.store_file();
        let old = if path.exists() { Some(Store::open(&path, self.identity()?, self.merge_blocks)?) } else { None };
        match old {
            Some(same) if same.cluster() == genesis.cluster() => same.close(),
            old => {
                if let Some(old) = old {
                    let (tasks, backup) = put_aside(self.layout, old)?;
                    tracing::info!(tasks, backup = %backup.display(), "the project's own store was put aside; its open tasks come along");
                }
                self.make(genesis).await?;
            }
        }
        let bare: Vec<String> = addresses.iter().map(|address| bare(address)).collect();
        AddressBook::open(&self.layout.peers_file()).told(host, &bare);
        Ok(())
    }

    async fn make(&self, genesis: &Verified) -> Result<(), JoinClusterError> {
        let store = Store::join(&self.layout.store_file(), self.identity()?, genesis.cluster(), self.merge_blocks)?;
        let genesis = genesis.clone();
        let taken = store.write(move |unit| unit.receive(genesis)).await;
        let wrote = match taken {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(JoinClusterError::Write(error.to_string())),
            Ok(Err(error)) => Err(JoinClusterError::Write(error.to_string())),
            Err(error) => Err(JoinClusterError::Write(error.to_string())),
        };
        store.close();
        wrote
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
