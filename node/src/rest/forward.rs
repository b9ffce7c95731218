//! Passes on what only the holder's node can write: a claim's renewal, submission and release.
//!
//! **Invariants**: a call is passed on at most once; what comes from a member is one of these three calls and carries no key
//! of this node.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Limited};
use octopoid_crdt::ids::AuthorKey;
use serde_json::Value;
use tower::ServiceExt as _;

use super::access::Caller;
use super::app::App;
use super::find::find;
use super::input::BODY;
use super::params::Params;
use super::refusal::Refusal;
use crate::cluster::{AnswerCalls, AskError, PassedAnswer, PassedCall};

/// Marks a call that came from a member, so that it is not passed on again.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassedOn;

/// Passes a call on when another node wrote the claim that it is about.
pub(super) async fn to_holder(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.settings.store.membership().members().count() <= 1 || request.extensions().get::<PassedOn>().is_some() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = Limited::new(body, BODY).collect().await.map(http_body_util::Collected::to_bytes) else {
        return Refusal::TooLarge(BODY).into_response();
    };
    let caller = parts.extensions.get::<Caller>().cloned();
    let holder = match caller {
        Some(caller) => holder(&app, &caller, &parts.uri, &bytes).await,
        None => None,
    };
    match holder {
        Some((node, scope)) => pass(&app, node, &scope, path(&parts), &bytes).await.unwrap_or_else(IntoResponse::into_response),
        None => next.run(Request::from_parts(parts, Body::from(bytes))).await,
    }
}

/// Returns the whole path, of which routers within routers see a part only.
fn path(parts: &Parts) -> &str {
    parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.0.path())
}

/// Returns who holds the task that a path names, if it is another node; what is wrong with the request the handler tells.
async fn holder(app: &App, caller: &Caller, uri: &axum::http::Uri, body: &Bytes) -> Option<(AuthorKey, String)> {
    let id = uri.path().rsplit('/').nth(1)?.to_owned();
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let params = Params::of(uri).ok()?;
    let scope = params.text("scope").ok()?.or_else(|| json["scope"].as_str().map(str::to_owned));
    let target = caller.target(app, scope.as_deref(), &id).ok()?;
    let me = app.settings.store.me();
    let found = app.read(move |_, reader| {
        let (_, row) = find(reader, &target)?;
        Ok::<_, Refusal>(row.holder.map(|holder| (AuthorKey(holder.node), row.scope)))
    });
    found.await.ok().flatten().filter(|(node, _)| *node != me)
}

async fn pass(app: &App, node: AuthorKey, scope: &str, path: &str, body: &[u8]) -> Result<Response, Refusal> {
    let name = app.member_name(&app.settings.store.membership(), &node);
    let offline = || Refusal::Offline(format!("the claim was made at '{name}', which cannot be reached now: try again when it is back"));
    let cluster = app.settings.cluster.as_ref().ok_or_else(offline)?;
    let call = PassedCall {
        path: path.to_owned(),
        scope: scope.to_owned(),
        body: String::from_utf8(body.to_vec()).map_err(|_| Refusal::Invalid("the body is no UTF-8 text".to_owned()))?,
    };
    let answer = cluster.pass_on(&node, &call).await.map_err(|error| match error {
        AskError::Offline => offline(),
        AskError::Failed(reason) => Refusal::Offline(format!("'{name}', where the claim was made, did not answer: {reason}")),
    })?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| Refusal::Defect)?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Tells whether a path is one of the three calls that members pass on.
fn allowed(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/v1/tasks/") else { return false };
    let mut parts = rest.split('/');
    let (id, verb, end) = (parts.next(), parts.next(), parts.next());
    id.is_some_and(|id| !id.is_empty()) && matches!(verb, Some("renew" | "submit" | "release")) && end.is_none()
}

/// Makes what answers calls that members pass on.
pub fn answer_calls(app: &App, router: &Router) -> AnswerCalls {
    let (token, router) = (app.settings.token.bearer(), router.clone());
    Arc::new(move |call| {
        let (token, router) = (token.clone(), router.clone());
        Box::pin(async move { run(&token, router, call).await })
    })
}

async fn run(token: &str, router: Router, call: PassedCall) -> PassedAnswer {
    let refused =
        |status: StatusCode, error: &str| PassedAnswer { status: status.as_u16(), body: serde_json::json!({ "error": error }).to_string() };
    if !allowed(&call.path) {
        return refused(StatusCode::FORBIDDEN, "members pass on renew, submit and release only");
    }
    let Ok(scope) = crate::ops::name("scope", &call.scope) else { return refused(StatusCode::BAD_REQUEST, "the scope is no name") };
    let request = Request::post(format!("{}?scope={scope}", call.path))
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, token)
        .header(header::CONTENT_TYPE, "application/json")
        .extension(PassedOn)
        .body(Body::from(call.body));
    let Ok(request) = request else { return refused(StatusCode::BAD_REQUEST, "the path is none") };
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    PassedAnswer { status, body: String::from_utf8_lossy(&body).into_owned() }
}
