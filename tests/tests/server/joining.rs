//! A machine comes to a cluster by the REST address of its authority.

use std::fs;

use octopoid_tests::Project;

use crate::office::{claim, served, until_served_by};

/// Makes a machine's join key.
fn join_key(machine: &Project) -> String {
    machine.run(&["cluster", "join-key"]).ok().trim().to_owned()
}

/// Has config.yaml name a server, as the first page of version 2 does.
fn name_server(machine: &Project, url: &str, key: &str) {
    let config = machine.dir().join("config.yaml");
    let text = fs::read_to_string(&config).expect("config.yaml");
    let text: String = text.lines().filter(|line| !line.starts_with("mode:")).map(|line| format!("{line}\n")).collect();
    fs::write(&config, format!("mode: remote\n{text}\nserver:\n  enabled: true\n  url: {url}\n  cluster: home\n  api_key: {key}\n"))
        .expect("written");
}

#[tokio::test]
async fn a_machine_joins_by_the_address_and_key_of_the_authority() {
    let mut cluster = served(1, &[]).await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let key = cluster.machines[0].read(".octopoid/runtime/api.token").trim().to_owned();
    let id = cluster.machines[0].enqueue("There before", &[]);
    let mut machine = cluster.prepared(&[]);
    let wrong = machine.run(&["init", "--server", &url, "--api-key", "oct_wrong"]);
    assert!(wrong.refused(1).contains("api.token"), "where the key is found is told: {wrong:?}");
    let other = machine.run(&["init", "--server", &url, "--api-key", &key, "--cluster", "office"]);
    assert!(other.refused(4).contains("belongs to the cluster 'home', not to 'office'"), "{other:?}");
    let clear = machine.run(&["init", "--server", "http://192.0.2.1:8787", "--api-key", &key]);
    assert!(clear.refused(2).contains("ssh -L"), "{clear:?}");
    assert!(!machine.dir().join("runtime/octopoid.redb").exists(), "nothing was made of a cluster");

    let said = machine.run(&["init", "--server", &url, "--api-key", &key, "--cluster", "home"]);
    assert!(said.ok().contains("this machine is a member of the cluster now"), "{said:?}");
    let local = machine.read(".octopoid/runtime/local.yaml");
    assert!(local.contains("mode: remote") && local.contains(&url) && !local.contains("oct_"), "{local}");
    machine.start().await;
    cluster.machines.push(machine);
    let machine = &cluster.machines[1];
    until_served_by(machine, "machine-1").await;
    machine.until_in(&id, "incoming").await;
    let task = machine.client().claim(&claim("here")).await.expect("an answer").expect("the task");
    assert_eq!((task.id, task.queue), (id, "claimed".to_owned()));
}

#[tokio::test]
async fn a_configured_server_is_joined_by_init_alone() {
    let cluster = served(1, &[]).await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let key = join_key(&cluster.machines[0]);
    let machine = cluster.prepared(&[]);
    name_server(&machine, &url, &key);
    let said = machine.run(&["init"]);
    assert!(said.ok().contains("this machine is a member of the cluster now"), "{said:?}");
    let again = machine.run(&["init"]);
    assert!(!again.ok().contains("asking"), "a member asks nobody: {again:?}");
}

#[tokio::test]
async fn a_project_of_its_own_joins_the_server_that_its_configuration_names_later() {
    let mut cluster = served(1, &[]).await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let key = join_key(&cluster.machines[0]);
    let mut machine = cluster.prepared(&[]);
    let id = machine.enqueue("Made alone", &[]);
    name_server(&machine, &url, &key);
    let warning = "mode is remote, but this machine is no member of a cluster yet";
    let said = machine.run(&["validate"]);
    assert!(said.ok().contains(warning) && said.ok().contains("octopoid init"), "{said:?}");
    machine.start().await;
    assert!(machine.logs().contains(warning), "{}", machine.logs());
    let said = machine.run(&["validate"]);
    assert!(said.ok().contains(warning), "the node that runs is asked: {said:?}");
    let running = machine.run(&["init"]);
    assert!(running.refused(1).contains("octopoid stop"), "{running:?}");
    machine.stop(&[]).await;
    let said = machine.run(&["init"]);
    assert!(said.ok().contains("this machine is a member of the cluster now"), "{said:?}");
    assert!(!machine.run(&["validate"]).ok().contains(warning), "it is one now");
    machine.start().await;
    cluster.machines.push(machine);
    for machine in &cluster.machines {
        machine.until_in(&id, "incoming").await;
    }
    let again = cluster.machines[1].run(&["init"]);
    assert!(!again.ok().contains("asking"), "a member asks nobody: {again:?}");
}

#[tokio::test]
async fn a_cluster_of_equals_gives_no_ticket_to_who_wants_a_server() {
    let cluster = octopoid_tests::Cluster::of(1, false, &[]).await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let key = cluster.machines[0].read(".octopoid/runtime/api.token").trim().to_owned();
    let machine = cluster.prepared(&[]);
    let said = machine.run(&["init", "--server", &url, "--api-key", &key]);
    assert!(said.refused(4).contains("octopoid authority set"), "{said:?}");
}

#[tokio::test]
async fn a_join_key_lets_a_machine_in_until_it_ends() {
    let mut cluster = served(1, &[]).await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let first = join_key(&cluster.machines[0]);
    let key = join_key(&cluster.machines[0]);
    let mut machine = cluster.prepared(&[]);
    let ended = machine.run(&["init", "--server", &url, "--api-key", &first]);
    assert!(ended.refused(1).contains("cluster join-key"), "a new key ends the one before: {ended:?}");
    let said = machine.run(&["init", "--server", &url, "--api-key", &key]);
    assert!(said.ok().contains("this machine is a member of the cluster now"), "{said:?}");
    assert!(!machine.read(".octopoid/runtime/local.yaml").contains("oct_"), "the key is not kept");
    machine.start().await;
    cluster.machines.push(machine);
    cluster.until_connected().await;
    assert_eq!(cluster.seen(0, "machine-2").await.access, "worker");

    // It is good after a restart, too, and ends when it is told to.
    cluster.machines[0].stop(&[]).await;
    let ended = cluster.machines[0].run(&["cluster", "join-key", "--remove"]);
    assert!(ended.ok().contains("the join key has ended"), "{ended:?}");
    cluster.machines[0].start().await;
    let url = cluster.machines[0].node().api_url().to_owned();
    let late = cluster.prepared(&[]).run(&["init", "--server", &url, "--api-key", &key]);
    assert!(late.refused(1).contains("cluster join-key"), "{late:?}");
}
