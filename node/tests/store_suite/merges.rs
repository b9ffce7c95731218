//! Which merges of integrators are believed: what the next one moves its branch to.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::ids::{AuthorKey, Oid, RecordId};
use octopoid_crdt::record::{Body, Cause, Queue};
use octopoid_node::ops::Expect;
use octopoid_node::ops::claim::{Claimant, Holds, claim};
use octopoid_node::ops::finish::{Submission, merged, submit};
use octopoid_node::ops::judge::{Move, accept, move_to};
use octopoid_node::ops::members::{Roles, remove, set_policy};
use octopoid_node::store::Store;

use crate::cluster::{bring, cluster};
use crate::world::{Random, add, block_on, plain};

fn commit(digit: char) -> Oid {
    digit.to_string().repeat(40).parse().expect("a commit")
}

fn make_integrator(admin: &Store, integrator: AuthorKey) {
    let roles = Roles { authority: None, integrator };
    block_on(admin.write(move |unit| set_policy(unit, roles))).expect("store").expect("set").expect("a record");
}

/// Does a task's work and accepts it; returns the accept.
fn accepted(store: &Store, id: &str) -> (u64, RecordId) {
    let no = block_on(add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[]))).expect("store").expect("made").no;
    let claimant = Claimant { agent: "agent".to_owned(), orchestrator: "here".to_owned(), ttl_seconds: 300, ..Claimant::default() };
    block_on(store.write(move |unit| claim(unit, no, &claimant))).expect("store").expect("claimed");
    let work = Submission { commits: 1, base: Some(commit('0')), head: Some(commit('1')), ..Submission::default() };
    block_on(store.write(move |unit| submit(unit, no, &Holds::default(), &Expect::default(), &work))).expect("store").expect("submitted");
    let done = block_on(store.write(move |unit| accept(unit, no, None, "me", ""))).expect("store").expect("accepted");
    (no, RecordId(done.row.accept.expect("an accept")))
}

fn says_it_merged(store: &Store, (no, accept): (u64, RecordId), what: char) {
    block_on(store.write(move |unit| merged(unit, no, accept, Some(commit(what))))).expect("store").expect("noted");
}

/// Returns what a store believes that each former integrator merged last.
fn believed(store: &Store) -> BTreeMap<AuthorKey, Oid> {
    let reader = store.reader().expect("reader");
    let (end, integrators) = (reader.next_arrival().expect("read"), reader.integrators().expect("read"));
    reader.last_merges(0..end, integrators, &store.masks()).expect("read")
}

#[test]
fn a_former_integrator_is_believed_what_it_merged_as_the_integrator_and_nothing_that_it_says_later() {
    let stores = cluster(2, &mut Random::new(1));
    let [admin, former, worker] = &stores[..] else { panic!("three stores") };
    says_it_merged(admin, accepted(admin, "first"), 'a');
    make_integrator(admin, former.me());
    bring(admin, former);
    let second = accepted(former, "second");
    says_it_merged(former, second, 'b');
    bring(former, admin);
    let both = BTreeMap::from([(admin.me(), commit('a')), (former.me(), commit('b'))]);
    assert_eq!(believed(admin), both);

    make_integrator(admin, admin.me());
    bring(admin, former);
    bring(admin, worker);
    // Still a worker, it accepts its own work and says that it merged that; and that an earlier merge was another commit.
    says_it_merged(former, accepted(former, "forged"), 'e');
    says_it_merged(former, second, 'f');
    bring(former, admin);
    bring(former, worker);
    assert_eq!(believed(admin), both);
    // Who never was the integrator is not asked about, and not believed where it is.
    says_it_merged(worker, accepted(worker, "meddled"), 'e');
    bring(worker, admin);
    assert_eq!(believed(admin), both);
    let reader = admin.reader().expect("reader");
    let end = reader.next_arrival().expect("read");
    let asked = reader.last_merges(0..end, BTreeSet::from([worker.me()]), &admin.masks()).expect("read");
    assert_eq!(asked, BTreeMap::new());

    // A task that is opened again was merged all the same.
    let (no, _) = second;
    let reopen = Move { queue: Queue::Incoming, cause: Cause::Reopen, by: "me".to_owned(), reason: String::new(), keep: None };
    block_on(former.write(move |unit| move_to(unit, no, reopen))).expect("store").expect("reopened");
    bring(former, admin);
    assert_eq!(believed(admin), both);
}

#[test]
fn a_merge_of_no_accept_that_counts_is_not_believed() {
    let stores = cluster(1, &mut Random::new(2));
    let [admin, integrator] = &stores[..] else { panic!("two stores") };
    make_integrator(admin, integrator.me());
    bring(admin, integrator);
    says_it_merged(integrator, accepted(integrator, "good"), 'b');
    let no = block_on(add(integrator, "default", "bad", Queue::Incoming, &plain("bad", "P1", &[]))).expect("store").expect("made").no;
    let (_, elsewhere) = accepted(integrator, "other");
    let bogus =
        move |unit: &mut octopoid_node::store::Unit<'_>| unit.write(no, Body::Merged { accept: elsewhere, commit: Some(commit('e')) });
    block_on(integrator.write(bogus)).expect("store").expect("written");
    bring(integrator, admin);
    assert_eq!(believed(admin), BTreeMap::from([(integrator.me(), commit('b'))]));
}

#[test]
fn a_removal_masks_the_merges_that_came_later() {
    let stores = cluster(1, &mut Random::new(3));
    let [admin, integrator] = &stores[..] else { panic!("two stores") };
    make_integrator(admin, integrator.me());
    bring(admin, integrator);
    says_it_merged(integrator, accepted(integrator, "early"), 'b');
    bring(integrator, admin);
    let key = integrator.me();
    block_on(admin.write(move |unit| remove(unit, &key, "gone"))).expect("store").expect("removed");
    // It has not heard of that, or says so.
    says_it_merged(integrator, accepted(integrator, "late"), 'e');
    bring(integrator, admin);
    assert_eq!(believed(admin), BTreeMap::from([(key, commit('b'))]), "what it merged before stays");
}
