//! Records that their author never signed as they are: another author, another cluster, another task or session.
//!
//! They have no effect on any node, whoever relays them is struck, and `status` says so.

use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::{Body, Payload, Verified};
use octopoid_tests::{Cluster, Insider, Project, task_subject};

use crate::view::{agreed, infiltrated, records, they_serve};

/// Puts the good signature of a record below another payload.
fn with_signature_of(record: &Verified, payload: &Payload) -> Vec<u8> {
    let wire = record.wire();
    [payload.encode().expect("a payload"), wire[wire.len() - 64..].to_vec()].concat()
}

/// Waits until a machine's status tells of so many misdeeds of the rogue.
async fn until_struck(machine: &Project, count: u64) {
    machine
        .until(&format!("{count} strikes against the rogue"), async || {
            let peers = machine.client().peers().await.map_err(|error| error.to_string())?;
            let rogue = peers.members.iter().find(|member| member.name == "rogue").ok_or("no rogue")?;
            let last = rogue.last_strike.as_deref().unwrap_or_default();
            if rogue.strikes == count && last.contains("forged") { Ok(()) } else { Err(format!("{rogue:#?}")) }
        })
        .await;
    let status = machine.run(&["status"]);
    assert!(status.stderr.contains("'rogue' did") && status.stderr.contains("octopoid peers remove rogue"), "{status:?}");
    assert!(machine.logs().contains("a member did what no correct node does"), "{}", machine.logs());
}

/// Gives each of some forged records to the first machine, alone and with a good one, and sees that nothing comes of it.
async fn nothing_comes_of(cluster: &Cluster, rogue: &mut Insider, forged: Vec<Vec<u8>>) {
    let (count, before) = (forged.len() as u64, agreed(cluster, records(&cluster.machines[0])).await);
    let peer = Insider::peer_of(&cluster.machines[0]);
    for wire in &forged {
        assert_eq!(rogue.give_wires(&peer, vec![wire.clone()]).await, [], "what is forged does not wait either");
    }
    until_struck(&cluster.machines[0], count).await;
    assert_eq!(agreed(cluster, records(&cluster.machines[0])).await, before);

    // The rest of a frame is kept: others signed it.
    let good = rogue.write(task_subject("good"), rogue.task("good", "Among forged ones"));
    let frame = forged.into_iter().chain([good.wire().to_vec()]).collect();
    assert_eq!(rogue.give_wires(&peer, frame).await, []);
    for machine in &cluster.machines {
        machine.until("the good one", async || machine.client().task("good").await.map_err(|error| error.to_string())).await;
    }
    assert!(rogue.is_connected(&peer), "it is struck, not cut off: it may relay what others need");
    let honest = cluster.machines[1].client().peers().await.expect("the members");
    assert!(honest.members.iter().all(|member| member.strikes == 0), "what is forged was not relayed: {honest:#?}");
    they_serve(cluster).await;
}

#[tokio::test]
async fn a_member_speaks_the_protocol_and_what_it_writes_honestly_counts() {
    let (cluster, mut rogue) = infiltrated().await;
    let peer = Insider::peer_of(&cluster.machines[0]);
    let made = rogue.write(task_subject("by-hand"), rogue.task("by-hand", "Written by hand"));
    rogue.give(&peer, &[made]).await;
    for machine in &cluster.machines {
        machine.until("the task", async || machine.client().task("by-hand").await.map_err(|error| error.to_string())).await;
    }
    let claim = rogue.write(task_subject("by-hand"), Insider::claim(1));
    let submit = rogue.write(task_subject("by-hand"), Insider::submit(claim.id()));
    rogue.give(&peer, &[claim, submit]).await;
    for machine in &cluster.machines {
        let _ = machine.until_in("by-hand", "provisional").await;
    }
    they_serve(&cluster).await;
}

#[tokio::test]
async fn a_record_that_names_another_member_as_its_author_has_no_effect_and_strikes_the_relay() {
    let (cluster, mut rogue) = infiltrated().await;
    let id = cluster.machines[1].enqueue("Of an honest member", &[]);
    let subject = task_subject(&id);
    let honest = rogue.until_told("the task", |payload| payload.subject == subject).await;
    let last = honest.payload();
    let cancel = Body::Cancel { by: "nobody".to_owned(), reason: "forged".to_owned() };
    // At the very place where the honest member's next record will be.
    let draft = Payload {
        author: last.author,
        session: last.session,
        seq: last.seq + 1,
        prev: Some(honest.id()),
        deps: vec![honest.id()],
        ..rogue.draft(subject, cancel)
    };
    let forged = vec![rogue.forge(&draft), with_signature_of(&honest, &draft)];
    nothing_comes_of(&cluster, &mut rogue, forged).await;
    assert_eq!(cluster.machines[0].task(&id).await.queue, "incoming");
}

#[tokio::test]
async fn a_record_of_another_cluster_has_no_effect_in_this_one() {
    let (cluster, mut rogue) = infiltrated().await;
    let elsewhere = Cluster::of(1, false, &[]).await;
    let spy = Insider::join(&elsewhere.machines[0], "spy", "worker").await;
    let id = elsewhere.machines[0].enqueue("Of another cluster", &[]);
    let foreign = spy.until_told("the task", |payload| payload.subject == task_subject(&id)).await;
    // One whose author is a member here too.
    let own = rogue.draft(task_subject("own"), rogue.task("own", "Signed for another cluster"));
    let own = rogue.sign_for(spy.cluster(), own);
    let forged = vec![foreign.wire().to_vec(), own.wire().to_vec()];
    nothing_comes_of(&cluster, &mut rogue, forged).await;
    for id in [id.as_str(), "own"] {
        let _ = cluster.machines[0].run(&["show", id]).refused(1);
    }
}

#[tokio::test]
async fn an_honest_record_with_another_task_or_session_swapped_in_has_no_effect() {
    let (cluster, mut rogue) = infiltrated().await;
    let spared = cluster.machines[1].enqueue("To be spared", &[]);
    let given_up = cluster.machines[1].enqueue("To be given up", &[]);
    let _ = cluster.machines[1].run(&["cancel", &given_up]).ok();
    let cancel = rogue.until_told("the cancel", |payload| matches!(payload.body, Body::Cancel { .. })).await;
    let task = rogue.until_told("the other task", |payload| payload.subject == task_subject(&spared)).await;
    let honest = cancel.payload();
    let swapped = [
        Payload { subject: task_subject(&spared), ..honest.clone() },
        Payload { subject: task_subject(&spared), deps: vec![task.id()], ..honest.clone() },
        Payload { session: SessionId([9; 16]), seq: 0, ..honest.clone() },
        Payload { seq: honest.seq + 1, prev: Some(cancel.id()), ..honest.clone() },
    ];
    let forged = swapped.iter().map(|payload| with_signature_of(&cancel, payload)).collect();
    nothing_comes_of(&cluster, &mut rogue, forged).await;
    for machine in &cluster.machines {
        assert_eq!(machine.task(&spared).await.queue, "incoming");
        assert_eq!(machine.task(&given_up).await.queue, "cancelled");
    }
}
