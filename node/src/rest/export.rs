//! Hands out everything that another node, or this one later, can take in.
//!
//! Rows are read from one snapshot and written as they are read, so an export's size is never in memory.
//!
//! **Invariants**: the whole is one state of the store; what an export tells of a row is what an import of it would hash, so that a
//! repeated import finds it unchanged; no key and no token is told.

use std::collections::{BTreeSet, HashMap};
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use octopoid_client::{ErrorBody, Export};
use octopoid_crdt::ids::RecordId;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::app::App;
use super::input::Call;
use super::refusal::Refusal;
use super::times::{now, rfc3339};
use super::trail::Trail;
use super::{actions, drafts, flows, messages, projects, roles};
use crate::migrate::{FORMAT, Row, Table, VERSION};
use crate::ops::import::AGENTS;
use crate::ops::{
    actions as action_ops, drafts as draft_ops, flows as flow_ops, orchestrators, projects as project_ops, roles as role_ops,
};
use crate::store::posts::{ACTIONS, MESSAGES, PostFacet, PostQuery, parse};
use crate::store::{Fault, Reader, TaskNo, TaskRow};

/// How many rows are read at a time.
const PAGE: usize = 500;
/// How many pieces wait for a slow reader.
const PIECES: usize = 8;
/// How large a piece is, about.
const PIECE: usize = 64 * 1024;

/// What belongs to this node's own copy of a task.
const LOCAL: [&str; 9] = ["version", "epoch", "attempt", "contested", "holder", "node", "awaiting_merge", "retry_at", "lease_expires_at"];

/// Notes of an earlier import, which an import needs and nobody else.
const NOTES: [&str; 2] = ["imported_hash", "record_id"];

/// Turns what the API shows into a row.
fn row(value: &impl serde::Serialize) -> Row {
    match serde_json::to_value(value) {
        Ok(Value::Object(row)) => row,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// Reads a node's rows as an export tells them.
pub(super) struct Rows<'r> {
    pub app: &'r App,
    pub reader: &'r Reader,
    /// The only tenant that is wanted; none for all.
    pub scope: Option<&'r str>,
}

impl Rows<'_> {
    fn wants(&self, scope: &str) -> bool {
        self.scope.is_none_or(|wanted| wanted == scope)
    }

    /// Returns every tenant that holds anything of a kind, as far as it is wanted.
    fn scopes(&self, of_collection: impl FnOnce(&Reader) -> Result<Vec<String>, Fault>) -> Result<Vec<String>, Fault> {
        let mut scopes = of_collection(self.reader)?;
        scopes.retain(|scope| self.wants(scope));
        Ok(scopes)
    }

    /// Returns the tenants that have tasks.
    fn task_scopes(&self) -> Result<BTreeSet<String>, Fault> {
        Ok(self.reader.buckets()?.into_iter().map(|(_, key, _)| key.scope).filter(|scope| self.wants(scope)).collect())
    }

    /// Shows every task, in the order in which this node learned of them.
    pub(super) fn tasks(&self, mut show: impl FnMut(TaskNo, &TaskRow) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let page = self.reader.rows_after(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (no, row) in page.iter().filter(|(_, row)| row.listed && row.collection.is_none() && self.wants(&row.scope)) {
                show(*no, row)?;
            }
        }
    }

    /// Returns a task, what happened to it, and the hash of what it brought from another system.
    pub(super) fn task(&self, no: TaskNo, found: &TaskRow) -> Result<(Row, Vec<Row>, Option<String>), Fault> {
        let trail = Trail::read(self.reader, &self.app.settings.store.masks(), no, found.clone())?;
        let imported = trail.imported();
        let mut task = row(&self.app.view(found, self.reader.content(no)?, None));
        LOCAL.iter().for_each(|column| drop(task.remove(*column)));
        if found.queue == "claimed" {
            task.remove("orchestrator_id");
        } else if found.queue != "failed" {
            ["claimed_by", "claimed_at"].iter().for_each(|column| drop(task.remove(*column)));
        }
        if found.merged_commit.is_none() {
            task.remove("merged_commit");
        }
        for field in ["created_by", "base_branch"] {
            if let Some(text) = found.text(field) {
                task.insert(field.to_owned(), text.into());
            }
        }
        for (column, value) in imported.iter().flat_map(|imported| &imported.extra) {
            task.entry(column.clone()).or_insert_with(|| value.clone());
        }
        let events = trail.portable(self.app, imported.as_ref()).into_iter().map(|event| {
            let mut event = row(&event);
            event.remove("record_id");
            event.insert("task_id".to_owned(), found.id.as_str().into());
            event.insert("scope".to_owned(), found.scope.as_str().into());
            event
        });
        Ok((task, events.collect(), imported.map(|imported| imported.hash)))
    }

    /// Shows the rows of a table other than tasks and their history, notes of earlier imports included.
    pub(super) fn table(&self, table: Table, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        match table {
            Table::Projects => self.projects(show),
            Table::Drafts => self.drafts(show),
            Table::Messages => self.messages(show),
            Table::Actions => self.actions(show),
            Table::Flows => self.entries(flow_ops::COLLECTION, show, |reader, scope| {
                Ok(flow_ops::list(reader, scope)?.into_iter().map(|flow| row(&flows::view(flow))).collect())
            }),
            Table::Roles => self.entries(role_ops::COLLECTION, show, |reader, scope| {
                Ok(role_ops::list(reader, scope)?.into_iter().map(|role| row(&roles::view(role))).collect())
            }),
            Table::Orchestrators => self.orchestrators(show),
            Table::Agents => self.agents(show),
            Table::Tasks | Table::TaskHistory | Table::Files => Ok(()),
        }
    }

    fn entries(
        &self,
        collection: &str,
        show: &mut dyn FnMut(Row) -> Result<(), ExportError>,
        list: impl Fn(&Reader, &str) -> Result<Vec<Row>, Fault>,
    ) -> Result<(), ExportError> {
        for scope in self.scopes(|reader| reader.item_scopes(collection))? {
            list(self.reader, &scope)?.into_iter().try_for_each(&mut *show)?;
        }
        Ok(())
    }

    fn projects(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        for (_, found) in self.reader.documents(project_ops::COLLECTION, self.scope)? {
            let Some(project) = project_ops::get(self.reader, &found.scope, &found.id)? else { continue };
            let mut shown = row(&projects::view(project));
            note(&mut shown, &found, project_ops::IMPORTED_HASH);
            show(shown)?;
        }
        Ok(())
    }

    fn drafts(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        for scope in self.scopes(|reader| reader.document_scopes(draft_ops::COLLECTION))? {
            let found: HashMap<String, TaskRow> =
                self.reader.documents(draft_ops::COLLECTION, Some(&scope))?.into_iter().map(|(_, row)| (row.id.clone(), row)).collect();
            let mut listed = draft_ops::list(self.reader, &scope)?;
            listed.sort_by_key(|draft| draft.id);
            for draft in listed {
                let document = found.get(&draft.id.to_string());
                let mut shown = row(&drafts::view(draft));
                for field in [draft_ops::IMPORTED_ID, draft_ops::IMPORTED_HASH] {
                    document.iter().for_each(|document| note(&mut shown, document, field));
                }
                show(shown)?;
            }
        }
        Ok(())
    }

    fn messages(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut scopes = self.task_scopes()?;
        scopes.extend(self.scopes(|reader| reader.item_scopes(MESSAGES))?);
        for scope in scopes {
            // An answer names what it answers by record; who reads an export knows ids only.
            let mut names: HashMap<String, String> = HashMap::new();
            for offset in (0u64..).step_by(PAGE * 4) {
                let under = vec![(PostFacet::Message, vec![String::new()])];
                let limit = (PAGE * 4) as u64;
                let (page, _) = self.reader.posts(&PostQuery { scope: scope.clone(), under, offset, limit, ..PostQuery::default() })?;
                for post in &page {
                    let Some(entry) = post.message() else { continue };
                    let (id, there) = (post.record.id(), entry.imported.clone());
                    let mut shown = row(&messages::view(id, scope.clone(), entry, post.record.payload().wall_ms));
                    shown.remove("thread_id");
                    if let Some(parent) = shown.get("parent_message_id").and_then(Value::as_str).and_then(|parent| names.get(parent)) {
                        shown.insert("parent_message_id".to_owned(), parent.as_str().into());
                    }
                    if let Some(there) = there {
                        names.insert(id.to_string(), there.id.clone());
                        shown.insert("record_id".to_owned(), id.to_string().into());
                        shown.insert("id".to_owned(), there.id.into());
                    }
                    show(shown)?;
                }
                if page.len() < PAGE * 4 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn actions(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut found = Vec::new();
        for (scope, _, stored) in self.reader.items(ACTIONS, self.scope)? {
            let Some(entry) = parse(&stored.json) else { continue };
            found.push(action_ops::with_state(self.reader, &RecordId(stored.record), &scope, entry, stored.wall_ms)?);
        }
        found.sort_by(|a, b| (&a.scope, a.created_ms, a.id).cmp(&(&b.scope, b.created_ms, b.id)));
        for action in found {
            let there = action.entry.imported.clone();
            let mut shown = row(&actions::view(action));
            if let Some(there) = there {
                shown.insert("id".to_owned(), there.id.into());
            }
            show(shown)?;
        }
        Ok(())
    }

    fn orchestrators(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        for listed in orchestrators::list(self.reader, self.scope)? {
            let known = listed.registration;
            show(row(&json!({
                "id": listed.id,
                "cluster": known.cluster,
                "machine_id": known.machine_id,
                "repo_url": known.repo_url,
                "hostname": known.hostname,
                "version": known.version,
                "capabilities": known.capabilities,
                "registered": known.registered,
                "registered_at": rfc3339(known.registered_ms),
                "status": known.wish.as_str(),
                "scope": listed.scope,
            })))?;
        }
        Ok(())
    }

    fn agents(&self, show: &mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError> {
        for (scope, name, stored) in self.reader.items(AGENTS, self.scope)? {
            let mut agent: Row = serde_json::from_str(&stored.json).unwrap_or_default();
            agent.insert("name".to_owned(), name.into());
            agent.insert("scope".to_owned(), scope.into());
            show(agent)?;
        }
        Ok(())
    }
}

/// Adds a note of an earlier import.
fn note(shown: &mut Row, document: &TaskRow, field: &str) {
    if let Some(text) = document.text(field) {
        shown.insert(field.to_owned(), text.into());
    }
}

/// States why an export ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Fault(#[from] Fault),
    /// Nobody reads it any more.
    #[error("the reader went away")]
    Gone,
}

/// Writes an envelope in pieces.
struct Envelope {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    text: Vec<u8>,
}

impl Envelope {
    fn push(&mut self, text: &str) -> Result<(), ExportError> {
        self.text.extend_from_slice(text.as_bytes());
        if self.text.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let piece = Bytes::from(std::mem::take(&mut self.text));
        self.pieces.blocking_send(Ok(piece)).map_err(|_| ExportError::Gone)
    }

    /// Writes a list of rows under a name.
    fn list(
        &mut self,
        table: Table,
        rows: impl FnOnce(&mut dyn FnMut(Row) -> Result<(), ExportError>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        self.push(&format!(",\n\"{}\":[", table.as_str()))?;
        let mut first = true;
        rows(&mut |mut row| {
            NOTES.iter().for_each(|note| drop(row.remove(*note)));
            self.push(if std::mem::take(&mut first) { "\n" } else { ",\n" })?;
            self.push(&Value::Object(row).to_string())
        })?;
        self.push("]")
    }

    fn write(mut self, rows: &Rows<'_>) -> Result<(), ExportError> {
        let head = json!({ "kind": "octopoid", "schema_version": VERSION, "tz_offset": "+00:00" });
        self.push(&format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"exported_at\":\"{}\",\"source\":{head}", now()))?;
        self.list(Table::Projects, |show| rows.table(Table::Projects, show))?;
        self.list(Table::Tasks, |show| rows.tasks(|no, row| show(rows.task(no, row)?.0)))?;
        self.list(Table::TaskHistory, |show| rows.tasks(|no, row| rows.task(no, row)?.1.into_iter().try_for_each(&mut *show)))?;
        for table in [Table::Drafts, Table::Messages, Table::Actions, Table::Flows, Table::Roles, Table::Orchestrators, Table::Agents] {
            self.list(table, |show| rows.table(table, show))?;
        }
        self.push(",\n\"files\":{},\"config\":null}\n")?;
        self.flush()
    }
}

/// Exports everything that this node knows, for an import here or elsewhere.
#[utoipa::path(get, path = "/api/admin/export", tag = "admin",
    params(("scope" = Option<String>, Query, description = "One tenant; all by default")),
    responses((status = 200, body = Export), (status = 403, body = ErrorBody)))]
pub(super) async fn export(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    call.caller.must_be_node()?;
    if let Some(scope) = &call.scope {
        crate::ops::name("scope", scope)?;
    }
    let reader = tokio::task::spawn_blocking({
        let app = app.clone();
        move || app.settings.store.reader()
    });
    let reader = reader.await.map_err(|_| Refusal::Defect)??;
    let (pieces, stream) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let envelope = Envelope { pieces: pieces.clone(), text: Vec::with_capacity(PIECE) };
        let rows = Rows { app: &app, reader: &reader, scope: call.scope.as_deref() };
        if let Err(error @ ExportError::Fault(_)) = envelope.write(&rows) {
            tracing::error!(reason = %crate::causes::describe(&error), "an export broke off");
            // Breaks the connection off, so that nobody takes the half for the whole.
            let _ = pieces.blocking_send(Err(io::Error::other(error)));
        }
    });
    let disposition = (header::CONTENT_DISPOSITION, "attachment; filename=\"octopoid-export.json\"");
    Ok(([(header::CONTENT_TYPE, "application/json"), disposition], Body::from_stream(ReceiverStream::new(stream))).into_response())
}
