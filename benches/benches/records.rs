//! Records: what it costs to write one, to sign it, to check one from a peer, and to read one from the own store.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use octopoid_crdt::{
    ids::{Name, RecordId, SessionId, Subject},
    record::{Body, Payload, Queue, Signer, Verified, cluster_id},
};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn payload(signer: &Signer, body: Body) -> Payload {
    Payload {
        author: signer.author(),
        session: SessionId([3; 16]),
        seq: 70_000,
        prev: Some(RecordId([5; 32])),
        subject: Subject::task(&name("default"), &name("task-1")),
        wall_ms: 1_800_000_000_000,
        deps: vec![RecordId([6; 32])],
        body,
    }
}

fn bodies() -> [(&'static str, Body); 3] {
    let claim = Body::Claim {
        epoch: 3,
        source: Queue::Incoming,
        agent: "implementer-1".to_owned(),
        orchestrator: "home-laptop".to_owned(),
        ttl_seconds: 300,
        base: None,
    };
    let create = |bytes| Body::TaskCreate { scope: name("default"), id: name("task-1"), change: vec![0x85; bytes], imported: None };
    [("claim", claim), ("create 2 kB", create(2_000)), ("create 128 KiB", create(128 * 1_024))]
}

fn records(criterion: &mut Criterion) {
    let signer = Signer::from_seed(&[7; 32]);
    let genesis = Body::Genesis { creator: signer.author(), nonce: [1; 16], root_commit: None };
    let cluster = cluster_id(&genesis).expect("a genesis founds a cluster");
    for (kind, body) in bodies() {
        let payload = payload(&signer, body);
        let record = Verified::sign(&signer, cluster, payload.clone()).expect("a record");
        let wire = record.wire().to_vec();
        criterion.bench_function(&format!("record/encode/{kind}"), |bencher| bencher.iter(|| black_box(&payload).encode()));
        criterion.bench_function(&format!("record/sign/{kind}"), |bencher| {
            bencher.iter(|| Verified::sign(&signer, cluster, payload.clone()));
        });
        criterion.bench_function(&format!("record/check/{kind}"), |bencher| bencher.iter(|| Verified::check(cluster, black_box(&wire))));
        criterion.bench_function(&format!("record/read from own store/{kind}"), |bencher| {
            bencher.iter(|| Verified::from_own_store(cluster, black_box(&wire)));
        });
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = quick(); targets = records }
criterion_main!(benches);
