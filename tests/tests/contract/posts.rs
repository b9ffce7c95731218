//! Messages and actions.

use octopoid_tests::{PATIENCE, until_within};
use serde_json::{Value, json};

use crate::desk::{Desk, each, with};
use crate::shape::{ACTION, MESSAGE};

pub async fn messages_are_written_once_and_answered_in_threads(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let _ = desk.task("u", json!({})).await;
    let write = async |fields: Value| {
        desk.post("/messages", with(json!({ "task_id": "t", "from_actor": "ann", "type": "question", "content": "Why?" }), fields)).await
    };
    let root = write(json!({ "to_actor": "bob" })).await.is(201);
    desk.has_shape(&root, &MESSAGE);
    assert_eq!(
        (&root["task_id"], &root["to_actor"], &root["parent_message_id"], &root["scope"]),
        (&json!("t"), &json!("bob"), &Value::Null, &json!(desk.scope))
    );
    let list = async |query: &str| {
        let page = desk.get(&format!("/messages?{query}")).await.is(200);
        each(&page["messages"], "content").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("task_id=t&unreplied=true").await, ["Why?"]);
    let answer =
        json!({ "from_actor": "bob", "to_actor": "ann", "type": "answer", "content": "Because.", "parent_message_id": root["id"] });
    let answer = write(answer).await.is(201);
    desk.has_shape(&answer, &MESSAGE);
    let _ = write(json!({ "task_id": "u", "content": "Elsewhere", "type": "note" })).await.is(201);
    let thread = root["id"].as_str().expect("an id");
    assert_eq!(list(&format!("thread_id={thread}")).await, ["Why?", "Because."], "with its root");
    assert_eq!(list("task_id=t").await, ["Why?", "Because."], "the oldest first");
    assert_eq!(list("to_actor=ann").await, ["Because."]);
    assert_eq!(list("type=answer,note").await, ["Because.", "Elsewhere"]);
    assert_eq!(list("task_id=t&unreplied=true").await, ["Because."]);
    let of_task = desk.get("/tasks/t/messages").await.is(200);
    assert_eq!(each(&of_task["messages"], "content"), ["Why?", "Because."]);
    let other = write(json!({ "task_id": "u", "content": "x", "parent_message_id": root["id"] })).await;
    let _ = other.refuses(400, &["parent_message_id"]);
    let _ = write(json!({ "parent_message_id": "nobody" })).await.refuses(400, &["parent_message_id"]);
    assert_eq!(write(json!({ "task_id": "nobody" })).await.refuses(404, &["nobody"])["task_id"], "nobody");
    for field in ["task_id", "from_actor", "type", "content"] {
        let mut body = json!({ "task_id": "t", "from_actor": "ann", "type": "note", "content": "c" });
        body.as_object_mut().expect("fields").remove(field);
        let _ = desk.post("/messages", body).await.refuses(400, &[field]);
    }
    let _ = desk.get("/messages?unreplied=maybe").await.refuses(400, &["unreplied"]);
}

pub async fn an_action_goes_through_its_statuses(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let good = json!({ "entity_type": "task", "entity_id": "t", "label": "Merge" });
    let fields = json!({ "description": "d", "proposed_by": "ann", "metadata": { "n": 1 }, "action_data": [1], "expires_at": "2999-01-01T00:00:00Z" });
    let made = desk.post("/actions", with(good.clone(), fields)).await.is(201);
    desk.has_shape(&made, &ACTION);
    for (field, value) in [
        ("action_type", json!("proposal")),
        ("status", json!("proposed")),
        ("proposed_by", json!("ann")),
        ("metadata", json!("{\"n\":1}")),
        ("action_data", json!("[1]")),
        ("expires_at", json!("2999-01-01T00:00:00.000Z")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("/actions/{}", made["id"].as_str().expect("an id"));
    assert_eq!(desk.get(&path).await.is(200), made);
    let _ = desk.patch(&path, json!({ "status": "nonsense" })).await.refuses(400, &["status"]);
    let _ = desk.patch(&path, json!({})).await.refuses(400, &["No fields"]);
    let asked = desk.post(&format!("{path}/execute"), json!({})).await.is(200);
    desk.has_shape(&asked, &ACTION);
    assert_eq!(asked["status"], "execute_requested");
    let _ = desk.post(&format!("{path}/execute"), json!({})).await.refuses(400, &["execute_requested"]);
    assert_eq!(desk.patch(&path, json!({ "status": "executing" })).await.is(200)["status"], "executing");
    let done = desk.patch(&path, json!({ "status": "completed", "result": { "ok": true } })).await.is(200);
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!("{\"ok\":true}")));
    let _ = desk.patch(&path, json!({ "status": "proposed" })).await.refuses(409, &["Cannot change"]);
    assert_eq!(each(&desk.get("/actions?status=completed").await.is(200)["actions"], "label"), ["Merge"]);
    assert_eq!(desk.get("/actions?entity_type=task&entity_id=other").await.is(200)["total"], 0);
    for field in ["entity_type", "entity_id", "label"] {
        let mut body = good.clone();
        body.as_object_mut().expect("fields").remove(field);
        let _ = desk.post("/actions", body).await.refuses(400, &[field]);
    }
    let failing = desk.post("/actions", good).await.is(201);
    let path = format!("/actions/{}", failing["id"].as_str().expect("an id"));
    let _ = desk.post(&format!("{path}/execute"), json!({})).await.is(200);
    assert_eq!(desk.patch(&path, json!({ "status": "failed" })).await.is(200)["status"], "failed");
}

pub async fn an_expired_action_is_neither_listed_nor_executed(desk: Desk) {
    let body = json!({ "entity_type": "task", "entity_id": "t", "label": "Late", "expires_at": "2020-01-01T00:00:00Z" });
    let made = desk.post("/actions", body).await.is(201);
    let path = format!("/actions/{}", made["id"].as_str().expect("an id"));
    let gone = async || if desk.get("/actions").await.is(200)["total"] == 0 { Ok(()) } else { Err("listed".to_owned()) };
    until_within(PATIENCE, gone).await.expect("not listed");
    let _ = desk.post(&format!("{path}/execute"), json!({})).await.refuses(400, &["expired"]);
    assert_eq!(desk.get(&path).await.is(200)["status"], "proposed");
}
