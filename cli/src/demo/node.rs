//! The node of the demo: started in this process on a port of its own, given the tasks, watched until they are done.

use std::{path::Path, pin::pin, sync::Mutex, time::Duration};

use octopoid_client::{AttemptInfo, Client, HistoryEvent, NodeStatus, Task, TaskFilter, Token};
use octopoid_node::{
    agent::Launcher,
    daemon::{self, NodeFile, StartOptions},
    project::Layout,
    run::Mode,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{DemoError, interrupt::Interrupt, project::Project, tasks};
use crate::log_file::LogFile;

/// How long the work may take: many times of what it needs on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the node may take to stop: agents get ten seconds to end.
const FAREWELL: Duration = Duration::from_secs(30);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two looks at the status.
const GLANCE: Duration = Duration::from_millis(100);
/// The time between two ticks of the scheduler, which looks at once when something changed.
const TICK: Duration = Duration::from_millis(250);
/// More tasks than there are.
const ALL: u64 = 100;

/// A task and everything that happened to it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// How it ended.
    pub task: Task,
    /// Its audit trail.
    pub history: Vec<HistoryEvent>,
    /// Each try at it.
    pub attempts: Vec<AttemptInfo>,
}

/// Runs the node until every task is done, or one needs a person, and stops it.
pub async fn run(project: &Project, interrupt: &mut Interrupt, watch: &mut dyn FnMut(&NodeStatus)) -> Result<Vec<Told>, DemoError> {
    log_to(&project.layout.node_log())?;
    let options = StartOptions {
        mode: Mode::Serve,
        tick: Some(TICK),
        api_port: Some(0),
        pid_file: false,
        launcher: Launcher::this_program().map_err(DemoError::Launcher)?,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let (announce, announced) = oneshot::channel();
    let stopped = async {
        // A sender that is dropped wants the end too.
        let _ = stopped.await;
    };
    let ready = move |node: &NodeFile| {
        // Whoever waited may have been interrupted.
        let _ = announce.send(node.clone());
    };
    let mut node = pin!(daemon::start(&project.layout, options, stopped, ready));
    let outcome = tokio::select! {
        ended = &mut node => return Err(ended.map_or_else(failed, |()| DemoError::NodeEnded)),
        outcome = work(&project.layout, announced, watch) => outcome,
        () = interrupt.wait() => Err(DemoError::Interrupted),
    };
    // The node's own word decides, whether or not it still listens.
    let _ = stop.send(());
    match timeout(FAREWELL, node).await {
        Ok(ended) => ended.map_err(failed)?,
        Err(_) => return Err(DemoError::NodeStays { seconds: FAREWELL.as_secs() }),
    }
    outcome
}

fn failed(error: daemon::StartError) -> DemoError {
    DemoError::Node(Box::new(error))
}

/// Logs to the node's own file, so that it can be read afterwards.
fn log_to(path: &Path) -> Result<(), DemoError> {
    let file = LogFile::open(path).map_err(|source| DemoError::Write { path: path.to_owned(), source })?;
    let filter = EnvFilter::try_from_env("OCTOPOID_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file)).with_filter(filter);
    // Fails only when somebody logs already, which is as good.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

async fn work(layout: &Layout, announced: oneshot::Receiver<NodeFile>, watch: &mut dyn FnMut(&NodeStatus)) -> Result<Vec<Told>, DemoError> {
    // A node that does not come up ends with its own error, which is told instead.
    let Ok(node) = announced.await else { return std::future::pending().await };
    let token = std::fs::read_to_string(layout.token_file()).map_err(DemoError::Token)?;
    let client = Client::http(&node.api_url, Some(Token::new(&token)?))?.with_timeout(PATIENCE);
    for task in tasks::queued() {
        client.create_task(&task).await?;
    }
    let end = Instant::now() + LIMIT;
    let tasks = loop {
        let status = client.node_status().await?;
        watch(&status);
        let tasks = client.tasks(&TaskFilter { limit: Some(ALL), ..TaskFilter::default() }).await?.tasks;
        if tasks.iter().all(is_over) || tasks.iter().any(needs_a_person) {
            break tasks;
        }
        if Instant::now() >= end {
            let unfinished = tasks.iter().filter(|task| !is_over(task)).map(|task| unfinished(task, layout)).collect();
            return Err(DemoError::TimeLimit { seconds: LIMIT.as_secs(), unfinished });
        }
        sleep(GLANCE).await;
    };
    watch(&client.node_status().await?);
    let mut told = Vec::with_capacity(tasks.len());
    for task in tasks {
        let history = client.history(&task.id).await?.history;
        let attempts = client.attempts(&task.id).await?.attempts;
        told.push(Told { task, history, attempts });
    }
    told.sort_by(|a, b| (&a.task.created_at, &a.task.id).cmp(&(&b.task.created_at, &b.task.id)));
    Ok(told)
}

/// Tells whether a task is done and, where there is work, merged.
pub fn is_over(task: &Task) -> bool {
    task.queue == "done" && task.awaiting_merge.is_none()
}

/// Tells whether no agent will go on with a task, so that waiting is of no use.
fn needs_a_person(task: &Task) -> bool {
    task.needs_intervention || matches!(task.queue.as_str(), "failed" | "cancelled")
}

/// Tells where a task hangs and where to read about it.
pub fn unfinished(task: &Task, layout: &Layout) -> String {
    let holder = task.claimed_by.as_ref().map(|agent| format!(" by {agent}")).unwrap_or_default();
    let waits = task.blocked_by.as_ref().map(|ids| format!(", waits for {ids}")).unwrap_or_default();
    let merge = task.awaiting_merge.as_ref().map(|reason| format!(", not merged: {}", crate::clean::line(reason))).unwrap_or_default();
    let logs = layout.logs_dir().join("tasks").join(&task.id);
    let log = if logs.exists() { logs } else { layout.node_log() };
    format!("  {} is {}{holder}{waits}{merge}; see {}", task.id, task.queue, log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_work_is_over_only_when_it_is_merged() {
        let done = Task { queue: "done".to_owned(), ..Task::default() };
        assert!(is_over(&done));
        assert!(!is_over(&Task { awaiting_merge: Some("the branch moved".to_owned()), ..done }));
        assert!(!is_over(&Task { queue: "provisional".to_owned(), ..Task::default() }));
    }

    #[test]
    fn a_task_that_hangs_is_told_with_its_holder_and_its_log() {
        let task = Task { id: "fix-1".to_owned(), queue: "claimed".to_owned(), claimed_by: Some("fixer".to_owned()), ..Task::default() };
        let told = unfinished(&task, &Layout::at("/repository"));
        assert_eq!(told, "  fix-1 is claimed by fixer; see /repository/.octopoid/logs/node.log");
        assert!(needs_a_person(&Task { queue: "failed".to_owned(), ..task.clone() }) && !needs_a_person(&task));
    }
}
