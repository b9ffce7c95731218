//! The sending side: what is to go out, in the order of applying, in bounded frames within a window.
//!
//! A short catch-up is a list of numbers, found by walking each author's chain back from its tips. A long one is scanned
//! forward through the store instead, so that memory does not grow with what the peer lacks.
//!
//! **Invariants**: at most [`WINDOW`] frames and [`WINDOW_BYTES`] are in flight; at most [`QUEUE`] numbers wait; what was
//! planned once on a connection is not planned again before a pause that doubles each time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Held, Offence, Output, intake::WINDOW};
use crate::{
    chain::Span,
    ids::{AuthorKey, RecordId},
    lease::Moment,
    peer::{Message, limits},
};

/// Bytes of records in flight.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// A frame is sent off when it has so many bytes of records; one record may have more.
const FRAME_BYTES: usize = 256 * 1024;
/// Numbers that wait to be sent; own records beyond are found again by tips.
const QUEUE: usize = 64 * 1024;
/// Records that planning walks back through before it scans instead.
const WALK: usize = 16 * 1024;
/// Records that one input scans at most.
const SCAN: usize = 4 * 1024;
/// Frames of which the peer said that own records wait.
const LATE: usize = 64;
/// The pause before what was sent is sent again, in milliseconds.
const FIRST_REPEAT_MS: u64 = 1_000;
const LONGEST_REPEAT_MS: u64 = 10 * 60_000;

#[derive(Debug)]
struct Flight {
    number: u64,
    bytes: usize,
    records: usize,
    own: Vec<RecordId>,
}

/// A catch-up that is too long to list.
#[derive(Debug)]
struct Scan {
    next: u64,
    end: u64,
    /// Author → the number after which its records are missing; `None`: from the first on.
    after: BTreeMap<AuthorKey, Option<u64>>,
}

impl Scan {
    /// Goes on with what is left of this one and all of another.
    fn join(mut self, other: Self) -> Self {
        let done = self.next.checked_sub(1);
        for after in self.after.values_mut() {
            *after = (*after).max(done);
        }
        for (author, after) in other.after {
            let before = self.after.entry(author).or_insert(after);
            *before = (*before).min(after);
        }
        self.next = self.next.min(other.next);
        self.end = self.end.max(other.end);
        self
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    last: u64,
    queue: VecDeque<u64>,
    scan: Option<Scan>,
    flights: VecDeque<Flight>,
    bytes: usize,
    late: BTreeMap<u64, Vec<RecordId>>,
    /// Author → below which number everything was sent on this connection.
    sent: BTreeMap<AuthorKey, u64>,
    repeat_at: Option<Moment>,
    repeat_after: u64,
    /// Whether scanning goes on at the next input.
    more: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            last: 0,
            queue: VecDeque::new(),
            scan: None,
            flights: VecDeque::new(),
            bytes: 0,
            late: BTreeMap::new(),
            sent: BTreeMap::new(),
            repeat_at: None,
            repeat_after: FIRST_REPEAT_MS,
            more: false,
        }
    }
}

impl Outbox {
    /// Queues own new records.
    pub(super) fn push(&mut self, arrivals: &[u64]) {
        for arrival in arrivals {
            // Beyond the bound the peer finds out by the digest.
            if self.queue.len() < QUEUE && self.queue.back().is_none_or(|last| last < arrival) {
                self.queue.push_back(*arrival);
            }
        }
    }

    /// Tells whether nothing is to be sent and nothing in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.scan.is_none() && self.flights.is_empty()
    }

    /// Counts the records that the peer has not acknowledged; of a scan all those that are still to be looked at.
    pub(super) fn backlog(&self) -> usize {
        let scan = self.scan.as_ref().map_or(0, |scan| usize::try_from(scan.end.saturating_sub(scan.next)).unwrap_or(usize::MAX));
        let flying: usize = self.flights.iter().map(|flight| flight.records).sum();
        self.queue.len().saturating_add(flying).saturating_add(scan)
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        self.more.then_some(Moment(0))
    }

    /// Tells whether the peer has asked for what was sent before.
    pub(super) fn has_repeated(&self) -> bool {
        self.repeat_at.is_some()
    }

    /// Both hold the same: what was sent has arrived, and a later lack is a new one.
    pub(super) fn agreed(&mut self) {
        (self.repeat_at, self.repeat_after) = (None, FIRST_REPEAT_MS);
    }

    /// Plans to send spans, without what was sent before.
    pub(super) fn plan<H: Held>(&mut self, spans: Vec<Span>, now: Moment, held: &H) -> Result<(), H::Error> {
        if spans.is_empty() {
            return Ok(());
        }
        self.allow_repeat(now, &spans);
        let end = held.next_arrival();
        match self.walk(&spans, held)? {
            Some(numbers) => {
                let mut queue: BTreeSet<u64> = self.queue.drain(..).collect();
                queue.extend(numbers);
                self.queue = queue.into_iter().collect();
            }
            None => {
                let scan = self.scan_of(&spans, end, held)?;
                self.scan = Some(match self.scan.take() {
                    Some(running) => running.join(scan),
                    None => scan,
                });
            }
        }
        for span in &spans {
            self.sent.insert(span.author, end);
        }
        Ok(())
    }

    /// Forgets what was sent once a pause is over: the peer says that it lacks it all the same.
    fn allow_repeat(&mut self, now: Moment, spans: &[Span]) {
        if !spans.iter().any(|span| self.sent.contains_key(&span.author)) {
            return;
        }
        match self.repeat_at {
            Some(at) if at <= now => {
                for span in spans {
                    self.sent.remove(&span.author);
                }
                self.repeat_after = (self.repeat_after * 2).min(LONGEST_REPEAT_MS);
                self.repeat_at = Some(Moment(now.0.saturating_add(self.repeat_after)));
            }
            Some(_) => {}
            None => self.repeat_at = Some(Moment(now.0.saturating_add(self.repeat_after))),
        }
    }

    /// Lists the numbers of the spans' records, ascending; `None` when there are too many.
    fn walk<H: Held>(&self, spans: &[Span], held: &H) -> Result<Option<BTreeSet<u64>>, H::Error> {
        let mut numbers = BTreeSet::new();
        let mut steps = 0;
        for span in spans {
            let floor = self.sent.get(&span.author).copied().unwrap_or(0);
            let mut pending = span.from.clone();
            while let Some(id) = pending.pop() {
                steps += 1;
                if steps > WALK {
                    return Ok(None);
                }
                if span.until.contains(&id) {
                    continue;
                }
                // Chains may be a little ahead of the snapshot: what it lacks is pushed when it is there.
                let Some(arrival) = held.arrival_of(&id)?.filter(|arrival| *arrival >= floor) else { continue };
                if numbers.insert(arrival)
                    && let Some(record) = held.record(arrival)?
                {
                    pending.extend(record.payload().prev);
                }
            }
        }
        Ok(Some(numbers))
    }

    fn scan_of<H: Held>(&self, spans: &[Span], end: u64, held: &H) -> Result<Scan, H::Error> {
        let mut after = BTreeMap::new();
        for span in spans {
            let floor = self.sent.get(&span.author).and_then(|sent| sent.checked_sub(1));
            let straight = held.chains().author(&span.author).is_some_and(|chain| chain.forks().next().is_none());
            let known = match span.until.as_slice() {
                [one] if straight => held.arrival_of(one)?,
                _ => None,
            };
            after.insert(span.author, floor.max(known));
        }
        let next = after.values().map(|after| after.map_or(0, |after| after + 1)).min().unwrap_or(end);
        Ok(Scan { next, end, after })
    }

    /// Sends what fits the window.
    pub(super) fn go_on<H: Held>(&mut self, me: &AuthorKey, held: &H, out: &mut Vec<Output>) -> Result<(), H::Error> {
        self.more = false;
        let mut budget = SCAN;
        while self.flights.len() < WINDOW && self.bytes < WINDOW_BYTES {
            let mut frame = Frame::default();
            self.fill_from_scan(&mut frame, &mut budget, me, held)?;
            if self.scan.is_none() {
                self.fill_from_queue(&mut frame, me, held)?;
            }
            if frame.records.is_empty() {
                self.more = self.scan.is_some();
                return Ok(());
            }
            self.last += 1;
            self.bytes += frame.bytes;
            self.flights.push_back(Flight { number: self.last, bytes: frame.bytes, records: frame.records.len(), own: frame.own });
            out.push(Output::Send(Message::Records { number: self.last, records: frame.records }));
        }
        Ok(())
    }

    fn fill_from_scan<H: Held>(&mut self, frame: &mut Frame, budget: &mut usize, me: &AuthorKey, held: &H) -> Result<(), H::Error> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        while scan.next < scan.end && *budget > 0 {
            *budget -= 1;
            if let Some(record) = held.record(scan.next)? {
                let missing = scan.after.get(&record.payload().author).is_some_and(|after| after.is_none_or(|after| scan.next > after));
                if missing && !frame.add(&record, me) {
                    return Ok(());
                }
            }
            scan.next += 1;
        }
        if scan.next >= scan.end {
            self.scan = None;
        }
        Ok(())
    }

    fn fill_from_queue<H: Held>(&mut self, frame: &mut Frame, me: &AuthorKey, held: &H) -> Result<(), H::Error> {
        while let Some(arrival) = self.queue.front().copied() {
            if let Some(record) = held.record(arrival)?
                && !frame.add(&record, me)
            {
                return Ok(());
            }
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Takes an acknowledgement; returns the own records that the peer holds by it.
    pub(super) fn acked(&mut self, number: u64, waiting: &[RecordId]) -> Result<Vec<RecordId>, Offence> {
        let own = if let Some(at) = self.flights.iter().position(|flight| flight.number == number) {
            let Some(flight) = self.flights.remove(at) else { return Ok(Vec::new()) };
            self.bytes -= flight.bytes;
            flight.own
        } else if number > self.last || number == 0 {
            return Err(Offence::Ack);
        } else {
            self.late.remove(&number).unwrap_or_default()
        };
        let (late, held): (Vec<_>, Vec<_>) = own.into_iter().partition(|id| waiting.binary_search(id).is_ok());
        if !late.is_empty() {
            self.late.insert(number, late);
            if self.late.len() > LATE {
                self.late.pop_first();
            }
        }
        Ok(held)
    }
}

/// A frame that is being filled.
#[derive(Default)]
struct Frame {
    records: Vec<Vec<u8>>,
    own: Vec<RecordId>,
    bytes: usize,
}

impl Frame {
    /// Adds a record, unless the frame is full.
    fn add(&mut self, record: &crate::record::Verified, me: &AuthorKey) -> bool {
        let size = record.wire().len();
        let full = self.records.len() >= limits::RECORDS || self.bytes + size > FRAME_BYTES;
        if full && !self.records.is_empty() {
            return false;
        }
        self.bytes += size;
        self.records.push(record.wire().to_vec());
        if record.payload().author == *me {
            self.own.push(record.id());
        }
        true
    }
}
