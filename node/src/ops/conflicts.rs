//! What a person does about work that lost: takes it up again, or dismisses it.
//!
//! **Invariants**: an attempt that wins by adoption closes the one that won before, whose branch stays; a finished task is
//! not touched before it was reopened.

use octopoid_crdt::ids::Name;
use octopoid_crdt::lifecycle::{Attempt, AttemptStatus, Phase, TaskState};
use octopoid_crdt::record::{Cause, Queue};

use super::judge::{Move, move_to};
use super::{Refused, Snapshot, snapshot};
use crate::store::conflicts::COLLECTION;
use crate::store::{TaskNo, Unit};

/// How many attempts an error names.
const SHOWN: usize = 10;

/// Takes an attempt up again that lost: submitted work waits for a verdict instead of what won, and of an attempt that
/// submitted nothing the next one starts from its branch.
///
/// # Errors
/// When the attempt is unknown, is what the task rests on already, or the task is done or cancelled.
pub fn adopt(unit: &mut Unit<'_>, no: TaskNo, wanted: &str, by: &str) -> Result<Snapshot, Refused> {
    let id = unit.row(no)?.id.clone();
    let state = unit.state(no)?;
    let attempt = find(&state, &id, wanted)?;
    let refused = format!("Cannot adopt attempt {} of task '{id}'", attempt.name);
    match &state.phase {
        Phase::Done { .. } | Phase::Cancelled { .. } => {
            let why = format!("the task is {}: `octopoid requeue {id} --reopen` opens it again, then adopt", state.queue.as_str());
            return Err(Refused::step(refused, why));
        }
        Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Provisional { .. } | Phase::Deleted { .. } => {}
    }
    let submitted = match attempt.status {
        AttemptStatus::Running | AttemptStatus::Submitted | AttemptStatus::Accepted | AttemptStatus::Merged => {
            return Err(Refused::step(refused, "it is the attempt that the task rests on"));
        }
        // What was judged as not good does not wait for a verdict again; another attempt may go on from it.
        AttemptStatus::Rejected => false,
        AttemptStatus::Superseded | AttemptStatus::Contested | AttemptStatus::MovedAway => attempt.submit.is_some(),
        AttemptStatus::Ungranted | AttemptStatus::Released | AttemptStatus::Expired | AttemptStatus::Withdrawn => attempt.submit.is_some(),
    };
    let queue = if submitted { Queue::Provisional } else { Queue::Incoming };
    let reason = format!("attempt {} was adopted", attempt.name);
    let keep = Some(attempt.claim);
    move_to(unit, no, Move { queue, cause: Cause::Adopt, by: by.to_owned(), reason, keep })
}

/// Finds an attempt by its name, or by its number where only one has it.
fn find<'s>(state: &'s TaskState, id: &str, wanted: &str) -> Result<&'s Attempt, Refused> {
    let is_meant = |attempt: &&Attempt| {
        let name = attempt.name.to_string();
        name == wanted || name.split_once('-').is_some_and(|(number, _)| number == wanted)
    };
    let mut meant = state.attempts.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(attempt), None) => Ok(attempt),
        (Some(_), Some(_)) => {
            let names = names(state.attempts.iter().filter(is_meant));
            Err(Refused::field("attempt", format!("{wanted} is the number of several attempts: name one of {names}")))
        }
        (None, _) if state.attempts.is_empty() => Err(Refused::field("attempt", format!("nobody has tried task '{id}' yet"))),
        (None, _) => Err(Refused::field("attempt", format!("no such attempt: task '{id}' has {}", names(state.attempts.iter().rev())))),
    }
}

fn names<'s>(attempts: impl Iterator<Item = &'s Attempt>) -> String {
    attempts.take(SHOWN).map(|attempt| attempt.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Hides on all nodes what lost about a task so far; what is lost later shows again.
///
/// # Errors
/// When nothing about the task lost.
pub fn dismiss(unit: &mut Unit<'_>, no: TaskNo) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let (signs, open) = (row.all_signs(), row.in_conflict);
    if signs.is_empty() {
        let refused = format!("Cannot dismiss a conflict of task '{}'", row.id);
        return Err(Refused::step(refused, "nothing about the task lost: `octopoid conflicts` lists where something did"));
    }
    if open {
        let (scope, id) = (row.scope.clone(), row.id.clone());
        let scope: Name = super::name("scope", &scope)?;
        // A list of texts is always JSON.
        unit.put(COLLECTION, &scope, &id, Some(serde_json::Value::from_iter(signs).to_string()))?;
    }
    Ok(snapshot(unit, no)?)
}
