//! Fills a store before a node has it: many tasks in one commit, each through the operations that REST calls.
//!
//! Over REST a million tasks would take longer to make than to measure.

use octopoid_crdt::ids::{IdError, Name};
use octopoid_crdt::record::Queue;
use octopoid_node::ops::claim::{Claimant, Holds, claim};
use octopoid_node::ops::create::{NewTask, create};
use octopoid_node::ops::finish::{Submission, submit};
use octopoid_node::ops::judge::accept;
use octopoid_node::ops::{Expect, Refused};
use octopoid_node::store::{Fault, Store, Unavailable};

use super::scratch::{Scratch, ScratchError};
use super::tasks::Tasks;

/// The tenant of a scratch project.
const SCOPE: &str = "default";
/// How many tasks one commit makes.
const BATCH: u64 = 500;
/// How many records a whole life leaves: create, claim, edit and submit, accept.
pub const LIFE: u64 = 5;
/// How many tasks are still open in a store with a history.
const OPEN: u64 = 2_000;

/// States why a store was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// There is no store.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A task was refused.
    #[error("the store refused a task")]
    Refused(#[from] Refused),
    /// The store does not write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The store cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A name is none.
    #[error("a name of the load is none")]
    Name(#[from] IdError),
    /// The documents were not made.
    #[error("the documents were not made")]
    Prepare(#[from] tokio::task::JoinError),
}

/// How far tasks have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// They wait.
    Open,
    /// They are done, with all that led there.
    Whole,
}

/// Makes tasks that wait.
pub async fn open_tasks(scratch: &Scratch, tasks: Tasks) -> Result<(), FillError> {
    let store = scratch.open_store()?;
    let filled = fill(&store, tasks, 0..tasks.count, Life::Open).await;
    store.close();
    filled
}

/// Makes a history of at least so many records, and open tasks behind it; returns how many tasks and records there are.
pub async fn history(scratch: &Scratch, records: u64, body: usize) -> Result<(u64, u64), FillError> {
    let store = scratch.open_store()?;
    let open = OPEN.min(records / 5);
    let whole = (records - open).div_ceil(LIFE);
    let tasks = Tasks { count: whole + open, body };
    let filled = async {
        fill(&store, tasks, 0..whole, Life::Whole).await?;
        fill(&store, tasks, whole..tasks.count, Life::Open).await?;
        Ok((tasks.count, store.reader()?.next_arrival()?))
    };
    let filled = filled.await;
    store.close();
    filled
}

async fn fill(store: &Store, tasks: Tasks, numbers: std::ops::Range<u64>, life: Life) -> Result<(), FillError> {
    let scope: Name = SCOPE.parse()?;
    let mut ready: Vec<NewTask> = Vec::new();
    let mut next = numbers.start;
    // Documents of the next batch are made while the writer commits this one.
    while next < numbers.end || !ready.is_empty() {
        let (actor, from, to, scope) = (store.actor(), next, (next + BATCH).min(numbers.end), scope.clone());
        let prepare = tokio::task::spawn_blocking(move || {
            let prepared = (from..to).map(|number| {
                let id = Tasks::id(number).parse()?;
                Ok(NewTask::new(actor, scope.clone(), id, Queue::Incoming, "load".to_owned(), &tasks.fields(number))?)
            });
            prepared.collect::<Result<Vec<_>, FillError>>()
        });
        let batch = std::mem::take(&mut ready);
        let write = store.write(move |unit| batch.into_iter().try_for_each(|task| live(unit, task, life)));
        let (prepared, written) = tokio::join!(prepare, write);
        written??;
        ready = prepared??;
        next = to;
    }
    Ok(())
}

fn live(unit: &mut octopoid_node::store::Unit<'_>, task: NewTask, life: Life) -> Result<(), Refused> {
    let no = create(unit, task)?.no;
    if life == Life::Open {
        return Ok(());
    }
    let claimant = Claimant {
        agent: "load".to_owned(),
        orchestrator: "load".to_owned(),
        ttl_seconds: 3_600,
        queue: "incoming".to_owned(),
        scope: SCOPE.to_owned(),
        ..Claimant::default()
    };
    claim(unit, no, &claimant)?;
    submit(unit, no, &Holds::default(), &Expect::default(), &Submission { commits: 1, turns: 5, ..Submission::default() })?;
    accept(unit, no, None, "load", "")?;
    Ok(())
}
