//! The scheduler: decides at each tick what to start, and answers what people ask of the node.
//!
//! One task owns the agents' state; attempts and merges run beside it and report back over bounded channels.
//!
//! **Invariants**: nothing starts while the node is paused, stopping or told to start no agents; one merge runs at a time.

mod claiming;
mod merging;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use octopoid_client::{AgentState, AgentStatus, AwaitingMerge};
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lease::PULSE_MS;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::merging::{Asked, Merging};
use super::attempt::{self, Job, News};
use super::conclude::Conclusion;
use super::context::{Context, StepError};
use super::control::{AgentsView, Control, Farewell, Request};
use super::integrate::Waiting;
use super::roster::{Instance, Roster};
use super::{gc, recover};
use crate::agent::StopReason;
use crate::config::{Agent, AgentsFile, BuiltIn, QUIET, Reload};
use crate::ops::Snapshot;
use crate::prompt::RoleName;

/// How many tasks are tried that other nodes claim at the same moment, before the next look.
const RACES: usize = 16;
/// How many requests of people may wait.
const REQUESTS: usize = 64;
/// How many reports of attempts may wait.
const NEWS: usize = 256;
/// How soon after an event the next look is taken, so that a burst of events is one look.
const SETTLE: Duration = Duration::from_millis(20);
/// How often agents.yaml is read within one look while somebody writes to it.
const MOST_REREADS: usize = 20;
/// How long agents get to end after the store has failed.
const ABANDON: Duration = Duration::from_secs(7);
/// How often merges that wait for something outside are looked at again.
const MERGE_POLL: Duration = Duration::from_secs(60);
/// The first pause of a reviewer whose review came to nothing; doubled by each further one.
const REVIEW_PAUSE: Duration = Duration::from_secs(30);
/// After so many reviews of one task that came to nothing a person is asked.
const MOST_FAILED_REVIEWS: u32 = 3;
/// Why no agent of a node without agents starts.
const STARTS_NONE: &str = "the node was started with --no-agents";

/// How the scheduler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Serve,
    /// One tick, and what it started.
    Once,
    /// Reaps and rolls forward, but claims nothing.
    NoAgents,
    /// As [`Mode::NoAgents`], for one tick.
    OnceNoAgents,
}

impl Mode {
    const fn starts_agents(self) -> bool {
        match self {
            Self::Serve | Self::Once => true,
            Self::NoAgents | Self::OnceNoAgents => false,
        }
    }

    const fn is_once(self) -> bool {
        match self {
            Self::Once | Self::OnceNoAgents => true,
            Self::Serve | Self::NoAgents => false,
        }
    }
}

/// Owns the agents' state.
pub struct Scheduler {
    context: Arc<Context>,
    mode: Mode,
    tick: Duration,
    agents: AgentsFile,
    roster: Roster,
    requests: mpsc::Receiver<Request>,
    news: mpsc::Receiver<News>,
    tell: mpsc::Sender<News>,
    attempts: JoinSet<()>,
    /// What may wait for machines that never answer: no stop waits for it.
    errands: JoinSet<()>,
    merging: Option<tokio::task::JoinHandle<Result<Merging, StepError>>>,
    /// Merges that people asked for, until their turn.
    asked: VecDeque<Asked>,
    waiting: Waiting,
    failed_reviews: BTreeMap<(String, String), u32>,
    warnings: Vec<String>,
    /// Why this node may do nothing for its cluster.
    idle: Option<String>,
    /// Why nothing can be claimed now.
    away: Option<String>,
    /// An attempt ended, and accepts and merges were not looked at since.
    unsettled: bool,
    stopping: bool,
    stopped: Vec<oneshot::Sender<()>>,
}

impl Scheduler {
    /// Makes a scheduler and the way to it.
    #[must_use]
    pub fn new(context: Arc<Context>, agents: AgentsFile, mode: Mode, tick: Duration) -> (Self, Control) {
        let (ask, requests) = mpsc::channel(REQUESTS);
        let (tell, news) = mpsc::channel(NEWS);
        let roster = Roster::open(&context.layout);
        let scheduler = Self {
            context,
            mode,
            tick,
            agents,
            roster,
            requests,
            news,
            tell,
            attempts: JoinSet::new(),
            errands: JoinSet::new(),
            merging: None,
            asked: VecDeque::new(),
            waiting: Waiting::new(),
            failed_reviews: BTreeMap::new(),
            warnings: Vec::new(),
            idle: None,
            away: None,
            unsettled: false,
            stopping: false,
            stopped: Vec::new(),
        };
        (scheduler, Control::new(ask))
    }

    /// Runs until it is stopped or, where one tick is enough, until what that started is over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run(mut self) -> Result<(), StepError> {
        recover::recover(&self.context).await?;
        self.until_writable().await;
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut events = self.context.store.events();
        let mut soon: Option<tokio::time::Instant> = None;
        let mut merge_poll = tokio::time::interval(MERGE_POLL);
        let _ends_with_this = self.pulse();
        let mut meetings = self.context.cluster.as_ref().map(crate::cluster::Cluster::meetings);
        let mut once_done = false;
        let result = loop {
            if self.over(once_done) {
                // What ended last may have handed in or accepted something, which is part of what was started.
                if !std::mem::take(&mut self.unsettled) || self.stopping {
                    break Ok(());
                }
                if let Err(error) = self.look(&mut once_done).await {
                    break Err(error);
                }
                continue;
            }
            // Who may not work ends nobody's lease.
            let due = self.context.store.leases().next_due_ms().filter(|_| self.idle.is_none() && self.context.decides());
            let lease = due.map_or(Duration::from_secs(3_600), Duration::from_millis);
            let looked = tokio::select! {
                _ = ticks.tick() => self.look(&mut once_done).await,
                () = sleep_until(soon), if soon.is_some() => {
                    soon = None;
                    self.look(&mut once_done).await
                }
                _ = merge_poll.tick() => {
                    self.start_merging();
                    Ok(())
                }
                () = tokio::time::sleep(lease) => self.reap().await,
                received = events.recv() => {
                    // Behind or not: something changed, so look. A closed channel means that the store is gone.
                    if matches!(received, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                        break Ok(());
                    }
                    soon.get_or_insert(tokio::time::Instant::now() + SETTLE);
                    Ok(())
                }
                () = met(&mut meetings) => {
                    soon.get_or_insert(tokio::time::Instant::now() + SETTLE);
                    Ok(())
                }
                Some(news) = self.news.recv() => {
                    self.hear(news).await?;
                    soon.get_or_insert(tokio::time::Instant::now() + SETTLE);
                    Ok(())
                }
                Some(request) = self.requests.recv() => {
                    self.answer(request).await;
                    Ok(())
                }
                Some(_) = self.attempts.join_next(), if !self.attempts.is_empty() => Ok(()),
                Some(_) = self.errands.join_next(), if !self.errands.is_empty() => Ok(()),
                merged = join(&mut self.merging), if self.merging.is_some() => {
                    self.merging = None;
                    self.merged(merged)
                }
            };
            if let Err(error) = looked {
                break Err(error);
            }
        };
        if result.is_err() {
            self.abandon().await;
        }
        self.end().await;
        result
    }

    /// Waits until this node writes, and answers meanwhile: what is to be done next follows from what it wrote before, and who is there.
    async fn until_writable(&mut self) {
        let context = self.context.clone();
        let mut writable = std::pin::pin!(context.store.until_writable());
        while !self.stopping {
            tokio::select! {
                () = &mut writable => return,
                Some(request) = self.requests.recv() => self.answer(request).await,
            }
        }
    }

    /// Lets the leases see that this node runs, beside a loop that may be busy: a standstill shows by its absence.
    fn pulse(&self) -> JoinSet<()> {
        let store = self.context.store.clone();
        let mut pulse = JoinSet::new();
        pulse.spawn(async move {
            let mut beats = tokio::time::interval(Duration::from_millis(PULSE_MS));
            loop {
                beats.tick().await;
                store.leases().pulse();
            }
        });
        pulse
    }

    fn over(&self, once_done: bool) -> bool {
        let idle = self.roster.instances.is_empty() && self.attempts.is_empty() && self.merging.is_none() && self.asked.is_empty();
        idle && (self.stopping || (self.mode.is_once() && once_done && self.errands.is_empty()))
    }

    /// Ends what still runs when nothing can be written any more: an agent must not outlive its node.
    async fn abandon(&mut self) {
        self.stopping = true;
        self.roster.instances.values_mut().for_each(|instance| instance.stop(StopReason::StoreFailed));
        let over = async {
            while !self.attempts.is_empty() {
                tokio::select! {
                    // One that was starting hears of the stop with its first news; what it cannot write down is of no use now.
                    Some(news) = self.news.recv() => drop(self.hear(news).await),
                    _ = self.attempts.join_next() => {}
                }
            }
        };
        if tokio::time::timeout(ABANDON, over).await.is_err() {
            tracing::error!("agents still run; the next start ends them");
        }
    }

    async fn end(&mut self) {
        self.attempts.shutdown().await;
        self.errands.shutdown().await;
        for stopped in self.stopped.drain(..) {
            // Whoever asked may be gone.
            let _ = stopped.send(());
        }
    }

    /// One tick: what needs no agent first, then the agents, the cheapest checks first.
    async fn look(&mut self, once_done: &mut bool) -> Result<(), StepError> {
        self.reload().await;
        if self.is_idle() {
            return Ok(());
        }
        if self.context.decides() {
            self.reap().await?;
            self.finish_broken_down().await?;
            self.accept_automatic().await?;
        }
        self.hand_verdicts_over();
        self.share_again();
        self.start_merging();
        let looked_before = std::mem::replace(once_done, true);
        if self.is_away() || self.stopping || !self.mode.starts_agents() || (self.mode.is_once() && looked_before) {
            return Ok(());
        }
        let agents = self.agents.agents().clone();
        for agent in &agents.agents {
            let free = self.roster.free(agent, self.context.config.max_concurrent);
            for _ in 0..free {
                let Some((task, claim, review)) = self.claim(agent).await? else {
                    tracing::debug!(agent = %agent.name, free, "found nothing to claim");
                    break;
                };
                self.start(agent, task, claim, review);
            }
        }
        Ok(())
    }

    /// Tells whether this node may do nothing for its cluster, and says why once.
    fn is_idle(&mut self) -> bool {
        let why = self.context.cluster.as_ref().and_then(|cluster| cluster.idle_because(&self.context.repository));
        if why != self.idle {
            match &why {
                Some(why) => tracing::warn!(%why, "this node claims nothing"),
                None => tracing::info!("this node may claim"),
            }
            self.idle.clone_from(&why);
            if let Some(cluster) = &self.context.cluster {
                cluster.tell_idle(why.clone());
            }
        }
        why.is_some()
    }

    /// Tells whether nothing can be claimed because the authority cannot be reached, and says so once.
    fn is_away(&mut self) -> bool {
        let why = self.context.away();
        if why != self.away {
            match &why {
                Some(why) => tracing::warn!(%why, "nothing is claimed"),
                None => tracing::info!("the authority is reached: work is claimed again"),
            }
            self.away.clone_from(&why);
        }
        why.is_some()
    }

    async fn reload(&mut self) {
        let mut news = self.agents.reload_if_changed();
        for _ in 0..MOST_REREADS {
            if news != Reload::Unsettled {
                break;
            }
            tokio::time::sleep(QUIET).await;
            news = self.agents.reload_if_changed();
        }
        match news {
            Reload::Unchanged | Reload::Unsettled => {}
            Reload::Changed(findings) => {
                self.warnings = findings.iter().map(ToString::to_string).collect();
                tracing::info!("agents.yaml was read again");
            }
            Reload::Kept(findings) => {
                self.warnings = findings.iter().map(|finding| format!("agents.yaml is not in force: {finding}")).collect();
                for warning in &self.warnings {
                    tracing::warn!("{warning}");
                }
            }
        }
    }

    fn roles(&self) -> Vec<RoleName> {
        let own =
            self.agents.agents().roles.iter().map(|role| RoleName { name: role.name.to_string(), description: role.description.clone() });
        let built_in = BuiltIn::ALL.iter().map(|role| RoleName { name: role.as_str().to_owned(), description: String::new() });
        built_in.chain(own).collect()
    }

    fn start(&mut self, agent: &Agent, task: Snapshot, claim: RecordId, review: bool) {
        let (stop, stopped) = watch::channel(None);
        let job = Job { task, agent: agent.clone(), claim, review, roles: self.roles(), stopped };
        tracing::info!(task = %job.task.row.id, agent = %agent.name, attempt = %job.attempt(), "started");
        self.roster.started(agent.name.as_str());
        self.roster.instances.insert(
            claim,
            Instance {
                agent: agent.name.to_string(),
                scope: job.task.row.scope.clone(),
                task: job.task.row.id.clone(),
                attempt: job.attempt().to_string(),
                since: SystemTime::now(),
                pid: None,
                stop,
                stream: None,
            },
        );
        self.attempts.spawn(attempt::run(self.context.clone(), job, self.tell.clone()));
    }

    async fn hear(&mut self, news: News) -> Result<(), StepError> {
        match news {
            News::Started { claim, pid, stream } => {
                if let Some(instance) = self.roster.instances.get_mut(&claim) {
                    (instance.pid, instance.stream) = (Some(pid), Some(stream));
                }
                Ok(())
            }
            News::Over { claim, end } => match self.roster.instances.remove(&claim) {
                Some(instance) => self.over_with(instance, end).await,
                None => Ok(()),
            },
        }
    }

    async fn over_with(&mut self, instance: Instance, end: Conclusion) -> Result<(), StepError> {
        self.unsettled = true;
        if let Some(until) = end.limited {
            tracing::warn!(agent = %instance.agent, "paused by a rate limit");
            self.roster.limit(&instance.agent, until);
        }
        let key = (instance.scope, instance.task);
        let Some(reason) = end.review_failed else {
            self.failed_reviews.remove(&key);
            return Ok(());
        };
        let failed = self.failed_reviews.entry(key.clone()).or_default();
        *failed += 1;
        let (count, pause) = (*failed, REVIEW_PAUSE * 2u32.saturating_pow((*failed - 1).min(6)));
        self.roster.review_failed(&instance.agent, pause);
        if count >= MOST_FAILED_REVIEWS {
            self.failed_reviews.remove(&key);
            self.ask_a_person(key, format!("{count} reviews came to no verdict, the last one: {reason}")).await?;
        }
        Ok(())
    }

    async fn ask_a_person(&self, (scope, id): (String, String), why: String) -> Result<(), StepError> {
        use octopoid_crdt::document::{Edit, Value};
        self.context
            .write(move |unit| {
                if let Some(no) = unit.find(&scope, &id)? {
                    let edits = [Edit::set("needs_intervention", Value::Bool(true)), Edit::set("execution_notes", why)];
                    unit.edit(no, &edits)?.map_err(crate::ops::create::refuse)?;
                }
                Ok(())
            })
            .await
    }

    async fn answer(&mut self, request: Request) {
        // Whoever asked may be gone, which is no failure.
        match request {
            Request::Agents(answer) => drop(answer.send(self.view())),
            Request::Pause { agent, paused, answer } => {
                drop(answer.send(self.roster.set_paused(self.agents.agents(), agent, paused)));
            }
            Request::Stop { farewell, answer } => {
                self.stopping = true;
                self.stopped.push(answer);
                let reason = match farewell {
                    Farewell::Drain => return,
                    Farewell::Orderly => StopReason::NodeStops,
                    Farewell::Hurried => StopReason::StoreFailed,
                };
                self.roster.instances.values().for_each(|instance| instance.stop(reason));
            }
            Request::Merge { scope, id, answer } => self.merge(Asked { scope, id, answer }),
            Request::Gc { dry_run, answer } => {
                // What has just ended is here until its worktree is gone, too.
                let instances = self.roster.instances.values();
                let running = instances.map(|instance| (instance.task.clone(), instance.attempt.clone())).collect();
                drop(answer.send(gc::collect(&self.context, running, dry_run).await));
            }
        }
    }

    /// Describes every agent; where none is started, those that seem to be about to begin as paused.
    fn describe_agents(&self) -> Vec<AgentStatus> {
        let mut agents = self.roster.describe(self.agents.agents());
        let would_start = |agent: &&mut AgentStatus| matches!(agent.state, AgentState::Idle | AgentState::Waiting);
        for agent in agents.iter_mut().filter(|agent| !self.mode.starts_agents() && would_start(agent)) {
            (agent.state, agent.reason, agent.next_run_at) = (AgentState::Paused, Some(STARTS_NONE.to_owned()), None);
        }
        agents
    }

    fn view(&self) -> AgentsView {
        AgentsView {
            paused: self.roster.is_paused(),
            agents: self.describe_agents(),
            cost_usd: self.context.spending.usd(),
            awaiting_merge: self
                .waiting
                .values()
                .map(|wait| AwaitingMerge { task_id: wait.id.clone(), reason: wait.reason.clone() })
                .collect(),
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let idle = self.idle.iter().chain(&self.away).map(|why| format!("this node claims nothing: {why}"));
        let verdicts = Some(self.context.verdicts.count()).filter(|count| *count > 0);
        let waiting = verdicts.map(|count| format!("verdicts of agents here that wait for the authority: {count}"));
        self.warnings
            .iter()
            .cloned()
            .chain(idle)
            .chain(waiting)
            .chain(self.context.unshared.told())
            .chain(self.context.succession.told())
            .collect()
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Waits until a member connects.
async fn met(meetings: &mut Option<watch::Receiver<u64>>) {
    match meetings {
        Some(meetings) => {
            if meetings.changed().await.is_err() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

async fn join<T>(handle: &mut Option<tokio::task::JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match handle {
        Some(handle) => handle.await,
        None => std::future::pending().await,
    }
}
