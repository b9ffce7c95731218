//! Several nodes on one machine that form a cluster, each with its own clone of one repository.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use octopoid_client::{InviteRequest, MemberInfo, TaskFilter};
use tempfile::TempDir;

use crate::{Agent, Project, Said, command};

/// Projects that belong to one cluster; the first one founded it.
#[derive(Debug)]
pub struct Cluster {
    /// The machines.
    pub machines: Vec<Project>,
    /// The bare repository that they share, if they do.
    origin: Option<TempDir>,
}

impl Cluster {
    /// Forms a cluster of so many machines, all running. With `origin` they share a bare repository and merge by themselves;
    /// without they have no remote.
    ///
    /// # Panics
    /// When that fails.
    pub async fn of(count: usize, origin: bool, agents: &[Agent]) -> Self {
        let first = Project::repository();
        let shared = origin.then(|| bare(&first));
        let mut cluster = Self { machines: Vec::new(), origin: shared };
        cluster.prepare(&first, agents);
        let mut first = first;
        let _ = first.run(&["cluster", "name", "home"]).ok();
        first.start().await;
        cluster.machines.push(first);
        for _ in 1..count {
            cluster.add(agents).await;
        }
        cluster
    }

    /// Adds a machine by a ticket and starts it.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn add(&mut self, agents: &[Agent]) -> &mut Project {
        let machine = self.joined(agents).await;
        self.machines.push(machine);
        let machine = self.machines.last_mut().expect("a machine");
        machine.start().await;
        machine
    }

    /// Makes a machine that has joined by a ticket and does not run yet.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn joined(&self, agents: &[Agent]) -> Project {
        let machine = Project::clone_of(&self.machines[0]);
        self.prepare(&machine, agents);
        let invitation = self.machines[0].client().invite(&InviteRequest::default()).await.expect("an invitation");
        let _ = machine.run(&["init", "--join", &invitation.ticket]).ok();
        machine
    }

    /// Makes a project of a repository, with a network that finds others by address only.
    fn prepare(&self, project: &Project, agents: &[Agent]) {
        let name = format!("machine-{}", self.machines.len() + 1);
        let _ = project.run(&["init", "--machine-id", &name, "--api-port", "0"]).ok();
        if let Some(origin) = &self.origin {
            let path = origin.path().display().to_string();
            let _ = command("git", &project.repo(), &project.home()).args(["remote", "remove", "origin"]).output().expect("git runs");
            project.git(&["remote", "add", "origin", &path]);
            project.git(&["fetch", "-q", "origin"]);
        }
        let config = project.dir().join("config.yaml");
        let text = fs::read_to_string(&config).expect("config.yaml");
        let text = text.replace("merge: never", "merge: auto");
        fs::write(config, format!("{text}\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n")).expect("config.yaml");
        project.agents(agents);
    }

    /// Waits until every machine that runs is connected to every other one.
    pub async fn until_connected(&self) {
        let running = self.machines.iter().filter(|machine| machine.is_running()).count();
        for machine in self.machines.iter().filter(|machine| machine.is_running()) {
            machine
                .until("every other machine is connected", async || {
                    let peers = machine.client().peers().await.map_err(|error| error.to_string())?;
                    let connected = peers.members.iter().filter(|member| member.state == "connected").count();
                    if connected + 1 == running { Ok(()) } else { Err(format!("{:#?}", peers.members)) }
                })
                .await;
        }
    }

    /// Waits until every machine that runs shows so many tasks in a queue.
    pub async fn until_all_show(&self, queue: &str, count: u64) {
        for machine in self.machines.iter().filter(|machine| machine.is_running()) {
            machine.until(&format!("{count} tasks in {queue}"), async || shown(machine, queue, count).await).await;
        }
    }

    /// Waits for so long as the work at hand may take.
    pub async fn until_all_show_within(&self, limit: Duration, queue: &str, count: u64) {
        for machine in self.machines.iter().filter(|machine| machine.is_running()) {
            machine.until_within(limit, &format!("{count} tasks in {queue}"), async || shown(machine, queue, count).await).await;
        }
    }

    /// Returns what the scripts of all machines have noted.
    #[must_use]
    pub fn noted(&self, name: &str) -> Vec<String> {
        self.machines.iter().flat_map(|machine| machine.noted(name).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Returns the tasks that were merged to the shared repository's `main`.
    ///
    /// # Panics
    /// When the machines share none.
    #[must_use]
    pub fn merged_at_origin(&self) -> Vec<String> {
        let format = "--format=%(trailers:key=Octopoid-Task,valueonly,separator=%x2C)";
        let log = self.git_at_origin(&["log", "--first-parent", format, "main"]);
        log.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Returns what the shared repository holds under a name such as `main:README`.
    ///
    /// # Panics
    /// When the machines share none, or it holds no such thing.
    #[must_use]
    pub fn at_origin(&self, object: &str) -> String {
        self.git_at_origin(&["show", object])
    }

    fn git_at_origin(&self, args: &[&str]) -> String {
        let origin = self.origin.as_ref().expect("a shared repository");
        let output = command("git", origin.path(), &self.machines[0].home()).args(args).stdin(Stdio::null()).output();
        Said::new(format!("git {}", args.join(" ")), output.expect("git runs")).ok().to_owned()
    }

    /// Returns how one machine sees another.
    ///
    /// # Panics
    /// When it does not know it.
    pub async fn seen(&self, by: usize, name: &str) -> MemberInfo {
        let peers = self.machines[by].client().peers().await.expect("the members");
        peers.members.into_iter().find(|member| member.name == name).expect("a member")
    }
}

/// Tells whether a machine shows so many tasks in a queue.
///
/// # Errors
/// When it shows another number, or none.
pub async fn shown(machine: &Project, queue: &str, count: u64) -> Result<(), String> {
    let filter = TaskFilter { queue: vec![queue.to_owned()], limit: Some(1), ..TaskFilter::default() };
    let list = machine.client().tasks(&filter).await.map_err(|error| error.to_string())?;
    if list.total == count { Ok(()) } else { Err(format!("{} in {queue}", list.total)) }
}

/// Makes a bare repository of a project's, as its remote.
fn bare(project: &Project) -> TempDir {
    let folder = tempfile::tempdir().expect("scratch folder");
    let from: PathBuf = project.repo();
    let output = command("git", folder.path(), &project.home()).args(["clone", "-q", "--bare"]).arg(from).arg(".").output();
    let _ = Said::new("git clone --bare".to_owned(), output.expect("git runs")).ok();
    folder
}
