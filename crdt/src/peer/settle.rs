//! Who starts: a claim or review is told to every connected member, and work begins only when all have answered and ours wins.
//!
//! Each member answers after it has committed the claim, and names its own competing ones. Of two nodes that can hear each
//! other at least one therefore knows both claims before it starts, and both compare them by the same rank; so members that
//! are pairwise connected start a task exactly once. Across a partition each side may start one.
//!
//! **Invariants**
//! - [`Verdict::Start`] is given at most once for each claim; from then on every answer says that it has started.
//! - A claim that was yielded is never started.
//! - Time in which this process did not run makes nobody suspect.

mod contender;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

pub use contender::{Contender, Known, Stake, contender, contenders};

use super::{ClaimAnswer, Rival, limits};
use crate::{
    ids::{AuthorKey, RecordId},
    lease::Moment,
};

/// How long a member may be silent while an answer is awaited, in milliseconds of time in which this node ran.
pub const SILENCE_MS: u64 = 500;
/// How long an answer is awaited of a member that says other things meanwhile.
pub const ANSWER_MS: u64 = 5_000;
/// A longer gap between two inputs means that this process was stopped or starved: it counts as no time at all, and
/// everybody gets [`SILENCE_MS`] anew, because what they sent meanwhile is still to be read.
pub const STALL_MS: u64 = 250;

/// Rivals that are kept for each own claim; more than there are members come from one that lies.
const RIVALS_KEPT: usize = 256;
/// Answers of each member that are kept for claims which are not opened yet.
const EARLY_KEPT: usize = 64;

/// What the machine is told. What it says of records is told when they are on disk.
#[derive(Debug, Clone)]
pub enum Input {
    /// A member is connected and greeted.
    Connected { peer: AuthorKey },
    /// A member's connection is gone.
    Disconnected { peer: AuthorKey },
    /// Any frame came from a member.
    Heard { peer: AuthorKey },
    /// An own claim or review is on disk and was pushed to every connected member; `others` are those of the
    /// task by now ([`contenders`]).
    Opened { contender: Contender, others: Vec<Known> },
    /// An attempt that had started before this node's restart goes on.
    Resumed { contender: Contender },
    /// Another's claim or review is on disk here.
    Seen(Known),
    /// A renewal or a Submit tells that work on it has started.
    Started { of: RecordId },
    /// A record ended it, whoever's it is: Release, Expire, Submit of it, a verdict, a Move.
    Ended { of: RecordId },
    /// A member's answer to an own claim or review.
    Answered { peer: AuthorKey, answer: ClaimAnswer },
    /// Time went by. At least every 100 ms while [`Settle::is_waiting`].
    Tick,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Begin the work. From now on this claim counts as started.
    Start { of: RecordId },
    /// Write a Release: the other one goes first. Take another task.
    Yield { of: RecordId, to: RecordId },
    /// Stop the work: the other one has started as well and wins. Keep the branch, write a Release.
    Stop { of: RecordId, to: RecordId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Started,
    /// Yielded or stopped; its Release is on the way.
    Over,
}

#[derive(Debug, Clone)]
struct Case {
    contender: Contender,
    stage: Stage,
    /// When it was asked, in time that this node ran.
    asked: u64,
    /// Members that were asked, are connected and have not answered.
    unanswered: BTreeSet<AuthorKey>,
    rivals: BTreeMap<RecordId, Rival>,
    /// What others say of members' claims that are not here. It counts while the claims' authors are silent.
    hearsay: BTreeMap<RecordId, Rival>,
}

impl Case {
    /// Decides once nobody is waited for.
    fn decide(&mut self, suspects: &BTreeSet<AuthorKey>) -> Option<Verdict> {
        let (of, rank) = (self.contender.id, self.contender.rank());
        let outranks = |rival: &&Rival| self.contender.rank_of(rival) > rank;
        match self.stage {
            Stage::Waiting if self.unanswered.is_subset(suspects) => {
                // A silent member's claim may have started before it fell silent, when it could not hear us.
                let silent = |rival: &&Rival| self.unanswered.contains(&rival.author);
                let started = self.rivals.values().find(|rival| rival.started || silent(rival));
                let started = started.or_else(|| self.hearsay.values().find(silent));
                match started.or_else(|| self.rivals.values().filter(outranks).max_by_key(|rival| self.contender.rank_of(rival))) {
                    Some(to) => {
                        let to = to.id;
                        self.stage = Stage::Over;
                        Some(Verdict::Yield { of, to })
                    }
                    None => {
                        self.stage = Stage::Started;
                        Some(Verdict::Start { of })
                    }
                }
            }
            // One that outranks us but has not started will hear that we have, and yield.
            Stage::Started => {
                let to = self.rivals.values().filter(|rival| rival.started).find(outranks)?.id;
                self.stage = Stage::Over;
                Some(Verdict::Stop { of, to })
            }
            Stage::Waiting | Stage::Over => None,
        }
    }

    fn add(&mut self, rival: Rival) {
        if self.rivals.len() >= RIVALS_KEPT && !self.rivals.contains_key(&rival.id) {
            return;
        }
        let known = self.rivals.entry(rival.id).or_insert(rival);
        known.started |= rival.started;
    }
}

/// Settles this node's claims and reviews against those of connected members.
#[derive(Debug)]
pub struct Settle {
    me: AuthorKey,
    /// Own open claims and reviews.
    cases: BTreeMap<RecordId, Case>,
    /// Connected members and when they were last heard, in time that this node ran.
    heard: BTreeMap<AuthorKey, u64>,
    /// The last answers of connected members to claims that are not opened here. A claim is pushed when it is on disk and
    /// opened a moment later; a member may be faster.
    early: BTreeMap<AuthorKey, VecDeque<ClaimAnswer>>,
    suspects: BTreeSet<AuthorKey>,
    ran: u64,
    last: Moment,
}

impl Settle {
    /// Starts without claims and alone.
    #[must_use]
    pub const fn new(me: AuthorKey, now: Moment) -> Self {
        Self { me, cases: BTreeMap::new(), heard: BTreeMap::new(), early: BTreeMap::new(), suspects: BTreeSet::new(), ran: 0, last: now }
    }

    /// Takes one input; returns what follows, in order.
    #[must_use]
    pub fn handle(&mut self, now: Moment, input: Input) -> Vec<Verdict> {
        self.run(now);
        match input {
            Input::Connected { peer } => {
                if peer != self.me {
                    self.heard.insert(peer, self.ran);
                    self.suspects.remove(&peer);
                }
            }
            Input::Disconnected { peer } => {
                self.heard.remove(&peer);
                self.early.remove(&peer);
                self.suspects.remove(&peer);
                for case in self.cases.values_mut() {
                    case.unanswered.remove(&peer);
                }
            }
            Input::Heard { peer } => self.hear(peer),
            Input::Opened { contender, others } => {
                self.open(contender, Stage::Waiting);
                others.iter().for_each(|other| self.see(&other.contender, other.started));
            }
            Input::Resumed { contender } => self.open(contender, Stage::Started),
            Input::Seen(known) => self.see(&known.contender, known.started),
            Input::Started { of } => {
                for rival in self.cases.values_mut().filter_map(|case| case.rivals.get_mut(&of)) {
                    rival.started = true;
                }
            }
            Input::Ended { of } => {
                self.cases.remove(&of);
                for case in self.cases.values_mut() {
                    case.rivals.remove(&of);
                    case.hearsay.remove(&of);
                }
            }
            Input::Answered { peer, answer } => self.answered(peer, &answer),
            Input::Tick => {}
        }
        self.suspect();
        let suspects = &self.suspects;
        self.cases.values_mut().filter_map(|case| case.decide(suspects)).collect()
    }

    /// Answers another's claim or review, which is on disk here, and takes it as a rival of the own ones: from one place,
    /// so that no start slips between the two. `others` are those of the task by now ([`contenders`]).
    ///
    /// Own claims are told as what they are: started, or not. Those that were yielded are not told.
    #[must_use]
    pub fn answer(&mut self, asked: &Contender, others: impl IntoIterator<Item = Known>) -> ClaimAnswer {
        self.see(asked, false);
        let mut rivals: BTreeMap<RecordId, Rival> = BTreeMap::new();
        for case in self.cases.values().filter(|case| case.stage != Stage::Over && case.contender.competes_with(asked)) {
            rivals.insert(case.contender.id, case.contender.as_rival(case.stage == Stage::Started));
        }
        for Known { contender: other, started } in others.into_iter().filter(|other| other.contender.competes_with(asked)) {
            // An own one without a case is written but not opened yet, or submitted: the log tells which.
            if other.author != self.me || !self.cases.contains_key(&other.id) {
                let heard = self.cases.values().any(|case| case.rivals.get(&other.id).is_some_and(|rival| rival.started));
                rivals.entry(other.id).or_insert_with(|| other.as_rival(started || heard));
            }
        }
        let mut best: Vec<Rival> = rivals.into_values().collect();
        // Own ones first: only these are certain.
        best.sort_by_key(|rival| (rival.author != self.me, !rival.started, Reverse(asked.rank_of(rival))));
        best.truncate(limits::RIVALS);
        best.sort_unstable();
        ClaimAnswer { of: asked.id, rivals: best }
    }

    /// Tells whether work on an own claim has started.
    #[must_use]
    pub fn has_started(&self, of: &RecordId) -> bool {
        self.cases.get(of).is_some_and(|case| case.stage == Stage::Started)
    }

    /// Tells whether a claim waits for answers, so that ticks are needed.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.cases.values().any(|case| case.stage == Stage::Waiting)
    }

    /// Tells whether a member is not waited for.
    #[must_use]
    pub fn is_suspect(&self, peer: &AuthorKey) -> bool {
        self.suspects.contains(peer)
    }

    fn run(&mut self, now: Moment) {
        let elapsed = now.0.saturating_sub(self.last.0);
        self.last = self.last.max(now);
        if elapsed > STALL_MS {
            self.heard.values_mut().for_each(|heard| *heard = self.ran);
            // Who was silent before may have spoken meanwhile.
            self.suspects.clear();
        } else {
            self.ran += elapsed;
        }
    }

    fn hear(&mut self, peer: AuthorKey) {
        if let Some(heard) = self.heard.get_mut(&peer) {
            *heard = self.ran;
            self.suspects.remove(&peer);
        }
    }

    fn open(&mut self, contender: Contender, stage: Stage) {
        let unanswered = match stage {
            Stage::Waiting => self.heard.keys().copied().collect(),
            Stage::Started | Stage::Over => BTreeSet::new(),
        };
        let asked = self.ran;
        self.cases.entry(contender.id).or_insert(Case {
            contender,
            stage,
            asked,
            unanswered,
            rivals: BTreeMap::new(),
            hearsay: BTreeMap::new(),
        });
        for (peer, answer) in self.early_answers(contender.id) {
            self.answered(peer, &answer);
        }
    }

    fn early_answers(&mut self, of: RecordId) -> Vec<(AuthorKey, ClaimAnswer)> {
        let mut found = Vec::new();
        for (peer, answers) in &mut self.early {
            while let Some(at) = answers.iter().position(|answer| answer.of == of) {
                found.extend(answers.remove(at).map(|answer| (*peer, answer)));
            }
        }
        found
    }

    fn see(&mut self, contender: &Contender, started: bool) {
        for case in self.cases.values_mut().filter(|case| case.contender.competes_with(contender)) {
            case.add(contender.as_rival(started));
        }
    }

    fn answered(&mut self, peer: AuthorKey, answer: &ClaimAnswer) {
        self.hear(peer);
        let Some(case) = self.cases.get_mut(&answer.of) else {
            if self.heard.contains_key(&peer) {
                let early = self.early.entry(peer).or_default();
                early.push_back(answer.clone());
                early.drain(..early.len().saturating_sub(EARLY_KEPT));
            }
            return;
        };
        case.unanswered.remove(&peer);
        for rival in &answer.rivals {
            // Of others' claims a member may know less, or say what is not: who wrote them says better, unless silent.
            if rival.author == peer {
                case.add(*rival);
            } else if let Some(known) = case.rivals.get_mut(&rival.id) {
                known.started |= rival.started;
            } else if case.hearsay.len() < RIVALS_KEPT {
                case.hearsay.insert(rival.id, *rival);
            }
        }
    }

    fn suspect(&mut self) {
        let ran = self.ran;
        for case in self.cases.values_mut().filter(|case| case.stage == Stage::Waiting) {
            if ran.saturating_sub(case.asked) >= ANSWER_MS {
                case.unanswered.clear();
            }
            let silent = |peer: &&AuthorKey| {
                let since = self.heard.get(*peer).copied().unwrap_or(0).max(case.asked);
                ran.saturating_sub(since) >= SILENCE_MS
            };
            self.suspects.extend(case.unanswered.iter().filter(silent));
        }
    }
}
