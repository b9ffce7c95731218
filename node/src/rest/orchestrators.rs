//! Calls about orchestrators, and the keys of scopes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{
    ErrorBody, FlowStates, Heartbeat, HeartbeatAnswer, Orchestrator, OrchestratorList, OrchestratorPatch, PollResponse, PollTask,
    RegisterAnswer, RegisterOrchestrator,
};
use serde_json::{Value, json};

use super::access::Caller;
use super::app::App;
use super::commit::json as answer;
use super::heartbeats::is_recent;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::texts;
use super::times::rfc3339;
use crate::ops::keys::{self, Key};
use crate::ops::orchestrators::{self, Listed, Registration, Wish};
use crate::ops::{self, Refused, flows};
use crate::store::{Fault, Filter, Reader, Sort, Unit};

/// Tells what an orchestrator is shown as, that was last heard then.
pub(super) fn status(registration: &Registration, heard_ms: Option<u64>, now_ms: u64) -> &'static str {
    let heard = heard_ms.filter(|heard| is_recent(*heard, now_ms));
    match registration.wish {
        Wish::Maintenance => Wish::Maintenance,
        Wish::Active if heard.is_some() => Wish::Active,
        // Whoever is heard after it was called offline is back.
        Wish::Offline if heard.is_some_and(|heard| heard > registration.wish_ms) => Wish::Active,
        Wish::Active | Wish::Offline => Wish::Offline,
    }
    .as_str()
}

pub(super) fn random() -> Result<[u8; 32], Refusal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Defect)?;
    Ok(bytes)
}

/// Makes an orchestrator known. The first registration in a scope is told the scope's key.
#[utoipa::path(post, path = "/api/v1/orchestrators/register", tag = "orchestrators", request_body = RegisterOrchestrator,
    responses((status = 201, description = "Registered for the first time", body = RegisterAnswer),
        (status = 200, description = "Registered again", body = RegisterAnswer), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(super) async fn register(State(app): State<App>, input: Input<RegisterOrchestrator>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    let id = orchestrators::id(&body.cluster, &body.machine_id)?;
    texts::line("repo_url", &body.repo_url)?;
    for (field, text) in [("hostname", &body.hostname), ("version", &body.version)] {
        texts::line(field, text.as_deref().unwrap_or_default())?;
    }
    let capabilities = body.capabilities.filter(|value| !value.is_null());
    let wanted = Registration {
        cluster: body.cluster,
        machine_id: body.machine_id,
        repo_url: Some(body.repo_url),
        hostname: body.hostname,
        version: body.version,
        capabilities: capabilities.map(|value| texts::json("capabilities", value)).transpose()?,
        registered: true,
        registered_ms: 0,
        wish: Wish::Active,
        wish_ms: 0,
    };
    app.heartbeats.beat(scope.as_str(), &id);
    let key = Key::new(&random()?);
    let operation = move |unit: &mut Unit<'_>| {
        let registered = orchestrators::register(unit, &scope, wanted)?;
        let api_key = if registered.first && keys::issue(unit, &scope, &key)? { Some(key.into_text()) } else { None };
        Ok((scope, registered, api_key))
    };
    let present = |app: &App, (scope, registered, api_key): (octopoid_crdt::ids::Name, orchestrators::Registered, Option<String>)| {
        let first = registered.first;
        let shown = app.orchestrator(Listed { scope: scope.to_string(), id: registered.id, registration: registered.registration });
        let told = RegisterAnswer { orchestrator_id: shown.id, registered_at: shown.registered_at, status: shown.status, api_key };
        answer(if first { StatusCode::CREATED } else { StatusCode::OK }, &told)
    };
    // An answer with a key is never kept: only its hash may be on disk.
    app.commit(None, operation, present).await
}

/// Finds the one orchestrator that an id means.
pub(super) fn wanted(app: &App, reader: &Reader, caller: &Caller, scope: Option<&str>, id: &str) -> Result<Orchestrator, Refusal> {
    let mut found = app.orchestrators(reader, scope.or(caller.bound()))?;
    found.retain(|known| known.id == id);
    if let Some(own) = found.iter().position(|known| known.scope == app.settings.scope.as_str()) {
        return Ok(found.swap_remove(own));
    }
    match found.len() {
        0 => {
            let shown: String = id.chars().filter(|c| !c.is_control()).take(140).collect();
            Err(Refusal::NotFound(format!("Orchestrator '{shown}' not found")))
        }
        1 => found.pop().ok_or(Refusal::Defect),
        _ => {
            let scopes = found.into_iter().map(|known| known.scope).collect::<Vec<_>>().join(", ");
            Err(Refusal::Conflict(format!("Orchestrator '{id}' exists in the scopes {scopes}: name one with ?scope=")))
        }
    }
}

async fn find(app: &App, segments: &Segments, call: &Call) -> Result<Orchestrator, Refusal> {
    let (caller, scope, id) = (call.caller.clone(), call.scope.clone(), segments.get("id").to_owned());
    app.read(move |app, reader| wanted(app, reader, &caller, scope.as_deref(), &id)).await
}

/// Takes a sign of life; the body is optional.
#[utoipa::path(post, path = "/api/v1/orchestrators/{id}/heartbeat", tag = "orchestrators", request_body = Option<Heartbeat>,
    params(("id" = String, Path, description = "The orchestrator")),
    responses((status = 200, body = HeartbeatAnswer), (status = 404, body = ErrorBody)))]
pub(super) async fn heartbeat(
    State(app): State<App>,
    segments: Segments,
    input: Input<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Refusal> {
    let known = find(&app, &segments, &input.call).await?;
    let heard = app.heartbeats.beat(&known.scope, &known.id);
    Ok(Json(HeartbeatAnswer { success: true, last_heartbeat: rfc3339(heard) }))
}

/// Lists orchestrators; every node is one.
#[utoipa::path(get, path = "/api/v1/orchestrators", tag = "orchestrators",
    params(("cluster" = Option<String>, Query, description = "The cluster's name"),
        ("status" = Option<String>, Query, description = "active, offline or maintenance"), ("scope" = Option<String>, Query, description = "Tenant"),
        ("limit" = Option<u64>, Query, description = "Page size"), ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = OrchestratorList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<OrchestratorList>, Refusal> {
    let (window, cluster, statuses) = (params.window()?, params.text("cluster")?, params.list("status"));
    for status in &statuses {
        Wish::parse(status)?;
    }
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let mut found = app.read(move |app, reader| app.orchestrators(reader, Some(&scope))).await?;
    found.retain(|known| {
        cluster.as_ref().is_none_or(|cluster| known.cluster == *cluster) && (statuses.is_empty() || statuses.contains(&known.status))
    });
    let (orchestrators, total) = window.cut(found);
    Ok(Json(OrchestratorList { orchestrators, total, offset: window.offset, limit: window.limit }))
}

/// Shows an orchestrator.
#[utoipa::path(get, path = "/api/v1/orchestrators/{id}", tag = "orchestrators",
    params(("id" = String, Path, description = "The orchestrator")),
    responses((status = 200, body = Orchestrator), (status = 404, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Orchestrator>, Refusal> {
    Ok(Json(find(&app, &segments, &call).await?))
}

/// Changes an orchestrator's status.
#[utoipa::path(patch, path = "/api/v1/orchestrators/{id}", tag = "orchestrators", request_body = OrchestratorPatch,
    params(("id" = String, Path, description = "The orchestrator")),
    responses((status = 200, body = Orchestrator), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn edit(State(app): State<App>, segments: Segments, input: Input<OrchestratorPatch>) -> Result<Response, Refusal> {
    let wish = Wish::parse(&input.body.status)?;
    let known = find(&app, &segments, &input.call).await?;
    let scope = ops::name("scope", &known.scope)?;
    let operation = move |unit: &mut Unit<'_>| {
        let registration = orchestrators::set_wish(unit, &scope, &known.id, wish)?;
        // Nodes are listed without a registration.
        let refused = || Refused::field("status", "a node is active while it runs: pause it with POST /api/v1/node/pause");
        let registration = registration.ok_or_else(refused)?;
        Ok(Listed { scope: scope.to_string(), id: known.id, registration })
    };
    app.commit(None, operation, |app, listed| answer(StatusCode::OK, &app.orchestrator(listed))).await
}

/// Replaces the key of a scope, and tells the new one once.
#[utoipa::path(post, path = "/api/v1/orchestrators/scopes/{scope}/rotate-key", tag = "orchestrators",
    params(("scope" = String, Path, description = "The scope")),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(super) async fn rotate_key(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Value>, Refusal> {
    let scope = segments.get("scope").to_owned();
    call.caller.check(&scope)?;
    let name = ops::name("scope", &scope)?;
    let key = Key::new(&random()?);
    let operation = move |unit: &mut Unit<'_>| keys::replace(unit, &name, &key).map(|()| key.into_text());
    let api_key = app.settings.store.write(operation).await??;
    Ok(Json(json!({ "scope": scope, "api_key": api_key })))
}

/// Tells a scheduler in one call what waits.
#[utoipa::path(get, path = "/api/v1/scheduler/poll", tag = "scheduler",
    params(("orchestrator_id" = Option<String>, Query, description = "Who asks"),
        ("scope" = Option<String>, Query, description = "Tenant; the orchestrator's by default")),
    responses((status = 200, body = PollResponse), (status = 400, body = ErrorBody)))]
pub(super) async fn poll(State(app): State<App>, params: Params, call: Call) -> Result<Json<PollResponse>, Refusal> {
    let asking = params.text("orchestrator_id")?;
    let answer = app.read(move |app, reader| {
        let known = match &asking {
            Some(id) => {
                orchestrators::list(reader, call.scope.as_deref().or(call.caller.bound()))?.into_iter().find(|known| known.id == *id)
            }
            None => None,
        };
        let scope = match (&call.scope, &known) {
            (None, Some(known)) => known.scope.clone(),
            (named, _) => call.caller.scope(app, named.as_deref())?,
        };
        let registered = asking.as_ref().is_some_and(|id| app.is_node(id)) || known.is_some_and(|known| known.registration.registered);
        Ok::<_, Refusal>(PollResponse {
            queue_counts: queue_counts(reader, &scope)?,
            provisional_tasks: provisional(reader, &scope)?,
            orchestrator_registered: registered,
            flows: flow_states(reader, &scope)?,
            scope: Some(scope),
        })
    });
    Ok(Json(answer.await?))
}

/// Counts tasks by queue; the three that a scheduler acts on are always there.
fn queue_counts(reader: &Reader, scope: &str) -> Result<std::collections::BTreeMap<String, u64>, Fault> {
    let mut counts = reader.queue_counts(Some(scope))?;
    counts.retain(|queue, count| *count > 0 || matches!(queue.as_str(), "incoming" | "claimed" | "provisional"));
    for queue in ["incoming", "claimed", "provisional"] {
        counts.entry(queue.to_owned()).or_default();
    }
    Ok(counts)
}

fn provisional(reader: &Reader, scope: &str) -> Result<Vec<PollTask>, Fault> {
    /// How many tasks that wait for a verdict one answer names.
    const NAMED: u64 = 500;
    let filter = Filter { scopes: vec![scope.to_owned()], queues: vec!["provisional".to_owned()], ..Filter::default() };
    let page = reader.list(&filter, Sort::Priority, 0, NAMED)?;
    let tasks = page.tasks.into_iter().map(|(_, row)| PollTask {
        hooks: row.text("hooks").map(str::to_owned),
        pr_number: row.number("pr_number").and_then(|number| u64::try_from(number).ok()),
        claimed_by: row.claimed_by().map(str::to_owned),
        id: row.id,
    });
    Ok(tasks.collect())
}

fn flow_states(reader: &Reader, scope: &str) -> Result<std::collections::BTreeMap<String, FlowStates>, Fault> {
    let flows = flows::list(reader, scope)?.into_iter();
    Ok(flows.map(|flow| (flow.name, FlowStates { states: flow.stored.states })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: u64 = 1_700_000_000_000;

    fn wished(wish: Wish, wish_ms: u64) -> Registration {
        Registration {
            cluster: "c".to_owned(),
            machine_id: "m".to_owned(),
            repo_url: None,
            hostname: None,
            version: None,
            capabilities: None,
            registered: true,
            registered_ms: HEARD,
            wish,
            wish_ms,
        }
    }

    #[test]
    fn an_orchestrator_is_offline_after_120_seconds_of_silence() {
        let active = wished(Wish::Active, HEARD);
        let after = |ms: u64| status(&active, Some(HEARD), HEARD + ms);
        assert_eq!([0, 119_000, 119_999].map(after), ["active"; 3]);
        assert_eq!([120_000, 121_000, 86_400_000].map(after), ["offline"; 3]);
        assert_eq!(status(&active, None, HEARD), "offline", "this process never heard it");
        assert_eq!(status(&active, Some(HEARD), HEARD - 5_000), "active", "a calendar that was set back makes nobody silent");
    }

    #[test]
    fn what_a_person_said_of_an_orchestrator_outlives_its_silence_as_far_as_it_should() {
        let shown = |wish, wish_ms, after| status(&wished(wish, wish_ms), Some(HEARD), HEARD + after);
        assert_eq!([0, 121_000].map(|after| shown(Wish::Maintenance, HEARD + 1, after)), ["maintenance"; 2]);
        assert_eq!(shown(Wish::Offline, HEARD + 1, 2), "offline", "it was heard before that was said");
        assert_eq!(shown(Wish::Offline, HEARD - 1, 119_000), "active", "it was heard since");
        assert_eq!(shown(Wish::Offline, HEARD - 1, 121_000), "offline");
    }
}
