//! Reads at another node what only that one has: the logs of what it runs.
//!
//! **Invariants**: a reading is passed on at most once; what comes from a member is a call that only reads.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use octopoid_crdt::ids::{AttemptName, AuthorKey};
use tokio_stream::StreamExt as _;
use tower::ServiceExt as _;

use super::app::App;
use super::forward::PassedOn;
use super::refusal::Refusal;
use super::work::TEXT;
use crate::cluster::{AnswerReads, AskError, PassedRead, Pieces};

/// An attempt, and the node that ran it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Who ran it.
    pub node: AuthorKey,
    /// The task's tenant.
    pub scope: String,
    /// The task's id.
    pub task: String,
    /// The attempt.
    pub attempt: AttemptName,
}

impl App {
    /// Tells whether another member has what is not here.
    pub(super) fn is_elsewhere(&self, place: &Place) -> bool {
        self.settings.cluster.is_some() && place.node != self.settings.store.me()
    }

    /// Reads an attempt's log where it ran.
    pub(super) async fn log_elsewhere(&self, place: &Place, options: &str) -> Result<Response, Refusal> {
        let name = self.member_name(&self.settings.store.membership(), &place.node);
        let there = format!("attempt {} was made on '{name}'", place.attempt);
        let offline = || Refusal::Offline(format!("{there}, which cannot be reached now: try again when it is back"));
        let cluster = self.settings.cluster.as_ref().ok_or_else(offline)?;
        let read = PassedRead {
            path: format!("/api/v1/tasks/{}/log", place.task),
            query: format!("scope={}&attempt={}{options}", place.scope, place.attempt),
        };
        let (status, pieces) = cluster.read_at(&place.node, &read).await.map_err(|error| match error {
            AskError::Offline => offline(),
            AskError::Failed(reason) => Refusal::Offline(format!("{there}, which did not answer: {reason}")),
        })?;
        let mut response = Response::new(Body::from_stream(self.until_closing(pieces)));
        *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Refusal::Defect)?;
        if status == 200 {
            response.headers_mut().extend(TEXT.map(|(name, value)| (name, HeaderValue::from_static(value))));
        } else {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(response)
    }

    /// Ends a stream when the API closes.
    fn until_closing(&self, pieces: Pieces) -> Pieces {
        let mut closing = self.closing();
        let closed = Box::pin(async move { drop(closing.wait_for(|closing| *closing).await) });
        Box::pin(futures_util::StreamExt::take_until(pieces, closed))
    }
}

/// Tells whether a path is what members read: a task's log.
fn allowed(path: &str) -> bool {
    let id = path.strip_prefix("/api/v1/tasks/").and_then(|rest| rest.strip_suffix("/log"));
    id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

/// Makes what answers members that read.
pub fn answer_reads(app: &App, router: &Router) -> AnswerReads {
    let (token, router) = (app.settings.token.bearer(), router.clone());
    Arc::new(move |read| {
        let (token, router) = (token.clone(), router.clone());
        Box::pin(async move { run(&token, router, read).await })
    })
}

async fn run(token: &str, router: Router, read: PassedRead) -> (u16, Pieces) {
    let refused = |status: StatusCode, error: &str| {
        let body = serde_json::json!({ "error": error }).to_string();
        (status.as_u16(), Box::pin(tokio_stream::once(Ok(body.into()))) as Pieces)
    };
    if !allowed(&read.path) {
        return refused(StatusCode::FORBIDDEN, "members read logs only");
    }
    let request = Request::get(format!("{}?{}", read.path, read.query))
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, token)
        .extension(PassedOn)
        .body(Body::empty());
    let Ok(request) = request else { return refused(StatusCode::BAD_REQUEST, "the path or the query is none") };
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    (status, Box::pin(response.into_body().into_data_stream().map(|piece| piece.map_err(std::io::Error::other))))
}
