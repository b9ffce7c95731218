//! Ends everything that an attempt started.
//!
//! **Invariants**
//! - A process is hunted when it is in a group or session that is proven to be the attempt's, carries the attempt's token,
//!   or descends from one that is hunted. Nothing else is signalled.
//! - A sweep ends when two readings in a row find nothing alive, or when its time is up. A reading goes on until no process was
//!   started while it went, so a process cannot hide by always being one that the reading has passed or not yet reached.
//!
//! **Limits**: a process that leaves its session, empties its environment and outlives its parent before the table is read is
//! not found; the same holds for what an agent asks another service to start. Only a container stops that.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::{
    ProcessRecord, Token,
    process_table::{self, Marker, Process},
};

/// How long SIGKILL is repeated. What lives on after that is stuck in the kernel or belongs to another user.
const KILL_TIME: Duration = Duration::from_secs(10);
/// Pauses between two readings, the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// How often a reading is continued with what was started meanwhile. Each time takes microseconds, so only a machine on which
/// processes are started without pause comes near.
const MAX_PASSES: usize = 2000;
/// How often, and after which pause, an environment is read again that was empty.
const MARKER_RETRIES: usize = 5;
const MARKER_PAUSE: Duration = Duration::from_micros(500);

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
            let carries = |process: &Process| process_table::marker(process, &target.token) == Marker::Carried;
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
    /// What was ever found, by number and start time. A process whose parent is gone by the next reading is known by this alone.
    known: Arc<Mutex<BTreeSet<(i32, u64)>>>,
}

impl Target {
    /// The processes of a recorded attempt. Its group counts as proven: say otherwise by `group: None`.
    pub(super) fn of(record: &ProcessRecord) -> Self {
        let known = Arc::default();
        Self { group: Some(record.pid), leader: record.pid, started: record.started, token: record.token.clone(), known }
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

    fn is_known(&self, process: &Process) -> bool {
        self.known.lock().is_ok_and(|known| known.contains(&(process.pid, process.started)))
    }

    fn remember(&self, process: &Process) {
        if let Ok(mut known) = self.known.lock() {
            known.insert((process.pid, process.started));
        }
    }

    fn is_hunted(&self, process: &Process, pids: &BTreeSet<i32>, marker: &impl Fn(&Process) -> Marker) -> Marker {
        let in_group = self.group.is_some_and(|group| process.group == group || process.session == group);
        // Nothing that started before the leader descends from it, which spares reading the environment of most processes.
        let too_old = self.started.is_some_and(|started| process.started < started);
        if is_spared(process) {
            Marker::Absent
        } else if in_group || pids.contains(&process.parent) || self.is_known(process) {
            Marker::Carried
        } else if too_old {
            Marker::Absent
        } else {
            marker(process)
        }
    }
}

/// The first process and the node itself are no agent's, whatever they look like.
fn is_spared(process: &Process) -> bool {
    process.pid <= 1 || u32::try_from(process.pid) == Ok(std::process::id())
}

/// One reading: what was found so far.
#[derive(Debug, Default)]
struct Hunt {
    /// Everything that was found, so that its children are recognised.
    pids: BTreeSet<i32>,
    /// What of it was alive.
    alive: Vec<Process>,
}

impl Hunt {
    /// Takes the hunted processes out of a table, which is left with those that are not clear yet; returns what is new and alive.
    fn take(&mut self, target: &Target, table: &mut Vec<Process>, marker: &impl Fn(&Process) -> Marker) -> Vec<Process> {
        let mut new = Vec::new();
        // Clear answers are kept: only descent has to be asked again when more is found.
        let mut cleared = BTreeSet::new();
        loop {
            let before = self.pids.len();
            table.retain(|process| {
                let known = |_: &Process| if cleared.contains(&process.pid) { Marker::Absent } else { marker(process) };
                match target.is_hunted(process, &self.pids, &known) {
                    Marker::Carried => {
                        self.pids.insert(process.pid);
                        target.remember(process);
                        new.extend((!process.zombie).then_some(*process));
                        return false;
                    }
                    Marker::Absent => {
                        cleared.insert(process.pid);
                    }
                    Marker::Unclear => {}
                }
                true
            });
            if self.pids.len() == before {
                break;
            }
        }
        table.retain(|process| !cleared.contains(&process.pid));
        self.alive.extend(&new);
        new
    }

    /// Looks through a table, reading it again where that is needed, and signals what it finds.
    fn look(&mut self, target: &Target, mut table: Vec<Process>, signal: Option<Signal>) {
        let marker = |process: &Process| process_table::marker(process, &target.token);
        for retry in 0..=MARKER_RETRIES {
            for process in self.take(target, &mut table, &marker) {
                if let Some(signal) = signal {
                    process_table::signal(&process, signal);
                }
            }
            if table.is_empty() || retry == MARKER_RETRIES {
                break;
            }
            std::thread::sleep(MARKER_PAUSE);
            table = table.iter().filter_map(|process| process_table::one(process.pid)).collect();
        }
    }
}

/// Returns how many of the target's processes are alive, as far as one reading shows.
pub(super) async fn alive(target: Target) -> usize {
    blocking(move || hunt(&target, None).len()).await
}

/// Sends SIGTERM to all of the target's processes, also to those that left its group.
pub(super) async fn ask_to_end(target: Target) {
    blocking(move || {
        // A stopped process takes SIGTERM only once it goes on.
        for signal in [Signal::TERM, Signal::CONT] {
            hunt(&target, Some(signal));
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
        let left = blocking(move || hunt(&target, Some(Signal::KILL))).await;
        clean = if left.is_empty() { clean + 1 } else { 0 };
        killed.extend(left.iter().copied().filter(|&pid| pid != leader));
        if clean == 2 {
            return Swept { killed: killed.len(), survivors: Vec::new() };
        }
        if Instant::now() > deadline {
            tracing::warn!(?left, "processes of an agent cannot be killed");
            return Swept { killed: killed.len(), survivors: left };
        }
        tokio::time::sleep(pause).await;
        if !left.is_empty() {
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Finds what is alive, signals it, and returns it.
fn hunt(target: &Target, signal: Option<Signal>) -> Vec<i32> {
    let group = target.group.and_then(Pid::from_raw);
    let last = process_table::last_pid();
    // Read before anything is signalled: descent shows only while the parents live.
    let table = process_table::all();
    if let (Some(group), Some(signal)) = (group, signal) {
        // Whole: a fork in the group cannot slip through between two signals. Gone is as good as ended.
        let _gone = kill_process_group(group, signal);
    }
    let Some(mut last) = last else {
        // Without a table only the group can be asked.
        return group.filter(|&group| test_kill_process_group(group).is_ok()).map(Pid::as_raw_pid).into_iter().collect();
    };
    let mut hunt = Hunt::default();
    hunt.look(target, table, signal);
    for _ in 0..MAX_PASSES {
        let Some(now) = process_table::last_pid().filter(|&now| now != last) else { break };
        hunt.look(target, process_table::created(last, now), signal);
        last = now;
    }
    hunt.alive.iter().map(|process| process.pid).collect()
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
        Target { group, leader: 50, started: Some(1050), token: Token::random().expect("randomness"), known: Arc::default() }
    }

    fn found(target: &Target, table: &[Process], marker: impl Fn(&Process) -> Marker) -> Vec<i32> {
        let mut pids: Vec<i32> = Hunt::default().take(target, &mut table.to_vec(), &marker).iter().map(|p| p.pid).collect();
        pids.sort_unstable();
        pids
    }

    fn carried_by(pid: i32) -> impl Fn(&Process) -> Marker {
        move |process| if process.pid == pid { Marker::Carried } else { Marker::Absent }
    }

    #[test]
    fn group_session_marker_and_descent_are_hunted_and_nothing_else() {
        let table = [
            process(57, 56, 57, 57),
            process(58, 57, 58, 58),
            process(1, 0, 1, 1),
            process(40, 1, 40, 40),
            process(50, 40, 50, 50),
            process(51, 50, 50, 50),
            process(52, 1, 52, 50),
            process(53, 1, 53, 53),
            process(54, 53, 54, 54),
            process(55, 1, 55, 55),
            Process { zombie: true, ..process(56, 50, 50, 50) },
        ];
        assert_eq!(found(&target(Some(50)), &table, carried_by(53)), [50, 51, 52, 53, 54, 57, 58]);
        assert_eq!(found(&target(None), &table, carried_by(53)), [53, 54]);
    }

    #[test]
    fn the_first_process_and_the_node_itself_are_never_hunted() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let table = [process(1, 0, 50, 50), process(own, 50, 50, 50)];
        assert!(found(&target(Some(50)), &table, |_| Marker::Carried).is_empty());
    }

    #[test]
    fn what_started_before_the_agent_does_not_carry_its_marker() {
        let table = [process(49, 1, 49, 49), process(51, 1, 51, 51)];
        assert_eq!(found(&target(None), &table, |_| Marker::Carried), [51]);
    }

    #[test]
    fn what_is_unclear_is_asked_again_and_what_was_found_stays_known() {
        let (hunted, mut hunt) = (target(None), Hunt::default());
        let mut table = vec![process(51, 1, 51, 51), process(52, 1, 52, 52)];
        let at_first = hunt.take(&hunted, &mut table, &|p| if p.pid == 51 { Marker::Unclear } else { Marker::Absent });
        assert_eq!((at_first, table.as_slice()), (vec![], &[process(51, 1, 51, 51)][..]));
        assert_eq!(hunt.take(&hunted, &mut table, &|_| Marker::Carried), [process(51, 1, 51, 51)]);
        let mut later = vec![process(60, 51, 60, 60)];
        assert_eq!(hunt.take(&hunted, &mut later, &|_| Marker::Absent), [process(60, 51, 60, 60)]);
        let orphan = process(60, 1, 60, 60);
        let reused = [Process { started: 9999, ..process(51, 1, 51, 51) }, process(70, 51, 70, 70)];
        assert_eq!(found(&hunted, &[orphan], |_| Marker::Absent), [60]);
        assert!(found(&hunted, &reused, |_| Marker::Absent).is_empty(), "the number alone is not known");
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
