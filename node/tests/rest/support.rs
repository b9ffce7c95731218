//! A node's API over a store in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::Signer;
use octopoid_node::rest::{ApiToken, App, Auth, Compat, DiffQuery, JoinKeyFile, Settings, router};
use octopoid_node::store::{Identity, OpenError, Store};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The node's own token.
pub const TOKEN: &str = "oct_0123456789abcdef0123456789abcdef";

/// A node without a scheduler.
pub struct Node {
    pub app: App,
    pub store: Arc<Store>,
    pub router: Router,
    pub folder: PathBuf,
    _kept: Option<tempfile::TempDir>,
}

/// What the node answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// Checks the status and gives the body on.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }

    /// Checks that the answer is an error that says all of these.
    #[track_caller]
    pub fn refuses(self, status: u16, parts: &[&str]) {
        let text = self.text.clone();
        let body = self.is(status);
        let said = format!("{} {}", body["error"].as_str().unwrap_or_default(), body["details"]);
        for part in parts {
            assert!(said.contains(part), "'{part}' is not in {text}");
        }
    }

    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn open(folder: &Path, session: u8) -> Arc<Store> {
    let began = Instant::now();
    loop {
        let identity =
            Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([session; 16]), nonce: [3; 16], root_commit: None };
        match Store::open(&folder.join("store.redb"), identity, false) {
            Ok(store) => return Arc::new(store),
            // The node before this one lets go of the file in its own time.
            Err(OpenError::Locked(_)) if began.elapsed() < Duration::from_secs(10) => std::thread::yield_now(),
            Err(error) => panic!("the store does not open: {error}"),
        }
    }
}

fn diff(query: &DiffQuery) -> Result<String, octopoid_node::rest::DiffError> {
    match &query.head {
        Some(head) => Ok(format!("from {:?} to {head}, stat {}\n", query.base, query.stat)),
        None => Err(octopoid_node::rest::DiffError::Nothing(format!("branch {} has no commit", query.branch))),
    }
}

fn render(line: &str) -> Option<String> {
    (!line.is_empty()).then(|| format!("| {line}"))
}

/// Settings of a node on this folder's store.
pub fn settings(folder: &Path, store: Arc<Store>) -> Settings {
    Settings {
        store,
        scope: "default".parse().expect("a scope"),
        machine_id: "mac-studio".to_owned(),
        peer_id: "12D3KooW".to_owned(),
        token: ApiToken::new(TOKEN),
        auth: Auth::Required,
        join_key: JoinKeyFile::open(folder.join("join.key")),
        compat: Compat::Seed,
        hosts: vec!["octo.lan:8787".to_owned(), "home.example".to_owned()],
        cluster: None,
        control: None,
        api_url: None,
        certificate: None,
        logs: folder.join("logs"),
        diff: Some(Arc::new(diff)),
        bring: None,
        idle: None,
        render,
    }
}

impl Node {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts with other settings.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let kept = tempfile::tempdir().expect("a folder");
        let folder = kept.path().to_owned();
        Self::on(folder, Some(kept), 1, change)
    }

    fn on(folder: PathBuf, kept: Option<tempfile::TempDir>, session: u8, change: impl FnOnce(&mut Settings)) -> Self {
        let store = open(&folder, session);
        Self::of(folder, kept, store, change)
    }

    /// Serves a store that is open.
    pub fn on_store(store: Store) -> Self {
        let kept = tempfile::tempdir().expect("a folder");
        Self::of(kept.path().to_owned(), Some(kept), Arc::new(store), |_| {})
    }

    fn of(folder: PathBuf, kept: Option<tempfile::TempDir>, store: Arc<Store>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&folder, store.clone());
        change(&mut settings);
        let app = App::new(settings);
        Self { router: router(app.clone()), app, store, folder, _kept: kept }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, text, body }
    }

    /// Sends a request with the node's token and these further headers.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8787");
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.map_or_else(Body::empty, Body::from)).expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], Some(body.to_string())).await
    }

    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        self.call(Method::POST, path, &[], Some(body.to_owned())).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &[], Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], None).await
    }

    /// Makes a task with defaults.
    pub async fn task(&self, id: &str) -> Value {
        self.task_with(id, json!({})).await
    }

    /// Makes a task with these fields.
    pub async fn task_with(&self, id: &str, fields: Value) -> Value {
        let mut task = json!({ "id": id, "file_path": format!("tasks/{id}.md") });
        for (field, value) in fields.as_object().expect("fields") {
            task[field] = value.clone();
        }
        self.post("/api/v1/tasks", task).await.is(201)
    }

    /// Claims the next task as an agent.
    pub async fn claim(&self, agent: &str) -> Value {
        self.post("/api/v1/tasks/claim", json!({ "orchestrator_id": "prod-m1", "agent_name": agent })).await.is(200)
    }

    /// Claims and submits the next task.
    pub async fn submit(&self, agent: &str) -> Value {
        let id = self.claim(agent).await["id"].as_str().expect("an id").to_owned();
        self.post(&format!("/api/v1/tasks/{id}/submit"), json!({ "commits_count": 1, "turns_used": 3, "agent_name": agent })).await.is(200)
    }

    /// Claims, submits and accepts the next task.
    pub async fn finish(&self) -> Value {
        let id = self.submit("a").await["id"].as_str().expect("an id").to_owned();
        self.post(&format!("/api/v1/tasks/{id}/accept"), json!({ "accepted_by": "r" })).await.is(200)
    }
}

/// A node that can be started again on the same folder.
pub struct Lasting(tempfile::TempDir);

impl Lasting {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn start(&self, session: u8) -> Node {
        Node::on(self.0.path().to_owned(), None, session, |_| {})
    }
}
