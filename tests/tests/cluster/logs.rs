//! What a machine can read of the work of another one.

use octopoid_tests::{Agent, Cluster};

#[tokio::test]
async fn the_log_and_the_diff_of_work_on_another_machine_are_read_there_also_while_it_runs() {
    let script = r#"echo "first words"; note starts x; await go; echo x > new; commit "work"; echo "last words""#;
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.machines[1].agents(&[Agent::new("worker", "implement", script)]);
    cluster.until_connected().await;
    let id = cluster.machines[0].enqueue("Done elsewhere", &["--role", "implement"]);
    let _ = cluster.machines[1].until_noted("starts", 1).await;
    let laptop = &cluster.machines[0];
    laptop
        .until("what it said so far", async || {
            let said = laptop.run(&["logs", &id]);
            if said.stdout == "first words\n" { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;

    // Followed: the reader ends with the attempt, and a reader that goes away ends the reading there.
    let mut gone = laptop.command().args(["logs", &id, "-f"]).stdout(std::process::Stdio::null()).spawn().expect("octopoid runs");
    gone.kill().expect("killed");
    let _ = gone.wait().expect("collected");
    let follower = laptop.command().args(["logs", &id, "-f"]).stdout(std::process::Stdio::piped()).spawn().expect("octopoid runs");
    cluster.machines[1].put("go");
    let followed = tokio::task::spawn_blocking(move || follower.wait_with_output()).await.expect("a thread").expect("an end");
    assert!(followed.status.success(), "{followed:?}");
    assert_eq!(String::from_utf8_lossy(&followed.stdout), "first words\nlast words\n");

    let laptop = &cluster.machines[0];
    let _ = laptop.until_in(&id, "provisional").await;
    let diff = laptop.run(&["diff", &id]);
    assert!(diff.ok().contains("+++ b/new"), "{diff:?}");
    let stat = laptop.run(&["diff", &id, "--stat"]);
    assert!(stat.ok().contains("new") && !stat.stdout.contains("+++"), "{stat:?}");
    let unknown = laptop.run(&["logs", &id, "--attempt", "7-00000000"]);
    assert!(unknown.refused(2).contains("has no attempt '7-00000000'"), "{unknown:?}");

    cluster.machines[1].stop(&[]).await;
    let laptop = &cluster.machines[0];
    laptop
        .until("the other machine is known to be gone", async || {
            let said = laptop.run(&["logs", &id]);
            let told = said.stderr.contains("was made on 'machine-2', which cannot be reached now");
            if told { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;
}
