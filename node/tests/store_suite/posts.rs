//! Messages and actions are found alike on every node, whatever came first, and a removal hides what it masks.

use octopoid_crdt::action::Status;
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::Queue;
use octopoid_node::ops::actions::{Action, execute, propose, report};
use octopoid_node::ops::claim::{Claimant, claim};
use octopoid_node::ops::judge::{Move, move_to, reject};
use octopoid_node::ops::members::remove;
use octopoid_node::ops::messages::{NewMessage, Written, write};
use octopoid_node::ops::{Refused, Target};
use octopoid_node::store::Store;
use octopoid_node::store::posts::{ActionEntry, PostFacet, PostQuery};

use crate::cluster::{assert_sound, bring, cluster, outside, receive_in_any_order, records};
use crate::world::{Random, add, block_on, plain};

fn make(store: &Store, id: &str) {
    block_on(add(store, "default", id, Queue::Incoming, &plain(id, "P1", &[]))).expect("store").expect("made");
}

fn say(store: &Store, task: &str, content: &str, parent: Option<RecordId>) -> Result<Written, Refused> {
    let task = Target { scope: None, own_scope: "default".to_owned(), bound: None, id: task.to_owned() };
    let (from_actor, kind, content) = ("ann".to_owned(), "comment".to_owned(), content.to_owned());
    let message = NewMessage { task, from_actor, to_actor: None, kind, content, parent };
    block_on(store.write(move |unit| write(unit, message))).expect("store")
}

fn no_of(store: &Store, id: &str) -> u64 {
    store.reader().expect("reader").task_no("default", id).expect("read").expect("a known task")
}

fn turn_down(store: &Store, id: &str, reason: &'static str) {
    let no = no_of(store, id);
    let claimant = Claimant { agent: "agent".to_owned(), orchestrator: "here".to_owned(), ttl_seconds: 300, ..Claimant::default() };
    block_on(store.write(move |unit| claim(unit, no, &claimant))).expect("store").expect("claimed");
    block_on(store.write(move |unit| reject(unit, no, None, "gate", reason))).expect("store").expect("rejected");
}

fn force(store: &Store, id: &str, reason: &str) {
    let (no, reason) = (no_of(store, id), reason.to_owned());
    let step = Move { queue: Queue::Backlog, cause: octopoid_crdt::record::Cause::ForceQueue, by: "ann".to_owned(), reason, keep: None };
    block_on(store.write(move |unit| move_to(unit, no, step))).expect("store").expect("moved");
}

fn suggest(store: &Store, label: &str) -> Action {
    let entry = ActionEntry {
        imported: None,
        entity_type: "task".to_owned(),
        entity_id: "t".to_owned(),
        action_type: "proposal".to_owned(),
        label: label.to_owned(),
        description: None,
        proposed_by: "pm".to_owned(),
        expires_ms: None,
        metadata: None,
        action_data: None,
    };
    block_on(store.write(move |unit| propose(unit, &"default".parse().expect("scope"), entry))).expect("store").expect("proposed")
}

fn query(facet: PostFacet, values: &[&str]) -> PostQuery {
    let under = vec![(facet, values.iter().map(|value| (*value).to_owned()).collect())];
    PostQuery { scope: "default".to_owned(), under, limit: 100, ..PostQuery::default() }
}

fn messages(store: &Store) -> Vec<String> {
    let (page, total) = store.reader().expect("reader").posts(&query(PostFacet::Message, &[""])).expect("read");
    assert_eq!(total, page.len() as u64);
    page.iter().map(|post| post.message().expect("a message").content).collect()
}

fn by_status(store: &Store, status: Status) -> Vec<String> {
    let (page, _) = store.reader().expect("reader").posts(&query(PostFacet::ActionStatus, &[status.as_str()])).expect("read");
    page.iter().map(|post| post.action().expect("an action").label).collect()
}

#[test]
fn every_node_finds_the_same_posts_whatever_came_first() {
    let mut random = Random::new(1);
    let stores = cluster(1, &mut random);
    make(&stores[0], "t");
    let root = say(&stores[0], "t", "1", None).expect("said");
    bring(&stores[0], &stores[1]);
    say(&stores[1], "t", "2", Some(root.id)).expect("answered");
    turn_down(&stores[1], "t", "no tests");
    force(&stores[1], "t", "later");
    let action = suggest(&stores[1], "split");
    suggest(&stores[1], "drop");
    bring(&stores[1], &stores[0]);
    let asked = block_on(stores[0].write(move |unit| execute(unit, &action))).expect("store").expect("asked");
    block_on(stores[0].write(move |unit| report(unit, &asked, Some(Status::Executing), None))).expect("store").expect("begun");
    let latecomer = outside(9, stores[0].cluster(), &mut random);
    receive_in_any_order(&latecomer, records(&stores[0]), &mut random);
    bring(&stores[0], &stores[1]);
    for store in stores.iter().chain([&latecomer]) {
        assert_eq!(messages(store), ["1", "2", "no tests", "later"]);
        assert_eq!(
            (by_status(store, Status::Proposed), by_status(store, Status::Executing)),
            (vec!["drop".to_owned()], vec!["split".to_owned()])
        );
        assert_eq!(by_status(store, Status::ExecuteRequested), Vec::<String>::new());
        assert_sound(store, "posts");
    }
    latecomer.close();
    let stranger = say(&stores[1], "t", "3", Some(RecordId([9; 32]))).expect_err("an answer to nothing");
    assert!(stranger.to_string().contains("no message of task 't'"), "{stranger}");
}

#[test]
fn a_removal_hides_what_the_member_said_unseen_and_nothing_else() {
    let mut random = Random::new(2);
    let stores = cluster(2, &mut random);
    let [admin, gone, stays] = &stores[..] else { panic!("three stores") };
    for id in ["t", "u"] {
        make(admin, id);
    }
    bring(admin, gone);
    bring(admin, stays);
    say(gone, "t", "known", None).expect("said");
    bring(gone, admin);
    say(gone, "t", "unseen", None).expect("said");
    turn_down(gone, "u", "unseen rejection");
    let action = suggest(gone, "unseen action");
    bring(gone, stays);
    assert_eq!(messages(stays), ["known", "unseen", "unseen rejection"]);
    let key = gone.me();
    block_on(admin.write(move |unit| remove(unit, &key, "left"))).expect("store").expect("removed");
    bring(admin, stays);
    bring(gone, admin);
    for store in [admin, stays] {
        assert_eq!(messages(store), ["known"]);
        assert_eq!(by_status(store, Status::Proposed), Vec::<String>::new());
        assert!(store.reader().expect("reader").action(&action.id).expect("read").is_none());
        assert_sound(store, "removed");
    }
}

#[test]
fn an_operation_that_is_refused_leaves_no_key_behind() {
    let mut random = Random::new(3);
    let stores = cluster(0, &mut random);
    make(&stores[0], "t");
    let message = |content: &str| NewMessage {
        task: Target { scope: None, own_scope: "default".to_owned(), bound: None, id: "t".to_owned() },
        from_actor: "ann".to_owned(),
        to_actor: None,
        kind: "comment".to_owned(),
        content: content.to_owned(),
        parent: None,
    };
    let (taken_back, kept) = (message("taken back"), message("kept"));
    let refused = block_on(stores[0].write(move |unit| {
        let refused = unit.attempt(|unit| {
            write(unit, taken_back)?;
            Err::<(), _>(Refused::NotFound { id: "later".to_owned() })
        });
        write(unit, kept).map(|_| refused)
    }));
    assert!(refused.expect("store").expect("kept").is_err());
    assert_eq!(messages(&stores[0]), ["kept"]);
    assert_sound(&stores[0], "taken back");
}
