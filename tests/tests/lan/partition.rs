//! Machines that do not reach each other for a while.

use std::time::Duration;

use octopoid_tests::{Lan, Project};
use serde_json::{Value, json};

use super::office::{HEALED, Office, Shown};

/// How often three machines are cut off and joined again, in each way.
const CYCLES: usize = 6;
/// How often four or five are.
const CYCLES_OF_MORE: usize = 4;

/// Long enough that a node which doubled its pauses up to half a minute would be in the middle of one of 20 s to 30 s.
const LONG: Duration = Duration::from_secs(58);

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

/// Puts a task before all machines that both sides will want.
async fn wanted(office: &Office, cycle: usize) -> String {
    let id = office.machines[0].enqueue(&format!("Wanted by both {cycle}"), &["--priority", "P0"]);
    let shows = |tasks: &[Shown]| find(tasks, &id).is_some();
    let _ = office.until_agreed(HEALED, "the task that both will want", shows).await;
    id
}

/// Waits until the second machine and all others know that they do not reach each other.
async fn until_cut_off(office: &Office) {
    for number in 0..office.machines.len() {
        let others = if number == 1 { 0 } else { office.machines.len() - 2 };
        office.until_sees(number, others).await;
    }
}

/// Cuts the second machine off, works on both sides, mends, and sees that all machines show one claim and everybody's tasks.
/// Returns what the second machine claimed while it was cut off.
async fn cycle(office: &Office, number: usize, cut: impl FnOnce(&Lan), mend: impl FnOnce(&Lan)) -> (String, Option<String>) {
    let id = wanted(office, number).await;
    cut(&office.lan);
    let there = office.machines[1].enqueue(&format!("Queued there {number}"), &["--priority", "P3"]);
    let here = office.machines[0].enqueue(&format!("Queued here {number}"), &["--priority", "P3"]);
    assert_eq!(claim(&office.machines[0], "left").as_ref(), Some(&id), "the larger side starts it");
    let claimed = claim(&office.machines[1], "right");
    until_cut_off(office).await;
    mend(&office.lan);
    let agreed = office
        .until_agreed(HEALED, "one claim and what both sides queued", |tasks| {
            let held = find(tasks, &id).is_some_and(|task| task.queue == "claimed" && task.holder.is_some());
            held && [&here, &there].iter().all(|id| find(tasks, id).is_some())
        })
        .await;
    let holder = find(&agreed, &id).and_then(|task| task.holder.clone());
    assert!(matches!(holder.as_deref(), Some("left" | "right")), "{holder:?}");
    office.until_connected(office.machines.len() - 1).await;
    (id, claimed)
}

async fn pull_and_plug(machines: usize, cycles: usize) {
    let Some(office) = Office::cluster(machines, &[]).await else { return };
    for number in 0..cycles {
        let (id, claimed) = cycle(&office, number, |lan| lan.pull(1), |lan| lan.plug(1)).await;
        assert_eq!(claimed, Some(id), "each side may start it");
    }
}

/// Lets the second machine hear the others and not reach them.
async fn swallow_and_let_through(machines: usize, cycles: usize) {
    let Some(office) = Office::cluster(machines, &[]).await else { return };
    let others = || (0..machines).filter(|other| *other != 1);
    for number in 0..cycles {
        let cut = |lan: &Lan| others().for_each(|other| lan.swallow(1, other));
        let mend = |lan: &Lan| others().for_each(|other| lan.let_through(1, other));
        // What the silent machine claims depends on what it still heard.
        let _ = cycle(&office, number, cut, mend).await;
    }
}

/// Runs two offices at once: they wait for silence most of the time.
fn at_once<F: Future<Output = ()>, G: Future<Output = ()>>(one: impl FnOnce() -> F + Send, other: impl FnOnce() -> G) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::scope(|scope| {
        scope.spawn(|| runtime().block_on(one()));
        runtime().block_on(other());
    });
}

#[test]
fn both_sides_of_a_pulled_cable_work_on_and_agree_on_one_claim_when_it_is_plugged_in_again() {
    at_once(|| pull_and_plug(3, CYCLES), || pull_and_plug(5, CYCLES_OF_MORE));
}

#[test]
fn machines_of_which_one_does_not_reach_the_others_agree_when_it_does_again() {
    at_once(|| swallow_and_let_through(3, CYCLES), || swallow_and_let_through(4, CYCLES_OF_MORE));
}

#[tokio::test]
async fn a_machine_that_was_away_for_long_is_back_within_seconds() {
    let Some(mut office) = Office::of(2) else { return };
    let _ = office.found().await;
    office.let_in(1, "laptop").await;
    office.until_connected(1).await;
    office.lan.pull(1);
    tokio::time::sleep(LONG).await;
    let there = office.machines[1].enqueue("Thought of on a train", &[]);
    office.lan.plug(1);
    let _ = office.until_agreed(HEALED, "the task", |tasks| find(tasks, &there).is_some()).await;
}
