//! Several nodes on one machine that form a cluster, each with its own clone of one repository.

use std::{fs, time::Duration};

use octopoid_client::{InviteRequest, MemberInfo, TaskFilter};

use crate::{Agent, Origin, Project};

/// Projects that belong to one cluster; the first one founded it.
#[derive(Debug)]
pub struct Cluster {
    /// The machines.
    pub machines: Vec<Project>,
    /// The bare repository that they share, if they do.
    origin: Option<Origin>,
    /// What is added to each machine's config.yaml.
    config: String,
}

impl Cluster {
    /// Forms a cluster of so many machines, all running. With `origin` they share a bare repository and merge by themselves;
    /// without they have no remote.
    ///
    /// # Panics
    /// When that fails.
    pub async fn of(count: usize, origin: bool, agents: &[Agent]) -> Self {
        Self::configured(count, origin, agents, "").await
    }

    /// Forms a cluster as [`Self::of`] does, of machines whose config.yaml ends with these lines.
    ///
    /// # Panics
    /// When that fails.
    pub async fn configured(count: usize, origin: bool, agents: &[Agent], config: &str) -> Self {
        let first = Project::repository();
        let shared = origin.then(|| Origin::of(&first));
        let mut cluster = Self { machines: Vec::new(), origin: shared, config: config.to_owned() };
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

    /// Adds a machine by a ticket of the test's and starts it.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn add_with(&mut self, ticket: &str) {
        let mut machine = self.prepared(&[]);
        let _ = machine.run(&["init", "--join", ticket]).ok();
        machine.start().await;
        self.machines.push(machine);
    }

    /// Makes a project that is no member yet, of a clone of the first machine's repository.
    #[must_use]
    pub fn prepared(&self, agents: &[Agent]) -> Project {
        let machine = Project::clone_of(&self.machines[0]);
        self.prepare(&machine, agents);
        machine
    }

    /// Makes a machine that has joined by a ticket and does not run yet.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn joined(&self, agents: &[Agent]) -> Project {
        let machine = self.prepared(agents);
        let invitation = self.machines[0].client().invite(&InviteRequest::default()).await.expect("an invitation");
        let _ = machine.run(&["init", "--join", &invitation.ticket]).ok();
        machine
    }

    /// Makes a project of a repository, with a network that finds others by address only.
    fn prepare(&self, project: &Project, agents: &[Agent]) {
        let name = format!("machine-{}", self.machines.len() + 1);
        let _ = project.run(&["init", "--machine-id", &name, "--api-port", "0"]).ok();
        if let Some(origin) = &self.origin {
            origin.add_to(project);
        }
        let config = project.dir().join("config.yaml");
        let text = fs::read_to_string(&config).expect("config.yaml");
        let text = text.replace("merge: never", "merge: auto");
        let more = &self.config;
        fs::write(config, format!("{text}\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n{more}")).expect("config.yaml");
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
        self.origin().merged()
    }

    /// Returns the repository that the machines share.
    ///
    /// # Panics
    /// When they share none.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.origin.as_ref().expect("a shared repository")
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
