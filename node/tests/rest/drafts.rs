use serde_json::{Value, json};

use crate::support::Node;

const PATH: &str = "/api/v1/drafts";

#[tokio::test]
async fn a_draft_has_every_field_its_defaults_and_the_founders_next_number() {
    let node = Node::start();
    let draft = node.post(PATH, json!({ "title": "Dark mode" })).await.is(201);
    for (field, value) in [
        ("id", json!(1)),
        ("title", json!("Dark mode")),
        ("status", json!("idea")),
        ("author", Value::Null),
        ("domain", Value::Null),
        ("file_path", Value::Null),
        ("linked_task_id", Value::Null),
        ("linked_project_id", Value::Null),
        ("tags", Value::Null),
        ("scope", json!("default")),
    ] {
        assert_eq!(draft[field], value, "{field}");
    }
    for field in ["created_at", "updated_at"] {
        assert!(draft[field].as_str().is_some_and(|time| time.ends_with('Z')), "{draft}");
    }
    assert_eq!(draft.as_object().map(serde_json::Map::len), Some(12));
    assert_eq!(node.get("/api/v1/drafts/1").await.is(200), draft);
    let body = json!({ "title": "B", "status": "review", "author": "ann", "domain": "ui", "file_path": "drafts/b.md", "linked_task_id": "t",
        "linked_project_id": "p", "tags": ["a,b", "ü"] });
    let full = node.post(PATH, body.clone()).await.is(201);
    assert_eq!(full["id"], 2);
    assert_eq!(full["tags"], r#"["a,b","ü"]"#, "a list in, JSON text out");
    for field in ["title", "status", "author", "domain", "file_path", "linked_task_id", "linked_project_id"] {
        assert_eq!(full[field], body[field], "{field}");
    }
}

#[tokio::test]
async fn a_deleted_drafts_number_is_not_given_again() {
    let node = Node::start();
    for title in ["a", "b", "c"] {
        node.post(PATH, json!({ "title": title })).await.is(201);
    }
    assert_eq!(node.delete("/api/v1/drafts/3").await.is(200), json!({ "message": "Draft deleted", "draft_id": 3 }));
    node.get("/api/v1/drafts/3").await.refuses(404, &["Draft '3' not found"]);
    node.delete("/api/v1/drafts/3").await.is(404);
    node.patch("/api/v1/drafts/3", json!({ "title": "x" })).await.is(404);
    assert_eq!(node.post(PATH, json!({ "title": "d" })).await.is(201)["id"], 4);
    assert_eq!(node.post(PATH, json!({ "title": "e", "scope": "s" })).await.is(201)["id"], 1, "each scope counts by itself");
    assert_eq!(node.get("/api/v1/drafts/1").await.is(200)["title"], "a", "the node's own scope first");
    assert_eq!(node.get("/api/v1/drafts/1?scope=s").await.is(200)["title"], "e");
}

#[tokio::test]
async fn a_draft_is_edited_field_by_field() {
    let node = Node::start();
    node.post(PATH, json!({ "title": "a", "author": "ann", "tags": ["x"] })).await.is(201);
    let edited = node.patch("/api/v1/drafts/1", json!({ "status": "approved", "linked_task_id": "t-1", "tags": [] })).await.is(200);
    assert_eq!((&edited["title"], &edited["author"], &edited["tags"]), (&json!("a"), &json!("ann"), &json!("[]")));
    assert_eq!((&edited["status"], &edited["linked_task_id"]), (&json!("approved"), &json!("t-1")));
    let cleared = node.patch("/api/v1/drafts/1", json!({ "author": null, "tags": null, "linked_task_id": "" })).await.is(200);
    assert!(["author", "tags", "linked_task_id"].iter().all(|field| cleared[field].is_null()), "{cleared}");
    assert_eq!(node.get("/api/v1/drafts/1").await.is(200), cleared);
}

#[tokio::test]
async fn what_a_draft_cannot_be_is_refused_by_name_of_the_field() {
    let node = Node::start();
    node.post(PATH, json!({ "title": "a" })).await.is(201);
    for (body, part) in [
        (json!({}), "title"),
        (json!({ "title": " " }), "title"),
        (json!({ "title": 5 }), "title"),
        (json!({ "title": "x", "status": "odd" }), "status"),
        (json!({ "title": "x", "tags": "a,b" }), "tags"),
        (json!({ "title": "x", "tags": ["a", 1] }), "tags"),
        (json!({ "title": "x", "tags": vec!["t"; 65] }), "tags"),
        (json!({ "title": "x", "tags": [""] }), "tags"),
        (json!({ "title": "x", "file_path": "../x" }), "file_path"),
        (json!({ "title": "x", "linked_task_id": "../x" }), "linked_task_id"),
        (json!({ "title": "x", "author": "a\nb" }), "author"),
        (json!({ "title": "x".repeat(5_000) }), "title"),
    ] {
        node.post(PATH, body).await.refuses(400, &[part]);
    }
    for (body, part) in [
        (json!({}), "No fields"),
        (json!({ "status": "gone" }), "status"),
        (json!({ "title": null }), "title"),
        (json!({ "titel": "x" }), "titel"),
        (json!({ "id": 7 }), "id"),
    ] {
        node.patch("/api/v1/drafts/1", body).await.refuses(400, &[part]);
    }
    for id in ["one", "-1", "1.0", "0x1", "%201", "99999999999999999999999"] {
        node.get(&format!("{PATH}/{id}")).await.refuses(400, &["id", "integer"]);
        node.delete(&format!("{PATH}/{id}")).await.refuses(400, &["id", "integer"]);
        node.patch(&format!("{PATH}/{id}"), json!({ "title": "x" })).await.refuses(400, &["id", "integer"]);
    }
}

#[tokio::test]
async fn drafts_are_listed_newest_first_by_page_and_by_filter() {
    let node = Node::start();
    for (title, status, author) in [("a", "idea", "ann"), ("b", "review", "bob"), ("c", "idea", "bob")] {
        node.post(PATH, json!({ "title": title, "status": status, "author": author, "domain": "ui", "linked_task_id": title }))
            .await
            .is(201);
    }
    node.post(PATH, json!({ "title": "z", "scope": "other" })).await.is(201);
    let titles = |list: &Value| -> Vec<String> {
        let drafts = list["drafts"].as_array().expect("drafts");
        drafts.iter().map(|draft| draft["title"].as_str().expect("a title").to_owned()).collect()
    };
    let all = node.get(PATH).await.is(200);
    assert_eq!(
        (titles(&all), &all["total"], &all["limit"], &all["offset"]),
        (vec!["c".into(), "b".into(), "a".into()], &json!(3), &json!(50), &json!(0))
    );
    for (query, wanted) in [
        ("status=idea", vec!["c", "a"]),
        ("status=idea,review&author=bob", vec!["c", "b"]),
        ("domain=cli", vec![]),
        ("domain=ui&limit=1&offset=1", vec!["b"]),
        ("linked_task_id=a,b", vec!["b", "a"]),
        ("linked_project_id=p", vec![]),
        ("scope=other", vec!["z"]),
    ] {
        assert_eq!(titles(&node.get(&format!("{PATH}?{query}")).await.is(200)), wanted, "{query}");
    }
    for query in ["status=odd", "limit=x", "offset=-1", "offset=9223372036854775808"] {
        node.get(&format!("{PATH}?{query}")).await.refuses(400, &[query.split('=').next().unwrap_or_default()]);
    }
}

#[tokio::test]
async fn a_draft_is_made_once_for_one_key() {
    let node = Node::start();
    let make = |title: &str| {
        let body = json!({ "title": title }).to_string();
        node.call(axum::http::Method::POST, PATH, &[("idempotency-key", "k")], Some(body))
    };
    let first = make("a").await.is(201);
    assert_eq!(make("a").await.is(201), first);
    make("b").await.is(422);
    assert_eq!(node.get(PATH).await.is(200)["total"], 1);
}
