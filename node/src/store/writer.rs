//! The one writer: requests that wait together share one durable commit.
//!
//! **Invariants**: a request is answered only after the commit that holds its records; after a failed commit nothing is
//! answered with success any more, and the store says why.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::state::WriterState;
use super::unit::Unit;
use super::{Event, Fault};
use crate::causes::describe;

/// How many requests may wait for the writer; each is a small closure, and beyond this callers wait to hand theirs in.
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
type Operation = Box<dyn FnOnce(&mut Unit<'_>) -> Answer + Send>;
/// One operation on the whole store, which commits by itself.
type Alone = Box<dyn FnOnce(&mut WriterState) -> (Result<(), Fault>, Answer) + Send>;

/// What the writer is asked to do.
enum Job {
    Shared(Operation),
    Alone(Alone),
}

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
                let mut next = Some(first);
                while let Some(job) = next.take() {
                    if failure.get().is_some() {
                        break;
                    }
                    match job {
                        Job::Alone(alone) => run_alone(&mut state, alone, &failure),
                        Job::Shared(operation) => {
                            let mut batch = vec![operation];
                            while let (true, Ok(job)) = (batch.len() < BATCH, waiting.try_recv()) {
                                match job {
                                    Job::Shared(operation) => batch.push(operation),
                                    Job::Alone(_) => {
                                        next = Some(job);
                                        break;
                                    }
                                }
                            }
                            run(&mut state, batch, &failure, &commits);
                        }
                    }
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
        let operation: Operation = Box::new(move |unit| {
            let result = unit.attempt(operation);
            Box::new(move |committed| drop(answer.send(committed.map(|()| result))))
        });
        self.hand_in(Job::Shared(operation), answered).await
    }

    /// Runs an operation that nothing else shares a commit with, and that commits by itself.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut WriterState) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let operation: Alone = Box::new(move |state| {
            // The answer outlives the operation: whoever waits must not be told before the failure is noted.
            let (outcome, result) = match operation(state) {
                Ok(result) => (Ok(()), Some(result)),
                Err(fault) => (Err(fault), None),
            };
            let told = move |done: Result<(), Unavailable>| match (done, result) {
                (Ok(()), Some(result)) => drop(answer.send(Ok(result))),
                (Ok(()), None) => {}
                (Err(why), _) => drop(answer.send(Err(why))),
            };
            (outcome, Box::new(told))
        });
        self.hand_in(Job::Alone(operation), answered).await
    }

    async fn hand_in<T>(&self, job: Job, answered: oneshot::Receiver<Result<T, Unavailable>>) -> Result<T, Unavailable> {
        self.jobs.send(job).await.map_err(|_| self.silence())?;
        answered.await.unwrap_or_else(|_| Err(self.silence()))
    }

    /// Tells why a job was dropped without an answer.
    fn silence(&self) -> Unavailable {
        match self.failure.get() {
            Some(why) => Unavailable::Failed(why.clone()),
            None if self.jobs.is_closed() => Unavailable::Closed,
            None => Unavailable::Defect,
        }
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
fn run(state: &mut WriterState, batch: Vec<Operation>, failure: &OnceLock<Arc<str>>, commits: &AtomicU64) {
    let mark = state.mark();
    let mut answers = Vec::with_capacity(batch.len());
    let worked = catch_unwind(AssertUnwindSafe(|| -> Result<Vec<Event>, Fault> {
        let mut unit = Unit::begin(state)?;
        for operation in batch {
            answers.push(operation(&mut unit));
        }
        // A fault is kept in the unit, whose commit tells it.
        let _ = unit.settle_all();
        // What a commit leaves half done in memory cannot be taken back as the work of operations can.
        catch_unwind(AssertUnwindSafe(|| unit.commit())).unwrap_or_else(|panic| Err(Fault::Defect(panic_text(panic.as_ref()).to_owned())))
    }));
    let result = match worked {
        Ok(Ok(events)) => {
            commits.fetch_add(1, Ordering::Relaxed);
            state.publish(events);
            Ok(())
        }
        Ok(Err(fault)) => Err(stop(&fault, failure)),
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

fn run_alone(state: &mut WriterState, operation: Alone, failure: &OnceLock<Arc<str>>) {
    match catch_unwind(AssertUnwindSafe(|| operation(state))) {
        Ok((Ok(()), answer)) => answer(Ok(())),
        Ok((Err(fault), answer)) => answer(Err(stop(&fault, failure))),
        Err(panic) => drop(stop(&Fault::Defect(panic_text(panic.as_ref()).to_owned()), failure)),
    }
}

/// Notes that nothing more is written, and why.
fn stop(fault: &Fault, failure: &OnceLock<Arc<str>>) -> Unavailable {
    let why: Arc<str> = describe(fault).into();
    tracing::error!(reason = %why, "the store stopped writing");
    let _ = failure.set(why.clone());
    Unavailable::Failed(why)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
