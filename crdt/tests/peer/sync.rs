//! Two members end with the union of what they held, whatever was lost and whoever lies, at bounded cost.

use std::collections::BTreeSet;

use octopoid_crdt::{
    chain::Chains,
    ids::{ClusterId, RecordId},
    lease::Moment,
    peer::{
        Message,
        sync::{Held, Input, Offence, Output, Parting, Sync, Taken},
    },
    record::Verified,
};
use proptest::prelude::*;

use super::{
    pair::{Pair, Side, Store, chain, record},
    samples::{cluster, id, key},
};

fn frames(side: &Side) -> usize {
    side.sent.values().sum()
}

#[test]
fn an_equal_pair_exchanges_one_frame_each_way() {
    let store = Store::of(&chain(3, 1, 10, None, 10));
    let mut pair = Pair::connect(store.clone(), store);
    pair.run(20_000);
    assert_eq!((frames(&pair.a), frames(&pair.b)), (1, 1), "{:?} {:?}", pair.a.sent, pair.b.sent);
    assert!(pair.a.sync.is_current() && pair.b.sync.is_current());
}

#[test]
fn every_half_minute_a_digest_goes_out() {
    let mut pair = Pair::connect(Store::default(), Store::default());
    pair.run(95_000);
    assert_eq!(pair.a.sent, [("hello", 1), ("digest", 3)].into());
}

#[test]
fn a_node_that_was_away_gets_what_it_lacks_and_nothing_else() {
    let all = chain(3, 1, 1_000, None, 10);
    let mut pair = Pair::connect(Store::of(&all), Store::of(&all[..900]));
    pair.settle();
    assert_eq!(pair.b.store.ids(), pair.a.store.ids());
    assert_eq!((pair.a.records_sent, pair.b.records_sent), (100, 0));
}

#[test]
fn own_records_are_pushed_at_once_and_their_author_learns_who_holds_them() {
    let mut pair = Pair::connect(Store::default(), Store::default());
    pair.settle();
    let own = chain(1, 1, 3, None, 10);
    pair.a.write(pair.now, &own);
    pair.settle();
    assert_eq!(pair.b.store.ids(), own.iter().map(Verified::id).collect());
    assert_eq!(pair.a.told, pair.b.store.ids());
    pair.run(5_000);
    assert_eq!(pair.a.records_sent + pair.b.records_sent, 3);
    assert!(frames(&pair.a) <= 3 && frames(&pair.b) <= 3, "{:?} {:?}", pair.a.sent, pair.b.sent);
}

#[test]
fn what_one_brings_travels_on_to_a_third_after_a_quiet_moment() {
    let news = chain(3, 1, 5, None, 10);
    let mut pair = Pair::connect(Store::default(), Store::default());
    pair.run(1_000);
    for record in &news {
        assert_eq!(pair.a.store.apply(record), Ok(true));
    }
    let ids = news.iter().map(Verified::id).collect();
    pair.a.handle(pair.now, Input::Applied { ids });
    pair.run(50);
    assert!(pair.b.store.ids().is_empty(), "others' records are not pushed");
    pair.run(500);
    assert_eq!(pair.b.store.ids(), pair.a.store.ids());
}

#[test]
fn the_tips_of_an_own_record_tell_that_it_is_held() {
    let own = chain(1, 1, 3, None, 10);
    let mut pair = Pair::connect(Store::of(&own), Store::of(&own[..2]));
    pair.settle();
    assert!(pair.a.told.contains(&own[1].id()) && pair.a.told.contains(&own[2].id()));
}

#[test]
fn a_record_that_lacks_something_waits_and_is_acknowledged_when_it_is_here() {
    let theirs = record(3, 1, 0, None, &[], 10);
    let own = record(1, 1, 0, None, &[theirs.id()], 10);
    let mut pair = Pair::connect(Store::of(std::slice::from_ref(&theirs)), Store::of(std::slice::from_ref(&theirs)));
    pair.settle();
    // The second has not heard of the third's record yet.
    pair.b.store = Store::default();
    pair.a.write(pair.now, std::slice::from_ref(&own));
    pair.settle();
    assert!(!pair.b.store.holds(&own.id()) && pair.a.told.is_empty());
    pair.b.store.apply(&theirs).expect("it lacks nothing");
    pair.b.handle(pair.now, Input::Applied { ids: vec![theirs.id()] });
    pair.settle();
    assert!(pair.b.store.holds(&own.id()));
    assert_eq!(pair.a.told, [own.id()].into());
}

#[test]
fn what_was_lacked_and_came_in_the_same_commit_is_tried_again_at_once() {
    let theirs = record(3, 1, 0, None, &[], 10);
    let own = record(1, 1, 0, None, &[theirs.id()], 10);
    let mut sync = Sync::new(key(1), key(2), cluster(), Moment(0));
    let store = Store::of(std::slice::from_ref(&theirs));
    let mut handle = |input| sync.handle(Moment(0), input, &store).expect("this store does not fail");
    handle(Input::Frame(Message::Hello { low: 1, high: 1, cluster: cluster(), digest: store.chains().digest() }));
    handle(Input::Frame(Message::Records { number: 1, records: vec![own.wire().to_vec()] }));
    let taken = Taken { waiting: vec![(own.clone(), vec![theirs.id()])], ..Taken::default() };
    let out = handle(Input::Taken { number: 1, taken });
    let retried = matches!(out.as_slice(), [Output::Send(Message::Ack { waiting, .. }), Output::Retry { number: 1, records }]
        if *waiting == [own.id()] && *records == [own.clone()]);
    assert!(retried, "{out:?}");
}

#[test]
fn what_lacks_something_for_long_is_asked_for() {
    let theirs = record(3, 1, 0, None, &[], 10);
    let own = record(1, 1, 0, None, &[theirs.id()], 10);
    let mut pair = Pair::connect(Store::of(std::slice::from_ref(&theirs)), Store::of(std::slice::from_ref(&theirs)));
    pair.settle();
    pair.b.store = Store::default();
    pair.a.write(pair.now, std::slice::from_ref(&own));
    pair.run(400);
    assert_eq!(pair.b.store.ids(), [theirs.id(), own.id()].into());
}

#[test]
fn both_branches_of_a_fork_reach_both_sides() {
    let root = record(3, 1, 0, None, &[], 10);
    let left = chain(3, 2, 4, Some(root.id()), 10);
    let right = chain(3, 3, 6, Some(root.id()), 10);
    let of = |branch: &[Verified]| Store::of(&[std::slice::from_ref(&root), branch].concat());
    let mut pair = Pair::connect(of(&left), of(&right));
    pair.run(1_000);
    assert_eq!(pair.a.store.ids().len(), 11);
    assert_eq!(pair.b.store.ids(), pair.a.store.ids());
}

#[test]
fn a_first_sync_of_fifty_thousand_records_goes_in_bounded_frames() {
    let mut all = Vec::new();
    let mut chains: Vec<_> = (3..8).map(|author| chain(author, 1, 10_000, None, 200).into_iter()).collect();
    while all.len() < 50_000 {
        all.extend(chains.iter_mut().filter_map(Iterator::next));
    }
    let began = std::time::Instant::now();
    let mut pair = Pair::connect(Store::of(&all), Store::default());
    let applied = began.elapsed();
    while pair.deliver(true) | pair.deliver(false) {
        let under_way = pair.a.outbox.iter().filter(|frame| matches!(frame, Message::Records { .. })).count();
        assert!(under_way <= 8, "{under_way} frames of records at once");
        if pair.a.sync.wake_at().is_some_and(|at| at <= pair.now) {
            pair.a.handle(pair.now, Input::Tick);
        }
    }
    pair.run(2_000);
    assert_eq!(pair.b.store.ids(), pair.a.store.ids());
    assert_eq!(pair.a.records_sent, 50_000);
    eprintln!("50,000 records applied in {applied:?}, synced without signatures in {:?}", began.elapsed() - applied);
}

#[test]
fn a_node_far_behind_is_scanned_for_and_sent_only_what_it_lacks() {
    let mut all = chain(3, 1, 20_000, None, 10);
    all.extend(chain(4, 1, 100, None, 10));
    let held = [&all[..1_000], &all[20_000..]].concat();
    let mut pair = Pair::connect(Store::of(&all), Store::of(&held));
    pair.run(2_000);
    assert_eq!(pair.b.store.ids(), pair.a.store.ids());
    assert_eq!(pair.a.records_sent, 19_000);
}

#[test]
fn what_a_peer_lacks_is_counted_in_records_until_it_has_acknowledged_them() {
    for (lacks, all) in [(19_000, 20_000), (300, 1_000)] {
        let records = chain(3, 1, all, None, 10);
        let held = usize::try_from(all - lacks).expect("few");
        let mut pair = Pair::connect(Store::of(&records), Store::of(&records[..held]));
        // Frame by frame, as far as the first one of records.
        while pair.a.records_sent == 0 {
            assert!(pair.deliver(true) | pair.deliver(false), "records are sent");
        }
        let mut before = pair.a.sync.backlog();
        assert_eq!(before as u64, lacks, "nothing is acknowledged yet");
        while pair.deliver(true) | pair.deliver(false) {
            let now = pair.a.sync.backlog();
            let lacked = pair.a.store.records.len() - pair.b.store.records.len();
            assert!(now <= before && now >= lacked, "{now} after {before}, and {lacked} lacked");
            before = now;
        }
        pair.run(2_000);
        assert_eq!((pair.a.sync.backlog(), pair.b.store.ids()), (0, pair.a.store.ids()));
    }
}

#[test]
fn a_peer_that_always_says_that_it_has_nothing_gets_the_records_a_few_times_only() {
    let all = chain(3, 1, 1_000, None, 10);
    let mut pair = Pair::connect(Store::of(&all), Store::default());
    pair.run(100);
    for _ in 0..60_000 {
        pair.a.handle(pair.now, Input::Frame(Message::Tips { tips: [].into(), more: false }));
        pair.run(10);
        pair.b.outbox.clear();
    }
    assert!(pair.a.records_sent <= 12 * 1_000, "{} records in ten minutes", pair.a.records_sent);
    assert!(pair.a.sent["tips"] <= 10 * 60 * 4 + 20, "{:?}", pair.a.sent);
}

#[test]
fn a_peer_that_tells_of_records_and_withholds_them_costs_little() {
    let mut pair = Pair::connect(Store::default(), Store::default());
    pair.settle();
    for n in 0_u64..6_000 {
        let digest = *blake3::hash(&n.to_be_bytes()).as_bytes();
        pair.a.handle(pair.now, Input::Frame(Message::Digest { digest }));
        let tip = RecordId(digest);
        pair.a.handle(pair.now, Input::Frame(Message::Tips { tips: [(key(3), [tip].into())].into(), more: false }));
        pair.now.0 += 10;
        pair.a.handle(pair.now, Input::Tick);
        pair.a.outbox.clear();
    }
    assert!(!pair.a.sync.is_current(), "it was told of what is not here");
    assert!(frames(&pair.a) <= 600, "{:?} in a minute", pair.a.sent);
    assert!(format!("{:?}", pair.a.sync).len() < 10_000);
}

#[test]
fn records_that_wait_for_ever_fill_no_more_than_their_buffer() {
    let mut pair = Pair::connect(Store::default(), Store::default());
    pair.settle();
    let lacking: Vec<Vec<u8>> = (0..8_000_u64).map(|n| record(3, 1, n, Some(id(9)), &[id(8)], 10).wire().to_vec()).collect();
    for (number, records) in (1..).zip(lacking.chunks(500)) {
        pair.a.handle(pair.now, Input::Frame(Message::Records { number, records: records.to_vec() }));
        pair.a.outbox.clear();
    }
    pair.a.handle(pair.now, Input::Applied { ids: vec![id(8), id(9)] });
    assert_eq!(pair.a.retried, 4_096);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_struck_and_cut_off() {
    let hello = || Message::Hello { low: 1, high: 1, cluster: cluster(), digest: Chains::default().digest() };
    let broken = |frames: Vec<Message>| {
        let mut side = Side::new(1, 2, Store::default(), Moment(0));
        side.handle(Moment(0), Input::Connected);
        frames.into_iter().for_each(|frame| side.handle(Moment(0), Input::Frame(frame)));
        (side.struck, side.parted)
    };
    let records = |number| Message::Records { number, records: vec![] };
    let ack = |number| Message::Ack { number, waiting: vec![], answers: vec![] };
    let offence = |why| (vec![why], Some(Parting::Offence));
    assert_eq!(broken(vec![records(1)]), offence(Offence::Greeting));
    assert_eq!(broken(vec![hello(), hello()]), offence(Offence::Greeting));
    assert_eq!(broken(vec![hello(), records(2)]), offence(Offence::Order));
    assert_eq!(broken(vec![hello(), records(1), records(1)]), offence(Offence::Order));
    assert_eq!(broken(vec![hello(), ack(1)]), offence(Offence::Ack));
    assert_eq!(broken(vec![hello(), ack(0)]), offence(Offence::Ack));
    let (struck, parted) = broken(vec![hello(), Message::Records { number: 1, records: vec![vec![1; 100]] }]);
    assert_eq!((struck, parted), (vec![Offence::Forged], None), "a forged record counts against who relays it");
    let other = Message::Hello { low: 1, high: 1, cluster: ClusterId([1; 32]), digest: [0; 32] };
    assert_eq!(broken(vec![other]), (vec![], Some(Parting::Cluster)));
    let later = Message::Hello { low: 2, high: 3, cluster: cluster(), digest: [0; 32] };
    assert_eq!(broken(vec![later]), (vec![], Some(Parting::Version)));
}

#[test]
fn more_frames_than_the_window_allows_and_more_tips_than_anybody_has_are_an_offence() {
    let mut sync = Sync::new(key(1), key(2), cluster(), Moment(0));
    let store = Store::default();
    let mut say = |message| sync.handle(Moment(0), Input::Frame(message), &store).expect("this store does not fail");
    say(Message::Hello { low: 1, high: 1, cluster: cluster(), digest: store.chains().digest() });
    for number in 1..=8 {
        assert!(matches!(say(Message::Records { number, records: vec![] }).as_slice(), [Output::TakeIn { .. }]));
    }
    let out = say(Message::Records { number: 9, records: vec![] });
    assert!(matches!(out.as_slice(), [Output::Strike { why: Offence::Window }, ..]), "{out:?}");
    let mut sync = Sync::new(key(1), key(2), cluster(), Moment(0));
    let mut say = |message| sync.handle(Moment(0), Input::Frame(message), &store).expect("this store does not fail");
    say(Message::Hello { low: 1, high: 1, cluster: cluster(), digest: store.chains().digest() });
    let mut struck = false;
    for n in 0_u64..20 {
        let ids = (0..8_000_u64)
            .map(|m| RecordId(*blake3::hash(&(n, m).0.wrapping_mul(10_007).wrapping_add(m).to_be_bytes()).as_bytes()))
            .collect();
        struck |= say(Message::Tips { tips: [(key(3), ids)].into(), more: true })
            .iter()
            .any(|out| matches!(out, Output::Strike { why: Offence::Tips }));
    }
    assert!(struck);
}

/// A store that fails says so to whoever asked.
#[test]
fn a_failure_of_the_store_is_passed_through() {
    struct Failing(Chains);
    impl Held for Failing {
        type Error = &'static str;
        fn chains(&self) -> &Chains {
            &self.0
        }
        fn next_arrival(&self) -> u64 {
            1
        }
        fn arrival_of(&self, _: &RecordId) -> Result<Option<u64>, &'static str> {
            Err("no disk")
        }
        fn record(&self, _: u64) -> Result<Option<Verified>, &'static str> {
            Err("no disk")
        }
    }
    let store = Store::of(&chain(3, 1, 1, None, 10));
    let failing = Failing(store.chains().clone());
    let mut sync = Sync::new(key(1), key(2), cluster(), Moment(0));
    let hello = Message::Hello { low: 1, high: 1, cluster: cluster(), digest: [0; 32] };
    assert!(sync.handle(Moment(0), Input::Frame(hello), &failing).is_ok());
    let tips = Message::Tips { tips: [(key(3), [id(1)].into())].into(), more: false };
    assert_eq!(sync.handle(Moment(0), Input::Frame(tips), &failing).expect_err("the store failed"), "no disk");
}

/// Some records of a few authors who saw each other's, with forks.
fn history() -> impl Strategy<Value = Vec<Verified>> {
    prop::collection::vec((3_u8..6, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..8), 1..40).prop_map(|steps| {
        let mut all: Vec<Verified> = Vec::new();
        for (n, (author, dep, at, fork)) in (0_u8..).zip(steps) {
            let own: Vec<&Verified> = all.iter().filter(|record| record.payload().author == key(author)).collect();
            let prev = if fork == 0 { own.get(at.index(own.len().max(1))) } else { own.last() };
            let (session, seq) = match prev {
                Some(prev) if fork > 0 => (prev.payload().session.0[0], prev.payload().seq + 1),
                _ => (100 + n, 0),
            };
            let deps: Vec<RecordId> = all.get(dep.index(all.len().max(1))).map(Verified::id).into_iter().collect();
            all.push(record(author, session, seq, prev.map(|prev| prev.id()), &deps, 10));
        }
        all
    })
}

/// What one has who has seen some of the records, with all that they build on.
fn part(all: &[Verified], picks: &[prop::sample::Index]) -> Vec<Verified> {
    let mut wanted: BTreeSet<RecordId> = picks.iter().map(|pick| all[pick.index(all.len())].id()).collect();
    for record in all.iter().rev() {
        if wanted.contains(&record.id()) {
            wanted.extend(record.payload().prev);
            wanted.extend(&record.payload().deps);
        }
    }
    all.iter().filter(|record| wanted.contains(&record.id())).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_end_with_the_union_whatever_was_cut_off(
        all in history(),
        left in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        right in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        cuts in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..12), 0..4),
    ) {
        let (left, right) = (part(&all, &left), part(&all, &right));
        let union: BTreeSet<RecordId> = left.iter().chain(&right).map(Verified::id).collect();
        let mut pair = Pair::connect(Store::of(&left), Store::of(&right));
        for deliveries in cuts {
            for from_a in deliveries {
                pair.deliver(from_a);
            }
            pair = pair.reconnect();
        }
        pair.run(3_000);
        prop_assert_eq!(pair.a.store.ids(), union.clone());
        prop_assert_eq!(pair.b.store.ids(), union);
        prop_assert!(pair.a.struck.is_empty() && pair.b.struck.is_empty());
        prop_assert!(pair.a.sync.is_current() && pair.b.sync.is_current());
    }
}
