//! How a refusal is answered: one place decides status and body.
//!
//! What answers 409: an id that is taken or ambiguous, a transition that the lifecycle does not allow, a caller that is
//! not the holder, a stale epoch or version. 412 is `If-Match` alone, 422 an idempotency key that was used for another
//! request, 503 what works again later or on another node.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use octopoid_client::{ErrorBody, Resolved};

use crate::cluster::WelcomeError;
use crate::ops::Refused;
use crate::ops::drafts::DraftRefused;
use crate::ops::members::MembersRefused;
use crate::ops::projects::ProjectRefused;
use crate::run::ControlError;
use crate::store::{Fault, Unavailable, WriteFault};

/// The body that answers a claim when no task waits: no error.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct NoTasks {
    /// No tasks available.
    message: String,
}

/// States why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// An operation refused it.
    #[error(transparent)]
    Operation(#[from] Refused),
    /// The store does not write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Fault(#[from] Fault),
    /// The scheduler refused it.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The request is not what the contract asks for.
    #[error("{0}")]
    Invalid(String),
    /// The token is missing, malformed or unknown.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token is good, but not for this.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// What it needs is not reachable now.
    #[error("{0}")]
    Offline(String),
    /// The beginning of an id means several tasks.
    #[error("'{prefix}' could be {}", shown(candidates))]
    Candidates {
        /// The beginning.
        prefix: String,
        /// What it could mean; the first few.
        candidates: Vec<Resolved>,
    },
    /// The body took too long to arrive.
    #[error("the body did not arrive within {0} s")]
    Slow(u64),
    /// The body is too large.
    #[error("the body exceeds {0} bytes")]
    TooLarge(usize),
    /// The body is in another format.
    #[error("the body must be JSON: send Content-Type: application/json")]
    MediaType,
    /// The Host header names another place.
    #[error("this node does not serve the host '{0}': add it to api.hosts")]
    Misdirected(String),
    /// The key was used for another request.
    #[error("the Idempotency-Key was used for another request within the last 24 h")]
    KeyReused,
    /// No task waits for the claimant; not a failure.
    #[error("No tasks available")]
    NoTasks,
    /// This node still takes in what others wrote before it may write.
    #[error("this node has just started and still takes in what the others wrote: try again in a moment")]
    CatchingUp,
    /// A task ended before it answered; a defect.
    #[error("Internal Server Error")]
    Defect,
}

impl From<WriteFault> for Refusal {
    fn from(fault: WriteFault) -> Self {
        Self::Operation(fault.into())
    }
}

impl From<ProjectRefused> for Refusal {
    fn from(refused: ProjectRefused) -> Self {
        match refused {
            ProjectRefused::Refused(refused) => refused.into(),
            ProjectRefused::NotFound(_) => Self::NotFound(refused.to_string()),
            ProjectRefused::Exists(_) | ProjectRefused::HasTasks { .. } => Self::Conflict(refused.to_string()),
        }
    }
}

impl From<DraftRefused> for Refusal {
    fn from(refused: DraftRefused) -> Self {
        match refused {
            DraftRefused::Refused(refused) => refused.into(),
            DraftRefused::NotFound(_) => Self::NotFound(refused.to_string()),
            DraftRefused::Full(_) => Self::Conflict(refused.to_string()),
        }
    }
}

impl From<MembersRefused> for Refusal {
    fn from(refused: MembersRefused) -> Self {
        let text = refused.to_string();
        match refused {
            MembersRefused::NotAdmin => Self::Forbidden(text),
            MembersRefused::NotMember(_) => Self::NotFound(text),
            MembersRefused::NameTaken { .. }
            | MembersRefused::SharesNumbers(_)
            | MembersRefused::InviteUsed
            | MembersRefused::LastAdmin
            | MembersRefused::AuthorityElsewhere(_)
            | MembersRefused::NotWorker(_) => Self::Conflict(text),
            MembersRefused::Store(fault) => fault.into(),
        }
    }
}

impl From<WelcomeError> for Refusal {
    fn from(error: WelcomeError) -> Self {
        match error {
            WelcomeError::NotPending(error) => Self::NotFound(error.to_string()),
            WelcomeError::Refused(refused) => refused.into(),
            WelcomeError::Store(unavailable) => unavailable.into(),
            WelcomeError::Invite(error) => Self::Conflict(crate::causes::describe(&error)),
            WelcomeError::Ticket(error) => Self::Conflict(error.to_string()),
        }
    }
}

fn shown(candidates: &[Resolved]) -> String {
    candidates.iter().map(|task| task.id.as_str()).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// Names a field that is wrong.
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        Refused::field(field, message).into()
    }

    /// Returns the status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Operation(refused) => match refused {
                Refused::NotFound { .. } => StatusCode::NOT_FOUND,
                Refused::Ambiguous { .. } | Refused::Exists { .. } | Refused::Transition { .. } | Refused::Version { .. } => {
                    StatusCode::CONFLICT
                }
                Refused::Field { .. } => StatusCode::BAD_REQUEST,
                Refused::Precondition { .. } => StatusCode::PRECONDITION_FAILED,
                Refused::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Unavailable(Unavailable::Failed(_) | Unavailable::Closed) | Self::Fault(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unavailable(Unavailable::Defect) | Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Control(control) => match control {
                ControlError::NotRunning => StatusCode::SERVICE_UNAVAILABLE,
                ControlError::UnknownAgent { .. } | ControlError::NotFound(_) => StatusCode::NOT_FOUND,
                ControlError::Refused(_) => StatusCode::CONFLICT,
            },
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoTasks => StatusCode::NOT_FOUND,
            Self::Offline(_) | Self::CatchingUp => StatusCode::SERVICE_UNAVAILABLE,
            Self::Conflict(_) | Self::Candidates { .. } => StatusCode::CONFLICT,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn body(&self) -> ErrorBody {
        let mut body = ErrorBody { error: self.to_string(), ..ErrorBody::default() };
        match self {
            Self::Operation(Refused::NotFound { id }) | Self::Control(ControlError::NotFound(id)) => body.task_id = Some(id.clone()),
            Self::Operation(Refused::Transition { details, .. }) => body.details.clone_from(details),
            Self::Operation(Refused::Ambiguous { id, scopes }) => {
                body.candidates = scopes.iter().map(|scope| Resolved { id: id.clone(), scope: scope.clone() }).collect();
            }
            Self::Candidates { candidates, .. } => body.candidates.clone_from(candidates),
            Self::Fault(fault) => {
                // The causes are for the log; the first line names the step that helps.
                tracing::error!(reason = %fault, "a read failed");
                body.error = format!("the store cannot be read: {fault}");
            }
            Self::Operation(_)
            | Self::Unavailable(_)
            | Self::Control(_)
            | Self::Invalid(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Offline(_)
            | Self::Slow(_)
            | Self::TooLarge(_)
            | Self::MediaType
            | Self::Misdirected(_)
            | Self::KeyReused
            | Self::NoTasks
            | Self::CatchingUp
            | Self::Defect => {}
        }
        body
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let (unread, catching_up) = (matches!(self, Self::TooLarge(_) | Self::Slow(_)), matches!(self, Self::CatchingUp));
        // An empty queue is answered without an `error`, by which clients tell it from an unknown route.
        let mut response = if matches!(self, Self::NoTasks) {
            (status, axum::Json(NoTasks { message: self.to_string() })).into_response()
        } else {
            (status, axum::Json(self.body())).into_response()
        };
        if unread {
            // The rest of the body would be read as the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if catching_up {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
