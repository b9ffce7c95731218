//! From where on records are still to be judged that came while this node wrote nothing.
//!
//! **Invariants**: the note is in the commit that takes the first of them in, and goes in the one that judges the last.

use std::collections::BTreeSet;
use std::sync::Arc;

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::Removals;
use octopoid_crdt::record::Verified;

use super::open::number;
use super::read::Reader;
use super::row::TaskNo;
use super::undo::Step;
use super::unit::{Unit, WriteFault};
use super::{Fault, tables};

impl Reader {
    fn first_put_off(&self) -> Result<Option<u64>, Fault> {
        Ok(self.txn().open_table(tables::META)?.get(tables::META_PUT_OFF)?.and_then(|bytes| number(bytes.value())))
    }
}

impl Unit<'_> {
    /// Returns the arrival number of the first record that is still to be judged, if any is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn first_put_off(&mut self) -> Result<Option<u64>, WriteFault> {
        if let Some(first) = self.put_off {
            return Ok(first);
        }
        let found = self.reader().first_put_off();
        self.note(found)
    }

    /// Notes from where on records are still to be judged; local, never synced.
    pub fn set_first_put_off(&mut self, first: Option<u64>) {
        let before = self.put_off.replace(first);
        self.undoable(|| Step::PutOff(before));
    }

    /// Notes that a record of this unit, and whatever comes after it, is still to be judged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_off(&mut self, id: &RecordId) -> Result<(), WriteFault> {
        if self.first_put_off()?.is_none()
            && let Some(arrival) = self.by_id.get(id).map(|at| self.records[*at].arrival)
        {
            self.set_first_put_off(Some(arrival));
        }
        Ok(())
    }

    /// Returns the tasks and other documents that so many records from an arrival on speak of, and the arrival to go on from, if there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tasks_from(&mut self, from: u64, count: usize) -> Result<(Vec<TaskNo>, Option<u64>), WriteFault> {
        let end = self.state.next_arrival;
        let until = from.saturating_add(count as u64).min(end);
        let mut tasks = BTreeSet::new();
        for arrival in from..until {
            let subject = self.record_at(arrival)?.payload().subject;
            tasks.extend(self.find_subject(&subject)?);
        }
        Ok((tasks.into_iter().collect(), (until < end).then_some(until)))
    }

    /// Returns a record that is applied.
    ///
    /// # Errors
    /// When the store fails.
    pub fn known(&mut self, id: &RecordId) -> Result<Verified, WriteFault> {
        self.by_record_id(id)
    }

    /// Returns what removals leave out, as far as this node knows.
    #[must_use]
    pub fn masks(&self) -> Arc<Removals> {
        self.state.masks.clone()
    }
}
