//! Judges submitted work, and moves tasks by hand.

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::flow::{Verdict, permits};
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Queue};

use super::create::refuse;
use super::{Refused, Snapshot, allow, flows, rests_on, snapshot};
use crate::store::posts::ACCEPTED;
use crate::store::{TaskNo, Unit};

/// Which state a verdict is about: whatever the task rests on now, or a record that the reviewer saw.
pub type About = Option<RecordId>;

/// Refuses a verdict that neither the task's flow nor, where it says nothing, the built-in rules allow.
fn permit(unit: &mut Unit<'_>, no: TaskNo, verdict: Verdict, refused: &str, otherwise: &str) -> Result<(), Refused> {
    let (name, flow) = flows::of_task(unit, no)?;
    let from = unit.row(no)?.queue.clone();
    if Queue::parse(&from).is_ok_and(|from| permits(flow.as_ref(), verdict, &from)) {
        return Ok(());
    }
    Err(Refused::step(
        refused,
        match flow.filter(|flow| !flow.steps().is_empty()) {
            Some(_) => format!("the flow '{name}' has no transition from '{from}' to '{}'", verdict.to().as_str()),
            None => otherwise.to_owned(),
        },
    ))
}

fn verdict(unit: &mut Unit<'_>, no: TaskNo, about: About, verdict: Verdict) -> Result<(RecordId, String), Refused> {
    let on = rests_on(unit, no)?;
    let row = unit.row(no)?;
    let doing = if verdict == Verdict::Accept { "accept" } else { "reject" };
    let refused = format!("Cannot {doing} task '{}' from '{}'", row.id, row.queue);
    permit(unit, no, verdict, &refused, "only work that is claimed or submitted can be judged")?;
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
/// When nothing is there to accept, or the task's flow does not allow it.
pub fn accept(unit: &mut Unit<'_>, no: TaskNo, about: About, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    if about.is_none() && rests_on(unit, no)?.is_none() && flows::of_task(unit, no)?.1.is_some() {
        return accept_untouched(unit, no, by, reason);
    }
    let (on, refused) = verdict(unit, no, about, Verdict::Accept)?;
    allow(unit, no, &Act::Accept { on }, &refused)?;
    unit.write(no, Body::Accept { on, by: by.to_owned(), reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Takes the call for a person back, because one has decided about the task.
///
/// # Errors
/// When the document cannot be edited.
pub fn answered(unit: &mut Unit<'_>, no: TaskNo) -> Result<Snapshot, Refused> {
    if unit.row(no)?.flag("needs_intervention") {
        unit.edit(no, &[Edit::set("needs_intervention", Value::Bool(false))])?.map_err(refuse)?;
    }
    Ok(snapshot(unit, no)?)
}

/// Accepts a task that nobody has worked on or moved, where its flow leads from there to done.
fn accept_untouched(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot accept task '{}' from '{}'", row.id, row.queue);
    permit(unit, no, Verdict::Accept, &refused, "nothing was submitted")?;
    let reason = if reason.is_empty() { ACCEPTED.to_owned() } else { format!("{ACCEPTED}: {reason}") };
    finish(unit, no, by, &reason)
}

/// Rejects what the task rests on; it goes back to incoming.
///
/// # Errors
/// When nothing is there to reject, or the task's flow does not allow it.
pub fn reject(unit: &mut Unit<'_>, no: TaskNo, about: About, by: &str, reason: &str) -> Result<Snapshot, Refused> {
    let (on, refused) = verdict(unit, no, about, Verdict::Reject)?;
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
            let anew = matches!(step.cause, Cause::Requeue | Cause::Reopen | Cause::ForceQueue | Cause::Edit);
            unit.write(no, body)?;
            if anew {
                plan_anew(unit, no)?;
            }
            Ok(snapshot(unit, no)?)
        }
    }
}

/// Forgets the parts of a task that was broken down, once none of them is open: sent back by hand, it is to be planned again.
/// With the parts it would be finished at the node's next look.
fn plan_anew(unit: &mut Unit<'_>, no: TaskNo) -> Result<(), Refused> {
    let row = unit.row(no)?;
    if !row.is_broken_down() || !row.open_blockers.is_empty() {
        return Ok(());
    }
    let parts = row.blocked_by.iter().map(|part| Edit::remove("blocked_by", part));
    let edits: Vec<Edit> = parts.chain([Edit::set("has_plan", Value::Bool(false))]).collect();
    unit.edit(no, &edits)?.map(drop).map_err(refuse)
}

/// Sends claimed or submitted work back for another attempt, which counts as an attempt.
///
/// # Errors
/// When neither the task's flow nor the built-in rules allow it from its queue, unless `any` queue is allowed.
pub fn requeue(unit: &mut Unit<'_>, no: TaskNo, by: &str, reason: &str, any: bool, reopen: bool) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot requeue task '{}' from '{}'", row.id, row.queue);
    let cause = match row.queue.as_str() {
        "done" | "cancelled" if reopen => Cause::Reopen,
        "done" | "cancelled" if any => {
            return Err(Refused::step(refused, "the task is finished: say that you want to reopen it (--reopen)"));
        }
        _ => Cause::Requeue,
    };
    if !any && !reopen {
        permit(unit, no, Verdict::Requeue, &refused, "only claimed or submitted work can be requeued")?;
    }
    let step = Move { queue: Queue::Incoming, cause, by: by.to_owned(), reason: reason.to_owned(), keep: None };
    move_to(unit, no, step)
}
