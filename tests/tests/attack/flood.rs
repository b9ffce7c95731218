//! A thousand strangers at the door of a node while members share changes through it.

use std::fs;
use std::net::SocketAddr;

use octopoid_client::NewTask;
use octopoid_tests::{Cluster, Project, Stranger, Strangers};

use crate::view::they_serve;

/// What a node may have grown by, in KiB.
const GROWTH_KIB: u64 = 64 * 1024;
const STRANGERS: usize = 1_000;
const CHANGES: usize = 30;

fn resident_kib(machine: &Project) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", machine.node().pid())).expect("the node's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn door(machine: &Project) -> SocketAddr {
    let said = machine.run(&["peers", "addresses"]);
    let address = said.ok().lines().next().expect("an address");
    let port = address.split('/').nth(4).and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Makes a task at one machine and waits until another shows it.
async fn change(from: &Project, to: &Project, id: String) {
    let task = NewTask { id: id.clone(), file_path: format!("{id}.md"), title: Some("A change".to_owned()), ..NewTask::default() };
    let _ = from.client().create_task(&task).await.unwrap_or_else(|error| panic!("{id}: {error}\n{}", from.logs()));
    to.until(&format!("{id} arrives"), async || to.client().task(&id).await.map(drop).map_err(|error| error.to_string())).await;
}

#[tokio::test]
async fn a_thousand_slow_and_half_open_strangers_neither_part_members_nor_reach_a_decoder() {
    let mut cluster = Cluster::of(2, false, &[]).await;
    // What reaches a decoder and is refused there is told at this level.
    for machine in &mut cluster.machines {
        machine.stop(&[]).await;
        machine.set_env("OCTOPOID_LOG", "info,octopoid_node=debug");
        machine.start().await;
    }
    cluster.until_connected().await;
    let before: Vec<u64> = cluster.machines.iter().map(resident_kib).collect();
    let since = [cluster.seen(0, "machine-2").await.last_seen, cluster.seen(1, "machine-1").await.last_seen];

    let strangers = Strangers::crowd(STRANGERS, &[door(&cluster.machines[0]), door(&cluster.machines[1])]);
    let (first, second) = (&cluster.machines[0], &cluster.machines[1]);
    first
        .until("the crowd is there", async || if strangers.opened() >= STRANGERS { Ok(()) } else { Err(strangers.opened().to_string()) })
        .await;
    for number in 0..CHANGES {
        change(first, second, format!("there-{number}")).await;
        change(second, first, format!("back-{number}")).await;
    }
    let after = [cluster.seen(0, "machine-2").await, cluster.seen(1, "machine-1").await];
    for (member, since) in after.iter().zip(since) {
        assert_eq!((member.state.as_str(), &member.last_seen), ("connected", &since), "the connection was never lost");
    }
    for (machine, before) in cluster.machines.iter().zip(before) {
        let grown = resident_kib(machine).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "it grew by {grown} KiB");
        let log = machine.log();
        assert!(log.contains("debug") || log.contains("DEBUG"), "the log is kept at the level that tells");
        for told in ["a step of joining", "a member did what no correct node does", "asks to join"] {
            assert!(!log.contains(told), "'{told}' is in the log: a stranger's bytes reached a decoder");
        }
    }
    drop(strangers);

    // The log would have told: one who shows a key may speak the join protocol, and is heard and refused there.
    Stranger::appear().await.say_nonsense(first).await;
    first
        .until(
            "the refusal is told",
            async || if first.log().contains("a step of joining was refused") { Ok(()) } else { Err(first.logs()) },
        )
        .await;
    they_serve(&cluster).await;
}
