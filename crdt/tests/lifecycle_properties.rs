//! Properties of the lifecycle over generated histories. Choices are narrow, so that ties, forks and near misses are common, and shrink to
//! short histories; `lifecycle_schedules` runs many more, unshrunk.

mod lifecycle_world;

use lifecycle_world::{Op, Profile, World, apply};
use octopoid_crdt::{
    ids::{AuthorKey, Oid, RecordId, SessionId},
    lifecycle::{Act, Entry, Index, Past, PolicyAt, Refusal, Removals, Standing, TaskLog, Verdict},
    record::{Access, Cause, Queue},
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::FileFailurePersistence};

fn profiles() -> impl Strategy<Value = Profile> {
    (2..4usize, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(members, hostile, authority, removals, deletes)| {
        Profile { members, hostile, authority, forced: authority, removals, deletes }
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let small = || 0..24u8;
    let op = prop_oneof![
        8 => (small(), any::<u8>()).prop_map(|(member, choice)| Op::Act { member, choice }),
        4 => (small(), small(), option::of(small())).prop_map(|(to, from, pick)| Op::Pull { to, from, pick }),
        2 => (0..17u8, [small(), small()], small(), any::<u8>())
            .prop_map(|(kind, over, names, number)| Op::Attack { kind, over, names, number }),
        1 => (0..16u8).prop_map(|sides| Op::Part { sides }),
        1 => small().prop_map(|member| Op::Restore { member }),
        1 => (small(), any::<u8>()).prop_map(|(member, choice)| Op::Govern { member, choice }),
    ];
    vec(op, 0..40)
}

/// A causal order of everything that the first member holds, with duplicates: each pick takes one of the records that are ready.
fn shuffled(world: &World, picks: &[u8]) -> Vec<RecordId> {
    let mut waiting: Vec<RecordId> = world.members[0].log.entries().iter().map(|entry| entry.id).collect();
    let mut order: Vec<RecordId> = Vec::new();
    let mut picks = picks.iter().cycle();
    while !waiting.is_empty() {
        let ready: Vec<RecordId> =
            waiting.iter().copied().filter(|id| world.written[id].deps.iter().all(|dep| order.contains(dep))).collect();
        let pick = usize::from(picks.next().copied().unwrap_or_default());
        let next = ready[pick % ready.len()];
        waiting.retain(|id| *id != next);
        order.push(next);
        if pick.is_multiple_of(5) {
            order.push(order[pick % order.len()]);
        }
    }
    order
}

fn judged(log: &TaskLog) -> Vec<(RecordId, Verdict, bool)> {
    let mut judged: Vec<_> = log.entries().iter().map(|entry| (entry.id, entry.verdict, entry.anew)).collect();
    judged.sort_by_key(|(id, ..)| *id);
    judged
}

fn ids() -> impl Strategy<Value = RecordId> {
    any::<[u8; 32]>().prop_map(RecordId)
}

fn oids() -> impl Strategy<Value = Option<Oid>> {
    option::of(prop_oneof![vec(any::<u8>(), 20), vec(any::<u8>(), 32)].prop_map(|bytes| Oid::from_bytes(&bytes).expect("20 or 32 bytes")))
}

fn causes() -> impl Strategy<Value = Cause> {
    use Cause::*;
    select(vec![
        Requeue,
        ForceQueue,
        Edit,
        Flow,
        AttemptFailed,
        GivenUp,
        BurnOut,
        MergeConflict,
        Reopen,
        Adopt,
        GivenBack,
        Stopped,
        Superseded,
        LeaseExpired,
        BrokenDown,
    ])
}

fn queues() -> impl Strategy<Value = Queue> {
    select(vec!["incoming", "provisional", "failed", "blocked", "backlog", "needs_continuation", "staging"])
        .prop_map(|name| Queue::parse(name).expect("a queue's name"))
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        select(vec![Act::Create, Act::Edit, Act::Heads, Act::Finish, Act::Cancel, Act::Delete, Act::Unknown]),
        (any::<u64>(), ".{0,20}").prop_map(|(epoch, agent)| Act::Claim { epoch, agent }),
        (ids(), ".{0,20}").prop_map(|(on, agent)| Act::Review { on, agent }),
        (ids(), any::<u64>()).prop_map(|(claim, epoch)| Act::Grant { claim, epoch }),
        (ids(), causes()).prop_map(|(of, cause)| Act::Release { of, cause }),
        ids().prop_map(|of| Act::Expire { of }),
        (ids(), oids(), oids()).prop_map(|(claim, base, head)| Act::Submit { claim, base, head }),
        ids().prop_map(|on| Act::Accept { on }),
        ids().prop_map(|on| Act::Reject { on }),
        (ids(), oids()).prop_map(|(accept, commit)| Act::Merged { accept, commit }),
        (queues(), causes(), option::of(ids())).prop_map(|(queue, cause, keep)| Act::Move { queue, cause, keep }),
    ]
}

fn pasts() -> impl Strategy<Value = Past> {
    vec((0..200u32, 0..20u32), 0..5).prop_map(|runs| Past::from_runs(runs.into_iter().map(|(start, len)| (start, start + len))))
}

fn standings() -> impl Strategy<Value = Standing> {
    let policy = (any::<u64>(), option::of(any::<[u8; 32]>().prop_map(AuthorKey)));
    let policy = policy.prop_map(|(number, authority)| PolicyAt { number, authority });
    let access = option::of(select(vec![Access::Reader, Access::Worker, Access::Admin]));
    (access, option::of(policy), any::<[u8; 16]>(), any::<u64>(), pasts()).prop_map(|(access, policy, session, seq, removals)| Standing {
        access,
        policy,
        session: SessionId(session),
        seq,
        removals,
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    use Refusal::*;
    let refusals = vec![
        NotAMember,
        NotTheAuthority,
        UnknownTarget,
        NotTheHolder,
        NoTask,
        Deleted,
        Finished,
        Cancelled,
        Held,
        Ended,
        NotClaimable,
        StaleEpoch,
        NotCurrent,
        NothingToReview,
        NotATargetQueue,
        UnknownKind,
    ];
    prop_oneof![Just(Verdict::Counts), select(refusals).prop_map(Verdict::Void)]
}

fn entries() -> impl Strategy<Value = Entry> {
    let judged = (verdicts(), option::of(any::<Index>()), option::of(any::<Index>()), any::<bool>());
    (ids(), any::<[u8; 32]>(), pasts(), acts(), standings(), judged).prop_map(|(id, author, past, act, standing, judged)| {
        let (verdict, target, about, anew) = judged;
        Entry { id, author: AuthorKey(author), past, act, standing, verdict, target, about, anew }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    /// I1, and with it that a verdict is reached from the past alone.
    #[test]
    fn the_same_records_give_the_same_state_in_any_order_with_duplicates_and_in_chunks(
        profile in profiles(), ops in ops(), picks in vec(any::<u8>(), 1..60), chunk in 1..7usize,
    ) {
        let mut world = World::new(profile, 1);
        for op in &ops {
            prop_assert_eq!(world.step(op), Ok(()));
        }
        prop_assert_eq!(world.heal(), Ok(()));
        let member = &world.members[0];
        let mut log = TaskLog::new(member.log.task());
        for part in shuffled(&world, &picks).chunks(chunk) {
            for id in part {
                apply(&mut log, &world.written[id], &member.removals);
            }
            // A restart between chunks.
            let stored: Result<Vec<Entry>, _> = log.entries().iter().map(|entry| Entry::decode(&entry.encode())).collect();
            log = TaskLog::from_entries(log.task(), stored.expect("what was encoded"));
        }
        prop_assert_eq!(judged(&log), judged(&member.log));
        prop_assert_eq!(log.resolve(&member.removals), member.log.resolve(&member.removals));
    }

    /// I3, I4, I6, I10, no theft of what is held, one merge, one grant a number, finished work is shown.
    #[test]
    fn no_history_breaks_an_invariant(profile in profiles(), ops in ops()) {
        let mut world = World::new(profile, 2);
        for op in &ops {
            prop_assert_eq!(world.step(op), Ok(()));
        }
        prop_assert_eq!(world.heal(), Ok(()));
    }

    /// Among equal epochs and stages only the lot decides: no order of arrival, no id that a claimant could search for.
    #[test]
    fn concurrent_claims_are_decided_by_lot(keys in proptest::collection::btree_set(1..250u8, 2..6), first in any::<prop::sample::Index>()) {
        let keys: Vec<u8> = keys.into_iter().collect();
        let task = octopoid_crdt::ids::Subject([9; 32]);
        let standing = Standing { access: Some(Access::Worker), policy: None, session: SessionId([0; 16]), seq: 1, removals: Past::default() };
        let mut log = TaskLog::new(task);
        let create = RecordId([0xff; 32]);
        log.push(log.judge(create, AuthorKey([0; 32]), Past::default(), Act::Create, standing.clone(), &Removals::none()));
        let turn = first.index(keys.len());
        for key in keys[turn..].iter().chain(&keys[..turn]) {
            let (act, past) = (Act::Claim { epoch: 1, agent: String::new() }, log.past_of(&[create]));
            log.push(log.judge(RecordId([*key; 32]), AuthorKey([*key; 32]), past, act, standing.clone(), &Removals::none()));
        }
        let lot = |key: &u8| {
            let text = [b"octopoid/prio".as_slice(), task.as_bytes(), &1u64.to_be_bytes(), &[*key; 32]].concat();
            *blake3::hash(&text).as_bytes()
        };
        let winner = keys.iter().min_by_key(|key| lot(key)).map(|key| AuthorKey([*key; 32]));
        let state = log.resolve(&Removals::none());
        prop_assert_eq!(state.current().map(|attempt| attempt.claimant), winner);
        prop_assert!(state.contested);
    }

    #[test]
    fn an_entry_is_read_as_it_was_written(entry in entries()) {
        let bytes = entry.encode();
        prop_assert_eq!(Entry::decode(&bytes).expect("what was encoded"), entry);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_entry_but_never_a_panic(entry in entries(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = entry.encode();
        let at = at.index(bytes.len());
        prop_assert!(Entry::decode(&bytes[..at]).is_err(), "a part was taken for the whole");
        bytes[at] ^= flip;
        if let Ok(other) = Entry::decode(&bytes) {
            prop_assert_eq!(Entry::decode(&other.encode()).expect("what was encoded"), other);
        }
    }

    #[test]
    fn a_past_is_a_set(a in vec(0..40u32, 0..20), b in vec(0..40u32, 0..20)) {
        let (mut left, right): (Past, Past) = (a.iter().copied().collect(), b.iter().copied().collect());
        left.union(&right);
        let union: std::collections::BTreeSet<u32> = a.into_iter().chain(b).collect();
        prop_assert_eq!(left.iter().collect::<Vec<_>>(), union.iter().copied().collect::<Vec<_>>());
        prop_assert!((0..41).all(|index| left.contains(index) == union.contains(&index)));
    }
}

#[test]
fn a_typical_entry_is_small() {
    let standing =
        Standing { access: Some(Access::Worker), policy: None, session: SessionId([1; 16]), seq: 70_000, removals: Past::default() };
    let size = |act: Act, target| {
        let entry = Entry {
            id: RecordId([1; 32]),
            author: AuthorKey([2; 32]),
            past: Past::below(12),
            act,
            standing: standing.clone(),
            verdict: Verdict::Counts,
            target,
            about: None,
            anew: false,
        };
        entry.encode().len()
    };
    assert!(size(Act::Edit, None) <= 110, "an edit takes {} bytes", size(Act::Edit, None));
    let claim = Act::Claim { epoch: 3, agent: "implementer-1".into() };
    assert!(size(claim.clone(), None) <= 125, "a claim takes {} bytes", size(claim, None));
    let accept = Act::Accept { on: RecordId([3; 32]) };
    assert!(size(accept.clone(), Some(4)) <= 145, "an accept takes {} bytes", size(accept, Some(4)));
}
