//! Power fails at any write, of any commit, also while the store repairs itself: what was acknowledged is there.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use octopoid_crdt::record::{Cause, Queue};
use octopoid_node::ops::Snapshot;
use octopoid_node::ops::claim::{Claimant, Holds, claim_next, release};
use octopoid_node::ops::judge::delete;
use octopoid_node::store::{Store, TaskRow};

use crate::disk::{Disk, Fault};
use crate::machine::with_seed;
use crate::world::{Random, add, block_on, open, plain};

/// How often one disk loses power before the next one is taken: stores stay small, so that cycles stay fast.
const CYCLES_PER_DISK: u64 = 20;

/// What was acknowledged: rows by number, and how many records there were at least.
#[derive(Default)]
struct Acknowledged {
    rows: BTreeMap<u64, TaskRow>,
    tasks: u64,
    operations: u64,
}

/// Runs cycles on one disk; tells what is lost, or how many operations were acknowledged.
fn run(seed: u64, disk: &Disk) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let mut known = Acknowledged::default();
    for cycle in 0..CYCLES_PER_DISK {
        // Sometimes power fails while the store is opened, too.
        if cycle > 0 && random.percent(25) {
            disk.fail(Some(Fault::Power(random.below(12))));
            if let Ok(store) = open(disk, &mut random) {
                store.close();
            }
            disk.crash(&mut random);
        }
        let store = open(disk, &mut random).map_err(|error| format!("cycle {cycle}: the store does not open: {error:?}"))?;
        verify(&store, &known).map_err(|lost| format!("cycle {cycle}: {lost}"))?;
        disk.fail(Some(Fault::Power(random.below(80))));
        block_on(work(&store, &mut random, &mut known));
        disk.crash(&mut random);
        store.close();
    }
    let store = open(disk, &mut random).map_err(|error| format!("at the end: {error:?}"))?;
    verify(&store, &known)?;
    let problems = store.check().map_err(|error| error.to_string())?.problems;
    store.close();
    if problems.is_empty() { Ok(known.operations) } else { Err(problems.join("\n")) }
}

fn verify(store: &Store, known: &Acknowledged) -> Result<(), String> {
    let reader = store.reader().map_err(|error| error.to_string())?;
    for (no, row) in &known.rows {
        let found = reader.row(*no).map_err(|error| format!("task {no}: {error}"))?.ok_or_else(|| format!("task {no} is lost"))?;
        if found.version < row.version || (found.version == row.version && found != *row) {
            return Err(format!("task {no} went back from version {} to {}", row.version, found.version));
        }
        reader.log(*no).map_err(|error| format!("task {no}: {error}"))?;
    }
    Ok(())
}

/// Works until power fails, one operation after the other or three in one commit.
async fn work(store: &Store, random: &mut Random, known: &mut Acknowledged) {
    for _ in 0..8 {
        known.tasks += 3;
        let ids = [1, 2, 3].map(|part| format!("t{}-{part}", known.tasks));
        let fields = ids.each_ref().map(|id| plain(id, "P1", &[]));
        let answers = if random.percent(30) {
            let [a, b, c] = [0, 1, 2].map(|at| add(store, "default", &ids[at], Queue::Incoming, &fields[at]));
            let (a, b, c) = tokio::join!(a, b, c);
            vec![a, b, c]
        } else {
            vec![other(store, random, &ids[0]).await]
        };
        for answer in answers {
            match answer {
                Ok(Ok(snapshot)) => {
                    known.operations += 1;
                    known.rows.insert(snapshot.no, snapshot.row);
                }
                Ok(Err(_)) => {}
                Err(_) => return,
            }
        }
    }
}

type Answer = Result<Result<Snapshot, octopoid_node::ops::Refused>, octopoid_node::store::Unavailable>;

async fn other(store: &Store, random: &mut Random, id: &str) -> Answer {
    let claimant = Claimant {
        agent: "ada".to_owned(),
        ttl_seconds: 300,
        queue: "incoming".to_owned(),
        scope: "default".to_owned(),
        ..Claimant::default()
    };
    let give_back = random.percent(30);
    let remove = random.percent(10);
    let taken = store.write(move |unit| claim_next(unit, &claimant)).await?;
    match taken {
        Ok(Some(task)) if give_back => {
            let no = task.no;
            store.write(move |unit| release(unit, no, &Holds::default(), Cause::GivenBack, "")).await
        }
        Ok(Some(task)) if remove => {
            let no = task.no;
            let done = store
                .write(move |unit| {
                    delete(unit, no, "me", "")?;
                    Ok(unit.row(no)?.clone())
                })
                .await?;
            Ok(done.map(|row| Snapshot { row, ..task }))
        }
        Ok(Some(task)) => Ok(Ok(task)),
        Ok(None) | Err(_) => add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[])).await,
    }
}

#[test]
fn two_thousand_power_cuts_lose_nothing_that_was_acknowledged() {
    let mut operations = 0;
    for seed in 0..2_000 / CYCLES_PER_DISK {
        with_seed(seed, |seed| match run(seed, &Disk::default()) {
            Ok(acknowledged) => operations += acknowledged,
            Err(lost) => panic!("{lost}"),
        });
    }
    assert!(operations > 2_000, "only {operations} operations were acknowledged: the test tests little");
}

#[test]
fn a_disk_that_lies_about_syncing_loses_acknowledged_operations_and_the_test_notices() {
    // The database itself may give up on what it finds, which is noticing too.
    let noticed = (0..10).filter(|seed| catch_unwind(|| run(*seed, &Disk::lying())).map_or(true, |outcome| outcome.is_err())).count();
    assert_eq!(noticed, 10, "the control must fail on every disk that lies");
}
