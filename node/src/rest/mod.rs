//! The REST API: the contract of version 2 over this node's store.
//!
//! A request passes, outermost first: the count of requests, the net for panics, the check of `Host` and `Origin`, the dashboard's files,
//! the check of the token, what an earlier server would have asked for; then a handler reads its path, query and body, runs one operation in the store, and shows what it left.
//! `docs/adr/0007-rest.md` tells what was decided where the contract left a choice.
//!
//! **Invariants**: a write is answered after it is durable; every answer but logs, metrics, events and the dashboard's files is JSON; nothing of a
//! panic reaches a client; no body, stream or table grows with what a client sends.

mod access;
mod actions;
mod app;
mod authority;
mod cluster;
mod commit;
mod compat;
mod conflicts;
mod dashboard;
mod drafts;
mod elsewhere;
mod events;
mod export;
mod find;
mod flows;
mod forward;
mod heartbeats;
mod hosts;
mod import;
mod input;
mod join_key;
mod machines;
mod messages;
mod metrics;
mod node;
mod openapi;
mod orchestrators;
mod output;
mod params;
mod projects;
mod refusal;
mod roles;
mod serve;
mod steps;
mod task_fields;
mod task_view;
mod tasks;
pub(crate) mod texts;
mod times;
mod trail;
mod wanted;
mod whole;
mod work;

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use octopoid_client::ErrorBody;
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::config::Compat;
pub use app::{
    API_VERSION, ApiToken, App, Auth, BringWork, DiffError, DiffQuery, DiffSource, IdleBecause, RenderLine, Settings, WantedWork,
};
pub use elsewhere::answer_reads;
pub use forward::answer_calls;
pub use hosts::Hosts;
pub use join_key::JoinKeyFile;
pub use openapi::openapi;
pub use refusal::Refusal;
pub use serve::{Limits, serve};

/// Builds the service that answers requests, over a socket or within the process.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(node::root))
        .route("/metrics", get(metrics::show))
        .route("/api/health", get(node::health))
        .route("/api/openapi.json", get(openapi::describe))
        .nest("/api/v1/tasks", task_routes(&app).merge(holder_routes(&app)).merge(verdict_routes(&app)))
        .nest("/api/v1/projects", project_routes())
        .nest("/api/v1/drafts", draft_routes())
        .nest("/api/v1/flows", flow_routes())
        .nest("/api/v1/roles", role_routes())
        .route("/api/v1/messages", get(messages::list).post(messages::create))
        .nest("/api/v1/actions", action_routes())
        .nest("/api/v1/orchestrators", orchestrator_routes())
        .nest("/api/v1/node", node_routes())
        .nest("/api/v1/cluster", cluster_routes())
        .route("/api/admin/import", get(import::import_progress).post(import::import))
        .route("/api/admin/export", get(export::export))
        .route("/api/v1/scheduler/poll", get(orchestrators::poll))
        .route("/api/v1/events", get(events::stream))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(app.clone(), compat::as_head))
        .layer(from_fn_with_state(app.clone(), until_writable))
        .layer(from_fn_with_state(app.clone(), access::check_token))
        .layer(from_fn(dashboard::before_token))
        .layer(from_fn_with_state(app.clone(), access::check_host))
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn_with_state(app.clone(), metrics::count))
        .with_state(app)
}

fn task_routes(app: &App) -> Router<App> {
    let create = post(tasks::create).layer(from_fn_with_state(app.clone(), forward::to_authority));
    let edit = patch(tasks::edit).layer(from_fn_with_state(app.clone(), forward::to_holder));
    Router::new()
        .route("/", get(tasks::list).merge(create))
        .route("/claim", post(steps::claim))
        .route("/resolve/{prefix}", get(tasks::resolve_prefix))
        .route("/{id}", get(tasks::show).delete(tasks::delete).merge(edit))
        .route("/{id}/requeue", post(steps::requeue))
        .route("/{id}/cancel", post(steps::cancel))
        .route("/{id}/hooks/{name}/complete", post(steps::complete_hook))
        .route("/{id}/merge", post(steps::merge))
        .route("/{id}/messages", get(messages::of_task))
        .route("/{id}/history", get(trail::history))
        .route("/{id}/attempts", get(trail::attempts))
        .route("/{id}/log", get(work::log))
        .route("/{id}/diff", get(work::diff))
}

/// Calls that only the node can answer that wrote the claim.
fn holder_routes(app: &App) -> Router<App> {
    Router::new()
        .route("/{id}/renew", post(steps::renew))
        .route("/{id}/submit", post(steps::submit))
        .route("/{id}/release", post(steps::release))
        .layer(from_fn_with_state(app.clone(), forward::to_holder))
}

/// Calls that only the authority can answer, where there is one.
fn verdict_routes(app: &App) -> Router<App> {
    Router::new()
        .route("/{id}/accept", post(steps::accept))
        .route("/{id}/reject", post(steps::reject))
        .route("/{id}/force-queue", post(steps::force_queue))
        .layer(from_fn_with_state(app.clone(), forward::to_authority))
}

fn project_routes() -> Router<App> {
    Router::new()
        .route("/", get(projects::list).post(projects::create))
        .route("/{id}", get(projects::show).patch(projects::edit).delete(projects::delete))
        .route("/{id}/tasks", get(projects::tasks))
}

fn draft_routes() -> Router<App> {
    Router::new()
        .route("/", get(drafts::list).post(drafts::create))
        .route("/{id}", get(drafts::show).patch(drafts::edit).delete(drafts::delete))
}

fn flow_routes() -> Router<App> {
    Router::new().route("/", get(flows::list)).route("/{name}", get(flows::show).put(flows::put).delete(flows::delete))
}

fn role_routes() -> Router<App> {
    Router::new().route("/", get(roles::list)).route("/register", post(roles::register)).route("/{name}", get(roles::show))
}

fn action_routes() -> Router<App> {
    Router::new()
        .route("/", get(actions::list).post(actions::create))
        .route("/{id}", get(actions::show).patch(actions::edit))
        .route("/{id}/execute", post(actions::execute))
}

fn orchestrator_routes() -> Router<App> {
    Router::new()
        .route("/", get(orchestrators::list))
        .route("/register", post(orchestrators::register))
        .route("/scopes/{scope}/rotate-key", post(orchestrators::rotate_key))
        .route("/{id}", get(orchestrators::show).patch(orchestrators::edit))
        .route("/{id}/heartbeat", post(orchestrators::heartbeat))
}

fn cluster_routes() -> Router<App> {
    Router::new()
        .route("/", get(cluster::show))
        .route("/name", put(cluster::name))
        .route("/offline", put(cluster::offline))
        .route("/integrator", put(cluster::integrator))
        .route("/authority", get(authority::show).put(authority::set))
        .route("/peers", get(cluster::peers))
        .route("/peers/approve", post(cluster::approve))
        .route("/peers/deny", post(cluster::deny))
        .route("/peers/{name}/remove", post(cluster::remove_peer))
        .route("/invites", post(cluster::invite))
        .route("/join-key", post(join_key::make).delete(join_key::remove))
        .route("/conflicts", get(conflicts::list))
        .route("/conflicts/{id}", get(conflicts::show))
        .route("/conflicts/{id}/adopt", post(conflicts::adopt))
        .route("/conflicts/{id}/dismiss", post(conflicts::dismiss))
}

fn node_routes() -> Router<App> {
    Router::new()
        .route("/status", get(node::status))
        .route("/pause", post(node::pause))
        .route("/resume", post(node::resume))
        .route("/agents/{name}/pause", post(node::pause_agent))
        .route("/agents/{name}/resume", post(node::resume_agent))
        .route("/stop", post(node::stop))
        .route("/gc", post(node::gc))
        .route("/doctor", get(node::doctor))
}

/// How long a call waits for a node that catches up: longer than that takes on most days, and less than a caller's patience.
const HELD: Duration = Duration::from_secs(5);

/// Lets calls that may write wait while this node asks what it wrote before: where they are passed on to depends on who is there.
///
/// What is said to the node alone, to stop or to pause, waits for nothing.
async fn until_writable(State(app): State<App>, request: Request, next: Next) -> Response {
    let waits = !request.method().is_safe() && !request.uri().path().starts_with("/api/v1/node/");
    if waits && tokio::time::timeout(HELD, app.settings.store.until_writable()).await.is_err() {
        return Refusal::CatchingUp.into_response();
    }
    next.run(request).await
}

/// How much of an address is said back.
const ECHO: usize = 200;

fn not_served(status: StatusCode, error: &str, message: String) -> Response {
    let body = ErrorBody { error: error.to_owned(), message: Some(message), timestamp: Some(times::now()), ..ErrorBody::default() };
    (status, Json(body)).into_response()
}

async fn unknown_route(OriginalUri(uri): OriginalUri) -> Response {
    let url: String = uri.path().chars().take(ECHO).collect();
    not_served(StatusCode::NOT_FOUND, "Not Found", format!("Endpoint {url} not found"))
}

async fn unknown_method(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let url: String = uri.path().chars().take(ECHO).collect();
    not_served(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", format!("{method} is not answered at {url}"))
}

/// Answers for a handler that panicked. What it says is for the log.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives the panic away")]
fn caught(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(reason = text.unwrap_or("no text"), "a request ended unexpectedly");
    Refusal::Defect.into_response()
}
