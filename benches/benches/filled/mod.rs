//! A store with tasks in it, for benches.

use octopoid_crdt::document::Fields;
use octopoid_crdt::ids::{Name, SessionId};
use octopoid_crdt::record::{Queue, Signer};
use octopoid_node::ops::Refused;
use octopoid_node::ops::create::{NewTask, create};
use octopoid_node::store::{Identity, Store, Unit};
use tokio::runtime::Runtime;

/// How many tasks one commit makes.
const BATCH: u64 = 500;
const PRIORITIES: [&str; 4] = ["P0", "P1", "P2", "P3"];
const ROLES: [&str; 5] = ["implement", "test", "fix", "research", "docs"];
const PROJECTS: [&str; 7] = ["api", "cli", "docs", "git", "net", "store", "web"];

/// A store below TMPDIR and the tasks that it got so far.
pub struct Filled {
    store: Store,
    runtime: Runtime,
    count: u64,
    _folder: tempfile::TempDir,
}

impl Filled {
    /// Makes an empty store.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("scratch folder");
        let identity = Identity { signer: Signer::from_seed(&[7; 32]), session: SessionId([1; 16]), nonce: [1; 16], root_commit: None };
        let store = Store::open(&folder.path().join("octopoid.redb"), identity, true).expect("store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        Self { store, runtime, count: 0, _folder: folder }
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Prepares the next task, with a body of so many bytes.
    pub fn prepare(&mut self, body: usize) -> NewTask {
        let number = self.count;
        self.count += 1;
        let pick = |values: &[&'static str]| values[usize::try_from(number).expect("a small number") % values.len()];
        let fields = Fields::default().with("title", format!("Task number {number}")).with("file_path", format!("tasks/{number}.md"));
        let fields = fields.with("priority", pick(&PRIORITIES)).with("role", pick(&ROLES)).with("project_id", pick(&PROJECTS));
        let lines: Vec<_> = (0..body.div_ceil(50)).map(|line| format!("{line:>49}")).collect();
        let fields = if body == 0 { fields } else { fields.with_content(lines.join("\n")) };
        let scope: Name = "default".parse().expect("a name");
        let id = format!("task-{number:08}").parse().expect("a name");
        NewTask::new(self.store.actor(), scope, id, Queue::Incoming, "bench".to_owned(), &fields).expect("a task")
    }

    /// Makes tasks until there are so many.
    pub fn grow_to(&mut self, count: u64, body: usize) {
        while self.count < count {
            let batch: Vec<_> = (self.count..count.min(self.count + BATCH)).map(|_| self.prepare(body)).collect();
            self.write(move |unit| batch.into_iter().try_for_each(|task| create(unit, task).map(drop)));
        }
    }

    /// Runs an operation that must not be refused, and waits for its commit.
    pub fn write<T: Send + 'static>(&self, operation: impl FnOnce(&mut Unit<'_>) -> Result<T, Refused> + Send + 'static) -> T {
        self.runtime.block_on(self.store.write(operation)).expect("the store writes").expect("the operation is allowed")
    }
}
