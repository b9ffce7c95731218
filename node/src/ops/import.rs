//! Writes what another system kept, in one commit.
//!
//! **Invariants**: every row of the source is imported, unchanged or skipped, and a skipped one has a reason; a row that cannot be
//! written leaves no trace and keeps no other from being written; what is here already is never changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use octopoid_crdt::document::{Actor, Document, Fields};
use octopoid_crdt::draft::{first_free, numbers};
use octopoid_crdt::ids::{Name, RecordId};

use super::create::{self, NewTask, refuse};
use super::{Refused, admission, drafts, flows, orchestrators, projects, roles};
use crate::migrate::{
    ActionPlan, AgentPlan, DraftPlan, FlowPlan, MessagePlan, OrchestratorPlan, Plan, ProjectPlan, RolePlan, Skipped, Table, TaskPlan,
};
use crate::store::posts::{ACTION_STATES, ACTIONS, Brought, MESSAGES, MessageEntry};
use crate::store::{Unit, WriteFault};

/// The collection of agents that another system knew; history only.
pub const AGENTS: &str = "imported_agents";

/// Who is said to have put imported tasks into their queues.
const BY: &str = "import";

/// How far an import is. Whoever asks sees it from outside.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins anew, with so many steps to do.
    pub fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Notes that a step is done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many of how many steps are done.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// How many rows of a table went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rows of the source.
    pub source: u64,
    /// Rows that were written.
    pub imported: u64,
    /// Rows that are here already.
    pub unchanged: u64,
    /// Rows that were left out.
    pub skipped: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Which system the rows come from.
    pub source: String,
    /// By table.
    pub tables: BTreeMap<Table, Counts>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// What is worth telling.
    pub warnings: Vec<String>,
}

/// States why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportStop {
    /// It was only to be tried.
    #[error("nothing was to be written")]
    DryRun(Box<Report>),
    /// The store failed, or this node may not write.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<WriteFault> for ImportStop {
    fn from(fault: WriteFault) -> Self {
        Self::Refused(fault.into())
    }
}

/// What is here already, as an export would tell it; of tasks those that the source names.
#[derive(Debug, Default)]
pub struct Here {
    /// Everything but tasks.
    pub plan: Plan,
    /// For each task the hashes under which a source would tell the same: of what it brought, of what an export says now.
    pub tasks: HashMap<(String, String), Vec<String>>,
}

/// A task whose document is built, so that the writer does not wait for it.
#[derive(Debug)]
struct Prepared {
    plan: TaskPlan,
    made: Result<NewTask, String>,
}

/// An import that is ready to be written.
#[derive(Debug)]
pub struct Work {
    plan: Plan,
    tasks: Vec<Prepared>,
    here: Here,
}

impl Work {
    /// Builds the documents of tasks; `project_known` tells whether a project that the source lacks is there.
    #[must_use]
    pub fn prepare(mut plan: Plan, here: Here, actor: Actor, project_known: impl Fn(&str, &str) -> bool, progress: &Progress) -> Self {
        let rows = plan.tasks.len() + plan.projects.len() + plan.drafts.len() + plan.messages.len() + plan.actions.len();
        progress.begin((rows + plan.tasks.len()) as u64);
        let mut tasks = Vec::with_capacity(plan.tasks.len());
        for mut task in std::mem::take(&mut plan.tasks) {
            let is_there = here.tasks.contains_key(&(task.scope.clone(), task.id.to_string()));
            if let Some(project) = task.fields.text("project_id").map(str::to_owned) {
                let comes_along = plan.projects.iter().any(|known| known.scope.as_str() == task.scope && known.id.as_str() == project);
                if !is_there && !comes_along && !project_known(&task.scope, &project) {
                    plan.warnings.push(format!("tasks '{}': its project '{project}' is not known and was left out", task.id));
                    task.fields.scalars.remove("project_id");
                }
            }
            let made = if is_there { Err(String::new()) } else { build(&task, actor) };
            progress.step();
            tasks.push(Prepared { plan: task, made });
        }
        Self { plan, tasks, here }
    }
}

fn build(task: &TaskPlan, actor: Actor) -> Result<NewTask, String> {
    let blocked = |fields: Fields, id: &String| fields.with_entry("blocked_by", id);
    let fields = task.blocked_by.iter().fold(task.fields.clone(), blocked);
    let scope: Name = task.scope.parse().map_err(|error: octopoid_crdt::ids::IdError| error.to_string())?;
    let imported = serde_json::to_string(&task.imported).map_err(|error| error.to_string())?;
    let made = NewTask::new(actor, scope, task.id.clone(), task.queue.clone(), BY.to_owned(), &fields);
    Ok(made.map_err(|refused| refused.to_string())?.imported(imported))
}

/// What became of one row.
enum Outcome {
    Imported,
    Unchanged,
    Skipped(String),
}

/// States why one row was not written.
enum RowError {
    /// The row is at fault.
    Row(String),
    /// Nothing can be written.
    Stop(Refused),
}

impl From<WriteFault> for RowError {
    fn from(fault: WriteFault) -> Self {
        Refused::from(fault).into()
    }
}

impl From<Refused> for RowError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Field { .. } | Refused::Exists { .. } => Self::Row(refused.to_string()),
            // A node that may not write, or a store that fails, fails for every row.
            Refused::Store(_)
            | Refused::Transition { .. }
            | Refused::NotFound { .. }
            | Refused::Ambiguous { .. }
            | Refused::Version { .. }
            | Refused::Precondition { .. } => Self::Stop(refused),
        }
    }
}

/// Writes an import on a unit of work.
///
/// # Errors
/// When this node may not write or the store fails, and at the end of a dry run: nothing of it stays then.
pub fn run(unit: &mut Unit<'_>, work: Work, dry_run: bool, progress: &Progress) -> Result<Report, ImportStop> {
    let Work { mut plan, tasks, here } = work;
    let mut writer = Writing::new(unit, &mut plan, here, progress);
    // Tasks name flows and projects, messages name tasks.
    for flow in std::mem::take(&mut plan.flows) {
        writer.row(Table::Flows, flow.name.as_str(), |unit, here| write_flow(unit, here, &flow))?;
    }
    for role in std::mem::take(&mut plan.roles) {
        writer.row(Table::Roles, &role.name, |unit, here| write_role(unit, here, &role))?;
    }
    for project in std::mem::take(&mut plan.projects) {
        progress.step();
        writer.row(Table::Projects, project.id.as_str(), |unit, here| write_project(unit, here, &project))?;
    }
    for task in tasks {
        progress.step();
        writer.task(task)?;
    }
    for draft in std::mem::take(&mut plan.drafts) {
        progress.step();
        writer.draft(draft)?;
    }
    writer.messages(std::mem::take(&mut plan.messages))?;
    for action in std::mem::take(&mut plan.actions) {
        progress.step();
        writer.row(Table::Actions, &action.id, |unit, here| write_action(unit, here, &action))?;
    }
    for orchestrator in std::mem::take(&mut plan.orchestrators) {
        writer.row(Table::Orchestrators, &orchestrator.id, |unit, here| write_orchestrator(unit, here, &orchestrator))?;
    }
    for agent in std::mem::take(&mut plan.agents) {
        writer.row(Table::Agents, &agent.name, |unit, here| write_agent(unit, here, &agent))?;
    }
    let report = writer.finish();
    if dry_run { Err(ImportStop::DryRun(Box::new(report))) } else { Ok(report) }
}

struct Writing<'u, 'w> {
    unit: &'u mut Unit<'w>,
    here: Here,
    report: Report,
    progress: &'u Progress,
}

impl<'u, 'w> Writing<'u, 'w> {
    fn new(unit: &'u mut Unit<'w>, plan: &mut Plan, here: Here, progress: &'u Progress) -> Self {
        let mut tables: BTreeMap<Table, Counts> =
            plan.rows.iter().map(|(table, source)| (*table, Counts { source: *source, ..Counts::default() })).collect();
        for row in &plan.skipped {
            tables.entry(row.table).or_default().skipped += 1;
        }
        let report = Report {
            source: std::mem::take(&mut plan.source),
            tables,
            skipped: std::mem::take(&mut plan.skipped),
            warnings: std::mem::take(&mut plan.warnings),
        };
        Self { unit, here, report, progress }
    }

    /// Writes one row, or takes back what was written of it.
    fn row(
        &mut self,
        table: Table,
        id: &str,
        write: impl FnOnce(&mut Unit<'_>, &Here) -> Result<Outcome, RowError>,
    ) -> Result<(), ImportStop> {
        let here = &self.here;
        let outcome = match self.unit.attempt(|unit| write(unit, here)) {
            Ok(outcome) => outcome,
            Err(RowError::Row(why)) => Outcome::Skipped(why),
            Err(RowError::Stop(refused)) => return Err(refused.into()),
        };
        self.count(table, id, outcome, 1);
        Ok(())
    }

    fn count(&mut self, table: Table, id: &str, outcome: Outcome, rows: u64) {
        let counts = self.report.tables.entry(table).or_default();
        match outcome {
            Outcome::Imported => counts.imported += rows,
            Outcome::Unchanged => counts.unchanged += rows,
            Outcome::Skipped(reason) => {
                counts.skipped += rows;
                let name = |number: u64| if rows == 1 { id.to_owned() } else { format!("{id}, {number} of {rows}") };
                self.report.skipped.extend((1..=rows).map(|number| Skipped { table, id: name(number), reason: reason.clone() }));
            }
        }
    }

    /// Writes a task; its history and file go where it goes.
    fn task(&mut self, task: Prepared) -> Result<(), ImportStop> {
        let Prepared { plan, made } = task;
        let at = (plan.scope.clone(), plan.id.to_string());
        let known = self.here.tasks.get(&at);
        let same = known.is_some_and(|hashes| hashes.contains(&plan.imported.hash));
        let write = |unit: &mut Unit<'_>| -> Result<Outcome, RowError> {
            if let Some(no) = unit.find(&at.0, &at.1)?
                && unit.row(no)?.listed
            {
                let why = "a task of this id is here and differs: delete it here to import it anew";
                return Ok(if same { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
            }
            let made =
                made.map_err(|why| RowError::Row(if why.is_empty() { "it was deleted meanwhile: try again".to_owned() } else { why }))?;
            let flow = plan.fields.text("flow").unwrap_or(flows::DEFAULT);
            admission::queue_of_flow(unit, &plan.scope, flow, &plan.queue)?;
            create::make(unit, made)?;
            Ok(Outcome::Imported)
        };
        let outcome = match self.unit.attempt(write) {
            Ok(outcome) => outcome,
            Err(RowError::Row(why)) => Outcome::Skipped(why),
            Err(RowError::Stop(refused)) => return Err(refused.into()),
        };
        let along = |outcome: &Outcome| match outcome {
            Outcome::Imported => Outcome::Imported,
            Outcome::Unchanged => Outcome::Unchanged,
            Outcome::Skipped(_) => Outcome::Skipped("its task is skipped".to_owned()),
        };
        if plan.history_rows > 0 {
            self.count(Table::TaskHistory, &at.1, along(&outcome), plan.history_rows);
        }
        if let Some(file) = &plan.file {
            self.count(Table::Files, file, along(&outcome), 1);
        }
        self.count(Table::Tasks, &at.1, outcome, 1);
        Ok(())
    }

    /// Writes a draft, under its own number where that is free.
    fn draft(&mut self, draft: DraftPlan) -> Result<(), ImportStop> {
        let mut given = None;
        self.row(Table::Drafts, &draft.id, |unit, here| {
            let in_scope = |known: &&DraftPlan| known.scope == draft.scope;
            let same_name = |known: &&DraftPlan| known.fields.text(drafts::IMPORTED_ID).unwrap_or(&known.id) == draft.id;
            let was_imported = |known: &&DraftPlan| known.fields.text(drafts::IMPORTED_HASH).is_some();
            let mut known = here.plan.drafts.iter().filter(in_scope).filter(same_name).peekable();
            let is_same =
                |known: &DraftPlan| known.hash == draft.hash || known.fields.text(drafts::IMPORTED_HASH) == Some(draft.hash.as_str());
            if known.peek().is_some() {
                let found: Vec<&DraftPlan> = known.collect();
                if found.iter().any(|known| is_same(known)) {
                    return Ok(Outcome::Unchanged);
                }
                if found.iter().any(was_imported) {
                    return Ok(Outcome::Skipped("it was imported before and differs now: delete it here to import it anew".to_owned()));
                }
            }
            let (number, wanted) = (free_number(unit, &draft)?, draft.number());
            let mut fields = draft.fields.clone().with(drafts::IMPORTED_HASH, draft.hash.as_str());
            if wanted != Some(number) && fields.text(drafts::IMPORTED_ID).is_none() {
                fields = fields.with(drafts::IMPORTED_ID, draft.id.as_str());
                given = Some(number);
            }
            let (document, change) = Document::create(unit.actor(), &fields).map_err(refuse)?;
            unit.create_document((drafts::COLLECTION, &draft.scope, &number.to_string()), document, change)?;
            Ok(Outcome::Imported)
        })?;
        if let Some(number) = given {
            self.report.warnings.push(format!("drafts '{}': it is draft {number} here", draft.id));
        }
        Ok(())
    }

    /// Writes messages, each after the one that it answers.
    fn messages(&mut self, messages: Vec<MessagePlan>) -> Result<(), ImportStop> {
        let mut records: HashMap<(String, String), RecordId> = HashMap::new();
        let mut here = HashMap::new();
        for known in std::mem::take(&mut self.here.plan.messages) {
            let at = (known.scope.to_string(), known.id.clone());
            if let Ok(id) = known.record_id().parse() {
                records.insert(at.clone(), id);
            }
            here.insert(at, known);
        }
        for message in messages {
            self.progress.step();
            let mut written = None;
            self.row(Table::Messages, &message.id, |unit, _| {
                if let Some(known) = here.get(&(message.scope.to_string(), message.id.clone())) {
                    let why = "a message of this id is here and differs";
                    return Ok(if known.says_the_same(&message) { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
                }
                written = Some(write_message(unit, &message, &records)?);
                Ok(Outcome::Imported)
            })?;
            if let Some(record) = written {
                records.insert((message.scope.to_string(), message.id), record);
            }
        }
        Ok(())
    }

    fn finish(self) -> Report {
        self.report
    }
}

fn write_message(unit: &mut Unit<'_>, message: &MessagePlan, records: &HashMap<(String, String), RecordId>) -> Result<RecordId, RowError> {
    let id = crate::migrate::task_file::bare(&message.task_id).to_owned();
    let mut task = None;
    for id in [message.task_id.clone(), id] {
        if task.is_none()
            && let Some(no) = unit.find(message.scope.as_str(), &id)?
            && unit.row(no)?.listed
        {
            task = Some(super::name("task_id", &id)?);
        }
    }
    let task = task.ok_or_else(|| RowError::Row(format!("no task '{}' is here", message.task_id)))?;
    let parent = message.parent.as_ref().map(|parent| {
        let found = records.get(&(message.scope.to_string(), parent.clone())).copied();
        found.ok_or_else(|| RowError::Row(format!("the message '{parent}' that it answers is not here")))
    });
    let parent = parent.transpose()?;
    let mut entry = MessageEntry {
        task_id: task.to_string(),
        from_actor: message.from_actor.clone(),
        to_actor: message.to_actor.clone(),
        kind: message.kind.clone(),
        content: message.content.clone(),
        parent_message_id: None,
        thread_id: None,
        imported: Some(Brought { id: message.id.clone(), created_ms: message.created_ms }),
    };
    if let Some(parent) = parent {
        let other_task = || RowError::Row("it answers a message of another task".to_owned());
        let answered = unit.message(&message.scope, &task, &parent)?.ok_or_else(other_task)?;
        entry.parent_message_id = Some(parent.to_string());
        entry.thread_id = Some(answered.thread_id.unwrap_or_else(|| parent.to_string()));
    }
    let json = serde_json::to_string(&entry).map_err(|error| RowError::Row(error.to_string()))?;
    Ok(unit.append(MESSAGES, &message.scope, task.as_str(), json, parent)?)
}

/// Returns the draft's own number where it is free, else this node's next one.
fn free_number(unit: &mut Unit<'_>, draft: &DraftPlan) -> Result<u64, RowError> {
    let scope = draft.scope.as_str();
    if let Some(number) = draft.number()
        && unit.find_document(drafts::COLLECTION, scope, &number.to_string())?.is_none()
    {
        return Ok(number);
    }
    let own = numbers(&unit.me(), unit.membership()?.creator());
    let free = first_free(own, |id| unit.find_document(drafts::COLLECTION, scope, &id.to_string()).map(|no| no.is_some()))?;
    free.ok_or_else(|| RowError::Row("this node has given all of its draft numbers in the scope".to_owned()))
}

fn write_project(unit: &mut Unit<'_>, here: &Here, project: &ProjectPlan) -> Result<Outcome, RowError> {
    let known = here.plan.projects.iter().find(|known| known.scope == project.scope && known.id == project.id);
    if let Some(known) = known {
        let same = known.hash == project.hash || known.fields.text(projects::IMPORTED_HASH) == Some(project.hash.as_str());
        let why = "a project of this id is here and differs: delete it here to import it anew";
        return Ok(if same { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
    }
    if projects::find(unit, project.scope.as_str(), project.id.as_str())?.is_some() {
        return Ok(Outcome::Skipped("a project of this id came meanwhile".to_owned()));
    }
    let fields = project.fields.clone().with(projects::IMPORTED_HASH, project.hash.as_str());
    let (document, change) = Document::create(unit.actor(), &fields).map_err(refuse)?;
    unit.create_document((projects::COLLECTION, &project.scope, project.id.as_str()), document, change)?;
    Ok(Outcome::Imported)
}

fn write_action(unit: &mut Unit<'_>, here: &Here, action: &ActionPlan) -> Result<Outcome, RowError> {
    if let Some(known) = here.plan.actions.iter().find(|known| known.scope == action.scope && known.id == action.id) {
        let why = "an action of this id is here and differs";
        return Ok(if known == action { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
    }
    let json = |value: serde_json::Result<String>| value.map_err(|error| RowError::Row(error.to_string()));
    let about = format!("{}/{}", action.entry.entity_type, action.entry.entity_id);
    let id = unit.append(ACTIONS, &action.scope, &about, json(serde_json::to_string(&action.entry))?, None)?;
    if let Some(state) = &action.state {
        unit.put(ACTION_STATES, &action.scope, &id.to_string(), Some(json(serde_json::to_string(state))?))?;
    }
    Ok(Outcome::Imported)
}

/// Writes an entry that has one value by its name, unless one is here.
fn put<T: PartialEq + serde::Serialize>(
    unit: &mut Unit<'_>,
    (collection, scope, key): (&str, &Name, &str),
    here: Option<&T>,
    value: &T,
) -> Result<Outcome, RowError> {
    if let Some(known) = here {
        let why = "one of this name is here and differs";
        return Ok(if known == value { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
    }
    if unit.item(collection, scope.as_str(), key)?.is_some() {
        return Ok(Outcome::Skipped("one of this name came meanwhile".to_owned()));
    }
    let json = serde_json::to_string(value).map_err(|error| RowError::Row(error.to_string()))?;
    unit.put(collection, scope, key, Some(json))?;
    Ok(Outcome::Imported)
}

fn write_flow(unit: &mut Unit<'_>, here: &Here, flow: &FlowPlan) -> Result<Outcome, RowError> {
    let known = here.plan.flows.iter().find(|known| known.scope == flow.scope && known.name == flow.name);
    put(unit, (flows::COLLECTION, &flow.scope, flow.name.as_str()), known.map(|known| &known.stored), &flow.stored)
}

fn write_role(unit: &mut Unit<'_>, here: &Here, role: &RolePlan) -> Result<Outcome, RowError> {
    let known = here.plan.roles.iter().find(|known| known.scope == role.scope && known.name == role.name);
    put(unit, (roles::COLLECTION, &role.scope, &role.name), known.map(|known| &known.stored), &role.stored)
}

fn write_orchestrator(unit: &mut Unit<'_>, here: &Here, plan: &OrchestratorPlan) -> Result<Outcome, RowError> {
    let known = here.plan.orchestrators.iter().find(|known| known.scope == plan.scope && known.id == plan.id);
    put(unit, (orchestrators::COLLECTION, &plan.scope, &plan.id), known.map(|known| &known.registration), &plan.registration)
}

fn write_agent(unit: &mut Unit<'_>, here: &Here, agent: &AgentPlan) -> Result<Outcome, RowError> {
    let known = here.plan.agents.iter().find(|known| known.scope == agent.scope && known.name == agent.name);
    if let Some(known) = known {
        let why = "an agent of this name was imported before and differs now";
        return Ok(if known.json == agent.json { Outcome::Unchanged } else { Outcome::Skipped(why.to_owned()) });
    }
    unit.put(AGENTS, &agent.scope, &agent.name, Some(agent.json.clone()))?;
    Ok(Outcome::Imported)
}
