//! Verdicts are written by the authority, whichever node is asked.

use octopoid_client::{AcceptRequest, ForceQueueRequest, NewTask, RejectRequest, SubmitRequest};
use octopoid_tests::{Agent, Cluster, Project};
use serde_json::json;

use crate::office::{call, claim, give_to, refused, served, until_offline};

/// A reviewer that judges when the test says so.
const PATIENT: &str = r#"note reviews "$OCTOPOID_TASK_ID"; await judge; result '{"outcome":"accept","reason":"it is good"}'"#;

async fn submitted(cluster: &Cluster, at: &Project) -> String {
    let id = at.enqueue("To be judged", &[]);
    cluster.until_all_show("incoming", 1).await;
    let task = at.client().claim(&claim("worker")).await.expect("an answer").expect("the task");
    assert_eq!(task.id, id);
    let work = SubmitRequest { commits_count: 0, turns_used: 1, agent_name: Some("worker".to_owned()), ..SubmitRequest::default() };
    let _ = at.client().submit(&id, &work).await.expect("handed in");
    cluster.until_all_show("provisional", 1).await;
    id
}

fn good() -> AcceptRequest {
    AcceptRequest { accepted_by: "tester".to_owned(), ..AcceptRequest::default() }
}

fn bad() -> RejectRequest {
    RejectRequest { rejected_by: "tester".to_owned(), reason: "no tests".to_owned() }
}

/// Returns the node that wrote an event of a task's history.
async fn author(at: &Project, id: &str, event: &str) -> Option<String> {
    let history = at.client().history(id).await.expect("a history").history;
    history.into_iter().rev().find(|known| known.event == event).expect("the event").node
}

#[tokio::test]
async fn a_verdict_at_any_node_is_the_authoritys_and_is_shown_there_at_once() {
    let cluster = served(2, &[]).await;
    let there = &cluster.machines[1];
    let id = submitted(&cluster, there).await;
    let task = there.client().reject(&id, &bad()).await.expect("rejected");
    assert_eq!((task.queue.as_str(), task.rejection_count), ("incoming", 1));
    assert_eq!(there.task(&id).await.queue, "incoming", "what was answered is shown");
    assert_eq!(author(there, &id, "rejected").await.as_deref(), Some("machine-1"));

    let again = there.client().claim(&claim("worker")).await.expect("an answer").expect("the task");
    assert_eq!((again.id.as_str(), again.epoch), (id.as_str(), 2));
    let work = SubmitRequest { commits_count: 0, turns_used: 1, ..SubmitRequest::default() };
    let _ = there.client().submit(&id, &work).await.expect("handed in");
    cluster.until_all_show("provisional", 1).await;
    let path = format!("/api/v1/tasks/{id}/accept");
    let body = json!({ "accepted_by": "tester" });
    let (status, _, _) = call(there, "POST", &path, &[("if-match", "\"1-00000000\"")], &body).await;
    assert_eq!(status, 412, "conditions travel with the call");
    let (status, task, tag) = call(there, "POST", &path, &[], &body).await;
    assert_eq!((status, &task["queue"]), (200, &json!("done")));
    assert!(tag.is_some(), "so does the state's tag");
    let said = refused(there.client().accept(&id, &good()).await, 409);
    assert!(said.contains("Cannot accept"), "the authority's refusal is the answer: {said}");
    assert_eq!(author(there, &id, "accepted").await.as_deref(), Some("machine-1"));
}

#[tokio::test]
async fn what_finishes_a_task_without_work_is_the_authoritys_too() {
    let cluster = served(2, &[]).await;
    let there = &cluster.machines[1];
    let id = there.enqueue("Done by hand", &[]);
    cluster.until_all_show("incoming", 1).await;
    let force = |queue: &str| ForceQueueRequest { queue: queue.to_owned(), reason: "by hand".to_owned(), forced_by: None };
    let task = there.client().force_queue(&id, &force("backlog")).await.expect("moved");
    assert_eq!((task.queue.as_str(), author(there, &id, "force_queue").await.as_deref()), ("backlog", Some("machine-2")));
    cluster.until_all_show("backlog", 1).await;
    let task = there.client().force_queue(&id, &force("done")).await.expect("finished");
    assert_eq!((task.queue.as_str(), author(there, &id, "force_queue").await.as_deref()), ("done", Some("machine-1")));
    let born = NewTask { id: "born-done".to_owned(), file_path: "t.md".to_owned(), queue: Some("done".to_owned()), ..NewTask::default() };
    let task = there.client().create_task(&born).await.expect("created");
    assert_eq!(task.queue, "done");
    cluster.until_all_show("done", 2).await;
}

#[tokio::test]
async fn without_the_authority_verdicts_are_refused_and_nothing_is_judged() {
    let mut cluster = served(2, &[]).await;
    let id = submitted(&cluster, &cluster.machines[1]).await;
    cluster.machines[0].stop(&[]).await;
    let there = &cluster.machines[1];
    until_offline(there, true).await;
    for said in [refused(there.client().accept(&id, &good()).await, 503), refused(there.client().reject(&id, &bad()).await, 503)] {
        assert!(said.contains("'machine-1'"), "the authority is named: {said}");
    }
    assert_eq!(there.task(&id).await.queue, "provisional");
    assert!(there.run(&["status"]).ok().contains("⚠️  Working offline"));
}

#[tokio::test]
async fn an_agents_verdict_waits_for_the_authority_over_a_restart() {
    let mut cluster = served(2, &[]).await;
    let id = submitted(&cluster, &cluster.machines[1]).await;
    cluster.machines[1].agents(&[Agent::new("judge", "review", PATIENT)]);
    cluster.machines[1].until_noted("reviews", 1).await;
    cluster.machines[0].take_node().kill9();
    until_offline(&cluster.machines[1], true).await;
    cluster.machines[1].put("judge");
    let there = &cluster.machines[1];
    there
        .until("the verdict is kept", async || {
            let warnings = there.client().node_status().await.map_err(|error| error.to_string())?.warnings;
            let said = warnings.iter().any(|warning| warning.contains("verdicts of agents here that wait for the authority: 1"));
            if said { Ok(()) } else { Err(format!("{warnings:?}")) }
        })
        .await;
    assert_eq!(there.task(&id).await.queue, "provisional");
    cluster.machines[1].agents(&[]);
    cluster.machines[1].take_node().kill9();
    cluster.machines[1].start().await;
    cluster.machines[0].start().await;
    for machine in &cluster.machines {
        machine.until_in(&id, "done").await;
    }
    assert_eq!(author(&cluster.machines[1], &id, "accepted").await.as_deref(), Some("machine-1"));
    let there = &cluster.machines[1];
    there
        .until("nothing waits any more", async || {
            let warnings = there.client().node_status().await.map_err(|error| error.to_string())?.warnings;
            if warnings.iter().all(|warning| !warning.contains("wait for the authority")) { Ok(()) } else { Err(format!("{warnings:?}")) }
        })
        .await;
}

#[tokio::test]
async fn of_reviewers_at_three_nodes_one_gets_the_review() {
    let cluster = served(3, &[]).await;
    for _ in 0..4 {
        let id = submitted(&cluster, &cluster.machines[1]).await;
        let mut claimants = tokio::task::JoinSet::new();
        for (at, machine) in cluster.machines.iter().enumerate() {
            let client = machine.client().clone();
            let request = octopoid_client::ClaimRequest { queue: Some("provisional".to_owned()), ..claim(&format!("judge-{at}")) };
            claimants.spawn(async move { client.claim(&request).await.expect("an answer").is_some() });
        }
        let got = claimants.join_all().await.into_iter().filter(|got| *got).count();
        assert_eq!(got, 1, "the review is exclusive, and somebody gets it");
        let _ = cluster.machines[2].client().accept(&id, &good()).await.expect("accepted");
        cluster.until_all_show("provisional", 0).await;
    }
}

#[tokio::test]
async fn a_cluster_of_equals_again_judges_everywhere() {
    let cluster = served(2, &[]).await;
    let there = &cluster.machines[1];
    let id = submitted(&cluster, there).await;
    give_to(&cluster.machines[0], None, false).await.expect("given up");
    crate::moves::until_nobody(there).await;
    let task = there.client().accept(&id, &good()).await.expect("accepted");
    assert_eq!((task.queue.as_str(), author(there, &id, "accepted").await.as_deref()), ("done", Some("machine-2")));
}
