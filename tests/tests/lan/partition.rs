//! Machines that do not reach each other for a while.

use std::time::{Duration, Instant};

use octopoid_tests::Project;
use serde_json::{Value, json};

use super::office::{Office, Shown};

/// How often machines are cut off and joined again, in each way.
const CYCLES: usize = 3;
/// How soon after that all must show the same.
const HEALED: Duration = Duration::from_secs(5);

/// Claims the first task over REST, on the machine itself: its API is on loopback. Returns the task's id, if there was one.
fn claim(machine: &Project, agent: &str) -> Option<String> {
    let node: Value = serde_json::from_str(&machine.read(".octopoid/runtime/node.json")).expect("JSON");
    let url = format!("{}/api/v1/tasks/claim", node["api_url"].as_str().expect("an address"));
    let bearer = format!("Authorization: Bearer {}", machine.read(".octopoid/runtime/api.token").trim());
    let body = json!({"orchestrator_id": "script", "agent_name": agent, "lease_duration_seconds": 3_600}).to_string();
    let args = ["-sS", "--max-time", "20", "-H", &bearer, "-H", "Content-Type: application/json", "-d", &body, &url];
    let output = machine.prepared("curl").args(args).output().expect("curl runs");
    assert!(output.status.success(), "{output:?}");
    let task: Option<Value> = if output.stdout.is_empty() { None } else { Some(serde_json::from_slice(&output.stdout).expect("JSON")) };
    task.map(|task| task["id"].as_str().unwrap_or_else(|| panic!("no task: {task}")).to_owned())
}

fn find<'t>(tasks: &'t [Shown], id: &str) -> Option<&'t Shown> {
    tasks.iter().find(|task| task.id == id)
}

async fn three_machines() -> Option<Office> {
    let mut office = Office::of(3)?;
    let _ = office.found().await;
    office.let_in(1, "laptop").await;
    office.let_in(2, "desktop").await;
    office.until_connected(2).await;
    Some(office)
}

/// Puts a task before all machines that both sides will want.
async fn wanted(office: &Office, cycle: usize) -> String {
    let id = office.machines[0].enqueue(&format!("Wanted by both {cycle}"), &["--priority", "P0"]);
    let shows = |tasks: &[Shown]| find(tasks, &id).is_some();
    let _ = office.until_agreed(HEALED, "the task that both will want", shows).await;
    id
}

/// Waits until all machines show the same, with one claim of the task that both sides had claimed and all that they queued.
async fn until_healed(office: &Office, wanted: &str, queued: &[String]) {
    let start = Instant::now();
    let agreed = office
        .until_agreed(HEALED, "one claim and what both sides queued", |tasks| {
            let held = find(tasks, wanted).is_some_and(|task| task.queue == "claimed" && task.holder.is_some());
            held && queued.iter().all(|id| find(tasks, id).is_some())
        })
        .await;
    let holder = find(&agreed, wanted).and_then(|task| task.holder.clone());
    assert!(matches!(holder.as_deref(), Some("left" | "right")), "{holder:?}");
    println!("agreed after {:?}: {holder:?} holds {wanted}", start.elapsed());
}

#[tokio::test]
async fn both_sides_of_a_pulled_cable_work_on_and_agree_on_one_claim_when_it_is_plugged_in_again() {
    let Some(office) = three_machines().await else { return };
    for cycle in 0..CYCLES {
        let id = wanted(&office, cycle).await;
        office.lan.pull(1);
        let there = office.machines[1].enqueue(&format!("Queued there {cycle}"), &["--priority", "P3"]);
        let here = office.machines[0].enqueue(&format!("Queued here {cycle}"), &["--priority", "P3"]);
        for (number, agent) in [(0, "left"), (1, "right")] {
            assert_eq!(claim(&office.machines[number], agent).as_ref(), Some(&id), "each side may start it");
        }
        // Long enough that both sides have given the connection up.
        office.machines[1]
            .until("the machine without a cable is alone", async || {
                let peers = office.machines[1].run(&["peers", "list", "--json"]).json();
                let connected = peers["members"].as_array().expect("a list").iter().any(|member| member["state"] == "connected");
                if connected { Err(peers.to_string()) } else { Ok(()) }
            })
            .await;
        office.lan.plug(1);
        until_healed(&office, &id, &[here, there]).await;
        office.until_connected(2).await;
    }
}

#[tokio::test]
async fn machines_of_which_one_does_not_reach_the_others_agree_when_it_does_again() {
    let Some(office) = three_machines().await else { return };
    for cycle in 0..CYCLES {
        let id = wanted(&office, cycle).await;
        office.lan.swallow(1, 0);
        office.lan.swallow(1, 2);
        let there = office.machines[1].enqueue(&format!("Queued there {cycle}"), &["--priority", "P3"]);
        let here = office.machines[0].enqueue(&format!("Queued here {cycle}"), &["--priority", "P3"]);
        for (number, agent) in [(0, "left"), (1, "right")] {
            let task = claim(&office.machines[number], agent);
            // What it still hears tells the silent one that the task is taken.
            assert!(number == 1 || task.as_ref() == Some(&id), "the side that is whole starts it: {task:?}");
        }
        office.lan.let_through(1, 0);
        office.lan.let_through(1, 2);
        until_healed(&office, &id, &[here, there]).await;
        office.until_connected(2).await;
    }
}
