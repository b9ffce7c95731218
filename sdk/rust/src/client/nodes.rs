//! Calls about the node itself.

use http::Method;

use super::{Client, request::Call};
use crate::{ClientError, Doctor, GcReport, GcRequest, NodeStatus, Paused, StopAnswer, StopRequest};

/// Which log is meant, and how it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The attempt; the latest by default.
    pub attempt: Option<String>,
    /// As the agent's program printed it, instead of a line a step.
    pub raw: bool,
    /// Whether to wait for more until the attempt ends.
    pub follow: bool,
}

impl Client {
    /// Shows what the node does.
    ///
    /// # Errors
    /// As every call.
    pub async fn node_status(&self) -> Result<NodeStatus, ClientError> {
        self.answer(Call::new(Method::GET, &["node", "status"])?).await
    }

    /// Tells the node to end. It answers first; its process is gone a little later.
    ///
    /// # Errors
    /// As every call.
    pub async fn stop_node(&self, request: &StopRequest) -> Result<StopAnswer, ClientError> {
        self.answer(Call::new(Method::POST, &["node", "stop"])?.body(request)?).await
    }

    /// Pauses or resumes one agent, or the whole node. A paused agent's running work goes on.
    ///
    /// # Errors
    /// As every call; 404 when there is no such agent.
    pub async fn set_paused(&self, agent: Option<&str>, paused: bool) -> Result<Paused, ClientError> {
        let verb = if paused { "pause" } else { "resume" };
        let call = match agent {
            Some(agent) => Call::new(Method::POST, &["node", "agents", agent, verb])?,
            None => Call::new(Method::POST, &["node", verb])?,
        };
        self.answer(call).await
    }

    /// Removes what finished attempts left behind, or tells what it would remove.
    ///
    /// # Errors
    /// As every call.
    pub async fn gc(&self, request: &GcRequest) -> Result<GcReport, ClientError> {
        self.answer(Call::new(Method::POST, &["node", "gc"])?.body(request)?).await
    }

    /// Looks through the store, and rebuilds its views if asked.
    ///
    /// # Errors
    /// As every call.
    pub async fn doctor(&self, rebuild: bool) -> Result<Doctor, ClientError> {
        self.answer(Call::new(Method::GET, &["node", "doctor"])?.query_flag("rebuild", rebuild)).await
    }
}
