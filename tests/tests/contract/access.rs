//! Who may call, and what a key may see.

use serde_json::json;

use crate::desk::{Ask, Desk, each};

/// Registers the first orchestrator of the case's scope and returns its key.
async fn key_of(desk: &Desk) -> String {
    let answer = desk.post("/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" })).await.is(201);
    answer["api_key"].as_str().expect("a key").to_owned()
}

fn with_key(ask: Ask, key: &str) -> Ask {
    ask.header("authorization", format!("Bearer {key}"))
}

pub async fn only_health_is_open(desk: Desk) {
    let open = |path: &str| Ask::new("GET", path).header("authorization", "");
    let _ = desk.send(open("/api/health")).await.is(200);
    for path in ["/", "/metrics", "/api/openapi.json", "/api/v1/tasks", "/api/v1/events", "/api/v1/cluster", "/api/v1/nowhere"] {
        let answer = desk.send(open(path)).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let _ = answer.refuses(401, &["token"]);
    }
    let token = desk.token().to_owned();
    for bad in [
        format!("Basic {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token} x"),
        format!("Bearer {token}x"),
        "Bearer".to_owned(),
        "Bearer oct_unknown".to_owned(),
        token.clone(),
        format!("Bearer {}", token.trim_start_matches("oct_")),
    ] {
        let _ = desk.send(Ask::new("GET", desk.path("/tasks")).header("authorization", bad)).await.refuses(401, &[]);
    }
    for place in 0..3 {
        let other = desk.beside(place);
        let answer = desk.send(with_key(Ask::new("GET", desk.path("/tasks")), other.token())).await;
        assert_eq!(answer.status, if place == 0 { 200 } else { 401 }, "another node's token is none here");
    }
}

pub async fn a_key_is_told_once_and_bound_to_its_scope(desk: Desk) {
    let key = key_of(&desk).await;
    assert!(key.starts_with("oct_"), "{key}");
    let again = desk.post("/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" })).await.is(200);
    let second = desk.post("/orchestrators/register", json!({ "cluster": "c", "machine_id": "n", "repo_url": "r" })).await.is(201);
    assert!(again.get("api_key").is_none_or(serde_json::Value::is_null) && second.get("api_key").is_none_or(serde_json::Value::is_null));

    let stranger = desk.in_scope("b");
    let _ = desk.task("mine", json!({})).await;
    let theirs = stranger.id("theirs");
    let _ = stranger.task(&theirs, json!({})).await;
    let ask = |method: &str, path: String| with_key(Ask::new(method, path), &key);
    let listed = desk.send(ask("GET", desk.path("/tasks"))).await.is(200);
    assert_eq!(each(&listed["tasks"], "id"), ["mine"]);
    if !desk.mode.head {
        let listed = desk.send(ask("GET", "/api/v1/tasks".to_owned())).await.is(200);
        assert_eq!(each(&listed["tasks"], "id"), ["mine"], "its scope is the key's");
        let body = json!({ "id": "made", "file_path": "t.md" });
        assert_eq!(desk.send(ask("POST", "/api/v1/tasks".to_owned()).json(&body)).await.is(201)["scope"], desk.scope);
    }
    let _ = desk.send(ask("GET", stranger.path("/tasks"))).await.refuses(403, &[&desk.scope]);
    let body = desk.new_task("x", json!({ "scope": stranger.scope }));
    let _ = desk.send(ask("POST", "/api/v1/tasks".to_owned()).json(&body)).await.refuses(403, &[&desk.scope]);
    let machine = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r", "scope": stranger.scope });
    let _ = desk.send(ask("POST", "/api/v1/orchestrators/register".to_owned()).json(&machine)).await.refuses(403, &[&desk.scope]);
    for (method, rest, body) in [
        ("GET", "", json!({})),
        ("PATCH", "", json!({ "title": "stolen" })),
        ("DELETE", "", json!({})),
        ("POST", "/cancel", json!({})),
        ("POST", "/accept", json!({ "accepted_by": "thief" })),
        ("POST", "/force-queue", json!({ "queue": "done", "reason": "thief" })),
        ("GET", "/history", json!({})),
    ] {
        let call = ask(method, format!("/api/v1/tasks/{theirs}{rest}"));
        let call = if method == "GET" { call } else { call.json(&body) };
        let _ = desk.send(call).await.refuses(404, &["not found"]);
    }
    assert_eq!(stranger.show(&theirs).await["title"], theirs, "nothing of it was changed");
    for path in ["/api/v1/node/status", "/api/v1/cluster/peers"] {
        let answer = desk.send(ask("GET", path.to_owned())).await;
        assert!(matches!(answer.status, 200 | 403), "{path}: {}", answer.text);
    }
    let _ = desk.send(ask("POST", "/api/v1/cluster/invites".to_owned()).json(&json!({}))).await.refuses(403, &["token"]);
}

pub async fn a_key_is_replaced_by_its_holder(desk: Desk) {
    let old = key_of(&desk).await;
    let path = format!("/api/v1/orchestrators/scopes/{}/rotate-key", desk.scope);
    let _ = desk.send(Ask::new("POST", &path).header("authorization", "")).await.refuses(401, &[]);
    let other = key_of(&desk.in_scope("b")).await;
    let _ = desk.send(with_key(Ask::new("POST", &path), &other)).await.refuses(403, &[]);
    let answer = desk.send(with_key(Ask::new("POST", &path), &old)).await.is(200);
    let new = answer["api_key"].as_str().expect("a key").to_owned();
    assert!(new.starts_with("oct_") && new != old);
    let _ = desk.send(with_key(Ask::new("GET", desk.path("/tasks")), &old)).await.refuses(401, &[]);
    let _ = desk.send(with_key(Ask::new("GET", desk.path("/tasks")), &new)).await.is(200);
    let _ = desk.send(Ask::new("POST", &path)).await.is(200);
}

pub async fn an_id_in_several_scopes_is_told_apart_by_name(desk: Desk) {
    let (one, two, id) = (desk.in_scope("one"), desk.in_scope("two"), desk.id("t"));
    let _ = one.task(&id, json!({})).await;
    let path = format!("/api/v1/tasks/{id}");
    assert_eq!(desk.send(Ask::new("GET", &path)).await.is(200)["scope"], one.scope, "the only one is found");
    let _ = two.task(&id, json!({})).await;
    let _ = desk.send(Ask::new("GET", &path)).await.refuses(409, &[&one.scope, &two.scope]);
    for (method, rest, body) in [
        ("PATCH", "", json!({ "title": "x" })),
        ("DELETE", "", json!({})),
        ("POST", "/cancel", json!({})),
        ("POST", "/accept", json!({ "accepted_by": "r" })),
        ("POST", "/submit", json!({ "commits_count": 0, "turns_used": 0 })),
    ] {
        let _ = desk.send(Ask::new(method, format!("{path}{rest}")).json(&body)).await.refuses(409, &[&one.scope, &two.scope]);
    }
    assert_eq!(two.show(&id).await["scope"], two.scope);
    let _ = desk.get(&format!("/tasks/{id}")).await.refuses(404, &["not found"]);
}
