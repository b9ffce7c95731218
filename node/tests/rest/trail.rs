use serde_json::{Value, json};

use crate::support::Node;

fn events(history: &Value) -> Vec<&str> {
    history["history"].as_array().expect("a history").iter().map(|event| event["event"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn history_tells_every_step_with_who_when_and_which_record() {
    let node = Node::start();
    node.task("blocker").await;
    node.task_with("t", json!({ "blocked_by": "blocker" })).await;
    node.finish().await;
    node.submit("a").await;
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
    node.claim("b").await;
    node.post("/api/v1/tasks/t/requeue", json!({ "requeued_by": "me" })).await.is(200);
    node.claim("c").await;
    node.post("/api/v1/tasks/t/submit", json!({ "commits_count": 0, "turns_used": 100 })).await.is(200);
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "incoming", "reason": "go on" })).await.is(200);
    node.submit("d").await;
    let review = json!({ "orchestrator_id": "o", "agent_name": "gate", "queue": "provisional" });
    node.post("/api/v1/tasks/claim", review).await.is(200);
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "gate", "reason": "fine" })).await.is(200);
    let history = node.get("/api/v1/tasks/t/history").await.is(200);
    let told = events(&history);
    for wanted in [
        "created",
        "blocked",
        "unblocked",
        "claimed",
        "submitted",
        "rejected",
        "requeued",
        "burnout_detected",
        "force_queue",
        "review_claimed",
        "accepted",
    ] {
        assert!(told.contains(&wanted), "{wanted} is missing in {told:?}");
    }
    let rejected = history["history"].as_array().expect("a history").iter().find(|event| event["event"] == "rejected").expect("rejected");
    assert_eq!(
        (rejected["agent"].as_str(), rejected["details"].as_str(), rejected["node"].as_str()),
        (Some("r"), Some("no tests"), Some("mac-studio"))
    );
    assert_eq!(rejected["record_id"].as_str().map(str::len), Some(64));
    assert!(rejected["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    node.get("/api/v1/tasks/nobody/history").await.is(404);
}

#[tokio::test]
async fn cancelled_tasks_are_archived_and_a_creation_elsewhere_is_one_event() {
    let node = Node::start();
    node.task_with("t", json!({ "queue": "backlog" })).await;
    node.post("/api/v1/tasks/t/cancel", json!({ "reason": "no need" })).await.is(200);
    let history = node.get("/api/v1/tasks/t/history").await.is(200);
    assert_eq!(events(&history), ["created", "archived"]);
    assert_eq!(history["history"][1]["details"], "cancelled: no need");
}

#[tokio::test]
async fn attempts_tell_what_became_of_each_claim() {
    let node = Node::start();
    node.task("t").await;
    node.submit("a").await;
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
    node.claim("b").await;
    node.post("/api/v1/tasks/t/release", json!({ "reason": "tired" })).await.is(200);
    node.claim("c").await;
    node.post("/api/v1/tasks/t/requeue", json!({ "reason": "anew" })).await.is(200);
    let task = node.submit("d").await;
    let attempts = node.get("/api/v1/tasks/t/attempts").await.is(200)["attempts"].clone();
    let told: Vec<_> = attempts
        .as_array()
        .expect("attempts")
        .iter()
        .map(|attempt| {
            (attempt["agent"].as_str().unwrap_or_default(), attempt["state"].as_str().unwrap_or_default(), attempt["reason"].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [("a", "rejected", Some("no tests")), ("b", "released", Some("tired")), ("c", "moved", Some("anew")), ("d", "submitted", None)]
    );
    let last = &attempts[3];
    assert_eq!((&last["attempt"], &last["current"], &last["epoch"]), (&task["attempt"], &json!(true), &json!(4)));
    assert_eq!(last["branch"], format!("octopoid/t/{}", task["attempt"].as_str().expect("an attempt")));
    assert_eq!((&last["commits_count"], &last["turns_used"], &last["node"]), (&json!(1), &json!(3), &json!("mac-studio")));
    assert!(attempts[0]["ended_at"].is_string() && last["ended_at"].is_null());
}

#[tokio::test]
async fn a_log_is_rendered_raw_or_missing() {
    let node = Node::start();
    node.task("t").await;
    node.get("/api/v1/tasks/t/log").await.refuses(404, &["no attempt"]);
    let task = node.claim("a").await;
    let attempt = task["attempt"].as_str().expect("an attempt");
    node.get("/api/v1/tasks/t/log").await.refuses(404, &["no log"]);
    let folder = node.folder.join("logs/tasks/t").join(attempt);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("stdout.log"), "one\n\ntwo").expect("a log");
    let answer = node.get("/api/v1/tasks/t/log").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "| one\n| two\n"));
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert_eq!(node.get(&format!("/api/v1/tasks/t/log?raw=true&attempt={attempt}")).await.text, "one\n\ntwo");
    node.get("/api/v1/tasks/t/log?attempt=9-00000000").await.is(404);
    node.get("/api/v1/tasks/t/log?attempt=../../../etc").await.refuses(400, &["attempt"]);
    node.get("/api/v1/tasks/t/log?raw=maybe").await.refuses(400, &["raw"]);
}

#[tokio::test]
async fn a_followed_log_streams_until_its_attempt_ends() {
    let node = Node::start();
    node.task("t").await;
    let task = node.claim("a").await;
    let folder = node.folder.join("logs/tasks/t").join(task["attempt"].as_str().expect("an attempt"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("stdout.log"), "one\n").expect("a log");
    let follow = node.get("/api/v1/tasks/t/log?follow=true");
    let work = async {
        use std::io::Write as _;
        let mut log = std::fs::OpenOptions::new().append(true).open(folder.join("stdout.log")).expect("a log");
        log.write_all(b"two\n").expect("written");
        node.post("/api/v1/tasks/t/submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    };
    let (answer, ()) = tokio::join!(follow, work);
    assert_eq!(answer.text, "| one\n| two\n");
}

#[tokio::test]
async fn a_difference_needs_a_commit() {
    let node = Node::start();
    node.task("t").await;
    node.get("/api/v1/tasks/t/diff").await.refuses(404, &["no attempt"]);
    let task = node.claim("a").await;
    let branch = format!("octopoid/t/{}", task["attempt"].as_str().expect("an attempt"));
    node.get("/api/v1/tasks/t/diff?stat=true").await.refuses(404, &[&branch]);
    let bare = Node::with(|settings| settings.diff = None);
    bare.task("t").await;
    bare.claim("a").await;
    bare.get("/api/v1/tasks/t/diff").await.refuses(404, &["no repository"]);
}
