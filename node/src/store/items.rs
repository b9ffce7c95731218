//! Entries of plain collections: registrations, roles, flows, messages.
//!
//! An entry that was set several times shows what was set last: what no other setting has in its past, and of
//! concurrent ones that of the lowest id. Removing it is a setting too.
//!
//! **Invariants**: an entry is a function of the records about it that count and that no removal masks; a setting that
//! has seen everything about its entry, which is the common case, reads no other record.

use std::collections::BTreeSet;

use minicbor::{CborLen, Decode, Encode};
use octopoid_crdt::chain::Place;
use octopoid_crdt::ids::{Name, RecordId, Subject};
use octopoid_crdt::lifecycle::{Act, Standing, TaskLog};
use octopoid_crdt::membership::Seen;
use octopoid_crdt::record::{Body, Verified, limits};

use super::undo::Step;
use super::unit::{Unit, WriteFault};
use super::{Stored, conflicts};

/// (collection, scope, key).
pub(super) type ItemKey = (String, String, String);

/// An entry as it is kept: what it shows, and what the next setting builds on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub(super) struct ItemRow {
    /// JSON text; none while the entry is removed.
    #[n(0)]
    pub json: Option<String>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub record: [u8; 32],
    #[n(2)]
    pub wall_ms: u64,
    /// The settings that no other has in its past, ascending.
    #[n(3)]
    pub heads: Vec<Head>,
}

/// A record's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, CborLen)]
pub(super) struct Head(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl ItemRow {
    /// Returns what is shown, unless the entry is removed.
    pub fn shown(self) -> Option<Stored> {
        Some(Stored { json: self.json?, record: self.record, wall_ms: self.wall_ms })
    }

    fn of(record: &Verified, json: Option<String>, heads: Vec<Head>) -> Self {
        Self { json, record: record.id().0, wall_ms: record.payload().wall_ms, heads }
    }
}

/// What one record says of an entry.
enum Said {
    Set(ItemKey, Option<String>),
    Added(ItemKey, String),
}

impl Said {
    fn of(record: &Verified) -> Option<Self> {
        let payload = record.payload();
        if let Body::Put { collection, scope, key, value } = &payload.body {
            return Some(Self::Set((collection.clone(), scope.to_string(), key.clone()), value.clone()));
        }
        let Body::Append { value, .. } = &payload.body else { return None };
        Some(Self::Added(appended_key(record)?, value.clone()))
    }
}

/// Returns where the entry is kept that a record adds to an append-only collection.
pub(super) fn appended_key(record: &Verified) -> Option<ItemKey> {
    let payload = record.payload();
    let Body::Append { collection, scope, key, .. } = &payload.body else { return None };
    // The same on every node, unlike an arrival number.
    Some((collection.clone(), scope.to_string(), format!("{key}/{:020}/{}", payload.wall_ms, record.id())))
}

impl Unit<'_> {
    /// Returns an entry of a plain collection.
    ///
    /// # Errors
    /// When the store fails.
    pub fn item(&mut self, collection: &str, scope: &str, key: &str) -> Result<Option<Stored>, WriteFault> {
        let row = self.item_row(&(collection.to_owned(), scope.to_owned(), key.to_owned()))?;
        Ok(row.and_then(ItemRow::shown))
    }

    pub(super) fn item_row(&mut self, at: &ItemKey) -> Result<Option<ItemRow>, WriteFault> {
        if let Some(item) = self.items.get(at) {
            return Ok(item.clone());
        }
        let found = self.reader.item_row(&at.0, &at.1, &at.2);
        self.note(found)
    }

    fn set_item(&mut self, at: ItemKey, row: Option<ItemRow>) -> Result<(), WriteFault> {
        self.following_posts(&at, |unit| {
            let before = unit.items.insert(at.clone(), row);
            unit.undoable(|| Step::Item(at.clone(), before));
            Ok(())
        })?;
        if matches!(at.0.as_str(), conflicts::COLLECTION | conflicts::OVERRIDDEN) { self.dismissed_anew(&at.1, &at.2) } else { Ok(()) }
    }

    /// Sets or removes an entry of a plain collection.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put(&mut self, collection: &str, scope: &Name, key: &str, value: Option<String>) -> Result<RecordId, WriteFault> {
        let subject = Subject::entry(collection, scope, key);
        let old = self.item_row(&(collection.to_owned(), scope.to_string(), key.to_owned()))?;
        let heads = old.map(|old| old.heads).unwrap_or_default();
        let deps = heads.into_iter().take(limits::DEPS).map(|head| RecordId(head.0)).collect();
        let body = Body::Put { collection: collection.to_owned(), scope: scope.clone(), key: key.to_owned(), value };
        self.sign(subject, deps, body)
    }

    /// Lets an entry follow a record about it.
    pub(super) fn follow_item(&mut self, arrival: u64, record: &Verified, past: Seen) -> Result<(), WriteFault> {
        let subject = record.payload().subject;
        self.item_records.insert((subject, arrival));
        self.undoable(|| Step::ItemRecord(subject, arrival));
        let standing = self.standing(&Place::of(record.payload()), past)?;
        // Who has seen every removal is masked by none, and saves nothing from one.
        if !self.state.masks.all_held_by(&standing.removals) {
            return self.derive_items(subject);
        }
        if !standing.is_member() {
            return Ok(());
        }
        match Said::of(record) {
            Some(Said::Set(at, json)) => {
                let heads = self.item_row(&at)?.map(|row| row.heads).unwrap_or_default();
                if heads.iter().all(|head| record.payload().deps.contains(&RecordId(head.0))) {
                    self.set_item(at, Some(ItemRow::of(record, json, vec![Head(record.id().0)])))
                } else {
                    self.derive_items(subject)
                }
            }
            Some(Said::Added(at, json)) => self.set_item(at, Some(ItemRow::of(record, Some(json), Vec::new()))),
            None => Ok(()),
        }
    }

    /// Derives the entry of a subject from all records about it.
    pub(super) fn derive_items(&mut self, subject: Subject) -> Result<(), WriteFault> {
        let (log, records) = self.item_log(subject)?;
        let out = log.left_out(&self.state.masks);
        let in_effect: Vec<(u32, &Verified)> = (0..)
            .zip(&records)
            .filter(|(index, _)| !out.contains(index) && log.at(*index).is_some_and(octopoid_crdt::lifecycle::Entry::counts))
            .collect();
        let overruled = |index: u32| in_effect.iter().any(|(other, _)| log.at(*other).is_some_and(|entry| entry.past.contains(index)));
        let mut settings: Vec<&Verified> = Vec::new();
        let mut at_set = None;
        for (index, record) in (0..).zip(&records) {
            let holds = in_effect.iter().any(|(other, _)| *other == index);
            match Said::of(record) {
                Some(Said::Set(at, _)) => {
                    at_set = Some(at);
                    if holds && !overruled(index) {
                        settings.push(record);
                    }
                }
                Some(Said::Added(at, json)) => self.set_item(at, holds.then(|| ItemRow::of(record, Some(json), Vec::new())))?,
                None => {}
            }
        }
        let Some(at) = at_set else { return Ok(()) };
        let heads: BTreeSet<Head> = settings.iter().map(|record| Head(record.id().0)).collect();
        let row = settings.into_iter().min_by_key(|record| record.id()).and_then(|shown| {
            let Some(Said::Set(_, json)) = Said::of(shown) else { return None };
            Some(ItemRow::of(shown, json, heads.into_iter().collect()))
        });
        self.set_item(at, row)
    }

    /// Judges all records about an entry, in order of arrival.
    fn item_log(&mut self, subject: Subject) -> Result<(TaskLog, Vec<Verified>), WriteFault> {
        let stored = self.reader.item_records(&subject);
        let mut arrivals: BTreeSet<u64> = self.note(stored)?.into_iter().collect();
        arrivals.extend(self.item_records.range((subject, 0)..=(subject, u64::MAX)).map(|(_, arrival)| *arrival));
        let (mut log, mut records) = (TaskLog::new(subject), Vec::new());
        for arrival in arrivals {
            let record = self.record_at(arrival)?;
            let payload = record.payload();
            // What it has seen is what its past has: it is no cluster record.
            let seen = self.seen_of(&record.id())?;
            let standing: Standing = self.standing(&Place::of(payload), seen)?;
            let masks = self.masks_in(seen)?;
            let past = log.past_of(&payload.deps);
            let entry = log.judge(record.id(), payload.author, past, Act::Edit, standing, &masks);
            log.push(entry);
            records.push(record);
        }
        Ok((log, records))
    }
}
