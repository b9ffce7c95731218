//! Random calls on a few tasks against a simple model of their state machine.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};

use crate::support::Node;

const IDS: [&str; 3] = ["t0", "t1", "t2"];
const AGENTS: [&str; 2] = ["ann", "bob"];
const PRIORITIES: [&str; 2] = ["P1", "P2"];
const QUEUES: [&str; 9] = ["incoming", "claimed", "provisional", "done", "cancelled", "failed", "blocked", "backlog", "needs_continuation"];

/// One call. Numbers are places in the lists above.
#[derive(Debug, Clone)]
enum Call {
    Create { id: usize, priority: usize, queue: usize, blocker: Option<usize> },
    Claim { agent: usize, queue: usize },
    Submit { id: usize, agent: usize, burnt_out: bool },
    Accept(usize),
    Reject(usize),
    Requeue(usize),
    Release { id: usize, agent: usize },
    Renew { id: usize, agent: usize },
    Cancel(usize),
    Force { id: usize, queue: usize },
    Patch { id: usize, queue: usize },
    TakeBack(usize),
    Delete(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let (id, queue) = (0..IDS.len(), 0..QUEUES.len());
    // Mostly the same one, so that it often is the holder.
    let agent = prop_oneof![4 => Just(0), 1 => Just(1)];
    // Mostly where work begins, so that most sequences get far.
    let first = prop_oneof![4 => Just(0), 1 => queue.clone()];
    prop_oneof![
        6 => (id.clone(), 0..PRIORITIES.len(), first.clone(), proptest::option::weighted(0.3, id.clone()))
            .prop_map(|(id, priority, queue, blocker)| Call::Create { id, priority, queue, blocker }),
        8 => (agent.clone(), prop_oneof![5 => Just(0), 3 => Just(2), 1 => Just(8)]).prop_map(|(agent, queue)| Call::Claim { agent, queue }),
        6 => (id.clone(), agent.clone(), prop::bool::weighted(0.2))
            .prop_map(|(id, agent, burnt_out)| Call::Submit { id, agent, burnt_out }),
        3 => id.clone().prop_map(Call::Accept),
        3 => id.clone().prop_map(Call::Reject),
        2 => id.clone().prop_map(Call::Requeue),
        3 => (id.clone(), agent.clone()).prop_map(|(id, agent)| Call::Release { id, agent }),
        1 => (id.clone(), agent).prop_map(|(id, agent)| Call::Renew { id, agent }),
        1 => id.clone().prop_map(Call::Cancel),
        2 => (id.clone(), queue.clone()).prop_map(|(id, queue)| Call::Force { id, queue }),
        2 => (id.clone(), queue).prop_map(|(id, queue)| Call::Patch { id, queue }),
        1 => id.clone().prop_map(Call::TakeBack),
        1 => id.prop_map(Call::Delete),
    ]
}

/// What the model knows of a task.
#[derive(Debug, Clone, Default)]
struct Task {
    queue: String,
    /// Where it waits when its claim is given back.
    waits_in: String,
    holder: Option<String>,
    /// Work was submitted and waits for a verdict.
    submitted: bool,
    blocker: Option<String>,
    priority: String,
    created_at: String,
    attempts: u64,
    rejections: u64,
}

impl Task {
    fn is_over(&self) -> bool {
        matches!(self.queue.as_str(), "done" | "cancelled")
    }

    fn is_judged_here(&self) -> bool {
        matches!(self.queue.as_str(), "claimed" | "provisional")
    }

    /// Puts it somewhere, whatever was under way.
    fn put(&mut self, queue: &str) {
        (self.holder, self.submitted) = (None, false);
        queue.clone_into(&mut self.queue);
        if !self.is_over() {
            queue.clone_into(&mut self.waits_in);
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    tasks: BTreeMap<String, Task>,
    /// Every id that was ever used, with the number of its claims.
    epochs: BTreeMap<String, u64>,
}

/// What a call must answer.
type Expected = u16;

impl Model {
    fn blocks(&self, id: &str) -> bool {
        self.tasks.get(id).is_some_and(|task| !task.is_over())
    }

    fn open_blocker(&self, task: &Task) -> Option<String> {
        task.blocker.clone().filter(|blocker| self.blocks(blocker))
    }

    /// Tasks that a claim may take: the first by priority, and of those the oldest; several where a millisecond made several.
    fn claimable(&self, queue: &str) -> BTreeSet<String> {
        let fits = |task: &&Task| match queue {
            "provisional" => task.submitted && task.holder.is_none(),
            _ => self.open_blocker(task).is_none(),
        };
        let waiting: Vec<(&String, &Task)> = self.tasks.iter().filter(|(_, task)| task.queue == queue && fits(task)).collect();
        let first = waiting.iter().map(|(_, task)| (&task.priority, &task.created_at)).min();
        waiting.iter().filter(|(_, task)| Some((&task.priority, &task.created_at)) == first).map(|(id, _)| (*id).clone()).collect()
    }

    fn create(&mut self, id: &str, priority: &str, queue: &str, blocker: Option<&str>) -> Expected {
        if queue == "claimed" {
            return 400;
        }
        if self.tasks.contains_key(id) {
            return 409;
        }
        if blocker.is_some_and(|blocker| !self.epochs.contains_key(blocker)) {
            return 400;
        }
        let mut task =
            Task { priority: priority.to_owned(), blocker: blocker.map(str::to_owned), waits_in: "incoming".to_owned(), ..Task::default() };
        task.put(queue);
        self.tasks.insert(id.to_owned(), task);
        self.epochs.entry(id.to_owned()).or_default();
        201
    }

    /// Judges a step of one task.
    fn step(&mut self, call: &Call, id: &str) -> Expected {
        let Some(task) = self.tasks.get_mut(id) else {
            // What a body says is looked at first.
            return if matches!(call, Call::Force { queue, .. } if QUEUES[*queue] == "claimed") { 400 } else { 404 };
        };
        match *call {
            Call::Submit { agent, burnt_out, .. } if task.queue == "claimed" && task.holder.as_deref() == Some(AGENTS[agent]) => {
                task.put(if burnt_out { "needs_continuation" } else { "provisional" });
                task.submitted = !burnt_out;
            }
            Call::Accept(_) if task.is_judged_here() => task.put("done"),
            Call::Reject(_) if task.is_judged_here() => {
                task.put("incoming");
                task.rejections += 1;
            }
            Call::Requeue(_) if task.is_judged_here() => {
                task.put("incoming");
                task.attempts += 1;
            }
            Call::Release { agent, .. } if task.holder.as_deref() == Some(AGENTS[agent]) => task.give_back(),
            Call::Renew { agent, .. } if task.holder.as_deref() == Some(AGENTS[agent]) => {}
            Call::Cancel(_) if !task.is_over() => task.put("cancelled"),
            Call::Force { queue, .. } => match QUEUES[queue] {
                "claimed" => return 400,
                "done" | "cancelled" if task.is_over() => return 409,
                queue => task.put(queue),
            },
            Call::Patch { queue, .. } => match QUEUES[queue] {
                "done" | "claimed" => return 400,
                queue if queue == task.queue => {}
                "cancelled" if task.is_over() => return 409,
                queue => task.put(queue),
            },
            Call::TakeBack(_) => task.give_back(),
            Call::Delete(_) => drop(self.tasks.remove(id)),
            Call::Create { .. }
            | Call::Claim { .. }
            | Call::Submit { .. }
            | Call::Accept(_)
            | Call::Reject(_)
            | Call::Requeue(_)
            | Call::Release { .. }
            | Call::Renew { .. }
            | Call::Cancel(_) => return 409,
        }
        200
    }

    fn claimed(&mut self, id: &str, agent: &str, queue: &str) {
        let task = self.tasks.get_mut(id).expect("a task that waits");
        task.holder = Some(agent.to_owned());
        if queue != "provisional" {
            task.queue = "claimed".to_owned();
            *self.epochs.get_mut(id).expect("a known id") += 1;
        }
    }

    fn shown(&self) -> Vec<Value> {
        let show = |(id, task): (&String, &Task)| {
            json!({ "id": id, "queue": task.queue, "claimed_by": task.holder, "attempt_count": task.attempts, "rejection_count": task.rejections,
                "blocked_by": self.open_blocker(task), "done": task.queue == "done", "epoch": self.epochs[id], "priority": task.priority })
        };
        self.tasks.iter().map(show).collect()
    }
}

impl Task {
    fn give_back(&mut self) {
        self.holder = None;
        if self.queue == "claimed" {
            self.queue.clone_from(&self.waits_in);
        }
    }
}

async fn told(node: &Node) -> Vec<Value> {
    let list = node.get("/api/v1/tasks").await.is(200);
    let mut tasks: Vec<Value> = list["tasks"].as_array().expect("tasks").clone();
    tasks.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    let show = |task: &Value| {
        json!({ "id": task["id"], "queue": task["queue"], "claimed_by": task["claimed_by"], "attempt_count": task["attempt_count"],
            "rejection_count": task["rejection_count"], "blocked_by": task["blocked_by"], "done": task["completed_at"].is_string(),
            "epoch": task["epoch"], "priority": task["priority"] })
    };
    tasks.iter().map(show).collect()
}

async fn send(node: &Node, model: &mut Model, call: &Call) -> Result<(), TestCaseError> {
    let (id, answer) = match *call {
        Call::Create { id, priority, queue, blocker } => {
            // Only earlier ones, so that there is no circle.
            let blocker = blocker.filter(|blocker| *blocker < id).map(|blocker| IDS[blocker]);
            let body = json!({ "id": IDS[id], "file_path": "t.md", "priority": PRIORITIES[priority], "queue": QUEUES[queue], "blocked_by": blocker });
            let answer = node.post("/api/v1/tasks", body).await;
            let expected = model.create(IDS[id], PRIORITIES[priority], QUEUES[queue], blocker);
            prop_assert_eq!(answer.status.as_u16(), expected, "{:?}: {}", call, answer.text);
            if expected == 201 {
                let task = model.tasks.get_mut(IDS[id]).expect("a new task");
                answer.body["created_at"].as_str().expect("a time").clone_into(&mut task.created_at);
            }
            return Ok(());
        }
        Call::Claim { agent, queue } => {
            let (agent, queue) = (AGENTS[agent], QUEUES[queue]);
            let candidates = model.claimable(queue);
            let body = json!({ "orchestrator_id": "o", "agent_name": agent, "queue": queue });
            let answer = node.post("/api/v1/tasks/claim", body).await;
            prop_assert_eq!(answer.status.as_u16(), if candidates.is_empty() { 404 } else { 200 }, "{:?}: {}", call, answer.text);
            if let Some(id) = answer.body["id"].as_str() {
                prop_assert!(candidates.contains(id), "{:?} took {}, not one of {:?}", call, id, candidates);
                model.claimed(id, agent, queue);
            }
            return Ok(());
        }
        Call::Submit { id, agent, burnt_out } => {
            let body = json!({ "commits_count": 0, "turns_used": if burnt_out { 80 } else { 79 }, "agent_name": AGENTS[agent] });
            (id, node.post(&format!("/api/v1/tasks/{}/submit", IDS[id]), body).await)
        }
        Call::Accept(id) => (id, act(node, id, "accept", json!({ "accepted_by": "r" })).await),
        Call::Reject(id) => (id, act(node, id, "reject", json!({ "rejected_by": "r", "reason": "no" })).await),
        Call::Requeue(id) => (id, act(node, id, "requeue", json!({})).await),
        Call::Release { id, agent } => (id, act(node, id, "release", json!({ "agent_name": AGENTS[agent] })).await),
        Call::Renew { id, agent } => (id, act(node, id, "renew", json!({ "agent_name": AGENTS[agent] })).await),
        Call::Cancel(id) => (id, act(node, id, "cancel", json!({ "reason": "no need" })).await),
        Call::Force { id, queue } => (id, act(node, id, "force-queue", json!({ "queue": QUEUES[queue], "reason": "by hand" })).await),
        Call::Patch { id, queue } => (id, node.patch(&format!("/api/v1/tasks/{}", IDS[id]), json!({ "queue": QUEUES[queue] })).await),
        Call::TakeBack(id) => (id, node.patch(&format!("/api/v1/tasks/{}", IDS[id]), json!({ "claimed_by": null })).await),
        Call::Delete(id) => (id, node.delete(&format!("/api/v1/tasks/{}", IDS[id])).await),
    };
    let expected = model.step(call, IDS[id]);
    prop_assert_eq!(answer.status.as_u16(), expected, "{:?}: {}", call, answer.text);
    if expected == 409 {
        prop_assert!(answer.body["details"].as_array().is_some_and(|details| !details.is_empty()), "{}", answer.text);
    }
    Ok(())
}

async fn act(node: &Node, id: usize, what: &str, body: Value) -> crate::support::Answer {
    node.post(&format!("/api/v1/tasks/{}/{what}", IDS[id]), body).await
}

fn cases() -> ProptestConfig {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest/regressions.txt");
    ProptestConfig { cases: 32, failure_persistence: Some(Box::new(FileFailurePersistence::Direct(path))), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_sequence_of_calls_leaves_the_tasks_as_the_model_has_them(calls in prop::collection::vec(call(), 30..120)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (node, mut model) = (Node::start(), Model::default());
            for call in &calls {
                send(&node, &mut model, call).await?;
                prop_assert_eq!(told(&node).await, model.shown(), "after {:?}", call);
            }
            let problems = node.store.check().expect("examined").problems;
            prop_assert_eq!(problems, Vec::<String>::new());
            Ok(())
        })?;
    }
}
