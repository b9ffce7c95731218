//! Projects and drafts.

use serde_json::{Value, json};

use crate::desk::{Desk, each, with};
use crate::shape::{DRAFT, PROJECT, TASK};

pub async fn a_project_has_its_defaults_and_is_edited(desk: Desk) {
    let made = desk.project("p", json!({ "description": "d", "created_by": "ann" })).await;
    desk.has_shape(&made, &PROJECT);
    for (field, value) in [
        ("id", json!("p")),
        ("title", json!("p")),
        ("description", json!("d")),
        ("status", json!("draft")),
        ("branch", json!("project/p")),
        ("auto_accept", json!(false)),
        ("created_by", json!("ann")),
        ("completed_at", Value::Null),
        ("scope", json!(desk.scope)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let _ = desk.post("/projects", json!({ "id": "p", "title": "P", "branch": "b" })).await.refuses(409, &["'p'"]);
    let named =
        desk.post("/projects", json!({ "id": "q", "name": "As the first SDKs say", "branch": "b", "auto_accept": true })).await.is(201);
    assert_eq!(
        (&named["title"], &named["auto_accept"]),
        (&json!("As the first SDKs say"), &json!(true)),
        "a flag of its own kind in both settings"
    );
    assert_eq!(desk.get("/projects/p").await.is(200), made);
    for status in ["active", "archived", "completed"] {
        let shown = desk.patch("/projects/p", json!({ "status": status })).await.is(200);
        desk.has_shape(&shown, &PROJECT);
        assert_eq!((&shown["status"], shown["completed_at"].is_string()), (&json!(status), status == "completed"));
    }
    let shown =
        desk.patch("/projects/p", json!({ "title": "new", "branch": "b", "base_branch": "next", "auto_accept": true })).await.is(200);
    assert_eq!(
        (&shown["title"], &shown["branch"], &shown["base_branch"], &shown["auto_accept"]),
        (&json!("new"), &json!("b"), &json!("next"), &json!(true))
    );
    for (field, wrong) in [("status", json!("finished")), ("branch", json!("a b")), ("id", json!("other")), ("nonsense", json!(1))] {
        let _ = desk.patch("/projects/p", json!({ field: wrong })).await.refuses(400, &[field]);
    }
    assert_eq!(desk.patch("/projects/p", json!({})).await.refuses(400, &[])["error"], "No fields to update");
    let _ = desk.post("/projects", json!({ "title": "P", "branch": "b" })).await.refuses(400, &["id"]);
    let _ = desk.post("/projects", json!({ "id": "a b", "title": "P", "branch": "b" })).await.refuses(400, &["id"]);
    assert_eq!(each(&desk.get("/projects?status=draft").await.is(200)["projects"], "id"), ["q"]);
    let _ = desk.get("/projects?status=finished").await;
}

pub async fn a_project_with_tasks_stays(desk: Desk) {
    let _ = desk.project("p", json!({})).await;
    let _ = desk.task("t", json!({ "project_id": "p" })).await;
    let tasks = desk.get("/projects/p/tasks").await.is(200);
    assert_eq!((&tasks["project_id"], &tasks["total"]), (&json!("p"), &json!(1)));
    desk.has_shape(&tasks["tasks"][0], &TASK);
    let _ = desk.delete("/projects/p").await.refuses(409, &["task"]);
    let _ = desk.delete("/tasks/t").await.is(200);
    let _ = desk.delete("/projects/p").await.is(200);
    let _ = desk.get("/projects/p").await.refuses(404, &["not found"]);
}

pub async fn a_draft_becomes_what_it_is_about(desk: Desk) {
    let fields =
        json!({ "title": "Idea", "author": "ann", "domain": "web", "file_path": "d.md", "linked_task_id": "t", "linked_project_id": "p" });
    let made = desk.post("/drafts", with(fields.clone(), json!({ "tags": ["a", "b"] }))).await.is(201);
    desk.has_shape(&made, &DRAFT);
    for (field, value) in fields.as_object().expect("fields") {
        assert_eq!(made[field], *value, "{field}");
    }
    assert_eq!((&made["status"], &made["tags"], &made["scope"]), (&json!("idea"), &json!("[\"a\",\"b\"]"), &json!(desk.scope)));
    let id = made["id"].as_u64().expect("an integer");
    let founder = id < 1 << 32;
    assert!(founder == (desk.at == 0) && id < 1 << 53, "the founder counts from 1, others in ranges of their own: {id}");
    let path = format!("/drafts/{id}");
    assert_eq!(desk.get(&path).await.is(200), made);
    for status in ["draft", "review", "approved", "implemented", "archived", "idea"] {
        assert_eq!(desk.patch(&path, json!({ "status": status })).await.is(200)["status"], status);
    }
    let shown = desk.patch(&path, json!({ "title": "New", "author": null, "tags": [] })).await.is(200);
    assert_eq!((&shown["title"], &shown["author"], &shown["tags"]), (&json!("New"), &Value::Null, &json!("[]")));
    for (field, wrong) in [("status", json!("finished")), ("title", json!("")), ("nonsense", json!(1))] {
        let _ = desk.patch(&path, json!({ field: wrong })).await.refuses(400, &[field]);
    }
    let _ = desk.patch(&path, json!({})).await.refuses(400, &["No fields"]);
    let _ = desk.post("/drafts", json!({ "author": "ann" })).await.refuses(400, &["title"]);
    for (method_path, field) in [("/drafts/x", "id"), ("/drafts/1.5", "id"), ("/drafts/-1", "id")] {
        let _ = desk.get(method_path).await.refuses(400, &[field, "integer"]);
        let _ = desk.patch(method_path, json!({ "title": "x" })).await.refuses(400, &[field, "integer"]);
        let _ = desk.delete(method_path).await.refuses(400, &[field, "integer"]);
    }
    let next = desk.post("/drafts", json!({ "title": "Next", "status": "review", "author": "bob" })).await.is(201);
    assert!(next["id"].as_u64() > Some(id), "they rise");
    assert_eq!(each(&desk.get("/drafts?status=review,approved").await.is(200)["drafts"], "title"), ["Next"]);
    assert_eq!(each(&desk.get("/drafts?author=bob").await.is(200)["drafts"], "title"), ["Next"]);
    assert_eq!(desk.delete(&path).await.is(200)["draft_id"], id);
    let _ = desk.get(&path).await.refuses(404, &["not found"]);
}
