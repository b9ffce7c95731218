//! Ends everything that an attempt started.
//!
//! **Invariants**
//! - A process is hunted when it is in a group or session that is proven to be the attempt's, carries the attempt's token,
//!   or descends from one that is hunted. Nothing else is signalled.
//! - A sweep ends when two readings of the table in a row show nothing alive, or when its time is up.
//!
//! **Limits**: a process that leaves its session, empties its environment and outlives its parent before the table is read is
//! not found; the same holds for what an agent asks another service to start. Only a container stops that.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    ProcessRecord, Token,
    process_table::{self, Process},
};

/// How long SIGKILL is repeated. What lives on after that is stuck in the kernel or belongs to another user.
const KILL_TIME: Duration = Duration::from_secs(10);
/// Pauses between two readings of the table, the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many processes, the leader aside, were still alive and were sent SIGKILL.
    pub killed: usize,
    /// What is alive all the same. A worktree must not be removed under it.
    pub survivors: Vec<i32>,
}

/// What [`leftovers`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftoverReport {
    /// How many processes were killed.
    pub killed: usize,
    /// What is alive all the same.
    pub survivors: Vec<i32>,
    /// Groups with a recorded number whose processes are not provably the attempt's; they were left alone.
    pub unproven: Vec<i32>,
}

/// Kills what is left of agents whose node died, for its next start.
///
/// A recorded group is killed only when its leader is the recorded process by boot and start time, or a member carries the
/// token; marked processes outside of it are killed too. On a system without `/proc` nothing can be proven, and all records are
/// returned as unproven.
pub async fn leftovers(records: Vec<ProcessRecord>) -> LeftoverReport {
    let boot = process_table::boot();
    let mut report = LeftoverReport::default();
    for record in records {
        match (&boot, &record.boot) {
            (Some(now), Some(then)) if now != then => continue,
            (Some(_), Some(_)) => {}
            (_, None) | (None, _) => {
                report.unproven.push(record.pid);
                continue;
            }
        }
        let target = Target::of(&record);
        let (owned, unproven) = blocking(move || {
            let table = process_table::all();
            let carries = marker_of(&target);
            (target.owned_group(&table, &carries), target.group_members(&table).next().is_some())
        })
        .await;
        if owned.is_none() && unproven {
            report.unproven.push(record.pid);
        }
        let swept = sweep(Target { group: owned, ..Target::of(&record) }).await;
        tracing::info!(pid = record.pid, killed = swept.killed, "leftovers of an earlier run swept");
        report.killed += swept.killed;
        report.survivors.extend(swept.survivors);
    }
    report
}

/// What a sweep is after.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The group and session, when it is proven that they are the attempt's.
    group: Option<i32>,
    leader: i32,
    started: Option<u64>,
    token: Token,
}

impl Target {
    /// The processes of a recorded attempt. Its group counts as proven: say otherwise by `group: None`.
    pub(super) fn of(record: &ProcessRecord) -> Self {
        Self { group: Some(record.pid), leader: record.pid, started: record.started, token: record.token.clone() }
    }

    fn group_members<'a>(&self, table: &'a [Process]) -> impl Iterator<Item = &'a Process> {
        let leader = self.leader;
        table.iter().filter(move |p| p.group == leader || p.session == leader)
    }

    /// Returns the group when it is provably the attempt's: its number may have gone to another since the record was made.
    /// A number is not given out again while a group or session of it lives, so one proven member proves the others.
    fn owned_group(&self, table: &[Process], carries: &impl Fn(&Process) -> bool) -> Option<i32> {
        let by_leader = table.iter().any(|p| p.pid == self.leader && self.started == Some(p.started));
        let mut members = self.group_members(table);
        (by_leader || members.any(carries)).then_some(self.leader)
    }

    /// Returns what of the table is the attempt's and alive.
    fn hunted(&self, table: &[Process], carries: &impl Fn(&Process) -> bool) -> Vec<Process> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let in_group = |p: &Process| self.group.is_some_and(|group| p.group == group || p.session == group);
        // Nothing that started before the leader descends from it, which spares reading the environment of most processes.
        let marked = |p: &Process| self.started.is_none_or(|started| p.started >= started) && carries(p);
        let spared = |p: &Process| p.pid <= 1 || p.pid == own;
        let mut pids: BTreeSet<i32> = table.iter().filter(|p| !spared(p) && (in_group(p) || marked(p))).map(|p| p.pid).collect();
        loop {
            let before = pids.len();
            pids.extend(table.iter().filter(|p| !spared(p) && pids.contains(&p.parent)).map(|p| p.pid).collect::<Vec<_>>());
            if pids.len() == before {
                break;
            }
        }
        table.iter().filter(|p| pids.contains(&p.pid) && !p.zombie).copied().collect()
    }
}

fn marker_of(target: &Target) -> impl Fn(&Process) -> bool + use<> {
    let token = target.token.clone();
    move |process| process_table::carries(process, &token)
}

/// Reads the table once and returns how many of the target's processes are alive.
pub(super) async fn alive(target: Target) -> usize {
    blocking(move || match living(&target) {
        Living::Processes(processes) => processes.len(),
        Living::Group(any) => usize::from(any),
    })
    .await
}

/// Sends SIGTERM to all of the target's processes, also to those that left its group.
pub(super) async fn ask_to_end(target: Target) {
    blocking(move || {
        // A stopped process takes SIGTERM only once it goes on.
        for signal in [Signal::TERM, Signal::CONT] {
            signal_once(&target, signal);
        }
    })
    .await;
}

/// Kills until nothing of the target is alive.
pub(super) async fn sweep(target: Target) -> Swept {
    let deadline = Instant::now() + KILL_TIME;
    let mut pause = FIRST_PAUSE;
    let mut killed = BTreeSet::new();
    let mut clean = 0;
    loop {
        let target = target.clone();
        let leader = target.leader;
        let left = blocking(move || signal_once(&target, Signal::KILL)).await;
        clean = if left.is_empty() { clean + 1 } else { 0 };
        killed.extend(left.iter().copied().filter(|&pid| pid != leader));
        if clean == 2 {
            return Swept { killed: killed.len(), survivors: Vec::new() };
        }
        if Instant::now() > deadline {
            tracing::warn!(?left, "processes of an agent cannot be killed");
            return Swept { killed: killed.len(), survivors: left };
        }
        if !left.is_empty() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

enum Living {
    Processes(Vec<Process>),
    /// Without a table only the group can be asked.
    Group(bool),
}

fn living(target: &Target) -> Living {
    if cfg!(target_os = "linux") {
        Living::Processes(target.hunted(&process_table::all(), &marker_of(target)))
    } else {
        let group = target.group.and_then(Pid::from_raw);
        Living::Group(group.is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok()))
    }
}

/// Signals what is alive and returns it.
fn signal_once(target: &Target, signal: Signal) -> Vec<i32> {
    let group = target.group.and_then(Pid::from_raw);
    let signal_group = |group: Pid| {
        // Gone in between is as good as ended.
        let _gone = kill_process_group(group, signal);
    };
    match living(target) {
        Living::Processes(processes) => {
            // The group first and whole: a fork in it cannot slip through between two signals.
            let group = group.filter(|group| processes.iter().any(|p| p.group == group.as_raw_pid()));
            if let Some(group) = group {
                signal_group(group);
            }
            let outside = processes.iter().filter(|p| group.is_none_or(|group| p.group != group.as_raw_pid()));
            outside.for_each(|process| process_table::signal(process, signal));
            processes.iter().map(|p| p.pid).collect()
        }
        Living::Group(alive) => {
            let group = group.filter(|_| alive);
            if let Some(group) = group {
                signal_group(group);
            }
            group.map(Pid::as_raw_pid).into_iter().collect()
        }
    }
}

/// Reading `/proc` is quick but blocks.
async fn blocking<T: Send + Default + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { pid, parent, group, session, started: 1000 + u64::from(pid.unsigned_abs()), zombie: false }
    }

    fn target(group: Option<i32>) -> Target {
        Target { group, leader: 50, started: Some(1050), token: Token::random().expect("randomness") }
    }

    fn pids(processes: &[Process]) -> Vec<i32> {
        processes.iter().map(|p| p.pid).collect()
    }

    #[test]
    fn group_session_marker_and_descent_are_hunted_and_nothing_else() {
        let table = [
            process(1, 0, 1, 1),
            process(40, 1, 40, 40),
            process(50, 40, 50, 50),
            process(51, 50, 50, 50),
            process(52, 1, 52, 50),
            process(53, 1, 53, 53),
            process(54, 53, 54, 54),
            process(55, 1, 55, 55),
            Process { zombie: true, ..process(56, 50, 50, 50) },
            process(57, 56, 57, 57),
        ];
        let carries = |p: &Process| p.pid == 53;
        assert_eq!(pids(&target(Some(50)).hunted(&table, &carries)), [50, 51, 52, 53, 54, 57]);
        assert_eq!(pids(&target(None).hunted(&table, &carries)), [53, 54]);
    }

    #[test]
    fn the_first_process_and_the_node_itself_are_never_hunted() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let table = [process(1, 0, 50, 50), process(own, 50, 50, 50)];
        assert_eq!(target(Some(50)).hunted(&table, &|_| true), []);
    }

    #[test]
    fn what_started_before_the_agent_does_not_carry_its_marker() {
        let table = [process(49, 1, 49, 49), process(51, 1, 51, 51)];
        assert_eq!(pids(&target(None).hunted(&table, &|_| true)), [51]);
    }

    #[test]
    fn a_group_whose_number_went_to_another_is_not_the_attempts() {
        let reused = [Process { started: 9999, ..process(50, 1, 50, 50) }, process(51, 50, 50, 50)];
        assert_eq!(target(None).owned_group(&reused, &|_| false), None);
        assert_eq!(target(None).owned_group(&[process(50, 1, 50, 50)], &|_| false), Some(50));
        assert_eq!(target(None).owned_group(&[process(51, 1, 50, 50)], &|_| false), None, "a leader that is gone proves nothing");
        assert_eq!(target(None).owned_group(&[process(51, 1, 50, 50)], &|p| p.pid == 51), Some(50));
    }
}
