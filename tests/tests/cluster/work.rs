//! The whole job across machines: queue here, work there, merge once.

use octopoid_tests::{Agent, Cluster, Project};

const WORK: &str = r#"note starts "$OCTOPOID_TASK_ID"; echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit "do it""#;

#[tokio::test]
async fn work_is_done_on_one_machine_reviewed_on_another_and_merged_once_at_the_shared_remote() {
    let cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[0].agents(&[Agent::approver("judge")]);
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    for machine in &cluster.machines {
        machine.until_merged(&id).await;
    }
    assert_eq!(cluster.merged_at_origin(), std::slice::from_ref(&id));
    assert_eq!(cluster.machines[1].noted("starts").trim(), id, "the machine with the worker did it");
}

#[tokio::test]
async fn submitted_work_is_at_the_shared_remote_when_others_hear_of_it_so_that_its_author_need_not_be_there() {
    let mut cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[0].until_in(&id, "provisional").await;
    let attempts = cluster.machines[0].client().attempts(&id).await.expect("attempts").attempts;
    let there =
        cluster.origin().git(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/octopoid/{id}/{}", attempts[0].attempt)]);
    assert_eq!(Some(&there), attempts[0].head.as_ref(), "{attempts:#?}");
    cluster.machines[1].take_node().kill9();
    cluster.machines[0].agents(&[Agent::approver("judge")]);
    cluster.machines[0].until_merged(&id).await;
    assert_eq!(cluster.merged_at_origin(), [id]);
}

#[tokio::test]
async fn without_a_remote_branches_travel_between_the_nodes_and_the_integrator_merges() {
    let cluster = Cluster::of(2, false, &[]).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    cluster.until_connected().await;
    let first = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[0].until_merged(&first).await;
    assert_eq!(cluster.machines[0].merged(), std::slice::from_ref(&first), "the founder's repository has it");
    let second = cluster.machines[0].enqueue("Build on it", &["--role", "implement"]);
    cluster.machines[0].until_merged(&second).await;
    let parents = cluster.machines[0].git(&["merge-base", "main^1", "main^2"]);
    assert_eq!(parents, cluster.machines[0].git(&["rev-parse", "main^1"]), "the second attempt started from the first one's merge");
}

#[tokio::test]
async fn a_task_starts_from_what_another_machine_has_merged_at_the_shared_remote() {
    let cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[0].agents(&[Agent::new("worker", "implement", WORK), Agent::approver("judge")]);
    cluster.machines[1].agents(&[Agent::new("writer", "docs", WORK)]);
    cluster.until_connected().await;
    let first = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    let second = cluster.machines[0].enqueue("Write about it", &["--role", "docs", "--blocked-by", &first]);
    cluster.machines[1].until_merged(&second).await;
    let attempts = cluster.machines[1].client().attempts(&second).await.expect("attempts").attempts;
    let merge = cluster.machines[1].task(&first).await.merged_commit.expect("merged");
    assert_eq!(attempts[0].base.as_ref(), Some(&merge), "the second one starts from the first one's merge: {attempts:#?}");
}

#[tokio::test]
async fn what_another_machine_did_can_be_looked_at_here_submitted_or_not() {
    for origin in [true, false] {
        let cluster = Cluster::of(2, origin, &[]).await;
        let script =
            format!("{WORK}; [ \"$OCTOPOID_ROLE\" = implement ] || {{ note begun x; while [ -d \"$TABLE\" ]; do sleep 0.1; done; }}");
        cluster.machines[1].agents(&[Agent::new("worker", "implement", &script), Agent::new("long", "docs", &script)]);
        cluster.until_connected().await;
        let submitted = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
        let begun = cluster.machines[0].enqueue("Write about it", &["--role", "docs"]);
        cluster.machines[0].until_task(&submitted, "is submitted", |task| task.queue == "provisional").await;
        cluster.machines[1].until_noted("begun", 1).await;
        for id in [&submitted, &begun] {
            let said = cluster.machines[0].run(&["diff", id]);
            assert!(said.ok().contains(&format!("+{id}")), "with a remote: {origin}: {said:?}");
        }
    }
}

#[tokio::test]
async fn work_that_was_submitted_while_the_shared_remote_was_away_comes_there_when_it_is_back() {
    for restart in [false, true] {
        let mut cluster = Cluster::of(2, true, &[]).await;
        cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
        cluster.until_connected().await;
        cluster.origin().be_away(true);
        let id = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
        cluster.machines[0].until_in(&id, "provisional").await;
        let worker = &cluster.machines[1];
        let waits = async || {
            let status = worker.client().node_status().await.map_err(|error| error.to_string())?;
            let told = status.warnings.iter().any(|warning| warning.contains("origin does not have yet, but will be given: 1"));
            if told { Ok(()) } else { Err(format!("{:?}", status.warnings)) }
        };
        worker.until("the status says that the branch waits", waits).await;
        if restart {
            cluster.machines[1].stop(&[]).await;
        }
        cluster.origin().be_away(false);
        if restart {
            let _ = cluster.machines[1].start().await;
        }
        let worker = &cluster.machines[1];
        let attempts = worker.client().attempts(&id).await.expect("attempts").attempts;
        let reference = format!("refs/heads/octopoid/{id}/{}", attempts[0].attempt);
        let comes = async || {
            let there = cluster.origin().git(&["for-each-ref", "--format=%(objectname)", &reference]);
            if Some(&there) == attempts[0].head.as_ref() { Ok(()) } else { Err(format!("'{there}', restarted: {restart}")) }
        };
        worker.until("its branch is there", comes).await;
        worker
            .until("nothing waits any more", async || match waits_noted(worker) {
                0 => Ok(()),
                count => Err(format!("{count} noted")),
            })
            .await;
    }
}

#[tokio::test]
async fn a_branch_that_the_shared_remote_refuses_keeps_no_other_one_waiting() {
    let mut cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
    cluster.until_connected().await;
    cluster.origin().be_away(true);
    let titles = ["Unwanted one", "Unwanted two", "Unwanted three", "Wanted"];
    let ids = titles.map(|title| cluster.machines[0].enqueue(title, &["--role", "implement"]));
    for id in &ids {
        cluster.machines[1].until_in(id, "provisional").await;
    }
    // A start tries at once, however often it failed before.
    cluster.machines[1].stop(&[]).await;
    cluster.origin().be_away(false);
    cluster.origin().refuse(Some("unwanted"));
    let _ = cluster.machines[1].start().await;
    let worker = &cluster.machines[1];
    let noted = async |wanted: usize| match waits_noted(worker) {
        count if count == wanted => Ok(()),
        count => Err(format!("{count} noted")),
    };
    worker.until("the others are there", async || noted(3).await).await;
    let there = cluster.origin().git(&["for-each-ref", "--format=%(refname)", "refs/heads/octopoid/"]);
    assert!(there.starts_with(&format!("refs/heads/octopoid/{}/", ids[3])) && there.lines().count() == 1, "{there}");
    let told = async || {
        let warnings = worker.client().node_status().await.map_err(|error| error.to_string())?.warnings;
        let told = warnings.iter().any(|warning| warning.contains("will be given: 3") && warning.contains("not wanted"));
        if told { Ok(()) } else { Err(format!("{warnings:?}")) }
    };
    worker.until("the status says why they wait", told).await;
    cluster.origin().refuse(None);
    worker.until("all are there", async || noted(0).await).await;
}

#[tokio::test]
async fn a_shared_remote_that_swallows_everything_keeps_no_node_from_ending() {
    let mut cluster = Cluster::of(2, true, &[]).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", WORK)]);
    cluster.until_connected().await;
    cluster.origin().be_away(true);
    let id = cluster.machines[0].enqueue("Add a feature", &["--role", "implement"]);
    cluster.machines[1].until_in(&id, "provisional").await;
    let worker = &cluster.machines[1];
    let script = worker.table().join("swallow.sh");
    std::fs::write(&script, format!("echo hangs >> '{}'\nexec sleep 60\n", worker.table().join("pushes").display())).expect("written");
    worker.git(&["config", "remote.origin.receivepack", &format!("sh '{}'", script.display())]);
    let _ = worker.until_noted("pushes", 1).await;
    let began = std::time::Instant::now();
    cluster.machines[1].stop(&[]).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "it took {:?}", began.elapsed());
    assert_eq!(waits_noted(&cluster.machines[1]), 1, "the next start goes on");
}

/// Returns how many branches a machine still has to push.
fn waits_noted(machine: &Project) -> usize {
    std::fs::read_dir(machine.dir().join("runtime/unshared")).map_or(0, Iterator::count)
}
