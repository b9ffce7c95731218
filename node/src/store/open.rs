//! Opens, founds and closes a store.
//!
//! **Invariants**: a store has one writer in one process; a store of a newer schema is refused untouched; a start reads
//! the buckets and the open leases, never the history.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use octopoid_crdt::chain::{AuthorChain, Chains, Writer as Place};
use octopoid_crdt::ids::{AuthorKey, ClusterId, Oid, RecordId, SessionId, Subject};
use octopoid_crdt::lease::Input;
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::record::{Body, Payload, Signer, Verified, cluster_id};
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::broadcast;

use super::index::Buckets;
use super::list::{Filter, Sort};
use super::read::Reader;
use super::unit::{Unit, WriterState};
use super::writer::Writer;
use super::{Event, Fault, Leases, tables};

/// How much of the file is kept in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
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
    /// Members that were removed.
    pub(super) removals: Removals,
}

/// States why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process has the store {0} open")]
    Locked(PathBuf),
    /// A newer version wrote it.
    #[error("the store has schema {found}, this version reads up to {}: install the newer octopoid", tables::SCHEMA)]
    Newer {
        /// The schema found.
        found: u64,
    },
    /// The store belongs to another key.
    #[error("the store {0} was founded by another key: restore runtime/node.key from a backup")]
    OtherKey(PathBuf),
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
    cluster: ClusterId,
    me: AuthorKey,
    session: SessionId,
    writer: Writer,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    leases: Arc<Leases>,
    events: broadcast::Sender<Arc<[Event]>>,
}

impl Store {
    /// Opens the store of a file, founding a cluster of one in a new file.
    ///
    /// # Errors
    /// When another process has it, a newer version wrote it, or the disk fails.
    pub fn open(path: &Path, identity: Identity, merge_blocks: bool) -> Result<Self, OpenError> {
        let database = match redb::Builder::new().set_cache_size(CACHE_BYTES).create(path) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::Locked(path.to_owned())),
            Err(source) => return Err(OpenError::Store { path: path.to_owned(), source: source.into() }),
        };
        Self::with(database, path, identity, merge_blocks)
    }

    /// Opens the store of a database that is open already.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with(database: Database, path: &Path, identity: Identity, merge_blocks: bool) -> Result<Self, OpenError> {
        let failed = |source: Fault| OpenError::Store { path: path.to_owned(), source };
        let me = identity.signer.author();
        let session = identity.session;
        let (cluster, genesis) = match stored_cluster(&database).map_err(failed)? {
            Some(Founded { schema, .. }) if schema > tables::SCHEMA => return Err(OpenError::Newer { found: schema }),
            Some(founded) => (founded.cluster, None),
            None => {
                let genesis = found(&database, &identity).map_err(failed)?;
                (genesis.cluster(), Some(genesis))
            }
        };
        let database = Arc::new(database);
        let (events, _) = broadcast::channel(EVENTS);
        let leases = Arc::new(Leases::new(me));
        let settings = Settings { merge_blocks, removals: Removals::none() };
        let mut state = load_state(&database, cluster, identity, settings, &leases, &events).map_err(failed)?;
        if state.chains.author(&me).is_none() {
            return Err(OpenError::OtherKey(path.to_owned()));
        }
        if let Some(genesis) = genesis {
            // The founding record was this session's first.
            let mut place = Place::new(me, &Chains::default());
            place.wrote(&genesis).map_err(|error| failed(Fault::Chain(error.to_string())))?;
            state.place = place;
        }
        let (writer, thread) = Writer::start(state);
        Ok(Self { database, cluster, me, session, writer, thread: Mutex::new(Some(thread)), leases, events })
    }

    /// Returns the cluster's id.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Returns this node's key.
    #[must_use]
    pub fn me(&self) -> AuthorKey {
        self.me
    }

    /// Returns who edits documents in this run.
    #[must_use]
    pub fn actor(&self) -> octopoid_crdt::document::Actor {
        octopoid_crdt::document::Actor { author: self.me, session: self.session }
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

    /// Runs an operation and answers once its records are on disk.
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
    cluster: ClusterId,
}

fn stored_cluster(database: &Database) -> Result<Option<Founded>, Fault> {
    let txn = database.begin_read()?;
    let meta = match txn.open_table(tables::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let schema = meta.get("schema")?.and_then(|bytes| Some(u64::from_be_bytes(bytes.value().try_into().ok()?)));
    let cluster = meta.get("cluster")?.and_then(|bytes| Some(ClusterId(bytes.value().try_into().ok()?)));
    Ok(schema.zip(cluster).map(|(schema, cluster)| Founded { schema, cluster }))
}

/// Writes a Genesis record and every empty table, so that readers never meet a missing one.
fn found(database: &Database, identity: &Identity) -> Result<Verified, Fault> {
    let author = identity.signer.author();
    let body = Body::Genesis { creator: author, nonce: identity.nonce, root_commit: identity.root_commit.clone() };
    let cluster = cluster_id(&body).ok_or_else(|| Fault::Missing("genesis".to_owned()))?;
    let wall_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let payload =
        Payload { author, session: identity.session, seq: 0, prev: None, subject: Subject::CLUSTER, wall_ms, deps: Vec::new(), body };
    let genesis = Verified::sign(&identity.signer, cluster, payload).map_err(Fault::Sign)?;
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    {
        let mut meta = txn.open_table(tables::META)?;
        meta.insert("schema", tables::SCHEMA.to_be_bytes().as_slice())?;
        meta.insert("cluster", cluster.as_bytes().as_slice())?;
        meta.insert("next_task", 1u64.to_be_bytes().as_slice())?;
        txn.open_table(tables::RECORDS)?.insert(0, genesis.wire())?;
        txn.open_table(tables::RECORD_IDS)?.insert(genesis.id().as_bytes(), 0)?;
        let mut chains = Chains::default();
        let _first = chains.apply(&genesis, |_| None).map_err(|error| Fault::Chain(error.to_string()))?;
        let chain = chains.author(&author).map(octopoid_crdt::chain::AuthorChain::to_bytes).unwrap_or_default();
        txn.open_table(tables::TIPS)?.insert(author.as_bytes(), chain.as_slice())?;
        txn.open_table(tables::SUBJECTS)?;
        txn.open_table(tables::TASK_IDS)?;
        txn.open_table(tables::ENTRIES)?;
        txn.open_table(tables::ROWS)?;
        txn.open_table(tables::CONTENTS)?;
        txn.open_table(tables::DOCUMENTS)?;
        txn.open_table(tables::BUCKETS)?;
        txn.open_table(tables::BY_BUCKET)?;
        txn.open_table(tables::BY_FACET)?;
        txn.open_multimap_table(tables::DEPENDENTS)?;
        txn.open_table(tables::ITEMS)?;
        txn.open_table(tables::RUNS)?;
        txn.open_table(tables::IDEMPOTENCY)?;
    }
    txn.commit()?;
    Ok(genesis)
}

fn load_state(
    database: &Arc<Database>,
    cluster: ClusterId,
    identity: Identity,
    settings: Settings,
    leases: &Arc<Leases>,
    events: &broadcast::Sender<Arc<[Event]>>,
) -> Result<WriterState, Fault> {
    let reader = Reader::new(database.begin_read()?, cluster);
    let mut buckets = Buckets::default();
    for (_, key, size) in reader.buckets()? {
        buckets.restore(key, size);
    }
    let held = Filter { queues: vec!["claimed".to_owned()], ..Filter::default() };
    let reviewed = Filter { queues: vec!["provisional".to_owned()], ready: Some(false), ..Filter::default() };
    for filter in [held, reviewed] {
        for (_, row) in reader.list(&filter, Sort::Newest, 0, u64::MAX)?.tasks {
            if let Some(holder) = row.holder {
                leases.handle(Input::Opened { of: RecordId(holder.record), seconds: holder.ttl_seconds });
            }
        }
    }
    let txn = database.begin_read()?;
    let meta = txn.open_table(tables::META)?;
    let next_task = meta.get("next_task")?.and_then(|bytes| Some(u64::from_be_bytes(bytes.value().try_into().ok()?))).unwrap_or(1);
    let mut chains = Vec::new();
    for item in txn.open_table(tables::TIPS)?.iter()? {
        let (author, chain) = item?;
        let chain = AuthorChain::from_bytes(chain.value()).map_err(|error| Fault::Chain(error.to_string()))?;
        chains.push((AuthorKey(*author.value()), chain));
    }
    let chains = Chains::restore(chains);
    let records = txn.open_table(tables::RECORDS)?;
    let next_arrival = records.last()?.map_or(0, |(arrival, _)| arrival.value() + 1);
    Ok(WriterState {
        database: database.clone(),
        cluster,
        place: Place::new(identity.signer.author(), &chains),
        session: identity.session,
        chains,
        signer: identity.signer,
        next_arrival,
        next_task,
        buckets,
        settings,
        leases: leases.clone(),
        events: events.clone(),
    })
}
