//! Work without the others, and what becomes of it.

use std::time::{Duration, Instant};

use octopoid_client::NewTask;
use octopoid_tests::Cluster;

/// How long a machine that starts looks at least whether another one is there, before it writes.
const LOOKED: Duration = Duration::from_millis(700);

#[tokio::test]
async fn a_task_queued_offline_says_so_and_reaches_the_others_later() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    cluster.machines[0].stop(&[]).await;
    let laptop = &cluster.machines[1];
    laptop
        .until("the laptop notices", async || {
            let status = laptop.client().node_status().await.map_err(|error| error.to_string())?;
            if status.offline { Ok(()) } else { Err(format!("{:#?}", status.members)) }
        })
        .await;
    let said = laptop.run(&["enqueue", "Thought of on a train"]);
    assert!(said.stderr.contains("✓ Task created locally, will sync when a peer is available"), "{said:?}");
    let status = laptop.run(&["status"]);
    assert!(status.ok().contains("⚠️  Working offline") && status.ok().contains("Pending sync: 1 operation"), "{status:?}");

    cluster.machines[0].start().await;
    cluster.until_all_show("incoming", 1).await;
    let laptop = &cluster.machines[1];
    laptop
        .until("nothing is pending", async || {
            let status = laptop.client().node_status().await.map_err(|error| error.to_string())?;
            if status.pending_sync == 0 && !status.offline { Ok(()) } else { Err(format!("{} pending", status.pending_sync)) }
        })
        .await;
}

#[tokio::test]
async fn edits_made_on_both_sides_of_a_partition_are_merged_on_all() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("To be edited", &[]);
    cluster.until_all_show("incoming", 1).await;
    cluster.machines[0].stop(&[]).await;
    let _ = cluster.machines[1].run(&["edit", &id, "--priority", "P0"]).ok();
    cluster.machines[1].stop(&[]).await;
    let _ = cluster.machines[0].run(&["edit", &id, "--title", "Edited"]).ok();
    cluster.machines[0].start().await;
    cluster.machines[1].start().await;
    for machine in &cluster.machines {
        machine.until_task(&id, "edited by both", |task| task.title == "Edited" && task.priority == "P0").await;
    }
}

#[tokio::test]
async fn since_when_a_machine_is_away_is_known_after_a_restart_of_the_one_that_asks() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    cluster.machines[1].stop(&[]).await;
    let away = cluster.machines[0]
        .until("it is away", async || {
            let member = cluster.seen(0, "machine-2").await;
            if member.state == "offline" { Ok(member) } else { Err(format!("{member:#?}")) }
        })
        .await;
    assert!(away.last_seen.is_some(), "{away:#?}");
    cluster.machines[0].stop(&[]).await;
    cluster.machines[0].start().await;
    let member = cluster.seen(0, "machine-2").await;
    assert_eq!((member.state, member.last_seen), ("offline".to_owned(), away.last_seen.clone()));

    // One that stops while it is connected knows that it was, until then.
    cluster.machines[1].start().await;
    cluster.until_connected().await;
    cluster.machines[0].stop(&[]).await;
    cluster.machines[1].stop(&[]).await;
    cluster.machines[0].start().await;
    let member = cluster.seen(0, "machine-2").await;
    assert!(member.state == "offline" && member.last_seen > away.last_seen, "{member:#?} after {:?}", away.last_seen);
}

#[tokio::test]
async fn a_machine_that_is_told_to_keep_to_itself_is_cut_off_works_on_and_is_joined_again() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let said = cluster.machines[1].run(&["cluster", "offline"]);
    assert!(said.stderr.contains("octopoid cluster online"), "the way back is told: {said:?}");
    for machine in &cluster.machines {
        machine
            .until("the connection is gone", async || {
                let status = machine.client().node_status().await.map_err(|error| error.to_string())?;
                if status.offline { Ok(()) } else { Err(format!("{:#?}", status.members)) }
            })
            .await;
    }
    let status = cluster.machines[1].run(&["status"]);
    assert!(status.ok().contains("Working offline, as it was told to: octopoid cluster online"), "{status:?}");
    assert!(!cluster.machines[0].client().node_status().await.expect("a status").kept_offline, "the other one was told nothing");

    let there = cluster.machines[1].enqueue("Thought of alone", &[]);
    let here = cluster.machines[0].enqueue("Thought of meanwhile", &[]);
    // A node that starts dials everybody at once, and writes when it has waited for who answers.
    cluster.machines[0].stop(&[]).await;
    cluster.machines[0].start().await;
    let _ = cluster.machines[0].enqueue("Thought of after a start", &[]);
    let turned_away = cluster.seen(0, "machine-2").await;
    assert_eq!(turned_away.state.as_str(), "offline", "it is turned away");
    let _ = cluster.machines[0].run(&["show", &there]).refused(1);
    let _ = cluster.machines[1].run(&["show", &here]).refused(1);

    let _ = cluster.machines[1].run(&["cluster", "online"]).ok();
    cluster.until_connected().await;
    cluster.until_all_show("incoming", 3).await;
}

#[tokio::test]
async fn who_listens_is_told_which_members_come_and_go() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let mut events = cluster.machines[0].client().events(None).await.expect("a stream");
    let mut next = async |wanted: &str| loop {
        let event = events.next().await.expect("a whole event").expect("the stream goes on");
        if event.kind == wanted {
            return event;
        }
        assert!(!event.kind.starts_with("peer."), "{event:#?}");
    };
    cluster.machines[1].stop(&[]).await;
    let down = next("peer.down").await;
    assert_eq!((down.peer.as_deref(), down.task_id.as_deref()), (Some("machine-2"), None));
    cluster.machines[1].start().await;
    let up = next("peer.up").await;
    assert_eq!(up.peer.as_deref(), Some("machine-2"));
    // It bears the id of the last event, so that a stream which goes on after it misses nothing.
    let id = cluster.machines[0].enqueue("After it", &[]);
    let created = next("task.created").await;
    assert_eq!(created.task_id, Some(id));
    let number = |id: &str| id.parse::<u64>().expect("a number");
    assert!(number(&down.id) <= number(&up.id) && number(&up.id) < number(&created.id), "{down:?} {up:?} {created:?}");
}

#[tokio::test]
async fn a_machine_that_starts_alone_is_read_at_once_and_writes_when_it_has_looked_for_the_others() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let before = cluster.machines[1].enqueue("Queued before", &[]);
    cluster.machines[0].stop(&[]).await;
    cluster.machines[1].stop(&[]).await;
    let began = Instant::now();
    cluster.machines[1].start().await;
    let client = cluster.machines[1].client();
    let write = async {
        let task = NewTask { id: "after".to_owned(), file_path: "after".to_owned(), ..NewTask::default() };
        let task = client.create_task(&task).await.expect("created");
        assert!(began.elapsed() >= LOOKED, "it wrote after {:?}", began.elapsed());
        task.queue
    };
    let (read, written) = tokio::join!(client.task(&before), write);
    assert_eq!((read.expect("the task").queue.as_str(), written.as_str()), ("incoming", "incoming"));
}
