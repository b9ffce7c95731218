//! Records that are signed well and that their author had no right to: they are kept, relayed, and change nothing.

use octopoid_client::{ClaimRequest, ForceQueueRequest, HistoryEvent, SubmitRequest};
use octopoid_crdt::ids::{AuthorKey, Subject};
use octopoid_crdt::record::{Access, Body, Cause, Verified};
use octopoid_tests::{Cluster, Insider, Project, task_subject};
use serde_json::Value;

use crate::view::{agreed, infiltrated, records, they_serve};

/// What nobody but records and their number may have changed in.
fn but_records(mut view: Value) -> Value {
    view["records"] = Value::Null;
    view
}

/// Gives records to the first machine and sees that both hold them and show what they showed before.
async fn are_kept_and_change_nothing(cluster: &Cluster, rogue: &mut Insider, written: &[Verified]) {
    let held = records(&cluster.machines[0]);
    let before = agreed(cluster, held).await;
    let peer = Insider::peer_of(&cluster.machines[0]);
    rogue.give(&peer, written).await;
    let after = agreed(cluster, held + written.len() as u64).await;
    assert_eq!(but_records(after), but_records(before));
    for machine in &cluster.machines {
        let peers = machine.client().peers().await.expect("the members");
        assert!(peers.members.iter().all(|member| member.strikes == 0), "what does not count strikes nobody: {peers:#?}");
    }
}

fn claim(name: &str) -> ClaimRequest {
    ClaimRequest { orchestrator_id: name.to_owned(), agent_name: name.to_owned(), ..ClaimRequest::default() }
}

async fn force(machine: &Project, id: &str, queue: &str) {
    let request = ForceQueueRequest { queue: queue.to_owned(), reason: "by hand".to_owned(), forced_by: None };
    let _ = machine.client().force_queue(id, &request).await.expect("the queue is set");
}

#[tokio::test]
async fn nobody_hands_in_releases_or_steals_what_another_member_has_claimed() {
    let (cluster, mut rogue) = infiltrated().await;
    let id = cluster.machines[1].enqueue("Worked on by an honest member", &[]);
    let _ = cluster.machines[1].client().claim(&claim("honest")).await.expect("a claim").expect("the task");
    cluster.until_all_show("claimed", 1).await;
    let subject = task_subject(&id);
    let held = rogue.until_told("the claim", |payload| matches!(payload.body, Body::Claim { .. })).await.id();
    let release = Body::Release { of: held, cause: Cause::GivenBack, reason: "not yours".to_owned() };
    let bodies = [Insider::submit(held), release, Insider::claim(2), Insider::claim(100)];
    let written: Vec<Verified> = bodies.into_iter().map(|body| rogue.write(subject, body)).collect();
    // Handing in one's own claim that did not count does not count either.
    let own = rogue.write(subject, Insider::submit(written[2].id()));
    let all = [written, vec![own]].concat();
    are_kept_and_change_nothing(&cluster, &mut rogue, &all).await;
    let submit = SubmitRequest { commits_count: 0, turns_used: 1, agent_name: Some("honest".to_owned()), ..SubmitRequest::default() };
    let task = cluster.machines[1].client().submit(&id, &submit).await.expect("the holder hands in");
    assert_eq!(task.queue, "provisional");
    cluster.until_all_show("provisional", 1).await;
    they_serve(&cluster).await;
}

#[tokio::test]
async fn a_reader_that_accepts_claims_edits_or_makes_tasks_changes_nothing() {
    let cluster = Cluster::of(2, false, &[]).await;
    let mut reader = Insider::join(&cluster.machines[0], "reader", "reader").await;
    let waiting = cluster.machines[0].enqueue("Not for readers", &[]);
    let judged = cluster.machines[0].enqueue("To be judged", &[]);
    force(&cluster.machines[0], &judged, "provisional").await;
    cluster.until_all_show("provisional", 1).await;
    let (waiting, judged) = (task_subject(&waiting), task_subject(&judged));
    let rests_on = reader.until_told("the move", |payload| matches!(payload.body, Body::Move { .. })).await.id();
    let by = || ("reader".to_owned(), String::new());
    let written = vec![
        reader.write(judged, Insider::accept(rests_on)),
        reader.write(judged, Body::Reject { on: rests_on, by: by().0, reason: by().1 }),
        reader.write(waiting, Insider::claim(1)),
        reader.write(waiting, Body::Cancel { by: by().0, reason: by().1 }),
        reader.write(waiting, Body::Delete { by: by().0, reason: by().1 }),
        reader.write(waiting, Body::DocChange { change: reader.retitled(waiting, "Read and changed") }),
        reader.write(task_subject("readers-own"), reader.task("readers-own", "Made by a reader")),
    ];
    are_kept_and_change_nothing(&cluster, &mut reader, &written).await;
    they_serve(&cluster).await;
}

#[tokio::test]
async fn a_worker_lets_nobody_in_removes_nobody_and_makes_nobody_the_authority() {
    let (cluster, mut rogue) = infiltrated().await;
    let founder = rogue.find(|payload| matches!(payload.body, Body::Genesis { .. })).expect("the first record").payload().author;
    let (key, accomplice) = (rogue.key(), AuthorKey([7; 32]));
    let name = |text: &str| text.parse().expect("a name");
    let bodies = [
        Body::Join { member: accomplice, access: Access::Admin, name: name("accomplice"), invite: None },
        Body::Join { member: key, access: Access::Admin, name: name("rogue"), invite: None },
        Body::Remove { member: founder, frontier: Vec::new(), reason: "a coup".to_owned() },
        Body::Policy { number: 1, authority: Some(key), integrator: key, last: None, frontier: None },
        Body::ClusterName { name: name("mine") },
    ];
    let written: Vec<Verified> = bodies.into_iter().map(|body| rogue.write(Subject::CLUSTER, body)).collect();
    are_kept_and_change_nothing(&cluster, &mut rogue, &written).await;
    let status = cluster.machines[1].run(&["status", "--json"]).json();
    assert_eq!((&status["mode"], &status["cluster"]), (&"mesh".into(), &"home".into()));
    they_serve(&cluster).await;
}

#[tokio::test]
async fn who_has_seen_that_a_task_is_finished_changes_nothing_about_it() {
    let (cluster, mut rogue) = infiltrated().await;
    let id = cluster.machines[1].enqueue("Finished", &[]);
    force(&cluster.machines[1], &id, "done").await;
    cluster.until_all_show("done", 1).await;
    let subject = task_subject(&id);
    let finish = rogue.until_told("the finish", |payload| matches!(payload.body, Body::Finish { .. })).await.id();
    let text = || "rogue".to_owned();
    let bodies = [
        Body::Cancel { by: text(), reason: text() },
        Insider::claim(1),
        Insider::accept(finish),
        Body::Reject { on: finish, by: text(), reason: text() },
        Body::Finish { by: text(), reason: text() },
    ];
    let written: Vec<Verified> = bodies.into_iter().map(|body| rogue.write(subject, body)).collect();
    are_kept_and_change_nothing(&cluster, &mut rogue, &written).await;
    for machine in &cluster.machines {
        let history = machine.client().history(&id).await.expect("history").history;
        let void =
            |event: &&HistoryEvent| event.event == "conflict" && event.details.as_deref().is_some_and(|why| why.contains("does not count"));
        assert_eq!(history.iter().filter(void).count(), written.len(), "each is told, and why it does not count: {history:#?}");
    }
    they_serve(&cluster).await;
}
