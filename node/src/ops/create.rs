//! Makes tasks.

use octopoid_crdt::document::{Actor, Document, EditError, Fields};
use octopoid_crdt::ids::Name;
use octopoid_crdt::record::{Body, Cause, Queue};

use super::{Refused, Snapshot, snapshot};
use crate::store::posts::CREATED_THERE;
use crate::store::{TaskNo, Unit, WriteFault};

/// A task to be made. Its document is built before the writer is asked, so that the writer does not wait for it.
#[derive(Debug)]
pub struct NewTask {
    scope: Name,
    id: Name,
    queue: Queue,
    by: String,
    blockers: Vec<String>,
    document: Document,
    change: Vec<u8>,
    imported: Option<String>,
}

/// The most tasks that one task may wait for.
pub const MAX_BLOCKERS: usize = 1_000;

/// The most waiting tasks that a search for a cycle visits before it gives the answer "too deep".
const CYCLE_SEARCH: usize = 100_000;

impl NewTask {
    /// Builds the document of a new task.
    ///
    /// # Errors
    /// When a field breaks a limit, or the queue is `claimed`.
    pub fn new(actor: Actor, scope: Name, id: Name, queue: Queue, by: String, fields: &Fields) -> Result<Self, Refused> {
        if queue == Queue::Claimed {
            return Err(Refused::field("queue", "a task cannot be made in 'claimed': create it in 'incoming' and claim it"));
        }
        let blockers: Vec<String> = fields.entries("blocked_by").map(str::to_owned).collect();
        if blockers.len() > MAX_BLOCKERS {
            return Err(Refused::field("blocked_by", format!("{} blockers, the limit is {MAX_BLOCKERS}", blockers.len())));
        }
        let (document, change) = Document::create(actor, fields).map_err(refuse)?;
        Ok(Self { scope, id, queue, by, blockers, document, change, imported: None })
    }

    /// Brings what the task was in another system.
    #[must_use]
    pub fn imported(mut self, json: String) -> Self {
        self.imported = Some(json);
        self
    }
}

/// Names the field of a refused edit.
pub(crate) fn refuse(error: EditError) -> Refused {
    let field = match &error {
        EditError::Name(name) => name.clone(),
        EditError::Text { field, .. } => field.clone(),
        EditError::Entry { list, .. } => list.clone(),
        EditError::Lines(_) | EditError::Content(_) => "content".to_owned(),
        EditError::TooMany(_) | EditError::TooLarge(_) | EditError::ReadOnly(_) | EditError::Unusable | EditError::Automerge(_) => {
            "task".to_owned()
        }
    };
    Refused::Field { field, message: error.to_string() }
}

/// Creates a task.
///
/// # Errors
/// When the id is taken or a blocker is unknown.
pub fn create(unit: &mut Unit<'_>, task: NewTask) -> Result<Snapshot, Refused> {
    let known = unit.find(task.scope.as_str(), task.id.as_str())?;
    if let Some(no) = known
        && unit.row(no)?.listed
    {
        return Err(Refused::Exists { id: task.id.to_string() });
    }
    check_blockers(unit, task.scope.as_str(), task.id.as_str(), &task.blockers)?;
    let no = make(unit, task)?;
    Ok(snapshot(unit, no)?)
}

/// Writes the records of a task whose place and blockers are checked.
pub(super) fn make(unit: &mut Unit<'_>, task: NewTask) -> Result<TaskNo, Refused> {
    let no = unit.create((&task.scope, &task.id), task.document, task.change, task.imported)?;
    let (by, reason) = (task.by, CREATED_THERE.to_owned());
    match task.queue {
        Queue::Incoming | Queue::Claimed => {}
        Queue::Done => drop(unit.write(no, Body::Finish { by, reason })?),
        Queue::Cancelled => drop(unit.write(no, Body::Cancel { by, reason })?),
        queue @ (Queue::Provisional | Queue::Failed | Queue::Blocked | Queue::Backlog | Queue::NeedsContinuation | Queue::Custom(_)) => {
            unit.write(no, Body::Move { queue, cause: Cause::Edit, by, reason, keep: None })?;
        }
    }
    Ok(no)
}

/// Refuses blockers that are unknown, or that wait for the task themselves.
///
/// # Errors
/// When there is such a blocker.
pub fn check_blockers(unit: &mut Unit<'_>, scope: &str, id: &str, blockers: &[String]) -> Result<(), Refused> {
    for blocker in blockers {
        if blocker == id {
            return Err(Refused::field("blocked_by", format!("task '{id}' cannot wait for itself")));
        }
        if unit.find(scope, blocker)?.is_none() {
            return Err(Refused::field("blocked_by", format!("task '{blocker}' is not known in scope '{scope}'")));
        }
    }
    let Some(task) = unit.find(scope, id)? else { return Ok(()) };
    let mut waiting: Vec<String> = blockers.to_vec();
    let mut seen = std::collections::HashSet::new();
    while let Some(blocker) = waiting.pop() {
        if !seen.insert(blocker.clone()) {
            continue;
        }
        if seen.len() > CYCLE_SEARCH {
            return Err(Refused::field("blocked_by", "the chain of blockers is too long to check for a cycle"));
        }
        let Some(no) = open_task(unit, scope, &blocker)? else { continue };
        if no == task {
            return Err(Refused::field("blocked_by", format!("'{id}' would wait for itself: a blocker of it waits for it already")));
        }
        // Finished blockers too: they block again when they are reopened or made anew.
        waiting.extend(unit.row(no)?.blocked_by.iter().cloned());
    }
    Ok(())
}

fn open_task(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<TaskNo>, WriteFault> {
    unit.find(scope, id)
}
