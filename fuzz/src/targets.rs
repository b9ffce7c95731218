//! What each fuzz target does with its bytes; the suite replays the corpus through the same functions.
//!
//! **Invariants**: whatever the bytes are, nothing panics, and what is taken in reads the same when it is written again.

use octopoid_crdt::document::{Actor, Document, Fields};
use octopoid_crdt::ids::{AuthorKey, ClusterId, SessionId};
use octopoid_crdt::peer::join::{JoinFrame, Ticket};
use octopoid_crdt::peer::{Message, Renewal};
use octopoid_crdt::record::Verified;

pub use rest::rest;

/// Reads bytes as a record: behind its signature, and with it.
pub fn record(data: &[u8]) {
    let cluster = ClusterId([0; 32]);
    if let Ok(record) = Verified::from_own_store(cluster, data) {
        assert_eq!(record.wire(), data, "a record is kept byte for byte");
        let payload = record.payload().encode().expect("what was decoded can be encoded");
        assert_eq!(Some(payload.as_slice()), data.len().checked_sub(64).and_then(|end| data.get(..end)), "one statement has one form");
    }
    if let Ok(record) = Verified::check(cluster, data) {
        assert_eq!(Verified::from_own_store(cluster, data).map(|record| record.id()).ok(), Some(record.id()));
    }
}

/// Reads bytes as a frame of a member.
pub fn frame(data: &[u8]) {
    if let Ok(Some(message)) = Message::decode(data) {
        assert_eq!(message.encode().expect("what was read can be written"), data, "a frame has one form");
    }
    if let Ok(renewal) = Renewal::decode(data) {
        assert_eq!(renewal.wire(), data, "a renewal has one form");
    }
}

/// Reads bytes as a step of joining, by whoever sends it.
pub fn join(data: &[u8]) {
    if let Ok(frame) = JoinFrame::decode(data) {
        assert_eq!(frame.encode().expect("what was read can be written"), data, "a step has one form");
    }
}

/// Reads bytes as a ticket's text.
pub fn ticket(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_text().expect("what was read can be written"), text.trim(), "a ticket has one form");
    }
}

/// Reads bytes as a task file of version 1.
pub fn task_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = octopoid_node::migrate::task_file::parse(&text);
    for (key, value) in &file.keys {
        let line = |line: &str| line.split_once(':').is_some_and(|(known, rest)| known == key && rest.trim() == value);
        assert!(text.trim_start_matches('\u{feff}').lines().any(line), "{key} says {value:?}, which no line says");
    }
    let title = |title: &String| text.contains(title.as_str());
    assert!(file.title.as_ref().is_none_or(title) && file.id.as_ref().is_none_or(title), "the heading is part of the text");
}

/// Reads bytes as what an import may be sent, and plans what becomes of it.
pub fn import(data: &[u8]) {
    use octopoid_node::migrate::{Plan, Table, Zone, read};
    let Ok(tables) = read(data) else { return };
    let counts: Vec<(Table, u64)> = Table::ALL.into_iter().map(|table| (table, tables.count(table))).collect();
    let plan = Plan::of(tables, "default", &Zone::UTC, &|_, _| false);
    for (table, source) in counts {
        let planned = match table {
            Table::Tasks => plan.tasks.len() as u64,
            Table::TaskHistory => plan.tasks.iter().map(|task| task.history_rows).sum(),
            Table::Files => plan.tasks.iter().filter(|task| task.file.is_some()).count() as u64,
            Table::Projects => plan.projects.len() as u64,
            Table::Drafts => plan.drafts.len() as u64,
            Table::Messages => plan.messages.len() as u64,
            Table::Actions => plan.actions.len() as u64,
            Table::Flows => plan.flows.len() as u64,
            Table::Roles => plan.roles.len() as u64,
            Table::Orchestrators => plan.orchestrators.len() as u64,
            Table::Agents => plan.agents.len() as u64,
        };
        let skipped = plan.skipped.iter().filter(|row| row.table == table).count() as u64;
        assert_eq!(source, planned + skipped, "every row of {} is planned or skipped: {:?}", table.as_str(), plan.skipped);
    }
}

/// Offers bytes as a change to a small document.
pub fn gate(data: &[u8]) {
    let mut document = base();
    if document.admit(data, actor(2)).is_ok() {
        let saved = document.save();
        let read = Document::load_stored(&saved).expect("what the gate admits loads again");
        assert_eq!(read.fields(), document.fields());
        document.edit(actor(1), &[octopoid_crdt::document::Edit::set("title", "after")]).expect("it can be edited on");
    }
}

fn actor(n: u8) -> Actor {
    Actor { author: AuthorKey([n; 32]), session: SessionId([n; 16]) }
}

/// The document that the golden changes of the gate were written for.
fn base() -> Document {
    let fields = Fields::default().with("title", "Add login").with_content("one\ntwo").with_entry("blocked_by", "T-1");
    Document::create(actor(1), &fields).expect("a document").0
}

mod rest {
    use std::sync::OnceLock;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Method, Request};
    use http_body_util::BodyExt as _;
    use octopoid_crdt::ids::SessionId;
    use octopoid_crdt::record::Signer;
    use octopoid_node::rest::{ApiToken, App, Auth, Compat, Settings, router};
    use octopoid_node::store::{Identity, Store};
    use tower::ServiceExt as _;

    const TOKEN: &str = "oct_0123456789abcdef0123456789abcdef";

    /// Every call with a JSON body; the first byte of the data chooses one, the rest is the body.
    const CALLS: [(&str, &str); 18] = [
        ("POST", "/api/v1/tasks"),
        ("PATCH", "/api/v1/tasks/known"),
        ("POST", "/api/v1/tasks/claim"),
        ("POST", "/api/v1/tasks/known/renew"),
        ("POST", "/api/v1/tasks/known/submit"),
        ("POST", "/api/v1/tasks/known/accept"),
        ("POST", "/api/v1/tasks/known/reject"),
        ("POST", "/api/v1/tasks/known/requeue"),
        ("POST", "/api/v1/tasks/known/release"),
        ("POST", "/api/v1/tasks/known/cancel"),
        ("POST", "/api/v1/tasks/known/force-queue"),
        ("POST", "/api/v1/tasks/known/hooks/tests/complete"),
        ("POST", "/api/v1/projects"),
        ("PATCH", "/api/v1/projects/known"),
        ("POST", "/api/v1/orchestrators/register"),
        ("POST", "/api/v1/orchestrators/known/heartbeat"),
        ("PATCH", "/api/v1/orchestrators/known"),
        ("POST", "/api/v1/node/gc"),
    ];

    struct Api {
        runtime: tokio::runtime::Runtime,
        router: Router,
        _folder: tempfile::TempDir,
    }

    fn api() -> &'static Api {
        static API: OnceLock<Api> = OnceLock::new();
        API.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let folder = tempfile::tempdir().expect("a folder");
            let identity = Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([1; 16]), nonce: [3; 16], root_commit: None };
            let store = Store::open(&folder.path().join("store.redb"), identity, false).expect("a store");
            let app = App::new(Settings {
                store: store.into(),
                scope: "default".parse().expect("a scope"),
                machine_id: "fuzz".to_owned(),
                peer_id: "fuzz".to_owned(),
                token: ApiToken::new(TOKEN),
                auth: Auth::Required,
                join_key: octopoid_node::rest::JoinKeyFile::open(folder.path().join("join.key")),
                compat: Compat::Seed,
                hosts: Vec::new(),
                cluster: None,
                control: None,
                api_url: None,
                certificate: None,
                logs: folder.path().join("logs"),
                diff: None,
                idle: None,
                bring: None,
                render: |_| None,
            });
            let api = Api { runtime, router: router(app), _folder: folder };
            api.send("POST", "/api/v1/tasks", br#"{"id":"known","file_path":"known.md"}"#);
            api.send("POST", "/api/v1/projects", br#"{"id":"known","title":"known"}"#);
            api
        })
    }

    impl Api {
        /// Sends a request and returns the status and what was answered.
        fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
            let request = Request::builder()
                .method(Method::from_bytes(method.as_bytes()).expect("a method"))
                .uri(path)
                .header("host", "127.0.0.1:8787")
                .header("authorization", format!("Bearer {TOKEN}"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_vec()))
                .expect("a request");
            self.runtime.block_on(async {
                let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                let status = response.status().as_u16();
                (status, response.into_body().collect().await.expect("a body").to_bytes().to_vec())
            })
        }
    }

    /// Sends bytes as a request's body.
    pub fn rest(data: &[u8]) {
        let Some((choice, body)) = data.split_first() else { return };
        let (method, path) = CALLS[usize::from(*choice) % CALLS.len()];
        let (status, answer) = api().send(method, path, body);
        let text = String::from_utf8_lossy(&answer);
        // 503 is what calls to a scheduler get that does not run here.
        assert!(status < 500 || status == 503, "{method} {path} answers {status}: {text}");
        let json: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{method} {path} answers no JSON: {text}"));
        // "No tasks available" is a message by contract.
        let said = json["error"].is_string() || json["message"].is_string();
        assert!(status < 400 || said, "{method} {path} answers {status} without an error: {text}");
    }
}
