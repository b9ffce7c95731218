//! Watches one agent from its first instruction to the death of the last process that it started.
//!
//! One task per agent owns the process. It ends when the agent's main process ends, a limit is reached, or somebody asks for it; in
//! each case it then ends everything that the agent left behind, and only then tells the result.
//!
//! **Invariants**: the main process is reaped after the sweep, so that its number, which is the group's and the session's too,
//! cannot belong to anybody else while signals are sent to it.

use std::{fmt, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, waitid},
};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Captured, ProcessRecord, StreamSummary, Swept,
    capture::{self, CappedLog},
    roll,
    stream::StreamParser,
    sweep::{self, Target},
};

/// How long the pipes are read on after everything that could write to them is dead.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// The longest grace when the node must be gone soon.
const HURRY: Duration = Duration::from_secs(2);
/// How often the group is looked at while it has time to end by itself.
const GRACE_POLL: Duration = Duration::from_millis(50);

/// What one agent may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// What passes between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The size of each of its two logs.
    pub log_bytes: u64,
    /// The length of a line of its stdout, as far as lines are looked at.
    pub line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(3600), grace: Duration::from_secs(10), log_bytes: 64 << 20, line_bytes: 1 << 20 }
    }
}

/// Why an agent is ended by its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The node ends.
    NodeStops,
    /// The store has failed: the node must be gone soon, and nothing can be written down any more.
    StoreFailed,
    /// The lease could not be renewed.
    LeaseLost,
    /// Another attempt won.
    Superseded,
    /// The task was cancelled, deleted or moved away.
    TaskWithdrawn,
    /// Nobody holds the agent any more.
    Abandoned,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodeStops => "the node stops",
            Self::StoreFailed => "the store failed",
            Self::LeaseLost => "the lease was lost",
            Self::Superseded => "another attempt won",
            Self::TaskWithdrawn => "the task was withdrawn",
            Self::Abandoned => "nobody holds the agent",
        })
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

/// Why the agent is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// Its main process ended by itself.
    Exited,
    /// Its time was up.
    TimedOut,
    /// Its node ended it; there is nothing to judge.
    Stopped(StopReason),
}

/// What is known once an agent and all that it started is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Why.
    pub cause: EndCause,
    /// How its main process ended.
    pub exit: Exit,
    /// How long it ran.
    pub ran: Duration,
    /// What it left behind.
    pub swept: Swept,
    /// What became of its stdout.
    pub stdout: Captured,
    /// What became of its stderr.
    pub stderr: Captured,
    /// What its stdout said, as far as it is Claude Code's stream.
    pub stream: StreamSummary,
}

/// States that the task which watched an agent is gone, as happens when the runtime shuts down. The agent's processes are then
/// left to [`leftovers`](super::leftovers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent is no longer watched; its processes are ended when the node starts again")]
pub struct SupervisionLost;

/// A running agent. Dropping it and all of its [`Stopper`]s stops the agent.
#[derive(Debug)]
pub struct Running {
    record: ProcessRecord,
    stop: mpsc::Sender<StopReason>,
    stream: watch::Receiver<StreamSummary>,
    ended: watch::Receiver<Option<Ended>>,
}

/// Asks a running agent to stop.
#[derive(Debug, Clone)]
pub struct Stopper(mpsc::Sender<StopReason>);

impl Stopper {
    /// Asks, and returns at once. Only the first reason counts.
    pub fn stop(&self, reason: StopReason) {
        // Full: it was asked before. Closed: it is over.
        let _already = self.0.try_send(reason);
    }
}

impl Running {
    /// Returns what identifies its processes.
    #[must_use]
    pub fn record(&self) -> &ProcessRecord {
        &self.record
    }

    /// Returns the summary of its stdout as it grows.
    #[must_use]
    pub fn stream(&self) -> watch::Receiver<StreamSummary> {
        self.stream.clone()
    }

    /// Returns a handle that stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Waits until it is over. May be dropped and called again.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn wait(&mut self) -> Result<Ended, SupervisionLost> {
        let ended = self.ended.wait_for(Option::is_some).await.map_err(|_| SupervisionLost)?;
        ended.clone().ok_or(SupervisionLost)
    }

    /// Ends it: SIGTERM to its group, SIGKILL to all that is left after the grace. Returns when everything is dead.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn stop(mut self, reason: StopReason) -> Result<Ended, SupervisionLost> {
        self.stopper().stop(reason);
        self.wait().await
    }
}

pub(super) fn supervise(mut child: Child, record: ProcessRecord, logs: [CappedLog; 2], limits: Limits) -> Running {
    let (stop, stop_asked) = mpsc::channel(1);
    let (summary, stream) = watch::channel(StreamSummary::default());
    let (tell, ended) = watch::channel(None);
    let [stdout_log, stderr_log] = logs;
    let line_bytes = limits.line_bytes;
    let mut parser = StreamParser::default();
    let stdout = child.stdout.take().map(|pipe| {
        tokio::spawn(capture::drain(pipe, stdout_log, line_bytes, move |line| {
            if parser.line(line) {
                summary.send_replace(parser.summary().clone());
            }
        }))
    });
    let stderr = child.stderr.take().map(|pipe| tokio::spawn(capture::drain(pipe, stderr_log, line_bytes, |_| {})));
    let agent = Supervised { child, record: record.clone(), limits, stop_asked, outputs: [stdout, stderr], stream: stream.clone() };
    tokio::spawn(async move { tell.send_replace(Some(agent.run().await)) });
    Running { record, stop, stream, ended }
}

struct Supervised {
    child: Child,
    record: ProcessRecord,
    limits: Limits,
    stop_asked: mpsc::Receiver<StopReason>,
    outputs: [Option<JoinHandle<Captured>>; 2],
    stream: watch::Receiver<StreamSummary>,
}

impl Supervised {
    async fn run(mut self) -> Ended {
        let started = Instant::now();
        let cause = tokio::select! {
            biased;
            () = main_process_ended(&mut self.child, self.record.pid) => EndCause::Exited,
            reason = self.stop_asked.recv() => EndCause::Stopped(reason.unwrap_or(StopReason::Abandoned)),
            () = sleep_until(started + self.limits.time) => EndCause::TimedOut,
        };
        let ran = started.elapsed();
        let target = Target::of(&self.record);
        match cause {
            EndCause::Exited => {}
            EndCause::Stopped(StopReason::StoreFailed) => self.ask_to_end(&target, self.limits.grace.min(HURRY)).await,
            EndCause::TimedOut | EndCause::Stopped(_) => self.ask_to_end(&target, self.limits.grace).await,
        }
        let swept = sweep::sweep(target).await;
        roll::ended(&self.record);
        let exit = match self.child.wait().await {
            Ok(status) => status.into(),
            Err(error) => {
                tracing::warn!(pid = self.record.pid, %error, "an agent's exit status is not known");
                Exit::Signal(0)
            }
        };
        let [stdout, stderr] = self.outputs;
        let (stdout, stderr) = tokio::join!(drained(stdout), drained(stderr));
        let stream = self.stream.borrow().clone();
        tracing::debug!(pid = self.record.pid, ?cause, ?exit, killed = swept.killed, "agent over");
        Ended { cause, exit, ran, swept, stdout, stderr, stream }
    }

    /// Sends SIGTERM and waits for everything to end by itself, for as long as the grace lasts.
    async fn ask_to_end(&self, target: &Target, grace: Duration) {
        sweep::ask_to_end(target.clone()).await;
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline && sweep::alive(target.clone()).await > 0 {
            sleep(GRACE_POLL.min(deadline - Instant::now())).await;
        }
    }
}

/// Waits for the main process to end, without reaping it.
async fn main_process_ended(child: &mut Child, pid: i32) {
    // Heard before it is asked, so that no end falls between the two.
    if let (Ok(mut a_child_changed), Some(pid)) = (signal(SignalKind::child()), Pid::from_raw(pid)) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(pid), look) {
                Ok(None) | Err(Errno::INTR) => {}
                Ok(Some(_)) | Err(_) => return,
            }
            if a_child_changed.recv().await.is_none() {
                break;
            }
        }
    }
    let _status = child.wait().await;
}

/// Waits for the rest of an output. A process that could not be killed may hold the pipe open, so not for ever.
async fn drained(output: Option<JoinHandle<Captured>>) -> Captured {
    let Some(mut output) = output else { return Captured::default() };
    match timeout(DRAIN_TIME, &mut output).await {
        Ok(Ok(captured)) => captured,
        Ok(Err(_)) | Err(_) => {
            output.abort();
            Captured::default()
        }
    }
}
