//! A member that goes on after its removal: it reaches nobody who knows of it, and what it tells others has no effect.

use octopoid_crdt::record::Body;
use octopoid_tests::task_subject;

use crate::view::{agreed, infiltrated, records, they_serve};

#[tokio::test]
async fn what_a_removed_member_writes_later_has_no_effect_unless_an_honest_one_had_built_on_it() {
    let (mut cluster, mut rogue) = infiltrated().await;
    let first = rogue.connect(&cluster.machines[0]).await;
    let spared = cluster.machines[1].enqueue("To be spared", &[]);
    let subject = task_subject(&spared);
    rogue.until_told("the task", |payload| payload.subject == subject).await;
    let early = rogue.write(task_subject("early"), rogue.task("early", "Written before the removal"));
    rogue.give(&first, &[early]).await;
    cluster.until_all_show("incoming", 2).await;

    // The second machine is away while the first one removes the member, and the other way round afterwards.
    cluster.machines[1].stop(&[]).await;
    let _ = cluster.machines[0].run(&["peers", "remove", "rogue", "--reason", "it lies"]).ok();
    rogue.until_cut_off(&first).await;
    cluster.machines[0].stop(&[]).await;
    let _ = cluster.machines[1].start().await;
    // It keeps to itself that it knows of the removal.
    let second = rogue.dial(&cluster.machines[1]);
    rogue.until_connected(&second).await;
    let late = [
        rogue.write(task_subject("late"), rogue.task("late", "Written after the removal")),
        rogue.write(task_subject("built-on"), rogue.task("built-on", "Built on by an honest member")),
        rogue.write(subject, Body::Cancel { by: "rogue".to_owned(), reason: "late".to_owned() }),
    ];
    rogue.give(&second, &late).await;
    let honest = &cluster.machines[1];
    assert_eq!(honest.task(&spared).await.queue, "cancelled", "nobody there knows of the removal");
    let _ = honest.run(&["edit", "built-on", "--priority", "P0"]).ok();

    let _ = cluster.machines[0].start().await;
    for machine in &cluster.machines {
        machine.until_task(&spared, "is open again", |task| task.queue == "incoming").await;
    }
    let _ = agreed(&cluster, records(&cluster.machines[1])).await;
    for machine in &cluster.machines {
        let shown = machine.run(&["list", "--json"]).json();
        let mut ids: Vec<_> = shown.as_array().expect("a list").iter().map(|task| task["id"].as_str().expect("an id")).collect();
        ids.sort_unstable();
        let mut wanted = ["built-on", "early", spared.as_str()];
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "what was built on stays, what came late does not");
        let members = machine.client().peers().await.expect("the members").members;
        assert_eq!(members.len(), 2, "{members:#?}");
    }
    rogue.until_cut_off(&second).await;
    they_serve(&cluster).await;
}

#[tokio::test]
async fn a_removed_member_is_not_connected_again_and_learns_nothing_more() {
    let (cluster, mut rogue) = infiltrated().await;
    let peers = [rogue.connect(&cluster.machines[0]).await, rogue.connect(&cluster.machines[1]).await];
    let _ = cluster.machines[0].run(&["peers", "remove", "rogue"]).ok();
    for peer in &peers {
        rogue.until_cut_off(peer).await;
    }
    let secret = cluster.machines[0].enqueue("Not for the removed", &[]);
    cluster.until_all_show("incoming", 1).await;
    // It dials again and again, and is refused before a byte of it is read.
    for peer in &peers {
        rogue.until_refused(peer, 3).await;
        assert!(!rogue.is_connected(peer));
    }
    assert!(rogue.find(|payload| payload.subject == task_subject(&secret)).is_none());
    they_serve(&cluster).await;
}
