//! Nodes that stand still for longer than a lease, as a suspended laptop does, and go on as if nothing had been.

use std::time::Duration;

use octopoid_client::{ClaimRequest, SubmitRequest};
use octopoid_tests::{Agent, Cluster, Project, until_within};
use rustix::process::Signal;

use crate::view::they_serve;

/// The leases of agents, in seconds.
const LEASE: u32 = 3;
/// How soon after it goes on a node must show what is true.
const SOON: Duration = Duration::from_secs(5);

const WORK: &str = r#"note starts "$OCTOPOID_ATTEMPT"; await go; echo "$OCTOPOID_ATTEMPT" > work; commit "do it""#;

/// Forms a cluster of two machines with short leases and a shared repository.
async fn short_leases() -> Cluster {
    let mut cluster = Cluster::of(2, true, &[]).await;
    for machine in &mut cluster.machines {
        machine.stop(&[]).await;
        let config = machine.read(".octopoid/config.yaml");
        machine.write(".octopoid/config.yaml", &format!("{config}\nleases:\n  ttl_seconds: {LEASE}\n"));
        machine.start().await;
    }
    cluster.until_connected().await;
    cluster
}

/// Waits for twice a lease, while something stands still.
async fn longer_than_a_lease() {
    tokio::time::sleep(Duration::from_secs(u64::from(2 * LEASE) + 1)).await;
}

fn claim(name: &str) -> ClaimRequest {
    ClaimRequest {
        orchestrator_id: name.to_owned(),
        agent_name: name.to_owned(),
        lease_duration_seconds: Some(LEASE),
        ..ClaimRequest::default()
    }
}

fn submit(name: &str, epoch: u64) -> SubmitRequest {
    SubmitRequest { epoch: Some(epoch), agent_name: Some(name.to_owned()), ..SubmitRequest::default() }
}

async fn expiries(machine: &Project, id: &str) -> usize {
    let history = machine.client().history(id).await.expect("history").history;
    history.iter().filter(|event| event.event == "lease_expired").count()
}

#[tokio::test]
async fn a_holder_that_stood_still_is_refused_once_it_has_seen_the_end_of_its_claim() {
    let cluster = short_leases().await;
    let (other, holder) = (&cluster.machines[0], &cluster.machines[1]);
    let id = holder.enqueue("Claimed twice", &[]);
    let first = holder.client().claim(&claim("slow")).await.expect("a claim").expect("the task");
    cluster.until_all_show("claimed", 1).await;
    holder.node().signal(Signal::STOP);
    other.until_in(&id, "incoming").await;
    let second = other.client().claim(&ClaimRequest { lease_duration_seconds: Some(300), ..claim("quick") }).await;
    let second = second.expect("a claim").expect("the task");
    assert_eq!((first.epoch, second.epoch), (1, 2));
    holder.node().signal(Signal::CONT);
    let seen = until_within(SOON, async || {
        let task = holder.client().task(&id).await.map_err(|error| error.to_string())?;
        if task.claimed_by.as_deref() == Some("quick") { Ok(()) } else { Err(format!("{task:#?}")) }
    });
    seen.await.unwrap_or_else(|seen| panic!("the holder shows its old claim: {seen}\n{}", holder.logs()));
    let refused = holder.client().submit(&id, &submit("slow", 1)).await.expect_err("its claim has ended");
    assert!(refused.to_string().contains("'quick' holds the task"), "{refused}");
    let done = other.client().submit(&id, &submit("quick", 2)).await.expect("the new holder hands in");
    assert_eq!(done.queue, "provisional");
    cluster.until_all_show("provisional", 1).await;
    they_serve(&cluster).await;
}

#[tokio::test]
async fn an_agent_whose_node_stood_still_does_not_have_its_work_merged_beside_anothers() {
    let cluster = short_leases().await;
    let (other, holder) = (&cluster.machines[0], &cluster.machines[1]);
    holder.agents(&[Agent::new("slow", "implement", WORK)]);
    let id = holder.enqueue("To be merged once", &["--role", "implement"]);
    holder.until_noted("starts", 1).await;
    cluster.until_all_show("claimed", 1).await;
    holder.node().signal(Signal::STOP);
    other.agents(&[Agent::new("quick", "implement", WORK), Agent::approver("judge")]);
    other.put("go");
    other.until_merged(&id).await;
    // The agent's own process went on all the time; its node hears of it and of the end of its claim at once.
    holder.put("go");
    holder.node().signal(Signal::CONT);
    holder.until_merged(&id).await;
    holder
        .until("nothing runs any more", async || {
            let status = holder.client().node_status().await.map_err(|error| error.to_string())?;
            let running = status.agents.iter().map(|agent| agent.instances.len()).sum::<usize>();
            if running == 0 { Ok(()) } else { Err(format!("{:#?}", status.agents)) }
        })
        .await;
    for machine in &cluster.machines {
        let attempts = machine.client().attempts(&id).await.expect("attempts").attempts;
        let accepted: Vec<_> = attempts.iter().filter(|attempt| attempt.state == "accepted").map(|attempt| attempt.epoch).collect();
        assert_eq!(accepted, [2], "{attempts:#?}");
    }
    assert_eq!(cluster.merged_at_origin(), std::slice::from_ref(&id), "merged once");
}

#[tokio::test]
async fn an_observer_that_stood_still_hears_renewals_before_it_ends_a_lease() {
    let cluster = short_leases().await;
    let (observer, holder) = (&cluster.machines[0], &cluster.machines[1]);
    holder.agents(&[Agent::new("steady", "implement", WORK)]);
    let id = holder.enqueue("Renewed all the time", &["--role", "implement"]);
    holder.until_noted("starts", 1).await;
    cluster.until_all_show("claimed", 1).await;
    observer.node().signal(Signal::STOP);
    longer_than_a_lease().await;
    observer.node().signal(Signal::CONT);
    // Long enough that an expiry would have been written and told.
    longer_than_a_lease().await;
    for machine in &cluster.machines {
        assert_eq!((expiries(machine, &id).await, machine.task(&id).await.queue.as_str()), (0, "claimed"));
    }
    holder.put("go");
    cluster.until_all_show("provisional", 1).await;
    let attempts = observer.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!(attempts.len(), 1, "it was started once: {attempts:#?}");
}

#[tokio::test]
async fn a_node_alone_that_stood_still_renews_its_own_before_it_ends_a_lease() {
    let mut cluster = short_leases().await;
    cluster.machines[0].stop(&[]).await;
    let holder = &cluster.machines[1];
    holder.agents(&[Agent::new("steady", "implement", WORK)]);
    let id = holder.enqueue("Goes on after a standstill", &["--role", "implement"]);
    holder.until_noted("starts", 1).await;
    holder.node().signal(Signal::STOP);
    longer_than_a_lease().await;
    holder.node().signal(Signal::CONT);
    holder.put("go");
    holder.until_in(&id, "provisional").await;
    assert_eq!(expiries(holder, &id).await, 0);
    let attempts = holder.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!(attempts.len(), 1, "{attempts:#?}");
}
