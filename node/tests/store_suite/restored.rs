//! An old copy of the store that is put back: its chain forks, nothing is lost, and the fork is told.

use octopoid_crdt::record::{Queue, Verified};
use octopoid_node::store::{Incoming, Store};

use crate::world::{Random, add, identity, plain};

/// How long it is looked whether a write waits: one that does not is done in a fraction of it.
const HELD: std::time::Duration = std::time::Duration::from_millis(300);

async fn make(store: &Store, id: &str) {
    add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[])).await.expect("store").expect("created");
}

fn records(store: &Store) -> Vec<Verified> {
    let reader = store.reader().expect("reader");
    (0..reader.next_arrival().expect("read")).map(|arrival| reader.record(arrival).expect("read").expect("record")).collect()
}

#[tokio::test]
async fn an_old_copy_forks_harmlessly_and_the_store_tells() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let (path, copy) = (dir.path().join("octopoid.redb"), dir.path().join("old-copy.redb"));
    let mut random = Random::new(3);
    let mut open = || Store::open(&path, identity(&mut random), true).expect("store");
    let store = open();
    make(&store, "before").await;
    store.close();
    std::fs::copy(&path, &copy).expect("copied");

    let store = open();
    make(&store, "lost").await;
    let lost = records(&store);
    assert!(store.forks().expect("read").is_empty());
    store.close();

    std::fs::copy(&copy, &path).expect("put back");
    let store = open();
    make(&store, "after").await;
    assert!(store.forks().expect("read").is_empty(), "alone, nothing tells of the other branch");
    let known = store.reader().expect("reader").next_arrival().expect("read");

    // Another member gives back what this node had written.
    let received = lost.clone();
    let done = store.write(move |unit| {
        for record in received {
            match unit.receive(record) {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.to_string()),
                Err(fault) => return Err(fault.to_string()),
            }
        }
        Ok(())
    });
    done.await.expect("store").expect("received");
    let forks = store.forks().expect("read");
    assert_eq!(forks.len(), 1, "{forks:?}");
    assert_eq!(forks[0].author, store.me());
    let reader = store.reader().expect("reader");
    for id in ["before", "lost", "after"] {
        let no = reader.task_no("default", id).expect("read").expect("a task");
        assert_eq!(reader.row(no).expect("read").expect("row").text("title"), Some(id));
    }
    assert_eq!(reader.next_arrival().expect("read"), known + 1, "only what was missing was taken in");
    drop(reader);
    make(&store, "later").await;
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
    store.close();

    let store = open();
    assert_eq!(store.forks().expect("read").len(), 1, "the evidence stays");
    make(&store, "much-later").await;
}

#[tokio::test]
async fn what_is_given_back_before_the_first_record_is_gone_on_from() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let (path, copy) = (dir.path().join("octopoid.redb"), dir.path().join("old-copy.redb"));
    let mut random = Random::new(5);
    let mut open = || Store::open(&path, identity(&mut random), true).expect("store");
    let store = open();
    make(&store, "before").await;
    store.close();
    std::fs::copy(&path, &copy).expect("copied");
    let store = open();
    make(&store, "lost").await;
    let lost = records(&store);
    store.close();
    std::fs::copy(&copy, &path).expect("put back");

    let store = open();
    let last = lost.last().expect("records").id();
    let given_back = store.write(move |unit| lost.into_iter().map(|record| unit.receive(record)).collect::<Result<Vec<_>, _>>());
    assert!(given_back.await.expect("store").expect("no fault").iter().all(Result::is_ok));
    make(&store, "after").await;
    assert!(store.forks().expect("read").is_empty(), "it went on from what it was given back");
    assert_eq!(records(&store).last().expect("records").payload().prev, Some(last));
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_record_whose_past_is_missing_is_refused_and_the_store_goes_on() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let mut random = Random::new(4);
    let store = Store::open(&dir.path().join("one.redb"), identity(&mut random), true).expect("store");
    make(&store, "a").await;
    make(&store, "b").await;
    let written = records(&store);
    store.close();
    let other = Store::open(&dir.path().join("two.redb"), identity(&mut random), true).expect("store");
    let last = written.last().expect("records").clone();
    let refused = other.write(move |unit| unit.receive(last)).await.expect("store").expect("no fault");
    assert!(refused.expect_err("prev is missing").to_string().contains("missing"));
    make(&other, "goes-on").await;
    assert_eq!(other.check().expect("examined").problems, Vec::<String>::new());
}

#[tokio::test]
async fn own_writes_wait_while_they_are_held_back_and_what_is_given_back_meanwhile_is_gone_on_from() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let (path, copy) = (dir.path().join("octopoid.redb"), dir.path().join("old-copy.redb"));
    let mut random = Random::new(6);
    let mut open = || Store::open(&path, identity(&mut random), true).expect("store");
    let store = open();
    make(&store, "before").await;
    store.close();
    std::fs::copy(&path, &copy).expect("copied");
    let store = open();
    make(&store, "lost").await;
    let lost = records(&store);
    store.close();
    std::fs::copy(&copy, &path).expect("put back");

    let store = open();
    let held_back = store.hold_back();
    let mut after = std::pin::pin!(make(&store, "after"));
    assert!(tokio::time::timeout(HELD, &mut after).await.is_err(), "it waits");
    let last = lost.last().expect("records").id();
    let given_back = store.receive(lost.into_iter().map(Incoming::from).collect()).await.expect("store");
    assert!(given_back.iter().all(Result::is_ok), "what comes is taken in meanwhile");
    assert!(store.reader().expect("reader").task_no("default", "lost").expect("read").is_some(), "and read");
    drop(held_back);
    after.await;
    assert!(store.forks().expect("read").is_empty(), "it went on from what it was given back");
    assert_eq!(records(&store).last().expect("records").payload().prev, Some(last));
}
