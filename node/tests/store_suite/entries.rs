//! Entries of plain collections that several nodes set: the last by past, then of the lowest id.

use octopoid_crdt::ids::{Name, RecordId};
use octopoid_node::store::{Store, Stored};

use crate::cluster::{assert_sound, bring, cluster, records};
use crate::world::{Random, block_on};

fn scope() -> Name {
    "default".parse().expect("scope")
}

fn put(store: &Store, value: Option<&str>) -> RecordId {
    let value = value.map(str::to_owned);
    block_on(store.write(move |unit| unit.put("roles", &scope(), "writer", value))).expect("store").expect("put")
}

fn shown(store: &Store) -> Option<Stored> {
    store.reader().expect("reader").item("roles", "default", "writer").expect("read")
}

fn exchange(stores: &[Store]) {
    bring(&stores[0], &stores[1]);
    bring(&stores[1], &stores[0]);
}

#[test]
fn of_concurrent_settings_the_one_of_the_lowest_id_is_shown_until_one_that_saw_both() {
    let mut random = Random::new(1);
    let stores = cluster(1, &mut random);
    for round in 0..8 {
        let ids = [put(&stores[0], Some("\"zero\"")), put(&stores[1], Some("\"one\""))];
        exchange(&stores);
        let lowest = ids.iter().min().expect("two").0;
        for store in &stores {
            assert_eq!(shown(store).expect("set").record, lowest, "round {round}");
            assert_sound(store, "concurrent");
        }
        put(&stores[round % 2], Some("\"last\""));
        exchange(&stores);
        assert_eq!(shown(&stores[0]), shown(&stores[1]));
        assert_eq!(shown(&stores[0]).expect("set").json, "\"last\"");
        let last = records(&stores[round % 2]).last().expect("records").clone();
        assert!(ids.iter().all(|id| last.payload().deps.contains(id)), "it builds on both");
    }
}

#[test]
fn an_entry_that_was_removed_stays_so_when_what_the_removal_had_seen_comes_later() {
    let mut random = Random::new(2);
    let stores = cluster(2, &mut random);
    put(&stores[1], Some("\"first\""));
    bring(&stores[1], &stores[2]);
    put(&stores[2], None);
    // The removal and what it removes come in one go, in causal order, after a setting that knew of neither.
    let concurrent = put(&stores[0], Some("\"other\""));
    bring(&stores[2], &stores[0]);
    bring(&stores[0], &stores[2]);
    bring(&stores[0], &stores[1]);
    let removal = records(&stores[2]).into_iter().rfind(|record| record.payload().author == stores[2].me()).expect("the removal").id();
    let expected = (concurrent < removal).then_some("\"other\"".to_owned());
    for store in &stores {
        assert_eq!(shown(store).map(|stored| stored.json), expected);
        assert_sound(store, "removed");
    }
    let left: Vec<_> = stores[0].reader().expect("reader").items("roles", Some("default")).expect("read");
    assert_eq!(left.len(), usize::from(expected.is_some()));
}
