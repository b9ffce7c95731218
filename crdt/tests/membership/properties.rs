//! I1 and I10 for membership: random admins, workers and strangers write at once, without having seen each other.

use octopoid_crdt::{
    ids::RecordId,
    membership::Seen,
    record::{Access, Body},
};
use proptest::{prelude::*, sample::Index, test_runner::FileFailurePersistence};

use crate::world::{Node, World, join, key, name, task_record};

/// Who writes what about whom, having seen which of the records so far.
type Step = (u8, Deed, u8, Vec<Index>);

#[derive(Debug, Clone, Copy)]
enum Deed {
    Join(Access),
    Remove(Option<Index>),
    Name,
    Policy(u64),
    Task,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Join(Access::Admin)),
        1 => Just(Deed::Join(Access::Worker)),
        3 => proptest::option::of(any::<Index>()).prop_map(Deed::Remove),
        1 => Just(Deed::Name),
        1 => (1..3u64).prop_map(Deed::Policy),
        2 => Just(Deed::Task),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..5u8, deed(), 0..5u8, prop::collection::vec(any::<Index>(), 0..3)), 1..30)
}

fn build(steps: &[Step]) -> World {
    let mut world = World::founded();
    for (author, deed, target, deps) in steps {
        let mut deps: Vec<RecordId> = deps.iter().map(|dep| dep.get(&world.records).id()).collect();
        deps.push(world.genesis());
        match deed {
            Deed::Join(access) => world.write(*author, join(*target, *access), &deps),
            Deed::Remove(keep) => {
                let own: Vec<_> =
                    world.records.iter().filter(|record| record.payload().author == key(*target)).map(|record| record.id()).collect();
                let keep = keep.filter(|_| !own.is_empty()).map(|keep| *keep.get(&own));
                world.remove(*author, *target, keep, &deps)
            }
            Deed::Name => world.write(*author, Body::ClusterName { name: name(&format!("name-{target}")) }, &deps),
            Deed::Policy(number) => {
                let body = Body::Policy { number: *number, authority: None, integrator: key(*target), last: None, frontier: None };
                world.write(*author, body, &deps)
            }
            Deed::Task => world.write(*author, task_record(), &deps),
        };
    }
    world
}

fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/membership/regressions.txt");
    ProptestConfig { cases: 256, failure_persistence: Some(Box::new(regressions)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn membership_is_a_function_of_the_set_of_records(steps in steps(), order in any::<u64>()) {
        let world = build(&steps);
        let mut shuffled: Vec<_> = world.records.iter().chain(&world.records).cloned().collect();
        shuffled.sort_by_key(|record| *blake3::hash(&[&order.to_be_bytes(), record.id().as_bytes().as_slice()].concat()).as_bytes());
        let (mut a, mut b) = (world.node(), Node::default());
        b.apply_all(&shuffled);
        prop_assert_eq!(a.view(), b.view());
        prop_assert_eq!(&a.verdicts, &b.verdicts);
        prop_assert_eq!(&a.standings, &b.standings);
        for record in &world.records {
            prop_assert_eq!(a.left_out(record.id()), b.left_out(record.id()));
        }
    }

    #[test]
    fn a_verdict_and_a_standing_never_change_as_records_are_added(steps in steps(), cut in any::<Index>()) {
        let world = build(&steps);
        let mut early = Node::default();
        early.apply_all(&world.records[..=cut.index(world.records.len())]);
        let late = world.node();
        prop_assert!(early.verdicts.iter().all(|(id, verdict)| late.verdicts[id] == *verdict));
        prop_assert!(early.standings.iter().all(|(id, standing)| late.standings[id] == *standing));
    }

    #[test]
    fn who_was_never_let_in_by_an_admin_has_no_standing_and_changes_nothing(steps in steps()) {
        // Author 4 writes whatever it likes, but nobody lets it in.
        let steps: Vec<_> = steps.into_iter().filter(|(author, deed, target, _)| *author == 4 || *target != 4 || !matches!(deed, Deed::Join(_))).collect();
        let with = build(&steps);
        let mut node = with.node();
        prop_assert_eq!(node.access(4), None);
        let by_stranger: Vec<_> = with.records.iter().filter(|record| record.payload().author == key(4)).map(|record| record.id()).collect();
        for id in by_stranger {
            prop_assert!(node.verdicts[&id].is_none_or(|verdict| verdict.is_err()));
            prop_assert_eq!(node.standings[&id], None);
        }
    }

    #[test]
    fn who_is_removed_and_not_let_in_again_is_no_member(steps in steps()) {
        let world = build(&steps);
        let mut node = world.node();
        let view = node.view();
        for author in 0..5 {
            let removals: Vec<_> = view.removals(&key(author)).to_vec();
            let Some(member) = view.members().find(|(member, _)| **member == key(author)).map(|(_, member)| member.clone()) else { continue };
            let (_, seen) = node.seen[&member.by];
            prop_assert!(removals.iter().all(|removal| node.membership.has_seen(seen, &removal.id)));
        }
        prop_assert!(view.members().count() == 0 || view.creator() == Some(&key(0)));
        prop_assert_eq!(node.membership.view(Seen::NOTHING).expect("the empty set is always known").members().count(), 0);
    }
}
