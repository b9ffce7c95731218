//! What happens on the three machines: together, apart, and together again.
//!
//! **Invariants**: each scene waits for what is to be seen instead of for a time, so that a slow machine shows the same; nothing
//! that an agent does is told to it but by its task and by the stage that it waits on.

use std::path::Path;

use octopoid_client::{ClientError, Conflict, InviteRequest, NodeStatus, Task, TaskFilter};
use tokio::time::{Duration, Instant, sleep};

use super::{Glance, Machine, Machines, NAMES, Place, tasks};
use crate::{
    demo::{
        DemoError,
        checks::commits,
        node::{Told, is_over, unfinished},
    },
    process,
};

/// How long one thing may take to come about: many times of what it needs on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);
/// The time between two looks.
const GLANCE: Duration = Duration::from_millis(100);
/// More of anything than there is.
const ALL: u64 = 100;
/// The agent that is held back until the cable is pulled.
const IMPLEMENTER: &str = "implementer";
/// What agents that take long wait for.
const MET: &str = "met";

/// What came of the play, read from the nodes before they were stopped.
pub struct Performance {
    /// What the demo did, one line each.
    pub events: Vec<String>,
    /// Everything about each task, as each machine shows it.
    pub told: Vec<Vec<Told>>,
    /// What lost, as each machine shows it.
    pub conflicts: Vec<Vec<Conflict>>,
    /// The two attempts at the task that both sides started.
    pub rivals: [Rival; 2],
    /// The tasks that were merged when the machines met again.
    pub merged_apart: Vec<String>,
}

/// An attempt at the task that both sides started.
#[derive(Debug, Clone)]
pub struct Rival {
    /// Where its agent works.
    pub machine: &'static str,
    /// Its name.
    pub attempt: String,
    /// Its agent's process.
    pub pid: u32,
}

/// See the module.
pub struct Play<'p> {
    machines: &'p mut Machines,
    place: &'p Place,
    started: Instant,
    events: Vec<String>,
    watch: &'p mut dyn FnMut(&Glance<'_>),
}

impl<'p> Play<'p> {
    pub fn new(machines: &'p mut Machines, place: &'p Place, watch: &'p mut dyn FnMut(&Glance<'_>)) -> Self {
        Self { machines, place, started: Instant::now(), events: Vec::new(), watch }
    }

    pub async fn perform(mut self) -> Result<Performance, DemoError> {
        self.meet().await?;
        self.work_together().await?;
        self.part().await?;
        let rivals = self.work_apart().await?;
        let merged_apart = self.merged().await?;
        self.meet_again(&rivals).await?;
        self.finish().await?;
        let (told, conflicts) = self.gather().await?;
        Ok(Performance { events: self.events, told, conflicts, rivals, merged_apart })
    }

    /// The machines become a cluster, by the commands that a user gives.
    async fn meet(&mut self) -> Result<(), DemoError> {
        self.machines[0].octopoid(&["cluster", "name", "demo"]).await?;
        self.machines[0].start().await?;
        for number in 1..self.machines.len() {
            let invitation = self.machines[0].client()?.invite(&InviteRequest::default()).await?;
            self.machines[number].octopoid(&["init", "--join", &invitation.ticket]).await?;
            self.machines[number].start().await?;
        }
        self.until_all_are_connected().await?;
        self.tell(format!("{} form a cluster and share a bare repository as origin", list(&NAMES)));
        Ok(())
    }

    async fn work_together(&mut self) -> Result<(), DemoError> {
        let [desk, rack, laptop] = NAMES;
        self.queue(0, tasks::FIX).await?;
        self.tell(format!("{desk} queues {}", tasks::FIX));
        self.until_all_know(tasks::FIX).await?;
        self.queue(1, tasks::BLOCKED).await?;
        self.tell(format!("{rack} queues {}, which waits for it", tasks::BLOCKED));
        self.until_merged("both tasks are merged", &[tasks::FIX, tasks::BLOCKED], &[0, 1, 2]).await?;
        self.tell(format!("both are merged, and {laptop} knows it"));
        Ok(())
    }

    /// Cuts the laptop off while a task waits that both sides will want.
    async fn part(&mut self) -> Result<(), DemoError> {
        let [desk, rack, laptop] = NAMES;
        self.hold_back(true).await?;
        self.queue(0, tasks::CONTESTED).await?;
        self.until_all_know(tasks::CONTESTED).await?;
        self.tell(format!("{desk} queues {}, which nobody takes yet: the implementers are paused", tasks::CONTESTED));
        self.machines[2].cut_off().await?;
        self.until(&format!("{laptop} is cut off"), async |machines| {
            let alone = machines[2].client()?.node_status().await?.offline;
            let missed = async |by: usize| Ok::<_, DemoError>(!sees(&machines[by], laptop).await?);
            Ok((alone && missed(0).await? && missed(1).await?).then_some(()))
        })
        .await?;
        self.tell(format!("{laptop} is cut off from {desk}, {rack} and origin"));
        self.queue(2, tasks::OFFLINE).await?;
        self.queue(0, tasks::MEANWHILE).await?;
        let pending = self.machines[2].client()?.node_status().await?.pending_sync;
        self.tell(format!(
            "{laptop} queues {} (pending sync: {pending}), {desk} queues {}; the implementers go on",
            tasks::OFFLINE,
            tasks::MEANWHILE
        ));
        self.hold_back(false).await
    }

    /// Waits until each side has done what it can; returns the attempts of both at one task.
    async fn work_apart(&mut self) -> Result<[Rival; 2], DemoError> {
        let stage = self.place.stage.clone();
        let rivals = self
            .until(&format!("both sides work on {}", tasks::CONTESTED), async |machines| {
                let here = [rival(&machines[0], &stage).await?, rival(&machines[1], &stage).await?];
                let there = rival(&machines[2], &stage).await?;
                Ok(here.into_iter().flatten().next().zip(there).map(|(here, there)| [here, there]))
            })
            .await?;
        let [here, there] = &rivals;
        self.tell(format!("{} and {} work on {}: neither can know of the other", here.machine, there.machine, tasks::CONTESTED));
        self.until_merged("the larger side merges", &[tasks::MEANWHILE], &[0, 1]).await?;
        self.until("the work that was queued offline is accepted", async |machines| {
            let task = find(&machines[2], tasks::OFFLINE).await?;
            Ok(task.filter(|task| task.queue == "done").and_then(|task| task.awaiting_merge))
        })
        .await?;
        self.tell(format!(
            "{} is merged without {laptop}; on {laptop} {} is accepted and waits for origin",
            tasks::MEANWHILE,
            tasks::OFFLINE,
            laptop = NAMES[2]
        ));
        Ok(rivals)
    }

    async fn meet_again(&mut self, rivals: &[Rival; 2]) -> Result<(), DemoError> {
        self.machines[2].mend().await?;
        let healed = Instant::now();
        self.until_all_are_connected().await?;
        self.tell(format!("{} is back", NAMES[2]));
        let lost = self
            .until("one attempt wins on every machine", async |machines| {
                let mut lost: Vec<Option<String>> = Vec::new();
                for machine in machines {
                    lost.push(loser(machine).await?);
                }
                let agreed = lost.windows(2).all(|pair| pair[0] == pair[1]);
                let lost = lost.pop().flatten().and_then(|lost| rivals.iter().find(|rival| rival.attempt == lost));
                Ok(lost.filter(|lost| agreed && !process::lives(lost.pid)).cloned())
            })
            .await?;
        let seconds = healed.elapsed().as_secs_f64();
        let won = rivals.iter().find(|rival| rival.attempt != lost.attempt).map_or("", |won| won.machine);
        self.tell(format!("{seconds:.1} s later all know: {won}'s attempt won, {}'s agent is stopped, its branch kept", lost.machine));
        Ok(())
    }

    /// Lets the agents that are at work come to their end.
    async fn finish(&mut self) -> Result<(), DemoError> {
        let path = self.place.stage.join(MET);
        std::fs::write(&path, "").map_err(|source| DemoError::Write { path, source })?;
        self.until_merged("everything is merged", &tasks::ALL, &[0, 1, 2]).await?;
        self.until("nothing is pending", async |machines| {
            let mut pending = 0;
            for machine in machines {
                pending += machine.client()?.node_status().await?.pending_sync;
            }
            Ok((pending == 0).then_some(()))
        })
        .await?;
        self.tell("everything is merged".to_owned());
        // The last picture stays on the screen.
        self.show().await.map(drop)
    }

    async fn gather(&self) -> Result<(Vec<Vec<Told>>, Vec<Vec<Conflict>>), DemoError> {
        let (mut told, mut conflicts) = (Vec::new(), Vec::new());
        for machine in self.machines.iter() {
            let client = machine.client()?;
            let mut tasks = Vec::new();
            for id in tasks::ALL {
                let history = client.history(id).await?.history;
                tasks.push(Told { task: client.task(id).await?, history, attempts: client.attempts(id).await?.attempts });
            }
            told.push(tasks);
            conflicts.push(client.conflicts(0, ALL).await?.conflicts);
        }
        Ok((told, conflicts))
    }

    async fn queue(&self, machine: usize, id: &str) -> Result<(), DemoError> {
        self.machines[machine].client()?.create_task(&tasks::queued(id)).await?;
        Ok(())
    }

    /// Pauses the implementers on all machines, or lets them go on.
    async fn hold_back(&self, paused: bool) -> Result<(), DemoError> {
        for machine in self.machines.iter() {
            machine.client()?.set_paused(Some(IMPLEMENTER), paused).await?;
        }
        Ok(())
    }

    async fn merged(&self) -> Result<Vec<String>, DemoError> {
        Ok(commits(&self.place.origin).await?.into_iter().flat_map(|commit| commit.tasks).collect())
    }

    async fn until_all_are_connected(&mut self) -> Result<(), DemoError> {
        let others = self.machines.len() - 1;
        self.until("all machines are connected", async |machines| {
            let mut all = true;
            for machine in machines {
                let members = machine.client()?.node_status().await?.members;
                all &= members.iter().filter(|member| member.state == "connected").count() == others;
            }
            Ok(all.then_some(()))
        })
        .await
    }

    async fn until_all_know(&mut self, id: &str) -> Result<(), DemoError> {
        self.until(&format!("all machines know {id}"), async |machines| {
            let mut all = true;
            for machine in machines {
                all &= find(machine, id).await?.is_some();
            }
            Ok(all.then_some(()))
        })
        .await
    }

    async fn until_merged(&mut self, what: &str, ids: &[&str], on: &[usize]) -> Result<(), DemoError> {
        self.until(what, async |machines| {
            let mut all = true;
            for machine in on.iter().filter_map(|number| machines.get(*number)) {
                for id in ids {
                    all &= find(machine, id).await?.is_some_and(|task| is_over(&task));
                }
            }
            Ok(all.then_some(()))
        })
        .await
    }

    /// Looks until there is something, and shows meanwhile what the machines do.
    async fn until<T>(&mut self, what: &str, mut look: impl AsyncFnMut(&Machines) -> Result<Option<T>, DemoError>) -> Result<T, DemoError> {
        let end = Instant::now() + LIMIT;
        loop {
            let statuses = self.show().await?;
            if let Some(found) = look(self.machines).await? {
                return Ok(found);
            }
            if Instant::now() >= end || statuses.iter().any(needs_a_person) {
                return Err(DemoError::Stuck { what: what.to_owned(), unfinished: self.unfinished().await? });
            }
            sleep(GLANCE).await;
        }
    }

    async fn show(&mut self) -> Result<Vec<NodeStatus>, DemoError> {
        let mut statuses = Vec::new();
        for machine in self.machines.iter() {
            // While the cluster is being formed some do not run yet.
            if let Ok(client) = machine.client() {
                statuses.push((machine.name, client.node_status().await?));
            }
        }
        (self.watch)(&Glance { seconds: self.started.elapsed().as_secs_f64(), events: &self.events, machines: &statuses });
        Ok(statuses.into_iter().map(|(_, status)| status).collect())
    }

    fn tell(&mut self, event: String) {
        self.events.push(format!("{:5.1} s  {event}", self.started.elapsed().as_secs_f64()));
    }

    /// Tells where each task hangs on each machine.
    async fn unfinished(&self) -> Result<Vec<String>, DemoError> {
        let mut lines = Vec::new();
        for machine in self.machines.iter() {
            for task in all(machine).await?.iter().filter(|task| !is_over(task)) {
                lines.push(format!("  {}: {}", machine.name, unfinished(task, &machine.layout).trim_start()));
            }
        }
        Ok(lines)
    }
}

/// Tells whether no agent will go on, so that waiting is of no use.
fn needs_a_person(status: &NodeStatus) -> bool {
    !status.needs_intervention.is_empty() || status.queues.get("failed").is_some_and(|failed| *failed > 0)
}

async fn all(machine: &Machine) -> Result<Vec<Task>, DemoError> {
    Ok(machine.client()?.tasks(&TaskFilter { limit: Some(ALL), ..TaskFilter::default() }).await?.tasks)
}

async fn find(machine: &Machine, id: &str) -> Result<Option<Task>, DemoError> {
    match machine.client()?.task(id).await {
        Ok(task) => Ok(Some(task)),
        Err(ClientError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether a machine is connected to another one.
async fn sees(machine: &Machine, other: &str) -> Result<bool, DemoError> {
    let members = machine.client()?.node_status().await?.members;
    Ok(members.iter().any(|member| member.name == other && member.state == "connected"))
}

/// Returns a machine's attempt at the task that both sides start, once its agent has committed something.
async fn rival(machine: &Machine, stage: &Path) -> Result<Option<Rival>, DemoError> {
    let agents = machine.client()?.node_status().await?.agents;
    let works = agents.into_iter().flat_map(|agent| agent.instances).find(|instance| instance.task_id == tasks::CONTESTED);
    let works = works.filter(|works| stage.join(&works.attempt).exists());
    Ok(works.and_then(|works| Some(Rival { machine: machine.name, attempt: works.attempt, pid: works.pid? })))
}

/// Returns the one attempt that lost, if a machine knows of it.
async fn loser(machine: &Machine) -> Result<Option<String>, DemoError> {
    let conflicts = machine.client()?.conflicts(0, ALL).await?.conflicts;
    let contested = conflicts.into_iter().find(|conflict| conflict.task_id == tasks::CONTESTED);
    let mut lost = contested.map(|conflict| conflict.attempts).unwrap_or_default();
    Ok(lost.pop().filter(|_| lost.is_empty()).map(|lost| lost.attempt))
}

/// Names several things in a sentence.
fn list(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.concat(),
    }
}
