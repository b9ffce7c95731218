use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Lasting, Node};

async fn once(node: &Node, key: &str, path: &str, body: &Value) -> Answer {
    node.call(Method::POST, path, &[("idempotency-key", key)], Some(body.to_string())).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_does_nothing() {
    let node = Node::start();
    node.task("a").await;
    node.task("b").await;
    let claim = json!({ "orchestrator_id": "o", "agent_name": "x" });
    let first = once(&node, "k1", "/api/v1/tasks/claim", &claim).await;
    let (tag, task) = (first.header("etag").map(str::to_owned), first.is(200));
    let again = once(&node, "k1", "/api/v1/tasks/claim", &claim).await;
    assert_eq!((again.header("etag").map(str::to_owned), again.is(200)), (tag, task.clone()));
    assert_ne!(once(&node, "k2", "/api/v1/tasks/claim", &claim).await.is(200)["id"], task["id"], "another key is another request");
    let other = json!({ "orchestrator_id": "o", "agent_name": "y" });
    once(&node, "k1", "/api/v1/tasks/claim", &other).await.refuses(422, &["Idempotency-Key"]);
    once(&node, "k1", "/api/v1/tasks/a/cancel", &claim).await.refuses(422, &["Idempotency-Key"]);
    let new = json!({ "id": "c", "file_path": "c.md" });
    once(&node, "k3", "/api/v1/tasks", &new).await.is(201);
    once(&node, "k3", "/api/v1/tasks", &new).await.is(201);
    once(&node, "k4", "/api/v1/tasks", &new).await.is(409);
}

#[tokio::test]
async fn a_key_that_comes_with_another_collection_is_refused() {
    let node = Node::start();
    // Good at each of the three.
    let body = json!({ "id": "p", "title": "A title", "file_path": "p.md" });
    once(&node, "k", "/api/v1/projects", &body).await.is(201);
    for other in ["/api/v1/tasks", "/api/v1/drafts"] {
        once(&node, "k", other, &body).await.refuses(422, &["Idempotency-Key"]);
    }
    once(&node, "k", "/api/v1/projects?scope=default", &body).await.refuses(422, &["Idempotency-Key"]);
    assert_eq!(once(&node, "k", "/api/v1/projects", &body).await.is(201)["title"], "A title");
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let node = Node::start();
    let claim = json!({ "orchestrator_id": "o", "agent_name": "x" });
    once(&node, "k", "/api/v1/tasks/claim", &claim).await.is(404);
    node.task("a").await;
    assert_eq!(once(&node, "k", "/api/v1/tasks/claim", &claim).await.is(200)["id"], "a");
}

#[tokio::test]
async fn an_answer_survives_a_restart() {
    let lasting = Lasting::new();
    let claim = json!({ "orchestrator_id": "o", "agent_name": "x" });
    let first = {
        let node = lasting.start(1);
        node.task("a").await;
        once(&node, "k", "/api/v1/tasks/claim", &claim).await.is(200)
    };
    let node = lasting.start(2);
    assert_eq!(once(&node, "k", "/api/v1/tasks/claim", &claim).await.is(200), first);
}

#[tokio::test]
async fn repeats_at_the_same_moment_are_one_request() {
    let node = std::sync::Arc::new(Node::start());
    let body = json!({ "id": "t", "file_path": "t.md" });
    let send = |_| {
        let (node, body) = (node.clone(), body.clone());
        tokio::spawn(async move { once(&node, "k", "/api/v1/tasks", &body).await.is(201) })
    };
    for sent in (0..16).map(send).collect::<Vec<_>>() {
        sent.await.expect("an answer");
    }
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200)["version"], 1);
}

#[tokio::test]
async fn a_key_is_checked_and_a_key_of_another_scope_is_another_key() {
    let node = Node::start();
    let body = json!({ "id": "t", "file_path": "t.md" });
    for bad in ["x".repeat(256), "ümlaut".to_owned(), " ".to_owned()] {
        let answer = node.call(Method::POST, "/api/v1/tasks", &[("idempotency-key", &bad)], Some(body.to_string())).await;
        answer.refuses(400, &["Idempotency-Key"]);
    }
    let registration = json!({ "cluster": "c", "machine_id": "m", "repo_url": "r", "scope": "s" });
    let key = node.post("/api/v1/orchestrators/register", registration).await.is(201)["api_key"].as_str().expect("a key").to_owned();
    once(&node, "k", "/api/v1/tasks", &body).await.is(201);
    let headers = [("idempotency-key", "k"), ("authorization", &format!("Bearer {key}") as &str)];
    let theirs = node.call(Method::POST, "/api/v1/tasks", &headers, Some(body.to_string())).await.is(201);
    assert_eq!(theirs["scope"], "s", "the node's answer is not told to others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_claimants_never_get_the_same_task() {
    let node = std::sync::Arc::new(Node::start());
    for n in 0..60 {
        node.task(&format!("t{n}")).await;
    }
    let mut claimants = Vec::new();
    for agent in 0..6 {
        let node = node.clone();
        claimants.push(tokio::spawn(async move {
            let mut won = Vec::new();
            loop {
                let body = json!({ "orchestrator_id": "o", "agent_name": format!("a{agent}") });
                let answer = node.post("/api/v1/tasks/claim", body).await;
                if answer.status.as_u16() == 404 {
                    return won;
                }
                won.push(answer.is(200)["id"].as_str().expect("an id").to_owned());
            }
        }));
    }
    let mut all = Vec::new();
    for claimant in claimants {
        all.extend(claimant.await.expect("a claimant"));
    }
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (60, 60));
}
