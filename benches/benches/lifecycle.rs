//! The lifecycle: what judging the next record and resolving the task costs, for tasks that were tried more and more often.

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use octopoid_crdt::{
    ids::{AuthorKey, RecordId, SessionId, Subject},
    lifecycle::{Act, Entry, Past, Removals, Standing, TaskLog},
    record::Access,
};

const AUTHOR: AuthorKey = AuthorKey([7; 32]);
const SIZES: [usize; 3] = [4, 50, 500];

fn id(number: usize) -> RecordId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    RecordId(bytes)
}

fn standing(number: usize) -> Standing {
    Standing { access: Some(Access::Admin), policy: None, session: SessionId([1; 16]), seq: number as u64, removals: Past::default() }
}

/// Judges the next record of a task whose author has seen everything, or only the first records of the log.
fn judge(log: &TaskLog, act: Act, seen: Option<u32>) -> Entry {
    let past = seen.map_or_else(|| log.everything(), Past::below);
    log.judge(id(log.len()), AUTHOR, past, act, standing(log.len()), &Removals::none())
}

/// Makes a task that is claimed, submitted and rejected until its log has so many records; every one counts.
fn log(records: usize) -> TaskLog {
    let mut log = TaskLog::new(Subject([9; 32]));
    while log.len() < records {
        let last = id(log.len().saturating_sub(1));
        let act = match log.len() {
            0 => Act::Create,
            number if number % 3 == 1 => Act::Claim { epoch: (number / 3 + 1) as u64, agent: "agent-1".to_owned() },
            number if number % 3 == 2 => Act::Submit { claim: last, base: None, head: None },
            _ => Act::Reject { on: last },
        };
        let entry = judge(&log, act, None);
        assert!(entry.counts(), "record {} does not count: {:?}", log.len(), entry.verdict);
        log.push(entry);
    }
    log
}

fn lifecycle(criterion: &mut Criterion) {
    for size in SIZES {
        let log = log(size);
        criterion.bench_function(&format!("lifecycle/judge, push and resolve/{size} records"), |bencher| {
            let next = |mut log: TaskLog| {
                let entry = judge(&log, Act::Cancel, None);
                log.push(entry);
                (log.resolve(&Removals::none()), log)
            };
            bencher.iter_batched(|| log.clone(), next, BatchSize::SmallInput);
        });
        let half = u32::try_from(size / 2).expect("a small number");
        criterion.bench_function(&format!("lifecycle/judge a late record/{size} records"), |bencher| {
            bencher.iter(|| judge(black_box(&log), Act::Cancel, Some(half)));
        });
        criterion.bench_function(&format!("lifecycle/load and resolve/{size} records"), |bencher| {
            let load = |entries| TaskLog::from_entries(log.task(), entries).resolve(&Removals::none());
            bencher.iter_batched(|| log.entries().to_vec(), load, BatchSize::SmallInput);
        });
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = quick(); targets = lifecycle }
criterion_main!(benches);
