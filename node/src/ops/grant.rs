//! What the authority does about claims and reviews as it takes them in: it grants the first claim, and keeps the first review.
//!
//! The order is that of the authority's log, which a restart does not change. A claim that waits for a grant opens no attempt;
//! a review counts without one, so the authority ends a later review that would outrank the first.
//!
//! **Invariants**: a grant is in the commit that takes its claim in, so it is on disk before anybody hears of it; who is not
//! the authority writes nothing here.

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::peer::settle::{Stake, contender, contenders};
use octopoid_crdt::record::Body;

use crate::store::{TaskNo, Unit, WriteFault};

/// Why the authority ends a review.
const LATER: &str = "another review was there first";

/// Tells whether this node is the authority.
///
/// # Errors
/// When the store fails.
pub fn is_authority(unit: &mut Unit<'_>) -> Result<bool, WriteFault> {
    let me = unit.me();
    Ok(unit.membership()?.authority() == Some(&me))
}

/// Grants a claim, if this node is the authority and the task waits for one. Tells whether it did.
///
/// # Errors
/// When the store fails.
pub fn grant(unit: &mut Unit<'_>, no: TaskNo, claim: RecordId) -> Result<bool, WriteFault> {
    if !is_authority(unit)? {
        return Ok(false);
    }
    let epoch = unit.state(no)?.epoch.saturating_add(1);
    let legal = unit.would_count(no, &Act::Grant { claim, epoch })?.is_ok();
    if legal {
        unit.write(no, Body::Grant { claim, epoch })?;
    }
    Ok(legal)
}

/// Decides about a claim or review that has just been taken in; does nothing about any other record, or on another node.
///
/// # Errors
/// When the store fails.
pub fn decide(unit: &mut Unit<'_>, body: &Body, of: RecordId) -> Result<(), WriteFault> {
    if !matches!(body, Body::Claim { .. } | Body::Review { .. }) || !is_authority(unit)? {
        return Ok(());
    }
    let Some(no) = unit.task_of(&of)? else { return Ok(()) };
    if matches!(body, Body::Claim { .. }) {
        return grant(unit, no, of).map(drop);
    }
    let held = unit.row(no)?.holder.as_ref().is_some_and(|holder| holder.record == of.0);
    if held && !earlier_reviews(unit, no, &of)?.is_empty() && unit.would_count(no, &Act::Expire { of })?.is_ok() {
        unit.write(no, Body::Expire { of, reason: LATER.to_owned() })?;
    }
    Ok(())
}

/// Returns the open reviews of the same work that this node took in before one.
///
/// # Errors
/// When the store fails.
pub fn earlier_reviews(unit: &mut Unit<'_>, no: TaskNo, of: &RecordId) -> Result<Vec<RecordId>, WriteFault> {
    let state = unit.state(no)?;
    let log = &unit.log(no)?.log;
    let Some(Stake::Review { on }) = contender(log, of).map(|contender| contender.stake) else { return Ok(Vec::new()) };
    let place = log.position(of);
    let same = contenders(log, &state).into_iter().map(|known| known.contender).filter(|other| other.stake == Stake::Review { on });
    Ok(same.map(|other| other.id).filter(|id| log.position(id) < place).collect())
}
