//! The receiving side: frames in order, records that wait for what they build on, acknowledgements.
//!
//! **Invariants**: at most [`WINDOW`] frames are unacknowledged; at most [`WAITING`] records of [`WAITING_BYTES`] wait, what
//! is beyond is dropped and comes again by tips; a record that waits is tried again only when all that it lacked is here.

use std::collections::{BTreeMap, BTreeSet};

use super::{Offence, Output, Taken};
use crate::{ids::RecordId, lease::Moment, peer::Message, record::Verified};

/// Frames of records that a peer may have sent without an acknowledgement.
pub(super) const WINDOW: usize = 8;
/// Records that wait, for each peer.
const WAITING: usize = 4096;
/// Their bytes.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// How long records wait before the peer is asked for what they lack, in milliseconds; doubled each time.
const FIRST_ASK_MS: u64 = 250;
const LONGEST_ASK_MS: u64 = 10_000;

#[derive(Debug)]
struct Waiting {
    record: Verified,
    number: u64,
    missing: BTreeSet<RecordId>,
}

#[derive(Debug, Default)]
pub(super) struct Intake {
    /// The number of the last frame.
    last: u64,
    /// Frames that were handed out and not acknowledged.
    open: BTreeSet<u64>,
    waiting: BTreeMap<RecordId, Waiting>,
    /// What is lacked, and by which records.
    lacked: BTreeMap<RecordId, BTreeSet<RecordId>>,
    bytes: usize,
    ask_at: Option<Moment>,
    ask_after: u64,
}

impl Intake {
    /// Takes the number of a frame of records.
    pub(super) fn frame(&mut self, number: u64) -> Result<(), Offence> {
        if self.last.checked_add(1) != Some(number) {
            return Err(Offence::Order);
        }
        if self.open.len() >= WINDOW {
            return Err(Offence::Window);
        }
        self.last = number;
        self.open.insert(number);
        Ok(())
    }

    /// Notes what came of a frame; returns its acknowledgement, and the records that lack nothing any more.
    pub(super) fn taken(&mut self, now: Moment, number: u64, taken: Taken) -> (Option<Message>, Vec<Verified>) {
        let first = self.open.remove(&number);
        for id in &taken.held {
            self.forget(id);
        }
        // Those that are dropped or tried again are not on disk either.
        let (mut waiting, mut retry) = (Vec::new(), Vec::new());
        for (record, missing) in taken.waiting {
            if missing.is_empty() {
                waiting.push(record.id());
                self.forget(&record.id());
                retry.push(record);
            } else if let Some(id) = self.keep(now, number, record, missing) {
                waiting.push(id);
            }
        }
        if !first && taken.held.is_empty() {
            return (None, retry);
        }
        waiting.extend(self.waiting.iter().filter(|(_, waiting)| waiting.number == number).map(|(id, _)| *id));
        waiting.sort_unstable();
        waiting.dedup();
        (Some(Message::Ack { number, waiting, answers: taken.answers }), retry)
    }

    /// Keeps a record that lacks something; returns its id where there is no room.
    fn keep(&mut self, now: Moment, number: u64, record: Verified, missing: Vec<RecordId>) -> Option<RecordId> {
        let (id, size) = (record.id(), record.wire().len());
        self.forget(&id);
        if self.waiting.len() >= WAITING || self.bytes + size > WAITING_BYTES {
            self.ask_later(now);
            return Some(id);
        }
        for lack in &missing {
            self.lacked.entry(*lack).or_default().insert(id);
        }
        self.bytes += size;
        self.waiting.insert(id, Waiting { record, number, missing: missing.into_iter().collect() });
        self.ask_later(now);
        None
    }

    fn ask_later(&mut self, now: Moment) {
        if self.ask_at.is_none() {
            self.ask_after = self.ask_after.max(FIRST_ASK_MS);
            self.ask_at = Some(Moment(now.0.saturating_add(self.ask_after)));
        }
    }

    fn forget(&mut self, id: &RecordId) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        self.bytes -= waiting.record.wire().len();
        for lack in &waiting.missing {
            if let Some(by) = self.lacked.get_mut(lack) {
                by.remove(id);
                if by.is_empty() {
                    self.lacked.remove(lack);
                }
            }
        }
    }

    /// Notes records that are held now; returns those that lack nothing any more, to be tried again, by frame.
    pub(super) fn applied(&mut self, now: Moment, ids: &[RecordId]) -> Vec<Output> {
        let mut ready: BTreeMap<u64, Vec<Verified>> = BTreeMap::new();
        for id in ids {
            self.forget(id);
            for by in self.lacked.remove(id).unwrap_or_default() {
                let Some(waiting) = self.waiting.get_mut(&by) else { continue };
                waiting.missing.remove(id);
                if waiting.missing.is_empty() {
                    ready.entry(waiting.number).or_default().push(waiting.record.clone());
                    self.ask_after = FIRST_ASK_MS;
                    self.ask_at = Some(Moment(now.0.saturating_add(FIRST_ASK_MS)));
                }
            }
        }
        if self.waiting.is_empty() {
            (self.ask_at, self.ask_after) = (None, FIRST_ASK_MS);
        }
        ready.into_iter().map(|(number, records)| Output::Retry { number, records }).collect()
    }

    /// Tells whether the peer is to be asked for what is lacked; after an answer the pause is longer.
    pub(super) fn asks(&mut self, now: Moment) -> bool {
        let due = self.ask_at.is_some_and(|at| at <= now);
        if due {
            self.ask_after = (self.ask_after * 2).min(LONGEST_ASK_MS);
            self.ask_at = (!self.waiting.is_empty()).then(|| Moment(now.0.saturating_add(self.ask_after)));
        }
        due
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        self.ask_at
    }

    /// Tells whether frames are being taken in.
    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }
}
