//! Messages: those that actors write, and what rejections and forced moves said.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{ErrorBody, Message, Messages, NewMessage};
use octopoid_crdt::ids::RecordId;

use super::app::App;
use super::commit::json as answer;
use super::find::find;
use super::input::{Call, Input, Segments};
use super::params::{Params, Window};
use super::refusal::Refusal;
use super::texts;
use super::times::rfc3339;
use crate::ops::Refused;
use crate::ops::messages::{self, Written};
use crate::store::posts::{MessageEntry, Post, PostFacet, PostQuery};
use crate::store::{Fault, Reader, Unit};

/// The longest message, in bytes.
const CONTENT: usize = 64 * 1024;

pub(super) fn view(id: RecordId, scope: String, entry: MessageEntry, wall_ms: u64) -> Message {
    let wall_ms = entry.imported.as_ref().map_or(wall_ms, |there| there.created_ms);
    Message {
        id: id.to_string(),
        task_id: entry.task_id,
        from_actor: entry.from_actor,
        to_actor: entry.to_actor,
        kind: entry.kind,
        content: entry.content,
        thread_id: Some(entry.thread_id.unwrap_or_else(|| id.to_string())),
        parent_message_id: entry.parent_message_id,
        scope,
        created_at: rfc3339(wall_ms),
    }
}

fn posted(scope: &str, post: &Post) -> Option<Message> {
    Some(view(post.record.id(), scope.to_owned(), post.message()?, post.record.payload().wall_ms))
}

/// Reads one page of messages.
fn read(reader: &Reader, query: &PostQuery) -> Result<Messages, Fault> {
    let (page, total) = reader.posts(query)?;
    let messages = page.iter().filter_map(|post| posted(&query.scope, post)).collect();
    Ok(Messages { messages, total, offset: query.offset, limit: query.limit })
}

fn query(scope: String, mut under: Vec<(PostFacet, Vec<String>)>, answered: Option<bool>, window: Window) -> PostQuery {
    under.retain(|(_, values)| !values.is_empty());
    if under.is_empty() {
        under.push((PostFacet::Message, vec![String::new()]));
    }
    PostQuery { scope, under, answered, offset: window.offset, limit: window.limit, ..PostQuery::default() }
}

/// Lists messages, oldest first.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages",
    params(("task_id" = Option<String>, Query, description = "Tasks, comma separated"),
        ("to_actor" = Option<String>, Query, description = "Whom they are for, comma separated"),
        ("from_actor" = Option<String>, Query, description = "Who wrote them, comma separated"),
        ("type" = Option<String>, Query, description = "Types, comma separated"),
        ("thread_id" = Option<String>, Query, description = "The first message of a thread, which is listed too"),
        ("unreplied" = Option<bool>, Query, description = "Only those without an answer"),
        ("scope" = Option<String>, Query, description = "Tenant"), ("limit" = Option<u64>, Query, description = "Page size"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = Messages), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<Messages>, Refusal> {
    let (window, unreplied) = (params.window()?, params.flag("unreplied")?);
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let under = vec![
        (PostFacet::MessageThread, params.list("thread_id")),
        (PostFacet::MessageTask, params.list("task_id")),
        (PostFacet::MessageTo, params.list("to_actor")),
        (PostFacet::MessageFrom, params.list("from_actor")),
        (PostFacet::MessageType, params.list("type")),
    ];
    let query = query(scope, under, unreplied.map(|unreplied| !unreplied), window);
    Ok(Json(app.read(move |_, reader| read(reader, &query)).await?))
}

/// Shows what was said about a task, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/messages", tag = "tasks",
    params(("id" = String, Path, description = "The task"), ("type" = Option<String>, Query, description = "Types, comma separated"),
        ("limit" = Option<u64>, Query, description = "Page size"), ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = Messages), (status = 404, body = ErrorBody)))]
pub(super) async fn of_task(State(app): State<App>, segments: Segments, params: Params, call: Call) -> Result<Json<Messages>, Refusal> {
    let (window, kinds) = (params.window()?, params.list("type"));
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let found = app.read(move |_, reader| {
        let (_, row) = find(reader, &target)?;
        let under = vec![(PostFacet::MessageTask, vec![row.id]), (PostFacet::MessageType, kinds)];
        Ok::<_, Refusal>(read(reader, &query(row.scope, under, None, window))?)
    });
    Ok(Json(found.await?))
}

fn content(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::field("content", "is required and must not be empty"));
    }
    if text.len() > CONTENT {
        return Err(Refused::field("content", format!("{} bytes, the limit is {CONTENT}: link to a file", text.len())));
    }
    texts::body("content", text)
}

/// Writes a message.
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = NewMessage,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 201, body = Message), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create(State(app): State<App>, input: Input<NewMessage>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::label("from_actor", &body.from_actor)?;
    texts::label("type", &body.kind)?;
    content(&body.content)?;
    let to_actor = body.to_actor.filter(|actor| !actor.is_empty());
    to_actor.as_deref().map(|actor| texts::label("to_actor", actor)).transpose()?;
    let parent = body.parent_message_id.filter(|id| !id.is_empty());
    let unknown = |_| Refusal::field("parent_message_id", "is not the id of a message");
    let message = messages::NewMessage {
        task: call.caller.target(&app, call.scope.as_deref(), &body.task_id)?,
        from_actor: body.from_actor,
        to_actor,
        kind: body.kind,
        content: body.content,
        parent: parent.map(|id| id.parse().map_err(unknown)).transpose()?,
    };
    let operation = move |unit: &mut Unit<'_>| Ok(messages::write(unit, message)?);
    let present = |_: &App, written: Written| answer(StatusCode::CREATED, &view(written.id, written.scope, written.entry, written.wall_ms));
    app.commit(call.once, operation, present).await
}
