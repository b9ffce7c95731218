//! Records that their author never signed as they are: another author, another cluster, another task or session.

use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::{Body, Payload, Signer, Verified};
use octopoid_tests::{Insider, Project, task_subject};

use crate::view::{agreed, infiltrated, records, they_serve};

/// Puts a good signature of another record below a payload.
fn with_signature_of(record: &Verified, payload: &Payload) -> Vec<u8> {
    let wire = record.wire();
    [payload.encode().expect("a payload"), wire[wire.len() - 64..].to_vec()].concat()
}

#[tokio::test]
async fn a_member_speaks_the_protocol_and_what_it_writes_honestly_counts() {
    let (cluster, mut rogue) = infiltrated().await;
    let peer = rogue.connect(&cluster.machines[0]).await;
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
