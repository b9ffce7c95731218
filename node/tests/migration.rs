//! Folders of version 1: a database whose log is not checkpointed, task files with late keys, agents in every shape.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use octopoid_node::migrate::{Plan, Table, Tables, TaskPlan, Zone, agents, folder};
use rusqlite::Connection;

/// A folder of version 1 in a project of its own.
struct Old {
    project: tempfile::TempDir,
}

/// The tables of version 12 of the database, as far as they are read.
const TABLES: &str = "
    CREATE TABLE schema_info (version INTEGER, applied_at TEXT);
    CREATE TABLE tasks (id TEXT PRIMARY KEY, file_path TEXT, queue TEXT, priority TEXT, complexity TEXT, role TEXT, branch TEXT, blocked_by TEXT,
        claimed_by TEXT, claimed_at TEXT, commits_count INTEGER, turns_used INTEGER, attempt_count INTEGER, has_plan INTEGER, plan_id TEXT,
        project_id TEXT, auto_accept INTEGER, rejection_count INTEGER, pr_number INTEGER, pr_url TEXT, checks TEXT, check_results TEXT,
        needs_rebase INTEGER, last_rebase_attempt_at TEXT, staging_url TEXT, submitted_at TEXT, completed_at TEXT, created_at TEXT, updated_at TEXT);
    CREATE TABLE projects (id TEXT, title TEXT, description TEXT, status TEXT, branch TEXT, base_branch TEXT, auto_accept INTEGER, created_at TEXT, created_by TEXT, completed_at TEXT);
    CREATE TABLE agents (name TEXT, role TEXT, running INTEGER, pid INTEGER, current_task_id TEXT, last_run_start TEXT, last_run_end TEXT);
    CREATE TABLE task_history (id INTEGER PRIMARY KEY, task_id TEXT, event TEXT, agent TEXT, details TEXT, timestamp TEXT);
    CREATE TABLE drafts (id TEXT, title TEXT, status TEXT, author TEXT, domain TEXT, file_path TEXT, created_at TEXT, updated_at TEXT, linked_task_id TEXT, linked_project_id TEXT, tags TEXT);
    CREATE TABLE locks (name TEXT);
";

impl Old {
    fn new() -> Self {
        let old = Self { project: tempfile::tempdir().expect("a folder") };
        fs::create_dir_all(old.folder().join("shared/queue")).expect("a folder");
        old
    }

    fn folder(&self) -> PathBuf {
        self.project.path().join(".orchestrator")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("written");
        path
    }

    /// Opens the database as version 1 does, and leaves its log as it is while the connection lives.
    fn database(&self) -> Connection {
        let connection = Connection::open(self.folder().join("state.db")).expect("a database");
        connection.pragma_update(None, "journal_mode", "wal").expect("WAL");
        connection.pragma_update(None, "wal_autocheckpoint", 0).expect("no checkpoints");
        connection.execute_batch(TABLES).expect("tables");
        connection.execute("INSERT INTO schema_info VALUES (12, '2025-01-01 00:00:00')", []).expect("a version");
        connection
    }

    fn read(&self) -> Tables {
        folder::read(&self.folder(), &mut |_, _| {}).unwrap_or_else(|error| panic!("{}", octopoid_node::causes::describe(&error)))
    }

    fn plan(&self) -> Plan {
        Plan::of(self.read(), "default", &Zone::UTC, &|_, _| false)
    }
}

/// Everything below a folder: names, sizes, times and content.
fn contents(folder: &Path) -> Vec<(PathBuf, SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let changed = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
            if path.is_dir() { waiting.push(path) } else { found.push((path.clone(), changed, fs::read(&path).expect("a file"))) }
        }
    }
    found.sort();
    found
}

fn task<'p>(plan: &'p Plan, id: &str) -> &'p TaskPlan {
    plan.tasks.iter().find(|task| task.id.as_str() == id).unwrap_or_else(|| panic!("{id} is not in {:?}", plan.skipped))
}

const FILE: &str = "# [TASK-9f3a] Add login\n\nROLE: implementer\nCREATED: 2025-01-01T09:00:00Z\nCREATED_BY: human\n\n## Context\r\nDo it.\n\nCLAIMED_BY: impl-1\nWIP_BRANCH: agent/9f3a\n";

#[test]
fn a_database_with_a_log_that_is_not_checkpointed_is_read_and_stays_as_it_is() {
    let old = Old::new();
    old.write("shared/queue/claimed/TASK-9f3a.md", FILE);
    let connection = old.database();
    let insert = "INSERT INTO tasks (id, file_path, queue, priority, role, branch, claimed_by, claimed_at, attempt_count, auto_accept, created_at)
        VALUES ('9f3a', 'shared/queue/claimed/TASK-9f3a.md', 'claimed', 'P1', 'implementer', 'main', 'impl-1', '2025-01-02T10:00:00', 2, 1, '2025-01-01 09:00:00')";
    connection.execute(insert, []).expect("a task");
    connection
        .execute(
            "INSERT INTO task_history (task_id, event, agent, timestamp) VALUES ('TASK-9f3a', 'created', 'human', '2025-01-01 09:00:00')",
            [],
        )
        .expect("an event");
    connection
        .execute("INSERT INTO agents VALUES ('impl-1', 'implementer', 1, 4711, '9f3a', '2025-01-02 10:00:00', NULL)", [])
        .expect("an agent");
    assert!(fs::metadata(old.folder().join("state.db-wal")).expect("a log").len() > 10_000, "what was written is in the log alone");
    let before = contents(&old.folder());
    let tables = old.read();
    assert_eq!(contents(&old.folder()), before, "nothing in the folder changed");
    assert_eq!((tables.source.kind.as_str(), tables.source.schema_version), ("octopoid-v1", Some(12)));
    assert_eq!(
        (tables.count(Table::Tasks), tables.count(Table::TaskHistory), tables.count(Table::Agents), tables.count(Table::Files)),
        (1, 1, 1, 1)
    );
    let plan = old.plan();
    let found = task(&plan, "9f3a");
    assert_eq!(found.fields.content.as_deref(), Some(FILE), "the file is the body, byte for byte");
    assert_eq!((found.fields.text("title"), found.fields.text("role")), (Some("Add login"), Some("implement")));
    assert_eq!((found.fields.text("created_by"), found.fields.flag("auto_accept")), (Some("human"), true));
    assert_eq!((found.queue.as_str(), found.imported.attempt_count, found.history_rows), ("incoming", 2, 1));
    assert!(!plan.agents[0].json.contains("4711") && !plan.agents[0].json.contains("running"), "{}", plan.agents[0].json);
    assert_eq!(plan.skipped, []);
}

#[test]
fn a_database_may_lack_every_column_but_the_id() {
    let old = Old::new();
    let connection = Connection::open(old.folder().join("state.db")).expect("a database");
    connection
        .execute_batch(
            "CREATE TABLE tasks (id TEXT, later_column BLOB); INSERT INTO tasks VALUES ('a', x'6f6b'), ('b', x'ff'), (NULL, NULL);",
        )
        .expect("tables");
    drop(connection);
    let plan = old.plan();
    assert_eq!((plan.tasks.len(), plan.rows[&Table::Tasks]), (1, 3));
    assert_eq!(task(&plan, "a").imported.extra["later_column"], "ok", "what has no place here is kept");
    let reasons: Vec<&str> = plan.skipped.iter().map(|row| row.reason.as_str()).collect();
    assert!(
        reasons.iter().any(|reason| reason.contains("later_column")) && reasons.iter().any(|reason| reason.contains("id")),
        "{reasons:?}"
    );
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_not_an_empty_one() {
    let old = Old::new();
    old.write("state.db", "this is no database, whatever its name says, and long enough to look at. ".repeat(20));
    let error = folder::read(&old.folder(), &mut |_, _| {}).expect_err("no database");
    assert!(octopoid_node::causes::describe(&error).contains("state.db"), "{error}");
    let nothing = tempfile::tempdir().expect("a folder");
    assert!(matches!(folder::read(nothing.path(), &mut |_, _| {}), Err(folder::FolderError::Unknown(_))));
}

#[test]
fn without_a_database_the_folders_say_where_tasks_stand() {
    let old = Old::new();
    old.write("shared/queue/incoming/TASK-a1.md", "# [TASK-a1] One\nROLE: tester\nPRIORITY: P0\nBLOCKED_BY: TASK-b2\n");
    old.write(
        "shared/queue/done/TASK-b2.md",
        "# [TASK-b2] Two\nCOMPLETED_AT: 2025-01-01T10:00:00Z\nACCEPTED_BY: rev\nACCEPTED_AT: 2025-01-01T10:00:00Z\n",
    );
    old.write(
        "shared/queue/rejected/gh-10-fix.md",
        "# [gh-10-fix] Three\nREJECTION_REASON: old\nREJECTION_REASON: too vague\nREJECTED_AT: 2025-01-02T10:00:00Z\nREJECTED_BY: rev\n",
    );
    old.write("shared/queue/escalated/REFACTOR-12-x.md", "# Four, without an id\nEXPEDITE: true\n");
    old.write("shared/queue/incoming/task-m1x2-a0b1.md", "no heading at all");
    old.write("shared/queue/incoming/notes.txt", "no task");
    old.write("shared/queue/incoming/TASK-binary.md", b"# [TASK-binary] x\n\xff\xfe");
    let plan = old.plan();
    let places: Vec<(&str, &str)> = plan.tasks.iter().map(|task| (task.id.as_str(), task.queue.as_str())).collect();
    for place in
        [("a1", "incoming"), ("b2", "done"), ("gh-10-fix", "cancelled"), ("REFACTOR-12-x", "blocked"), ("task-m1x2-a0b1", "incoming")]
    {
        assert!(places.contains(&place), "{place:?} is not in {places:?}");
    }
    let first = task(&plan, "a1");
    assert_eq!((first.fields.text("role"), first.fields.text("priority"), first.blocked_by.len()), (Some("test"), Some("P0"), 0));
    let events: Vec<(&str, Option<&str>)> =
        task(&plan, "gh-10-fix").imported.history.iter().map(|event| (event.event.as_str(), event.details.as_deref())).collect();
    assert_eq!(events, [("rejected", Some("too vague")), ("migrated_from_rejected", Some("too vague"))]);
    assert_eq!(task(&plan, "REFACTOR-12-x").imported.extra["EXPEDITE"], "true");
    assert_eq!(task(&plan, "b2").imported.completed_ms, Some(1_735_725_600_000));
    assert_eq!((plan.skipped.len(), plan.skipped[0].id.as_str()), (1, "binary"), "{:?}", plan.skipped);
}

#[test]
fn of_two_files_with_one_id_the_newest_counts_and_the_other_is_told() {
    let old = Old::new();
    let stale = old.write("shared/queue/claimed/TASK-a.md", "# [TASK-a] Old\n");
    old.write("shared/queue/done/TASK-a.md", "# [TASK-a] New\n");
    let file = fs::File::options().write(true).open(stale).expect("a file");
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).expect("a time");
    let plan = old.plan();
    assert_eq!((task(&plan, "a").queue.as_str(), task(&plan, "a").fields.text("title")), ("done", Some("New")));
    assert_eq!((plan.skipped.len(), plan.skipped[0].id.as_str()), (1, "claimed/TASK-a.md"), "{:?}", plan.skipped);
    // The database wins over both.
    old.database()
        .execute("INSERT INTO tasks (id, queue, file_path) VALUES ('a', 'provisional', 'shared/queue/claimed/TASK-a.md')", [])
        .expect("a task");
    let plan = old.plan();
    assert_eq!((task(&plan, "a").queue.as_str(), task(&plan, "a").fields.text("title")), ("provisional", Some("Old")));
}

#[test]
fn a_column_that_is_null_is_not_filled_from_an_old_line_of_the_file() {
    let old = Old::new();
    old.write("shared/queue/incoming/TASK-a.md", "# [TASK-a] A\nPLAN_ID: stale\nTURNS_USED: 9\n");
    old.database().execute("INSERT INTO tasks (id, queue) VALUES ('a', 'incoming')", []).expect("a task");
    let plan = old.plan();
    assert_eq!((task(&plan, "a").fields.text("plan_id"), task(&plan, "a").fields.int("turns_used")), (None, None));
}

#[test]
fn a_database_that_is_written_to_meanwhile_is_read_as_it_was_at_one_moment() {
    let old = Old::new();
    let connection = old.database();
    let folder = old.folder();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (stop, folder) = (&stop, &folder);
    std::thread::scope(|threads| {
        let _writing = threads.spawn(move || {
            let mut number = 0;
            // Each commit writes a pair, so half a commit would be seen.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && number < 5_000 {
                let pair = format!("BEGIN; INSERT INTO tasks (id, queue, file_path) VALUES ('a{number}', 'incoming', hex(zeroblob(3000))); INSERT INTO tasks (id, queue) VALUES ('b{number}', 'incoming'); COMMIT;");
                connection.execute_batch(&pair).expect("a pair");
                number += 1;
                if number % 3 == 0 {
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
                }
                std::thread::yield_now();
            }
        });
        for _ in 0..25 {
            match folder::read(folder, &mut |_, _| {}) {
                Ok(tables) => {
                    let ids: Vec<&str> =
                        tables.rows.get(&Table::Tasks).into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
                    let count = |letter: char| ids.iter().filter(|id| id.starts_with(letter)).count();
                    assert_eq!(count('a'), count('b'), "a commit is there as a whole or not at all");
                }
                Err(error) => assert!(octopoid_node::causes::describe(&error).contains("stop version 1"), "{error}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn agents_come_from_the_file_or_from_their_folders() {
    let old = Old::new();
    assert!(agents::of_folder(&old.folder()).expect("nothing").is_none(), "no agents are no error where no file names any");
    let beside = old.project.path().join(".octopoid/agents/builder");
    fs::create_dir_all(&beside).expect("a folder");
    fs::write(beside.join("agent.yaml"), "role: implementer\nmax_turns: 30\n").expect("written");
    let found = agents::of_folder(&old.folder()).expect("agents").expect("some");
    assert_eq!(found.names, ["builder"]);
    old.write("agents.yaml", "fleet:\n  - {name: one, type: builder, enabled: true}\n  - {name: two, type: gatekeeper}\n");
    let found = agents::of_folder(old.project.path()).expect("agents").expect("some");
    assert_eq!(found.names, ["one", "two"]);
    assert!(found.text.contains("max_turns: 30") && found.text.contains("role: review"), "{}", found.text);
    old.write("agents.yaml", "agents: []\n");
    fs::remove_dir_all(old.project.path().join(".octopoid")).expect("removed");
    assert!(agents::of_folder(&old.folder()).is_err_and(|error| error.to_string().contains("names no agent")));
}
