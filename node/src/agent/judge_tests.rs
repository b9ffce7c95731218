//! The table of verdicts: every combination of role, work, ending and word that matters.

use super::*;
use crate::agent::RateLimit;

const CLEAN: Work = Work { commits: 0, dirty: false };
const COMMITS: Work = Work { commits: 2, dirty: false };
const DIRTY: Work = Work { commits: 0, dirty: true };
const EXIT_0: Outcome = Outcome::Exited(Exit::Code(0));
const EXIT_1: Outcome = Outcome::Exited(Exit::Code(1));
const EXIT_75: Outcome = Outcome::Exited(Exit::Code(75));
const KILLED: Outcome = Outcome::Exited(Exit::Signal(9));
const TIMED_OUT: Outcome = Outcome::TimedOut(Duration::from_secs(3600));

const ALL_WORK: [Work; 3] = [CLEAN, COMMITS, DIRTY];
const ALL_OUTCOMES: [Outcome; 5] = [EXIT_0, EXIT_1, EXIT_75, KILLED, TIMED_OUT];
const ALL_KINDS: [RoleKind; 3] = [RoleKind::Work, RoleKind::Breakdown, RoleKind::Review];
const ALL_CLAIMS: [Option<Claim>; 9] = [
    None,
    Some(Claim::Done),
    Some(Claim::Accept),
    Some(Claim::Reject),
    Some(Claim::Failed),
    Some(Claim::NeedsContinuation),
    Some(Claim::RateLimited),
    Some(Claim::NoChange),
    Some(Claim::Subtasks),
];

fn file(outcome: Claim) -> ResultFile {
    let subtask = Subtask { title: "t".into(), body: String::new(), role: None, priority: None, complexity: None, depends_on: vec![] };
    let subtasks = if outcome == Claim::Subtasks { vec![subtask] } else { vec![] };
    ResultFile { outcome, reason: Some("because".into()), notes: None, turns_used: None, subtasks }
}

fn verdict(kind: RoleKind, work: Work, outcome: Outcome, claim: Option<Claim>, stream: &StreamSummary) -> Verdict {
    let file = claim.map(file);
    judge(&Evidence { kind, work, outcome, max_turns: Some(30), stream, result: Ok(file.as_ref()) })
}

/// Names a verdict without its texts.
fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Submit { .. } => "submit",
        Verdict::NeedsContinuation { .. } => "needs_continuation",
        Verdict::Failed { .. } => "failed",
        Verdict::RateLimited { .. } => "rate_limited",
        Verdict::NoChange { .. } => "no_change",
        Verdict::Subtasks(_) => "subtasks",
        Verdict::Accept { .. } => "accept",
        Verdict::Reject { .. } => "reject",
    }
}

fn stream(subtype: &str, is_error: bool, limit: bool) -> StreamSummary {
    StreamSummary {
        turns: 12,
        subtype: Some(subtype.into()),
        is_error,
        rate_limit: limit.then_some(RateLimit { until: Some(99) }),
        last_text: "last words".into(),
        ..StreamSummary::default()
    }
}

#[test]
fn a_good_exit_is_judged_by_what_the_role_owes() {
    use Claim::{Accept, Done, Failed, NeedsContinuation, NoChange, RateLimited, Reject, Subtasks};
    use RoleKind::{Breakdown, Review, Work as Implement};
    #[rustfmt::skip]
    let table = [
        // role      claim                    no work               commits               only uncommitted
        (Implement, None,                    "failed",             "submit",             "submit"),
        (Implement, Some(Done),              "failed",             "submit",             "submit"),
        (Implement, Some(NoChange),          "no_change",          "submit",             "submit"),
        (Implement, Some(Failed),            "failed",             "failed",             "failed"),
        (Implement, Some(NeedsContinuation), "needs_continuation", "needs_continuation", "needs_continuation"),
        (Implement, Some(RateLimited),       "rate_limited",       "rate_limited",       "rate_limited"),
        (Implement, Some(Accept),            "failed",             "failed",             "failed"),
        (Implement, Some(Reject),            "failed",             "failed",             "failed"),
        (Implement, Some(Subtasks),          "failed",             "failed",             "failed"),
        (Breakdown, None,                    "failed",             "failed",             "failed"),
        (Breakdown, Some(Done),              "failed",             "failed",             "failed"),
        (Breakdown, Some(NoChange),          "no_change",          "no_change",          "no_change"),
        (Breakdown, Some(Failed),            "failed",             "failed",             "failed"),
        (Breakdown, Some(NeedsContinuation), "needs_continuation", "needs_continuation", "needs_continuation"),
        (Breakdown, Some(RateLimited),       "rate_limited",       "rate_limited",       "rate_limited"),
        (Breakdown, Some(Accept),            "failed",             "failed",             "failed"),
        (Breakdown, Some(Reject),            "failed",             "failed",             "failed"),
        (Breakdown, Some(Subtasks),          "subtasks",           "subtasks",           "subtasks"),
        (Review,    None,                    "failed",             "failed",             "failed"),
        (Review,    Some(Done),              "failed",             "failed",             "failed"),
        (Review,    Some(NoChange),          "failed",             "failed",             "failed"),
        (Review,    Some(Failed),            "failed",             "failed",             "failed"),
        (Review,    Some(NeedsContinuation), "failed",             "failed",             "failed"),
        (Review,    Some(RateLimited),       "rate_limited",       "rate_limited",       "rate_limited"),
        (Review,    Some(Accept),            "accept",             "accept",             "accept"),
        (Review,    Some(Reject),            "reject",             "reject",             "reject"),
        (Review,    Some(Subtasks),          "failed",             "failed",             "failed"),
    ];
    assert_eq!(table.len(), ALL_KINDS.len() * ALL_CLAIMS.len());
    for (kind, claim, clean, commits, dirty) in table {
        for (work, expected) in [(CLEAN, clean), (COMMITS, commits), (DIRTY, dirty)] {
            for stream in [StreamSummary::default(), stream("success", false, false), stream("success", false, true)] {
                assert_eq!(name(&verdict(kind, work, EXIT_0, claim, &stream)), expected, "{kind:?} {claim:?} {work:?} {stream:?}");
            }
        }
    }
}

#[test]
fn a_bad_ending_is_a_failure_whatever_the_agent_claims() {
    for kind in ALL_KINDS {
        for work in ALL_WORK {
            for claim in ALL_CLAIMS.into_iter().filter(|&claim| claim != Some(Claim::RateLimited)) {
                for outcome in [EXIT_1, KILLED, TIMED_OUT] {
                    let verdict = verdict(kind, work, outcome, claim, &StreamSummary::default());
                    assert_eq!(name(&verdict), "failed", "{kind:?} {work:?} {claim:?} {outcome:?}");
                }
                let verdict = verdict(kind, work, EXIT_0, claim, &stream("error_during_execution", true, false));
                assert_eq!(name(&verdict), "failed", "{kind:?} {work:?} {claim:?} reported an error");
            }
        }
    }
}

#[test]
fn the_turn_limit_asks_for_another_run_with_or_without_commits() {
    let used_up = stream("error_max_turns", false, false);
    let silent = StreamSummary { turns: 30, ..StreamSummary::default() };
    for (kind, expected) in
        [(RoleKind::Work, "needs_continuation"), (RoleKind::Breakdown, "needs_continuation"), (RoleKind::Review, "failed")]
    {
        for work in ALL_WORK {
            for claim in ALL_CLAIMS.into_iter().filter(|&claim| claim != Some(Claim::RateLimited)) {
                for outcome in [EXIT_0, EXIT_1] {
                    assert_eq!(name(&verdict(kind, work, outcome, claim, &used_up)), expected, "{kind:?} {work:?} {claim:?} {outcome:?}");
                }
                assert_eq!(name(&verdict(kind, work, EXIT_1, claim, &silent)), expected, "{kind:?} {work:?} {claim:?} counted");
            }
        }
    }
    assert_eq!(name(&verdict(RoleKind::Work, COMMITS, EXIT_0, None, &silent)), "submit", "finished with the last turn");
    assert_eq!(name(&verdict(RoleKind::Work, COMMITS, TIMED_OUT, None, &silent)), "failed", "the time was up, not the turns");
}

#[test]
fn turns_told_in_the_result_file_reach_the_limit_too() {
    let file = ResultFile { turns_used: Some(30), ..file(Claim::Failed) };
    let stream = StreamSummary::default();
    let evidence =
        Evidence { kind: RoleKind::Work, work: CLEAN, outcome: EXIT_1, max_turns: Some(30), stream: &stream, result: Ok(Some(&file)) };
    assert_eq!(judge(&evidence), Verdict::NeedsContinuation { reason: "ran out of turns after 30".into(), turns: Some(30) });
    assert_eq!(name(&judge(&Evidence { max_turns: None, ..evidence })), "failed");
    assert_eq!(name(&judge(&Evidence { max_turns: Some(31), ..evidence })), "failed");
}

#[test]
fn a_rate_limit_is_never_a_failure() {
    for kind in ALL_KINDS {
        for work in ALL_WORK {
            for outcome in ALL_OUTCOMES {
                let told = verdict(kind, work, outcome, Some(Claim::RateLimited), &StreamSummary::default());
                assert_eq!(told, Verdict::RateLimited { until: None }, "{kind:?} {work:?} {outcome:?}");
            }
            for claim in ALL_CLAIMS {
                let exit = verdict(kind, work, EXIT_75, claim, &StreamSummary::default());
                assert_eq!(exit, Verdict::RateLimited { until: None }, "{kind:?} {work:?} {claim:?}");
                for (outcome, stream) in [
                    (EXIT_1, stream("success", true, true)),
                    (EXIT_0, stream("success", true, true)),
                    (KILLED, stream("error_max_turns", false, true)),
                    (TIMED_OUT, stream("success", false, true)),
                ] {
                    let streamed = verdict(kind, work, outcome, claim, &stream);
                    assert_eq!(streamed, Verdict::RateLimited { until: Some(99) }, "{kind:?} {work:?} {claim:?} {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn a_result_file_that_cannot_be_read_fails_the_run_and_says_why() {
    let error = ResultFile::parse(b"{\"outcome\":\"fine\"}").expect_err("a wrong outcome");
    let stream = StreamSummary::default();
    for kind in ALL_KINDS {
        let verdict = judge(&Evidence { kind, work: COMMITS, outcome: EXIT_0, max_turns: None, stream: &stream, result: Err(&error) });
        let Verdict::Failed { reason } = verdict else { panic!("{verdict:?}") };
        assert!(reason.contains("outcome must be one of done"), "{reason}");
        assert_eq!(reason.contains("branch is kept"), kind != RoleKind::Review, "{reason}");
    }
}

#[test]
fn reasons_say_what_happened_and_that_work_is_kept() {
    let reason = |work, outcome, claim, stream: &StreamSummary| {
        let verdict = verdict(RoleKind::Work, work, outcome, claim, stream);
        let Verdict::Failed { reason } = verdict else { panic!("{verdict:?}") };
        reason
    };
    let silent = StreamSummary::default();
    let talking = stream("success", false, false);
    assert_eq!(reason(COMMITS, EXIT_1, Some(Claim::Done), &silent), "exited with code 1: because; its branch is kept");
    assert_eq!(reason(CLEAN, EXIT_1, None, &talking), "exited with code 1: last words");
    assert_eq!(reason(CLEAN, KILLED, None, &silent), "killed by signal 9: it gave no reason, see its log");
    assert_eq!(reason(DIRTY, TIMED_OUT, None, &silent), "ended after 3600 s because its time was up; its branch is kept");
    assert_eq!(reason(CLEAN, EXIT_0, Some(Claim::Done), &silent), "says done, but the branch has no new commit and no change: because");
    assert_eq!(reason(CLEAN, EXIT_0, None, &talking), "exited without a commit or a change: last words");
    assert_eq!(
        reason(COMMITS, EXIT_0, Some(Claim::Accept), &silent),
        "its result file says 'accept', which its role cannot give; its branch is kept"
    );
}

#[test]
fn a_submission_carries_notes_and_turns() {
    let talking = stream("success", false, false);
    let submitted = |claim| verdict(RoleKind::Work, COMMITS, EXIT_0, claim, &talking);
    assert_eq!(submitted(None), Verdict::Submit { notes: "last words".into(), turns: Some(12) });
    assert_eq!(submitted(Some(Claim::Done)), Verdict::Submit { notes: "because".into(), turns: Some(12) });
    let file = ResultFile { notes: Some("see tests".into()), turns_used: Some(3), ..file(Claim::Done) };
    let silent = StreamSummary::default();
    let evidence =
        Evidence { kind: RoleKind::Work, work: DIRTY, outcome: EXIT_0, max_turns: None, stream: &silent, result: Ok(Some(&file)) };
    assert_eq!(judge(&evidence), Verdict::Submit { notes: "see tests".into(), turns: Some(3) });
}

#[test]
fn a_run_that_its_node_stopped_is_not_judged() {
    let ended = |cause| Ended {
        cause,
        exit: Exit::Signal(15),
        ran: Duration::from_secs(5),
        swept: crate::agent::Swept::default(),
        stdout: crate::agent::Captured::default(),
        stderr: crate::agent::Captured::default(),
        stream: StreamSummary::default(),
    };
    assert_eq!(ended(EndCause::Stopped(crate::agent::StopReason::LeaseLost)).outcome(), None);
    assert_eq!(ended(EndCause::Exited).outcome(), Some(Outcome::Exited(Exit::Signal(15))));
    assert_eq!(ended(EndCause::TimedOut).outcome(), Some(Outcome::TimedOut(Duration::from_secs(5))));
}
