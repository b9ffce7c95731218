//! `octopoid wait`

use std::time::Duration;

use octopoid_client::{Event, EventStream, Task};
use tokio::time::Instant;

use super::{TaskArg, tell};
use crate::{
    connection::{Connection, find_project},
    failure::{Exit, Failure},
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
}

impl WaitError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::TimedOut { .. } | Self::Elsewhere { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> String {
        match self {
            Self::TimedOut { id, .. } | Self::Elsewhere { id, .. } => format!("'octopoid show {id}' tells what happened"),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid wait add-user-auth --queue provisional,done --timeout 600")]
pub struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// The queues to wait for; done by default.
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
            if args.queue.contains(&task.queue) {
                return tell(output, &task, &task.queue);
            }
            give_up(&task, &args, end)?;
            match &mut events {
                Some(stream) => {
                    if !next_look(stream, &whole, end).await {
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
async fn next_look(stream: &mut EventStream, id: &str, end: Option<Instant>) -> bool {
    // Besides events it looks now and then: an event of long ago may have been dropped by a slow reader.
    let until = Instant::now() + (GLANCE * 10).min(left(end));
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

/// Ends the wait when the time is over or the task has ended.
fn give_up(task: &Task, args: &Args, end: Option<Instant>) -> Result<(), WaitError> {
    let (id, queue) = (task.id.clone(), task.queue.clone());
    // Only a person takes a task out of these queues.
    if matches!(queue.as_str(), "done" | "cancelled" | "failed") {
        return Err(WaitError::Elsewhere { id, queue, wanted: args.queue.join(" or ") });
    }
    match end {
        Some(end) if Instant::now() >= end => Err(WaitError::TimedOut { id, queue, seconds: args.timeout.unwrap_or_default() }),
        Some(_) | None => Ok(()),
    }
}
