//! Actions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{Action, ActionList, ActionPatch, ErrorBody, NewAction};
use octopoid_crdt::action::Status;
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::limits;
use serde_json::Value;

use super::app::App;
use super::commit::json as answer;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::times::{self, now_ms, rfc3339};
use super::{steps, texts};
use crate::ops::{self, Refused, actions};
use crate::store::posts::{ActionEntry, PostFacet, PostQuery};
use crate::store::{Fault, Unit};

/// The most bytes of each JSON field of an action.
const JSON: usize = 64 * 1024;

pub(super) fn view(action: actions::Action) -> Action {
    let entry = action.entry;
    Action {
        id: action.id.to_string(),
        entity_type: entry.entity_type,
        entity_id: entry.entity_id,
        action_type: entry.action_type,
        label: entry.label,
        description: entry.description,
        status: action.status.as_str().to_owned(),
        proposed_by: entry.proposed_by,
        expires_at: entry.expires_ms.map(rfc3339),
        metadata: entry.metadata,
        action_data: entry.action_data,
        result: action.result,
        scope: action.scope,
        created_at: rfc3339(action.created_ms),
        updated_at: rfc3339(action.updated_ms),
        executed_at: action.executed_ms.map(rfc3339),
    }
}

fn status(text: &str) -> Result<Status, Refused> {
    let names = || Status::ALL.map(Status::as_str).join(", ");
    Status::parse(text).ok_or_else(|| Refused::field("status", format!("'{text}' is not one of {}", names())))
}

/// Finds the action that a path names, in the scopes that the caller may see.
async fn find(app: &App, segments: &Segments, call: &Call) -> Result<actions::Action, Refusal> {
    let text = segments.get("id").to_owned();
    let only = call.scope.clone().or_else(|| call.caller.bound().map(str::to_owned));
    let found = match text.parse::<RecordId>() {
        Ok(id) => app.read(move |_, reader| actions::get(reader, &id)).await?,
        Err(_) => None,
    };
    let seen = found.filter(|action| only.is_none_or(|only| only == action.scope));
    let shown = || text.chars().filter(|c| !c.is_control()).take(140).collect::<String>();
    seen.ok_or_else(|| Refusal::NotFound(format!("Action '{}' not found", shown())))
}

/// Lists actions, newest first; what expired before anybody began it is left out.
#[utoipa::path(get, path = "/api/v1/actions", tag = "actions",
    params(("entity_type" = Option<String>, Query, description = "What they are about, by kind, comma separated"),
        ("entity_id" = Option<String>, Query, description = "What they are about, comma separated"),
        ("action_type" = Option<String>, Query, description = "Types, comma separated"),
        ("status" = Option<String>, Query, description = "Statuses, comma separated"),
        ("scope" = Option<String>, Query, description = "Tenant"), ("limit" = Option<u64>, Query, description = "Page size"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = ActionList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<ActionList>, Refusal> {
    let window = params.window()?;
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let statuses = params.list("status").iter().map(|text| status(text)).collect::<Result<Vec<_>, _>>()?;
    let statuses = if statuses.is_empty() { Status::ALL.to_vec() } else { statuses };
    let mut under = vec![
        (PostFacet::ActionEntity, params.list("entity_id")),
        (PostFacet::ActionEntityType, params.list("entity_type")),
        (PostFacet::ActionType, params.list("action_type")),
        (PostFacet::ActionStatus, statuses.into_iter().map(|status| status.as_str().to_owned()).collect()),
    ];
    under.retain(|(_, values)| !values.is_empty());
    let (offset, limit) = (window.offset, window.limit);
    let query = PostQuery { scope, under, answered: None, now_ms: now_ms(), newest: true, offset, limit };
    let read = app.read(move |_, reader| {
        let (page, total) = reader.posts(&query)?;
        let found = page.iter().filter_map(|post| Some((post.record.id(), post.action()?, post.record.payload().wall_ms)));
        let actions = found.map(|(id, entry, wall_ms)| actions::with_state(reader, &id, &query.scope, entry, wall_ms).map(view));
        Ok::<_, Fault>((actions.collect::<Result<Vec<_>, Fault>>()?, total))
    });
    let (actions, total) = read.await?;
    Ok(Json(ActionList { actions, total, offset, limit }))
}

/// Turns JSON into text of a bounded length.
fn json(field: &str, value: Option<Value>) -> Result<Option<String>, Refused> {
    let text = value.filter(|value| !value.is_null()).map(|value| texts::json(field, value)).transpose()?;
    match text {
        Some(text) if text.len() > JSON => Err(Refused::field(field, format!("{} bytes, the limit is {JSON}", text.len()))),
        text => Ok(text),
    }
}

fn label(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::field("label", "is required and must not be empty"));
    }
    texts::line("label", text)
}

/// Proposes an action.
#[utoipa::path(post, path = "/api/v1/actions", tag = "actions", request_body = NewAction,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 201, body = Action), (status = 400, body = ErrorBody)))]
pub(super) async fn create(State(app): State<App>, input: Input<NewAction>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    let action_type = body.action_type.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "proposal".to_owned());
    for (field, text) in [("entity_type", &body.entity_type), ("entity_id", &body.entity_id), ("action_type", &action_type)] {
        texts::label(field, text)?;
    }
    label(&body.label)?;
    let description = body.description.filter(|text| !text.is_empty());
    texts::reason("description", description.as_deref().unwrap_or_default())?;
    let entry = ActionEntry {
        imported: None,
        entity_type: body.entity_type,
        entity_id: body.entity_id,
        action_type,
        label: body.label,
        description,
        proposed_by: steps::by("proposed_by", body.proposed_by)?,
        expires_ms: body.expires_at.filter(|at| !at.is_empty()).map(|at| times::parse("expires_at", &at)).transpose()?,
        metadata: json("metadata", body.metadata)?,
        action_data: json("action_data", body.action_data)?,
    };
    let operation = move |unit: &mut Unit<'_>| Ok(actions::propose(unit, &scope, entry)?);
    app.commit(call.once, operation, |_, action| answer(StatusCode::CREATED, &view(action))).await
}

/// Shows an action, an expired one too.
#[utoipa::path(get, path = "/api/v1/actions/{id}", tag = "actions", params(("id" = String, Path, description = "The action")),
    responses((status = 200, body = Action), (status = 404, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Action>, Refusal> {
    Ok(Json(view(find(&app, &segments, &call).await?)))
}

/// Asks for a proposed action to be executed; the body is not looked at.
#[utoipa::path(post, path = "/api/v1/actions/{id}/execute", tag = "actions",
    params(("id" = String, Path, description = "The action"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 200, body = Action), (status = 400, description = "It is not proposed any more, or has expired", body = ErrorBody),
        (status = 404, body = ErrorBody)))]
pub(super) async fn execute(State(app): State<App>, segments: Segments, input: Input<Value>) -> Result<Response, Refusal> {
    let known = find(&app, &segments, &input.call).await?;
    let operation = move |unit: &mut Unit<'_>| Ok(actions::execute(unit, &known)?);
    app.commit(input.call.once, operation, |_, action| answer(StatusCode::OK, &view(action))).await
}

/// Tells how the execution of an action goes.
#[utoipa::path(patch, path = "/api/v1/actions/{id}", tag = "actions", request_body = ActionPatch,
    params(("id" = String, Path, description = "The action")),
    responses((status = 200, body = Action), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn edit(State(app): State<App>, segments: Segments, input: Input<ActionPatch>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    if body.is_empty() {
        return Err(Refusal::Invalid("No fields to update".to_owned()));
    }
    let next = body.status.as_deref().map(status).transpose()?;
    let result = body.result.map(|value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Some(value.to_string()),
    });
    let long = result.as_ref().and_then(Option::as_ref).map_or(0, String::len);
    if long > limits::TEXT {
        return Err(Refusal::field("result", format!("{long} bytes, the limit is {}", limits::TEXT)));
    }
    let known = find(&app, &segments, &call).await?;
    let operation = move |unit: &mut Unit<'_>| Ok(actions::report(unit, &known, next, result)?);
    app.commit(None, operation, |_, action| answer(StatusCode::OK, &view(action))).await
}
