//! Where a case sits: one node of a cluster, a scope of its own, and what the node's settings change.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use octopoid_client::{Http, Transport as _};
use octopoid_tests::{Cluster, PATIENCE, until_within};
use serde_json::{Value, json};

/// The largest answer that a case reads.
const ANSWER: usize = 8 << 20;

/// What the settings of a cluster are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Whether one node decides.
    pub served: bool,
    /// Whether its nodes answer as the last TypeScript server did.
    pub head: bool,
}

/// One node's address and key.
#[derive(Debug, Clone)]
struct Place {
    url: String,
    token: String,
    http: Arc<Http>,
}

/// One node as a case calls it. Its scope is the case's own, on this node alone.
#[derive(Debug, Clone)]
pub struct Desk {
    pub mode: Mode,
    /// Which node of the cluster it is, from 0 on; 0 founded it, and decides where one node does.
    pub at: usize,
    /// A tenant that nothing else uses.
    pub scope: String,
    places: Vec<Place>,
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    told: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// Checks the status and gives the body on.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.told, self.text);
        self.body
    }

    /// Checks that it is an error that says all of these, in its text or its details.
    #[track_caller]
    pub fn refuses(self, status: u16, parts: &[&str]) -> Value {
        let told = format!("{}: {}", self.told, self.text);
        let body = self.is(status);
        let error = body["error"].as_str().unwrap_or_else(|| panic!("no text 'error' in {told}"));
        let said = format!("{error} {}", body["details"]);
        for part in parts {
            assert!(said.contains(part), "'{part}' is not in {told}");
        }
        body
    }

    /// Returns a header's text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{} has no {name}", self.told));
        value.to_str().expect("a header of text")
    }
}

/// A call that a case makes as it likes.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        let method = method.parse().expect("a method");
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Sets a header; an empty value leaves one out that is sent otherwise.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends this text as JSON.
    pub fn text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.body = text.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }
}

impl Desk {
    /// Sits down at a node.
    pub fn new(cluster: &Cluster, mode: Mode, at: usize, case: &str) -> Self {
        let place = |machine: &octopoid_tests::Project| {
            let url = machine.node().api_url().to_owned();
            let http = Arc::new(Http::new(&url).expect("an address"));
            Place { token: machine.read(".octopoid/runtime/api.token").trim().to_owned(), url, http }
        };
        let places = cluster.machines.iter().map(place).collect();
        Self { mode, at, scope: format!("{}-{at}", case.replace([':', '_'], "-")), places }
    }

    /// Goes to another node of the cluster, with the same scope.
    pub fn next_door(&self) -> Self {
        self.beside(1)
    }

    /// Goes so many nodes on.
    pub fn beside(&self, steps: usize) -> Self {
        Self { at: (self.at + steps) % self.places.len(), ..self.clone() }
    }

    /// Takes a scope that is named after this one.
    pub fn in_scope(&self, suffix: &str) -> Self {
        Self { scope: format!("{}-{suffix}", self.scope), ..self.clone() }
    }

    /// Names a thing that no other case names.
    pub fn id(&self, name: &str) -> String {
        format!("{}.{name}", self.scope)
    }

    pub fn machine(&self) -> String {
        format!("machine-{}", self.at + 1)
    }

    pub fn url(&self) -> &str {
        &self.places[self.at].url
    }

    pub fn token(&self) -> &str {
        &self.places[self.at].token
    }

    /// Shows a task's flag as the node's setting has it.
    pub fn flag(&self, flag: bool) -> Value {
        if self.mode.head { json!(u8::from(flag)) } else { json!(flag) }
    }

    /// Makes a call with the node's token, unless it brings another header.
    pub async fn send(&self, ask: Ask) -> Answer {
        let mut request = Request::builder().method(ask.method.clone()).uri(&ask.path);
        if !ask.has("authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token()));
        }
        if !ask.body.is_empty() && !ask.has("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in ask.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let told = format!(
            "{} {} at {} with {}",
            ask.method,
            ask.path,
            self.machine(),
            String::from_utf8_lossy(&ask.body).chars().take(400).collect::<String>()
        );
        let request = request.body(ask.body.into()).expect("a request");
        let answer = self.places[self.at].http.call(request).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        let (parts, stream) = answer.into_parts();
        let bytes = to_bytes(Body::from_stream(stream), ANSWER).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { told, status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    /// Asks for something below `/api/v1`, in the case's scope.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Ask::new("GET", self.path(path))).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Ask::new("DELETE", self.path(path))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Ask::new("POST", self.path(path)).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Ask::new("PATCH", self.path(path)).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Ask::new("PUT", self.path(path)).json(&body)).await
    }

    /// Returns the whole path of something below `/api/v1`, with the case's scope.
    pub fn path(&self, path: &str) -> String {
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("/api/v1{path}{joint}scope={}", self.scope)
    }

    /// Returns the fields that a creation needs with this setting, and these.
    pub fn new_task(&self, id: &str, fields: Value) -> Value {
        let mut task = json!({ "id": id, "file_path": format!("tasks/{id}.md") });
        if self.mode.head {
            task["branch"] = json!("main");
        }
        with(task, fields)
    }

    /// Makes a task.
    #[track_caller]
    pub fn task(&self, id: &str, fields: Value) -> impl Future<Output = Value> {
        let (desk, body) = (self.clone(), self.new_task(id, fields));
        async move { desk.post("/tasks", body).await.is(201) }
    }

    /// Makes a project.
    pub async fn project(&self, id: &str, fields: Value) -> Value {
        let branch = if self.mode.head { json!({ "branch": format!("project/{id}") }) } else { json!({}) };
        self.post("/projects", with(with(json!({ "id": id, "title": id }), branch), fields)).await.is(201)
    }

    /// Claims the next task.
    pub async fn claim(&self, agent: &str, fields: Value) -> Answer {
        self.post("/tasks/claim", with(json!({ "orchestrator_id": "o", "agent_name": agent }), fields)).await
    }

    /// Makes a task and claims it.
    pub async fn claimed(&self, id: &str, agent: &str) -> Value {
        let _ = self.task(id, json!({ "role": id })).await;
        let task = self.claim(agent, json!({ "role_filter": id })).await.is(200);
        assert_eq!(task["id"], id);
        task
    }

    /// Makes a task, claims it and hands it in.
    pub async fn submitted(&self, id: &str, agent: &str) -> Value {
        let _ = self.claimed(id, agent).await;
        self.step(id, "submit", json!({ "commits_count": 1, "turns_used": 2, "agent_name": agent })).await.is(200)
    }

    /// Moves a task by one of its verbs.
    pub async fn step(&self, id: &str, verb: &str, body: Value) -> Answer {
        self.post(&format!("/tasks/{id}/{verb}"), body).await
    }

    /// Shows a task.
    pub async fn show(&self, id: &str) -> Value {
        self.get(&format!("/tasks/{id}")).await.is(200)
    }

    /// Waits until this node shows a task as it should be.
    pub async fn until(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/tasks/{id}");
        let look = async || {
            let answer = self.get(&path).await;
            if answer.status == 200 && is(&answer.body) { Ok(answer.body) } else { Err(answer.text) }
        };
        until_within(PATIENCE, look).await.unwrap_or_else(|seen| panic!("{} never shows {id} {what}: {seen}", self.machine()))
    }
}

/// Sets fields of an object.
pub fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, value) in fields {
        object[name] = value;
    }
    object
}

/// Returns one field of every entry of a list.
#[track_caller]
pub fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let entries = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    entries.iter().map(|entry| entry[field].as_str().unwrap_or_else(|| panic!("no text '{field}' in {entry}"))).collect()
}
