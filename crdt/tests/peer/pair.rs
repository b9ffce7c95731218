//! Two members and the connection between them, in one thread and without a clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    convert::Infallible,
};

use octopoid_crdt::{
    chain::{ApplyError, Chains, Place},
    ids::{RecordId, SessionId, Subject},
    lease::Moment,
    peer::{
        Message,
        sync::{Held, Input, Offence, Output, Parting, Sync, Taken},
    },
    record::{Body, Payload, SIGNATURE_LEN, Verified},
};

use super::samples::{cluster, key};

/// A record of an author; its signature is left out, what matters here is its place.
pub fn record(author: u8, session: u8, seq: u64, prev: Option<RecordId>, deps: &[RecordId], bytes: usize) -> Verified {
    let mut deps = deps.to_vec();
    deps.sort_unstable();
    deps.dedup();
    let body = Body::Unknown { kind: 900, body: vec![0x40; bytes.max(1)] };
    let payload =
        Payload { author: key(author), session: SessionId([session; 16]), seq, prev, subject: Subject([1; 32]), wall_ms: 0, deps, body };
    let mut wire = payload.encode().expect("a well-formed record");
    wire.extend_from_slice(&[0; SIGNATURE_LEN]);
    Verified::from_own_store(cluster(), &wire).expect("a well-formed record")
}

/// The records of one author, each continuing the one before.
pub fn chain(author: u8, session: u8, count: u64, first: Option<RecordId>, bytes: usize) -> Vec<Verified> {
    let mut prev = first;
    let mut records = Vec::new();
    for seq in 0..count {
        let next = record(author, session, seq, prev, &[], bytes);
        prev = Some(next.id());
        records.push(next);
    }
    records
}

#[derive(Default, Clone)]
pub struct Store {
    pub records: Vec<Verified>,
    numbers: HashMap<RecordId, u64>,
    chains: Chains,
}

impl Store {
    pub fn of(records: &[Verified]) -> Self {
        let mut store = Self::default();
        for record in records {
            assert!(store.apply(record).is_ok(), "records are given in causal order");
        }
        store
    }

    pub fn apply(&mut self, record: &Verified) -> Result<bool, ApplyError> {
        if self.holds(&record.id()) {
            return Ok(false);
        }
        let (records, numbers) = (&self.records, &self.numbers);
        let place = |id: &RecordId| numbers.get(id).map(|n| Place::of(records[usize::try_from(*n).expect("few")].payload()));
        let _ = self.chains.apply(record, place)?;
        self.numbers.insert(record.id(), self.records.len() as u64);
        self.records.push(record.clone());
        Ok(true)
    }

    pub fn holds(&self, id: &RecordId) -> bool {
        self.numbers.contains_key(id)
    }

    pub fn ids(&self) -> BTreeSet<RecordId> {
        self.numbers.keys().copied().collect()
    }
}

impl Held for Store {
    type Error = Infallible;

    fn chains(&self) -> &Chains {
        &self.chains
    }

    fn next_arrival(&self) -> u64 {
        self.records.len() as u64
    }

    fn arrival_of(&self, id: &RecordId) -> Result<Option<u64>, Infallible> {
        Ok(self.numbers.get(id).copied())
    }

    fn record(&self, arrival: u64) -> Result<Option<Verified>, Infallible> {
        Ok(self.records.get(usize::try_from(arrival).expect("few")).cloned())
    }
}

/// One end.
pub struct Side {
    pub store: Store,
    pub sync: Sync,
    /// What it was told that the other holds.
    pub told: BTreeSet<RecordId>,
    pub struck: Vec<Offence>,
    pub parted: Option<Parting>,
    /// Frames sent by type, and records.
    pub sent: BTreeMap<&'static str, usize>,
    pub records_sent: usize,
    pub retried: usize,
    pub outbox: VecDeque<Message>,
}

impl Side {
    pub fn new(me: u8, peer: u8, store: Store, now: Moment) -> Self {
        Self {
            store,
            sync: Sync::new(key(me), key(peer), cluster(), now),
            told: BTreeSet::new(),
            struck: Vec::new(),
            parted: None,
            sent: BTreeMap::new(),
            records_sent: 0,
            retried: 0,
            outbox: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, now: Moment, input: Input) {
        let outputs = self.sync.handle(now, input, &self.store).expect("this store does not fail");
        for output in outputs {
            match output {
                Output::Send(message) => {
                    let bytes = message.encode().expect("machines make frames within limits");
                    assert_eq!(Message::decode(&bytes).expect("it is read"), Some(message.clone()));
                    *self.sent.entry(message.name()).or_default() += 1;
                    if let Message::Records { records, .. } = &message {
                        self.records_sent += records.len();
                    }
                    self.outbox.push_back(message);
                }
                Output::TakeIn { number, records } => {
                    let checked: Vec<_> = records.iter().map(|wire| Verified::from_own_store(cluster(), wire)).collect();
                    let forged = checked.iter().filter(|record| record.is_err()).count();
                    self.take_in(now, number, checked.into_iter().flatten().collect(), forged);
                }
                Output::Retry { number, records } => {
                    self.retried += records.len();
                    self.take_in(now, number, records, 0);
                }
                Output::Holds { records } => self.told.extend(records),
                Output::Answered { .. } | Output::Pass(_) => {}
                Output::Strike { why } => self.struck.push(why),
                Output::Close { why } => self.parted = Some(why),
            }
        }
    }

    fn take_in(&mut self, now: Moment, number: u64, records: Vec<Verified>, forged: usize) {
        let mut taken = Taken { forged, ..Taken::default() };
        let mut fresh = Vec::new();
        for record in records {
            match self.store.apply(&record) {
                Ok(new) => {
                    taken.held.push(record.id());
                    if new {
                        fresh.push(record.id());
                    }
                }
                Err(ApplyError::Missing { ids }) => taken.waiting.push((record, ids)),
                Err(ApplyError::Author | ApplyError::Place) => {}
            }
        }
        self.handle(now, Input::Taken { number, taken });
        if !fresh.is_empty() {
            self.handle(now, Input::Applied { ids: fresh });
        }
    }

    /// Writes own records.
    pub fn write(&mut self, now: Moment, records: &[Verified]) {
        let first = self.store.next_arrival();
        for record in records {
            assert_eq!(self.store.apply(record), Ok(true));
        }
        let arrivals = (first..self.store.next_arrival()).collect();
        self.handle(now, Input::Wrote { arrivals });
        self.handle(now, Input::Applied { ids: records.iter().map(Verified::id).collect() });
    }
}

/// Two ends that hear each other.
pub struct Pair {
    pub now: Moment,
    pub a: Side,
    pub b: Side,
}

impl Pair {
    /// Connects two members, 1 and 2.
    pub fn connect(a: Store, b: Store) -> Self {
        let now = Moment(1_000);
        let mut pair = Self { now, a: Side::new(1, 2, a, now), b: Side::new(2, 1, b, now) };
        pair.a.handle(now, Input::Connected);
        pair.b.handle(now, Input::Connected);
        pair
    }

    /// Delivers one frame of either side.
    pub fn deliver(&mut self, from_a: bool) -> bool {
        let (from, to) = if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
        let Some(frame) = from.outbox.pop_front() else { return false };
        to.handle(self.now, Input::Frame(frame));
        true
    }

    /// Delivers frames until there are none.
    pub fn settle(&mut self) {
        while self.deliver(true) | self.deliver(false) {}
    }

    /// Lets time go by; a frame takes no time.
    pub fn run(&mut self, ms: u64) {
        let until = self.now.0 + ms;
        self.settle();
        while self.now.0 < until {
            self.now.0 += 10;
            for side in [&mut self.a, &mut self.b] {
                if side.sync.wake_at().is_some_and(|at| at <= self.now) {
                    side.handle(self.now, Input::Tick);
                }
            }
            self.settle();
        }
    }

    /// The connection breaks, what was under way is lost, and another begins.
    pub fn reconnect(self) -> Self {
        Self::connect(self.a.store, self.b.store)
    }
}
