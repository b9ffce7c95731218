//! Drafts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{Draft, DraftDeleted, DraftList, DraftPatch, ErrorBody, NewDraft};

use super::app::App;
use super::commit::json as answer;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::texts;
use super::times::rfc3339;
use super::wanted::Wanted;
use crate::ops::{self, Refused, drafts};
use crate::store::Unit;

/// How many tags a draft has at most.
const TAGS: usize = 64;

pub(super) fn view(draft: drafts::Draft) -> Draft {
    let stored = draft.stored;
    Draft {
        id: draft.id,
        title: stored.title,
        status: stored.status,
        author: stored.author,
        domain: stored.domain,
        file_path: stored.file_path,
        linked_task_id: stored.linked_task_id,
        linked_project_id: stored.linked_project_id,
        tags: stored.tags,
        scope: draft.scope,
        created_at: rfc3339(draft.created_ms),
        updated_at: rfc3339(draft.updated_ms),
    }
}

/// Reads the number in a path.
fn number(segments: &Segments) -> Result<u64, Refusal> {
    let text = segments.get("id");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten();
    let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    id.ok_or_else(|| Refusal::field("id", format!("'{shown}' is not the id of a draft, which is an integer")))
}

/// Finds the draft that a path names.
async fn find(app: &App, segments: &Segments, call: &Call) -> Result<drafts::Draft, Refusal> {
    let (id, wanted) = (number(segments)?, Wanted::of(app, call)?);
    app.read(move |_, reader| {
        let others = || reader.document_scopes(drafts::COLLECTION);
        wanted.find("Draft", &id.to_string(), others, |scope| drafts::find(reader, scope, id))
    })
    .await
}

fn title(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::field("title", "is required and must not be empty"));
    }
    texts::line("title", text)
}

/// Reads a text that may be left out; an empty one counts as none.
fn optional(field: &str, text: Option<String>, check: fn(&str, &str) -> Result<(), Refused>) -> Result<Option<String>, Refused> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        check(field, text)?;
    }
    Ok(text)
}

fn name(field: &str, text: &str) -> Result<(), Refused> {
    ops::name(field, text).map(drop)
}

/// Turns tags into JSON text.
fn tags(tags: Option<Vec<String>>) -> Result<Option<String>, Refused> {
    let Some(tags) = tags else { return Ok(None) };
    if tags.len() > TAGS {
        return Err(Refused::field("tags", format!("{} tags, the limit is {TAGS}", tags.len())));
    }
    tags.iter().try_for_each(|tag| texts::label("tags", tag))?;
    Ok(Some(serde_json::Value::from(tags).to_string()))
}

/// Lists drafts, newest first.
#[utoipa::path(get, path = "/api/v1/drafts", tag = "drafts",
    params(("status" = Option<String>, Query, description = "Statuses, comma separated"),
        ("author" = Option<String>, Query, description = "Authors, comma separated"),
        ("domain" = Option<String>, Query, description = "Domains, comma separated"),
        ("linked_task_id" = Option<String>, Query, description = "Tasks, comma separated"),
        ("linked_project_id" = Option<String>, Query, description = "Projects, comma separated"),
        ("scope" = Option<String>, Query, description = "Tenant"), ("limit" = Option<u64>, Query, description = "Page size"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = DraftList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<DraftList>, Refusal> {
    let (window, statuses) = (params.window()?, params.list("status"));
    statuses.iter().try_for_each(|text| drafts::status(text))?;
    let filters = ["author", "domain", "linked_task_id", "linked_project_id"].map(|field| params.list(field));
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let mut found = app.read(move |_, reader| drafts::list(reader, &scope)).await?;
    found.retain(|draft| {
        let stored = &draft.stored;
        let shown = [&stored.author, &stored.domain, &stored.linked_task_id, &stored.linked_project_id];
        let fits = |(wanted, value): (&Vec<String>, &Option<String>)| {
            wanted.is_empty() || value.as_ref().is_some_and(|value| wanted.contains(value))
        };
        (statuses.is_empty() || statuses.contains(&stored.status)) && filters.iter().zip(shown).all(fits)
    });
    let (page, total) = window.cut(found);
    Ok(Json(DraftList { drafts: page.into_iter().map(view).collect(), total, offset: window.offset, limit: window.limit }))
}

/// Makes a draft.
#[utoipa::path(post, path = "/api/v1/drafts", tag = "drafts", request_body = NewDraft,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 201, body = Draft), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create(State(app): State<App>, input: Input<NewDraft>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    title(&body.title)?;
    let status = body.status.filter(|status| !status.is_empty()).unwrap_or_else(|| "idea".to_owned());
    drafts::status(&status)?;
    let stored = drafts::Stored {
        title: body.title,
        status,
        author: optional("author", body.author, texts::label)?,
        domain: optional("domain", body.domain, texts::label)?,
        file_path: optional("file_path", body.file_path, texts::file_path)?,
        linked_task_id: optional("linked_task_id", body.linked_task_id, name)?,
        linked_project_id: optional("linked_project_id", body.linked_project_id, name)?,
        tags: tags(body.tags)?,
    };
    let operation = move |unit: &mut Unit<'_>| Ok(drafts::create(unit, &scope, &stored)?);
    app.commit(call.once, operation, |_, draft| answer(StatusCode::CREATED, &view(draft))).await
}

/// Shows a draft.
#[utoipa::path(get, path = "/api/v1/drafts/{id}", tag = "drafts",
    params(("id" = u64, Path, description = "The draft"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Draft), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Draft>, Refusal> {
    Ok(Json(view(find(&app, &segments, &call).await?)))
}

/// Edits a draft.
#[utoipa::path(patch, path = "/api/v1/drafts/{id}", tag = "drafts", request_body = DraftPatch,
    params(("id" = u64, Path, description = "The draft"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Draft), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn edit(State(app): State<App>, segments: Segments, input: Input<DraftPatch>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    number(&segments)?;
    if body.is_empty() {
        return Err(Refusal::Invalid("No fields to update".to_owned()));
    }
    body.title.as_deref().map(title).transpose()?;
    body.status.as_deref().map(drafts::status).transpose()?;
    let changes = drafts::Changes {
        title: body.title,
        status: body.status,
        author: body.author.map(|text| optional("author", text, texts::label)).transpose()?,
        domain: body.domain.map(|text| optional("domain", text, texts::label)).transpose()?,
        file_path: body.file_path.map(|text| optional("file_path", text, texts::file_path)).transpose()?,
        linked_task_id: body.linked_task_id.map(|text| optional("linked_task_id", text, name)).transpose()?,
        linked_project_id: body.linked_project_id.map(|text| optional("linked_project_id", text, name)).transpose()?,
        tags: body.tags.map(tags).transpose()?,
    };
    let known = find(&app, &segments, &call).await?;
    let scope = ops::name("scope", &known.scope)?;
    let operation = move |unit: &mut Unit<'_>| Ok(drafts::edit(unit, &scope, known.id, changes)?);
    app.commit(None, operation, |_, draft| answer(StatusCode::OK, &view(draft))).await
}

/// Deletes a draft.
#[utoipa::path(delete, path = "/api/v1/drafts/{id}", tag = "drafts",
    params(("id" = u64, Path, description = "The draft"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = DraftDeleted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<DraftDeleted>, Refusal> {
    let known = find(&app, &segments, &call).await?;
    let scope = ops::name("scope", &known.scope)?;
    app.settings.store.write(move |unit| drafts::delete(unit, &scope, known.id)).await??;
    Ok(Json(DraftDeleted { message: "Draft deleted".to_owned(), draft_id: known.id }))
}
