use serde_json::{Value, json};

use crate::support::{Lasting, Node};

fn registration(machine: &str) -> Value {
    json!({ "cluster": "prod", "machine_id": machine, "repo_url": "https://e.org/r.git", "hostname": "h", "version": "2.0", "capabilities": { "gpu": true } })
}

#[tokio::test]
async fn a_registration_is_201_first_and_200_again_with_the_first_time_kept() {
    let node = Node::start();
    let first = node.post("/api/v1/orchestrators/register", registration("m1")).await.is(201);
    assert_eq!((first["orchestrator_id"].as_str(), first["status"].as_str()), (Some("prod-m1"), Some("active")));
    assert!(first["api_key"].is_string());
    let again = node.post("/api/v1/orchestrators/register", registration("m1")).await.is(200);
    assert_eq!(again["registered_at"], first["registered_at"]);
    let shown = node.get("/api/v1/orchestrators/prod-m1").await.is(200);
    for (field, value) in [
        ("id", json!("prod-m1")),
        ("cluster", json!("prod")),
        ("machine_id", json!("m1")),
        ("hostname", json!("h")),
        ("version", json!("2.0")),
        ("repo_url", json!("https://e.org/r.git")),
        ("capabilities", json!(r#"{"gpu":true}"#)),
        ("status", json!("active")),
        ("scope", json!("default")),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    for field in ["cluster", "machine_id", "repo_url"] {
        let mut body = registration("m2");
        body[field] = json!(null);
        node.post("/api/v1/orchestrators/register", body).await.refuses(400, &[field]);
    }
    let long = json!({ "cluster": "c".repeat(100), "machine_id": "m".repeat(100), "repo_url": "r" });
    node.post("/api/v1/orchestrators/register", long).await.refuses(400, &["machine_id"]);
}

#[tokio::test]
async fn a_heartbeat_needs_no_body_and_a_known_orchestrator() {
    let node = Node::start();
    node.post("/api/v1/orchestrators/register", registration("m1")).await.is(201);
    let answer = node.call(axum::http::Method::POST, "/api/v1/orchestrators/prod-m1/heartbeat", &[], None).await.is(200);
    assert!(answer["success"] == true && answer["last_heartbeat"].is_string(), "{answer}");
    node.post("/api/v1/orchestrators/prod-m1/heartbeat", json!({ "timestamp": "x" })).await.is(200);
    node.post("/api/v1/orchestrators/nobody/heartbeat", json!({})).await.refuses(404, &["nobody"]);
}

#[tokio::test]
async fn an_orchestrator_that_was_not_heard_since_the_start_is_offline() {
    let lasting = Lasting::new();
    {
        let node = lasting.start(1);
        node.post("/api/v1/orchestrators/register", registration("m1")).await.is(201);
    }
    let node = lasting.start(2);
    let shown = node.get("/api/v1/orchestrators/prod-m1").await.is(200);
    assert_eq!((shown["status"].as_str(), &shown["last_heartbeat"]), (Some("offline"), &Value::Null));
    node.post("/api/v1/orchestrators/prod-m1/heartbeat", json!({})).await.is(200);
    assert_eq!(node.get("/api/v1/orchestrators/prod-m1").await.is(200)["status"], "active");
}

#[tokio::test]
async fn a_status_is_set_by_hand_and_this_node_is_listed_too() {
    let node = Node::start();
    node.post("/api/v1/orchestrators/register", registration("m1")).await.is(201);
    assert_eq!(node.patch("/api/v1/orchestrators/prod-m1", json!({ "status": "maintenance" })).await.is(200)["status"], "maintenance");
    node.post("/api/v1/orchestrators/prod-m1/heartbeat", json!({})).await.is(200);
    assert_eq!(node.get("/api/v1/orchestrators/prod-m1").await.is(200)["status"], "maintenance", "a heartbeat does not end it");
    assert_eq!(node.patch("/api/v1/orchestrators/prod-m1", json!({ "status": "active" })).await.is(200)["status"], "active");
    for (body, part) in [(json!({ "status": "asleep" }), "status"), (json!({}), "status"), (json!({ "status": "active", "x": 1 }), "x")] {
        node.patch("/api/v1/orchestrators/prod-m1", body).await.refuses(400, &[part]);
    }
    node.patch("/api/v1/orchestrators/nobody", json!({ "status": "active" })).await.is(404);
    let list = node.get("/api/v1/orchestrators").await.is(200);
    assert_eq!((list["total"].as_u64(), list["orchestrators"][0]["id"].as_str()), (Some(2), Some("local-mac-studio")));
    assert_eq!(node.get("/api/v1/orchestrators?cluster=prod").await.is(200)["total"], 1);
    assert_eq!(node.get("/api/v1/orchestrators?status=maintenance").await.is(200)["total"], 0);
    node.get("/api/v1/orchestrators?status=odd").await.refuses(400, &["status"]);
}

#[tokio::test]
async fn whoever_claims_without_registering_is_accepted_and_listed() {
    let node = Node::start();
    node.task("t").await;
    node.claim("a").await;
    let shown = node.get("/api/v1/orchestrators/prod-m1").await.is(200);
    assert_eq!((shown["status"].as_str(), shown["repo_url"].as_str()), (Some("active"), None));
    assert_eq!(node.get("/api/v1/scheduler/poll?orchestrator_id=prod-m1").await.is(200)["orchestrator_registered"], false);
    node.post("/api/v1/orchestrators/register", registration("m1")).await.is(201);
    assert_eq!(node.get("/api/v1/scheduler/poll?orchestrator_id=prod-m1").await.is(200)["orchestrator_registered"], true);
}

#[tokio::test]
async fn a_poll_tells_what_waits_in_the_orchestrators_scope() {
    let node = Node::start();
    let mut body = registration("m1");
    body["scope"] = json!("s");
    node.post("/api/v1/orchestrators/register", body).await.is(201);
    node.task_with("a", json!({ "scope": "s", "hooks": [{ "name": "x" }], "pr_number": 3 })).await;
    node.task_with("b", json!({ "scope": "s" })).await;
    node.task("elsewhere").await;
    node.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "prod-m1", "agent_name": "x", "scope": "s" })).await.is(200);
    node.post("/api/v1/tasks/a/submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    let poll = node.get("/api/v1/scheduler/poll?orchestrator_id=prod-m1").await.is(200);
    assert_eq!(poll["queue_counts"], json!({ "incoming": 1, "claimed": 0, "provisional": 1 }));
    assert_eq!(poll["provisional_tasks"], json!([{ "id": "a", "hooks": r#"[{"name":"x"}]"#, "pr_number": 3, "claimed_by": null }]));
    assert_eq!((poll["scope"].as_str(), &poll["orchestrator_registered"], &poll["flows"]), (Some("s"), &json!(true), &json!({})));
    let other = node.get("/api/v1/scheduler/poll?orchestrator_id=nobody").await.is(200);
    assert_eq!((other["scope"].as_str(), &other["orchestrator_registered"]), (Some("default"), &json!(false)));
}
