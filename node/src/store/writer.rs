//! The one writer: requests that wait together share one durable commit.
//!
//! **Invariants**: a request is answered only after the commit that holds its records; after a failed commit nothing is
//! answered with success any more, and the store says why.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::unit::{Unit, WriterState};
use super::{Event, Fault};

/// How many requests may wait for the writer; each is a small closure, and beyond this the caller is told to retry.
const QUEUE: usize = 1024;

/// How many requests share one commit at most, so that one commit stays a few milliseconds.
const BATCH: usize = 128;

/// States why a write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The store failed earlier, or with this write; nothing more is written until a restart.
    #[error("the store cannot write: {0}")]
    Failed(Arc<str>),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A defect in one of the operations of the batch; nothing of the batch was written.
    #[error("an operation ended unexpectedly; nothing was written, please report it")]
    Defect,
}

/// What follows the commit: answers the caller.
type Answer = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;
/// One operation on the unit of work.
type Job = Box<dyn FnOnce(&mut Unit<'_>) -> Answer + Send>;

/// The way to the writer thread.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    failure: Arc<OnceLock<Arc<str>>>,
    failed: Arc<tokio::sync::Notify>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread, which owns the state until the last handle is gone.
    pub(super) fn start(mut state: WriterState) -> (Self, std::thread::JoinHandle<()>) {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let failure = Arc::new(OnceLock::new());
        let failed = Arc::new(tokio::sync::Notify::new());
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Self { jobs, failure: failure.clone(), failed: failed.clone(), commits: commits.clone() };
        let thread = std::thread::spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while let (true, Ok(job)) = (batch.len() < BATCH, waiting.try_recv()) {
                    batch.push(job);
                }
                if failure.get().is_none() {
                    run(&mut state, batch, &failure, &commits);
                }
                if failure.get().is_some() {
                    failed.notify_waiters();
                }
            }
        });
        (writer, thread)
    }

    /// Runs an operation and answers once its records are on disk.
    ///
    /// # Errors
    /// When the store has failed or is closed; the operation's own refusal is in the inner result.
    pub async fn write<T, E>(
        &self,
        operation: impl FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Unavailable>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |unit| {
            let result = operation(unit);
            Box::new(move |committed| drop(answer.send(committed.map(|()| result))))
        });
        self.jobs.send(job).await.map_err(|_| Unavailable::Closed)?;
        answered.await.unwrap_or_else(|_| Err(self.failure.get().map_or(Unavailable::Closed, |why| Unavailable::Failed(why.clone()))))
    }

    /// Returns how many batches were committed since the start.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Returns why the store stopped writing, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.failure.get().cloned()
    }

    /// Waits until the store has stopped writing.
    pub async fn wait_for_failure(&self) -> Arc<str> {
        loop {
            let notified = self.failed.notified();
            if let Some(why) = self.failure.get() {
                return why.clone();
            }
            notified.await;
        }
    }
}

/// Runs a batch on one unit of work and commits it.
fn run(state: &mut WriterState, batch: Vec<Job>, failure: &OnceLock<Arc<str>>, commits: &AtomicU64) {
    let mark = state.mark();
    let mut answers = Vec::with_capacity(batch.len());
    let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<Vec<Event>, Fault> {
        let mut unit = Unit::begin(state)?;
        for job in batch {
            answers.push(job(&mut unit));
        }
        unit.commit()
    }));
    let result = match outcome {
        Ok(Ok(events)) => {
            commits.fetch_add(1, Ordering::Relaxed);
            state.publish(events);
            Ok(())
        }
        Ok(Err(fault)) => {
            let why: Arc<str> = describe(&fault).into();
            tracing::error!(reason = %why, "the store stopped writing");
            let _ = failure.set(why.clone());
            Err(Unavailable::Failed(why))
        }
        Err(panic) => {
            tracing::error!(reason = panic_text(panic.as_ref()), "an operation ended unexpectedly");
            state.reset(mark);
            Err(Unavailable::Defect)
        }
    };
    for answer in answers {
        answer(result.clone());
    }
}

/// Writes an error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
