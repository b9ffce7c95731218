//! Takes back what an operation did to a unit of work that others share, when it refuses after it has written.
//!
//! **Invariants**: after a refusal the unit is as it was before the operation; an operation that touches no task that
//! this unit had changed before copies nothing.

use std::collections::HashSet;

use octopoid_crdt::ids::Subject;

use super::items::{ItemKey, ItemRow};
use super::posts::PostKey;
use super::row::TaskNo;
use super::slot::Slot;
use super::state::Mark;
use super::unit::Unit;

/// One change, with what was there before; none where nothing was.
pub(super) enum Step {
    Slot(TaskNo, Option<Box<Slot>>),
    Subject(Subject),
    TaskId((String, String), Option<TaskNo>),
    DocumentId(ItemKey, Option<TaskNo>),
    Item(ItemKey, Option<Option<ItemRow>>),
    ItemRecord(Subject, u64),
    Post(PostKey, Option<Option<u64>>),
    Dependent((Subject, TaskNo), Option<bool>),
    Run([u8; 32], Option<Option<Vec<u8>>>),
    Answer(String, Option<Option<Vec<u8>>>),
    Acknowledged([u8; 32], Option<u64>),
    PutOff(Option<Option<u64>>),
}

/// Where an operation began.
#[derive(Default)]
pub(super) struct Savepoint {
    /// The counters and how many records and counted cluster records there were; none while it has written no record.
    written: Option<(Mark, usize, usize)>,
    touched: HashSet<TaskNo>,
    steps: Vec<Step>,
}

impl Unit<'_> {
    /// Runs an operation; when it refuses, nothing of it stays.
    ///
    /// # Errors
    /// The operation's own.
    pub fn attempt<T, E>(&mut self, operation: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let outer = self.savepoint.replace(Savepoint::default());
        let result = operation(self);
        let inner = std::mem::replace(&mut self.savepoint, outer);
        match (&result, inner) {
            (Err(_), Some(inner)) => self.take_back(inner),
            (Ok(_), Some(inner)) => self.merge(inner),
            (_, None) => {}
        }
        result
    }

    /// Notes a change that can be taken back.
    pub(super) fn undoable(&mut self, step: impl FnOnce() -> Step) {
        if let Some(savepoint) = &mut self.savepoint {
            savepoint.steps.push(step());
        }
    }

    /// Is called before a task changes.
    pub(super) fn touch(&mut self, no: TaskNo) {
        let Some(savepoint) = &mut self.savepoint else { return };
        if savepoint.touched.insert(no) {
            // What is as on disk is loaded again.
            let kept = self.slots.get(&no).filter(|slot| slot.is_touched()).map(|slot| Box::new(slot.clone()));
            savepoint.steps.push(Step::Slot(no, kept));
        }
    }

    /// Is called before a record is written.
    pub(super) fn begin_record(&mut self) {
        if let Some(savepoint) = &mut self.savepoint
            && savepoint.written.is_none()
        {
            savepoint.written = Some((self.state.mark(), self.records.len(), self.counted.len()));
        }
    }

    /// An operation within an operation is taken back with it.
    fn merge(&mut self, inner: Savepoint) {
        let Some(outer) = &mut self.savepoint else { return };
        if outer.written.is_none() {
            outer.written = inner.written;
        }
        outer.touched.extend(inner.touched);
        outer.steps.extend(inner.steps);
    }

    fn take_back(&mut self, savepoint: Savepoint) {
        for step in savepoint.steps.into_iter().rev() {
            match step {
                Step::Slot(no, before) => put_back(&mut self.slots, no, before.map(|slot| *slot)),
                Step::Subject(subject) => drop(self.subjects.remove(&subject)),
                Step::TaskId(at, before) => put_back(&mut self.task_ids, at, before),
                Step::DocumentId(at, before) => put_back(&mut self.document_ids, at, before),
                Step::Item(at, before) => restore(&mut self.items, at, before),
                Step::ItemRecord(subject, arrival) => drop(self.item_records.remove(&(subject, arrival))),
                Step::Post(at, before) => restore(&mut self.posts, at, before),
                Step::Dependent(at, before) => restore(&mut self.dependents, at, before),
                Step::Run(at, before) => restore(&mut self.runs, at, before),
                Step::Answer(at, before) => restore(&mut self.answers, at, before),
                Step::Acknowledged(at, before) => restore(&mut self.acknowledged, at, before),
                Step::PutOff(before) => self.put_off = before,
            }
        }
        if let Some((mark, records, counted)) = savepoint.written {
            for new in self.records.drain(records..) {
                self.by_id.remove(&new.record.id());
            }
            self.counted.truncate(counted);
            self.state.reset(mark);
        }
    }
}

fn put_back<K: std::hash::Hash + Eq, V>(map: &mut std::collections::HashMap<K, V>, at: K, before: Option<V>) {
    match before {
        Some(before) => drop(map.insert(at, before)),
        None => drop(map.remove(&at)),
    }
}

fn restore<K: Ord, V>(map: &mut std::collections::BTreeMap<K, V>, at: K, before: Option<V>) {
    match before {
        Some(before) => drop(map.insert(at, before)),
        None => drop(map.remove(&at)),
    }
}
