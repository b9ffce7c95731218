//! The calls that move a task through its life.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use octopoid_client::{
    AcceptRequest, CancelRequest, ClaimRequest, ErrorBody, ForceQueueRequest, HookCompletion, HookStatus, MergeRequest, RejectRequest,
    ReleaseRequest, RenewRequest, RequeueRequest, SubmitRequest, Task,
};
use octopoid_crdt::document::Edit;
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::{Cause, Queue};
use serde_json::Value;

use super::app::App;
use super::find::find;
use super::input::{Call, Input, Segments};
use super::refusal::{NoTasks, Refusal};
use super::tasks::NOBODY;
use super::{texts, times};
use crate::cluster::Outcome;
use crate::ops::claim::{Claimant, Claimed, Holds, lease_seconds, open_next, withdraw};
use crate::ops::finish::Submission;
use crate::ops::judge::{self, Move};
use crate::ops::{self, Snapshot, admission, idempotency, orchestrators};
use crate::store::conflicts::YIELDED;
use crate::store::{TaskNo, Unit};

impl App {
    /// Runs a step on the task that the path names.
    pub(super) async fn step(
        &self,
        segments: &Segments,
        call: Call,
        step: impl FnOnce(&mut Unit<'_>, TaskNo) -> Result<Snapshot, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let target = call.caller.target(self, call.scope.as_deref(), segments.get("id"))?;
        let expect = call.expect(None);
        let operation = move |unit: &mut Unit<'_>| {
            let no = ops::find(unit, &target)?;
            expect.check(unit.row(no)?)?;
            step(unit, no)
        };
        self.commit_task(call.once, StatusCode::OK, operation).await
    }
}

/// Returns a name that a caller may give, checked.
pub(super) fn by(field: &str, name: Option<String>) -> Result<String, Refusal> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => {
            texts::label(field, &name)?;
            Ok(name)
        }
        None => Ok(NOBODY.to_owned()),
    }
}

fn optional_reason(reason: Option<String>) -> Result<String, Refusal> {
    let reason = reason.unwrap_or_default();
    texts::reason("reason", &reason)?;
    Ok(reason)
}

fn holds(agent: Option<String>, epoch: Option<u64>) -> Result<Holds, Refusal> {
    if let Some(agent) = &agent {
        texts::label("agent_name", agent)?;
    }
    Ok(Holds { agent, epoch, claim: None })
}

/// Claims the next task that fits, or its review.
#[utoipa::path(post, path = "/api/v1/tasks/claim", tag = "tasks", request_body = ClaimRequest,
    responses((status = 200, body = Task), (status = 400, body = ErrorBody),
        (status = 404, description = "No tasks available", body = NoTasks),
        (status = 409, description = "This node may claim nothing: its repository is not the cluster's, or it is no worker", body = ErrorBody)))]
pub(super) async fn claim(State(app): State<App>, input: Input<ClaimRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::label("orchestrator_id", &body.orchestrator_id)?;
    texts::label("agent_name", &body.agent_name)?;
    let scope = call.caller.scope(&app, call.scope.as_deref())?;
    let roles = body.role_filter.map(|roles| roles.0).unwrap_or_default();
    let kinds = body.type_filter.map(|kinds| kinds.0).unwrap_or_default();
    let ttl_seconds = lease_seconds(body.lease_duration_seconds.map(i64::from))?;
    let queue = body.queue.filter(|queue| !queue.is_empty());
    let claimant = Claimant {
        agent: body.agent_name,
        orchestrator: body.orchestrator_id,
        ttl_seconds,
        scope: scope.clone(),
        roles,
        kinds,
        others: app.settings.cluster.as_ref().map(crate::cluster::Cluster::connected).unwrap_or_default(),
        ..Claimant::default()
    };
    app.heartbeats.beat(&scope, &claimant.orchestrator);
    app.must_reach_authority()?;
    app.may_claim().await?;
    let wish = Wish { scope, queue, claimant };
    for _ in 0..RACES {
        let (wish, settled) = (wish.clone(), Arc::new(OnceLock::new()));
        let claimed = settled.clone();
        let operation = move |unit: &mut Unit<'_>| {
            let Claimed { task, of, .. } = wish.claim(unit)?;
            let granted = task.row.holder.as_ref().is_some_and(|holder| holder.record == of.0);
            // Read again after the commit; set once, as the operation runs once.
            let _ = claimed.set((task.no, of, granted));
            Ok(task)
        };
        let once = call.once.clone();
        let answer = app.commit_task(once.clone(), StatusCode::OK, operation).await?;
        // An answer that was kept for its key was settled when it was given.
        let Some((no, of, granted)) = settled.get().copied() else { return Ok(answer) };
        let outcome = app.settle(no, of).await?;
        match outcome {
            Outcome::Start if granted => return Ok(answer),
            Outcome::Start => return app.show_granted(once, no).await,
            Outcome::Yield | Outcome::Unreachable => {}
        }
        let (cause, why) = match outcome {
            Outcome::Unreachable => (Cause::Stopped, UNREACHED),
            Outcome::Start | Outcome::Yield => (Cause::Superseded, YIELDED),
        };
        let yielded = move |unit: &mut Unit<'_>| {
            if let Some(once) = &once {
                idempotency::forget(unit, once);
            }
            withdraw(unit, no, of, cause, why).map_err(Refusal::from)
        };
        app.settings.store.write(yielded).await??;
        if let (Outcome::Unreachable, Some(authority)) = (outcome, app.other_authority()) {
            return Err(Refusal::Offline(app.authority_away(&authority).offline));
        }
    }
    Err(Refusal::NoTasks)
}

/// Why a claim was given back that nobody granted.
const UNREACHED: &str = "the authority could not be reached";

/// How many tasks are tried that other nodes claim at the same moment.
const RACES: usize = 16;

/// What a caller wants to claim.
#[derive(Debug, Clone)]
struct Wish {
    scope: String,
    queue: Option<String>,
    claimant: Claimant,
}

impl Wish {
    fn claim(self, unit: &mut Unit<'_>) -> Result<Claimed, Refusal> {
        let Self { scope, queue, mut claimant } = self;
        let wanted = match (queue, claimant.roles.first()) {
            (Some(queue), _) => Some(queue),
            (None, Some(role)) => admission::claims_from(unit, &scope, role)?,
            (None, None) => None,
        };
        let queue = texts::queue("queue", wanted.as_deref().unwrap_or("incoming"))?;
        admission::claimable_queue(unit, &scope, &queue)?;
        queue.as_str().clone_into(&mut claimant.queue);
        orchestrators::note_claimant(unit, &scope, &claimant.orchestrator)?;
        open_next(unit, &claimant)?.ok_or(Refusal::NoTasks)
    }
}

impl App {
    /// Refuses claims where this node's own agents claim nothing either: it may not, or its repository is not the cluster's.
    async fn may_claim(&self) -> Result<(), Refusal> {
        let Some(idle) = self.settings.idle.clone() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || idle()).await {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(Refusal::Conflict(format!("this node claims nothing: {why}"))),
            Err(_) => Err(Refusal::Defect),
        }
    }

    /// Waits until it is settled with the other members, or by the authority, whether a claimant may start.
    async fn settle(&self, no: TaskNo, of: RecordId) -> Result<Outcome, Refusal> {
        match &self.settings.cluster {
            None => Ok(Outcome::Start),
            Some(cluster) => Ok(cluster.settle(no, &of).await?),
        }
    }

    /// Answers with a task whose claim was granted after its commit; the answer that was kept for the request's key is another now.
    async fn show_granted(&self, once: Option<idempotency::Once>, no: TaskNo) -> Result<Response, Refusal> {
        let show = move |unit: &mut Unit<'_>| {
            if let Some(once) = &once {
                idempotency::forget(unit, once);
            }
            Ok::<_, Refusal>((ops::snapshot(unit, no)?, once))
        };
        let (task, once) = self.settings.store.write(show).await??;
        self.commit_task(once, StatusCode::OK, move |_| Ok(task)).await
    }
}

/// Keeps a claim or review alive.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/renew", tag = "tasks", request_body = RenewRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn renew(State(app): State<App>, segments: Segments, input: Input<RenewRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::label("agent_name", &body.agent_name)?;
    let holds = holds(Some(body.agent_name), body.epoch)?;
    let seconds = lease_seconds(body.lease_duration_seconds.map(i64::from))?;
    let renewed = Arc::new(OnceLock::new());
    let claim = renewed.clone();
    let answer = app.step(&segments, call, move |unit, no| {
        let task = ops::claim::renew(unit, no, &holds, Some(seconds))?;
        if let Some(holder) = &task.row.holder {
            // Set once, as the operation runs once.
            let _ = claim.set(RecordId(holder.record));
        }
        Ok(task)
    });
    let answer = answer.await?;
    if let (Some(cluster), Some(of)) = (&app.settings.cluster, renewed.get()) {
        cluster.renew(*of, seconds);
    }
    Ok(answer)
}

/// Hands in finished work.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/submit", tag = "tasks", request_body = SubmitRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn submit(State(app): State<App>, segments: Segments, input: Input<SubmitRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let count = |field: &str, number: u64| i64::try_from(number).map_err(|_| Refusal::field(field, format!("{number} is too large")));
    if let Some(url) = body.pr_url.as_deref() {
        texts::url("pr_url", url)?;
    }
    if let Some(notes) = body.execution_notes.as_deref() {
        texts::body("execution_notes", notes)?;
    }
    let results = body.check_results.filter(|results| !results.is_null());
    let work = Submission {
        commits: count("commits_count", body.commits_count)?,
        turns: count("turns_used", body.turns_used)?,
        pr_url: body.pr_url,
        check_results: results.map(|results| texts::json("check_results", results)).transpose()?,
        notes: body.execution_notes,
        ..Submission::default()
    };
    let holds = holds(body.agent_name, body.epoch)?;
    let expect = call.expect(body.version);
    app.step(&segments, call, move |unit, no| Ok(ops::finish::submit(unit, no, &holds, &expect, &work)?)).await
}

/// Judges that the work is good.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/accept", tag = "tasks", request_body = AcceptRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn accept(State(app): State<App>, segments: Segments, input: Input<AcceptRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::label("accepted_by", &body.accepted_by)?;
    let reason = optional_reason(body.reason)?;
    app.step(&segments, call, move |unit, no| {
        let _ = judge::accept(unit, no, None, &body.accepted_by, &reason)?;
        Ok(judge::answered(unit, no)?)
    })
    .await
}

/// Judges that the work is not good; the next attempt reads the reason.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/reject", tag = "tasks", request_body = RejectRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn reject(State(app): State<App>, segments: Segments, input: Input<RejectRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::label("rejected_by", &body.rejected_by)?;
    texts::required_reason("reason", &body.reason)?;
    app.step(&segments, call, move |unit, no| {
        let _ = judge::reject(unit, no, None, &body.rejected_by, &body.reason)?;
        Ok(judge::answered(unit, no)?)
    })
    .await
}

/// Sends a task back to be tried again.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/requeue", tag = "tasks", request_body = Option<RequeueRequest>,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn requeue(State(app): State<App>, segments: Segments, input: Input<RequeueRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let (by, reason) = (by("requeued_by", body.requeued_by)?, optional_reason(body.reason)?);
    let (any, reopen) = (body.from_any, body.reopen);
    app.step(&segments, call, move |unit, no| {
        let _ = judge::requeue(unit, no, &by, &reason, any, reopen)?;
        Ok(judge::answered(unit, no)?)
    })
    .await
}

/// Gives a claimed task, or its review, back.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/release", tag = "tasks", request_body = Option<ReleaseRequest>,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn release(State(app): State<App>, segments: Segments, input: Input<ReleaseRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let (holds, reason) = (holds(body.agent_name, body.epoch)?, optional_reason(body.reason)?);
    app.step(&segments, call, move |unit, no| Ok(ops::claim::release(unit, no, &holds, Cause::GivenBack, &reason)?)).await
}

/// Gives a task up.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks", request_body = Option<CancelRequest>,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn cancel(State(app): State<App>, segments: Segments, input: Input<CancelRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let (by, reason) = (by("cancelled_by", body.cancelled_by)?, optional_reason(body.reason)?);
    app.step(&segments, call, move |unit, no| {
        let _ = judge::cancel(unit, no, &by, &reason)?;
        Ok(judge::answered(unit, no)?)
    })
    .await
}

/// Moves a task past its flow.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/force-queue", tag = "tasks", request_body = ForceQueueRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn force_queue(State(app): State<App>, segments: Segments, input: Input<ForceQueueRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    texts::required_reason("reason", &body.reason)?;
    let queue = texts::queue("queue", &body.queue)?;
    if queue == Queue::Claimed {
        return Err(Refusal::field("queue", "a task gets to 'claimed' by a claim only"));
    }
    let step = Move { queue, cause: Cause::ForceQueue, by: by("forced_by", body.forced_by)?, reason: body.reason, keep: None };
    app.step(&segments, call, move |unit, no| {
        let row = unit.row(no)?;
        let (scope, flow) = (row.scope.clone(), row.text("flow").unwrap_or("default").to_owned());
        admission::queue_of_flow(unit, &scope, &flow, &step.queue)?;
        let _ = judge::move_to(unit, no, step)?;
        Ok(judge::answered(unit, no)?)
    })
    .await
}

/// Reports the end of one hook of a task.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/hooks/{name}/complete", tag = "tasks", request_body = HookCompletion,
    params(("id" = String, Path, description = "The task"), ("name" = String, Path, description = "The hook")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn complete_hook(State(app): State<App>, segments: Segments, input: Input<HookCompletion>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    let hook = segments.get("name").to_owned();
    app.step(&segments, call, move |unit, no| {
        let row = unit.row(no)?;
        let unknown = Refusal::NotFound(format!("Task '{}' has no hook '{}'", row.id, hook.chars().take(100).collect::<String>()));
        let mut hooks: Vec<Value> = row.text("hooks").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let Some(found) = hooks.iter_mut().find(|known| known["name"] == hook.as_str()) else { return Err(unknown) };
        found["status"] = Value::from(match body.status {
            HookStatus::Passed => "passed",
            HookStatus::Failed => "failed",
        });
        found["evidence"] = body.evidence.unwrap_or_default();
        found["completed_at"] = Value::from(times::rfc3339(unit.now_ms()));
        let text = Value::from(hooks).to_string();
        let edited = unit.edit(no, &[Edit::set("hooks", text)])?;
        edited.map_err(|error| Refusal::field("evidence", error.to_string()))?;
        Ok(ops::snapshot(unit, no)?)
    })
    .await
}

/// Merges accepted work that awaits it.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/merge", tag = "tasks", request_body = Option<MergeRequest>,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn merge(State(app): State<App>, segments: Segments, input: Input<MergeRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    by("merged_by", body.merged_by)?;
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let (no, row) = app.read(move |_, reader| find(reader, &target)).await?;
    app.control()?.merge(row.scope, row.id).await?;
    let merged = app.read(move |app, reader| {
        let row = reader.row(no)?.ok_or(Refusal::Defect)?;
        Ok::<_, Refusal>(app.view(&row, reader.content(no)?, None))
    });
    Ok(Json(merged.await?).into_response())
}
