//! Drafts have numbers of the node that they are made on.

use std::collections::HashMap;

use octopoid_crdt::draft::{lot, numbers};
use octopoid_crdt::ids::AuthorKey;
use octopoid_crdt::record::Access;
use octopoid_node::ops::drafts::{Changes, Draft, DraftRefused, Stored, create, delete, edit, list};
use octopoid_node::ops::members::{Admission, MembersRefused, join};
use octopoid_node::store::Store;

use crate::cluster::{assert_sound, bring, cluster, found};
use crate::world::{Random, block_on};

fn make(store: &Store, title: &str) -> Draft {
    let stored = Stored { title: title.to_owned(), status: "idea".to_owned(), ..Stored::default() };
    block_on(store.write(move |unit| create(unit, &"default".parse().expect("scope"), &stored))).expect("store").expect("made")
}

fn change(store: &Store, id: u64, changes: Changes) {
    block_on(store.write(move |unit| edit(unit, &"default".parse().expect("scope"), id, changes))).expect("store").expect("edited");
}

fn shown(store: &Store) -> Vec<Draft> {
    list(&store.reader().expect("reader"), "default").expect("read")
}

#[test]
fn the_founder_counts_from_one_and_a_member_in_numbers_of_its_own() {
    let mut random = Random::new(1);
    let stores = cluster(1, &mut random);
    let first = *numbers(&stores[1].me(), Some(&stores[0].me())).start();
    assert_eq!(first, (1 + u64::from(lot(&stores[1].me()))) * (1 << 32) + 1);
    assert_eq!([make(&stores[0], "a").id, make(&stores[0], "b").id], [1, 2]);
    assert_eq!([make(&stores[1], "c").id, make(&stores[1], "d").id], [first, first + 1], "before it has heard of the founder's");
    bring(&stores[0], &stores[1]);
    bring(&stores[1], &stores[0]);
    assert_eq!(make(&stores[0], "e").id, 3);
    bring(&stores[0], &stores[1]);
    let removed = first + 1;
    block_on(stores[0].write(move |unit| delete(unit, &"default".parse().expect("scope"), removed))).expect("store").expect("deleted");
    let again = block_on(stores[0].write(move |unit| delete(unit, &"default".parse().expect("scope"), removed))).expect("store");
    assert!(matches!(again, Err(DraftRefused::NotFound(id)) if id == removed), "{again:?}");
    bring(&stores[0], &stores[1]);
    assert_eq!(make(&stores[1], "f").id, first + 2, "a number is not given again, whoever deleted its draft");
    bring(&stores[1], &stores[0]);
    assert_eq!(shown(&stores[0]), shown(&stores[1]));
    assert_eq!(shown(&stores[0]).len(), 5);
    stores.iter().for_each(|store| assert_sound(store, "drafts"));
}

#[test]
fn edits_of_different_fields_of_one_draft_merge() {
    let mut random = Random::new(2);
    let stores = cluster(1, &mut random);
    let id = make(&stores[0], "a").id;
    bring(&stores[0], &stores[1]);
    change(&stores[0], id, Changes { status: Some("review".to_owned()), ..Changes::default() });
    change(&stores[1], id, Changes { title: Some("better".to_owned()), tags: Some(Some("[\"x\"]".to_owned())), ..Changes::default() });
    bring(&stores[0], &stores[1]);
    bring(&stores[1], &stores[0]);
    for store in &stores {
        let [draft] = shown(store).try_into().expect("one draft");
        assert_eq!(
            (draft.stored.title.as_str(), draft.stored.status.as_str(), draft.stored.tags.as_deref()),
            ("better", "review", Some("[\"x\"]"))
        );
        assert_sound(store, "merged");
    }
}

/// Finds two keys whose nodes would give the same numbers.
fn twins(random: &mut Random) -> [AuthorKey; 2] {
    let mut known: HashMap<u32, AuthorKey> = HashMap::new();
    loop {
        let mut bytes = [0; 32];
        bytes.iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).expect("a byte"));
        let key = AuthorKey(bytes);
        if let Some(other) = known.insert(lot(&key), key) {
            return [other, key];
        }
    }
}

#[test]
fn a_key_that_would_give_another_members_numbers_is_not_let_in() {
    let mut random = Random::new(3);
    let admin = found(1, &mut random);
    let [one, other] = twins(&mut random);
    let admit = |member: AuthorKey, name: &str| {
        let admission = Admission { member, access: Access::Worker, name: name.parse().expect("name"), invite: None };
        block_on(admin.write(move |unit| join(unit, admission))).expect("store")
    };
    admit(one, "one").expect("the first of the two");
    let refused = admit(other, "other").expect_err("the second");
    assert!(matches!(&refused, MembersRefused::SharesNumbers(known) if *known == one), "{refused}");
    admit(one, "renamed").expect("a change of the first is no collision");
}
