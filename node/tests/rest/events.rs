use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use octopoid_crdt::record::{self, Access};
use octopoid_node::ops::members::remove;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::conflicts::{bring, member_with, work_on};
use crate::support::{Node, TOKEN};

/// A listener that reads one event after the other.
struct Listener {
    body: Body,
    text: String,
}

impl Listener {
    async fn open(node: &Node, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("host", "localhost").header("authorization", format!("Bearer {TOKEN}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response: Response<Body> = node.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut listener = Self { body: response.into_body(), text: String::new() };
        let first = listener.block().await;
        let id = first.strip_prefix(": connected\nid: ").and_then(|id| id.parse::<u64>().ok());
        assert!(id.is_some(), "the first bytes show that it listens, and from where: {first:?}");
        listener
    }

    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return block;
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await.expect("an event in time");
            let frame = frame.expect("the stream goes on").expect("a frame");
            self.text.push_str(std::str::from_utf8(frame.data_ref().expect("data")).expect("text"));
        }
    }

    async fn event(&mut self) -> Value {
        let block = self.block().await;
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned();
        let event: Value = serde_json::from_str(&line("data")).expect("json");
        assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(line("id").as_str()), Some(line("event").as_str())));
        event
    }
}

#[tokio::test]
async fn a_listener_hears_each_step_once_and_in_order() {
    let node = Node::start();
    node.task("before").await;
    let mut listener = Listener::open(&node, "/api/v1/events", None).await;
    node.task_with("t", json!({ "priority": "P0" })).await;
    node.finish().await;
    let mut last = 0;
    let mut told = Vec::new();
    while told.last() != Some(&"task.accepted".to_owned()) {
        let event = listener.event().await;
        let id: u64 = event["id"].as_str().expect("an id").parse().expect("a number");
        assert!(id > last, "ids rise");
        last = id;
        assert_eq!((event["task_id"].as_str(), event["scope"].as_str()), (Some("t"), Some("default")));
        assert!(event["version"].is_u64() && event["queue"].is_string() && event["timestamp"].is_string(), "{event}");
        told.push(event["type"].as_str().expect("a type").to_owned());
    }
    told.retain(|kind| kind != "task.updated");
    assert_eq!(told, ["task.created", "task.claimed", "task.submitted", "task.accepted"]);
}

#[tokio::test]
async fn a_listener_that_comes_back_misses_nothing() {
    let node = Node::start();
    let mut listener = Listener::open(&node, "/api/v1/events", None).await;
    node.task("t0").await;
    let seen = listener.event().await["id"].as_str().expect("an id").to_owned();
    drop(listener);
    for n in 1..400 {
        node.task(&format!("t{n}")).await;
    }
    let mut listener = Listener::open(&node, "/api/v1/events", Some(&seen)).await;
    for n in 1..400 {
        assert_eq!(listener.event().await["task_id"], format!("t{n}"));
    }
    node.task("live").await;
    assert_eq!(listener.event().await["task_id"], "live");
    let mut by_query = Listener::open(&node, &format!("/api/v1/events?last_event_id={seen}"), None).await;
    assert_eq!(by_query.event().await["task_id"], "t1");
}

#[tokio::test]
async fn events_of_other_scopes_are_left_out_and_a_bad_id_is_refused() {
    let node = Node::start();
    let mut listener = Listener::open(&node, "/api/v1/events?scope=s", None).await;
    node.task("elsewhere").await;
    node.task_with("here", json!({ "scope": "s" })).await;
    assert_eq!(listener.event().await["task_id"], "here");
    node.call(axum::http::Method::GET, "/api/v1/events", &[("last-event-id", "x")], None).await.refuses(400, &["Last-Event-ID"]);
    node.get("/api/v1/events?last_event_id=-1").await.refuses(400, &["last_event_id"]);
    let mut future = Listener::open(&node, "/api/v1/events", Some("999999999")).await;
    node.task("next").await;
    assert_eq!(future.event().await["task_id"], "next", "an id of the future goes on from now");
}

#[tokio::test]
async fn what_changes_besides_tasks_is_told_by_its_own_name() {
    let node = Node::start();
    node.task("t").await;
    let mut listener = Listener::open(&node, "/api/v1/events", None).await;
    node.post("/api/v1/projects", json!({ "id": "p", "title": "P" })).await.is(201);
    node.patch("/api/v1/projects/p", json!({ "title": "Q" })).await.is(200);
    node.delete("/api/v1/projects/p").await.is(200);
    node.post("/api/v1/drafts", json!({ "title": "D" })).await.is(201);
    let message = json!({ "task_id": "t", "from_actor": "a", "type": "note", "content": "c" });
    let message = node.post("/api/v1/messages", message).await.is(201)["id"].clone();
    let action = node.post("/api/v1/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "l" })).await.is(201)["id"].clone();
    let execute = format!("/api/v1/actions/{}/execute", action.as_str().expect("an id"));
    node.post(&execute, json!({})).await.is(200);
    let flow = json!({ "states": ["incoming", "claimed", "done", "failed"] }).to_string();
    node.call(axum::http::Method::PUT, "/api/v1/flows/f", &[], Some(flow)).await.is(200);
    node.delete("/api/v1/flows/f").await.is(200);
    let register = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" });
    node.post("/api/v1/orchestrators/register", register).await.is(201);
    node.post("/api/v1/roles/register", json!({ "orchestrator_id": "c-m", "roles": [{ "name": "gate" }] })).await.is(200);
    for (kind, entity, task) in [
        ("project.created", json!("p"), Value::Null),
        ("project.updated", json!("p"), Value::Null),
        ("project.deleted", json!("p"), Value::Null),
        ("draft.created", json!("1"), Value::Null),
        ("message.created", message, json!("t")),
        ("action.created", action.clone(), Value::Null),
        ("action.updated", action, Value::Null),
        ("flow.updated", json!("f"), Value::Null),
        ("flow.deleted", json!("f"), Value::Null),
        ("role.registered", json!("gate"), Value::Null),
    ] {
        let event = listener.event().await;
        assert_eq!((&event["type"], &event["entity_id"], &event["task_id"]), (&json!(kind), &entity, &task));
        assert_eq!((&event["scope"], &event["queue"]), (&json!("default"), &Value::Null));
    }
}

#[tokio::test]
async fn a_removal_tells_of_the_tasks_that_it_changes_also_to_who_comes_back() {
    let node = Node::start();
    let worker = member_with(&node, 9, Access::Worker, "laptop").await;
    let admin = member_with(&node, 8, Access::Admin, "desk").await;
    for id in ["t", "u"] {
        node.task(id).await;
    }
    node.task_with("untouched", json!({ "priority": "P3" })).await;
    bring(&node.store, &worker).await;
    bring(&node.store, &admin).await;
    // Neither knows of the other's: what the worker did lies above the removal's frontier.
    let removed = worker.me();
    admin.write(move |unit| remove(unit, &removed, "lost")).await.expect("store").expect("removed");
    for id in ["t", "u"] {
        work_on(&worker, id).await;
    }
    // A worker removes nobody, so that of it nothing is told.
    let coup = record::Body::Remove { member: node.store.me(), frontier: Vec::new(), reason: "a coup".to_owned() };
    let _ = worker.write(move |unit| unit.write_cluster(coup)).await.expect("store").expect("written");
    let mut listener = Listener::open(&node, "/api/v1/events", None).await;
    bring(&worker, &node.store).await;
    for id in ["t", "u"] {
        assert_eq!(node.get(&format!("/api/v1/tasks/{id}")).await.is(200)["queue"], "provisional");
    }
    bring(&admin, &node.store).await;
    node.task("after").await;
    let mut told = vec![listener.event().await];
    while told.last().is_some_and(|event| event["task_id"] != "after") {
        told.push(listener.event().await);
    }
    let of = |event: &Value| (event["type"].clone(), event["task_id"].clone(), event["queue"].clone());
    let by_removal: Vec<Value> =
        told.iter().filter(|event| event["type"] == "task.updated" && event["queue"] == "incoming").cloned().collect();
    let changed = |id: &str| (json!("task.updated"), json!(id), json!("incoming"));
    assert_eq!(by_removal.iter().map(of).collect::<Vec<_>>(), [changed("t"), changed("u")], "{told:#?}");
    assert!(told.iter().all(|event| event["task_id"] != "untouched"), "{told:#?}");
    // Who is cut off before it, or between its events, misses none.
    let [first, last] = &by_removal[..] else { panic!("{by_removal:#?}") };
    let number = |event: &Value| event["id"].as_str().and_then(|id| id.parse::<u64>().ok()).expect("a number");
    assert_eq!(number(first), number(last) - 1);
    for after in [number(last) - 1, number(first)] {
        let mut again = Listener::open(&node, "/api/v1/events", Some(&after.to_string())).await;
        assert_eq!(again.event().await, *first);
        assert_eq!(again.event().await, *last);
    }
}
