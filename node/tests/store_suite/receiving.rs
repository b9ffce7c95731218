//! What follows when records of other nodes are taken in: events, leases, documents of careless and hostile authors.

use octopoid_crdt::document::{Actor, Document, Edit};
use octopoid_crdt::ids::{RecordId, SessionId, Subject};
use octopoid_crdt::record::{Body, Payload, Queue, Signer, Verified};
use octopoid_node::ops::claim::{Claimant, Holds, claim, expire, release};
use octopoid_node::ops::judge::cancel;
use octopoid_node::store::{Received, Store, TaskRow};

use crate::cluster::{assert_sound, bring, cluster, receive, records};
use crate::world::{Random, add, block_on, plain};

fn make(store: &Store, id: &str) -> u64 {
    block_on(add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[]))).expect("store").expect("created").no
}

fn row(store: &Store, id: &str) -> TaskRow {
    let reader = store.reader().expect("reader");
    let no = reader.task_no("default", id).expect("read").expect("a known task");
    reader.row(no).expect("read").expect("row")
}

#[test]
fn a_foreign_claim_is_timed_from_when_it_is_first_seen_and_its_release_ends_that() {
    let mut random = Random::new(1);
    let stores = cluster(1, &mut random);
    let no = make(&stores[0], "task");
    let mut events = stores[1].events();
    let claimant = Claimant { agent: "far".to_owned(), orchestrator: "there".to_owned(), ttl_seconds: 60, ..Claimant::default() };
    let held = block_on(stores[0].write(move |unit| claim(unit, no, &claimant))).expect("store").expect("claimed");
    let of = RecordId(held.row.holder.expect("held").record);
    bring(&stores[0], &stores[1]);
    let left = stores[1].leases().remaining_ms(&of).expect("timed");
    assert!(left > 55_000 && left <= 60_000, "{left}");
    let kinds: Vec<_> =
        std::iter::from_fn(|| events.try_recv().ok()).flat_map(|batch| batch.to_vec()).map(|event| (event.kind, event.id)).collect();
    assert!(kinds.contains(&("task_create", "task".to_owned())) && kinds.contains(&("claim", "task".to_owned())), "{kinds:?}");

    // What is held already is no news and restarts nothing.
    let again = receive(&stores[1], records(&stores[0]));
    assert!(again.iter().all(|result| *result == Ok(Received::Known)));
    assert!(events.try_recv().is_err());
    let cause = octopoid_crdt::record::Cause::GivenBack;
    block_on(stores[0].write(move |unit| release(unit, no, &Holds::default(), cause, ""))).expect("store").expect("released");
    bring(&stores[0], &stores[1]);
    assert_eq!(stores[1].leases().remaining_ms(&of), None);
}

#[test]
fn a_claim_that_does_not_hold_is_timed_as_well_and_ends_as_soon_as_it_holds_when_it_was_silent() {
    let mut random = Random::new(1);
    let stores = cluster(3, &mut random);
    let no = make(&stores[0], "task");
    bring(&stores[0], &stores[1]);
    let claimed = |store: &Store, agent: &str, ttl_seconds: u32| {
        let claimant = Claimant { agent: agent.to_owned(), orchestrator: "there".to_owned(), ttl_seconds, ..Claimant::default() };
        let held = block_on(store.write(move |unit| claim(unit, no, &claimant))).expect("store").expect("claimed");
        RecordId(held.row.holder.expect("held").record)
    };
    let both = [claimed(&stores[0], "one", 1), claimed(&stores[1], "other", 1)];
    bring(&stores[0], &stores[2]);
    bring(&stores[1], &stores[2]);
    let holder = || row(&stores[2], "task").holder.map(|holder| RecordId(holder.record));
    let first = holder().expect("held");
    let second = both.into_iter().find(|claim| *claim != first).expect("another claim");
    for of in both {
        assert!(stores[2].leases().remaining_ms(&of).is_some(), "both are timed");
    }

    let due = |of: RecordId| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !stores[2].leases().due().contains(&of) {
            assert!(std::time::Instant::now() < end, "never due");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    let end = |of: RecordId| {
        block_on(stores[2].write(move |unit| Ok::<_, octopoid_node::ops::Refused>(expire(unit, of)?))).expect("store").expect("done")
    };
    due(second);
    assert!(end(second).is_none(), "the law ends only what holds");
    assert!(!stores[2].leases().due().contains(&second), "nobody asks again at once");
    due(first);
    assert!(end(first).is_some());
    assert_eq!(holder(), Some(second));
    assert!(stores[2].leases().due().contains(&second), "its silence began long ago");
    assert!(end(second).is_some());
    assert_eq!(row(&stores[2], "task").queue, "incoming");
}

/// A member that signs what it likes, beside its store.
struct Hand {
    signer: Signer,
    session: SessionId,
    seq: u64,
    prev: Option<RecordId>,
}

impl Hand {
    /// Goes on from the node's last record in a session of its own.
    fn of(node: u8, store: &Store) -> Self {
        let signer = Signer::from_seed(&[node; 32]);
        let own = records(store).into_iter().filter(|record| record.payload().author == signer.author()).last();
        Self { prev: own.map(|record| record.id()), signer, session: SessionId([0xEE; 16]), seq: 0 }
    }

    fn actor(&self) -> Actor {
        Actor { author: self.signer.author(), session: self.session }
    }

    fn sign(&mut self, store: &Store, subject: Subject, deps: Vec<RecordId>, body: Body) -> Verified {
        let payload = Payload {
            author: self.signer.author(),
            session: self.session,
            seq: self.seq,
            prev: self.prev,
            subject,
            wall_ms: 9,
            deps,
            body,
        };
        let record = Verified::sign(&self.signer, store.cluster(), payload).expect("signed");
        (self.seq, self.prev) = (self.seq + 1, Some(record.id()));
        record
    }
}

/// A task, its creation, and its document as it was made.
fn fresh_task(store: &Store) -> (Subject, RecordId, Document) {
    make(store, "task");
    let subject = Subject(row(store, "task").subject);
    let create = records(store).into_iter().find(|record| record.payload().subject == subject).expect("the creation");
    let Body::TaskCreate { change, .. } = &create.payload().body else { panic!("no creation") };
    let mut document = Document::empty();
    let actor = Actor { author: create.payload().author, session: create.payload().session };
    document.admit(change, actor).expect("a good change");
    (subject, create.id(), document)
}

fn one(changes: Vec<Vec<u8>>) -> Body {
    let [change] = changes.try_into().expect("one change");
    Body::DocChange { change }
}

fn retitle(store: &Store, title: &str) {
    let no = store.reader().expect("reader").task_no("default", "task").expect("read").expect("known");
    let edits = [Edit::set("title", title)];
    block_on(store.write(move |unit| unit.edit(no, &edits))).expect("store").expect("no fault").expect("edited");
}

#[test]
fn a_change_that_comes_before_what_it_builds_on_waits_for_it() {
    let mut random = Random::new(2);
    let stores = cluster(1, &mut random);
    make(&stores[1], "other");
    let (subject, create, mut document) = fresh_task(&stores[0]);
    let mut hand = Hand::of(2, &stores[1]);
    let first = one(document.edit(hand.actor(), &[Edit::set("title", "one"), Edit::set("role", "review")]).expect("edited"));
    let second = one(document.edit(hand.actor(), &[Edit::set("title", "two")]).expect("edited"));
    // In the wrong order.
    let second = hand.sign(&stores[0], subject, vec![create], second);
    let first = hand.sign(&stores[0], subject, vec![create], first);
    bring(&stores[1], &stores[0]);
    receive(&stores[0], vec![second]).remove(0).expect("held");
    assert_eq!((row(&stores[0], "task").text("title"), row(&stores[0], "task").knotted), (Some("task"), true));
    assert_sound(&stores[0], "while it waits");
    receive(&stores[0], vec![first]).remove(0).expect("held");
    let after = row(&stores[0], "task");
    assert_eq!((after.text("title"), after.text("role"), after.knotted), (Some("two"), Some("review"), false));
    retitle(&stores[0], "three");
    assert_eq!(row(&stores[0], "task").text("title"), Some("three"));
    assert_sound(&stores[0], "at the end");
}

#[test]
fn a_change_of_another_actor_is_left_out_with_all_that_builds_on_it_and_everyone_else_goes_on() {
    let mut random = Random::new(3);
    let stores = cluster(1, &mut random);
    make(&stores[1], "other");
    let (subject, create, mut document) = fresh_task(&stores[0]);
    let mut hand = Hand::of(2, &stores[1]);
    let elsewhere = Actor { session: SessionId([9; 16]), ..hand.actor() };
    let forged = one(document.edit(elsewhere, &[Edit::set("title", "forged")]).expect("edited"));
    let poisoned = one(document.edit(hand.actor(), &[Edit::set("title", "poisoned")]).expect("edited"));
    let forged = hand.sign(&stores[0], subject, vec![create], forged);
    let poisoned = hand.sign(&stores[0], subject, vec![forged.id()], poisoned);
    bring(&stores[1], &stores[0]);
    for result in receive(&stores[0], vec![forged, poisoned]) {
        result.expect("held and relayed all the same");
    }
    assert_eq!((row(&stores[0], "task").text("title"), row(&stores[0], "task").version), (Some("task"), 3));
    retitle(&stores[0], "honest");
    bring(&stores[0], &stores[1]);
    assert_eq!(row(&stores[1], "task").text("title"), Some("honest"));
    assert_eq!(row(&stores[0], "task"), row(&stores[1], "task"));
    assert_sound(&stores[0], "one");
    assert_sound(&stores[1], "other");
}

#[test]
fn records_about_what_was_never_made_are_kept_and_count_once_it_is() {
    let mut random = Random::new(4);
    let stores = cluster(1, &mut random);
    make(&stores[1], "other");
    let mut hand = Hand::of(2, &stores[1]);
    let subject = Subject::task(&"default".parse().expect("scope"), &"task".parse().expect("id"));
    let mut document = Document::empty();
    let early = one(document.edit(hand.actor(), &[Edit::set("role", "review"), Edit::add("blocked_by", "other")]).expect("edited"));
    let early = hand.sign(&stores[0], subject, Vec::new(), early);
    bring(&stores[1], &stores[0]);
    let in_both_orders = [(&stores[0], false), (&stores[1], true)];
    let made = {
        make(&stores[0], "task");
        records(&stores[0]).last().expect("records").clone()
    };
    for (store, first) in in_both_orders {
        let records = if first { vec![early.clone(), made.clone()] } else { vec![made.clone(), early.clone()] };
        for result in receive(store, records) {
            result.expect("held");
        }
    }
    let task = row(&stores[0], "task");
    assert_eq!((task.text("role").is_some(), task.open_blockers.clone(), task.version), (true, vec!["other".to_owned()], 2));
    assert_eq!(task, row(&stores[1], "task"));
    assert_sound(&stores[0], "made first");
    assert_sound(&stores[1], "edited first");
    // Both are told when what they wait for ends.
    let other = stores[0].reader().expect("reader").task_no("default", "other").expect("read").expect("known");
    block_on(stores[0].write(move |unit| cancel(unit, other, "me", ""))).expect("store").expect("cancelled");
    bring(&stores[0], &stores[1]);
    for store in &stores {
        assert_eq!(row(store, "task").open_blockers, Vec::<String>::new());
    }
}
