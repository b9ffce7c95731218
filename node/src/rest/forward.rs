//! Passes on what only another node can write: a claim's renewal, submission and release, by a patch's acting fields too, to its
//! holder's, verdicts to the authority.
//!
//! **Invariants**: a call is passed on at most once; what comes from a member is one of the calls listed here, carries no key
//! of this node, and needs no more rights than the member has; an answer is given when this node shows what it tells.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Limited};
use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::record::Access;
use serde_json::Value;
use tower::ServiceExt as _;

use super::access::Caller;
use super::app::App;
use super::commit::tag;
use super::find::find;
use super::input::{self, BODY};
use super::params::Params;
use super::refusal::Refusal;
use crate::cluster::{AnswerCalls, AskError, PassedAnswer, PassedCall};
use crate::ops::{Refused, Target};
use crate::store::TaskRow;

/// How long a node waits until it shows what another one answered, or holds what a call rests on.
pub(super) const SHOWN: Duration = Duration::from_secs(10);
/// How often it is looked whether a record has arrived.
const GLANCE: Duration = Duration::from_millis(20);
/// How many records a call names that it rests on.
const AFTER: usize = 66;
/// How many own records are looked at that another node has not acknowledged.
const UNKNOWN: usize = 10_000;
/// The conditions of a request that travel with it.
const CONDITIONS: [HeaderName; 2] = [header::IF_MATCH, HeaderName::from_static("idempotency-key")];

/// Marks a call that came from a member, so that it is not passed on again.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassedOn;

/// For whom a member passed a call on: keys for repeating calls belong to callers, and here all of them come with this node's token.
#[derive(Debug, Clone)]
pub(super) struct OnBehalf {
    /// The member.
    pub of: AuthorKey,
    /// The only scope that its caller may see, if there is but one.
    pub bound: Option<String>,
}

/// Passes a call on when another node wrote the claim that it is about.
pub(super) async fn to_holder(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.settings.store.membership().members().count() <= 1 || request.extensions().get::<PassedOn>().is_some() {
        return next.run(request).await;
    }
    let held = match Held::of(request).await {
        Ok(held) => held,
        Err(refusal) => return refusal.into_response(),
    };
    if !held.is_about_the_claim() {
        return next.run(held.request()).await;
    }
    let me = app.settings.store.me();
    // Where it is not to be found, or twice, the handler says so.
    let found = match held.target(&app) {
        Some(target) => row(&app, target.clone()).await.ok().and_then(|row| Some((AuthorKey(row.holder?.node), row.scope, target))),
        None => None,
    };
    let Some((node, scope, target)) = found.filter(|(node, _, _)| *node != me) else { return next.run(held.request()).await };
    let name = app.node_name(&node);
    let away = Away {
        offline: format!("the claim was made at '{name}', which cannot be reached now: try again when it is back"),
        silent: format!("'{name}', where the claim was made, did not answer"),
    };
    let target = Target { scope: Some(scope.clone()), ..target };
    app.ask(&node, held.call(scope), target, &away).await.unwrap_or_else(IntoResponse::into_response)
}

/// Passes a verdict, or a call that finishes a task without one, on to the authority where that is another node.
pub(super) async fn to_authority(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.other_authority().is_none() || request.method() != Method::POST {
        return next.run(request).await;
    }
    let passed_on = request.extensions().get::<PassedOn>().is_some();
    let held = match Held::of(request).await {
        Ok(held) => held,
        Err(refusal) => return refusal.into_response(),
    };
    if !held.is_for_the_authority() {
        return next.run(held.request()).await;
    }
    if passed_on {
        return Refusal::Offline("the authority has just moved: try again".to_owned()).into_response();
    }
    // What is wrong with the request, or with the caller's scope, the handler tells.
    let Some(target) = held.target(&app) else { return next.run(held.request()).await };
    let scope = match row(&app, target.clone()).await {
        Ok(row) => row.scope,
        Err(refusal @ Refusal::Operation(Refused::Ambiguous { .. })) => return refusal.into_response(),
        // The authority may know what is not known here.
        Err(_) => target.scope.clone().or_else(|| target.bound.clone()).unwrap_or_else(|| target.own_scope.clone()),
    };
    let target = Target { scope: Some(scope.clone()), ..target };
    app.ask_authority(held.call(scope), target).await.unwrap_or_else(IntoResponse::into_response)
}

/// A request whose body was read.
struct Held {
    parts: Parts,
    body: Bytes,
    /// The body; null when it cannot be read, of which the handler says why.
    json: Value,
}

impl Held {
    async fn of(request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY).collect().await.map_err(|_| Refusal::TooLarge(BODY))?.to_bytes();
        let json = input::json(&parts.headers, &body).unwrap_or_default();
        Ok(Self { parts, body, json })
    }

    fn request(self) -> Request {
        Request::from_parts(self.parts, Body::from(self.body))
    }

    /// Returns the whole path, of which routers within routers see a part only.
    fn path(&self) -> &str {
        self.parts.extensions.get::<OriginalUri>().map_or_else(|| self.parts.uri.path(), |uri| uri.0.path())
    }

    /// Returns the task that the path names, or the body of a creation; none where the request or its caller is wrong.
    fn target(&self, app: &App) -> Option<Target> {
        let id = match task_and_verb(self.path()) {
            Some((id, _)) => id.to_owned(),
            None if self.parts.method == Method::PATCH => edited(self.path())?.to_owned(),
            None => self.json["id"].as_str()?.to_owned(),
        };
        let params = Params::of(&self.parts.uri).ok()?;
        let scope = params.text("scope").ok()?.or_else(|| self.json["scope"].as_str().map(str::to_owned));
        self.parts.extensions.get::<Caller>()?.target(app, scope.as_deref(), &id).ok()
    }

    /// Tells whether the call would renew, hand in or give back the claim: an edit does so by its acting fields, but for a move to
    /// `failed`, which ends every claim and keeps what it says of it for display.
    fn is_about_the_claim(&self) -> bool {
        let ends = self.json.get("claimed_by").is_some_and(Value::is_null);
        let times = self.json.get("lease_expires_at").is_some();
        self.json.is_object() && (self.parts.method != Method::PATCH || ((ends || times) && self.json["queue"] != "failed"))
    }

    /// Tells whether the call would write an Accept, a Reject or a Finish.
    fn is_for_the_authority(&self) -> bool {
        let done = self.json["queue"] == "done";
        match task_and_verb(self.path()) {
            _ if !self.json.is_object() => false,
            Some((_, "accept" | "reject")) => true,
            Some((_, "force-queue")) => done,
            Some(_) => false,
            None => done && self.path().trim_end_matches('/') == CREATE,
        }
    }

    fn call(&self, scope: String) -> PassedCall {
        PassedCall {
            method: (self.parts.method != Method::POST).then(|| self.parts.method.to_string()),
            path: self.path().to_owned(),
            scope,
            body: String::from_utf8_lossy(&self.body).into_owned(),
            bound: self.parts.extensions.get::<Caller>().and_then(Caller::bound).map(str::to_owned),
            conditions: conditions(&self.parts.headers),
            after: Vec::new(),
        }
    }
}

const CREATE: &str = "/api/v1/tasks";
const AUTHORITY: &str = "/api/v1/cluster/authority";

/// Takes the path of a call about one task apart.
fn task_and_verb(path: &str) -> Option<(&str, &str)> {
    let (id, verb) = path.strip_prefix(CREATE)?.strip_prefix('/')?.split_once('/')?;
    (!id.is_empty() && !verb.contains('/')).then_some((id, verb))
}

/// Returns the task whose path this is.
fn edited(path: &str) -> Option<&str> {
    path.strip_prefix(CREATE)?.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/'))
}

fn conditions(headers: &HeaderMap) -> Vec<(String, String)> {
    let named = headers.iter().filter(|(name, _)| CONDITIONS.contains(name));
    named.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

async fn row(app: &App, target: Target) -> Result<TaskRow, Refusal> {
    app.read(move |_, reader| Ok::<_, Refusal>(find(reader, &target)?.1)).await
}

/// What is said when a node gives no answer.
pub(super) struct Away {
    pub offline: String,
    pub silent: String,
}

impl App {
    /// Returns the authority, where that is another node.
    pub(super) fn other_authority(&self) -> Option<AuthorKey> {
        let me = self.settings.store.me();
        self.settings.store.membership().authority().filter(|authority| **authority != me).copied()
    }

    /// Refuses what only the authority can decide while it cannot be reached.
    pub(super) fn must_reach_authority(&self) -> Result<(), Refusal> {
        let Some(authority) = self.other_authority() else { return Ok(()) };
        let reached = self.settings.cluster.as_ref().is_some_and(|cluster| cluster.reaches(&authority));
        if reached { Ok(()) } else { Err(Refusal::Offline(self.authority_away(&authority).offline)) }
    }

    pub(super) fn authority_away(&self, authority: &AuthorKey) -> Away {
        let name = self.node_name(authority);
        let at_rest = if self.settings.api_url.is_none() { ", because this node does not run: octopoid start" } else { "" };
        Away {
            offline: format!("the authority '{name}' cannot be reached now{at_rest}: try again when it is back"),
            silent: format!("the authority '{name}' did not answer"),
        }
    }

    /// Has another node carry out a call.
    pub(super) async fn pass(&self, node: &AuthorKey, call: PassedCall, away: &Away) -> Result<PassedAnswer, Refusal> {
        let offline = || Refusal::Offline(away.offline.clone());
        let cluster = self.settings.cluster.as_ref().ok_or_else(offline)?;
        cluster.pass_on(node, &call).await.map_err(|error| match error {
            AskError::Offline => offline(),
            AskError::Failed(reason) => Refusal::Offline(format!("{}: {reason}", away.silent)),
        })
    }

    /// Has the authority carry out a call about a task.
    async fn ask_authority(&self, call: PassedCall, target: Target) -> Result<Response, Refusal> {
        let Some(authority) = self.other_authority() else {
            return Err(Refusal::Offline("the authority has just moved: try again".to_owned()));
        };
        self.ask(&authority, call, target, &self.authority_away(&authority)).await
    }

    /// Returns what a call may rest on and another node may not hold yet: the last of this node's own records that it has not
    /// acknowledged, before which all others of its own come, and the last ones of the task as it is shown here.
    async fn rests_on(&self, node: AuthorKey, target: Target) -> Result<Vec<String>, Refusal> {
        let records = self.read(move |app, reader| {
            let known = reader.acknowledged()?.get(&node).copied();
            let own = reader.records_after(&app.settings.store.me(), known, UNKNOWN)?;
            let mut records: Vec<RecordId> = own.last().map(|(_, id)| *id).into_iter().collect();
            if let Ok((no, _)) = find(reader, &target) {
                let log = reader.log(no)?.log;
                records.extend(log.heads().iter().filter_map(|at| log.entries().get(*at as usize)).map(|entry| entry.id));
            }
            Ok::<_, Refusal>(records)
        });
        Ok(records.await?.iter().take(AFTER).map(ToString::to_string).collect())
    }

    /// Waits until all of these records are held here; tells whether they are.
    async fn holds(&self, records: &[String]) -> bool {
        let wanted: Vec<RecordId> = records.iter().take(AFTER).filter_map(|id| id.parse().ok()).collect();
        let mut events = self.settings.store.events();
        let arrived = async {
            loop {
                let wanted = wanted.clone();
                let held = self.read(move |_, reader| {
                    for id in &wanted {
                        if reader.arrival(id)?.is_none() {
                            return Ok::<_, Refusal>(false);
                        }
                    }
                    Ok(true)
                });
                if held.await.unwrap_or(false) {
                    return;
                }
                // Not every record is an event.
                let _ = tokio::time::timeout(GLANCE, events.recv()).await;
            }
        };
        wanted.is_empty() || tokio::time::timeout(SHOWN, arrived).await.is_ok()
    }

    /// Has another node carry out a call about a task, and answers when this one shows what it did.
    async fn ask(&self, node: &AuthorKey, call: PassedCall, target: Target, away: &Away) -> Result<Response, Refusal> {
        let after = self.rests_on(*node, target.clone()).await?;
        let mut events = self.settings.store.events();
        let answer = self.pass(node, PassedCall { after, ..call }, away).await?;
        if let Some(wanted) = answer.etag.clone() {
            let shows = async {
                while row(self, target.clone()).await.map_or(true, |row| !shows(&row, &wanted)) {
                    // Behind or not: look again. A closed channel means that the node ends.
                    if matches!(events.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(SHOWN, shows).await;
        }
        respond(answer)
    }
}

/// Tells whether a row shows the state that has this tag, or a later one: somebody else may have gone on with the task already.
fn shows(row: &TaskRow, wanted: &str) -> bool {
    let version = wanted.trim_matches('"').split('-').next().and_then(|version| version.parse().ok());
    tag(row) == wanted || version.is_some_and(|version: u64| row.version > version)
}

fn respond(answer: PassedAnswer) -> Result<Response, Refusal> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| Refusal::Defect)?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(etag) = answer.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Tells whether a member may pass a call on.
fn allowed(call: &PassedCall, access: Option<Access>) -> bool {
    match (call.method.as_deref().unwrap_or("POST"), task_and_verb(&call.path)) {
        ("POST", Some((_, verb))) => matches!(verb, "renew" | "submit" | "release" | "accept" | "reject" | "force-queue"),
        ("POST", None) => call.path == CREATE,
        ("PATCH", None) => edited(&call.path).is_some(),
        ("PUT", None) => call.path == AUTHORITY && access == Some(Access::Admin),
        _ => false,
    }
}

/// Makes what answers calls that members pass on.
pub fn answer_calls(app: &App, router: &Router) -> AnswerCalls {
    let (app, router) = (app.clone(), router.clone());
    Arc::new(move |peer, call| {
        let (app, router) = (app.clone(), router.clone());
        Box::pin(async move { run(&app, router, &peer, call).await })
    })
}

async fn run(app: &App, router: Router, peer: &AuthorKey, call: PassedCall) -> PassedAnswer {
    let refused = |status: StatusCode, error: &str| PassedAnswer {
        status: status.as_u16(),
        body: serde_json::json!({ "error": error }).to_string(),
        etag: None,
    };
    let access = app.settings.store.membership().access(peer);
    if !allowed(&call, access) {
        let may_not = match access {
            Some(access) if call.path == AUTHORITY => {
                format!(
                    "only an admin moves the authority, and this machine is a {}: run it on an admin's machine",
                    crate::cluster::access_name(access)
                )
            }
            Some(_) | None => "a member cannot pass that call on".to_owned(),
        };
        return refused(StatusCode::FORBIDDEN, &may_not);
    }
    let Ok(scope) = crate::ops::name("scope", &call.scope) else { return refused(StatusCode::BAD_REQUEST, "the scope is no name") };
    let bound = call.bound.as_deref().map(|bound| crate::ops::name("scope", bound)).transpose();
    let Ok(bound) = bound.map(|bound| bound.map(|bound| bound.to_string())) else {
        return refused(StatusCode::BAD_REQUEST, "the caller's scope is no name");
    };
    let mut request = Request::builder()
        .method(call.method.as_deref().unwrap_or("POST"))
        .uri(format!("{}?scope={scope}", call.path))
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, app.settings.token.bearer())
        .header(header::CONTENT_TYPE, "application/json")
        .extension(PassedOn)
        .extension(OnBehalf { of: *peer, bound });
    for (name, value) in call.conditions.iter().filter(|(name, _)| CONDITIONS.iter().any(|known| known.as_str() == name)) {
        request = request.header(name, value);
    }
    if !app.holds(&call.after).await {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "what the call is about has not arrived at the node that decides: try again");
    }
    let Ok(request) = request.body(Body::from(call.body)) else { return refused(StatusCode::BAD_REQUEST, "the path is none") };
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    let body = response.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    PassedAnswer { status, body: String::from_utf8_lossy(&body).into_owned(), etag }
}
