//! The rules of membership, one by one.

use octopoid_crdt::{
    membership::{Membership, MembershipError, NotCounted, Seen},
    record::{Access, Body},
};

use crate::world::{Node, World, join, key, name, task_record};

fn policy(number: u64, authority: Option<u8>, integrator: u8) -> Body {
    Body::Policy { number, authority: authority.map(key), integrator: key(integrator), last: None, frontier: None }
}

#[test]
fn the_creator_is_the_first_admin_and_the_integrator() {
    let world = World::founded();
    let mut node = world.node();
    let view = node.view();
    assert_eq!(view.access(&key(0)), Some(Access::Admin));
    assert_eq!(view.integrator(), Some(&key(0)));
    assert_eq!((view.authority(), view.name()), (None, None));
    assert_eq!(node.access(1), None);
}

#[test]
fn only_who_was_admin_in_the_records_past_lets_others_in() {
    let mut world = World::founded();
    let worker = world.write(0, join(1, Access::Worker), &[]);
    let by_worker = world.write(1, join(2, Access::Admin), &[worker]);
    let by_stranger = world.write(3, join(3, Access::Admin), &[worker]);
    // Promoted later: what it wrote before does not come to count.
    let promoted = world.write(0, join(1, Access::Admin), &[by_worker, by_stranger]);
    let by_admin = world.write(1, join(4, Access::Reader), &[promoted]);
    let mut node = world.node();
    assert_eq!(node.verdicts[&by_worker], Some(Err(NotCounted::NotAdmin)));
    assert_eq!(node.verdicts[&by_stranger], Some(Err(NotCounted::NotAdmin)));
    assert_eq!(node.verdicts[&by_admin], Some(Ok(())));
    assert_eq!([1, 2, 3, 4].map(|author| node.access(author)), [Some(Access::Admin), None, None, Some(Access::Reader)]);
    assert!(!node.view().is_member(&key(4)), "a reader is no member in the lifecycle's sense");
}

#[test]
fn a_record_whose_past_lacks_the_join_has_no_standing() {
    let mut world = World::founded();
    let joined = world.write(0, join(1, Access::Worker), &[]);
    let early = world.write(1, task_record(), &[world.genesis()]);
    let late = world.write(1, task_record(), &[joined]);
    let after = world.write(1, task_record(), &[]);
    let node = world.node();
    assert_eq!(node.standings[&early], None);
    assert_eq!(node.standings[&late], Some(Access::Worker));
    assert_eq!(node.standings[&after], Some(Access::Worker), "its own chain carries the knowledge on");
}

#[test]
fn a_removal_leaves_out_what_lies_above_its_frontier_and_was_written_without_it() {
    let mut world = World::founded();
    let joined = world.write(0, join(1, Access::Worker), &[]);
    let kept = world.write(1, task_record(), &[joined]);
    let above = world.write(1, task_record(), &[]);
    let removal = world.remove(0, 1, Some(kept), &[kept]);
    let mut node = world.node();
    assert_eq!(node.access(1), None);
    assert_eq!(node.left_out(kept), None);
    assert_eq!(node.left_out(above), Some(removal));
    assert_eq!(node.standings[&above], Some(Access::Worker), "a removal is a mask, not a verdict");
}

#[test]
fn a_removal_wins_over_a_join_that_had_not_seen_it_and_yields_to_one_that_had() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let joined = world.write(0, join(2, Access::Worker), &[]);
    let removal = world.remove(0, 2, None, &[]);
    world.write(1, join(2, Access::Admin), &[admin, joined]);
    let mut node = world.node();
    assert_eq!(node.access(2), None);

    let again = world.write(1, join(2, Access::Reader), &[removal]);
    let old = world.write(2, task_record(), &[joined]);
    let new = world.write(2, task_record(), &[again]);
    let mut node = world.node();
    assert_eq!(node.access(2), Some(Access::Reader));
    assert_eq!((node.left_out(old), node.left_out(new)), (Some(removal), None));
}

#[test]
fn of_concurrent_joins_the_least_access_holds() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let joined = world.write(0, join(2, Access::Worker), &[admin]);
    let up = world.write(0, join(2, Access::Admin), &[]);
    let down = world.write(1, join(2, Access::Reader), &[joined]);
    assert_eq!(world.node().access(2), Some(Access::Reader));
    world.write(0, join(2, Access::Worker), &[up, down]);
    assert_eq!(world.node().access(2), Some(Access::Worker));
}

#[test]
fn of_two_admins_that_remove_each_other_at_once_the_senior_stays() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    world.remove(1, 0, Some(world.genesis()), &[admin]);
    world.remove(0, 1, None, &[]);
    let mut node = world.node();
    assert_eq!((node.access(0), node.access(1)), (Some(Access::Admin), None));
}

#[test]
fn an_admin_may_remove_its_senior_who_had_nothing_against_it() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let late = world.write(0, join(2, Access::Admin), &[]);
    world.remove(1, 0, Some(admin), &[admin]);
    let by_late = world.write(2, task_record(), &[late]);
    let mut node = world.node();
    assert_eq!((node.access(0), node.access(1)), (None, Some(Access::Admin)));
    assert_eq!(node.access(2), None, "a Join above the frontier is left out");
    assert!(node.left_out(by_late).is_some(), "and so is what its member wrote");
}

#[test]
fn members_whom_a_removed_admin_let_in_afterwards_cannot_help_it() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let other = world.write(0, join(2, Access::Admin), &[]);
    // 2 removes 1; 1, without admitting to have seen it, lets 3 in, and 3 removes 2 and builds on its own Join.
    let removal = world.remove(2, 1, None, &[admin, other]);
    let puppet = world.write(1, join(3, Access::Admin), &[admin, other]);
    let attack = world.remove(3, 2, Some(removal), &[puppet]);
    world.write(3, Body::ClusterName { name: name("taken") }, &[]);
    let mut node = world.node();
    assert_eq!([1, 2, 3].map(|author| node.access(author)), [None, Some(Access::Admin), None]);
    assert_eq!(node.view().name(), None);
    assert_eq!(node.left_out(attack), Some(removal));
}

#[test]
fn what_a_remaining_member_built_on_before_it_saw_the_removal_stays() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let other = world.write(0, join(2, Access::Admin), &[]);
    let let_in = world.write(1, join(3, Access::Worker), &[admin, other]);
    let removal = world.remove(0, 1, None, &[]);
    assert_eq!(world.node().access(3), None);
    world.write(2, Body::ClusterName { name: name("home") }, &[other, let_in]);
    let mut node = world.node();
    assert_eq!(node.access(3), Some(Access::Worker));
    assert_eq!(node.access(1), None);
    assert!(node.membership.has_seen(node.membership.all(), &removal));
}

#[test]
fn anybody_may_leave_but_only_an_admin_removes_another() {
    let mut world = World::founded();
    let one = world.write(0, join(1, Access::Reader), &[]);
    let two = world.write(0, join(2, Access::Worker), &[]);
    let wrong = world.remove(2, 1, None, &[one, two]);
    let leave = world.remove(1, 1, None, &[one]);
    let nobody = world.remove(0, 5, None, &[]);
    let mut node = world.node();
    assert_eq!(node.verdicts[&wrong], Some(Err(NotCounted::NotAdmin)));
    assert_eq!(node.verdicts[&leave], Some(Ok(())));
    assert_eq!(node.verdicts[&nobody], Some(Err(NotCounted::NotMember)));
    assert_eq!((node.access(1), node.access(2)), (None, Some(Access::Worker)));
}

#[test]
fn policies_are_numbered_one_by_one_and_of_concurrent_ones_the_lowest_id_holds() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let high = world.write(0, policy(u64::MAX, None, 0), &[]);
    let a = world.write(0, policy(1, Some(0), 0), &[]);
    let b = world.write(1, policy(1, Some(1), 1), &[admin]);
    let mut node = world.node();
    assert_eq!(node.verdicts[&high], Some(Err(NotCounted::PolicyNumber { expected: 1 })));
    assert_eq!(node.view().policy().map(|policy| policy.id), Some(a.min(b)));
}

#[test]
fn a_policy_names_only_members_who_may_work() {
    let mut world = World::founded();
    world.write(0, join(1, Access::Reader), &[]);
    for (authority, integrator) in [(Some(1), 0), (None, 1), (Some(7), 0)] {
        let id = world.write(0, policy(1, authority, integrator), &[]);
        assert_eq!(world.node().verdicts[&id], Some(Err(NotCounted::PolicyMember)));
    }
}

#[test]
fn the_authority_moves_by_its_own_last_record_or_by_an_admins_frontier() {
    let mut world = World::founded();
    let worker = world.write(0, join(1, Access::Worker), &[]);
    let set = world.write(0, policy(1, Some(1), 0), &[]);
    let last = world.write(1, task_record(), &[worker, set]);
    let bare = world.write(0, policy(2, Some(0), 0), &[]);
    let moved = |authority: Option<u8>, last, frontier| Body::Policy {
        number: 2,
        authority: authority.map(key),
        integrator: key(0),
        last,
        frontier,
    };
    let forced = world.write(0, moved(Some(0), None, Some(vec![])), &[]);
    let not_his = world.write(0, moved(Some(0), Some(last), None), &[last]);
    let planned = world.write(1, moved(None, Some(last), None), &[]);
    let node = world.node();
    assert_eq!(node.verdicts[&bare], Some(Err(NotCounted::PolicyMove)));
    assert_eq!(node.verdicts[&forced], Some(Ok(())));
    assert_eq!(node.verdicts[&planned], Some(Ok(())), "a worker that is the authority gives it away");
    assert_eq!(node.verdicts[&not_his], Some(Err(NotCounted::PolicyNumber { expected: 3 })), "its past holds the forced move");
}

#[test]
fn an_invitation_lets_one_member_in() {
    let mut world = World::founded();
    let invited = |author| Body::Join { member: key(author), access: Access::Worker, name: name("x"), invite: Some([9; 32]) };
    let first = world.write(0, invited(1), &[]);
    let same = world.write(0, invited(1), &[]);
    let second = world.write(0, invited(2), &[]);
    let node = world.node();
    assert_eq!([first, same].map(|id| node.verdicts[&id]), [Some(Ok(())); 2]);
    assert_eq!(node.verdicts[&second], Some(Err(NotCounted::InviteUsed)));
}

#[test]
fn the_last_name_in_the_past_holds() {
    let mut world = World::founded();
    let named = |text| Body::ClusterName { name: name(text) };
    world.write(0, named("home"), &[]);
    world.write(0, named("office"), &[]);
    assert_eq!(world.node().view().name(), Some(&name("office")));
}

#[test]
fn a_tasks_record_makes_no_new_set_and_judges_nothing() {
    let mut world = World::founded();
    let mut last = world.genesis();
    for _ in 0..50 {
        last = world.write(0, task_record(), &[last]);
    }
    let node = world.node();
    assert_eq!(node.membership.sets(), 2, "the empty set and the genesis");
    assert_eq!(node.verdicts[&last], None);
}

#[test]
fn a_stored_membership_comes_back_and_a_damaged_one_is_refused() {
    let mut world = World::founded();
    let joined = world.write(0, join(1, Access::Admin), &[]);
    world.write(1, join(2, Access::Worker), &[joined]);
    world.remove(0, 1, Some(joined), &[]);
    let mut node = world.node();
    let sets: Vec<_> = (1..node.membership.sets())
        .map(|n| node.membership.set_bytes(Seen(u32::try_from(n).expect("few sets"))).expect("it exists"))
        .collect();
    let counted = node.counted.clone();
    let restore = |sets: &[Vec<u8>]| Membership::restore(sets.iter().map(Vec::as_slice), counted.clone());
    let mut restored = Node { membership: restore(&sets).expect("it was stored whole"), ..Node::default() };
    assert_eq!(restored.view(), node.view());
    assert_eq!(restored.membership.sets(), node.membership.sets());
    assert!(matches!(restore(&sets[..1]), Err(MembershipError::StoredSet(2))));
    assert!(matches!(restore(&[vec![1, 2, 3]]), Err(MembershipError::StoredSet(1))));
    assert!(matches!(node.membership.view(Seen(999)), Err(MembershipError::UnknownSeen(999))));
}

#[test]
fn a_removed_member_spares_nothing_by_having_built_on_it() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let other = world.write(0, join(2, Access::Admin), &[]);
    let let_in = world.write(1, join(3, Access::Worker), &[admin, other]);
    let named = world.write(2, Body::ClusterName { name: name("home") }, &[other, let_in]);
    world.remove(0, 1, None, &[]);
    assert_eq!(world.node().access(3), Some(Access::Worker));
    world.remove(0, 2, Some(named), &[]);
    let mut node = world.node();
    assert_eq!(node.view().name(), Some(&name("home")), "below the frontier it stays in effect");
    assert_eq!(node.access(3), None);
}

#[test]
fn whom_a_remaining_member_had_built_on_removes_others_like_any_admin() {
    let mut world = World::founded();
    let admin = world.write(0, join(1, Access::Admin), &[]);
    let other = world.write(0, join(2, Access::Admin), &[]);
    let let_in = world.write(1, join(3, Access::Admin), &[admin, other]);
    let named = world.write(2, Body::ClusterName { name: name("home") }, &[other, let_in]);
    let removal = world.remove(0, 1, None, &[]);
    let target = world.write(0, join(4, Access::Worker), &[]);
    world.remove(3, 4, None, &[named, removal, target]);
    let mut node = world.node();
    assert_eq!([1, 3, 4].map(|author| node.access(author)), [None, Some(Access::Admin), None]);
}
