//! Takes in what another system kept.
//!
//! **Invariants**: one import runs at a time; what cannot be read changes nothing; the whole is one commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use octopoid_client::{ErrorBody, ImportCounts, ImportProgress, ImportReport, SkippedRow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Caller;
use super::app::App;
use super::export::{ExportError, Rows};
use super::input::{Call, read_up_to};
use super::params::Params;
use super::refusal::Refusal;
use crate::migrate::{self, Plan, Table, Tables, Zone};
use crate::ops::import::{self as writing, Here, ImportStop, Progress, Report, Work};
use crate::ops::projects;
use crate::store::{Fault, Reader, Unit};

/// The largest body of an import.
const BODY: usize = 64 << 20;
/// How long it may take to arrive.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

/// What an import is asked to do.
struct Asked {
    scope: String,
    zone: Option<Zone>,
    dry_run: bool,
}

/// The import that runs, if one does, and how far it is.
#[derive(Debug)]
pub(super) struct Imports {
    /// Whoever imports holds the one permit. To look whether one runs takes none, so a look keeps nobody from beginning.
    place: Arc<Semaphore>,
    progress: Progress,
}

impl Default for Imports {
    fn default() -> Self {
        Self { place: Arc::new(Semaphore::new(1)), progress: Progress::default() }
    }
}

impl Imports {
    fn begin(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let running = || Refusal::Conflict("an import is running: wait until it has ended".to_owned());
        let place = self.place.clone().try_acquire_owned().map_err(|_| running())?;
        // Until its rows are counted it is not as far as the one before came.
        self.progress.begin(0);
        Ok(place)
    }

    fn runs(&self) -> bool {
        self.place.available_permits() == 0
    }
}

/// Takes in what another system, or another node, kept: in the shapes of `docs/migration.md`, as a whole or not at all.
#[utoipa::path(post, path = "/api/admin/import", tag = "admin",
    request_body(content = serde_json::Value, description = "An export, an object of tables, a list of tasks, a page of tasks, or JSON lines; 64 MiB at most"),
    params(("dry_run" = Option<bool>, Query, description = "Only tells what would be done"),
        ("tz" = Option<String>, Query, description = "The zone of times that name none: a name, an offset or UTC; what the source says, else this machine's, by default"),
        ("scope" = Option<String>, Query, description = "Where rows go that name no tenant")),
    responses((status = 200, body = ImportReport), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 413, body = ErrorBody)))]
pub(super) async fn import(State(app): State<App>, params: Params, request: Request) -> Result<Json<ImportReport>, Refusal> {
    let caller = request.extensions().get::<Caller>().cloned().ok_or(Refusal::Defect)?;
    caller.must_be_node()?;
    let zone = params.text("tz")?.map(|text| text.parse()).transpose();
    let zone = zone.map_err(|error: migrate::ZoneError| Refusal::field("tz", error.to_string()))?;
    let scope = caller.scope(&app, params.text("scope")?.as_deref())?;
    let asked = Asked { scope, zone, dry_run: params.flag("dry_run")?.unwrap_or(false) };
    // Tasks that are finished there would have to be finished here, which only the authority can.
    if let Some(authority) = app.other_authority() {
        let name = app.node_name(&authority);
        return Err(Refusal::Conflict(format!("'{name}' is the cluster's authority: import on that node, which decides what is finished")));
    }
    check_type(request.headers())?;
    let running = app.import.begin()?;
    let (parts, body) = request.into_parts();
    let bytes = read_up_to(&parts.headers, body, BODY, PATIENCE).await?;
    // What is begun goes on when the caller leaves, and no other import begins before it has ended.
    let carried_out = tokio::spawn(async move {
        let _running = running;
        carry_out(&app, bytes, asked).await
    });
    carried_out.await.map_err(|_| Refusal::Defect)?.map(Json)
}

async fn carry_out(app: &App, bytes: Bytes, asked: Asked) -> Result<ImportReport, Refusal> {
    let dry_run = asked.dry_run;
    let prepare = app.clone();
    let work = tokio::task::spawn_blocking(move || prepared(&prepare, &bytes, &asked)).await.map_err(|_| Refusal::Defect)??;
    let progress = app.clone();
    let write = move |unit: &mut Unit<'_>| writing::run(unit, work, dry_run, &progress.import.progress);
    match app.settings.store.write(write).await? {
        Ok(report) => Ok(shown(report, dry_run)),
        Err(ImportStop::DryRun(report)) => Ok(shown(*report, dry_run)),
        Err(ImportStop::Refused(refused)) => Err(refused.into()),
    }
}

/// Tells how far the import is that runs.
#[utoipa::path(get, path = "/api/admin/import", tag = "admin", responses((status = 200, body = ImportProgress), (status = 403, body = ErrorBody)))]
pub(super) async fn import_progress(State(app): State<App>, call: Call) -> Result<Json<ImportProgress>, Refusal> {
    call.caller.must_be_node()?;
    let (done, total) = app.import.progress.read();
    Ok(Json(ImportProgress { running: app.import.runs(), done, total }))
}

/// Lets JSON and JSON lines through, and what names no type.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = kind.to_str().ok().map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let known = ["application/json", "application/x-ndjson", "application/jsonl", "application/json-lines"];
    if essence.is_some_and(|kind| known.contains(&kind.as_str()) || (kind.starts_with("application/") && kind.ends_with("+json"))) {
        Ok(())
    } else {
        Err(Refusal::MediaType)
    }
}

/// Reads a body, plans what becomes of it, and builds its documents.
fn prepared(app: &App, bytes: &[u8], asked: &Asked) -> Result<Work, Refusal> {
    let tables = migrate::read(bytes).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let there = tables.source.tz_offset.as_deref().and_then(|offset| offset.parse().ok());
    let zone = asked.zone.clone().or(there).unwrap_or_else(Zone::of_this_machine);
    let reader = app.settings.store.reader()?;
    let is_task = |scope: &str, id: &str| matches!(listed(&reader, scope, id), Ok(Some(_)));
    let plan = Plan::of(tables, &asked.scope, &zone, &is_task);
    let here = here(app, &reader, &plan)?;
    let is_project = |scope: &str, id: &str| matches!(projects::get(&reader, scope, id), Ok(Some(_)));
    Ok(Work::prepare(plan, here, app.settings.store.actor(), is_project, &app.import.progress))
}

fn listed(reader: &Reader, scope: &str, id: &str) -> Result<Option<(u64, crate::store::TaskRow)>, Fault> {
    let Some(no) = reader.task_no(scope, id)? else { return Ok(None) };
    Ok(reader.row(no)?.filter(|row| row.listed).map(|row| (no, row)))
}

/// Reads what is here already of what the source names, as an export would tell it.
fn here(app: &App, reader: &Reader, plan: &Plan) -> Result<Here, Refusal> {
    let rows = Rows { app, reader, scope: None };
    let mut tables = Tables::default();
    let wanted = [
        (Table::Projects, plan.projects.is_empty()),
        (Table::Drafts, plan.drafts.is_empty()),
        (Table::Messages, plan.messages.is_empty()),
        (Table::Actions, plan.actions.is_empty()),
        (Table::Flows, plan.flows.is_empty()),
        (Table::Roles, plan.roles.is_empty()),
        (Table::Orchestrators, plan.orchestrators.is_empty()),
        (Table::Agents, plan.agents.is_empty()),
    ];
    for (table, _) in wanted.into_iter().filter(|(_, nothing)| !nothing) {
        let found = tables.rows.entry(table).or_default();
        let mut take = |row| {
            found.push(row);
            Ok(())
        };
        match rows.table(table, &mut take) {
            Ok(()) | Err(ExportError::Gone) => {}
            Err(ExportError::Fault(fault)) => return Err(fault.into()),
        }
    }
    let own = app.settings.scope.as_str();
    let mut tasks = HashMap::new();
    for task in &plan.tasks {
        let Some((no, row)) = listed(reader, &task.scope, task.id.as_str())? else { continue };
        let (shown, history, brought) = rows.task(no, &row)?;
        let rows = BTreeMap::from([(Table::Tasks, vec![shown]), (Table::TaskHistory, history)]);
        let told = Plan::of(Tables { rows, ..Tables::default() }, own, &Zone::UTC, &|_, _| true);
        let hashes = told.tasks.into_iter().map(|task| task.imported.hash).chain(brought);
        tasks.insert((task.scope.clone(), task.id.to_string()), hashes.collect());
    }
    Ok(Here { plan: Plan::of(tables, own, &Zone::UTC, &|_, _| true), tasks })
}

fn shown(report: Report, dry_run: bool) -> ImportReport {
    let counts = |counts: writing::Counts| ImportCounts {
        source: counts.source,
        imported: counts.imported,
        unchanged: counts.unchanged,
        skipped: counts.skipped,
    };
    let skipped = |row: migrate::Skipped| SkippedRow { table: row.table.as_str().to_owned(), id: row.id, reason: row.reason };
    ImportReport {
        dry_run,
        source: report.source,
        tables: report.tables.into_iter().map(|(table, found)| (table.as_str().to_owned(), counts(found))).collect(),
        skipped: report.skipped.into_iter().map(skipped).collect(),
        warnings: report.warnings,
    }
}
