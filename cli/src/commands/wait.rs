//! `octopoid wait`

use std::time::Duration;

use octopoid_client::{Event, EventStream, Task};
use tokio::time::Instant;

use super::{TaskArg, tell};
use crate::{
    connection::{Connection, find_project},
    failure::{Exit, Failure},
    node_bridge,
    output::Output,
    queue_names,
};

/// How often a task is looked at when no event tells of it.
const GLANCE: Duration = Duration::from_secs(1);

/// States why there is nothing more to wait for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The time is over.
    #[error("{id} is still in {queue} after {seconds} s")]
    TimedOut { id: String, queue: String, seconds: u64 },
    /// The task has ended elsewhere.
    #[error("{id} is in {queue} and will not be in {wanted}")]
    Elsewhere { id: String, queue: String, wanted: String },
    /// The time is over before the merge that is to come.
    #[error("{id} is accepted, but not merged after {seconds} s")]
    NotMerged { id: String, seconds: u64 },
    /// A node would have merged it, and something is in the way that a person must remove.
    #[error("{id} is accepted, but its merge waits for you: {reason}")]
    MergeWaits { id: String, reason: String },
}

impl WaitError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::TimedOut { .. } | Self::Elsewhere { .. } | Self::NotMerged { .. } | Self::MergeWaits { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> String {
        match self {
            Self::TimedOut { id, .. } | Self::Elsewhere { id, .. } | Self::NotMerged { id, .. } => {
                format!("'octopoid show {id}' tells what happened")
            }
            Self::MergeWaits { id, .. } => format!("'octopoid merge {id}' merges it once nothing is in the way"),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid wait add-user-auth --queue provisional,done --timeout 600")]
pub struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// The queues to wait for; done by default, and then the merge, too, where `repo.merge` is auto.
    #[arg(long, value_delimiter = ',', value_name = "QUEUE,…", default_value = "done")]
    queue: Vec<String>,
    /// Seconds to wait at most; for ever by default.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    // A time-out beyond what the clock can hold is none.
    let end = args.timeout.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let mut id = None;
    loop {
        let connection = Connection::to(layout.clone()).await?;
        let whole = match &id {
            Some(id) => String::clone(id),
            None => {
                queue_names::check(&connection, &args.queue).await?;
                args.task.whole(&connection).await?
            }
        };
        // Events are opened before the look, so that nothing happens unseen between the two.
        let mut events = match &connection.node {
            Some(_) => connection.client.events(None).await.ok(),
            None => None,
        };
        loop {
            let task = connection.client.task(&whole).await.map_err(Failure::about(&whole))?;
            let there = args.queue.contains(&task.queue);
            if there && !task.will_be_merged() {
                merge_waits(&connection, &task)?;
                return tell(output, &task, &task.queue);
            }
            give_up(&task, &args, there, end)?;
            // No event tells that a merge waits for a person.
            let pause = if there { GLANCE } else { GLANCE * 10 };
            match &mut events {
                Some(stream) => {
                    if !next_look(stream, &whole, Instant::now() + pause.min(left(end))).await {
                        events = None;
                    }
                }
                None => break,
            }
        }
        id = Some(whole);
        // A store that is held while waiting is one that nobody can change.
        drop(connection);
        tokio::time::sleep(GLANCE.min(left(end))).await;
    }
}

/// Waits until the task may have changed; false when the stream is over.
///
/// It is `until` then at the latest: an event of long ago may have been dropped by a slow reader.
async fn next_look(stream: &mut EventStream, id: &str, until: Instant) -> bool {
    loop {
        match tokio::time::timeout_at(until, stream.next()).await {
            Ok(Ok(Some(event))) if concerns(&event, id) => return true,
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None) | Err(_)) => return false,
            Err(_) => return true,
        }
    }
}

fn concerns(event: &Event, id: &str) -> bool {
    event.task_id.as_deref() == Some(id)
}

fn left(end: Option<Instant>) -> Duration {
    end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
}

/// Refuses to call a task done whose merge nobody but a person brings about, where a node was to merge it.
fn merge_waits(connection: &Connection, task: &Task) -> Result<(), WaitError> {
    match &task.awaiting_merge {
        Some(reason) if node_bridge::merges_by_itself(&connection.layout) => {
            Err(WaitError::MergeWaits { id: task.id.clone(), reason: reason.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Ends the wait when the time is over or the task has ended elsewhere.
fn give_up(task: &Task, args: &Args, there: bool, end: Option<Instant>) -> Result<(), WaitError> {
    let (id, queue) = (task.id.clone(), task.queue.clone());
    // Only a person takes a task out of these queues.
    if !there && matches!(queue.as_str(), "done" | "cancelled" | "failed") {
        return Err(WaitError::Elsewhere { id, queue, wanted: args.queue.join(" or ") });
    }
    let seconds = args.timeout.unwrap_or_default();
    match end {
        Some(end) if Instant::now() >= end && there => Err(WaitError::NotMerged { id, seconds }),
        Some(end) if Instant::now() >= end => Err(WaitError::TimedOut { id, queue, seconds }),
        Some(_) | None => Ok(()),
    }
}
