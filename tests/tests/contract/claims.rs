//! Claim, renew, submit and release.

use serde_json::{Value, json};

use crate::desk::{Desk, each};
use crate::shape::TASK;

pub async fn a_claim_takes_the_first_by_priority_then_age(desk: Desk) {
    let _ = desk.task("late", json!({ "priority": "P1" })).await;
    let _ = desk.task("first", json!({ "priority": "P0" })).await;
    let task = desk.claim("agent-1", json!({})).await.is(200);
    desk.has_shape(&task, &TASK);
    for (field, value) in [
        ("id", json!("first")),
        ("queue", json!("claimed")),
        ("claimed_by", json!("agent-1")),
        ("orchestrator_id", json!("o")),
        ("epoch", json!(1)),
        ("holder", json!(desk.machine())),
        ("attempt_count", json!(0)),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    assert!(task["attempt"].as_str().is_some_and(|name| name.starts_with("1-") && name.len() == 10), "{task}");
    assert!(task["claimed_at"].is_string() && task["version"].as_u64() > Some(1), "{task}");
    let lease = seconds(&task["lease_expires_at"]) - seconds(&task["claimed_at"]);
    assert!((280.0..=330.0).contains(&lease), "300 s by default: {task}");
    assert_eq!(desk.claim("agent-1", json!({})).await.is(200)["id"], "late");
    assert_eq!(desk.claim("agent-1", json!({})).await.is(404), json!({ "message": "No tasks available" }));
    let known = desk.get("/orchestrators/o").await.is(200);
    assert_eq!(known["id"], "o", "one that never registered is listed");
}

/// Returns the seconds of a time within its day.
fn seconds(time: &Value) -> f64 {
    let time = time.as_str().expect("a time");
    let part = |range: std::ops::Range<usize>| time[range].parse::<f64>().expect("a number");
    // Two days are never compared but around midnight, when the later one is a day ahead.
    let day = part(8..10) * 86_400.0;
    day + part(11..13) * 3_600.0 + part(14..16) * 60.0 + part(17..23)
}

pub async fn a_claim_chooses_by_role_type_and_queue(desk: Desk) {
    let _ = desk.task("a", json!({ "role": "implement", "type": "bug" })).await;
    let _ = desk.task("b", json!({ "role": "review", "type": "chore" })).await;
    let _ = desk.task("c", json!({ "role": "fix" })).await;
    let _ = desk.task("d", json!({ "queue": "needs_continuation" })).await;
    assert_eq!(desk.claim("x", json!({ "role_filter": "review" })).await.is(200)["id"], "b");
    assert_eq!(desk.claim("x", json!({ "role_filter": ["nobody", "fix"] })).await.is(200)["id"], "c");
    let _ = desk.claim("x", json!({ "type_filter": "chore" })).await.is(404);
    assert_eq!(desk.claim("x", json!({ "type_filter": ["bug"], "role_filter": "implement" })).await.is(200)["id"], "a");
    let _ = desk.claim("x", json!({})).await.is(404);
    assert_eq!(desk.claim("x", json!({ "queue": "needs_continuation" })).await.is(200)["id"], "d");
    for queue in ["claimed", "done", "failed", "cancelled", "blocked", "backlog", "nowhere"] {
        let _ = desk.claim("x", json!({ "queue": queue })).await.refuses(400, &["queue"]);
    }
    for wrong in [json!(0), json!(3601), json!(-1), json!("300"), json!(1.5)] {
        let _ = desk.claim("x", json!({ "lease_duration_seconds": wrong })).await.refuses(400, &["lease_duration_seconds"]);
    }
    for field in ["orchestrator_id", "agent_name"] {
        let _ = desk.claim("x", json!({ field: "" })).await.refuses(400, &[field]);
        let mut body = json!({ "orchestrator_id": "o", "agent_name": "x" });
        body.as_object_mut().expect("fields").remove(field);
        let _ = desk.post("/tasks/claim", body).await.refuses(400, &[field]);
    }
}

pub async fn a_role_says_where_its_claims_come_from(desk: Desk) {
    let machine = json!({ "cluster": "c", "machine_id": desk.id("m"), "repo_url": "r" });
    let id = desk.post("/orchestrators/register", machine).await.is(201)["orchestrator_id"].clone();
    let roles = json!([{ "name": "gate", "claims_from": "provisional" }, { "name": "implement" }]);
    let _ = desk.post("/roles/register", json!({ "orchestrator_id": id, "roles": roles })).await.is(200);
    let _ = desk.task("handed-in", json!({ "role": "gate" })).await;
    let _ = desk.claim("x", json!({ "role_filter": "gate", "queue": "incoming" })).await.is(200);
    let _ = desk.step("handed-in", "submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    let _ = desk.task("new", json!({ "role": "gate" })).await;
    let task = desk.claim("judge", json!({ "role_filter": "gate" })).await.is(200);
    assert_eq!((&task["id"], &task["queue"], &task["claimed_by"]), (&json!("handed-in"), &json!("provisional"), &json!("judge")));
    assert_eq!(
        desk.claim("x", json!({ "role_filter": "gate", "queue": "incoming" })).await.is(200)["id"],
        "new",
        "what is said is stronger"
    );
}

pub async fn a_review_claim_is_exclusive_and_moves_nothing(desk: Desk) {
    let _ = desk.submitted("t", "a").await;
    let review = desk.claim("gate", json!({ "queue": "provisional" })).await.is(200);
    assert_eq!((&review["queue"], &review["claimed_by"], &review["epoch"]), (&json!("provisional"), &json!("gate"), &json!(1)));
    assert!(review["lease_expires_at"].is_string());
    let _ = desk.claim("other", json!({ "queue": "provisional" })).await.is(404);
    let _ = desk.step("t", "renew", json!({ "agent_name": "other" })).await.refuses(409, &["'gate' holds"]);
    let _ = desk.step("t", "renew", json!({ "agent_name": "gate" })).await.is(200);
    let given = desk.step("t", "release", json!({ "agent_name": "gate" })).await.is(200);
    assert_eq!((&given["queue"], &given["claimed_by"]), (&json!("provisional"), &Value::Null));
    let _ = desk.claim("other", json!({ "queue": "provisional" })).await.is(200);
    let done = desk.step("t", "accept", json!({ "accepted_by": "other" })).await.is(200);
    assert_eq!((&done["queue"], &done["claimed_by"]), (&json!("done"), &Value::Null));
}

pub async fn a_lease_is_renewed_by_its_holder_alone(desk: Desk) {
    let _ = desk.task("waiting", json!({ "queue": "backlog" })).await;
    let _ = desk.step("waiting", "renew", json!({ "agent_name": "a" })).await.refuses(409, &["nobody holds"]);
    let claimed = desk.claimed("t", "a").await;
    let body = desk.step("t", "renew", json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    assert_eq!(body["details"], json!(["'a' holds the task"]), "a transition gives its details");
    let _ = desk.step("t", "renew", json!({ "agent_name": "a", "epoch": 9 })).await.refuses(409, &["epoch"]);
    let _ = desk.step("t", "renew", json!({})).await.refuses(400, &["agent_name"]);
    for wrong in [json!(0), json!(3601), json!("60")] {
        let _ = desk
            .step("t", "renew", json!({ "agent_name": "a", "lease_duration_seconds": wrong }))
            .await
            .refuses(400, &["lease_duration_seconds"]);
    }
    let renewed = desk.step("t", "renew", json!({ "agent_name": "a", "epoch": 1, "lease_duration_seconds": 3600 })).await.is(200);
    desk.has_shape(&renewed, &TASK);
    assert!(renewed["lease_expires_at"].as_str() > claimed["lease_expires_at"].as_str(), "{renewed}");
    assert_eq!(renewed["version"], claimed["version"], "a renewal is no record");
}

pub async fn work_is_submitted_by_its_holder_alone(desk: Desk) {
    let _ = desk.task("waiting", json!({ "queue": "backlog" })).await;
    let work = json!({ "commits_count": 1, "turns_used": 1 });
    let body = desk.step("waiting", "submit", work.clone()).await.refuses(409, &["Cannot submit", "claim"]);
    assert!(body["details"].as_array().is_some_and(|details| !details.is_empty()), "{body}");
    let claimed = desk.claimed("t", "a").await;
    let version = claimed["version"].as_u64().expect("a version");
    let submit = async |fields: Value| desk.step("t", "submit", crate::desk::with(work.clone(), fields)).await;
    let _ = submit(json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds the task"]);
    let _ = submit(json!({ "epoch": 7 })).await.refuses(409, &["epoch"]);
    let _ = submit(json!({ "version": version + 1 })).await.refuses(409, &["version"]);
    for (field, wrong) in [
        ("commits_count", json!(null)),
        ("turns_used", json!("3")),
        ("commits_count", json!(-1)),
        ("pr_url", json!("ftp://x")),
        ("check_results", json!("{")),
    ] {
        let _ = submit(json!({ field: wrong })).await.refuses(400, &[field]);
    }
    for field in ["commits_count", "turns_used"] {
        let mut body = work.clone();
        body.as_object_mut().expect("fields").remove(field);
        let _ = desk.step("t", "submit", body).await.refuses(400, &[field]);
    }
    let _ = desk.patch("/tasks/t", json!({ "needs_intervention": true })).await.is(200);
    let fields = json!({ "commits_count": 2, "turns_used": 9, "pr_url": "https://e.org/1", "check_results": { "unit": "passed" },
        "execution_notes": "did it", "agent_name": "a", "epoch": 1 });
    let task = submit(fields).await.is(200);
    desk.has_shape(&task, &TASK);
    for (field, value) in [
        ("queue", json!("provisional")),
        ("commits_count", json!(2)),
        ("turns_used", json!(9)),
        ("pr_url", json!("https://e.org/1")),
        ("check_results", json!("{\"unit\":\"passed\"}")),
        ("execution_notes", json!("did it")),
        ("claimed_by", Value::Null),
        ("lease_expires_at", Value::Null),
        ("completed_at", Value::Null),
        ("needs_intervention", desk.flag(false)),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    assert!(task["submitted_at"].is_string() && task["version"].as_u64() > Some(version));
    let _ = submit(json!({ "agent_name": "a" })).await.refuses(409, &["Cannot submit"]);
    let kept = desk.step("t", "reject", json!({ "rejected_by": "r", "reason": "again" })).await.is(200);
    assert_eq!(kept["pr_url"], "https://e.org/1", "it is kept");
}

pub async fn many_turns_without_enough_commits_need_continuation(desk: Desk) {
    for (id, commits, turns, queue) in [
        ("a", 0, 80, "needs_continuation"),
        ("b", 1, 80, "provisional"),
        ("c", 5, 100, "needs_continuation"),
        ("d", 0, 79, "provisional"),
        ("e", 1, 99, "provisional"),
    ] {
        let _ = desk.claimed(id, "x").await;
        let task = desk.step(id, "submit", json!({ "commits_count": commits, "turns_used": turns })).await.is(200);
        assert_eq!((&task["queue"], &task["claimed_by"]), (&json!(queue), &Value::Null), "{id}");
    }
    let history = desk.get("/tasks/a/history").await.is(200);
    assert!(each(&history["history"], "event").contains(&"burnout_detected"), "{history}");
    let again = desk.claim("y", json!({ "queue": "needs_continuation", "role_filter": "a" })).await.is(200);
    assert_eq!((&again["id"], &again["epoch"]), (&json!("a"), &json!(2)));
}

pub async fn a_holder_gives_the_task_back(desk: Desk) {
    let _ = desk.task("waiting", json!({ "queue": "backlog" })).await;
    let _ = desk.step("waiting", "release", json!({})).await.refuses(409, &["nobody holds"]);
    let _ = desk.claimed("t", "a").await;
    let _ = desk.step("t", "release", json!({ "agent_name": "b" })).await.refuses(409, &["'a' holds"]);
    let given = desk.step("t", "release", json!({ "agent_name": "a", "epoch": 1, "reason": "tired" })).await.is(200);
    assert_eq!((&given["queue"], &given["claimed_by"], &given["attempt_count"]), (&json!("incoming"), &Value::Null, &json!(0)));
    assert_eq!(desk.claim("b", json!({})).await.is(200)["epoch"], 2);
}

pub async fn a_claim_that_nobody_renews_ends(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.claim("silent", json!({ "lease_duration_seconds": 1 })).await.is(200);
    let task = desk.until("t", "without its lease", |task| task["queue"] == "incoming").await;
    assert_eq!((&task["claimed_by"], &task["attempt_count"]), (&Value::Null, &json!(0)), "an expiry does not count");
    let _ = desk
        .step("t", "submit", json!({ "commits_count": 1, "turns_used": 1, "agent_name": "silent" }))
        .await
        .refuses(409, &["Cannot submit"]);
    let history = desk.get("/tasks/t/history").await.is(200);
    assert!(each(&history["history"], "event").contains(&"lease_expired"), "{history}");
    assert_eq!(desk.claim("next", json!({})).await.is(200)["epoch"], 2);
}
