//! The description of the API, made from the handlers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder};

use super::whole::WholeAnswers;
use super::{
    actions, authority, cluster, conflicts, drafts, events, export, flows, import, join_key, messages, metrics, node, orchestrators,
    projects, roles, steps, tasks, trail, work,
};

/// Names the token.
struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token that begins with `oct_`")).build();
        api.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Adds to every call what is decided before and after its handler: who may call, which bodies are read, which scope is meant.
struct Everywhere;

/// What the layers around every handler answer.
const ALWAYS: [(&str, &str); 6] = [
    ("400", "The query, the path or the body is malformed, or a field of it is wrong"),
    ("401", "No token, or an unknown one"),
    ("403", "The token is of another scope, or the Origin of another site"),
    ("405", "The path takes other methods"),
    ("421", "The Host is of another place"),
    ("503", "The store does not write, or what the call needs is not reachable now"),
];
/// What looking for what a path names may answer besides.
const BY_ID: [(&str, &str); 2] =
    [("404", "There is nothing of this name"), ("409", "It is in several scopes, or its state forbids the call")];
/// What reading a body may answer besides.
const WITH_BODY: [(&str, &str); 3] = [("408", "The body took too long"), ("413", "The body is too large"), ("415", "The body is no JSON")];

/// What a key for repeating a request may answer besides.
const ONCE: [(&str, &str); 1] = [("422", "The Idempotency-Key came with another request")];

impl utoipa::Modify for Everywhere {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let responses = &mut api.components.get_or_insert_default().responses;
        for (status, description) in ALWAYS.iter().chain(&BY_ID).chain(&WITH_BODY).chain(&ONCE) {
            let content = Content::new(Some(Ref::from_schema_name("ErrorBody")));
            let answer = ResponseBuilder::new().description(*description).content("application/json", content);
            responses.insert(response_name(status), answer.build().into());
        }
        for (path, item) in &mut api.paths.paths {
            let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
            for operation in methods.into_iter().flatten() {
                name(operation);
                add_answers(operation, &ALWAYS);
                if path.contains('{') {
                    add_answers(operation, &BY_ID);
                }
                if operation.request_body.is_some() {
                    add_answers(operation, &WITH_BODY);
                }
                if has(operation, "Idempotency-Key") {
                    add_answers(operation, &ONCE);
                }
                // Every call below the version takes the scope in its query, whether its handler looks at it or not.
                if path.starts_with("/api/v1/") && !has(operation, "scope") {
                    operation.parameters.get_or_insert_default().push(scope().into());
                }
            }
        }
    }
}

/// Makes an operation's id unique: handlers of several tags have the same names.
fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

/// Adds answers that are described once for all calls, where a call does not describe its own.
fn add_answers(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, _) in answers {
        let answer = Ref::from_response_name(response_name(status));
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| answer.into());
    }
}

fn response_name(status: &str) -> String {
    format!("Refused{status}")
}

/// Tells whether an operation takes a parameter of this name, wherever it is sent.
fn has(operation: &Operation, name: &str) -> bool {
    let named = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == name);
    operation.parameters.iter().flatten().any(named)
}

fn scope() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let scope = ParameterBuilder::new().name("scope").parameter_in(ParameterIn::Query).required(Required::False);
    scope.description(Some("Tenant")).schema(Some(text)).build()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Octopoid", version = "2.0.0", description = "The REST API of an Octopoid node", license(name = "MIT")),
    modifiers(&BearerToken, &Everywhere, &WholeAnswers),
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
        events::stream, import::import, import::import_progress, export::export,
        cluster::show, cluster::name, cluster::offline, cluster::integrator, authority::show, authority::set, cluster::peers, cluster::approve, cluster::deny, cluster::remove_peer, cluster::invite,
        join_key::make, join_key::remove,
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
