use serde_json::{Value, json};

use crate::support::Node;

async fn registered(node: &Node, scope: &str) -> String {
    let body = json!({ "cluster": "prod", "machine_id": "m1", "repo_url": "https://e.org/r.git", "scope": scope });
    node.post("/api/v1/orchestrators/register", body).await.is(201)["orchestrator_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn roles_are_registered_in_the_orchestrators_scope_and_again_without_harm() {
    let node = Node::start();
    let orchestrator = registered(&node, "s").await;
    let body = json!({ "orchestrator_id": orchestrator, "roles": [
        { "name": "implement", "claims_from": "incoming", "description": "writes code" }, { "name": "gate" }] });
    let first = node.post("/api/v1/roles/register", body.clone()).await.is(200);
    let [implement, gate] = first["roles"].as_array().expect("roles").as_slice() else { panic!("{first}") };
    for (field, value) in [
        ("name", json!("implement")),
        ("claims_from", json!("incoming")),
        ("description", json!("writes code")),
        ("orchestrator_id", json!("prod-m1")),
        ("scope", json!("s")),
    ] {
        assert_eq!(implement[field], value, "{field}");
    }
    assert!(
        implement["created_at"].as_str().is_some_and(|time| time.ends_with('Z'))
            && implement.as_object().map(serde_json::Map::len) == Some(6)
    );
    assert_eq!((&gate["claims_from"], &gate["description"]), (&Value::Null, &Value::Null));
    let records = node.store.reader().expect("reader").next_arrival().expect("read");
    assert_eq!(node.post("/api/v1/roles/register", body).await.is(200), first);
    assert_eq!(node.store.reader().expect("reader").next_arrival().expect("read"), records, "nothing new is written");
    let change = json!({ "orchestrator_id": orchestrator, "roles": [{ "name": "gate", "claims_from": "provisional" }] });
    let changed = node.post("/api/v1/roles/register", change).await.is(200);
    assert_eq!((&changed["roles"][0]["claims_from"], &changed["roles"][0]["created_at"]), (&json!("provisional"), &gate["created_at"]));
    let list = node.get("/api/v1/roles?scope=s").await.is(200);
    assert_eq!((&list["roles"][0], &list["roles"][1], &list["total"]), (&changed["roles"][0], implement, &json!(2)), "by name");
    assert_eq!(node.get("/api/v1/roles?scope=s&limit=1&offset=1").await.is(200)["roles"][0]["name"], "implement");
    assert_eq!(node.get("/api/v1/roles").await.is(200)["total"], 0, "the node's own scope has none");
    assert_eq!(&node.get("/api/v1/roles/implement").await.is(200), implement);
    node.get("/api/v1/roles/nobody").await.refuses(404, &["Role 'nobody' not found"]);
}

#[tokio::test]
async fn what_a_role_cannot_be_is_refused() {
    let node = Node::start();
    let orchestrator = registered(&node, "default").await;
    let unknown = json!({ "orchestrator_id": "nobody", "roles": [] });
    node.post("/api/v1/roles/register", unknown).await.refuses(400, &["orchestrator_id", "nobody", "register it first"]);
    for (roles, part) in [
        (json!([{}]), "name"),
        (json!([{ "name": "" }]), "name"),
        (json!([{ "name": 5 }]), "name"),
        (json!([{ "name": "register" }]), "name"),
        (json!([{ "name": "x", "claims_from": "done" }]), "claims_from"),
        (json!([{ "name": "x", "claims_from": "../x" }]), "claims_from"),
        (json!([{ "name": "x", "description": [] }]), "description"),
        (json!("implement"), "roles"),
        (json!(vec![json!({ "name": "x" }); 101]), "roles"),
        (Value::Null, "roles"),
    ] {
        node.post("/api/v1/roles/register", json!({ "orchestrator_id": orchestrator, "roles": roles })).await.refuses(400, &[part]);
    }
    node.post("/api/v1/roles/register", json!({ "roles": [] })).await.refuses(400, &["orchestrator_id"]);
    assert_eq!(node.get("/api/v1/roles").await.is(200)["total"], 0, "a refusal registers none");
}

#[tokio::test]
async fn a_tasks_role_must_be_registered_where_any_is_and_nowhere_else() {
    let node = Node::start();
    let orchestrator = registered(&node, "s").await;
    node.task_with("before", json!({ "scope": "s", "role": "anything" })).await;
    let body = json!({ "orchestrator_id": orchestrator, "roles": [{ "name": "implement" }] });
    node.post("/api/v1/roles/register", body).await.is(200);
    node.task_with("known", json!({ "scope": "s", "role": "implement" })).await;
    node.task_with("none", json!({ "scope": "s" })).await;
    node.task_with("elsewhere", json!({ "role": "anything" })).await;
    let task = json!({ "id": "x", "file_path": "x", "scope": "s", "role": "anything" });
    node.post("/api/v1/tasks", task).await.refuses(400, &["role", "'anything' is not registered", "implement"]);
    node.patch("/api/v1/tasks/known", json!({ "role": "anything" })).await.refuses(400, &["role", "not registered"]);
}

#[tokio::test]
async fn a_claim_by_a_role_takes_from_the_queue_that_the_role_claims_from() {
    let node = Node::start();
    let orchestrator = registered(&node, "default").await;
    let body =
        json!({ "orchestrator_id": orchestrator, "roles": [{ "name": "gate", "claims_from": "provisional" }, { "name": "implement" }] });
    node.post("/api/v1/roles/register", body).await.is(200);
    node.task_with("waiting", json!({ "role": "gate" })).await;
    node.task_with("work", json!({ "role": "implement" })).await;
    let claim = |extra: Value| {
        let mut body = json!({ "orchestrator_id": "o", "agent_name": "a" });
        extra.as_object().expect("fields").iter().for_each(|(field, value)| body[field] = value.clone());
        node.post("/api/v1/tasks/claim", body)
    };
    claim(json!({ "role_filter": "gate" })).await.is(404);
    assert_eq!(claim(json!({ "role_filter": ["implement"] })).await.is(200)["queue"], "claimed");
    node.post("/api/v1/tasks/work/submit", json!({ "commits_count": 1, "turns_used": 1 })).await.is(200);
    assert_eq!(claim(json!({ "role_filter": "gate", "queue": "incoming" })).await.is(200)["id"], "waiting", "a queue that is named wins");
    node.patch("/api/v1/tasks/work", json!({ "role": "gate" })).await.is(200);
    let review = claim(json!({ "role_filter": "gate" })).await.is(200);
    assert_eq!((review["id"].as_str(), review["queue"].as_str()), (Some("work"), Some("provisional")));
}
