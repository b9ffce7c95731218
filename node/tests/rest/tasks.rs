use axum::http::Method;
use octopoid_client::Task;
use serde_json::{Value, json};

use crate::support::Node;

#[tokio::test]
async fn a_new_task_has_every_field_in_its_place_and_type() {
    let node = Node::start();
    let answer = node.post("/api/v1/tasks", json!({ "id": "t1", "file_path": "tasks/t1.md" })).await;
    let etag = answer.header("etag").expect("an etag").to_owned();
    let text = answer.text.clone();
    let task = answer.is(201);
    let mut from = 0;
    for field in Task::FIELDS {
        let at = text[from..].find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} is missing or out of order in {text}"));
        from += at;
    }
    assert_eq!(task.as_object().expect("an object").len(), Task::FIELDS.len());
    let expected = json!({
        "id": "t1", "file_path": "tasks/t1.md", "title": "t1", "content": null, "queue": "incoming", "priority": "P2",
        "complexity": null, "role": null, "type": null, "branch": "main", "blocked_by": null, "claimed_by": null, "claimed_at": null,
        "lease_expires_at": null, "orchestrator_id": null, "commits_count": 0, "turns_used": null, "attempt_count": 0,
        "rejection_count": 0, "has_plan": false, "plan_id": null, "project_id": null, "auto_accept": false, "pr_number": null,
        "pr_url": null, "checks": null, "check_results": null, "needs_rebase": false, "last_rebase_attempt_at": null,
        "staging_url": null, "submitted_at": null, "completed_at": null, "version": 1, "needs_breakdown": false, "review_round": 0,
        "execution_notes": null, "hooks": null, "flow": "default", "flow_overrides": null, "scope": "default",
        "needs_intervention": false, "epoch": 0, "attempt": null, "contested": false, "holder": null, "node": "mac-studio",
        "merged_commit": null, "awaiting_merge": null,
    });
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(task[field], *value, "{field}");
    }
    for field in ["created_at", "updated_at"] {
        let time = task[field].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    }
    assert!(etag.starts_with("\"1-") && etag.len() == 12, "{etag}");
}

#[tokio::test]
async fn every_field_that_a_creation_takes_is_shown_again() {
    let node = Node::start();
    node.post("/api/v1/projects", json!({ "id": "p", "title": "P", "branch": "project/x" })).await.is(201);
    let task = node
        .task_with(
            "t",
            json!({
                "title": "Ümlaut", "content": "a\nb", "queue": "backlog", "priority": "P0", "complexity": "XL", "role": "implement",
                "type": "bug", "branch": "other", "project_id": "p", "auto_accept": true, "has_plan": 1, "plan_id": "pl",
                "needs_breakdown": 0, "needs_intervention": true, "pr_number": 7, "pr_url": "https://example.org/7", "checks": "a,b",
                "staging_url": "http://x.example", "execution_notes": "n", "hooks": [{ "name": "tests" }], "flow": "default",
                "flow_overrides": { "a": 1 },
            }),
        )
        .await;
    let shown = [
        ("title", json!("Ümlaut")),
        ("content", json!("a\nb")),
        ("queue", json!("backlog")),
        ("priority", json!("P0")),
        ("complexity", json!("XL")),
        ("role", json!("implement")),
        ("type", json!("bug")),
        ("branch", json!("project/x")),
        ("project_id", json!("p")),
        ("auto_accept", json!(true)),
        ("has_plan", json!(true)),
        ("plan_id", json!("pl")),
        ("needs_breakdown", json!(false)),
        ("needs_intervention", json!(true)),
        ("pr_number", json!(7)),
        ("pr_url", json!("https://example.org/7")),
        ("checks", json!("a,b")),
        ("staging_url", json!("http://x.example")),
        ("execution_notes", json!("n")),
        ("hooks", json!(r#"[{"name":"tests"}]"#)),
        ("flow_overrides", json!(r#"{"a":1}"#)),
    ];
    for (field, value) in shown {
        assert_eq!(task[field], value, "{field}");
    }
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200), task, "what was answered is what is stored");
}

#[tokio::test]
async fn a_creation_that_is_wrong_names_the_field() {
    let node = Node::start();
    let good = json!({ "id": "x", "file_path": "x.md" });
    for (field, value, part) in [
        ("id", json!(5), "id"),
        ("id", json!(null), "id"),
        ("file_path", json!(""), "file_path"),
        ("file_path", json!(1), "file_path"),
        ("title", json!(5), "title: invalid type: integer `5`, expected a string"),
        ("title", json!("a\nb"), "title"),
        ("content", json!(["a"]), "content"),
        ("content", json!("\u{0}"), "content"),
        ("content", json!("x".repeat(128 * 1024 + 1)), "content"),
        ("queue", json!("claimed"), "queue"),
        ("queue", json!("nowhere"), "queue"),
        ("priority", json!("P4"), "priority"),
        ("priority", json!(1), "priority"),
        ("complexity", json!("XXL"), "complexity"),
        ("role", json!("x".repeat(129)), "role"),
        ("branch", json!("-x"), "branch"),
        ("blocked_by", json!("nobody"), "blocked_by"),
        ("blocked_by", json!("x"), "blocked_by"),
        ("blocked_by", json!(["x"]), "blocked_by"),
        ("project_id", json!("nobody"), "project_id"),
        ("auto_accept", json!("yes"), "auto_accept"),
        ("auto_accept", json!(2), "auto_accept"),
        ("pr_number", json!("7"), "pr_number"),
        ("pr_number", json!(-1), "pr_number"),
        ("pr_number", json!(1.5), "pr_number"),
        ("pr_url", json!("javascript:alert(1)"), "pr_url"),
        ("hooks", json!({ "name": "x" }), "hooks"),
        ("hooks", json!("nonsense"), "hooks"),
        ("flow", json!("a b"), "flow"),
        ("scope", json!("a/b"), "scope"),
        ("scope", json!(1), "scope"),
    ] {
        let mut task = good.clone();
        task[field] = value.clone();
        let answer = node.post("/api/v1/tasks", task).await;
        assert_eq!(answer.status.as_u16(), 400, "{field} {} {}", &value.to_string()[..value.to_string().len().min(40)], answer.text);
        assert!(answer.body["error"].as_str().is_some_and(|error| error.contains(part)), "{field}: {}", answer.text);
    }
    node.post("/api/v1/tasks", json!({ "file_path": "x" })).await.refuses(400, &["`id`"]);
    node.post("/api/v1/tasks", json!({ "id": "x" })).await.refuses(400, &["`file_path`"]);
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], 0, "nothing was written");
}

#[tokio::test]
async fn an_id_that_is_taken_answers_409_and_a_deleted_one_is_free_again() {
    let node = Node::start();
    node.task_with("t", json!({ "title": "first" })).await;
    node.post("/api/v1/tasks", json!({ "id": "t", "file_path": "t.md" })).await.refuses(409, &["Task 't' already exists"]);
    node.task_with("t", json!({ "scope": "other" })).await;
    node.delete("/api/v1/tasks/t?scope=default").await.is(200);
    let again = node.task_with("t", json!({ "title": "second" })).await;
    assert_eq!((again["title"].as_str(), again["queue"].as_str()), (Some("second"), Some("incoming")));
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_400_and_another_format_415() {
    let node = Node::start();
    for body in ["{", "nonsense", "[1]", "\"x\"", "7", "{\"id\":}", "\u{feff}{}"] {
        let answer = node.post_text("/api/v1/tasks", body).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text);
        assert!(answer.body["error"].is_string(), "{body}: {}", answer.text);
    }
    let text = json!({ "id": "t", "file_path": "t.md" }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"] {
        let answer = node.call(Method::POST, "/api/v1/tasks", &[("content-type", kind)], Some(text.clone())).await;
        answer.refuses(415, &["application/json"]);
    }
    for kind in ["application/json; charset=utf-8", "application/vnd.octopoid+json", ""] {
        node.call(Method::POST, "/api/v1/tasks", &[("content-type", kind)], Some(text.clone())).await.is(201);
        node.delete("/api/v1/tasks/t").await.is(200);
    }
    let deep = format!("{{\"hooks\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    node.post_text("/api/v1/tasks", &deep).await.refuses(400, &["malformed JSON"]);
    let large = format!("{{\"id\":\"t\",\"file_path\":\"t.md\",\"content\":\"{}\"}}", "x".repeat(256 * 1024));
    node.post_text("/api/v1/tasks", &large).await.refuses(413, &["262144"]);
}

#[tokio::test]
async fn a_task_is_found_in_its_scope_and_an_ambiguous_id_names_the_scopes() {
    let node = Node::start();
    let answer = node.get("/api/v1/tasks/nobody").await;
    assert_eq!(answer.is(404), json!({ "error": "Task 'nobody' not found", "task_id": "nobody" }));
    node.task_with("a", json!({ "scope": "one" })).await;
    assert_eq!(node.get("/api/v1/tasks/a").await.is(200)["scope"], "one");
    node.task_with("a", json!({ "scope": "two" })).await;
    node.get("/api/v1/tasks/a").await.refuses(409, &["one", "two"]);
    assert_eq!(node.get("/api/v1/tasks/a?scope=two").await.is(200)["scope"], "two");
    node.task("a").await;
    assert_eq!(node.get("/api/v1/tasks/a").await.is(200)["scope"], "default", "the node's own scope comes first");
    node.get("/api/v1/tasks/a?scope=three").await.is(404);
}

#[tokio::test]
async fn a_prefix_finds_one_task_or_tells_the_candidates() {
    let node = Node::start();
    for id in ["fix-login", "fix-logout", "add-x"] {
        node.task(id).await;
    }
    assert_eq!(node.get("/api/v1/tasks/resolve/add").await.is(200), json!({ "id": "add-x", "scope": "default" }));
    assert_eq!(node.get("/api/v1/tasks/resolve/fix-login").await.is(200)["id"], "fix-login");
    let body = node.get("/api/v1/tasks/resolve/fix-log").await.is(409);
    assert_eq!(body["candidates"].as_array().map(Vec::len), Some(2), "{body}");
    node.get("/api/v1/tasks/resolve/zzz").await.is(404);
    node.delete("/api/v1/tasks/add-x").await.is(200);
    node.get("/api/v1/tasks/resolve/add").await.is(404);
}

#[tokio::test]
async fn lists_filter_sort_page_and_count() {
    let node = Node::start();
    for (n, priority) in ["P3", "P0", "P2", "P1", "P0"].iter().enumerate() {
        let role = if n % 2 == 0 { "implement" } else { "review" };
        node.task_with(&format!("t{n}"), json!({ "priority": priority, "role": role, "needs_intervention": n == 2 })).await;
    }
    node.task_with("elsewhere", json!({ "scope": "other" })).await;
    let ids = |body: &Value| -> Vec<String> {
        body["tasks"].as_array().expect("tasks").iter().map(|task| task["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let all = node.get("/api/v1/tasks").await.is(200);
    assert_eq!((all["total"].as_u64(), all["limit"].as_u64(), all["offset"].as_u64()), (Some(5), Some(50), Some(0)));
    assert_eq!(ids(&node.get("/api/v1/tasks?sort=priority").await.is(200)), ["t1", "t4", "t3", "t2", "t0"]);
    assert_eq!(ids(&node.get("/api/v1/tasks?priority=P0,P1&sort=priority").await.is(200)), ["t1", "t4", "t3"]);
    assert_eq!(ids(&node.get("/api/v1/tasks?role=review&sort=priority").await.is(200)), ["t1", "t3"]);
    assert_eq!(ids(&node.get("/api/v1/tasks?needs_intervention=true").await.is(200)), ["t2"]);
    assert_eq!(ids(&node.get("/api/v1/tasks?scope=other").await.is(200)), ["elsewhere"]);
    assert_eq!(node.get("/api/v1/tasks?queue=done,cancelled").await.is(200)["total"], 0);
    let page = node.get("/api/v1/tasks?limit=2&offset=1&sort=priority").await.is(200);
    assert_eq!((ids(&page), page["total"].as_u64()), (vec!["t4".to_owned(), "t3".to_owned()], Some(5)));
    assert_eq!(node.get("/api/v1/tasks?limit=100000").await.is(200)["limit"], 500);
    node.claim("me").await;
    assert_eq!(ids(&node.get("/api/v1/tasks?claimed_by=me").await.is(200)), ["t1"]);
    for bad in [
        "limit=x",
        "limit=-1",
        "limit=",
        "offset=",
        "needs_intervention=",
        "offset=1.5",
        "needs_intervention=maybe",
        "sort=random",
        "limit=1&limit=2",
    ] {
        let name = bad.split('=').next().unwrap_or_default();
        node.get(&format!("/api/v1/tasks?{bad}")).await.refuses(400, &[name]);
    }
}

#[tokio::test]
async fn a_patch_edits_document_fields_and_raises_the_version() {
    let node = Node::start();
    node.task("t").await;
    let edits = json!({
        "title": "new", "content": "c", "priority": "P0", "complexity": "S", "role": "fix", "type": "k", "branch": "b",
        "file_path": "x/y.md", "commits_count": 3, "turns_used": 4, "plan_id": "p", "pr_number": 5, "pr_url": "https://e.org",
        "checks": "c1", "check_results": { "c1": true }, "last_rebase_attempt_at": "2026-01-01T01:00:00+01:00",
        "staging_url": "https://s.org", "review_round": 2, "execution_notes": "n", "hooks": "[]", "flow": "f",
        "flow_overrides": null, "has_plan": true, "auto_accept": true, "needs_rebase": true, "needs_breakdown": true,
        "needs_intervention": true, "orchestrator_id": "o",
    });
    let task = node.patch("/api/v1/tasks/t", edits.clone()).await.is(200);
    for (field, value) in edits.as_object().expect("fields") {
        let expected = match field.as_str() {
            "check_results" => json!(r#"{"c1":true}"#),
            "last_rebase_attempt_at" => json!("2026-01-01T00:00:00.000Z"),
            _ => value.clone(),
        };
        assert_eq!(task[field], expected, "{field}");
    }
    assert!(task["version"].as_u64() > Some(1));
    let cleared = node.patch("/api/v1/tasks/t", json!({ "role": null, "content": null, "pr_number": null })).await.is(200);
    assert_eq!((&cleared["role"], &cleared["content"], &cleared["pr_number"]), (&Value::Null, &Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_patch_refuses_derived_unknown_and_empty_fields_by_name() {
    let node = Node::start();
    node.task("t").await;
    for field in
        ["attempt_count", "rejection_count", "submitted_at", "completed_at", "claimed_at", "created_at", "updated_at", "id", "scope"]
    {
        let value = if field == "scope" { json!("default") } else { json!("5") };
        node.patch("/api/v1/tasks/t", json!({ "title": "x", field: value })).await.refuses(400, &[field]);
    }
    node.patch("/api/v1/tasks/t", json!({ "prioritty": "P1" })).await.refuses(400, &["prioritty"]);
    node.patch("/api/v1/tasks/t", json!({})).await.refuses(400, &["No fields to update"]);
    for (field, value) in [
        ("title", json!(null)),
        ("title", json!(5.0)),
        ("queue", json!("done")),
        ("queue", json!("claimed")),
        ("queue", json!("nowhere")),
        ("last_rebase_attempt_at", json!("yesterday")),
        ("lease_expires_at", json!("soon")),
        ("claimed_by", json!("somebody")),
        ("commits_count", json!("5")),
        ("has_plan", json!(null)),
        ("blocked_by", json!("t")),
        ("blocked_by", json!("nobody")),
    ] {
        node.patch("/api/v1/tasks/t", json!({ field: value })).await.refuses(400, &[field]);
    }
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200)["version"], 1, "nothing was written");
    node.patch("/api/v1/tasks/nobody", json!({ "title": "x" })).await.is(404);
}

#[tokio::test]
async fn the_acting_fields_of_a_patch_move_release_and_renew() {
    let node = Node::start();
    node.task("t").await;
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "backlog" })).await.is(200)["queue"], "backlog");
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "incoming", "claimed_by": null })).await.is(200)["queue"], "incoming");
    let claimed = node.claim("me").await;
    let soon = "2999-01-01T00:00:00Z";
    node.patch("/api/v1/tasks/t", json!({ "lease_expires_at": soon })).await.refuses(400, &["lease_expires_at"]);
    let lease = claimed["lease_expires_at"].as_str().expect("a lease").to_owned();
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "lease_expires_at": lease, "claimed_by": "me" })).await.is(200)["queue"], "claimed");
    let released = node.patch("/api/v1/tasks/t", json!({ "claimed_by": null, "lease_expires_at": null })).await.is(200);
    assert_eq!((released["queue"].as_str(), &released["claimed_by"]), (Some("incoming"), &Value::Null));
    node.claim("me").await;
    let failed = node.patch("/api/v1/tasks/t", json!({ "queue": "failed" })).await.is(200);
    assert_eq!((&failed["claimed_by"], &failed["lease_expires_at"]), (&Value::Null, &Value::Null));
    let kept = node.patch("/api/v1/tasks/t", json!({ "queue": "failed", "claimed_by": "me" })).await.is(200);
    assert_eq!(kept["claimed_by"], "me", "kept for display");
    assert_eq!(node.patch("/api/v1/tasks/t", json!({ "queue": "cancelled" })).await.is(200)["queue"], "cancelled");
    node.patch("/api/v1/tasks/t", json!({ "queue": "cancelled", "title": "no" })).await.is(200);
}

#[tokio::test]
async fn versions_and_etags_guard_against_lost_updates() {
    let node = Node::start();
    node.task("t").await;
    let tag = node.get("/api/v1/tasks/t").await.header("etag").expect("a tag").to_owned();
    let with = |tag: &str| [("if-match", tag.to_owned())];
    let edit = |title: &str| Some(json!({ "title": title }).to_string());
    for (tag, title) in [(tag.as_str(), "one"), ("*", "two"), ("\"3\"", "three"), ("4", "four"), ("W/\"5\", \"77\"", "five")] {
        let headers = with(tag);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node.call(Method::PATCH, "/api/v1/tasks/t", &headers, edit(title)).await.is(200);
    }
    node.call(Method::PATCH, "/api/v1/tasks/t", &[("if-match", &tag)], edit("x")).await.refuses(412, &["6-"]);
    node.call(Method::DELETE, "/api/v1/tasks/t", &[("if-match", "\"1\"")], None).await.is(412);
    node.call(Method::POST, "/api/v1/tasks/t/cancel", &[("if-match", "\"1\"")], None).await.is(412);
    node.patch("/api/v1/tasks/t", json!({ "title": "x", "version": 2 })).await.refuses(409, &["6"]);
    node.patch("/api/v1/tasks/t", json!({ "title": "six", "version": 6 })).await.is(200);
}

#[tokio::test]
async fn a_deleted_task_is_gone_and_frees_those_that_waited() {
    let node = Node::start();
    node.task("a").await;
    assert_eq!(node.task_with("b", json!({ "blocked_by": "a" })).await["blocked_by"], "a");
    assert_eq!(node.delete("/api/v1/tasks/a").await.is(200), json!({ "message": "Task deleted", "task_id": "a" }));
    node.get("/api/v1/tasks/a").await.is(404);
    node.delete("/api/v1/tasks/a").await.is(404);
    assert_eq!(node.get("/api/v1/tasks/b").await.is(200)["blocked_by"], Value::Null);
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], 1);
    for verb in ["cancel", "requeue", "release"] {
        node.post(&format!("/api/v1/tasks/a/{verb}"), json!({})).await.is(404);
    }
}

#[tokio::test]
async fn blockers_clear_one_by_one_and_a_cycle_is_refused() {
    let node = Node::start();
    node.task_with("a", json!({ "priority": "P0" })).await;
    node.task_with("b", json!({ "priority": "P1" })).await;
    assert_eq!(node.task_with("c", json!({ "blocked_by": "a, b" })).await["blocked_by"], "a,b");
    node.patch("/api/v1/tasks/a", json!({ "blocked_by": "c" })).await.refuses(400, &["blocked_by"]);
    node.finish().await;
    assert_eq!(node.get("/api/v1/tasks/c").await.is(200)["blocked_by"], "b");
    node.post("/api/v1/tasks/b/cancel", json!({})).await.is(200);
    assert_eq!(node.get("/api/v1/tasks/c").await.is(200)["blocked_by"], Value::Null);
    assert_eq!(node.claim("me").await["id"], "c");
    assert_eq!(node.task_with("d", json!({ "blocked_by": "a" })).await["blocked_by"], Value::Null, "a finished one blocks nothing");
}
