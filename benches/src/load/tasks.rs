//! The tasks of the load, the same whether they are made over REST or beforehand.
//!
//! **Invariants**: a task follows from its number alone, so that how many a list must find can be told without counting.

use octopoid_crdt::document::Fields;
use serde_json::{Value, json};

/// Priorities, by turns.
const PRIORITIES: [&str; 4] = ["P0", "P1", "P2", "P3"];
/// Roles, by turns; five of them, so that every pair of priority and role occurs.
const ROLES: [&str; 5] = ["implement", "test", "fix", "research", "docs"];
/// The project of one task in [`PROJECT_EVERY`].
pub const PROJECT: &str = "load";
/// How many tasks there are for one of the project.
const PROJECT_EVERY: u64 = 10;
/// How long a body's lines are, with their breaks.
const LINE: usize = 64;

/// The tasks of one run.
#[derive(Debug, Clone, Copy)]
pub struct Tasks {
    /// How many.
    pub count: u64,
    /// How many bytes a body has.
    pub body: usize,
}

/// What lists are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Everything.
    All,
    /// One queue.
    Queue,
    /// One priority.
    Priority,
    /// One role.
    Role,
    /// One project.
    Project,
}

impl Listing {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::All, Self::Queue, Self::Priority, Self::Role, Self::Project];

    /// Returns the operation's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "list",
            Self::Queue => "list by queue",
            Self::Priority => "list by priority",
            Self::Role => "list by role",
            Self::Project => "list by project",
        }
    }

    /// Returns the query's parameter; empty for everything.
    pub fn parameter(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Queue => "&queue=incoming".to_owned(),
            Self::Priority => format!("&priority={}", PRIORITIES[1]),
            Self::Role => format!("&role={}", ROLES[1]),
            Self::Project => format!("&project_id={PROJECT}"),
        }
    }
}

impl Tasks {
    /// Returns a task's id.
    pub fn id(number: u64) -> String {
        format!("load-{number:08}")
    }

    /// Returns how many tasks a list must find while all of them wait.
    pub const fn expected(&self, listing: Listing) -> u64 {
        match listing {
            Listing::All | Listing::Queue => self.count,
            Listing::Priority => turns(self.count, PRIORITIES.len() as u64),
            Listing::Role => turns(self.count, ROLES.len() as u64),
            Listing::Project => turns(self.count, PROJECT_EVERY),
        }
    }

    /// Returns a task's document.
    pub fn fields(&self, number: u64) -> Fields {
        let fields = Fields::default().with("title", title(number)).with("file_path", file_path(number));
        let fields = fields.with("priority", pick(&PRIORITIES, number)).with("role", pick(&ROLES, number));
        let fields = if in_project(number) { fields.with("project_id", PROJECT) } else { fields };
        if self.body == 0 { fields } else { fields.with_content(self.content(number)) }
    }

    /// Returns the body of the request that makes a task.
    pub fn request(&self, number: u64, scope: Option<&str>) -> Value {
        let mut body = json!({
            "id": Self::id(number),
            "file_path": file_path(number),
            "title": title(number),
            "content": self.content(number),
            "priority": pick(&PRIORITIES, number),
            "role": pick(&ROLES, number),
        });
        if in_project(number) {
            body["project_id"] = Value::from(PROJECT);
        }
        if let Some(scope) = scope {
            body["scope"] = Value::from(scope);
        }
        body
    }

    fn content(&self, number: u64) -> String {
        let mut text = String::with_capacity(self.body + LINE);
        while text.len() < self.body {
            let line = format!("{number} {}: what an agent is to do, told in words ", text.len());
            text.extend(line.chars().chain(std::iter::repeat('.')).take(LINE - 1));
            text.push('\n');
        }
        text.truncate(self.body);
        text
    }
}

/// Returns how many of the numbers below `count` leave 1 when they are divided.
const fn turns(count: u64, by: u64) -> u64 {
    (count + by - 2) / by
}

/// Tells whether a task belongs to the project.
const fn in_project(number: u64) -> bool {
    number % PROJECT_EVERY == 1
}

fn pick(values: &[&'static str], number: u64) -> &'static str {
    let turn = usize::try_from(number % values.len() as u64).unwrap_or(0);
    values[turn]
}

fn title(number: u64) -> String {
    format!("Task number {number} of the load")
}

fn file_path(number: u64) -> String {
    format!("tasks/{}.md", Tasks::id(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_expect_as_many_tasks_as_are_made() {
        for count in 1..30 {
            let tasks = Tasks { count, body: 10 };
            let with = |field: &str, value: &str| (0..count).filter(|n| tasks.fields(*n).text(field) == Some(value)).count() as u64;
            assert_eq!(tasks.expected(Listing::Priority), with("priority", PRIORITIES[1]), "{count}");
            assert_eq!(tasks.expected(Listing::Role), with("role", ROLES[1]), "{count}");
            assert_eq!(tasks.expected(Listing::Project), with("project_id", PROJECT), "{count}");
        }
    }

    #[test]
    fn a_body_has_the_length_that_was_asked_for() {
        for body in [0, 1, 63, 64, 65, 500, 2_000] {
            assert_eq!(Tasks { count: 1, body }.content(7).len(), body);
        }
    }

    #[test]
    fn a_task_over_rest_is_that_of_the_store() {
        let tasks = Tasks { count: 9, body: 200 };
        let (fields, request) = (tasks.fields(8), tasks.request(8, None));
        for field in ["title", "file_path", "priority", "role", "project_id"] {
            assert_eq!(request[field].as_str(), fields.text(field), "{field}");
        }
        assert_eq!(tasks.request(1, None)["project_id"].as_str(), tasks.fields(1).text("project_id"));
        assert_eq!(request["content"].as_str(), fields.content.as_deref());
    }
}
