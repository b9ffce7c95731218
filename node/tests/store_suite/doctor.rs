//! What the doctor finds, and that a rebuild gives the same views again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use octopoid_crdt::document::{Document, Edit};
use octopoid_crdt::ids::Subject;
use octopoid_crdt::record::Queue;
use octopoid_node::ops::members::remove;
use octopoid_node::store::index::BucketKey;
use octopoid_node::store::{OpenError, RebuildError, Store, tables};
use redb::{Database, MultimapTableHandle, ReadableDatabase, ReadableMultimapTable, ReadableTable, TableHandle, WriteTransaction};

use crate::cluster::{bring, cluster};
use crate::machine::Machine;
use crate::world::{Random, add, block_on, identity, identity_of, plain};

/// A store in a file of its own.
struct Scratch {
    dir: tempfile::TempDir,
    random: Random,
}

impl Scratch {
    fn new(seed: u64) -> Self {
        Self { dir: tempfile::tempdir().expect("scratch folder"), random: Random::new(seed) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("octopoid.redb")
    }

    fn try_open(&mut self, merge_blocks: bool) -> Result<Store, OpenError> {
        Store::open(&self.path(), identity(&mut self.random), merge_blocks)
    }

    fn open(&mut self) -> Store {
        self.try_open(true).expect("store")
    }

    /// Fills a store with the traces of random commands.
    fn filled(seed: u64, steps: u64) -> Self {
        let mut scratch = Self::new(seed);
        let mut machine = Machine::new(scratch.open(), Random::new(seed));
        block_on(async {
            for _ in 0..steps {
                machine.step().await;
            }
        });
        machine.store.close();
        scratch
    }

    /// Changes the file behind the store's back.
    fn tamper(&self, act: impl FnOnce(&WriteTransaction)) {
        let database = Database::open(self.path()).expect("database");
        let txn = database.begin_write().expect("transaction");
        act(&txn);
        txn.commit().expect("commit");
    }

    fn problems(&mut self) -> Vec<String> {
        let store = self.open();
        let problems = store.check().expect("examined").problems;
        store.close();
        problems
    }
}

type Dump = BTreeMap<String, Vec<String>>;

/// Reads every table. Buckets are named by their keys, documents by what they say: their numbers and bytes may differ.
fn dump(path: &Path) -> Dump {
    let database = Database::open(path).expect("database");
    let txn = database.begin_read().expect("transaction");
    let mut dump = Dump::new();
    macro_rules! tables {
        ($($table:ident),*) => {$(
            let rows = txn.open_table(tables::$table).expect("table");
            let rows = rows.iter().expect("rows").map(|row| row.map(|(key, value)| format!("{:?} = {:?}", key.value(), value.value())));
            dump.insert(tables::$table.name().to_owned(), rows.collect::<Result<_, _>>().expect("row"));
        )*};
    }
    tables!(META, RECORDS, RECORD_IDS, TIPS, CLUSTER_RECORDS, SEEN_SETS, SUBJECTS, TASK_IDS, ENTRIES, ROWS, CONTENTS, ITEMS);
    tables!(DOCUMENT_IDS, RUNS, IDEMPOTENCY, ACKNOWLEDGED);
    let mut keys = BTreeMap::new();
    let mut sizes = Vec::new();
    for bucket in txn.open_table(tables::BUCKETS).expect("table").iter().expect("rows") {
        let (number, value) = bucket.expect("row");
        let (key, size) = value.value();
        let key = format!("{:?}", minicbor::decode::<BucketKey>(key).expect("key"));
        if size > 0 {
            sizes.push(format!("{key} = {size}"));
        }
        keys.insert(number.value(), key);
    }
    let (mut lists, mut facets, mut documents, mut waits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entry in txn.open_table(tables::BY_BUCKET).expect("table").iter().expect("rows") {
        let (at, no) = entry.expect("row");
        let (bucket, created, id) = at.value();
        lists.push(format!("{} {created} {id} = {}", keys[&bucket], no.value()));
    }
    for entry in txn.open_table(tables::BY_FACET).expect("table").iter().expect("rows") {
        let (at, no) = entry.expect("row");
        let (facet, value, bucket, created, id) = at.value();
        facets.push(format!("{facet} {value} {} {created} {id} = {}", keys[&bucket], no.value()));
    }
    for entry in txn.open_table(tables::DOCUMENTS).expect("table").iter().expect("rows") {
        let (no, bytes) = entry.expect("row");
        let document = Document::load_stored(bytes.value()).expect("a document that loads");
        documents.push(format!("{} = {:?} {:?}", no.value(), document.heads(), document.fields()));
    }
    for entry in txn.open_multimap_table(tables::DEPENDENTS).expect("table").iter().expect("rows") {
        let (subject, tasks) = entry.expect("row");
        waits.push(format!("{:?} = {:?}", subject.value(), tasks.map(|no| no.expect("row").value()).collect::<Vec<_>>()));
    }
    for (name, mut rows) in
        [("buckets", sizes), ("by_bucket", lists), ("by_facet", facets), ("documents", documents), ("dependents", waits)]
    {
        rows.sort();
        dump.insert(name.to_owned(), rows);
    }
    assert_eq!(tables::DEPENDENTS.name(), "dependents");
    dump
}

fn assert_same(before: &Dump, after: &Dump) {
    for (table, rows) in before {
        assert_eq!(Some(rows), after.get(table), "{table} differs");
    }
}

#[test]
fn a_rebuild_gives_every_table_as_it_was() {
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 100..110 {
        let mut scratch = Scratch::filled(seed, 120);
        let before = dump(&scratch.path());
        for (table, found) in &before {
            *rows.entry(table.clone()).or_default() += found.len();
        }
        let store = scratch.open();
        let backup = scratch.dir.path().join("copy.redb");
        let done = block_on(store.rebuild(backup.clone())).expect("rebuilt");
        assert_eq!(done.records as usize, before["records"].len());
        store.close();
        assert_same(&before, &dump(&scratch.path()));
        assert_same(&before, &dump(&backup));

        let store = scratch.open();
        let again = block_on(store.rebuild(backup.clone()));
        assert!(matches!(again, Err(RebuildError::Backup { .. })), "a backup is never written over: {again:?}");
        block_on(store.rebuild(scratch.dir.path().join("second.redb"))).expect("rebuilt");
        block_on(add(&store, "default", "after", Queue::Backlog, &plain("after", "P1", &[]))).expect("store").expect("created");
        assert_eq!(store.check().expect("examined").problems, Vec::<String>::new(), "seed {seed}");
        store.close();
    }
    for table in ["records", "rows", "documents", "dependents", "by_facet", "by_bucket", "contents", "entries"] {
        assert!(rows[table] > 0, "no store had {table}: the test tests little");
    }
}

/// Replaces the first value of a table that `change` changes.
macro_rules! change {
    ($txn:ident, $table:ident, $change:expr) => {{
        let mut table = $txn.open_table(tables::$table).expect("table");
        let (key, value) = {
            let (key, value) = table.last().expect("read").expect("a row");
            (key.value(), value.value().to_vec())
        };
        let value: Vec<u8> = $change(value);
        table.insert(key, value.as_slice()).expect("written");
    }};
}

fn flip_key(mut key: [u8; 32]) -> [u8; 32] {
    key[0] ^= 1;
    key
}

fn flip(mut value: Vec<u8>) -> Vec<u8> {
    let last = value.len() - 1;
    value[last] ^= 1;
    value
}

#[test]
fn the_doctor_finds_every_kind_of_damage_to_views_and_a_rebuild_heals_it() {
    type Damage = fn(&WriteTransaction);
    let damages: [(&str, Damage); 12] = [
        ("cluster_records", |txn| {
            let mut records = txn.open_table(tables::CLUSTER_RECORDS).expect("table");
            records.insert(0, (0, 1)).map(drop).expect("written");
        }),
        ("record_ids", |txn| {
            let mut ids = txn.open_table(tables::RECORD_IDS).expect("table");
            let (id, (arrival, seen)) = ids.last().expect("read").map(|(id, row)| (*id.value(), row.value())).expect("a row");
            ids.insert(&id, (arrival, 1 - seen)).map(drop).expect("written");
        }),
        ("is about entry", |txn| {
            let mut records = txn.open_multimap_table(tables::ITEM_RECORDS).expect("table");
            records.insert(&[5; 32], 1).expect("written");
        }),
        ("rows", |txn| {
            let mut rows = txn.open_table(tables::ROWS).expect("table");
            let (no, row) = rows.last().expect("read").map(|(no, row)| (no.value(), row.value().to_vec())).expect("a row");
            let mut row: octopoid_node::store::TaskRow = minicbor::decode(&row).expect("row");
            row.epoch += 1;
            rows.insert(no, minicbor::to_vec(&row).expect("encoded").as_slice()).expect("written");
        }),
        ("entries", |txn| {
            let mut entries = txn.open_table(tables::ENTRIES).expect("table");
            let key = entries.last().expect("read").expect("a row").0.value();
            entries.remove(key).expect("removed");
        }),
        ("document", |txn| {
            change!(txn, DOCUMENTS, |mut value: Vec<u8>| {
                let middle = value.len() / 2;
                value[middle] ^= 0xFF;
                value
            })
        }),
        ("tips", |txn| {
            let mut tips = txn.open_table(tables::TIPS).expect("table");
            let (author, chain) = tips.first().expect("read").map(|(key, value)| (*key.value(), value.value().to_vec())).expect("a row");
            tips.insert(&flip_key(author), chain.as_slice()).map(drop).expect("written");
        }),
        ("a list counts", |txn| {
            let mut buckets = txn.open_table(tables::BUCKETS).expect("table");
            let (number, key, size) = {
                let (number, value) = buckets.last().expect("read").expect("a row");
                (number.value(), value.value().0.to_vec(), value.value().1)
            };
            buckets.insert(number, (key.as_slice(), size + 1)).expect("written");
        }),
        ("list", |txn| {
            let mut lists = txn.open_table(tables::BY_BUCKET).expect("table");
            drop(lists.pop_last().expect("removed"));
        }),
        ("dependents", |txn| {
            let mut waits = txn.open_multimap_table(tables::DEPENDENTS).expect("table");
            waits.insert(&[5; 32], 1).expect("written");
        }),
        ("record_ids", |txn| {
            let mut ids = txn.open_table(tables::RECORD_IDS).expect("table");
            drop(ids.pop_first().expect("removed"));
        }),
        ("contents", |txn| {
            let mut contents = txn.open_table(tables::CONTENTS).expect("table");
            contents.insert(1, "something else").expect("written");
        }),
    ];
    let mut scratch = Scratch::filled(7, 100);
    let before = dump(&scratch.path());
    assert_eq!(scratch.problems(), Vec::<String>::new());
    for (index, (what, damage)) in damages.into_iter().enumerate() {
        scratch.tamper(damage);
        let problems = scratch.problems();
        let word = if what == "dependents" { "waits for" } else { what };
        assert!(problems.iter().any(|problem| problem.contains(word)), "damaged {what}, found {problems:?}");
        let store = scratch.open();
        block_on(store.rebuild(scratch.dir.path().join(format!("copy-{index}.redb")))).expect("rebuilt");
        store.close();
        assert_eq!(scratch.problems(), Vec::<String>::new(), "after {what}");
        assert_same(&before, &dump(&scratch.path()));
    }
}

/// Who waits for whom as the documents say it, found out without the store's code: subject of a blocker → tasks.
fn waits_of_documents(path: &Path) -> BTreeMap<[u8; 32], BTreeSet<u64>> {
    let database = Database::open(path).expect("database");
    let txn = database.begin_read().expect("transaction");
    let mut names = BTreeMap::new();
    for entry in txn.open_table(tables::TASK_IDS).expect("table").iter().expect("rows") {
        let (at, no) = entry.expect("row");
        names.insert(no.value(), at.value().1.to_owned());
    }
    let mut waits: BTreeMap<[u8; 32], BTreeSet<u64>> = BTreeMap::new();
    for entry in txn.open_table(tables::DOCUMENTS).expect("table").iter().expect("rows") {
        let (no, bytes) = entry.expect("row");
        let document = Document::load_stored(bytes.value()).expect("a document that loads");
        let Some(scope) = names.get(&no.value()) else { continue };
        for blocker in document.fields().entries("blocked_by") {
            let subject = Subject::task(&scope.parse().expect("scope"), &blocker.parse().expect("id"));
            waits.entry(subject.0).or_default().insert(no.value());
        }
    }
    waits
}

fn waits_of_index(path: &Path) -> BTreeMap<[u8; 32], BTreeSet<u64>> {
    let database = Database::open(path).expect("database");
    let txn = database.begin_read().expect("transaction");
    let table = txn.open_multimap_table(tables::DEPENDENTS).expect("table");
    let entries = table.iter().expect("rows").map(|entry| entry.expect("row"));
    entries.map(|(subject, tasks)| (*subject.value(), tasks.map(|no| no.expect("row").value()).collect())).collect()
}

#[test]
fn who_waits_for_whom_is_what_the_documents_say_and_nothing_stale_stays() {
    let mut found = 0;
    for seed in 200..210 {
        let scratch = Scratch::filled(seed, 150);
        let waits = waits_of_documents(&scratch.path());
        found += waits.len();
        assert_eq!(waits_of_index(&scratch.path()), waits, "seed {seed}");
    }
    assert!(found > 20, "the stores say too little: {found}");
}

#[test]
fn an_edge_that_is_taken_out_merged_or_masked_leaves_the_index() {
    let mut random = Random::new(12);
    let dir = tempfile::tempdir().expect("scratch folder");
    let path = dir.path().join("octopoid.redb");
    let stores = cluster(1, &mut random);
    let (admin, member) = (&stores[0], &stores[1]);
    for id in ["blocker", "one", "two"] {
        block_on(add(admin, "default", id, Queue::Incoming, &plain(id, "P1", &[]))).expect("store").expect("created");
    }
    bring(admin, member);
    let edit = |store: &Store, id: &str, edit: Edit| {
        let no = store.reader().expect("reader").task_no("default", id).expect("read").expect("known");
        block_on(store.write(move |unit| unit.edit(no, &[edit]))).expect("store").expect("no fault").expect("edited");
    };
    let observer = Store::join(&path, identity_of(7, &mut random), admin.cluster(), true).expect("store");
    let look = |observer: Store| {
        observer.close();
        let (waits, index) = (waits_of_documents(&path), waits_of_index(&path));
        assert_eq!(index, waits);
        (
            waits.values().map(BTreeSet::len).sum::<usize>(),
            Store::join(&path, identity_of(7, &mut Random::new(1)), admin.cluster(), true).expect("store"),
        )
    };
    edit(admin, "one", Edit::add("blocked_by", "blocker"));
    edit(member, "one", Edit::add("blocked_by", "two"));
    edit(member, "two", Edit::add("blocked_by", "blocker"));
    let masked = member.me();
    bring(admin, &observer);
    bring(member, &observer);
    let (edges, observer) = look(observer);
    assert_eq!(edges, 3);
    edit(admin, "one", Edit::remove("blocked_by", "blocker"));
    block_on(admin.write(move |unit| remove(unit, &masked, ""))).expect("store").expect("removed");
    bring(admin, &observer);
    let (edges, observer) = look(observer);
    assert_eq!(edges, 0, "one edge was taken out, two are masked");
    observer.close();
}

#[test]
fn a_damaged_record_is_found_and_stops_a_rebuild_before_it_drops_anything() {
    let mut scratch = Scratch::filled(8, 40);
    scratch.tamper(|txn| change!(txn, RECORDS, flip));
    let before = dump(&scratch.path());
    let problems = scratch.problems();
    assert!(problems.iter().any(|problem| problem.contains("does not stand")), "{problems:?}");
    let store = scratch.open();
    let refused = block_on(store.rebuild(scratch.dir.path().join("copy.redb"))).expect_err("a damaged record");
    assert!(refused.to_string().contains("restore the store from a backup"), "{refused}");
    store.close();
    assert_same(&before, &dump(&scratch.path()));
}

#[test]
fn a_rebuild_that_was_cut_off_is_done_again_at_the_next_start() {
    let mut scratch = Scratch::filled(9, 60);
    let before = dump(&scratch.path());
    scratch.tamper(|txn| {
        txn.open_table(tables::META).expect("table").insert(tables::META_REBUILDING, [1].as_slice()).expect("written");
        txn.delete_table(tables::ROWS).expect("dropped");
        txn.delete_table(tables::RECORD_IDS).expect("dropped");
    });
    assert_eq!(scratch.problems(), Vec::<String>::new());
    assert_same(&before, &dump(&scratch.path()));
}

fn set_meta(name: &'static str, version: u64) -> impl FnOnce(&WriteTransaction) {
    move |txn| {
        let mut meta = txn.open_table(tables::META).expect("table");
        meta.insert(name, version.to_be_bytes().as_slice()).expect("written");
    }
}

#[test]
fn a_damaged_membership_is_derived_anew_at_the_next_start() {
    let damages: [fn(&WriteTransaction); 3] = [
        |txn| drop(txn.open_table(tables::SEEN_SETS).expect("table").pop_first().expect("removed")),
        |txn| {
            let mut sets = txn.open_table(tables::SEEN_SETS).expect("table");
            sets.insert(1, [1, 2, 3].as_slice()).map(drop).expect("written");
        },
        |txn| {
            let mut records = txn.open_table(tables::CLUSTER_RECORDS).expect("table");
            records.insert(0, (0, 77)).map(drop).expect("written");
        },
    ];
    let mut scratch = Scratch::filled(13, 40);
    let before = dump(&scratch.path());
    for damage in damages {
        scratch.tamper(damage);
        assert_eq!(scratch.problems(), Vec::<String>::new());
        assert_same(&before, &dump(&scratch.path()));
    }
}

#[test]
fn a_store_with_older_views_is_copied_and_derived_anew_and_one_of_a_newer_version_is_refused_untouched() {
    let mut scratch = Scratch::filled(10, 60);
    let before = dump(&scratch.path());
    scratch.tamper(set_meta(tables::META_VIEWS, 0));
    assert_eq!(scratch.problems(), Vec::<String>::new());
    assert_same(&before, &dump(&scratch.path()));
    let copy = scratch.path().with_extension("views-0");
    let copied = std::fs::metadata(&copy).expect("the copy").modified().expect("time");
    // Cut off half way, it goes on, and the copy stays that of the whole store.
    scratch.tamper(set_meta(tables::META_VIEWS, 0));
    scratch.tamper(|txn| {
        txn.open_table(tables::META).expect("table").insert(tables::META_REBUILDING, [1].as_slice()).expect("written");
        txn.delete_table(tables::ENTRIES).expect("dropped");
    });
    assert_eq!(scratch.problems(), Vec::<String>::new());
    assert_eq!(std::fs::metadata(&copy).expect("the copy").modified().expect("time"), copied);
    for (name, version) in [(tables::META_VIEWS, tables::VIEWS), (tables::META_SCHEMA, tables::SCHEMA)] {
        scratch.tamper(set_meta(name, version + 1));
        let newer = dump(&scratch.path());
        assert!(matches!(scratch.try_open(true), Err(OpenError::Newer { .. })), "{name}");
        assert_same(&newer, &dump(&scratch.path()));
    }
}

#[test]
fn a_store_of_an_older_schema_is_refused_untouched_and_the_message_says_what_to_do() {
    let mut scratch = Scratch::filled(10, 20);
    scratch.tamper(set_meta(tables::META_SCHEMA, 1));
    let before = dump(&scratch.path());
    let Err(refused) = scratch.try_open(true) else { panic!("schema 1 was opened") };
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Older { found: 1, .. }), "{text}");
    assert!(text.contains("delete it") && text.contains("octopoid init") && text.contains("octopoid.redb"), "{text}");
    assert_same(&before, &dump(&scratch.path()));
}

#[test]
fn whether_merges_block_follows_the_configuration_of_the_next_start() {
    let mut scratch = Scratch::filled(11, 150);
    for merge_blocks in [false, true, true, false] {
        let store = scratch.try_open(merge_blocks).expect("store");
        assert_eq!(store.check().expect("examined").problems, Vec::<String>::new(), "merge_blocks {merge_blocks}");
        store.close();
    }
}
