//! Ends attempts that came to nothing, and gives tasks up to a person.

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::record::{Body, Cause, Queue};

use super::claim::Holds;
use super::create::refuse;
use super::{Refused, Snapshot, snapshot};
use crate::store::{TaskNo, TaskRow, Unit};

/// After so many failed attempts, or so many rejections, a person is asked.
pub const MOST_TRIES: u32 = 3;
/// After so many attempts that ran out of turns a person is asked: each of them costs money.
pub const MOST_CONTINUATIONS: u32 = 5;

/// Who moves tasks that nobody moved.
const BY: &str = "octopoid";

/// Returns why nothing more is tried by itself, if so.
#[must_use]
pub fn exhausted(row: &TaskRow) -> Option<String> {
    let reason = if row.failures >= MOST_TRIES {
        format!("{} attempts failed", row.failures)
    } else if row.rejections >= MOST_TRIES {
        format!("{} attempts were rejected", row.rejections)
    } else if row.continuations >= MOST_CONTINUATIONS {
        format!("{} attempts ran out of turns", row.continuations)
    } else {
        return None;
    };
    Some(reason)
}

/// Ends the holder's attempt as failed; after the third the task goes to `failed` for a person to look at.
///
/// # Errors
/// When the caller no longer holds the task.
pub fn fail(unit: &mut Unit<'_>, no: TaskNo, holds: &Holds, reason: &str) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    holds.check(row, &format!("Cannot end the attempt at task '{}'", row.id))?;
    let body = Body::Move { queue: Queue::Incoming, cause: Cause::AttemptFailed, by: BY.to_owned(), reason: shortened(reason), keep: None };
    unit.write(no, body)?;
    match exhausted(unit.row(no)?) {
        Some(why) => give_up(unit, no, &format!("{why}, the last one: {reason}")),
        None => Ok(snapshot(unit, no)?),
    }
}

/// Moves a task to `failed` and asks for a person.
///
/// # Errors
/// When the document cannot be edited.
pub fn give_up(unit: &mut Unit<'_>, no: TaskNo, reason: &str) -> Result<Snapshot, Refused> {
    unit.edit(no, &[Edit::set("needs_intervention", Value::Bool(true))])?.map_err(refuse)?;
    let body = Body::Move { queue: Queue::Failed, cause: Cause::GivenUp, by: BY.to_owned(), reason: shortened(reason), keep: None };
    unit.write(no, body)?;
    Ok(snapshot(unit, no)?)
}

/// Cuts a reason to what a record takes.
pub(super) fn shortened(reason: &str) -> String {
    let limit = octopoid_crdt::record::limits::TEXT;
    if reason.len() <= limit { reason.to_owned() } else { format!("{}…", &reason[..reason.floor_char_boundary(limit - 4)]) }
}
