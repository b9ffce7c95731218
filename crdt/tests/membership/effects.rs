//! What membership means for other records: their standing, what masks them, and taking a batch back.

use octopoid_crdt::{
    chain::Place,
    lifecycle::{Reach, Removal},
    membership::Seen,
    record::{Access, Body},
};

use crate::world::{Node, World, join, key, task_record};

/// The masks in effect where everything is known: their authors, reaches, and how many sessions their frontiers name.
fn masks(node: &mut Node) -> Vec<(octopoid_crdt::ids::AuthorKey, Reach, usize)> {
    let masks = node.membership.masks(node.membership.all()).expect("known");
    masks.iter().map(|(_, Removal { author, frontier, reach })| (*author, *reach, frontier.len())).collect()
}

/// Tells whether a record is masked by what is in effect now, as the lifecycle reads it.
fn is_masked(node: &mut Node, (place, seen): (Place, Seen)) -> bool {
    let masks = node.membership.masks(node.membership.all()).expect("known");
    let held = node.membership.standing(&place, seen).expect("known").removals;
    let hits = |(number, removal): &(u32, Removal)| {
        removal.author == place.author
            && removal.reach == Reach::Everything
            && removal.lies_above(&place.session, place.seq)
            && !held.contains(*number)
    };
    masks.iter().any(hits)
}

#[test]
fn a_removal_masks_what_had_not_seen_it_and_a_member_let_in_again_goes_on() {
    let mut world = World::founded();
    let let_in = world.write(0, join(1, Access::Worker), &[]);
    let kept = world.write(1, task_record(), &[let_in]);
    let masked = world.write(1, task_record(), &[]);
    let removal = world.remove(0, 1, Some(kept), &[kept]);
    let again = world.write(0, join(1, Access::Worker), &[removal]);
    let after = world.write(1, task_record(), &[again]);
    let mut node = world.node();
    let of = |node: &Node, id| node.seen[&id];
    let (kept, masked, after) = (of(&node, kept), of(&node, masked), of(&node, after));
    assert_eq!([kept, masked, after].map(|record| is_masked(&mut node, record)), [false, true, false]);
    assert_eq!(masks(&mut node), [(key(1), Reach::Everything, 1)]);
    let standing = node.membership.standing(&after.0, after.1).expect("known");
    assert_eq!((standing.access, standing.seq), (Some(Access::Worker), 2));
    let everything = node.membership.masks(node.membership.all()).expect("known");
    assert!(everything.all_held_by(&standing.removals));
    let before = node.membership.standing(&masked.0, masked.1).expect("known");
    assert!(!everything.all_held_by(&before.removals));
}

#[test]
fn a_removal_that_lost_its_own_effect_is_held_and_masks_nothing() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Admin), &[]);
    let two = world.write(0, join(2, Access::Admin), &[]);
    let work = world.write(1, task_record(), &[one, two]);
    // The junior admin removes the senior one, who had removed it unseen; the junior's removal lies above its frontier.
    let seen = world.write(2, task_record(), &[one, two]);
    let late = world.remove(2, 1, None, &[]);
    world.remove(1, 2, Some(seen), &[seen]);
    let mut node = world.node();
    assert_eq!(masks(&mut node), [(key(2), Reach::Everything, 1)]);
    let (work, late) = (node.seen[&work], node.seen[&late]);
    assert!(!is_masked(&mut node, work) && is_masked(&mut node, late));
    let all = node.membership.all();
    let everyone = node.membership.standing(&work.0, all).expect("known");
    assert_eq!(everyone.removals.iter().count(), 2, "both are held");
}

#[test]
fn who_was_let_in_by_a_masked_join_is_masked_with_it() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Admin), &[]);
    let guest = world.write(1, join(2, Access::Worker), &[one]);
    let work = world.write(2, task_record(), &[guest]);
    world.remove(0, 1, None, &[]);
    let mut node = world.node();
    assert_eq!(node.access(2), None);
    let work = node.seen[&work];
    assert!(is_masked(&mut node, work));
    assert_eq!(masks(&mut node).len(), 2);
}

#[test]
fn a_forced_move_of_the_authority_masks_grants_of_the_old_one_and_a_planned_one_nothing() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Worker), &[]);
    let two = world.write(0, join(2, Access::Worker), &[]);
    let policy = |number, authority: Option<u8>, last, frontier| Body::Policy {
        number,
        authority: authority.map(key),
        integrator: key(0),
        last,
        frontier,
    };
    world.write(0, policy(1, Some(1), None, None), &[one, two]);
    let mut node = world.node();
    assert_eq!(masks(&mut node), []);
    let forced = world.write(0, policy(2, Some(2), None, Some(Vec::new())), &[]);
    let mut node = world.node();
    assert_eq!(masks(&mut node), [(key(1), Reach::Grants, 0)]);
    let last = world.write(2, task_record(), &[forced]);
    world.write(2, policy(3, None, Some(last), None), &[]);
    let mut node = world.node();
    assert_eq!(node.view().policy().map(|policy| policy.number), Some(3));
    assert_eq!(masks(&mut node), [(key(1), Reach::Grants, 0)], "what was forced stays so");
}

#[test]
fn a_batch_that_is_given_up_leaves_no_number_behind() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Worker), &[]);
    world.write(1, task_record(), &[one]);
    let mut node = world.node();
    let before = node.clone();
    let (view, mark) = (node.view(), node.membership.mark());
    let removal = world.remove(0, 1, None, &[]);
    let again = world.write(0, join(1, Access::Reader), &[removal]);
    world.write(1, task_record(), &[again]);
    let later = world.records.split_off(3);
    node.apply_all(&later);
    let (applied, given) = (node.view(), node.seen.clone());
    assert_ne!(applied, view);
    node.membership.reset(mark);
    assert_eq!((node.view(), node.membership.sets(), node.membership.all()), (view, before.membership.sets(), before.membership.all()));
    assert!(!node.membership.has_seen(node.membership.all(), &removal));
    assert_eq!(node.membership.heads(), before.membership.heads());
    // Applied again it gets the same numbers.
    node.seen = before.seen.clone();
    node.apply_all(&later);
    assert_eq!((node.view(), node.seen.clone()), (applied, given));
    assert_eq!(masks(&mut node).len(), 1);
}

#[test]
fn the_heads_are_what_a_record_names_to_have_seen_everything() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Admin), &[]);
    let two = world.write(0, join(2, Access::Worker), &[]);
    let name = world.write(1, Body::ClusterName { name: "home".parse().expect("name") }, &[one]);
    let mut node = world.node();
    let mut heads = node.membership.heads();
    heads.sort();
    let mut expected = vec![two, name];
    expected.sort();
    assert_eq!(heads, expected);
    let over = world.write(0, task_record(), &heads);
    node.apply_all(&world.records);
    assert_eq!(node.seen[&over].1, node.membership.all());
}
