//! A member that merged for a while, and says later that it merged something else.

use std::process::Stdio;
use std::time::{Duration, Instant};

use octopoid_crdt::record::{Body, Verified};
use octopoid_tests::{Agent, Insider, Project, task_subject};

use crate::view::infiltrated;

const DO_IT: &str = r#"echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit "do it""#;

/// Makes a commit on top of `main` that no branch holds.
fn beside_main(machine: &Project, message: &str) -> String {
    machine.git(&["commit-tree", "main^{tree}", "-p", "main", "-m", message]).trim().to_owned()
}

fn tip(machine: &Project) -> String {
    machine.git(&["rev-parse", "main"]).trim().to_owned()
}

/// Works on a task, accepts that and says that it was merged as a commit.
fn says_it_merged(rogue: &mut Insider, id: &str, commit: &str) -> Vec<Verified> {
    let subject = task_subject(id);
    let claim = rogue.write(subject, Insider::claim(1));
    let submit = rogue.write(subject, Insider::submit(claim.id()));
    let accept = rogue.write(subject, Insider::accept(submit.id()));
    let commit = Some(commit.parse().expect("a commit"));
    let merged = rogue.write(subject, Body::Merged { accept: accept.id(), commit });
    vec![claim, submit, accept, merged]
}

/// Queues a task and waits until the rogue has heard of it.
async fn queued(machine: &Project, rogue: &Insider) -> String {
    let id = machine.enqueue("Do it", &[]);
    let subject = task_subject(&id);
    let _ = rogue.until_told("the task", |payload| payload.subject == subject).await;
    id
}

#[tokio::test]
async fn a_former_integrator_moves_the_branch_of_the_next_one_to_what_it_merged_before_and_to_nothing_that_it_says_later() {
    let (cluster, mut rogue) = infiltrated().await;
    let machine = &cluster.machines[0];
    let peer = Insider::peer_of(machine);
    let _ = machine.run(&["cluster", "integrator", "rogue"]).ok();
    let first = queued(machine, &rogue).await;
    let honest = beside_main(machine, "merged as the integrator");
    let before = tip(machine);
    let written = says_it_merged(&mut rogue, &first, &honest);
    rogue.give(&peer, &written).await;
    let _ = machine.until_merged(&first).await;
    assert_eq!(tip(machine), before, "it is not this machine that merges");
    let _ = machine.run(&["cluster", "integrator", "machine-1"]).ok();
    let reached = async |wanted: &str| if tip(machine) == wanted { Ok(()) } else { Err(machine.git(&["log", "-3", "main"])) };
    machine.until("what the former integrator merged is on the branch", async || reached(&honest).await).await;

    // It knows that it merges no longer: the task was queued later.
    let second = queued(machine, &rogue).await;
    let forged = beside_main(machine, "reviewed by nobody");
    let written = says_it_merged(&mut rogue, &second, &forged);
    rogue.give(&peer, &written).await;
    let _ = machine.until_merged(&second).await;
    machine.agents(&[Agent::new("worker", "implement", DO_IT), Agent::approver("judge")]);
    let third = machine.enqueue("Merged by this machine", &["--role", "implement"]);
    let _ = machine.until_merged(&third).await;
    let history = machine.git(&["rev-list", "main"]);
    assert!(history.contains(&honest) && !history.contains(&forged), "{history}");
    let warnings = machine.client().node_status().await.expect("a status").warnings;
    assert!(warnings.iter().all(|warning| !warning.contains(&forged)), "nobody is told to merge it either: {warnings:?}");
}

#[tokio::test]
async fn a_member_that_never_answers_keeps_a_node_from_nothing_but_merges_and_these_for_a_while() {
    let (cluster, mut rogue) = infiltrated().await;
    let machine = &cluster.machines[0];
    rogue.keeps_askers_waiting();
    let _ = machine.run(&["cluster", "integrator", "rogue"]).ok();
    let id = queued(machine, &rogue).await;
    let written = says_it_merged(&mut rogue, &id, &"e".repeat(40));
    rogue.give(&Insider::peer_of(machine), &written).await;
    let _ = machine.until_merged(&id).await;
    let _ = machine.run(&["cluster", "integrator", "machine-1"]).ok();
    rogue.until_asked().await;
    let began = Instant::now();
    let mut merge = machine.command().args(["merge", &id]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("octopoid runs");
    while merge.try_wait().expect("a state").is_none() {
        let asked = Instant::now();
        let _ = machine.client().node_status().await.expect("a status");
        assert!(asked.elapsed() < Duration::from_secs(10), "the status took {:?}", asked.elapsed());
        assert!(began.elapsed() < Duration::from_secs(100), "the merge still waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
