//! Runs an operation in the store and answers with what it left, once or again.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::app::App;
use super::refusal::Refusal;
use crate::ops::idempotency::{self, Answer, Known, Once};
use crate::ops::{Snapshot, etag};
use crate::store::{TaskRow, Unit};

/// What a commit left: the result, or the answer that is kept for its key.
enum Left<T> {
    Done(T),
    Kept(Answer),
}

impl App {
    /// Runs an operation; the answer is built from its result by `present`, which must not block.
    ///
    /// With an idempotency key the answer is built and kept within the commit; without one it is built after it, off the
    /// writer's thread.
    pub(super) async fn commit<T: Send + 'static>(
        &self,
        once: Option<Once>,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal> + Send + 'static,
        present: impl Fn(&Self, T) -> Answer + Clone + Send + 'static,
    ) -> Result<Response, Refusal> {
        let (app, within) = (self.clone(), present.clone());
        let work = move |unit: &mut Unit<'_>| {
            let Some(once) = once else { return operation(unit).map(Left::Done) };
            match idempotency::look_up(unit, &once)? {
                Known::Answered(answer) => return Ok(Left::Kept(answer)),
                Known::Other => return Err(Refusal::KeyReused),
                Known::New => {}
            }
            let answer = within(&app, operation(unit)?);
            idempotency::keep(unit, &once, &answer)?;
            Ok(Left::Kept(answer))
        };
        match self.settings.store.write(work).await?? {
            Left::Done(done) => respond(present(self, done)),
            Left::Kept(answer) => respond(answer),
        }
    }

    /// Runs an operation on a task and answers with the task.
    pub(super) async fn commit_task(
        &self,
        once: Option<Once>,
        status: StatusCode,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<Snapshot, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        self.commit(once, operation, move |app, done: Snapshot| app.task_answer(status, done)).await
    }

    /// Builds the answer that shows a task.
    pub(super) fn task_answer(&self, status: StatusCode, task: Snapshot) -> Answer {
        let tag = tag(&task.row);
        let shown = self.view(&task.row, task.content, None);
        Answer { etag: Some(tag), ..json(status, &shown) }
    }
}

/// Returns the value of an `ETag` header.
pub(super) fn tag(row: &TaskRow) -> String {
    format!("\"{}\"", etag(row))
}

/// Builds an answer of JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Every type of an answer has text keys and finite numbers, so writing it cannot fail.
    let body = serde_json::to_vec(value).unwrap_or_else(|error| unreachable!("an answer refused to be JSON: {error}"));
    Answer { status: status.as_u16(), etag: None, body }
}

/// Turns an answer into a response.
pub(super) fn respond(answer: Answer) -> Result<Response, Refusal> {
    let status = StatusCode::from_u16(answer.status).map_err(|_| Refusal::Defect)?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(tag) = answer.etag {
        response.headers_mut().insert(header::ETAG, HeaderValue::from_str(&tag).map_err(|_| Refusal::Defect)?);
    }
    Ok(response)
}
