//! The node itself: health, status, and what a person tells it.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use jiff::Timestamp;
use octopoid_client::{
    AgentState, AgentStatus, AwaitingMerge, Doctor, ErrorBody, GcReport, GcRequest, Health, NodeInfo, NodeStatus, Paused, Retrying,
    StopAnswer, StopRequest, Task,
};
use serde_json::{Value, json};
use std::time::Duration;

use super::app::{API_VERSION, App};
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::task_view::retry_ms;
use super::times::{now, now_ms, rfc3339};
use crate::causes::describe;
use crate::cluster::Cluster;
use crate::run::{AgentsView, ControlError, Farewell};
use crate::store::index::Facet;
use crate::store::{Fault, Filter, Reader, Sort};

/// How many tasks each list of the status names.
const NAMED: u64 = 100;
/// Among how many waiting tasks those are looked for that wait after a failed attempt: no index has them apart.
const LOOKED_AT: u64 = 500;
/// How long the scheduler may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl App {
    /// Asks what the agents do; nothing when no scheduler runs or it does not answer in time.
    pub(super) async fn agents(&self) -> Option<AgentsView> {
        let control = self.settings.control.as_ref()?;
        tokio::time::timeout(PATIENCE, control.agents()).await.ok()?.ok()
    }

    /// Tells whether this is a node that serves, rather than a command that works on the store itself.
    fn serves(&self) -> bool {
        self.settings.api_url.is_some()
    }

    fn info(&self) -> NodeInfo {
        let settings = &self.settings;
        let serves = self.serves();
        NodeInfo {
            machine_id: settings.machine_id.clone(),
            peer_id: settings.peer_id.clone(),
            pid: serves.then(std::process::id),
            api_url: settings.api_url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: serves.then(|| rfc3339(self.started_ms)),
        }
    }
}

/// Tells whether the node can serve. The one call of the API without a token.
#[utoipa::path(get, path = "/api/health", tag = "node", security(()),
    responses((status = 200, body = Health), (status = 503, description = "The store does not work", body = Health)))]
pub(super) async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let problem = match app.settings.store.writer().failure() {
        Some(why) => Some(why.to_string()),
        None => app.read(|_, reader| reader.next_arrival()).await.err().map(|refusal| refusal.to_string()),
    };
    let (status, word) = if problem.is_none() { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "unhealthy") };
    let health = Health {
        status: word.to_owned(),
        version: API_VERSION.to_owned(),
        timestamp: now(),
        database: problem.unwrap_or_else(|| "connected".to_owned()),
        node: Some(app.settings.machine_id.clone()),
        cluster: app.settings.store.membership().name().map(ToString::to_string),
        mode: Some(app.mode(&app.settings.store.membership()).to_owned()),
    };
    (status, Json(health))
}

/// Names the program and its endpoints. A browser, whose `Accept` names `text/html`, gets the dashboard instead, without a token.
#[utoipa::path(get, path = "/", tag = "node", responses((status = 200, body = Value), (status = 401, body = ErrorBody)))]
pub(super) async fn root() -> ([(HeaderName, &'static str); 1], Json<Value>) {
    let names = json!({ "name": "Octopoid", "version": API_VERSION, "endpoints": super::openapi::endpoints() });
    ([(header::VARY, "accept")], Json(names))
}

/// Shows what the node does.
#[utoipa::path(get, path = "/api/v1/node/status", tag = "node",
    responses((status = 200, body = NodeStatus), (status = 403, body = ErrorBody)))]
pub(super) async fn status(State(app): State<App>, call: Call) -> Result<Json<NodeStatus>, Refusal> {
    call.caller.must_be_node()?;
    let view = app.agents().await.unwrap_or_default();
    let mut warnings = view.warnings.clone();
    warnings.extend(app.settings.store.writer().failure().map(|why| format!("the store does not write: {why}")));
    let certificate = app.settings.certificate.iter();
    warnings.extend(certificate.flat_map(|certificate| certificate.doubts(Timestamp::now())).map(|doubt| doubt.to_string()));
    let reviewers: Vec<String> = view.agents.iter().filter(|agent| may_review(agent)).map(|agent| agent.name.clone()).collect();
    let membership = app.settings.store.membership();
    let (mode, cluster) = (app.mode(&membership), membership.name().map(ToString::to_string));
    let members: Vec<_> = app.members().into_iter().filter(|member| member.state != "this node").collect();
    warnings.extend(app.misdeeds(&members)?);
    warnings.extend(App::idle_members(&members));
    warnings
        .extend(app.settings.cluster.iter().flat_map(Cluster::not_given).map(|why| format!("work was not given by its machine: {why}")));
    let offline = !members.is_empty() && app.is_offline(&members);
    let authority = membership.authority().map(|key| app.member_name(&membership, key));
    let pending_sync = app.pending_sync().await?;
    let kept_offline = app.kept_offline();
    let namesakes = app.settings.cluster.as_ref().map(Cluster::namesakes).unwrap_or_default();
    warnings.extend(cluster.iter().flat_map(|name| namesakes.iter().map(move |address| namesake_warning(name, address))));
    let join_requests = app.settings.cluster.as_ref().map_or(0, |cluster| cluster.reception().pending().len() as u64);
    let status = app.read(move |app, reader| {
        let scope = app.settings.scope.as_str();
        let in_scope = Filter { scopes: vec![scope.to_owned()], ..Filter::default() };
        let waiting = Filter { queues: vec!["provisional".to_owned()], ready: Some(true), ..in_scope.clone() };
        let flagged = Filter { needs_intervention: Some(true), ..in_scope.clone() };
        let mut queues = reader.queue_counts(Some(scope))?;
        queues.retain(|_, count| *count > 0);
        Ok::<_, Fault>(NodeStatus {
            mode: mode.to_owned(),
            node: app.info(),
            cluster,
            authority,
            members,
            pending_sync,
            offline,
            kept_offline,
            join_requests,
            namesakes,
            conflicts: reader.conflicts(None, 0, 0)?.total + reader.overridden_documents(None)?.len() as u64,
            queues,
            paused: view.paused,
            cost_usd: view.cost_usd,
            waiting_for_review: unreviewed(reader, &waiting, &reviewers)?,
            awaiting_merge: awaiting_merge(reader, in_scope.clone(), view.awaiting_merge)?,
            agents: view.agents,
            retrying: retrying(reader, &in_scope)?,
            needs_intervention: ids(reader, &flagged)?,
            warnings,
        })
    });
    Ok(Json(status.await?))
}

fn namesake_warning(name: &str, address: &str) -> String {
    format!("another cluster on this network is called '{name}' too, at {address}: approve or confirm a code only if both machines show it")
}

fn ids(reader: &Reader, filter: &Filter) -> Result<Vec<String>, Fault> {
    Ok(reader.list(filter, Sort::Priority, 0, NAMED)?.tasks.into_iter().map(|(_, row)| row.id).collect())
}

/// Tells whether an agent takes reviews, now or when a pause of its own is over.
fn may_review(agent: &AgentStatus) -> bool {
    let works = match agent.state {
        AgentState::Disabled => false,
        AgentState::Paused => agent.paused_until.is_some(),
        AgentState::Idle | AgentState::Running | AgentState::Waiting => true,
    };
    agent.role == "review" && works
}

/// Names submitted tasks that no agent here will review: nobody reviews the work of an agent of the same name.
fn unreviewed(reader: &Reader, waiting: &Filter, reviewers: &[String]) -> Result<Vec<String>, Fault> {
    let tasks = reader.list(waiting, Sort::Priority, 0, NAMED)?.tasks.into_iter();
    let alone = |worker: Option<&String>| reviewers.iter().all(|reviewer| Some(reviewer) == worker);
    Ok(tasks.filter(|(_, row)| alone(row.worker.as_ref())).map(|(_, row)| row.id).collect())
}

/// Joins what the store knows to be unmerged with what the scheduler says about it.
fn awaiting_merge(reader: &Reader, in_scope: Filter, told: Vec<AwaitingMerge>) -> Result<Vec<AwaitingMerge>, Fault> {
    let waiting = ids(reader, &Filter { facet: Some((Facet::AwaitingMerge, vec![String::new()])), ..in_scope })?;
    let reason = |id: &str| told.iter().find(|known| known.task_id == id).map(|known| known.reason.clone());
    let untold = || Task::MERGE_PENDING.to_owned();
    Ok(waiting.into_iter().map(|task_id| AwaitingMerge { reason: reason(&task_id).unwrap_or_else(untold), task_id }).collect())
}

/// Finds the tasks that wait after a failed attempt, among the first that an agent would take.
fn retrying(reader: &Reader, in_scope: &Filter) -> Result<Vec<Retrying>, Fault> {
    let waiting = Filter { queues: vec!["incoming".to_owned()], ready: Some(true), ..in_scope.clone() };
    let (now, rows) = (now_ms(), reader.list(&waiting, Sort::Priority, 0, LOOKED_AT)?.tasks);
    let retries = rows.into_iter().filter_map(|(_, row)| Some((retry_ms(&row, now)?, row.id)));
    let mut found: Vec<_> = retries.map(|(at, task_id)| Retrying { retry_at: rfc3339(at), task_id }).collect();
    found.sort();
    Ok(found)
}

async fn set_paused(app: &App, call: &Call, agent: Option<String>, paused: bool) -> Result<Json<Paused>, Refusal> {
    call.caller.must_be_node()?;
    Ok(Json(app.control()?.pause(agent, paused).await?))
}

/// Starts no new work.
#[utoipa::path(post, path = "/api/v1/node/pause", tag = "node",
    responses((status = 200, body = Paused), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn pause(State(app): State<App>, call: Call) -> Result<Json<Paused>, Refusal> {
    set_paused(&app, &call, None, true).await
}

/// Starts work again.
#[utoipa::path(post, path = "/api/v1/node/resume", tag = "node",
    responses((status = 200, body = Paused), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn resume(State(app): State<App>, call: Call) -> Result<Json<Paused>, Refusal> {
    set_paused(&app, &call, None, false).await
}

/// Starts no new work with one agent.
#[utoipa::path(post, path = "/api/v1/node/agents/{name}/pause", tag = "node", params(("name" = String, Path, description = "The agent")),
    responses((status = 200, body = Paused), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn pause_agent(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Paused>, Refusal> {
    set_paused(&app, &call, Some(segments.get("name").to_owned()), true).await
}

/// Starts work with one agent again.
#[utoipa::path(post, path = "/api/v1/node/agents/{name}/resume", tag = "node", params(("name" = String, Path, description = "The agent")),
    responses((status = 200, body = Paused), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn resume_agent(State(app): State<App>, segments: Segments, call: Call) -> Result<Json<Paused>, Refusal> {
    set_paused(&app, &call, Some(segments.get("name").to_owned()), false).await
}

/// Ends the node. It answers first.
#[utoipa::path(post, path = "/api/v1/node/stop", tag = "node", request_body = Option<StopRequest>,
    responses((status = 200, body = StopAnswer), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn stop(State(app): State<App>, input: Input<StopRequest>) -> Result<Json<StopAnswer>, Refusal> {
    input.call.caller.must_be_node()?;
    if !app.serves() {
        return Err(ControlError::NotRunning.into());
    }
    let control = app.control()?;
    let running = control.agents().await?.agents.iter().map(|agent| agent.instances.len() as u64).sum();
    let farewell = if input.body.drain { Farewell::Drain } else { Farewell::Orderly };
    control.begin_stop(farewell).await?;
    Ok(Json(StopAnswer { stopping: true, pid: std::process::id(), running }))
}

/// Removes what finished attempts left behind, or tells what it would remove.
#[utoipa::path(post, path = "/api/v1/node/gc", tag = "node", request_body = Option<GcRequest>,
    responses((status = 200, body = GcReport), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn gc(State(app): State<App>, input: Input<GcRequest>) -> Result<Json<GcReport>, Refusal> {
    input.call.caller.must_be_node()?;
    Ok(Json(app.control()?.gc(input.body.dry_run).await?))
}

/// Looks through the store: does every record verify, and does every view follow from the records?
///
/// With `rebuild` the views are derived anew first, which only a store without a running node allows.
#[utoipa::path(get, path = "/api/v1/node/doctor", tag = "node",
    params(("rebuild" = Option<bool>, Query, description = "Refused by a running node")),
    responses((status = 200, body = Doctor), (status = 403, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn doctor(State(app): State<App>, params: Params, call: Call) -> Result<Json<Doctor>, Refusal> {
    call.caller.must_be_node()?;
    let rebuild = params.flag("rebuild")?.unwrap_or(false);
    if rebuild && app.serves() {
        let text = "the views are rebuilt while nothing else uses the store: stop the node and run octopoid doctor --rebuild";
        return Err(ControlError::Refused(text.to_owned()).into());
    }
    let mut kept = None;
    if rebuild {
        let backup = app.settings.store.path().with_extension(format!("before-rebuild-{}", now_ms()));
        kept = Some(backup.display().to_string());
        app.settings.store.rebuild(backup).await.map_err(|error| ControlError::Refused(describe(&error)))?;
    }
    let store = app.settings.store.clone();
    let found = tokio::task::spawn_blocking(move || store.check()).await.map_err(|_| Refusal::Defect)??;
    Ok(Json(Doctor {
        ok: found.problems.is_empty(),
        records: found.records,
        tasks: found.tasks,
        rebuilt: rebuild,
        backup: kept,
        problems: found.problems,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use octopoid_client::{AgentInstance, AgentStatus, GcItem};
    use octopoid_crdt::ids::SessionId;
    use octopoid_crdt::record::Signer;
    use tokio::sync::mpsc;
    use tower::ServiceExt;

    use super::*;
    use crate::rest::{ApiToken, Auth, Settings, router};
    use crate::run::{Control, Request as Told};
    use crate::store::{Identity, Store};

    fn view() -> AgentsView {
        let instance = AgentInstance { task_id: "t".to_owned(), ..AgentInstance::default() };
        let agent = |role: &str, state, instances| AgentStatus {
            name: "a".to_owned(),
            role: role.to_owned(),
            state,
            instances,
            ..AgentStatus::default()
        };
        AgentsView {
            agents: vec![agent("implement", AgentState::Running, vec![instance]), agent("review", AgentState::Idle, Vec::new())],
            cost_usd: 1.5,
            warnings: vec!["look".to_owned()],
            ..AgentsView::default()
        }
    }

    /// Stands at the scheduler's end of the channel and notes what it is told.
    async fn answer(mut told: mpsc::Receiver<Told>) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(request) = told.recv().await {
            match request {
                Told::Agents(answer) => drop(answer.send(view())),
                Told::Pause { agent: Some(name), answer, .. } if name != "a" => {
                    drop(answer.send(Err(ControlError::UnknownAgent { name, known: vec!["a".to_owned()] })));
                }
                Told::Pause { agent, paused, answer } => {
                    heard.push(format!("pause {agent:?} {paused}"));
                    drop(answer.send(Ok(Paused { agent, paused, ..Paused::default() })));
                }
                Told::Stop { farewell, answer } => {
                    heard.push(format!("stop {farewell:?}"));
                    // The API answers before the node has ended, so nobody waits any more.
                    let _ = answer.send(());
                }
                Told::Merge { answer, .. } => drop(answer.send(Err(ControlError::Refused("nothing to merge".to_owned())))),
                Told::Gc { dry_run, answer } => {
                    heard.push(format!("gc {dry_run}"));
                    drop(answer.send(Ok(GcReport { items: vec![GcItem::default()] })));
                }
            }
        }
        heard
    }

    fn app(folder: &std::path::Path, control: Control) -> App {
        let identity = Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([1; 16]), nonce: [3; 16], root_commit: None };
        App::new(Settings {
            store: Arc::new(Store::open(&folder.join("store.redb"), identity, false).expect("a store")),
            scope: "default".parse().expect("a scope"),
            machine_id: "m".to_owned(),
            peer_id: "p".to_owned(),
            token: ApiToken::new("oct_1"),
            auth: Auth::NoneOnLoopback,
            join_key: crate::rest::JoinKeyFile::open(folder.join("join.key")),
            compat: crate::config::Compat::Seed,
            hosts: Vec::new(),
            cluster: None,
            control: Some(control),
            api_url: Some("http://127.0.0.1:8787".to_owned()),
            certificate: None,
            logs: folder.join("logs"),
            diff: None,
            bring: None,
            idle: None,
            render: |line| Some(line.to_owned()),
        })
    }

    async fn ask(app: &App, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost").header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let response = router(app.clone()).oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn what_a_person_tells_the_node_reaches_the_scheduler() {
        let folder = tempfile::tempdir().expect("a folder");
        let (requests, told) = mpsc::channel(4);
        let scheduler = tokio::spawn(answer(told));
        let app = app(folder.path(), Control::new(requests));
        let none = || json!({});
        assert_eq!(
            ask(&app, "POST", "/api/v1/node/pause", none()).await,
            (200, json!({ "agent": null, "paused": true, "paused_in_file": [] }))
        );
        assert_eq!(
            ask(&app, "POST", "/api/v1/node/agents/a/resume", none()).await,
            (200, json!({ "agent": "a", "paused": false, "paused_in_file": [] }))
        );
        let (status, body) = ask(&app, "POST", "/api/v1/node/agents/b/pause", none()).await;
        assert!(status == 404 && body["error"].as_str().is_some_and(|error| error.contains("'b'")), "{body}");
        assert_eq!(ask(&app, "POST", "/api/v1/node/gc", json!({ "dry_run": true })).await.0, 200);
        let (status, stopped) = ask(&app, "POST", "/api/v1/node/stop", json!({ "drain": true })).await;
        assert_eq!((status, &stopped["stopping"], &stopped["running"]), (200, &json!(true), &json!(1)));
        let task = json!({ "id": "t", "file_path": "t.md" });
        assert_eq!(ask(&app, "POST", "/api/v1/tasks", task).await.0, 201);
        let (status, body) = ask(&app, "POST", "/api/v1/tasks/t/merge", none()).await;
        assert_eq!((status, &body["error"]), (409, &json!("nothing to merge")));
        drop(app);
        assert_eq!(scheduler.await.expect("it ends"), ["pause None true", "pause Some(\"a\") false", "gc true", "stop Drain"]);
    }

    #[tokio::test]
    async fn the_status_joins_the_store_and_the_scheduler() {
        let folder = tempfile::tempdir().expect("a folder");
        let (requests, told) = mpsc::channel(4);
        let scheduler = tokio::spawn(answer(told));
        let app = app(folder.path(), Control::new(requests));
        let (_, status) = ask(&app, "GET", "/api/v1/node/status", json!({})).await;
        assert_eq!((&status["cost_usd"], &status["warnings"]), (&json!(1.5), &json!(["look"])));
        assert_eq!((&status["node"]["api_url"], &status["node"]["pid"]), (&json!("http://127.0.0.1:8787"), &json!(std::process::id())));
        assert_eq!(status["agents"].as_array().map(Vec::len), Some(2));
        drop(app);
        assert!(scheduler.await.expect("it ends").is_empty());
    }
}
