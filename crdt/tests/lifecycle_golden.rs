//! Replays the golden vectors that `crdt/model/lifecycle_model.py --vectors` writes: the executable model and these rules agree on every
//! verdict and every state, whatever the order in which the records arrive.

use std::{collections::BTreeMap, fs, path::Path};

use octopoid_crdt::{
    ids::{AuthorKey, RecordId, SessionId, Subject},
    lifecycle::{
        Act, AttemptStatus, End, Entry, Index, Past, Phase, PolicyAt, Reach, Refusal, Removal, Removals, Standing, TaskLog, TaskState,
        Verdict,
    },
    record::{Access, Cause, Queue},
};
use serde::Deserialize;

/// One schedule.
#[derive(Deserialize)]
struct Vector {
    seed: u64,
    task: String,
    cuts: Vec<Cut>,
    records: Vec<Line>,
    views: Vec<View>,
}

/// A removal: author, frontier as (session, last sequence number), and whether only its grants are masked.
#[derive(Deserialize)]
struct Cut {
    a: u8,
    f: Vec<(u8, u64)>,
    g: bool,
}

/// A record: id, author, (session, sequence number), kind, deps; then, where they apply: target, kept claim, epoch, queue, cause, policy as
/// (number, authority), removals in its past, membership; then the expected verdict, meaning and whether it creates anew.
#[derive(Deserialize)]
struct Line {
    i: String,
    a: u8,
    s: (u8, u64),
    k: String,
    d: Vec<usize>,
    t: Option<usize>,
    w: Option<usize>,
    #[serde(default)]
    e: u64,
    q: Option<String>,
    c: Option<String>,
    p: Option<(u64, u8)>,
    #[serde(default)]
    x: Vec<Index>,
    #[serde(default = "yes")]
    m: bool,
    v: Option<String>,
    b: Option<usize>,
    #[serde(default)]
    n: bool,
}

const fn yes() -> bool {
    true
}

/// A set of records, the removals that are known with it, and what it resolves to.
#[derive(Deserialize)]
struct View {
    r: Vec<usize>,
    k: Vec<Index>,
    is: Expected,
}

/// Phase, queue, epoch, created, contested, attempt and rejection counts, status of each claim; then, where they apply: what the state rests
/// on, claim, submit, review, deciding record, merged, attempt to resume.
#[derive(Deserialize, Debug, PartialEq)]
struct Expected {
    p: String,
    q: String,
    e: u64,
    cr: bool,
    x: bool,
    ac: u32,
    rc: u32,
    st: Vec<(usize, String)>,
    o: Option<usize>,
    c: Option<usize>,
    s: Option<usize>,
    v: Option<usize>,
    by: Option<usize>,
    m: Option<usize>,
    z: Option<usize>,
}

impl Vector {
    fn id(&self, record: usize) -> RecordId {
        let mut id = [0; 32];
        hex::decode_to_slice(&self.records[record].i, &mut id[..8]).expect("eight bytes of hex");
        RecordId(id)
    }

    fn act(&self, line: &Line) -> Act {
        // A hostile record may name nothing at all.
        let target = line.t.map_or(RecordId([0xff; 32]), |t| self.id(t));
        let agent = String::from("agent");
        match line.k.as_str() {
            "create" => Act::Create,
            "edit" => Act::Edit,
            "heads" => Act::Heads,
            "claim" => Act::Claim { epoch: line.e, agent },
            "review" => Act::Review { on: target, agent },
            "grant" => Act::Grant { claim: target, epoch: line.e },
            "release" => Act::Release { of: target, cause: Cause::GivenBack },
            "expire" => Act::Expire { of: target },
            "submit" => Act::Submit { claim: target, base: None, head: None },
            "accept" => Act::Accept { on: target },
            "reject" => Act::Reject { on: target },
            "merged" => Act::Merged { accept: target, commit: None },
            "finish" => Act::Finish,
            "cancel" => Act::Cancel,
            "delete" => Act::Delete,
            "unknown" => Act::Unknown,
            "move" => Act::Move {
                queue: Queue::parse(line.q.as_deref().expect("a queue")).expect("a queue's name"),
                cause: match line.c.as_deref().expect("a cause") {
                    "requeue" => Cause::Requeue,
                    "attempt-failed" => Cause::AttemptFailed,
                    "flow" => Cause::Flow,
                    "edit" => Cause::Edit,
                    other => panic!("a new cause in the vectors: {other}"),
                },
                keep: line.w.map(|w| self.id(w)),
            },
            other => panic!("a new kind in the vectors: {other}"),
        }
    }

    fn judge(&self, log: &TaskLog, record: usize, removals: &Removals) -> Entry {
        let line = &self.records[record];
        let standing = Standing {
            access: Some(if line.m { Access::Worker } else { Access::Reader }),
            policy: line.p.map(|(number, authority)| PolicyAt { number, authority: Some(key(authority)) }),
            session: SessionId([line.s.0; 16]),
            seq: line.s.1,
            removals: line.x.iter().copied().collect::<Past>(),
        };
        let deps: Vec<RecordId> = line.d.iter().map(|dep| self.id(*dep)).collect();
        log.judge(self.id(record), key(line.a), log.past_of(&deps), self.act(line), standing, removals)
    }

    fn removals(&self, known: &[Index]) -> Removals {
        let mut removals = Removals::none();
        for (number, cut) in (0..).zip(&self.cuts).filter(|(number, _)| known.contains(number)) {
            let reach = if cut.g { Reach::Grants } else { Reach::Everything };
            let frontier = cut.f.iter().map(|(session, last)| (SessionId([*session; 16]), *last)).collect();
            removals.add(number, Removal { author: key(cut.a), frontier, reach });
        }
        removals
    }

    /// Fills a log in the given order and checks every verdict on the way.
    fn replay(&self, order: &[usize], removals: &Removals) -> TaskLog {
        let mut log = TaskLog::new(Subject(self.task.parse::<RecordId>().expect("a subject").0));
        for &record in order {
            let (entry, line) = (self.judge(&log, record, removals), &self.records[record]);
            let about = entry.about.and_then(|about| log.at(about)).map(|entry| entry.id);
            let got = (verdict(&entry), about, entry.anew);
            let expected = (line.v.as_deref().unwrap_or("counts"), line.b.map(|b| self.id(b)), line.n);
            assert_eq!(got, expected, "seed {}, record {record} ({})", self.seed, line.k);
            let stored = Entry::decode(&entry.encode()).expect("what was encoded");
            assert_eq!(stored, entry, "seed {}, record {record}", self.seed);
            log.push(stored);
        }
        log
    }

    fn describe(&self, state: &TaskState) -> Expected {
        let numbers: BTreeMap<RecordId, usize> = (0..self.records.len()).map(|record| (self.id(record), record)).collect();
        let number = |id: RecordId| numbers[&id];
        let claim = |attempt: usize| number(state.attempts[attempt].claim);
        let mut expected = Expected {
            p: String::new(),
            q: state.queue.as_str().to_owned(),
            e: state.epoch,
            cr: state.created,
            x: state.contested,
            ac: state.attempt_count,
            rc: state.rejection_count,
            st: Vec::new(),
            o: state.rests_on.map(number),
            c: None,
            s: None,
            v: None,
            by: None,
            m: None,
            z: None,
        };
        let listed = state.attempts.iter().filter(|attempt| attempt.status != AttemptStatus::Withdrawn);
        expected.st = listed.map(|attempt| (number(attempt.claim), status(attempt.status).to_owned())).collect();
        expected.st.sort();
        expected.p = match &state.phase {
            Phase::Waiting { resume } => {
                expected.z = resume.map(claim);
                "waiting"
            }
            Phase::Claimed { attempt } => {
                expected.c = Some(claim(*attempt));
                "claimed"
            }
            Phase::Provisional { attempt, submit, review } => {
                expected.c = Some(claim(*attempt));
                expected.s = Some(number(*submit));
                expected.v = review.as_ref().map(|holder| number(holder.review));
                "provisional"
            }
            Phase::Done { by, merged, .. } => {
                expected.m = merged.as_ref().map(|merge| number(merge.id));
                match by {
                    End::Accept { id, attempt, submit } => {
                        (expected.by, expected.c, expected.s) = (Some(number(*id)), attempt.map(claim), submit.map(number));
                    }
                    End::Finish { id } => expected.by = Some(number(*id)),
                }
                "done"
            }
            Phase::Cancelled { by } => {
                expected.by = Some(number(*by));
                "cancelled"
            }
            Phase::Deleted { by } => {
                expected.by = Some(number(*by));
                "deleted"
            }
        }
        .to_owned();
        expected
    }

    /// The same records in another causal order: always the last one that is ready.
    fn late_first(&self, records: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < records.len() {
            let ready = |r: &&usize| !order.contains(*r) && self.records[**r].d.iter().all(|dep| order.contains(dep));
            order.push(*records.iter().rev().find(ready).expect("a set that is closed under past"));
        }
        order
    }
}

fn key(author: u8) -> AuthorKey {
    AuthorKey([author + 1; 32])
}

fn verdict(entry: &Entry) -> &'static str {
    match entry.verdict {
        Verdict::Counts => "counts",
        Verdict::Void(refusal) => match refusal {
            Refusal::NotAMember => "not-a-member",
            Refusal::NotTheAuthority => "not-the-authority",
            Refusal::UnknownTarget => "unknown-target",
            Refusal::NotTheHolder => "not-the-holder",
            Refusal::NoTask => "no-task",
            Refusal::Deleted => "deleted",
            Refusal::Finished => "finished",
            Refusal::Cancelled => "cancelled",
            Refusal::Held => "held",
            Refusal::Ended => "ended",
            Refusal::NotClaimable => "not-claimable",
            Refusal::StaleEpoch => "stale-epoch",
            Refusal::NotCurrent => "not-current",
            Refusal::NothingToReview => "nothing-to-review",
            Refusal::NotATargetQueue => "not-a-target-queue",
            Refusal::UnknownKind => "unknown-kind",
        },
    }
}

const fn status(status: AttemptStatus) -> &'static str {
    match status {
        AttemptStatus::Ungranted => "ungranted",
        AttemptStatus::Running => "running",
        AttemptStatus::Submitted => "submitted",
        AttemptStatus::Superseded => "superseded",
        AttemptStatus::Released => "released",
        AttemptStatus::Expired => "expired",
        AttemptStatus::Rejected => "rejected",
        AttemptStatus::MovedAway => "moved-away",
        AttemptStatus::Accepted => "accepted",
        AttemptStatus::Merged => "merged",
        AttemptStatus::Contested => "contested",
        AttemptStatus::Withdrawn => "withdrawn",
    }
}

#[test]
fn every_verdict_and_state_of_the_model_is_reached_in_any_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lifecycle");
    let (mut schedules, mut views) = (0, 0);
    for family in ["mesh", "hostile", "anew", "authority", "removal", "forced"] {
        let text = fs::read_to_string(folder.join(family).with_extension("jsonl")).expect("a golden file");
        for line in text.lines() {
            let vector: Vector = serde_json::from_str(line).expect("a vector");
            schedules += 1;
            for view in &vector.views {
                let removals = vector.removals(&view.k);
                for order in [view.r.clone(), vector.late_first(&view.r)] {
                    let state = vector.replay(&order, &removals).resolve(&removals);
                    assert_eq!(vector.describe(&state), view.is, "{family}, seed {}, view of {:?}", vector.seed, view.r);
                    views += 1;
                }
            }
        }
    }
    assert!(schedules >= 200 && views >= 1_600, "only {schedules} schedules and {views} views were replayed");
}
