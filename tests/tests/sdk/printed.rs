//! The curl commands that the README of version 2 prints, as they are printed but for the address and the key.
//!
//! Those about wrangler and its database speak to no node. `POST /api/admin/import` is run with the migration's tests.

use octopoid_tests::Project;

/// What the README calls the server.
const SERVER: &str = "https://octopoid-server.username.workers.dev";
/// What it prints for a server.
const PRINTED: [&str; 1] = ["curl https://octopoid-server.username.workers.dev/api/health"];

#[tokio::test]
async fn the_commands_of_the_readme_run_against_a_node() {
    let mut node = Project::new();
    node.start().await;
    let token = node.read(".octopoid/runtime/api.token").trim().to_owned();
    for printed in PRINTED {
        let told = printed.replace(SERVER, node.node().api_url());
        for command in [told.clone(), format!("{told} -H \"Authorization: Bearer {token}\"")] {
            let output = tokio::process::Command::new("sh").args(["-c", &format!("{command} --silent --show-error --fail")]).output();
            let output = output.await.expect("sh runs");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            let health: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!((&health["status"], &health["version"]), (&"healthy".into(), &"2.0.0".into()), "{command}");
        }
    }
}
