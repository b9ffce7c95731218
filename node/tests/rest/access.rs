use axum::http::Method;
use octopoid_node::rest::Auth;
use serde_json::{Value, json};

use crate::support::{Node, TOKEN};

async fn as_caller(node: &Node, authorization: &str) -> u16 {
    node.call(Method::GET, "/api/v1/tasks", &[("authorization", authorization)], None).await.status.as_u16()
}

#[tokio::test]
async fn only_health_is_answered_without_a_token() {
    let node = Node::start();
    let open = [("authorization", "")];
    let health = node.call(Method::GET, "/api/health", &open, None).await.is(200);
    assert_eq!(
        (health["status"].as_str(), health["version"].as_str(), health["database"].as_str()),
        (Some("healthy"), Some("2.0.0"), Some("connected"))
    );
    assert_eq!((health["node"].as_str(), health["mode"].as_str()), (Some("mac-studio"), Some("local")));
    for path in
        ["/", "/metrics", "/api/openapi.json", "/api/v1/tasks", "/api/v1/events", "/api/v1/node/status", "/nowhere", "/api/health/x"]
    {
        let answer = node.call(Method::GET, path, &open, None).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        answer.refuses(401, &["token"]);
    }
}

#[tokio::test]
async fn a_token_is_good_whole_or_not_at_all() {
    let node = Node::start();
    assert_eq!(as_caller(&node, &format!("Bearer {TOKEN}")).await, 200);
    assert_eq!(as_caller(&node, &format!("bearer {TOKEN}")).await, 200);
    let bad = [
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {TOKEN} x"),
        format!("Basic {TOKEN}"),
        format!("Token {TOKEN}"),
        TOKEN.to_owned(),
        format!("Bearer {}", &TOKEN[4..]),
        "Bearer".to_owned(),
        "Bearer oct_".to_owned(),
        "Bearer sk_0123456789".to_owned(),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Bearer oct_{}", "x".repeat(10_000)),
    ];
    for authorization in bad {
        assert_eq!(as_caller(&node, &authorization).await, 401, "{}", &authorization[..authorization.len().min(60)]);
    }
    let token = format!("Bearer {TOKEN}");
    let doubled = node.call(Method::GET, "/api/v1/tasks", &[("authorization", &token), ("authorization", &token)], None).await;
    assert_eq!(doubled.status.as_u16(), 401);
}

#[tokio::test]
async fn without_auth_a_missing_header_passes_and_a_bad_one_does_not() {
    let node = Node::with(|settings| settings.auth = Auth::NoneOnLoopback);
    assert_eq!(as_caller(&node, "").await, 200);
    assert_eq!(as_caller(&node, "Bearer oct_wrong").await, 401);
    assert_eq!(as_caller(&node, "nonsense").await, 401);
    assert_eq!(as_caller(&node, &format!("Bearer {TOKEN}")).await, 200);
}

async fn register(node: &Node, scope: &str, machine: &str) -> Value {
    let body = json!({ "cluster": "prod", "machine_id": machine, "repo_url": "https://e.org/r.git", "scope": scope });
    let answer = node.post("/api/v1/orchestrators/register", body).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.body
}

#[tokio::test]
async fn the_first_registration_of_a_scope_tells_its_key_once() {
    let node = Node::start();
    let key = register(&node, "a", "m1").await["api_key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("oct_") && key.len() > 60, "{key}");
    assert!(register(&node, "a", "m2").await.get("api_key").is_none(), "told once");
    assert!(register(&node, "a", "m1").await.get("api_key").is_none(), "told once");
    assert!(register(&node, "b", "m1").await["api_key"].is_string(), "another scope has another");
    assert_eq!(as_caller(&node, &format!("Bearer {key}")).await, 200);
    let stored = std::fs::read(node.folder.join("store.redb")).expect("the store");
    assert!(!stored.windows(key.len()).any(|bytes| bytes == key.as_bytes()), "only its hash is on disk");
}

#[tokio::test]
async fn a_key_sees_its_own_scope_alone_by_every_way() {
    let node = Node::start();
    let key = register(&node, "a", "m1").await["api_key"].as_str().expect("a key").to_owned();
    node.task_with("mine", json!({ "scope": "a" })).await;
    node.task_with("theirs", json!({ "scope": "b" })).await;
    node.task("default-task").await;
    node.post("/api/v1/projects", json!({ "id": "p", "title": "P", "scope": "b" })).await.is(201);
    node.post("/api/v1/drafts", json!({ "title": "D", "scope": "b" })).await.is(201);
    let flow = json!({ "states": ["incoming", "claimed", "done", "failed"], "scope": "b" }).to_string();
    node.call(Method::PUT, "/api/v1/flows/f", &[], Some(flow)).await.is(200);
    register(&node, "b", "m9").await;
    node.post("/api/v1/roles/register", json!({ "orchestrator_id": "prod-m9", "roles": [{ "name": "r" }] })).await.is(200);
    let bearer = format!("Bearer {key}");
    let call = |method: Method, path: &'static str, body: Option<Value>| {
        let bearer = bearer.clone();
        let node = &node;
        async move { node.call(method, path, &[("authorization", &bearer)], body.map(|body| body.to_string())).await }
    };
    let listed = call(Method::GET, "/api/v1/tasks", None).await.is(200);
    assert_eq!((listed["total"].as_u64(), listed["tasks"][0]["id"].as_str()), (Some(1), Some("mine")), "its scope is the default");
    call(Method::GET, "/api/v1/tasks/mine", None).await.is(200);
    for (method, path) in [
        (Method::GET, "/api/v1/tasks/theirs"),
        (Method::GET, "/api/v1/tasks/default-task"),
        (Method::PATCH, "/api/v1/tasks/theirs"),
        (Method::DELETE, "/api/v1/tasks/theirs"),
        (Method::POST, "/api/v1/tasks/theirs/cancel"),
        (Method::POST, "/api/v1/tasks/theirs/release"),
        (Method::GET, "/api/v1/tasks/theirs/history"),
        (Method::GET, "/api/v1/tasks/theirs/log"),
        (Method::GET, "/api/v1/tasks/resolve/theirs"),
        (Method::GET, "/api/v1/projects/p"),
        (Method::DELETE, "/api/v1/projects/p"),
        (Method::GET, "/api/v1/drafts/1"),
        (Method::PATCH, "/api/v1/drafts/1"),
        (Method::DELETE, "/api/v1/drafts/1"),
        (Method::GET, "/api/v1/flows/f"),
        (Method::DELETE, "/api/v1/flows/f"),
        (Method::GET, "/api/v1/roles/r"),
        (Method::GET, "/api/v1/tasks/theirs/messages"),
    ] {
        let body = (method == Method::PATCH).then(|| json!({ "title": "x" }));
        assert_eq!(call(method.clone(), path, body).await.status.as_u16(), 404, "{method} {path}");
    }
    for (method, path, body) in [
        (Method::GET, "/api/v1/tasks?scope=b", None),
        (Method::GET, "/api/v1/tasks/theirs?scope=b", None),
        (Method::DELETE, "/api/v1/tasks/theirs?scope=b", None),
        (Method::GET, "/api/v1/events?scope=b", None),
        (Method::GET, "/api/v1/orchestrators?scope=b", None),
        (Method::GET, "/api/v1/scheduler/poll?scope=b", None),
        (Method::POST, "/api/v1/tasks", Some(json!({ "id": "x", "file_path": "x", "scope": "b" }))),
        (Method::POST, "/api/v1/tasks/claim", Some(json!({ "orchestrator_id": "o", "agent_name": "a", "scope": "b" }))),
        (Method::POST, "/api/v1/tasks/mine/cancel", Some(json!({ "scope": "b" }))),
        (Method::POST, "/api/v1/projects", Some(json!({ "id": "x", "title": "x", "scope": "b" }))),
        (Method::POST, "/api/v1/orchestrators/register", Some(json!({ "cluster": "c", "machine_id": "m", "repo_url": "r", "scope": "b" }))),
        (Method::POST, "/api/v1/orchestrators/scopes/b/rotate-key", None),
        (Method::GET, "/api/v1/drafts?scope=b", None),
        (Method::GET, "/api/v1/flows/f?scope=b", None),
        (Method::GET, "/api/v1/roles?scope=b", None),
        (Method::GET, "/api/v1/messages?scope=b", None),
        (Method::GET, "/api/v1/actions?scope=b", None),
        (
            Method::POST,
            "/api/v1/messages",
            Some(json!({ "task_id": "theirs", "from_actor": "a", "type": "t", "content": "c", "scope": "b" })),
        ),
        (Method::POST, "/api/v1/actions", Some(json!({ "entity_type": "task", "entity_id": "t", "label": "l", "scope": "b" }))),
        (Method::POST, "/api/v1/drafts", Some(json!({ "title": "x", "scope": "b" }))),
        (Method::PUT, "/api/v1/flows/f", Some(json!({ "states": [], "scope": "b" }))),
        (Method::POST, "/api/v1/roles/register", Some(json!({ "orchestrator_id": "prod-m9", "roles": [], "scope": "b" }))),
        (Method::GET, "/api/v1/node/status", None),
        (Method::POST, "/api/v1/node/stop", None),
        (Method::POST, "/api/v1/node/pause", None),
        (Method::GET, "/api/v1/node/doctor", None),
        (Method::GET, "/metrics", None),
    ] {
        assert_eq!(call(method.clone(), path, body).await.status.as_u16(), 403, "{method} {path}");
    }
    let message = json!({ "task_id": "theirs", "from_actor": "a", "type": "t", "content": "c" });
    call(Method::POST, "/api/v1/messages", Some(message)).await.is(404);
    let action = json!({ "entity_type": "task", "entity_id": "t", "label": "l", "scope": "b" });
    let action = node.post("/api/v1/actions", action).await.is(201)["id"].as_str().expect("an id").to_owned();
    for (method, path) in [(Method::GET, ""), (Method::PATCH, ""), (Method::POST, "/execute")] {
        let body = (method == Method::PATCH).then(|| json!({ "status": "failed" }).to_string());
        let path = format!("/api/v1/actions/{action}{path}");
        node.call(method, &path, &[("authorization", &bearer)], body).await.is(404);
    }
    call(Method::POST, "/api/v1/roles/register", Some(json!({ "orchestrator_id": "prod-m9", "roles": [] })))
        .await
        .refuses(400, &["orchestrator_id"]);
    assert_eq!(node.get("/api/v1/tasks/theirs").await.is(200)["queue"], "incoming");
    assert_eq!(node.get("/api/v1/tasks/mine").await.is(200)["queue"], "incoming");
}

#[tokio::test]
async fn a_rotated_key_replaces_the_old_one() {
    let node = Node::start();
    let old = register(&node, "a", "m1").await["api_key"].as_str().expect("a key").to_owned();
    let path = "/api/v1/orchestrators/scopes/a/rotate-key";
    node.call(Method::POST, path, &[("authorization", "")], None).await.is(401);
    let new = node.call(Method::POST, path, &[("authorization", &format!("Bearer {old}"))], None).await.is(200)["api_key"].clone();
    let new = new.as_str().expect("a key");
    assert_eq!(as_caller(&node, &format!("Bearer {old}")).await, 401);
    assert_eq!(as_caller(&node, &format!("Bearer {new}")).await, 200);
    node.post(path, json!({})).await.is(200);
    assert_eq!(as_caller(&node, &format!("Bearer {new}")).await, 401, "the node's token may rotate too");
}

#[tokio::test]
async fn a_join_key_opens_the_cluster_and_its_invitations_and_nothing_else() {
    let node = Node::start();
    let key = node.post("/api/v1/cluster/join-key", json!({})).await.is(201)["api_key"].as_str().expect("a key").to_owned();
    let bearer = format!("Bearer {key}");
    let description = node.get("/api/openapi.json").await.is(200);
    let mut looked_at = 0;
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            if matches!(
                (&method, path.as_str()),
                (_, "/api/health") | (&Method::GET, "/api/v1/cluster") | (&Method::POST, "/api/v1/cluster/invites")
            ) {
                continue;
            }
            let path: String = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
            let answer = node.call(method, &path, &[("authorization", &bearer)], Some("{}".to_owned())).await;
            answer.refuses(403, &["join key"]);
            looked_at += 1;
        }
    }
    assert!(looked_at > 50, "{looked_at} calls were looked at");
    let with = |method: Method, path: &'static str, body: Value| {
        let (node, bearer) = (&node, bearer.clone());
        async move { node.call(method, path, &[("authorization", &bearer)], Some(body.to_string())).await }
    };
    assert_eq!(with(Method::GET, "/api/v1/cluster", json!({})).await.is(200)["mode"], "local");
    let invites = "/api/v1/cluster/invites";
    with(Method::POST, invites, json!({ "access": "admin" })).await.refuses(403, &["workers and readers"]);
    with(Method::POST, invites, json!({ "expires_seconds": 3_601 })).await.refuses(400, &["expires_seconds"]);
    // Good, but nobody can be let in while no network runs.
    with(Method::POST, invites, json!({})).await.refuses(503, &["network"]);

    let kept = std::fs::read_to_string(node.folder.join("join.key")).expect("the file");
    assert!(!kept.contains(&key[4..]), "only its hash is kept");
    let next = node.post("/api/v1/cluster/join-key", json!({})).await.is(201)["api_key"].as_str().expect("a key").to_owned();
    with(Method::GET, "/api/v1/cluster", json!({})).await.refuses(401, &["unknown"]);
    let removed = node.call(Method::DELETE, "/api/v1/cluster/join-key", &[], None).await.is(200);
    assert_eq!(removed, json!({ "removed": true }));
    let gone = node.call(Method::GET, "/api/v1/cluster", &[("authorization", &format!("Bearer {next}"))], None).await;
    gone.refuses(401, &["unknown"]);
    assert_eq!(node.call(Method::DELETE, "/api/v1/cluster/join-key", &[], None).await.is(200), json!({ "removed": false }));
}
