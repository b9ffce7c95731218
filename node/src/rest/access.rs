//! Who calls, and what the caller may see.
//!
//! **Invariants**: without a good token nothing is answered but `/api/health`, and the dashboard's files, which hold nothing of the
//! node; a key sees its own scope alone, and the join key no call but the two that a joining machine needs; tokens are compared in
//! constant time, and only hashes of keys are stored.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{Choice, ConstantTimeEq};

use super::app::{App, Auth};
use super::join_key;
use super::params::Params;
use super::refusal::Refusal;
use crate::ops::keys;
use crate::ops::{Refused, Target};

/// What a join key is refused with.
const JOINS: &str = "the join key lets machines join and opens nothing else: this call needs the node's own token";

/// Whoever sent the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Holds the node's own token: sees all scopes.
    Node,
    /// Holds the key of one scope.
    Scoped(String),
    /// Holds the join key: may ask for a ticket, and is let through to nothing else.
    Joiner,
}

impl Caller {
    /// Returns the only scope that the caller may see.
    pub(super) fn bound(&self) -> Option<&str> {
        match self {
            Self::Node => None,
            Self::Scoped(scope) => Some(scope),
            // It comes to no call that looks at scopes; none is called so.
            Self::Joiner => Some(""),
        }
    }

    /// Refuses a scope that the caller may not see.
    pub(super) fn check(&self, scope: &str) -> Result<(), Refusal> {
        match self {
            Self::Scoped(own) if own != scope => Err(Refusal::Forbidden(format!("the key belongs to the scope '{own}'"))),
            Self::Scoped(_) | Self::Node => Ok(()),
            Self::Joiner => Err(Refusal::Forbidden(JOINS.to_owned())),
        }
    }

    /// Refuses whoever holds neither the node's own token nor the join key.
    pub(super) fn may_let_in(&self) -> Result<(), Refusal> {
        if matches!(self, Self::Joiner) { Ok(()) } else { self.must_be_node() }
    }

    /// Refuses whoever does not hold the node's own token.
    pub(super) fn must_be_node(&self) -> Result<(), Refusal> {
        match self {
            Self::Node => Ok(()),
            Self::Scoped(_) => Err(Refusal::Forbidden("this call needs the node's own token".to_owned())),
            Self::Joiner => Err(Refusal::Forbidden(JOINS.to_owned())),
        }
    }

    /// Returns the scope that a request is about: the one it names, else the caller's, else the node's own.
    pub(super) fn scope(&self, app: &App, named: Option<&str>) -> Result<String, Refusal> {
        let Some(named) = named else {
            return Ok(self.bound().unwrap_or(app.settings.scope.as_str()).to_owned());
        };
        self.check(named)?;
        crate::ops::name("scope", named)?;
        Ok(named.to_owned())
    }

    /// Returns which task a request is about.
    pub(super) fn target(&self, app: &App, named: Option<&str>, id: &str) -> Result<Target, Refusal> {
        if let Some(named) = named {
            self.check(named)?;
        }
        // What cannot be an id cannot be found; it does not reach the store.
        if id.parse::<octopoid_crdt::ids::Name>().is_err() {
            return Err(Refused::NotFound { id: id.chars().filter(|c| !c.is_control()).take(140).collect() }.into());
        }
        Ok(Target {
            scope: named.map(str::to_owned),
            own_scope: app.settings.scope.to_string(),
            bound: self.bound().map(str::to_owned),
            id: id.to_owned(),
        })
    }
}

/// Lets through only requests to names of the node, and from its own pages.
pub(super) async fn check_host(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets through only callers with a token, and notes who they are.
pub(super) async fn check_token(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.uri().path() == "/api/health" {
        return next.run(request).await;
    }
    let caller = match recognise(&app, request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    if caller == Caller::Joiner && !join_key::opens(request.method(), request.uri().path()) {
        return Refusal::Forbidden(JOINS.to_owned()).into_response();
    }
    // Every call that names a scope is checked here, so that no handler can forget it.
    let scope = Params::of(request.uri()).and_then(|params| params.text("scope"));
    if let Err(refusal) = scope.and_then(|scope| scope.map_or(Ok(()), |scope| caller.check(&scope))) {
        return refusal.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn recognise(app: &App, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return match app.settings.auth {
            Auth::NoneOnLoopback => Ok(Caller::Node),
            Auth::Required => Err(Refusal::Unauthorized("a token is required: send 'Authorization: Bearer oct_…'")),
        };
    };
    let malformed = Refusal::Unauthorized("malformed Authorization header: send 'Authorization: Bearer oct_…'");
    let (None, Ok(text)) = (values.next(), value.to_str()) else { return Err(malformed) };
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ') => token,
        Some(_) | None => return Err(malformed),
    };
    if !token.starts_with(keys::PREFIX) {
        return Err(Refusal::Unauthorized("a token begins with 'oct_'"));
    }
    if app.settings.token.is(token) {
        return Ok(Caller::Node);
    }
    let hash = keys::hash(token);
    if app.settings.join_key.is(&hash) {
        return Ok(Caller::Joiner);
    }
    let known = app.read(|_, reader| reader.items(keys::COLLECTION, None)).await?;
    let mut found = None;
    for (scope, _, stored) in known {
        // No early end: which entry matches, and whether one does, takes the same time.
        let matches: Choice = keys::stored_hash(&stored.json).as_bytes().ct_eq(hash.as_bytes());
        if matches.into() {
            found = Some(scope);
        }
    }
    found.map(Caller::Scoped).ok_or(Refusal::Unauthorized("the token is unknown"))
}
