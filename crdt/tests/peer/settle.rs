//! Who starts, story by story.

use octopoid_crdt::{
    ids::{AuthorKey, RecordId, Subject},
    lease::Moment,
    peer::{
        ClaimAnswer, Rival,
        settle::{Contender, Input, Known, Settle, Stake, Verdict},
    },
};
use proptest::prelude::*;

const TASK: Subject = Subject([3; 32]);

fn key(byte: u8) -> AuthorKey {
    AuthorKey([byte; 32])
}

fn claim(author: u8) -> Contender {
    Contender { id: RecordId([author; 32]), author: key(author), task: TASK, stake: Stake::Claim { epoch: 1 } }
}

fn known(contender: Contender) -> Known {
    Known { contender, started: false }
}

/// Which of two claims wins, as a third party would say.
fn winner(a: u8, b: u8) -> u8 {
    let mut machine = Settle::new(key(a), Moment(0));
    match machine.handle(Moment(0), Input::Opened { contender: claim(a), others: vec![known(claim(b))] }).as_slice() {
        [Verdict::Start { .. }] => a,
        [Verdict::Yield { .. }] => b,
        other => panic!("{other:?}"),
    }
}

fn machine(me: u8, peers: &[u8]) -> Settle {
    let mut machine = Settle::new(key(me), Moment(0));
    for peer in peers {
        assert!(machine.handle(Moment(0), Input::Connected { peer: key(*peer) }).is_empty());
    }
    machine
}

fn open(machine: &mut Settle, at: u64, me: u8) -> Vec<Verdict> {
    machine.handle(Moment(at), Input::Opened { contender: claim(me), others: vec![] })
}

fn answered(machine: &mut Settle, at: u64, me: u8, peer: u8, rivals: Vec<Rival>) -> Vec<Verdict> {
    machine.handle(Moment(at), Input::Answered { peer: key(peer), answer: ClaimAnswer { of: claim(me).id, rivals } })
}

fn rival(author: u8, started: bool) -> Rival {
    Rival { id: claim(author).id, author: key(author), epoch: 1, started }
}

fn tick(machine: &mut Settle, times: std::ops::RangeInclusive<u64>) -> Vec<Verdict> {
    times.flat_map(|n| machine.handle(Moment(n * 50), Input::Tick)).collect()
}

/// Two authors of whom the first wins.
fn ranked() -> (u8, u8) {
    if winner(1, 2) == 1 { (1, 2) } else { (2, 1) }
}

#[test]
fn both_sides_name_the_same_winner() {
    for a in 1..9 {
        for b in (1..9).filter(|b| *b != a) {
            assert_eq!(winner(a, b), winner(b, a));
        }
    }
}

#[test]
fn a_node_that_is_alone_starts_at_once() {
    assert_eq!(open(&mut machine(1, &[]), 0, 1), [Verdict::Start { of: claim(1).id }]);
}

#[test]
fn work_starts_when_the_last_connected_member_has_answered_and_only_once() {
    let mut machine = machine(1, &[2, 3]);
    assert!(open(&mut machine, 0, 1).is_empty());
    assert!(answered(&mut machine, 1, 1, 2, vec![]).is_empty());
    assert_eq!(answered(&mut machine, 2, 1, 3, vec![]), [Verdict::Start { of: claim(1).id }]);
    assert!(machine.has_started(&claim(1).id));
    assert!(answered(&mut machine, 3, 1, 3, vec![]).is_empty());
    assert!(open(&mut machine, 4, 1).is_empty());
}

#[test]
fn an_answer_that_comes_before_the_claim_is_opened_counts() {
    let mut alone = machine(1, &[2]);
    assert!(answered(&mut alone, 1, 1, 2, vec![]).is_empty());
    assert_eq!(open(&mut alone, 2, 1), [Verdict::Start { of: claim(1).id }]);

    let mut rivalled = machine(1, &[2, 3]);
    assert!(answered(&mut rivalled, 1, 1, 2, vec![rival(2, true)]).is_empty());
    assert!(open(&mut rivalled, 2, 1).is_empty(), "another member is still to answer");
    assert_eq!(answered(&mut rivalled, 3, 1, 3, vec![]), [Verdict::Yield { of: claim(1).id, to: claim(2).id }]);
}

#[test]
fn an_early_answer_is_forgotten_with_its_members_connection_and_when_many_came_after_it() {
    let mut cut_off = machine(1, &[2]);
    assert!(answered(&mut cut_off, 1, 1, 2, vec![]).is_empty());
    assert!(cut_off.handle(Moment(2), Input::Disconnected { peer: key(2) }).is_empty());
    assert!(cut_off.handle(Moment(3), Input::Connected { peer: key(2) }).is_empty());
    assert!(open(&mut cut_off, 4, 1).is_empty(), "what it knows by now is to be asked");

    let mut flooded = machine(1, &[2]);
    assert!(answered(&mut flooded, 1, 1, 2, vec![]).is_empty());
    for other in 10..200 {
        assert!(answered(&mut flooded, 1, other, 2, vec![]).is_empty());
    }
    assert!(open(&mut flooded, 2, 1).is_empty());
}

#[test]
fn a_rival_that_has_started_is_yielded_to_whatever_the_rank() {
    let (best, worst) = ranked();
    let mut machine = machine(best, &[worst]);
    assert!(open(&mut machine, 0, best).is_empty());
    let verdicts = answered(&mut machine, 1, best, worst, vec![rival(worst, true)]);
    assert_eq!(verdicts, [Verdict::Yield { of: claim(best).id, to: claim(worst).id }]);
    assert!(!machine.has_started(&claim(best).id));
}

#[test]
fn one_that_outranks_is_yielded_to_and_one_that_does_not_is_not() {
    let (best, worst) = ranked();
    for (me, other, starts) in [(best, worst, true), (worst, best, false)] {
        let mut machine = machine(me, &[other]);
        assert!(open(&mut machine, 0, me).is_empty());
        let verdicts = answered(&mut machine, 1, me, other, vec![rival(other, false)]);
        assert_eq!(matches!(verdicts.as_slice(), [Verdict::Start { .. }]), starts);
    }
}

#[test]
fn after_a_start_every_answer_says_so_and_an_outranking_rival_gets_time_to_yield() {
    let (best, worst) = ranked();
    let mut machine = machine(worst, &[best]);
    assert!(open(&mut machine, 0, worst).is_empty());
    assert_eq!(answered(&mut machine, 1, worst, best, vec![]).len(), 1);
    let answer = machine.answer(&claim(best), [known(claim(worst))]);
    assert_eq!(answer.rivals, [rival(worst, true)]);
    assert!(tick(&mut machine, 1..=100).is_empty(), "it will hear that we have started");
    assert!(machine.handle(Moment(5_001), Input::Ended { of: claim(best).id }).is_empty());
    assert!(machine.has_started(&claim(worst).id));
}

#[test]
fn of_two_that_started_apart_the_outranked_one_stops_and_the_other_goes_on() {
    let (best, worst) = ranked();
    for (me, other, stops) in [(worst, best, true), (best, worst, false)] {
        let mut machine = machine(me, &[]);
        assert_eq!(open(&mut machine, 0, me).len(), 1);
        assert!(machine.handle(Moment(1), Input::Seen(known(claim(other)))).is_empty());
        let verdicts = machine.handle(Moment(2), Input::Started { of: claim(other).id });
        assert_eq!(matches!(verdicts.as_slice(), [Verdict::Stop { .. }]), stops, "{verdicts:?}");
    }
}

#[test]
fn a_member_that_is_silent_for_half_a_second_is_not_waited_for_until_it_answers() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    assert!(tick(&mut machine, 1..=9).is_empty());
    assert_eq!(tick(&mut machine, 10..=10), [Verdict::Start { of: claim(1).id }]);
    assert!(machine.is_suspect(&key(2)));
    let second = Contender { id: RecordId([9; 32]), task: Subject([4; 32]), ..claim(1) };
    assert_eq!(machine.handle(Moment(510), Input::Opened { contender: second, others: vec![] }).len(), 1, "not waited for");
    assert!(machine.handle(Moment(520), Input::Heard { peer: key(2) }).is_empty());
    let third = Contender { id: RecordId([10; 32]), task: Subject([5; 32]), ..claim(1) };
    assert!(machine.handle(Moment(530), Input::Opened { contender: third, others: vec![] }).is_empty(), "waited for again");
}

#[test]
fn a_silent_members_claim_is_yielded_to_for_it_may_have_started() {
    let (best, worst) = ranked();
    let mut machine = machine(best, &[worst]);
    assert!(open(&mut machine, 0, best).is_empty());
    assert!(machine.handle(Moment(1), Input::Seen(known(claim(worst)))).is_empty());
    assert_eq!(tick(&mut machine, 1..=11), [Verdict::Yield { of: claim(best).id, to: claim(worst).id }]);
}

#[test]
fn a_member_that_talks_but_never_answers_is_waited_for_five_seconds() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    for at in 1..=99 {
        assert!(machine.handle(Moment(at * 50), Input::Heard { peer: key(2) }).is_empty());
    }
    assert_eq!(machine.handle(Moment(5_000), Input::Heard { peer: key(2) }), [Verdict::Start { of: claim(1).id }]);
}

#[test]
fn the_time_in_which_this_process_was_stopped_makes_nobody_suspect() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    assert!(tick(&mut machine, 1..=9).is_empty());
    let woken = machine.handle(Moment(3_000), Input::Tick);
    assert!(woken.is_empty(), "what the other sent is still to be read: {woken:?}");
    let (best, worst) = (winner(1, 2), if winner(1, 2) == 1 { 2 } else { 1 });
    let verdicts = answered(&mut machine, 3_001, 1, 2, vec![rival(2, true)]);
    assert!(matches!(verdicts.as_slice(), [Verdict::Yield { .. }]), "{best} {worst}");
}

#[test]
fn a_process_that_was_stopped_waits_again_for_those_it_held_for_silent() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    assert_eq!(tick(&mut machine, 1..=10).len(), 1);
    assert!(machine.is_suspect(&key(2)));
    // While this process was stopped the other one woke and wrote; this is unread when the next claim is opened.
    let next = Contender { id: RecordId([9; 32]), task: Subject([4; 32]), ..claim(1) };
    assert!(machine.handle(Moment(3_000), Input::Opened { contender: next, others: vec![] }).is_empty());
}

#[test]
fn a_member_that_is_cut_off_is_not_waited_for() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    let verdicts = machine.handle(Moment(1), Input::Disconnected { peer: key(2) });
    assert_eq!(verdicts, [Verdict::Start { of: claim(1).id }]);
}

#[test]
fn a_rival_that_somebody_else_tells_of_counts_only_while_its_author_is_silent() {
    let mut silent = machine(1, &[2, 3]);
    assert!(open(&mut silent, 0, 1).is_empty());
    assert!(answered(&mut silent, 1, 1, 2, vec![rival(3, false)]).is_empty());
    assert_eq!(tick(&mut silent, 1..=11), [Verdict::Yield { of: claim(1).id, to: claim(3).id }]);
    let mut heard = machine(1, &[2, 3]);
    assert!(open(&mut heard, 0, 1).is_empty());
    assert!(answered(&mut heard, 1, 1, 2, vec![rival(3, true)]).is_empty());
    assert_eq!(answered(&mut heard, 2, 1, 3, vec![]), [Verdict::Start { of: claim(1).id }]);
}

#[test]
fn a_rival_of_nobody_who_is_connected_counts_when_it_is_here() {
    let mut machine = machine(1, &[2]);
    assert!(open(&mut machine, 0, 1).is_empty());
    let verdicts = answered(&mut machine, 1, 1, 2, vec![Rival { epoch: u64::MAX, ..rival(3, true) }]);
    assert_eq!(verdicts, [Verdict::Start { of: claim(1).id }]);
}

#[test]
fn a_yielded_claim_is_told_to_nobody_and_never_started() {
    let (best, worst) = ranked();
    let mut machine = machine(worst, &[best]);
    assert!(open(&mut machine, 0, worst).is_empty());
    assert_eq!(answered(&mut machine, 1, worst, best, vec![rival(best, false)]).len(), 1);
    assert!(machine.handle(Moment(2), Input::Ended { of: claim(best).id }).is_empty());
    assert!(machine.answer(&claim(best), [known(claim(worst))]).rivals.is_empty());
    assert!(!machine.has_started(&claim(worst).id));
}

#[test]
fn a_submitted_claim_is_told_as_started() {
    let mut machine = machine(1, &[2]);
    let submitted = Known { contender: claim(1), started: true };
    assert_eq!(machine.answer(&claim(2), [submitted]).rivals, [rival(1, true)]);
    assert_eq!(machine.answer(&claim(2), [known(claim(1))]).rivals, [rival(1, false)], "written, not opened yet");
}

#[test]
fn reviews_of_one_submission_settle_among_themselves_and_not_with_claims() {
    let review = |author: u8, on: u8| Contender { stake: Stake::Review { on: RecordId([on; 32]) }, ..claim(author) };
    let start = |others: Vec<Contender>| {
        let others = others.into_iter().map(known).collect();
        let mut machine = Settle::new(key(1), Moment(0));
        machine.handle(Moment(0), Input::Opened { contender: review(1, 50), others })
    };
    assert!(matches!(start(vec![claim(2), review(2, 51)]).as_slice(), [Verdict::Start { .. }]));
    let won = (2..20).filter(|other| matches!(start(vec![review(*other, 50)]).as_slice(), [Verdict::Start { .. }])).count();
    assert!((1..18).contains(&won), "some win and some lose: {won}");
}

#[test]
fn a_member_that_names_endless_rivals_fills_nothing() {
    let (best, worst) = ranked();
    let mut machine = machine(best, &[worst]);
    assert!(open(&mut machine, 0, best).is_empty());
    for n in 0..10_000_u32 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let lie = Rival { id: RecordId(id), author: key(worst), epoch: 1, started: false };
        let _ = answered(&mut machine, 1, best, worst, vec![lie]);
    }
    assert!(format!("{machine:?}").len() < 200_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Pairwise connected members that all claim one task, whatever the order in which claims and answers arrive.
    #[test]
    fn of_members_that_hear_each_other_exactly_one_starts(count in 2_u8..6, order in prop::collection::vec(any::<u16>(), 200)) {
        let everyone: Vec<u8> = (1..=count).collect();
        let mut machines: Vec<Settle> =
            everyone.iter().map(|me| machine(*me, &everyone.iter().copied().filter(|other| other != me).collect::<Vec<_>>())).collect();
        // Each member opens at some time; what it sends to each other member stays in order.
        let mut unopened = everyone.clone();
        let mut seen = vec![Vec::<u8>::new(); usize::from(count)];
        let mut wires: std::collections::BTreeMap<(u8, u8), std::collections::VecDeque<Option<ClaimAnswer>>> = Default::default();
        let (mut starts, mut order) = (Vec::new(), order.into_iter().cycle());
        while !unopened.is_empty() || wires.values().any(|wire| !wire.is_empty()) {
            let pick = usize::from(order.next().expect("endless"));
            let full: Vec<(u8, u8)> = wires.iter().filter(|(_, wire)| !wire.is_empty()).map(|(pair, _)| *pair).collect();
            let verdicts = if !unopened.is_empty() && (full.is_empty() || pick % 3 == 0) {
                let me = unopened.remove(pick / 3 % unopened.len());
                // The law lets nobody claim over a claim that it has seen.
                if !seen[usize::from(me) - 1].is_empty() { continue }
                for other in everyone.iter().filter(|other| **other != me) {
                    wires.entry((me, *other)).or_default().push_back(None);
                }
                open(&mut machines[usize::from(me) - 1], 0, me)
            } else {
                let (from, to) = full[pick % full.len()];
                let at = usize::from(to) - 1;
                match wires.get_mut(&(from, to)).and_then(std::collections::VecDeque::pop_front).flatten() {
                    None => {
                        seen[at].push(from);
                        let opened = !unopened.contains(&to);
                        let answer = machines[at].answer(&claim(from), opened.then(|| known(claim(to))).into_iter().filter(|_| seen[at].len() > 9));
                        wires.entry((to, from)).or_default().push_back(Some(answer));
                        machines[at].handle(Moment(0), Input::Seen(known(claim(from))))
                    }
                    Some(answer) => machines[at].handle(Moment(0), Input::Answered { peer: key(from), answer }),
                }
            };
            starts.extend(verdicts.into_iter().filter(|verdict| matches!(verdict, Verdict::Start { .. })));
        }
        prop_assert_eq!(starts.len(), 1);
    }
}
