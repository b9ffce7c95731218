//! The store: durable commits of one and of many operations, and the choice of the next task.

use std::{cell::RefCell, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use octopoid_node::{
    ops::{
        Expect, Refused,
        claim::{Claimant, Holds, choose, claim_next},
        create::create,
        finish::{Submission, submit},
        judge::accept,
    },
    store::{TaskNo, Unit},
};

use crate::filled::Filled;

mod filled;

/// How many tasks wait, so that the choice is among many.
const OPEN: u64 = 10_000;
/// A body as tasks have it.
const BODY: usize = 2_000;

fn claimant() -> Claimant {
    Claimant {
        agent: "agent-1".to_owned(),
        orchestrator: "bench".to_owned(),
        ttl_seconds: 3_600,
        queue: "incoming".to_owned(),
        scope: "default".to_owned(),
        ..Claimant::default()
    }
}

/// Tasks that wait, and more when they run out.
struct Supply {
    filled: Filled,
    made: u64,
    taken: u64,
}

impl Supply {
    fn new() -> Self {
        let mut filled = Filled::new();
        filled.grow_to(OPEN, BODY);
        assert_eq!(filled.store().reader().expect("reader").queue_counts(None).expect("counts").get("incoming"), Some(&OPEN));
        Self { filled, made: OPEN, taken: 0 }
    }

    /// Makes sure that so many tasks can be taken and that many still wait then.
    fn reserve(&mut self, count: u64) {
        self.taken += count;
        if self.made < self.taken + OPEN / 2 {
            self.made = self.taken + OPEN;
            self.filled.grow_to(self.made, BODY);
        }
    }

    fn claim(&self, count: u64) -> Vec<TaskNo> {
        self.filled.write(move |unit| claim(unit, count))
    }

    fn step(&self, tasks: Vec<TaskNo>, step: fn(&mut Unit<'_>, TaskNo) -> Result<(), Refused>) -> Vec<TaskNo> {
        self.filled.write(move |unit| {
            tasks.iter().try_for_each(|no| step(unit, *no))?;
            Ok(tasks)
        })
    }
}

fn claim(unit: &mut Unit<'_>, count: u64) -> Result<Vec<TaskNo>, Refused> {
    (0..count).map(|_| Ok(claim_next(unit, &claimant())?.expect("a task waits").no)).collect()
}

fn hand_in(unit: &mut Unit<'_>, no: TaskNo) -> Result<(), Refused> {
    let work = Submission { commits: 1, turns: 5, ..Submission::default() };
    submit(unit, no, &Holds::default(), &Expect::default(), &work).map(drop)
}

fn approve(unit: &mut Unit<'_>, no: TaskNo) -> Result<(), Refused> {
    accept(unit, no, None, "bench", "").map(drop)
}

fn store(criterion: &mut Criterion) {
    let supply = RefCell::new(Supply::new());
    for count in [1, 32] {
        criterion.bench_function(&format!("store/claim/{count} in one commit"), |bencher| {
            bencher.iter_batched(|| supply.borrow_mut().reserve(count), |()| supply.borrow().claim(count), BatchSize::PerIteration);
        });
        let claimed = || {
            supply.borrow_mut().reserve(count);
            supply.borrow().claim(count)
        };
        criterion.bench_function(&format!("store/submit/{count} in one commit"), |bencher| {
            bencher.iter_batched(claimed, |tasks| supply.borrow().step(tasks, hand_in), BatchSize::PerIteration);
        });
        criterion.bench_function(&format!("store/accept/{count} in one commit"), |bencher| {
            let submitted = || {
                let tasks = claimed();
                supply.borrow().step(tasks, hand_in)
            };
            bencher.iter_batched(submitted, |tasks| supply.borrow().step(tasks, approve), BatchSize::PerIteration);
        });
    }
    criterion.bench_function("store/choose among 5,000 and more", |bencher| {
        let supply = supply.borrow();
        bencher.iter(|| supply.filled.write(|unit| Ok(choose(unit, &claimant())?)));
    });
}

fn creates(criterion: &mut Criterion) {
    let filled = RefCell::new(Filled::new());
    for count in [1, 32] {
        criterion.bench_function(&format!("store/create with 2 kB/{count} in one commit"), |bencher| {
            let prepare = || (0..count).map(|_| filled.borrow_mut().prepare(BODY)).collect::<Vec<_>>();
            let make = |tasks: Vec<_>| {
                filled.borrow().write(move |unit| tasks.into_iter().try_for_each(|task| create(unit, task).map(drop)));
            };
            bencher.iter_batched(prepare, make, BatchSize::PerIteration);
        });
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = quick(); targets = store, creates }
criterion_main!(benches);
