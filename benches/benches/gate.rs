//! The document gate: what a change from another node costs, and what a bomb costs.

use std::{fs, path::Path};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use octopoid_crdt::{
    document::{Actor, Document, Edit, Fields, History},
    ids::{AuthorKey, SessionId},
};

/// A body's name, lines, and bytes in a line with its break.
type Body = (&'static str, usize, usize);

const BODIES: [Body; 5] = [
    ("small", 3, 20),
    ("2 KiB", 50, 40),
    ("20 KiB", 500, 40),
    ("128 KiB in 80-byte lines", 1_638, 80),
    ("128 KiB in 4,096 lines", 4_096, 32),
];

fn actor(n: u8) -> Actor {
    Actor { author: AuthorKey([n; 32]), session: SessionId([n; 16]) }
}

fn task(lines: usize, bytes: usize) -> Fields {
    let body: Vec<String> = (0..lines).map(|n| format!("{n:0>width$}", width = bytes - 1)).collect();
    Fields::default().with("title", "Add login").with("priority", "P2").with("role", "implement").with_content(body.join("\n"))
}

fn admit(criterion: &mut Criterion) {
    for (name, lines, bytes) in BODIES {
        let (document, create) = Document::create(actor(1), &task(lines, bytes)).expect("create");
        criterion.bench_function(&format!("gate/create/{name}"), |bencher| {
            bencher.iter_batched(Document::empty, |mut document| document.admit(&create, actor(1)), BatchSize::SmallInput);
        });
        let edit = document.clone().edit(actor(2), &[Edit::set("title", "Add sign-in")]).expect("edit").remove(0);
        criterion.bench_function(&format!("gate/edit/{name}"), |bencher| {
            bencher.iter_batched(|| document.clone(), |mut document| document.admit(&edit, actor(2)), BatchSize::SmallInput);
        });
        let mut ahead = document.clone();
        ahead.edit(actor(3), &[Edit::set("role", "fix")]).expect("edit");
        criterion.bench_function(&format!("gate/concurrent/{name}"), |bencher| {
            bencher.iter_batched(|| ahead.clone(), |mut document| document.admit(&edit, actor(2)), BatchSize::SmallInput);
        });
    }
}

fn documents(criterion: &mut Criterion) {
    let fields = task(50, 40);
    criterion.bench_function("document/create", |bencher| bencher.iter(|| Document::create(actor(1), &fields)));
    let (document, _) = Document::create(actor(1), &fields).expect("create");
    let stored = document.save();
    criterion.bench_function("document/load", |bencher| bencher.iter(|| Document::load_stored(&stored)));
    criterion.bench_function("document/save", |bencher| bencher.iter(|| document.save()));
    criterion.bench_function("document/fields", |bencher| bencher.iter(|| document.fields()));
    criterion.bench_function("document/load and edit", |bencher| {
        bencher.iter(|| Document::load_stored(&stored).map(|mut document| document.edit(actor(1), &[Edit::set("title", "x")])));
    });
}

fn bombs(criterion: &mut Criterion) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crdt/tests/golden/gate");
    for name in ["ten_million_operations", "deflated_chunk", "greatest_start_op", "long_keys_in_a_run", "many_actors", "many_deps"] {
        let change = fs::read(golden.join(format!("{name}.change"))).expect(name);
        criterion.bench_function(&format!("gate/bomb/{name}"), |bencher| {
            bencher.iter_batched(History::default, |mut history| history.insert(&change, actor(2)), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, admit, documents, bombs);
criterion_main!(benches);
