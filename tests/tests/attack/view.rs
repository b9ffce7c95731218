//! What honest nodes show, and that they all show the same.

use octopoid_tests::{Cluster, Insider, Project};
use serde_json::{Value, json};

/// Returns what a machine shows of all tasks, attempts and members.
fn shown(machine: &Project) -> Value {
    let json = |args: &[&str]| machine.run(args).json();
    let mut tasks: Vec<Value> = json(&["list", "--json"]).as_array().expect("a list").clone();
    tasks.sort_by_key(|task| task["id"].to_string());
    let fields = ["id", "title", "queue", "claimed_by", "attempt_count", "priority"];
    let tasks: Vec<Value> = tasks.iter().map(|task| fields.map(|field| task[field].clone()).into_iter().collect()).collect();
    let mut members: Vec<String> = json(&["peers", "list", "--json"])["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| format!("{} {}", member["peer_id"], member["access"]))
        .collect();
    members.sort();
    let doctor = json(&["doctor", "--json"]);
    json!({ "tasks": tasks, "members": members, "records": doctor["records"], "ok": doctor["ok"] })
}

/// Waits until all machines show the same, with so many records, and returns it.
pub async fn agreed(cluster: &Cluster, records: u64) -> Value {
    let first = &cluster.machines[0];
    first
        .until(&format!("all machines show the same, with {records} records"), async || {
            let seen: Vec<Value> = cluster.machines.iter().map(shown).collect();
            let same = seen.iter().all(|one| *one == seen[0] && one["ok"] == true && one["records"] == records);
            if same { Ok(seen[0].clone()) } else { Err(format!("{seen:#?}")) }
        })
        .await
}

/// Returns how many records a machine holds.
pub fn records(machine: &Project) -> u64 {
    machine.run(&["doctor", "--json"]).json()["records"].as_u64().expect("a number")
}

/// Makes sure that the nodes serve and share what is queued.
pub async fn they_serve(cluster: &Cluster) {
    for (number, machine) in cluster.machines.iter().enumerate() {
        let id = machine.enqueue("Queued after the attack", &[]);
        for other in &cluster.machines {
            other
                .until("what another machine queued is there", async || {
                    other.client().task(&id).await.map(drop).map_err(|error| format!("machine {number}: {error}"))
                })
                .await;
        }
    }
}

/// Forms a cluster of two honest nodes and a member that is none, connected to the first.
pub async fn infiltrated() -> (Cluster, Insider) {
    let cluster = Cluster::of(2, false, &[]).await;
    let rogue = Insider::join(&cluster.machines[0], "rogue", "worker").await;
    cluster.machines[1]
        .until("both know the rogue", async || {
            let peers = cluster.machines[1].client().peers().await.map_err(|error| error.to_string())?;
            if peers.members.len() == 3 { Ok(()) } else { Err(format!("{:#?}", peers.members)) }
        })
        .await;
    (cluster, rogue)
}
