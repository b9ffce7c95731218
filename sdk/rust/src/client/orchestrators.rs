//! Calls of whoever claims tasks over REST.

use http::Method;

use super::{Client, request::Call};
use crate::{
    ClientError, Heartbeat, HeartbeatAnswer, Orchestrator, OrchestratorList, OrchestratorPatch, PollResponse, RegisterAnswer,
    RegisterOrchestrator, ScopeKey,
};

/// Which orchestrators a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrchestratorFilter {
    /// The cluster's name.
    pub cluster: Option<String>,
    /// active, offline or maintenance.
    pub status: Option<String>,
}

impl Client {
    /// Makes an orchestrator known.
    ///
    /// # Errors
    /// As every call.
    pub async fn register_orchestrator(&self, request: &RegisterOrchestrator) -> Result<RegisterAnswer, ClientError> {
        self.answer(Call::new(Method::POST, &["orchestrators", "register"])?.body(request)?.once()).await
    }

    /// Replaces a scope's key; the old one is void at once.
    ///
    /// # Errors
    /// As every call.
    pub async fn rotate_key(&self, scope: &str) -> Result<ScopeKey, ClientError> {
        let call = Call::new(Method::POST, &["orchestrators", "scopes", scope, "rotate-key"])?;
        self.answer(call.body(&serde_json::json!({}))?.once()).await
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// As every call; 404 when it never registered.
    pub async fn heartbeat(&self, id: &str) -> Result<HeartbeatAnswer, ClientError> {
        self.answer(Call::new(Method::POST, &["orchestrators", id, "heartbeat"])?.body(&Heartbeat::default())?).await
    }

    /// Lists orchestrators.
    ///
    /// # Errors
    /// As every call.
    pub async fn orchestrators(&self, filter: &OrchestratorFilter) -> Result<OrchestratorList, ClientError> {
        let call = Call::new(Method::GET, &["orchestrators"])?;
        self.answer(call.query("cluster", filter.cluster.as_ref()).query("status", filter.status.as_ref())).await
    }

    /// Shows an orchestrator.
    ///
    /// # Errors
    /// As every call.
    pub async fn orchestrator(&self, id: &str) -> Result<Orchestrator, ClientError> {
        self.answer(Call::new(Method::GET, &["orchestrators", id])?).await
    }

    /// Changes an orchestrator's status.
    ///
    /// # Errors
    /// As every call.
    pub async fn patch_orchestrator(&self, id: &str, patch: &OrchestratorPatch) -> Result<Orchestrator, ClientError> {
        self.answer(Call::new(Method::PATCH, &["orchestrators", id])?.body(patch)?).await
    }

    /// Asks what a scheduler must know, in one call.
    ///
    /// # Errors
    /// As every call.
    pub async fn poll(&self, orchestrator_id: &str, scope: Option<&str>) -> Result<PollResponse, ClientError> {
        let call = Call::new(Method::GET, &["scheduler", "poll"])?;
        self.answer(call.query("orchestrator_id", Some(orchestrator_id)).query("scope", scope)).await
    }
}
