//! One consistent snapshot of the store, for everything that only reads.
//!
//! **Invariants**: a reader sees whole commits and never waits for the writer.

use minicbor::decode;
use octopoid_crdt::chain::{AuthorChain, Chains};
use octopoid_crdt::ids::{AuthorKey, ClusterId, RecordId, Subject};
use octopoid_crdt::lifecycle::{Entry, TaskLog};
use octopoid_crdt::membership::{Membership, Seen};
use octopoid_crdt::record::Verified;
use redb::{ReadTransaction, ReadableTable};

use super::index::{BucketKey, BucketNo, Facet};
use super::items::ItemRow;
use super::row::{Holder, TaskNo, TaskRow};
use super::tables::{self, Lazy};
use super::{Fault, Stored};

/// A snapshot.
pub struct Reader {
    txn: ReadTransaction,
    cluster: ClusterId,
    records: Lazy<u64, &'static [u8]>,
    record_ids: Lazy<&'static [u8; 32], (u64, u32)>,
    subjects: Lazy<&'static [u8; 32], u64>,
    task_ids: Lazy<(&'static str, &'static str), u64>,
    entries: Lazy<(u64, u32), &'static [u8]>,
    rows: Lazy<u64, &'static [u8]>,
    contents: Lazy<u64, &'static str>,
    documents: Lazy<u64, &'static [u8]>,
    items: Lazy<(&'static str, &'static str, &'static str), &'static [u8]>,
    answers: Lazy<&'static str, &'static [u8]>,
    pub(super) posts: Lazy<tables::PostTableKey, u64>,
}

/// A task's log with the arrival number of each of its records.
#[derive(Debug, Clone)]
pub struct StoredLog {
    /// What the lifecycle rules need.
    pub log: TaskLog,
    /// For each entry the number of its record.
    pub arrivals: Vec<u64>,
    /// For each entry when its author says it was written, so that views need not read records for it.
    pub walls: Vec<u64>,
}

impl StoredLog {
    /// Returns an empty log.
    pub(super) const fn new(subject: Subject) -> Self {
        Self { log: TaskLog::new(subject), arrivals: Vec::new(), walls: Vec::new() }
    }

    /// Returns the number of a record of the log.
    pub(super) fn arrival(&self, id: &RecordId) -> Option<u64> {
        self.arrivals.get(usize::try_from(self.log.position(id)?).ok()?).copied()
    }

    /// Returns when the author of a record of the log says it was written.
    pub(super) fn wall_ms(&self, id: &RecordId) -> Option<u64> {
        self.walls.get(usize::try_from(self.log.position(id)?).ok()?).copied()
    }
}

/// A record that one author continued twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkPoint {
    /// Whose chain forked.
    pub author: AuthorKey,
    /// The record that is continued twice; none for two beginnings.
    pub at: Option<RecordId>,
}

impl Reader {
    pub(super) fn new(txn: ReadTransaction, cluster: ClusterId) -> Self {
        Self {
            txn,
            cluster,
            records: Lazy::new(tables::RECORDS),
            record_ids: Lazy::new(tables::RECORD_IDS),
            subjects: Lazy::new(tables::SUBJECTS),
            task_ids: Lazy::new(tables::TASK_IDS),
            entries: Lazy::new(tables::ENTRIES),
            rows: Lazy::new(tables::ROWS),
            contents: Lazy::new(tables::CONTENTS),
            documents: Lazy::new(tables::DOCUMENTS),
            items: Lazy::new(tables::ITEMS),
            answers: Lazy::new(tables::IDEMPOTENCY),
            posts: Lazy::new(tables::POSTS),
        }
    }

    pub(super) fn txn(&self) -> &ReadTransaction {
        &self.txn
    }

    /// Returns the number of a task by scope and id, deleted ones included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn task_no(&self, scope: &str, id: &str) -> Result<Option<TaskNo>, Fault> {
        Ok(self.task_ids.of(&self.txn)?.get((id, scope))?.map(|no| no.value()))
    }

    /// Returns the scopes in which a task of this id is known, with its numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn scopes_of(&self, id: &str) -> Result<Vec<(String, TaskNo)>, Fault> {
        let table = self.task_ids.of(&self.txn)?;
        let mut found = Vec::new();
        for item in table.range((id, "")..)? {
            let (key, no) = item?;
            let (known, scope) = key.value();
            if known != id {
                break;
            }
            found.push((scope.to_owned(), no.value()));
        }
        Ok(found)
    }

    /// Returns at most `limit` tasks whose id starts with `prefix`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn ids_with_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<(String, String, TaskNo)>, Fault> {
        let table = self.task_ids.of(&self.txn)?;
        let mut found = Vec::new();
        for item in table.range((prefix, "")..)? {
            let (key, no) = item?;
            let (id, scope) = key.value();
            if !id.starts_with(prefix) || found.len() >= limit {
                break;
            }
            found.push((id.to_owned(), scope.to_owned(), no.value()));
        }
        Ok(found)
    }

    /// Returns a task's number by the subject of its records.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn by_subject(&self, subject: &Subject) -> Result<Option<TaskNo>, Fault> {
        Ok(self.subjects.of(&self.txn)?.get(subject.as_bytes())?.map(|no| no.value()))
    }

    /// Returns a task's row.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn row(&self, no: TaskNo) -> Result<Option<TaskRow>, Fault> {
        let table = self.rows.of(&self.txn)?;
        table.get(no)?.map(|bytes| decode(bytes.value()).map_err(|source| Fault::Row { no, source })).transpose()
    }

    /// Returns at most `limit` rows after a number, tasks and other documents, deleted ones too, in the order of their numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rows_after(&self, no: TaskNo, limit: usize) -> Result<Vec<(TaskNo, TaskRow)>, Fault> {
        let table = self.rows.of(&self.txn)?;
        let mut found = Vec::new();
        for item in table.range(no.saturating_add(1)..)?.take(limit) {
            let (no, bytes) = item?;
            let row = decode(bytes.value()).map_err(|source| Fault::Row { no: no.value(), source })?;
            found.push((no.value(), row));
        }
        Ok(found)
    }

    /// Returns a task's body; none where it has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn content(&self, no: TaskNo) -> Result<Option<String>, Fault> {
        Ok(self.contents.of(&self.txn)?.get(no)?.map(|text| text.value().to_owned()))
    }

    /// Returns a task's log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn log(&self, no: TaskNo) -> Result<StoredLog, Fault> {
        let row = self.row(no)?.ok_or_else(|| Fault::Missing(format!("row {no}")))?;
        self.log_of(no, Subject(row.subject))
    }

    /// Returns the log of a task whose subject is known.
    pub(super) fn log_of(&self, no: TaskNo, subject: Subject) -> Result<StoredLog, Fault> {
        let table = self.entries.of(&self.txn)?;
        let (mut entries, mut arrivals, mut walls) = (Vec::new(), Vec::new(), Vec::new());
        for item in table.range((no, 0)..=(no, u32::MAX))? {
            let (_, value) = item?;
            let (arrival, wall_ms, entry) = split_entry(value.value()).ok_or(Fault::Entry { no })?;
            arrivals.push(arrival);
            walls.push(wall_ms);
            entries.push(entry);
        }
        Ok(StoredLog { log: TaskLog::from_entries(subject, entries), arrivals, walls })
    }

    /// Returns a record by its arrival number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(&self, arrival: u64) -> Result<Option<Verified>, Fault> {
        let table = self.records.of(&self.txn)?;
        let found = table.get(arrival)?;
        found
            .map(|wire| Verified::from_own_store(self.cluster, wire.value()).map_err(|source| Fault::Record { arrival, source }))
            .transpose()
    }

    pub(super) fn record_table(&self) -> Result<&redb::ReadOnlyTable<u64, &'static [u8]>, Fault> {
        Ok(self.records.of(&self.txn)?)
    }

    /// Returns the arrival number of this node's latest record that a member is known to hold.
    pub(super) fn acknowledged_by(&self, member: &AuthorKey) -> Result<Option<u64>, Fault> {
        Ok(self.txn.open_table(tables::ACKNOWLEDGED)?.get(member.as_bytes())?.map(|arrival| arrival.value()))
    }

    /// Returns a record's arrival number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn arrival(&self, id: &RecordId) -> Result<Option<u64>, Fault> {
        Ok(self.record_ids.of(&self.txn)?.get(id.as_bytes())?.map(|row| row.value().0))
    }

    /// Returns which cluster records a record has seen.
    pub(super) fn seen(&self, id: &RecordId) -> Result<Option<Seen>, Fault> {
        Ok(self.record_ids.of(&self.txn)?.get(id.as_bytes())?.map(|row| Seen(row.value().1)))
    }

    /// Puts the membership together from its tables.
    pub(super) fn membership(&self) -> Result<Membership, Fault> {
        let mut sets = Vec::new();
        for item in self.txn.open_table(tables::SEEN_SETS)?.iter()? {
            sets.push(item?.1.value().to_vec());
        }
        let mut counted = Vec::new();
        for item in self.txn.open_table(tables::CLUSTER_RECORDS)?.iter()? {
            let (arrival, past) = item?.1.value();
            let record = self.record(arrival)?.ok_or_else(|| Fault::Missing(arrival.to_string()))?;
            counted.push((record, Seen(past)));
        }
        Ok(Membership::restore(sets.iter().map(Vec::as_slice), counted)?)
    }

    /// Tells whether the record of an arrival is one about the cluster that counts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn counts_in_cluster(&self, arrival: u64) -> Result<bool, Fault> {
        for item in self.txn.open_table(tables::CLUSTER_RECORDS)?.iter()? {
            if item?.1.value().0 == arrival {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the arrival number that the next record will get.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_arrival(&self) -> Result<u64, Fault> {
        Ok(self.records.of(&self.txn)?.last()?.map_or(0, |(arrival, _)| arrival.value() + 1))
    }

    /// Returns every bucket with its size.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn buckets(&self) -> Result<Vec<(BucketNo, BucketKey, u64)>, Fault> {
        let mut buckets = Vec::new();
        for item in self.txn.open_table(tables::BUCKETS)?.iter()? {
            let (number, value) = item?;
            let (key, size) = value.value();
            let key = decode(key).map_err(|source| Fault::Row { no: u64::from(number.value()), source })?;
            buckets.push((number.value(), key, size));
        }
        Ok(buckets)
    }

    /// Returns what this node runs, as it was kept by `Unit::set_run`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn runs(&self) -> Result<Vec<Vec<u8>>, Fault> {
        let table = self.txn.open_table(tables::RUNS)?;
        table.iter()?.map(|item| Ok(item?.1.value().to_vec())).collect()
    }

    /// Returns an entry of a plain collection.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn item(&self, collection: &str, scope: &str, key: &str) -> Result<Option<Stored>, Fault> {
        Ok(self.item_row(collection, scope, key)?.and_then(ItemRow::shown))
    }

    pub(super) fn item_row(&self, collection: &str, scope: &str, key: &str) -> Result<Option<ItemRow>, Fault> {
        let table = self.items.of(&self.txn)?;
        table.get((collection, scope, key))?.map(|bytes| decode(bytes.value()).map_err(|source| Fault::Row { no: 0, source })).transpose()
    }

    /// Returns the arrival numbers of the records about an entry of a plain collection.
    pub(super) fn item_records(&self, subject: &Subject) -> Result<Vec<u64>, Fault> {
        let table = self.txn.open_multimap_table(tables::ITEM_RECORDS)?;
        table.get(subject.as_bytes())?.map(|arrival| Ok(arrival?.value())).collect()
    }

    /// Returns the number of a document that is not a task's, deleted ones included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn document_no(&self, collection: &str, scope: &str, id: &str) -> Result<Option<TaskNo>, Fault> {
        Ok(self.txn.open_table(tables::DOCUMENT_IDS)?.get((collection, scope, id))?.map(|no| no.value()))
    }

    /// Returns the scopes that hold documents of a collection, deleted ones included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn document_scopes(&self, collection: &str) -> Result<Vec<String>, Fault> {
        scopes(&self.txn.open_table(tables::DOCUMENT_IDS)?, collection)
    }

    /// Returns the scopes that hold entries of a plain collection, removed ones included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn item_scopes(&self, collection: &str) -> Result<Vec<String>, Fault> {
        scopes(self.items.of(&self.txn)?, collection)
    }

    /// Returns the rows of a collection's documents that are there, in one scope or in all, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn documents(&self, collection: &str, scope: Option<&str>) -> Result<Vec<(TaskNo, TaskRow)>, Fault> {
        let table = self.txn.open_table(tables::DOCUMENT_IDS)?;
        let mut found = Vec::new();
        for item in table.range((collection, scope.unwrap_or(""), "")..)? {
            let (key, no) = item?;
            let (known, in_scope, _) = key.value();
            if known != collection || scope.is_some_and(|scope| scope != in_scope) {
                break;
            }
            found.extend(self.row(no.value())?.filter(|row| row.listed).map(|row| (no.value(), row)));
        }
        Ok(found)
    }

    /// Returns the entries of a collection in one scope, or in all, in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn items(&self, collection: &str, scope: Option<&str>) -> Result<Vec<(String, String, Stored)>, Fault> {
        let table = self.items.of(&self.txn)?;
        let mut found = Vec::new();
        for item in table.range((collection, scope.unwrap_or(""), "")..)? {
            let (key, value) = item?;
            let (known, in_scope, name) = key.value();
            if known != collection || scope.is_some_and(|scope| scope != in_scope) {
                break;
            }
            let row: ItemRow = decode(value.value()).map_err(|source| Fault::Row { no: 0, source })?;
            found.extend(row.shown().map(|stored| (in_scope.to_owned(), name.to_owned(), stored)));
        }
        Ok(found)
    }

    /// Returns who holds claims and reviews now.
    pub(super) fn holders(&self) -> Result<Vec<Holder>, Fault> {
        let (first, next) = (Facet::ClaimedBy as u8, Facet::ClaimedBy as u8 + 1);
        let mut holders = Vec::new();
        for item in self.txn.open_table(tables::BY_FACET)?.range((first, "", 0, 0, "")..(next, "", 0, 0, ""))? {
            let (_, no) = item?;
            holders.extend(self.row(no.value())?.and_then(|row| row.holder));
        }
        Ok(holders)
    }

    /// Returns a task's saved document.
    pub(super) fn document(&self, no: TaskNo) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.documents.of(&self.txn)?.get(no)?.map(|bytes| bytes.value().to_vec()))
    }

    /// Returns where authors continued one record twice, which tells of a restored backup or a copied key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn forks(&self) -> Result<Vec<ForkPoint>, Fault> {
        let chains = self.chains()?;
        let points = chains.authors().flat_map(|(author, chain)| chain.forks().map(|at| ForkPoint { author: *author, at: at.copied() }));
        Ok(points.collect())
    }

    /// Returns every author's chain: tips, their digest, what a peer lacks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn chains(&self) -> Result<Chains, Fault> {
        let mut chains = Vec::new();
        for item in self.txn.open_table(tables::TIPS)?.iter()? {
            let (author, chain) = item?;
            let chain = AuthorChain::from_bytes(chain.value()).map_err(|error| Fault::Chain(error.to_string()))?;
            chains.push((AuthorKey(*author.value()), chain));
        }
        Ok(Chains::restore(chains))
    }

    /// Returns what was kept for an idempotency key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answer(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.answers.of(&self.txn)?.get(key)?.map(|answer| answer.value().to_vec()))
    }

    /// Returns at most `limit` keys of answers from one key up to another.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answers_between(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, Fault> {
        let table = self.answers.of(&self.txn)?;
        table.range(from..to)?.take(limit).map(|item| Ok(item?.0.value().to_owned())).collect()
    }
}

/// Returns the scopes in a table by collection, scope and id; reads one key of each.
fn scopes<V: redb::Value + 'static>(
    table: &impl ReadableTable<(&'static str, &'static str, &'static str), V>,
    collection: &str,
) -> Result<Vec<String>, Fault> {
    let (mut found, mut from) = (Vec::new(), String::new());
    while let Some(item) = table.range((collection, from.as_str(), "")..)?.next() {
        let (key, _) = item?;
        let (known, scope, _) = key.value();
        if known != collection {
            break;
        }
        // No scope holds a NUL, so this is the least text above it.
        from = format!("{scope}\0");
        found.push(scope.to_owned());
    }
    Ok(found)
}

/// Joins a record's arrival number, its author's time and its entry for [`tables::ENTRIES`].
pub(super) fn join_entry(arrival: u64, wall_ms: u64, entry: &Entry) -> Vec<u8> {
    let mut bytes = arrival.to_be_bytes().to_vec();
    bytes.extend_from_slice(&wall_ms.to_be_bytes());
    bytes.extend_from_slice(&entry.encode());
    bytes
}

fn split_entry(bytes: &[u8]) -> Option<(u64, u64, Entry)> {
    let (arrival, rest) = bytes.split_first_chunk::<8>()?;
    let (wall_ms, entry) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*arrival), u64::from_be_bytes(*wall_ms), Entry::decode(entry).ok()?))
}
