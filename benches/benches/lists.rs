//! Lists: the first 50 of ever more tasks with the total, by each filter.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use octopoid_node::{
    ops::claim::{Claimant, claim_next},
    store::{Filter, Sort, index::Facet},
};

use crate::filled::Filled;

mod filled;

/// How many tasks there are, one after the other in the same store.
const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
/// One task in so many is claimed.
const CLAIMED: u64 = 100;

/// Has one task in [`CLAIMED`] claimed by one agent.
fn claim_some(filled: &Filled, claimed: u64, wanted: u64) {
    let claimant = Claimant {
        agent: "agent-1".to_owned(),
        orchestrator: "bench".to_owned(),
        ttl_seconds: 3_600,
        queue: "incoming".to_owned(),
        scope: "default".to_owned(),
        ..Claimant::default()
    };
    filled.write(move |unit| (claimed..wanted).try_for_each(|_| claim_next(unit, &claimant).map(|task| drop(task.expect("one waits")))));
}

fn filters() -> Vec<(&'static str, Filter, Sort)> {
    let one = |value: &str| vec![value.to_owned()];
    let any = Filter::default;
    vec![
        ("everything", any(), Sort::Newest),
        ("scope", Filter { scopes: one("default"), ..any() }, Sort::Newest),
        ("queue", Filter { queues: one("incoming"), ..any() }, Sort::Newest),
        ("queue, by priority", Filter { queues: one("incoming"), ..any() }, Sort::Priority),
        ("priority", Filter { priorities: one("P1"), ..any() }, Sort::Newest),
        ("role", Filter { roles: one("test"), ..any() }, Sort::Newest),
        ("project", Filter { facet: Some((Facet::Project, one("store"))), ..any() }, Sort::Newest),
        ("claimed_by", Filter { facet: Some((Facet::ClaimedBy, one("agent-1"))), ..any() }, Sort::Newest),
    ]
}

fn lists(criterion: &mut Criterion) {
    let mut filled = Filled::new();
    let mut claimed = 0;
    for size in SIZES {
        filled.grow_to(size, 0);
        claim_some(&filled, claimed, size / CLAIMED);
        claimed = size / CLAIMED;
        let store = filled.store();
        for (name, filter, sort) in filters() {
            let page = store.reader().and_then(|reader| reader.list(&filter, sort, 0, 50)).expect("a list");
            assert!(page.total >= page.tasks.len() as u64 && !page.tasks.is_empty(), "{name} lists {}", page.total);
            criterion.bench_function(&format!("list 50/by {name}/{size} tasks"), |bencher| {
                bencher.iter(|| store.reader().and_then(|reader| reader.list(&filter, sort, 0, 50)));
            });
        }
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(500))
}

criterion_group! { name = benches; config = quick(); targets = lists }
criterion_main!(benches);
