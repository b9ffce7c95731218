//! Starts this node's part in its cluster, and the handle to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use octopoid_crdt::ids::{AuthorKey, Oid, RecordId};
use octopoid_crdt::peer::Message;
use octopoid_crdt::peer::renewal::Renewals;
use octopoid_crdt::record::{Access, Body, Signer, Verified};
use octopoid_net::{Limits, Multiaddr, Network, PeerKey, SecretKey};
use tokio::sync::{Notify, broadcast, watch};

use super::address_book::AddressBook;
use super::bundles::{BranchAsk, GiveBranches, TakeError};
use super::contenders::{contenders, is_open};
use super::driver::Driver;
use super::namesakes::Namesakes;
use super::presence::Presence;
use super::reads::{AnswerReads, PassedRead, Pieces};
use super::requests::{AnswerCalls, AskError, PassedAnswer, PassedCall, PassedVerdict, VerdictAnswer, write_verdict};
use super::settling::{Outcome, Settling};
use super::shared::{Coming, GiveHeartbeats, Shared, peer_key};
use super::strikes::{StrikeBook, Strikes};
use super::welcome::Reception;
use super::words::Words;
use crate::git::Repository;
use crate::ops::put_off;
use crate::store::{Fault, Filter, HeldBack, Sort, Store, TaskNo, TaskRow, Unit, WriteFault, now_ms};

/// How long a node waits for what members know of it before its first record.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How many comings and goings wait for a listener.
const COMINGS: usize = 64;
/// How long a first connection is waited for: who is there is reached in far less.
const NOBODY: Duration = Duration::from_millis(700);
/// Own claims of before a restart that are taken up.
const RESUMED: u64 = 10_000;

/// What a node's part in its cluster is started with.
pub struct ClusterSettings {
    /// Records and views.
    pub store: Arc<Store>,
    /// The node's key.
    pub seed: [u8; 32],
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where others reach this node besides.
    pub announce: Vec<Multiaddr>,
    /// Whether to find others on the local network.
    pub mdns: bool,
    /// Known addresses.
    pub book: AddressBook,
    /// The file that keeps open invitations.
    pub invites: PathBuf,
    /// The file that counts the node's starts.
    pub starts: PathBuf,
    /// Tells what this node says of itself.
    pub describe: Arc<dyn Fn() -> Presence + Send + Sync>,
}

/// States why a node cannot take part in its cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The network cannot be started.
    #[error(transparent)]
    Network(#[from] octopoid_net::StartError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] Fault),
    /// The starts cannot be counted.
    #[error("failed to count the node's starts in {}", path.display())]
    Starts {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// How it stands with a member.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberView {
    /// Its key.
    pub key: AuthorKey,
    /// Its id in the network.
    pub peer_id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What it may do.
    pub access: Access,
    /// Whether it is this node.
    pub own: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when, in milliseconds since 1970; none when it was never connected.
    pub since_ms: Option<u64>,
    /// How many records it is known to lack, at most.
    pub lag: usize,
    /// What it did that no correct node does.
    pub strikes: Strikes,
    /// What it tells of itself.
    pub presence: Option<Presence>,
    /// Where it is or may be reached.
    pub addresses: Vec<String>,
    /// Why it was not reached last.
    pub last_failure: Option<String>,
}

/// The handle to this node's part in its cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    reception: Arc<Reception>,
    /// The first commit of the cluster's repository.
    root: Arc<OnceLock<Option<Oid>>>,
}

impl Cluster {
    /// Starts to listen, to look for members and to keep up with them.
    ///
    /// # Errors
    /// When the addresses to listen on cannot be used, or the store fails.
    pub async fn start(settings: ClusterSettings) -> Result<(Self, tokio::task::JoinHandle<Result<(), Fault>>), ClusterError> {
        let starts = count_start(&settings.starts)?;
        let mut seed = settings.seed;
        let signer = Signer::from_seed(&seed);
        let secret = SecretKey::from_bytes(&mut seed);
        let net = octopoid_net::Settings { secret, listen: settings.listen, mdns: settings.mdns, limits: Limits::default() };
        let (network, events) = octopoid_net::start(net).await?;
        let (me, cluster) = (settings.store.me(), settings.store.cluster());
        let shared = Arc::new(Shared {
            store: settings.store,
            network,
            announce: settings.announce,
            settling: Arc::new(Settling::new(me)),
            signer,
            me,
            cluster,
            renewals: Mutex::new(Renewals::default()),
            running: Mutex::new(BTreeMap::new()),
            starts,
            members: Mutex::new(BTreeMap::new()),
            strikes: StrikeBook::default(),
            namesakes: Namesakes::default(),
            book: Mutex::new(settings.book),
            kept_offline: AtomicBool::new(false),
            turned: Notify::new(),
            describe: settings.describe,
            not_given: Mutex::new(BTreeMap::new()),
            idle: Mutex::new(None),
            calls: OnceLock::new(),
            reads: OnceLock::new(),
            words: Words::default(),
            comings: broadcast::channel(COMINGS).0,
            met: watch::channel(0).0,
            caught_up: Arc::default(),
            branches: OnceLock::new(),
            heartbeats: OnceLock::new(),
        });
        resume_own(&shared)?;
        let reception = Arc::new(Reception::new(shared.clone(), &settings.invites));
        let driver = Driver::new(shared.clone(), reception.clone());
        let running = tokio::spawn(driver.run(events));
        Ok((Self { shared, reception, root: Arc::default() }, running))
    }

    /// Returns who lets machines in.
    #[must_use]
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Returns where claims are settled.
    #[must_use]
    pub fn settling(&self) -> &Settling {
        &self.shared.settling
    }

    /// Returns where this node can be reached.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.shared.addresses()
    }

    /// Returns the network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.shared.network
    }

    /// Waits until it is settled whether an own claim or review, which is on disk, may start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn settle(&self, no: TaskNo, of: &RecordId) -> Result<Outcome, Fault> {
        let authority = self.shared.store.membership().authority().copied();
        let outcome = match authority {
            // It was granted in its own commit, and a review of the authority's is there before any that it does not know.
            Some(authority) if authority == self.shared.me => Outcome::Start,
            Some(authority) => self.shared.word_of(authority, no, of).await?,
            None => {
                let open = contenders(&self.shared.store, no)?;
                self.shared.settling.settle(no, of, open).await
            }
        };
        if outcome == Outcome::Unreachable {
            return Ok(outcome);
        }
        // What came while it was settled may have finished the task.
        let goes_on = outcome == Outcome::Start && self.is_open(no, of)?;
        Ok(if goes_on { Outcome::Start } else { Outcome::Yield })
    }

    /// Tells whether an own claim or review is open and has not lost to one that had started as well.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_open(&self, no: TaskNo, of: &RecordId) -> Result<bool, Fault> {
        Ok(is_open(&self.shared.store, no, of)? && !self.shared.settling.is_lost(of))
    }

    /// Tells whether another open claim or review competes with an own one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn competes(&self, no: TaskNo, of: &RecordId) -> Result<bool, Fault> {
        Ok(contenders(&self.shared.store, no)?.iter().any(|known| known.contender.id != *of))
    }

    /// Returns the authority, where that is another node.
    #[must_use]
    pub fn other_authority(&self) -> Option<AuthorKey> {
        self.shared.other_authority()
    }

    /// Tells whether a member is connected, so that it can be asked.
    #[must_use]
    pub fn reaches(&self, member: &AuthorKey) -> bool {
        self.shared.reaches(member)
    }

    /// Returns what changes whenever a member connects.
    #[must_use]
    pub fn meetings(&self) -> watch::Receiver<u64> {
        self.shared.met.subscribe()
    }

    /// Has an agent's verdict written by the node whose word counts.
    ///
    /// # Errors
    /// When that is another node, and it is not connected or does not answer.
    pub async fn hand_over(&self, verdict: &PassedVerdict) -> Result<VerdictAnswer, AskError> {
        match self.other_authority() {
            Some(authority) => self.shared.hand_over(&authority, verdict).await,
            None => Ok(write_verdict(&self.shared.store, verdict.clone()).await),
        }
    }

    /// Tells all members that work on a claim or review goes on.
    pub fn renew(&self, of: RecordId, seconds: u32) {
        self.shared.runs(of, seconds);
        let Some(renewal) = self.shared.renewal(of, seconds) else { return };
        let Ok(frame) = (Message::Renew { renewals: vec![renewal] }).encode() else { return };
        let frame = bytes::Bytes::from(frame);
        for member in self.shared.connected() {
            // Who does not read now hears the next one.
            let _ = self.shared.network.try_send(&peer_key(&member), frame.clone());
        }
    }

    /// Sets what answers calls that members pass on.
    pub fn answer_calls(&self, calls: AnswerCalls) {
        // Set once, when the API is made.
        let _ = self.shared.calls.set(calls);
    }

    /// Sets what answers members that read.
    pub fn answer_reads(&self, reads: AnswerReads) {
        // Set once, when the API is made.
        let _ = self.shared.reads.set(reads);
    }

    /// Reads a log at another node; returns an HTTP status and the text as it comes.
    ///
    /// # Errors
    /// When that node is not connected, or does not answer.
    pub async fn read_at(&self, node: &AuthorKey, read: &PassedRead) -> Result<(u16, Pieces), AskError> {
        self.shared.read_at(node, read).await
    }

    /// Tells why this node may not work for its cluster, if so: it may only read, or its repository is another one.
    #[must_use]
    pub fn idle_because(&self, repository: &Repository) -> Option<String> {
        let view = self.shared.store.membership();
        match view.access(&self.shared.me) {
            Some(Access::Worker | Access::Admin) => {}
            Some(Access::Reader) => return Some("this node may only read".to_owned()),
            None => return Some("this node is no member yet, or no more".to_owned()),
        }
        let root = self.root.get_or_init(|| {
            let genesis = genesis(&self.shared.store).ok().flatten()?;
            if let Body::Genesis { root_commit, .. } = &genesis.payload().body { root_commit.clone() } else { None }
        });
        let foreign = root.as_ref().filter(|root| !repository.has_commit(root).unwrap_or(false))?;
        Some(format!("its repository is not the cluster's: commit {foreign}, where that one begins, is not in it"))
    }

    /// Tells whether a key is this node's.
    #[must_use]
    pub fn is_me(&self, key: &AuthorKey) -> bool {
        *key == self.shared.me
    }

    /// Names a member for people.
    #[must_use]
    pub fn name_of(&self, key: &AuthorKey) -> String {
        let view = self.shared.store.membership();
        let named = view.members().find(|(known, _)| *known == key).and_then(|(_, member)| member.name.as_ref());
        named.map_or_else(|| key.short(), ToString::to_string)
    }

    /// Tells which members come and go from now on.
    #[must_use]
    pub fn comings(&self) -> broadcast::Receiver<(AuthorKey, Coming)> {
        self.shared.comings.subscribe()
    }

    /// Returns who wrote a record, if it is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn author_of(&self, id: &RecordId) -> Result<Option<AuthorKey>, Fault> {
        let reader = self.shared.store.reader()?;
        let Some(arrival) = reader.arrival(id)? else { return Ok(None) };
        Ok(reader.record(arrival)?.map(|record| record.payload().author))
    }

    /// Sets what packs branches for members.
    pub fn give_branches(&self, give: GiveBranches) {
        // Set once, at the start.
        let _ = self.shared.branches.set(give);
    }

    /// Sets what tells when orchestrators were last heard here.
    pub fn give_heartbeats(&self, give: GiveHeartbeats) {
        // Set once, at the start.
        let _ = self.shared.heartbeats.set(give);
    }

    /// Returns when a member last heard an orchestrator, by scope and id with a slash between, in milliseconds since 1970.
    #[must_use]
    pub fn heard(&self, orchestrator: &str) -> Option<u64> {
        self.shared.members().values().filter_map(|state| state.heard.get(orchestrator)).max().copied()
    }

    /// Asks a member for a branch and writes it into a file.
    ///
    /// # Errors
    /// When that node is not connected, does not have it, or does not give it.
    pub async fn take_branch(&self, node: &AuthorKey, ask: &BranchAsk, file: &Path) -> Result<(), TakeError> {
        self.shared.take_branch(node, ask, file).await
    }

    /// Returns why members do not give branches that they have, each reason once.
    #[must_use]
    pub fn not_given(&self) -> BTreeSet<String> {
        self.shared.not_given().values().cloned().collect()
    }

    /// Returns who merges where there is no remote, and whether that is this node.
    #[must_use]
    pub fn integrator(&self) -> Option<(AuthorKey, bool)> {
        let integrator = *self.shared.store.membership().integrator()?;
        Some((integrator, integrator == self.shared.me))
    }

    /// Passes a call on to the node that can answer it.
    ///
    /// # Errors
    /// When that node is not connected, or does not answer.
    pub async fn pass_on(&self, node: &AuthorKey, call: &PassedCall) -> Result<PassedAnswer, AskError> {
        self.shared.pass_on(node, call).await
    }

    /// Waits until what the connected members know of this node is here, two seconds at most, and then lets it write: a node whose store
    /// was restored from a backup would otherwise continue an old record.
    pub async fn catch_up(&self, held_back: HeldBack) {
        let began = tokio::time::Instant::now();
        let current = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let members = self.shared.members();
                let mut connected = members.values().filter(|state| state.connected).peekable();
                let nobody = connected.peek().is_none();
                if (nobody && began.elapsed() > NOBODY) || (!nobody && connected.all(|state| state.current)) {
                    return;
                }
            }
        };
        let others = self.shared.store.membership().members().any(|(key, _)| *key != self.shared.me);
        if others && tokio::time::timeout(CATCH_UP, current).await.is_err() {
            tracing::debug!("no member told what it knows of this node within two seconds");
        }
        self.judge_what_came().await;
        drop(held_back);
    }

    /// Judges what was taken in while this node wrote nothing; from then on records are judged as they come.
    async fn judge_what_came(&self) {
        loop {
            let caught_up = self.shared.caught_up.clone();
            let some = move |unit: &mut Unit<'_>| {
                let done = put_off::settle_some(unit)?;
                // Within the writer, so no record comes between the last that is judged here and the first that is judged as it comes.
                caught_up.store(done, Ordering::SeqCst);
                Ok::<_, WriteFault>(done)
            };
            match self.shared.store.writer().write(some).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what came while this node was starting could not be judged");
                    break;
                }
                // The node ends, and says why.
                Err(_) => break,
            }
        }
        self.shared.caught_up.store(true, Ordering::SeqCst);
    }

    /// Returns every member with how it stands with it.
    #[must_use]
    pub fn members(&self) -> Vec<MemberView> {
        let view = self.shared.store.membership();
        let states = self.shared.members().clone();
        let statuses: BTreeMap<PeerKey, _> = self.shared.network.peers().into_iter().map(|status| (status.peer, status)).collect();
        let met = self.shared.book();
        let member = |(key, member): (&AuthorKey, &octopoid_crdt::membership::Member)| {
            let (state, status) = (states.get(key), statuses.get(&peer_key(key)));
            let own = *key == self.shared.me;
            MemberView {
                key: *key,
                peer_id: peer_key(key).to_string(),
                name: member.name.as_ref().map(ToString::to_string),
                access: member.access,
                own,
                connected: own || state.is_some_and(|state| state.connected),
                since_ms: state.and_then(|state| state.since_ms).or_else(|| met.met_last(key)),
                lag: state.map_or(0, |state| state.lag),
                strikes: self.shared.strikes.of(key),
                presence: state.and_then(|state| state.presence.clone()),
                addresses: status.and_then(|status| status.address.as_ref()).map(ToString::to_string).into_iter().collect(),
                last_failure: status.and_then(|status| status.last_failure.as_ref()).map(ToString::to_string),
            }
        };
        view.members().map(member).collect()
    }

    /// Returns where other clusters of this one's name answer on the local network, each with its peer id.
    #[must_use]
    pub fn namesakes(&self) -> Vec<String> {
        self.shared.namesakes.seen()
    }

    /// Returns the keys of the members that are connected.
    #[must_use]
    pub fn connected(&self) -> Vec<AuthorKey> {
        self.shared.connected()
    }

    /// Cuts this node off from all members, or lets it connect again. A restart lets it connect again too.
    ///
    /// Connections end as they do when a cable is pulled: what was on its way is lost, and sent again afterwards. Members that dial meanwhile
    /// are turned away before a byte of theirs is read, and nobody can join by this node. It works on alone.
    pub fn keep_offline(&self, offline: bool) {
        if self.shared.kept_offline.swap(offline, Ordering::SeqCst) != offline {
            tracing::info!(offline, "told to {}", if offline { "keep to itself" } else { "connect again" });
            self.shared.turned.notify_one();
        }
    }

    /// Tells whether this node was told to keep to itself.
    #[must_use]
    pub fn is_kept_offline(&self) -> bool {
        self.shared.is_kept_offline()
    }

    /// Ends the node's part: what waits is sent, and the port is free when this returns.
    pub async fn stop(&self) {
        let now_ms = now_ms();
        for member in self.shared.connected() {
            self.shared.book().parts(member, now_ms);
        }
        self.shared.note_meetings();
        self.shared.network.shutdown().await;
    }

    /// Tells the members why this node claims nothing, or that it may.
    pub fn tell_idle(&self, why: Option<String>) {
        *self.shared.idle() = why;
        self.shared.tell_presence();
    }
}

/// Takes up what was claimed here before a restart: its claimants may still work.
fn resume_own(shared: &Shared) -> Result<(), Fault> {
    let held = Filter { queues: vec!["claimed".to_owned(), "provisional".to_owned()], ready: Some(false), ..Filter::default() };
    let page = shared.store.reader()?.list(&held, Sort::Newest, 0, RESUMED)?;
    let own =
        |row: &TaskRow| row.holder.as_ref().filter(|holder| holder.node == *shared.me.as_bytes()).map(|holder| RecordId(holder.record));
    for (no, of) in page.tasks.iter().filter_map(|(no, row)| own(row).map(|of| (*no, of))) {
        if let Some(known) = contenders(&shared.store, no)?.into_iter().find(|known| known.contender.id == of) {
            shared.settling.resume(no, known.contender);
        }
    }
    Ok(())
}

/// Counts the starts of this node, so that renewals after a restart stand above those before it.
fn count_start(path: &std::path::Path) -> Result<u32, ClusterError> {
    let failed = |source| ClusterError::Starts { path: path.to_owned(), source };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0u32,
        Err(error) => return Err(failed(error)),
    };
    let starts = before.saturating_add(1);
    crate::project::replace_file(path, starts.to_string().as_bytes(), 0o600).map_err(failed)?;
    Ok(starts)
}

/// Returns the cluster's Genesis record, once it is held.
pub(super) fn genesis(store: &Store) -> Result<Option<Verified>, Fault> {
    let reader = store.reader()?;
    for arrival in 0..reader.next_arrival()?.min(8) {
        if let Some(record) = reader.record(arrival)?.filter(|record| octopoid_crdt::record::cluster_id(&record.payload().body).is_some()) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
