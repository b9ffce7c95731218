//! What a node would believe if a rule were missing: the simulation must notice each.

use octopoid_crdt::{
    lifecycle::{Act, AttemptStatus, Phase, Removals, TaskLog, TaskState},
    record::Queue,
};

/// Of several running attempts the one that arrived here first wins.
pub fn without_tie_break(log: &TaskLog) -> TaskState {
    let mut state = log.resolve(&Removals::none());
    if let Phase::Claimed { attempt } = &mut state.phase {
        let open = |place: &usize| matches!(state.attempts[*place].status, AttemptStatus::Running | AttemptStatus::Superseded);
        let first = (0..state.attempts.len()).filter(open).min_by_key(|place| log.position(&state.attempts[*place].claim));
        *attempt = first.unwrap_or(*attempt);
    }
    state
}

/// An expired claim's Submit is hidden, even if it was written by one that had not heard of the end.
pub fn expire_beats_submit(log: &TaskLog) -> TaskState {
    let expired = |claim: &_| log.entries().iter().any(|e| e.counts() && matches!(&e.act, Act::Expire { of } if of == claim));
    let mut state = log.resolve(&Removals::none());
    if let Phase::Provisional { attempt, .. } = &state.phase
        && expired(&state.attempts[*attempt].claim)
    {
        state.queue = Queue::Incoming;
        state.phase = Phase::Waiting { resume: None };
    }
    state
}
