//! The program itself against a small server that answers in a node's place: what is sent, printed, and how it ends.

use std::{
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use octopoid_client::{Attempts, Event, History, NewTask, NodeStatus, Resolved, Task, TaskList, TaskPatch};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// What the server was asked, to be looked at afterwards.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, Value)>>>);

impl Seen {
    fn keep<T: serde::Serialize>(&self, what: &str, body: &T) {
        self.0.lock().expect("not poisoned").push((what.to_owned(), serde_json::to_value(body).expect("JSON")));
    }

    fn of(&self, what: &str) -> Option<Value> {
        self.0.lock().expect("not poisoned").iter().rev().find(|(name, _)| name == what).map(|(_, body)| body.clone())
    }
}

const TITLE: &str = "Fix \u{1b}[31mit\u{7}";

fn task(id: &str) -> Task {
    let updated_at = "2026-03-01T12:00:00.000Z".to_owned();
    Task { id: id.to_owned(), title: TITLE.to_owned(), queue: "provisional".to_owned(), updated_at, ..Task::default() }
}

fn refused(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

async fn resolve(Path(prefix): Path<String>) -> Response {
    match prefix.as_str() {
        "fix" => {
            let candidates = json!([{"id": "fix-1", "scope": "default"}, {"id": "fix-2", "scope": "default"}]);
            refused(StatusCode::CONFLICT, json!({"error": "'fix' is the beginning of 2 ids", "candidates": candidates}))
        }
        "none" => refused(StatusCode::NOT_FOUND, json!({"error": "Task not found", "task_id": "none"})),
        other => Json(Resolved { id: format!("{other}-whole"), scope: "default".to_owned() }).into_response(),
    }
}

async fn accept(State(seen): State<Seen>, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    seen.keep("accept", &body);
    match id.as_str() {
        "late-whole" => refused(StatusCode::CONFLICT, json!({"error": "Cannot accept", "details": ["queue is incoming"]})),
        _ => Json(Task { queue: "done".to_owned(), ..task(&id) }).into_response(),
    }
}

async fn create(State(seen): State<Seen>, Json(body): Json<NewTask>) -> Response {
    seen.keep("create", &body);
    let queued = Task { queue: "incoming".to_owned(), priority: "P1".to_owned(), role: body.role, ..task(&body.id) };
    (StatusCode::CREATED, Json(queued)).into_response()
}

async fn edit(State(seen): State<Seen>, Path(id): Path<String>, Json(body): Json<TaskPatch>) -> Response {
    seen.keep("patch", &body);
    Json(task(&id)).into_response()
}

async fn list() -> Response {
    let tasks: Vec<Task> = (0..500).map(|number| task(&format!("task-{number}"))).collect();
    Json(TaskList { total: 500, offset: 0, limit: 500, tasks }).into_response()
}

async fn show(Path(id): Path<String>) -> Response {
    let queue = if id.starts_with("finished") { "done" } else { "claimed" };
    Json(Task { queue: queue.to_owned(), ..task(&id) }).into_response()
}

async fn events() -> String {
    let event = Event { id: "1".to_owned(), kind: "task.updated".to_owned(), ..Event::default() };
    format!("id: 1\ndata: {}\n\n", serde_json::to_string(&event).expect("JSON"))
}

/// Lets nobody in without the token, but for the greeting, which must come without it.
async fn guard(request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").is_some_and(|value| value == "Bearer oct_test");
    if token == (request.uri().path() == "/api/health") {
        return refused(StatusCode::UNAUTHORIZED, json!({"error": "the token was sent where it must not be, or is missing"}));
    }
    next.run(request).await
}

/// A project with a node that listens.
struct Project {
    dir: TempDir,
    seen: Seen,
}

impl Project {
    /// Makes a project without a node.
    fn bare() -> Self {
        let dir = tempfile::tempdir().expect("scratch folder");
        std::fs::create_dir_all(dir.path().join(".octopoid/runtime")).expect("runtime");
        std::fs::create_dir_all(dir.path().join("deep/below")).expect("folder");
        Self { dir, seen: Seen::default() }
    }

    async fn new() -> Self {
        let project = Self::bare();
        let router = Router::new()
            .route(
                "/api/health",
                get(|| async {
                    Json(json!({"status": "healthy", "version": "2.0.0", "timestamp": "", "database": "connected", "node": "here"}))
                }),
            )
            .route("/api/v1/tasks", get(list).post(create))
            .route("/api/v1/tasks/resolve/{prefix}", get(resolve))
            .route("/api/v1/tasks/{id}", patch(edit).get(show))
            .route("/api/v1/tasks/{id}/accept", post(accept))
            .route("/api/v1/tasks/{id}/attempts", get(|| async { Json(Attempts::default()) }))
            .route("/api/v1/tasks/{id}/history", get(|| async { Json(History::default()) }))
            .route("/api/v1/tasks/{id}/diff", get(|| async { "+red \u{1b}[31m\n" }))
            .route(
                "/api/v1/roles",
                get(|| async { Json(json!({"roles": [{"name": "translate", "claims_from": null, "description": null}]})) }),
            )
            .route("/api/v1/events", get(events))
            .route("/api/v1/node/status", get(|| async { Json(NodeStatus::default()) }))
            .layer(middleware::from_fn(guard))
            .with_state(project.seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        project.write("node.json", &json!({"pid": std::process::id(), "api_url": url, "machine_id": "here", "peer_id": ""}).to_string());
        project.write("api.token", "oct_test\n");
        project
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(".octopoid/runtime").join(name), text).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octopoid"));
        command
            .args(args)
            .current_dir(self.dir.path().join("deep/below"))
            .env_remove("OCTOPOID_DIR")
            .env("USER", "ann")
            .stdin(Stdio::null());
        command.env_remove("VISUAL").env("TMPDIR", self.dir.path());
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.expect("the program runs")
    }

    async fn done(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not one JSON value: {error}: {text}"))
}

#[tokio::test]
async fn a_prefix_is_resolved_and_the_user_is_named() {
    let project = Project::new().await;
    assert_eq!(project.done(&["accept", "add"]).await, "add-whole: accepted\n");
    assert_eq!(project.seen.of("accept").expect("asked")["accepted_by"], "ann");
    let json = value(&project.done(&["accept", "add", "--json"]).await);
    assert_eq!((json["id"].as_str(), json["queue"].as_str()), (Some("add-whole"), Some("done")));
}

#[tokio::test]
async fn failures_have_their_exit_codes_and_a_hint() {
    let project = Project::new().await;
    for (args, code, said) in [
        (["accept", "late"], 4, "hint: 'octopoid show late-whole'"),
        (["accept", "fix"], 2, "hint: name one of fix-1, fix-2"),
        (["accept", "none"], 1, "hint: 'octopoid list'"),
        (["logs", "--raw"], 2, "hint: octopoid logs ID --raw"),
        (["enqueue", " "], 2, "the description is empty"),
        (["enqueue", "--role=nope"], 2, "required"),
    ] {
        let output = project.run(&args).await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
    }
}

#[tokio::test]
async fn a_failure_is_one_json_value_too() {
    let project = Project::new().await;
    let output = project.run(&["--json", "accept", "late"]).await;
    let json = value(&text(&output.stdout));
    assert_eq!((json["error"].as_str(), json["exit_code"].as_u64()), (Some("late-whole: Cannot accept: queue is incoming"), Some(4)));
}

#[tokio::test]
async fn without_a_project_init_is_named() {
    let dir = tempfile::tempdir().expect("scratch folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_octopoid"));
    let output = command.arg("list").current_dir(dir.path()).env_remove("OCTOPOID_DIR").output().await.expect("runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("run 'octopoid init'"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_node_file_of_a_process_that_is_gone_or_of_a_stranger_gets_no_token() {
    let project = Project::new().await;
    let file = std::fs::read_to_string(project.dir.path().join(".octopoid/runtime/node.json")).expect("node.json");
    for stale in [file.replace(&std::process::id().to_string(), "999999999"), file.replace("\"here\"", "\"elsewhere\""), "{half".to_owned()]
    {
        project.write("node.json", &stale);
        let output = project.run(&["accept", "add"]).await;
        assert_ne!(output.status.code(), Some(0), "{stale}");
        assert!(project.seen.of("accept").is_none(), "{stale}");
    }
}

#[tokio::test]
async fn enqueue_makes_a_readable_id_and_sends_what_was_asked() {
    let project = Project::new().await;
    let body = project.dir.path().join("body.md");
    std::fs::write(&body, "More.\n").expect("written");
    let body = body.to_str().expect("UTF-8");
    let args = [
        "enqueue",
        "Add login\nSoon.",
        "--role",
        "translate",
        "--priority",
        "p1",
        "--blocked-by",
        "a",
        "--blocked-by",
        "b",
        "--body",
        body,
    ];
    let id = project.done(&args).await;
    assert!(id.starts_with("add-login-"), "{id}");
    let sent = project.seen.of("create").expect("sent");
    assert_eq!(sent["id"], id.trim_end());
    assert_eq!(sent["file_path"], format!("tasks/incoming/TASK-{}.md", id.trim_end()));
    assert_eq!((&sent["title"], &sent["content"]), (&json!("Add login"), &json!("Soon.\n\nMore.\n")));
    assert_eq!((&sent["priority"], &sent["blocked_by"]), (&json!("P1"), &json!("a-whole,b-whole")));
    let again = project.done(&args).await;
    assert_ne!(id, again);
    let unknown = project.run(&["enqueue", "x", "--role", "translat"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    let stderr = text(&unknown.stderr);
    assert!(stderr.contains("breakdown, docs, fix, implement, research, review, test, translate"), "{stderr}");
}

#[tokio::test]
async fn an_edit_sends_what_it_names_and_an_editor_what_was_changed() {
    let project = Project::new().await;
    project.done(&["edit", "a", "--priority", "P0", "--blocked-by", ""]).await;
    assert_eq!(project.seen.of("patch"), Some(json!({"priority": "P0", "blocked_by": null})));

    let editor = project.dir.path().join("editor.sh");
    std::fs::write(&editor, "sed -i 's/^role:.*/role: fix/; s/^branch:.*/branch: main/; s/^priority:.*/priority: P2/' \"$2\"\n")
        .expect("written");
    let editor = format!("sh {} --wait", editor.display());
    let output = project.command(&["edit", "a"]).env("EDITOR", editor).output().await.expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(project.seen.of("patch"), Some(json!({"priority": "P2", "role": "fix", "branch": "main", "version": 0})));

    let output = project.command(&["edit", "a"]).env("EDITOR", "false").output().await.expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let left = std::fs::read_dir(project.dir.path())
        .expect("folder")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("octopoid-"));
    assert_eq!(left.count(), 0, "a form that can be read is not kept");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let project = Project::new().await;
    let mut child = project.command(&["list", "--limit", "500"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().await.expect("ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let json = value(&project.done(&["list", "--json", "--limit", "500"]).await);
    assert_eq!(json.as_array().map(Vec::len), Some(500));
}

#[tokio::test]
async fn what_a_task_says_cannot_steer_the_terminal_and_a_diff_stays_as_it_is() {
    let project = Project::new().await;
    let shown = project.done(&["show", "a"]).await;
    assert!(shown.contains("Fix [31mit") && !shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    assert_eq!(project.done(&["diff", "a"]).await, "+red \u{1b}[31m\n");
    assert_eq!(value(&project.done(&["diff", "a", "--json"]).await)["diff"], "+red \u{1b}[31m\n");
}

#[tokio::test]
async fn waiting_ends_in_the_queue_at_the_time_or_when_it_is_hopeless() {
    let project = Project::new().await;
    assert_eq!(project.done(&["wait", "finished"]).await, "finished-whole: done\n");
    for (args, said) in [
        (["wait", "finished", "--queue=provisional"], "is in done and will not be in provisional"),
        (["wait", "busy", "--timeout=1"], "is still in claimed after 1 s"),
    ] {
        let output = project.run(&args).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}
