//! How machines become members.

use std::net::TcpListener;
use std::time::Duration;

use octopoid_client::{ClaimRequest, ClientError, InviteRequest};
use octopoid_crdt::peer::join::Ticket;
use octopoid_tests::{Cluster, Project, until, until_within};
use serde_json::Value;

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(since.as_millis()).expect("a time")
}

#[tokio::test]
async fn a_machine_joins_by_a_ticket_and_shares_the_queue_both_ways() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let here = cluster.machines[0].enqueue("Queued on the first", &[]);
    let there = cluster.machines[1].enqueue("Queued on the second", &[]);
    cluster.until_all_show("incoming", 2).await;
    assert!(cluster.machines[1].run(&["show", &here]).ok().contains("Queued on the first"));
    assert!(cluster.machines[0].run(&["show", &there]).ok().contains("Queued on the second"));

    let peers: Value = serde_json::from_str(cluster.machines[0].run(&["peers", "list", "--json"]).ok()).expect("JSON");
    let names: Vec<_> = peers["members"].as_array().expect("members").iter().map(|member| member["name"].as_str().expect("name")).collect();
    assert_eq!(names.len(), 2);
    for name in ["machine-1", "machine-2"] {
        assert!(names.contains(&name), "{peers}");
    }
    assert_eq!(peers["pending"], Value::Array(Vec::new()));
    let member = cluster.seen(0, "machine-2").await;
    assert_eq!((member.access.as_str(), member.state.as_str(), member.lag), ("worker", "connected", 0));
    let status = cluster.machines[1].run(&["status"]);
    assert!(status.ok().contains("mesh mode") && status.ok().contains("machine-1"), "{status:?}");
    cluster.machines[1].stop(&[]).await;
}

#[tokio::test]
async fn a_public_address_that_a_machine_was_told_is_in_its_tickets_before_its_own() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let public = "/ip4/203.0.113.9/tcp/4001";
    let vm = &mut cluster.machines[0];
    vm.configure("  mdns: false\n", &format!("  mdns: false\n  announce: [{public}]\n"));
    vm.stop(&[]).await;
    let _ = vm.start().await;
    let ticket = vm.client().invite(&InviteRequest::default()).await.expect("an invitation").ticket;
    let addresses = ticket.parse::<Ticket>().expect("a ticket").addresses;
    assert_eq!(addresses[0], public);
    assert!(addresses.len() > 1 && addresses[1..].iter().all(|address| address.starts_with("/ip4/127.0.0.1/tcp/")), "{addresses:?}");
    let said = vm.run(&["peers", "addresses"]);
    assert!(said.ok().starts_with(&format!("{public}/p2p/")), "{said:?}");
    // The one that cannot be reached does not keep anybody from joining by the others.
    let _ = cluster.add(&[]).await;
    cluster.until_connected().await;
    cluster.machines[0].configure(public, &format!("{public}/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"));
    let said = cluster.machines[0].run(&["validate"]);
    let _ = said.refused(1);
    assert!(said.stdout.contains("network.announce holds"), "{said:?}");
}

#[tokio::test]
async fn a_ticket_lets_one_machine_in_and_the_second_is_told_why_not() {
    let cluster = Cluster::of(1, false, &[]).await;
    let first = &cluster.machines[0];
    let ticket = first.client().invite(&InviteRequest::default()).await.expect("an invitation").ticket;
    for (number, lets_in) in [(2, true), (3, false)] {
        let machine = Project::clone_of(first);
        let said = machine.run(&["init", "--machine-id", &format!("machine-{number}"), "--join", &ticket]);
        if lets_in {
            let _ = said.ok();
            let again = machine.run(&["init", "--join", &ticket]);
            assert!(again.ok().contains("member of the cluster"), "joining again is harmless: {again:?}");
        } else {
            assert!(said.refused(1).contains("used before"), "{said:?}");
            assert!(!machine.dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
        }
    }
    let spoilt = format!("{}x", &ticket[..ticket.len() - 1]);
    let said = Project::clone_of(first).run(&["init", "--join", &spoilt]);
    assert!(said.refused(1).contains("ticket"), "{said:?}");
}

#[tokio::test]
async fn a_ticket_whose_time_is_over_lets_nobody_in_whatever_the_guests_clock_says() {
    let cluster = Cluster::of(1, false, &[]).await;
    let first = &cluster.machines[0];
    let request = InviteRequest { expires_seconds: Some(1), ..InviteRequest::default() };
    let text = first.client().invite(&request).await.expect("an invitation").ticket;
    let mut ticket: Ticket = text.parse().expect("a ticket");
    until(async || if now_ms() > ticket.expires_ms { Ok(()) } else { Err("it is valid".to_owned()) }).await.expect("a second goes by");
    // The time in the ticket is for people: one that says otherwise changes nothing.
    ticket.expires_ms += 3_600_000;
    for ticket in [text, ticket.to_text().expect("a ticket")] {
        let machine = Project::clone_of(first);
        let said = machine.run(&["init", "--machine-id", "late", "--join", &ticket]);
        assert!(said.refused(1).contains("expired"), "{said:?}");
        assert!(!machine.dir().join("runtime/octopoid.redb").exists(), "nothing of the cluster is kept");
    }
    let members = first.client().peers().await.expect("members").members;
    assert_eq!(members.len(), 1, "{members:#?}");
}

#[tokio::test]
async fn a_project_of_its_own_takes_its_open_tasks_along_and_keeps_its_old_store() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let project = Project::clone_of(&cluster.machines[0]);
    let _ = project.run(&["init", "--machine-id", "laptop", "--api-port", "0"]).ok();
    project.agents(&[]);
    let first = project.enqueue("Thought of alone", &["--priority", "P1"]);
    let second = project.enqueue("And then", &["--blocked-by", &first]);
    let finished = project.enqueue("Done before", &[]);
    let _ = project.run(&["cancel", &finished]).ok();
    let ticket = cluster.machines[0].client().invite(&InviteRequest::default()).await.expect("an invitation").ticket;
    let _ = project.run(&["init", "--join", &ticket]).ok();
    cluster.machines.push(project);
    cluster.machines[1].start().await;
    cluster.until_all_show("incoming", 2).await;
    let shared = cluster.machines[0].task(&second).await;
    assert_eq!(shared.blocked_by.as_deref(), Some(first.as_str()));
    assert_eq!(cluster.machines[0].task(&first).await.priority, "P1");
    let _ = cluster.machines[0].run(&["show", &finished]).refused(1);
    assert!(cluster.machines[1].dir().join("runtime/octopoid.backup-1.redb").exists(), "the old store is kept");
    assert!(!cluster.machines[1].dir().join("runtime/carry-over.json").exists());
}

#[tokio::test]
async fn a_ticket_without_an_address_that_can_be_reached_is_redeemed_at_one_of_the_configuration() {
    let cluster = Cluster::of(1, false, &[]).await;
    let first = &cluster.machines[0];
    let mut ticket: Ticket =
        first.client().invite(&InviteRequest::default()).await.expect("an invitation").ticket.parse().expect("a ticket");
    ticket.addresses.clear();
    let ticket = ticket.to_text().expect("a ticket");
    let machine = Project::clone_of(first);
    let _ = machine.run(&["init", "--machine-id", "elsewhere"]).ok();
    let said = machine.run(&["init", "--join", &ticket]);
    assert!(said.refused(1).contains("network.peers"), "the message names the way: {said:?}");
    let addresses = first.run(&["peers", "addresses"]);
    let config = machine.read(".octopoid/config.yaml");
    machine.write(
        ".octopoid/config.yaml",
        &format!("{config}\nnetwork:\n  peers: ['{}']\n", addresses.ok().lines().next().expect("an address")),
    );
    assert!(machine.run(&["init", "--join", &ticket]).ok().contains("member of the cluster now"));
}

#[tokio::test]
async fn an_invitation_of_the_command_line_says_for_whom_it_is_and_until_when() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let before = now_ms();
    let made = cluster.machines[0].run(&["invite", "--access", "reader", "--expires", "30m", "--json"]).json();
    assert_eq!(made["access"], "reader");
    assert!(made["expires_at"].is_string(), "{made}");
    let text = made["ticket"].as_str().expect("a ticket").to_owned();
    let ticket: Ticket = text.parse().expect("a ticket");
    assert!((before + 1_800_000..=now_ms() + 1_800_000).contains(&ticket.expires_ms), "{}", ticket.expires_ms);
    cluster.add_with(&text).await;
    cluster.until_connected().await;
    assert_eq!(cluster.seen(0, "machine-2").await.access, "reader");

    let said = cluster.machines[0].run(&["invite"]);
    let ticket = said.ok().to_owned();
    assert!(ticket.parse::<Ticket>().is_ok() && said.stderr.contains("as worker"), "the ticket alone is on stdout: {said:?}");
    cluster.add_with(&ticket).await;
    cluster.until_connected().await;
    assert_eq!(cluster.seen(0, "machine-3").await.access, "worker");
    let _ = cluster.machines[0].run(&["invite", "--access", "owner"]).refused(2);
    let _ = cluster.machines[0].run(&["invite", "--expires", "soon"]).refused(2);
}

#[tokio::test]
async fn a_reader_sees_everything_and_may_not_change_anything() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let request = InviteRequest { access: Some("reader".to_owned()), ..InviteRequest::default() };
    let ticket = cluster.machines[0].client().invite(&request).await.expect("an invitation").ticket;
    let mut reader = Project::clone_of(&cluster.machines[0]);
    let _ = reader.run(&["init", "--machine-id", "tv", "--api-port", "0", "--join", &ticket]).ok();
    let id = cluster.machines[0].enqueue("To be seen", &[]);
    reader.start().await;
    cluster.machines.push(reader);
    cluster.until_all_show("incoming", 1).await;
    let said = cluster.machines[1].run(&["cancel", &id]);
    assert!(said.refused(4).contains("ask an admin for worker access"), "{said:?}");
    assert_eq!(cluster.machines[0].task(&id).await.queue, "incoming");
    cluster.machines[0]
        .until("the others are told why it does nothing", async || {
            let status = cluster.machines[0].client().node_status().await.map_err(|error| error.to_string())?;
            let told = status.warnings.iter().any(|warning| warning == "'tv' claims nothing: this node may only read");
            let idle = status.members.iter().any(|member| member.idle.as_deref() == Some("this node may only read"));
            if told && idle { Ok(()) } else { Err(format!("{:#?} {:#?}", status.warnings, status.members)) }
        })
        .await;
}

#[tokio::test]
async fn a_machine_with_another_repository_queues_for_the_others_and_its_callers_get_no_claim() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let ticket = cluster.machines[0].client().invite(&InviteRequest::default()).await.expect("an invitation").ticket;
    let mut other = Project::repository();
    // Two repositories made in one second could begin with one and the same commit.
    std::fs::remove_dir_all(other.repo().join(".git")).expect("removed");
    other.write("README", "another repository\n");
    let _ = other.git(&["init", "-q", "-b", "main"]);
    other.commit("another beginning");
    let _ = other.run(&["init", "--machine-id", "elsewhere", "--api-port", "0", "--join", &ticket]).ok();
    other.agents(&[]);
    other.start().await;
    cluster.machines.push(other);
    cluster.until_connected().await;
    let id = cluster.machines[1].enqueue("Queued there", &[]);
    cluster.until_all_show("incoming", 1).await;
    let claim = ClaimRequest { orchestrator_id: "script".to_owned(), agent_name: "script".to_owned(), ..ClaimRequest::default() };
    let refused = cluster.machines[1].client().claim(&claim).await.expect_err("no claim");
    assert!(matches!(refused, ClientError::Status { status: 409, .. }), "{refused:?}");
    assert!(refused.to_string().contains("its repository is not the cluster's"), "{refused}");
    let task = cluster.machines[0].client().claim(&claim).await.expect("an answer").expect("the task");
    assert_eq!(task.id, id, "the others may");
}

#[tokio::test]
async fn a_removed_machine_is_cut_off_and_learns_nothing_more() {
    let cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let kept = cluster.machines[1].enqueue("Written before the removal", &[]);
    cluster.until_all_show("incoming", 1).await;
    let _ = cluster.machines[0].run(&["peers", "remove", "machine-2"]).ok();
    cluster.machines[1]
        .until("the removed machine is alone", async || {
            let peers = cluster.machines[1].client().peers().await.map_err(|error| error.to_string())?;
            let connected = peers.members.iter().any(|member| member.state == "connected");
            if connected { Err(format!("{peers:#?}")) } else { Ok(()) }
        })
        .await;
    let secret = cluster.machines[0].enqueue("Written after the removal", &[]);
    assert_eq!(cluster.machines[0].task(&kept).await.queue, "incoming", "what it wrote before stays");
    let _ = cluster.machines[1].run(&["show", &secret]).refused(1);
    let peers = cluster.machines[0].client().peers().await.expect("members");
    assert_eq!(peers.members.len(), 1, "{peers:#?}");
}

#[tokio::test]
async fn a_member_whose_address_stands_in_network_peers_is_dialed_by_a_node_that_was_told_no_other() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    for machine in cluster.machines.iter_mut().rev() {
        machine.stop(&[]).await;
        // Neither knows where the other is, and the port is another one.
        std::fs::remove_file(machine.dir().join("runtime/peers.json")).expect("what it was told");
    }
    cluster.machines[0].start().await;
    let address = addresses(&cluster.machines[0], 1).await.remove(0);
    let second = &mut cluster.machines[1];
    second.configure("  mdns: false\n", &format!("  mdns: false\n  peers: ['{address}']\n"));
    second.start().await;
    cluster.until_connected().await;
    let id = cluster.machines[1].enqueue("Over the configured address", &[]);
    cluster.machines[0].until_in(&id, "incoming").await;
}

/// Waits until a node listens at so many addresses, and returns them.
async fn addresses(project: &Project, count: usize) -> Vec<String> {
    project
        .until("it listens", async || {
            let said = project.run(&["peers", "addresses"]);
            let mut addresses: Vec<String> = said.ok().lines().map(str::to_owned).collect();
            addresses.sort();
            if addresses.len() == count { Ok(addresses) } else { Err(format!("{addresses:?}")) }
        })
        .await
}

#[tokio::test]
async fn a_node_keeps_its_port_of_each_family_over_a_restart_and_the_rest_when_one_was_taken() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let machine = &mut cluster.machines[0];
    machine.stop(&[]).await;
    // Where there is no IPv6, a second address of IPv4 has a port of its own as well.
    let second = if TcpListener::bind("[::1]:0").is_ok() { "/ip6/::1" } else { "/ip4/127.0.0.2" };
    machine.configure("listen: [/ip4/127.0.0.1/tcp/0]", &format!("listen: [/ip4/127.0.0.1/tcp/0, '{second}/tcp/0']"));
    machine.start().await;
    let before = addresses(machine, 2).await;
    for _ in 0..2 {
        machine.stop(&[]).await;
        machine.start().await;
        assert_eq!(addresses(machine, 2).await, before);
    }
    machine.stop(&[]).await;
    let port = |address: &str| address.split('/').nth(4).expect("a port").parse::<u16>().expect("a number");
    let first = before.iter().find(|address| address.starts_with("/ip4/127.0.0.1/")).expect("an address");
    let taken = TcpListener::bind(("127.0.0.1", port(first))).expect("the port is free");
    machine.start().await;
    let after = addresses(machine, 2).await;
    assert!(!after.contains(first), "another program has it");
    assert!(after.iter().any(|address| address.starts_with(second) && before.contains(address)), "{before:?} {after:?}");
    drop(taken);
}

async fn ticket(cluster: &Cluster, access: &str) -> String {
    let request = InviteRequest { access: Some(access.to_owned()), ..InviteRequest::default() };
    cluster.machines[0].client().invite(&request).await.expect("an invitation").ticket
}

#[tokio::test]
async fn a_removed_machine_is_let_in_again_by_a_new_ticket_and_not_by_its_old_one() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let first = ticket(&cluster, "worker").await;
    cluster.add_with(&first).await;
    cluster.until_connected().await;
    let before = cluster.machines[1].enqueue("Written before the removal", &[]);
    cluster.until_all_show("incoming", 1).await;
    let _ = cluster.machines[0].run(&["peers", "remove", "machine-2"]).ok();
    cluster.machines[1].stop(&[]).await;
    let said = cluster.machines[1].run(&["init", "--join", &first]);
    assert!(said.refused(1).contains("used before"), "{said:?}");
    assert_eq!(cluster.machines[0].client().peers().await.expect("members").members.len(), 1, "an old ticket lets nobody in");

    let second = ticket(&cluster, "worker").await;
    let said = cluster.machines[1].run(&["init", "--join", &second]);
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
    assert!(!cluster.machines[1].dir().join("runtime/octopoid.backup-1.redb").exists(), "its store is of this cluster");
    let meanwhile = cluster.machines[0].enqueue("Written while it was away", &[]);
    cluster.machines[1].start().await;
    cluster.until_connected().await;
    // Once this is here, so is the record that let the machine in.
    cluster.machines[1].until_in(&meanwhile, "incoming").await;
    let after = cluster.machines[1].enqueue("Written after its return", &[]);
    cluster.until_all_show("incoming", 3).await;
    for id in [&before, &after] {
        assert_eq!(cluster.machines[0].task(id).await.queue, "incoming", "what it writes counts");
    }
}

#[tokio::test]
async fn a_ticket_for_another_access_changes_what_a_member_may_do() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    cluster.until_connected().await;
    let ticket = ticket(&cluster, "admin").await;
    cluster.machines[1].stop(&[]).await;
    let said = cluster.machines[1].run(&["init", "--join", &ticket]);
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
    cluster.machines[1].start().await;
    cluster.until_connected().await;
    cluster.machines[1]
        .until("it has heard of its access", async || {
            let peers = cluster.machines[1].client().peers().await.map_err(|error| error.to_string())?;
            let admins = peers.members.iter().filter(|member| member.access == "admin").count();
            if admins == 2 { Ok(()) } else { Err(format!("{:#?}", peers.members)) }
        })
        .await;
    let _ = cluster.machines[1].run(&["invite"]).ok();
    cluster.machines[1].stop(&[]).await;
    // It knows what the ticket did: nobody need be there to be asked again.
    cluster.machines[0].stop(&[]).await;
    let said = cluster.machines[1].run(&["init", "--join", &ticket]);
    assert!(said.ok().contains("member of the cluster 'home' already"), "{said:?}");
}

#[tokio::test]
async fn a_project_that_is_alone_in_its_named_cluster_joins_another_when_a_person_says_so() {
    let mut cluster = Cluster::of(1, false, &[]).await;
    let project = cluster.prepared(&[]);
    let _ = project.run(&["cluster", "name", "home"]).ok();
    let own = project.enqueue("Thought of alone", &[]);
    let ticket = ticket(&cluster, "worker").await;
    let join = ["init", "--join", &ticket];
    let said = project.run(&join);
    assert!(said.refused(1).contains("stays in its cluster 'home'"), "{said:?}");
    assert!(said.stderr.contains("confirm with --yes where there is no terminal"), "{said:?}");
    for no in ["n", "", "yes, but later"] {
        let said = project.run_on_a_terminal(&join, no);
        assert!(said.refused(1).contains("stays in its cluster 'home'"), "{said:?}");
        assert!(said.stderr.contains("Leave that cluster? [y/N]"), "{said:?}");
    }
    assert!(project.run(&["show", &own]).ok().contains("Thought of alone"), "nothing was changed");
    let said = project.run_on_a_terminal(&join, "y");
    assert!(said.ok().contains("is a member of the cluster now"), "{said:?}");
    cluster.machines.push(project);
    cluster.machines[1].start().await;
    cluster.until_all_show("incoming", 1).await;
    assert_eq!(cluster.machines[0].task(&own).await.title, "Thought of alone");
    assert!(cluster.machines[1].dir().join("runtime/octopoid.backup-1.redb").exists(), "the old store is kept");

    // One that is not alone stays, whatever a person says.
    let other = Cluster::of(2, false, &[]).await;
    other.until_connected().await;
    cluster.machines[1].stop(&[]).await;
    let invitation = other.machines[0].client().invite(&InviteRequest::default()).await.expect("an invitation").ticket;
    let said = cluster.machines[1].run(&["init", "--yes", "--join", &invitation]);
    assert!(said.refused(1).contains("belongs to the cluster 'home' already"), "{said:?}");
}

#[tokio::test]
async fn a_machine_that_joins_by_one_member_is_connected_to_all_within_seconds() {
    let cluster = Cluster::of(3, false, &[]).await;
    let third = &cluster.machines[2];
    let connected = until_within(Duration::from_secs(5), async || {
        let peers = third.client().peers().await.map_err(|error| error.to_string())?;
        let connected = peers.members.iter().filter(|member| member.state == "connected").count();
        if connected == 2 { Ok(()) } else { Err(format!("{:#?}", peers.members)) }
    });
    connected.await.unwrap_or_else(|seen| panic!("the third does not find the second one\nlast seen: {seen}\n{}", third.logs()));
}
