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

#[tokio::test]
async fn a_machine_that_left_is_let_in_again_by_the_name_with_the_store_that_it_has() {
    let Some(mut office) = Office::cluster(2, &[]).await else { return };
    let _ = office.machines[1].run(&["peers", "remove", "machine-2"]).ok();
    office.machines[1].stop(&[]).await;
    let asking = office.ask(1, "machine-2");
    let code = office.pending_code("machine-2").await;
    let _ = office.machines[0].run(&["peers", "approve", &code]).ok();
    let said = asking.ended(&office).await;
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
    assert!(!office.machines[1].dir().join("runtime/octopoid.backup-1.redb").exists(), "its store is of this cluster");
    office.machines[1].start().await;
    office.until_connected(1).await;
    let _ = office.machines[0].enqueue("From the first", &[]);
    // Once this is there, so is the record that let the machine in.
    let _ = office.until_agreed(Duration::from_secs(5), "the first one's task", |tasks| tasks.len() == 1).await;
    let _ = office.machines[1].enqueue("From who came back", &[]);
    let _ = office.until_agreed(Duration::from_secs(5), "both tasks", |tasks| tasks.len() == 2).await;
    office.machines[1].stop(&[]).await;
}

#[tokio::test]
async fn two_machines_that_each_made_the_cluster_alone_come_together_with_their_open_tasks() {
    let Some(mut office) = Office::of(2) else { return };
    let _ = office.found().await;
    let theirs = office.machines[0].enqueue("Queued on the first", &[]);
    // The first one's node did not run when the second was told the same name.
    let second = &office.machines[1];
    let _ = second.run(&["init", "--machine-id", "laptop", "--api-port", "0"]).ok();
    let _ = second.run(&["cluster", "name", "home"]).ok();
    let own = second.enqueue("Queued on the second", &[]);

    let said = office.ask_typing(1, "laptop", "n").ended(&office).await;
    assert!(said.refused(1).contains("stays in its cluster 'home'"), "{said:?}");
    let asking = office.ask(1, "laptop");
    let code = office.pending_code("laptop").await;
    let _ = office.machines[0].run(&["peers", "approve", &code]).ok();
    let said = asking.ended(&office).await;
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
    assert!(said.stderr.contains("the only member of the cluster 'home'"), "{said:?}");
    office.machines[1].agents(&[]);
    office.machines[1].start().await;
    let _ = office
        .until_agreed(Duration::from_secs(10), "both tasks", |tasks| {
            tasks.len() == 2 && [&theirs, &own].iter().all(|id| tasks.iter().any(|task| task.id == **id))
        })
        .await;
}

#[tokio::test]
async fn a_machine_that_is_alone_in_its_cluster_keeps_it_where_no_other_answers() {
    let Some(office) = Office::of(1) else { return };
    let machine = &office.machines[0];
    let said = machine.run(&["init", "--cluster", "home", "--machine-id", "laptop"]);
    assert!(said.ok().contains("no cluster 'home' found, created"), "{said:?}");
    let again = machine.run(&["init", "--cluster", "home"]);
    assert!(again.ok().contains("member of the cluster 'home' already"), "{again:?}");
    let other = machine.run(&["init", "--cluster", "work", "--yes"]);
    assert!(other.refused(1).contains("octopoid cluster name work"), "{other:?}");
}

#[tokio::test]
async fn a_person_who_is_asked_on_a_terminal_confirms_the_code_or_does_not() {
    let Some(office) = Office::of(2) else { return };
    let mut office = office;
    let _ = office.found().await;
    for no in ["n", "", "maybe"] {
        let said = office.ask_typing(1, "laptop", no).ended(&office).await;
        assert!(said.refused(1).contains("the code was not confirmed"), "{said:?}");
        assert!(said.stderr.contains("Does the other machine show the same code? [y/N]"), "{said:?}");
        assert!(!office.machines[1].dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
    }
    let peers = office.machines[0].run(&["peers", "list", "--json"]).json();
    assert_eq!(peers["pending"], serde_json::json!([]), "who said no has withdrawn");
    let asking = office.ask_typing(1, "laptop", "y");
    let code = office.pending_code("laptop").await;
    let _ = office.machines[0].run(&["peers", "approve", &code]).ok();
    let said = asking.ended(&office).await;
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
}

#[tokio::test]
async fn a_request_that_the_host_does_not_know_any_more_ends_init_with_1() {
    let Some(mut office) = Office::of(2) else { return };
    let _ = office.found().await;
    let asking = office.ask(1, "laptop");
    let _ = office.pending_code("laptop").await;
    // What waits for a person is kept in memory, as is what has expired.
    office.machines[0].stop(&[]).await;
    office.machines[0].start().await;
    let said = asking.ended(&office).await;
    assert!(said.refused(1).contains("has expired"), "{said:?}");
    assert!(!office.machines[1].dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
}
