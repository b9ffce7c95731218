//! Disks that run full or fail: nothing is acknowledged that is not there, and the store says why it stopped.

use std::time::Duration;

use octopoid_crdt::record::Queue;
use octopoid_node::store::{Store, Unavailable};

use crate::disk::{Disk, Fault};
use crate::world::{Random, add, open, plain};

/// Creates tasks until the store stops; returns those that were acknowledged, and what the store said then.
async fn fill(store: &Store) -> (Vec<String>, Unavailable) {
    let mut done = Vec::new();
    for number in 0..5_000 {
        let id = format!("t{number}");
        let fields = plain(&id, "P1", &[]).with_content("line\n".repeat(2_000));
        match add(store, "default", &id, Queue::Incoming, &fields).await {
            Ok(Ok(_)) => done.push(id),
            Ok(Err(refused)) => panic!("refused: {refused}"),
            Err(unavailable) => return (done, unavailable),
        }
    }
    panic!("the disk never failed");
}

async fn stops(fault: impl FnOnce(&Disk) -> Fault) {
    let (disk, mut random) = (Disk::default(), Random::new(1));
    let store = open(&disk, &mut random).expect("store");
    for number in 0..5 {
        let id = format!("before{number}");
        add(&store, "default", &id, Queue::Incoming, &plain(&id, "P1", &[])).await.expect("store").expect("created");
    }
    disk.fail(Some(fault(&disk)));
    let (done, said) = fill(&store).await;
    assert!(matches!(said, Unavailable::Failed(_)), "{said}");
    let why =
        tokio::time::timeout(Duration::from_secs(5), store.writer().wait_for_failure()).await.expect("the store tells that it stopped");
    assert_eq!(store.writer().failure(), Some(why));
    // What comes later fails at once, and does not reach the disk that works again.
    disk.fail(None);
    let later = add(&store, "default", "later", Queue::Incoming, &plain("later", "P1", &[])).await;
    assert!(matches!(later, Err(Unavailable::Failed(_))), "{later:?}");
    assert!(store.reader().is_ok(), "what is there can still be read");
    disk.crash(&mut random);
    store.close();

    let store = open(&disk, &mut random).expect("the store opens when there is room");
    let reader = store.reader().expect("reader");
    for id in done.iter().map(String::as_str).chain(["before0", "before4"]) {
        assert!(reader.task_no("default", id).expect("read").is_some(), "{id} was acknowledged and is lost");
    }
    assert!(reader.task_no("default", "later").expect("read").is_none());
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
    add(&store, "default", "after", Queue::Incoming, &plain("after", "P1", &[])).await.expect("store").expect("created");
}

#[tokio::test]
async fn a_full_disk_stops_the_store_without_a_false_acknowledgement() {
    stops(|disk| Fault::Full(disk.len())).await;
}

#[tokio::test]
async fn a_sync_that_fails_stops_the_store_without_a_false_acknowledgement() {
    for syncs in [0, 1, 2, 3, 7] {
        stops(|_| Fault::Sync(syncs)).await;
    }
}

#[tokio::test]
async fn a_write_that_fails_stops_the_store_without_a_false_acknowledgement() {
    for writes in [0, 1, 5, 20, 41] {
        stops(|_| Fault::Write(writes)).await;
    }
}

#[tokio::test]
async fn an_operation_that_panics_takes_its_batch_with_it_and_the_store_goes_on() {
    let mut random = Random::new(1);
    let store = open(&Disk::default(), &mut random).expect("store");
    let add_one = |id: &'static str| {
        let store = &store;
        async move { add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[])).await }
    };
    add_one("before").await.expect("store").expect("created");
    let (broken, beside) = tokio::join!(store.write(|_| -> Result<(), ()> { panic!("a defect") }), add_one("beside"));
    assert!(matches!(broken, Err(Unavailable::Defect)), "{broken:?}");
    assert!(matches!(beside, Ok(Ok(_)) | Err(Unavailable::Defect)), "{beside:?}");
    add_one("after").await.expect("store").expect("created");
    assert!(store.writer().failure().is_none());
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
}
