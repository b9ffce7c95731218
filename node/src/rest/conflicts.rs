//! What lost when nodes that knew nothing of each other did the same. For the node's own token.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use octopoid_client::{AdoptRequest, AttemptInfo, Conflict, ConflictList, ConflictingCreation, ErrorBody, OverriddenChange, Task};
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::Body;

use super::app::App;
use super::find::find;
use super::input::{Call, Input, Segments};
use super::params::Params;
use super::refusal::Refusal;
use super::steps::by;
use super::times::rfc3339;
use super::trail::Trail;
use crate::ops;
use crate::ops::conflicts as decide;
use crate::store::conflicts::{OVERRIDDEN, Overridden, OverriddenDocument, Sign, overridden, overridden_place};
use crate::store::{Fault, Reader, TaskNo, TaskRow, Unit};

impl App {
    /// Tells what lost about a task.
    fn conflict(&self, reader: &Reader, no: TaskNo, row: TaskRow) -> Result<Conflict, Fault> {
        let trail = Trail::read(reader, &self.settings.store.masks(), no, row)?;
        let row = &trail.row;
        let view = self.settings.store.membership();
        let creation = |id: &RecordId| {
            let payload = trail.payload(id)?;
            Some(ConflictingCreation {
                node: self.member_name(&view, &payload.author),
                created_at: rfc3339(payload.wall_ms),
                record_id: id.to_string(),
            })
        };
        let merge = |id: &RecordId| {
            let Body::Merged { commit, .. } = &trail.payload(id)?.body else { return None };
            commit.as_ref().map(ToString::to_string)
        };
        let lost = trail.state.attempts.iter().filter(|attempt| row.shows(&Sign::Attempt(attempt.claim)));
        let told = |attempt: &octopoid_crdt::lifecycle::Attempt| AttemptInfo {
            node: Some(self.member_name(&view, &attempt.claimant)),
            ..trail.attempt(self, attempt)
        };
        Ok(Conflict {
            task_id: row.id.clone(),
            collection: None,
            scope: row.scope.clone(),
            title: row.text("title").unwrap_or_default().to_owned(),
            queue: row.queue.clone(),
            dismissed: !row.in_conflict,
            winner: row.attempt.clone(),
            attempts: lost.map(told).collect(),
            creations: named(row, "creation:").iter().filter_map(creation).collect(),
            merges: named(row, "merge:").iter().filter_map(merge).collect(),
            cut_blockers: row.cut.clone(),
            overridden: self.overridden(reader, row)?,
        })
    }

    fn overridden(&self, reader: &Reader, row: &TaskRow) -> Result<Vec<OverriddenChange>, Fault> {
        let said = reader.item(OVERRIDDEN, &row.scope, &row.id)?.map(|item| overridden(&item.json)).unwrap_or_default();
        Ok(self.changes(said))
    }

    /// Tells what was overridden of a document that is no task.
    fn conflict_of_document(&self, document: OverriddenDocument) -> Conflict {
        Conflict {
            task_id: document.id,
            collection: Some(document.collection),
            scope: document.scope,
            overridden: self.changes(document.changes),
            ..Conflict::default()
        }
    }

    fn changes(&self, said: Vec<Overridden>) -> Vec<OverriddenChange> {
        let view = self.settings.store.membership();
        let node = |key: &str| key.parse().map_or_else(|_| "an unknown node".to_owned(), |key| self.member_name(&view, &key));
        let shown = |said: Overridden| OverriddenChange {
            node: node(&said.node),
            at: rfc3339(said.at_ms),
            what: said.what,
            lost: said.lost,
            kept: said.kept,
            record_id: said.record,
        };
        said.into_iter().map(shown).collect()
    }

    /// Finds what was overridden of the document that a call names.
    async fn overridden_document(&self, segments: &Segments, call: &Call, collection: String) -> Result<OverriddenDocument, Refusal> {
        let scope = call.caller.scope(self, call.scope.as_deref())?;
        let id = segments.get("id").to_owned();
        self.read(move |_, reader| {
            let all = reader.overridden_documents(Some(&scope))?;
            all.into_iter().find(|known| known.collection == collection && known.id == id).ok_or_else(|| {
                Refusal::NotFound("nothing of this document was overridden: `octopoid conflicts` lists where something was".to_owned())
            })
        })
        .await
    }

    async fn conflict_of(&self, segments: &Segments, call: &Call) -> Result<Json<Conflict>, Refusal> {
        let target = call.caller.target(self, call.scope.as_deref(), segments.get("id"))?;
        let conflict = self.read(move |app, reader| {
            let (no, row) = find(reader, &target)?;
            if row.all_signs().is_empty() {
                let text = format!("nothing about task '{}' lost: `octopoid conflicts` lists where something did", row.id);
                return Err(Refusal::NotFound(text));
            }
            Ok::<_, Refusal>(app.conflict(reader, no, row)?)
        });
        Ok(Json(conflict.await?))
    }
}

/// Returns the records that a row's signs of one kind name.
fn named(row: &TaskRow, kind: &str) -> Vec<RecordId> {
    let ids = row.signs.iter().filter_map(|sign| sign.strip_prefix(kind));
    ids.filter_map(|id| RecordId::from_str(id).ok()).collect()
}

/// Lists the tasks about which something lost that nobody has dismissed, the newest first.
#[utoipa::path(get, path = "/api/v1/cluster/conflicts", tag = "conflicts",
    params(("scope" = Option<String>, Query, description = "Only tasks of this tenant"),
        ("limit" = Option<u64>, Query, description = "Page size"), ("offset" = Option<u64>, Query, description = "How many to skip")),
    responses((status = 200, body = ConflictList), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, params: Params, call: Call) -> Result<Json<ConflictList>, Refusal> {
    call.caller.must_be_node()?;
    let window = params.window()?;
    let list = app.read(move |app, reader| {
        let documents = reader.overridden_documents(call.scope.as_deref())?;
        let (all, skip) = (documents.len() as u64, usize::try_from(window.offset).unwrap_or(usize::MAX));
        let most = usize::try_from(window.limit).unwrap_or(usize::MAX);
        let mut conflicts: Vec<Conflict> =
            documents.into_iter().skip(skip).take(most).map(|document| app.conflict_of_document(document)).collect();
        let room = window.limit.saturating_sub(conflicts.len() as u64);
        let page = reader.conflicts(call.scope.as_deref(), window.offset.saturating_sub(all), room)?;
        for (no, row) in page.tasks {
            conflicts.push(app.conflict(reader, no, row)?);
        }
        Ok::<_, Fault>(ConflictList { conflicts, total: all + page.total, offset: window.offset, limit: window.limit })
    });
    Ok(Json(list.await?))
}

/// Shows what lost about a task, dismissed or not.
#[utoipa::path(get, path = "/api/v1/cluster/conflicts/{id}", tag = "conflicts", 
    params(("id" = String, Path, description = "The task, or the document's id"),
        ("collection" = Option<String>, Query, description = "Of what is no task: `project` or `draft`")),
    responses((status = 200, body = Conflict), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, segments: Segments, params: Params, call: Call) -> Result<Json<Conflict>, Refusal> {
    call.caller.must_be_node()?;
    if let Some(collection) = params.text("collection")? {
        let document = app.overridden_document(&segments, &call, collection).await?;
        return Ok(Json(app.conflict_of_document(document)));
    }
    app.conflict_of(&segments, &call).await
}

/// Takes an attempt up again that lost. Its submitted work waits for a verdict; without any, the next attempt starts from its branch.
#[utoipa::path(post, path = "/api/v1/cluster/conflicts/{id}/adopt", tag = "conflicts", request_body = AdoptRequest,
    params(("id" = String, Path, description = "The task")),
    responses((status = 200, body = Task), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn adopt(State(app): State<App>, segments: Segments, input: Input<AdoptRequest>) -> Result<Response, Refusal> {
    let Input { body, call } = input;
    call.caller.must_be_node()?;
    super::texts::label("attempt", &body.attempt)?;
    let by = by("adopted_by", body.adopted_by)?;
    app.step(&segments, call, move |unit, no| Ok(decide::adopt(unit, no, &body.attempt, &by)?)).await
}

/// Hides on all nodes what lost about a task so far; what is lost later shows again.
#[utoipa::path(post, path = "/api/v1/cluster/conflicts/{id}/dismiss", tag = "conflicts", 
    params(("id" = String, Path, description = "The task, or the document's id"),
        ("collection" = Option<String>, Query, description = "Of what is no task: `project` or `draft`")),
    responses((status = 200, body = Conflict), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(super) async fn dismiss(State(app): State<App>, segments: Segments, params: Params, call: Call) -> Result<Json<Conflict>, Refusal> {
    call.caller.must_be_node()?;
    if let Some(collection) = params.text("collection")? {
        let document = app.overridden_document(&segments, &call, collection).await?;
        let scope = ops::name("scope", &document.scope)?;
        let (place, key) = overridden_place(Some(&document.collection), &document.id);
        let forget = move |unit: &mut Unit<'_>| unit.put(place, &scope, &key, None).map_err(Refusal::from);
        let _ = app.settings.store.write(forget).await??;
        return Ok(Json(Conflict { dismissed: true, ..app.conflict_of_document(document) }));
    }
    let target = call.caller.target(&app, call.scope.as_deref(), segments.get("id"))?;
    let dismissed = app.settings.store.write(move |unit| {
        let no = ops::find(unit, &target)?;
        decide::dismiss(unit, no).map_err(Refusal::from)
    });
    dismissed.await??;
    app.conflict_of(&segments, &call).await
}
