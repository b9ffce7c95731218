//! How a second machine becomes a member by the cluster's name.

use std::time::Duration;

use super::office::Office;

#[tokio::test]
async fn a_machine_finds_the_cluster_by_its_name_is_approved_by_the_code_of_both_and_shares_the_queue() {
    let Some(mut office) = Office::of(2) else { return };
    let said = office.found().await;
    assert!(said.ok().contains("no cluster 'home' found, created"), "{said:?}");

    let asking = office.ask(1, "laptop");
    let code = office.pending_code("laptop").await;
    let approved = office.machines[0].run(&["peers", "approve", &code, "--access", "admin"]);
    assert!(approved.ok().contains("approved"), "{approved:?}");
    let said = asking.ended(&office).await;
    assert!(said.ok().contains("this machine is a member of the cluster"), "{said:?}");
    assert!(said.stderr.contains(&format!("peers approve {code}")), "both machines show one code: {said:?}");

    office.machines[1].agents(&[]);
    office.machines[1].start().await;
    office.until_connected(1).await;
    let peers = office.machines[0].run(&["peers", "list", "--json"]).json();
    assert_eq!(peers["pending"], serde_json::json!([]));
    let accesses: Vec<_> = peers["members"].as_array().expect("members").iter().map(|member| member["access"].clone()).collect();
    assert_eq!(accesses, ["admin", "admin"], "it was let in as what the admin said");
    let here = office.machines[0].enqueue("Queued on the first", &[]);
    let there = office.machines[1].enqueue("Queued on the second", &[]);
    office
        .until_agreed(Duration::from_secs(5), "both tasks", |tasks| {
            [&here, &there].iter().all(|id| tasks.iter().any(|task| task.id == **id && task.queue == "incoming"))
        })
        .await;
    // Running it again changes nothing.
    let again = office.machines[1].run(&["init", "--cluster", "home"]);
    assert!(again.refused(1).contains("octopoid stop"), "the message names the next step: {again:?}");
    for machine in &mut office.machines {
        machine.stop(&[]).await;
    }
    let again = office.machines[1].run(&["init", "--cluster", "home"]);
    assert!(again.ok().contains("member of the cluster 'home' already"), "{again:?}");
    let other = office.machines[1].run(&["init", "--cluster", "work"]);
    assert!(other.refused(1).contains("belongs to the cluster 'home' already"), "{other:?}");
}

#[tokio::test]
async fn a_machine_that_is_denied_is_told_so_and_keeps_nothing_of_the_cluster() {
    let Some(mut office) = Office::of(2) else { return };
    let _ = office.found().await;
    let asking = office.ask(1, "stranger");
    let code = office.pending_code("stranger").await;
    let _ = office.machines[0].run(&["peers", "deny", &code]).ok();
    let said = asking.ended(&office).await;
    assert!(said.refused(1).contains("denied"), "{said:?}");
    assert!(!office.machines[1].dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
    let peers = office.machines[0].run(&["peers", "list", "--json"]).json();
    assert_eq!(peers["pending"], serde_json::json!([]));
    assert_eq!(peers["members"].as_array().map(Vec::len), Some(1), "{peers}");
    let late = office.machines[0].run(&["peers", "approve", &code]);
    assert_ne!(late.code, Some(0), "a denied code lets nobody in: {late:?}");
}

#[tokio::test]
async fn two_machines_that_ask_at_the_same_time_are_both_let_in() {
    let Some(mut office) = Office::of(3) else { return };
    let _ = office.found().await;
    let first = office.ask(1, "laptop");
    let first_code = office.pending_code("laptop").await;
    // The one that waits sees the other appear.
    let second = office.ask(2, "desktop");
    let second_code = office.pending_code("desktop").await;
    for code in [&first_code, &second_code] {
        let _ = office.machines[0].run(&["peers", "approve", code]).ok();
    }
    for asking in [first, second] {
        let said = asking.ended(&office).await;
        assert!(said.ok().contains("this machine is a member of the cluster"), "{said:?}");
    }
    let peers = office.machines[0].run(&["peers", "list", "--json"]).json();
    assert_eq!(peers["members"].as_array().map(Vec::len), Some(3), "{peers}");
}
