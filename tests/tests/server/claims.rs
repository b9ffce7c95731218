//! Claims wait for the authority's grant.

use std::time::{Duration, Instant};

use octopoid_client::{ClaimRequest, TaskFilter};
use octopoid_tests::{Agent, Cluster, Project};
use serde_json::json;

use crate::office::{call, call_with, claim, refused, served, until_offline};

const WORK: &str = r#"note starts "$OCTOPOID_TASK_ID"; echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit "do it""#;

#[tokio::test]
async fn a_claim_at_any_node_is_answered_when_the_authority_has_granted_it() {
    let cluster = served(2, &[]).await;
    let first = cluster.machines[1].enqueue("Claimed at a worker", &[]);
    cluster.until_all_show("incoming", 1).await;
    let task = cluster.machines[1].client().claim(&claim("there")).await.expect("an answer").expect("the task");
    assert_eq!((task.id.as_str(), task.queue.as_str(), task.epoch), (first.as_str(), "claimed", 1));
    assert_eq!((task.claimed_by.as_deref(), task.node.as_deref()), (Some("there"), Some("machine-2")));
    cluster.until_all_show("claimed", 1).await;

    let _ = cluster.machines[0].enqueue("Claimed at the authority", &[]);
    let task = cluster.machines[0].client().claim(&claim("here")).await.expect("an answer").expect("the task");
    assert_eq!((task.queue.as_str(), task.epoch), ("claimed", 1));
    let status = cluster.machines[1].run(&["status"]);
    assert!(status.ok().contains("server-wins mode") && status.ok().contains("authority machine-1"), "{status:?}");
}

#[tokio::test]
async fn a_claim_with_a_key_is_answered_alike_when_it_is_sent_again() {
    let cluster = served(2, &[]).await;
    let id = cluster.machines[0].enqueue("Asked for twice", &[]);
    cluster.until_all_show("incoming", 1).await;
    let body = json!({ "orchestrator_id": "o", "agent_name": "a" });
    let key = [("idempotency-key", "one-key")];
    let ask = async || call(&cluster.machines[1], "POST", "/api/v1/tasks/claim", &key, &body).await.1;
    let (first, again) = (ask().await, ask().await);
    assert_eq!((&first["id"], &first["queue"]), (&id.clone().into(), &"claimed".into()));
    assert_eq!(first, again);
}

/// Registers an orchestrator at a machine in a scope that has none yet; returns the scope's key.
async fn key_of(machine: &Project, scope: &str) -> String {
    let body = json!({ "cluster": "home", "machine_id": "script", "repo_url": "r", "scope": scope });
    let (status, answer, _) = call(machine, "POST", "/api/v1/orchestrators/register", &[], &body).await;
    assert_eq!(status, 201, "{answer}");
    answer["api_key"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn keys_of_two_scopes_and_of_two_nodes_are_not_mixed_up_at_the_authority() {
    let cluster = served(2, &[]).await;
    let there = &cluster.machines[1];
    let key = [("idempotency-key", "one-key")];
    // A creation that finishes the task is the authority's to write.
    let done = |id: &str| json!({ "id": id, "file_path": "t.md", "queue": "done" });
    for scope in ["east", "west"] {
        let token = key_of(there, scope).await;
        for _ in 0..2 {
            let (status, task, _) = call_with(&token, there, "POST", "/api/v1/tasks", &key, &done("report")).await;
            assert_eq!((status, &task["scope"], &task["queue"]), (201, &json!(scope), &json!("done")), "{task}");
        }
    }
    for (machine, id) in cluster.machines.iter().zip(["here", "there"]) {
        for _ in 0..2 {
            let (status, task, _) = call(machine, "POST", "/api/v1/tasks", &key, &done(id)).await;
            assert_eq!((status, &task["id"]), (201, &json!(id)), "{task}");
        }
    }
    let (status, refusal, _) = call(there, "POST", "/api/v1/tasks", &key, &done("another")).await;
    assert_eq!(status, 422, "{refusal}");
}

/// Claims everything at all machines at once; returns the ids in the order in which they were granted.
async fn claim_everything(cluster: &Cluster) -> Vec<String> {
    let mut claimants = tokio::task::JoinSet::new();
    for (at, machine) in cluster.machines.iter().enumerate() {
        for number in 0..4 {
            let client = machine.client().clone();
            claimants.spawn(async move {
                let mut got = Vec::new();
                while let Some(task) = client.claim(&claim(&format!("agent-{at}-{number}"))).await.expect("an answer") {
                    got.push(task.id);
                }
                got
            });
        }
    }
    claimants.join_all().await.concat()
}

#[tokio::test]
async fn twelve_claimants_at_three_nodes_get_every_task_once() {
    let cluster = served(3, &[]).await;
    let mut wanted: Vec<String> = (0..30).map(|number| cluster.machines[number % 3].enqueue(&format!("Task {number}"), &[])).collect();
    cluster.until_all_show("incoming", 30).await;
    let mut got = claim_everything(&cluster).await;
    // A claimant that lost every race of its turn is told that there is nothing, so some may be left for another turn.
    got.extend(claim_everything(&cluster).await);
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted, "each task was given out once");
    cluster.until_all_show("claimed", 30).await;
}

#[tokio::test]
async fn agents_of_three_machines_start_every_task_once() {
    let cluster = served(3, &[Agent::new("worker", "implement", WORK)]).await;
    let mut wanted: Vec<String> =
        (0..9).map(|number| cluster.machines[number % 3].enqueue(&format!("Task {number}"), &["--role", "implement"])).collect();
    cluster.until_all_show("provisional", 9).await;
    let mut started = cluster.noted("starts");
    started.sort();
    wanted.sort();
    assert_eq!(started, wanted);
}

#[tokio::test]
async fn while_the_authority_cannot_be_reached_claims_are_refused_and_creations_wait() {
    let mut cluster = served(3, &[]).await;
    let known = cluster.machines[1].enqueue("Known to all", &[]);
    cluster.until_all_show("incoming", 1).await;
    cluster.machines[0].stop(&[]).await;
    for machine in &cluster.machines[1..] {
        until_offline(machine, true).await;
        let said = refused(machine.client().claim(&claim("nobody")).await, 503);
        assert!(said.contains("'machine-1'"), "the authority is named: {said}");
    }
    let said = cluster.machines[1].run(&["enqueue", "Thought of meanwhile"]);
    assert!(said.stderr.contains("will sync"), "{said:?}");
    let _ = cluster.machines[2].run(&["edit", &known, "--title", "Edited meanwhile"]).ok();
    let status = cluster.machines[1].run(&["status"]);
    // The two others hear of each other's records; only the authority counts.
    assert!(status.ok().contains("⚠️  Working offline") && status.ok().contains("Pending sync: 1 operation"), "{status:?}");

    cluster.machines[0].start().await;
    cluster.until_all_show("incoming", 2).await;
    for machine in &cluster.machines {
        machine.until_task(&known, "edited", |task| task.title == "Edited meanwhile").await;
        until_offline(machine, false).await;
    }
    let task = cluster.machines[2].client().claim(&claim("back")).await.expect("an answer");
    assert!(task.is_some(), "claims are granted again");
    let listed = cluster.machines[0].client().tasks(&TaskFilter::default()).await.expect("tasks");
    assert_eq!(listed.total, 2);
}

#[tokio::test]
async fn agents_wait_for_the_authority_and_go_on_when_it_is_back() {
    let mut cluster = served(2, &[]).await;
    cluster.machines[0].stop(&[]).await;
    until_offline(&cluster.machines[1], true).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
    let id = cluster.machines[1].enqueue("To be done later", &["--role", "implement"]);
    let machine = &cluster.machines[1];
    machine
        .until("it is said why nothing is claimed", async || {
            let warnings = machine.client().node_status().await.map_err(|error| error.to_string())?.warnings;
            let said = warnings.iter().any(|warning| warning.contains("claims nothing: the authority 'machine-1' cannot be reached"));
            if said { Ok(()) } else { Err(format!("{warnings:?}")) }
        })
        .await;
    assert!(cluster.noted("starts").is_empty(), "nothing was begun");
    cluster.machines[0].start().await;
    cluster.machines[0].until_task(&id, "submitted", |task| task.queue == "provisional").await;
    assert_eq!(cluster.noted("starts"), [id]);
}

#[tokio::test]
async fn only_the_authority_ends_the_lease_of_a_silent_claimant() {
    let mut cluster = served(2, &[]).await;
    let _ = cluster.machines[0].enqueue("Left alone", &[]);
    cluster.until_all_show("incoming", 1).await;
    let request = ClaimRequest { lease_duration_seconds: Some(4), ..claim("silent") };
    let task = cluster.machines[1].client().claim(&request).await.expect("an answer").expect("the task");
    let claimed = Instant::now();
    cluster.machines[0].take_node().kill9();
    until_offline(&cluster.machines[1], true).await;
    let out = Duration::from_secs(6);
    let over = async || if claimed.elapsed() > out { Ok(()) } else { Err("its lease has not run out".to_owned()) };
    cluster.machines[1].until("the lease has run out", over).await;
    assert_eq!(cluster.machines[1].task(&task.id).await.queue, "claimed", "the claimant's own node leaves it to the authority");
    cluster.machines[0].start().await;
    cluster.until_all_show("incoming", 1).await;
    let history = cluster.machines[1].client().history(&task.id).await.expect("a history").history;
    let ended = history.iter().find(|event| event.event == "lease_expired").expect("the lease ran out");
    assert_eq!(ended.node.as_deref(), Some("machine-1"));
}
