//! Accept, reject, requeue, cancel, force-queue and hooks.

use serde_json::{Value, json};

use crate::desk::{Desk, each};
use crate::shape::TASK;

pub async fn accepted_work_is_done_and_frees_those_that_waited(desk: Desk) {
    let _ = desk.task("new", json!({ "queue": "backlog" })).await;
    let _ = desk.step("new", "accept", json!({ "accepted_by": "r" })).await.refuses(409, &["Cannot accept"]);
    let _ = desk.submitted("t", "a").await;
    let _ = desk.task("waiting", json!({ "blocked_by": "new,t" })).await;
    for wrong in [json!({}), json!({ "accepted_by": "" }), json!({ "accepted_by": null })] {
        let _ = desk.step("t", "accept", wrong).await.refuses(400, &["accepted_by"]);
    }
    let done = desk.step("t", "accept", json!({ "accepted_by": "r", "reason": "good" })).await.is(200);
    desk.has_shape(&done, &TASK);
    assert_eq!((&done["queue"], done["completed_at"].is_string()), (&json!("done"), true), "{done}");
    assert_eq!(desk.show("waiting").await["blocked_by"], "new", "of a comma list, too");
    let body = desk.step("t", "accept", json!({ "accepted_by": "r" })).await.refuses(409, &["Cannot accept", "done"]);
    assert!(body["details"].as_array().is_some_and(|details| !details.is_empty()), "{body}");
    let _ = desk.claimed("held", "a").await;
    let done = desk.step("held", "accept", json!({ "accepted_by": "r" })).await.is(200);
    assert_eq!((&done["queue"], &done["claimed_by"]), (&json!("done"), &Value::Null), "claimed may be accepted");
}

pub async fn rejected_work_comes_back_with_its_reason(desk: Desk) {
    let _ = desk.submitted("t", "a").await;
    for (field, body) in [
        ("reason", json!({ "rejected_by": "r" })),
        ("rejected_by", json!({ "reason": "no" })),
        ("reason", json!({ "rejected_by": "r", "reason": " " })),
    ] {
        let _ = desk.step("t", "reject", body).await.refuses(400, &[field]);
    }
    let task = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
    desk.has_shape(&task, &TASK);
    assert_eq!(
        (&task["queue"], &task["rejection_count"], &task["attempt_count"], &task["claimed_by"]),
        (&json!("incoming"), &json!(1), &json!(0), &Value::Null)
    );
    let messages = desk.get("/tasks/t/messages").await.is(200);
    let message = &messages["messages"][0];
    assert_eq!((&messages["total"], &message["content"], &message["from_actor"]), (&json!(1), &json!("no tests"), &json!("r")));
    let history = desk.get("/tasks/t/history").await.is(200);
    let told = history["history"].as_array().expect("a history").iter().find(|event| event["event"] == "rejected").expect("rejected");
    assert_eq!((&told["agent"], &told["details"]), (&json!("r"), &json!("no tests")));
    let _ = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "no" })).await.refuses(409, &["Cannot reject"]);
    let _ = desk.claim("a", json!({})).await.is(200);
    let held = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "stop" })).await.is(200);
    assert_eq!((&held["queue"], &held["rejection_count"]), (&json!("incoming"), &json!(2)), "claimed may be rejected");
}

pub async fn a_requeue_counts_an_attempt(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.step("t", "requeue", json!({})).await.refuses(409, &["Cannot requeue"]);
    let _ = desk.claim("a", json!({})).await.is(200);
    let task = desk.step("t", "requeue", json!({ "reason": "again" })).await.is(200);
    assert_eq!((&task["queue"], &task["attempt_count"], &task["claimed_by"]), (&json!("incoming"), &json!(1), &Value::Null));
    let _ = desk.claim("a", json!({})).await.is(200);
    let _ = desk.step("t", "submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    let task = desk.step("t", "requeue", json!({})).await.is(200);
    assert_eq!((&task["queue"], &task["attempt_count"], &task["rejection_count"]), (&json!("incoming"), &json!(2), &json!(0)));
    let _ = desk.claim("a", json!({})).await.is(200);
    let _ = desk.step("t", "accept", json!({ "accepted_by": "r" })).await.is(200);
    let _ = desk.step("t", "requeue", json!({})).await.refuses(409, &["Cannot requeue"]);
}

pub async fn a_task_is_given_up_once(desk: Desk) {
    let _ = desk.claimed("t", "a").await;
    let task = desk.step("t", "cancel", json!({ "reason": "no need", "cancelled_by": "me" })).await.is(200);
    desk.has_shape(&task, &TASK);
    assert_eq!((&task["queue"], &task["claimed_by"]), (&json!("cancelled"), &Value::Null));
    let _ = desk.step("t", "cancel", json!({})).await.refuses(409, &["Cannot cancel"]);
    let _ = desk.claim("a", json!({})).await.is(404);
    let _ = desk.step("t", "submit", json!({ "commits_count": 0, "turns_used": 0 })).await.is(409);
}

pub async fn a_forced_move_passes_the_flow_and_says_so(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.task("waiting", json!({ "blocked_by": "t", "queue": "backlog" })).await;
    for (field, body) in
        [("reason", json!({ "queue": "done" })), ("queue", json!({ "reason": "x" })), ("reason", json!({ "queue": "done", "reason": "" }))]
    {
        let _ = desk.step("t", "force-queue", body).await.refuses(400, &[field]);
    }
    for queue in ["claimed", "nowhere", "../x"] {
        let _ = desk.step("t", "force-queue", json!({ "queue": queue, "reason": "x" })).await.refuses(400, &["queue"]);
    }
    let moved = desk.step("t", "force-queue", json!({ "queue": "failed", "reason": "stuck", "forced_by": "me" })).await.is(200);
    desk.has_shape(&moved, &TASK);
    assert_eq!(moved["queue"], "failed");
    let done = desk.step("t", "force-queue", json!({ "queue": "done", "reason": "by hand" })).await.is(200);
    assert_eq!((&done["queue"], done["completed_at"].is_string()), (&json!("done"), true));
    assert_eq!(desk.show("waiting").await["blocked_by"], Value::Null);
    let messages = desk.get("/tasks/t/messages?type=force_queue").await.is(200);
    assert_eq!(each(&messages["messages"], "content"), ["stuck", "by hand"]);
    let history = desk.get("/tasks/t/history").await.is(200);
    assert_eq!(each(&history["history"], "event"), ["created", "force_queue", "force_queue"]);
}

pub async fn a_hook_is_completed_by_name(desk: Desk) {
    let _ = desk.task("t", json!({ "hooks": [{ "name": "tests", "point": "before_submit" }, { "name": "lint" }] })).await;
    let task = desk.step("t", "hooks/tests/complete", json!({ "status": "passed", "evidence": { "log": "ok" } })).await.is(200);
    desk.has_shape(&task, &TASK);
    let hooks: Value = serde_json::from_str(task["hooks"].as_str().expect("JSON text")).expect("JSON");
    assert_eq!(
        (&hooks[0]["status"], &hooks[0]["evidence"], &hooks[0]["point"]),
        (&json!("passed"), &json!({ "log": "ok" }), &json!("before_submit"))
    );
    assert_eq!(hooks[1], json!({ "name": "lint" }));
    let _ = desk.step("t", "hooks/lint/complete", json!({ "status": "failed" })).await.is(200);
    let _ = desk.step("t", "hooks/nobody/complete", json!({ "status": "failed" })).await.refuses(404, &["nobody"]);
    let _ = desk.step("t", "hooks/tests/complete", json!({ "status": "maybe" })).await.refuses(400, &["status"]);
    let _ = desk.step("t", "hooks/tests/complete", json!({})).await.refuses(400, &["status"]);
}
