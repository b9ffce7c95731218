use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::Node;

const PATH: &str = "/api/v1/actions";

async fn propose(node: &Node, extra: Value) -> Value {
    let mut body = json!({ "entity_type": "task", "entity_id": "t", "label": "Split it", "proposed_by": "pm" });
    extra.as_object().expect("fields").iter().for_each(|(field, value)| body[field] = value.clone());
    node.post(PATH, body).await.is(201)
}

fn path(action: &Value) -> String {
    format!("{PATH}/{}", action["id"].as_str().expect("an id"))
}

fn labels(list: &Value) -> Vec<&str> {
    list["actions"].as_array().expect("actions").iter().map(|action| action["label"].as_str().expect("a label")).collect()
}

#[tokio::test]
async fn an_action_has_every_field_and_its_defaults() {
    let node = Node::start();
    let action = propose(&node, json!({ "metadata": { "a": 1 }, "action_data": "[1,2]", "expires_at": "2100-01-01T00:00:00+01:00" })).await;
    for (field, value) in [
        ("entity_type", json!("task")),
        ("entity_id", json!("t")),
        ("action_type", json!("proposal")),
        ("label", json!("Split it")),
        ("description", Value::Null),
        ("status", json!("proposed")),
        ("proposed_by", json!("pm")),
        ("expires_at", json!("2099-12-31T23:00:00.000Z")),
        ("metadata", json!(r#"{"a":1}"#)),
        ("action_data", json!("[1,2]")),
        ("result", Value::Null),
        ("scope", json!("default")),
        ("executed_at", Value::Null),
    ] {
        assert_eq!(action[field], value, "{field}");
    }
    assert!(action["id"].as_str().is_some_and(|id| id.len() == 64));
    assert!(["created_at", "updated_at"].iter().all(|field| action[*field].as_str().is_some_and(|time| time.ends_with('Z'))));
    assert_eq!(action.as_object().map(serde_json::Map::len), Some(16));
    assert_eq!(node.get(&path(&action)).await.is(200), action);
    for id in ["x", &"0".repeat(64)] {
        node.get(&format!("{PATH}/{id}")).await.refuses(404, &["Action", "not found"]);
        node.post(&format!("{PATH}/{id}/execute"), json!({})).await.is(404);
        node.patch(&format!("{PATH}/{id}"), json!({ "status": "failed" })).await.is(404);
    }
    node.get(&format!("{}?scope=s", path(&action))).await.is(404);
}

#[tokio::test]
async fn an_action_goes_from_proposed_to_its_end() {
    let node = Node::start();
    let action = propose(&node, json!({})).await;
    let at = path(&action);
    node.patch(&at, json!({ "status": "executing" })).await.refuses(409, &["from 'proposed' to 'executing'", "execute it first"]);
    let asked = node.call(Method::POST, &format!("{at}/execute"), &[], None).await.is(200);
    assert_eq!((&asked["status"], asked["executed_at"].is_string()), (&json!("execute_requested"), true));
    node.post(&format!("{at}/execute"), json!({})).await.refuses(400, &["status", "'execute_requested'", "only a proposed one"]);
    node.patch(&at, json!({ "status": "proposed" })).await.refuses(409, &["executing, completed or failed"]);
    assert_eq!(node.patch(&at, json!({ "status": "executing", "result": "half" })).await.is(200)["result"], "half");
    let told = node.patch(&at, json!({ "result": { "done": 2 } })).await.is(200);
    assert_eq!((&told["status"], &told["result"]), (&json!("executing"), &json!(r#"{"done":2}"#)));
    let done = node.patch(&at, json!({ "status": "completed", "result": "two tasks" })).await.is(200);
    assert_eq!((&done["status"], &done["result"], &done["executed_at"]), (&json!("completed"), &json!("two tasks"), &asked["executed_at"]));
    assert_eq!(node.get(&at).await.is(200), done);
    for body in [json!({ "status": "failed" }), json!({ "result": "x" }), json!({ "status": "completed" })] {
        node.patch(&at, body).await.refuses(409, &["it has ended"]);
    }
    node.post(&format!("{at}/execute"), json!({})).await.is(400);
    for (body, part) in [
        (json!({}), "No fields"),
        (json!({ "status": "odd" }), "status"),
        (json!({ "status": null }), "status"),
        (json!({ "state": "failed" }), "state"),
        (json!({ "result": "x".repeat(20_000) }), "result"),
    ] {
        node.patch(&at, body).await.refuses(400, &[part]);
    }
}

#[tokio::test]
async fn actions_are_listed_newest_first_by_filter_and_status() {
    let node = Node::start();
    let first = propose(&node, json!({ "label": "1" })).await;
    propose(&node, json!({ "label": "2", "entity_id": "u" })).await;
    propose(&node, json!({ "label": "3", "entity_type": "project", "action_type": "archive" })).await;
    propose(&node, json!({ "label": "4", "scope": "s" })).await;
    node.post(&format!("{}/execute", path(&first)), json!({})).await.is(200);
    for (query, wanted) in [
        ("", vec!["3", "2", "1"]),
        ("status=proposed", vec!["3", "2"]),
        ("status=execute_requested", vec!["1"]),
        ("status=proposed,execute_requested&entity_type=task", vec!["2", "1"]),
        ("entity_type=task&entity_id=t", vec!["1"]),
        ("entity_id=t,u", vec!["3", "2", "1"]),
        ("action_type=archive", vec!["3"]),
        ("status=completed", vec![]),
        ("limit=1&offset=1", vec!["2"]),
        ("scope=s", vec!["4"]),
    ] {
        let list = node.get(&format!("{PATH}?{query}")).await.is(200);
        assert_eq!(labels(&list), wanted, "{query}");
        assert!(query.contains("limit") || list["total"] == wanted.len(), "{query}: {}", list["total"]);
    }
    assert_eq!(node.get(&format!("{PATH}?limit=1&offset=1")).await.is(200)["total"], 3);
    node.get(&format!("{PATH}?status=odd")).await.refuses(400, &["status", "execute_requested"]);
}

#[tokio::test]
async fn an_expired_action_is_neither_listed_nor_executed_unless_it_was_begun() {
    let node = Node::start();
    let gone = propose(&node, json!({ "label": "gone", "expires_at": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(node.get(PATH).await.is(200)["total"], 0);
    node.post(&format!("{}/execute", path(&gone)), json!({})).await.refuses(400, &["expires_at", "expired"]);
    assert_eq!(node.get(&path(&gone)).await.is(200)["status"], "proposed", "by its id it is shown");
    let soon = octopoid_node::store::now_ms() + 1_500;
    let at = |label: &str| json!({ "label": label, "expires_at": time(soon) });
    let (begun, left) = (propose(&node, at("begun")).await, propose(&node, at("left")).await);
    assert_eq!(labels(&node.get(PATH).await.is(200)), ["left", "begun"]);
    node.post(&format!("{}/execute", path(&begun)), json!({})).await.is(200);
    node.patch(&path(&begun), json!({ "status": "executing" })).await.is(200);
    let began = Instant::now();
    loop {
        let list = node.get(PATH).await.is(200);
        if labels(&list) == ["begun"] {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.post(&format!("{}/execute", path(&left)), json!({})).await.is(400);
    assert_eq!(node.patch(&path(&begun), json!({ "status": "failed" })).await.is(200)["status"], "failed");
}

fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).expect("a time");
    jiff::Timestamp::from_millisecond(ms).expect("a time").to_string()
}

#[tokio::test]
async fn what_no_action_can_be_is_refused_and_a_key_proposes_once() {
    let node = Node::start();
    for (field, value) in [
        ("entity_type", Value::Null),
        ("entity_id", json!("")),
        ("label", Value::Null),
        ("label", json!(" ")),
        ("action_type", json!("x".repeat(200))),
        ("proposed_by", json!("a\nb")),
        ("expires_at", json!("soon")),
        ("metadata", json!("not json")),
        ("action_data", json!({ "x": "y".repeat(70_000) })),
        ("description", json!("x".repeat(20_000))),
    ] {
        let mut body = json!({ "entity_type": "task", "entity_id": "t", "label": "l" });
        body[field] = value;
        node.post(PATH, body).await.refuses(400, &[field]);
    }
    let body = json!({ "entity_type": "task", "entity_id": "t", "label": "l" }).to_string();
    let send = |path: String, key: &'static str| {
        let (node, body) = (&node, body.clone());
        async move { node.call(Method::POST, &path, &[("idempotency-key", key)], Some(body)).await }
    };
    let first = send(PATH.to_owned(), "k").await.is(201);
    assert_eq!(send(PATH.to_owned(), "k").await.is(201), first);
    assert_eq!((&first["proposed_by"], &node.get(PATH).await.is(200)["total"]), (&json!("api"), &json!(1)));
    let execute = format!("{}/execute", path(&first));
    let asked = send(execute.clone(), "e").await.is(200);
    assert_eq!(send(execute, "e").await.is(200), asked, "not refused the second time");
}
