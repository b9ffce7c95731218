//! Without a remote one node merges: the one that founded the cluster, until an admin says otherwise.

use octopoid_client::InviteRequest;
use octopoid_tests::{Agent, Cluster, Project};

/// Does the work, and accepts it.
fn agents() -> [Agent; 2] {
    let script = r#"echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit "do it""#;
    [Agent::new("worker", "implement", script), Agent::approver("judge")]
}

/// Waits until accepted work is left to another machine.
async fn until_left_to(machine: &Project, id: &str, name: &str) {
    let left = format!("'{name}' is this cluster's integrator and merges it");
    machine.until_task(id, &left, |task| task.awaiting_merge.as_deref() == Some(left.as_str())).await;
}

#[tokio::test]
async fn nobody_but_the_integrator_merges_where_there_is_no_remote_also_when_a_person_asks() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    cluster.machines[0].stop(&[]).await;
    let other = &mut cluster.machines[1];
    other.agents(&agents());
    let id = other.enqueue("Add a feature", &["--role", "implement"]);
    until_left_to(other, &id, "machine-1").await;
    let refused = |other: &Project| {
        let said = other.run(&["merge", &id]);
        assert!(said.refused(4).contains("'machine-1', this cluster's integrator, merges it"), "{said:?}");
        let status = other.run(&["status"]);
        assert!(status.ok().contains("awaits merging") && !status.ok().contains("octopoid merge"), "{status:?}");
    };
    refused(other);
    // The same without a node, on the store and the repository themselves.
    other.stop(&[]).await;
    refused(other);
    assert_eq!(other.merged(), [""; 0]);

    for machine in &mut cluster.machines {
        machine.start().await;
    }
    for machine in &cluster.machines {
        machine.until_merged(&id).await;
    }
    assert_eq!(cluster.machines[0].merged(), [id]);
}

#[tokio::test]
async fn an_admin_makes_another_machine_the_integrator_which_goes_on_from_the_former_one_and_takes_over_when_that_is_lost() {
    let mut cluster = Cluster::of(1, false, &agents()).await;
    let invite = InviteRequest { access: Some("admin".to_owned()), ..InviteRequest::default() };
    let ticket = cluster.machines[0].client().invite(&invite).await.expect("an invitation").ticket;
    cluster.add_with(&ticket).await;
    let _ = cluster.add(&[]).await;
    cluster.until_connected().await;
    let first = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[1].until_merged(&first).await;

    let said = cluster.machines[2].run(&["cluster", "integrator", "machine-3"]);
    assert!(said.refused(1).contains("only an admin"), "a worker moves nothing: {said:?}");
    let said = cluster.machines[0].run(&["cluster", "integrator", "machine-2"]);
    assert!(said.ok().contains("integrator machine-2"), "{said:?}");
    let second = cluster.machines[0].enqueue("Build on it", &["--role", "implement"]);
    cluster.machines[0].until_merged(&second).await;
    assert_eq!(cluster.machines[1].merged(), [first.clone(), second], "it has what the former one merged");
    assert_eq!(cluster.machines[0].merged(), [first], "the former one merges nothing more");

    cluster.machines[1].take_node().kill9();
    let third = cluster.machines[0].enqueue("Finish it", &["--role", "implement"]);
    until_left_to(&cluster.machines[0], &third, "machine-2").await;
    let _ = cluster.machines[0].run(&["cluster", "integrator", "machine-1"]).ok();
    cluster.machines[0].until_merged(&third).await;
    assert_eq!(cluster.machines[0].merged().last(), Some(&third));
}

/// Forms a cluster of two admins and a worker without a remote; only the worker has agents.
async fn of_two_admins(agents: &[Agent]) -> Cluster {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let invite = InviteRequest { access: Some("admin".to_owned()), ..InviteRequest::default() };
    let ticket = cluster.machines[0].client().invite(&invite).await.expect("an invitation").ticket;
    cluster.add_with(&ticket).await;
    let _ = cluster.add(agents).await;
    cluster.until_connected().await;
    cluster
}

#[tokio::test]
async fn a_new_integrator_that_did_not_reach_the_former_one_goes_on_from_its_merges_when_that_is_back() {
    let mut cluster = of_two_admins(&agents()).await;
    let first = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[1].until_merged(&first).await;
    assert_eq!(cluster.machines[0].merged(), std::slice::from_ref(&first));
    cluster.machines[0].stop(&[]).await;
    let _ = cluster.machines[1].run(&["cluster", "integrator", "machine-2"]).ok();
    let lacks = async |machine: &Project| {
        let status = machine.client().node_status().await.map_err(|error| error.to_string())?;
        let told = status.warnings.iter().any(|warning| warning.contains("'main' lacks what 'machine-1' merged before"));
        if told { Ok(()) } else { Err(format!("{:?}", status.warnings)) }
    };
    cluster.machines[1].until("it says what it lacks", async || lacks(&cluster.machines[1]).await).await;
    // A start looks back, too.
    cluster.machines[1].stop(&[]).await;
    let _ = cluster.machines[1].start().await;
    cluster.machines[1].until("it says so after a start", async || lacks(&cluster.machines[1]).await).await;
    assert_eq!(cluster.machines[1].merged(), [""; 0]);

    let _ = cluster.machines[0].start().await;
    let follows = async || match cluster.machines[1].merged() {
        merged if merged == [first.clone()] => Ok(()),
        merged => Err(format!("{merged:?}")),
    };
    cluster.machines[1].until("it has the former one's merge", follows).await;
    let second = cluster.machines[1].enqueue("Build on it", &["--role", "implement"]);
    cluster.machines[1].until_merged(&second).await;
    assert_eq!(cluster.machines[1].merged(), [first, second]);
    let status = cluster.machines[1].client().node_status().await.expect("a status");
    assert!(status.warnings.iter().all(|warning| !warning.contains("merged before")), "{:?}", status.warnings);
}

#[tokio::test]
async fn work_that_is_built_on_a_merge_of_a_lost_integrator_brings_that_merge_along() {
    let script = r#"note started "$OCTOPOID_TASK_ID"; await go; echo x > "work-$OCTOPOID_TASK_ID"; commit "do it""#;
    let mut cluster = of_two_admins(&[Agent::new("worker", "implement", script), Agent::approver("judge")]).await;
    cluster.machines[2].put("go");
    let first = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[1].until_merged(&first).await;
    std::fs::remove_file(cluster.machines[2].table().join("go")).expect("removed");
    let second = cluster.machines[1].enqueue("Build on it", &["--role", "implement"]);
    let _ = cluster.machines[2].until_noted("started", 2).await;
    cluster.machines[0].take_node().kill9();
    let _ = cluster.machines[1].run(&["cluster", "integrator", "machine-2"]).ok();
    cluster.machines[2].put("go");
    cluster.machines[1].until_merged(&second).await;
    assert_eq!(cluster.machines[1].merged(), [first, second]);
}
