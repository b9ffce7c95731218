//! A cluster that has taken another's name, and lets anybody in at once.
//!
//! The machines are network namespaces, as in the tests of a local network.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use octopoid_tests::{Agent, Project, Said};
use serde_json::Value;

use crate::office::Office;

/// Begins `init --cluster home` on the second machine, without a yes.
fn ask(office: &Office, more: &[&str]) -> Child {
    let machine = &office.machines[1];
    let file = |end: &str| File::create(machine.table().join(format!("init.{end}"))).expect("a file");
    let mut command = machine.command();
    command.args(["init", "--cluster", "home", "--machine-id", "victim"]).args(more).stdin(Stdio::null());
    command.stdout(file("stdout")).stderr(file("stderr")).spawn().expect("octopoid runs")
}

/// Lets in whoever asks the first machine, at once, until `init` on the second has ended.
async fn approve_at_once(office: &Office, mut init: Child) -> Said {
    let (rogue, victim) = (&office.machines[0], &office.machines[1]);
    let status = rogue
        .until("init ends", async || {
            let peers = rogue.run(&["peers", "list", "--json"]).json();
            for asks in peers["pending"].as_array().expect("a list") {
                // It may have withdrawn meanwhile.
                let _ = rogue.run(&["peers", "approve", asks["code"].as_str().expect("a code")]);
            }
            init.try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "it waits".to_owned())
        })
        .await;
    let read = |end: &str| fs::read(victim.table().join(format!("init.{end}"))).expect("a file");
    let output = std::process::Output { status, stdout: read("stdout"), stderr: read("stderr") };
    Said::new("octopoid init --cluster home".to_owned(), output)
}

fn noting() -> Agent {
    Agent::new("worker", "implement", r#"note starts "$OCTOPOID_TASK_ID""#)
}

#[tokio::test]
async fn who_does_not_confirm_the_code_is_no_member_and_starts_nothing_of_a_cluster_that_approves_at_once() {
    let Some(mut office) = Office::of(2) else { return };
    let _ = office.found().await;
    let _ = office.machines[0].enqueue("Run what I say", &["--role", "implement"]);
    let init = ask(&office, &[]);
    let said = approve_at_once(&office, init).await;
    assert!(said.refused(1).contains("the code was not confirmed"), "{said:?}");
    assert!(said.stderr.contains("confirm with --yes where there is no terminal"), "{said:?}");
    let peers = office.machines[0].run(&["peers", "list", "--json"]).json();
    assert_eq!(peers["members"].as_array().map(Vec::len), Some(1), "{peers}");

    // The project goes on alone: its agents do its own tasks, and know of no other.
    let victim = &mut office.machines[1];
    assert!(!victim.dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
    victim.agents(&[noting()]);
    victim.start().await;
    let own = victim.enqueue("My own", &["--role", "implement"]);
    assert_eq!(victim.until_noted("starts", 1).await.len(), 1);
    let status = victim.run(&["status", "--json"]).json();
    assert_eq!((&status["mode"], &status["members"]), (&"local".into(), &Value::Array(Vec::new())));
    let tasks = victim.run(&["list", "--json"]).json();
    let ids: Vec<_> = tasks.as_array().expect("a list").iter().map(|task| task["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, [own]);
}

#[tokio::test]
async fn who_confirms_by_mistake_with_a_repository_of_its_own_still_starts_no_agent() {
    let Some(mut office) = Office::of(2) else { return };
    let mut other = Project::repository();
    // Two repositories made in one second could begin with one and the same commit.
    fs::remove_dir_all(other.repo().join(".git")).expect("removed");
    other.write("README", "another repository\n");
    let _ = other.git(&["init", "-q", "-b", "main"]);
    other.commit("another beginning");
    other.move_to(&office.lan.namespace(1));
    office.machines[1] = other;
    let _ = office.found().await;
    let id = office.machines[0].enqueue("Run what I say", &["--role", "implement"]);
    let init = ask(&office, &["--yes"]);
    let _ = approve_at_once(&office, init).await.ok();
    let victim = &mut office.machines[1];
    victim.agents(&[noting()]);
    victim.start().await;
    let victim = &office.machines[1];
    victim
        .until("the rogue's task is seen, and why it is not done is told", async || {
            let (tasks, status) = (victim.run(&["list", "--json"]).json(), victim.run(&["status"]));
            let seen = tasks.as_array().is_some_and(|tasks| tasks.iter().any(|task| task["id"] == id.as_str()));
            if seen && status.stderr.contains("its repository is not the cluster's") { Ok(()) } else { Err(format!("{tasks} {status:?}")) }
        })
        .await;
    assert_eq!((victim.noted("starts"), victim.worktrees()), (String::new(), Vec::new()));
}

#[tokio::test]
async fn status_warns_of_another_cluster_of_the_same_name_on_the_network() {
    let Some(mut office) = Office::of(3) else { return };
    let _ = office.found().await;
    // A namesake, and a cluster of another name.
    for (number, name) in [(1, "home"), (2, "work")] {
        let machine = &mut office.machines[number];
        let _ = machine.run(&["init", "--machine-id", name]).ok();
        let _ = machine.run(&["cluster", "name", name]).ok();
        machine.agents(&[]);
        machine.start().await;
    }
    for number in [0, 1] {
        let (machine, other) = (&office.machines[number], &office.machines[1 - number]);
        let addresses = other.run(&["peers", "addresses"]);
        let other_id = addresses.ok().lines().next().and_then(|line| line.rsplit('/').next()).expect("a peer id").to_owned();
        machine
            .until("the namesake is told of", async || {
                let status = machine.run(&["status", "--json"]).json();
                let told = status["namesakes"].as_array().ok_or("no list")?;
                let one = told.len() == 1 && told[0].as_str().is_some_and(|address| address.ends_with(&other_id));
                if one { Ok(()) } else { Err(status.to_string()) }
            })
            .await;
        let status = machine.run(&["status"]);
        assert!(status.stderr.contains("another cluster on this network is called 'home' too"), "{status:?}");
        let peers = machine.run(&["peers", "list", "--json"]).json();
        assert_eq!(peers["pending"], Value::Array(Vec::new()), "who only looks asks nobody to decide: {peers}");
    }
    let status = office.machines[2].run(&["status", "--json"]).json();
    assert_eq!(status["namesakes"], Value::Array(Vec::new()));
}
