//! Random commands and power cuts against the model: what was acknowledged is there, and every view says the same.

use std::collections::BTreeMap;

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::{Oid, RecordId};
use octopoid_crdt::record::{Cause, Queue};
use octopoid_node::ops::claim::{Claimant, Holds, claim_next, expire, release};
use octopoid_node::ops::edit::{Changes, edit};
use octopoid_node::ops::fail::fail;
use octopoid_node::ops::finish::{Submission, merged, submit};
use octopoid_node::ops::judge::{Move, accept, delete, move_to, reject, requeue};
use octopoid_node::ops::{Expect, Refused, Snapshot};
use octopoid_node::store::{Filter, Sort, Store, TaskRow};

use crate::disk::Disk;
use crate::model::{Model, Work};
use crate::world::{Random, add, block_on, open, plain};

const IDS: &[&str] = &["a", "b", "c", "d", "e", "f", "g"];
const AGENTS: &[&str] = &["ada", "bob"];
const PRIORITIES: &[&str] = &["P0", "P1", "P2"];

/// A store and what must be in it.
pub struct Machine {
    pub store: Store,
    pub model: Model,
    pub random: Random,
    /// The rows as they were acknowledged.
    rows: BTreeMap<u64, TaskRow>,
    trace: Vec<String>,
}

type Answer = Result<Option<Snapshot>, Refused>;

impl Machine {
    pub fn new(store: Store, random: Random) -> Self {
        Self { store, model: Model::default(), random, rows: BTreeMap::new(), trace: Vec::new() }
    }

    /// Does one thing to the store and to the model, and compares what both say.
    pub async fn step(&mut self) {
        let arrivals = self.arrivals();
        let id = (*self.random.pick(IDS)).to_owned();
        let (what, expected, answer) = self.act(&id).await;
        self.trace.push(format!("{what} {id}: {}", if answer.is_ok() { "done" } else { "refused" }));
        assert_eq!(answer.is_ok(), expected, "{what} {id}: the model says {expected}, the store {answer:?}\n{}", self.told());
        match answer {
            Ok(Some(snapshot)) => drop(self.rows.insert(snapshot.no, snapshot.row)),
            Ok(None) => {}
            Err(refused) => assert_eq!(self.arrivals(), arrivals, "a refusal left a trace: {refused}\n{}", self.told()),
        }
        self.agree();
    }

    fn arrivals(&self) -> u64 {
        self.store.reader().and_then(|reader| reader.next_arrival()).expect("arrivals")
    }

    fn told(&self) -> String {
        self.trace.join("\n")
    }

    async fn act(&mut self, id: &str) -> (String, bool, Answer) {
        let known = self.model.tasks.get(id).filter(|task| task.listed).map(|task| task.no);
        let choice = self.random.below(100);
        match (choice, known) {
            (0..20, _) | (_, None) => self.create(id).await,
            (20..40, _) => self.claim().await,
            (40..52, Some(no)) => self.submit(id, no).await,
            (52..60, Some(no)) => {
                let about = self.model.accept(id);
                ("accept".to_owned(), about, self.write(move |unit| accept(unit, no, None, "me", "")).await)
            }
            (60..65, Some(no)) => {
                let expected = self.model.reject(id);
                ("reject".to_owned(), expected, self.write(move |unit| reject(unit, no, None, "me", "no")).await)
            }
            (65..70, Some(no)) => {
                let (any, reopen) = (self.random.percent(50), self.random.percent(50));
                let expected = self.model.requeue(id, any, reopen);
                let done = self.write(move |unit| requeue(unit, no, "me", "again", any, reopen)).await;
                (format!("requeue any={any} reopen={reopen}"), expected, done)
            }
            (70..75, Some(no)) => {
                let expected = self.model.release(id);
                let done = self.write(move |unit| release(unit, no, &Holds::default(), Cause::GivenBack, "")).await;
                ("release".to_owned(), expected, done)
            }
            (75..78, Some(no)) => self.expire(id, no).await,
            (78..81, Some(no)) => {
                let expected = self.model.fail(id);
                ("fail".to_owned(), expected, self.write(move |unit| fail(unit, no, &Holds::default(), "broken")).await)
            }
            (81..86, Some(no)) => self.moved(id, no).await,
            (86..90, Some(no)) => {
                let expected = self.model.delete(id);
                let done = self.store.write(move |unit| delete(unit, no, "me", "")).await.expect("store");
                ("delete".to_owned(), expected, done.map(|()| None))
            }
            (90..92, Some(no)) => self.merged(id, no).await,
            (_, Some(no)) => self.edit(id, no).await,
        }
    }

    async fn write(
        &self,
        operation: impl FnOnce(&mut octopoid_node::store::Unit<'_>) -> Result<Snapshot, Refused> + Send + 'static,
    ) -> Answer {
        self.store.write(operation).await.expect("store").map(Some)
    }

    fn some_blockers(&mut self) -> Vec<String> {
        let mut blockers: Vec<String> = Vec::new();
        while self.random.percent(35) && blockers.len() < 3 {
            blockers.push((*self.random.pick(IDS)).to_owned());
        }
        blockers.sort();
        blockers.dedup();
        blockers
    }

    async fn create(&mut self, id: &str) -> (String, bool, Answer) {
        let blockers = self.some_blockers();
        let title = format!("title {}", self.random.below(1000));
        let priority = *self.random.pick(PRIORITIES);
        let queue = match self.random.below(10) {
            0 => Queue::Backlog,
            1 => Queue::Provisional,
            2 => Queue::Done,
            3 => Queue::Cancelled,
            _ => Queue::Incoming,
        };
        let expected = self.model.create(id, queue.as_str(), &title, priority, &blockers);
        let answer = add(&self.store, "default", id, queue.clone(), &plain(&title, priority, &blockers)).await.expect("store");
        if let (Ok(made), Some(task)) = (&answer, self.model.tasks.get_mut(id)) {
            (task.no, task.created_ms) = (made.no, made.row.created_ms);
        }
        (format!("create in {} after {blockers:?}", queue.as_str()), expected, answer.map(Some))
    }

    async fn claim(&mut self) -> (String, bool, Answer) {
        let queue = *self.random.pick(&["incoming", "incoming", "provisional", "needs_continuation"]);
        let agent = *self.random.pick(AGENTS);
        let not_of = (queue == "provisional" && self.random.percent(50)).then(|| agent.to_owned());
        let claimant = Claimant {
            agent: agent.to_owned(),
            orchestrator: "here".to_owned(),
            ttl_seconds: 300,
            queue: queue.to_owned(),
            scope: "default".to_owned(),
            not_of: not_of.clone(),
            ..Claimant::default()
        };
        let expected = self.model.next(queue, not_of.as_deref());
        let got = self.store.write(move |unit| claim_next(unit, &claimant)).await.expect("store").expect("a claim");
        assert_eq!(got.as_ref().map(|task| task.row.id.clone()), expected, "claim from {queue}\n{}", self.told());
        if let Some(id) = &expected {
            self.model.claim(id, agent);
        }
        (format!("claim {expected:?} from {queue} by {agent} for"), true, Ok(got))
    }

    async fn submit(&mut self, id: &str, no: u64) -> (String, bool, Answer) {
        let (commits, burnt) = (self.random.percent(50), self.random.percent(15));
        let oid = |byte: u8| Oid::from_bytes(&[byte; 20]);
        let work = Submission {
            commits: i64::from(commits),
            turns: 5,
            base: oid(1),
            head: if commits { oid(2) } else { None },
            out_of_turns: burnt,
            ..Submission::default()
        };
        let expected = self.model.submit(id, commits, burnt);
        let done = self.write(move |unit| submit(unit, no, &Holds::default(), &Expect::default(), &work)).await;
        (format!("submit commits={commits} burnt={burnt}"), expected, done)
    }

    async fn expire(&mut self, id: &str, no: u64) -> (String, bool, Answer) {
        let holder = self.row(no).holder.map(|holder| RecordId(holder.record));
        let Some(of) = holder else { return ("expire nobody".to_owned(), true, Ok(None)) };
        let expected = self.model.release(id);
        let done = self.store.write(move |unit| expire(unit, of)).await.expect("store");
        ("expire".to_owned(), expected, done.map_err(Refused::from))
    }

    async fn moved(&mut self, id: &str, no: u64) -> (String, bool, Answer) {
        let queues =
            [Queue::Failed, Queue::Blocked, Queue::Backlog, Queue::NeedsContinuation, Queue::Done, Queue::Cancelled, Queue::Incoming];
        let queue = self.random.pick(&queues).clone();
        let expected = self.model.step(id, queue.as_str());
        let what = format!("move to {}", queue.as_str());
        let step = Move { queue, cause: Cause::Edit, by: "me".to_owned(), reason: String::new(), keep: None };
        (what, expected, self.write(move |unit| move_to(unit, no, step)).await)
    }

    async fn merged(&mut self, id: &str, no: u64) -> (String, bool, Answer) {
        let row = self.row(no);
        let Some(of) = row.accept.filter(|_| row.needs_merge) else { return ("merge nothing".to_owned(), true, Ok(None)) };
        let expected = self.model.merged(id);
        let commit = Oid::from_bytes(&[3; 20]);
        ("merged".to_owned(), expected, self.write(move |unit| merged(unit, no, RecordId(of), commit)).await)
    }

    async fn edit(&mut self, id: &str, no: u64) -> (String, bool, Answer) {
        let title = format!("title {}", self.random.below(1000));
        let priority = *self.random.pick(PRIORITIES);
        let wanted = self.random.percent(50).then(|| self.some_blockers());
        let added: Vec<String> = match &wanted {
            Some(wanted) => wanted.iter().filter(|blocker| !self.model.tasks[id].blocked_by.contains(*blocker)).cloned().collect(),
            None => Vec::new(),
        };
        let queue = self.random.percent(20).then_some(Queue::Cancelled);
        let finished = matches!(self.model.tasks[id].work, Work::Done { .. });
        let expected = self.model.may_wait_for(id, &added) && !(finished && queue.is_some());
        let mut edits = vec![Edit::set("title", title.as_str()), Edit::set("priority", Value::from(priority))];
        if self.random.percent(30) {
            edits.push(Edit::content(&title));
        }
        if expected {
            let shown = self.model.open_blockers(id);
            let task = self.model.tasks.get_mut(id).expect("a listed task");
            (task.title, task.priority) = (title, priority.to_owned());
            if let Some(wanted) = &wanted {
                task.blocked_by.retain(|blocker| wanted.contains(blocker) || !shown.contains(blocker));
                task.blocked_by.extend(added);
            }
            if queue.is_some() {
                task.work = Work::Cancelled;
            }
        }
        let what = format!("edit blockers={wanted:?} cancel={}", queue.is_some());
        let blocked_by = wanted.map(|wanted| wanted.into_iter().collect());
        let changes = Changes { edits, blocked_by, queue, by: "me".to_owned(), ..Changes::default() };
        (what, expected, self.write(move |unit| edit(unit, no, &Expect::default(), changes)).await)
    }

    fn row(&self, no: u64) -> TaskRow {
        self.store.reader().and_then(|reader| reader.row(no)).expect("read").expect("a row")
    }

    /// Compares every task and every total with the model.
    pub fn agree(&self) {
        let reader = self.store.reader().expect("reader");
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (id, task) in &self.model.tasks {
            let row = reader.row(task.no).expect("read").expect("a row");
            let told = || format!("task {id}\n{}\n{row:#?}\n{task:#?}", self.told());
            assert_eq!(row.listed, task.listed, "{}", told());
            if !task.listed {
                continue;
            }
            *counts.entry(task.queue().to_owned()).or_default() += 1;
            assert_eq!((row.queue.as_str(), row.epoch), (task.queue(), task.epoch), "{}", told());
            assert_eq!(row.holder.as_ref().map(|holder| holder.agent.as_str()), task.holder(), "{}", told());
            assert_eq!((row.attempt_count, row.rejection_count), (task.attempts, task.rejections), "{}", told());
            assert_eq!((row.failures, row.rejections, row.continuations), (task.failed, task.rejected, task.burnt), "{}", told());
            assert_eq!((row.text("title"), row.priority()), (Some(task.title.as_str()), task.priority.as_str()), "{}", told());
            assert_eq!(row.flag("needs_intervention"), task.flagged, "{}", told());
            assert_eq!(row.open_blockers, self.model.open_blockers(id), "{}", told());
            assert_eq!(row.created_ms, task.created_ms, "{}", told());
        }
        let mut shown = reader.queue_counts(None).expect("counts");
        shown.retain(|_, count| *count > 0);
        assert_eq!(shown, counts, "{}", self.told());
        for (queue, count) in counts {
            let filter = Filter { queues: vec![queue], ..Filter::default() };
            assert_eq!(reader.list(&filter, Sort::Newest, 0, 0).expect("list").total, count);
        }
    }

    /// After a power cut: every row as it was acknowledged, unless another task's end has changed what blocks it.
    pub fn remember(&self) {
        let reader = self.store.reader().expect("reader");
        for (no, known) in &self.rows {
            let row = reader.row(*no).expect("read").expect("an acknowledged row");
            let known_deleted = self.model.tasks.values().any(|task| task.no == *no && !task.listed);
            if !known_deleted {
                assert_eq!((row.version, row.heads, &row.fields), (known.version, known.heads, &known.fields), "{}", self.told());
            }
        }
        self.agree();
    }

    pub fn sound(&self) {
        assert_eq!(self.store.check().expect("examined").problems, Vec::<String>::new(), "{}", self.told());
    }
}

fn run(seed: u64, steps: u64) {
    let mut random = Random::new(seed);
    let disk = Disk::default();
    let store = open(&disk, &mut random).expect("store");
    let mut machine = Machine::new(store, random);
    for step in 0..steps {
        block_on(machine.step());
        if machine.random.percent(5) {
            let Machine { store, model, mut random, rows, mut trace } = machine;
            trace.push("power cut".to_owned());
            disk.crash(&mut random);
            store.close();
            let store = open(&disk, &mut random).expect("the store after a power cut");
            machine = Machine { store, model, random, rows, trace };
            machine.remember();
        }
        if step % 40 == 39 {
            machine.sound();
        }
    }
    machine.sound();
    machine.store.close();
}

/// Tells the seed of what fails, so that it can be run again alone.
pub fn with_seed(seed: u64, run: impl FnOnce(u64)) {
    struct Told(u64);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the seed was {}", self.0);
            }
        }
    }
    let _told = Told(seed);
    run(seed);
}

#[test]
fn any_sequence_of_commands_and_power_cuts_leaves_what_the_model_says() {
    for seed in 0..40 {
        with_seed(seed, |seed| run(seed, 120));
    }
}
