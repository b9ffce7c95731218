//! Chains: tips, forks and digest as functions of a set; places; planning what a peer lacks.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::{
    chain::{Applied, ApplyError, AuthorChain, Chains, Fork, Place, Plan, Span, Tips, Writer, WriterError},
    ids::{AuthorKey, RecordId, SessionId},
    record::{Body, Payload, Signer, Verified},
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::samples;

/// A node's records and chains, as a store would keep them.
#[derive(Default, Clone)]
struct Held {
    records: Vec<Verified>,
    places: BTreeMap<RecordId, (Place, Option<RecordId>)>,
    chains: Chains,
}

impl Held {
    fn apply(&mut self, record: &Verified) -> Result<Applied, ApplyError> {
        let applied = self.chains.apply(record, |id| self.places.get(id).map(|(place, _)| *place))?;
        if matches!(applied, Applied::Added { .. }) {
            self.places.insert(record.id(), (Place::of(record.payload()), record.payload().prev));
            self.records.push(record.clone());
        }
        Ok(applied)
    }

    /// Applies records in any order: what waits is tried again after each that was applied.
    fn apply_all<'a>(&mut self, records: impl IntoIterator<Item = &'a Verified>) {
        let mut waiting: Vec<_> = records.into_iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|record| self.apply(record).is_err());
            assert!(waiting.len() < before, "{} records wait for ever", waiting.len());
        }
    }

    fn plan(&self, theirs: &Tips) -> Plan {
        self.chains.missing_for(theirs, |id| self.places.contains_key(id))
    }

    /// The records of spans in the order in which they were applied here.
    fn of_spans(&self, spans: &[Span]) -> Vec<Verified> {
        let ids: BTreeSet<_> = spans.iter().flat_map(|span| span.walk(|id| self.places.get(id).and_then(|(_, prev)| *prev))).collect();
        self.records.iter().filter(|record| ids.contains(&record.id())).cloned().collect()
    }
}

fn signer(author: u8) -> Signer {
    Signer::from_seed(&[100 + author; 32])
}

fn record(author: u8, session: u8, seq: u64, prev: Option<RecordId>, deps: Vec<RecordId>, wall_ms: u64) -> Verified {
    let payload = Payload {
        author: signer(author).author(),
        session: SessionId([session; 16]),
        seq,
        prev,
        deps,
        wall_ms,
        ..samples::payload(Body::Heads)
    };
    Verified::sign(&signer(author), samples::cluster(), payload).expect("the record is well formed")
}

/// One more record: who writes it, after which of its records (a fork unless it is the last), in a new session or not,
/// and on which record of anybody it builds.
type Step = (u8, prop::sample::Index, bool, prop::sample::Index);

fn build(steps: &[Step]) -> Vec<Verified> {
    let mut all: Vec<Verified> = Vec::new();
    for (n, (author, after, fresh, dep)) in steps.iter().enumerate() {
        let own: Vec<_> = all.iter().filter(|record| record.payload().author == signer(*author).author()).collect();
        // Mostly the last one, so that chains grow and forks stay few; sometimes a second beginning.
        let prev = (!own.is_empty() && after.index(24) > 0).then(|| own[after.index(own.len() * 4).min(own.len() - 1)]);
        let deps = if all.is_empty() { vec![] } else { vec![all[dep.index(all.len())].id()] };
        let n = u8::try_from(n).expect("there are few steps");
        let (session, seq) = match prev.map(Verified::payload) {
            Some(prev) if !fresh => (prev.session.0[0], prev.seq + 1),
            _ => (n, 0),
        };
        all.push(record(*author, session, seq, prev.map(Verified::id), deps, u64::from(n)));
    }
    all
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3u8, any::<prop::sample::Index>(), prop::bool::weighted(0.2), any::<prop::sample::Index>());
    prop::collection::vec(step, 1..40)
}

fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/record/regressions.txt");
    ProptestConfig { cases: 128, failure_persistence: Some(Box::new(regressions)), ..ProptestConfig::default() }
}

/// The tips by their definition, over the whole set.
fn tips_by_definition(records: &[Verified]) -> Tips {
    let continued: BTreeSet<_> = records.iter().filter_map(|record| record.payload().prev).collect();
    let mut tips = Tips::new();
    for record in records.iter().filter(|record| !continued.contains(&record.id())) {
        tips.entry(record.payload().author).or_default().insert(record.id());
    }
    tips
}

/// Each author's forks by their definition: what more than one of its records continues.
fn forks_by_definition(records: &[Verified]) -> BTreeSet<(AuthorKey, Option<RecordId>)> {
    let mut continuations = BTreeMap::new();
    for record in records {
        *continuations.entry((record.payload().author, record.payload().prev)).or_insert(0) += 1;
    }
    continuations.into_iter().filter(|(_, count)| *count > 1).map(|(at, _)| at).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn chains_are_a_function_of_the_set_of_records(steps in steps(), order in any::<u64>()) {
        let records = build(&steps);
        let mut in_order = Held::default();
        in_order.apply_all(&records);
        let mut shuffled: Vec<_> = records.iter().chain(&records).cloned().collect();
        shuffled.sort_by_key(|record| blake3::hash(&[&order.to_be_bytes(), record.id().as_bytes().as_slice()].concat()).as_bytes().to_owned());
        let mut other = Held::default();
        other.apply_all(&shuffled);
        prop_assert_eq!(&in_order.chains, &other.chains);
        prop_assert_eq!(in_order.chains.digest(), other.chains.digest());
        prop_assert_eq!(in_order.chains.tips(), tips_by_definition(&records));
        let forks = other.chains.authors().flat_map(|(author, chain)| chain.forks().map(|at| (*author, at.copied())));
        prop_assert_eq!(forks.collect::<BTreeSet<_>>(), forks_by_definition(&records));
        let rows = other.chains.authors().map(|(author, chain)| (*author, AuthorChain::from_bytes(&chain.to_bytes()).expect("it was just written")));
        prop_assert_eq!(&Chains::restore(rows), &in_order.chains);
    }

    #[test]
    fn the_digest_differs_whenever_a_record_is_missing(steps in steps()) {
        let records = build(&steps);
        let mut held = Held::default();
        let mut digests = BTreeSet::from([held.chains.digest()]);
        for record in &records {
            held.apply_all([record]);
            prop_assert!(digests.insert(held.chains.digest()));
        }
    }

    #[test]
    fn two_nodes_reach_the_union_by_their_plans(steps in steps(), mine in any::<u64>(), yours in any::<u64>()) {
        let records = build(&steps);
        let (mut a, mut b) = (part(&records, mine), part(&records, yours));
        let union: BTreeSet<_> = a.places.keys().chain(b.places.keys()).copied().collect();
        for _ in 0..8 {
            exchange(&a.clone(), &mut b);
            exchange(&b.clone(), &mut a);
        }
        prop_assert_eq!(a.chains.digest(), b.chains.digest());
        prop_assert_eq!(a.places.keys().copied().collect::<BTreeSet<_>>(), union);
        prop_assert_eq!(a.plan(&b.chains.tips()), Plan::default());
    }

    #[test]
    fn a_chain_without_forks_is_sent_without_anything_that_the_peer_has(length in 1..40u8, cut in 0..40u8) {
        let mut chain = vec![record(0, 0, 0, None, vec![], 0)];
        for n in 1..length {
            let last = chain.last().expect("there is a first");
            chain.push(record(0, 0, u64::from(n), Some(last.id()), vec![], u64::from(n)));
        }
        let (mut a, mut b) = (Held::default(), Held::default());
        a.apply_all(&chain);
        b.apply_all(&chain[..usize::from(cut.min(length))]);
        let sent = a.of_spans(&a.plan(&b.chains.tips()).send);
        prop_assert_eq!(sent, chain[usize::from(cut.min(length))..].to_vec());
        prop_assert!(b.plan(&a.chains.tips()).send.is_empty());
    }
}

/// A set that is closed under what its records build on: each record is kept or not by a bit, with its past.
fn part(records: &[Verified], bits: u64) -> Held {
    let mut held = Held::default();
    for (n, record) in records.iter().enumerate() {
        if bits >> (n % 64) & 1 == 1 {
            // Fails when something of its past was left out, which leaves it out too.
            let _ = held.apply(record);
        }
    }
    held
}

/// Sends what `from` plans for `to`: at once what is sure, the rest if `to` does not know it either.
fn exchange(from: &Held, to: &mut Held) {
    let plan = from.plan(&to.chains.tips());
    let answer = to.plan(&from.chains.tips()).unknown;
    let unsure: Vec<_> = plan.unsure.into_iter().filter(|span| span.from.iter().any(|id| answer.contains(id))).collect();
    let mut waiting = from.of_spans(&[plan.send, unsure].concat());
    loop {
        let before = waiting.len();
        waiting.retain(|record| to.apply(record).is_err());
        if waiting.len() == before {
            break;
        }
    }
}

#[test]
fn a_record_waits_for_prev_and_deps_and_names_them() {
    let first = record(0, 1, 0, None, vec![], 0);
    let other = record(1, 1, 0, None, vec![], 0);
    let second = record(0, 1, 1, Some(first.id()), vec![other.id()], 0);
    let mut held = Held::default();
    assert_eq!(held.apply(&second), Err(ApplyError::Missing { ids: vec![first.id(), other.id()] }));
    held.apply_all([&first]);
    assert_eq!(held.apply(&second), Err(ApplyError::Missing { ids: vec![other.id()] }));
    held.apply_all([&other]);
    assert_eq!(held.apply(&second), Ok(Applied::Added { fork: None }));
    assert_eq!(held.apply(&second), Ok(Applied::Known));
}

#[test]
fn a_record_at_a_place_that_cannot_be_is_refused_for_ever() {
    let mut held = Held::default();
    let first = record(0, 1, 0, None, vec![], 0);
    held.apply_all([&first]);
    assert_eq!(held.apply(&record(1, 1, 1, Some(first.id()), vec![], 0)), Err(ApplyError::Author));
    assert_eq!(held.apply(&record(0, 1, 2, Some(first.id()), vec![], 0)), Err(ApplyError::Place));
    assert_eq!(held.apply(&record(0, 1, 0, Some(first.id()), vec![], 1)), Err(ApplyError::Place));
    assert_eq!(held.apply(&record(0, 2, 1, Some(first.id()), vec![], 0)), Err(ApplyError::Place));
}

#[test]
fn a_restored_backup_forks_without_using_a_place_twice_and_both_branches_stay() {
    let me = signer(0);
    let (mut held, mut writer) = (Held::default(), Writer::new(me.author(), &Chains::default()));
    let write = |held: &mut Held, writer: &mut Writer, session: u8| {
        let slot = writer.slot(|| SessionId([session; 16]));
        let payload = Payload {
            author: me.author(),
            session: slot.session,
            seq: slot.seq,
            prev: slot.prev,
            deps: vec![],
            ..samples::payload(Body::Heads)
        };
        let record = Verified::sign(&me, samples::cluster(), payload).expect("the slot is well formed");
        writer.wrote(&record).expect("it stands in the slot");
        (held.apply(&record).expect("its place follows"), record)
    };
    let (_, first) = write(&mut held, &mut writer, 1);
    let backup = held.clone();
    let (_, second) = write(&mut held, &mut writer, 9);
    assert_eq!((second.payload().session, second.payload().seq), (SessionId([1; 16]), 1), "a session is drawn once");

    let mut restored = Writer::new(me.author(), &backup.chains);
    assert!(restored.is_fresh());
    let (applied, third) = write(&mut held, &mut restored, 2);
    assert_eq!((third.payload().session, third.payload().seq, third.payload().prev), (SessionId([2; 16]), 0, Some(first.id())));
    assert_eq!(applied, Applied::Added { fork: Some(Fork { author: me.author(), at: Some(first.id()), by: third.id() }) });
    let chain = held.chains.author(&me.author()).expect("it wrote");
    assert_eq!(chain.tips().copied().collect::<BTreeSet<_>>(), BTreeSet::from([second.id(), third.id()]));
    assert_eq!(chain.forks().collect::<Vec<_>>(), [Some(&first.id())]);
    assert_eq!(restored.wrote(&second), Err(WriterError::Slot));
}
