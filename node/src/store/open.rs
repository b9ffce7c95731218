//! Opens, founds and closes a store.
//!
//! **Invariants**: a store has one writer in one process; a store of a newer schema is refused untouched; a start reads
//! the buckets and the open leases, never the history.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use octopoid_crdt::chain::{Chains, Writer as Place};
use octopoid_crdt::ids::{AuthorKey, ClusterId, Oid, RecordId, SessionId, Subject};
use octopoid_crdt::lease::Input;
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::record::{Body, Payload, Signer, Verified, cluster_id};
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::broadcast;

use super::index::Buckets;
use super::read::{ForkPoint, Reader};
use super::rebuild::{back_up, create_tables, derive_again, look_at_merges_again};
use super::unit::{Unit, WriterState};
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
        let (signer, session) = (identity.signer.clone(), identity.session);
        let me = signer.author();
        let (cluster, genesis) = match stored_cluster(&database).map_err(failed)? {
            Some(Founded { schema, .. }) if schema > tables::SCHEMA => return Err(OpenError::Newer { found: schema }),
            Some(founded) => {
                // Half-made views are of a store that was copied already.
                if founded.schema < tables::SCHEMA && !founded.half_made {
                    let copy = path.with_extension(format!("schema-{}", founded.schema));
                    back_up(path, &copy).map_err(|source| OpenError::Backup { path: copy, source })?;
                }
                (founded.cluster, None)
            }
            None => {
                let genesis = found(&database, &identity, merge_blocks).map_err(failed)?;
                (genesis.cluster(), Some(genesis))
            }
        };
        let database = Arc::new(database);
        let (events, _) = broadcast::channel(EVENTS);
        let leases = Arc::new(Leases::new(me));
        let settings = Settings { merge_blocks, removals: Removals::none() };
        let mut state = load_state(&database, cluster, identity, settings.clone(), &leases, &events).map_err(failed)?;
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
        let path = path.to_owned();
        Ok(Self { database, path, cluster, signer, settings, session, writer, thread: Mutex::new(Some(thread)), leases, events })
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
    half_made: bool,
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
    let cluster = meta.get(tables::META_CLUSTER)?.and_then(|bytes| Some(ClusterId(bytes.value().try_into().ok()?)));
    let half_made = meta.get(tables::META_REBUILDING)?.is_some();
    Ok(Some(Founded { schema, cluster: cluster.ok_or_else(|| missing(tables::META_CLUSTER))?, half_made }))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Writes a Genesis record and every empty table, so that readers never meet a missing one.
fn found(database: &Database, identity: &Identity, merge_blocks: bool) -> Result<Verified, Fault> {
    let author = identity.signer.author();
    let body = Body::Genesis { creator: author, nonce: identity.nonce, root_commit: identity.root_commit.clone() };
    let cluster = cluster_id(&body).ok_or_else(|| Fault::Missing("genesis".to_owned()))?;
    let wall_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let payload =
        Payload { author, session: identity.session, seq: 0, prev: None, subject: Subject::CLUSTER, wall_ms, deps: Vec::new(), body };
    let genesis = Verified::sign(&identity.signer, cluster, payload).map_err(Fault::Sign)?;
    let mut chains = Chains::default();
    let _first = chains.apply(&genesis, |_| None).map_err(|error| Fault::Chain(error.to_string()))?;
    let chain = chains.author(&author).map(octopoid_crdt::chain::AuthorChain::to_bytes).unwrap_or_default();
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    create_tables(&txn)?;
    {
        let mut meta = txn.open_table(tables::META)?;
        meta.insert(tables::META_SCHEMA, tables::SCHEMA.to_be_bytes().as_slice())?;
        meta.insert(tables::META_CLUSTER, cluster.as_bytes().as_slice())?;
        meta.insert(tables::META_NEXT_TASK, 1u64.to_be_bytes().as_slice())?;
        meta.insert(tables::META_MERGE_BLOCKS, [u8::from(merge_blocks)].as_slice())?;
        txn.open_table(tables::RECORDS)?.insert(0, genesis.wire())?;
        txn.open_table(tables::RECORD_IDS)?.insert(genesis.id().as_bytes(), 0)?;
        txn.open_table(tables::TIPS)?.insert(author.as_bytes(), chain.as_slice())?;
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
    let txn = database.begin_read()?;
    let meta = txn.open_table(tables::META)?;
    let stored = |name: &str| meta.get(name).map(|found| found.map(|bytes| bytes.value().to_vec()));
    let next_task = stored(tables::META_NEXT_TASK)?.and_then(|bytes| number(&bytes)).unwrap_or(1);
    let half_made = stored(tables::META_REBUILDING)?.is_some();
    let old_layout = stored(tables::META_SCHEMA)?.and_then(|bytes| number(&bytes)) != Some(tables::SCHEMA);
    let merges_differ = stored(tables::META_MERGE_BLOCKS)? != Some(vec![u8::from(settings.merge_blocks)]);
    let next_arrival = txn.open_table(tables::RECORDS)?.last()?.map_or(0, |(arrival, _)| arrival.value() + 1);
    let me = identity.signer.author();
    let mut state = WriterState {
        database: database.clone(),
        cluster,
        place: Place::new(me, &Chains::default()),
        session: identity.session,
        chains: Chains::default(),
        signer: identity.signer,
        next_arrival,
        next_task,
        buckets: Buckets::default(),
        settings,
        leases: leases.clone(),
        events: events.clone(),
        replaying: false,
    };
    if half_made || old_layout {
        tracing::warn!("the views are derived anew from the records");
        derive_again(&mut state)?;
    } else {
        let reader = Reader::new(txn, cluster);
        state.chains = reader.chains()?;
        for (_, key, size) in reader.buckets()? {
            state.buckets.restore(key, size);
        }
        if merges_differ {
            look_at_merges_again(&mut state)?;
        }
    }
    state.place = Place::new(me, &state.chains);
    for holder in Reader::new(database.begin_read()?, cluster).holders()? {
        leases.handle(Input::Opened { of: RecordId(holder.record), seconds: holder.ttl_seconds });
    }
    Ok(state)
}
