//! Reads from a task's log what competes for it.

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::{AttemptStatus, Phase};
use octopoid_crdt::peer::settle::{self, Known};

use crate::store::{Fault, Store, TaskNo};

/// Returns the claims and reviews of a task that are not over.
pub(super) fn contenders(store: &Store, no: TaskNo) -> Result<Vec<Known>, Fault> {
    let log = store.reader()?.log(no)?.log;
    Ok(settle::contenders(&log, &log.resolve(&store.masks())))
}

/// Tells whether work on a claim or review may go on as far as the task's records say: it is not over, and nothing finished
/// goes before it.
pub(super) fn is_open(store: &Store, no: TaskNo, of: &RecordId) -> Result<bool, Fault> {
    let log = store.reader()?.log(no)?.log;
    let state = log.resolve(&store.masks());
    if let Some(attempt) = state.attempts.iter().find(|attempt| attempt.claim == *of) {
        let unfinished = attempt.submit.is_none() && matches!(attempt.status, AttemptStatus::Running | AttemptStatus::Superseded);
        return Ok(unfinished && matches!(state.phase, Phase::Claimed { .. }));
    }
    Ok(settle::contenders(&log, &state).iter().any(|known| known.contender.id == *of))
}
