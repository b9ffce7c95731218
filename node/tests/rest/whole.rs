//! What answers hold is what the description says of them.

use serde_json::{Value, json};

use crate::support::Node;

/// Checks that an answer holds the fields that are described and no others, and that those which are required are there.
#[track_caller]
fn is_described(shape: &str, answer: &Value) {
    let api: Value = serde_json::from_str(octopoid_node::rest::openapi()).expect("json");
    let described = &api["components"]["schemas"][shape];
    let required = described["required"].as_array().unwrap_or_else(|| panic!("{shape} requires nothing"));
    for field in required {
        assert!(answer.get(field.as_str().expect("a name")).is_some(), "{shape} requires {field}: {answer}");
    }
    for field in answer.as_object().expect("an object").keys() {
        assert!(described["properties"].get(field).is_some(), "{shape} does not describe '{field}'");
        assert!(required.iter().any(|name| name == field) || shape == "RegisterAnswer", "{shape} always has '{field}'");
    }
}

#[tokio::test]
async fn an_answer_holds_every_field_that_is_described() {
    let node = Node::start();
    is_described("Task", &node.task("t").await);
    let tasks = node.get("/api/v1/tasks").await.is(200);
    is_described("TaskList", &tasks);
    is_described("Task", &tasks["tasks"][0]);
    is_described("Project", &node.post("/api/v1/projects", json!({ "id": "p", "title": "P" })).await.is(201));
    is_described("Draft", &node.post("/api/v1/drafts", json!({ "title": "D" })).await.is(201));
    let message = json!({ "task_id": "t", "from_actor": "a", "type": "note", "content": "c" });
    is_described("Message", &node.post("/api/v1/messages", message).await.is(201));
    is_described("Action", &node.post("/api/v1/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "l" })).await.is(201));
    let register = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" });
    let first = node.post("/api/v1/orchestrators/register", register.clone()).await.is(201);
    is_described("RegisterAnswer", &first);
    let again = node.post("/api/v1/orchestrators/register", register).await.is(200);
    is_described("RegisterAnswer", &again);
    assert_eq!((first.get("api_key").is_some(), again.get("api_key").is_some()), (true, false));
    is_described("Orchestrator", &node.get("/api/v1/orchestrators/c-m").await.is(200));
    is_described("Health", &node.get("/api/health").await.is(200));
    is_described("NodeStatus", &node.get("/api/v1/node/status").await.is(200));
    is_described("ClusterInfo", &node.get("/api/v1/cluster").await.is(200));
    is_described("HistoryEvent", &node.get("/api/v1/tasks/t/history").await.is(200)["history"][0]);
    node.claim("a").await;
    is_described("AttemptInfo", &node.get("/api/v1/tasks/t/attempts").await.is(200)["attempts"][0]);
}

#[test]
fn a_request_is_described_by_the_names_on_the_wire_and_may_leave_fields_out() {
    let api: Value = serde_json::from_str(octopoid_node::rest::openapi()).expect("json");
    let patch = &api["components"]["schemas"]["TaskPatch"];
    assert!(patch["properties"].get("type").is_some() && patch["properties"].get("kind").is_none(), "{patch}");
    assert!(patch.get("required").is_none(), "a patch names what it changes: {patch}");
    assert_eq!(api["components"]["schemas"]["NewTask"]["required"], json!(["id", "file_path"]));
}
