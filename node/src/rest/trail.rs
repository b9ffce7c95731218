//! What happened to a task, told from its records: history and attempts.
//!
//! **Invariants**: nothing here is stored beside the records, so no history can differ from the state.

use axum::Json;
use axum::extract::State;
use octopoid_client::{AttemptInfo, Attempts, ErrorBody, History, HistoryEvent};
use octopoid_crdt::ids::{AttemptName, AuthorKey, Oid, RecordId};
use octopoid_crdt::lifecycle::{Act, Attempt, AttemptStatus, Entry, Removals, TaskState};
use octopoid_crdt::record::{Body, Cause, Payload, Queue};

use super::app::App;
use super::find::find;
use super::input::{Call, Segments};
use super::refusal::Refusal;
use super::times::rfc3339;
use crate::run::Usage;
use crate::store::imported::{Imported, PastEvent};
use crate::store::posts::{ACCEPTED, CREATED_THERE, SUBTASKS_DONE};
use crate::store::{Fault, Reader, StoredLog, TaskNo, TaskRow};

/// A task's log with the records that it is of.
pub(super) struct Trail {
    pub row: TaskRow,
    pub state: TaskState,
    entries: Vec<(Entry, Payload)>,
}

impl Trail {
    /// Returns who made the review of a name.
    pub(super) fn reviewer(&self, name: &AttemptName) -> Option<AuthorKey> {
        let named = |entry: &Entry| matches!(entry.act, Act::Review { .. }) && entry.id.0.starts_with(&name.claim);
        self.entries.iter().map(|(entry, _)| entry).find(|entry| named(entry)).map(|entry| entry.author)
    }

    /// Reads a task's records.
    pub(super) fn read(reader: &Reader, masks: &Removals, no: TaskNo, row: TaskRow) -> Result<Self, Fault> {
        let StoredLog { log, arrivals, .. } = reader.log(no)?;
        let state = log.resolve(masks);
        let mut entries = Vec::with_capacity(arrivals.len());
        for (entry, arrival) in log.entries().iter().zip(arrivals) {
            let record = reader.record(arrival)?.ok_or_else(|| Fault::Missing(entry.id.to_string()))?;
            entries.push((entry.clone(), record.payload().clone()));
        }
        Ok(Self { row, state, entries })
    }

    pub(super) fn payload(&self, id: &RecordId) -> Option<&Payload> {
        self.entries.iter().find(|(entry, _)| entry.id == *id).map(|(_, payload)| payload)
    }

    /// Returns the commit that an attempt's claim says it starts from.
    pub(super) fn base_of(&self, attempt: &Attempt) -> Option<Oid> {
        if let Body::Claim { base, .. } = &self.payload(&attempt.claim)?.body { base.clone() } else { None }
    }

    fn wall(&self, id: &RecordId) -> Option<String> {
        self.payload(id).map(|payload| rfc3339(payload.wall_ms))
    }

    /// Returns what the task's creation brought from another system; of concurrent creations that of the lowest id.
    pub(super) fn imported(&self) -> Option<Imported> {
        let creates = || (0u32..).zip(&self.entries).filter(|(_, (entry, _))| matches!(entry.act, Act::Create) && entry.counts());
        let is_last = |index: u32| !creates().any(|(_, (later, _))| later.past.contains(index));
        let last = creates().filter(|(index, _)| is_last(*index)).map(|(_, created)| created).min_by_key(|(entry, _)| entry.id)?;
        let Body::TaskCreate { imported, .. } = &last.1.body else { return None };
        Imported::parse(imported.as_deref()?)
    }

    fn history(&self, app: &App, reader: &Reader) -> Result<Vec<HistoryEvent>, Fault> {
        let imported = self.imported();
        let mut events = self.written(app, imported.as_ref());
        events.extend(self.blocked(reader)?);
        events.extend(self.superseded());
        Ok(in_order(events))
    }

    /// Tells what an export takes along: what happened before an earlier import too, but neither that import, nor what follows from
    /// other tasks, which come along themselves.
    pub(super) fn portable(&self, app: &App, imported: Option<&Imported>) -> Vec<HistoryEvent> {
        let mut events = self.written(app, imported);
        events.retain(|(_, event)| event.event != IMPORTED);
        events.extend(self.superseded());
        in_order(events)
    }

    /// Tells what the records say, and what they brought.
    fn written(&self, app: &App, imported: Option<&Imported>) -> Vec<(u64, HistoryEvent)> {
        let past = imported.into_iter().flat_map(|imported| &imported.history).map(past_event);
        let mut epoch = 0;
        let told = self.entries.iter().filter_map(|(entry, payload)| {
            if let (Some(imported), Body::TaskCreate { .. }) = (imported, &payload.body) {
                let details = Some(format!("from {}", imported.source));
                return Some((payload.wall_ms, event_of(app, entry, payload, (IMPORTED, None, details))));
            }
            if imported.is_some() && is_first_place(&payload.body) {
                return None;
            }
            let (event, agent, mut details) = if entry.counts() { tell(&payload.body)? } else { void(entry, &payload.body)? };
            match (&payload.body, entry.counts()) {
                (Body::Claim { epoch: claimed, .. }, true) => epoch = epoch.max(*claimed),
                // The name under which its log is kept.
                (Body::Review { .. }, true) => details = Some(format!("review {}", AttemptName::new(epoch, &entry.id))),
                _ => {}
            }
            Some((payload.wall_ms, event_of(app, entry, payload, (event, agent, details))))
        });
        past.chain(told).collect()
    }

    /// Tells that the task had to wait for others, and when the last of them ended: no record says so.
    fn blocked(&self, reader: &Reader) -> Result<Vec<(u64, HistoryEvent)>, Fault> {
        if self.row.blocked_by.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.row.blocked_by.join(", ");
        let event = |at: u64, event: &str, details: String| {
            (at, HistoryEvent { event: event.to_owned(), details: Some(details), timestamp: rfc3339(at), ..HistoryEvent::default() })
        };
        let mut events = vec![event(self.row.created_ms, "blocked", format!("by {names}"))];
        if self.row.open_blockers.is_empty() {
            let mut last = self.row.created_ms;
            for id in &self.row.blocked_by {
                let blocker = reader.task_no(&self.row.scope, id)?.map(|no| reader.row(no)).transpose()?.flatten();
                last = blocker.map_or(last, |row| last.max(row.completed_ms.unwrap_or(row.updated_ms)));
            }
            events.push(event(last, "unblocked", format!("{names} ended")));
        }
        Ok(events)
    }

    /// Tells of attempts that lost without a record that says so.
    fn superseded(&self) -> Vec<(u64, HistoryEvent)> {
        let lost =
            self.state.attempts.iter().filter(|attempt| matches!(attempt.status, AttemptStatus::Superseded | AttemptStatus::Contested));
        let tell = |attempt: &Attempt| {
            let at = self.payload(&attempt.claim).map_or(self.row.updated_ms, |payload| payload.wall_ms);
            let event = if attempt.status == AttemptStatus::Contested { "conflict" } else { "superseded" };
            let details = Some(format!("attempt {} lost; its branch is kept", attempt.name));
            let agent = Some(attempt.agent.clone());
            (at, HistoryEvent { event: event.to_owned(), agent, details, timestamp: rfc3339(at), ..HistoryEvent::default() })
        };
        lost.map(tell).collect()
    }

    fn attempts(&self, app: &App) -> Vec<AttemptInfo> {
        self.state.attempts.iter().map(|attempt| self.attempt(app, attempt)).collect()
    }

    pub(super) fn attempt(&self, app: &App, attempt: &Attempt) -> AttemptInfo {
        let current = self.row.attempt.as_deref() == Some(attempt.name.to_string().as_str());
        let claim = self.payload(&attempt.claim);
        let (orchestrator, base) = match claim.map(|payload| &payload.body) {
            Some(Body::Claim { orchestrator, base, .. }) => (Some(orchestrator.clone()), base.clone()),
            Some(_) | None => (None, None),
        };
        let submit = attempt.submit.as_ref();
        let notes = match submit.and_then(|submit| self.payload(&submit.id)).map(|payload| &payload.body) {
            Some(Body::Submit { notes, .. }) => Some(notes.clone()).filter(|notes| !notes.is_empty()),
            Some(_) | None => None,
        };
        let end = self.end(attempt);
        let failed = matches!(end.map(|payload| &payload.body), Some(Body::Move { cause: Cause::AttemptFailed, .. }));
        // The document holds what the last submit counted.
        let usage = Usage::read(&app.attempt_logs(&self.row, &attempt.name)).unwrap_or_default();
        let counted = |field: &str| self.row.number(field).filter(|_| current && submit.is_some()).and_then(|n| u64::try_from(n).ok());
        AttemptInfo {
            attempt: attempt.name.to_string(),
            epoch: attempt.name.epoch,
            state: if failed { AttemptInfo::FAILED } else { state_name(attempt.status) }.to_owned(),
            current,
            agent: Some(attempt.agent.clone()),
            orchestrator_id: orchestrator,
            node: Some(app.node_name(&attempt.claimant)),
            claimed_at: self.wall(&attempt.claim).unwrap_or_default(),
            submitted_at: submit.and_then(|submit| self.wall(&submit.id)),
            ended_at: end.map(|payload| rfc3339(payload.wall_ms)),
            branch: Some(branch(&self.row, attempt)),
            base: submit.and_then(|submit| submit.base.clone()).or(base).map(|oid| oid.to_string()),
            head: submit.and_then(|submit| submit.head.clone()).map(|oid| oid.to_string()),
            commits_count: counted("commits_count"),
            turns_used: counted("turns_used").or(usage.turns.map(u64::from)),
            cost_usd: usage.cost_usd,
            reason: end.and_then(|payload| reason_of(&payload.body)).filter(|reason| !reason.is_empty()).map(str::to_owned),
            notes,
        }
    }

    /// Returns the record that ended an attempt.
    fn end(&self, attempt: &Attempt) -> Option<&Payload> {
        let names_it = |id: &RecordId| *id == attempt.claim || attempt.submit.as_ref().is_some_and(|submit| submit.id == *id);
        let ends = |(entry, payload): &&(Entry, Payload)| {
            entry.counts()
                && match (&payload.body, attempt.status) {
                    (Body::Release { of, .. }, AttemptStatus::Released) | (Body::Expire { of, .. }, AttemptStatus::Expired) => names_it(of),
                    (Body::Reject { .. }, AttemptStatus::Rejected) => attempt.rejected_by == Some(entry.id),
                    (Body::Accept { on, .. }, AttemptStatus::Accepted | AttemptStatus::Merged | AttemptStatus::Contested) => {
                        names_it(on) || (attempt.status != AttemptStatus::Contested && self.row.accept == Some(entry.id.0))
                    }
                    (Body::Move { .. } | Body::Delete { .. }, AttemptStatus::MovedAway) => {
                        let started = self.entries.iter().position(|(known, _)| known.id == attempt.claim);
                        started.and_then(|at| u32::try_from(at).ok()).is_some_and(|at| entry.past.contains(at))
                    }
                    _ => false,
                }
        };
        self.entries.iter().find(ends).map(|(_, payload)| payload)
    }
}

/// What the creation of a task is called that came from another system.
const IMPORTED: &str = "imported";

fn event_of(app: &App, entry: &Entry, payload: &Payload, (event, agent, details): Told) -> HistoryEvent {
    HistoryEvent {
        event: event.to_owned(),
        agent,
        details,
        timestamp: rfc3339(payload.wall_ms),
        node: Some(app.node_name(&payload.author)),
        record_id: Some(entry.id.to_string()),
    }
}

/// Shows what happened in another system.
fn past_event(past: &PastEvent) -> (u64, HistoryEvent) {
    let event = HistoryEvent {
        event: past.event.clone(),
        agent: past.agent.clone(),
        details: past.details.clone(),
        timestamp: rfc3339(past.at_ms),
        node: past.node.clone(),
        record_id: None,
    };
    (past.at_ms, event)
}

/// Puts events in order; records stay in causal order when their times are equal.
fn in_order(mut events: Vec<(u64, HistoryEvent)>) -> Vec<HistoryEvent> {
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Tells whether a record puts a new task into its first queue.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other kind does")]
fn is_first_place(body: &Body) -> bool {
    match body {
        Body::Finish { reason, .. } | Body::Cancel { reason, .. } | Body::Move { reason, .. } => reason == CREATED_THERE,
        _ => false,
    }
}

/// Returns the branch of an attempt.
pub(super) fn branch(row: &TaskRow, attempt: &Attempt) -> String {
    format!("octopoid/{}/{}", row.id, attempt.name)
}

const fn state_name(status: AttemptStatus) -> &'static str {
    match status {
        AttemptStatus::Ungranted => "ungranted",
        AttemptStatus::Running => "claimed",
        AttemptStatus::Submitted => "submitted",
        AttemptStatus::Superseded | AttemptStatus::Contested => "superseded",
        AttemptStatus::Released => "released",
        AttemptStatus::Expired => "expired",
        AttemptStatus::Rejected => "rejected",
        AttemptStatus::MovedAway | AttemptStatus::Withdrawn => "moved",
        AttemptStatus::Accepted | AttemptStatus::Merged => "accepted",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind gives no reason")]
fn reason_of(body: &Body) -> Option<&str> {
    match body {
        Body::Release { reason, .. }
        | Body::Expire { reason, .. }
        | Body::Accept { reason, .. }
        | Body::Reject { reason, .. }
        | Body::Finish { reason, .. }
        | Body::Move { reason, .. }
        | Body::Cancel { reason, .. }
        | Body::Delete { reason, .. } => Some(reason),
        _ => None,
    }
}

/// An event's name, who did it, and more about it.
type Told = (&'static str, Option<String>, Option<String>);

/// Tells what a record that counts did; nothing of an edit, which changes no state.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is no step of a task's life")]
fn tell(body: &Body) -> Option<Told> {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let with = |what: &str, reason: &str| Some(if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") });
    Some(match body {
        Body::TaskCreate { .. } => ("created", None, None),
        Body::Claim { agent, epoch, .. } => ("claimed", Some(agent.clone()), Some(format!("epoch {epoch}"))),
        Body::Review { agent, .. } => ("review_claimed", Some(agent.clone()), None),
        Body::Submit { notes, .. } => ("submitted", None, said(notes)),
        Body::Accept { by, reason, .. } => ("accepted", Some(by.clone()), said(reason)),
        Body::Reject { by, reason, .. } => ("rejected", Some(by.clone()), said(reason)),
        Body::Release { cause: Cause::Superseded, reason, .. } => ("superseded", None, said(reason)),
        Body::Release { reason, .. } => ("requeued", None, with("released", reason)),
        Body::Expire { reason, .. } => ("lease_expired", None, said(reason)),
        Body::Finish { by, reason } if reason == SUBTASKS_DONE || reason.starts_with(ACCEPTED) => {
            ("accepted", Some(by.clone()), said(reason))
        }
        Body::Finish { by, reason } => ("force_queue", Some(by.clone()), with("to done", reason)),
        Body::Move { reason, .. } if reason == CREATED_THERE => return None,
        Body::Move { queue, cause, by, reason, .. } => {
            (moved(queue, *cause), Some(by.clone()), with(&format!("to {}", queue.as_str()), reason))
        }
        Body::Cancel { by, reason } => ("archived", Some(by.clone()), with("cancelled", reason)),
        Body::Delete { by, reason } => ("archived", Some(by.clone()), with("deleted", reason)),
        Body::Merged { commit, .. } => {
            let details = commit.as_ref().map_or_else(|| "nothing to merge".to_owned(), |commit| format!("merged as {commit}"));
            ("archived", None, Some(details))
        }
        _ => return None,
    })
}

const fn moved(queue: &Queue, cause: Cause) -> &'static str {
    match (cause, queue) {
        (Cause::ForceQueue, _) => "force_queue",
        (Cause::BurnOut, _) => "burnout_detected",
        (_, Queue::Blocked) => "blocked",
        _ => "requeued",
    }
}

/// Tells of a record that does not count; what changes no state is not told.
fn void(entry: &Entry, body: &Body) -> Option<Told> {
    let octopoid_crdt::lifecycle::Verdict::Void(refusal) = entry.verdict else { return None };
    tell(body).map(|(event, agent, _)| ("conflict", agent, Some(format!("{event} does not count: {refusal}"))))
}

impl App {
    /// Reads the records of the task that a path names.
    pub(super) async fn trail<T: Send + 'static>(
        &self,
        segments: &Segments,
        call: &Call,
        tell: impl FnOnce(&Self, &Reader, &Trail) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let target = call.caller.target(self, call.scope.as_deref(), segments.get("id"))?;
        self.read(move |app, reader| {
            let (no, row) = find(reader, &target)?;
            tell(app, reader, &Trail::read(reader, &app.settings.store.masks(), no, row)?)
        })
        .await
    }
}

/// Shows what happened to a task, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/history", tag = "tasks", params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = History), (status = 404, body = ErrorBody)))]
pub(super) async fn history(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<History>, Refusal> {
    let history = app.trail(&segments, &call, |app, reader, trail| Ok(trail.history(app, reader)?)).await?;
    Ok(Json(History { history }))
}

/// Shows every try at a task, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/attempts", tag = "tasks", params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Attempts), (status = 404, body = ErrorBody)))]
pub(super) async fn attempts(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Attempts>, Refusal> {
    let attempts = app.trail(&segments, &call, |app, _, trail| Ok(trail.attempts(app))).await?;
    Ok(Json(Attempts { attempts }))
}
