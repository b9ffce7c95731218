//! `api.compat: head`: what the last TypeScript server asked for and answered, for clients that were written against it.
//!
//! It stands around the handlers, which know today's contract alone: so answers that were kept for an idempotency key, or that
//! another node gave, are shown as this node's setting has it.
//!
//! **Invariants**: a member's call, and a client that asks for `octopoid-compat: seed`, see today's contract whatever the
//! setting; nothing but the flags of tasks is changed in an answer.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::app::App;
use super::forward::PassedOn;
use super::input;
use super::params::Params;
use super::refusal::Refusal;
use crate::config::Compat;

/// By which a client asks for today's contract.
const ASKED: &str = "octopoid-compat";
/// The flags of a task that the last server kept as numbers.
const FLAGS: [&str; 5] = ["auto_accept", "has_plan", "needs_rebase", "needs_breakdown", "needs_intervention"];

/// What a call must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    scope: bool,
    branch: bool,
}

impl Needs {
    fn of(method: &Method, route: &str) -> Self {
        let writes = method == Method::POST;
        let scope = match route {
            "/api/v1/tasks" | "/api/v1/projects" | "/api/v1/drafts" | "/api/v1/messages" | "/api/v1/actions" => {
                writes || method == Method::GET
            }
            "/api/v1/tasks/claim" | "/api/v1/orchestrators/register" => writes,
            "/api/v1/flows" | "/api/v1/flows/{name}" => true,
            _ => false,
        };
        Self { scope, branch: writes && matches!(route, "/api/v1/tasks" | "/api/v1/projects") }
    }
}

/// Answers as the last TypeScript server did, where the setting says so.
pub(super) async fn as_head(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.settings.compat == Compat::Seed || is_asked_for_today(&request) {
        return next.run(request).await;
    }
    // A nested route is matched with a slash at its end.
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().trim_end_matches('/').to_owned());
    let Some(route) = route else { return next.run(request).await };
    let request = match admit(request, &route).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = next.run(request).await;
    if shows_tasks(&route) { with_numbers(answer).await } else { answer }
}

fn is_asked_for_today(request: &Request) -> bool {
    let asked = request.headers().get(ASKED).is_some_and(|value| value == HeaderValue::from_static("seed"));
    asked || request.extensions().get::<PassedOn>().is_some()
}

fn shows_tasks(route: &str) -> bool {
    route.starts_with("/api/v1/tasks") || matches!(route, "/api/v1/projects/{id}/tasks" | "/api/v1/cluster/conflicts/{id}/adopt")
}

/// Refuses a request that leaves out what the last server wanted. Numbers for flags are taken with any setting.
async fn admit(request: Request, route: &str) -> Result<Request, Refusal> {
    let needs = Needs::of(request.method(), route);
    let in_query = Params::of(request.uri())?.text("scope")?.is_some();
    if !needs.branch && (!needs.scope || in_query) {
        return Ok(request);
    }
    if request.method() == Method::GET {
        return Err(missing("scope", route));
    }
    let (parts, body) = request.into_parts();
    let bytes = input::read(&parts.headers, body).await?;
    // What cannot be read is refused by the handler, which says what is wrong with it.
    if let Ok(json) = input::json(&parts.headers, &bytes) {
        if needs.scope && !in_query && is_unset(&json["scope"]) {
            return Err(missing("scope", route));
        }
        if needs.branch && is_unset(&json["branch"]) {
            return Err(missing("branch", route));
        }
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn missing(field: &str, route: &str) -> Refusal {
    let place = if field == "scope" { " in the query or the body" } else { "" };
    Refusal::field(field, format!("{route} wants a {field}{place}, because api.compat is head"))
}

/// Turns the flags of the tasks in an answer into numbers.
async fn with_numbers(answer: Response) -> Response {
    let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json || !answer.status().is_success() {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(bytes) = body.collect().await.map(|body| body.to_bytes()) else { return Refusal::Defect.into_response() };
    let Ok(mut json) = serde_json::from_slice::<Value>(&bytes) else { return Response::from_parts(parts, Body::from(bytes)) };
    match json.get_mut("tasks").and_then(Value::as_array_mut) {
        Some(tasks) => tasks.iter_mut().for_each(number_flags),
        None => number_flags(&mut json),
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(json.to_string()))
}

fn number_flags(task: &mut Value) {
    for field in FLAGS {
        if let Some(value) = task.get_mut(field)
            && let Some(flag) = value.as_bool()
        {
            *value = Value::from(u8::from(flag));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_needs_a_scope_where_the_last_server_wanted_one() {
        let needs = |method: Method, route: &str| (Needs::of(&method, route).scope, Needs::of(&method, route).branch);
        assert_eq!(needs(Method::POST, "/api/v1/tasks"), (true, true));
        assert_eq!(needs(Method::GET, "/api/v1/tasks"), (true, false));
        assert_eq!(needs(Method::POST, "/api/v1/projects"), (true, true));
        assert_eq!(needs(Method::POST, "/api/v1/tasks/claim"), (true, false));
        assert_eq!(needs(Method::DELETE, "/api/v1/flows/{name}"), (true, false));
        for route in ["/api/v1/tasks/{id}", "/api/v1/tasks/{id}/submit", "/api/v1/scheduler/poll", "/api/v1/events", "/api/v1/roles"] {
            assert_eq!(needs(Method::GET, route), (false, false), "{route}");
            assert_eq!(needs(Method::POST, route), (false, false), "{route}");
        }
    }
}
