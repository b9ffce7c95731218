//! Power fails while a store takes in the records of others: what it said it holds is there, and it takes the rest again.

use std::collections::BTreeSet;
use std::path::Path;

use octopoid_crdt::document::Edit;
use octopoid_crdt::ids::ClusterId;
use octopoid_crdt::record::{Queue, Verified};
use octopoid_node::ops::members::remove;
use octopoid_node::store::{OpenError, Store};

use crate::cluster::{Portable, assert_sound, bring, cluster, records};
use crate::disk::{Disk, Fault};
use crate::world::{Random, add, block_on, identity_of, plain};

fn open(disk: &Disk, cluster: ClusterId, random: &mut Random) -> Result<Store, OpenError> {
    let path = Path::new("memory");
    let database = disk.open().map_err(|error| OpenError::Store { path: path.to_owned(), source: error.into() })?;
    Store::join_with(database, path, identity_of(60, random), cluster, true)
}

/// A store whose records are of three members, one of whom was removed after others had built on some of its work.
fn history(random: &mut Random) -> Store {
    let mut stores = cluster(2, random);
    for round in 0..8 {
        for (index, store) in stores.iter().enumerate() {
            let id = format!("{index}-{round}");
            let blockers = if round > 0 { vec![format!("{index}-{}", round - 1)] } else { Vec::new() };
            block_on(add(store, "default", &id, Queue::Incoming, &plain(&id, "P1", &blockers))).expect("store").expect("created");
        }
        if round % 3 == 0 {
            bring(&stores[2], &stores[1]);
            let no = stores[1].reader().expect("reader").task_no("default", &format!("2-{round}")).expect("read").expect("known");
            let edits = [Edit::set("title", "built on"), Edit::content("do it\nwell")];
            block_on(stores[1].write(move |unit| unit.edit(no, &edits))).expect("store").expect("no fault").expect("edited");
        }
    }
    let key = stores[2].me();
    block_on(stores[0].write(move |unit| remove(unit, &key, ""))).expect("store").expect("removed");
    bring(&stores[2], &stores[0]);
    bring(&stores[1], &stores[0]);
    stores.swap_remove(0)
}

#[test]
fn what_was_taken_in_is_there_after_power_failed_and_the_rest_is_taken_again() {
    let (mut cuts, mut random) = (0, Random::new(1));
    let source = history(&mut random);
    let all = records(&source);
    let expected = Portable::of(&source, &["roles"], &["project"]);
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let disk = Disk::default();
        let mut acknowledged = BTreeSet::new();
        while acknowledged.len() < all.len() {
            // Not while the file is made: the database itself does not survive that.
            if disk.len() > 0 && random.percent(25) {
                disk.fail(Some(Fault::Power(random.below(20))));
                if let Ok(store) = open(&disk, source.cluster(), &mut random) {
                    store.close();
                }
                disk.crash(&mut random);
            }
            let store = open(&disk, source.cluster(), &mut random).expect("a store that opens");
            let reader = store.reader().expect("reader");
            assert!(acknowledged.iter().all(|id| reader.knows(id).expect("read")), "seed {seed}: a record is lost");
            drop(reader);
            disk.fail(Some(Fault::Power(random.below(200))));
            let size = usize::try_from(1 + random.below(20)).expect("size");
            for chunk in all.chunks(size) {
                let Ok(results) = block_on(store.receive(chunk.iter().cloned().map(Into::into).collect())) else { break };
                assert!(results.iter().all(Result::is_ok), "seed {seed}: {results:?}");
                acknowledged.extend(chunk.iter().map(Verified::id));
            }
            cuts += 1;
            disk.crash(&mut random);
            store.close();
        }
        let store = open(&disk, source.cluster(), &mut random).expect("a store that opens");
        assert_eq!(Portable::of(&store, &["roles"], &["project"]), expected, "seed {seed}");
        assert_sound(&store, &format!("seed {seed}"));
    }
    assert!(cuts > 24, "power failed too rarely: {cuts}");
}
