//! What is to be written, and what is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::blockers::{self, Known, Meant};
use super::cells::{Cells, as_text};
use super::other::{self, ActionPlan, AgentPlan, DraftPlan, FlowPlan, MessagePlan, OrchestratorPlan, ProjectPlan, RolePlan};
use super::queues;
use super::tables::{Row, Skipped, Table, Tables};
use super::task_file::bare;
use super::tasks::{self, Beside, Reading, TaskPlan};
use super::times::Zone;
use crate::store::imported::PastEvent;

/// Everything that one source brings.
#[derive(Debug, Default)]
pub struct Plan {
    /// Which system it comes from.
    pub source: String,
    /// Tasks, in the order of the source.
    pub tasks: Vec<TaskPlan>,
    /// Projects.
    pub projects: Vec<ProjectPlan>,
    /// Drafts.
    pub drafts: Vec<DraftPlan>,
    /// Messages, oldest first.
    pub messages: Vec<MessagePlan>,
    /// Actions, oldest first.
    pub actions: Vec<ActionPlan>,
    /// Flows.
    pub flows: Vec<FlowPlan>,
    /// Roles.
    pub roles: Vec<RolePlan>,
    /// Orchestrators.
    pub orchestrators: Vec<OrchestratorPlan>,
    /// Agents as they were last seen.
    pub agents: Vec<AgentPlan>,
    /// How many rows of each table the source holds.
    pub rows: BTreeMap<Table, u64>,
    /// What is left out.
    pub skipped: Vec<Skipped>,
    /// What is worth telling, one sentence each.
    pub warnings: Vec<String>,
}

/// History by the scope, where rows name one, and the id without `TASK-` of its task; rows keep their number for messages.
type Histories = HashMap<(String, String), Vec<(usize, PastEvent)>>;

impl Plan {
    /// Plans what becomes of every row. `scope` is where rows go that name no tenant; `elsewhere` tells whether a task that the source
    /// lacks is there already.
    #[must_use]
    pub fn of(mut tables: Tables, scope: &str, zone: &Zone, elsewhere: &dyn Fn(&str, &str) -> bool) -> Self {
        let rows = Table::ALL.into_iter().map(|table| (table, tables.count(table))).filter(|(_, count)| *count > 0).collect();
        let mut plan = Self {
            source: tables.source.kind.clone(),
            rows,
            skipped: std::mem::take(&mut tables.unread),
            warnings: std::mem::take(&mut tables.warnings),
            ..Self::default()
        };
        let kind = plan.source.clone();
        let reading = Reading { scope, kind: &kind, zone };
        plan.plan_tasks(&mut tables, &reading, elsewhere);
        let mut take = |table: Table| tables.rows.remove(&table).unwrap_or_default();
        let (skipped, warnings) = (&mut plan.skipped, &mut plan.warnings);
        plan.projects = each(take(Table::Projects), skipped, |row| other::project(row, &reading, warnings));
        plan.drafts = each(take(Table::Drafts), skipped, |row| other::draft(row, &reading, warnings));
        plan.messages = each(take(Table::Messages), skipped, |row| other::message(row, &reading, warnings));
        plan.messages.sort_by_key(|message| message.created_ms);
        plan.actions = each(take(Table::Actions), skipped, |row| other::action(row, &reading, warnings));
        plan.actions.sort_by_key(|action| action.created_ms);
        plan.flows = each(take(Table::Flows), skipped, |row| other::flow(row, &reading, warnings));
        plan.roles = each(take(Table::Roles), skipped, |row| other::role(row, &reading, warnings));
        plan.orchestrators = each(take(Table::Orchestrators), skipped, |row| other::orchestrator(row, &reading, warnings));
        plan.agents = each(take(Table::Agents), skipped, |row| other::agent(row, &reading, warnings));
        plan
    }

    fn plan_tasks(&mut self, tables: &mut Tables, reading: &Reading<'_>, elsewhere: &dyn Fn(&str, &str) -> bool) {
        let mut histories = self.histories(tables.rows.remove(&Table::TaskHistory).unwrap_or_default(), reading);
        let successors = tasks::successors(tables.files.iter().map(|(id, text)| (id.as_str(), text.as_str())));
        let files = self.files(&tables.files);
        let (mut known, mut seen, mut looked_at) = (Known::new(), BTreeSet::new(), BTreeSet::new());
        for row in tables.rows.remove(&Table::Tasks).unwrap_or_default() {
            let text = |column: &str| row.get(column).map(as_text).unwrap_or_default();
            let (id, queue) = (text("id").trim().to_owned(), text("queue"));
            let in_scope = Some(text("scope")).filter(|scope| !scope.is_empty()).unwrap_or_else(|| reading.scope.to_owned());
            let key = (in_scope, bare(&id).to_owned());
            if !seen.insert(key.clone()) {
                self.skipped.push(Skipped::new(Table::Tasks, id, "the source holds the id twice; the first one counts"));
                continue;
            }
            let meant = if queues::has_ended(queue.trim()) { Meant::Ended } else { Meant::Open(id.clone()) };
            let beside = Beside {
                // One file is of one task, whatever tenants have one of its id.
                file: files.get(key.1.as_str()).copied().filter(|(name, _)| !looked_at.contains(name)),
                history: histories.remove(&key).unwrap_or_default().into_iter().map(|(_, event)| event).collect(),
                successor: successors.get(&key.1).cloned(),
            };
            let (events, file) = (beside.history.len(), beside.file);
            looked_at.extend(file.map(|(name, _)| name));
            match tasks::plan(row, beside, reading, &mut self.skipped, &mut self.warnings) {
                Ok(task) => {
                    known.insert(key, meant);
                    self.tasks.push(task);
                }
                Err(skipped) => {
                    let number = |number: usize| format!("{id}, event {}", number + 1);
                    let events = (0..events).map(|at| Skipped::new(Table::TaskHistory, number(at), "its task is skipped"));
                    self.skipped.extend(events);
                    self.skipped.extend(file.map(|(name, _)| Skipped::new(Table::Files, name, "its task is skipped")));
                    self.skipped.push(skipped);
                }
            }
        }
        blockers::settle(&mut self.tasks, &known, elsewhere, &mut self.warnings);
        let mut orphans: Vec<_> = histories.into_iter().collect();
        orphans.sort_unstable_by_key(|(_, events)| events.first().map(|(number, _)| *number));
        for ((_, id), events) in orphans {
            let skip = |(number, _): &(usize, PastEvent)| {
                Skipped::new(Table::TaskHistory, format!("row {}", number + 1), format!("the source has no task '{id}'"))
            };
            self.skipped.extend(events.iter().map(skip));
        }
        let left: Vec<Skipped> = files
            .values()
            .filter(|(name, _)| !looked_at.contains(name))
            .map(|(name, _)| Skipped::new(Table::Files, *name, "the source has no task of this id"))
            .collect();
        self.skipped.extend(left);
    }

    /// Sorts the events of all tasks by task, oldest first.
    fn histories(&mut self, rows: Vec<Row>, reading: &Reading<'_>) -> Histories {
        let mut histories = Histories::new();
        for (number, row) in rows.into_iter().enumerate() {
            let mut cells = Cells::new(Table::TaskHistory, row, reading.zone, &mut self.warnings);
            let (task, event) = (cells.text("task_id"), cells.text("event"));
            let (Some(task), Some(event)) = (task, event) else {
                self.skipped.push(Skipped::new(Table::TaskHistory, format!("row {}", number + 1), "it names no task or no event"));
                continue;
            };
            let scope = cells.text("scope").unwrap_or_else(|| reading.scope.to_owned());
            let (agent, details) = (cells.text("agent"), cells.text("details"));
            let at_ms = cells.time("timestamp").unwrap_or(0);
            let event = PastEvent { event, agent, details, at_ms, node: cells.text("node") };
            histories.entry((scope, bare(task.trim()).to_owned())).or_default().push((number, event));
        }
        for events in histories.values_mut() {
            events.sort_by_key(|(_, event)| event.at_ms);
        }
        histories
    }

    /// Finds files by the id of their task; a second one of the same id is left out.
    fn files<'f>(&mut self, files: &'f [(String, String)]) -> BTreeMap<&'f str, (&'f str, &'f str)> {
        let mut found: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (name, text) in files {
            let id = bare(name.trim().trim_end_matches(".md"));
            match found.entry(id) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert((name.as_str(), text.as_str()))),
                std::collections::btree_map::Entry::Occupied(_) => {
                    self.skipped.push(Skipped::new(Table::Files, name.as_str(), "the source has another file of this task"));
                }
            }
        }
        found
    }
}

/// Plans the rows of a table, and keeps apart what is left out.
fn each<T>(rows: Vec<Row>, skipped: &mut Vec<Skipped>, mut plan: impl FnMut(Row) -> Result<T, Skipped>) -> Vec<T> {
    let mut planned = Vec::with_capacity(rows.len());
    for row in rows {
        match plan(row) {
            Ok(row) => planned.push(row),
            Err(row) => skipped.push(row),
        }
    }
    planned
}
