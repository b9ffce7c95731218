//! Commands about tasks.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use octopoid_client::NewTask;
use octopoid_tests::{Agent, Project};
use serde_json::Value;

async fn create(project: &Project, id: &str) {
    let task = NewTask { id: id.to_owned(), file_path: id.to_owned(), ..NewTask::default() };
    project.client().create_task(&task).await.expect("created");
}

#[tokio::test]
async fn a_unique_beginning_names_a_task_and_an_ambiguous_one_lists_what_it_could_mean() {
    let mut project = Project::new();
    project.start_with(&["--no-agents"]).await;
    for id in ["fix-parser-1", "fix-parser-12", "fix-lexer", "other"] {
        create(&project, id).await;
    }
    let queue = |prefix: &str| project.run(&["show", prefix, "--json"]);
    assert_eq!(queue("fix-l").json()["id"], "fix-lexer");
    assert_eq!(queue("fix-parser-1").json()["id"], "fix-parser-1", "a whole id is no beginning of another");
    let ambiguous = project.run(&["show", "fix"]);
    let told = ambiguous.refused(2);
    assert_eq!(told.matches("fix-lexer").count(), 1, "the hint does not repeat it: {told}");
    assert!(["fix-lexer", "fix-parser-1", "fix-parser-12"].iter().all(|id| told.contains(id)) && !told.contains("other"), "{told}");
    assert!(project.run(&["show", "fax"]).refused(1).contains("octopoid list"));
    let _ = project.run(&["delete", "fix-l"]).ok();
    assert!(project.run(&["show", "fix-l"]).refused(1).contains("not found"));
    let _ = project.run(&["enqueue", "x", "--blocked-by", "oth"]).ok();
    assert_eq!(project.run(&["list", "--json"]).json()[0]["blocked_by"], "other");
    project.stop(&[]).await;
    assert_eq!(project.run(&["show", "ot", "--json"]).json()["id"], "other", "the same without a node");
}

#[test]
fn what_a_person_sent_back_is_not_told_as_a_failed_attempt() {
    let project = Project::new();
    let id = project.enqueue("Sent back", &[]);
    for _ in 0..2 {
        let _ = project.run(&["requeue", &id]).ok();
    }
    let shown = project.run(&["show", &id]);
    assert!(shown.ok().contains("counts       requeued 2 times\n"), "{shown:?}");
    assert_eq!(project.run(&["show", &id, "--json"]).json()["attempt_count"], 2, "the API counts requeues");
}

#[test]
fn a_task_is_edited_by_flags_and_in_an_editor() {
    let mut project = Project::new();
    let id = project.enqueue("Old title", &["--role", "docs"]);
    let shown = |project: &Project| project.run(&["show", &id, "--json"]).json();
    let body = project.table().join("body");
    fs::write(&body, "what to do\n").expect("written");
    let flags = ["edit", &id, "--title", "New title", "--priority", "p0", "--role", "", "--body", body.to_str().expect("UTF-8")];
    let _ = project.run(&flags).ok();
    let task = shown(&project);
    assert_eq!((&task["title"], &task["priority"], &task["role"]), (&"New title".into(), &"P0".into(), &Value::Null));
    assert_eq!(task["content"], "what to do\n");
    assert_eq!(project.run(&["edit", &id, "--title", " "]).code, Some(2));

    let editor = project.table().join("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i -e 's/^title: .*/title: Edited/' -e 's/^what to do/what was done/' \"$1\"\n").expect("written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("mode");
    project.set_env("EDITOR", editor.to_str().expect("UTF-8"));
    let _ = project.run(&["edit", &id]).ok();
    let task = shown(&project);
    assert_eq!((&task["title"], &task["priority"]), (&"Edited".into(), &"P0".into()));
    assert_eq!(task["content"].as_str().map(str::trim), Some("what was done"));
    fs::write(&editor, "#!/bin/sh\nsed -i -e 's/^role: .*/role: implment/' \"$1\"\n").expect("written");
    for args in [&["edit", &id, "--role", "implment"][..], &["edit", &id]] {
        assert!(project.run(args).refused(2).contains("unknown role 'implment': it must be one of breakdown, docs"), "{args:?}");
    }
    let said = project.run(&["edit", &id]);
    let kept = said.stderr.lines().find_map(|line| line.strip_prefix("what you typed is kept in ")).expect("the file is named");
    assert!(fs::read_to_string(kept).expect("the form").contains("role: implment\n"), "{said:?}");
    fs::remove_file(kept).expect("removed");
    fs::write(&editor, "#!/bin/sh\nexit 1\n").expect("written");
    assert!(project.run(&["edit", &id]).refused(1).contains("nothing was changed"));
    assert_eq!(shown(&project)["version"], task["version"]);
}

/// Runs `octopoid edit` in a terminal, with a script as the editor, and returns what the terminal showed and whether it went well.
fn edit_in_terminal(project: &Project, id: &str, editor: &str) -> (String, bool) {
    let path = project.table().join("editor");
    fs::write(&path, format!("#!/bin/sh\ncp \"$1\" \"$0.form.$(ls \"$0\".form.* 2> /dev/null | wc -l)\"\n{editor}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    let mut script = project.prepared("script");
    script.args(["-qec", &format!("octopoid edit {id}"), "/dev/null"]).env("EDITOR", &path).stdin(Stdio::null());
    let output = script.output().expect("script runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

#[test]
fn a_form_that_is_refused_opens_again_with_the_reason_and_what_was_typed() {
    let project = Project::new();
    let id = project.enqueue("Old title", &["--role", "docs"]);
    let form = |number: usize| fs::read_to_string(project.table().join(format!("editor.form.{number}"))).expect("the editor was opened");
    // Twice wrong, once by the form's own rules and once by the project's, then mended.
    let editor = r#"case "$(grep -c '^title: Typed$' "$1") $(grep '^role:' "$1")" in
        "0 role: docs") sed -i -e 's/^title: .*/title: Typed/' -e 's/^priority: .*/priority: P7/' "$1";;
        "1 role: docs") sed -i -e 's/^priority: .*/priority: P1/' -e 's/^role: .*/role: implment/' "$1";;
        *) sed -i -e 's/^role: .*/role: implement/' "$1";;
    esac"#;
    let (said, well) = edit_in_terminal(&project, &id, editor);
    assert!(well, "{said}");
    assert!(form(1).starts_with("# Refused: line 6: priority must be one of P0, P1, P2, P3\n"), "{}", form(1));
    assert_eq!(form(1).lines().nth(5), Some("priority: P7"), "the line that the reason names: {}", form(1));
    assert!(form(2).starts_with("# Refused: unknown role 'implment'") && form(2).matches("# Refused").count() == 1, "{}", form(2));
    let task = project.run(&["show", &id, "--json"]).json();
    assert_eq!((&task["title"], &task["priority"], &task["role"]), (&"Typed".into(), &"P1".into(), &"implement".into()));

    // Who closes the editor on a refused form without a change gives up; what was typed is kept.
    let (said, well) = edit_in_terminal(&project, &id, r#"grep -q Refused "$1" || sed -i 's/^title: .*/title:/' "$1""#);
    assert!(!well && said.contains("the title is empty"), "{said}");
    let kept = said.lines().find_map(|line| line.trim_end().strip_prefix("what you typed is kept in ")).expect("the file is named");
    assert!(fs::read_to_string(kept).expect("the form").contains("title:\n"));
    fs::remove_file(kept).expect("removed");
    assert_eq!(project.run(&["show", &id, "--json"]).json()["title"], "Typed");
}

#[test]
fn a_task_is_cancelled_reopened_and_deleted() {
    let project = Project::new();
    let id = project.enqueue("Add a feature", &[]);
    let queue = |id: &str| project.run(&["show", id, "--json"]).json()["queue"].clone();
    let _ = project.run(&["cancel", &id, "--reason", "not wanted"]).ok();
    assert_eq!(queue(&id), "cancelled");
    assert!(project.run(&["cancel", &id]).refused(4).contains("cancelled"));
    assert!(project.run(&["requeue", &id]).refused(4).contains("--reopen"));
    let _ = project.run(&["requeue", &id, "--reopen"]).ok();
    assert_eq!(queue(&id), "incoming");
    assert!(project.run(&["release", &id]).refused(4).contains("nobody holds"));
    let _ = project.run(&["delete", &id]).ok();
    assert_eq!(project.run(&["show", &id]).code, Some(1));
    assert_eq!(project.run(&["list", "--json"]).stdout.trim(), "[]");
}

#[test]
fn without_a_login_the_account_stands_in_the_history() {
    let project = Project::new();
    let id = project.enqueue("Add a feature", &[]);
    let ended = project.command().args(["cancel", &id]).env_remove("USER").env_remove("LOGNAME").output().expect("octopoid runs");
    assert!(ended.status.success());
    let name = std::process::Command::new("id").arg("-un").output().expect("id").stdout;
    let name = String::from_utf8(name).expect("UTF-8");
    let shown = project.run(&["show", &id]);
    let line = shown.ok().lines().find(|line| line.contains("cancelled") && line.contains("now")).map(str::to_owned);
    assert!(shown.ok().contains(name.trim()) && !shown.ok().contains("unknown"), "{line:?} {shown:?}");
}

#[tokio::test]
async fn a_claim_is_released_by_hand_and_its_agent_is_ended() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo part > part; note started x; await never")]);
    let id = project.enqueue("Take long", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    let _ = project.run(&["pause"]).ok();
    let _ = project.run(&["release", &id, "--reason", "not now"]).ok();
    let task = project.until_in(&id, "incoming").await;
    assert_eq!((task.claimed_by, task.attempt_count), (None, 0));
    let branches = async || match project.git(&["branch", "--list", "--format=%(refname:short)", &format!("octopoid/{id}/*")]) {
        branch if project.worktrees().is_empty() => Ok(branch),
        branch => Err(branch),
    };
    let branch = project.until("its worktree is removed", branches).await;
    assert_eq!(project.git(&["show", &format!("{branch}:part")]), "part");
}

#[tokio::test]
async fn an_attempt_is_named_by_its_number_or_a_beginning() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo said; echo x > x; commit x")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_in(&id, "provisional").await;
    let attempt = project.task(&id).await.attempt.expect("an attempt");
    for given in ["1", &attempt[..4], &attempt] {
        let log = project.run(&["logs", &id, "--attempt", given, "--json"]).json();
        assert_eq!((&log["attempt"], &log["log"]), (&attempt.as_str().into(), &"said\n".into()), "{given}");
        assert!(project.run(&["diff", &id, "--attempt", given]).ok().contains("+x"), "{given}");
    }
    for given in ["2", "1-zz", "x"] {
        for command in ["logs", "diff"] {
            let said = project.run(&[command, &id, "--attempt", given]);
            assert!(said.refused(2).contains(&format!("it has {attempt}")) && said.stderr.contains("octopoid show"), "{said:?}");
        }
    }
}

#[tokio::test]
async fn wait_returns_with_the_task_or_says_why_not() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", r#"await go; echo x > x"#)]);
    let id = project.enqueue("Add a feature", &[]);
    assert!(project.run(&["wait", &id, "--timeout", "0"]).refused(1).contains("incoming"), "also without a node");
    project.start().await;
    let prefix = &id[..id.len() - 2];
    let mut waiting = project.command();
    waiting.args(["wait", prefix, "--queue", "provisional,done", "--timeout", "60", "--json"]);
    let waiting = waiting.stdout(Stdio::piped()).spawn().expect("octopoid runs");
    project.put("go");
    let output = waiting.wait_with_output().expect("ended");
    assert!(output.status.success());
    let task: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&task["id"], &task["queue"]), (&id.as_str().into(), &"provisional".into()));
    let _ = project.run(&["cancel", &id]).ok();
    assert!(project.run(&["wait", &id]).refused(1).contains("will not be in done"));
}

#[test]
fn lists_are_filtered_and_limited() {
    let project = Project::new();
    for (title, role, priority) in [("One", "docs", "P0"), ("Two", "docs", "P2"), ("Three", "test", "P0")] {
        let _ = project.enqueue(title, &["--role", role, "--priority", priority]);
    }
    let titles = |args: &[&str]| {
        let list = project.run(&[&["list", "--json"], args].concat()).json();
        let tasks = list.as_array().expect("an array").iter();
        tasks.map(|task| task["title"].as_str().expect("title").to_owned()).collect::<Vec<_>>().join(",")
    };
    assert_eq!(titles(&[]), "Three,Two,One");
    assert_eq!(titles(&["--role", "docs"]), "Two,One");
    assert_eq!(titles(&["--priority", "p0", "--role", "docs,test"]), "Three,One");
    assert_eq!(titles(&["--queue", "done,failed"]), "");
    assert_eq!(titles(&["--limit", "1"]), "Three");
    assert!(project.run(&["list", "--limit", "2"]).stderr.contains("2 of 3 tasks"));
}
