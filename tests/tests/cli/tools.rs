//! Commands about the project, the store and the program.

use std::fs;

use octopoid_tests::{Agent, Project};

#[test]
fn every_commands_help_has_an_example_of_it() {
    let project = Project::repository();
    let help = project.run(&["--help"]);
    let listed = help.ok().lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() >= 27, "{commands:?}");
    for command in commands {
        let said = project.run(&[command, "--help"]);
        let help = said.ok();
        let examples = help.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
        assert!(examples.contains(&format!("octopoid {command}")) && help.contains("--json"), "{command}: {help}");
    }
}

#[test]
fn init_is_harmless_when_repeated_and_writes_what_must_not_be_committed_apart() {
    let project = Project::repository();
    let first = project.run(&["init", "--machine-id", "here"]);
    assert!(first.ok().contains("this machine is here"));
    assert!(first.stderr.contains("octopoid enqueue") && first.stderr.contains("octopoid start"), "{first:?}");
    let token = project.read(".octopoid/runtime/api.token");
    project.write(".octopoid/agents.yaml", "agents: [] # mine\n");
    let again = project.run(&["init"]);
    assert!(again.ok().contains("already"), "{again:?}");
    assert_eq!(project.read(".octopoid/runtime/api.token"), token);
    assert_eq!(project.read(".octopoid/agents.yaml"), "agents: [] # mine\n");
    assert!(project.read(".octopoid/runtime/local.yaml").contains("here"));
    let seen = project.git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(seen.contains(".octopoid/config.yaml"), "{seen}");
    for private in ["runtime", "logs", "worktrees"] {
        assert!(!seen.contains(&format!(".octopoid/{private}/")), "{seen}");
    }
    assert!(!project.git(&["log", "--oneline", "--all"]).contains("octopoid"), "no commits on the user's branches");
    let default = project.run(&["init", "--api-port", "4711"]);
    assert_eq!(default.code, Some(0), "{default:?}");
    assert!(project.read(".octopoid/runtime/local.yaml").contains("4711"));
}

#[test]
fn commands_find_the_project_from_a_folder_below_and_by_its_variable() {
    let mut project = Project::new();
    let id = project.enqueue("Add a feature", &[]);
    fs::create_dir_all(project.repo().join("deep/below")).expect("folders");
    let below = project.command().current_dir(project.repo().join("deep/below")).args(["list", "--json"]).output().expect("octopoid runs");
    assert!(String::from_utf8_lossy(&below.stdout).contains(&id));
    project.set_env("OCTOPOID_DIR", project.repo().to_str().expect("UTF-8"));
    let elsewhere = project.command().current_dir(project.home()).args(["list", "--json"]).output().expect("octopoid runs");
    assert!(String::from_utf8_lossy(&elsewhere.stdout).contains(&id));
}

#[tokio::test]
async fn gc_removes_what_a_crash_left_and_keeps_what_is_worked_on() {
    let mut project = Project::new();
    let worker = r#"echo x > x; note started "$PWD"; await never"#;
    project.agents(&[Agent::new("worker", "implement", worker)]);
    let _ = project.enqueue("Take long", &[]);
    project.start().await;
    project.until_noted("started", 1).await;
    let report = project.run(&["gc", "--dry-run", "--json"]).json();
    assert_eq!(report["items"].as_array().map(Vec::len), Some(0), "an agent works there: {report}");
    assert!(project.run(&["gc"]).stderr.contains("nothing to remove"));
    assert_eq!(project.worktrees().len(), 1);
}

#[tokio::test]
async fn doctor_finds_a_store_sound_with_a_node_and_without_one() {
    let mut project = Project::new();
    for number in 0..3 {
        let _ = project.enqueue(&format!("Task {number}"), &[]);
    }
    let sound = |project: &Project| {
        let report = project.run(&["doctor", "--json"]).json();
        assert_eq!((&report["ok"], &report["tasks"]), (&true.into(), &3.into()), "{report}");
    };
    sound(&project);
    project.start_with(&["--no-agents"]).await;
    sound(&project);
    assert!(project.run(&["doctor", "--rebuild"]).refused(4).contains("stop the node"));
}

#[test]
fn doctor_rebuilds_the_views_as_they_were_and_keeps_a_copy() {
    let project = Project::new();
    let first = project.enqueue("First", &["--priority", "P0", "--role", "docs"]);
    let second = project.enqueue("Second", &["--blocked-by", &first, "--type", "chore"]);
    let third = project.enqueue("Third", &["--body", "README"]);
    let _ = project.run(&["cancel", &third, "--reason", "not wanted"]).ok();
    let _ = project.run(&["edit", &second, "--priority", "P3"]).ok();
    let seen = || ["list", "status"].map(|command| project.run(&[command, "--json"]).json());
    let shown = || [&first, &second, &third].map(|id| project.run(&["show", id, "--json"]).json());
    let before = (seen(), shown());
    let said = project.run(&["doctor", "--rebuild"]);
    assert!(said.ok().contains("no problems") && said.ok().contains("views rebuilt"), "{said:?}");
    assert!(said.stderr.contains("is kept as"), "{said:?}");
    assert_eq!((seen(), shown()), before);
    let copies = fs::read_dir(project.dir().join("runtime")).expect("runtime");
    let copies = copies.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("before-rebuild")));
    assert_eq!(copies.count(), 1);
    assert_eq!(project.run(&["doctor", "--json"]).json()["rebuilt"], false);
}

#[tokio::test]
async fn uninit_keeps_what_was_edited_and_refuses_while_a_node_runs() {
    let mut project = Project::repository();
    let _ = project.run(&["init", "--machine-id", "here", "--api-port", "0"]).ok();
    project.write(".octopoid/prompts/implement.md", "mine\n");
    project.start_with(&["--no-agents"]).await;
    assert!(project.run(&["uninit"]).refused(4).contains("octopoid stop"));
    project.stop(&[]).await;
    let said = project.run(&["uninit"]);
    assert!(said.ok().contains("removed") && said.stderr.contains("implement.md"), "{said:?}");
    assert!(!project.dir().join("runtime").exists() && !project.dir().join("config.yaml").exists());
    assert_eq!(project.read(".octopoid/prompts/implement.md"), "mine\n");
    assert_eq!(project.run(&["list"]).code, Some(3));
    // What was removed can be made again.
    assert_eq!(project.run(&["init", "--machine-id", "here"]).code, Some(0));
    assert_eq!(project.run(&["list"]).code, Some(0));
    let _ = project.run(&["uninit", "--force"]).ok();
    assert!(!project.dir().exists());
}

#[test]
fn init_misses_claude_only_where_an_agent_would_run_it() {
    let mut project = Project::repository();
    project.set_env("PATH", "/usr/bin:/bin");
    let init = |project: &Project| project.run(&["init", "--machine-id", "here"]).stderr;
    assert!(init(&project).contains("'claude' is not on PATH"));
    project.agents(&[Agent::new("worker", "implement", "true")]);
    assert!(!init(&project).contains("claude"), "{}", init(&project));
}

#[test]
fn a_repeated_init_says_what_it_changed() {
    let project = Project::new();
    assert!(project.run(&["init"]).ok().contains("nothing was changed"));
    let said = project.run(&["init", "--machine-id", "there", "--api-port", "0"]);
    assert!(said.ok().contains("this machine is there") && !said.stdout.contains("nothing was changed"), "{said:?}");
    assert!(said.stderr.contains("changed .octopoid/runtime/local.yaml"), "{said:?}");
    assert!(project.run(&["init", "--machine-id", "there", "--api-port", "0"]).ok().contains("nothing was changed"));
}

#[tokio::test]
async fn uninit_refuses_while_tasks_are_open_and_force_removes_what_an_earlier_one_kept() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", "echo x > x; commit work")]);
    let ids = ["One", "Two", "Three", "Four"].map(|title| project.enqueue(title, &[]));
    for id in &ids[1..] {
        let said = project.run(&["uninit"]);
        assert!(said.refused(4).contains("open or not merged") && said.stderr.contains("--force"), "{said:?}");
        assert!(said.stderr.contains(&ids[0]) || said.stderr.contains('1'), "{said:?}");
        let _ = project.run(&["cancel", id]).ok();
    }
    let one = project.run(&["uninit"]);
    assert!(one.refused(4).contains(&format!("1 task that is open or not merged would be lost: {}", ids[0])), "{one:?}");
    project.start().await;
    project.until_in(&ids[0], "provisional").await;
    project.stop(&[]).await;
    assert!(project.run(&["uninit"]).refused(4).contains(&ids[0]), "work that nobody has judged is not over");
    assert_eq!(project.run(&["list", "--json"]).json().as_array().map(Vec::len), Some(4), "nothing was removed");

    let _ = project.run(&["cancel", &ids[0]]).ok();
    let said = project.run(&["uninit"]);
    assert!(said.ok().contains("runtime") && said.stderr.contains("1 branch of attempts stay"), "{said:?}");
    assert!(said.stderr.contains("kept .octopoid/agents.yaml") && said.stderr.contains("git branch --list 'octopoid/*'"), "{said:?}");
    assert_eq!(project.run(&["uninit"]).code, Some(3));
    let _ = project.run(&["uninit", "--force"]).ok();
    assert!(!project.dir().exists());
    assert_eq!(project.run(&["uninit", "--force"]).code, Some(3));
}

#[test]
fn the_completion_script_of_bash_is_one_that_bash_reads() {
    let project = Project::repository();
    let script = project.run(&["completions", "bash"]);
    let path = project.table().join("completion");
    fs::write(&path, script.ok()).expect("written");
    let output = octopoid_tests::command("bash", &project.repo(), &project.home())
        .args([
            "--norc",
            "-c",
            ". \"$1\"; COMP_WORDS=(octopoid enq); COMP_CWORD=1; _octopoid octopoid enq octopoid; echo \"${COMPREPLY[@]}\"",
            "-",
        ])
        .arg(&path)
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "enqueue", "{output:?}");
    assert_eq!(project.run(&["completions", "no-such-shell"]).code, Some(2));
}
