//! A member that keeps leases alive which are not its own.

use octopoid_client::ClaimRequest;
use octopoid_crdt::record::Body;
use octopoid_tests::{Agent, Cluster, Insider, Project, task_subject};

use crate::view::{infiltrated, they_serve};

/// The leases, in seconds.
const LEASE: u32 = 3;

/// Waits until a machine has ended the claim of a task, while `meanwhile` is done over and over again.
async fn until_expired(machine: &Project, id: &str, mut meanwhile: impl FnMut()) {
    machine
        .until("the lease runs out", async || {
            meanwhile();
            let history = machine.client().history(id).await.map_err(|error| error.to_string())?.history;
            if history.iter().any(|event| event.event == "lease_expired") { Ok(()) } else { Err(format!("{history:#?}")) }
        })
        .await;
}

#[tokio::test]
async fn a_renewal_of_anothers_lease_extends_nothing_and_strikes_who_signed_it() {
    let (cluster, rogue) = infiltrated().await;
    let id = cluster.machines[1].enqueue("Claimed by one that falls silent", &[]);
    let request = ClaimRequest {
        orchestrator_id: "silent".to_owned(),
        agent_name: "silent".to_owned(),
        lease_duration_seconds: Some(LEASE),
        ..ClaimRequest::default()
    };
    let _ = cluster.machines[1].client().claim(&request).await.expect("a claim").expect("the task");
    cluster.until_all_show("claimed", 1).await;
    let claim = rogue.until_told("the claim", |payload| matches!(payload.body, Body::Claim { .. })).await.id();
    let (first, peer) = (&cluster.machines[0], Insider::peer_of(&cluster.machines[0]));
    let mut starts = 0;
    until_expired(first, &id, || {
        starts += 1;
        rogue.renew(&peer, vec![rogue.renewal(claim, starts)]);
    })
    .await;
    cluster.until_all_show("incoming", 1).await;
    let peers = first.client().peers().await.expect("the members").members;
    let told = peers.iter().find(|member| member.name == "rogue").and_then(|member| member.last_strike.as_deref());
    assert_eq!(told, Some("it renewed the lease of another member"), "{peers:#?}");
    they_serve(&cluster).await;
}

#[tokio::test]
async fn renewals_of_a_dead_holder_that_are_told_again_extend_nothing() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    for machine in &mut cluster.machines {
        machine.stop(&[]).await;
        let config = machine.read(".octopoid/config.yaml");
        machine.write(".octopoid/config.yaml", &format!("{config}\nleases:\n  ttl_seconds: {LEASE}\n"));
        machine.start().await;
    }
    let mut rogue = Insider::join(&cluster.machines[0], "rogue", "worker").await;
    let _ = rogue.connect(&cluster.machines[1]).await;
    cluster.machines[1].agents(&[Agent::new("dies", "implement", r#"note starts x; await never"#)]);
    let id = cluster.machines[1].enqueue("Worked on by one that dies", &["--role", "implement"]);
    let subject = task_subject(&id);
    let claim =
        rogue.until_told("the claim", |payload| payload.subject == subject && matches!(payload.body, Body::Claim { .. })).await.id();
    let heard = cluster.machines[1]
        .until("renewals are told", async || {
            let heard = rogue.renewals(&claim);
            if heard.len() >= 3 { Ok(heard) } else { Err(format!("{} so far", heard.len())) }
        })
        .await;
    cluster.machines[1].take_node().kill9();
    let (first, peer) = (&cluster.machines[0], Insider::peer_of(&cluster.machines[0]));
    until_expired(first, &id, || rogue.renew(&peer, heard.clone())).await;
    let _ = first.until_in(&id, "incoming").await;
    let peers = first.client().peers().await.expect("the members").members;
    assert!(peers.iter().all(|member| member.strikes == 0), "a relay may be late: {peers:#?}");
    // The agent outlived its node, which ends it when it is back.
    let _ = cluster.machines[1].start().await;
    they_serve(&cluster).await;
}
