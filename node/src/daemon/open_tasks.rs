//! What would be lost with a project's store: the tasks that are not over.

use super::start::{self, OpenError};
use crate::project::Layout;
use crate::run;
use crate::store::{Fault, Filter, Sort};

/// The most tasks that are named.
const NAMED: u64 = 3;

/// The tasks of a project, of all scopes, that are neither merged nor given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenTasks {
    /// How many there are.
    pub count: u64,
    /// The ids of the first few.
    pub named: Vec<String>,
}

/// States why a project's open tasks are not known.
#[derive(Debug, thiserror::Error)]
pub enum OpenTasksError {
    /// The project cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error("read the store")]
    Read(#[from] Fault),
}

/// Counts what is not over, in the process that then holds the store; a project without a store has nothing.
///
/// # Errors
/// When another process has the store, or it cannot be read.
///
/// # Panics
/// Outside a tokio runtime.
pub fn open_tasks(layout: &Layout) -> Result<OpenTasks, OpenTasksError> {
    if !layout.store_file().exists() {
        return Ok(OpenTasks::default());
    }
    let reader = start::open(layout)?.store.reader()?;
    let mut queues = reader.queue_counts(None)?;
    // An empty list of queues would mean all of them.
    queues.retain(|queue, count| *count > 0 && !matches!(queue.as_str(), "done" | "cancelled"));
    let unfinished = Filter { queues: queues.into_keys().collect(), ..Filter::default() };
    let mut open = OpenTasks::default();
    for filter in [(!unfinished.queues.is_empty()).then_some(unfinished), Some(run::awaiting_merge())].into_iter().flatten() {
        let page = reader.list(&filter, Sort::Priority, 0, NAMED)?;
        open.count += page.total;
        open.named.extend(page.tasks.into_iter().map(|(_, row)| row.id));
    }
    open.named.truncate(usize::try_from(NAMED).unwrap_or_default());
    Ok(open)
}
