//! Machines that are killed under load, over and over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use octopoid_client::{ClaimRequest, Client, NewTask, SubmitRequest, TaskFilter};
use octopoid_tests::{Cluster, Project};

/// How many unless `OCTOPOID_KILLS` says another number.
const KILLS: usize = 50;
/// How many operations of a round are acknowledged before a machine is killed.
const OPERATIONS: usize = 40;
/// How long a killed machine may take until its API answers. It takes a fraction of a second; the demand of two seconds is for a release
/// build, and this is a debug build that shares its processors with the load and with other tests.
const RESTART: Duration = Duration::from_secs(10);
/// How long the machines may take to tell each other everything in the end.
const SETTLED: Duration = Duration::from_secs(120);

/// What nodes have answered, so that it must be there for ever, on every machine.
#[derive(Debug, Default)]
struct Acknowledged {
    created: Vec<String>,
    /// Task and agent.
    claimed: Vec<(String, String)>,
    submitted: Vec<(String, String)>,
}

/// When a round is over.
#[derive(Debug, Default)]
struct Round {
    over: AtomicBool,
    acknowledged: AtomicUsize,
}

/// Creates, claims and submits until the round is over or the node does not answer any more.
async fn load(client: Client, name: String, round: Arc<Round>) -> Acknowledged {
    let mut all = Acknowledged::default();
    for number in 0.. {
        if round.over.load(Ordering::Relaxed) {
            break;
        }
        let agent = format!("{name}-{number}");
        let task = NewTask { id: agent.clone(), file_path: agent.clone(), ..NewTask::default() };
        let Ok(task) = client.create_task(&task).await else { break };
        all.created.push(task.id);
        let claim = ClaimRequest {
            orchestrator_id: "load".to_owned(),
            agent_name: agent.clone(),
            lease_duration_seconds: Some(3_600),
            ..ClaimRequest::default()
        };
        let Ok(Some(task)) = client.claim(&claim).await else { break };
        all.claimed.push((task.id.clone(), agent.clone()));
        round.acknowledged.fetch_add(2, Ordering::Relaxed);
        let submit = SubmitRequest { turns_used: 1, agent_name: Some(agent.clone()), ..SubmitRequest::default() };
        // Refused where the task was claimed on the other side of a restart as well, and that claim goes first.
        if client.submit(&task.id, &submit).await.is_ok() {
            all.submitted.push((task.id, agent));
            round.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
    all
}

/// Loads all machines, kills one of them in the middle, and starts it again. Returns what was acknowledged, and how long it took from
/// the start until a call was answered.
async fn kill_one(cluster: &mut Cluster, number: usize) -> (Vec<Acknowledged>, Duration) {
    let round = Arc::new(Round::default());
    let clients = cluster.machines.iter().map(|machine| machine.client().clone());
    let loads: Vec<_> =
        clients.enumerate().map(|(machine, client)| tokio::spawn(load(client, format!("k{number}-{machine}"), round.clone()))).collect();
    let victim = &mut cluster.machines[number % 3];
    victim
        .until("work is under way", async || match round.acknowledged.load(Ordering::Relaxed) {
            enough if enough >= OPERATIONS => Ok(()),
            few => Err(format!("{few} operations")),
        })
        .await;
    victim.take_node().kill9();
    let killed = Instant::now();
    victim.start().await;
    let health = victim.client().health().await.expect("an answer");
    let started = killed.elapsed();
    assert_eq!(health.status, "healthy");
    assert!(started <= RESTART, "restart {number} took {started:?}");
    round.over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for load in loads {
        all.push(load.await.expect("the load's own end"));
    }
    (all, started)
}

/// Looks for what a machine should know of a task.
async fn knows(machine: &Project, acknowledged: &Acknowledged) -> Result<(), String> {
    let client = machine.client();
    for id in &acknowledged.created {
        let _ = client.task(id).await.map_err(|error| format!("the creation of {id} was acknowledged: {error}"))?;
    }
    let submitted = |id: &String, agent: &String| acknowledged.submitted.iter().any(|known| known.0 == *id && known.1 == *agent);
    for (id, agent) in &acknowledged.claimed {
        let attempts = client.attempts(id).await.map_err(|error| error.to_string())?.attempts;
        // A claim that yielded to another machine's may have come back for the same task.
        let mut own = attempts.iter().filter(|attempt| attempt.agent.as_ref() == Some(agent)).peekable();
        if own.peek().is_none() {
            return Err(format!("the claim of {id} by {agent} was acknowledged: {attempts:#?}"));
        }
        if submitted(id, agent) && own.all(|attempt| attempt.submitted_at.is_none()) {
            return Err(format!("the submission of {id} by {agent} was acknowledged: {attempts:#?}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_machines_acknowledged_is_on_all_of_them_after_fifty_kills_under_load() {
    let kills = std::env::var("OCTOPOID_KILLS").map_or(KILLS, |number| number.parse().expect("OCTOPOID_KILLS is a number"));
    let mut cluster = Cluster::of(3, false, &[]).await;
    cluster.until_connected().await;
    let mut acknowledged = Vec::new();
    let mut longest = Duration::ZERO;
    for number in 0..kills {
        let (all, started) = kill_one(&mut cluster, number).await;
        acknowledged.extend(all);
        longest = longest.max(started);
    }
    cluster.until_connected().await;
    for machine in &cluster.machines {
        for known in &acknowledged {
            machine.until_within(SETTLED, "everything acknowledged is known", async || knows(machine, known).await).await;
        }
    }
    let mut totals = Vec::new();
    for machine in &cluster.machines {
        let list = machine.client().tasks(&TaskFilter { limit: Some(1), ..TaskFilter::default() }).await.expect("the tasks");
        totals.push(list.total);
    }
    assert!(totals.iter().all(|total| *total == totals[0]), "{totals:?}");
    let count = |of: fn(&Acknowledged) -> usize| acknowledged.iter().map(of).sum::<usize>();
    let (created, claimed, submitted) = (count(|all| all.created.len()), count(|all| all.claimed.len()), count(|all| all.submitted.len()));
    assert!(submitted > 0 && claimed > submitted / 2, "{claimed} claims, {submitted} submissions");
    eprintln!("{kills} kills, {created} creations, {claimed} claims, {submitted} submissions; the longest restart {longest:?}");
}
