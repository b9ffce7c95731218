//! What was done without reaching the authority: its own state goes before it, and what lost is listed everywhere.

use octopoid_client::{
    CancelRequest, ClientError, Conflict, ForceQueueRequest, NewProject, NewTask, ProjectPatch, SubmitRequest, TaskPatch,
};
use octopoid_tests::{Cluster, Project};

use crate::office::{claim, served, until_offline};

/// Waits until a machine lists what was overridden about a task.
async fn until_listed(machine: &Project, id: &str, count: usize) -> Conflict {
    machine
        .until("what lost is listed", async || {
            let conflict = machine.client().conflict(id).await.map_err(|error| error.to_string())?;
            if conflict.overridden.len() == count { Ok(conflict) } else { Err(format!("{conflict:#?}")) }
        })
        .await
}

async fn apart(cluster: &Cluster) {
    let _ = cluster.machines[1].run(&["cluster", "offline"]).ok();
    until_offline(&cluster.machines[1], true).await;
    let members = cluster.machines[0].client();
    cluster.machines[0]
        .until("the authority notices", async || {
            let peers = members.peers().await.map_err(|error| error.to_string())?;
            if peers.members.iter().all(|member| member.state != "connected") { Ok(()) } else { Err(format!("{:#?}", peers.members)) }
        })
        .await;
}

async fn together(cluster: &Cluster) {
    let _ = cluster.machines[1].run(&["cluster", "online"]).ok();
    cluster.until_connected().await;
}

#[tokio::test]
async fn of_a_field_that_both_sides_edited_the_authoritys_value_stands_and_the_other_is_told() {
    let cluster = served(2, &[]).await;
    let id = cluster.machines[0].enqueue("Edited on both sides", &["--priority", "P2"]);
    cluster.until_all_show("incoming", 1).await;
    apart(&cluster).await;
    let _ = cluster.machines[0].run(&["edit", &id, "--priority", "P0"]).ok();
    let _ = cluster.machines[1].run(&["edit", &id, "--priority", "P3", "--branch", "release"]).ok();
    // Twice, so that of the lots of the two edits the later one has every chance.
    let _ = cluster.machines[1].run(&["edit", &id, "--priority", "P1"]).ok();
    together(&cluster).await;
    for machine in &cluster.machines {
        machine.until_task(&id, "the authority's", |task| task.priority == "P0" && task.branch == "release").await;
        let conflict = until_listed(machine, &id, 2).await;
        let lost: Vec<_> = conflict.overridden.iter().map(|change| (change.what.as_str(), change.lost.as_deref())).collect();
        assert_eq!(lost, [("priority", Some("P3")), ("priority", Some("P1"))]);
        assert!(
            conflict.overridden.iter().all(|change| change.node == "machine-2" && change.kept.as_deref() == Some("P0")),
            "{conflict:#?}"
        );
    }
    let said = cluster.machines[1].run(&["conflicts", "show", &id]);
    assert!(said.ok().contains("priority 'P1' was set by machine-2") && said.ok().contains("'P0'"), "{said:?}");
    let status = cluster.machines[1].run(&["status"]);
    assert!(status.ok().contains("1 conflict to look at: octopoid conflicts"), "{status:?}");
    // An edit that has seen all of it is an edit like any other.
    let _ = cluster.machines[1].run(&["edit", &id, "--priority", "P1"]).ok();
    for machine in &cluster.machines {
        machine.until_task(&id, "edited again", |task| task.priority == "P1").await;
    }
    let _ = cluster.machines[1].run(&["conflicts", "dismiss", &id]).ok();
    let listed = cluster.machines[1].client().conflicts(0, 10).await.expect("conflicts");
    assert_eq!(listed.total, 0);
}

#[tokio::test]
async fn bodies_are_merged_and_a_queue_that_was_set_on_both_sides_is_the_authoritys() {
    let cluster = served(2, &[]).await;
    let id = "written-on-both-sides".to_owned();
    let written =
        NewTask { id: id.clone(), file_path: "t.md".to_owned(), content: Some("first\nmiddle\nlast\n".to_owned()), ..NewTask::default() };
    let _ = cluster.machines[0].client().create_task(&written).await.expect("created");
    let moved = cluster.machines[0].enqueue("Moved on both sides", &[]);
    cluster.until_all_show("incoming", 2).await;
    apart(&cluster).await;
    let body = |text: &str| TaskPatch { content: Some(Some(text.to_owned())), ..TaskPatch::default() };
    let force = |queue: &str| ForceQueueRequest { queue: queue.to_owned(), reason: "by hand".to_owned(), forced_by: None };
    let (here, there) = (cluster.machines[0].client(), cluster.machines[1].client());
    let _ = here.patch_task(&id, &body("first here\nmiddle\nlast\n")).await.expect("edited");
    let _ = there.patch_task(&id, &body("first\nmiddle\nlast there\n")).await.expect("edited");
    let _ = here.force_queue(&moved, &force("failed")).await.expect("moved");
    let _ = there.force_queue(&moved, &force("backlog")).await.expect("moved");
    together(&cluster).await;
    for machine in &cluster.machines {
        let merged = |task: &octopoid_client::Task| task.content.as_deref() == Some("first here\nmiddle\nlast there\n");
        machine.until_task(&id, "merged", merged).await;
        assert_eq!(until_listed(machine, &id, 1).await.overridden[0].what, "content");
        let conflict = until_listed(machine, &moved, 1).await;
        let lost = &conflict.overridden[0];
        assert_eq!((lost.what.as_str(), lost.lost.as_deref(), lost.kept.as_deref()), ("queue", Some("backlog"), Some("failed")));
        machine.until_in(&moved, "failed").await;
    }
}

#[tokio::test]
async fn work_handed_in_after_the_authority_gave_the_task_to_another_is_kept_and_listed() {
    let cluster = served(2, &[]).await;
    let id = cluster.machines[0].enqueue("Given out twice", &[]);
    cluster.until_all_show("incoming", 1).await;
    let short = octopoid_client::ClaimRequest { lease_duration_seconds: Some(2), ..claim("cut off") };
    let _ = cluster.machines[1].client().claim(&short).await.expect("an answer").expect("the task");
    apart(&cluster).await;
    cluster.machines[0].until_in(&id, "incoming").await;
    let second = cluster.machines[0].client().claim(&claim("second")).await.expect("an answer").expect("the task");
    assert_eq!(second.epoch, 2);
    let work = SubmitRequest { commits_count: 0, turns_used: 1, ..SubmitRequest::default() };
    let _ = cluster.machines[1].client().submit(&id, &work).await.expect("handed in alone");
    let _ = cluster.machines[0].client().submit(&id, &work).await.expect("handed in");
    together(&cluster).await;
    for machine in &cluster.machines {
        let task =
            machine.until_task(&id, "the later grant's", |task| task.attempt.as_deref().is_some_and(|name| name.starts_with("2-"))).await;
        assert_eq!(task.queue, "provisional");
        machine
            .until("the attempt that lost is listed", async || {
                let conflict = machine.client().conflict(&id).await.map_err(|error| error.to_string())?;
                let lost = conflict.attempts.iter().any(|attempt| attempt.agent.as_deref() == Some("cut off"));
                if lost { Ok(()) } else { Err(format!("{conflict:#?}")) }
            })
            .await;
    }
}

/// What lost, as (what, wanted, stands).
fn told(conflict: &Conflict) -> Vec<(&str, Option<&str>, Option<&str>)> {
    conflict.overridden.iter().map(|change| (change.what.as_str(), change.lost.as_deref(), change.kept.as_deref())).collect()
}

#[tokio::test]
async fn what_the_authority_changed_before_it_started_again_stands_as_well() {
    let mut cluster = served(2, &[]).await;
    let edited = cluster.machines[0].enqueue("Edited on both sides", &["--priority", "P2"]);
    let moved = cluster.machines[0].enqueue("Moved on both sides", &[]);
    cluster.until_all_show("incoming", 2).await;
    cluster.machines[0].stop(&[]).await;
    until_offline(&cluster.machines[1], true).await;
    // Without its node the commands write to the store, and nobody hears of it.
    let _ = cluster.machines[0].run(&["edit", &edited, "--priority", "P0"]).ok();
    let _ = cluster.machines[0].run(&["cancel", &moved, "--reason", "not now"]).ok();
    let _ = cluster.machines[1].run(&["edit", &edited, "--priority", "P3", "--branch", "release"]).ok();
    // It builds on the one that loses, so of the lots of the two it has every chance.
    let _ = cluster.machines[1].run(&["edit", &edited, "--priority", "P1"]).ok();
    let aside = ForceQueueRequest { queue: "backlog".to_owned(), reason: "by hand".to_owned(), forced_by: None };
    let _ = cluster.machines[1].client().force_queue(&moved, &aside).await.expect("moved");
    cluster.machines[0].start().await;
    cluster.until_connected().await;
    for machine in &cluster.machines {
        machine.until_task(&edited, "the authority's", |task| task.priority == "P0" && task.branch == "release").await;
        let conflict = until_listed(machine, &edited, 2).await;
        assert_eq!(told(&conflict), [("priority", Some("P3"), Some("P0")), ("priority", Some("P1"), Some("P0"))]);
        let conflict = until_listed(machine, &moved, 1).await;
        assert_eq!(told(&conflict), [("queue", Some("backlog"), Some("cancelled"))]);
        machine.until_in(&moved, "cancelled").await;
    }
    // What was judged once is not judged at the next start.
    cluster.machines[0].stop(&[]).await;
    cluster.machines[0].start().await;
    cluster.until_connected().await;
    let _ = cluster.machines[1].run(&["edit", &edited, "--priority", "P1"]).ok();
    for machine in &cluster.machines {
        machine.until_task(&edited, "edited again", |task| task.priority == "P1").await;
        assert_eq!(until_listed(machine, &edited, 2).await.overridden.len(), 2);
    }
}

#[tokio::test]
async fn of_a_task_that_both_sides_created_the_authoritys_fields_stand() {
    let cluster = served(2, &[]).await;
    apart(&cluster).await;
    // Whichever creation has the lower lot, one of the four is of the other machine.
    let ids = ["one", "two", "three", "four"];
    for (machine, title, priority) in [(&cluster.machines[0], "Of the authority", "P0"), (&cluster.machines[1], "Of the other", "P3")] {
        for id in ids {
            let new = NewTask {
                id: id.to_owned(),
                file_path: "t.md".to_owned(),
                title: Some(title.to_owned()),
                priority: Some(priority.to_owned()),
                ..NewTask::default()
            };
            let _ = machine.client().create_task(&new).await.expect("created");
        }
    }
    together(&cluster).await;
    for machine in &cluster.machines {
        for id in ids {
            machine.until_task(id, "the authority's", |task| task.priority == "P0" && task.title == "Of the authority").await;
            let conflict = until_listed(machine, id, 2).await;
            let mut lost = told(&conflict);
            lost.sort_unstable();
            assert_eq!(
                lost,
                [("priority", Some("P3"), Some("P0")), ("title", Some("Of the other"), Some("Of the authority"))],
                "{conflict:#?}"
            );
            assert!(conflict.overridden.iter().all(|change| change.node == "machine-2"), "{conflict:#?}");
        }
    }
}

#[tokio::test]
async fn of_a_project_that_both_sides_edited_the_authoritys_values_stand_as_well() {
    let mut cluster = served(2, &[]).await;
    let website = NewProject { id: "website".to_owned(), title: Some("Website".to_owned()), ..NewProject::default() };
    let _ = cluster.machines[0].client().create_project(&website).await.expect("created");
    cluster.machines[1]
        .until("the project is there", async || {
            cluster.machines[1].client().project("website").await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    apart(&cluster).await;
    let title = |title: &str| ProjectPatch { title: Some(title.to_owned()), ..ProjectPatch::default() };
    let _ = cluster.machines[0].client().patch_project("website", &title("Of the authority")).await.expect("edited");
    let theirs = ProjectPatch { base_branch: Some(Some("release".to_owned())), ..title("Of the other") };
    let _ = cluster.machines[1].client().patch_project("website", &theirs).await.expect("edited");
    together(&cluster).await;
    for machine in &cluster.machines {
        machine
            .until("the authority's title stands", async || {
                let project = machine.client().project("website").await.map_err(|error| error.to_string())?;
                let right = project.title == "Of the authority" && project.base_branch.as_deref() == Some("release");
                let conflict = machine.client().conflict_in("project", "website").await.map_err(|error| error.to_string())?;
                let told = told(&conflict) == [("title", Some("Of the other"), Some("Of the authority"))];
                if right && told { Ok(()) } else { Err(format!("{project:#?}\n{conflict:#?}")) }
            })
            .await;
    }
    // The same where the authority had started only just.
    cluster.machines[0].stop(&[]).await;
    until_offline(&cluster.machines[1], true).await;
    let _ = cluster.machines[1].client().patch_project("website", &title("Anew")).await.expect("edited");
    cluster.machines[0].start().await;
    cluster.until_connected().await;
    let machine = &cluster.machines[1];
    machine
        .until("what nobody competed with is taken over", async || {
            let project = cluster.machines[0].client().project("website").await.map_err(|error| error.to_string())?;
            if project.title == "Anew" { Ok(()) } else { Err(project.title) }
        })
        .await;
    let listed = machine.run(&["conflicts"]);
    assert!(listed.ok().contains("project website") && listed.ok().contains("title of machine-2"), "{listed:?}");
    let said = machine.run(&["conflicts", "show", "website", "--collection", "project"]);
    assert!(
        said.ok().contains("'Of the other' was set by machine-2") && said.ok().contains("dismiss website --collection project"),
        "{said:?}"
    );
    assert!(machine.run(&["status"]).ok().contains("1 conflict to look at"));
    let _ = machine.run(&["conflicts", "dismiss", "website", "--collection", "project"]).ok();
    assert_eq!(machine.client().conflicts(0, 10).await.expect("conflicts").total, 0);
}

#[tokio::test]
async fn a_task_that_was_given_up_without_the_authority_waits_where_it_had_put_it() {
    let cluster = served(2, &[]).await;
    let moved = cluster.machines[0].enqueue("Put aside there", &[]);
    let untouched = cluster.machines[0].enqueue("Untouched there", &[]);
    cluster.until_all_show("incoming", 2).await;
    apart(&cluster).await;
    let aside = ForceQueueRequest { queue: "backlog".to_owned(), reason: "later".to_owned(), forced_by: None };
    let _ = cluster.machines[0].client().force_queue(&moved, &aside).await.expect("moved");
    let never = CancelRequest { reason: Some("never".to_owned()), ..CancelRequest::default() };
    for id in [&moved, &untouched] {
        let _ = cluster.machines[1].client().cancel(id, &never).await.expect("given up");
    }
    together(&cluster).await;
    for machine in &cluster.machines {
        let conflict = until_listed(machine, &moved, 1).await;
        assert_eq!(told(&conflict), [("queue", Some("cancelled"), Some("backlog"))]);
        machine.until_in(&moved, "backlog").await;
        machine.until_in(&untouched, "cancelled").await;
    }
    let listed = cluster.machines[1].client().conflicts(0, 10).await.expect("conflicts");
    assert_eq!(listed.total, 1, "what the authority had not touched overrules nothing: {listed:#?}");
}

#[tokio::test]
async fn a_task_that_was_deleted_without_the_authority_is_gone_whatever_was_edited_there() {
    let cluster = served(2, &[]).await;
    let id = cluster.machines[0].enqueue("Deleted on one side", &[]);
    cluster.until_all_show("incoming", 1).await;
    apart(&cluster).await;
    let _ = cluster.machines[0].run(&["edit", &id, "--priority", "P0"]).ok();
    let _ = cluster.machines[1].client().delete_task(&id).await.expect("deleted");
    together(&cluster).await;
    for machine in &cluster.machines {
        machine
            .until("it is gone", async || match machine.client().task(&id).await {
                Err(ClientError::Status { status: 404, .. }) => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
    }
}
