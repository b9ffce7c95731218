//! What an attempt did: its log and its difference, as text.
//!
//! **Invariants**: a path is built from checked names alone; a log is read in pieces, so its size is never in memory; a stream
//! ends with its attempt, its reader or the node.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use octopoid_client::ErrorBody;
use octopoid_crdt::ids::{AttemptName, AuthorKey};
use octopoid_crdt::lifecycle::{Attempt, AttemptStatus};

use super::app::{App, DiffError, DiffQuery, WantedWork};
use super::elsewhere::Place;
use super::find::find;
use super::forward::PassedOn;
use super::input::{Call, Segments};
use super::output::{Output, tail};
use super::params::Params;
use super::refusal::Refusal;
use super::trail::{Trail, branch};
use crate::ops::Target;
use crate::store::{TaskRow, Unavailable};

pub(super) const TEXT: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];

/// Returns the attempt that a query names, else the current, else the latest one.
fn chosen(trail: &Trail, name: Option<AttemptName>) -> Result<&Attempt, Refusal> {
    let of_task = || format!("task '{}'", trail.row.id);
    match name {
        Some(name) => {
            let found = trail.state.attempts.iter().find(|attempt| attempt.name == name);
            found.ok_or_else(|| Refusal::NotFound(format!("{} has no attempt '{name}'", of_task())))
        }
        None => {
            let found = trail.state.current().or(trail.state.attempts.last());
            found.ok_or_else(|| Refusal::NotFound(format!("{} has no attempt yet", of_task())))
        }
    }
}

/// Says where an attempt or review was made.
fn place(trail: &Trail, attempt: AttemptName, node: AuthorKey) -> Place {
    Place { node, scope: trail.row.scope.clone(), task: trail.row.id.clone(), attempt }
}

fn attempt_name(params: &Params) -> Result<Option<AttemptName>, Refusal> {
    let Some(text) = params.text("attempt")? else { return Ok(None) };
    let name = text.parse().map_err(|_| Refusal::field("attempt", "an attempt is named like 1-3fa9c2d1"))?;
    Ok(Some(name))
}

/// Shows what an attempt changed, as a patch.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/diff", tag = "tasks",
    params(("id" = String, Path, description = "The task"), ("attempt" = Option<String>, Query, description = "The current one by default"),
        ("stat" = Option<bool>, Query, description = "One line for each file")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn diff(State(app): State<App>, segments: Segments, params: Params, call: Call) -> Result<Response, Refusal> {
    let (name, stat) = (attempt_name(&params)?, params.flag("stat")?.unwrap_or(false));
    let query = app.trail(&segments, &call, move |_, _, trail| {
        let attempt = chosen(trail, name)?;
        let submit = attempt.submit.as_ref();
        let (base, head) = (submit.and_then(|submit| submit.base.clone()), submit.and_then(|submit| submit.head.clone()));
        let wanted =
            trail.row.id.parse().ok().map(|task| WantedWork { task, attempt: attempt.name, head: head.clone(), node: attempt.claimant });
        let query = DiffQuery { base: base.or_else(|| trail.base_of(attempt)), head, branch: branch(&trail.row, attempt), stat };
        Ok((query, wanted))
    });
    let (mut query, wanted) = query.await?;
    if let (Some(bring), Some(wanted)) = (&app.settings.bring, wanted)
        && let Some(head) = bring(wanted).await
    {
        query.head = Some(head);
    }
    let source = app.settings.diff.clone().ok_or_else(|| Refusal::NotFound("this project has no repository".to_owned()))?;
    let compared = tokio::task::spawn_blocking(move || source(&query)).await.map_err(|_| Refusal::Defect)?;
    match compared {
        Ok(text) => Ok((TEXT, text).into_response()),
        Err(DiffError::Nothing(why)) => Err(Refusal::NotFound(why)),
        Err(DiffError::Failed(why)) => Err(Unavailable::Failed(why.into()).into()),
    }
}

/// Shows, or follows, what an attempt's agent printed.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/log", tag = "tasks",
    params(("id" = String, Path, description = "The task"), ("attempt" = Option<String>, Query, description = "The current one by default; a review by the name in its history"),
        ("raw" = Option<bool>, Query, description = "As the agent's program printed it"),
        ("follow" = Option<bool>, Query, description = "Waits for more until the attempt ends")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn log(
    State(app): State<App>,
    segments: Segments,
    params: Params,
    passed: Option<Extension<PassedOn>>,
    call: Call,
) -> Result<Response, Refusal> {
    let name = attempt_name(&params)?;
    let (raw, follow) = (params.flag("raw")?.unwrap_or(false), params.flag("follow")?.unwrap_or(false));
    let found = app.trail(&segments, &call, move |app, _, trail| {
        let attempt = chosen(trail, name).map(|attempt| place(trail, attempt.name, attempt.claimant));
        // A review is no attempt, and has a log of its own all the same.
        let review = name.and_then(|name| Some(place(trail, name, trail.reviewer(&name)?)));
        let place = attempt.or_else(|refusal| review.ok_or(refusal))?;
        Ok((app.attempt_logs(&trail.row, &place.attempt), place))
    });
    let (folder, place) = found.await?;
    let output = Output::of(folder);
    let is_here = output.is_any().await;
    if passed.is_none() && app.is_elsewhere(&place) && !is_here {
        let options = [("&raw=true", raw), ("&follow=true", follow)];
        let options: String = options.into_iter().filter(|(_, wanted)| *wanted).map(|(option, _)| option).collect();
        return app.log_elsewhere(&place, &options).await;
    }
    let attempt = place.attempt;
    let target = Target { scope: Some(place.scope.clone()), own_scope: place.scope, bound: None, id: place.task };
    if !follow && !is_here {
        return Err(Refusal::NotFound(format!("attempt {attempt} left no log on this node")));
    }
    let stream = tail(app, output, follow.then_some((target, attempt)), raw);
    Ok((TEXT, Body::from_stream(stream)).into_response())
}

impl App {
    /// Returns the folder of an attempt's output. Id and name come from the store, where every name is checked.
    pub(super) fn attempt_logs(&self, row: &TaskRow, attempt: &AttemptName) -> PathBuf {
        self.settings.logs.join("tasks").join(&row.id).join(attempt.to_string())
    }

    /// Tells whether an attempt still works.
    pub(super) async fn runs(&self, target: Target, attempt: AttemptName) -> bool {
        let state = self.read(move |app, reader| {
            let (no, row) = find(reader, &target)?;
            let trail = Trail::read(reader, &app.settings.store.masks(), no, row)?;
            Ok::<_, Refusal>(trail.state.attempts.iter().any(|known| known.name == attempt && known.status == AttemptStatus::Running))
        });
        state.await.unwrap_or(false)
    }
}
