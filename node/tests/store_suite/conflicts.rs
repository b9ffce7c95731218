//! Stores that were apart do the same twice: what lost is listed on all of them until one adopts or dismisses it.

use octopoid_crdt::document::{Document, Edit};
use octopoid_crdt::ids::{Name, Oid, RecordId};
use octopoid_crdt::record::{Body, Cause, Queue};
use octopoid_node::ops::claim::{Claimant, Holds, claim, withdraw};
use octopoid_node::ops::conflicts::{adopt, dismiss};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::judge::{accept, cancel, requeue};
use octopoid_node::ops::{Expect, Refused};
use octopoid_node::store::conflicts::{Sign, YIELDED};
use octopoid_node::store::{Store, TaskNo, TaskRow, Unit};

use crate::cluster::{assert_sound, bring, cluster, outside, receive_in_any_order, records};
use crate::world::{Random, add, block_on, plain};

const TASK: &str = "t";

/// Does something to the task.
fn act<T: Send + 'static>(store: &Store, deed: impl FnOnce(&mut Unit<'_>, TaskNo) -> Result<T, Refused> + Send + 'static) -> T {
    tried(store, deed).expect("allowed")
}

fn tried<T: Send + 'static>(
    store: &Store,
    deed: impl FnOnce(&mut Unit<'_>, TaskNo) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    block_on(store.write(move |unit| {
        let no = unit.find("default", TASK)?.expect("the task is known");
        deed(unit, no)
    }))
    .expect("store")
}

fn claimed(store: &Store) -> RecordId {
    act(store, |unit, no| {
        let claimant = Claimant { agent: "a".to_owned(), orchestrator: "here".to_owned(), ttl_seconds: 300, ..Claimant::default() };
        Ok(RecordId(claim(unit, no, &claimant)?.row.holder.expect("a holder").record))
    })
}

fn submitted(store: &Store) -> RecordId {
    let claim = claimed(store);
    act(store, |unit, no| submit(unit, no, &Holds::default(), &Expect::default(), &Submission::default()));
    claim
}

fn row(store: &Store) -> TaskRow {
    let reader = store.reader().expect("reader");
    let no = reader.task_no("default", TASK).expect("read").expect("known");
    reader.row(no).expect("read").expect("a row")
}

/// The ids of the tasks that are listed as conflicts.
fn listed(store: &Store) -> Vec<String> {
    let page = store.reader().expect("reader").conflicts(None, 0, 10).expect("read");
    assert_eq!(page.total, page.tasks.len() as u64);
    page.tasks.into_iter().map(|(_, row)| row.id).collect()
}

fn exchange(stores: &[Store]) {
    for from in stores {
        for to in stores {
            bring(from, to);
        }
    }
}

#[track_caller]
fn all_list(stores: &[Store], expected: &[&str]) {
    for (index, store) in stores.iter().enumerate() {
        assert_eq!(listed(store), expected, "store {index}");
        assert_sound(store, &format!("store {index}"));
    }
}

/// Stores that all know one task.
fn with_task(seed: u64) -> (Vec<Store>, Random) {
    let mut random = Random::new(seed);
    let stores = cluster(3, &mut random);
    block_on(add(&stores[0], "default", TASK, Queue::Incoming, &plain("a task", "P1", &[]))).expect("store").expect("created");
    exchange(&stores);
    (stores, random)
}

/// Two stores have submitted the same task apart, and all know it. Returns the winner's and the loser's claim.
fn fought(seed: u64) -> (Vec<Store>, Random, RecordId, RecordId) {
    let (stores, random) = with_task(seed);
    let claims = [submitted(&stores[1]), submitted(&stores[2])];
    all_list(&stores, &[]);
    exchange(&stores);
    let lost = claims.into_iter().find(|claim| row(&stores[0]).shows(&Sign::Attempt(*claim))).expect("one lost");
    let won = claims.into_iter().find(|claim| *claim != lost).expect("one won");
    (stores, random, won, lost)
}

fn name_of(claim: &RecordId) -> String {
    octopoid_crdt::ids::AttemptName::new(1, claim).to_string()
}

#[test]
fn what_two_stores_submitted_apart_is_listed_on_all_until_one_adopts_the_loser() {
    let (stores, _, won, lost) = fought(1);
    all_list(&stores, &[TASK]);
    assert_eq!(row(&stores[1]).attempt, Some(name_of(&won)));
    let name = name_of(&lost);
    act(&stores[3], move |unit, no| adopt(unit, no, &name, "me"));
    exchange(&stores);
    all_list(&stores, &[]);
    for store in &stores {
        let row = row(store);
        assert_eq!((row.queue.as_str(), row.attempt), ("provisional", Some(name_of(&lost))));
    }
    act(&stores[0], |unit, no| accept(unit, no, None, "me", ""));
    assert_eq!(row(&stores[0]).queue, "done");
}

#[test]
fn a_dismissal_hides_on_all_stores_in_whatever_order_they_learn_of_it() {
    let (stores, mut random, _, _) = fought(2);
    act(&stores[3], dismiss);
    act(&stores[3], dismiss);
    let fresh = outside(50, stores[0].cluster(), &mut random);
    let mut all: Vec<_> = stores.iter().flat_map(records).collect();
    all.sort_by_key(octopoid_crdt::record::Verified::id);
    all.dedup();
    receive_in_any_order(&fresh, all, &mut random);
    exchange(&stores);
    all_list(&stores, &[]);
    all_list(&[fresh], &[]);
}

#[test]
fn two_accepted_attempts_are_a_conflict_that_an_earlier_dismissal_does_not_hide() {
    let (stores, _, _, _) = fought(3);
    act(&stores[0], dismiss);
    exchange(&stores);
    // A third attempt, apart from a verdict on the second.
    act(&stores[1], |unit, no| requeue(unit, no, "me", "", false, false));
    let claims = [submitted(&stores[1]), {
        act(&stores[2], |unit, no| requeue(unit, no, "me", "", false, false));
        submitted(&stores[2])
    }];
    act(&stores[1], |unit, no| accept(unit, no, None, "me", ""));
    act(&stores[2], |unit, no| accept(unit, no, None, "you", ""));
    exchange(&stores);
    all_list(&stores, &[TASK]);
    let shown = row(&stores[0]);
    assert!(shown.contested && claims.iter().filter(|claim| shown.shows(&Sign::Attempt(**claim))).count() == 1, "{shown:?}");
    let name = octopoid_crdt::ids::AttemptName::new(2, claims.iter().find(|claim| shown.shows(&Sign::Attempt(**claim))).expect("lost"));
    let name = name.to_string();
    let wanted = name.clone();
    let refused = tried(&stores[0], move |unit, no| adopt(unit, no, &wanted, "me")).expect_err("it is done");
    assert!(matches!(&refused, Refused::Transition { details, .. } if details[0].contains("requeue t --reopen")), "{refused:?}");
    act(&stores[0], |unit, no| requeue(unit, no, "me", "", true, true));
    act(&stores[0], move |unit, no| adopt(unit, no, &name, "me"));
    exchange(&stores);
    all_list(&stores, &[]);
    assert_eq!(row(&stores[2]).queue, "provisional");
}

#[test]
fn a_claim_that_yielded_before_it_started_is_none_and_one_whose_work_was_stopped_is_one() {
    for (reason, expected) in [(YIELDED, vec![]), ("another attempt won; what was done is on the attempt's branch", vec![TASK])] {
        let (stores, _) = with_task(4);
        let claims = [(1, claimed(&stores[1])), (2, claimed(&stores[2]))];
        exchange(&stores);
        // Nobody has stopped the loser yet.
        all_list(&stores, &[]);
        let won = row(&stores[0]).holder.expect("held").record;
        let (at, lost) = claims.into_iter().find(|(_, claim)| claim.0 != won).expect("one lost");
        assert!(act(&stores[at], move |unit, no| Ok(withdraw(unit, no, lost, Cause::Superseded, reason)?)));
        exchange(&stores);
        all_list(&stores, &expected);
        if expected.is_empty() {
            continue;
        }
        let name = name_of(&lost);
        act(&stores[3], move |unit, no| adopt(unit, no, &name, "me"));
        exchange(&stores);
        all_list(&stores, &[]);
        let row = row(&stores[0]);
        assert_eq!((row.queue.as_str(), row.resume), ("incoming", Some(lost.0)), "the next attempt starts from its branch");
    }
}

#[test]
fn a_task_that_was_given_up_in_knowledge_of_its_work_is_none_and_one_given_up_apart_is_one() {
    let (stores, _) = with_task(5);
    submitted(&stores[1]);
    exchange(&stores);
    act(&stores[2], |unit, no| cancel(unit, no, "me", ""));
    exchange(&stores);
    all_list(&stores, &[]);
    let (stores, _) = with_task(6);
    submitted(&stores[1]);
    act(&stores[2], |unit, no| cancel(unit, no, "me", ""));
    exchange(&stores);
    all_list(&stores, &[TASK]);
}

#[test]
fn one_id_that_was_created_twice_is_listed_with_the_creation_that_is_not_shown() {
    let mut random = Random::new(7);
    let stores = cluster(1, &mut random);
    for store in &stores {
        block_on(add(store, "default", TASK, Queue::Incoming, &plain("a task", "P1", &[]))).expect("store").expect("created");
    }
    exchange(&stores);
    all_list(&stores, &[TASK]);
    assert_eq!(row(&stores[0]).signs.len(), 1);
    act(&stores[1], dismiss);
    exchange(&stores);
    all_list(&stores, &[]);
}

#[test]
fn a_circle_of_blockers_is_listed_where_it_is_cut_until_it_is_dismissed() {
    let (stores, _) = with_task(8);
    let scope: Name = "default".parse().expect("scope");
    let other = move |unit: &mut Unit<'_>| {
        let (document, change) = Document::create(unit.actor(), &plain("other", "P1", &[])).expect("document");
        unit.create((&scope, &"u".parse().expect("id")), document, change, None).map(drop)
    };
    block_on(stores[0].write(other)).expect("store").expect("made");
    exchange(&stores);
    act(&stores[1], |unit, no| {
        unit.edit(no, &[Edit::add("blocked_by", "u")])?.expect("edited");
        Ok(())
    });
    act(&stores[2], |unit, _| {
        let no = unit.find("default", "u")?.expect("known");
        unit.edit(no, &[Edit::add("blocked_by", TASK)])?.expect("edited");
        Ok(())
    });
    exchange(&stores);
    all_list(&stores, &["u"]);
    act(&stores[1], |unit, _| {
        let no = unit.find("default", "u")?.expect("known");
        dismiss(unit, no)
    });
    exchange(&stores);
    all_list(&stores, &[]);
    let refused = tried(&stores[0], dismiss).expect_err("nothing about it lost");
    assert!(matches!(refused, Refused::Transition { .. }), "{refused:?}");
}

#[test]
fn a_second_merge_commit_of_one_accept_is_listed() {
    let (stores, _) = with_task(9);
    submitted(&stores[1]);
    let accepted = RecordId(act(&stores[1], |unit, no| accept(unit, no, None, "me", "")).row.accept.expect("an accept"));
    exchange(&stores);
    for (store, digit) in [(&stores[1], "1"), (&stores[2], "2")] {
        let commit: Oid = digit.repeat(40).parse().expect("an id");
        act(store, move |unit, no| Ok(unit.write(no, Body::Merged { accept: accepted, commit: Some(commit) })?));
    }
    all_list(&stores, &[]);
    exchange(&stores);
    all_list(&stores, &[TASK]);
}

#[test]
fn an_attempt_is_adopted_by_its_name_or_by_a_number_that_only_it_has() {
    let (stores, _, won, lost) = fought(10);
    let refusal = |wanted: String| match tried(&stores[0], move |unit, no| adopt(unit, no, &wanted, "me")) {
        Err(Refused::Field { field, message }) => format!("{field}: {message}"),
        Err(Refused::Transition { details, .. }) => details.join(""),
        other => panic!("{other:?}"),
    };
    let both = refusal("1".to_owned());
    assert!(both.contains(&name_of(&won)) && both.contains(&name_of(&lost)), "{both}");
    assert!(refusal("7".to_owned()).contains("no such attempt"));
    assert!(refusal(name_of(&won)).contains("rests on"));
    let name = name_of(&lost);
    act(&stores[0], move |unit, no| adopt(unit, no, &name, "me"));
}
