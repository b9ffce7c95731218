//! The client against a small real server, over a socket and in this process.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{delete, get, patch, post},
};
use octopoid_client::{
    AcceptRequest, ClaimRequest, Client, ClientError, DiffQuery, ErrorKind, InProcess, Task, TaskFilter, TaskList, TaskPatch, Token,
};
use serde_json::{Value, json};

const TOKEN: &str = "oct_secret";

fn task(id: &str) -> Task {
    Task { id: id.to_owned(), queue: "incoming".to_owned(), ..Task::default() }
}

fn allowed(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == "Bearer oct_secret") && headers.contains_key("host")
}

async fn list(headers: HeaderMap, RawQuery(query): RawQuery) -> impl IntoResponse {
    if !allowed(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "a token is needed"}))).into_response();
    }
    let page = TaskList { tasks: vec![task(&query.unwrap_or_default())], total: 1, offset: 0, limit: 50 };
    Json(page).into_response()
}

async fn show(Path(id): Path<String>) -> impl IntoResponse {
    match id.as_str() {
        "gone" => (StatusCode::NOT_FOUND, Json(json!({"error": "Task not found", "task_id": "gone"}))).into_response(),
        "stranger" => (StatusCode::BAD_GATEWAY, "<html>\nnot ours").into_response(),
        "odd" => Json(json!({"id": 7})).into_response(),
        "slow" => std::future::pending().await,
        _ => Json(task(&id)).into_response(),
    }
}

async fn accept(Path(id): Path<String>, Json(body): Json<Value>) -> impl IntoResponse {
    assert_eq!(body["accepted_by"], "ann");
    match id.as_str() {
        "claimed" => Json(Task { queue: "done".to_owned(), ..task(&id) }).into_response(),
        _ => {
            (StatusCode::CONFLICT, Json(json!({"error": "Cannot accept", "details": ["queue is incoming", "lease ended"]}))).into_response()
        }
    }
}

async fn claim(Json(body): Json<ClaimRequest>) -> impl IntoResponse {
    match body.agent_name.as_str() {
        "busy" => Json(task("next")).into_response(),
        _ => (StatusCode::NOT_FOUND, Json(json!({"message": "No tasks available"}))).into_response(),
    }
}

/// Answers with what the patch held, so that the test sees what went over the wire.
async fn edit(Path(id): Path<String>, body: String) -> impl IntoResponse {
    Json(Task { content: Some(body), ..task(&id) })
}

async fn events(headers: HeaderMap) -> impl IntoResponse {
    let first = headers.get("last-event-id").map_or(1, |id| id.to_str().expect("text").parse::<u64>().expect("number") + 1);
    let event = |id| format!("id: {id}\nevent: task.updated\ndata: {{\"id\":\"{id}\",\"type\":\"task.updated\",\"task_id\":\"a\"}}\n\n");
    let text = format!(": keep-alive\n\n{}{}", event(first), event(first + 1));
    let (head, tail) = text.split_at(37);
    let pieces = [head.to_owned(), tail.to_owned()].map(Ok::<_, std::io::Error>);
    Body::from_stream(tokio_stream::iter(pieces))
}

fn router() -> Router {
    Router::new()
        .route("/api/v1/tasks", get(list))
        .route("/api/v1/tasks/{id}", get(show))
        .route("/api/v1/tasks/{id}", patch(edit))
        .route("/api/v1/tasks/{id}", delete(|| async { Json(json!({"message": "Task deleted", "task_id": "a"})) }))
        .route("/api/v1/tasks/{id}/accept", post(accept))
        .route("/api/v1/tasks/{id}/diff", get(|RawQuery(query): RawQuery| async move { query.unwrap_or_default() }))
        .route("/api/v1/tasks/claim", post(claim))
        .route("/api/v1/events", get(events))
}

/// One client over each transport, on the same routes.
async fn both() -> [Client; 2] {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    tokio::spawn(async move { axum::serve(listener, router()).await });
    let token = || Some(Token::new(" oct_secret\n").expect("token"));
    [Client::http(&url, token()).expect("address"), Client::over(Arc::new(InProcess::new(router())), token())]
}

#[tokio::test]
async fn a_list_sends_its_filter_and_its_token() {
    for client in both().await {
        let filter = TaskFilter { queue: vec!["incoming".to_owned(), "done".to_owned()], limit: Some(3), ..TaskFilter::default() };
        let page = client.tasks(&filter).await.expect("list");
        assert_eq!(page.tasks[0].id, "queue=incoming%2Cdone&limit=3", "{client:?}");
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_denied() {
    let client = Client::over(Arc::new(InProcess::new(router())), None);
    let error = client.tasks(&TaskFilter::default()).await.expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.to_string(), "a token is needed");
}

#[tokio::test]
async fn an_id_reaches_the_node_as_it_is() {
    for client in both().await {
        let id = "a b/c?d%2F..é";
        assert_eq!(client.task(id).await.expect("task").id, id, "{client:?}");
    }
}

#[tokio::test]
async fn a_refusal_tells_its_kind_and_what_the_node_said() {
    for client in both().await {
        let gone = client.task("gone").await.expect_err("404");
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        assert_eq!(gone.body().and_then(|body| body.task_id.as_deref()), Some("gone"));
        let request = AcceptRequest { accepted_by: "ann".to_owned(), reason: None };
        let refused = client.accept("incoming", &request).await.expect_err("409");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert_eq!(refused.to_string(), "Cannot accept: queue is incoming; lease ended");
        assert_eq!(client.accept("claimed", &request).await.expect("accepted").queue, "done");
    }
}

#[tokio::test]
async fn a_stranger_on_the_port_is_told_from_a_node() {
    for client in both().await {
        let stranger = client.task("stranger").await.expect_err("502");
        assert_eq!(stranger.to_string(), "GET /api/v1/tasks/stranger was answered with status 502 and no JSON: is this an Octopoid node?");
        assert_eq!((stranger.status(), stranger.kind()), (Some(502), ErrorKind::Unreachable));
        let odd = client.task("odd").await.expect_err("not a task");
        assert!(matches!(odd, ClientError::Decode { .. }), "{odd:?}");
        assert_eq!(odd.kind(), ErrorKind::Failed);
    }
}

#[tokio::test]
async fn a_patch_sends_null_and_leaves_out_what_stays() {
    for client in both().await {
        let patch = TaskPatch { blocked_by: Some(None), priority: Some("P0".to_owned()), ..TaskPatch::default() };
        let answer = client.patch_task("a", &patch).await.expect("edited");
        assert_eq!(answer.content.as_deref(), Some(r#"{"priority":"P0","blocked_by":null}"#));
    }
}

#[tokio::test]
async fn an_empty_queue_is_no_error() {
    for client in both().await {
        let ask = |name: &str| ClaimRequest { orchestrator_id: "o".to_owned(), agent_name: name.to_owned(), ..ClaimRequest::default() };
        assert_eq!(client.claim(&ask("busy")).await.expect("claimed").map(|task| task.id).as_deref(), Some("next"));
        assert_eq!(client.claim(&ask("idle")).await.expect("nothing to do"), None);
    }
}

#[tokio::test]
async fn events_go_on_after_the_last_one_seen() {
    for client in both().await {
        let mut stream = client.events(None).await.expect("events");
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await.expect("event") {
            assert_eq!((event.kind.as_str(), event.task_id.as_deref()), ("task.updated", Some("a")));
            seen.push(event.id);
        }
        let mut again = client.events(stream.last_id()).await.expect("events");
        seen.push(again.next().await.expect("event").expect("one more").id);
        assert_eq!(seen, ["1", "2", "3"]);
    }
}

#[tokio::test]
async fn a_stream_without_events_tells_where_to_go_on() {
    let quiet = || async { ": connected\nid: 41\n\n" };
    let client = Client::over(Arc::new(InProcess::new(Router::new().route("/api/v1/events", get(quiet)))), None);
    let mut stream = client.events(None).await.expect("events");
    assert_eq!(stream.next().await.expect("an end"), None);
    assert_eq!(stream.last_id(), Some("41"));
}

#[tokio::test]
async fn a_text_streams() {
    for client in both().await {
        let query = DiffQuery { attempt: Some("1-0a".to_owned()), stat: true };
        let mut stream = client.diff("a", &query).await.expect("diff");
        let mut text = Vec::new();
        while let Some(piece) = stream.next().await.expect("piece") {
            text.extend_from_slice(&piece);
        }
        assert_eq!(text, b"attempt=1-0a&stat=true");
    }
}

#[tokio::test]
async fn a_node_that_hangs_is_given_up() {
    for client in both().await {
        let client = client.with_timeout(Duration::from_millis(50));
        let began = std::time::Instant::now();
        let error = client.task("slow").await.expect_err("no answer");
        assert!(began.elapsed() < Duration::from_secs(20), "given up after {:?}", began.elapsed());
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    let error = Client::http(&url, None).expect("address").health().await.expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains(&url), "{error}");
}

#[test]
fn a_token_is_never_shown() {
    let client = Client::http("http://127.0.0.1:1", Some(Token::new(TOKEN).expect("token"))).expect("address");
    assert!(!format!("{client:?}").contains("secret"));
    assert!(matches!(Token::new("oct_\u{7}"), Err(ClientError::BadToken)));
    for address in ["", "127.0.0.1:8787", "file:///etc/passwd"] {
        assert!(Client::http(address, None).is_err(), "{address}");
    }
}
