//! What a node answers when it refuses, and what else keeps a call from its result.

use serde::{Deserialize, Serialize};

use crate::{node::Resolved, transport::TransportError};

/// The body of every answer that is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What was wrong.
    #[serde(default)]
    pub error: String,
    /// Each guard that a refused transition failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The task that was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// More about it, on unknown routes and empty queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was answered, on unknown routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The tasks that an id, or its beginning, could mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Resolved>,
}

/// What a failed call means to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong as it is: repeating it is useless.
    Invalid,
    /// The thing spoken of does not exist.
    NotFound,
    /// The token is missing, unknown or of another scope.
    Denied,
    /// The state forbids it: held by somebody else, stale, or no such transition from here.
    Refused,
    /// No node answered, or the one that must answer cannot be reached.
    Unreachable,
    /// The node failed, or answered what cannot be read.
    Failed,
}

/// States why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer arrived.
    #[error("the node at {place} does not answer")]
    Unreachable {
        /// Where the node should be.
        place: String,
        /// What happened instead.
        #[source]
        source: TransportError,
    },
    /// Who answers there does not prove to be the node; nothing was sent to it.
    #[error("the certificate of the node at {place} is not trusted")]
    Untrusted {
        /// Where the node should be.
        place: String,
        /// Why it is not.
        #[source]
        source: reqwest::Error,
    },
    /// The answer took too long.
    #[error("the node at {place} did not answer within {after:?}")]
    TimedOut {
        /// Where the node is.
        place: String,
        /// How long was waited.
        after: std::time::Duration,
    },
    /// The node answered with an error.
    #[error("{}", said(*status, body))]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the node says.
        body: Box<ErrorBody>,
    },
    /// Something answered that is no node.
    #[error("{call} was answered with status {status} and no JSON: is this an Octopoid node?")]
    Stranger {
        /// The method and path.
        call: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not what this version reads.
    #[error("cannot read the node's answer to {call}")]
    Decode {
        /// The method and path.
        call: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The request cannot be written as JSON.
    #[error("cannot write the request {call}")]
    Encode {
        /// The method and path.
        call: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The answer, or one event of a stream, exceeds what a client reads.
    #[error("the node's answer exceeds {limit} bytes")]
    TooLarge {
        /// What a client reads.
        limit: usize,
    },
    /// An id or name cannot stand in a path.
    #[error("'{0}' cannot be an id")]
    BadId(String),
    /// What a client was told cannot be.
    #[error("{name} {why}")]
    Option {
        /// What it was told.
        name: &'static str,
        /// What it must be.
        why: String,
    },
    /// No address was told, and no project is near whose node could be meant.
    #[error("no node is known: give its address, set OCTOPOID_SERVER_URL, or run in a project whose node runs (octopoid start)")]
    NoNode,
    /// A token holds characters that a header cannot.
    #[error("the token holds characters that no token has")]
    BadToken,
}

impl ClientError {
    /// Tells what the failure means to the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::TimedOut { .. } => ErrorKind::Unreachable,
            Self::Status { status, .. } | Self::Stranger { status, .. } => match status {
                401 | 403 => ErrorKind::Denied,
                404 => ErrorKind::NotFound,
                409 | 412 => ErrorKind::Refused,
                502..=504 => ErrorKind::Unreachable,
                400..=499 => ErrorKind::Invalid,
                _ => ErrorKind::Failed,
            },
            Self::BadId(_) | Self::BadToken | Self::Encode { .. } | Self::Option { .. } | Self::NoNode => ErrorKind::Invalid,
            Self::Decode { .. } | Self::TooLarge { .. } => ErrorKind::Failed,
        }
    }

    /// Returns the HTTP status of the answer, when there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Stranger { status, .. } => Some(*status),
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut { .. }
            | Self::Decode { .. }
            | Self::Encode { .. }
            | Self::TooLarge { .. }
            | Self::BadId(_)
            | Self::Option { .. }
            | Self::NoNode
            | Self::BadToken => None,
        }
    }

    /// Tells whether the node says that what a call speaks of is not there; a route that it does not have is no such thing.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        let route = |body: &ErrorBody| body.message.as_deref().is_some_and(|message| message.starts_with("Endpoint "));
        matches!(self, Self::Status { status: 404, body } if !route(body))
    }

    /// Returns what the node said, when it did answer.
    #[must_use]
    pub fn body(&self) -> Option<&ErrorBody> {
        match self {
            Self::Status { body, .. } => Some(body),
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut { .. }
            | Self::Stranger { .. }
            | Self::Decode { .. }
            | Self::Encode { .. }
            | Self::TooLarge { .. }
            | Self::BadId(_)
            | Self::Option { .. }
            | Self::NoNode
            | Self::BadToken => None,
        }
    }
}

fn said(status: u16, body: &ErrorBody) -> String {
    let text = match (body.error.is_empty(), &body.message) {
        (true, Some(message)) => message,
        (true, None) => return format!("the node answered with status {status}"),
        (false, _) => &body.error,
    };
    match body.details.is_empty() {
        true => text.clone(),
        false => format!("{text}: {}", body.details.join("; ")),
    }
}
