//! What the last TypeScript server asked for and answered, for clients that were written against it.

use axum::http::Method;
use octopoid_node::rest::Compat;
use serde_json::{Value, json};

use crate::support::Node;

const FLAGS: [&str; 5] = ["auto_accept", "has_plan", "needs_rebase", "needs_breakdown", "needs_intervention"];

fn head() -> Node {
    Node::with(|settings| settings.compat = Compat::Head)
}

fn whole(id: &str) -> Value {
    json!({ "id": id, "file_path": "t.md", "scope": "s", "branch": "main" })
}

#[track_caller]
fn has_numbers(task: &Value) {
    for flag in FLAGS {
        assert!(task[flag].is_u64(), "{flag} of {task}");
    }
}

#[tokio::test]
async fn every_answer_that_shows_tasks_has_their_flags_as_numbers() {
    let node = head();
    let _ =
        node.post("/api/v1/projects", json!({ "id": "p", "title": "P", "branch": "b", "scope": "s", "auto_accept": true })).await.is(201);
    let mut task = whole("a");
    task["auto_accept"] = json!(1);
    task["project_id"] = json!("p");
    let made = node.post("/api/v1/tasks", task).await.is(201);
    has_numbers(&made);
    assert_eq!((&made["auto_accept"], &made["has_plan"], &made["contested"]), (&json!(1), &json!(0), &json!(false)));
    has_numbers(&node.get("/api/v1/tasks/a").await.is(200));
    has_numbers(&node.get("/api/v1/tasks?scope=s").await.is(200)["tasks"][0]);
    has_numbers(&node.get("/api/v1/projects/p/tasks").await.is(200)["tasks"][0]);
    let patched = node.patch("/api/v1/tasks/a", json!({ "needs_rebase": 1, "auto_accept": 0 })).await.is(200);
    assert_eq!((&patched["needs_rebase"], &patched["auto_accept"]), (&json!(1), &json!(0)));
    let claim = json!({ "orchestrator_id": "o", "agent_name": "a", "scope": "s" });
    has_numbers(&node.post("/api/v1/tasks/claim", claim).await.is(200));
    has_numbers(&node.post("/api/v1/tasks/a/submit", json!({ "commits_count": 0, "turns_used": 1 })).await.is(200));
    has_numbers(&node.post("/api/v1/tasks/a/accept", json!({ "accepted_by": "r" })).await.is(200));
    assert_eq!(node.get("/api/v1/projects/p").await.is(200)["auto_accept"], true, "a project's flag is one in both");
    node.patch("/api/v1/tasks/a", json!({ "has_plan": 2 })).await.refuses(400, &["has_plan"]);
}

#[tokio::test]
async fn an_answer_that_is_given_again_is_shown_alike() {
    let node = head();
    let ask = async || node.call(Method::POST, "/api/v1/tasks", &[("idempotency-key", "k")], Some(whole("a").to_string())).await;
    let (first, again) = (ask().await.is(201), ask().await.is(201));
    has_numbers(&again);
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_scope_and_a_branch_are_asked_for_where_the_last_server_wanted_them() {
    let node = head();
    let without = |mut body: Value, field: &str| {
        body.as_object_mut().expect("fields").remove(field);
        body
    };
    for (method, path, body) in [
        (Method::POST, "/api/v1/tasks", whole("a")),
        (Method::POST, "/api/v1/projects", json!({ "id": "p", "title": "P", "branch": "b", "scope": "s" })),
        (Method::POST, "/api/v1/drafts", json!({ "title": "D", "scope": "s" })),
        (Method::POST, "/api/v1/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a", "scope": "s" })),
        (Method::POST, "/api/v1/messages", json!({ "task_id": "a", "from_actor": "x", "type": "note", "content": "c", "scope": "s" })),
        (Method::POST, "/api/v1/actions", json!({ "entity_type": "task", "entity_id": "a", "label": "L", "scope": "s" })),
        (Method::PUT, "/api/v1/flows/f", json!({ "states": ["incoming", "claimed", "done", "failed"], "transitions": [], "scope": "s" })),
        (Method::POST, "/api/v1/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r", "scope": "s" })),
    ] {
        let poor = without(body.clone(), "scope");
        node.call(method.clone(), path, &[], Some(poor.to_string())).await.refuses(400, &["scope"]);
        let mut null = poor.clone();
        null["scope"] = Value::Null;
        node.call(method.clone(), path, &[], Some(null.to_string())).await.refuses(400, &["scope"]);
        if body.get("branch").is_some() {
            node.call(method.clone(), path, &[], Some(without(body.clone(), "branch").to_string())).await.refuses(400, &["branch"]);
        }
        let asked = node.call(method.clone(), &format!("{path}?scope=s"), &[], Some(poor.to_string())).await;
        assert!(asked.status.is_success(), "{method} {path} with the scope in its query: {}", asked.text);
    }
    for path in ["tasks", "projects", "drafts", "messages", "actions", "flows", "flows/f"] {
        node.get(&format!("/api/v1/{path}")).await.refuses(400, &["scope"]);
        let _ = node.get(&format!("/api/v1/{path}?scope=s")).await.is(200);
    }
    for path in ["tasks/a", "projects/p", "orchestrators", "roles", "scheduler/poll", "node/status", "tasks/a/messages"] {
        let _ = node.get(&format!("/api/v1/{path}")).await.is(200);
    }
    node.post_text("/api/v1/tasks", "{").await.refuses(400, &["malformed JSON"]);
    node.post_text("/api/v1/tasks", "[]").await.refuses(400, &["object"]);
    node.call(Method::GET, "/api/v1/tasks", &[("authorization", "")], None).await.refuses(401, &["token"]);
}

#[tokio::test]
async fn a_client_that_asks_for_todays_contract_gets_it() {
    let node = head();
    let today = [("octopoid-compat", "seed")];
    let made = node.call(Method::POST, "/api/v1/tasks", &today, Some(json!({ "id": "a", "file_path": "t.md" }).to_string())).await.is(201);
    assert_eq!((&made["auto_accept"], &made["scope"]), (&json!(false), &json!("default")));
    let listed = node.call(Method::GET, "/api/v1/tasks", &today, None).await.is(200);
    assert_eq!(listed["tasks"][0]["has_plan"], false);
    let other = [("octopoid-compat", "head")];
    node.call(Method::GET, "/api/v1/tasks", &other, None).await.refuses(400, &["scope"]);
}
