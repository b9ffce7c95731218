//! Membership in the store: who may write, what counts, what a removal changes.

use octopoid_crdt::document::Edit;
use octopoid_crdt::record::{Access, Body, Queue};
use octopoid_node::ops::claim::{Claimant, Holds, claim, release};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::judge::accept;
use octopoid_node::ops::members::{Admission, MembersRefused, Roles, join, name_cluster, remove, set_policy};
use octopoid_node::ops::{Expect, Refused};
use octopoid_node::store::{OpenError, ReceiveError, Store, TaskRow, WriteFault};

use crate::cluster::{admit, assert_sound, bring, cluster, found, outside, receive, records};
use crate::world::{Random, add, block_on, identity_of, plain};

fn make(store: &Store, id: &str) -> Result<u64, Refused> {
    block_on(add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[]))).expect("store").map(|made| made.no)
}

fn no_of(store: &Store, id: &str) -> u64 {
    store.reader().expect("reader").task_no("default", id).expect("read").expect("a known task")
}

fn row(store: &Store, id: &str) -> TaskRow {
    store.reader().expect("reader").row(no_of(store, id)).expect("read").expect("row")
}

fn retitle(store: &Store, id: &str, title: &str) {
    let (no, edits) = (no_of(store, id), [Edit::set("title", title)]);
    block_on(store.write(move |unit| unit.edit(no, &edits))).expect("store").expect("no fault").expect("edited");
}

fn take(store: &Store, id: &str) -> Result<TaskRow, Refused> {
    let no = no_of(store, id);
    let claimant = Claimant { agent: "agent".to_owned(), orchestrator: "here".to_owned(), ttl_seconds: 300, ..Claimant::default() };
    block_on(store.write(move |unit| claim(unit, no, &claimant))).expect("store").map(|done| done.row)
}

fn expel(admin: &Store, member: &Store) {
    let key = member.me();
    block_on(admin.write(move |unit| remove(unit, &key, "gone"))).expect("store").expect("removed");
}

#[test]
fn a_joiner_writes_nothing_before_its_join_is_held_and_its_first_record_names_it() {
    let mut random = Random::new(1);
    let admin = found(1, &mut random);
    let joiner = outside(2, admin.cluster(), &mut random);
    let refused = make(&joiner, "early").expect_err("not a member yet");
    assert!(format!("{refused:?}").contains("no member of the cluster yet"), "{refused:?}");
    assert_eq!(joiner.reader().expect("reader").next_arrival().expect("read"), 0, "a refusal leaves no record");
    admit(&admin, joiner.me(), Access::Worker, "second");
    bring(&admin, &joiner);
    assert_eq!(joiner.membership(), admin.membership());
    make(&joiner, "late").expect("a member");
    let by = joiner.membership().members().find(|(key, _)| **key == joiner.me()).map(|(_, member)| member.by).expect("a member");
    let own: Vec<_> = records(&joiner).into_iter().filter(|record| record.payload().author == joiner.me()).collect();
    assert!(own[0].payload().deps.contains(&by) && own[0].payload().prev.is_none());
    bring(&joiner, &admin);
    assert!(row(&admin, "late").listed && row(&admin, "late").creator == Some(joiner.me().0));
    assert_sound(&admin, "admin");
    assert_sound(&joiner, "joiner");
}

#[test]
fn the_next_own_record_names_new_cluster_records_and_later_ones_name_nothing_of_it() {
    let mut random = Random::new(2);
    let stores = cluster(1, &mut random);
    make(&stores[1], "before").expect("a member");
    block_on(stores[0].write(|unit| name_cluster(unit, &"home".parse().expect("name")))).expect("store").expect("named");
    let naming = records(&stores[0]).last().expect("records").clone();
    bring(&stores[0], &stores[1]);
    make(&stores[1], "after").expect("a member");
    make(&stores[1], "last").expect("a member");
    let own: Vec<_> = records(&stores[1]).into_iter().filter(|record| record.payload().author == stores[1].me()).collect();
    let names = own.iter().map(|record| record.payload().deps.contains(&naming.id())).collect::<Vec<_>>();
    assert_eq!(names, [false, true, false]);
    assert_eq!(stores[1].membership().name().map(ToString::to_string).as_deref(), Some("home"));
}

#[test]
fn with_more_new_cluster_records_than_a_record_may_name_others_join_them_first() {
    let mut random = Random::new(3);
    let stores = cluster(1, &mut random);
    make(&stores[1], "before").expect("a member");
    bring(&stores[1], &stores[0]);
    // An admin whose store was put back seventy times writes as many heads.
    let mut branches = Vec::new();
    for branch in 0..70 {
        let copy = found_again(&stores[0], &mut random);
        admit(&copy, outside(100 + branch, copy.cluster(), &mut random).me(), Access::Reader, &format!("reader-{branch}"));
        branches.extend(records(&copy).last().cloned());
    }
    for result in receive(&stores[1], branches) {
        result.expect("taken in");
    }
    assert_eq!(stores[1].membership().members().count(), 72);
    make(&stores[1], "after").expect("a member");
    assert_sound(&stores[1], "seventy heads");
    let heads = records(&stores[1]).iter().filter(|record| matches!(record.payload().body, Body::Heads)).count();
    assert_eq!(heads, 1);
    bring(&stores[1], &stores[0]);
    assert!(row(&stores[0], "after").listed);
}

/// A second store of the same node with the same records, in a new session.
fn found_again(store: &Store, random: &mut Random) -> Store {
    let copy = outside(1, store.cluster(), random);
    bring(store, &copy);
    copy
}

#[test]
fn what_a_stranger_or_a_reader_writes_is_held_and_relayed_and_counts_for_nothing() {
    let mut random = Random::new(4);
    let stores = cluster(1, &mut random);
    // A cluster of its own making: the stranger believes to be let in by itself.
    let reader = outside(9, stores[0].cluster(), &mut random);
    admit(&stores[0], reader.me(), Access::Reader, "reader");
    bring(&stores[0], &reader);
    let refused = make(&reader, "mine").expect_err("a reader");
    assert!(format!("{refused:?}").contains("worker access"), "{refused:?}");

    let task = make(&stores[0], "task").map(|_| row(&stores[0], "task")).expect("made");
    let stranger = stranger_records(&stores[0], task.subject, &mut random);
    for result in receive(&stores[0], stranger.clone()) {
        result.expect("held");
    }
    let after = row(&stores[0], "task");
    assert_eq!((after.text("title"), after.queue.as_str(), after.epoch), (Some("task"), "incoming", 0));
    assert_eq!(after.version, 2, "the claim is in the log");
    assert!(store_item(&stores[0], "roles", "forged").is_none());
    assert!(!row(&stores[0], "forged").listed);
    bring(&stores[0], &stores[1]);
    let relayed = records(&stores[1]);
    assert!(stranger.iter().all(|record| relayed.contains(record)));
    assert_sound(&stores[0], "admin");
    assert_sound(&stores[1], "worker");
}

fn store_item(store: &Store, collection: &str, key: &str) -> Option<String> {
    store.reader().expect("reader").item(collection, "default", key).expect("read").map(|item| item.json)
}

/// What a key that nobody let in signs: an admission of itself, a claim, a task, a role.
fn stranger_records(of: &Store, subject: [u8; 32], random: &mut Random) -> Vec<octopoid_crdt::record::Verified> {
    use octopoid_crdt::document::{Actor, Document, Fields};
    use octopoid_crdt::ids::Subject;
    use octopoid_crdt::record::{Payload, Verified};
    let identity = identity_of(66, random);
    let (author, session) = (identity.signer.author(), identity.session);
    let task = octopoid_crdt::ids::Subject(subject);
    let create = records(of).into_iter().find(|record| record.payload().subject == task).expect("the task").id();
    let genesis = records(of)[0].id();
    let (_, change) = Document::create(Actor { author, session }, &Fields::default().with("title", "forged")).expect("document");
    let (scope, id): (octopoid_crdt::ids::Name, octopoid_crdt::ids::Name) = ("default".parse().expect("n"), "forged".parse().expect("n"));
    let admission = Body::Join { member: author, access: Access::Admin, name: "me".parse().expect("name"), invite: None };
    let claim = Body::Claim {
        epoch: 1,
        source: Queue::Incoming,
        agent: "thief".to_owned(),
        orchestrator: "there".to_owned(),
        ttl_seconds: 300,
        base: None,
    };
    let bodies = [
        (Subject::CLUSTER, vec![genesis], admission),
        (task, vec![create], claim),
        (Subject::task(&scope, &id), vec![], Body::TaskCreate { scope: scope.clone(), id, change, imported: None }),
        (
            Subject::entry("roles", &scope, "forged"),
            vec![],
            Body::Put { collection: "roles".to_owned(), scope, key: "forged".to_owned(), value: Some("{}".to_owned()) },
        ),
    ];
    let mut prev = None;
    let mut made = Vec::new();
    for (seq, (subject, deps, body)) in (0..).zip(bodies) {
        let payload = Payload { author, session, seq, prev, subject, wall_ms: 1, deps, body };
        let record = Verified::sign(&identity.signer, of.cluster(), payload).expect("signed");
        prev = Some(record.id());
        made.push(record);
    }
    made
}

#[test]
fn a_removal_takes_effect_from_its_frontier_on_everything_the_member_wrote_and_only_on_that() {
    let mut random = Random::new(5);
    let stores = cluster(2, &mut random);
    let (admin, leaver, other) = (&stores[0], &stores[1], &stores[2]);
    for id in ["kept", "claimed"] {
        make(admin, id).expect("made");
    }
    bring(admin, leaver);
    retitle(leaver, "kept", "before the frontier");
    bring(leaver, admin);
    bring(leaver, other);
    // The admin has not seen any of this when it removes the member.
    retitle(leaver, "kept", "after it");
    take(leaver, "claimed").expect("claimed");
    make(leaver, "unseen").expect("made");
    block_on(leaver.write(|unit| unit.put("roles", &"default".parse().expect("scope"), "late", Some("{}".to_owned()))))
        .expect("store")
        .expect("put");
    expel(admin, leaver);
    // Another node knew all of it before the removal reached it.
    bring(leaver, other);
    assert_eq!(row(other, "kept").text("title"), Some("after it"));
    assert_eq!(row(other, "claimed").queue, "claimed");
    assert!(store_item(other, "roles", "late").is_some());
    bring(admin, other);
    bring(leaver, admin);
    for store in [admin, other] {
        assert_eq!(row(store, "kept").text("title"), Some("before the frontier"));
        let claimed = row(store, "claimed");
        assert_eq!((claimed.queue.as_str(), claimed.holder.clone(), claimed.ready), ("incoming", None, true));
        assert!(!row(store, "unseen").listed);
        assert!(store_item(store, "roles", "late").is_none());
        assert_sound(store, "after the removal");
    }
    assert_eq!(take(other, "claimed").expect("claimable again").epoch, 2, "an epoch is never given twice");
    bring(admin, leaver);
    let refused = make(leaver, "more").expect_err("removed");
    assert!(format!("{refused:?}").contains("was removed"), "{refused:?}");
}

#[test]
fn what_a_remaining_member_had_built_on_stays_though_the_removal_bounds_it() {
    let mut random = Random::new(6);
    let stores = cluster(2, &mut random);
    let (admin, leaver, other) = (&stores[0], &stores[1], &stores[2]);
    make(leaver, "shared").expect("made");
    bring(leaver, other);
    retitle(other, "shared", "built on");
    expel(admin, leaver);
    bring(leaver, admin);
    assert!(!row(admin, "shared").listed, "nobody is known to have built on it");
    bring(other, admin);
    assert!(row(admin, "shared").listed);
    assert_eq!(row(admin, "shared").text("title"), Some("built on"));
    bring(admin, other);
    assert_eq!(row(admin, "shared"), row(other, "shared"));
    assert_sound(admin, "admin");
    assert_sound(other, "other");
}

#[test]
fn a_claim_by_a_remaining_member_keeps_the_document_that_it_was_made_on() {
    let mut random = Random::new(15);
    let stores = cluster(2, &mut random);
    let (admin, leaver, other) = (&stores[0], &stores[1], &stores[2]);
    make(leaver, "shared").expect("made");
    bring(leaver, other);
    expel(admin, leaver);
    bring(leaver, admin);
    assert_eq!((row(admin, "shared").listed, row(admin, "shared").text("title")), (false, None));
    take(other, "shared").expect("claimed");
    bring(other, admin);
    bring(admin, other);
    for store in [admin, other] {
        let task = row(store, "shared");
        assert_eq!((task.queue.as_str(), task.text("title")), ("claimed", Some("shared")));
        assert_sound(store, "claimed");
    }
}

#[test]
fn a_member_that_is_let_in_again_counts_again_from_then_on() {
    let mut random = Random::new(7);
    let stores = cluster(1, &mut random);
    let (admin, member) = (&stores[0], &stores[1]);
    make(member, "masked").expect("made");
    expel(admin, member);
    admit(admin, member.me(), Access::Worker, "again");
    bring(admin, member);
    bring(member, admin);
    assert!(!row(admin, "masked").listed && !row(member, "masked").listed);
    make(member, "counted").expect("a member again");
    bring(member, admin);
    assert!(row(admin, "counted").listed);
    assert_sound(admin, "admin");
}

#[test]
fn a_store_is_restored_with_its_membership_and_a_rebuild_finds_the_same() {
    let mut random = Random::new(8);
    let dir = tempfile::tempdir().expect("scratch folder");
    let path = dir.path().join("octopoid.redb");
    let stores = cluster(2, &mut random);
    make(&stores[1], "one").expect("made");
    bring(&stores[1], &stores[0]);
    make(&stores[2], "two").expect("made");
    expel(&stores[0], &stores[2]);
    bring(&stores[2], &stores[0]);
    let open = |random: &mut Random| Store::join(&path, identity_of(20, random), stores[0].cluster(), true);
    let observer = open(&mut random).expect("store");
    admit(&stores[0], observer.me(), Access::Worker, "observer");
    bring(&stores[0], &observer);
    let (view, rows) = (observer.membership(), ["one", "two"].map(|id| row(&observer, id)));
    observer.close();
    let observer = open(&mut random).expect("store");
    assert_eq!((observer.membership(), ["one", "two"].map(|id| row(&observer, id))), (view.clone(), rows.clone()));
    make(&observer, "three").expect("a member after a restart");
    block_on(observer.rebuild(dir.path().join("copy.redb"))).expect("rebuilt");
    assert_eq!((observer.membership(), ["one", "two"].map(|id| row(&observer, id))), (view, rows));
    assert_sound(&observer, "rebuilt");
    make(&observer, "four").expect("a member after a rebuild");
    assert_sound(&observer, "after it");
    observer.close();
    let other_key = Store::join(&path, identity_of(21, &mut random), stores[0].cluster(), true);
    assert!(matches!(other_key, Err(OpenError::OtherKey(_))));
    let other_cluster = Store::join(&path, identity_of(20, &mut random), found(30, &mut random).cluster(), true);
    assert!(matches!(other_cluster, Err(OpenError::OtherCluster(_))));
}

#[test]
fn only_admins_decide_and_each_refusal_says_why() {
    let mut random = Random::new(9);
    let stores = cluster(2, &mut random);
    let (admin, worker) = (&stores[0], &stores[1]);
    let ask = |store: &Store, roles: Roles| block_on(store.write(move |unit| set_policy(unit, roles))).expect("store");
    let roles = |authority: Option<&Store>, integrator: &Store| Roles { authority: authority.map(Store::me), integrator: integrator.me() };
    let (me, key, stranger) = (admin.me(), worker.me(), outside(40, admin.cluster(), &mut random).me());
    let naming = block_on(worker.write(|unit| name_cluster(unit, &"x".parse().expect("name")))).expect("store");
    assert_eq!(naming, Err(MembersRefused::NotAdmin));
    assert_eq!(block_on(worker.write(move |unit| remove(unit, &me, ""))).expect("store"), Err(MembersRefused::NotAdmin));
    assert_eq!(block_on(admin.write(move |unit| remove(unit, &me, ""))).expect("store"), Err(MembersRefused::LastAdmin));
    assert_eq!(block_on(admin.write(move |unit| remove(unit, &stranger, ""))).expect("store"), Err(MembersRefused::NotMember(stranger)));
    let admission = Admission { member: stranger, access: Access::Worker, name: "node-2".parse().expect("name"), invite: Some([3; 32]) };
    let taken = block_on(admin.write({
        let admission = admission.clone();
        move |unit| join(unit, admission)
    }));
    assert!(matches!(taken.expect("store"), Err(MembersRefused::NameTaken { .. })));
    let again = Admission { name: "node-7".parse().expect("name"), ..admission };
    let other =
        Admission { member: outside(41, admin.cluster(), &mut random).me(), name: "node-8".parse().expect("name"), ..again.clone() };
    block_on(admin.write(move |unit| join(unit, again))).expect("store").expect("let in");
    assert_eq!(block_on(admin.write(move |unit| join(unit, other))).expect("store"), Err(MembersRefused::InviteUsed));
    assert_eq!(ask(worker, roles(None, worker)), Err(MembersRefused::NotAdmin));
    let nobody = Roles { authority: Some(AuthorKeyOf(99).key(&mut random)), integrator: key };
    assert!(matches!(ask(admin, nobody), Err(MembersRefused::NotWorker(_))));
    assert_eq!(ask(admin, roles(None, admin)), Ok(None), "it is so already");
    // A worker may leave by itself, and its farewell counts.
    block_on(worker.write(move |unit| remove(unit, &key, "bye"))).expect("store").expect("left");
    bring(worker, admin);
    assert_eq!(admin.membership().access(&key), None);
    assert_sound(admin, "admin");
}

struct AuthorKeyOf(u8);

impl AuthorKeyOf {
    fn key(&self, random: &mut Random) -> octopoid_crdt::ids::AuthorKey {
        identity_of(self.0, random).signer.author()
    }
}

#[test]
fn under_an_authority_its_verdicts_alone_count_and_a_claim_waits_for_its_grant() {
    let mut random = Random::new(10);
    let stores = cluster(2, &mut random);
    let (admin, worker) = (&stores[0], &stores[1]);
    make(admin, "task").expect("made");
    let no = no_of(admin, "task");
    take(admin, "task").expect("claimed");
    let work = Submission::default();
    block_on(admin.write(move |unit| submit(unit, no, &Holds::default(), &Expect::default(), &work))).expect("store").expect("submitted");
    let roles = Roles { authority: Some(worker.me()), integrator: admin.me() };
    block_on(admin.write(move |unit| set_policy(unit, roles))).expect("store").expect("set").expect("a record");
    let refused = block_on(admin.write(move |unit| accept(unit, no, None, "me", ""))).expect("store").expect_err("not the authority");
    assert!(format!("{refused:?}").contains("only the authority"), "{refused:?}");
    bring(admin, worker);
    let there = no_of(worker, "task");
    let done = block_on(worker.write(move |unit| accept(unit, there, None, "boss", ""))).expect("store").expect("accepted");
    assert_eq!(done.row.queue, "done");
    bring(worker, admin);
    assert_eq!(row(admin, "task"), row(worker, "task"));
    make(admin, "other").expect("made");
    assert_eq!(take(admin, "other").expect("asked for").queue, "incoming", "no grant yet");
    assert_sound(admin, "admin");
}

#[test]
fn an_operation_that_refuses_after_it_has_written_leaves_nothing_and_its_neighbours_stay() {
    let mut random = Random::new(11);
    let store = found(1, &mut random);
    make(&store, "task").expect("made");
    let (no, before) = (no_of(&store, "task"), row(&store, "task"));
    let scope = || "default".parse().expect("scope");
    let held = store.reader().expect("reader").next_arrival().expect("read");
    // They share a batch: the writer is busy while both are handed in.
    let (first, refused, last) = block_on(async {
        let busy = store.write(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            Ok::<_, WriteFault>(())
        });
        let first = store.write(move |unit| unit.edit(no, &[Edit::set("priority", "P0")]));
        let refused = store.write(move |unit| -> Result<(), String> {
            unit.edit(no, &[Edit::set("title", "gone"), Edit::add("blocked_by", "nobody")]).expect("no fault").expect("edited");
            unit.put("roles", &scope(), "gone", Some("{}".to_owned())).expect("put");
            unit.set_answer("k/gone".to_owned(), vec![1]);
            let fields = octopoid_crdt::document::Fields::default().with("title", "gone");
            let (document, change) = octopoid_crdt::document::Document::create(unit.actor(), &fields).expect("document");
            unit.create((&scope(), &"gone".parse().expect("id")), document, change, None).expect("created");
            Err("no".to_owned())
        });
        let last = store.write(move |unit| unit.edit(no, &[Edit::set("role", "review")]));
        let (_, first, refused, last) = tokio::join!(busy, first, refused, last);
        (first, refused, last)
    });
    first.expect("store").expect("no fault").expect("edited");
    assert_eq!(refused.expect("store"), Err("no".to_owned()));
    last.expect("store").expect("no fault").expect("edited");
    let after = row(&store, "task");
    assert_eq!((after.text("title"), after.text("priority"), after.text("role")), (before.text("title"), Some("P0"), Some("review")));
    assert!(after.blocked_by.is_empty());
    let reader = store.reader().expect("reader");
    assert_eq!(reader.next_arrival().expect("read"), held + 2);
    assert_eq!(reader.task_no("default", "gone").expect("read"), None);
    assert_eq!((store_item(&store, "roles", "gone"), reader.answer("k/gone").expect("read")), (None, None));
    assert_sound(&store, "after a refusal");
    make(&store, "gone").expect("the id is free");
    assert_sound(&store, "after it");
}

#[test]
fn a_text_that_no_record_can_hold_is_refused_with_its_field_and_the_store_goes_on() {
    let mut random = Random::new(12);
    let store = found(1, &mut random);
    make(&store, "task").expect("made");
    let no = no_of(&store, "task");
    take(&store, "task").expect("claimed");
    let long = "x".repeat(40_000);
    let refused = block_on(store.write(move |unit| release(unit, no, &Holds::default(), octopoid_crdt::record::Cause::GivenBack, &long)));
    let refused = refused.expect("the store goes on").expect_err("too long");
    assert!(matches!(&refused, Refused::Field { field, .. } if field == "release.reason"), "{refused:?}");
    assert_eq!(row(&store, "task").queue, "claimed");
    make(&store, "next").expect("the store goes on");
    assert_sound(&store, "after it");
}

#[test]
fn a_record_of_another_cluster_is_refused_and_one_without_its_past_leaves_no_trace() {
    let mut random = Random::new(13);
    let (one, two) = (found(1, &mut random), found(2, &mut random));
    make(&two, "foreign").expect("made");
    let foreign = records(&two);
    assert!(receive(&one, foreign).iter().all(|result| *result == Err(ReceiveError::Cluster)));
    let stores = cluster(1, &mut random);
    make(&stores[1], "a").expect("made");
    make(&stores[1], "b").expect("made");
    let mut own = records(&stores[1]);
    own.retain(|record| record.payload().author == stores[1].me());
    let before = stores[0].reader().expect("reader").next_arrival().expect("read");
    own.reverse();
    let results = receive(&stores[0], own.clone());
    assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
    assert_eq!(stores[0].reader().expect("reader").next_arrival().expect("read"), before + 1);
    assert_eq!(stores[0].reader().expect("reader").task_no("default", "b").expect("read"), None);
    assert_sound(&stores[0], "admin");
}

#[test]
fn acknowledgements_only_rise_and_what_nobody_holds_is_counted() {
    let mut random = Random::new(14);
    let stores = cluster(1, &mut random);
    let (admin, worker) = (&stores[0], &stores[1]);
    let pending = |store: &Store| {
        let reader = store.reader().expect("reader");
        reader.pending(&store.me(), &store.membership(), 100).expect("read")
    };
    assert_eq!(pending(worker), 0);
    for id in ["a", "b", "c"] {
        make(worker, id).expect("made");
    }
    assert_eq!(pending(worker), 3);
    let own: Vec<_> = records(worker).into_iter().filter(|record| record.payload().author == worker.me()).map(|r| r.id()).collect();
    let member = admin.me();
    for (acknowledged, left) in [(1, 1), (0, 1), (2, 0)] {
        let id = own[acknowledged];
        block_on(worker.write(move |unit| unit.acknowledge(&member, &id))).expect("store").expect("noted");
        assert_eq!(pending(worker), left);
    }
    let foreign = records(admin)[0].id();
    block_on(worker.write(move |unit| unit.acknowledge(&member, &foreign))).expect("store").expect("ignored");
    assert_eq!(pending(worker), 0);
    let lone = found(5, &mut random);
    make(&lone, "alone").expect("made");
    assert_eq!(pending(&lone), 0, "there is nobody to wait for");
}
