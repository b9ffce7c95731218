//! Import and export over REST.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::support::{Answer, Node, TOKEN};

const IMPORT: &str = "/api/admin/import";

/// Checks that every row of each table went somewhere, and returns the counts as imported, unchanged, skipped.
#[track_caller]
fn counts(report: &Value) -> BTreeMap<String, (u64, u64, u64)> {
    let tables = report["tables"].as_object().expect("tables");
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for row in report["skipped"].as_array().expect("skipped rows") {
        assert!(!row["reason"].as_str().expect("a reason").is_empty(), "{row}");
        *told.entry(row["table"].as_str().expect("a table")).or_default() += 1;
    }
    let number = |table: &Value, name: &str| table[name].as_u64().expect(name);
    let read = |(name, table): (&String, &Value)| {
        let (imported, unchanged, skipped) = (number(table, "imported"), number(table, "unchanged"), number(table, "skipped"));
        assert_eq!(number(table, "source"), imported + unchanged + skipped, "{name}: {report}");
        assert_eq!(told.get(name.as_str()).copied().unwrap_or(0), skipped, "{name}: every skipped row is told: {report}");
        (name.clone(), (imported, unchanged, skipped))
    };
    tables.iter().map(read).collect()
}

/// A source with one row for each thing that is mapped.
fn version_1() -> Value {
    json!({
        "tasks": [
            { "id": "t-claimed", "file_path": "/home/me/p/.orchestrator/shared/queue/claimed/TASK-t-claimed.md", "queue": "claimed", "priority": "P0",
              "role": "implementer", "branch": "feature/x", "claimed_by": "impl-1", "claimed_at": "2025-01-02T10:00:00", "blocked_by": "",
              "created_at": "2025-01-01 09:00:00", "updated_at": "2025-01-02 10:00:00", "attempt_count": 2, "rejection_count": 1,
              "commits_count": 3, "turns_used": 41, "auto_accept": 1, "has_plan": 0, "lease_expires_at": "2025-01-02T11:00:00Z" },
            { "id": "t-done", "queue": "done", "priority": "P1", "completed_at": "2025-01-03 12:00:00", "created_at": "2025-01-01 08:00:00" },
            { "id": "t-rejected", "queue": "rejected", "created_at": "2025-01-01 07:00:00" },
            { "id": "t-escalated", "queue": "escalated", "priority": "urgent" },
            { "id": "t-recycled", "queue": "recycled" },
            { "id": "t-breakdown", "queue": "breakdown", "role": "implement" },
            { "id": "t-continue", "queue": "needs_continuation" },
            { "id": "t-provisional", "queue": "provisional", "submitted_at": "2025-01-04T10:00:00Z", "pr_number": 7, "checks": "unit, lint", "check_results": "{\"unit\":\"ok\"}" },
            { "id": "t-failed", "queue": "failed", "claimed_by": "impl-2" },
            { "id": "t-waits", "queue": "incoming", "blocked_by": "TASK-t-claimed,t-done,t-nowhere" },
            { "id": "c-1", "queue": "backlog", "blocked_by": "c-2" },
            { "id": "c-2", "queue": "blocked", "blocked_by": "c-1,None" },
            { "id": "not a name", "queue": "incoming" },
            { "id": "t-odd", "queue": "nowhere/else" },
            { "id": "t-done", "queue": "failed" },
            "no row",
        ],
        "task_history": [
            { "id": 1, "task_id": "t-claimed", "event": "created", "agent": null, "details": "", "timestamp": "2025-01-01 09:00:00" },
            { "id": 2, "task_id": "TASK-t-claimed", "event": "rejected", "agent": "rev", "details": "no tests", "timestamp": "2025-01-02T09:00:00" },
            { "id": 3, "task_id": "t-gone", "event": "created", "timestamp": "2025-01-01 09:00:00" },
            { "id": 4, "task_id": "t-done" },
        ],
        "files": {
            "t-claimed": "# [TASK-t-claimed] Claim me\n\nROLE: implement\nBody here.\r\nWIP_BRANCH: agent/t-claimed-9\nMY_KEY: kept",
            "TASK-t-heir": "# [TASK-t-heir] Heir\nORIGINAL_TASK: TASK-t-recycled\n",
            "t-odd": "# [TASK-t-odd] Odd\n",
        },
        "projects": [
            { "id": "p1", "title": "One", "status": "active", "branch": "project/p1", "auto_accept": 1, "created_at": "2025-01-01 00:00:00" },
            { "id": "p 2", "title": "Two" },
        ],
        "drafts": [
            { "id": "idea-a", "title": "An idea", "status": "idea", "tags": "x, y", "created_at": "2025-01-01 00:00:00" },
            { "id": 5, "title": "A numbered one", "status": "draft" },
            { "id": "no-title" },
        ],
        "agents": [{ "name": "impl-1", "role": "implementer", "running": 1, "pid": 4711, "last_run_start": "2025-01-01 00:00:00" }],
    })
}

async fn import(node: &Node, source: &Value, query: &str) -> Value {
    node.post(&format!("{IMPORT}?tz=%2B02:00{query}"), source.clone()).await.is(200)
}

#[tokio::test]
async fn everything_of_version_1_finds_its_place() {
    let node = Node::start();
    let report = import(&node, &version_1(), "").await;
    let counts = counts(&report);
    assert_eq!(counts["tasks"], (12, 0, 4), "{report}");
    assert_eq!(counts["task_history"], (2, 0, 2), "{report}");
    assert_eq!(counts["files"], (1, 0, 2), "{report}");
    assert_eq!((counts["projects"], counts["drafts"], counts["agents"]), ((1, 0, 1), (2, 0, 1), (1, 0, 0)), "{report}");
    for (id, queue) in [
        ("t-claimed", "incoming"),
        ("t-done", "done"),
        ("t-rejected", "cancelled"),
        ("t-escalated", "blocked"),
        ("t-recycled", "cancelled"),
        ("t-breakdown", "incoming"),
        ("t-continue", "needs_continuation"),
        ("t-provisional", "provisional"),
        ("t-failed", "failed"),
        ("c-1", "backlog"),
    ] {
        let task = node.get(&format!("/api/v1/tasks/{id}")).await.is(200);
        assert_eq!(task["queue"], queue, "{id}");
        let held = (&task["lease_expires_at"], &task["holder"], &task["epoch"]);
        assert_eq!(held, (&Value::Null, &Value::Null, &json!(0)), "nobody holds {id}");
    }
    let claimed = node.get("/api/v1/tasks/t-claimed").await.is(200);
    for (field, value) in [
        ("title", json!("Claim me")),
        ("content", version_1()["files"]["t-claimed"].clone()),
        ("file_path", json!("shared/queue/claimed/TASK-t-claimed.md")),
        ("branch", json!("feature/x")),
        ("role", json!("implement")),
        ("priority", json!("P0")),
        ("created_at", json!("2025-01-01T09:00:00.000Z")),
        ("updated_at", json!("2025-01-02T10:00:00.000Z")),
        ("attempt_count", json!(2)),
        ("rejection_count", json!(1)),
        ("commits_count", json!(3)),
        ("turns_used", json!(41)),
        ("auto_accept", json!(true)),
        ("claimed_by", Value::Null),
    ] {
        assert_eq!(claimed[field], value, "{field}");
    }
    let task = async |id: &str| node.get(&format!("/api/v1/tasks/{id}")).await.is(200);
    assert_eq!(task("t-done").await["completed_at"], "2025-01-03T12:00:00.000Z");
    assert_eq!(task("t-provisional").await["submitted_at"], "2025-01-04T10:00:00.000Z");
    assert_eq!(task("t-breakdown").await["role"], "breakdown");
    let escalated = task("t-escalated").await;
    assert_eq!((&escalated["needs_intervention"], &escalated["priority"]), (&json!(true), &json!("P2")));
    assert_eq!(task("t-failed").await["claimed_by"], "impl-2");
    assert_eq!(task("t-waits").await["blocked_by"], "t-claimed", "done ones are dropped, unknown ones too");
    let circle = [task("c-1").await["blocked_by"].clone(), task("c-2").await["blocked_by"].clone()];
    assert_eq!(circle.iter().filter(|blocker| blocker.is_null()).count(), 1, "one edge of the circle is cut: {circle:?}");
    let warnings = report["warnings"].to_string();
    for part in ["'t-nowhere'", "'urgent'", "which waits for it", "it is draft"] {
        assert!(warnings.contains(part), "{part} is not in {warnings}");
    }
}

#[tokio::test]
async fn what_happened_elsewhere_is_told_in_the_history() {
    let node = Node::start();
    import(&node, &version_1(), "").await;
    let events = async |id: &str| {
        let history = node.get(&format!("/api/v1/tasks/{id}/history")).await.is(200);
        let events = history["history"].as_array().expect("events").clone();
        events
            .iter()
            .map(|event| (event["event"].as_str().unwrap_or("").to_owned(), event["details"].as_str().unwrap_or("").to_owned()))
            .collect::<Vec<_>>()
    };
    let claimed = events("t-claimed").await;
    let names: Vec<&str> = claimed.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(names, ["created", "rejected", "migrated_from_claimed", "imported"], "{claimed:?}");
    assert!(claimed[2].1.contains("impl-1") && claimed[2].1.contains("agent/t-claimed-9"), "{claimed:?}");
    let recycled = events("t-recycled").await;
    assert!(recycled.iter().any(|(event, details)| event == "migrated_from_recycled" && details.contains("t-heir")), "{recycled:?}");
    // A new attempt here goes on from the counters.
    node.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "o", "agent_name": "a" })).await.is(200);
    let task = node.post("/api/v1/tasks/t-claimed/requeue", json!({})).await.is(200);
    assert_eq!((&task["attempt_count"], &task["rejection_count"]), (&json!(3), &json!(1)));
    assert_ne!(task["updated_at"], "2025-01-02T10:00:00.000Z", "what happens here counts from here");
    assert_eq!(task["created_at"], "2025-01-01T09:00:00.000Z");
}

#[tokio::test]
async fn an_import_that_is_repeated_changes_nothing() {
    let node = Node::start();
    let first = counts(&import(&node, &version_1(), "").await);
    let before = node.get("/api/v1/node/doctor").await.is(200);
    // What happens here meanwhile does not make the source another one.
    node.patch("/api/v1/tasks/t-waits", json!({ "priority": "P3" })).await.is(200);
    let again = counts(&import(&node, &version_1(), "").await);
    for (table, (imported, unchanged, skipped)) in again {
        assert_eq!((imported, unchanged, skipped), (0, first[&table].0, first[&table].2), "{table}");
    }
    let after = node.get("/api/v1/node/doctor").await.is(200);
    assert_eq!(after["records"].as_u64(), before["records"].as_u64().map(|records| records + 1), "the edit alone");
    assert_eq!(after["ok"], true, "{after}");
    let mut changed = version_1();
    changed["tasks"][1]["priority"] = "P3".into();
    let report = import(&node, &changed, "").await;
    assert!(report["skipped"].to_string().contains("is here and differs"), "{report}");
    assert_eq!(node.get("/api/v1/tasks/t-done").await.is(200)["priority"], "P1");
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nothing() {
    let node = Node::start();
    let records = async || node.get("/api/v1/node/doctor").await.is(200)["records"].clone();
    let before = records().await;
    let mut dry = import(&node, &version_1(), "&dry_run=true").await;
    assert_eq!(dry["dry_run"], true);
    assert_eq!((records().await, node.get("/api/v1/tasks").await.is(200)["total"].clone()), (before, json!(0)));
    let real = import(&node, &version_1(), "").await;
    dry["dry_run"] = false.into();
    assert_eq!(dry, real);
}

#[tokio::test]
async fn a_text_that_does_not_parse_changes_nothing() {
    let node = Node::start();
    let sound = r#"{"id":"a","queue":"incoming"}"#;
    for text in [
        format!("[{sound},"),
        format!("{sound}\n{sound}x"),
        r#"{"tasks":{}}"#.to_owned(),
        r#"{"format":"octopoid-export","version":9,"tasks":[]}"#.to_owned(),
    ] {
        let answer = node.post_text(IMPORT, &text).await;
        assert_eq!(answer.status, 400, "{text}: {}", answer.text);
    }
    node.post(&format!("{IMPORT}?tz=Middle/Earth"), json!([])).await.refuses(400, &["tz", "Middle/Earth"]);
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], 0);
}

#[tokio::test]
async fn only_the_nodes_own_token_imports_and_exports() {
    let node = Node::start();
    let registered =
        node.post("/api/v1/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r", "scope": "default" }));
    let key = registered.await.is(201)["api_key"].as_str().expect("a key").to_owned();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    for (method, path) in [("POST", IMPORT), ("GET", IMPORT), ("GET", "/api/admin/export")] {
        let method = method.parse().expect("a method");
        node.call(method, path, &headers, Some("[]".to_owned())).await.refuses(403, &["node's own token"]);
    }
    let form = [("content-type", "text/plain")];
    let answer = node.call("POST".parse().expect("a method"), IMPORT, &form, Some("[]".to_owned())).await;
    assert_eq!(answer.status, 415, "{}", answer.text);
}

#[tokio::test]
async fn an_import_may_be_larger_than_other_bodies() {
    let node = Node::start();
    let content = "x".repeat(100 << 10);
    let tasks: Vec<Value> = (0..6).map(|n| json!({ "id": format!("t-{n}"), "content": content })).collect();
    let report = node.post(IMPORT, tasks.into()).await.is(200);
    assert_eq!(counts(&report)["tasks"], (6, 0, 0));
    let too_large = json!([{ "id": "large", "content": "y\n".repeat(70 << 10) }, { "id": "sound" }]);
    let report = node.post(IMPORT, too_large).await.is(200);
    assert_eq!(counts(&report)["tasks"], (1, 0, 1), "a body that no task may have costs its row alone: {report}");
    node.post("/api/v1/tasks", json!({ "id": "a", "file_path": "a.md", "content": "z".repeat(300 << 10) })).await.refuses(413, &["262144"]);
    let length = (65u64 << 20).to_string();
    let headers = [("content-length", length.as_str())];
    node.call("POST".parse().expect("a method"), IMPORT, &headers, Some("[]".to_owned())).await.refuses(413, &["67108864"]);
}

/// What two exports must have in common.
fn portable(mut export: Value) -> Value {
    for table in ["tasks", "projects", "task_history", "messages", "actions", "drafts", "flows", "roles", "orchestrators", "agents"] {
        let rows = export[table].as_array_mut().unwrap_or_else(|| panic!("{table}"));
        rows.sort_by_key(Value::to_string);
    }
    export["exported_at"] = Value::Null;
    export
}

/// A node that knows something of every kind.
async fn busy() -> Node {
    let node = Node::start();
    node.post("/api/v1/projects", json!({ "id": "p1", "title": "One", "description": "all\nof it" })).await.is(201);
    node.post("/api/v1/drafts", json!({ "title": "An idea", "tags": ["x"], "author": "me" })).await.is(201);
    let flow = json!({ "states": ["incoming", "claimed", "qa", "done", "failed"], "transitions": [{ "from": "claimed", "to": "qa" }, { "from": "qa", "to": "done" }] });
    node.call("PUT".parse().expect("a method"), "/api/v1/flows/with-qa", &[], Some(flow.to_string())).await.is(200);
    node.post("/api/v1/orchestrators/register", json!({ "cluster": "c", "machine_id": "m", "repo_url": "r" })).await.is(201);
    node.post(
        "/api/v1/roles/register",
        json!({ "orchestrator_id": "c-m", "roles": [{ "name": "implement" }, { "name": "review", "claims_from": "provisional" }] }),
    )
    .await
    .is(200);
    node.task_with("a", json!({ "priority": "P0", "content": "one\ntwo\r\n", "role": "implement", "hooks": [{ "name": "tests" }] })).await;
    node.finish().await;
    node.task_with("b", json!({ "priority": "P0" })).await;
    node.submit("impl-1").await;
    node.post("/api/v1/tasks/b/reject", json!({ "reason": "no tests", "rejected_by": "rev" })).await.is(200);
    node.task_with("c", json!({ "blocked_by": "b", "project_id": "p1", "needs_intervention": true })).await;
    node.task_with("d", json!({ "flow": "with-qa", "queue": "qa" })).await;
    node.task_with("e", json!({ "scope": "other", "queue": "backlog" })).await;
    node.task_with("f", json!({})).await;
    node.post("/api/v1/tasks/f/cancel", json!({ "reason": "not wanted" })).await.is(200);
    let first =
        node.post("/api/v1/messages", json!({ "task_id": "b", "from_actor": "me", "type": "note", "content": "why?" })).await.is(201);
    let answer =
        json!({ "task_id": "b", "from_actor": "you", "to_actor": "me", "type": "note", "content": "so", "parent_message_id": first["id"] });
    node.post("/api/v1/messages", answer).await.is(201);
    let action = json!({ "entity_type": "task", "entity_id": "b", "action_type": "proposal", "label": "Do it", "proposed_by": "me", "action_data": { "k": 1 } });
    let action = node.post("/api/v1/actions", action).await.is(201);
    node.post(&format!("/api/v1/actions/{}/execute", action["id"].as_str().expect("an id")), json!({})).await.is(200);
    node
}

#[tokio::test]
async fn an_export_goes_into_an_empty_node_and_out_again_without_loss() {
    let node = busy().await;
    let export = node.get("/api/admin/export").await.is(200);
    assert_eq!((&export["format"], &export["version"]), (&json!("octopoid-export"), &json!(1)));
    let other = Node::start();
    let report = other.post(IMPORT, export.clone()).await.is(200);
    for (table, (imported, unchanged, skipped)) in counts(&report) {
        assert!(imported > 0 && (unchanged, skipped) == (0, 0), "{table}: {report}");
    }
    let again = other.get("/api/admin/export").await.is(200);
    assert_eq!(portable(again.clone()), portable(export.clone()));
    // Whichever way it goes, it is known everywhere.
    for (node, export) in [(&node, &again), (&other, &export), (&node, &export)] {
        let report = node.post(IMPORT, export.clone()).await.is(200);
        for (table, (imported, _, skipped)) in counts(&report) {
            assert_eq!((imported, skipped), (0, 0), "{table}: {report}");
        }
    }
    let messages = other.get("/api/v1/tasks/b/messages").await.is(200);
    assert_eq!(messages["messages"].as_array().map(Vec::len), Some(3), "{messages}");
    assert_eq!(other.get("/api/v1/node/doctor").await.is(200)["ok"], true);
    let one = node.get("/api/admin/export?scope=other").await.is(200);
    assert_eq!((one["tasks"].as_array().map(Vec::len), &one["tasks"][0]["id"]), (Some(1), &json!("e")));
}

#[tokio::test]
async fn a_claimed_task_is_free_where_it_is_imported() {
    let node = Node::start();
    node.task("a").await;
    node.claim("impl-1").await;
    let export = node.get("/api/admin/export").await.is(200);
    let other = Node::start();
    other.post(IMPORT, export).await.is(200);
    let task = other.get("/api/v1/tasks/a").await.is(200);
    assert_eq!((&task["queue"], &task["claimed_by"], &task["orchestrator_id"]), (&json!("incoming"), &Value::Null, &Value::Null));
    other.claim("impl-2").await;
}

async fn until(what: &str, node: &Node, running: bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while node.get(IMPORT).await.is(200)["running"] != running {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

type Piece = std::io::Result<Bytes>;

/// Sends an import whose body is still on its way; what is sent on is the rest of it.
async fn begun(node: &Arc<Node>, first: &'static str) -> (tokio::task::JoinHandle<Answer>, mpsc::UnboundedSender<Piece>) {
    let (send, receive) = mpsc::unbounded_channel::<Piece>();
    send.send(Ok(first.into())).expect("it listens");
    let body = Body::from_stream(UnboundedReceiverStream::new(receive));
    let request = Request::post(IMPORT).header("host", "127.0.0.1:8787").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {TOKEN}")).body(body).expect("a request");
    let running = tokio::spawn({
        let node = node.clone();
        async move { node.send(request).await }
    });
    until("the import is begun", node, true).await;
    (running, send)
}

#[tokio::test]
async fn of_two_imports_at_once_the_later_is_refused() {
    let node = Arc::new(Node::start());
    import(&node, &version_1(), "").await;
    let (running, rest) = begun(&node, r#"[{"id": "first"#).await;
    let progress = node.get(IMPORT).await.is(200);
    assert_eq!(progress, json!({ "running": true, "done": 0, "total": 0 }), "nothing of the one before is told of it");
    for query in ["", "?dry_run=true"] {
        node.post(&format!("{IMPORT}{query}"), json!([{ "id": "second" }])).await.refuses(409, &["an import is running", "wait"]);
    }
    rest.send(Ok(r#""}]"#.into())).expect("it listens");
    drop(rest);
    assert_eq!(counts(&running.await.expect("it ends").is(200))["tasks"], (1, 0, 0));
    node.get("/api/v1/tasks/second").await.is(404);
    let report = node.post(IMPORT, json!([{ "id": "second" }])).await.is(200);
    assert_eq!(counts(&report)["tasks"], (1, 0, 0), "the place is free again");
}

#[tokio::test]
async fn an_import_that_never_arrived_whole_leaves_room_for_another() {
    let node = Arc::new(Node::start());
    let (running, rest) = begun(&node, r#"[{"id": "first"#).await;
    rest.send(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))).expect("it listens");
    assert!(running.await.expect("it ends").status.is_client_error());
    let (running, _rest) = begun(&node, r#"[{"id": "second"#).await;
    running.abort();
    until("the place is free", &node, false).await;
    assert_eq!(counts(&node.post(IMPORT, json!([{ "id": "third" }])).await.is(200))["tasks"], (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_while_an_import_runs() {
    let node = Arc::new(Node::start());
    let tasks: Vec<Value> = (0..1_500).map(|n| json!({ "id": format!("t-{n}"), "content": "what is to be done" })).collect();
    let running = tokio::spawn({
        let node = node.clone();
        async move { node.post(IMPORT, tasks.into()).await }
    });
    let mut seen = BTreeSet::new();
    while !running.is_finished() {
        let progress = node.get(IMPORT).await.is(200);
        let number = |name: &str| progress[name].as_u64().expect("a number");
        if progress["running"] == true && number("total") > 0 {
            assert_eq!(number("total"), 3_000, "each task is built, and written");
            let done = number("done");
            assert!(done <= 3_000 && seen.last().is_none_or(|before| *before <= done), "{done} after {seen:?}");
            seen.insert(done);
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(counts(&running.await.expect("it ends").is(200))["tasks"], (1_500, 0, 0));
    let (built, written) = (seen.range(1..1_500).count(), seen.range(1_501..3_000).count());
    assert!(built > 0 && written > 0, "of {} looks {built} were while tasks were built, {written} while they were written", seen.len());
    assert_eq!(node.get(IMPORT).await.is(200), json!({ "running": false, "done": 3_000, "total": 3_000 }));
}

#[tokio::test]
async fn columns_without_a_place_here_come_out_as_they_went_in() {
    let node = Node::start();
    let row = json!({ "id": "t", "queue": "incoming", "labels": "[\"urgent\",\"docs\"]", "sprint": "7" });
    node.post(IMPORT, json!({ "tasks": [row] })).await.is(200);
    let export = node.get("/api/admin/export").await.is(200);
    let task = export["tasks"][0].to_string();
    assert!(task.contains("urgent") && task.contains("sprint"), "{task}");
    let other = Node::start();
    other.post(IMPORT, export.clone()).await.is(200);
    let again = other.get("/api/admin/export").await.is(200);
    assert_eq!(portable(again), portable(export));
}
