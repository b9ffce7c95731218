//! Who works on what: once, and by whom.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use octopoid_client::{ClaimRequest, NewTask, RenewRequest, SubmitRequest, TaskFilter};
use octopoid_tests::{Agent, Cluster, Project, lives, shown};
use rustix::process::Signal;

/// Counts how often each task was started.
fn starts(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for task in cluster.noted("starts") {
        *counts.entry(task).or_insert(0) += 1;
    }
    counts
}

fn workers(count: usize) -> Vec<Agent> {
    let script = r#"note starts "$OCTOPOID_TASK_ID"; sleep 0.2; echo x > "$OCTOPOID_TASK_ID"; commit "work""#;
    (0..count).map(|number| Agent::new(&format!("worker-{number}"), "implement", script)).collect()
}

/// Draws lots. The seed is printed, so that a failure tells what was stopped when.
struct Lots(u64);

impl Lots {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("randomness");
        let seed = u64::from_le_bytes(seed);
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// Returns a number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::test]
async fn connected_nodes_start_and_merge_each_task_once_also_when_one_of_them_stands_still_at_any_moment() {
    const ROUNDS: usize = 2;
    const TASKS: usize = 12;
    let mut agents = workers(2);
    agents.push(Agent::approver("judge"));
    let cluster = Cluster::of(3, true, &agents).await;
    cluster.until_connected().await;
    let mut lots = Lots::new();
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        for number in 0..TASKS {
            ids.push(cluster.machines[number % 3].enqueue(&format!("Task {round} {number}"), &["--role", "implement"]));
        }
        // A process that is stopped for longer than others wait for it, wherever it is in its claims, reviews and merges.
        let (stopped, after) = (lots.below(3), Duration::from_millis(lots.below(3_000)));
        eprintln!("round {round}: machine-{} stands still after {after:?}", stopped + 1);
        tokio::time::sleep(after).await;
        let node = cluster.machines[usize::try_from(stopped).expect("a machine")].node();
        node.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_secs(2)).await;
        node.signal(Signal::CONT);
    }
    for machine in &cluster.machines {
        for id in &ids {
            machine.until_merged(id).await;
        }
    }
    let starts = starts(&cluster);
    let twice: Vec<_> = starts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    assert_eq!(starts.len(), ROUNDS * TASKS);
    let mut merged = cluster.merged_at_origin();
    merged.sort();
    ids.sort();
    assert_eq!(merged, ids, "each has one trailer");
    let busy = cluster.machines.iter().filter(|machine| !machine.noted("starts").is_empty()).count();
    assert!(busy >= 2, "those that did not stand still had a share");
}

#[tokio::test]
async fn five_nodes_with_four_agents_each_start_every_one_of_a_thousand_short_tasks_once() {
    const TASKS: usize = 1_000;
    let script = r#"note starts "$OCTOPOID_TASK_ID"; result '{"outcome":"no_change","reason":"nothing to do"}'"#;
    let agents: Vec<Agent> = (0..4).map(|number| Agent::new(&format!("worker-{number}"), "implement", script)).collect();
    let cluster = Cluster::of(5, false, &agents).await;
    for machine in &cluster.machines {
        machine.configure("max_concurrent: 3", "max_concurrent: 4");
    }
    let mut cluster = cluster;
    // The tasks are there before anybody may work, so that all want the same ones from the first moment on.
    for machine in &mut cluster.machines {
        machine.stop(&[]).await;
        let _ = machine.start_with(&["--no-agents"]).await;
    }
    cluster.until_connected().await;
    let client = cluster.machines[0].client();
    for number in 0..TASKS {
        let id = format!("short-{number}");
        let task = NewTask { file_path: format!("{id}.md"), id, role: Some("implement".to_owned()), ..NewTask::default() };
        let _ = client.create_task(&task).await.expect("a task");
    }
    cluster.until_all_show("incoming", TASKS as u64).await;
    for machine in &mut cluster.machines {
        machine.stop(&[]).await;
        let _ = machine.start().await;
    }
    cluster.until_all_show_within(Duration::from_secs(600), "provisional", TASKS as u64).await;
    let starts = starts(&cluster);
    let twice: Vec<_> = starts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    assert_eq!(starts.len(), TASKS);
    let shares: Vec<usize> = cluster.machines.iter().map(|machine| machine.noted("starts").lines().count()).collect();
    assert!(shares.iter().all(|share| *share > 0), "every machine had a share: {shares:?}");
}

#[tokio::test]
async fn finished_work_is_held_until_a_claim_that_goes_first_and_never_started_has_ended() {
    const TASKS: usize = 6;
    let script = r#"note starts "$OCTOPOID_TASK_ID"; await go; echo x > "$OCTOPOID_TASK_ID"; commit "work""#;
    let worker = Agent::new("worker", "implement", script).with(&format!("max_instances: {TASKS}"));
    let mut cluster = Cluster::of(3, false, &[]).await;
    cluster.until_connected().await;
    for number in 0..TASKS {
        let _ = cluster.machines[0].enqueue(&format!("Wanted {number}"), &["--role", "implement"]);
    }
    cluster.until_all_show("incoming", TASKS as u64).await;
    cluster.machines[0].stop(&[]).await;

    // Another machine claims them all and is lost at once; a third one knows the claims, but not whether work began.
    for number in 0..TASKS {
        let agent_name = format!("lost-{number}");
        let claim =
            ClaimRequest { orchestrator_id: "o".to_owned(), agent_name, lease_duration_seconds: Some(10), ..ClaimRequest::default() };
        let _ = cluster.machines[1].client().claim(&claim).await.expect("a claim").expect("a task");
    }
    cluster.machines[2].until("the claims are known", async || shown(&cluster.machines[2], "claimed", TASKS as u64).await).await;
    cluster.machines[1].take_node().kill9();
    cluster.machines[2].stop(&[]).await;

    // The first machine has not heard of them, and starts.
    cluster.machines[0].agents(&[worker]);
    cluster.machines[0].configure("max_concurrent: 3", &format!("max_concurrent: {TASKS}"));
    cluster.machines[0].start().await;
    let _ = cluster.machines[0].until_noted("starts", TASKS).await;
    cluster.machines[2].start().await;
    cluster.until_connected().await;
    cluster.machines[0].put("go");
    cluster.until_all_show("provisional", TASKS as u64).await;
    assert_eq!(starts(&cluster).values().copied().collect::<Vec<_>>(), [1; TASKS], "nothing was done twice");
    let shown = cluster.machines[0].client().tasks(&TaskFilter::default()).await.expect("the tasks");
    assert!(shown.tasks.iter().all(|task| task.commits_count == 1), "{:#?}", shown.tasks);
}

#[tokio::test]
async fn a_claim_made_at_one_node_is_renewed_and_submitted_through_another() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("Done by a script", &[]);
    cluster.until_all_show("incoming", 1).await;
    let claim = ClaimRequest { orchestrator_id: "script".to_owned(), agent_name: "script".to_owned(), ..ClaimRequest::default() };
    let task = cluster.machines[0].client().claim(&claim).await.expect("a claim").expect("a task");
    assert_eq!(task.id, id);
    cluster.until_all_show("claimed", 1).await;
    assert!(cluster.machines[1].client().claim(&claim).await.expect("an answer").is_none(), "nobody else gets it");

    let there = cluster.machines[1].client();
    let renew = RenewRequest { agent_name: "script".to_owned(), ..RenewRequest::default() };
    assert_eq!(there.renew(&id, &renew).await.expect("renewed there").id, id);
    cluster.machines[0].stop(&[]).await;
    let refused = cluster.machines[1].client().renew(&id, &renew).await.expect_err("its node is gone");
    assert!(refused.to_string().contains("machine-1"), "{refused}");
    cluster.machines[0].start().await;
    cluster.until_connected().await;
    let submit = SubmitRequest { commits_count: 0, turns_used: 1, agent_name: Some("script".to_owned()), ..SubmitRequest::default() };
    assert_eq!(cluster.machines[1].client().submit(&id, &submit).await.expect("submitted there").queue, "provisional");
    cluster.until_all_show("provisional", 1).await;
}

#[tokio::test]
async fn a_task_that_runs_for_many_leases_keeps_its_holder_and_adds_no_record() {
    const TTL: Duration = Duration::from_secs(2);
    let worker = Agent::new("worker", "implement", r#"note starts x; await go; echo x > done; commit "work""#);
    let mut cluster = Cluster::of(2, false, &[]).await;
    for machine in &mut cluster.machines {
        machine.configure("# leases:\n#   ttl_seconds: 300 ", &format!("leases:\n  ttl_seconds: {} ", TTL.as_secs()));
        machine.stop(&[]).await;
    }
    cluster.machines[1].agents(&[worker]);
    for machine in &mut cluster.machines {
        let _ = machine.start().await;
    }
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("Takes its time", &["--role", "implement"]);
    let _ = cluster.machines[1].until_noted("starts", 1).await;
    cluster.until_all_show("claimed", 1).await;
    let records = async |machine: &Project| machine.client().doctor(false).await.expect("a doctor").records;
    let before = [records(&cluster.machines[0]).await, records(&cluster.machines[1]).await];
    // Ten renewals and more, at the end of which every lease that was not renewed has run out.
    tokio::time::sleep(TTL * 4).await;
    assert_eq!([records(&cluster.machines[0]).await, records(&cluster.machines[1]).await], before, "renewals are no records");
    cluster.until_all_show("claimed", 1).await;
    cluster.machines[1].put("go");
    cluster.until_all_show("provisional", 1).await;
    let attempts = cluster.machines[0].client().attempts(&id).await.expect("the attempts").attempts;
    assert_eq!(attempts.len(), 1, "{attempts:#?}");
}

#[tokio::test]
async fn a_holder_that_is_killed_is_found_out_by_the_others_and_the_task_goes_on() {
    let script = r#"echo done > work; commit "do it""#;
    let mut cluster = Cluster::of(2, true, &[]).await;
    cluster.until_connected().await;
    let claim = ClaimRequest {
        orchestrator_id: "o".to_owned(),
        agent_name: "dies".to_owned(),
        lease_duration_seconds: Some(2),
        ..ClaimRequest::default()
    };
    let id = cluster.machines[1].enqueue("To be rescued", &["--role", "implement"]);
    let _ = cluster.machines[1].client().claim(&claim).await.expect("a claim").expect("a task");
    cluster.until_all_show("claimed", 1).await;
    cluster.machines[1].take_node().kill9();
    cluster.machines[0].agents(&[Agent::new("worker", "implement", script)]);
    cluster.machines[0].until_task(&id, "is done by another", |task| task.queue == "provisional").await;
    let history = cluster.machines[0].client().history(&id).await.expect("history").history;
    assert!(history.iter().any(|event| event.event == "lease_expired"), "{history:#?}");
}

/// The lease of a holder that dies, in seconds; renewed every fifth of it.
const LEASE: f64 = 5.0;
/// Over how long those who may end it are spread.
const SPREAD: f64 = 1.0;
/// What a busy machine may take to look, to write and to be asked.
const SLACK: f64 = 3.0;

#[tokio::test]
async fn the_next_attempt_after_a_holder_that_was_killed_is_told_of_its_branch_and_its_agent_dies_with_its_nodes_next_start() {
    let dies = r#"echo begun > work; commit "begin"; note held "$OCTOPOID_ATTEMPT $$"; while [ -d "$TABLE" ]; do sleep 0.1; done"#;
    let heir = r#"cp "$OCTOPOID_PROMPT_FILE" "$TABLE/prompt"; echo done > work; commit "do it""#;
    let mut cluster = Cluster::of(1, true, &[]).await;
    let mut holder = cluster.joined(&[Agent::new("dies", "implement", dies)]).await;
    let config = holder.read(".octopoid/config.yaml");
    holder.write(".octopoid/config.yaml", &format!("{config}\nleases:\n  ttl_seconds: {LEASE:.0}\n"));
    holder.start().await;
    cluster.machines.push(holder);
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("To be inherited", &["--role", "implement"]);
    let held = cluster.machines[1].until_noted("held", 1).await.remove(0);
    let (attempt, pid) = held.split_once(' ').expect("an attempt and its process");
    let pid = pid.parse().expect("a process");
    cluster.machines[0].until_task(&id, "is held", |task| task.claimed_by.as_deref() == Some("dies")).await;
    // Several renewals later the lease is alive because of them alone.
    tokio::time::sleep(Duration::from_secs_f64(1.5 * LEASE)).await;
    assert_eq!(cluster.machines[0].task(&id).await.claimed_by.as_deref(), Some("dies"), "who renews keeps it");

    cluster.machines[1].take_node().kill9();
    let killed = Instant::now();
    cluster.machines[0].agents(&[Agent::new("heir", "implement", heir)]);
    cluster.machines[0].until_task(&id, "is given back", |task| task.claimed_by.as_deref() != Some("dies")).await;
    let silent = killed.elapsed().as_secs_f64();
    // The last renewal was up to a fifth of the lease before; who takes it away is spread over a while.
    assert!(silent > (1.1 - 0.2) * LEASE - 0.5, "taken away after {silent} s, before the lease had run out");
    assert!(silent < 1.1 * LEASE + SPREAD + SLACK, "taken away after {silent} s only");
    cluster.machines[0].until_task(&id, "is done by the heir", |task| task.queue == "provisional").await;
    let prompt = cluster.machines[0].noted("prompt");
    assert!(prompt.contains(&format!("octopoid/{id}/{attempt}")), "the prompt names the earlier attempt's branch:\n{prompt}");
    let history = cluster.machines[0].client().history(&id).await.expect("history").history;
    assert!(history.iter().any(|event| event.event == "lease_expired"), "{history:#?}");

    assert!(lives(pid), "nobody was there to end the agent");
    cluster.machines[1].start().await;
    cluster.until_connected().await;
    cluster.machines[1].until("its agent is dead", async || if lives(pid) { Err(pid.to_string()) } else { Ok(()) }).await;
    assert_eq!(cluster.machines[1].git(&["show", &format!("octopoid/{id}/{attempt}:work")]), "begun", "its work is kept");
    cluster.until_all_show("provisional", 1).await;
}
