//! A node whose store is put back from an old copy: it has forgotten what it wrote.

use std::fs;
use std::path::PathBuf;

use octopoid_client::{ClaimRequest, RequeueRequest};
use octopoid_tests::{Cluster, Project};

use crate::view::{agreed, records, they_serve};

fn store(machine: &Project) -> PathBuf {
    machine.dir().join("runtime/octopoid.redb")
}

/// Copies the store of a machine whose node does not run, and starts the node.
async fn copy(machine: &mut Project) {
    fs::copy(store(machine), machine.table().join("old-copy")).expect("copied");
    let _ = machine.start().await;
}

/// Puts the copy back and starts the node.
async fn put_back(machine: &mut Project) {
    fs::copy(machine.table().join("old-copy"), store(machine)).expect("put back");
    let _ = machine.start().await;
}

fn claim(name: &str) -> ClaimRequest {
    ClaimRequest { orchestrator_id: name.to_owned(), agent_name: name.to_owned(), ..ClaimRequest::default() }
}

/// Returns what a machine's status says about forks.
async fn forks(machine: &Project) -> Vec<String> {
    let status = machine.client().node_status().await.expect("a status");
    status.warnings.into_iter().filter(|line| line.contains("continue the same one")).collect()
}

/// Forms a cluster whose second machine has a copy of its store, and has written and claimed since then.
async fn with_a_past() -> (Cluster, [String; 2]) {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let before = cluster.machines[1].enqueue("Written before the copy", &["--priority", "P0"]);
    cluster.until_all_show("incoming", 1).await;
    cluster.machines[1].stop(&[]).await;
    copy(&mut cluster.machines[1]).await;
    cluster.until_connected().await;
    let since = cluster.machines[1].enqueue("Written since the copy", &[]);
    let _ = cluster.machines[1].client().claim(&claim("first")).await.expect("a claim").expect("the task");
    cluster.until_all_show("claimed", 1).await;
    cluster.until_all_show("incoming", 1).await;
    cluster.machines[1].stop(&[]).await;
    (cluster, [before, since])
}

#[tokio::test]
async fn with_a_member_up_a_restored_node_catches_up_before_it_writes_and_nothing_forks() {
    let (mut cluster, [before, since]) = with_a_past().await;
    put_back(&mut cluster.machines[1]).await;
    // It writes only when it has heard what it wrote: its next record goes on after that.
    let after = cluster.machines[1].enqueue("Written after the copy was put back", &[]);
    let _ = cluster.machines[1].run(&["show", &since]).ok();
    let _ = agreed(&cluster, records(&cluster.machines[0]).max(records(&cluster.machines[1]))).await;
    for machine in &cluster.machines {
        assert_eq!(machine.task(&before).await.claimed_by.as_deref(), Some("first"));
        assert_eq!(machine.task(&after).await.queue, "incoming");
        assert_eq!(forks(machine).await, Vec::<String>::new());
    }
    they_serve(&cluster).await;
}

#[tokio::test]
async fn alone_a_restored_node_forks_harmlessly_says_so_and_nothing_is_lost_or_stuck() {
    let (mut cluster, [before, since]) = with_a_past().await;
    cluster.machines[0].stop(&[]).await;
    put_back(&mut cluster.machines[1]).await;
    let restored = &cluster.machines[1];
    let _ = restored.run(&["show", &since]).refused(1);
    let task = restored.client().claim(&claim("second")).await.expect("a claim").expect("it knows of no claim");
    assert_eq!((task.id.as_str(), task.epoch), (before.as_str(), 1));
    let after = restored.enqueue("Written after the copy was put back", &[]);
    assert_eq!(forks(restored).await, Vec::<String>::new(), "alone, nothing tells of the other branch");

    let _ = cluster.machines[0].start().await;
    cluster.until_connected().await;
    cluster.until_all_show("incoming", 2).await;
    let _ = agreed(&cluster, records(&cluster.machines[0]).max(records(&cluster.machines[1]))).await;
    for machine in &cluster.machines {
        let told = forks(machine).await;
        assert!(told.len() == 1 && told[0].contains("1 place where two records of 'machine-2'"), "{told:?}");
        let status = machine.run(&["status"]);
        assert!(status.stderr.contains("restored from a backup"), "a person sees it: {status:?}");
        for id in [&since, &after] {
            assert_eq!(machine.task(id).await.queue, "incoming");
        }
        assert_eq!(machine.client().attempts(&before).await.expect("attempts").attempts.len(), 2, "both claims are kept");
    }
    // Nothing is stuck: what both branches speak of goes on.
    let request = RequeueRequest { reason: Some("by hand".to_owned()), ..RequeueRequest::default() };
    let _ = cluster.machines[0].client().requeue(&before, &request).await.expect("requeued");
    cluster.until_all_show("incoming", 3).await;
    let again = cluster.machines[1].client().claim(&claim("third")).await.expect("a claim").expect("the task");
    assert_eq!((again.id.as_str(), again.epoch), (before.as_str(), 2));
    cluster.until_all_show("claimed", 1).await;
    they_serve(&cluster).await;
    // And it goes on after the next restart, with the evidence kept.
    cluster.machines[1].stop(&[]).await;
    let _ = cluster.machines[1].start().await;
    assert_eq!(forks(&cluster.machines[1]).await.len(), 1);
    they_serve(&cluster).await;
}
