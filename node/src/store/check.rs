//! Examines a store: do the records stand, and does every view follow from them?
//!
//! The views are derived a second time, into a scratch database, by the code that derived them first; then the two are
//! compared table by table. What differs was changed by something else than this program, or by a defect of it.
//!
//! **Invariants**: nothing of the store is changed; what is compared is one snapshot, while the node goes on writing;
//! memory is bounded whatever the number of records.

use std::collections::HashMap;
use std::sync::Arc;

use octopoid_crdt::chain::{Chains, Writer as Place};
use octopoid_crdt::document::Document;
use octopoid_crdt::membership::Membership;
use octopoid_crdt::record::Verified;
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Value};
use tokio::sync::{broadcast, watch};

use super::index::{BucketKey, BucketNo, Buckets};
use super::open::{CACHE_BYTES, Store};
use super::read::Reader;
use super::rebuild::{BATCH, create_tables};
use super::state::WriterState;
use super::unit::Unit;
use super::{Fault, Leases, tables};

/// How many problems one examination tells; the first ones are the useful ones.
const MOST: usize = 100;
/// The scratch copy of a larger store lies on disk.
const IN_MEMORY: u64 = 10_000;

/// What an examination found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many records were looked at.
    pub records: u64,
    /// How many tasks the lists hold.
    pub tasks: u64,
    /// What is wrong, one line each, at most 100; none when everything is right.
    pub problems: Vec<String>,
}

impl Findings {
    fn add(&mut self, problem: String) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        }
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }
}

impl Store {
    /// Verifies every record and compares every view with what the records say. Takes as long as deriving them did.
    ///
    /// # Errors
    /// When the database or the scratch copy fails; what is merely wrong is found, not an error.
    pub fn check(&self) -> Result<Findings, Fault> {
        let stored = self.reader()?;
        let mut found = Findings { records: stored.txn().open_table(tables::RECORDS)?.len()?, ..Findings::default() };
        found.tasks = stored.queue_counts(None)?.values().sum();
        let mut scratch = self.scratch(found.records)?;
        derive(&stored, &mut scratch, &mut found)?;
        let fresh = Reader::new(scratch.database.begin_read()?, scratch.cluster);
        compare(&stored, &fresh, &mut found)?;
        Ok(found)
    }

    fn scratch(&self, records: u64) -> Result<WriterState, Fault> {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = if records <= IN_MEMORY {
            builder.create_with_backend(InMemoryBackend::new())?
        } else {
            let path = self.path().with_extension("check");
            let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
            let database = builder.create_with_backend(FileBackend::new(file.map_err(redb::Error::Io)?)?)?;
            // Without a name it goes with this process, however that ends.
            std::fs::remove_file(&path).map_err(redb::Error::Io)?;
            database
        };
        let txn = database.begin_write()?;
        create_tables(&txn)?;
        txn.commit()?;
        let me = self.me();
        Ok(WriterState {
            database: Arc::new(database),
            cluster: self.cluster(),
            signer: self.signer().clone(),
            session: self.actor().session,
            place: Place::new(me, &Chains::default()),
            chains: Chains::default(),
            sets_stored: Membership::default().sets(),
            membership: Membership::default(),
            masks: Arc::default(),
            last_own: None,
            view: watch::channel(Arc::default()).0,
            masks_shown: watch::channel(Arc::default()).0,
            next_arrival: 0,
            next_task: 1,
            buckets: Buckets::default(),
            settings: self.settings().clone(),
            leases: Arc::new(Leases::new(me)),
            events: broadcast::channel(1).0,
            replaying: false,
        })
    }
}

/// Verifies the records and derives the views of those that stand.
fn derive(stored: &Reader, scratch: &mut WriterState, found: &mut Findings) -> Result<(), Fault> {
    let records = stored.txn().open_table(tables::RECORDS)?;
    let mut all = records.range(0..)?.peekable();
    while all.peek().is_some() && !found.is_full() {
        let cluster = scratch.cluster;
        let mut unit = Unit::begin(scratch)?;
        for item in all.by_ref().take(BATCH) {
            let (arrival, wire) = item?;
            let arrival = arrival.value();
            let record = match Verified::check(cluster, wire.value()) {
                Ok(record) => record,
                Err(error) => {
                    found.add(format!("record {arrival} does not stand: {error}"));
                    continue;
                }
            };
            if arrival != unit.state.next_arrival {
                found.add(format!("record {arrival} does not follow record {}", unit.state.next_arrival));
                unit.state.next_arrival = arrival;
            }
            let id = record.id();
            match unit.apply(record, None) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => found.add(format!("record {arrival} ({id}) does not fit: {error}")),
                // The unit keeps the reason for its commit.
                Err(_) => break,
            }
        }
        unit.commit()?;
    }
    Ok(())
}

fn compare(stored: &Reader, fresh: &Reader, found: &mut Findings) -> Result<(), Fault> {
    let (old, new) = (stored.txn(), fresh.txn());
    macro_rules! tables {
        ($($name:literal $table:ident),*) => {
            $(same($name, &old.open_table(tables::$table)?, &new.open_table(tables::$table)?, found)?;)*
        };
    }
    tables!("record_ids" RECORD_IDS, "tips" TIPS, "subjects" SUBJECTS, "task_ids" TASK_IDS, "entries" ENTRIES);
    tables!("rows" ROWS, "contents" CONTENTS, "items" ITEMS, "posts" POSTS, "document_ids" DOCUMENT_IDS);
    tables!("cluster_records" CLUSTER_RECORDS, "seen_sets" SEEN_SETS);
    documents(old, new, found)?;
    lists(stored, fresh, found)?;
    facets(stored, fresh, found)?;
    multimap(
        ["that task", "waits for subject"],
        &old.open_multimap_table(tables::DEPENDENTS)?,
        &new.open_multimap_table(tables::DEPENDENTS)?,
        found,
    )?;
    multimap(
        ["that record", "is about entry"],
        &old.open_multimap_table(tables::ITEM_RECORDS)?,
        &new.open_multimap_table(tables::ITEM_RECORDS)?,
        found,
    )?;
    let next = |txn: &ReadTransaction| -> Result<Option<Vec<u8>>, Fault> {
        Ok(txn.open_table(tables::META)?.get(tables::META_NEXT_TASK)?.map(|bytes| bytes.value().to_vec()))
    };
    if next(old)? != next(new)? {
        found.add("the number of the next task is wrong".to_owned());
    }
    Ok(())
}

/// Compares two tables whose keys are in the same order.
fn same<K: Key + 'static, V: Value + 'static>(
    name: &str,
    stored: &impl ReadableTable<K, V>,
    fresh: &impl ReadableTable<K, V>,
    found: &mut Findings,
) -> Result<(), Fault> {
    let (mut olds, mut news) = (stored.iter()?, fresh.iter()?);
    let (mut old, mut new) = (olds.next().transpose()?, news.next().transpose()?);
    while !found.is_full() {
        let order = match (&old, &new) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => K::compare(K::as_bytes(&a.value()).as_ref(), K::as_bytes(&b.value()).as_ref()),
        };
        match (order, &old, &new) {
            (std::cmp::Ordering::Less, Some((key, _)), _) => found.add(format!("{name} {:?} follows from no record", key.value())),
            (std::cmp::Ordering::Greater, _, Some((key, _))) => found.add(format!("{name} {:?} is missing", key.value())),
            (_, Some((key, a)), Some((_, b))) if V::as_bytes(&a.value()).as_ref() != V::as_bytes(&b.value()).as_ref() => {
                found.add(format!("{name} {:?} differs from what the records say", key.value()));
            }
            _ => {}
        }
        if order.is_le() {
            old = olds.next().transpose()?;
        }
        if order.is_ge() {
            new = news.next().transpose()?;
        }
    }
    Ok(())
}

/// Compares what documents say: the bytes may differ, as their changes may have come in another order.
fn documents(old: &ReadTransaction, new: &ReadTransaction, found: &mut Findings) -> Result<(), Fault> {
    let (stored, fresh) = (old.open_table(tables::DOCUMENTS)?, new.open_table(tables::DOCUMENTS)?);
    for item in fresh.range(0..)? {
        let (no, right) = item?;
        let no = no.value();
        let Some(bytes) = stored.get(no)? else {
            found.add(format!("the document of task {no} is missing"));
            continue;
        };
        match (Document::load_stored(bytes.value()), Document::load_stored(right.value())) {
            (Ok(stored), Ok(right)) if stored.heads() == right.heads() && stored.fields() == right.fields() => {}
            (Ok(_), Ok(_)) => found.add(format!("the document of task {no} differs from what the records say")),
            (Err(error), _) | (_, Err(error)) => found.add(format!("the document of task {no} does not load: {error}")),
        }
    }
    if stored.len()? > fresh.len()? {
        found.add(format!("{} documents follow from no record", stored.len()? - fresh.len()?));
    }
    Ok(())
}

/// Compares sizes and contents of buckets; their numbers may differ.
fn lists(stored: &Reader, fresh: &Reader, found: &mut Findings) -> Result<(), Fault> {
    let numbers: HashMap<BucketKey, BucketNo> = fresh.buckets()?.into_iter().map(|(no, key, _)| (key, no)).collect();
    let (olds, news) = (stored.txn().open_table(tables::BY_BUCKET)?, fresh.txn().open_table(tables::BY_BUCKET)?);
    let mut seen = 0;
    for (number, key, size) in stored.buckets()? {
        let old = olds.range((number, 0, "")..=(number, u64::MAX, "\u{10FFFF}"))?;
        let mut new = match numbers.get(&key) {
            Some(number) => Some(news.range((*number, 0, "")..=(*number, u64::MAX, "\u{10FFFF}"))?),
            None => None,
        };
        let mut count = 0;
        for item in old {
            let (at, no) = item?;
            let right = match new.as_mut().and_then(Iterator::next).transpose()? {
                Some((right, same)) => (right.value().1, right.value().2) == (at.value().1, at.value().2) && same.value() == no.value(),
                None => false,
            };
            if !right {
                found.add(format!("task {} is listed where it does not belong: {key:?}", no.value()));
                break;
            }
            count += 1;
        }
        seen += count;
        if count != size {
            found.add(format!("a list counts {size} tasks and holds {count}: {key:?}"));
        }
    }
    if seen != news.len()? || seen != olds.len()? {
        found.add(format!("the lists hold {} tasks, there are {}", olds.len()?, news.len()?));
    }
    Ok(())
}

fn facets(stored: &Reader, fresh: &Reader, found: &mut Findings) -> Result<(), Fault> {
    let keys: HashMap<BucketNo, BucketKey> = stored.buckets()?.into_iter().map(|(no, key, _)| (no, key)).collect();
    let numbers: HashMap<BucketKey, BucketNo> = fresh.buckets()?.into_iter().map(|(no, key, _)| (key, no)).collect();
    let (olds, news) = (stored.txn().open_table(tables::BY_FACET)?, fresh.txn().open_table(tables::BY_FACET)?);
    for item in olds.range((0, "", 0, 0, "")..)? {
        let (at, no) = item?;
        let (facet, value, bucket, created, id) = at.value();
        let right = match keys.get(&bucket).and_then(|key| numbers.get(key)) {
            Some(number) => news.get((facet, value, *number, created, id))?.map(|no| no.value()),
            None => None,
        };
        if right != Some(no.value()) {
            found.add(format!("task {} is found under facet {facet} '{value}', where it does not belong", no.value()));
        }
    }
    if olds.len()? < news.len()? {
        found.add(format!("{} tasks are not found under their facets", news.len()? - olds.len()?));
    }
    Ok(())
}

type Numbers = redb::ReadOnlyMultimapTable<&'static [u8; 32], u64>;

/// Compares which numbers lie under which subjects.
fn multimap([who, does]: [&str; 2], stored: &Numbers, fresh: &Numbers, found: &mut Findings) -> Result<(), Fault> {
    for (have, want, what) in [(stored, fresh, "follows from no record"), (fresh, stored, "is missing")] {
        for item in redb::ReadableMultimapTable::iter(have)? {
            let (subject, numbers) = item?;
            let others = want.get(subject.value())?.map(|no| Ok(no?.value())).collect::<Result<Vec<u64>, redb::StorageError>>()?;
            for no in numbers {
                let no = no?.value();
                if !others.contains(&no) {
                    found.add(format!("{who} {no} {does} {} {what}", hex::encode(subject.value())));
                }
            }
        }
    }
    Ok(())
}
