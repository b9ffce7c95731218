use serde_json::{Value, json};

use crate::support::Node;

#[tokio::test]
async fn a_project_has_every_field_and_its_defaults() {
    let node = Node::start();
    let project = node.post("/api/v1/projects", json!({ "id": "p", "name": "Login" })).await.is(201);
    for (field, value) in [
        ("id", json!("p")),
        ("title", json!("Login")),
        ("description", Value::Null),
        ("status", json!("draft")),
        ("branch", json!("project/p")),
        ("base_branch", json!("main")),
        ("auto_accept", json!(false)),
        ("created_by", Value::Null),
        ("completed_at", Value::Null),
        ("scope", json!("default")),
    ] {
        assert_eq!(project[field], value, "{field}");
    }
    assert!(project["created_at"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!(project.as_object().map(serde_json::Map::len), Some(11));
    assert_eq!(node.get("/api/v1/projects/p").await.is(200), project);
    node.post("/api/v1/projects", json!({ "id": "p", "title": "x" })).await.refuses(409, &["already exists"]);
    node.get("/api/v1/projects/q").await.refuses(404, &["Project 'q' not found"]);
}

#[tokio::test]
async fn a_project_is_edited_completed_and_listed_by_status() {
    let node = Node::start();
    node.post("/api/v1/projects", json!({ "id": "a", "title": "A", "status": "active", "auto_accept": 1 })).await.is(201);
    node.post("/api/v1/projects", json!({ "id": "b", "title": "B" })).await.is(201);
    node.post("/api/v1/projects", json!({ "id": "c", "title": "C", "scope": "other" })).await.is(201);
    let edited =
        node.patch("/api/v1/projects/a", json!({ "title": "AA", "description": "d", "status": "completed", "branch": null })).await.is(200);
    assert_eq!(
        (&edited["title"], &edited["description"], &edited["status"], &edited["branch"]),
        (&json!("AA"), &json!("d"), &json!("completed"), &Value::Null)
    );
    assert!(edited["completed_at"].is_string() && edited["auto_accept"] == true, "{edited}");
    assert!(node.patch("/api/v1/projects/a", json!({ "status": "active" })).await.is(200)["completed_at"].is_null());
    let list = node.get("/api/v1/projects").await.is(200);
    assert_eq!((list["total"].as_u64(), list["limit"].as_u64(), list["offset"].as_u64()), (Some(2), Some(50), Some(0)));
    assert_eq!(node.get("/api/v1/projects?status=draft").await.is(200)["projects"][0]["id"], "b");
    assert_eq!(node.get("/api/v1/projects?limit=1&offset=1").await.is(200)["projects"].as_array().map(Vec::len), Some(1));
    for (body, part) in [
        (json!({}), "No fields"),
        (json!({ "status": "gone" }), "status"),
        (json!({ "title": 5 }), "title"),
        (json!({ "titel": "x" }), "titel"),
        (json!({ "auto_accept": null }), "auto_accept"),
        (json!({ "branch": "-x" }), "branch"),
    ] {
        node.patch("/api/v1/projects/a", body).await.refuses(400, &[part]);
    }
    for (body, part) in
        [(json!({ "title": "x" }), "id"), (json!({ "id": "x", "title": 5 }), "title"), (json!({ "id": "x", "status": "odd" }), "status")]
    {
        node.post("/api/v1/projects", body).await.refuses(400, &[part]);
    }
}

#[tokio::test]
async fn a_project_with_tasks_is_not_deleted() {
    let node = Node::start();
    node.post("/api/v1/projects", json!({ "id": "p", "title": "P" })).await.is(201);
    assert_eq!(node.task_with("t", json!({ "project_id": "p" })).await["branch"], "project/p");
    node.task("other").await;
    let tasks = node.get("/api/v1/projects/p/tasks").await.is(200);
    assert_eq!((tasks["project_id"].as_str(), tasks["total"].as_u64(), tasks["tasks"][0]["id"].as_str()), (Some("p"), Some(1), Some("t")));
    node.delete("/api/v1/projects/p").await.refuses(409, &["1 tasks", "delete them"]);
    node.delete("/api/v1/tasks/t").await.is(200);
    assert_eq!(node.delete("/api/v1/projects/p").await.is(200)["project_id"], "p");
    node.delete("/api/v1/projects/p").await.is(404);
    node.get("/api/v1/projects/p/tasks").await.is(404);
}

#[tokio::test]
async fn filters_by_project_and_holder_work_together() {
    let node = Node::start();
    node.post("/api/v1/projects", json!({ "id": "p", "title": "P" })).await.is(201);
    node.task_with("a", json!({ "project_id": "p", "priority": "P0" })).await;
    node.task_with("b", json!({ "project_id": "p" })).await;
    node.task_with("c", json!({})).await;
    node.claim("me").await;
    let both = node.get("/api/v1/tasks?project_id=p&claimed_by=me").await.is(200);
    assert_eq!((both["total"].as_u64(), both["tasks"][0]["id"].as_str()), (Some(1), Some("a")));
    assert_eq!(node.get("/api/v1/tasks?project_id=p").await.is(200)["total"], 2);
    assert_eq!(node.get("/api/v1/tasks?project_id=p&queue=incoming").await.is(200)["total"], 1);
}
