//! Takes records of a member in: checks signatures on several threads, applies in small commits, answers its claims.
//!
//! **Invariants**: what is reported as held is on disk; a frame's records share no commit that keeps others waiting long.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use octopoid_crdt::chain::ApplyError;
use octopoid_crdt::document::Reason;
use octopoid_crdt::ids::{AuthorKey, ClusterId, RecordId};
use octopoid_crdt::peer::sync::Taken;
use octopoid_crdt::peer::{ClaimAnswer, Rival, limits};
use octopoid_crdt::record::{Body, Verified};

use super::contenders::contenders;
use super::shared::Shared;
use crate::ops::grant::{decide, earlier_reviews, is_authority};
use crate::ops::overrule;
use crate::ops::put_off::put_off;
use crate::store::{Fault, Incoming, ReceiveError, Received, TaskNo, Unavailable, Unit, WriteFault};

/// How many signatures one thread checks at a time: a few milliseconds.
const CHECKED_TOGETHER: usize = 64;
/// How many records share a commit: requests of people go between.
const COMMITTED_TOGETHER: usize = 128;

/// Records to take in.
#[derive(Debug)]
pub(super) enum Batch {
    /// As they came: to be checked first.
    Wires(Vec<Vec<u8>>),
    /// Checked before; they had to wait.
    Checked(Vec<Verified>),
}

/// States why records were not taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Write(#[from] WriteFault),
    #[error("the store failed")]
    Read(#[from] Fault),
}

/// What a commit of some of the records did.
#[derive(Debug, Default)]
struct Applied {
    held: Vec<RecordId>,
    waiting: Vec<(Verified, Vec<RecordId>)>,
    refused: usize,
    /// Authors of changes that the gate keeps out of their documents.
    left_out: Vec<(AuthorKey, Reason)>,
    /// The peer's own claims and reviews.
    claims: Vec<Asked>,
}

/// A claim or review that its author waits to hear of.
#[derive(Debug)]
struct Asked {
    of: RecordId,
    no: Option<TaskNo>,
    /// At the authority: the reviews that were there before it.
    first: Option<Vec<RecordId>>,
}

/// Takes a batch in and says what came of it, once it is on disk.
pub(super) async fn take_in(shared: &Arc<Shared>, peer: AuthorKey, batch: Batch) -> Result<Taken, IntakeError> {
    let (records, forged) = match batch {
        Batch::Wires(wires) => check(shared.cluster, wires).await,
        Batch::Checked(records) => (records.into_iter().map(Incoming::from).collect(), 0),
    };
    let mut taken = Taken { forged, ..Taken::default() };
    let mut claims = Vec::new();
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        let some: Vec<Incoming> = records.by_ref().take(COMMITTED_TOGETHER).collect();
        let caught_up = shared.caught_up.clone();
        let write = move |unit: &mut Unit<'_>| {
            // Before a node has looked for its own records of before, it might grant anew what it granted already. Asked within the
            // writer, where the flag is set: what came before was put off, and what comes after is judged as it comes.
            let writes = caught_up.load(Ordering::SeqCst);
            apply(unit, peer, writes, some)
        };
        let applied = shared.store.writer().write(write).await??;
        taken.held.extend(applied.held);
        taken.waiting.extend(applied.waiting);
        taken.forged += applied.refused;
        claims.extend(applied.claims);
        for (author, reason) in applied.left_out {
            shared.strike(author, &format!("it wrote a change that its document leaves out: {reason}"));
        }
    }
    for asked in claims {
        taken.answers.push(answer(shared, asked)?);
    }
    Ok(taken)
}

/// Checks signatures, and documents where that needs nothing of the store; returns the good records in their order, and how
/// many are none.
async fn check(cluster: ClusterId, wires: Vec<Vec<u8>>) -> (Vec<Incoming>, usize) {
    let all = wires.len();
    let mut parts = Vec::new();
    let mut wires = wires.into_iter().peekable();
    while wires.peek().is_some() {
        let part: Vec<Vec<u8>> = wires.by_ref().take(CHECKED_TOGETHER).collect();
        let check = move || part.iter().filter_map(|wire| Verified::check(cluster, wire).ok().map(Incoming::prepare)).collect::<Vec<_>>();
        parts.push(tokio::task::spawn_blocking(check));
    }
    let mut records = Vec::with_capacity(all);
    for part in parts {
        // A panic in a check would be a defect in it: what it looked at counts as no record.
        records.extend(part.await.unwrap_or_default());
    }
    let forged = all - records.len();
    (records, forged)
}

/// Applies records; `writes` tells whether this node writes its own already.
fn apply(unit: &mut Unit<'_>, peer: AuthorKey, writes: bool, records: Vec<Incoming>) -> Result<Applied, WriteFault> {
    let mut applied = Applied::default();
    for incoming in records {
        let record = incoming.record().clone();
        let id = record.id();
        let before = if writes { overrule::before(unit, &record)? } else { None };
        match unit.receive(incoming)? {
            Ok(received) => {
                applied.held.push(id);
                let payload = record.payload();
                if writes && received != Received::Known {
                    decide(unit, &payload.body, id)?;
                    if let Some(before) = &before {
                        overrule::settle(unit, &record, before)?;
                    }
                } else if received != Received::Known {
                    put_off(unit, &record)?;
                }
                if let Received::LeftOut(reason) = received {
                    applied.left_out.push((payload.author, reason));
                }
                if payload.author == peer && matches!(payload.body, Body::Claim { .. } | Body::Review { .. }) {
                    let no = unit.task_of(&id)?;
                    let first = match no {
                        Some(no) if is_authority(unit)? => Some(earlier_reviews(unit, no, &id)?),
                        Some(_) | None => None,
                    };
                    applied.claims.push(Asked { of: id, no, first });
                }
            }
            Err(ReceiveError::Chain(ApplyError::Missing { ids })) => applied.waiting.push((record, ids)),
            Err(ReceiveError::Cluster | ReceiveError::Chain(ApplyError::Author | ApplyError::Place)) => applied.refused += 1,
        }
    }
    Ok(applied)
}

/// Answers a claim or review of the peer: what competes with it here, also what was handed in meanwhile. The authority names the
/// reviews that were there before.
fn answer(shared: &Shared, asked: Asked) -> Result<ClaimAnswer, Fault> {
    let Asked { of: claim, no, first } = asked;
    let nothing = ClaimAnswer { of: claim, rivals: Vec::new() };
    let Some(no) = no else { return Ok(nothing) };
    if let Some(first) = first {
        let open = contenders(&shared.store, no)?;
        let rival = |id: &RecordId| open.iter().find(|known| known.contender.id == *id).map(|known| known.contender);
        let known = first.iter().filter_map(rival).take(limits::RIVALS);
        let mut rivals: Vec<Rival> = known.map(|of| Rival { id: of.id, author: of.author, epoch: 0, started: true }).collect();
        rivals.sort_unstable();
        return Ok(ClaimAnswer { rivals, ..nothing });
    }
    let open = contenders(&shared.store, no)?;
    match open.iter().map(|known| known.contender).find(|contender| contender.id == claim) {
        Some(asked) => Ok(shared.settling.answer(&asked, open)),
        None => Ok(nothing),
    }
}
