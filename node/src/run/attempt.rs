//! Runs one attempt or review from its claim to its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use octopoid_crdt::ids::{AttemptName, Name, Oid, RecordId};
use tokio::sync::{mpsc, watch};

use super::brief::Story;
use super::conclude::{self, Conclusion};
use super::context::{Context, StepError};
use super::hold;
use super::run_record::RunRecord;
use super::setup::{self, SetupError};
use super::spending::Usage;
use super::workplace::{PrepareError, Workplace};
use crate::agent::{
    AgentProcess, Argv, EndCause, Ended, Environment, GitIdentity, LaunchError, Limits, Stdin, StopReason, StreamSummary, TaskVariables,
};
use crate::causes::describe;
use crate::config::{Agent, Paths};
use crate::git::DiffForm;
use crate::ops::Snapshot;
use crate::prompt::{self, RenderError, Template};
use crate::store::Fault;

/// How many bytes of a diff are read for a reviewer's prompt; the prompt itself shows fewer.
const DIFF_BYTES: usize = 256 * 1024;

/// One attempt to run: a task that is claimed, and the agent that is to do it.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub task: Snapshot,
    pub agent: Agent,
    /// The claim or review.
    pub claim: RecordId,
    pub review: bool,
    pub roles: Vec<prompt::RoleName>,
    /// Says when to stop, and why.
    pub stopped: watch::Receiver<Option<StopReason>>,
}

/// What an attempt tells the scheduler while it runs.
pub(super) enum News {
    /// A process of it runs: the setup command's, then the agent's.
    Started { claim: RecordId, pid: i32, stream: watch::Receiver<StreamSummary> },
    /// It is over.
    Over { claim: RecordId, end: Conclusion },
}

/// States why an attempt did not come to a judgement.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Its own causes are part of the text, which begins with what was not done.
    #[error("failed to {}", describe(.0))]
    Launch(LaunchError),
    #[error(transparent)]
    Prompt(#[from] RenderError),
    #[error("failed to write a file of the attempt")]
    Folder(#[source] std::io::Error),
    #[error("{0}")]
    Git(String),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("{0}")]
    Stopped(StopReason),
    #[error("the node ends")]
    NodeEnds,
}

/// A process to run in the worktree.
pub(super) struct Process {
    pub argv: Argv,
    /// What it reads; nothing where none is given.
    pub stdin: Option<PathBuf>,
    /// The folder of its output; exists.
    pub logs: PathBuf,
    pub time: Duration,
}

impl Job {
    pub fn name(&self) -> Option<Name> {
        self.task.row.id.parse().ok()
    }

    /// Names the attempt; a review gets a name of its own, since it has a worktree of its own.
    pub fn attempt(&self) -> AttemptName {
        AttemptName::new(self.task.row.epoch, &self.claim)
    }

    /// Reads what happened to the task; for a review, with the work that its verdict will be about.
    fn story(&self, context: &Context) -> Result<Story, Fault> {
        let (reader, masks) = (context.store.reader()?, context.store.masks());
        match self.task.row.rests_on.map(RecordId).filter(|_| self.review) {
            Some(on) => Story::for_review(&reader, &masks, self.task.no, &on),
            None => Story::read(&reader, &masks, self.task.no),
        }
    }

    pub fn run_record(&self) -> RunRecord {
        RunRecord::begun(&self.task, &self.agent, &self.claim, self.review)
    }

    /// The files of the attempt in its log folder.
    fn prompt_file(place: &Workplace) -> PathBuf {
        place.folder.join("prompt.md")
    }

    fn result_file(place: &Workplace) -> PathBuf {
        place.folder.join("result.json")
    }
}

/// Runs a job to its end and writes down what came of it. Never fails: what goes wrong is the attempt's reason.
pub(super) async fn run(context: Arc<Context>, job: Job, news: mpsc::Sender<News>) {
    let claim = job.claim;
    let end = match attempt(&context, &job, &news).await {
        Ok(end) => end,
        Err(AttemptError::NodeEnds) => Conclusion::default(),
        Err(AttemptError::Stopped(reason)) => conclude::not_begun(&context, &job, reason).await,
        Err(error) => {
            let reason = describe(&error);
            tracing::warn!(task = %job.task.row.id, agent = %job.agent.name, reason = %reason, "an attempt could not run");
            conclude::not_run(&context, &job, &reason).await
        }
    };
    // The scheduler may have ended first.
    let _ = news.send(News::Over { claim, end }).await;
}

async fn attempt(context: &Arc<Context>, job: &Job, news: &mpsc::Sender<News>) -> Result<Conclusion, AttemptError> {
    let task = job.name().ok_or_else(|| AttemptError::Git("the task's id is no name".to_owned()))?;
    let story = job.story(context).map_err(StepError::from)?;
    let start = start_commit(context, job, &task, &story).await?;
    let mut place = Workplace::prepare(context, &task, job.attempt(), start.clone()).await?;
    let desk = Desk { context, job, task: &task, news };
    let mut survivors = Vec::new();
    let ended = match desk.set_up(&mut place, &mut survivors).await {
        Ok(()) => desk.run_agent(&story, &place, &mut survivors).await,
        Err(error) => Err(error),
    };
    let end = match &ended {
        Ok(ended) => conclude::conclude(context, job, &story, &place, ended, &Job::result_file(&place)).await,
        Err(_) => Ok(Conclusion::default()),
    };
    if !survivors.is_empty() {
        // A process may still write there: `octopoid gc` removes it once they are gone.
        tracing::warn!(task = %job.task.row.id, pids = ?survivors, "processes of the agent could not be ended; its worktree stays");
    } else if job.review {
        place.remove_with_branch(context).await?;
    } else {
        place.remove(context).await?;
    }
    ended.and(end)
}

/// Decides which commit the worktree starts from.
async fn start_commit(context: &Context, job: &Job, task: &Name, story: &Story) -> Result<Oid, AttemptError> {
    let from = if job.review { story.judged().filter(|chapter| chapter.head.is_some()) } else { story.start_from() };
    let head = match from.map(|chapter| (chapter, chapter.head.clone())) {
        Some((chapter, Some(head))) => Some((chapter, head)),
        Some((chapter, None)) => context.unsubmitted_tip(task, chapter.attempt, &chapter.node).await?.map(|head| (chapter, head)),
        None => None,
    };
    if let Some((chapter, head)) = head {
        let obtained = context.obtain(&head, task, chapter.attempt, &chapter.node).await?;
        match obtained.lacks(&format!("commit {head} of the work to {}", if job.review { "review" } else { "go on with" })) {
            None => return Ok(head),
            Some(why) if job.review => return Err(AttemptError::Git(why)),
            Some(why) => tracing::warn!(%task, %why, "an attempt starts from the integration branch instead"),
        }
    }
    context.catch_up_with_merges().await?;
    let base = context.base_branch.clone();
    let tip = context.git(move |git| git.newest_tip(&base)).await?;
    tip.map_err(|error| AttemptError::Git(describe(&error)))
}

/// What the processes of one attempt have in common.
struct Desk<'a> {
    context: &'a Arc<Context>,
    job: &'a Job,
    task: &'a Name,
    news: &'a mpsc::Sender<News>,
}

impl Desk<'_> {
    /// Runs the setup command, then notes what git can be made to run.
    async fn set_up(&self, place: &mut Workplace, survivors: &mut Vec<i32>) -> Result<(), AttemptError> {
        if let Some(process) = setup::process(self.context.config.worktree.setup.as_ref(), place).await? {
            let ended = self.run(place, process).await.map_err(of_setup)?;
            survivors.clone_from(&ended.swept.survivors);
            setup::judge(&ended, place).await?;
        }
        Ok(place.guard(self.context).await?)
    }

    /// Runs the agent and keeps what it used.
    async fn run_agent(&self, story: &Story, place: &Workplace, survivors: &mut Vec<i32>) -> Result<Ended, AttemptError> {
        let (prompt_file, result_file) = (Job::prompt_file(place), Job::result_file(place));
        let text = brief(self.context, self.job, self.task, story, place).await?;
        tokio::fs::write(&prompt_file, text).await.map_err(AttemptError::Folder)?;
        let worktree = place.worktree.path();
        let root = self.context.layout.root();
        let launch = self.job.agent.launch(&Paths { root, worktree, prompt_file: &prompt_file, result_file: &result_file });
        let process = Process {
            argv: Argv { program: launch.program.into(), arguments: launch.args.into_iter().map(Into::into).collect() },
            stdin: launch.prompt_on_stdin.then_some(prompt_file),
            logs: place.folder.clone(),
            time: self.job.agent.timeout,
        };
        let ended = self.run(place, process).await?;
        survivors.clone_from(&ended.swept.survivors);
        if let Err(error) = self.context.spending.add(&place.folder, Usage::from(&ended.stream)) {
            tracing::warn!(task = %self.task, %error, "what the agent cost could not be kept");
        }
        Ok(ended)
    }

    /// Starts a process, watches over it, and returns when everything that it started is dead.
    async fn run(&self, place: &Workplace, process: Process) -> Result<Ended, AttemptError> {
        let process = self.launchable(place, process);
        let held = self.context.launcher.launch(process).await.map_err(AttemptError::Launch)?;
        let record = RunRecord { base: Some(place.base.to_string()), process: Some(held.record().clone()), ..self.job.run_record() };
        let claim = self.job.claim;
        self.context
            .write(move |unit| {
                unit.set_run(&claim, Some(record.encode()));
                Ok(())
            })
            .await?;
        let mut running = held.go().await.map_err(AttemptError::Launch)?;
        let started = News::Started { claim, pid: running.record().pid, stream: running.stream() };
        if self.news.send(started).await.is_err() {
            running.stopper().stop(StopReason::NodeStops);
        }
        hold::watch(self.context, self.job, &mut running).await
    }

    fn launchable(&self, place: &Workplace, process: Process) -> AgentProcess {
        let (context, job) = (self.context, self.job);
        let worktree = place.worktree.path();
        let identity =
            GitIdentity { name: format!("{} (octopoid)", job.agent.name), email: format!("{}@octopoid.invalid", job.agent.name) };
        let variables = TaskVariables {
            task: self.task.clone(),
            agent: job.agent.name.to_string(),
            role: job.agent.role.to_string(),
            attempt: job.attempt(),
            worktree: worktree.to_owned(),
            branch: place.worktree.branch().as_str().to_owned(),
            base_branch: context.base_branch.as_str().to_owned(),
            prompt_file: Job::prompt_file(place),
            result_file: Job::result_file(place),
        };
        // An agent has no terminal: a merge or rebase must not wait for an editor.
        let mut set = BTreeMap::from([("GIT_EDITOR".to_owned(), "true".to_owned())]);
        set.extend(job.agent.env.clone());
        let environment = Environment::build(std::env::vars_os(), &job.agent.env_pass, &set, &identity, &variables);
        for name in environment.refused() {
            tracing::warn!(agent = %job.agent.name, variable = %name, "a variable of agents.yaml is reserved and was not set");
        }
        AgentProcess {
            argv: process.argv,
            environment,
            directory: worktree.to_owned(),
            stdin: process.stdin.map_or(Stdin::Null, Stdin::File),
            logs: process.logs,
            limits: Limits { time: process.time, log_bytes: context.config.log_limit, grace: Duration::from_secs(10), ..Limits::default() },
        }
    }
}

/// Names config.yaml as the place to change, where the launch speaks of the agent's program.
fn of_setup(error: AttemptError) -> AttemptError {
    if let AttemptError::Launch(LaunchError::Program { program, source }) = &error {
        return SetupError::missing(program, source).into();
    }
    error
}

/// Renders the prompt.
async fn brief(context: &Context, job: &Job, task: &Name, story: &Story, place: &Workplace) -> Result<String, AttemptError> {
    let row = &job.task.row;
    let text = |field: &str| row.text(field).map(str::to_owned);
    let review = if job.review { Some(review_of(context, story).await?) } else { None };
    let prompt = prompt::Context {
        task: prompt::Task {
            id: row.id.clone(),
            title: text("title").unwrap_or_else(|| row.id.clone()),
            content: job.task.content.clone().unwrap_or_default(),
            role: text("role"),
            priority: row.priority().to_owned(),
            kind: text("type"),
            complexity: text("complexity"),
            project: text("project_id"),
            branch: text("branch"),
            blocked_by: row.blocked_by.clone(),
        },
        attempt: prompt::Attempt {
            name: job.attempt().to_string(),
            number: row.epoch,
            branch: place.worktree.branch().as_str().to_owned(),
            base_branch: context.base_branch.as_str().to_owned(),
            worktree: place.worktree.path().display().to_string(),
        },
        previous: story.previous(task),
        start: story.start_from().and_then(|chapter| chapter.told(task)),
        review,
        result_file: Job::result_file(place).display().to_string(),
        agent: prompt::Agent { name: job.agent.name.to_string(), role: job.agent.role.to_string() },
        roles: job.roles.clone(),
    };
    let template = Template::find(&context.layout, job.agent.role.as_str(), job.agent.prompt.as_deref())?;
    Ok(template.render(&prompt)?)
}

async fn review_of(context: &Context, story: &Story) -> Result<prompt::Review, AttemptError> {
    let submitted = story.judged();
    let notes = submitted.map(|chapter| chapter.notes.clone()).unwrap_or_default();
    let head = submitted.and_then(|chapter| chapter.head.clone());
    let base = submitted.and_then(|chapter| chapter.base.clone());
    let mut diff = String::new();
    if let (Some(base), Some(head)) = (base, head.clone()) {
        let read = context.git(move |git| git.diff(&base, &head, DiffForm::Patch, DIFF_BYTES)).await?;
        diff = read.map_err(|error| AttemptError::Git(describe(&error)))?.text;
    }
    Ok(prompt::Review::new(&diff, head.map(|head| head.to_string()), notes, story.rejections()))
}

/// Tells whether an agent was ended by its node, so that there is nothing to judge.
pub(super) fn was_stopped(ended: &Ended) -> Option<StopReason> {
    match ended.cause {
        EndCause::Stopped(reason) => Some(reason),
        EndCause::Exited | EndCause::TimedOut => None,
    }
}
