//! What a node tells of itself: health, description, events, metrics, cluster.

use octopoid_client::{Client, Token};
use serde_json::{Value, json};

use crate::desk::{Ask, Desk};
use crate::shape::Kind;

pub async fn health_and_root_name_the_node(desk: Desk) {
    let health = desk.send(Ask::new("GET", "/api/health").header("authorization", "")).await.is(200);
    desk.has_shape(&health, &[("timestamp", Kind::Time)]);
    for (field, value) in [
        ("status", json!("healthy")),
        ("version", json!("2.0.0")),
        ("database", json!("connected")),
        ("node", json!(desk.machine())),
        ("cluster", json!("home")),
        ("mode", json!(if desk.mode.served { "server-wins" } else { "mesh" })),
    ] {
        assert_eq!(health[field], value, "{field}");
    }
    let root = desk.send(Ask::new("GET", "/")).await.is(200);
    assert_eq!((&root["name"], &root["version"]), (&json!("Octopoid"), &json!("2.0.0")));
    assert!(root["endpoints"].as_array().is_some_and(|calls| calls.contains(&json!("POST /api/v1/tasks/claim"))), "{root}");
    let described = desk.send(Ask::new("GET", "/api/openapi.json")).await.is(200);
    assert!(described["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let committed = include_str!("../../../sdk/openapi.json");
    let committed: Value = serde_json::from_str(committed).expect("JSON");
    assert!(described == committed, "one description, whatever the setting: {:?}", differing(&described, &committed, ""));
}

pub async fn events_are_told_in_order_and_go_on(desk: Desk) {
    let token = Token::new(desk.token()).expect("a token");
    let client = Client::http(desk.url(), Some(token)).expect("a client");
    // The client asks for all scopes; what it is told of this case's is looked at.
    let mut stream = client.events(Some("0")).await.expect("a stream");
    let _ = desk.claimed("t", "a").await;
    let _ = desk.step("t", "submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    let _ = desk.step("t", "accept", json!({ "accepted_by": "r" })).await.is(200);
    let mut told = Vec::new();
    while told.last().is_none_or(|(kind, _): &(String, u64)| kind != "task.accepted") {
        let event = tokio::time::timeout(octopoid_tests::PATIENCE, stream.next()).await.expect("in time").expect("an event").expect("more");
        let id: u64 = event.id.parse().expect("a number");
        if event.scope.as_deref() == Some(&desk.scope) && event.task_id.as_deref() == Some("t") {
            told.push((event.kind, id));
        }
    }
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != "task.updated").collect();
    assert_eq!(kinds, ["task.created", "task.claimed", "task.submitted", "task.accepted"]);
    assert!(told.is_sorted_by_key(|(_, id)| *id), "{told:?}");
    drop(stream);
    let claimed = told.iter().find(|(kind, _)| kind == "task.claimed").expect("claimed").1;
    let mut stream = client.events(Some(&claimed.to_string())).await.expect("a stream");
    loop {
        let event = tokio::time::timeout(octopoid_tests::PATIENCE, stream.next()).await.expect("in time").expect("an event").expect("more");
        if event.scope.as_deref() == Some(&desk.scope) && event.kind == "task.accepted" {
            break;
        }
        assert_ne!((event.kind.as_str(), event.scope.as_deref()), ("task.created", Some(desk.scope.as_str())), "only what came after");
    }
    let answer = desk.send(Ask::new("GET", desk.path("/events")).header("last-event-id", "yesterday")).await;
    let _ = answer.refuses(400, &["Last-Event-ID"]);
}

pub async fn metrics_and_the_cluster_are_shown(desk: Desk) {
    let metrics = desk.send(Ask::new("GET", "/metrics")).await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    assert!(metrics.text.contains("# TYPE octopoid_http_requests_total counter"), "{}", metrics.text);
    let cluster = desk.send(Ask::new("GET", "/api/v1/cluster")).await.is(200);
    assert_eq!(cluster["members"].as_array().map(Vec::len), Some(3), "{cluster}");
    let peers = desk.send(Ask::new("GET", "/api/v1/cluster/peers")).await.is(200);
    assert_eq!(peers["members"].as_array().map(Vec::len), Some(3), "{peers}");
    let authority = desk.send(Ask::new("GET", "/api/v1/cluster/authority")).await.is(200);
    assert_eq!(authority["authority"], if desk.mode.served { json!("machine-1") } else { Value::Null });
    // An empty body must not make a cluster of equals.
    let _ = desk.send(Ask::new("PUT", "/api/v1/cluster/authority").json(&json!({}))).await.refuses(400, &["node"]);
    let _ = desk.send(Ask::new("PUT", "/api/v1/cluster/authority")).await.refuses(400, &["node"]);
    assert_eq!(cluster["integrator"], json!("machine-1"));
    let integrator = |node: Value| desk.send(Ask::new("PUT", "/api/v1/cluster/integrator").json(&node));
    let _ = integrator(json!({})).await.refuses(400, &["node"]);
    let _ = integrator(json!({ "node": "nobody" })).await.refuses(404, &["nobody"]);
    let conflicts = desk.send(Ask::new("GET", "/api/v1/cluster/conflicts")).await.is(200);
    assert!(conflicts["total"].is_u64() && conflicts["conflicts"].is_array(), "{conflicts}");
    let _ = desk.post("/cluster/conflicts/nobody/adopt", json!({ "attempt": "1-00000000" })).await.is(404);
    let _ = desk.post("/cluster/peers/approve", json!({ "code": "7QKM4R2D" })).await.is(404);
    let _ = desk.post("/cluster/peers/deny", json!({ "code": "7QKM4R2D" })).await.is(404);
}

/// Names the first place at which two values differ.
fn differing(one: &Value, other: &Value, place: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().find_map(|(name, value)| differing(value, &other[name], &format!("{place}/{name}")))
        }
        (one, other) if one == other => None,
        _ => Some(place.to_owned()),
    }
}
