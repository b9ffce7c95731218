//! The node itself: what it does, and how it is told to stop, pause or tidy up. Beyond the version 2 API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that `octopoid status` shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeStatus {
    /// local, peers or server-wins.
    pub mode: String,
    /// The node that answers.
    pub node: NodeInfo,
    /// The cluster's name; null for a project of its own.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The name of the node whose grants and verdicts alone count, in server-wins mode.
    #[serde(default)]
    pub authority: Option<String>,
    /// The other members of the cluster.
    #[serde(default)]
    pub members: Vec<crate::MemberInfo>,
    /// How many records of this node no other member holds yet; in server-wins mode, the authority.
    #[serde(default)]
    pub pending_sync: u64,
    /// Whether there are other members and none is connected; in server-wins mode, whether the authority is not.
    #[serde(default)]
    pub offline: bool,
    /// Whether the node was told to keep to itself.
    #[serde(default)]
    pub kept_offline: bool,
    /// Machines that ask to join.
    #[serde(default)]
    pub join_requests: u64,
    /// Where other clusters of this one's name answer on the local network, each with its peer id.
    #[serde(default)]
    pub namesakes: Vec<String>,
    /// How many tasks of the cluster something lost about that nobody has dismissed.
    #[serde(default)]
    pub conflicts: u64,
    /// How many tasks each queue holds.
    pub queues: BTreeMap<String, u64>,
    /// Whether no new work is started.
    pub paused: bool,
    /// The agents of agents.yaml, in its order.
    pub agents: Vec<AgentStatus>,
    /// What all attempts on this node cost so far, in US dollars.
    pub cost_usd: f64,
    /// Ids of submitted tasks that no agent will review.
    pub waiting_for_review: Vec<String>,
    /// Accepted work that is not merged.
    pub awaiting_merge: Vec<AwaitingMerge>,
    /// Tasks that wait after a failed attempt, the next one to start first.
    #[serde(default)]
    pub retrying: Vec<Retrying>,
    /// Ids of tasks that ask for a person.
    pub needs_intervention: Vec<String>,
    /// What a person should look at, one line each.
    pub warnings: Vec<String>,
}

/// One node's process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeInfo {
    /// The machine's name.
    pub machine_id: String,
    /// The node's id in the network.
    pub peer_id: String,
    /// The process; null when the store was opened without a node.
    pub pid: Option<u32>,
    /// Where the REST API listens; null when it does not.
    pub api_url: Option<String>,
    /// The program's version.
    pub version: String,
    /// When the process started.
    pub started_at: Option<String>,
}

/// What an agent is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Has nothing to do.
    #[default]
    Idle,
    /// Works on at least one task.
    Running,
    /// Was told to start nothing.
    Paused,
    /// Waits for its interval, a limit's reset or after a failure.
    Waiting,
    /// Is switched off in agents.yaml.
    Disabled,
}

/// One agent of agents.yaml.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// What it is about.
    pub state: AgentState,
    /// What it works on.
    pub instances: Vec<AgentInstance>,
    /// When it may start next.
    pub next_run_at: Option<String>,
    /// When a pause ends by itself.
    pub paused_until: Option<String>,
    /// Why it waits or is paused.
    pub reason: Option<String>,
}

/// One process of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentInstance {
    /// The task.
    pub task_id: String,
    /// The attempt.
    pub attempt: String,
    /// The process.
    pub pid: Option<u32>,
    /// When it started.
    pub since: String,
    /// Turns so far, where the agent's program says so.
    pub turns: Option<u64>,
    /// Cost so far in US dollars, where the agent's program says so.
    pub cost_usd: Option<f64>,
}

/// Accepted work that is not merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AwaitingMerge {
    /// The task.
    pub task_id: String,
    /// Why.
    pub reason: String,
}

/// A task that waits after a failed attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retrying {
    /// When the next attempt may start.
    pub retry_at: String,
    /// The task.
    pub task_id: String,
}

/// The answer to pause and resume: who starts nothing now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Paused {
    /// The agent; null for the whole node.
    pub agent: Option<String>,
    /// Whether it is paused now.
    pub paused: bool,
    /// Agents that agents.yaml itself pauses, among those that were asked to go on: they stay paused until it says otherwise.
    #[serde(default)]
    pub paused_in_file: Vec<String>,
}

/// Tells a node to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StopRequest {
    /// Whether running agents finish first.
    #[serde(default)]
    pub drain: bool,
}

/// The answer of a node that is about to end; it answers before it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StopAnswer {
    /// Always true.
    pub stopping: bool,
    /// The process that will be gone.
    pub pid: u32,
    /// How many agents still run.
    pub running: u64,
}

/// Asks for what finished attempts left behind to be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GcRequest {
    /// Whether nothing is removed and everything told.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was, or would be, removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GcReport {
    /// One entry for each thing.
    pub items: Vec<GcItem>,
}

/// One thing that was, or would be, removed; or that stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GcItem {
    /// worktree, log or branch.
    pub kind: String,
    /// Where it is.
    pub path: String,
    /// Why it may go, or why it stays.
    pub reason: String,
    /// Whether it stays all the same, since something could get lost or it could not be removed.
    #[serde(default)]
    pub kept: bool,
}

/// What a look through the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Doctor {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Records in the store.
    pub records: u64,
    /// Tasks in the views.
    pub tasks: u64,
    /// Whether the views were rebuilt.
    pub rebuilt: bool,
    /// The store as it was before they were; null when they were not.
    #[serde(default)]
    pub backup: Option<String>,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
}

/// The one task that an id or its beginning means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resolved {
    /// The whole id.
    pub id: String,
    /// Its tenant.
    pub scope: String,
}
