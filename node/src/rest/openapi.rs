//! The description of the API, made from the handlers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{
    actions, cluster, conflicts, drafts, events, flows, messages, metrics, node, orchestrators, projects, roles, steps, tasks, trail, work,
};

/// Names the token.
struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token that begins with `oct_`")).build();
        api.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Octopoid", version = "2.0.0", description = "The REST API of an Octopoid node", license(name = "MIT")),
    modifiers(&BearerToken),
    security(("token" = [])),
    paths(
        node::health, node::root, metrics::show, describe,
        tasks::list, tasks::create, tasks::show, tasks::edit, tasks::delete, tasks::resolve_prefix,
        steps::claim, steps::renew, steps::submit, steps::accept, steps::reject, steps::requeue, steps::release, steps::cancel,
        steps::force_queue, steps::complete_hook, steps::merge,
        messages::of_task, trail::history, trail::attempts, work::log, work::diff,
        projects::list, projects::create, projects::show, projects::tasks, projects::edit, projects::delete,
        drafts::list, drafts::create, drafts::show, drafts::edit, drafts::delete,
        flows::list, flows::put, flows::show, flows::delete, roles::register, roles::list, roles::show,
        messages::list, messages::create, actions::list, actions::create, actions::show, actions::execute, actions::edit,
        orchestrators::register, orchestrators::heartbeat, orchestrators::list, orchestrators::show, orchestrators::edit,
        orchestrators::rotate_key, orchestrators::poll,
        events::stream,
        cluster::show, cluster::name, cluster::offline, cluster::peers, cluster::approve, cluster::deny, cluster::remove_peer, cluster::invite,
        conflicts::list, conflicts::show, conflicts::adopt, conflicts::dismiss,
        node::status, node::pause, node::resume, node::pause_agent, node::resume_agent, node::stop, node::gc, node::doctor,
    )
)]
struct Api;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_else(|error| unreachable!("the description refused to be JSON: {error}"));
    text.push('\n');
    text
});

/// Returns the description of the API as JSON text, as `sdk/openapi.json` holds it.
#[must_use]
pub fn openapi() -> &'static str {
    &TEXT
}

/// Lists the calls, such as `GET /api/v1/tasks`.
pub(super) fn endpoints() -> Vec<String> {
    let description: serde_json::Value = serde_json::from_str(openapi()).unwrap_or_default();
    let paths = description["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flat_map(|item| item.keys());
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

/// Gives the description of the API.
#[utoipa::path(get, path = "/api/openapi.json", tag = "node", responses((status = 200, description = "OpenAPI 3.1")))]
pub(super) async fn describe() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}
