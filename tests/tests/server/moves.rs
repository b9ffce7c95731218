//! The authority moves to another node, by plan or by force.

use octopoid_client::{AcceptRequest, InviteRequest, SubmitRequest};
use octopoid_tests::{Cluster, Project};

use crate::office::{claim, give_to, refused, served, until_offline, until_served_by};

pub async fn until_nobody(machine: &Project) {
    machine
        .until("nobody is the authority", async || {
            let info = machine.client().authority().await.map_err(|error| error.to_string())?;
            if info.authority.is_none() { Ok(()) } else { Err(format!("{info:?}")) }
        })
        .await;
}

/// Adds a machine that may administer the cluster.
async fn add_admin(cluster: &mut Cluster) {
    let invite = InviteRequest { access: Some("admin".to_owned()), ..InviteRequest::default() };
    let ticket = cluster.machines[0].client().invite(&invite).await.expect("an invitation").ticket;
    cluster.add_with(&ticket).await;
    cluster.until_connected().await;
    for machine in &cluster.machines {
        until_served_by(machine, "machine-1").await;
    }
}

#[tokio::test]
async fn a_planned_move_asked_for_anywhere_is_signed_by_the_old_authority_and_loses_nothing() {
    let mut cluster = served(2, &[]).await;
    add_admin(&mut cluster).await;
    let held = cluster.machines[1].enqueue("Held over the move", &[]);
    cluster.until_all_show("incoming", 1).await;
    let task = cluster.machines[1].client().claim(&claim("worker")).await.expect("an answer").expect("the task");
    assert_eq!((task.id.as_str(), task.epoch), (held.as_str(), 1));
    let said = refused(give_to(&cluster.machines[1], Some("machine-2"), false).await, 403);
    assert!(said.contains("cannot pass that call on") || said.contains("admin"), "a worker moves nothing: {said}");
    give_to(&cluster.machines[2], Some("machine-2"), false).await.expect("moved");
    for machine in &cluster.machines {
        until_served_by(machine, "machine-2").await;
    }
    let shown = cluster.machines[2].run(&["authority"]);
    assert!(shown.ok().contains("machine-2 is the authority (connected)"), "{shown:?}");
    let work = SubmitRequest { commits_count: 0, turns_used: 1, agent_name: Some("worker".to_owned()), ..SubmitRequest::default() };
    let _ = cluster.machines[1].client().submit(&held, &work).await.expect("what was granted before is handed in");
    cluster.until_all_show("provisional", 1).await;
    let accept = AcceptRequest { accepted_by: "tester".to_owned(), ..AcceptRequest::default() };
    let task = cluster.machines[0].client().accept(&held, &accept).await.expect("accepted");
    assert_eq!(task.queue, "done");

    let next = cluster.machines[0].enqueue("Granted by the new one", &[]);
    cluster.until_all_show("incoming", 1).await;
    let task = cluster.machines[0].client().claim(&claim("at the old one")).await.expect("an answer").expect("the task");
    assert_eq!((task.id.as_str(), task.node.as_deref()), (next.as_str(), Some("machine-1")));
    cluster.until_all_show("claimed", 1).await;
}

#[tokio::test]
async fn an_authority_that_is_gone_is_replaced_by_force_alone_and_its_later_grants_do_not_count() {
    let mut cluster = served(2, &[]).await;
    add_admin(&mut cluster).await;
    let id = cluster.machines[1].enqueue("Wanted by two", &[]);
    cluster.until_all_show("incoming", 1).await;
    // It is cut off and goes on granting to whom it reaches: itself.
    let _ = cluster.machines[0].run(&["cluster", "offline"]).ok();
    until_offline(&cluster.machines[2], true).await;
    let late = cluster.machines[0].client().claim(&claim("late")).await.expect("an answer").expect("the task");
    assert_eq!((late.id.as_str(), late.epoch), (id.as_str(), 1));

    let said = refused(give_to(&cluster.machines[2], Some("machine-3"), false).await, 503);
    assert!(said.contains("'machine-1'") && said.contains("--force"), "{said}");
    let forced = cluster.machines[2].run(&["authority", "set", "machine-3", "--force"]);
    assert!(forced.ok().contains("machine-3 is the authority (this node)"), "{forced:?}");
    until_served_by(&cluster.machines[1], "machine-3").await;
    until_offline(&cluster.machines[1], false).await;
    let task = cluster.machines[1].client().claim(&claim("counted")).await.expect("an answer").expect("the task");
    assert_eq!(task.claimed_by.as_deref(), Some("counted"));

    let _ = cluster.machines[0].run(&["cluster", "online"]).ok();
    for machine in &cluster.machines {
        until_served_by(machine, "machine-3").await;
        machine.until_task(&id, "held by the counted claim", |task| task.claimed_by.as_deref() == Some("counted")).await;
    }
    let attempts = cluster.machines[1].client().attempts(&id).await.expect("attempts").attempts;
    assert!(attempts.iter().any(|attempt| attempt.agent.as_deref() == Some("late")), "the late grant is shown: {attempts:#?}");
}
