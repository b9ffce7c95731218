//! Opens, founds and closes a store.
//!
//! **Invariants**: a store has one writer in one process; a store of a newer schema is refused untouched; a start reads
//! the buckets and the open leases, never the history.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use octopoid_crdt::chain::{Chains, Writer as Place};
use octopoid_crdt::ids::{AuthorKey, ClusterId, Oid, SessionId, Subject};
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::membership::View;
use octopoid_crdt::record::{Body, Payload, Signer, Verified, cluster_id};
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::{broadcast, watch};

use super::file::{self, Opened};
use super::hold::{Gate, HeldBack};
use super::load::load_state;
use super::read::{ForkPoint, Reader};
use super::rebuild::{back_up, create_tables};
use super::unit::Unit;
use super::writer::Writer;
use super::{Event, Fault, Leases, tables};

/// How much of the file is kept in memory.
pub(super) const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// How many events a slow listener may be behind before it must read the store instead.
const EVENTS: usize = 1024;

/// Who opens the store, with the randomness that a pure store cannot draw.
pub struct Identity {
    /// Signs what this node writes.
    pub signer: Signer,
    /// 16 random bytes, new at each start.
    pub session: SessionId,
    /// 16 random bytes for a cluster that is founded.
    pub nonce: [u8; 16],
    /// The repository's root commit, for a cluster that is founded.
    pub root_commit: Option<Oid>,
}

/// What views depend on besides records.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An accepted branch blocks its dependents until it is merged (`repo.merge` is `auto` or `pr`).
    pub merge_blocks: bool,
}

/// States why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process has the store {0} open")]
    Locked(PathBuf),
    /// A newer version wrote it.
    #[error("the store has {what} {found}, this version reads up to {known}: install the newer octopoid")]
    Newer {
        /// Which of its versions: the schema or the views.
        what: &'static str,
        /// The version found.
        found: u64,
        /// The highest that this program reads.
        known: u64,
    },
    /// An early version wrote it.
    #[error(
        "the store {path} has schema {found}, which this version does not read any more: delete it or move it away, then run `octopoid init`"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: u64,
    },
    /// The store is of another cluster than the one to join.
    #[error("the store {0} belongs to another cluster: move it away to join this one")]
    OtherCluster(PathBuf),
    /// The file holds no store, though it once did.
    #[error("the store {0} is empty: it was cut short, and is not taken for a new one")]
    Empty(PathBuf),
    /// The store belongs to another key.
    #[error("the store {0} belongs to another key: restore runtime/node.key from a backup")]
    OtherKey(PathBuf),
    /// The file could not be copied before its layout is changed.
    #[error("the store could not be copied to {path} before its layout is changed; nothing was changed")]
    Backup {
        /// Where to.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be used.
    #[error("the store {path} cannot be opened")]
    Store {
        /// The file.
        path: PathBuf,
        #[source]
        source: Fault,
    },
}

/// An open store.
pub struct Store {
    database: Arc<Database>,
    path: PathBuf,
    cluster: ClusterId,
    signer: Signer,
    settings: Settings,
    session: SessionId,
    writer: Writer,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    leases: Arc<Leases>,
    events: broadcast::Sender<Arc<[Event]>>,
    view: watch::Receiver<Arc<View>>,
    masks: watch::Receiver<Arc<Removals>>,
    gate: Gate,
}

/// Where a new store's cluster comes from.
enum Origin {
    /// This node founds it.
    Found,
    /// Somebody else founded it; its records are still to come.
    Join(ClusterId),
}

impl Store {
    /// Opens the store of a file, founding a cluster of one in a new file.
    ///
    /// # Errors
    /// When another process has it, another version wrote it, or the disk fails.
    pub fn open(path: &Path, identity: Identity, merge_blocks: bool) -> Result<Self, OpenError> {
        Self::of(file::open(path)?, path, identity, merge_blocks, &Origin::Found)
    }

    /// Opens the store of a database that is open already.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with(database: Database, path: &Path, identity: Identity, merge_blocks: bool) -> Result<Self, OpenError> {
        Self::of(given(database), path, identity, merge_blocks, &Origin::Found)
    }

    /// Opens the store of a file for a cluster that somebody else founded. A new file holds nothing yet: this node can
    /// write once it has received what admits it.
    ///
    /// # Errors
    /// As [`Store::open`], and when the file is of another cluster.
    pub fn join(path: &Path, identity: Identity, cluster: ClusterId, merge_blocks: bool) -> Result<Self, OpenError> {
        Self::of_cluster(file::open(path)?, path, identity, cluster, merge_blocks)
    }

    /// As [`Store::join`], of a database that is open already.
    ///
    /// # Errors
    /// As [`Store::join`].
    pub fn join_with(
        database: Database,
        path: &Path,
        identity: Identity,
        cluster: ClusterId,
        merge_blocks: bool,
    ) -> Result<Self, OpenError> {
        Self::of_cluster(given(database), path, identity, cluster, merge_blocks)
    }

    fn of_cluster(opened: Opened, path: &Path, identity: Identity, cluster: ClusterId, merge_blocks: bool) -> Result<Self, OpenError> {
        let store = Self::of(opened, path, identity, merge_blocks, &Origin::Join(cluster))?;
        if store.cluster == cluster {
            return Ok(store);
        }
        store.close();
        Err(OpenError::OtherCluster(path.to_owned()))
    }

    fn of(opened: Opened, path: &Path, identity: Identity, merge_blocks: bool, origin: &Origin) -> Result<Self, OpenError> {
        let Opened { database, origin: file } = opened;
        let failed = |source: Fault| OpenError::Store { path: path.to_owned(), source };
        let (signer, session) = (identity.signer.clone(), identity.session);
        let me = signer.author();
        let (cluster, genesis) = match stored_cluster(&database).map_err(failed)? {
            Some(founded) => {
                founded.check(me, path)?;
                (founded.cluster, None)
            }
            None if matches!(file, file::Origin::There) => return Err(OpenError::Empty(path.to_owned())),
            None => match origin {
                Origin::Found => {
                    let genesis = found(&identity).map_err(failed)?;
                    (genesis.cluster(), Some(genesis))
                }
                Origin::Join(cluster) => (*cluster, None),
            },
        };
        create(&database, cluster, me, genesis.as_ref()).map_err(failed)?;
        if let file::Origin::Begun(begun) = file {
            begun.finish()?;
        }
        let database = Arc::new(database);
        let (events, _) = broadcast::channel(EVENTS);
        let leases = Arc::new(Leases::new(me));
        let settings = Settings { merge_blocks };
        let mut state = load_state(&database, cluster, identity, settings.clone(), &leases, &events).map_err(failed)?;
        if let Some(genesis) = genesis {
            // The founding record was this session's first.
            let mut place = Place::new(me, &Chains::default());
            place.wrote(&genesis).map_err(|error| failed(Fault::Chain(error.to_string())))?;
            state.place = place;
        }
        let (view, masks) = (state.view.subscribe(), state.masks_shown.subscribe());
        let (writer, thread) = Writer::start(state);
        let path = path.to_owned();
        Ok(Self {
            database,
            path,
            cluster,
            signer,
            settings,
            session,
            writer,
            thread: Mutex::new(Some(thread)),
            leases,
            events,
            view,
            masks,
            gate: Gate::open(),
        })
    }

    /// Returns what removals leave out of every task's records now.
    #[must_use]
    pub fn masks(&self) -> Arc<Removals> {
        self.masks.borrow().clone()
    }

    /// Returns who belongs to the cluster as this node knows it now. Cheap.
    #[must_use]
    pub fn membership(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Waits for changes of the membership.
    #[must_use]
    pub fn membership_changes(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Returns the cluster's id.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Returns this node's key.
    #[must_use]
    pub fn me(&self) -> AuthorKey {
        self.signer.author()
    }

    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns who edits documents in this run.
    #[must_use]
    pub fn actor(&self) -> octopoid_crdt::document::Actor {
        octopoid_crdt::document::Actor { author: self.me(), session: self.session }
    }

    /// Returns the way to the writer.
    #[must_use]
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Returns the leases that this node times.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Returns where authors continued one record twice: a store was restored from an old copy, or a key is in use twice.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forks(&self) -> Result<Vec<ForkPoint>, Fault> {
        self.reader()?.forks()
    }

    /// Takes a snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub fn reader(&self) -> Result<Reader, Fault> {
        Ok(Reader::new(self.database.begin_read()?, self.cluster))
    }

    /// Listens to what later commits change.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<[Event]>> {
        self.events.subscribe()
    }

    /// Lets [`Store::write`] wait until what this returns is dropped. What members wrote is taken in by the writer meanwhile.
    pub fn hold_back(&self) -> HeldBack {
        self.gate.hold_back()
    }

    /// Waits until this node writes.
    pub async fn until_writable(&self) {
        self.gate.passed().await;
    }

    /// Runs an operation that may write own records, and answers once they are on disk. It waits while own writes are held back.
    ///
    /// # Errors
    /// When the store has failed; the operation's own refusal is in the inner result.
    pub async fn write<T, E>(
        &self,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, super::Unavailable>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.until_writable().await;
        self.writer.write(operation).await
    }

    /// Waits for what is under way and releases the file.
    pub fn close(self) {
        let Self { writer, thread, .. } = self;
        drop(writer);
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended unexpectedly");
        }
    }
}

struct Founded {
    schema: u64,
    views: u64,
    cluster: ClusterId,
    node: Option<AuthorKey>,
    half_made: bool,
}

impl Founded {
    /// Refuses a store that this node or this version must not touch, and copies one whose views are derived anew.
    fn check(&self, me: AuthorKey, path: &Path) -> Result<(), OpenError> {
        if self.schema < tables::SCHEMA {
            return Err(OpenError::Older { path: path.to_owned(), found: self.schema });
        }
        for (what, found, known) in [("schema", self.schema, tables::SCHEMA), ("views", self.views, tables::VIEWS)] {
            if found > known {
                return Err(OpenError::Newer { what, found, known });
            }
        }
        if self.node != Some(me) {
            return Err(OpenError::OtherKey(path.to_owned()));
        }
        // Half-made views are of a store that was copied already.
        if self.views < tables::VIEWS && !self.half_made {
            let copy = path.with_extension(format!("views-{}", self.views));
            back_up(path, &copy).map_err(|source| OpenError::Backup { path: copy, source })?;
        }
        Ok(())
    }
}

fn given(database: Database) -> Opened {
    Opened { database, origin: file::Origin::Given }
}

fn stored_cluster(database: &Database) -> Result<Option<Founded>, Fault> {
    let txn = database.begin_read()?;
    let meta = match txn.open_table(tables::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // What is there but cannot be read must never be founded over.
    let missing = |what: &str| Fault::Missing(format!("{what} of the store"));
    let schema = meta.get(tables::META_SCHEMA)?.and_then(|bytes| number(bytes.value())).ok_or_else(|| missing(tables::META_SCHEMA))?;
    let views = meta.get(tables::META_VIEWS)?.and_then(|bytes| number(bytes.value())).unwrap_or(0);
    let cluster = meta.get(tables::META_CLUSTER)?.and_then(|bytes| Some(ClusterId(bytes.value().try_into().ok()?)));
    let node = meta.get(tables::META_NODE)?.and_then(|bytes| Some(AuthorKey(bytes.value().try_into().ok()?)));
    let half_made = meta.get(tables::META_REBUILDING)?.is_some();
    Ok(Some(Founded { schema, views, cluster: cluster.ok_or_else(|| missing(tables::META_CLUSTER))?, node, half_made }))
}

pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Signs the record that founds a cluster.
fn found(identity: &Identity) -> Result<Verified, Fault> {
    let author = identity.signer.author();
    let body = Body::Genesis { creator: author, nonce: identity.nonce, root_commit: identity.root_commit.clone() };
    let cluster = cluster_id(&body).ok_or_else(|| Fault::Missing("genesis".to_owned()))?;
    let wall_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let payload =
        Payload { author, session: identity.session, seq: 0, prev: None, subject: Subject::CLUSTER, wall_ms, deps: Vec::new(), body };
    Verified::sign(&identity.signer, cluster, payload).map_err(Fault::Sign)
}

/// Makes every table of a new store, so that readers never meet a missing one. One that is there stays as it is.
///
/// The founding record is there from the first moment; what follows from it is derived as after a rebuild that was cut off.
fn create(database: &Database, cluster: ClusterId, node: AuthorKey, genesis: Option<&Verified>) -> Result<(), Fault> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    {
        let mut meta = txn.open_table(tables::META)?;
        if meta.get(tables::META_SCHEMA)?.is_some() {
            drop(meta);
            txn.abort()?;
            return Ok(());
        }
        meta.insert(tables::META_SCHEMA, tables::SCHEMA.to_be_bytes().as_slice())?;
        meta.insert(tables::META_VIEWS, tables::VIEWS.to_be_bytes().as_slice())?;
        meta.insert(tables::META_CLUSTER, cluster.as_bytes().as_slice())?;
        meta.insert(tables::META_NODE, node.as_bytes().as_slice())?;
        meta.insert(tables::META_NEXT_TASK, 1u64.to_be_bytes().as_slice())?;
        meta.insert(tables::META_REBUILDING, [1].as_slice())?;
    }
    create_tables(&txn)?;
    if let Some(genesis) = genesis {
        txn.open_table(tables::RECORDS)?.insert(0, genesis.wire())?;
    }
    txn.commit()?;
    Ok(())
}
