//! Changes of documents that would break them, or the nodes: bombs, lies about numbers, and other people's changes.

use std::fs;

use octopoid_crdt::record::{Body, Verified};
use octopoid_tests::{Cluster, Insider, Project, task_subject};

use self::chunk::{Chunk, frame, signed, unsigned};
use crate::view::{agreed, infiltrated, records, they_serve};

#[path = "../../../crdt/tests/chunk/mod.rs"]
#[allow(dead_code, reason = "the gate's own tests use all of it")]
mod chunk;

/// What a node may have grown by, in KiB: the bombs would take gigabytes.
const GROWTH_KIB: u64 = 64 * 1024;

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../crdt/tests/golden/gate/{name}.change", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One run of `count` times `value`.
fn run(count: i64, value: &[u8]) -> Vec<u8> {
    [signed(count), value.to_vec()].concat()
}

/// Changes that the rogue signs itself, each spoilt in one way.
fn bombs(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let spoilt = |spoil: &dyn Fn(&mut Chunk)| {
        let mut chunk = Chunk::parse(good);
        spoil(&mut chunk);
        chunk.build()
    };
    let many = |chunk: &mut Chunk| {
        chunk.columns = vec![
            (21, run(10_000_000, &[1, b'a'])),
            (52, unsigned(10_000_000)),
            (66, run(10_000_000, &[1])),
            (86, run(10_000_000, &[0])),
            (112, run(10_000_000, &[0])),
        ];
    };
    vec![
        ("ten million operations", spoilt(&many)),
        ("a deflated chunk", golden("deflated_chunk")),
        ("a deflated column", golden("deflated_column")),
        ("the greatest number of a first operation", spoilt(&|chunk| chunk.start_op = u64::from(u32::MAX))),
        ("a skipped number", spoilt(&|chunk| chunk.seq += 1)),
        ("an extreme time", spoilt(&|chunk| chunk.time = i64::MIN)),
        ("a whole document", golden("document_chunk")),
        ("somebody else's change", golden("edit")),
        ("nothing that is a change", frame(1, &[0xff; 4096])),
    ]
}

fn resident_kib(machine: &Project) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", machine.node().pid())).expect("the node's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Waits until a machine has counted so many strikes against a member.
async fn until_struck(machine: &Project, name: &str, count: u64) -> String {
    machine
        .until(&format!("{count} strikes against {name}"), async || {
            let peers = machine.client().peers().await.map_err(|error| error.to_string())?;
            let member = peers.members.into_iter().find(|member| member.name == name).ok_or("no such member")?;
            if member.strikes == count { Ok(member.last_strike.unwrap_or_default()) } else { Err(format!("{member:#?}")) }
        })
        .await
}

async fn attacked() -> (Cluster, Insider, String) {
    let (cluster, rogue) = infiltrated().await;
    let id = cluster.machines[1].enqueue("Of an honest member", &[]);
    rogue.until_told("the task", |payload| payload.subject == task_subject(&id)).await;
    cluster.until_all_show("incoming", 1).await;
    (cluster, rogue, id)
}

#[tokio::test]
async fn bombs_are_left_out_of_the_document_on_every_node_and_strike_their_author_and_no_relay() {
    let (cluster, mut rogue, id) = attacked().await;
    let (subject, peer) = (task_subject(&id), Insider::peer_of(&cluster.machines[0]));
    let held = records(&cluster.machines[0]);
    let before = agreed(&cluster, held).await;
    let memory: Vec<u64> = cluster.machines.iter().map(resident_kib).collect();
    let good = rogue.retitled(subject, "Spoilt");
    let bombs = bombs(&good);
    let count = bombs.len() as u64;
    for (_, change) in bombs {
        let record = rogue.write(subject, Body::DocChange { change });
        rogue.give(&peer, &[record]).await;
    }
    let after = agreed(&cluster, held + count).await;
    assert_eq!(after["tasks"], before["tasks"], "the records stay, and the task is as it was");
    for (machine, memory) in cluster.machines.iter().zip(memory) {
        // The second machine has them from the first, which is not struck.
        let why = until_struck(machine, "rogue", count).await;
        assert!(why.contains("its document leaves out"), "{why}");
        let peers = machine.client().peers().await.expect("the members").members;
        assert!(peers.iter().all(|member| member.name == "rogue" || member.strikes == 0), "a relay is struck: {peers:#?}");
        let status = machine.run(&["status"]);
        assert!(status.stderr.contains(&format!("'rogue' did {count} times")), "{status:?}");
        let grown = resident_kib(machine).saturating_sub(memory);
        assert!(grown < GROWTH_KIB, "it grew by {grown} KiB");
    }

    // An honest change of the same author counts, and the task can be edited by others.
    let edit: Verified = rogue.write(subject, Body::DocChange { change: good });
    rogue.give(&peer, &[edit]).await;
    for machine in &cluster.machines {
        machine.until_task(&id, "has its new title", |task| task.title == "Spoilt").await;
    }
    let _ = cluster.machines[1].run(&["edit", &id, "--title", "Mended"]).ok();
    for machine in &cluster.machines {
        machine.until_task(&id, "is mended", |task| task.title == "Mended").await;
    }
    they_serve(&cluster).await;
}

#[tokio::test]
async fn a_task_that_is_made_by_a_bomb_is_there_empty_and_everywhere_the_same() {
    let (cluster, mut rogue) = infiltrated().await;
    let peer = Insider::peer_of(&cluster.machines[0]);
    let Body::TaskCreate { scope, id, change, imported } = rogue.task("bomb", "A bomb") else { unreachable!("a creation") };
    let mut chunk = Chunk::parse(&change);
    chunk.start_op = u64::from(u32::MAX);
    let record = rogue.write(task_subject("bomb"), Body::TaskCreate { scope, id, change: chunk.build(), imported });
    rogue.give(&peer, &[record]).await;
    for machine in &cluster.machines {
        until_struck(machine, "rogue", 1).await;
        let _ = machine.run(&["show", "bomb"]).ok();
    }
    let _ = cluster.machines[1].run(&["edit", "bomb", "--title", "Defused"]).ok();
    for machine in &cluster.machines {
        machine.until_task("bomb", "is defused", |task| task.title == "Defused").await;
    }
    they_serve(&cluster).await;
}
