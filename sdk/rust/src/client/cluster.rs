//! Calls about the cluster.

use http::Method;

use super::{Client, request::Call};
use crate::{ClientError, ClusterInfo, ClusterName, CodeRequest, Invitation, InviteRequest, Peers, RemoveRequest};

impl Client {
    /// Shows the cluster as the node sees it.
    ///
    /// # Errors
    /// As every call.
    pub async fn cluster(&self) -> Result<ClusterInfo, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster"])?).await
    }

    /// Names the cluster.
    ///
    /// # Errors
    /// As every call; 403 when the node is no admin.
    pub async fn name_cluster(&self, request: &ClusterName) -> Result<ClusterInfo, ClientError> {
        self.answer(Call::new(Method::PUT, &["cluster", "name"])?.body(request)?).await
    }

    /// Lists the members and who asks to be one.
    ///
    /// # Errors
    /// As every call.
    pub async fn peers(&self) -> Result<Peers, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster", "peers"])?).await
    }

    /// Approves or denies a request to join.
    ///
    /// # Errors
    /// As every call; 404 when no such request waits.
    pub async fn decide_join(&self, request: &CodeRequest, approve: bool) -> Result<Peers, ClientError> {
        let verb = if approve { "approve" } else { "deny" };
        self.answer(Call::new(Method::POST, &["cluster", "peers", verb])?.body(request)?).await
    }

    /// Removes a member by its name or peer id.
    ///
    /// # Errors
    /// As every call; 404 when there is no such member.
    pub async fn remove_peer(&self, name: &str, request: &RemoveRequest) -> Result<Peers, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "peers", name, "remove"])?.body(request)?).await
    }

    /// Makes an invitation for one machine.
    ///
    /// # Errors
    /// As every call; 403 when the node is no admin.
    pub async fn invite(&self, request: &InviteRequest) -> Result<Invitation, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "invites"])?.body(request)?).await
    }
}
