//! Writes a unit of work: records, logs, rows and indexes in one durable transaction.

use std::collections::BTreeSet;

use minicbor::to_vec;
use redb::WriteTransaction;

use super::index::{BucketKey, Buckets, Facet};
use super::read::join_entry;
use super::row::TaskRow;
use super::slot::Slot;
use super::tables::{self, newest_first};
use super::unit::Unit;
use super::{Event, Fault};
use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lease::Input;
use octopoid_crdt::membership::Seen;

impl Unit<'_> {
    /// Writes everything and waits until it is durable.
    pub(super) fn commit(mut self) -> Result<Vec<Event>, Fault> {
        let settled = self.settle_all();
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        debug_assert!(settled.is_ok(), "a write fault keeps its reason");
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut txn = self.state.database.begin_write()?;
        txn.set_quick_repair(true);
        self.write_records(&txn)?;
        self.write_membership(&txn)?;
        self.write_tasks(&txn)?;
        self.write_items(&txn)?;
        self.write_local(&txn)?;
        txn.commit()?;
        self.state.sets_stored = self.state.membership.sets();
        if !self.counted.is_empty() {
            self.state.view.send_replace(self.state.membership.current()?);
            self.state.masks_shown.send_replace(self.state.masks.clone());
        }
        if self.state.replaying {
            return Ok(Vec::new());
        }
        self.note_leases();
        Ok(self.events())
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.runs.is_empty()
            && self.answers.is_empty()
            && self.acknowledged.is_empty()
            && self.put_off.is_none()
            && self.slots.values().all(|slot| !slot.changed)
    }

    fn write_records(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        if self.records.is_empty() {
            return Ok(());
        }
        let mut records = txn.open_table(tables::RECORDS)?;
        let mut ids = txn.open_table(tables::RECORD_IDS)?;
        for new in &self.records {
            if !self.state.replaying {
                records.insert(new.arrival, new.record.wire())?;
            }
            ids.insert(new.record.id().as_bytes(), (new.arrival, new.seen.0))?;
        }
        let mut meta = txn.open_table(tables::META)?;
        meta.insert(tables::META_NEXT_TASK, self.state.next_task.to_be_bytes().as_slice())?;
        let mut tips = txn.open_table(tables::TIPS)?;
        let authors: BTreeSet<_> = self.records.iter().map(|new| new.record.payload().author).collect();
        for author in authors {
            if let Some(chain) = self.state.chains.author(&author) {
                tips.insert(author.as_bytes(), chain.to_bytes().as_slice())?;
            }
        }
        Ok(())
    }

    /// Writes which cluster records count, and the sets of them that records have seen.
    fn write_membership(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        if !self.counted.is_empty() {
            let mut records = txn.open_table(tables::CLUSTER_RECORDS)?;
            for counted in &self.counted {
                records.insert(small(counted.number), (counted.arrival, counted.past.0))?;
            }
        }
        let membership = &self.state.membership;
        if membership.sets() > self.state.sets_stored {
            let mut sets = txn.open_table(tables::SEEN_SETS)?;
            for number in self.state.sets_stored..membership.sets() {
                let number = small(number);
                let set = membership.set_bytes(Seen(number)).ok_or_else(|| Fault::Missing(format!("membership set {number}")))?;
                sets.insert(number, set.as_slice())?;
            }
        }
        Ok(())
    }

    fn write_tasks(&mut self, txn: &WriteTransaction) -> Result<(), Fault> {
        if self.slots.values().all(|slot| !slot.changed) {
            return Ok(());
        }
        self.write_names(txn)?;
        let mut entries = txn.open_table(tables::ENTRIES)?;
        let mut rows = txn.open_table(tables::ROWS)?;
        let mut contents = txn.open_table(tables::CONTENTS)?;
        let mut documents = txn.open_table(tables::DOCUMENTS)?;
        let mut indexes = Indexes::open(txn)?;
        for slot in self.slots.values_mut().filter(|slot| slot.changed) {
            write_log(slot, &mut entries)?;
            rows.insert(slot.no, encode(&slot.row).as_slice())?;
            if let (true, Some(document)) = (slot.document_changed, &slot.document) {
                documents.insert(slot.no, document.save().as_slice())?;
            }
            if slot.content_changed {
                match slot.content.as_ref().and_then(Option::as_deref) {
                    Some(content) => drop(contents.insert(slot.no, content)?),
                    None => drop(contents.remove(slot.no)?),
                }
            }
            indexes.update(&mut self.state.buckets, slot.no, slot.committed.as_ref(), &slot.row)?;
        }
        indexes.write_sizes(&self.state.buckets)
    }

    /// Writes how new tasks are found, and who waits for whom.
    fn write_names(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        if !self.task_ids.is_empty() {
            let mut ids = txn.open_table(tables::TASK_IDS)?;
            for ((id, scope), no) in &self.task_ids {
                ids.insert((id.as_str(), scope.as_str()), *no)?;
            }
        }
        if !self.document_ids.is_empty() {
            let mut ids = txn.open_table(tables::DOCUMENT_IDS)?;
            for ((collection, scope, id), no) in &self.document_ids {
                ids.insert((collection.as_str(), scope.as_str(), id.as_str()), *no)?;
            }
        }
        let mut fresh = self.slots.values().filter(|slot| slot.committed.is_none()).peekable();
        if fresh.peek().is_some() {
            let mut subjects = txn.open_table(tables::SUBJECTS)?;
            for slot in fresh {
                subjects.insert(slot.subject.as_bytes(), slot.no)?;
            }
        }
        if self.dependents.is_empty() {
            return Ok(());
        }
        let mut dependents = txn.open_multimap_table(tables::DEPENDENTS)?;
        for ((blocker, no), present) in &self.dependents {
            if *present {
                dependents.insert(blocker.as_bytes(), *no)?;
            } else {
                dependents.remove(blocker.as_bytes(), *no)?;
            }
        }
        Ok(())
    }

    fn write_items(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        if !self.items.is_empty() {
            let mut items = txn.open_table(tables::ITEMS)?;
            for ((collection, scope, key), item) in &self.items {
                let at = (collection.as_str(), scope.as_str(), key.as_str());
                match item {
                    Some(item) => drop(items.insert(at, encode(item).as_slice())?),
                    None => drop(items.remove(at)?),
                }
            }
        }
        if !self.posts.is_empty() {
            let mut posts = txn.open_table(tables::POSTS)?;
            for ((scope, facet, value, at), until_ms) in &self.posts {
                let key = (scope.as_str(), *facet, value.as_str(), at.wall_ms, at.seq, at.id.as_bytes());
                match until_ms {
                    Some(until_ms) => drop(posts.insert(key, *until_ms)?),
                    None => drop(posts.remove(key)?),
                }
            }
        }
        if !self.item_records.is_empty() {
            let mut records = txn.open_multimap_table(tables::ITEM_RECORDS)?;
            for (subject, arrival) in &self.item_records {
                records.insert(subject.as_bytes(), *arrival)?;
            }
        }
        Ok(())
    }

    /// Writes what never leaves this node.
    fn write_local(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        if !self.runs.is_empty() {
            let mut runs = txn.open_table(tables::RUNS)?;
            for (claim, run) in &self.runs {
                match run {
                    Some(run) => drop(runs.insert(claim, run.as_slice())?),
                    None => drop(runs.remove(claim)?),
                }
            }
        }
        if !self.answers.is_empty() {
            let mut answers = txn.open_table(tables::IDEMPOTENCY)?;
            for (key, answer) in &self.answers {
                match answer {
                    Some(answer) => drop(answers.insert(key.as_str(), answer.as_slice())?),
                    None => drop(answers.remove(key.as_str())?),
                }
            }
        }
        if !self.acknowledged.is_empty() {
            let mut acknowledged = txn.open_table(tables::ACKNOWLEDGED)?;
            for (member, arrival) in &self.acknowledged {
                acknowledged.insert(member, *arrival)?;
            }
        }
        if let Some(first) = self.put_off {
            let mut meta = txn.open_table(tables::META)?;
            match first {
                Some(first) => drop(meta.insert(tables::META_PUT_OFF, first.to_be_bytes().as_slice())?),
                None => drop(meta.remove(tables::META_PUT_OFF)?),
            }
        }
        Ok(())
    }

    fn events(&self) -> Vec<Event> {
        let describe = |new: &super::unit::NewRecord| {
            let row = new.task.and_then(|no| self.slots.get(&no)).map(|slot| &slot.row);
            Event {
                arrival: new.arrival,
                record: new.record.id(),
                own: new.record.payload().author == self.state.signer.author(),
                kind: new.record.payload().body.name(),
                task: new.task,
                scope: row.map(|row| row.scope.clone()).unwrap_or_default(),
                id: row.map(|row| row.id.clone()).unwrap_or_default(),
                queue: row.map(|row| row.queue.clone()).unwrap_or_default(),
            }
        };
        self.records.iter().map(describe).collect()
    }

    /// Starts and ends the leases that the unit's changes start and end.
    fn note_leases(&self) {
        for slot in self.slots.values().filter(|slot| slot.changed) {
            for (of, seconds) in &slot.outranked {
                self.state.leases.handle(Input::Opened { of: *of, seconds: *seconds });
            }
            let before = slot.committed.as_ref().and_then(|row| row.holder.as_ref());
            let after = slot.row.holder.as_ref();
            if before.map(|holder| holder.record) == after.map(|holder| holder.record) {
                continue;
            }
            if let Some(holder) = before {
                self.state.leases.handle(Input::Ended { of: RecordId(holder.record) });
            }
            if let Some(holder) = after {
                self.state.leases.handle(Input::Opened { of: RecordId(holder.record), seconds: holder.ttl_seconds });
            }
        }
    }
}

/// Encodes a view; writing to memory does not fail.
pub(super) fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    to_vec(value).unwrap_or_else(|error| unreachable!("memory refused {error}"))
}

/// Numbers of cluster records and of sets of them have 32 bits; membership gives out no more.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
const fn small(number: usize) -> u32 {
    number as u32
}

fn write_log(slot: &mut Slot, entries: &mut redb::Table<'_, (u64, u32), &'static [u8]>) -> Result<(), Fault> {
    let Some(stored) = &slot.log else { return Ok(()) };
    let written = stored.log.entries().iter().zip(stored.arrivals.iter().zip(&stored.walls));
    for (index, (entry, (arrival, wall_ms))) in (0u32..).zip(written).skip(slot.stored as usize) {
        entries.insert((slot.no, index), join_entry(*arrival, *wall_ms, entry).as_slice())?;
    }
    Ok(())
}

/// The tables that find tasks, open in one transaction.
struct Indexes<'t> {
    by_bucket: redb::Table<'t, (u32, u64, &'static str), u64>,
    by_facet: redb::Table<'t, (u8, &'static str, u32, u64, &'static str), u64>,
    buckets: redb::Table<'t, u32, (&'static [u8], u64)>,
    touched: BTreeSet<u32>,
}

impl<'t> Indexes<'t> {
    fn open(txn: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            by_bucket: txn.open_table(tables::BY_BUCKET)?,
            by_facet: txn.open_table(tables::BY_FACET)?,
            buckets: txn.open_table(tables::BUCKETS)?,
            touched: BTreeSet::new(),
        })
    }

    fn update(&mut self, buckets: &mut Buckets, no: u64, before: Option<&TaskRow>, after: &TaskRow) -> Result<(), Fault> {
        let old = before.and_then(|row| Some((BucketKey::of(row)?, row)));
        let new = BucketKey::of(after);
        let moved = old.as_ref().map(|(key, row)| (key, row.created_ms)) != new.as_ref().map(|key| (key, after.created_ms));
        let old_facets = before.map(Facet::of).unwrap_or_default();
        let new_facets = Facet::of(after);
        if !moved && old_facets == new_facets {
            return Ok(());
        }
        if let Some((key, row)) = old {
            let bucket = buckets.number(&key);
            let (created, id) = (newest_first(row.created_ms), row.id.as_str());
            if moved {
                self.by_bucket.remove((bucket, created, id))?;
                buckets.leave(bucket);
                self.touched.insert(bucket);
            }
            for (facet, value) in &old_facets {
                self.by_facet.remove((*facet as u8, value.as_str(), bucket, created, id))?;
            }
        }
        if let Some(key) = new {
            let bucket = buckets.number(&key);
            let (created, id) = (newest_first(after.created_ms), after.id.as_str());
            if moved {
                self.by_bucket.insert((bucket, created, id), no)?;
                buckets.enter(bucket);
                self.touched.insert(bucket);
            }
            for (facet, value) in &new_facets {
                self.by_facet.insert((*facet as u8, value.as_str(), bucket, created, id), no)?;
            }
        }
        Ok(())
    }

    fn write_sizes(&mut self, buckets: &Buckets) -> Result<(), Fault> {
        for number in &self.touched {
            let (key, size) = buckets.get(*number);
            self.buckets.insert(*number, (encode(key).as_slice(), size))?;
        }
        Ok(())
    }
}
