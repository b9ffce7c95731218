//! What happened to a task: history, attempts, messages, log.

use serde_json::json;

use crate::desk::{Desk, each};
use crate::shape::{ATTEMPT, EVENT};

pub async fn history_tells_every_step_with_who_and_where(desk: Desk) {
    let _ = desk.task("blocker", json!({ "priority": "P0" })).await;
    let _ = desk.task("t", json!({ "blocked_by": "blocker" })).await;
    let work = json!({ "commits_count": 1, "turns_used": 1 });
    let _ = desk.claim("z", json!({})).await.is(200);
    let _ = desk.step("blocker", "accept", json!({ "accepted_by": "r" })).await.is(200);
    let _ = desk.claim("a", json!({})).await.is(200);
    let _ = desk.step("t", "submit", work.clone()).await.is(200);
    let _ = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
    let _ = desk.claim("b", json!({})).await.is(200);
    let _ = desk.step("t", "requeue", json!({ "requeued_by": "me" })).await.is(200);
    let _ = desk.claim("c", json!({})).await.is(200);
    let _ = desk.step("t", "submit", json!({ "commits_count": 0, "turns_used": 100 })).await.is(200);
    let _ = desk.step("t", "force-queue", json!({ "queue": "incoming", "reason": "go on" })).await.is(200);
    let _ = desk.claim("d", json!({})).await.is(200);
    let _ = desk.step("t", "submit", work).await.is(200);
    let _ = desk.claim("gate", json!({ "queue": "provisional" })).await.is(200);
    let _ = desk.step("t", "accept", json!({ "accepted_by": "gate", "reason": "fine" })).await.is(200);
    let history = desk.get("/tasks/t/history").await.is(200);
    let events = history["history"].as_array().expect("a history");
    events.iter().for_each(|event| desk.has_shape(event, &EVENT));
    let told = each(&history["history"], "event");
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
    let of = |event: &str| events.iter().find(|known| known["event"] == event).unwrap_or_else(|| panic!("no {event} in {history}"));
    assert_eq!((&of("created")["node"], &of("claimed")["agent"]), (&json!(desk.machine()), &json!("a")));
    assert_eq!(of("rejected")["details"], "no tests");
    assert_eq!(of("rejected")["record_id"].as_str().map(str::len), Some(64));
    let judge = if desk.mode.served { "machine-1".to_owned() } else { desk.machine() };
    assert_eq!(of("accepted")["node"], judge, "where one node decides, verdicts are its own");
    let times = each(&history["history"], "timestamp");
    assert!(times.is_sorted(), "{times:?}");

    let attempts = desk.get("/tasks/t/attempts").await.is(200);
    let list = attempts["attempts"].as_array().expect("attempts");
    list.iter().for_each(|attempt| desk.has_shape(attempt, &ATTEMPT));
    assert_eq!(each(&attempts["attempts"], "agent"), ["a", "b", "c", "d"]);
    assert_eq!(each(&attempts["attempts"], "state"), ["rejected", "moved", "moved", "accepted"]);
    let epochs: Vec<_> = list.iter().map(|attempt| attempt["epoch"].as_u64()).collect();
    assert_eq!(epochs, [Some(1), Some(2), Some(3), Some(4)]);
    let shown = desk.show("t").await;
    assert_eq!((&list[3]["attempt"], &list[3]["current"]), (&shown["attempt"], &json!(true)));
    assert_eq!(list[3]["branch"], format!("octopoid/t/{}", shown["attempt"].as_str().expect("an attempt")));
}

pub async fn a_log_is_text_of_an_attempt(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.get("/tasks/t/log").await.refuses(404, &["no attempt"]);
    let _ = desk.claim("a", json!({})).await.is(200);
    // A claimant over REST keeps its log itself.
    let _ = desk.get("/tasks/t/log").await.refuses(404, &["no log"]);
    let _ = desk.get("/tasks/t/log?attempt=9-00000000").await.refuses(404, &["9-00000000"]);
    let _ = desk.get("/tasks/t/log?attempt=nonsense").await.refuses(400, &["attempt"]);
    let _ = desk.get("/tasks/t/log?follow=maybe").await.refuses(400, &["follow"]);
}

pub async fn a_cancelled_task_is_archived(desk: Desk) {
    let _ = desk.task("t", json!({ "queue": "backlog" })).await;
    let _ = desk.step("t", "cancel", json!({ "reason": "no need" })).await.is(200);
    let history = desk.get("/tasks/t/history").await.is(200);
    assert_eq!(each(&history["history"], "event"), ["created", "archived"]);
}
