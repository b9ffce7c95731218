//! The agents of agents.yaml and what they are about: who may start, when, and who is paused.
//!
//! **Invariants**: no agent has more instances than it may, and all together no more than the node may.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use octopoid_client::{AgentInstance, AgentState, AgentStatus, Paused};
use octopoid_crdt::ids::RecordId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::control::ControlError;
use crate::agent::{StopReason, StreamSummary};
use crate::config::{Agent, Agents};
use crate::project::{Layout, replace_file};

/// How long an agent pauses after a rate limit that names no end.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The shortest and the longest pause of an agent.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(8 * 24 * 3_600);

/// One attempt under way.
pub(super) struct Instance {
    pub agent: String,
    pub scope: String,
    pub task: String,
    pub attempt: String,
    pub since: SystemTime,
    pub pid: Option<i32>,
    /// Tells the attempt to stop, whatever it is about.
    pub stop: watch::Sender<Option<StopReason>>,
    pub stream: Option<watch::Receiver<StreamSummary>>,
}

impl Instance {
    /// Tells the attempt to stop. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        self.stop.send_if_modified(|told| told.replace(told.unwrap_or(reason)).is_none());
    }
}

/// What survives a restart: who was paused by a person.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pauses {
    node: bool,
    agents: BTreeSet<String>,
}

/// Why an agent pauses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lull {
    /// Its model takes no more requests for now.
    RateLimit,
    /// Its last review came to no verdict.
    FailedReview,
}

impl Lull {
    const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate limit",
            Self::FailedReview => "its last review came to no verdict",
        }
    }
}

/// The state of all agents.
pub(super) struct Roster {
    pub instances: HashMap<RecordId, Instance>,
    last_start: BTreeMap<String, Instant>,
    lulls: BTreeMap<String, (SystemTime, Lull)>,
    pauses: Pauses,
    file: PathBuf,
}

impl Roster {
    /// Reads who is paused.
    pub fn open(layout: &Layout) -> Self {
        let file = layout.pauses_file();
        let pauses = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { instances: HashMap::new(), last_start: BTreeMap::new(), lulls: BTreeMap::new(), pauses, file }
    }

    /// Returns how many instances of an agent may start now, the cheapest checks first.
    pub fn free(&self, agent: &Agent, most: u32) -> u32 {
        if self.pauses.node || !agent.enabled || agent.paused || self.pauses.agents.contains(agent.name.as_str()) {
            return 0;
        }
        if self.lull(agent.name.as_str()).is_some() {
            return 0;
        }
        let running = self.instances.values().filter(|instance| instance.agent == agent.name.as_str()).count();
        let running = u32::try_from(running).unwrap_or(u32::MAX);
        let all = u32::try_from(self.instances.len()).unwrap_or(u32::MAX);
        let free = agent.max_instances.saturating_sub(running).min(most.saturating_sub(all));
        if free == 0 || self.waits(agent).is_some() {
            return 0;
        }
        // Between two starts the interval passes, so that no more than one starts at a time.
        if agent.interval.is_zero() { free } else { 1 }
    }

    /// Returns how long until the agent's interval has passed.
    pub fn waits(&self, agent: &Agent) -> Option<Duration> {
        let since = self.last_start.get(agent.name.as_str())?.elapsed();
        agent.interval.checked_sub(since).filter(|left| !left.is_zero())
    }

    fn lull(&self, agent: &str) -> Option<(SystemTime, Lull)> {
        self.lulls.get(agent).copied().filter(|(until, _)| *until > SystemTime::now())
    }

    pub fn started(&mut self, agent: &str) {
        self.last_start.insert(agent.to_owned(), Instant::now());
    }

    /// Pauses an agent until its rate limit is over.
    pub fn limit(&mut self, agent: &str, until: Option<u64>) {
        let now = SystemTime::now();
        let told = until.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX))));
        // A limit that is over already, or that lies a month ahead, is no help.
        let until = told.map_or(now + RATE_LIMIT_PAUSE, |until| until.clamp(now + SHORTEST_PAUSE, now + LONGEST_PAUSE));
        self.lulls.insert(agent.to_owned(), (until, Lull::RateLimit));
    }

    /// Pauses a reviewer that came to no verdict, so that it does not spend money on the same failure at once.
    pub fn review_failed(&mut self, agent: &str, pause: Duration) {
        self.lulls.insert(agent.to_owned(), (SystemTime::now() + pause, Lull::FailedReview));
    }

    /// Pauses or resumes by a person's word, across restarts. Resuming also ends agents' pauses of their own; without a name it
    /// lifts every pause but those of agents.yaml, which the answer names.
    pub fn set_paused(&mut self, agents: &Agents, agent: Option<String>, paused: bool) -> Result<Paused, ControlError> {
        match &agent {
            None if paused => self.pauses.node = true,
            None => {
                self.pauses = Pauses::default();
                self.lulls.clear();
            }
            Some(name) if agents.get(name).is_none() => {
                let known = agents.agents.iter().map(|agent| agent.name.to_string()).collect();
                return Err(ControlError::UnknownAgent { name: name.clone(), known });
            }
            Some(name) if paused => drop(self.pauses.agents.insert(name.clone())),
            Some(name) => {
                self.pauses.agents.remove(name);
                self.lulls.remove(name);
            }
        }
        let text = serde_json::to_vec(&self.pauses).unwrap_or_default();
        replace_file(&self.file, &text, 0o600).map_err(|error| ControlError::Refused(format!("the pause could not be kept: {error}")))?;
        let asked = agents.agents.iter().filter(|known| agent.as_deref().is_none_or(|name| name == known.name.as_str()));
        let paused_in_file: Vec<String> =
            asked.filter(|known| !paused && known.enabled && known.paused).map(|known| known.name.to_string()).collect();
        let paused = paused || (agent.is_some() && !paused_in_file.is_empty());
        Ok(Paused { agent, paused, paused_in_file })
    }

    pub fn is_paused(&self) -> bool {
        self.pauses.node
    }

    /// Describes every agent for `status`.
    pub fn describe(&self, agents: &Agents) -> Vec<AgentStatus> {
        agents.agents.iter().map(|agent| self.describe_one(agent)).collect()
    }

    fn describe_one(&self, agent: &Agent) -> AgentStatus {
        let name = agent.name.as_str();
        let mut instances: Vec<_> = self.instances.values().filter(|instance| instance.agent == name).map(describe_instance).collect();
        instances.sort_by(|a, b| a.since.cmp(&b.since));
        let lull = self.lull(name);
        let waits = self.waits(agent);
        let paused = self.pauses.node || agent.paused || self.pauses.agents.contains(name);
        let (state, reason) = match () {
            () if !agent.enabled => (AgentState::Disabled, None),
            () if !instances.is_empty() => (AgentState::Running, None),
            () if paused => (AgentState::Paused, Some(if agent.paused { "paused in agents.yaml" } else { "paused by a person" })),
            () if lull.is_some() => (AgentState::Paused, lull.map(|(_, why)| why.as_str())),
            () if waits.is_some() => (AgentState::Waiting, Some("interval")),
            () => (AgentState::Idle, None),
        };
        AgentStatus {
            name: name.to_owned(),
            role: agent.role.to_string(),
            state,
            instances,
            next_run_at: waits.map(|left| time_text(SystemTime::now() + left)),
            paused_until: lull.map(|(until, _)| time_text(until)),
            reason: reason.map(str::to_owned),
        }
    }
}

fn describe_instance(instance: &Instance) -> AgentInstance {
    let stream = instance.stream.as_ref().map(|stream| stream.borrow().clone());
    AgentInstance {
        task_id: instance.task.clone(),
        attempt: instance.attempt.clone(),
        pid: instance.pid.and_then(|pid| u32::try_from(pid).ok()),
        since: time_text(instance.since),
        turns: stream.as_ref().map(|stream| u64::from(stream.turns)).filter(|turns| *turns > 0),
        cost_usd: stream.and_then(|stream| stream.cost_usd),
    }
}

/// Writes a time as the REST API does: RFC 3339 in UTC with milliseconds.
pub(super) fn time_text(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}
