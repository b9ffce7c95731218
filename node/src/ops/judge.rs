//! Judges submitted work, and moves tasks by hand.

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Queue};

use super::{Refused, Snapshot, allow, rests_on, snapshot};
use crate::store::{TaskNo, Unit};

/// Which state a verdict is about: whatever the task rests on now, or a record that the reviewer saw.
pub type About = Option<RecordId>;

fn verdict(unit: &mut Unit<'_>, no: TaskNo, about: About, doing: &str) -> Result<(RecordId, String), Refused> {
    let on = rests_on(unit, no)?;
    let row = unit.row(no)?;
    let refused = format!("Cannot {doing} task '{}' from '{}'", row.id, row.queue);
    if !matches!(row.queue.as_str(), "provisional" | "claimed") {
        return Err(Refused::step(refused, "only work that is claimed or submitted can be judged"));
    }
    match (on, about) {
        (Some(on), Some(seen)) if on != seen => {
            Err(Refused::step(refused, "the work that was reviewed is no longer what the task rests on"))
        }
        (Some(on), _) => Ok((on, refused)),
        (None, _) => Err(Refused::step(refused, "nothing was submitted")),
    }
}

/// Accepts what the task rests on.
///
/// # Errors
/// When nothing is there to accept.
pub fn accept(unit: &mut Unit<'_>, no: TaskNo, about: About, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let (on, refused) = verdict(unit, no, about, "accept")?;
    allow(unit, no, &Act::Accept { on }, &refused)?;
    unit.write(no, Body::Accept { on, by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Rejects what the task rests on; it goes back to incoming.
///
/// # Errors
/// When nothing is there to reject.
pub fn reject(unit: &mut Unit<'_>, no: TaskNo, about: About, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let (on, refused) = verdict(unit, no, about, "reject")?;
    allow(unit, no, &Act::Reject { on }, &refused)?;
    unit.write(no, Body::Reject { on, by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Finishes a task without a submit.
///
/// # Errors
/// When it is done, cancelled or deleted.
pub fn finish(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot finish task '{}' from '{}'", row.id, row.queue);
    allow(unit, no, &Act::Finish, &refused)?;
    unit.write(no, Body::Finish { by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Gives a task up.
///
/// # Errors
/// When it is done, cancelled or deleted.
pub fn cancel(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot cancel task '{}' from '{}'", row.id, row.queue);
    allow(unit, no, &Act::Cancel, &refused)?;
    unit.write(no, Body::Cancel { by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Deletes a task.
///
/// # Errors
/// When the store fails.
pub fn delete(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str) -> Result<(), Refused> {
    unit.write(no, Body::Delete { by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(())
}

/// A move by hand or by the node.
#[derive(Debug, Clone)]
pub struct Move {
    /// Where to.
    pub queue: Queue,
    /// Why, for counters.
    pub cause: Cause,
    /// Who.
    pub by: String,
    /// Why, for people.
    pub reason: String,
    /// The claim of an attempt that stays open, or that the next one starts from.
    pub keep: Option<RecordId>,
}

/// Moves a task to another queue, closing what its open attempts did; `done` finishes and `cancelled` gives up.
///
/// # Errors
/// When the queue cannot be moved to.
pub fn move_to(unit: &mut Unit<'_>, no: TaskNo, step: Move) -> Result<Snapshot, Refused> {
    match step.queue {
        Queue::Claimed => Err(Refused::field("queue", "a task gets to 'claimed' by a claim only")),
        Queue::Done => finish(unit, no, &step.by, &step.reason),
        Queue::Cancelled => cancel(unit, no, &step.by, &step.reason),
        queue @ (Queue::Incoming
        | Queue::Provisional
        | Queue::Failed
        | Queue::Blocked
        | Queue::Backlog
        | Queue::NeedsContinuation
        | Queue::Custom(_)) => {
            let row = unit.row(no)?;
            let refused = format!("Cannot move task '{}' from '{}' to '{}'", row.id, row.queue, queue.as_str());
            let body = Body::Move { queue, cause: step.cause, by: step.by, reason: step.reason, keep: step.keep };
            if let Some(act) = Act::of(&body) {
                allow(unit, no, &act, &refused)?;
            }
            unit.write(no, body)?;
            Ok(snapshot(unit, no)?)
        }
    }
}

/// Sends claimed or submitted work back for another attempt, which counts as an attempt.
///
/// # Errors
/// When the task is in another queue, unless `any` queue is allowed.
pub fn requeue(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str, any: bool, reopen: bool) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot requeue task '{}' from '{}'", row.id, row.queue);
    let cause = match row.queue.as_str() {
        "claimed" | "provisional" => Cause::Requeue,
        "done" | "cancelled" if reopen => Cause::Reopen,
        "done" | "cancelled" if any => {
            return Err(Refused::step(refused, "the task is finished: say that you want to reopen it (--reopen)"));
        }
        _ if any || reopen => Cause::Requeue,
        _ => return Err(Refused::step(refused, "only claimed or submitted work can be requeued")),
    };
    let step = Move { queue: Queue::Incoming, cause, by: by.to_owned(), reason: reason.to_owned(), keep: None };
    move_to(unit, no, step)
}
