//! Import and export as a user calls them, with and without a node.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use octopoid_tests::Project;
use serde_json::{Value, json};

const FILE: &str = "# [TASK-a1] One\n\nROLE: implementer\n\nDo it.\n";

fn old(project: &Project) {
    project.write(".orchestrator/shared/queue/incoming/TASK-a1.md", FILE);
    project.write(".orchestrator/agents.yaml", "agents:\n  - {name: impl-1, role: implementer, paused: true}\n");
}

fn counts(report: &Value, table: &str) -> [u64; 3] {
    ["imported", "unchanged", "skipped"].map(|name| report["tables"][table][name].as_u64().unwrap_or_else(|| panic!("{report}")))
}

#[tokio::test]
async fn a_folder_is_imported_with_a_node_and_without_one_alike() {
    let mut project = Project::new();
    old(&project);
    let dry = project.run(&["import", ".orchestrator", "--dry-run", "--json"]).json();
    assert_eq!((counts(&dry, "tasks"), &dry["dry_run"]), ([1, 0, 0], &json!(true)));
    assert_eq!(project.run(&["list", "--json"]).json(), json!([]));
    let first = project.run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!((counts(&first, "tasks"), counts(&first, "files")), ([1, 0, 0], [1, 0, 0]));
    project.start().await;
    let again = project.run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!(counts(&again, "tasks"), [0, 1, 0]);
    project.write(".orchestrator/shared/queue/done/TASK-b2.md", "# [TASK-b2] Two\n");
    let more = project.run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!(counts(&more, "tasks"), [1, 1, 0]);
    let task = project.run(&["show", "a1", "--json"]).json();
    assert_eq!((&task["content"], &task["role"], &task["queue"]), (&json!(FILE), &json!("implement"), &json!("incoming")));
    assert_eq!(project.run(&["show", "b2", "--json"]).json()["queue"], "done");
}

#[test]
fn an_edited_agents_yaml_is_never_overwritten() {
    let project = Project::new();
    old(&project);
    let edited = project.read(".octopoid/agents.yaml");
    let said = project.run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!(said["agents_file"], ".octopoid/agents.imported.yaml", "{said}");
    assert_eq!(project.read(".octopoid/agents.yaml"), edited);
    assert!(project.read(".octopoid/agents.imported.yaml").contains("role: implement"));
    project.write(".octopoid/agents.imported.yaml", "# mine\n");
    let said = project.run(&["import", ".orchestrator", "--json"]).json();
    assert!(said["agents_file"].is_null() && said["notes"].to_string().contains("stays as it is"), "{said}");
    assert_eq!(project.read(".octopoid/agents.imported.yaml"), "# mine\n");
}

#[test]
fn agents_that_init_wrote_are_replaced_by_those_of_version_1() {
    let project = Project::repository();
    let _ = project.run(&["init", "--machine-id", "here", "--api-port", "0"]).ok();
    old(&project);
    let said = project.run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!(said["agents_file"], ".octopoid/agents.yaml", "{said}");
    let agents = project.run(&["agents", "--json"]).json();
    assert!(agents.to_string().contains("impl-1"), "{agents}");
    let findings = project.run(&["validate", "--json"]).json();
    let about_agents = findings.to_string();
    assert!(!about_agents.contains("unknown"), "{about_agents}");
}

#[test]
fn a_folder_whose_agents_cannot_be_read_changes_nothing() {
    let project = Project::new();
    old(&project);
    project.write(".orchestrator/agents.yaml", "agents: []\n");
    let said = project.run(&["import", ".orchestrator"]);
    assert!(said.code == Some(1) && said.stderr.contains("names no agent"), "{said:?}");
    assert_eq!(project.run(&["list", "--json"]).json(), json!([]));
    let said = project.run(&["import", "README"]);
    assert!(said.code == Some(2) && said.stderr.contains("neither JSON nor JSON lines"), "{said:?}");
    fs::create_dir(project.repo().join("empty")).expect("a folder");
    let said = project.run(&["import", "empty"]);
    assert!(said.code == Some(2) && said.stderr.contains("no folder of version 1"), "{said:?}");
}

#[tokio::test]
async fn an_export_of_one_project_goes_into_another() {
    let mut project = Project::new();
    let id = project.enqueue("Add a feature", &["--role", "implement"]);
    let whole = project.run(&["export"]).json();
    assert_eq!(whole["tasks"][0]["id"], id.as_str());
    let other = Project::new();
    let mut import = other.command();
    let mut running = import.args(["import", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("octopoid runs");
    running.stdin.take().expect("stdin").write_all(whole.to_string().as_bytes()).expect("sent");
    let said = running.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!(counts(&report, "tasks"), [1, 0, 0]);
    project.start().await;
    let file = project.run(&["export", "--output", "backup.json", "--json"]).json();
    assert_eq!(file["bytes"].as_u64(), fs::metadata(project.repo().join("backup.json")).map(|file| file.len()).ok());
    let of_node: Value = serde_json::from_str(&project.read("backup.json")).expect("JSON");
    assert_eq!((&of_node["tasks"], &of_node["task_history"]), (&whole["tasks"], &whole["task_history"]));
    assert_eq!(project.run(&["import", "backup.json", "--json"]).json()["tables"]["tasks"]["unchanged"], 1);
    let left: Vec<_> =
        fs::read_dir(project.repo()).expect("a folder").filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".octopoid-export")), "{left:?}");
}
