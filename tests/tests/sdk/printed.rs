//! The curl commands that the README of version 2 prints, as they are printed but for the address and the key.
//!
//! Those about wrangler and its database speak to no node.

use octopoid_tests::Project;

/// What the README calls the server.
const SERVER: &str = "https://octopoid-server.username.workers.dev";
/// What it prints to see whether a server is up.
const HEALTH: &str = "curl https://octopoid-server.username.workers.dev/api/health";
/// What it prints to move in from version 1.
const IMPORT: &str = r#"curl -X POST https://your-server/api/admin/import \
     -H "Content-Type: application/json" \
     -d @backup.json"#;

/// Runs a command in the project's folder; returns the JSON that it prints.
async fn run(node: &Project, command: &str) -> serde_json::Value {
    let command = format!("{command} --silent --show-error --fail");
    let output = tokio::process::Command::new("sh").args(["-c", &command]).current_dir(node.repo()).output();
    let output = output.await.expect("sh runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn with_key(node: &Project, command: &str) -> String {
    format!("{command} -H \"Authorization: Bearer {}\"", node.read(".octopoid/runtime/api.token").trim())
}

#[tokio::test]
async fn the_health_of_a_node_is_asked_for_with_and_without_a_key() {
    let mut node = Project::new();
    node.start().await;
    let printed = HEALTH.replace(SERVER, node.node().api_url());
    for command in [printed.clone(), with_key(&node, &printed)] {
        let health = run(&node, &command).await;
        assert_eq!((&health["status"], &health["version"]), (&"healthy".into(), &"2.0.0".into()), "{command}");
    }
}

#[tokio::test]
async fn what_version_1_exported_is_imported() {
    let mut node = Project::new();
    node.start().await;
    let tasks = r##"{
  "tasks": [{"id": "a1b2", "queue": "provisional", "priority": "P1", "role": "implementer", "created_at": "2025-11-03 10:00:00"}],
  "files": {"a1b2": "# [TASK-a1b2] Add login\n\nROLE: implementer\n"}
}"##;
    node.write("backup.json", tasks);
    let command = with_key(&node, &IMPORT.replace("https://your-server", node.node().api_url()));
    let report = run(&node, &command).await;
    assert_eq!(report["tables"]["tasks"]["imported"], 1, "{report}");
    let again = run(&node, &command).await;
    assert_eq!(again["tables"]["tasks"]["unchanged"], 1, "{again}");
    let task = node.task("a1b2").await;
    assert_eq!((task.title.as_str(), task.queue.as_str(), task.role.as_deref()), ("Add login", "provisional", Some("implement")));
}
