//! What a person can tell the running node, and ask it.

use octopoid_client::{AgentStatus, AwaitingMerge, GcReport, Paused};
use tokio::sync::{mpsc, oneshot};

/// A request to the scheduler.
pub(crate) enum Request {
    /// What the agents do.
    Agents(oneshot::Sender<AgentsView>),
    /// Starts nothing new, for one agent or all; or starts again.
    Pause { agent: Option<String>, paused: bool, answer: oneshot::Sender<Result<Paused, ControlError>> },
    /// Ends the node.
    Stop { farewell: Farewell, answer: oneshot::Sender<()> },
    /// Merges accepted work by hand.
    Merge { scope: String, id: String, answer: oneshot::Sender<Result<(), ControlError>> },
    /// Removes worktrees that nobody needs.
    Gc { dry_run: bool, answer: oneshot::Sender<Result<GcReport, ControlError>> },
}

/// What becomes of agents that run when their node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// They finish what they began; nothing new starts.
    Drain,
    /// They are ended, with time to end by themselves, and their work is committed.
    Orderly,
    /// They are ended at once: the store has failed, and nothing can be written down any more.
    Hurried,
}

/// What the agents do, for `status`.
#[derive(Debug, Clone, Default)]
pub struct AgentsView {
    /// Nothing new is started.
    pub paused: bool,
    /// The agents of agents.yaml.
    pub agents: Vec<AgentStatus>,
    /// What all attempts on this node cost so far, in US dollars.
    pub cost_usd: f64,
    /// Accepted work that is not merged, with the reason.
    pub awaiting_merge: Vec<AwaitingMerge>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// States why the node did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No scheduler runs in this process.
    #[error("no node runs here: start one with `octopoid start`")]
    NotRunning,
    /// agents.yaml names no such agent.
    #[error("no agent is called '{name}': agents.yaml has {}", known.join(", "))]
    UnknownAgent {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// No task has this id.
    #[error("Task '{0}' not found")]
    NotFound(String),
    /// The task has nothing to merge, or cannot be merged now.
    #[error("{0}")]
    Refused(String),
}

/// The way to the scheduler, or to what stands in for it while no node runs.
#[derive(Clone)]
pub struct Control {
    requests: mpsc::Sender<Request>,
}

impl Control {
    pub(crate) fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests }
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| ControlError::NotRunning)?;
        answered.await.map_err(|_| ControlError::NotRunning)
    }

    /// Returns what the agents do.
    ///
    /// # Errors
    /// When the scheduler has ended.
    pub async fn agents(&self) -> Result<AgentsView, ControlError> {
        self.ask(Request::Agents).await
    }

    /// Pauses or resumes one agent, or the whole node.
    ///
    /// # Errors
    /// When there is no such agent, or the scheduler has ended.
    pub async fn pause(&self, agent: Option<String>, paused: bool) -> Result<Paused, ControlError> {
        self.ask(|answer| Request::Pause { agent, paused, answer }).await?
    }

    /// Ends the node, and returns once its agents are over.
    ///
    /// # Errors
    /// When the scheduler has ended.
    pub async fn stop(&self, farewell: Farewell) -> Result<(), ControlError> {
        self.ask(|answer| Request::Stop { farewell, answer }).await
    }

    /// Tells the node to end and does not wait for it: agents may have hours of work left.
    ///
    /// # Errors
    /// When the scheduler has ended.
    pub async fn begin_stop(&self, farewell: Farewell) -> Result<(), ControlError> {
        let (answer, _) = oneshot::channel();
        self.requests.send(Request::Stop { farewell, answer }).await.map_err(|_| ControlError::NotRunning)
    }

    /// Merges accepted work by hand.
    ///
    /// # Errors
    /// When there is nothing to merge, or it cannot be merged now.
    pub async fn merge(&self, scope: String, id: String) -> Result<(), ControlError> {
        self.ask(|answer| Request::Merge { scope, id, answer }).await?
    }

    /// Removes worktrees that nobody needs; with `dry_run` only says which.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn gc(&self, dry_run: bool) -> Result<GcReport, ControlError> {
        self.ask(|answer| Request::Gc { dry_run, answer }).await?
    }
}
