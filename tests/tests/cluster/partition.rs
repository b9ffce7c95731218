//! Two sides that cannot see each other begin the same work. The remote stays reachable for both, so that git has to decide, too.

use octopoid_client::Conflict;
use octopoid_tests::{Agent, Cluster, lives};

/// How many tasks both sides begin at once: each is a new draw of lots.
const TASKS: usize = 3;
const WORK: &str = r#"note starts "$OCTOPOID_TASK_ID $OCTOPOID_ATTEMPT $$"
echo "$OCTOPOID_ATTEMPT" > "work-$OCTOPOID_TASK_ID"; commit "by $OCTOPOID_ATTEMPT"; note committed "$OCTOPOID_ATTEMPT""#;
/// Goes on until its test is over.
const LONG: &str = r#"while [ -d "$TABLE" ]; do sleep 0.1; done"#;

/// An attempt that a script noted.
#[derive(Debug, Clone)]
struct Start {
    task: String,
    attempt: String,
    pid: i32,
}

fn starts(cluster: &Cluster, machine: usize) -> Vec<Start> {
    let noted = cluster.machines[machine].noted("starts");
    let read = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("three words");
        Start { task: next(), attempt: next(), pid: next().parse().expect("a process") }
    };
    noted.lines().map(read).collect()
}

/// Queues tasks that every machine knows, cuts the second one off, and lets all work.
async fn parted(cluster: &Cluster) -> Vec<String> {
    cluster.until_connected().await;
    for machine in &cluster.machines {
        let _ = machine.run(&["pause"]).ok();
    }
    let queue = |number: usize| cluster.machines[0].enqueue(&format!("Wanted by both {number}"), &["--role", "implement"]);
    let ids: Vec<String> = (0..TASKS).map(queue).collect();
    cluster.until_all_show("incoming", TASKS as u64).await;
    let _ = cluster.machines[1].run(&["cluster", "offline"]).ok();
    for machine in &cluster.machines {
        machine
            .until("the others are gone", async || {
                let status = machine.client().node_status().await.map_err(|error| error.to_string())?;
                if status.offline { Ok(()) } else { Err(format!("{:#?}", status.members)) }
            })
            .await;
        let _ = machine.run(&["resume"]).ok();
    }
    ids
}

async fn joined_again(cluster: &Cluster) {
    let _ = cluster.machines[1].run(&["cluster", "online"]).ok();
    cluster.until_connected().await;
}

/// Waits until every machine lists one lost attempt for each task, and all the same; returns what they list.
async fn agreed_conflicts(cluster: &Cluster) -> Vec<Conflict> {
    let listed = async |machine: usize| {
        let list = cluster.machines[machine].client().conflicts(0, 100).await.map_err(|error| error.to_string())?;
        let mut conflicts = list.conflicts;
        conflicts.sort_by(|a, b| a.task_id.cmp(&b.task_id));
        Ok::<_, String>(conflicts)
    };
    cluster.machines[0]
        .until("all list the same conflicts", async || {
            let (one, other) = (listed(0).await?, listed(1).await?);
            let each = one.len() == TASKS && one.iter().all(|conflict| conflict.attempts.len() == 1 && conflict.winner.is_some());
            if each && one == other { Ok(one) } else { Err(format!("{one:#?}\nand\n{other:#?}")) }
        })
        .await
}

/// Checks that an attempt's branch is there and holds its work.
fn assert_kept(cluster: &Cluster, machine: usize, start: &Start) {
    let branch = format!("octopoid/{}/{}:work-{}", start.task, start.attempt, start.task);
    assert_eq!(cluster.machines[machine].git(&["show", &branch]), start.attempt);
}

#[tokio::test]
async fn what_one_side_submitted_wins_and_the_agents_of_the_other_are_stopped_whoever_drew_the_better_lot() {
    let cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[0].agents(&[Agent::new("worker", "implement", WORK).with(&format!("max_instances: {TASKS}"))]);
    cluster.machines[1].agents(&[Agent::new("worker", "implement", &format!("{WORK}\n{LONG}")).with(&format!("max_instances: {TASKS}"))]);
    let mut ids = parted(&cluster).await;
    cluster.machines[1].until_noted("committed", TASKS).await;
    for id in &ids {
        cluster.machines[0].until_task(id, "submitted", |task| task.queue == "provisional").await;
    }
    let (won, lost) = (starts(&cluster, 0), starts(&cluster, 1));
    assert!(lost.len() == TASKS && lost.iter().all(|start| lives(start.pid)), "the other side is at it: {lost:?}");
    joined_again(&cluster).await;

    let conflicts = agreed_conflicts(&cluster).await;
    for start in &lost {
        let conflict = conflicts.iter().find(|conflict| conflict.task_id == start.task).expect("a conflict");
        assert_eq!(conflict.attempts[0].attempt, start.attempt);
        assert!(won.iter().any(|winner| Some(&winner.attempt) == conflict.winner.as_ref()), "{conflict:#?}");
        assert_kept(&cluster, 1, start);
    }
    cluster.machines[1]
        .until("the agents are dead", async || {
            let alive: Vec<i32> = lost.iter().map(|start| start.pid).filter(|pid| lives(*pid)).collect();
            if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
        })
        .await;
    for id in &ids {
        let _ = cluster.machines[1].run(&["accept", id]).ok();
        cluster.machines[0].until_merged(id).await;
    }
    let mut merged = cluster.merged_at_origin();
    merged.sort();
    ids.sort();
    assert_eq!(merged, ids, "each was merged once");
}

/// As [`WORK`], of an agent that waits where an earlier attempt has left something, and tells what that is.
fn resuming() -> String {
    let resumed = r#"[ ! -e "work-$OCTOPOID_TASK_ID" ] || { note resumed "$OCTOPOID_TASK_ID $(cat "work-$OCTOPOID_TASK_ID")";"#;
    format!("{resumed} {LONG}; }}\n{WORK}")
}

#[tokio::test]
async fn a_reviewing_agent_judges_what_won_and_the_next_attempt_goes_on_from_that() {
    let cluster = Cluster::of(2, true, &[]).await;
    let worker = Agent::new("worker", "implement", &resuming()).with(&format!("max_instances: {TASKS}"));
    for machine in &cluster.machines {
        machine.agents(std::slice::from_ref(&worker));
    }
    let mut ids = parted(&cluster).await;
    for machine in &cluster.machines {
        for id in &ids {
            machine.until_task(id, "submitted on its side", |task| task.queue == "provisional").await;
        }
    }
    joined_again(&cluster).await;
    let conflicts = agreed_conflicts(&cluster).await;
    let winner = |id: &str| conflicts.iter().find(|conflict| conflict.task_id == id).and_then(|conflict| conflict.winner.clone());
    // The reviewer works where one of the winners was made: there, the attempt that lost was the last one to arrive.
    ids.sort();
    let stuck = ids.remove(0);
    let won = winner(&stuck).expect("a winner");
    let home = (0..2).find(|machine| starts(&cluster, *machine).iter().any(|start| start.attempt == won)).expect("its machine");
    // What was merged meanwhile is in the way of its work.
    let other = &cluster.machines[0];
    other.write(&format!("work-{stuck}"), "in the way\n");
    other.commit("in the way");
    let _ = other.git(&["push", "-q", "origin", "main"]);
    let judge = r#"note judged "$OCTOPOID_TASK_ID $(cat "work-$OCTOPOID_TASK_ID")"
cp "$OCTOPOID_PROMPT_FILE" "$TABLE/prompt-$OCTOPOID_TASK_ID"; result '{"outcome":"accept","reason":"it is good"}'"#;
    cluster.machines[1 - home].agents(&[]);
    let home = &cluster.machines[home];
    home.agents(&[worker, Agent::new("judge", "review", judge)]);
    for id in &ids {
        home.until_merged(id).await;
    }
    let resumed = home.until_noted("resumed", 1).await;
    assert_eq!(resumed, [format!("{stuck} {won}")], "the next attempt starts from the one that did not merge");
    let mut judged: Vec<String> = home.noted("judged").lines().map(str::to_owned).collect();
    judged.sort();
    let mut expected: Vec<String> = ids.iter().map(|id| format!("{id} {}", winner(id).expect("a winner"))).collect();
    expected.push(format!("{stuck} {won}"));
    expected.sort();
    assert_eq!(judged, expected, "what is judged is what the verdict is about");
    for id in &ids {
        let (prompt, won) = (home.noted(&format!("prompt-{id}")), winner(id).expect("a winner"));
        assert!(prompt.contains(&format!("+{won}")), "the diff is of the winner:\n{prompt}");
        assert_eq!(cluster.origin().git(&["show", &format!("main:work-{id}")]), won, "what was judged is what was merged");
    }
}

#[tokio::test]
async fn tasks_that_both_sides_finished_are_merged_once_and_all_say_by_which_attempt() {
    let cluster = Cluster::of(2, true, &[]).await;
    let worker = Agent::new("worker", "implement", WORK).with(&format!("max_instances: {TASKS}"));
    for machine in &cluster.machines {
        machine.agents(&[worker.clone(), Agent::approver("judge")]);
    }
    let mut ids = parted(&cluster).await;
    for machine in &cluster.machines {
        for id in &ids {
            machine.until_task(id, "accepted on its side", |task| task.queue == "done").await;
        }
    }
    joined_again(&cluster).await;
    let conflicts = agreed_conflicts(&cluster).await;
    for machine in &cluster.machines {
        for id in &ids {
            machine.until_merged(id).await;
        }
    }
    let mut merged = cluster.merged_at_origin();
    merged.sort();
    ids.sort();
    assert_eq!(merged, ids, "each was merged once");
    let starts: Vec<(usize, Start)> =
        (0..2).flat_map(|machine| starts(&cluster, machine).into_iter().map(move |start| (machine, start))).collect();
    assert_eq!(starts.len(), 2 * TASKS);
    for (machine, start) in &starts {
        assert_kept(&cluster, *machine, start);
        let conflict = conflicts.iter().find(|conflict| conflict.task_id == start.task).expect("a conflict");
        let lost = conflict.attempts[0].attempt == start.attempt;
        assert_ne!(lost, conflict.winner.as_ref() == Some(&start.attempt), "one of both: {conflict:#?}");
        let there = cluster.origin().git(&["show", &format!("main:work-{}", start.task)]);
        assert_eq!(there == start.attempt, !lost, "what won is what was merged: {there}, {conflict:#?}");
    }
}

/// Returns the name of the one attempt that lost.
fn lost(conflict: &Conflict) -> &str {
    &conflict.attempts[0].attempt
}

#[tokio::test]
async fn an_attempt_that_lost_is_adopted_from_a_machine_that_has_not_its_branch() {
    // No remote: what another machine did is nowhere but there.
    let cluster = Cluster::of(2, false, &[]).await;
    let instances = format!("max_instances: {TASKS}");
    let worker = Agent::new("worker", "implement", &resuming()).with(&instances);
    cluster.machines[0].agents(std::slice::from_ref(&worker));
    // The first of its agents to come there hands nothing in.
    let script =
        format!("{WORK}\nif mkdir \"$TABLE/stuck\" 2> \"$TABLE/not-first\"; then note unfinished \"$OCTOPOID_TASK_ID\"; {LONG}; fi");
    cluster.machines[1].agents(&[Agent::new("worker", "implement", &script).with(&instances)]);
    let ids = parted(&cluster).await;
    let unfinished = cluster.machines[1].until_noted("unfinished", 1).await.remove(0);
    for id in &ids {
        cluster.machines[0].until_in(id, "provisional").await;
        if *id != unfinished {
            cluster.machines[1].until_in(id, "provisional").await;
        }
    }
    joined_again(&cluster).await;
    let conflicts = agreed_conflicts(&cluster).await;
    let of = |finished: bool| conflicts.iter().find(|conflict| (conflict.task_id != unfinished) == finished).expect("a conflict");

    // What was handed in waits for a verdict, here that of a reviewer where the winner was made.
    let done = of(true);
    let won = done.winner.clone().expect("a winner");
    let home = (0..2).find(|machine| starts(&cluster, *machine).iter().any(|start| start.attempt == won)).expect("its machine");
    let said = cluster.machines[home].run(&["conflicts", "adopt", &done.task_id, "--attempt", lost(done)]);
    assert!(said.ok().contains("is adopted and waits for a verdict"), "{said:?}");
    // What was not is gone on from.
    let begun = of(false);
    cluster.machines[1].agents(&[]);
    let said = cluster.machines[0].run(&["conflicts", "adopt", &begun.task_id, "--attempt", lost(begun)]);
    assert!(said.ok().contains("the next attempt starts from the branch of"), "{said:?}");
    let resumed = cluster.machines[0].until_noted("resumed", 1).await;
    assert_eq!(resumed, [format!("{} {}", begun.task_id, lost(begun))]);

    let judge = Agent::new(
        "judge",
        "review",
        r#"note judged "$OCTOPOID_TASK_ID $(cat "work-$OCTOPOID_TASK_ID")"
result '{"outcome":"accept","reason":"it is good"}'"#,
    );
    let agents = if home == 0 { vec![worker, judge] } else { vec![judge] };
    cluster.machines[home].agents(&agents);
    for machine in &cluster.machines {
        machine.until_merged(&done.task_id).await;
    }
    let judged = cluster.machines[home].noted("judged");
    assert!(judged.contains(&format!("{} {}", done.task_id, lost(done))), "{judged}");
    let merged = cluster.machines[0].git(&["show", &format!("main:work-{}", done.task_id)]);
    assert_eq!(merged, lost(done), "what was adopted is what was merged");
}
