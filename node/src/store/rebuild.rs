//! Derives every view anew from the records: for damaged views, for a changed layout, for a setting that views depend on.
//!
//! **Invariants**: records and local tables are never written here; a rebuild that is cut off is done again at the next
//! start, before anything reads the half-made views; the file is copied before anything is dropped.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use octopoid_crdt::chain::Chains;
use octopoid_crdt::record::Verified;
use redb::{ReadableDatabase, ReadableTableMetadata, WriteTransaction};

use super::index::{Buckets, Facet};
use super::list::{Filter, Sort};
use super::open::Store;
use super::state::WriterState;
use super::unit::Unit;
use super::writer::Unavailable;
use super::{Fault, tables};

/// How many records are derived in one transaction: large enough to be fast, small enough to stay in memory.
pub(super) const BATCH: usize = 512;

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many records the views were derived from.
    pub records: u64,
    /// The copy of the file as it was before.
    pub backup: PathBuf,
}

/// States why the views were not derived anew.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The file could not be copied; nothing was changed.
    #[error("the store could not be copied to {path}; nothing was changed")]
    Backup {
        /// Where to.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Unavailable),
}

impl Store {
    /// Copies the file and derives all views anew. Writes wait meanwhile; readers see views that are not complete.
    ///
    /// # Errors
    /// When the file cannot be copied, `backup` exists, a record is damaged, or the disk fails.
    pub async fn rebuild(&self, backup: PathBuf) -> Result<Rebuilt, RebuildError> {
        let (path, copy) = (self.path().to_owned(), backup.clone());
        let done = self.writer().alone(move |state| match back_up_anew(&path, &copy) {
            Ok(()) => {
                check_records(state)?;
                derive_again(state).map(Ok)
            }
            Err(source) => Ok(Err(source)),
        });
        match done.await? {
            Ok(records) => Ok(Rebuilt { records, backup }),
            Err(source) => Err(RebuildError::Backup { path: backup, source }),
        }
    }
}

/// Copies a store's file while nothing writes to it, and waits until the copy is on disk: whole or not there.
pub(super) fn back_up(path: &Path, backup: &Path) -> io::Result<()> {
    let half = backup.with_added_extension("part");
    let mut to = File::create(&half)?;
    io::copy(&mut File::open(path)?, &mut to)?;
    to.sync_all()?;
    std::fs::rename(&half, backup)?;
    match backup.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Copies a store's file to where nothing is yet.
fn back_up_anew(path: &Path, backup: &Path) -> io::Result<()> {
    if backup.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    back_up(path, backup)
}

/// Refuses records that cannot be read, before any view is dropped.
fn check_records(state: &WriterState) -> Result<(), Fault> {
    let txn = state.database.begin_read()?;
    let records = txn.open_table(tables::RECORDS)?;
    for item in records.range(0..)? {
        let (arrival, wire) = item?;
        let arrival = arrival.value();
        Verified::check(state.cluster, wire.value()).map_err(|source| Fault::Record { arrival, source })?;
    }
    Ok(())
}

/// Makes every table, so that readers never meet a missing one.
pub(super) fn create_tables(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.open_table(tables::META)?;
    txn.open_table(tables::RECORDS)?;
    txn.open_table(tables::RUNS)?;
    txn.open_table(tables::IDEMPOTENCY)?;
    txn.open_table(tables::ACKNOWLEDGED)?;
    create_views(txn)
}

fn create_views(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.open_table(tables::RECORD_IDS)?;
    txn.open_table(tables::TIPS)?;
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
    txn.open_multimap_table(tables::ITEM_RECORDS)?;
    txn.open_table(tables::POSTS)?;
    txn.open_table(tables::DOCUMENT_IDS)?;
    txn.open_table(tables::CLUSTER_RECORDS)?;
    txn.open_table(tables::SEEN_SETS)?;
    Ok(())
}

fn drop_views(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.delete_table(tables::RECORD_IDS)?;
    txn.delete_table(tables::TIPS)?;
    txn.delete_table(tables::SUBJECTS)?;
    txn.delete_table(tables::TASK_IDS)?;
    txn.delete_table(tables::ENTRIES)?;
    txn.delete_table(tables::ROWS)?;
    txn.delete_table(tables::CONTENTS)?;
    txn.delete_table(tables::DOCUMENTS)?;
    txn.delete_table(tables::BUCKETS)?;
    txn.delete_table(tables::BY_BUCKET)?;
    txn.delete_table(tables::BY_FACET)?;
    txn.delete_multimap_table(tables::DEPENDENTS)?;
    txn.delete_table(tables::ITEMS)?;
    txn.delete_multimap_table(tables::ITEM_RECORDS)?;
    txn.delete_table(tables::POSTS)?;
    txn.delete_table(tables::DOCUMENT_IDS)?;
    txn.delete_table(tables::CLUSTER_RECORDS)?;
    txn.delete_table(tables::SEEN_SETS)?;
    Ok(())
}

/// Drops the views and derives them from the records in their order; returns how many records there are.
pub(super) fn derive_again(state: &mut WriterState) -> Result<u64, Fault> {
    let mut txn = state.database.begin_write()?;
    txn.set_quick_repair(true);
    drop_views(&txn)?;
    create_views(&txn)?;
    {
        let mut meta = txn.open_table(tables::META)?;
        meta.insert(tables::META_REBUILDING, [1].as_slice())?;
        meta.insert(tables::META_NEXT_TASK, 1u64.to_be_bytes().as_slice())?;
    }
    txn.commit()?;
    (state.chains, state.buckets) = (Chains::default(), Buckets::default());
    (state.next_arrival, state.next_task) = (0, 1);
    state.forget_membership();
    state.replaying = true;
    let replayed = replay(state);
    state.replaying = false;
    replayed?;
    let mut txn = state.database.begin_write()?;
    txn.set_quick_repair(true);
    let records = {
        let mut meta = txn.open_table(tables::META)?;
        meta.remove(tables::META_REBUILDING)?;
        meta.insert(tables::META_VIEWS, tables::VIEWS.to_be_bytes().as_slice())?;
        meta.insert(tables::META_MERGE_BLOCKS, [u8::from(state.settings.merge_blocks)].as_slice())?;
        txn.open_table(tables::RECORDS)?.len()?
    };
    txn.commit()?;
    Ok(records)
}

fn replay(state: &mut WriterState) -> Result<(), Fault> {
    loop {
        let txn = state.database.begin_read()?;
        let records = txn.open_table(tables::RECORDS)?;
        let mut batch = records.range(state.next_arrival..)?.take(BATCH).peekable();
        if batch.peek().is_none() {
            return Ok(());
        }
        let cluster = state.cluster;
        let mut unit = Unit::begin(state)?;
        for item in batch {
            let (arrival, wire) = item?;
            let arrival = arrival.value();
            let record = Verified::from_own_store(cluster, wire.value()).map_err(|source| Fault::Record { arrival, source })?;
            unit.state.next_arrival = arrival;
            match unit.apply(record, None) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Fault::Chain(format!("record {arrival}: {error}"))),
                // The unit keeps the reason for its commit.
                Err(_) => break,
            }
        }
        unit.commit()?;
    }
}

/// Derives the rows anew that depend on whether accepted branches block until they are merged.
pub(super) fn look_at_merges_again(state: &mut WriterState) -> Result<(), Fault> {
    let merge_blocks = state.settings.merge_blocks;
    let database = state.database.clone();
    let mut unit = Unit::begin(state)?;
    let waiting = Filter { facet: Some((Facet::AwaitingMerge, vec![String::new()])), ..Filter::default() };
    for (no, _) in unit.reader.list(&waiting, Sort::Newest, 0, u64::MAX)?.tasks {
        if let Ok(slot) = unit.slot(no) {
            slot.stale = true;
        }
    }
    unit.commit()?;
    // Written last: a crash before it lets the next start do the same again.
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    txn.open_table(tables::META)?.insert(tables::META_MERGE_BLOCKS, [u8::from(merge_blocks)].as_slice())?;
    txn.commit()?;
    Ok(())
}
