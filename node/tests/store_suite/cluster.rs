//! Several stores of one cluster, whose records are carried between them by hand.

use std::path::Path;

use octopoid_crdt::chain::ApplyError;
use octopoid_crdt::ids::{AuthorKey, ClusterId};
use octopoid_crdt::record::{Access, Signer, Verified};
use octopoid_node::ops::members::{Admission, join};
use octopoid_node::store::{Identity, Incoming, ReceiveError, Received, Store, TaskRow};
use redb::Database;
use redb::backends::InMemoryBackend;

use crate::world::{Random, block_on, identity_of};

fn memory() -> Database {
    Database::builder().create_with_backend(InMemoryBackend::new()).expect("database")
}

/// A store that founds a cluster.
pub fn found(node: u8, random: &mut Random) -> Store {
    Store::with(memory(), Path::new("memory"), identity_of(node, random), true).expect("store")
}

/// An empty store of a cluster that somebody else founded.
pub fn outside(node: u8, cluster: ClusterId, random: &mut Random) -> Store {
    Store::join_with(memory(), Path::new("memory"), identity_of(node, random), cluster, true).expect("store")
}

/// A second, empty store of a node's key and session.
pub fn twin_of(store: &Store, node: u8) -> Store {
    let identity = Identity { signer: Signer::from_seed(&[node; 32]), session: store.actor().session, nonce: [0; 16], root_commit: None };
    assert_eq!(identity.signer.author(), store.me());
    Store::join_with(memory(), Path::new("memory"), identity, store.cluster(), true).expect("store")
}

/// Lets a node in.
pub fn admit(admin: &Store, member: AuthorKey, access: Access, name: &str) {
    let admission = Admission { member, access, name: name.parse().expect("name"), invite: None };
    block_on(admin.write(move |unit| join(unit, admission))).expect("store").expect("admitted");
}

/// A cluster of workers around the store that founded it; all know of each other.
pub fn cluster(workers: u8, random: &mut Random) -> Vec<Store> {
    let mut stores = vec![found(1, random)];
    for node in 2..2 + workers {
        let store = outside(node, stores[0].cluster(), random);
        admit(&stores[0], store.me(), Access::Worker, &format!("node-{node}"));
        stores.push(store);
    }
    for index in 1..stores.len() {
        bring(&stores[0], &stores[index]);
    }
    stores
}

/// All records of a store, in its order.
pub fn records(store: &Store) -> Vec<Verified> {
    let reader = store.reader().expect("reader");
    let wires = reader.wires(0, usize::MAX).expect("read");
    wires.iter().map(|wire| Verified::check(store.cluster(), &wire.bytes).expect("a record")).collect()
}

/// Hands records in with one commit; tells how each fared.
pub fn receive(store: &Store, records: Vec<Verified>) -> Vec<Result<Received, ReceiveError>> {
    // Every other one is prepared, as it is before a first sync: it must make no difference.
    let incoming: Vec<Incoming> =
        (0..).zip(records).map(|(index, record)| if index % 2 == 0 { record.into() } else { Incoming::prepare(record) }).collect();
    block_on(store.receive(incoming)).expect("store")
}

/// Brings everything from one store to another.
pub fn bring(from: &Store, to: &Store) {
    for result in receive(to, records(from)) {
        result.expect("a record whose past is there");
    }
}

/// Hands records in again and again until all are held, in whatever order they are: what waits for others is refused.
pub fn receive_in_any_order(store: &Store, mut waiting: Vec<Verified>, random: &mut Random) {
    while !waiting.is_empty() {
        random.shuffle(&mut waiting);
        let size = usize::try_from(1 + random.below(12)).expect("size").min(waiting.len());
        let mut refused = Vec::new();
        let chunk: Vec<Verified> = waiting.drain(..size).collect();
        for (record, result) in chunk.iter().zip(receive(store, chunk.clone())) {
            match result {
                Ok(_) => {}
                Err(ReceiveError::Chain(ApplyError::Missing { ids })) => {
                    assert!(!ids.is_empty());
                    refused.push(record.clone());
                }
                Err(other) => panic!("{other}"),
            }
        }
        waiting.extend(refused);
    }
}

/// What every node must agree on: rows, bodies, list sizes, documents of other collections, entries.
#[derive(Debug, PartialEq)]
pub struct Portable {
    pub tasks: Vec<(TaskRow, Option<String>)>,
    pub documents: Vec<(TaskRow, Option<String>)>,
    pub sizes: Vec<String>,
    pub items: Vec<(String, String, String, [u8; 32])>,
    pub members: String,
    pub digest: [u8; 32],
}

impl Portable {
    pub fn of(store: &Store, collections: &[&str], documents: &[&str]) -> Self {
        let reader = store.reader().expect("reader");
        let shown = |no: u64, row: TaskRow| (row, reader.content(no).expect("read"));
        let ids = reader.ids_with_prefix("", usize::MAX).expect("read");
        let mut tasks: Vec<_> = ids.iter().map(|(_, _, no)| shown(*no, reader.row(*no).expect("read").expect("row"))).collect();
        tasks.sort_by(|a, b| (&a.0.scope, &a.0.id).cmp(&(&b.0.scope, &b.0.id)));
        let found = documents.iter().flat_map(|collection| reader.documents(collection, None).expect("read"));
        let documents = found.map(|(no, row)| shown(no, row)).collect();
        let buckets = reader.buckets().expect("read");
        let mut sizes: Vec<String> =
            buckets.iter().filter(|(_, _, size)| *size > 0).map(|(_, key, size)| format!("{key:?} {size}")).collect();
        sizes.sort();
        let items = collections.iter().flat_map(|collection| reader.items(collection, None).expect("read"));
        let items = items.map(|(scope, key, stored)| (scope, key, stored.json, stored.record)).collect();
        let members = format!("{:?}", store.membership());
        Self { tasks, documents, sizes, items, members, digest: reader.chains().expect("read").digest() }
    }
}

/// Asserts that the store agrees with its records.
pub fn assert_sound(store: &Store, what: &str) {
    assert_eq!(store.check().expect("examined").problems, Vec::<String>::new(), "{what}");
}
