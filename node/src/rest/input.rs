//! The body and the path of a request.
//!
//! **Invariants**: no more than [`BODY`] bytes of a body are read, within [`PATIENCE`]; what is wrong with it is told with
//! the field's name; a scope in the body is checked against the caller's before a handler runs.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::access::Caller;
use super::app::App;
use super::forward::OnBehalf;
use super::params::Params;
use super::refusal::Refusal;
use crate::ops::idempotency::Whose;
use crate::ops::{Expect, idempotency};

/// The largest body.
pub(super) const BODY: usize = 256 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest idempotency key.
const KEY: usize = 255;

/// Fields that follow from what happens to a task, and can therefore not be set.
const DERIVED: [&str; 9] =
    ["attempt_count", "rejection_count", "submitted_at", "completed_at", "claimed_at", "created_at", "updated_at", "id", "scope"];

/// What surrounds the body: who calls, under which conditions.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Who calls.
    pub caller: Caller,
    /// The scope in the query or the body.
    pub scope: Option<String>,
    /// The values of `If-Match`.
    pub etags: Vec<String>,
    /// The caller's key for repeating the request safely.
    pub once: Option<idempotency::Once>,
}

impl Call {
    /// Returns what must hold of the task's state.
    pub(super) fn expect(&self, version: Option<u64>) -> Expect {
        Expect { version, etags: self.etags.clone() }
    }
}

/// A request with a JSON body.
pub(super) struct Input<T> {
    /// The body.
    pub body: T,
    /// What surrounds it.
    pub call: Call,
}

impl<T: DeserializeOwned> FromRequest<App> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &App) -> Result<Self, Refusal> {
        let caller = request.extensions().get::<Caller>().cloned().ok_or(Refusal::Defect)?;
        let params = Params::of(request.uri())?;
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        let once = once(&parts, &caller, &bytes)?;
        let value = json(&parts.headers, &bytes)?;
        let scope = scope(&params, &value)?;
        if let Some(scope) = &scope {
            caller.check(scope)?;
        }
        let etags = etags(&parts.headers)?;
        Ok(Self { body: typed(value)?, call: Call { caller, scope, etags, once } })
    }
}

/// A request whose body, if any, is not looked at.
impl FromRequestParts<App> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or(Refusal::Defect)?;
        let scope = Params::of(&parts.uri)?.text("scope")?;
        Ok(Self { caller, scope, etags: etags(&parts.headers)?, once: None })
    }
}

pub(super) async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Refusal> {
    read_up_to(headers, body, BODY, PATIENCE).await
}

/// Reads a body of a limited size within a limited time.
pub(super) async fn read_up_to(headers: &HeaderMap, body: axum::body::Body, limit: usize, patience: Duration) -> Result<Bytes, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Refusal::TooLarge(limit));
    }
    let whole = tokio::time::timeout(patience, Limited::new(body, limit).collect()).await;
    match whole.map_err(|_| Refusal::Slow(patience.as_secs()))? {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge(limit)),
        Err(_) => Err(Refusal::Invalid("the body broke off".to_owned())),
    }
}

/// Reads a body as an object; none at all is an empty one, so that calls without required fields need no body.
pub(super) fn json(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    // Scripts that send no type at all mean JSON; a form or a text is a mistake, or a web page of another site.
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        let essence = kind.to_str().ok().map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if !essence.is_some_and(|kind| kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))) {
            return Err(Refusal::MediaType);
        }
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| Refusal::Invalid(format!("malformed JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(Refusal::Invalid("the body must be a JSON object".to_owned())) }
}

fn scope(params: &Params, body: &Value) -> Result<Option<String>, Refusal> {
    let in_query = params.text("scope")?;
    let in_body = match body.get("scope") {
        None | Some(Value::Null) => None,
        Some(Value::String(scope)) => Some(scope.clone()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Refusal::field("scope", "must be a text"));
        }
    };
    match (in_query, in_body) {
        (Some(query), Some(body)) if query != body => Err(Refusal::field("scope", "the query and the body name different scopes")),
        (query, body) => Ok(query.or(body)),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner().to_string());
        // A missing or unknown field is named by the cause; its path is that of the object around it.
        if path == "." || cause.contains(&format!("`{path}`")) { Refusal::Invalid(cause) } else { Refusal::field(&path, cause) }
    })
}

/// Refuses fields that nobody can set, before the fields that there are get looked at.
pub(super) fn refuse_derived(body: &Value) -> Result<(), Refusal> {
    match DERIVED.iter().find(|field| body.get(**field).is_some()) {
        Some(field) => Err(Refusal::field(field, "follows from what happens to the task and cannot be set")),
        None => Ok(()),
    }
}

/// Reads a patch of a task, whose derived fields are refused by name.
pub(super) fn patch<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    refuse_derived(&body)?;
    typed(body)
}

fn etags(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let mut etags = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        let text = value.to_str().map_err(|_| Refusal::Invalid("If-Match is malformed".to_owned()))?;
        let tags = text.split(',').map(str::trim).map(|tag| tag.strip_prefix("W/").unwrap_or(tag));
        etags.extend(tags.map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| !tag.is_empty()));
    }
    if headers.contains_key(header::IF_MATCH) && etags.is_empty() {
        return Err(Refusal::Invalid("If-Match is empty".to_owned()));
    }
    Ok(etags)
}

fn once(parts: &Parts, caller: &Caller, body: &[u8]) -> Result<Option<idempotency::Once>, Refusal> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    let mut values = parts.headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || Refusal::Invalid(format!("Idempotency-Key must be given once, with 1 to {KEY} visible ASCII characters"));
    let key = value.to_str().map_err(|_| malformed())?.trim();
    if values.next().is_some() || key.is_empty() || key.len() > KEY {
        return Err(malformed());
    }
    // Of the path a router within a router sees a part only, which another collection may have as well.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    let place = format!("{} {uri}", parts.method);
    let whose = match parts.extensions.get::<OnBehalf>() {
        Some(asker) => Whose { node: Some(asker.of), scope: asker.bound.as_deref() },
        None => Whose { node: None, scope: caller.bound() },
    };
    Ok(Some(idempotency::Once::new(whose, key, &place, body)))
}

/// The named segments of a path, decoded.
#[derive(Debug, Clone)]
pub(super) struct Segments(Vec<(String, String)>);

impl Segments {
    /// Returns a segment by its name in the route.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl FromRequestParts<App> for Segments {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Refusal::Invalid("the path holds bytes that are not UTF-8".to_owned()))?;
        Ok(Self(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}
