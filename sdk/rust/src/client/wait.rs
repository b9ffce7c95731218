//! Waits until a task is where it should be.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::{ClientError, Task};

/// The pause after the first look.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Only a person takes a task out of these queues.
const ENDS: [&str; 3] = ["done", "cancelled", "failed"];

/// States why a wait ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// A look failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no such task.
    #[error("task {0} is not there")]
    NotThere(String),
    /// The task has ended elsewhere.
    #[error("task {id} is in {queue} and will not be in {wanted}")]
    WillNotBe {
        /// The task.
        id: String,
        /// Where it is.
        queue: String,
        /// Where it should be.
        wanted: String,
    },
    /// The time is over.
    #[error("task {id} is still in {queue} after {waited:?}")]
    TimedOut {
        /// The task.
        id: String,
        /// Where it is.
        queue: String,
        /// How long was waited.
        waited: Duration,
    },
}

impl Client {
    /// Looks at a task until its queue is one of those wanted; for ever unless a time-out is given. A queue that it leaves within the two
    /// seconds between looks may be missed.
    ///
    /// # Errors
    /// When a look fails, there is no such task, it ended in another queue, or the time is over.
    pub async fn wait_for(&self, id: &str, queues: &[&str], timeout: Option<Duration>) -> Result<Task, WaitError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let task = self.find_task(id).await?.ok_or_else(|| WaitError::NotThere(id.to_owned()))?;
            if queues.contains(&task.queue.as_str()) {
                return Ok(task);
            }
            let (id, queue) = (id.to_owned(), task.queue);
            if ENDS.contains(&queue.as_str()) {
                return Err(WaitError::WillNotBe { id, queue, wanted: queues.join(" or ") });
            }
            let left = timeout.map_or(LONGEST_PAUSE, |timeout| timeout.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return Err(WaitError::TimedOut { id, queue, waited: began.elapsed() });
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = pause.mul_f64(1.5).min(LONGEST_PAUSE);
        }
    }
}
