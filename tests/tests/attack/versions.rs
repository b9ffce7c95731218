//! Members of neighbouring versions: what they write is kept and relayed, what they cannot speak is told.

use octopoid_crdt::record::Body;
use octopoid_tests::{Insider, task_subject};

use crate::view::{agreed, infiltrated, records, they_serve};

/// A kind that no version has yet.
const LATER_KIND: u16 = 4_000;

#[tokio::test]
async fn a_record_of_a_kind_that_is_not_known_yet_is_kept_relayed_as_it_is_and_never_interpreted() {
    let (cluster, mut newer) = infiltrated().await;
    let mut listener = Insider::join(&cluster.machines[0], "listener", "worker").await;
    let second = listener.connect(&cluster.machines[1]).await;
    listener.forget(&Insider::peer_of(&cluster.machines[0])).await;
    let id = cluster.machines[0].enqueue("Spoken of by a later version", &[]);
    let subject = task_subject(&id);
    newer.until_told("the task", |payload| payload.subject == subject).await;
    cluster.until_all_show("incoming", 1).await;
    let held = records(&cluster.machines[0]);
    let before = agreed(&cluster, held).await;

    let body = Body::Unknown { kind: LATER_KIND, body: vec![0x83, 1, 2, 3] };
    let record = newer.write(subject, body);
    newer.give(&Insider::peer_of(&cluster.machines[0]), std::slice::from_ref(&record)).await;
    let after = agreed(&cluster, held + 1).await;
    assert_eq!(after["tasks"], before["tasks"], "it says nothing to this version");
    // From the first machine to the second, and from there to who is connected to the second only.
    let told = listener.until_told("the record", |payload| matches!(payload.body, Body::Unknown { kind: LATER_KIND, .. })).await;
    assert_eq!(told.wire(), record.wire(), "byte for byte");
    assert!(listener.is_connected(&second));

    // Work on the task goes on after it.
    let _ = cluster.machines[1].run(&["edit", &id, "--title", "Goes on"]).ok();
    cluster.machines[0].until_task(&id, "goes on", |task| task.title == "Goes on").await;
    let edit = newer.until_told("the edit", |payload| payload.subject == subject && matches!(payload.body, Body::DocChange { .. })).await;
    assert!(edit.payload().deps.contains(&record.id()), "it is part of the task's past: {:?}", edit.payload().deps);
    they_serve(&cluster).await;
}

#[tokio::test]
async fn who_speaks_no_version_in_common_is_told_so_and_gets_nothing_and_who_speaks_more_is_served() {
    let (cluster, mut newer) = infiltrated().await;
    let peer = newer.connect(&cluster.machines[0]).await;
    newer.speaks(2, 9);
    newer.hang_up(&peer);
    newer.until_rebuked(&peer, "no version of the protocol in common").await;
    let id = cluster.machines[0].enqueue("Not told to a stranger's version", &[]);
    newer.until_cut_off(&peer).await;
    assert!(newer.find(|payload| payload.subject == task_subject(&id)).is_none());
    they_serve(&cluster).await;

    newer.speaks(1, 9);
    newer.until_told("the task, in the version in common", |payload| payload.subject == task_subject(&id)).await;
    newer.until_connected(&peer).await;
}

#[tokio::test]
async fn a_frame_of_a_later_type_is_skipped_and_a_spoilt_one_of_a_known_type_ends_the_connection() {
    let (cluster, mut newer) = infiltrated().await;
    let peer = newer.connect(&cluster.machines[0]).await;
    // [99, h'010203']
    newer.send(&peer, vec![0x82, 0x18, 99, 0x43, 1, 2, 3]);
    let made = newer.write(task_subject("after"), newer.task("after", "After a frame of a later type"));
    newer.give(&peer, &[made]).await;
    assert!(newer.is_connected(&peer) && newer.rebukes(&peer).is_empty());

    // A digest with one field too many.
    let spoilt = [vec![0x83, 2, 0x58, 32], vec![7; 32], vec![0]].concat();
    newer.send(&peer, spoilt);
    newer.until_rebuked(&peer, "").await;
    let machine = &cluster.machines[0];
    machine
        .until("the strike shows", async || {
            let peers = machine.client().peers().await.map_err(|error| error.to_string())?;
            let rogue = peers.members.into_iter().find(|member| member.name == "rogue").ok_or("no rogue")?;
            if rogue.strikes == 1 { Ok(()) } else { Err(format!("{rogue:#?}")) }
        })
        .await;
    // It may come back and do better.
    newer.until_connected(&peer).await;
    they_serve(&cluster).await;
}
