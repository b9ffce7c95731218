//! The cluster: who belongs to it, who asks to join, and invitations. Beyond the version 2 API.

use serde::{Deserialize, Serialize};

/// The cluster as one node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterInfo {
    /// local, mesh or server-wins.
    pub mode: String,
    /// The cluster's name; null for a project of its own.
    pub name: Option<String>,
    /// The cluster's id.
    pub cluster_id: String,
    /// The name of the node that grants claims in server-wins mode.
    pub authority: Option<String>,
    /// The name of the node that merges where there is no remote.
    pub integrator: Option<String>,
    /// Every member, this node among them.
    pub members: Vec<MemberInfo>,
    /// How many records of this node no other member holds yet; in server-wins mode, the authority.
    pub pending_sync: u64,
    /// Whether there are other members and none is connected; in server-wins mode, whether the authority is not.
    pub offline: bool,
    /// Whether this node was told to keep to itself.
    #[serde(default)]
    pub kept_offline: bool,
    /// Where this node can be reached, each with its peer id.
    pub addresses: Vec<String>,
}

/// A member of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberInfo {
    /// What people call it.
    pub name: String,
    /// Its id in the network.
    pub peer_id: String,
    /// admin, worker or reader.
    pub access: String,
    /// this node, connected, offline or unseen.
    pub state: String,
    /// Since when it is connected or is not; null when this node never was connected to it. After a crash of this node the time
    /// may be five minutes early.
    pub last_seen: Option<String>,
    /// How many records it is known to lack or has not acknowledged; during a long catch-up at most so many.
    pub lag: u64,
    /// How many agents work there.
    pub agents: Option<u32>,
    /// Why it claims nothing, where it says so.
    #[serde(default)]
    pub idle: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// Where it is connected or may be reached.
    pub addresses: Vec<String>,
    /// Why it could not be reached last.
    pub last_failure: Option<String>,
    /// How often it did what no correct node does, since this node's start.
    #[serde(default)]
    pub strikes: u64,
    /// What of that it did last.
    #[serde(default)]
    pub last_strike: Option<String>,
}

/// A machine that asks to join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingMember {
    /// The code that both sides show.
    pub code: String,
    /// What the machine calls itself.
    pub name: String,
    /// Its id in the network.
    pub peer_id: String,
    /// Whether it was approved here and waits for its own side.
    pub approved: bool,
}

/// Members, and those who ask to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Peers {
    /// The members.
    pub members: Vec<MemberInfo>,
    /// Who asks to join.
    pub pending: Vec<PendingMember>,
}

/// Names a request to join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeRequest {
    /// The code that both sides show.
    pub code: String,
}

/// Lets a machine in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproveRequest {
    /// The code that both sides show.
    pub code: String,
    /// What it may do: admin, worker or reader; worker where none is given.
    #[serde(default)]
    pub access: Option<String>,
}

/// Removes a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoveRequest {
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Asks for an invitation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InviteRequest {
    /// admin, worker or reader; worker where none is given.
    #[serde(default)]
    pub access: Option<String>,
    /// How long it is valid, in seconds; an hour where none is given, 30 days at most.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
}

/// An invitation for one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// The text for `octopoid init --join`. Whoever has it can join once.
    pub ticket: String,
    /// When it ends.
    pub expires_at: String,
    /// What the new member may do.
    pub access: String,
}

/// The key with which machines join by a node's API; it is told once.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinKey {
    /// The key, for `octopoid init --server URL --api-key KEY`. It opens nothing else.
    pub api_key: String,
}

impl std::fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinKey(…)")
    }
}

/// What became of a join key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinKeyRemoved {
    /// Whether there was one.
    pub removed: bool,
}

/// Who grants claims and judges work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityInfo {
    /// local, mesh or server-wins.
    pub mode: String,
    /// The name of the node whose grants and verdicts alone count; null outside server-wins mode.
    pub authority: Option<String>,
    /// That node's id in the network.
    pub peer_id: Option<String>,
    /// Whether it is this node.
    pub own: bool,
    /// Whether it can be reached now: it is this node, or connected.
    pub reachable: bool,
    /// How often the cluster has set its policy; every move of the authority is one more.
    pub policy: u64,
}

/// Sets who grants claims and judges work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityRequest {
    /// The node's name or peer id; null for none, which makes the cluster one of equals. To leave it out is an error.
    #[serde(deserialize_with = "crate::wire::named")]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub node: Option<String>,
    /// Takes the authority from a node that cannot be asked; what it grants after that does not count.
    #[serde(default)]
    pub force: bool,
}

/// Names the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterName {
    /// The name.
    pub name: String,
}

/// Sets which node merges where there is no remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegratorRequest {
    /// The node's name or peer id.
    pub node: String,
}

/// Cuts a node off from all members, or lets it connect again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterOffline {
    /// Whether it keeps to itself.
    pub offline: bool,
}
