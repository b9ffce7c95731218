use serde_json::{Value, json};

use crate::support::Node;

/// How long it is looked whether a call waits: one that does not is answered in a fraction of it.
const HELD: std::time::Duration = std::time::Duration::from_millis(300);

#[tokio::test]
async fn status_tells_what_waits_on_a_node_without_a_scheduler() {
    let node = Node::start();
    node.task_with("a", json!({ "needs_intervention": true, "priority": "P3" })).await;
    node.task("b").await;
    node.submit("x").await;
    let status = node.get("/api/v1/node/status").await.is(200);
    assert_eq!((status["mode"].as_str(), status["node"]["machine_id"].as_str()), (Some("local"), Some("mac-studio")));
    assert_eq!(status["queues"], json!({ "incoming": 1, "provisional": 1 }));
    assert_eq!((&status["waiting_for_review"], &status["needs_intervention"]), (&json!(["b"]), &json!(["a"])));
    assert_eq!((&status["agents"], &status["node"]["pid"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn what_only_a_scheduler_can_do_answers_503_and_says_how_to_start_one() {
    let node = Node::start();
    for path in ["pause", "resume", "agents/x/pause", "agents/x/resume", "stop", "gc"] {
        node.post(&format!("/api/v1/node/{path}"), json!({})).await.refuses(503, &["octopoid start"]);
    }
}

#[tokio::test]
async fn the_doctor_compares_views_with_records() {
    let node = Node::start();
    node.task("a").await;
    node.task("b").await;
    node.finish().await;
    node.delete("/api/v1/tasks/b").await.is(200);
    let doctor = node.get("/api/v1/node/doctor").await.is(200);
    assert_eq!((&doctor["ok"], &doctor["tasks"], &doctor["problems"]), (&json!(true), &json!(1), &json!([])));
    assert!(doctor["records"].as_u64() > Some(5));
    let rebuilt = node.get("/api/v1/node/doctor?rebuild=true").await.is(200);
    assert_eq!((&rebuilt["ok"], &rebuilt["rebuilt"], &rebuilt["tasks"]), (&json!(true), &json!(true), &json!(1)));
}

#[tokio::test]
async fn metrics_count_requests_tasks_and_commits() {
    let node = Node::start();
    node.task("a").await;
    node.get("/api/v1/tasks/a").await.is(200);
    node.get("/api/v1/tasks/nobody").await.is(404);
    node.get("/nowhere/at/all").await.is(404);
    let text = node.get("/metrics").await.text;
    for line in [
        "octopoid_tasks{queue=\"incoming\"} 1",
        "octopoid_http_requests_total{route=\"/api/v1/tasks/{id}\",method=\"GET\",status=\"200\"} 1",
        "octopoid_http_requests_total{route=\"/api/v1/tasks/{id}\",method=\"GET\",status=\"404\"} 1",
        "octopoid_http_requests_total{route=\"unknown\",method=\"GET\",status=\"404\"} 1",
        "octopoid_http_request_duration_seconds_count{route=\"/api/v1/tasks/{id}\"} 2",
        "octopoid_store_commits_total 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("nobody") && !text.contains("nowhere"), "labels do not grow with what callers send");
}

#[tokio::test]
async fn while_a_node_looks_for_what_it_wrote_before_it_answers_reads_and_calls_that_may_write_wait() {
    let node = Node::start();
    node.task("before").await;
    let held_back = node.store.hold_back();
    let task = json!({ "id": "after", "file_path": "after.md" });
    let mut write = std::pin::pin!(node.post("/api/v1/tasks", task));
    assert!(tokio::time::timeout(HELD, &mut write).await.is_err(), "it waits");
    node.get("/api/health").await.is(200);
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], 1);
    // So does one that is refused: a call may be passed on to a member that is not connected yet.
    let mut refused = std::pin::pin!(node.post("/api/v1/tasks/before/accept", json!({})));
    assert!(tokio::time::timeout(HELD, &mut refused).await.is_err(), "it waits, too");
    drop(held_back);
    assert_eq!(write.await.is(201)["id"], "after");
    refused.await.refuses(400, &["accepted_by"]);
}

#[tokio::test]
async fn a_call_that_may_write_waits_some_seconds_for_a_node_that_catches_up_and_no_longer() {
    let node = Node::start();
    let held_back = node.store.hold_back();
    let task = json!({ "id": "t", "file_path": "t.md" });
    let refused = node.post("/api/v1/tasks", task.clone()).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.refuses(503, &["has just started", "try again"]);
    // What is said to the node alone is heard at once: here that nothing runs that could be paused.
    node.post("/api/v1/node/pause", json!({})).await.refuses(503, &["octopoid start"]);
    drop(held_back);
    node.post("/api/v1/tasks", task).await.is(201);
}
