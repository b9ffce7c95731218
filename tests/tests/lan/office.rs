//! Machines on one local network, each with a clone of one repository.

use std::{
    fs::{self, File},
    process::{Child, Stdio},
    time::Duration,
};

use octopoid_tests::{Agent, Lan, Origin, Project, Said, terminal, until_within};
use serde_json::Value;

/// How soon after the network was mended all must show the same.
pub const HEALED: Duration = Duration::from_secs(5);

/// Machines that a test gives commands.
pub struct Office {
    // Dropped before the network that their nodes are in.
    pub machines: Vec<Project>,
    pub lan: Lan,
    /// The repository that they share, if they do.
    pub origin: Option<Origin>,
    /// The agents of each machine; without any, tasks stay where the test puts them.
    agents: Vec<Agent>,
}

impl Office {
    /// Puts up so many machines; none where there can be no network of the test's own.
    pub fn of(count: usize) -> Option<Self> {
        let lan = Lan::of(count)?;
        let mut machines: Vec<Project> = Vec::new();
        for number in 0..count {
            let mut machine = machines.first().map_or_else(Project::repository, Project::clone_of);
            machine.move_to(&lan.namespace(number));
            machines.push(machine);
        }
        Some(Self { machines, lan, origin: None, agents: Vec::new() })
    }

    /// Forms a cluster of so many running machines by the codes that they show. With agents they share a bare repository, which all
    /// reach by its path whatever becomes of the network.
    pub async fn cluster(count: usize, agents: &[Agent]) -> Option<Self> {
        let mut office = Self::of(count)?;
        if !agents.is_empty() {
            let origin = Origin::of(&office.machines[0]);
            office.machines.iter().for_each(|machine| origin.add_to(machine));
            office.origin = Some(origin);
            office.agents = agents.to_vec();
        }
        let _ = office.found().await;
        for number in 1..count {
            office.let_in(number, &format!("machine-{}", number + 1)).await;
        }
        office.until_connected(count - 1).await;
        Some(office)
    }

    /// Starts a machine that is a project now.
    async fn start(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        if self.origin.is_some() {
            machine.configure("merge: never", "merge: auto");
        }
        machine.agents(&self.agents);
        machine.start().await;
    }

    /// Makes the first machine the founder of the cluster `home`, starts it, and returns what `init` said.
    pub async fn found(&mut self) -> Said {
        let said = self.machines[0].run(&["init", "--cluster", "home", "--machine-id", "mac-studio"]);
        let _ = said.ok();
        self.start(0).await;
        said
    }

    /// Begins `init` on a machine, which waits for an approval.
    pub fn ask(&self, number: usize, name: &str) -> Asking {
        self.begin(number, name, &["--yes"], None)
    }

    /// Begins `init` on a machine, on a terminal on which a person types a line.
    pub fn ask_typing(&self, number: usize, name: &str, line: &str) -> Asking {
        self.begin(number, name, &[], Some(line))
    }

    fn begin(&self, number: usize, name: &str, more: &[&str], typed: Option<&str>) -> Asking {
        let machine = &self.machines[number];
        let file = |end: &str| File::create(machine.table().join(format!("init.{end}"))).expect("a file");
        let (person, stdin) = match typed.map(terminal) {
            Some((person, program)) => (Some(person), Stdio::from(program)),
            None => (None, Stdio::null()),
        };
        let mut command = machine.command();
        command.args(["init", "--cluster", "home", "--machine-id", name]).args(more).stdin(stdin);
        command.stdout(file("stdout")).stderr(file("stderr"));
        Asking { child: command.spawn().expect("octopoid runs"), number, _person: person }
    }

    /// Lets a machine in by the code that both show, and starts it.
    pub async fn let_in(&mut self, number: usize, name: &str) {
        let asking = self.ask(number, name);
        let code = self.pending_code(name).await;
        let _ = self.machines[0].run(&["peers", "approve", &code]).ok();
        let said = asking.ended(self).await;
        let _ = said.ok();
        self.start(number).await;
    }

    /// Waits until the first machine shows that one of this name asks, and returns the code.
    pub async fn pending_code(&self, name: &str) -> String {
        let first = &self.machines[0];
        first
            .until(&format!("{name} asks to join"), async || {
                let peers = first.run(&["peers", "list", "--json"]).json();
                let pending = peers["pending"].as_array().expect("a list");
                let asks = pending.iter().find(|asks| asks["name"] == name).ok_or_else(|| peers.to_string())?;
                assert!(asks["peer_id"].as_str().is_some_and(|id| id.starts_with("12D3KooW")), "{peers}");
                Ok(asks["code"].as_str().expect("a code").to_owned())
            })
            .await
    }

    /// Waits until every machine sees so many others connected.
    pub async fn until_connected(&self, others: usize) {
        for number in 0..self.machines.len() {
            self.until_sees(number, others).await;
        }
    }

    /// Waits until a machine sees so many others connected.
    pub async fn until_sees(&self, number: usize, others: usize) {
        let machine = &self.machines[number];
        machine
            .until(&format!("{others} others are connected"), async || {
                let peers = machine.run(&["peers", "list", "--json"]).json();
                let members = peers["members"].as_array().expect("a list");
                let connected = members.iter().filter(|member| member["state"] == "connected").count();
                if connected == others { Ok(()) } else { Err(peers.to_string()) }
            })
            .await;
    }

    /// Waits until every machine shows the same tasks, as they should be; returns what they show.
    pub async fn until_agreed(&self, within: Duration, what: &str, mut is: impl FnMut(&[Shown]) -> bool) -> Vec<Shown> {
        let look = async || {
            let seen: Vec<Vec<Shown>> = self.machines.iter().map(shown).collect();
            if seen.iter().all(|one| *one == seen[0]) && is(&seen[0]) { Ok(seen[0].clone()) } else { Err(format!("{seen:#?}")) }
        };
        until_within(within, look).await.unwrap_or_else(|seen| {
            let logs: Vec<String> = self.machines.iter().map(Project::logs).collect();
            panic!("not within {within:?} on every machine: {what}\nlast seen: {seen}\n{}", logs.join("\n"))
        })
    }
}

/// What must be the same of a task on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    pub id: String,
    pub queue: String,
    pub holder: Option<String>,
    pub attempts: u64,
}

/// Returns what a machine shows of all tasks.
pub fn shown(machine: &Project) -> Vec<Shown> {
    let list = machine.run(&["list", "--json"]).json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let one = |task: &Value| Shown {
        id: text(&task["id"]).expect("an id"),
        queue: text(&task["queue"]).expect("a queue"),
        holder: text(&task["claimed_by"]),
        attempts: task["attempt_count"].as_u64().expect("a number"),
    };
    let mut shown: Vec<Shown> = list.as_array().expect("a list").iter().map(one).collect();
    shown.sort();
    shown
}

/// An `init` that waits, ended when it is dropped.
pub struct Asking {
    child: Child,
    number: usize,
    /// Kept while it is used.
    _person: Option<File>,
}

impl Asking {
    /// Waits until it has ended and returns what it said.
    pub async fn ended(mut self, office: &Office) -> Said {
        let machine = &office.machines[self.number];
        let status =
            machine.until("init ends", async || self.child.try_wait().map_err(|e| e.to_string())?.ok_or("it waits".to_owned())).await;
        let read = |end: &str| fs::read(machine.table().join(format!("init.{end}"))).expect("a file");
        Said::new(
            "octopoid init --cluster home".to_owned(),
            std::process::Output { status, stdout: read("stdout"), stderr: read("stderr") },
        )
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
