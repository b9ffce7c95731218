use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Node};

const STATES: [&str; 4] = ["incoming", "claimed", "done", "failed"];

async fn put(node: &Node, name: &str, body: Value) -> Answer {
    node.call(Method::PUT, &format!("/api/v1/flows/{name}"), &[], Some(body.to_string())).await
}

/// Registers a flow with these states besides the needed ones.
async fn flow(node: &Node, name: &str, extra: &[&str], steps: &[(&str, &str)]) -> Value {
    let states: Vec<&str> = STATES.iter().chain(extra).copied().collect();
    let transitions: Vec<Value> = steps.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
    put(node, name, json!({ "states": states, "transitions": transitions })).await.is(200)
}

async fn act(node: &Node, id: &str, what: &str) -> Answer {
    let body = match what {
        "accept" => json!({ "accepted_by": "r" }),
        "reject" => json!({ "rejected_by": "r", "reason": "no" }),
        _ => json!({}),
    };
    node.post(&format!("/api/v1/tasks/{id}/{what}"), body).await
}

#[tokio::test]
async fn a_flow_is_put_shown_listed_replaced_and_deleted() {
    let node = Node::start();
    let made = flow(&node, "qa", &["provisional", "qa"], &[("provisional", "qa"), ("qa", "done")]).await;
    assert_eq!(made["states"], r#"["incoming","claimed","done","failed","provisional","qa"]"#, "JSON text");
    assert_eq!(made["transitions"], r#"[{"from":"provisional","to":"qa"},{"from":"qa","to":"done"}]"#);
    assert_eq!((&made["name"], &made["scope"]), (&json!("qa"), &json!("default")));
    assert!(["created_at", "updated_at"].iter().all(|field| made[*field].as_str().is_some_and(|time| time.ends_with('Z'))));
    assert_eq!(made.as_object().map(serde_json::Map::len), Some(6));
    assert_eq!(node.get("/api/v1/flows/qa").await.is(200), made);
    let records = node.store.reader().expect("reader").next_arrival().expect("read");
    assert_eq!(flow(&node, "qa", &["provisional", "qa"], &[("provisional", "qa"), ("qa", "done")]).await, made);
    assert_eq!(node.store.reader().expect("reader").next_arrival().expect("read"), records, "nothing new is written");
    let replaced = flow(&node, "qa", &[], &[]).await;
    assert_eq!((&replaced["transitions"], &replaced["created_at"]), (&json!("[]"), &made["created_at"]));
    flow(&node, "a", &[], &[]).await;
    put(&node, "elsewhere", json!({ "states": STATES, "scope": "s" })).await.is(200);
    let list = node.get("/api/v1/flows").await.is(200);
    assert_eq!((&list["total"], &list["flows"][0]["name"], &list["flows"][1]), (&json!(2), &json!("a"), &replaced));
    assert_eq!(node.get("/api/v1/flows?limit=1&offset=1").await.is(200)["flows"][0]["name"], "qa");
    assert_eq!(node.get("/api/v1/scheduler/poll").await.is(200)["flows"], json!({ "a": { "states": STATES }, "qa": { "states": STATES } }));
    assert_eq!(node.delete("/api/v1/flows/qa").await.is(200), json!({ "message": "Flow deleted", "name": "qa" }));
    node.delete("/api/v1/flows/qa").await.refuses(404, &["Flow 'qa' not found"]);
    node.get("/api/v1/flows/qa").await.is(404);
    assert_eq!(node.get("/api/v1/flows").await.is(200)["total"], 1);
    assert_eq!(node.get("/api/v1/flows/elsewhere").await.is(200)["scope"], "s", "found in another scope that holds it");
}

#[tokio::test]
async fn what_is_no_flow_is_refused_by_name_of_the_field() {
    let node = Node::start();
    for (body, part) in [
        (json!({}), "states"),
        (json!({ "states": "incoming" }), "states"),
        (json!({ "states": ["incoming", "claimed", "done"] }), "failed"),
        (json!({ "states": ["incoming", "claimed", "done", "failed", "done"] }), "twice"),
        (json!({ "states": ["incoming", "claimed", "done", "failed", "../x"] }), "states"),
        (json!({ "states": STATES, "transitions": [{ "from": "incoming", "to": "qa" }] }), "transitions"),
        (json!({ "states": STATES, "transitions": [{ "from": "incoming" }] }), "to"),
        (json!({ "states": STATES, "transitions": {} }), "transitions"),
        (json!({ "states": vec!["x"; 65] }), "65 states"),
    ] {
        put(&node, "qa", body).await.refuses(400, &[part]);
    }
    put(&node, "-x", json!({ "states": STATES })).await.refuses(400, &["name"]);
}

#[tokio::test]
async fn a_registered_flow_decides_which_verdicts_are_legal() {
    let node = Node::start();
    flow(&node, "strict", &["provisional"], &[("provisional", "done"), ("claimed", "provisional"), ("claimed", "incoming")]).await;
    node.task_with("t", json!({ "flow": "strict" })).await;
    node.claim("a").await;
    act(&node, "t", "accept")
        .await
        .refuses(409, &["Cannot accept task 't' from 'claimed'", "the flow 'strict' has no transition from 'claimed' to 'done'"]);
    assert_eq!(act(&node, "t", "requeue").await.is(200)["attempt_count"], 1);
    node.submit("a").await;
    act(&node, "t", "reject").await.refuses(409, &["no transition from 'provisional' to 'incoming'"]);
    act(&node, "t", "requeue").await.refuses(409, &["no transition from 'provisional' to 'incoming'"]);
    assert_eq!(act(&node, "t", "accept").await.is(200)["queue"], "done");
    act(&node, "t", "reject").await.is(409);
    node.task("plain").await;
    node.claim("a").await;
    assert_eq!(act(&node, "plain", "accept").await.is(200)["queue"], "done", "the flow of other tasks binds it not");
}

#[tokio::test]
async fn a_flow_without_transitions_leaves_the_built_in_rules() {
    let node = Node::start();
    flow(&node, "default", &["qa"], &[]).await;
    node.task("t").await;
    node.submit("a").await;
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "qa" })).await.is(200)["queue"], "qa");
    act(&node, "t", "accept").await.refuses(409, &["only work that is claimed or submitted can be judged"]);
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "provisional" })).await.is(200)["queue"], "provisional");
    assert_eq!(act(&node, "t", "accept").await.is(200)["queue"], "done");
}

#[tokio::test]
async fn submitted_work_goes_through_a_flows_state_and_keeps_its_attempt() {
    let node = Node::start();
    let steps = [("provisional", "qa"), ("qa", "done"), ("qa", "incoming"), ("claimed", "provisional")];
    flow(&node, "qa-flow", &["provisional", "qa"], &steps).await;
    node.task_with("t", json!({ "flow": "qa-flow" })).await;
    let attempt = node.submit("a").await["attempt"].clone();
    let there = node.patch("/api/v1/tasks/t", json!({ "queue": "qa" })).await.is(200);
    assert_eq!((&there["queue"], &there["attempt"]), (&json!("qa"), &attempt));
    let claim = json!({ "orchestrator_id": "o", "agent_name": "gate", "queue": "qa" });
    let review = node.post("/api/v1/tasks/claim", claim.clone()).await.is(200);
    assert_eq!((&review["queue"], &review["claimed_by"], &review["attempt"]), (&json!("qa"), &json!("gate"), &attempt), "a review");
    node.post("/api/v1/tasks/claim", claim.clone()).await.is(404);
    node.post("/api/v1/tasks/t/release", json!({ "agent_name": "gate" })).await.is(200);
    node.post("/api/v1/tasks/claim", claim).await.is(200);
    let rejected = act(&node, "t", "reject").await.is(200);
    assert_eq!((&rejected["queue"], &rejected["rejection_count"], &rejected["claimed_by"]), (&json!("incoming"), &json!(1), &Value::Null));
    node.submit("a").await;
    node.patch("/api/v1/tasks/t", json!({ "queue": "qa" })).await.is(200);
    let done = act(&node, "t", "accept").await.is(200);
    assert_eq!((&done["queue"], done["attempt"].as_str().map(|name| name.starts_with("2-"))), (&json!("done"), Some(true)));
}

#[tokio::test]
async fn a_task_waits_in_a_flows_state_and_is_claimed_from_there() {
    let node = Node::start();
    flow(&node, "staged", &["ready"], &[("incoming", "ready"), ("ready", "done")]).await;
    let claim = |queue: &str| node.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a", "queue": queue }));
    claim("elsewhere").await.refuses(400, &["queue"]);
    claim("ready").await.is(404);
    node.task_with("t", json!({ "flow": "staged" })).await;
    node.patch("/api/v1/tasks/t", json!({ "queue": "elsewhere" })).await.refuses(400, &["queue", "staged"]);
    node.patch("/api/v1/tasks/t", json!({ "queue": "ready" })).await.is(200);
    assert_eq!(claim("ready").await.is(200)["queue"], "claimed");
    node.patch("/api/v1/tasks/t", json!({ "queue": "ready" }))
        .await
        .refuses(409, &["Cannot move", "no transition from 'claimed' to 'ready'"]);
    assert_eq!(node.post("/api/v1/tasks/t/release", json!({})).await.is(200)["queue"], "ready", "where the claim came from");
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "backlog" })).await.is(200)["queue"], "backlog", "built-in queues always");
    node.patch("/api/v1/tasks/t", json!({ "queue": "ready" })).await.is(409);
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "ready", "reason": "now" })).await.is(200);
    let done = act(&node, "t", "accept").await.is(200);
    assert_eq!((&done["queue"], done["completed_at"].is_string()), (&json!("done"), true));
    node.post("/api/v1/tasks", json!({ "id": "u", "file_path": "u", "queue": "ready" })).await.refuses(400, &["queue", "default"]);
    assert_eq!(node.task_with("u", json!({ "queue": "ready", "flow": "staged" })).await["queue"], "ready");
    let moved = node.patch("/api/v1/tasks/u", json!({ "queue": "ready", "flow": "other" })).await;
    moved.refuses(400, &["queue", "other"]);
}

#[tokio::test]
async fn a_task_that_nobody_touched_is_accepted_where_its_flow_says_so() {
    let node = Node::start();
    flow(&node, "short", &[], &[("incoming", "done")]).await;
    node.task_with("t", json!({ "flow": "short" })).await;
    node.task("plain").await;
    act(&node, "plain", "accept").await.refuses(409, &["only work that is claimed or submitted"]);
    assert_eq!(node.post("/api/v1/tasks/t/accept", json!({ "accepted_by": "r", "reason": "done by hand" })).await.is(200)["queue"], "done");
    let history = node.get("/api/v1/tasks/t/history").await.is(200);
    let last = history["history"].as_array().and_then(|events| events.last()).expect("an event");
    assert_eq!((&last["event"], &last["agent"]), (&json!("accepted"), &json!("r")));
    assert_eq!(node.get("/api/v1/tasks/t/messages").await.is(200)["total"], 0, "nothing was forced");
}

#[tokio::test]
async fn a_deleted_flow_binds_nobody() {
    let node = Node::start();
    flow(&node, "default", &["ready"], &[("incoming", "ready")]).await;
    node.task_with("t", json!({ "queue": "ready" })).await;
    node.delete("/api/v1/flows/default").await.is(200);
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200)["queue"], "ready", "its tasks stay where they are");
    let claim = json!({ "orchestrator_id": "o", "agent_name": "a", "queue": "ready" });
    node.post("/api/v1/tasks/claim", claim).await.is(400);
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "incoming" })).await.is(200)["queue"], "incoming");
    node.submit("a").await;
    assert_eq!(act(&node, "t", "accept").await.is(200)["queue"], "done");
}
