//! Tasks: list, make, show, edit, delete.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use octopoid_client::{Deleted, ErrorBody, NewTask, Resolved, Task, TaskList, TaskPatch};
use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::Name;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::Queue;
use serde_json::Value as Body;

use super::app::App;
use super::commit::tag;
use super::find::{find, resolve};
use super::input::{self, Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::task_fields::{self, Patch};
use super::task_view::{Shown, with_bodies};
use super::texts;
use crate::ops::edit::Changes;
use crate::ops::{self, Expect, Refused, admission, flows, projects};
use crate::store::index::Facet;
use crate::store::{Fault, Filter, Reader, Sort, TaskNo, Unit};

/// Who is said to have done what a caller without a name does.
pub(super) const NOBODY: &str = "api";

/// Lists tasks, newest first.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks",
    params(
        ("queue" = Option<String>, Query, description = "Queues, comma separated"),
        ("priority" = Option<String>, Query, description = "Priorities, comma separated"),
        ("role" = Option<String>, Query, description = "Roles, comma separated"),
        ("claimed_by" = Option<String>, Query, description = "Holders, comma separated"),
        ("project_id" = Option<String>, Query, description = "Projects, comma separated"),
        ("needs_intervention" = Option<bool>, Query, description = "Whether a person is asked for"),
        ("scope" = Option<String>, Query, description = "Tenant; the node's own by default"),
        ("sort" = Option<String>, Query, description = "priority: by priority, then oldest first"),
        ("limit" = Option<u64>, Query, description = "Page size: 50 by default, 500 at most"),
        ("offset" = Option<u64>, Query, description = "How many to skip"),
    ),
    responses((status = 200, body = TaskList), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<TaskList>, Refusal> {
    let window = params.window()?;
    let sort = match params.text("sort")?.as_deref() {
        None | Some("newest") => Sort::Newest,
        Some("priority") => Sort::Priority,
        Some(_) => return Err(Refusal::field("sort", "use priority, or leave it out for the newest first")),
    };
    let facets = [(Facet::Project, params.list("project_id")), (Facet::ClaimedBy, params.list("claimed_by"))];
    let mut facets = facets.into_iter().filter(|(_, values)| !values.is_empty());
    let filter = Filter {
        scopes: vec![call.caller.scope(&app, call.scope.as_deref())?],
        queues: params.list("queue"),
        priorities: params.list("priority"),
        roles: params.list("role"),
        needs_intervention: params.flag("needs_intervention")?,
        facet: facets.next(),
        also: facets.next(),
        ..Filter::default()
    };
    let page = app.read(move |_, reader| {
        let page = reader.list(&filter, sort, window.offset, window.limit)?;
        Ok::<_, Fault>((with_bodies(reader, page.tasks)?, page.total))
    });
    let (tasks, total) = page.await?;
    Ok(Json(TaskList { tasks: app.views(tasks).await, total, offset: window.offset, limit: window.limit }))
}

/// Makes a task.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", request_body = NewTask,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 201, body = Task), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create(State(app): State<App>, input: Input<NewTask>) -> Result<Response, Refusal> {
    let Input { body: task, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    let id = ops::name("id", &task.id)?;
    let queue = task.queue.as_deref().filter(|queue| !queue.is_empty()).map(|queue| texts::queue("queue", queue)).transpose()?;
    let queue = queue.unwrap_or(Queue::Incoming);
    let project = task.project_id.clone().filter(|project| !project.is_empty());
    let (flow, in_scope, in_queue) = (task.flow.clone(), scope.clone(), queue.clone());
    // The document is built off the writer's thread.
    let prepared = app.read(move |app, reader| {
        let mut fields = task_fields::new_task(&task)?;
        if let Some(role) = fields.text("role") {
            admission::role(reader, in_scope.as_str(), role)??;
        }
        if let Some(branch) = project_branch(reader, &in_scope, task.project_id.as_deref())? {
            fields = fields.with("branch", branch);
        }
        let actor = app.settings.store.actor();
        Ok::<_, Refusal>(ops::create::NewTask::new(actor, in_scope, id, in_queue, NOBODY.to_owned(), &fields)?)
    });
    let prepared = prepared.await?;
    let operation = move |unit: &mut Unit<'_>| {
        admission::queue_of_flow(unit, scope.as_str(), flow.as_deref().filter(|flow| !flow.is_empty()).unwrap_or(flows::DEFAULT), &queue)?;
        check_project(unit, scope.as_str(), project.as_deref())?;
        Ok(ops::create::create(unit, prepared)?)
    };
    app.commit_task(call.once, StatusCode::CREATED, operation).await
}

/// Returns the branch that a project gives its tasks.
fn project_branch(reader: &Reader, scope: &Name, id: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(id) = id else { return Ok(None) };
    Ok(projects::branch_of(reader, scope.as_str(), id)?)
}

/// Refuses a project that is not there.
fn check_project(unit: &mut Unit<'_>, scope: &str, id: Option<&str>) -> Result<(), Refusal> {
    match id {
        Some(id) if projects::find(unit, scope, id)?.is_none() => {
            Err(Refusal::field("project_id", format!("project '{id}' is not known in scope '{scope}': create it first")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Shows a task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Task), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Response, Refusal> {
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let found = app.read(move |_, reader| {
        let (no, row) = find(reader, &target)?;
        Ok::<_, Refusal>(Shown { content: reader.content(no)?, row })
    });
    let found = found.await?;
    let tag = HeaderValue::from_str(&tag(&found.row)).map_err(|_| Refusal::Defect)?;
    let task = app.views(vec![found]).await.pop().ok_or(Refusal::Defect)?;
    Ok(([(header::ETAG, tag)], Json(task)).into_response())
}

/// Finds the one task whose id is, or begins with, a text.
#[utoipa::path(get, path = "/api/v1/tasks/resolve/{prefix}", tag = "tasks",
    params(("prefix" = String, Path, description = "An id or its beginning"), ("scope" = Option<String>, Query, description = "Tenant")),
    responses((status = 200, body = Resolved), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn resolve_prefix(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Resolved>, Refusal> {
    let mut target = call.caller.target(&app, call.scope.as_deref(), segments.get("prefix").trim_end_matches('.'))?;
    segments.get("prefix").clone_into(&mut target.id);
    Ok(Json(app.read(move |_, reader| resolve(reader, &target)).await?))
}

/// Edits a task.
#[utoipa::path(patch, path = "/api/v1/tasks/{id}", tag = "tasks", request_body = TaskPatch,
    params(
        ("id" = String, Path, description = "The task"),
        ("scope" = Option<String>, Query, description = "Its tenant"),
        ("If-Match" = Option<String>, Header, description = "The version or ETag that the caller saw; 412 when it is another"),
    ),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 412, body = ErrorBody)))]
pub(super) async fn edit(State(app): State<App>, segments: Segments, input: Input<Body>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let patch: TaskPatch = input::patch(body)?;
    if patch.is_empty() {
        return Err(Refusal::Invalid("No fields to update".to_owned()));
    }
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let (role, project) = (patch.role.clone().flatten(), patch.project_id.clone().flatten().filter(|id| !id.is_empty()));
    let patch = Patch::of(&patch)?;
    let expect = call.expect(patch.version);
    let operation = move |unit: &mut Unit<'_>| {
        let no = ops::find(unit, &target)?;
        let scope = unit.row(no)?.scope.clone();
        if let Some(role) = role.as_deref().filter(|role| !role.is_empty()) {
            let checked = admission::role(unit.reader(), &scope, role);
            unit.note(checked)??;
        }
        check_project(unit, &scope, project.as_deref())?;
        apply(unit, no, &expect, patch)
    };
    app.commit_task(None, StatusCode::OK, operation).await
}

/// Carries a patch out: fields first, then the steps that its acting fields stand for.
fn apply(unit: &mut Unit<'_>, no: TaskNo, expect: &Expect, patch: Patch) -> Result<ops::Snapshot, Refusal> {
    let row = unit.row(no)?;
    expect.check(row)?;
    let holder = row.holder.as_ref().map(|holder| holder.agent.clone());
    let mut changes = Changes { edits: patch.edits, blocked_by: patch.blocked_by, by: NOBODY.to_owned(), ..Changes::default() };
    if patch.queue == Some(Queue::Failed) {
        for (field, kept) in [("claimed_by", patch.claimed_by), ("lease_expires_at", patch.lease_ms.map(super::times::rfc3339))] {
            if kept.is_some() || row.text(field).is_some() {
                changes.edits.push(Edit::set(field, kept.map_or(Value::Null, Value::Text)));
            }
        }
    } else {
        if patch.claimed_by.is_some() && patch.claimed_by != holder {
            return Err(Refusal::field("claimed_by", "a task is given to an agent by a claim; null takes it back"));
        }
        changes.renew = patch.lease_ms.map(|ms| Patch::lease_seconds(ms, unit.now_ms())).transpose()?;
        changes.release = patch.release && holder.is_some();
    }
    if let Some(queue) = &patch.queue {
        let flow = changes.edits.iter().find_map(|edit| match edit {
            Edit::Set { field, value: Value::Text(flow) } if field == "flow" => Some(flow.as_str()),
            Edit::Set { .. } | Edit::Content(_) | Edit::Add { .. } | Edit::Remove { .. } => None,
        });
        admission::step_of_flow(unit, no, flow, queue)?;
        // Everything is checked before anything is written.
        if *queue == Queue::Cancelled
            && unit.row(no)?.queue != "cancelled"
            && let Err(refusal) = unit.would_count(no, &Act::Cancel)?
        {
            return Err(Refused::step(format!("Cannot cancel task '{}'", unit.row(no)?.id), refusal.to_string()).into());
        }
    }
    changes.queue = patch.queue;
    if changes.is_empty() {
        // What was asked for is so already, such as a release of a task that nobody holds.
        return Ok(ops::snapshot(unit, no)?);
    }
    Ok(ops::edit::edit(unit, no, expect, changes)?)
}

/// Deletes a task; those that wait for it are unblocked.
#[utoipa::path(delete, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Deleted), (status = 404, body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Deleted>, Refusal> {
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let (expect, task_id) = (call.expect(None), target.id.clone());
    let operation = move |unit: &mut Unit<'_>| {
        let no = ops::find(unit, &target)?;
        expect.check(unit.row(no)?)?;
        ops::judge::delete(unit, no, NOBODY, "deleted over the API")
    };
    app.settings.store.write(operation).await??;
    Ok(Json(Deleted { message: "Task deleted".to_owned(), task_id }))
}
