//! `--json`: one value on stdout, whatever the command and however it ends.

use octopoid_tests::{Agent, Project};
use serde_json::Value;

const WORK: &str = r#"echo x > "x-$OCTOPOID_TASK_ID"; commit x"#;

#[tokio::test]
async fn every_command_prints_one_json_value() {
    let mut project = Project::repository();
    let init = project.run(&["init", "--machine-id", "here", "--api-port", "0", "--json"]).json();
    assert_eq!(init["machine_id"], "here");
    project.agents(&[Agent::new("worker", "implement", WORK)]);
    let task = project.run(&["enqueue", "Add a feature", "--role", "implement", "--json"]).json();
    let id = task["id"].as_str().expect("id").to_owned();
    assert_eq!((&task["queue"], &task["title"]), (&Value::from("incoming"), &Value::from("Add a feature")));
    // Without a node.
    for command in [
        &["list"][..],
        &["status"],
        &["agents"],
        &["conflicts"],
        &["show", &id],
        &["edit", &id, "--priority", "P1"],
        &["validate"],
        &["doctor"],
    ] {
        let said = project.run(&[command, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let _ = said.json();
    }
    project.start().await;
    project.until_in(&id, "provisional").await;
    let accepted = project.run(&["accept", &id, "--json"]).json();
    assert_eq!(accepted["id"], id.as_str());
    project.until_merged(&id).await;
    let other = project.enqueue("Another", &["--role", "docs"]);
    let commands: [&[&str]; 18] = [
        &["list"],
        &["list", "--queue", "done,incoming", "--limit", "1"],
        &["status"],
        &["agents"],
        &["conflicts"],
        &["show", &id],
        &["diff", &id],
        &["diff", &id, "--stat"],
        &["logs", &id],
        &["logs"],
        &["wait", &id, "--timeout", "1"],
        &["pause"],
        &["resume", "worker"],
        &["gc", "--dry-run"],
        &["doctor"],
        &["edit", &other, "--title", "Renamed"],
        &["cancel", &other],
        &["requeue", &other, "--reopen"],
    ];
    for command in commands {
        let said = project.run(&[command, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let _ = said.json();
    }
    // Failures, too.
    for (command, code) in [
        (&["show", "nothing"][..], 1),
        (&["accept", &other], 4),
        (&["merge", &other], 4),
        (&["conflicts", "show", &other], 1),
        (&["conflicts", "dismiss", &other], 4),
        (&["conflicts", "adopt", &other, "--attempt", "1"], 2),
        (&["release", &id], 4),
        (&["enqueue", " "], 2),
        (&["start"], 4),
        (&["wait", &other, "--timeout", "0"], 1),
    ] {
        let said = project.run(&[command, &["--json"]].concat());
        assert_eq!(said.code, Some(code), "{said:?}");
        let failure = said.json();
        assert_eq!(failure["exit_code"], code, "{failure}");
        assert!(failure["error"].as_str().is_some_and(|error| !error.is_empty()), "{failure}");
    }
    assert_eq!(project.run(&["delete", &other, "--json"]).json()["task_id"], other.as_str());
    let stopped = project.run(&["stop", "--json"]).json();
    assert_eq!(stopped["stopped"], true);
    assert!(project.take_node().ended().await.expect("ended").success());
    assert_eq!(project.run(&["stop", "--json"]).json()["stopped"], false);
    assert!(project.run(&["completions", "bash", "--json"]).json().is_string());
    assert!(project.run(&["start", "--once", "--json"]).json()["pid"].is_u64());
    let removed = project.run(&["uninit", "--json", "--force"]).json();
    assert!(removed["removed"].is_array(), "{removed}");
}

#[tokio::test]
async fn lists_and_tasks_are_the_same_with_a_node_and_without_one() {
    let mut project = Project::new();
    let first = project.enqueue("First\nwith more to say", &["--role", "docs", "--priority", "P0", "--complexity", "S", "--type", "chore"]);
    let second = project.enqueue("Second", &["--blocked-by", &first]);
    let all = |project: &Project| {
        let commands: [&[&str]; 7] = [
            &["list"],
            &["list", "--json"],
            &["list", "--role", "docs", "--json"],
            &["show", &first, "--json"],
            &["show", &second],
            &["show", "nothing"],
            &["accept", &second],
        ];
        commands.map(|command| {
            let said = project.run(command);
            // How long ago something was depends on when it is asked.
            let words = |text: String| {
                text.split_whitespace()
                    .filter(|word| word.parse::<u32>().is_err())
                    .collect::<Vec<_>>()
                    .join(" ")
                    .replace("just now", "s ago")
            };
            (said.code, words(said.stdout), words(said.stderr))
        })
    };
    let without = all(&project);
    project.start_with(&["--no-agents"]).await;
    assert_eq!(all(&project), without);
}
