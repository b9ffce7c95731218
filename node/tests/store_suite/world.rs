//! Randomness from a seed, and stores to play with.

use std::path::Path;

use octopoid_crdt::document::Fields;
use octopoid_crdt::ids::SessionId;
use octopoid_crdt::record::{Queue, Signer};
use octopoid_node::ops::create::{NewTask, create};
use octopoid_node::ops::{Refused, Snapshot};
use octopoid_node::store::{Identity, OpenError, Store, Unavailable};

use crate::disk::Disk;

/// SplitMix64: the same numbers from the same seed, everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        let index = self.below(among.len() as u64);
        &among[usize::try_from(index).expect("index")]
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).expect("index");
            list.swap(last, other);
        }
    }

    fn bytes(&mut self) -> [u8; 16] {
        let (a, b) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a);
        bytes[8..].copy_from_slice(&b);
        bytes
    }
}

/// The one node that these stores belong to, in a new session.
pub fn identity(random: &mut Random) -> Identity {
    identity_of(7, random)
}

/// One of several nodes, in a new session.
pub fn identity_of(node: u8, random: &mut Random) -> Identity {
    Identity { signer: Signer::from_seed(&[node; 32]), session: SessionId(random.bytes()), nonce: [1; 16], root_commit: None }
}

/// Opens the store on a disk.
pub fn open(disk: &Disk, random: &mut Random) -> Result<Store, OpenError> {
    let path = Path::new("memory");
    let database = disk.open().map_err(|error| OpenError::Store { path: path.to_owned(), source: error.into() })?;
    Store::with(database, path, identity(random), true)
}

/// A runtime that only waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

/// What a task of the tests begins with.
pub fn plain(title: &str, priority: &str, blockers: &[String]) -> Fields {
    let fields = Fields::default().with("title", title).with("priority", priority).with("role", "implement").with_content("do it");
    blockers.iter().fold(fields, |fields, blocker| fields.with_entry("blocked_by", blocker))
}

pub async fn add(store: &Store, scope: &str, id: &str, queue: Queue, fields: &Fields) -> Result<Result<Snapshot, Refused>, Unavailable> {
    let (scope, id) = (scope.parse().expect("scope"), id.parse().expect("id"));
    let task = NewTask::new(store.actor(), scope, id, queue, "test".to_owned(), fields).expect("a task within its limits");
    store.write(|unit| create(unit, task)).await
}
