use serde_json::{Value, json};

use crate::support::Node;

#[tokio::test]
async fn a_claim_takes_the_first_by_priority_then_age_and_shows_its_holder() {
    let node = Node::start();
    node.task_with("late", json!({ "priority": "P1" })).await;
    node.task_with("first", json!({ "priority": "P0" })).await;
    let task = node.claim("agent-1").await;
    assert_eq!(task["id"], "first");
    assert_eq!((task["queue"].as_str(), task["claimed_by"].as_str()), (Some("claimed"), Some("agent-1")));
    assert_eq!((task["orchestrator_id"].as_str(), task["holder"].as_str()), (Some("prod-m1"), Some("mac-studio")));
    assert_eq!(task["epoch"], 1);
    assert!(task["attempt"].as_str().is_some_and(|attempt| attempt.starts_with("1-") && attempt.len() == 10), "{task}");
    assert!(task["claimed_at"].is_string() && task["lease_expires_at"].is_string());
    assert_eq!(node.claim("agent-1").await["id"], "late");
    let none = node.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a" })).await;
    assert_eq!(none.is(404), json!({ "message": "No tasks available" }));
}

#[tokio::test]
async fn a_claim_filters_by_role_and_type_as_text_or_list() {
    let node = Node::start();
    node.task_with("a", json!({ "role": "implement", "type": "bug" })).await;
    node.task_with("b", json!({ "role": "review", "type": "chore" })).await;
    node.task_with("c", json!({ "role": "fix" })).await;
    let claim = |extra: Value| {
        let mut body = json!({ "orchestrator_id": "o", "agent_name": "a" });
        for (field, value) in extra.as_object().expect("fields") {
            body[field] = value.clone();
        }
        node.post("/api/v1/tasks/claim", body)
    };
    assert_eq!(claim(json!({ "role_filter": "review" })).await.is(200)["id"], "b");
    assert_eq!(claim(json!({ "role_filter": ["nobody", "fix"] })).await.is(200)["id"], "c");
    claim(json!({ "type_filter": "chore" })).await.is(404);
    claim(json!({ "role_filter": [5] })).await.refuses(400, &["role_filter"]);
    assert_eq!(claim(json!({ "type_filter": ["bug"], "role_filter": "implement, x" })).await.is(200)["id"], "a");
    for queue in ["claimed", "done", "failed", "cancelled", "blocked", "backlog", "nowhere", "../x"] {
        claim(json!({ "queue": queue })).await.refuses(400, &["queue"]);
    }
    for seconds in [json!(0), json!(3601), json!(-1), json!("300"), json!(1.5)] {
        claim(json!({ "lease_duration_seconds": seconds })).await.refuses(400, &["lease_duration_seconds"]);
    }
    for field in ["orchestrator_id", "agent_name"] {
        claim(json!({ field: "" })).await.refuses(400, &[field]);
        claim(json!({ field: null })).await.refuses(400, &[field]);
        claim(json!({ field: "x".repeat(200) })).await.refuses(400, &[field]);
    }
    claim(json!({ "queue": "needs_continuation" })).await.is(404);
}

#[tokio::test]
async fn the_whole_way_from_incoming_to_done() {
    let node = Node::start();
    node.task("t").await;
    node.claim("a").await;
    let results = json!({ "tests": "passed" });
    let body = json!({ "commits_count": 2, "turns_used": 9, "pr_url": "https://e.org/1", "check_results": results,
        "execution_notes": "did it", "agent_name": "a", "epoch": 1 });
    let submitted = node.post("/api/v1/tasks/t/submit", body).await.is(200);
    assert_eq!(submitted["queue"], "provisional");
    assert_eq!((&submitted["commits_count"], &submitted["turns_used"]), (&json!(2), &json!(9)));
    assert_eq!(
        (submitted["pr_url"].as_str(), submitted["check_results"].as_str()),
        (Some("https://e.org/1"), Some(r#"{"tests":"passed"}"#))
    );
    assert_eq!((&submitted["claimed_by"], &submitted["lease_expires_at"]), (&Value::Null, &Value::Null));
    assert!(submitted["submitted_at"].is_string() && submitted["completed_at"].is_null());
    let done = node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "r" })).await.is(200);
    assert_eq!(done["queue"], "done");
    assert!(done["completed_at"].is_string(), "{done}");
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "r" })).await.refuses(409, &["accept", "done"]);
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": "no" })).await.refuses(409, &["reject"]);
}

#[tokio::test]
async fn a_submit_is_the_holders_alone() {
    let node = Node::start();
    node.task("t").await;
    let work = |extra: Value| {
        let mut body = json!({ "commits_count": 1, "turns_used": 1 });
        for (field, value) in extra.as_object().expect("fields") {
            body[field] = value.clone();
        }
        node.post("/api/v1/tasks/t/submit", body)
    };
    work(json!({})).await.refuses(409, &["incoming", "claim"]);
    node.claim("a").await;
    work(json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds the task"]);
    work(json!({ "epoch": 7 })).await.refuses(409, &["epoch"]);
    work(json!({ "version": 1 })).await.refuses(409, &["version"]);
    for (field, value) in [
        ("commits_count", json!(null)),
        ("turns_used", json!("3")),
        ("commits_count", json!(-1)),
        ("turns_used", json!(1.5)),
        ("commits_count", json!(u64::MAX)),
        ("pr_url", json!("ftp://x")),
        ("check_results", json!("{")),
    ] {
        work(json!({ field: value })).await.refuses(400, &[field]);
    }
    node.post("/api/v1/tasks/t/submit", json!({ "commits_count": 1 })).await.refuses(400, &["turns_used"]);
    work(json!({ "agent_name": "a" })).await.is(200);
    work(json!({ "agent_name": "a" })).await.is(409);
}

#[tokio::test]
async fn burnt_out_work_goes_to_needs_continuation_and_can_be_claimed_from_there() {
    let node = Node::start();
    for (id, commits, turns, queue) in
        [("a", 0, 80, "needs_continuation"), ("b", 1, 80, "provisional"), ("c", 5, 100, "needs_continuation"), ("d", 0, 79, "provisional")]
    {
        node.task(id).await;
        node.claim("x").await;
        let body = json!({ "commits_count": commits, "turns_used": turns });
        assert_eq!(node.post(&format!("/api/v1/tasks/{id}/submit"), body).await.is(200)["queue"], queue, "{id}");
    }
    let body = json!({ "orchestrator_id": "o", "agent_name": "y", "queue": "needs_continuation" });
    let task = node.post("/api/v1/tasks/claim", body).await.is(200);
    assert_eq!((task["id"].as_str(), task["epoch"].as_u64()), (Some("a"), Some(2)));
}

#[tokio::test]
async fn a_rejected_task_comes_back_with_its_reason_as_a_message() {
    let node = Node::start();
    node.task("t").await;
    node.submit("a").await;
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r" })).await.refuses(400, &["reason"]);
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": " " })).await.refuses(400, &["reason"]);
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": "x".repeat(20_000) })).await.refuses(400, &["reason"]);
    let task = node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "r", "reason": "no tests" })).await.is(200);
    assert_eq!(
        (task["queue"].as_str(), task["rejection_count"].as_u64(), task["attempt_count"].as_u64()),
        (Some("incoming"), Some(1), Some(0))
    );
    let messages = node.get("/api/v1/tasks/t/messages").await.is(200);
    assert_eq!(messages["total"], 1);
    let message = &messages["messages"][0];
    assert_eq!(
        (message["type"].as_str(), message["content"].as_str(), message["from_actor"].as_str()),
        (Some("rejection"), Some("no tests"), Some("r"))
    );
}

#[tokio::test]
async fn requeue_counts_an_attempt_and_reopens_only_when_told_to() {
    let node = Node::start();
    node.task("t").await;
    node.post("/api/v1/tasks/t/requeue", json!({})).await.refuses(409, &["requeue"]);
    node.claim("a").await;
    let task = node.post("/api/v1/tasks/t/requeue", json!({ "reason": "again" })).await.is(200);
    assert_eq!((task["queue"].as_str(), task["attempt_count"].as_u64()), (Some("incoming"), Some(1)));
    node.claim("a").await;
    node.post("/api/v1/tasks/t/release", json!({})).await.is(200);
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200)["attempt_count"], 1, "a release does not count");
    node.finish().await;
    node.post("/api/v1/tasks/t/requeue", json!({ "from_any": true })).await.refuses(409, &["reopen"]);
    assert_eq!(node.post("/api/v1/tasks/t/requeue", json!({ "reopen": true })).await.is(200)["queue"], "incoming");
}

#[tokio::test]
async fn release_and_renew_are_the_holders_alone() {
    let node = Node::start();
    node.task("t").await;
    node.post("/api/v1/tasks/t/release", json!({})).await.refuses(409, &["nobody holds"]);
    node.post("/api/v1/tasks/t/renew", json!({ "agent_name": "a" })).await.refuses(409, &["nobody holds"]);
    let claimed = node.claim("a").await;
    node.post("/api/v1/tasks/t/release", json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    node.post("/api/v1/tasks/t/renew", json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    node.post("/api/v1/tasks/t/renew", json!({ "agent_name": "a", "epoch": 9 })).await.refuses(409, &["epoch"]);
    node.post("/api/v1/tasks/t/renew", json!({})).await.refuses(400, &["agent_name"]);
    for seconds in [0, 3601] {
        let body = json!({ "agent_name": "a", "lease_duration_seconds": seconds });
        node.post("/api/v1/tasks/t/renew", body).await.refuses(400, &["lease_duration_seconds"]);
    }
    let renewed = node.post("/api/v1/tasks/t/renew", json!({ "agent_name": "a", "lease_duration_seconds": 3600 })).await.is(200);
    assert!(renewed["lease_expires_at"].as_str() > claimed["lease_expires_at"].as_str(), "{renewed}");
    assert_eq!(renewed["version"], claimed["version"], "nothing periodic goes into the history");
    let released = node.post("/api/v1/tasks/t/release", json!({ "agent_name": "a", "epoch": 1, "reason": "tired" })).await.is(200);
    assert_eq!((released["queue"].as_str(), &released["claimed_by"]), (Some("incoming"), &Value::Null));
}

#[tokio::test]
async fn a_review_claim_is_exclusive_and_ends_with_the_verdict() {
    let node = Node::start();
    node.task("t").await;
    node.submit("a").await;
    let review = json!({ "orchestrator_id": "o", "agent_name": "gate", "queue": "provisional" });
    let task = node.post("/api/v1/tasks/claim", review.clone()).await.is(200);
    assert_eq!((task["queue"].as_str(), task["claimed_by"].as_str(), task["epoch"].as_u64()), (Some("provisional"), Some("gate"), Some(1)));
    assert!(task["lease_expires_at"].is_string());
    node.post("/api/v1/tasks/claim", review.clone()).await.is(404);
    node.post("/api/v1/tasks/t/release", json!({ "agent_name": "gate" })).await.is(200);
    node.post("/api/v1/tasks/claim", review).await.is(200);
    let done = node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "gate" })).await.is(200);
    assert_eq!((done["queue"].as_str(), &done["claimed_by"]), (Some("done"), &Value::Null));
}

#[tokio::test]
async fn accept_needs_work_and_a_name() {
    let node = Node::start();
    node.task("t").await;
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "r" })).await.refuses(409, &["accept"]);
    node.claim("a").await;
    node.post("/api/v1/tasks/t/accept", json!({})).await.refuses(400, &["accepted_by"]);
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "" })).await.refuses(400, &["accepted_by"]);
    node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": 5 })).await.refuses(400, &["accepted_by"]);
    assert_eq!(
        node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "r" })).await.is(200)["queue"],
        "done",
        "claimed may be accepted"
    );
}

#[tokio::test]
async fn force_queue_bypasses_the_flow_and_says_so() {
    let node = Node::start();
    node.task("t").await;
    node.task_with("waiting", json!({ "blocked_by": "t" })).await;
    for body in [json!({ "queue": "done" }), json!({ "reason": "x" }), json!({ "queue": "done", "reason": "" })] {
        node.post("/api/v1/tasks/t/force-queue", body).await.is(400);
    }
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "claimed", "reason": "x" })).await.refuses(400, &["queue"]);
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "nowhere", "reason": "x" })).await.refuses(400, &["queue"]);
    let moved = node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "failed", "reason": "stuck", "forced_by": "me" })).await.is(200);
    assert_eq!(moved["queue"], "failed");
    let done = node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "done", "reason": "by hand" })).await.is(200);
    assert!(done["queue"] == "done" && done["completed_at"].is_string(), "{done}");
    assert_eq!(node.get("/api/v1/tasks/waiting").await.is(200)["blocked_by"], Value::Null);
    let messages = node.get("/api/v1/tasks/t/messages?type=force_queue").await.is(200);
    let said: Vec<_> = messages["messages"].as_array().expect("messages").iter().map(|message| message["content"].as_str()).collect();
    assert_eq!(said, [Some("stuck"), Some("by hand")]);
}

#[tokio::test]
async fn cancel_gives_a_task_up_once() {
    let node = Node::start();
    node.task("t").await;
    assert_eq!(
        node.post("/api/v1/tasks/t/cancel", json!({ "reason": "no need", "cancelled_by": "me" })).await.is(200)["queue"],
        "cancelled"
    );
    node.post("/api/v1/tasks/t/cancel", json!({})).await.refuses(409, &["cancel"]);
    node.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a" })).await.is(404);
}

#[tokio::test]
async fn a_hook_is_completed_by_name() {
    let node = Node::start();
    node.task_with("t", json!({ "hooks": [{ "name": "tests", "point": "before_submit" }, { "name": "lint" }] })).await;
    let body = json!({ "status": "passed", "evidence": { "log": "ok" } });
    let task = node.post("/api/v1/tasks/t/hooks/tests/complete", body).await.is(200);
    let hooks: Value = serde_json::from_str(task["hooks"].as_str().expect("hooks")).expect("json");
    assert_eq!(
        (&hooks[0]["status"], &hooks[0]["evidence"]["log"], &hooks[0]["point"]),
        (&json!("passed"), &json!("ok"), &json!("before_submit"))
    );
    assert_eq!(hooks[1], json!({ "name": "lint" }));
    node.post("/api/v1/tasks/t/hooks/nobody/complete", json!({ "status": "failed" })).await.refuses(404, &["nobody"]);
    node.post("/api/v1/tasks/t/hooks/tests/complete", json!({ "status": "maybe" })).await.refuses(400, &["status"]);
    node.post("/api/v1/tasks/nobody/hooks/tests/complete", json!({ "status": "failed" })).await.is(404);
}

#[tokio::test]
async fn merging_without_a_scheduler_answers_503() {
    let node = Node::start();
    node.task("t").await;
    node.post("/api/v1/tasks/t/merge", json!({})).await.refuses(503, &["octopoid start"]);
    node.post("/api/v1/tasks/nobody/merge", json!({})).await.is(404);
}
