//! What tasks are, written down a second time and much simpler: one node, so records come one after the other.

use std::collections::{BTreeMap, BTreeSet};

/// The work that a task is about, while there is some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    None,
    Claimed { agent: String },
    Submitted { agent: String, commits: bool, review: Option<String> },
    Done { merged: bool, commits: bool },
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct Task {
    pub no: u64,
    pub listed: bool,
    pub work: Work,
    /// Where the task waits when nobody works on it.
    pub base: String,
    pub epoch: u64,
    pub attempts: u32,
    pub rejections: u32,
    /// Since a person last put it back.
    pub failed: u32,
    pub rejected: u32,
    pub burnt: u32,
    pub flagged: bool,
    pub title: String,
    pub priority: String,
    pub blocked_by: BTreeSet<String>,
    pub created_ms: u64,
}

/// The most failures and rejections before a person is asked, and the most attempts that ran out of turns.
const TRIES: u32 = 3;
const CONTINUATIONS: u32 = 5;

impl Task {
    pub fn queue(&self) -> &str {
        match &self.work {
            Work::None => &self.base,
            Work::Claimed { .. } => "claimed",
            Work::Submitted { .. } => "provisional",
            Work::Done { .. } => "done",
            Work::Cancelled => "cancelled",
        }
    }

    pub fn holder(&self) -> Option<&str> {
        match &self.work {
            Work::Claimed { agent } | Work::Submitted { review: Some(agent), .. } => Some(agent),
            Work::None | Work::Submitted { review: None, .. } | Work::Done { .. } | Work::Cancelled => None,
        }
    }

    fn finished(&self) -> bool {
        matches!(self.work, Work::Done { .. } | Work::Cancelled)
    }

    fn blocks(&self) -> bool {
        match self.work {
            Work::Done { merged, commits } => commits && !merged,
            Work::Cancelled => false,
            Work::None | Work::Claimed { .. } | Work::Submitted { .. } => self.listed,
        }
    }

    /// A Move by a person or by the node.
    fn moved(&mut self, to: &str) {
        self.work = Work::None;
        to.clone_into(&mut self.base);
    }

    fn put_back(&mut self) {
        (self.failed, self.rejected, self.burnt) = (0, 0, 0);
    }
}

/// Every task by id, deleted ones included.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub tasks: BTreeMap<String, Task>,
}

impl Model {
    pub fn listed(&self, id: &str) -> bool {
        self.tasks.get(id).is_some_and(|task| task.listed)
    }

    pub fn open_blockers(&self, id: &str) -> Vec<String> {
        let blocks = |blocker: &&String| self.tasks.get(*blocker).is_none_or(Task::blocks);
        self.tasks.get(id).map(|task| task.blocked_by.iter().filter(blocks).cloned().collect()).unwrap_or_default()
    }

    /// Tells whether `id` may wait for these.
    pub fn may_wait_for(&self, id: &str, blockers: &[String]) -> bool {
        let mut waiting = blockers.to_vec();
        let mut seen = BTreeSet::new();
        while let Some(next) = waiting.pop() {
            if next == id || !self.tasks.contains_key(&next) {
                return false;
            }
            if seen.insert(next.clone()) {
                waiting.extend(self.tasks[&next].blocked_by.iter().cloned());
            }
        }
        true
    }

    /// The task that the next claim must get: by priority, then age, then id.
    pub fn next(&self, queue: &str, not_of: Option<&str>) -> Option<String> {
        let fits = |id: &str, task: &Task| {
            let ready = match (&task.work, queue) {
                (Work::None, "incoming" | "needs_continuation") => {
                    task.base == queue && task.failed == 0 && self.open_blockers(id).is_empty()
                }
                (Work::Submitted { agent, review: None, .. }, "provisional") => {
                    not_of.is_none_or(|reviewer| reviewer != agent && !task.flagged)
                }
                _ => false,
            };
            task.listed && ready
        };
        let fitting = self.tasks.iter().filter(|(id, task)| fits(id, task));
        let order = |(id, task): &(&String, &Task)| (task.priority.clone(), task.created_ms, (*id).clone());
        fitting.min_by_key(order).map(|(id, _)| id.clone())
    }

    fn task(&mut self, id: &str) -> Option<&mut Task> {
        self.tasks.get_mut(id).filter(|task| task.listed)
    }

    pub fn create(&mut self, id: &str, queue: &str, title: &str, priority: &str, blockers: &[String]) -> bool {
        if self.listed(id) || !self.may_wait_for(id, blockers) {
            return false;
        }
        let epoch = self.tasks.get(id).map_or(0, |task| task.epoch);
        let mut task = Task {
            no: 0,
            listed: true,
            work: Work::None,
            base: queue.to_owned(),
            epoch,
            attempts: 0,
            rejections: 0,
            failed: 0,
            rejected: 0,
            burnt: 0,
            flagged: false,
            title: title.to_owned(),
            priority: priority.to_owned(),
            blocked_by: blockers.iter().cloned().collect(),
            created_ms: 0,
        };
        match queue {
            "done" => task.work = Work::Done { merged: false, commits: false },
            "cancelled" => task.work = Work::Cancelled,
            _ => {}
        }
        self.tasks.insert(id.to_owned(), task);
        true
    }

    pub fn claim(&mut self, id: &str, agent: &str) {
        let task = self.tasks.get_mut(id).expect("a task that was chosen");
        match &mut task.work {
            Work::Submitted { review, .. } => *review = Some(agent.to_owned()),
            work @ (Work::None | Work::Claimed { .. } | Work::Done { .. } | Work::Cancelled) => {
                *work = Work::Claimed { agent: agent.to_owned() };
                task.epoch += 1;
            }
        }
    }

    pub fn submit(&mut self, id: &str, commits: bool, burnt: bool) -> bool {
        let Some(task) = self.task(id) else { return false };
        let Work::Claimed { agent } = &task.work else { return false };
        task.work = Work::Submitted { agent: agent.clone(), commits, review: None };
        task.flagged = false;
        if burnt {
            task.moved("needs_continuation");
            task.burnt += 1;
        }
        true
    }

    pub fn accept(&mut self, id: &str) -> bool {
        let Some(task) = self.task(id).filter(|task| matches!(task.queue(), "claimed" | "provisional")) else { return false };
        let commits = matches!(task.work, Work::Submitted { commits: true, .. });
        task.work = Work::Done { merged: false, commits };
        true
    }

    pub fn merged(&mut self, id: &str) -> bool {
        match self.task(id).map(|task| &mut task.work) {
            Some(Work::Done { merged, commits: true }) if !*merged => {
                *merged = true;
                true
            }
            _ => false,
        }
    }

    pub fn reject(&mut self, id: &str) -> bool {
        let Some(task) = self.task(id).filter(|task| matches!(task.queue(), "claimed" | "provisional")) else { return false };
        task.rejections += 1;
        task.rejected += 1;
        task.moved("incoming");
        true
    }

    pub fn requeue(&mut self, id: &str, any: bool, reopen: bool) -> bool {
        let Some(task) = self.task(id) else { return false };
        let finished = task.finished();
        let held = matches!(task.queue(), "claimed" | "provisional");
        if (finished && !reopen) || !(held || any || reopen) {
            return false;
        }
        task.attempts += u32::from(!finished);
        task.moved("incoming");
        task.put_back();
        true
    }

    /// A release or an expiry of whoever holds the task.
    pub fn release(&mut self, id: &str) -> bool {
        match self.task(id).map(|task| &mut task.work) {
            Some(work @ Work::Claimed { .. }) => *work = Work::None,
            Some(Work::Submitted { review: review @ Some(_), .. }) => *review = None,
            _ => return false,
        }
        true
    }

    pub fn fail(&mut self, id: &str) -> bool {
        let Some(task) = self.task(id).filter(|task| task.holder().is_some()) else { return false };
        task.attempts += 1;
        task.failed += 1;
        task.moved("incoming");
        if task.failed >= TRIES || task.rejected >= TRIES || task.burnt >= CONTINUATIONS {
            task.flagged = true;
            task.moved("failed");
            task.put_back();
        }
        true
    }

    pub fn step(&mut self, id: &str, to: &str) -> bool {
        let Some(task) = self.task(id) else { return false };
        match to {
            "done" if task.finished() => return false,
            "cancelled" if task.finished() => return false,
            "done" => task.work = Work::Done { merged: false, commits: false },
            "cancelled" => task.work = Work::Cancelled,
            _ => {
                task.moved(to);
                task.put_back();
            }
        }
        true
    }

    pub fn delete(&mut self, id: &str) -> bool {
        let Some(task) = self.task(id) else { return false };
        task.listed = false;
        task.moved("incoming");
        true
    }
}
