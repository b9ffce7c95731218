//! What a user may get wrong: each is told with what to do, and with its own exit code.

use std::{fs, process::Stdio};

use octopoid_client::{ErrorKind, NewTask};
use octopoid_tests::{Agent, Project, Said};
use rustix::process::Signal;

#[tokio::test]
async fn every_exit_code_is_what_it_says() {
    let bare = Project::repository();
    assert!(bare.run(&["list"]).refused(3).contains("octopoid init"));

    let mut project = Project::new();
    assert_eq!(project.run(&["list"]).code, Some(0));
    assert!(project.run(&["show", "no-such-task"]).refused(1).contains("octopoid list"));
    assert!(project.run(&["enqueue"]).refused(2).contains("Usage"));
    let id = project.enqueue("Add a feature", &[]);
    assert!(project.run(&["accept", &id]).refused(4).contains(&format!("octopoid show {id}")));
    project.start().await;
    let pid = project.node().pid();
    project.node().signal(Signal::STOP);
    let said = project.run(&["list"]);
    project.node().signal(Signal::CONT);
    assert!(said.refused(5).contains(&format!("process {pid} holds the store")), "a node that hangs is waited for, 10 s at most: {said:?}");
}

#[test]
fn an_emptied_store_is_no_new_project_and_the_way_out_is_told() {
    let project = Project::new();
    let _ = project.enqueue("Lost", &[]);
    let store = project.dir().join("runtime/octopoid.redb");
    fs::write(&store, "").expect("emptied");
    for args in [&["list"][..], &["enqueue", "x"], &["doctor"], &["start", "--once"], &["init", "--cluster", "home"]] {
        let said = project.run(args);
        assert!(said.refused(1).contains(&format!("{} is empty", store.display())), "{said:?}");
        assert!(said.stderr.contains(".damaged") && said.stderr.contains("octopoid init --join TICKET"), "{said:?}");
        assert_eq!(fs::metadata(&store).expect("the store").len(), 0, "nothing is written over it");
    }
    fs::rename(&store, store.with_extension("redb.damaged")).expect("moved away");
    assert_eq!(project.run(&["list", "--json"]).stdout.trim(), "[]");
}

#[test]
fn a_description_role_or_priority_that_cannot_be_is_refused_before_anything_is_queued() {
    let project = Project::new();
    for (args, told) in [
        (&["enqueue", "  \n "][..], "the description is empty"),
        (&["enqueue", "x", "--role", "implment"], "must be one of breakdown, docs, fix, implement, research, review, test"),
        (&["enqueue", "x", "--priority", "P7"], "P0, P1, P2, P3"),
        (&["enqueue", "x", "--complexity", "XXL"], "XS, S, M, L, XL"),
        (&["enqueue", "x", "--body", "/no/such/file"], "/no/such/file"),
        (&["list", "--queue"], "--queue"),
        (&["list", "--queue", "done,foo"], "unknown queue 'foo': it must be one of incoming, claimed, provisional, done"),
        (&["wait", "x", "--queue", "nonsense"], "unknown queue 'nonsense'"),
        (&["wait"], "ID"),
        (&["start", "--tick-interval", "0"], "10..=3600000"),
        (&["logs", "--follow", "--json"], "exclude each other"),
        (&["frobnicate"], "unrecognized"),
    ] {
        let said = project.run(args);
        assert!(said.refused(2).contains(told), "{said:?}");
    }
    assert!(project.run(&["enqueue", "x", "--blocked-by", "nothing"]).refused(2).contains("--blocked-by"));
    assert!(project.run(&["enqueue", "x", "--project", "nothing"]).refused(2).contains("project 'nothing' is not known"));
    assert!(project.run(&["init", "--machine-id", "a/b"]).refused(2).contains("--machine-id"));
    assert_eq!(project.run(&["list", "--json"]).stdout.trim(), "[]");
    // A role of agents.yaml will do.
    project.agents(&[Agent::new("painter", "paint", "true")]);
    let yaml = project.read(".octopoid/agents.yaml");
    project.write(".octopoid/agents.yaml", &format!("{yaml}roles:\n  - name: paint\n"));
    assert_eq!(project.run(&["enqueue", "x", "--role", "paint"]).code, Some(0));
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_by_the_command_and_by_the_node() {
    let mut project = Project::new();
    let large = project.table().join("large");
    fs::write(&large, vec![b'x'; 10 << 20]).expect("written");
    let large = large.to_str().expect("UTF-8");
    assert!(project.run(&["enqueue", "x", "--body", large]).refused(2).contains("128 KiB"));
    let stdin = fs::File::open(large).expect("open");
    let output = project.command().args(["enqueue", "x", "--body", "-"]).stdin(stdin).output().expect("octopoid runs");
    assert_eq!(output.status.code(), Some(2));

    project.start().await;
    let task = NewTask { id: "large".to_owned(), file_path: "x".to_owned(), content: Some("x".repeat(10 << 20)), ..NewTask::default() };
    let error = project.client().create_task(&task).await.expect_err("too large");
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unreachable), "{error}");
    assert_eq!(project.client().health().await.expect("it lives").status, "healthy");
    assert_eq!(project.client().tasks(&octopoid_client::TaskFilter::default()).await.expect("list").total, 0);
}

#[tokio::test]
async fn ids_with_separators_reach_no_file() {
    let mut project = Project::new();
    fs::write(project.repo().join("victim"), "safe").expect("written");
    for id in ["../../victim", "a/b", "..", ".", "-rf", "a\nb", "a\\b", "/etc/passwd", "%2e%2e%2fvictim", "a b", ""] {
        for command in ["show", "logs", "diff", "delete", "wait"] {
            let said = project.run(&[command, "--", id]);
            let code = said.code.expect("a code");
            assert!(matches!(code, 1 | 2) && said.stderr.contains("error:"), "{said:?}");
        }
    }
    project.start().await;
    for id in ["../../victim", "a/b", "..", "-rf", ".hidden", "a b", "", &"x".repeat(200)] {
        let task = NewTask { id: id.to_owned(), file_path: "x".to_owned(), ..NewTask::default() };
        let error = project.client().create_task(&task).await.expect_err("no id");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{id}: {error}");
        assert!(error.to_string().contains("id"), "{error}");
    }
    assert_eq!(project.read("victim"), "safe");
}

fn is_told(said: &Said, parts: &[&str]) {
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(parts.iter().all(|part| all.contains(part)), "{parts:?} in {said:?}");
}

#[test]
fn a_typo_in_a_configuration_is_told_with_its_line_and_what_was_meant() {
    let project = Project::new();
    project.configure("merge: auto", "marge: auto");
    for args in [&["validate"][..], &["start"], &["start", "--daemon"], &["list"]] {
        let said = project.run(args);
        assert_eq!(said.code, Some(1), "{said:?}");
        is_told(&said, &["config.yaml:", "marge", "merge"]);
    }
    project.configure("marge: auto", "merge: auto");
    project.write(".octopoid/agents.yaml", "agents:\n  - name: worker\n    role: implement\n    comand: [true]\n");
    for args in [&["validate"][..], &["start"]] {
        let said = project.run(args);
        assert_eq!(said.code, Some(1), "{said:?}");
        is_told(&said, &["agents.yaml:4", "comand", "command"]);
    }
    project.write(".octopoid/agents.yaml", "agents: [\n");
    assert_eq!(project.run(&["validate"]).code, Some(1));
    project.agents(&[Agent::new("worker", "implement", "true")]);
    assert_eq!(project.run(&["validate", "--json"]).json()["ok"], true);
}

#[test]
fn a_folder_without_a_repository_or_without_commits_is_refused_by_init() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let run = |args: &[&str]| {
        let output = octopoid_tests::command(octopoid_tests::octopoid(), folder.path(), folder.path())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("octopoid runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = run(&["init"]);
    assert!(code == Some(1) && told.contains("git init"), "{code:?} {told}");
    let git = octopoid_tests::command("git", folder.path(), folder.path()).args(["init", "-q", "-b", "main"]).status().expect("git");
    assert!(git.success());
    let (code, told) = run(&["init"]);
    assert!(code == Some(1) && told.contains("commit"), "{code:?} {told}");
    assert!(!folder.path().join(".octopoid").exists(), "nothing half made is left");
}

#[tokio::test]
async fn a_worktree_that_exists_is_not_taken_over() {
    let mut project = Project::new();
    // Whatever its attempt will be called, its folder for worktrees is a link that leads elsewhere.
    let elsewhere = project.table().join("elsewhere");
    fs::create_dir(&elsewhere).expect("folder");
    fs::remove_dir(project.dir().join("worktrees")).expect("empty");
    std::os::unix::fs::symlink(&elsewhere, project.dir().join("worktrees")).expect("link");
    project.agents(&[Agent::new("worker", "implement", "echo x > x")]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_task(&id, "tried once", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert!(attempts[0].reason.as_ref().is_some_and(|reason| reason.contains("symbolic link")), "{attempts:#?}");
    assert_eq!(fs::read_dir(&elsewhere).expect("folder").count(), 0);
}

#[test]
fn a_key_that_is_gone_or_open_to_others_is_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new();
    let _ = project.enqueue("x", &[]);
    let key = project.dir().join("runtime/node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("mode");
    assert!(project.run(&["list"]).refused(1).contains("chmod 600"));
    fs::remove_file(&key).expect("removed");
    assert!(project.run(&["list"]).refused(1).contains("backup"));
}

#[test]
fn a_configuration_or_a_store_that_cannot_be_used_names_what_helps() {
    let project = Project::new();
    let commands = [&["list"][..], &["status"], &["enqueue", "x"], &["doctor"], &["start"], &["uninit"]];
    let _ = project.enqueue("x", &[]);
    let config = project.read(".octopoid/config.yaml");
    project.write(".octopoid/config.yaml", &format!("{config}\nlaeses: {{}}\n"));
    for args in commands {
        let said = project.run(args);
        assert!(said.refused(1).contains("'octopoid validate'") && !said.stderr.contains("octopoid start"), "{said:?}");
    }
    project.write(".octopoid/config.yaml", &config);
    let store = project.dir().join("runtime/octopoid.redb");
    fs::write(&store, vec![b'x'; 8_192]).expect("written");
    for args in commands {
        let said = project.run(args);
        assert!(said.refused(1).contains("from a backup") && said.stderr.contains("octopoid.redb.damaged"), "{said:?}");
        assert!(!said.stderr.contains("octopoid start"), "{said:?}");
    }
    fs::rename(&store, store.with_extension("redb.damaged")).expect("moved away");
    assert_eq!(project.run(&["status"]).code, Some(0), "what the hint says works");
}
