//! Derives a task's row from its log, its document and its blockers.
//!
//! **Invariants**: deriving twice gives the same row; a change of a blocker reaches its dependents within the same commit.

use octopoid_crdt::ids::{RecordId, Subject};
use octopoid_crdt::lifecycle::{Act, End, Entry, Index, Phase, TaskState};
use octopoid_crdt::peer::settle::contenders;
use octopoid_crdt::record::{Body, Cause, Verified};

use super::documents::Life;
use super::imported::{self, Brought, Imported};
use super::read::StoredLog;
use super::row::{Holder, TaskNo, TaskRow};
use super::unit::{Unit, WriteFault};

/// How long a task waits after its first failed attempt, in milliseconds; doubled by each further one.
const FIRST_RETRY_MS: u64 = 30_000;
/// The longest such wait.
const LONGEST_RETRY_MS: u64 = 30 * 60_000;

impl Unit<'_> {
    /// Derives a task's row anew if records or blockers changed, and tells its dependents.
    pub(super) fn settle(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let mut waiting = vec![no];
        while let Some(no) = waiting.pop() {
            let slot = self.slot(no)?;
            if !slot.stale && !slot.blockers_stale {
                continue;
            }
            self.touch(no);
            let slot = self.slot(no)?;
            let blocked_before = slot.row.blocks;
            if std::mem::take(&mut slot.stale) {
                self.derive(no)?;
                if self.slot(no)?.row.collection.is_none() {
                    self.post_told(no)?;
                }
            }
            if std::mem::take(&mut self.slot(no)?.blockers_stale) {
                self.look_at_blockers(no)?;
            }
            let slot = self.slot(no)?;
            let ready = is_ready(&slot.row);
            let in_conflict = self.is_in_conflict(no)?;
            let slot = self.slot(no)?;
            slot.changed |= slot.row.in_conflict != in_conflict;
            slot.row.in_conflict = in_conflict;
            slot.changed |= slot.row.ready != ready;
            slot.row.ready = ready;
            // Once: tasks that wait for each other would tell each other for ever.
            let new = slot.committed.is_none() && !std::mem::replace(&mut slot.announced, true);
            if new || blocked_before != slot.row.blocks {
                let subject = slot.subject;
                for dependent in self.dependents_of(&subject)? {
                    self.slot(dependent)?;
                    self.touch(dependent);
                    self.slot(dependent)?.blockers_stale = true;
                    waiting.push(dependent);
                }
            }
        }
        Ok(())
    }

    /// Settles every task of the unit.
    pub(super) fn settle_all(&mut self) -> Result<(), WriteFault> {
        let stale: Vec<_> = self.slots.values().filter(|slot| slot.stale || slot.blockers_stale).map(|slot| slot.no).collect();
        stale.into_iter().try_for_each(|no| self.settle(no))
    }

    fn derive(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let state = self.state(no)?;
        let life = self.life(no)?;
        // Lent out while the row is derived, which only reads records besides.
        let log = self.slot(no)?.log.take().ok_or(WriteFault::Store)?;
        let creation_stale = std::mem::take(&mut self.slot(no)?.creation_stale);
        let mut row = std::mem::take(&mut self.slot(no)?.row);
        let brought = if creation_stale && row.collection.is_none() { self.brought(&log, &life) } else { Ok(row.brought.take()) };
        let derived = if row.collection.is_none() { self.derive_holder(&mut row, &state, &log) } else { Ok(()) };
        derive_state(&mut row, &state, &log);
        derive_creation(&mut row, &log, &life);
        derive_times(&mut row, &state, &log);
        row.brought = brought.as_ref().ok().cloned().flatten();
        add_brought(&mut row, &state, &log);
        derive_end(&mut row, &state);
        derive_failures(&mut row, &log, &life);
        let outranked = self.outranked(&row, &state, &log);
        let signs = if row.collection.is_none() { self.signs(&row, &state, &log, &life) } else { Ok(Vec::new()) };
        row.blocks = match &state.phase {
            Phase::Done { .. } => self.state.settings.merge_blocks && row.needs_merge,
            Phase::Cancelled { .. } | Phase::Deleted { .. } => false,
            Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Provisional { .. } => true,
        };
        let slot = self.slot(no)?;
        (slot.row, slot.log) = (row, Some(log));
        slot.changed = true;
        slot.row.signs = signs?;
        slot.outranked = outranked?;
        brought?;
        derived
    }

    /// Reads what the task's creation brought from another system.
    fn brought(&mut self, log: &StoredLog, life: &Life) -> Result<Option<Brought>, WriteFault> {
        let Some(id) = creation(log, life).map(|entry| entry.id) else { return Ok(None) };
        let Some(arrival) = log.arrival(&id) else { return Ok(None) };
        let parse = |body: &Body| {
            let Body::TaskCreate { imported, .. } = body else { return None };
            Some(Imported::parse(imported.as_deref()?)?.into())
        };
        // A creation of this unit is at hand, and most creations are.
        if let Some(at) = self.by_id.get(&id) {
            return Ok(parse(&self.records[*at].record.payload().body));
        }
        Ok(parse(&self.record(arrival, &id)?.payload().body))
    }

    fn derive_holder(&mut self, row: &mut TaskRow, state: &TaskState, log: &StoredLog) -> Result<(), WriteFault> {
        row.attempt = state.current().map(|attempt| attempt.name.to_string());
        row.worker = state.current().map(|attempt| attempt.agent.clone());
        row.resume = match &state.phase {
            Phase::Waiting { resume: Some(place) } => state.attempts.get(*place).map(|attempt| attempt.claim.0),
            Phase::Waiting { resume: None } | Phase::Claimed { .. } | Phase::Provisional { .. } => None,
            Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
        };
        let (holds, review) = match &state.phase {
            Phase::Claimed { attempt } => (state.attempts.get(*attempt).map(|attempt| attempt.claim), false),
            Phase::Provisional { review, .. } => (review.as_ref().map(|holder| holder.review), true),
            Phase::Waiting { .. } | Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => (None, false),
        };
        if holds.map(|id| id.0) == row.holder.as_ref().map(|holder| holder.record) {
            return Ok(());
        }
        row.holder = match holds {
            Some(id) => match log.arrival(&id) {
                Some(arrival) => holder(&self.record(arrival, &id)?, review),
                None => None,
            },
            None => None,
        };
        Ok(())
    }

    /// Lists the open claims and reviews that do not hold the task, so that their silence is timed from now on and not only from
    /// when they come to hold it.
    fn outranked(&mut self, row: &TaskRow, state: &TaskState, log: &StoredLog) -> Result<Vec<(RecordId, u32)>, WriteFault> {
        let Some(holds) = row.holder.as_ref().map(|holder| holder.record) else { return Ok(Vec::new()) };
        let open = contenders(&log.log, state).into_iter().filter(|known| !known.started).map(|known| known.contender.id);
        let mut outranked = Vec::new();
        for id in open.filter(|id| id.0 != holds) {
            let Some(arrival) = log.arrival(&id) else { continue };
            outranked.extend(holder(&self.record(arrival, &id)?, false).map(|holder| (id, holder.ttl_seconds)));
        }
        Ok(outranked)
    }

    fn look_at_blockers(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let (scope, blocked_by) = {
            let row = &self.slot(no)?.row;
            let waits_for = row.blocked_by.iter().filter(|blocker| !row.cut.contains(blocker));
            (row.scope.clone(), waits_for.cloned().collect::<Vec<_>>())
        };
        let mut open = Vec::new();
        for blocker in blocked_by {
            // A blocker that no record has made yet still blocks: its records may be on their way.
            let blocks = match self.find(&scope, &blocker)? {
                Some(other) if other == no => false,
                Some(other) => self.slot(other)?.row.blocks,
                None => true,
            };
            if blocks {
                open.push(blocker);
            }
        }
        let slot = self.slot(no)?;
        if slot.row.open_blockers != open {
            slot.row.open_blockers = open;
            slot.changed = true;
        }
        Ok(())
    }

    /// Returns what was said when an attempt at a task was last sent back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last_reason(&mut self, no: TaskNo) -> Result<Option<String>, WriteFault> {
        let sent_back = |act: &Act| matches!(act, Act::Reject { .. } | Act::Move { cause: Cause::AttemptFailed | Cause::BurnOut, .. });
        let stored = self.log(no)?;
        let last = stored.log.entries().iter().zip(&stored.arrivals).rev().find(|(entry, _)| entry.counts() && sent_back(&entry.act));
        let Some((id, arrival)) = last.map(|(entry, arrival)| (entry.id, *arrival)) else { return Ok(None) };
        let record = self.record(arrival, &id)?;
        let (Body::Reject { reason, .. } | Body::Move { reason, .. }) = &record.payload().body else { return Ok(None) };
        Ok(Some(reason.clone()))
    }

    /// Returns the task that a record of it speaks of.
    ///
    /// # Errors
    /// When the store fails.
    pub fn task_of(&mut self, id: &RecordId) -> Result<Option<TaskNo>, WriteFault> {
        let arrival = match self.by_id.get(id) {
            Some(at) => self.records[*at].arrival,
            None => {
                let arrival = self.reader.arrival(id);
                let Some(arrival) = self.note(arrival)? else { return Ok(None) };
                arrival
            }
        };
        let subject: Subject = self.record(arrival, id)?.payload().subject;
        self.find_subject(&subject)
    }
}

/// Tells whether a scheduler may claim the task or its review.
fn is_ready(row: &TaskRow) -> bool {
    row.listed
        && match row.queue.as_str() {
            "provisional" => row.holder.is_none() && row.rests_on.is_some(),
            "claimed" | "done" | "cancelled" | "failed" | "blocked" | "backlog" => false,
            // In a flow's state that keeps an attempt open, work is judged and none begins.
            _ if row.attempt.is_some() => row.holder.is_none() && row.rests_on.is_some(),
            // A task that was broken down is finished when its subtasks are.
            _ => row.open_blockers.is_empty() && !row.is_broken_down(),
        }
}

/// Tells whether a task waits before its next attempt. A time further away than the longest wait was written under another clock
/// than ours, and is no reason to wait.
#[must_use]
pub fn waits_to_retry(retry_ms: Option<u64>, now_ms: u64) -> bool {
    retry_ms.is_some_and(|retry| retry > now_ms && retry - now_ms <= LONGEST_RETRY_MS)
}

/// Returns how long to wait after so many failed attempts, in milliseconds.
#[must_use]
pub fn retry_wait_ms(failures: u32) -> u64 {
    FIRST_RETRY_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY_MS)
}

fn holder(record: &Verified, review: bool) -> Option<Holder> {
    let payload = record.payload();
    let (Body::Claim { agent, orchestrator, ttl_seconds, .. } | Body::Review { agent, orchestrator, ttl_seconds, .. }) = &payload.body
    else {
        return None;
    };
    Some(Holder {
        record: record.id().0,
        node: payload.author.0,
        agent: agent.clone(),
        orchestrator: orchestrator.clone(),
        since_ms: payload.wall_ms,
        ttl_seconds: *ttl_seconds,
        review,
    })
}

fn derive_state(row: &mut TaskRow, state: &TaskState, log: &StoredLog) {
    row.listed = state.created && !state.deleted;
    row.queue = state.queue.as_str().to_owned();
    row.epoch = state.epoch;
    row.contested = state.contested;
    row.rests_on = state.rests_on.map(|id| id.0);
    row.attempt_count = state.attempt_count;
    row.rejection_count = state.rejection_count;
    row.version = log.log.entries().len() as u64;
    row.heads = heads_hash(log);
}

/// Finds the creation that the task goes back to. Of concurrent ones the lowest id decides, so that every node shows the same.
fn creation<'l>(log: &'l StoredLog, life: &Life) -> Option<&'l Entry> {
    let effective = |index: Index, entry: &Entry| matches!(entry.act, Act::Create) && entry.counts() && life.holds(index, entry);
    let creates = (0..).zip(log.log.entries()).filter(|(index, entry)| effective(*index, entry));
    creates.map(|(_, entry)| entry).min_by_key(|entry| entry.id)
}

/// Finds out who created the task, and when.
fn derive_creation(row: &mut TaskRow, log: &StoredLog, life: &Life) {
    let first = creation(log, life);
    row.created_ms = first.and_then(|entry| log.wall_ms(&entry.id)).unwrap_or(0);
    row.creator = first.map(|entry| entry.author.0);
}

fn derive_times(row: &mut TaskRow, state: &TaskState, log: &StoredLog) {
    row.submitted_ms = state.current().and_then(|attempt| log.wall_ms(&attempt.submit.as_ref()?.id));
    row.completed_ms = match &state.phase {
        Phase::Done { by: End::Accept { id, .. } | End::Finish { id }, .. } => log.wall_ms(id),
        Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Provisional { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
    };
}

/// Adds to the row what the task brought from another system: counters go on from there, and times stand until something happens here.
fn add_brought(row: &mut TaskRow, state: &TaskState, log: &StoredLog) {
    let Some(brought) = &row.brought else { return };
    row.created_ms = brought.created_ms.unwrap_or(row.created_ms);
    row.attempt_count = row.attempt_count.saturating_add(brought.attempt_count);
    row.rejection_count = row.rejection_count.saturating_add(brought.rejection_count);
    if state.attempts.is_empty() {
        row.submitted_ms = row.submitted_ms.or(brought.submitted_ms);
    }
    row.updated_ms = log.walls.iter().copied().max().unwrap_or(row.updated_ms);
    if imported::is_untouched(log) {
        row.updated_ms = brought.updated_ms.unwrap_or(row.updated_ms);
        row.completed_ms = match &state.phase {
            Phase::Done { .. } | Phase::Cancelled { .. } => brought.completed_ms.or(row.completed_ms),
            Phase::Waiting { .. } | Phase::Claimed { .. } | Phase::Provisional { .. } | Phase::Deleted { .. } => row.completed_ms,
        };
    }
}

/// Counts what went wrong since a person last put the task back (a step of its flow is none), and when the next attempt may start.
fn derive_failures(row: &mut TaskRow, log: &StoredLog, life: &Life) {
    let entries = log.log.entries();
    let counted: Vec<_> = (0u32..).zip(entries).filter(|(index, entry)| entry.counts() && life.holds(*index, entry)).collect();
    let resets = |entry: &&(u32, &Entry)| matches!(&entry.1.act, Act::Move { cause, .. } if !matches!(cause, Cause::AttemptFailed | Cause::BurnOut | Cause::MergeConflict | Cause::Flow));
    let resets: Vec<&Entry> = counted.iter().filter(resets).map(|(_, entry)| *entry).collect();
    let since = |index: u32| !resets.iter().any(|reset| reset.past.contains(index));
    let of = |cause: Cause| {
        let is = move |act: &Act| matches!(act, Act::Move { cause: found, .. } if *found == cause);
        counted.iter().filter(|(index, entry)| is(&entry.act) && since(*index)).map(|(_, entry)| entry.id).collect::<Vec<_>>()
    };
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let failed = of(Cause::AttemptFailed);
    row.failures = number(failed.len());
    row.continuations = number(of(Cause::BurnOut).len());
    row.rejections = number(counted.iter().filter(|(index, entry)| matches!(entry.act, Act::Reject { .. }) && since(*index)).count());
    let last = failed.iter().filter_map(|id| log.wall_ms(id)).max();
    row.retry_ms = last.map(|last| last.saturating_add(retry_wait_ms(row.failures)));
}

fn derive_end(row: &mut TaskRow, state: &TaskState) {
    (row.accept, row.merged_commit, row.needs_merge) = (None, None, false);
    let Phase::Done { by: End::Accept { id, .. }, merged, needs_merge } = &state.phase else { return };
    row.accept = Some(id.0);
    row.merged_commit = merged.as_ref().and_then(|merge| merge.commit.as_ref()).map(ToString::to_string);
    row.needs_merge = *needs_merge;
}

/// Hashes a log's heads for ETags.
fn heads_hash(log: &StoredLog) -> [u8; 4] {
    let mut heads: Vec<_> = log.log.heads().iter().filter_map(|index| Some(log.log.at(*index)?.id)).collect();
    heads.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for head in heads {
        hasher.update(head.as_bytes());
    }
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}
