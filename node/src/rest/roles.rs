//! Roles.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{ErrorBody, NewRole, RegisterRoles, RegisteredRoles, Role, RoleList};
use octopoid_crdt::record::Queue;

use super::app::App;
use super::commit::json as answer;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::times::rfc3339;
use super::wanted::Wanted;
use super::{orchestrators, texts};
use crate::ops::{self, admission, roles};
use crate::store::Unit;

/// How many roles one call registers at most.
const ROLES: usize = 100;

pub(super) fn view(role: roles::Listed) -> Role {
    let stored = role.stored;
    Role {
        name: role.name,
        claims_from: stored.claims_from,
        description: stored.description,
        orchestrator_id: stored.orchestrator_id,
        scope: role.scope,
        created_at: rfc3339(stored.created_ms),
    }
}

fn checked(role: NewRole, orchestrator: &str) -> Result<(String, roles::Stored), Refusal> {
    texts::label("roles.name", &role.name)?;
    if role.name == "register" {
        return Err(Refusal::field("roles.name", "'register' is the name of a call: choose another"));
    }
    let claims_from = role.claims_from.filter(|queue| !queue.is_empty());
    if let Some(queue) = &claims_from {
        let queue = texts::queue("roles.claims_from", queue)?;
        // A flow that knows a custom state may be registered later.
        if !matches!(queue, Queue::Custom(_)) && !admission::is_claimed_from(&queue) {
            return Err(Refusal::field("roles.claims_from", format!("'{}' cannot be claimed from", queue.as_str())));
        }
    }
    let description = role.description.filter(|text| !text.is_empty());
    texts::reason("roles.description", description.as_deref().unwrap_or_default())?;
    Ok((role.name, roles::Stored { claims_from, description, orchestrator_id: Some(orchestrator.to_owned()), created_ms: 0 }))
}

/// Registers roles in the scope of an orchestrator.
#[utoipa::path(post, path = "/api/v1/roles/register", tag = "roles", request_body = RegisterRoles,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the request safely for 24 h")),
    responses((status = 200, body = RegisteredRoles), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn register(State(app): State<App>, input: Input<RegisterRoles>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let RegisterRoles { orchestrator_id, roles: wanted, scope: _ } = body;
    texts::label("orchestrator_id", &orchestrator_id)?;
    if wanted.len() > ROLES {
        return Err(Refusal::field("roles", format!("{} roles, the limit is {ROLES}", wanted.len())));
    }
    let wanted = wanted.into_iter().map(|role| checked(role, &orchestrator_id)).collect::<Result<Vec<_>, _>>()?;
    let (caller, named, id) = (call.caller.clone(), call.scope.clone(), orchestrator_id);
    let known = app.read(move |app, reader| orchestrators::wanted(app, reader, &caller, named.as_deref(), &id)).await;
    let known = match known {
        Err(Refusal::NotFound(text)) => return Err(Refusal::field("orchestrator_id", format!("{text}: register it first"))),
        known => known?,
    };
    let scope = ops::name("scope", &known.scope)?;
    let operation = move |unit: &mut Unit<'_>| {
        wanted.into_iter().map(|(name, role)| Ok(roles::register(unit, &scope, &name, role)?)).collect::<Result<Vec<_>, Refusal>>()
    };
    let present =
        |_: &App, roles: Vec<roles::Listed>| answer(StatusCode::OK, &RegisteredRoles { roles: roles.into_iter().map(view).collect() });
    app.commit(call.once, operation, present).await
}

/// Lists roles by name.
#[utoipa::path(get, path = "/api/v1/roles", tag = "roles",
    params(("scope" = Option<String>, Query, description = "Tenant"), ("limit" = Option<u64>, Query, description = "Page size"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = RoleList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<RoleList>, Refusal> {
    let window = params.window()?;
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let found = app.read(move |_, reader| roles::list(reader, &scope)).await?;
    let (page, total) = window.cut(found);
    Ok(Json(RoleList { roles: page.into_iter().map(view).collect(), total, offset: window.offset, limit: window.limit }))
}

/// Shows a role.
#[utoipa::path(get, path = "/api/v1/roles/{name}", tag = "roles",
    params(("name" = String, Path, description = "The role"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Role), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Role>, Refusal> {
    let (name, wanted) = (segments.get("name").to_owned(), Wanted::of(&app, &call)?);
    let found = app.read(move |_, reader| {
        wanted.find("Role", &name, || reader.item_scopes(roles::COLLECTION), |scope| roles::get(reader, scope, &name))
    });
    Ok(Json(view(found.await?)))
}
