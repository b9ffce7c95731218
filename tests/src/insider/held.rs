//! The records that an insider holds.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::chain::{Applied, ApplyError, Chains, Place};
use octopoid_crdt::ids::{RecordId, Subject};
use octopoid_crdt::record::Verified;

/// Records, in the order in which they were applied.
#[derive(Debug)]
pub(super) struct Held {
    order: Vec<Verified>,
    by_id: BTreeMap<RecordId, usize>,
    chains: Chains,
    /// What builds on records that have not come yet.
    waiting: Vec<Verified>,
}

impl Held {
    pub(super) fn of(genesis: Verified) -> Self {
        let mut held = Self { order: Vec::new(), by_id: BTreeMap::new(), chains: Chains::default(), waiting: Vec::new() };
        held.take(genesis);
        held
    }

    pub(super) fn chains(&self) -> &Chains {
        &self.chains
    }

    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Verified> {
        self.order.iter()
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Verified> {
        self.by_id.get(id).map(|at| &self.order[*at])
    }

    /// Takes a record in, and those that waited for it.
    pub(super) fn take(&mut self, record: Verified) {
        self.waiting.push(record);
        loop {
            let before = self.order.len();
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting = waiting.into_iter().filter_map(|record| self.apply(record)).collect();
            if self.order.len() == before {
                return;
            }
        }
    }

    /// Applies a record; gives back one that lacks something.
    fn apply(&mut self, record: Verified) -> Option<Verified> {
        let place = |id: &RecordId| self.by_id.get(id).map(|at| Place::of(self.order[*at].payload()));
        match self.chains.apply(&record, place) {
            Ok(Applied::Added { .. }) => {
                self.by_id.insert(record.id(), self.order.len());
                self.order.push(record);
                None
            }
            Ok(Applied::Known) => None,
            Err(ApplyError::Missing { .. }) => Some(record),
            Err(ApplyError::Author | ApplyError::Place) => None,
        }
    }

    /// Returns the records about a subject that no other one about it builds on.
    pub(super) fn heads(&self, subject: &Subject) -> BTreeSet<RecordId> {
        let about = || self.order.iter().filter(|record| record.payload().subject == *subject);
        let built_on: BTreeSet<RecordId> = about().flat_map(|record| record.payload().deps.iter().copied()).collect();
        about().map(Verified::id).filter(|id| !built_on.contains(id)).collect()
    }
}
