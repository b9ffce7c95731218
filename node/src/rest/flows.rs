//! Flows.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use octopoid_client::{ErrorBody, Flow, FlowDeleted, FlowList, FlowTransition, PutFlow};
use octopoid_crdt::flow::{self, FlowError, Step};
use octopoid_crdt::record::Queue;

use super::app::App;
use super::commit::json as answer;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::times::rfc3339;
use super::wanted::Wanted;
use crate::ops::{self, flows};
use crate::store::Unit;

pub(super) fn view(flow: flows::Listed) -> Flow {
    let text = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "[]".to_owned());
    Flow {
        states: text(serde_json::to_string(&flow.stored.states)),
        transitions: text(serde_json::to_string(&flow.stored.transitions)),
        created_at: rfc3339(flow.stored.created_ms),
        updated_at: rfc3339(flow.updated_ms),
        name: flow.name,
        scope: flow.scope,
    }
}

fn state(field: &str, name: &str) -> Result<Queue, Refusal> {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    let wrong = |_| Refusal::field(field, format!("'{shown}' is no name of a state: use letters, digits, '.', '_' and '-'"));
    Queue::parse(name).map_err(wrong)
}

fn rules(states: &[String], transitions: &[FlowTransition]) -> Result<flow::Flow, Refusal> {
    let refuse = |error: FlowError| Refusal::field(if error.is_about_steps() { "transitions" } else { "states" }, error.to_string());
    let step = |step: &FlowTransition| Ok(Step { from: state("transitions", &step.from)?, to: state("transitions", &step.to)? });
    let states = states.iter().map(|name| state("states", name)).collect::<Result<_, Refusal>>()?;
    let steps = transitions.iter().map(step).collect::<Result<_, Refusal>>()?;
    flow::Flow::new(states, steps).map_err(refuse)
}

/// Finds the flow that a path names.
async fn find(app: &App, segments: &Segments, call: &Call) -> Result<flows::Listed, Refusal> {
    let (name, wanted) = (segments.get("name").to_owned(), Wanted::of(app, call)?);
    app.read(move |_, reader| {
        wanted.find("Flow", &name, || reader.item_scopes(flows::COLLECTION), |scope| flows::get(reader, scope, &name))
    })
    .await
}

/// Lists flows by name.
#[utoipa::path(get, path = "/api/v1/flows", tag = "flows",
    params(("scope" = Option<String>, Query, description = "Tenant"), ("limit" = Option<u64>, Query, description = "Page size"),
        ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = FlowList), (status = 400, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<FlowList>, Refusal> {
    let window = params.window()?;
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let found = app.read(move |_, reader| flows::list(reader, &scope)).await?;
    let (page, total) = window.cut(found);
    Ok(Json(FlowList { flows: page.into_iter().map(view).collect(), total, offset: window.offset, limit: window.limit }))
}

/// Registers a flow, or replaces it.
#[utoipa::path(put, path = "/api/v1/flows/{name}", tag = "flows", request_body = PutFlow,
    params(("name" = String, Path, description = "The flow")),
    responses((status = 200, body = Flow), (status = 400, body = ErrorBody)))]
pub(super) async fn put(State(app): State<App>, segments: Segments, input: Input<PutFlow>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let scope = ops::name("scope", &call.caller.scope(&app, call.scope.as_deref())?)?;
    let name = ops::name("name", segments.get("name"))?;
    let rules = rules(&body.states, &body.transitions)?;
    let operation = move |unit: &mut Unit<'_>| Ok(flows::put(unit, &scope, &name, &rules)?);
    app.commit(None, operation, |_, flow| answer(StatusCode::OK, &view(flow))).await
}

/// Shows a flow.
#[utoipa::path(get, path = "/api/v1/flows/{name}", tag = "flows",
    params(("name" = String, Path, description = "The flow"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = Flow), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Flow>, Refusal> {
    Ok(Json(view(find(&app, &segments, &call).await?)))
}

/// Forgets a flow; its tasks stay where they are.
#[utoipa::path(delete, path = "/api/v1/flows/{name}", tag = "flows",
    params(("name" = String, Path, description = "The flow"), ("scope" = Option<String>, Query, description = "Its tenant")),
    responses((status = 200, body = FlowDeleted), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<FlowDeleted>, Refusal> {
    let known = find(&app, &segments, &call).await?;
    let (scope, name) = (ops::name("scope", &known.scope)?, known.name.clone());
    if app.settings.store.write(move |unit| flows::delete(unit, &scope, &name)).await?? {
        Ok(Json(FlowDeleted { message: "Flow deleted".to_owned(), name: known.name }))
    } else {
        Err(Refusal::NotFound(format!("Flow '{}' not found", known.name)))
    }
}
