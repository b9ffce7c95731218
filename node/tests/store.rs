//! The store through its operations: what is done is there after a reopening, and lists agree with tasks.

use octopoid_crdt::document::Fields;
use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::{Cause, Queue, Signer};
use octopoid_node::ops::claim::{Claimant, Holds, claim_next, release};
use octopoid_node::ops::create::{NewTask, create};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::judge::{Move, accept, delete, move_to, reject};
use octopoid_node::ops::{Expect, Refused, Snapshot};
use octopoid_node::store::{Filter, Identity, OpenError, Sort, Store};

struct Scratch {
    dir: tempfile::TempDir,
    session: u8,
}

impl Scratch {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("scratch folder"), session: 0 }
    }

    fn open(&mut self) -> Store {
        self.try_open().expect("store")
    }

    fn try_open(&mut self) -> Result<Store, OpenError> {
        self.session += 1;
        let identity =
            Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([self.session; 16]), nonce: [1; 16], root_commit: None };
        Store::open(&self.dir.path().join("octopoid.redb"), identity, true)
    }
}

async fn add(store: &Store, id: &str, blocked_by: &[&str]) -> Result<Snapshot, Refused> {
    let mut fields = Fields::default().with("title", id).with("priority", "P1").with("role", "implement").with_content("do it");
    for blocker in blocked_by {
        fields = fields.with_entry("blocked_by", blocker);
    }
    let task = NewTask::new(
        store.actor(),
        "default".parse().expect("scope"),
        id.parse().expect("id"),
        Queue::Incoming,
        "test".to_owned(),
        &fields,
    )?;
    store.write(|unit| create(unit, task)).await.expect("store")
}

fn claimant() -> Claimant {
    Claimant {
        agent: "agent-1".to_owned(),
        orchestrator: "here".to_owned(),
        ttl_seconds: 300,
        queue: "incoming".to_owned(),
        scope: "default".to_owned(),
        ..Claimant::default()
    }
}

async fn take(store: &Store) -> Option<Snapshot> {
    store.write(|unit| claim_next(unit, &claimant())).await.expect("store").expect("claim")
}

async fn hand_in(store: &Store, no: u64) -> Result<Snapshot, Refused> {
    let work = Submission { commits: 1, turns: 5, ..Submission::default() };
    store.write(move |unit| submit(unit, no, &Holds::default(), &Expect::default(), &work)).await.expect("store")
}

fn in_queue(store: &Store, queue: &str) -> u64 {
    let filter = Filter { queues: vec![queue.to_owned()], ..Filter::default() };
    store.reader().expect("reader").list(&filter, Sort::Newest, 0, 50).expect("list").total
}

#[tokio::test]
async fn a_task_goes_from_incoming_to_done_and_is_there_after_a_reopening() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let made = add(&store, "one", &[]).await.expect("created");
    assert_eq!((made.row.queue.as_str(), made.row.version, made.row.epoch), ("incoming", 1, 0));
    assert_eq!(made.content.as_deref(), Some("do it"));
    let claimed = take(&store).await.expect("a task waits");
    assert_eq!((claimed.row.queue.as_str(), claimed.row.epoch), ("claimed", 1));
    assert_eq!(claimed.row.holder.as_ref().map(|holder| holder.agent.as_str()), Some("agent-1"));
    let submitted = hand_in(&store, claimed.no).await.expect("submitted");
    assert_eq!(submitted.row.queue, "provisional");
    assert_eq!(submitted.row.number("commits_count"), Some(1));
    let no = claimed.no;
    let done = store.write(move |unit| accept(unit, no, None, "me", "good")).await.expect("store").expect("accepted");
    assert_eq!(done.row.queue, "done");
    assert!(done.row.completed_ms.is_some() && !done.row.needs_merge);
    store.close();

    let store = scratch.open();
    let reader = store.reader().expect("reader");
    let row = reader.row(no).expect("read").expect("row");
    assert_eq!(row, done.row);
    assert_eq!(in_queue(&store, "done"), 1);
    assert_eq!(in_queue(&store, "incoming"), 0);
}

#[tokio::test]
async fn a_claim_is_given_once_and_a_second_claimant_gets_the_next_task() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    for id in ["a", "b"] {
        add(&store, id, &[]).await.expect("created");
    }
    let (first, second, third) = tokio::join!(take(&store), take(&store), take(&store));
    let mut ids: Vec<_> = [&first, &second, &third].into_iter().flatten().map(|task| task.row.id.clone()).collect();
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn a_blocked_task_waits_for_its_blocker_and_no_longer() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let blocker = add(&store, "blocker", &[]).await.expect("created");
    let blocked = add(&store, "blocked", &["blocker"]).await.expect("created");
    assert_eq!(blocked.row.open_blockers, ["blocker"]);
    assert_eq!(take(&store).await.expect("the blocker waits").row.id, "blocker");
    assert!(take(&store).await.is_none(), "the blocked task must not be claimed");
    hand_in(&store, blocker.no).await.expect("submitted");
    let no = blocker.no;
    store.write(move |unit| accept(unit, no, None, "me", "")).await.expect("store").expect("accepted");
    assert_eq!(take(&store).await.expect("unblocked").row.id, "blocked");
}

#[tokio::test]
async fn a_deleted_blocker_unblocks_and_a_failed_one_does_not() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let (gone, failed) = (add(&store, "gone", &[]).await.expect("created"), add(&store, "failed", &[]).await.expect("created"));
    let waits = add(&store, "waits", &["gone", "failed"]).await.expect("created");
    let (gone, failed) = (gone.no, failed.no);
    store.write(move |unit| delete(unit, gone, "me", "")).await.expect("store").expect("deleted");
    let step = Move { queue: Queue::Failed, cause: Cause::Edit, by: "me".to_owned(), reason: String::new(), keep: None };
    store.write(move |unit| move_to(unit, failed, step)).await.expect("store").expect("moved");
    let row = store.reader().expect("reader").row(waits.no).expect("read").expect("row");
    assert_eq!(row.open_blockers, ["failed"]);
}

#[tokio::test]
async fn blockers_must_exist_and_must_not_wait_for_the_task() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let refused = add(&store, "a", &["nobody"]).await.expect_err("unknown blocker");
    assert!(refused.to_string().contains("blocked_by") && refused.to_string().contains("nobody"), "{refused}");
    let a = add(&store, "a", &[]).await.expect("created");
    add(&store, "b", &["a"]).await.expect("created");
    let changes = octopoid_node::ops::edit::Changes { blocked_by: Some(["b".to_owned()].into()), ..Default::default() };
    let no = a.no;
    let edited = store.write(move |unit| octopoid_node::ops::edit::edit(unit, no, &Expect::default(), changes)).await.expect("store");
    assert!(edited.expect_err("a cycle").to_string().contains("would wait for itself"));
}

#[tokio::test]
async fn a_rejected_task_waits_again_and_a_released_one_returns_where_it_came_from() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let no = add(&store, "a", &[]).await.expect("created").no;
    take(&store).await.expect("claimed");
    hand_in(&store, no).await.expect("submitted");
    let rejected = store.write(move |unit| reject(unit, no, None, "me", "no tests")).await.expect("store").expect("rejected");
    assert_eq!((rejected.row.queue.as_str(), rejected.row.rejection_count), ("incoming", 1));
    let again = take(&store).await.expect("claimed again");
    assert_eq!(again.row.epoch, 2);
    let released =
        store.write(move |unit| release(unit, no, &Holds::default(), Cause::GivenBack, "")).await.expect("store").expect("released");
    assert_eq!((released.row.queue.as_str(), released.row.attempt_count), ("incoming", 0));
    let late = hand_in(&store, no).await.expect_err("the claim has ended");
    assert!(matches!(late, Refused::Transition { .. }), "{late}");
}

#[tokio::test]
async fn a_refused_operation_leaves_no_trace() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let no = add(&store, "a", &[]).await.expect("created").no;
    let before = store.reader().expect("reader").next_arrival().expect("read");
    let refused = store.write(move |unit| accept(unit, no, None, "me", "")).await.expect("store");
    assert!(matches!(refused, Err(Refused::Transition { .. })));
    assert_eq!(add(&store, "a", &[]).await.expect_err("taken"), Refused::Exists { id: "a".to_owned() });
    assert_eq!(store.reader().expect("reader").next_arrival().expect("read"), before);
}

#[tokio::test]
async fn a_store_that_was_cut_short_is_refused_and_left_as_it_is() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    add(&store, "a", &[]).await.expect("created");
    store.close();
    let path = scratch.dir.path().join("octopoid.redb");
    let whole = std::fs::read(&path).expect("the store");
    for length in [0, 1, 100, 4_096, whole.len() / 2] {
        std::fs::write(&path, &whole[..length]).expect("written");
        let refused = scratch.try_open().err();
        match &refused {
            Some(OpenError::Empty(named)) => assert_eq!((named, length), (&path, 0)),
            Some(OpenError::Store { path: named, .. }) => assert_eq!(named, &path),
            other => panic!("{length} bytes: {other:?}"),
        }
        assert_eq!(std::fs::read(&path).expect("the store"), &whole[..length], "{length} bytes");
    }
    std::fs::write(&path, &whole).expect("written");
    let reader = scratch.open().reader().expect("reader");
    assert!(reader.task_no("default", "a").expect("read").is_some(), "a whole one is opened again");
}

#[tokio::test]
async fn a_database_without_a_cluster_is_no_new_store() {
    let mut scratch = Scratch::new();
    let path = scratch.dir.path().join("octopoid.redb");
    drop(redb::Database::create(&path).expect("a database"));
    assert!(matches!(scratch.try_open().err(), Some(OpenError::Empty(named)) if named == path));
}

#[tokio::test]
async fn a_first_start_that_was_killed_leaves_nothing_in_the_way_of_the_next() {
    let mut scratch = Scratch::new();
    for left in [&b""[..], b"half a database"] {
        let path = scratch.dir.path().join("octopoid.redb");
        std::fs::write(path.with_added_extension("new"), left).expect("written");
        let store = scratch.open();
        add(&store, "a", &[]).await.expect("created");
        store.close();
        assert!(!path.with_added_extension("new").exists() && path.exists());
        std::fs::remove_file(&path).expect("removed");
    }
}

#[test]
fn of_processes_that_make_one_store_at_once_all_get_the_same() {
    let scratch = Scratch::new();
    let path = scratch.dir.path().join("octopoid.redb");
    let open = |number: u8| {
        let signer = Signer::from_seed(&[7; 32]);
        let identity = Identity { signer, session: SessionId([number; 16]), nonce: [number; 16], root_commit: None };
        loop {
            match Store::open(&path, identity_again(&identity), true) {
                Ok(store) => {
                    let cluster = store.cluster();
                    store.close();
                    return cluster;
                }
                Err(OpenError::Locked(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let clusters: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || open(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("joined")).collect()
    });
    assert!(clusters.windows(2).all(|pair| pair[0] == pair[1]), "{clusters:?}");
}

fn identity_again(identity: &Identity) -> Identity {
    let Identity { signer, session, nonce, root_commit } = identity;
    Identity { signer: signer.clone(), session: *session, nonce: *nonce, root_commit: root_commit.clone() }
}

#[tokio::test]
async fn a_second_process_cannot_open_the_store() {
    let mut scratch = Scratch::new();
    let _store = scratch.open();
    let identity = Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([9; 16]), nonce: [1; 16], root_commit: None };
    let again = Store::open(&scratch.dir.path().join("octopoid.redb"), identity, true);
    assert!(matches!(again, Err(OpenError::Locked(_))));
}

#[tokio::test]
async fn another_key_cannot_open_the_store() {
    let mut scratch = Scratch::new();
    scratch.open().close();
    let identity = Identity { signer: Signer::from_seed(&[8; 32]), session: SessionId([9; 16]), nonce: [1; 16], root_commit: None };
    let other = Store::open(&scratch.dir.path().join("octopoid.redb"), identity, true);
    assert!(matches!(other, Err(OpenError::OtherKey(_))));
}

#[tokio::test]
async fn a_task_that_is_made_anew_after_its_deletion_has_nothing_of_its_former_life() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let no = add(&store, "a", &[]).await.expect("created").no;
    take(&store).await.expect("claimed");
    let broken = |unit: &mut octopoid_node::store::Unit<'_>| octopoid_node::ops::fail::fail(unit, 1, &Holds::default(), "broken");
    store.write(broken).await.expect("store").expect("failed");
    store.write(move |unit| delete(unit, no, "me", "")).await.expect("store").expect("deleted");
    let fields = Fields::default().with("title", "again").with_content("something else");
    let (scope, id) = ("default".parse().expect("scope"), "a".parse().expect("id"));
    let task = NewTask::new(store.actor(), scope, id, Queue::Incoming, "test".to_owned(), &fields).expect("task");
    let made = store.write(|unit| create(unit, task)).await.expect("store").expect("created");
    assert_eq!((made.no, made.row.text("title"), made.row.text("role")), (no, Some("again"), None));
    assert_eq!(made.content.as_deref(), Some("something else"));
    assert_eq!((made.row.epoch, made.row.failures, made.row.retry_ms), (1, 0, None));
    assert!(made.row.ready, "what failed in the former life does not hold the new one back");
}

#[tokio::test]
async fn an_edit_whose_step_is_refused_changes_no_field() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let no = add(&store, "a", &[]).await.expect("created").no;
    let finish = Move { queue: Queue::Done, cause: Cause::Edit, by: "me".to_owned(), reason: String::new(), keep: None };
    store.write(move |unit| move_to(unit, no, finish)).await.expect("store").expect("done");
    let changes = octopoid_node::ops::edit::Changes {
        edits: vec![octopoid_crdt::document::Edit::set("title", "changed")],
        queue: Some(Queue::Cancelled),
        ..Default::default()
    };
    let refused = store.write(move |unit| octopoid_node::ops::edit::edit(unit, no, &Expect::default(), changes)).await.expect("store");
    assert!(matches!(refused, Err(Refused::Transition { .. })), "{refused:?}");
    let row = store.reader().expect("reader").row(no).expect("read").expect("row");
    assert_eq!((row.text("title"), row.queue.as_str()), (Some("a"), "done"));
}

#[tokio::test]
async fn a_task_that_was_put_into_provisional_by_hand_does_not_stop_reviewers() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let by_hand = add(&store, "by-hand", &[]).await.expect("created").no;
    let step = Move { queue: Queue::Provisional, cause: Cause::Edit, by: "me".to_owned(), reason: String::new(), keep: None };
    store.write(move |unit| move_to(unit, by_hand, step)).await.expect("store").expect("moved");
    let no = add(&store, "worked-on", &[]).await.expect("created").no;
    take(&store).await.expect("claimed");
    hand_in(&store, no).await.expect("submitted");
    let reviewer = Claimant { queue: "provisional".to_owned(), agent: "reviewer".to_owned(), ..claimant() };
    let taken = store.write(move |unit| claim_next(unit, &reviewer)).await.expect("store").expect("a claim");
    assert_eq!(taken.map(|task| task.no), Some(no));
}

#[tokio::test]
async fn claims_and_reviews_have_their_whole_lease_again_after_a_reopening() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let no = add(&store, "reviewed", &[]).await.expect("created").no;
    take(&store).await.expect("claimed");
    hand_in(&store, no).await.expect("submitted");
    let reviewer = Claimant { queue: "provisional".to_owned(), agent: "reviewer".to_owned(), ..claimant() };
    let review = store.write(move |unit| claim_next(unit, &reviewer)).await.expect("store").expect("a claim").expect("a review");
    add(&store, "claimed", &[]).await.expect("created");
    let claim = take(&store).await.expect("claimed");
    let held = [review, claim].map(|task| octopoid_crdt::ids::RecordId(task.row.holder.expect("held").record));
    store.close();
    let store = scratch.open();
    for of in held {
        assert!(store.leases().remaining_ms(&of).is_some_and(|left| left > 290_000), "{of} is not timed");
    }
}

#[tokio::test]
async fn a_circle_of_tasks_is_cut_at_its_greatest_edge_and_closes_no_more_once_an_edge_is_taken_out() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    // Requests are refused that would make such a circle; edits of two nodes that meet can make one.
    let circle = store.write(|unit| {
        let mut made = Vec::new();
        for id in ["a", "b"] {
            let (document, change) =
                octopoid_crdt::document::Document::create(unit.actor(), &Fields::default().with("title", id)).expect("a");
            made.push(unit.create((&"default".parse().expect("scope"), &id.parse().expect("id")), document, change, None)?);
        }
        for (no, blocker) in [(made[0], "b"), (made[1], "a"), (made[0], "a")] {
            unit.edit(no, &[octopoid_crdt::document::Edit::add("blocked_by", blocker)])?.expect("an edit");
        }
        Ok::<_, octopoid_node::store::WriteFault>(made)
    });
    let made = tokio::time::timeout(std::time::Duration::from_secs(10), circle).await.expect("an end").expect("store").expect("written");
    let reader = store.reader().expect("reader");
    let open = |no: u64| reader.row(no).expect("read").expect("row").open_blockers;
    let cut = |no: u64| store.reader().expect("reader").row(no).expect("read").expect("row").cut;
    assert_eq!((open(made[0]), open(made[1])), (vec!["b".to_owned()], Vec::new()));
    assert_eq!((cut(made[0]), cut(made[1])), (vec!["a".to_owned()], vec!["a".to_owned()]));
    let circles = |store: &Store| store.reader().expect("reader").circles(0, 50).expect("list").total;
    assert_eq!(circles(&store), 2);
    assert_eq!(take(&store).await.expect("one of them can go on").row.id, "b");
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
    let a = made[0];
    let done = store.write(move |unit| {
        let edits = ["a", "b"].map(|blocker| octopoid_crdt::document::Edit::remove("blocked_by", blocker));
        unit.edit(a, &edits)
    });
    done.await.expect("store").expect("no fault").expect("edited");
    assert_eq!((cut(made[0]), cut(made[1]), circles(&store)), (Vec::new(), Vec::new(), 0));
    let reader = store.reader().expect("reader");
    assert_eq!(reader.row(made[1]).expect("read").expect("row").open_blockers, ["a"], "what was cut is waited for again");
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_circle_is_opened_where_it_is_cut() {
    let mut scratch = Scratch::new();
    let store = scratch.open();
    let (a, b) = (add(&store, "a", &[]).await.expect("created").no, add(&store, "b", &["a"]).await.expect("created").no);
    let refused = store.write(move |unit| octopoid_node::ops::edit::open_circle(unit, b)).await.expect("store");
    assert!(refused.expect_err("no circle").to_string().contains("'b'"));
    let edit = [octopoid_crdt::document::Edit::add("blocked_by", "b")];
    store.write(move |unit| unit.edit(a, &edit)).await.expect("store").expect("no fault").expect("edited");
    let row = |no: u64| store.reader().expect("reader").row(no).expect("read").expect("row");
    assert_eq!((row(a).open_blockers, row(b).open_blockers, row(b).cut), (vec!["b".to_owned()], Vec::new(), vec!["a".to_owned()]));
    let opened = store.write(move |unit| octopoid_node::ops::edit::open_circle(unit, b)).await.expect("store").expect("opened");
    assert!(opened.row.blocked_by.is_empty() && opened.row.cut.is_empty());
    assert_eq!(store.reader().expect("reader").circles(0, 50).expect("list").total, 0);
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new());
}
