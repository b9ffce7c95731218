//! Calls about the cluster.

use http::Method;

use super::{Client, request::Call};
use crate::{
    AdoptRequest, ApproveRequest, AuthorityInfo, AuthorityRequest, ClientError, ClusterInfo, ClusterName, ClusterOffline, CodeRequest,
    Conflict, ConflictList, IntegratorRequest, Invitation, InviteRequest, JoinKey, JoinKeyRemoved, Peers, RemoveRequest, Task,
};

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

    /// Cuts the node off from all members, or lets it connect again.
    ///
    /// # Errors
    /// As every call; 503 when no node with a network runs.
    pub async fn keep_offline(&self, offline: bool) -> Result<ClusterInfo, ClientError> {
        self.answer(Call::new(Method::PUT, &["cluster", "offline"])?.body(&ClusterOffline { offline })?).await
    }

    /// Sets which node merges where there is no remote.
    ///
    /// # Errors
    /// As every call; 403 when the node is no admin, 404 when there is no such member.
    pub async fn set_integrator(&self, request: &IntegratorRequest) -> Result<ClusterInfo, ClientError> {
        self.answer(Call::new(Method::PUT, &["cluster", "integrator"])?.body(request)?).await
    }

    /// Tells who grants claims and judges work.
    ///
    /// # Errors
    /// As every call.
    pub async fn authority(&self) -> Result<AuthorityInfo, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster", "authority"])?).await
    }

    /// Sets who grants claims and judges work.
    ///
    /// # Errors
    /// As every call; 403 when the node is no admin, 503 when the present authority cannot be asked.
    pub async fn set_authority(&self, request: &AuthorityRequest) -> Result<AuthorityInfo, ClientError> {
        self.answer(Call::new(Method::PUT, &["cluster", "authority"])?.body(request)?).await
    }

    /// Lists the members and who asks to be one.
    ///
    /// # Errors
    /// As every call.
    pub async fn peers(&self) -> Result<Peers, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster", "peers"])?).await
    }

    /// Lets in the machine that shows a code.
    ///
    /// # Errors
    /// As every call; 404 when no such request waits.
    pub async fn approve_join(&self, request: &ApproveRequest) -> Result<Peers, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "peers", "approve"])?.body(request)?).await
    }

    /// Does not let in the machine that shows a code.
    ///
    /// # Errors
    /// As every call; 404 when no such request waits.
    pub async fn deny_join(&self, request: &CodeRequest) -> Result<Peers, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "peers", "deny"])?.body(request)?).await
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
        self.answer(Call::new(Method::POST, &["cluster", "invites"])?.body(request)?.once()).await
    }

    /// Makes the key with which machines join by the node's API; the one before ends.
    ///
    /// # Errors
    /// As every call.
    pub async fn make_join_key(&self) -> Result<JoinKey, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "join-key"])?).await
    }

    /// Ends the key with which machines join by the node's API.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove_join_key(&self) -> Result<JoinKeyRemoved, ClientError> {
        self.answer(Call::new(Method::DELETE, &["cluster", "join-key"])?).await
    }

    /// Lists the tasks about which something lost that nobody has dismissed.
    ///
    /// # Errors
    /// As every call.
    pub async fn conflicts(&self, offset: u64, limit: u64) -> Result<ConflictList, ClientError> {
        let call = Call::new(Method::GET, &["cluster", "conflicts"])?;
        self.answer(call.query_number("offset", Some(offset)).query_number("limit", Some(limit))).await
    }

    /// Shows what lost about a task, dismissed or not.
    ///
    /// # Errors
    /// As every call; 404 when nothing did.
    pub async fn conflict(&self, id: &str) -> Result<Conflict, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster", "conflicts", id])?).await
    }

    /// Shows what lost about a document of another collection than tasks, such as `project`.
    ///
    /// # Errors
    /// As every call; 404 when nothing did.
    pub async fn conflict_in(&self, collection: &str, id: &str) -> Result<Conflict, ClientError> {
        self.answer(Call::new(Method::GET, &["cluster", "conflicts", id])?.query("collection", Some(collection))).await
    }

    /// Hides on all nodes what lost about a document of another collection than tasks.
    ///
    /// # Errors
    /// As every call; 404 when nothing did.
    pub async fn dismiss_conflict_in(&self, collection: &str, id: &str) -> Result<Conflict, ClientError> {
        let nothing = std::collections::BTreeMap::<String, String>::new();
        let call = Call::new(Method::POST, &["cluster", "conflicts", id, "dismiss"])?.query("collection", Some(collection));
        self.answer(call.body(&nothing)?).await
    }

    /// Takes an attempt up again that lost.
    ///
    /// # Errors
    /// As every call; 409 when the task is finished or rests on the attempt already.
    pub async fn adopt(&self, id: &str, request: &AdoptRequest) -> Result<Task, ClientError> {
        self.answer(Call::new(Method::POST, &["cluster", "conflicts", id, "adopt"])?.body(request)?).await
    }

    /// Hides on all nodes what lost about a task so far.
    ///
    /// # Errors
    /// As every call; 409 when nothing did.
    pub async fn dismiss_conflict(&self, id: &str) -> Result<Conflict, ClientError> {
        let nothing = std::collections::BTreeMap::<String, String>::new();
        self.answer(Call::new(Method::POST, &["cluster", "conflicts", id, "dismiss"])?.body(&nothing)?).await
    }
}
