//! Claims tasks and reviews, keeps them, gives them back.

use octopoid_crdt::ids::{AuthorKey, Oid, RecordId};
use octopoid_crdt::lease::{DEFAULT_SECONDS, Input, LONGEST_SECONDS};
use octopoid_crdt::lifecycle::{Act, Attempt, AttemptStatus};
use octopoid_crdt::record::{Body, Cause, Queue};

use super::grant::grant;
use super::{Refused, Snapshot, allow, snapshot};
use crate::store::{Filter, TaskNo, TaskRow, Unit, WriteFault};

/// Who asks for work, and for which.
#[derive(Debug, Clone, Default)]
pub struct Claimant {
    /// The agent's name.
    pub agent: String,
    /// The orchestrator's id.
    pub orchestrator: String,
    /// How long it may be silent.
    pub ttl_seconds: u32,
    /// The queue to take from.
    pub queue: String,
    /// Only from this tenant.
    pub scope: String,
    /// Only tasks of these roles; empty takes any.
    pub roles: Vec<String>,
    /// Only tasks of these types; empty takes any.
    pub kinds: Vec<String>,
    /// The commit that work starts from, if it is known.
    pub base: Option<Oid>,
    /// The other nodes that may claim at the same moment: each takes other tasks first.
    pub others: Vec<AuthorKey>,
    /// A reviewer never reviews an attempt of its own name.
    pub not_of: Option<String>,
}

/// Reads a lease's length from a request.
///
/// # Errors
/// When it is outside 1 to 3,600.
pub fn lease_seconds(wanted: Option<i64>) -> Result<u32, Refused> {
    let Some(seconds) = wanted else { return Ok(DEFAULT_SECONDS) };
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| (1..=LONGEST_SECONDS).contains(seconds))
        .ok_or_else(|| Refused::field("lease_duration_seconds", format!("{seconds} is outside 1 to {LONGEST_SECONDS}")))
}

/// Picks the next task that fits; none when no task waits.
///
/// # Errors
/// When the store fails.
pub fn choose(unit: &mut Unit<'_>, claimant: &Claimant) -> Result<Option<TaskNo>, WriteFault> {
    let filter = Filter {
        scopes: vec![claimant.scope.clone()],
        queues: vec![claimant.queue.clone()],
        roles: claimant.roles.clone(),
        kinds: claimant.kinds.clone(),
        // What waits for a person is no agent's to judge.
        needs_intervention: claimant.not_of.is_some().then_some(false),
        ready: Some(true),
        ..Filter::default()
    };
    let own_work = |row: &TaskRow| claimant.not_of.is_some() && row.worker == claimant.not_of;
    // What was put into provisional by hand has no work to review: a person accepts it, or sends it back.
    let no_work = |row: &TaskRow| row.queue == "provisional" && row.attempt.is_none();
    let me = unit.me();
    let mine = |row: &TaskRow| {
        let own = lot(row, &me);
        claimant.others.iter().all(|other| lot(row, other) < own)
    };
    unit.choose(&filter, claimant.not_of.as_deref(), |row| own_work(row) || no_work(row), mine)
}

/// Draws which node takes a task first, so that nodes that claim at the same moment take different ones.
fn lot(row: &TaskRow, node: &AuthorKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"octopoid/spread").update(&row.subject).update(node.as_bytes());
    *hasher.finalize().as_bytes()
}

/// A claim or review that was written. Where another node is the authority, a claim does not hold its task before its grant.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The task, as the commit left it.
    pub task: Snapshot,
    /// The claim or review.
    pub of: RecordId,
    /// A review rather than a claim.
    pub review: bool,
}

/// Claims the next task that fits; none when no task waits.
///
/// # Errors
/// When the store fails.
pub fn claim_next(unit: &mut Unit<'_>, claimant: &Claimant) -> Result<Option<Snapshot>, Refused> {
    Ok(open_next(unit, claimant)?.map(|claimed| claimed.task))
}

/// Claims the next task that fits, as [`claim_next`] does, and tells by which record.
///
/// # Errors
/// When the store fails.
pub fn open_next(unit: &mut Unit<'_>, claimant: &Claimant) -> Result<Option<Claimed>, Refused> {
    while let Some(no) = choose(unit, claimant)? {
        if !asks_already(unit, no)? {
            return open(unit, no, claimant).map(Some);
        }
    }
    Ok(None)
}

/// Tells whether a claim of this node waits for the authority: another agent here takes another task.
///
/// # Errors
/// When the store fails.
pub fn asks_already(unit: &mut Unit<'_>, no: TaskNo) -> Result<bool, WriteFault> {
    let me = unit.me();
    if unit.membership()?.authority().is_none_or(|authority| *authority == me) {
        return Ok(false);
    }
    let asks = |attempt: &Attempt| attempt.claimant == me && attempt.status == AttemptStatus::Ungranted;
    Ok(unit.state(no)?.attempts.iter().any(asks))
}

/// Claims one task, or its review when it is submitted.
///
/// # Errors
/// When the task is not claimable.
pub fn claim(unit: &mut Unit<'_>, no: TaskNo, claimant: &Claimant) -> Result<Snapshot, Refused> {
    Ok(open(unit, no, claimant)?.task)
}

/// Claims one task, or its review, and tells by which record. The authority grants its own claims in the same commit.
///
/// # Errors
/// When the task is not claimable.
pub fn open(unit: &mut Unit<'_>, no: TaskNo, claimant: &Claimant) -> Result<Claimed, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot claim task '{}' from '{}'", row.id, row.queue);
    let (agent, orchestrator, ttl_seconds) = (claimant.agent.clone(), claimant.orchestrator.clone(), claimant.ttl_seconds);
    // Submitted work that a flow keeps open in a state of its own is judged there, too.
    let of_a_flow = matches!(Queue::parse(&row.queue), Ok(Queue::Custom(_)));
    let judged = row.queue == "provisional" || (of_a_flow && row.attempt.is_some());
    let body = if judged {
        let on = row.rests_on.map(RecordId).ok_or_else(|| Refused::step(&refused, "nothing was submitted"))?;
        Body::Review { on, agent, orchestrator, ttl_seconds }
    } else {
        let source = Queue::parse(&row.queue).map_err(|error| Refused::step(&refused, error.to_string()))?;
        Body::Claim { epoch: row.epoch + 1, source, agent, orchestrator, ttl_seconds, base: claimant.base.clone() }
    };
    if let Some(act) = Act::of(&body) {
        allow(unit, no, &act, &refused)?;
    }
    let of = unit.write(no, body)?;
    if !judged {
        grant(unit, no, of)?;
    }
    Ok(Claimed { task: snapshot(unit, no)?, of, review: judged })
}

/// Whose claim a request speaks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// The agent's name, if the caller gives it.
    pub agent: Option<String>,
    /// The epoch, if the caller gives it.
    pub epoch: Option<u64>,
    /// The claim's id, which the supervisor knows.
    pub claim: Option<RecordId>,
}

impl Holds {
    /// Returns the claim or review that holds the task, if it is the caller's.
    ///
    /// # Errors
    /// When nobody holds the task, or somebody else.
    pub fn check(&self, row: &TaskRow, refused: &str) -> Result<RecordId, Refused> {
        let Some(holder) = &row.holder else {
            return Err(Refused::step(refused, format!("nobody holds the task: it is in '{}'", row.queue)));
        };
        if self.agent.as_ref().is_some_and(|agent| *agent != holder.agent) {
            return Err(Refused::step(refused, format!("'{}' holds the task", holder.agent)));
        }
        if self.epoch.is_some_and(|epoch| epoch != row.epoch) {
            return Err(Refused::step(refused, format!("the epoch is {}: the claim has ended", row.epoch)));
        }
        if self.claim.is_some_and(|claim| claim.0 != holder.record) {
            return Err(Refused::step(refused, "the claim has ended or lost"));
        }
        Ok(RecordId(holder.record))
    }
}

/// Renews the lease of whoever holds the task.
///
/// # Errors
/// When the caller does not hold it.
pub fn renew(unit: &mut Unit<'_>, no: TaskNo, holds: &Holds, seconds: Option<u32>) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot renew the lease of task '{}'", row.id);
    let of = holds.check(row, &refused)?;
    unit.leases().handle(Input::Renewed { of, seconds });
    Ok(snapshot(unit, no)?)
}

/// Gives a claim or review back.
///
/// # Errors
/// When the caller does not hold it, or another node wrote it.
pub fn release(unit: &mut Unit<'_>, no: TaskNo, holds: &Holds, cause: Cause, reason: &str) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    let refused = format!("Cannot release task '{}'", row.id);
    let of = holds.check(row, &refused)?;
    allow(unit, no, &Act::Release { of, cause }, &refused)?;
    unit.write(no, Body::Release { of, cause, reason: reason.to_owned() })?;
    Ok(snapshot(unit, no)?)
}

/// Gives an own claim or review back, whoever holds the task by now; does nothing when it has ended. Tells whether it did.
///
/// # Errors
/// When the store fails.
pub fn withdraw(unit: &mut Unit<'_>, no: TaskNo, of: RecordId, cause: Cause, reason: &str) -> Result<bool, WriteFault> {
    let counts = unit.would_count(no, &Act::Release { of, cause })?.is_ok();
    if counts {
        unit.write(no, Body::Release { of, cause, reason: reason.to_owned() })?;
    }
    Ok(counts)
}

/// Ends a claim or review whose holder fell silent; does nothing when it has ended already.
///
/// # Errors
/// When the store fails.
pub fn expire(unit: &mut Unit<'_>, of: RecordId) -> Result<Option<Snapshot>, WriteFault> {
    let Some(no) = unit.task_of(&of)? else {
        unit.leases().handle(Input::Ended { of });
        return Ok(None);
    };
    let holds = unit.row(no)?.holder.as_ref().is_some_and(|holder| holder.record == of.0);
    if !holds || unit.would_count(no, &Act::Expire { of })?.is_err() {
        let input = if unit.is_open(no, &of)? { Input::Outranked { of } } else { Input::Ended { of } };
        unit.leases().handle(input);
        return Ok(None);
    }
    unit.write(no, Body::Expire { of, reason: "the lease ran out".to_owned() })?;
    snapshot(unit, no).map(Some)
}
