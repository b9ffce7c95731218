//! Projects.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{ErrorBody, NewProject, Project, ProjectList, ProjectPatch, ProjectTasks};
use octopoid_crdt::ids::Name;
use serde_json::{Value, json};

use super::app::App;
use super::commit::json as answer;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::task_view::with_bodies;
use super::texts;
use super::times::rfc3339;
use super::wanted::Wanted;
use crate::ops::{self, projects};
use crate::store::{Reader, Sort, Unit};

pub(super) fn view(project: projects::Project) -> Project {
    let stored = project.stored;
    Project {
        id: project.id,
        title: stored.title,
        description: stored.description,
        status: stored.status,
        branch: stored.branch,
        base_branch: stored.base_branch,
        auto_accept: stored.auto_accept,
        created_at: rfc3339(stored.created_ms),
        created_by: stored.created_by,
        completed_at: stored.completed_ms.map(rfc3339),
        scope: project.scope,
    }
}

/// Looks for the project that a path names.
fn look(reader: &Reader, wanted: &Wanted, id: &str) -> Result<projects::Project, Refusal> {
    wanted.find("Project", id, || reader.document_scopes(projects::COLLECTION), |scope| projects::get(reader, scope, id))
}

/// Lists projects, newest first.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects",
    params(("status" = Option<String>, Query, description = "Statuses, comma separated"), ("scope" = Option<String>, Query, description = "Tenant"),
        ("limit" = Option<u64>, Query, description = "Page size"), ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = ProjectList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<ProjectList>, Refusal> {
    let (window, statuses) = (params.window()?, params.list("status"));
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let mut found = app.read(move |_, reader| projects::list(reader, Some(&scope))).await?;
    found.retain(|project| statuses.is_empty() || statuses.contains(&project.stored.status));
    let (page, total) = window.cut(found);
    Ok(Json(ProjectList { projects: page.into_iter().map(view).collect(), total, offset: window.offset, limit: window.limit }))
}

fn optional(field: &str, text: Option<String>, check: fn(&str, &str) -> Result<(), ops::Refused>) -> Result<Option<String>, Refusal> {
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        check(field, text)?;
    }
    Ok(text)
}

/// Makes a project.
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects", request_body = NewProject,
    responses((status = 201, body = Project), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create(State(app): State<App>, input: Input<NewProject>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    let id = ops::name("id", &body.id)?;
    let status = body.status.filter(|status| !status.is_empty()).unwrap_or_else(|| "draft".to_owned());
    projects::status(&status)?;
    let title = body.title.or(body.name).filter(|title| !title.is_empty()).unwrap_or_else(|| id.to_string());
    texts::line("title", &title)?;
    let branch = optional("branch", body.branch, texts::branch)?.unwrap_or_else(|| format!("project/{id}"));
    let stored = projects::Stored {
        title,
        description: optional("description", body.description, texts::body)?,
        status,
        branch: Some(branch),
        base_branch: Some(optional("base_branch", body.base_branch, texts::branch)?.unwrap_or_else(|| "main".to_owned())),
        auto_accept: body.auto_accept.unwrap_or(false),
        created_by: optional("created_by", body.created_by, texts::label)?,
        ..projects::Stored::default()
    };
    let operation = move |unit: &mut Unit<'_>| Ok(projects::create(unit, &scope, &id, stored)?);
    app.commit(call.once, operation, |_, project| answer(StatusCode::CREATED, &view(project))).await
}

/// Shows a project.
#[utoipa::path(get, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path, description = "The project")),
    responses((status = 200, body = Project), (status = 404, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Project>, Refusal> {
    let (wanted, id) = (Wanted::of(&app, &call)?, segments.get("id").to_owned());
    Ok(Json(view(app.read(move |_, reader| look(reader, &wanted, &id)).await?)))
}

/// Shows a project's tasks.
#[utoipa::path(get, path = "/api/v1/projects/{id}/tasks", tag = "projects",
    params(("id" = String, Path, description = "The project"), ("limit" = Option<u64>, Query, description = "Page size: 500 by default"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = ProjectTasks), (status = 404, body = ErrorBody)))]
pub(super) async fn tasks(State(app): State<App>, segments: Segments, params: Params, call: Call) -> Result<Json<ProjectTasks>, Refusal> {
    // The first servers gave all of them.
    let limit = params.number("limit")?.unwrap_or(500).min(500);
    let offset = params.window()?.offset;
    let (wanted, id) = (Wanted::of(&app, &call)?, segments.get("id").to_owned());
    let found = app.read(move |_, reader| {
        let project = look(reader, &wanted, &id)?;
        let page = reader.list(&projects::tasks_of(&project.scope, &project.id), Sort::Newest, offset, limit)?;
        Ok::<_, Refusal>((project.id, with_bodies(reader, page.tasks)?, page.total))
    });
    let (project_id, tasks, total) = found.await?;
    Ok(Json(ProjectTasks { project_id, tasks: app.views(tasks).await, total }))
}

/// Edits a project.
#[utoipa::path(patch, path = "/api/v1/projects/{id}", tag = "projects", request_body = ProjectPatch,
    params(("id" = String, Path, description = "The project")),
    responses((status = 200, body = Project), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn edit(State(app): State<App>, segments: Segments, input: Input<ProjectPatch>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    if body.is_empty() {
        return Err(Refusal::Invalid("No fields to update".to_owned()));
    }
    if let Some(status) = &body.status {
        projects::status(status)?;
    }
    let title = body.title.or(body.name);
    if let Some(title) = &title {
        texts::line("title", title)?;
    }
    let changes = projects::Changes {
        title,
        description: body.description.map(|text| optional("description", text, texts::body)).transpose()?,
        status: body.status,
        branch: body.branch.map(|text| optional("branch", text, texts::branch)).transpose()?,
        base_branch: body.base_branch.map(|text| optional("base_branch", text, texts::branch)).transpose()?,
        auto_accept: body.auto_accept,
    };
    let (scope, id) = place(&app, &segments, &call).await?;
    let operation = move |unit: &mut Unit<'_>| Ok(projects::edit(unit, &scope, &id, changes)?);
    app.commit(None, operation, |_, project| answer(StatusCode::OK, &view(project))).await
}

/// Deletes a project without tasks.
#[utoipa::path(delete, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path, description = "The project")),
    responses((status = 200, body = Value), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Value>, Refusal> {
    let (scope, id) = place(&app, &segments, &call).await?;
    let project_id = id.clone();
    app.settings.store.write(move |unit| projects::delete(unit, &scope, &id)).await??;
    Ok(Json(json!({ "message": "Project deleted", "project_id": project_id })))
}

/// Finds where the project of a path is.
async fn place(app: &App, segments: &Segments, call: &Call) -> Result<(Name, String), Refusal> {
    let (wanted, id) = (Wanted::of(app, call)?, segments.get("id").to_owned());
    let project = app.read(move |_, reader| look(reader, &wanted, &id)).await?;
    Ok((ops::name("scope", &project.scope)?, project.id))
}
