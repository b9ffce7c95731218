//! The tables of the store, as `docs/storage.md` describes them.
//!
//! **Invariants**: records are keyed by arrival number and rows by task number, so that writes are mostly appends; the
//! random keys are id → number alone. Everything but [`RECORDS`] and the local tables can be rebuilt from the records.

use std::sync::OnceLock;

use redb::{Key, MultimapTableDefinition, ReadOnlyTable, ReadTransaction, TableDefinition, TableError, Value};

/// The version of what cannot be derived: records, local tables and facts; a store with another one is refused.
pub const SCHEMA: u64 = 2;
/// The version of the views; a store with an older one gets them derived anew, one with a newer one is refused.
pub const VIEWS: u64 = 5;

/// Facts of the store itself, by the names below.
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Arrival number → wire bytes, in causal order.
pub const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Record id → arrival number, and the number of the set of cluster records that it has seen.
pub const RECORD_IDS: TableDefinition<&[u8; 32], (u64, u32)> = TableDefinition::new("record_ids");
/// Author → its tips, as `chain` encodes them.
pub const TIPS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("tips");

/// Number of a counted cluster record → its arrival number, and the set that its past had seen.
pub const CLUSTER_RECORDS: TableDefinition<u32, (u64, u32)> = TableDefinition::new("cluster_records");
/// Number of a set of cluster records, from 1 → the set, as `membership` encodes it.
pub const SEEN_SETS: TableDefinition<u32, &[u8]> = TableDefinition::new("seen_sets");

/// Subject → task number.
pub const SUBJECTS: TableDefinition<&[u8; 32], u64> = TableDefinition::new("subjects");
/// (task id, scope) → task number: id first, so that an id is found in every scope and by prefix.
pub const TASK_IDS: TableDefinition<(&str, &str), u64> = TableDefinition::new("task_ids");
/// (task number, index in the task's log) → arrival number, author's time and entry.
pub const ENTRIES: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("entries");
/// Task number → row: everything that a list needs but the body.
pub const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// Task number → body text.
pub const CONTENTS: TableDefinition<u64, &str> = TableDefinition::new("contents");
/// Task number → saved automerge document; the changes left out of it are in their records only.
pub const DOCUMENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("documents");

/// Bucket number → bucket key and how many tasks are in it.
pub const BUCKETS: TableDefinition<u32, (&[u8], u64)> = TableDefinition::new("buckets");
/// (bucket, [`newest_first`] of the creation, task id) → task number: a bucket's tasks, newest first, ties by id.
pub const BY_BUCKET: TableDefinition<(u32, u64, &str), u64> = TableDefinition::new("by_bucket");
/// (facet, value, bucket, [`newest_first`] of the creation, task id) → task number: tasks by project, holder and duty.
pub const BY_FACET: TableDefinition<(u8, &str, u32, u64, &str), u64> = TableDefinition::new("by_facet");
/// Subject of a blocker → numbers of the tasks that name it.
pub const DEPENDENTS: MultimapTableDefinition<&[u8; 32], u64> = MultimapTableDefinition::new("dependents");

/// (collection, scope, key) → entry of a plain collection.
pub const ITEMS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("items");
/// Subject of an entry of a plain collection → arrival numbers of its records.
pub const ITEM_RECORDS: MultimapTableDefinition<&[u8; 32], u64> = MultimapTableDefinition::new("item_records");
/// How a post is found: scope, facet, value, its author's time and number in the session, its record.
pub type PostTableKey = (&'static str, u8, &'static str, u64, u64, &'static [u8; 32]);
/// (scope, facet, value, time, number, record id) → until when it is listed, in milliseconds since 1970: messages and actions by filter.
pub const POSTS: TableDefinition<PostTableKey, u64> = TableDefinition::new("posts");
/// (collection, scope, id) → number of a document that is not a task's, such as a project's.
pub const DOCUMENT_IDS: TableDefinition<(&str, &str, &str), u64> = TableDefinition::new("document_ids");

/// Local, not derived: attempt's claim id → what this node runs for it.
pub const RUNS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("local_runs");
/// Local, not derived: idempotency key → the answer's task.
pub const IDEMPOTENCY: TableDefinition<&str, &[u8]> = TableDefinition::new("local_idempotency");

/// Local, not derived: member → the arrival number of this node's latest record that the member holds.
pub const ACKNOWLEDGED: TableDefinition<&[u8; 32], u64> = TableDefinition::new("local_acknowledged");

/// In [`META`]: [`SCHEMA`] of the program that made the store, 8 bytes.
pub const META_SCHEMA: &str = "schema";
/// In [`META`]: [`VIEWS`] of the program that derived the views, 8 bytes.
pub const META_VIEWS: &str = "views";
/// In [`META`]: the key of the node that the store belongs to, 32 bytes.
pub const META_NODE: &str = "node";
/// In [`META`]: the cluster's id, 32 bytes.
pub const META_CLUSTER: &str = "cluster";
/// In [`META`]: the number of the next new task, 8 bytes.
pub const META_NEXT_TASK: &str = "next_task";
/// In [`META`]: whether rows were derived with accepted branches blocking until they are merged, 1 byte.
pub const META_MERGE_BLOCKS: &str = "merge_blocks";
/// In [`META`], local: from which arrival number on records are still to be judged, 8 bytes; present while some are.
pub const META_PUT_OFF: &str = "put_off";
/// In [`META`]: present while the views are being derived anew; what is found then is not to be read.
pub const META_REBUILDING: &str = "rebuilding";

/// A table of one snapshot, opened when it is first needed: opening looks it up by its name, which every read would repeat.
pub(super) struct Lazy<K: Key + 'static, V: Value + 'static> {
    definition: TableDefinition<'static, K, V>,
    table: OnceLock<ReadOnlyTable<K, V>>,
}

impl<K: Key + 'static, V: Value + 'static> Lazy<K, V> {
    pub const fn new(definition: TableDefinition<'static, K, V>) -> Self {
        Self { definition, table: OnceLock::new() }
    }

    /// Returns the table as the snapshot has it.
    pub fn of(&self, txn: &ReadTransaction) -> Result<&ReadOnlyTable<K, V>, TableError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let opened = txn.open_table(self.definition)?;
        Ok(self.table.get_or_init(|| opened))
    }
}

/// Turns a time of creation into a key that sorts the newest first.
#[must_use]
pub const fn newest_first(created_ms: u64) -> u64 {
    u64::MAX - created_ms
}
