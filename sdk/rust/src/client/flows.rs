//! Calls about flows and roles.

use http::Method;

use super::{Client, request::Call};
use crate::{ClientError, Flow, FlowDeleted, FlowList, PutFlow, RegisterRoles, RegisteredRoles, Role, RoleList};

impl Client {
    /// Lists the flows of a scope; the node's own by default.
    ///
    /// # Errors
    /// As every call.
    pub async fn flows(&self, scope: Option<&str>) -> Result<FlowList, ClientError> {
        self.answer(Call::new(Method::GET, &["flows"])?.query("scope", scope)).await
    }

    /// Shows a flow.
    ///
    /// # Errors
    /// As every call; 404 when there is none of that name.
    pub async fn flow(&self, name: &str) -> Result<Flow, ClientError> {
        self.answer(Call::new(Method::GET, &["flows", name])?).await
    }

    /// Registers a flow, or replaces it.
    ///
    /// # Errors
    /// As every call.
    pub async fn put_flow(&self, name: &str, flow: &PutFlow) -> Result<Flow, ClientError> {
        self.answer(Call::new(Method::PUT, &["flows", name])?.body(flow)?).await
    }

    /// Forgets a flow.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_flow(&self, name: &str) -> Result<FlowDeleted, ClientError> {
        let gone = serde_json::json!({ "message": "Flow deleted", "name": name });
        self.answer(Call::new(Method::DELETE, &["flows", name])?.or_gone(&gone)).await
    }

    /// Registers roles in an orchestrator's scope.
    ///
    /// # Errors
    /// As every call; 400 when the orchestrator is not known.
    pub async fn register_roles(&self, roles: &RegisterRoles) -> Result<RegisteredRoles, ClientError> {
        self.answer(Call::new(Method::POST, &["roles", "register"])?.body(roles)?).await
    }

    /// Lists the registered roles of a scope; the node's own by default.
    ///
    /// # Errors
    /// As every call.
    pub async fn roles(&self, scope: Option<&str>) -> Result<RoleList, ClientError> {
        self.answer(Call::new(Method::GET, &["roles"])?.query("scope", scope)).await
    }

    /// Shows a role.
    ///
    /// # Errors
    /// As every call; 404 when there is none of that name.
    pub async fn role(&self, name: &str) -> Result<Role, ClientError> {
        self.answer(Call::new(Method::GET, &["roles", name])?).await
    }
}
