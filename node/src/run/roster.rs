//! The agents of agents.yaml and what they are about: who may start, when, and who is paused.
//!
//! **Invariants**: no agent has more instances than it may, and all together no more than the node may.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use octopoid_client::{AgentInstance, AgentState, AgentStatus};
use octopoid_crdt::ids::RecordId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::agent::{StopReason, Stopper, StreamSummary};
use crate::config::{Agent, Agents};

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
    pub stopper: Option<Stopper>,
    /// A stop that was asked for before the process existed.
    pub stopping: Option<StopReason>,
    pub stream: Option<watch::Receiver<StreamSummary>>,
}

impl Instance {
    /// Asks the agent to stop; remembered until it has a process.
    pub fn stop(&mut self, reason: StopReason) {
        self.stopping.get_or_insert(reason);
        if let Some(stopper) = &self.stopper {
            stopper.stop(reason);
        }
    }
}

/// What survives a restart: who was paused by a person.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pauses {
    node: bool,
    agents: BTreeSet<String>,
}

/// The state of all agents.
pub(super) struct Roster {
    pub instances: HashMap<RecordId, Instance>,
    last_start: BTreeMap<String, Instant>,
    limited: BTreeMap<String, SystemTime>,
    pauses: Pauses,
    file: PathBuf,
}

impl Roster {
    /// Reads who is paused.
    pub fn open(file: PathBuf) -> Self {
        let pauses = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { instances: HashMap::new(), last_start: BTreeMap::new(), limited: BTreeMap::new(), pauses, file }
    }

    /// Returns how many instances of an agent may start now, the cheapest checks first.
    pub fn free(&self, agent: &Agent, most: u32) -> u32 {
        if self.pauses.node || !agent.enabled || agent.paused || self.pauses.agents.contains(agent.name.as_str()) {
            return 0;
        }
        if self.limited_until(agent.name.as_str()).is_some() {
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

    fn limited_until(&self, agent: &str) -> Option<SystemTime> {
        self.limited.get(agent).copied().filter(|until| *until > SystemTime::now())
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
        self.limited.insert(agent.to_owned(), until);
    }

    /// Pauses or resumes by a person's word, across restarts. Resuming also ends a rate limit's pause.
    pub fn pause(&mut self, agent: Option<&str>, paused: bool) -> std::io::Result<()> {
        match agent {
            None => self.pauses.node = paused,
            Some(agent) if paused => drop(self.pauses.agents.insert(agent.to_owned())),
            Some(agent) => {
                self.pauses.agents.remove(agent);
                self.limited.remove(agent);
            }
        }
        let text = serde_json::to_vec(&self.pauses).unwrap_or_default();
        let whole = self.file.with_extension("new");
        std::fs::write(&whole, text)?;
        std::fs::rename(&whole, &self.file)
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
        let limited = self.limited_until(name);
        let waits = self.waits(agent);
        let paused = self.pauses.node || agent.paused || self.pauses.agents.contains(name);
        let (state, reason) = match () {
            () if !agent.enabled => (AgentState::Disabled, None),
            () if !instances.is_empty() => (AgentState::Running, None),
            () if paused => (AgentState::Paused, Some(if agent.paused { "paused in agents.yaml" } else { "paused by a person" })),
            () if limited.is_some() => (AgentState::Paused, Some("rate limit")),
            () if waits.is_some() => (AgentState::Waiting, Some("interval")),
            () => (AgentState::Idle, None),
        };
        AgentStatus {
            name: name.to_owned(),
            role: agent.role.to_string(),
            state,
            instances,
            next_run_at: waits.map(|left| time_text(SystemTime::now() + left)),
            paused_until: limited.map(time_text),
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
