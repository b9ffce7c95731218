//! A pulled cable while agents work.

use std::time::Duration;

use octopoid_tests::{Agent, Project, lives};

use super::office::{HEALED, Office};

/// Begins, and ends when the test says so.
const WORK: &str = r#"echo begun > "work-$OCTOPOID_TASK_ID"; commit "begin"; note starts "$OCTOPOID_ATTEMPT $$"
while [ -d "$TABLE" ] && [ ! -e "$TABLE/finish" ]; do sleep 0.1; done
echo "$OCTOPOID_ATTEMPT" > "work-$OCTOPOID_TASK_ID"; commit "finish"; note finished "$OCTOPOID_ATTEMPT""#;

/// An attempt at work.
#[derive(Debug)]
struct Start {
    machine: usize,
    attempt: String,
    pid: i32,
}

fn starts(office: &Office) -> Vec<Start> {
    let of = |(machine, project): (usize, &Project)| {
        let read = move |line: &str| {
            let (attempt, pid) = line.split_once(' ').expect("an attempt and its process");
            Start { machine, attempt: attempt.to_owned(), pid: pid.parse().expect("a process") }
        };
        project.noted("starts").lines().map(read).collect::<Vec<_>>()
    };
    office.machines.iter().enumerate().flat_map(of).collect()
}

fn all_say(office: &Office, verb: &str) {
    for machine in &office.machines {
        let _ = machine.run(&[verb]).ok();
    }
}

/// Returns the attempt that won and those that lost, as every machine lists them.
fn agreed(office: &Office, task: &str) -> Result<(String, Vec<String>), String> {
    let listed = |machine: &Project| {
        let list = machine.run(&["conflicts", "--json"]).json();
        let conflicts = list["conflicts"].as_array().expect("a list").clone();
        let conflict = conflicts.into_iter().find(|conflict| conflict["task_id"] == task)?;
        let name = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let lost = conflict["attempts"].as_array().expect("a list").iter().filter_map(|attempt| name(&attempt["attempt"])).collect();
        Some((name(&conflict["winner"])?, lost))
    };
    let seen: Vec<Option<(String, Vec<String>)>> = office.machines.iter().map(listed).collect();
    let same = seen.windows(2).all(|pair| pair[0] == pair[1]);
    seen[0].clone().filter(|_| same).ok_or_else(|| format!("{seen:#?}"))
}

#[tokio::test]
async fn of_two_agents_that_a_pulled_cable_let_begin_one_task_one_is_stopped_and_the_others_work_is_merged_once() {
    let agents = [Agent::new("worker", "implement", WORK), Agent::approver("judge")];
    let Some(office) = Office::cluster(3, &agents).await else { return };
    all_say(&office, "pause");
    let id = office.machines[0].enqueue("Wanted by both", &["--role", "implement"]);
    let _ = office.until_agreed(HEALED, "the task", |tasks| tasks.iter().any(|task| task.id == id)).await;
    office.lan.pull(1);
    office.until_sees(1, 0).await;
    office.until_sees(0, 1).await;
    office.until_sees(2, 1).await;
    all_say(&office, "resume");
    office.machines[1].until_noted("starts", 1).await;
    let both = office.machines[0]
        .until("both sides are at work", async || {
            let starts = starts(&office);
            if starts.iter().any(|start| start.machine != 1) { Ok(starts) } else { Err(format!("{starts:?}")) }
        })
        .await;
    assert!(both.iter().all(|start| lives(start.pid)), "{both:?}");

    office.lan.plug(1);
    let (won, lost) = octopoid_tests::until_within(HEALED, async || agreed(&office, &id)).await.unwrap_or_else(|seen| {
        let logs: Vec<String> = office.machines.iter().map(Project::logs).collect();
        panic!("no one attempt won within {HEALED:?}\nlast seen: {seen}\n{}", logs.join("\n"))
    });
    let starts = starts(&office);
    assert_eq!(starts.len(), 2, "the larger side started it once, and nobody again: {starts:?}");
    let find = |attempt: &str| starts.iter().find(|start| start.attempt == attempt).expect("an attempt that was started");
    assert_eq!(lost.len(), 1);
    let (winner, loser) = (find(&won), find(&lost[0]));
    let stopped = octopoid_tests::until_within(Duration::from_secs(2), async || if lives(loser.pid) { Err(String::new()) } else { Ok(()) });
    assert!(stopped.await.is_ok(), "the agent that lost goes on: {loser:?}");
    assert!(lives(winner.pid), "the one that won goes on: {winner:?}");

    office.machines.iter().for_each(|machine| machine.put("finish"));
    let merged = |machine: &Project| machine.run(&["show", &id, "--json"]).json()["merged_commit"].as_str().map(str::to_owned);
    let commits = office.machines[0]
        .until("the task is merged", async || {
            let seen: Vec<Option<String>> = office.machines.iter().map(merged).collect();
            if seen.iter().all(|commit| commit.is_some() && *commit == seen[0]) { Ok(seen) } else { Err(format!("{seen:?}")) }
        })
        .await;
    let origin = office.origin.as_ref().expect("a shared repository");
    assert_eq!(origin.merged(), std::slice::from_ref(&id));
    assert_eq!(origin.git(&["show", &format!("main:work-{id}")]), won, "the work of the one that won: {commits:?}");
    let kept = office.machines[loser.machine].git(&["show", &format!("octopoid/{id}/{}:work-{id}", loser.attempt)]);
    assert_eq!(kept, "begun", "what the other one did is on its branch");
    let finished: String = office.machines.iter().map(|machine| machine.noted("finished")).collect();
    assert_eq!(finished.trim(), won, "the other one never came to its end");
}
