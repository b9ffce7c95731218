//! A node whose disk runs full.

use std::time::{Duration, Instant};

use octopoid_client::{ClientError, NewTask};
use octopoid_tests::{Agent, Project, SmallDisk, lives, pids_in};

/// How soon a node that can write no more must be gone.
const END: Duration = Duration::from_secs(10);

/// Heeds no SIGTERM, starts processes that would outlive it, and does the task when it is allowed to.
const SLOW: &str = r#"if [ -e "$TABLE/again" ]; then echo whole > whole; commit whole; exit 0; fi
    trap '' TERM; note pids $$
    sleep 600 & note pids $!
    setsid sh -c 'echo $$ >> "$TABLE/pids"; exec sleep 600' &
    while :; do sleep 1; done"#;

/// Creates tasks until one is refused; returns those that were acknowledged, and the refusal.
async fn create_until_refused(project: &Project) -> (Vec<String>, ClientError) {
    let mut acknowledged = Vec::new();
    for number in 0..10_000 {
        let id = format!("full-{number}");
        let task = NewTask { id: id.clone(), file_path: "t.md".to_owned(), content: Some("word ".repeat(4_000)), ..NewTask::default() };
        match project.client().create_task(&task).await {
            Ok(task) => acknowledged.push(task.id),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("the disk was never full");
}

#[tokio::test]
async fn a_full_disk_ends_the_node_with_its_agents_and_nothing_that_was_acknowledged_is_lost() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let mut project = Project::new_in(disk.path());
    project.write("body", &"word ".repeat(20_000));
    project.agents(&[Agent::new("worker", "implement", SLOW), Agent::approver("judge")]);
    let id = project.enqueue("Take long", &["--priority", "P0"]);
    project.start().await;
    project.until_noted("pids", 3).await;
    let pids = pids_in(&project.table().join("pids"));
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");

    let filler = disk.fill();
    let (mut acknowledged, refusal) = create_until_refused(&project).await;
    let since = Instant::now();
    assert!(matches!(refusal, ClientError::Status { status: 503, .. }), "{refusal:?}");
    // Reads may be answered while it ends; a write is refused, or nobody answers any more.
    let later = project.client().cancel(&id, &octopoid_client::CancelRequest::default()).await.expect_err("nothing is written any more");
    assert!(matches!(later, ClientError::Status { status: 503, .. } | ClientError::Unreachable { .. }), "{later:?}");
    let said = project.node_said();
    let status = project.take_node().ended().await.expect("the node ends");
    assert!(since.elapsed() < END, "it took {:?}", since.elapsed());
    assert!(!status.success(), "{status}");
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    let said = format!("{said}{}", project.node_said());
    assert!(said.contains("No space left") && said.contains("does not write any more"), "{said}");

    // Still full: commands do what the room that the store has left allows, then say what is wrong.
    let full = loop {
        let said = project.run(&["enqueue", "One more", "--body", "body"]);
        match said.code {
            Some(0) => acknowledged.push(said.ok().to_owned()),
            _ => break said,
        }
        assert!(acknowledged.len() < 10_000, "the disk was never full");
    };
    assert!(
        full.refused(5).contains("No space left") && full.stderr.contains("disk is full") && !full.stderr.contains("panicked"),
        "{full:?}"
    );

    filler.remove();
    project.put("again");
    assert_eq!(project.run(&["doctor", "--json"]).json()["ok"], true);
    project.start().await;
    for id in &acknowledged {
        assert_eq!(&project.task(id).await.id, id, "it was acknowledged");
    }
    project.until_merged(&id).await;
    assert_eq!(project.task(&id).await.attempt_count, 0, "it is not the task's fault");
}
