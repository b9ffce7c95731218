//! A member that tells one node one thing and another node another, at one place of its chain.

use octopoid_crdt::record::Verified;
use octopoid_tests::{Insider, Project, task_subject};

use crate::view::{agreed, infiltrated, records, they_serve};

/// Waits until a machine's status tells of so many forks of the rogue.
async fn until_fork_shows(machine: &Project, text: &str) {
    machine
        .until("the fork shows", async || {
            let status = machine.client().node_status().await.map_err(|error| error.to_string())?;
            let told = status.warnings.iter().any(|line| line.contains(text) && line.contains("'rogue'"));
            if told { Ok(()) } else { Err(format!("{:#?}", status.warnings)) }
        })
        .await;
    let status = machine.run(&["status"]);
    assert!(status.stderr.contains(text), "a person sees it: {status:?}");
}

#[tokio::test]
async fn two_records_at_one_place_of_a_chain_both_stay_and_show_as_a_fork_on_every_node() {
    let (cluster, mut rogue) = infiltrated().await;
    let first = rogue.connect(&cluster.machines[0]).await;
    let second = rogue.connect(&cluster.machines[1]).await;
    let before = records(&cluster.machines[0]);
    let one = rogue.sign(rogue.draft(task_subject("one"), rogue.task("one", "Told to the first")));
    let other = rogue.sign(rogue.draft(task_subject("other"), rogue.task("other", "Told to the second")));
    assert_eq!((one.payload().seq, one.payload().prev), (other.payload().seq, other.payload().prev));
    rogue.give(&first, std::slice::from_ref(&one)).await;
    rogue.give(&second, std::slice::from_ref(&other)).await;
    let view = agreed(&cluster, before + 2).await;
    let ids: Vec<_> = view["tasks"].as_array().expect("tasks").iter().map(|task| task[0].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids, ["one", "other"], "nothing that was signed is dropped");
    for machine in &cluster.machines {
        until_fork_shows(machine, "1 place where two records of").await;
    }

    // Both branches go on, and are told on.
    rogue.keep(&one);
    let on_one = rogue.write(task_subject("one"), Insider::claim(1));
    rogue.keep(&other);
    let on_other = rogue.write(task_subject("other"), Insider::claim(1));
    rogue.give(&second, &[on_one]).await;
    rogue.give(&first, &[on_other]).await;
    let _ = agreed(&cluster, before + 4).await;
    cluster.until_all_show("claimed", 2).await;
    they_serve(&cluster).await;
}

#[tokio::test]
async fn two_claims_of_one_task_at_one_place_let_the_same_one_win_on_every_node() {
    let (cluster, mut rogue) = infiltrated().await;
    let first = rogue.connect(&cluster.machines[0]).await;
    let second = rogue.connect(&cluster.machines[1]).await;
    let id = cluster.machines[0].enqueue("Claimed twice by a liar", &[]);
    let subject = task_subject(&id);
    rogue.until_told("the task", |payload| payload.subject == subject).await;
    cluster.until_all_show("incoming", 1).await;
    let before = records(&cluster.machines[0]);
    let mut draft = rogue.draft(subject, Insider::claim(1));
    let one = rogue.sign(draft.clone());
    draft.wall_ms += 1;
    let other = rogue.sign(draft);
    for (peer, claim) in [(first, &one), (second, &other)] {
        rogue.give(&peer, std::slice::from_ref(claim)).await;
    }
    let _ = agreed(&cluster, before + 2).await;
    // Handed in on both: at most one attempt can be accepted.
    rogue.keep(&one);
    rogue.keep(&other);
    let submits: Vec<Verified> = [&one, &other].map(|claim| rogue.write(subject, Insider::submit(claim.id()))).into();
    rogue.give(&first, &submits).await;
    cluster.until_all_show("provisional", 1).await;
    let _ = cluster.machines[1].run(&["accept", &id]).ok();
    cluster.until_all_show("done", 1).await;
    for machine in &cluster.machines {
        let attempts = machine.client().attempts(&id).await.expect("attempts").attempts;
        let accepted = attempts.iter().filter(|attempt| attempt.state == "accepted").count();
        assert_eq!((attempts.len(), accepted), (2, 1), "{attempts:#?}");
    }
    they_serve(&cluster).await;
}
