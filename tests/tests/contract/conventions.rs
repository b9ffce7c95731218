//! What every call has in common.

use serde_json::{Value, json};

use crate::desk::{Ask, Desk, each, with};
use crate::shape::{self, Kind, is_time};

/// Every call that reads a body.
const WRITES: [(&str, &str); 24] = [
    ("POST", "/tasks"),
    ("PATCH", "/tasks/x"),
    ("POST", "/tasks/claim"),
    ("POST", "/tasks/x/renew"),
    ("POST", "/tasks/x/submit"),
    ("POST", "/tasks/x/accept"),
    ("POST", "/tasks/x/reject"),
    ("POST", "/tasks/x/requeue"),
    ("POST", "/tasks/x/release"),
    ("POST", "/tasks/x/cancel"),
    ("POST", "/tasks/x/force-queue"),
    ("POST", "/tasks/x/hooks/h/complete"),
    ("POST", "/projects"),
    ("PATCH", "/projects/x"),
    ("POST", "/drafts"),
    ("PATCH", "/drafts/1"),
    ("PUT", "/flows/x"),
    ("POST", "/roles/register"),
    ("POST", "/messages"),
    ("POST", "/actions"),
    ("PATCH", "/actions/x"),
    ("POST", "/orchestrators/register"),
    ("POST", "/orchestrators/x/heartbeat"),
    ("PATCH", "/orchestrators/x"),
];

/// Every call about a task by its id, with a body that is good.
fn by_id() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("GET", "", json!({})),
        ("PATCH", "", json!({ "title": "x" })),
        ("DELETE", "", json!({})),
        ("POST", "/renew", json!({ "agent_name": "a" })),
        ("POST", "/submit", json!({ "commits_count": 0, "turns_used": 0 })),
        ("POST", "/accept", json!({ "accepted_by": "a" })),
        ("POST", "/reject", json!({ "rejected_by": "a", "reason": "r" })),
        ("POST", "/requeue", json!({})),
        ("POST", "/release", json!({})),
        ("POST", "/cancel", json!({})),
        ("POST", "/force-queue", json!({ "queue": "backlog", "reason": "r" })),
        ("POST", "/force-queue", json!({ "queue": "done", "reason": "r" })),
        ("POST", "/hooks/h/complete", json!({ "status": "passed" })),
        ("GET", "/messages", json!({})),
        ("GET", "/history", json!({})),
        ("GET", "/attempts", json!({})),
        ("GET", "/log", json!({})),
    ]
}

pub async fn an_unknown_route_and_a_wrong_method_are_told_in_json(desk: Desk) {
    let body = desk.send(Ask::new("GET", "/api/v1/nowhere?x=1")).await.is(404);
    assert_eq!((&body["error"], &body["message"]), (&json!("Not Found"), &json!("Endpoint /api/v1/nowhere not found")));
    desk.has_shape(&body, &[("timestamp", Kind::Time)]);
    for (method, path) in
        [("PUT", "/api/v1/tasks"), ("GET", "/api/v1/tasks/x/cancel"), ("POST", "/api/health"), ("PATCH", "/api/v1/projects")]
    {
        let answer = desk.send(Ask::new(method, path).text("{}")).await;
        assert!(!answer.header("allow").is_empty());
        let _ = answer.refuses(405, &["Method Not Allowed"]);
    }
}

pub async fn a_body_that_is_no_json_object_is_refused_by_every_call(desk: Desk) {
    for (method, path) in WRITES {
        let ask = Ask::new(method, desk.path(path));
        for text in ["{", "nonsense"] {
            let _ = desk.send(ask.clone().text(text)).await.refuses(400, &["malformed JSON"]);
        }
        for text in ["[]", "5"] {
            let _ = desk.send(ask.clone().text(text)).await.refuses(400, &["object"]);
        }
        let _ = desk.send(ask.clone().text(vec![0xff, 0xfe])).await.refuses(400, &[]);
        let _ = desk.send(ask.clone().text("{}").header("content-type", "text/plain")).await.refuses(415, &["application/json"]);
        let large = format!("{{\"content\":\"{}\"}}", "x".repeat(256 * 1024));
        let _ = desk.send(ask.text(large)).await.refuses(413, &["262144"]);
    }
}

pub async fn a_field_of_a_wrong_type_is_named(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let task = desk.new_task("u", json!({}));
    let project = json!({ "id": "p", "title": "p", "branch": "b" });
    let action = json!({ "entity_type": "task", "entity_id": "t", "label": "l" });
    let message = json!({ "task_id": "t", "from_actor": "a", "type": "note", "content": "c" });
    for (method, path, good, field, wrong) in [
        ("POST", "/tasks", &task, "id", json!(5)),
        ("POST", "/tasks", &task, "title", json!(5.0)),
        ("POST", "/tasks", &task, "file_path", json!(["x"])),
        ("POST", "/tasks", &task, "auto_accept", json!("yes")),
        ("POST", "/tasks", &task, "pr_number", json!("7")),
        ("POST", "/tasks", &task, "scope", json!(5)),
        ("PATCH", "/tasks/t", &json!({}), "title", json!(5)),
        ("PATCH", "/tasks/t", &json!({}), "has_plan", json!("true")),
        ("PATCH", "/tasks/t", &json!({}), "version", json!("1")),
        ("POST", "/tasks/claim", &json!({ "orchestrator_id": "o", "agent_name": "a" }), "role_filter", json!([5])),
        ("POST", "/tasks/claim", &json!({ "orchestrator_id": "o" }), "agent_name", json!(null)),
        ("POST", "/tasks/t/submit", &json!({ "turns_used": 1 }), "commits_count", json!("1")),
        ("POST", "/tasks/t/accept", &json!({}), "accepted_by", json!(5)),
        ("POST", "/tasks/t/reject", &json!({ "rejected_by": "r" }), "reason", json!({})),
        ("POST", "/tasks/t/force-queue", &json!({ "reason": "r" }), "queue", json!(1)),
        ("POST", "/projects", &project, "auto_accept", json!("yes")),
        ("POST", "/drafts", &json!({}), "title", json!(1)),
        ("POST", "/drafts", &json!({ "title": "t" }), "tags", json!("a,b")),
        ("PUT", "/flows/f", &json!({ "transitions": [] }), "states", json!("incoming")),
        ("POST", "/messages", &message, "content", json!(5)),
        ("POST", "/actions", &action, "label", json!(null)),
        ("POST", "/orchestrators/register", &json!({ "machine_id": "m", "repo_url": "r" }), "cluster", json!(1)),
    ] {
        let body = with(good.clone(), json!({ field: wrong }));
        let _ = desk.send(Ask::new(method, desk.path(path)).json(&body)).await.refuses(400, &[field]);
    }
}

pub async fn a_task_that_is_not_there_is_named_whatever_is_asked_of_it(desk: Desk) {
    for id in ["nobody", "a%20b%2Fc"] {
        for (method, rest, body) in by_id() {
            let ask = Ask::new(method, desk.path(&format!("/tasks/{id}{rest}")));
            let ask = if method == "GET" { ask } else { ask.json(&body) };
            let body = desk.send(ask).await.refuses(404, &["not found"]);
            assert!(body["task_id"].is_string(), "{method} {rest}: {body}");
        }
    }
}

pub async fn what_is_not_there_besides_tasks_is_404(desk: Desk) {
    let unknown = "0".repeat(64);
    for path in [
        "/projects/x",
        "/projects/x/tasks",
        "/drafts/123",
        "/flows/x",
        "/roles/x",
        "/orchestrators/x",
        "/actions/x",
        &format!("/actions/{unknown}"),
    ] {
        let _ = desk.get(path).await.refuses(404, &["not found"]);
    }
    let _ = desk.patch("/projects/x", json!({ "title": "x" })).await.refuses(404, &["not found"]);
    let _ = desk.patch("/drafts/123", json!({ "title": "x" })).await.refuses(404, &["not found"]);
    let _ = desk.patch("/actions/x", json!({ "status": "completed" })).await.refuses(404, &["not found"]);
    let _ = desk.post("/actions/x/execute", json!({})).await.refuses(404, &["not found"]);
    let _ = desk.patch("/orchestrators/x", json!({ "status": "active" })).await.refuses(404, &["not found"]);
    let _ = desk.post("/orchestrators/x/heartbeat", json!({})).await.refuses(404, &["not found"]);
    for path in ["/projects/x", "/drafts/123", "/flows/x"] {
        let _ = desk.delete(path).await.refuses(404, &["not found"]);
    }
}

pub async fn a_foreign_host_and_a_foreign_page_are_turned_away(desk: Desk) {
    let list = || Ask::new("GET", desk.path("/tasks"));
    let _ = desk.send(list().header("host", "evil.example")).await.refuses(421, &["evil.example", "api.hosts"]);
    let _ = desk.send(list().header("origin", "https://evil.example")).await.refuses(403, &["another site"]);
    let answer = desk.send(list().header("origin", desk.url())).await;
    assert!(answer.headers.get("access-control-allow-origin").is_none(), "no CORS");
    let _ = answer.is(200);
}

pub async fn every_list_has_a_limit_an_offset_and_a_total(desk: Desk) {
    for number in 0..3 {
        let id = format!("t{number}");
        let _ = desk.task(&id, json!({})).await;
        let _ = desk.project(&format!("p{number}"), json!({})).await;
        let _ = desk.post("/drafts", json!({ "title": id })).await.is(201);
        let _ = desk.post("/messages", json!({ "task_id": "t0", "from_actor": "a", "type": "note", "content": id })).await.is(201);
        let _ = desk.post("/actions", json!({ "entity_type": "task", "entity_id": "t0", "label": id })).await.is(201);
        let flow = json!({ "states": ["incoming", "claimed", "done", "failed"], "transitions": [] });
        let _ = desk.put(&format!("/flows/f{number}"), flow).await.is(200);
        let machine = json!({ "cluster": "c", "machine_id": id, "repo_url": "r" });
        let _ = desk.post("/orchestrators/register", machine).await.is(201);
    }
    let roles = json!({ "orchestrator_id": "c-t0", "roles": [{ "name": "r0" }, { "name": "r1" }, { "name": "r2" }] });
    let _ = desk.post("/roles/register", roles).await.is(200);
    for (path, name, shape) in [
        ("/tasks", "tasks", &shape::TASK[..]),
        ("/projects", "projects", &shape::PROJECT),
        ("/drafts", "drafts", &shape::DRAFT),
        ("/messages", "messages", &shape::MESSAGE),
        ("/tasks/t0/messages", "messages", &shape::MESSAGE),
        ("/actions", "actions", &shape::ACTION),
        ("/flows", "flows", &shape::FLOW),
        ("/roles", "roles", &shape::ROLE),
        ("/orchestrators", "orchestrators", &shape::ORCHESTRATOR),
    ] {
        let all = desk.get(path).await.is(200);
        desk.has_page(&all, name, shape);
        assert_eq!((&all["total"], &all["offset"], &all["limit"]), (&json!(3), &json!(0), &json!(50)), "{path}");
        let page = desk.get(&format!("{path}?limit=1&offset=1")).await.is(200);
        assert_eq!((&page["total"], &page["offset"], &page["limit"]), (&json!(3), &json!(1), &json!(1)), "{path}");
        assert_eq!(page[name], json!([all[name][1]]), "{path}");
        assert_eq!(desk.get(&format!("{path}?limit=501")).await.is(200)["limit"], 500, "{path}");
        assert_eq!(desk.get(&format!("{path}?offset=9")).await.is(200)[name], json!([]), "{path}");
        for (bad, field) in
            [("limit=x", "limit"), ("limit=-1", "limit"), ("limit=1.5", "limit"), ("offset=x", "offset"), ("offset=-1", "offset")]
        {
            let _ = desk.get(&format!("{path}?{bad}")).await.refuses(400, &[field]);
        }
    }
}

pub async fn a_tag_and_a_version_guard_against_lost_updates(desk: Desk) {
    let made = desk.send(Ask::new("POST", desk.path("/tasks")).json(&desk.new_task("t", json!({})))).await;
    let tag = made.header("etag").to_owned();
    assert!(tag.starts_with("\"1-") && tag.len() == "\"1-00000000\"".len(), "{tag}");
    assert_eq!(made.is(201)["version"], 1);
    assert_eq!(desk.get("/tasks/t").await.header("etag"), tag);
    let edit =
        |value: &str, title: &str| Ask::new("PATCH", desk.path("/tasks/t")).header("if-match", value).json(&json!({ "title": title }));
    let edited = desk.send(edit(&tag, "one")).await;
    assert_ne!(edited.header("etag"), tag);
    assert_eq!(edited.is(200)["version"], 2);
    assert_eq!(desk.send(edit("2", "two")).await.is(200)["version"], 3);
    assert_eq!(desk.send(edit("\"3\"", "three")).await.is(200)["version"], 4);
    let _ = desk.send(edit(&tag, "late")).await.refuses(412, &["4-"]);
    let _ = desk.send(edit("3", "late")).await.refuses(412, &["4-"]);
    for (verb, body) in [("cancel", json!({})), ("accept", json!({ "accepted_by": "a" })), ("requeue", json!({}))] {
        let ask = Ask::new("POST", desk.path(&format!("/tasks/t/{verb}"))).header("if-match", "\"1\"").json(&body);
        let _ = desk.send(ask).await.refuses(412, &[]);
    }
    let _ = desk.send(Ask::new("DELETE", desk.path("/tasks/t")).header("if-match", &tag)).await.refuses(412, &[]);
    let _ = desk.patch("/tasks/t", json!({ "title": "late", "version": 3 })).await.refuses(409, &["version"]);
    let shown = desk.patch("/tasks/t", json!({ "title": "four", "version": 4 })).await.is(200);
    assert_eq!((&shown["title"], &shown["version"]), (&json!("four"), &json!(5)));
}

pub async fn a_request_with_a_key_is_carried_out_once(desk: Desk) {
    let ask = |key: &str, path: &str, body: &Value| Ask::new("POST", desk.path(path)).header("idempotency-key", key).json(body);
    let task = desk.new_task("t", json!({}));
    let first = desk.send(ask(&desk.id("k"), "/tasks", &task)).await;
    let tag = first.header("etag").to_owned();
    let first = first.is(201);
    let again = desk.send(ask(&desk.id("k"), "/tasks", &task)).await;
    assert_eq!((again.header("etag"), &again.body), (tag.as_str(), &first));
    let _ = again.is(201);
    let _ = desk.send(ask(&desk.id("k"), "/tasks", &desk.new_task("u", json!({})))).await.refuses(422, &["Idempotency-Key"]);
    let wish = json!({ "orchestrator_id": "o", "agent_name": "a" });
    let claimed = desk.send(ask(&desk.id("c"), "/tasks/claim", &wish)).await.is(200);
    assert_eq!(desk.send(ask(&desk.id("c"), "/tasks/claim", &wish)).await.is(200)["attempt"], claimed["attempt"]);
    let work = json!({ "commits_count": 1, "turns_used": 1 });
    let done = desk.send(ask(&desk.id("s"), "/tasks/t/submit", &work)).await.is(200);
    assert_eq!(desk.send(ask(&desk.id("s"), "/tasks/t/submit", &work)).await.is(200)["version"], done["version"]);
    let verdict = json!({ "accepted_by": "r" });
    let done = desk.send(ask(&desk.id("a"), "/tasks/t/accept", &verdict)).await.is(200);
    assert_eq!(desk.send(ask(&desk.id("a"), "/tasks/t/accept", &verdict)).await.is(200), done);
    for key in ["", " ", &"x".repeat(256)] {
        // An empty value is none to this test's client.
        if !key.is_empty() {
            let _ = desk.send(ask(key, "/tasks", &task)).await.refuses(400, &["Idempotency-Key"]);
        }
    }
}

pub async fn times_of_clients_are_normalised_or_refused(desk: Desk) {
    let _ = desk.task("t", json!({})).await;
    let shown = desk.patch("/tasks/t", json!({ "last_rebase_attempt_at": "2026-01-01T01:00:00+01:00" })).await.is(200);
    assert_eq!(shown["last_rebase_attempt_at"], "2026-01-01T00:00:00.000Z");
    let action = |at: &str| json!({ "entity_type": "task", "entity_id": "t", "label": "l", "expires_at": at });
    let shown = desk.post("/actions", action("2999-01-01 00:00:00")).await.is(201);
    assert_eq!(shown["expires_at"], "2999-01-01T00:00:00.000Z");
    for wrong in ["yesterday", "2026-13-01T00:00:00Z", "5"] {
        let _ = desk.patch("/tasks/t", json!({ "last_rebase_attempt_at": wrong })).await.refuses(400, &["last_rebase_attempt_at"]);
        let _ = desk.patch("/tasks/t", json!({ "lease_expires_at": wrong })).await.refuses(400, &["lease_expires_at"]);
        let _ = desk.post("/actions", action(wrong)).await.refuses(400, &["expires_at"]);
    }
    assert!(is_time("2026-01-31T12:00:00.000Z") && !is_time("2026-01-31T12:00:00Z") && !is_time("2026-01-31 12:00:00.000Z"));
}

pub async fn a_request_without_a_scope_means_the_nodes_own(desk: Desk) {
    if desk.mode.head {
        return asks_for_scope_and_branch(desk).await;
    }
    let id = desk.id("t");
    let made = desk.send(Ask::new("POST", "/api/v1/tasks").json(&desk.new_task(&id, json!({ "role": id })))).await.is(201);
    assert_eq!(made["scope"], "default");
    let listed = desk.send(Ask::new("GET", format!("/api/v1/tasks?role={id}"))).await.is(200);
    assert_eq!(each(&listed["tasks"], "id"), [id.as_str()]);
    let wish = json!({ "orchestrator_id": "o", "agent_name": "a", "role_filter": id });
    assert_eq!(desk.send(Ask::new("POST", "/api/v1/tasks/claim").json(&wish)).await.is(200)["id"], id);
    let work = json!({ "commits_count": 0, "turns_used": 1 });
    let _ = desk.send(Ask::new("POST", format!("/api/v1/tasks/{id}/submit")).json(&work)).await.is(200);
    let done = desk.send(Ask::new("POST", format!("/api/v1/tasks/{id}/accept")).json(&json!({ "accepted_by": "r" }))).await.is(200);
    assert_eq!((&done["queue"], &done["scope"]), (&json!("done"), &json!("default")));
}

/// The last TypeScript server wanted both.
async fn asks_for_scope_and_branch(desk: Desk) {
    let flow = json!({ "states": ["incoming", "claimed", "done", "failed"], "transitions": [] });
    for (method, path, body) in [
        ("POST", "/tasks", json!({ "id": "t", "file_path": "t.md", "branch": "main" })),
        ("POST", "/tasks", json!({ "id": "t", "file_path": "t.md", "branch": "main", "queue": "done" })),
        ("POST", "/projects", json!({ "id": "p", "title": "p", "branch": "b" })),
        ("POST", "/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a" })),
        ("POST", "/messages", json!({ "task_id": "t", "from_actor": "a", "type": "note", "content": "c" })),
        ("POST", "/actions", json!({ "entity_type": "task", "entity_id": "t", "label": "l" })),
        ("PUT", "/flows/f", flow),
        ("POST", "/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" })),
        ("GET", "/tasks", json!({})),
        ("GET", "/projects", json!({})),
        ("GET", "/messages", json!({})),
        ("GET", "/actions", json!({})),
        ("GET", "/flows", json!({})),
    ] {
        let ask = Ask::new(method, format!("/api/v1{path}"));
        let ask = if method == "GET" { ask } else { ask.json(&body) };
        let _ = desk.send(ask).await.refuses(400, &["scope"]);
    }
    for (path, body) in [
        ("/tasks", json!({ "id": "t", "file_path": "t.md" })),
        ("/tasks", json!({ "id": "t", "file_path": "t.md", "queue": "done" })),
        ("/projects", json!({ "id": "p", "title": "p" })),
    ] {
        let _ = desk.post(path, body).await.refuses(400, &["branch"]);
    }
    let today = Ask::new("POST", "/api/v1/tasks").header("octopoid-compat", "seed");
    let made = desk.send(today.json(&json!({ "id": desk.id("t"), "file_path": "t.md" }))).await.is(201);
    assert_eq!((&made["scope"], &made["auto_accept"]), (&json!("default"), &json!(false)));
}
