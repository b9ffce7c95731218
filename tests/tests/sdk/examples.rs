//! The examples of the Rust client against a real node.

use octopoid_client::{Client, ConnectOptions, EventQuery, ForceQueueRequest, SubmitRequest};
use octopoid_tests::Project;
use serde_json::json;

#[expect(dead_code, reason = "its main is that of a program")]
#[path = "../../../sdk/rust/examples/auto_approve_docs.rs"]
mod auto_approve_docs;
#[expect(dead_code, reason = "its main is that of a program")]
#[path = "../../../sdk/rust/examples/create_and_list.rs"]
mod create_and_list;
#[expect(dead_code, reason = "its main is that of a program")]
#[path = "../../../sdk/rust/examples/daily_report.rs"]
mod daily_report;
#[expect(dead_code, reason = "its main is that of a program")]
#[path = "../../../sdk/rust/examples/from_external_source.rs"]
mod from_external_source;
#[expect(dead_code, reason = "its main is that of a program")]
#[path = "../../../sdk/rust/examples/monitor.rs"]
mod monitor;

/// Claims what waits and hands it in, with so many commits.
async fn hand_in(client: &Client, role: &str, commits: u64) -> String {
    let wish = octopoid_client::ClaimRequest {
        orchestrator_id: "o".to_owned(),
        agent_name: "writer".to_owned(),
        role_filter: Some(role.into()),
        ..octopoid_client::ClaimRequest::default()
    };
    let task = client.claim(&wish).await.expect("an answer").expect("a task");
    let work = SubmitRequest { commits_count: commits, turns_used: 3, ..SubmitRequest::default() };
    client.submit(&task.id, &work).await.expect("handed in").id
}

#[tokio::test]
async fn the_examples_do_what_they_say() {
    let mut node = Project::new();
    node.start().await;
    // As a program does that runs in the project: without an address and a key.
    let client =
        Client::connect(&ConnectOptions { project_dir: Some(node.repo()), ..ConnectOptions::default() }).expect("the node is found");
    let issues = [
        json!({ "number": 17, "title": "The link is broken", "body": "To docs/guide.md.", "labels": [{ "name": "documentation" }] }),
        json!({ "number": 18, "title": "It crashes", "body": null, "labels": [{ "name": "urgent" }] }),
        json!({ "number": 19, "title": "Untouched", "body": "x", "labels": [{ "name": "documentation" }] }),
    ];
    let told = from_external_source::create_from(&client, &issues).await.expect("created");
    assert_eq!(told, "created issue-17\ncreated issue-18\ncreated issue-19\n");
    let told = from_external_source::create_from(&client, &issues[..1]).await.expect("created");
    assert_eq!(told, "kept issue-17\n");
    let told = create_and_list::create_and_list(&client, "Add user authentication").await.expect("created");
    assert!(told.starts_with("created task-add-user-authentication-") && told.contains("P0  issue-18  It crashes\nP1  task-"), "{told}");

    let mut done = Vec::new();
    for commits in [1, 0] {
        done.push(hand_in(&client, "docs", commits).await);
    }
    let told = auto_approve_docs::auto_approve(&client).await.expect("judged");
    assert_eq!(told, format!("accepted {}\n", done[0]), "what has no commit is left");
    let stuck = ForceQueueRequest { queue: "failed".to_owned(), reason: "stuck".to_owned(), forced_by: None };
    let _ = client.force_queue("issue-18", &stuck).await.expect("moved");

    let told = daily_report::report(&client).await.expect("a report");
    for part in ["## Done: docs\n\n- ", "## Stuck\n\n- It crashes (`issue-18`, failed)", "\n1 tasks done in 3 turns, 1 stuck.\n"] {
        assert!(told.contains(part), "'{part}' is not in {told}");
    }
    let told = monitor::overview(&client).await.expect("an overview");
    assert!(told.starts_with("here (local) is healthy\n") && told.contains("    1  provisional"), "{told}");
    let mut events = client.follow(EventQuery { after: Some("0".to_owned()), ..EventQuery::default() });
    let first = loop {
        let event = events.next().await.expect("an event");
        if event.task_id.is_some() {
            break monitor::line(&event);
        }
    };
    assert!(first.ends_with("Z task.created issue-17 provisional") || first.contains(" task.created issue-17 "), "{first}");

    // A node that is started anew is found again, at another port.
    node.stop(&[]).await;
    node.start().await;
    assert!(client.find_task("issue-17").await.expect("an answer").is_some());
}
