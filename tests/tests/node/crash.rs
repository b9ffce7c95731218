//! Nodes that are killed under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use octopoid_client::{ClaimRequest, Client, NewTask};
use octopoid_tests::Project;

const ROUNDS: usize = 5;
const CLIENTS: usize = 4;
/// How many operations of a round are acknowledged before the node is killed.
const OPERATIONS: usize = 80;

/// What the node has answered, so that it must be there for ever.
#[derive(Debug, Default)]
struct Acknowledged {
    created: Vec<String>,
    /// Task, epoch, agent.
    claimed: Vec<(String, u64, String)>,
}

/// Creates and claims until the node does not answer any more.
async fn load(client: Client, name: String, count: Arc<AtomicUsize>) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for number in 0.. {
        let id = format!("{name}-{number}");
        let task = NewTask { id: id.clone(), file_path: id, ..NewTask::default() };
        let Ok(task) = client.create_task(&task).await else { break };
        acknowledged.created.push(task.id);
        let claim = ClaimRequest {
            orchestrator_id: "load".to_owned(),
            agent_name: format!("{name}-{number}"),
            lease_duration_seconds: Some(3_600),
            ..ClaimRequest::default()
        };
        let Ok(Some(task)) = client.claim(&claim).await else { break };
        acknowledged.claimed.push((task.id, task.epoch, claim.agent_name));
        count.fetch_add(2, Ordering::Relaxed);
    }
    acknowledged
}

async fn is_all_there(client: &Client, acknowledged: &Acknowledged) {
    for id in &acknowledged.created {
        client.task(id).await.unwrap_or_else(|error| panic!("{id} was acknowledged: {error}"));
    }
    for (id, epoch, agent) in &acknowledged.claimed {
        let task = client.task(id).await.expect("a task");
        assert_eq!((task.epoch, task.claimed_by.as_ref(), task.queue.as_str()), (*epoch, Some(agent), "claimed"), "{id}");
    }
    let mut tasks: Vec<&String> = acknowledged.claimed.iter().map(|(id, ..)| id).collect();
    tasks.sort();
    let all = tasks.len();
    tasks.dedup();
    assert_eq!(tasks.len(), all, "a task was granted twice");
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_by_a_kill_under_load() {
    let mut project = Project::new();
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let since = Instant::now();
        let client = project.start_with(&["--no-agents"]).await.client().clone();
        eprintln!("round {round}: serves after {:?}, {} tasks", since.elapsed(), acknowledged.created.len());
        is_all_there(&client, &acknowledged).await;
        let count = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| tokio::spawn(load(client.clone(), format!("r{round}c{number}"), count.clone()))).collect();
        let enough = async || {
            let done = count.load(Ordering::Relaxed);
            if done >= OPERATIONS { Ok(()) } else { Err(format!("{done} operations")) }
        };
        project.until("enough operations", enough).await;
        project.take_node().kill9();
        for client in clients {
            let more = client.await.expect("a client");
            acknowledged.created.extend(more.created);
            acknowledged.claimed.extend(more.claimed);
        }
    }
    let client = project.start_with(&["--no-agents"]).await.client().clone();
    is_all_there(&client, &acknowledged).await;
    let doctor = client.doctor(false).await.expect("doctor");
    assert!(doctor.ok && doctor.tasks >= acknowledged.created.len() as u64, "{doctor:#?}");
    assert!(acknowledged.claimed.len() >= ROUNDS * OPERATIONS / 2);
}
