//! Edits what people edit, and the acting fields that stand for a step.

use std::collections::BTreeSet;

use octopoid_crdt::document::Edit;
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::{Act, Phase};
use octopoid_crdt::record::{Cause, Queue};

use super::claim::{self, Holds};
use super::create::{MAX_BLOCKERS, check_blockers, refuse};
use super::judge::{Move, move_to};
use super::{Expect, Refused, Snapshot, allow, snapshot};
use crate::store::{TaskNo, Unit};

/// What one edit changes; the steps happen after the fields are set, in the same commit.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Fields of the document.
    pub edits: Vec<Edit>,
    /// The new set of blockers.
    pub blocked_by: Option<BTreeSet<String>>,
    /// The queue to move to.
    pub queue: Option<Queue>,
    /// Takes the claim away.
    pub release: bool,
    /// Renews the lease for this many seconds.
    pub renew: Option<u32>,
    /// Who edits.
    pub by: String,
}

impl Changes {
    /// Tells whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.blocked_by.is_none() && self.queue.is_none() && !self.release && self.renew.is_none()
    }
}

/// Edits a task.
///
/// # Errors
/// When a field breaks a limit, a blocker is unknown, or a step is not allowed from where the task is.
pub fn edit(unit: &mut Unit<'_>, no: TaskNo, expect: &Expect, changes: Changes) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    expect.check(row)?;
    if changes.is_empty() {
        return Err(Refused::field("body", "No fields to update"));
    }
    match changes.queue {
        Some(Queue::Done) => return Err(Refused::field("queue", "a task gets to 'done' by accept or force-queue")),
        Some(Queue::Claimed) => return Err(Refused::field("queue", "a task gets to 'claimed' by a claim")),
        Some(_) | None => {}
    }
    let (scope, id) = (row.scope.clone(), row.id.clone());
    if (changes.release || changes.renew.is_some()) && row.holder.is_none() {
        let refused = format!("Cannot change the claim of task '{id}'");
        return Err(Refused::step(refused, format!("nobody holds the task: it is in '{}'", row.queue)));
    }
    check_steps(unit, no, &changes)?;
    let row = unit.row(no)?;
    let mut edits = changes.edits;
    if let Some(wanted) = &changes.blocked_by {
        let known: BTreeSet<String> = row.blocked_by.iter().cloned().collect();
        // Finished blockers are not shown, so a caller that writes back what it read does not mean to remove them.
        let shown: BTreeSet<String> = row.open_blockers.iter().cloned().collect();
        let added: Vec<String> = wanted.difference(&known).cloned().collect();
        if known.len() + added.len() > MAX_BLOCKERS {
            return Err(Refused::field("blocked_by", format!("more than {MAX_BLOCKERS} blockers")));
        }
        check_blockers(unit, &scope, &id, &added)?;
        edits.extend(added.iter().map(|entry| Edit::add("blocked_by", entry)));
        edits.extend(shown.difference(wanted).map(|entry| Edit::remove("blocked_by", entry)));
    }
    if !edits.is_empty() {
        unit.edit(no, &edits)?.map_err(refuse)?;
    }
    if let Some(seconds) = changes.renew {
        claim::renew(unit, no, &Holds::default(), Some(seconds))?;
    }
    if changes.release && unit.row(no)?.holder.is_some() {
        claim::release(unit, no, &Holds::default(), Cause::Edit, "the claim was taken away by an edit")?;
    }
    if let Some(queue) = changes.queue
        && unit.row(no)?.queue != queue.as_str()
    {
        let keep = kept(unit, no, &queue)?;
        let cause = if keep.is_some() { Cause::Flow } else { Cause::Edit };
        move_to(unit, no, Move { queue, cause, by: changes.by, reason: "the queue was edited".to_owned(), keep })?;
    }
    Ok(snapshot(unit, no)?)
}

/// Returns the claim of the submitted attempt that a step of a flow keeps open: into a flow's state, and back from one to a verdict.
fn kept(unit: &mut Unit<'_>, no: TaskNo, to: &Queue) -> Result<Option<RecordId>, Refused> {
    if !matches!(to, Queue::Custom(_) | Queue::Provisional) {
        return Ok(None);
    }
    let state = unit.state(no)?;
    Ok(match &state.phase {
        Phase::Provisional { attempt, .. } => state.attempts.get(*attempt).map(|attempt| attempt.claim),
        Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
    })
}

/// Takes the blockers that are not waited for, because each closes a circle, out of a task: then the circle is none any more.
///
/// # Errors
/// When nothing is cut at this task.
pub fn open_circle(unit: &mut Unit<'_>, no: TaskNo) -> Result<Snapshot, Refused> {
    let row = unit.row(no)?;
    if row.cut.is_empty() {
        return Err(Refused::step(format!("Cannot open a circle at task '{}'", row.id), "it waits for all of its blockers"));
    }
    let edits: Vec<Edit> = row.cut.iter().map(|blocker| Edit::remove("blocked_by", blocker)).collect();
    unit.edit(no, &edits)?.map_err(refuse)?;
    Ok(snapshot(unit, no)?)
}

/// Refuses steps that would not count before any field is set: a refusal leaves no trace.
fn check_steps(unit: &mut Unit<'_>, no: TaskNo, changes: &Changes) -> Result<(), Refused> {
    let row = unit.row(no)?;
    let (id, from) = (row.id.clone(), row.queue.clone());
    if let Some(holder) = row.holder.as_ref().filter(|_| changes.release) {
        let of = RecordId(holder.record);
        allow(unit, no, &Act::Release { of, cause: Cause::Edit }, &format!("Cannot release task '{id}'"))?;
    }
    let Some(queue) = changes.queue.as_ref().filter(|queue| queue.as_str() != from) else { return Ok(()) };
    let step = Act::Move { queue: queue.clone(), cause: Cause::Edit, keep: None };
    let act = if *queue == Queue::Cancelled { Act::Cancel } else { step };
    allow(unit, no, &act, &format!("Cannot move task '{id}' from '{from}' to '{}'", queue.as_str()))
}
