//! Decides what came of a run, once the agent and all that it started is dead.
//!
//! **Invariants**
//! - What happened is decided from git and the process. What the agent says can only make of a good run something less: it can give
//!   up, ask for more, or say that nothing needs to change; it cannot make work out of nothing or success out of a failed exit.
//! - A rate limit is never counted as a failure.
//! - No verdict loses work: whatever it is, the attempt's branch is kept.

use std::time::Duration;

use crate::causes::describe;

use super::{Claim, EndCause, Ended, Exit, ResultFile, ResultFileError, StreamSummary, Subtask, stream::cut};

/// The exit code by which any program can say that its model's use is limited for now (`EX_TEMPFAIL` of sysexits).
pub const RATE_LIMITED_EXIT: i32 = 75;
/// How much of a text that a program said goes into a reason, in bytes.
const MAX_QUOTE: usize = 500;

/// What is expected of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// Commits: implement, test, fix, research, docs and every role of one's own.
    Work,
    /// Subtasks.
    Breakdown,
    /// A verdict on another's work.
    Review,
}

/// What git says about the worktree after the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Commits on the attempt's branch that the commit it started from does not have.
    pub commits: usize,
    /// Whether anything is not committed. The supervisor commits it in any case, so it counts as work.
    pub dirty: bool,
}

impl Work {
    fn is_any(self) -> bool {
        self.commits > 0 || self.dirty
    }
}

/// How a run that may be judged ended. One that its node stopped may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By itself.
    Exited(Exit),
    /// Its time, this long, was up.
    TimedOut(Duration),
}

impl Ended {
    /// Returns what there is to judge: nothing when the node stopped the agent, since that is not its doing.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.cause {
            EndCause::Exited => Some(Outcome::Exited(self.exit)),
            EndCause::TimedOut => Some(Outcome::TimedOut(self.ran)),
            EndCause::Stopped(_) => None,
        }
    }
}

/// Everything that a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What is expected.
    pub kind: RoleKind,
    /// What git says.
    pub work: Work,
    /// How the process ended.
    pub outcome: Outcome,
    /// The limit of turns that the agent was given.
    pub max_turns: Option<u32>,
    /// What Claude Code's stream said.
    pub stream: &'a StreamSummary,
    /// What the result file says, if there is one, or what is wrong with it.
    pub result: Result<Option<&'a ResultFile>, &'a ResultFileError>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is work: submit it.
    Submit { notes: String, turns: Option<u32> },
    /// Turns are used up: another run goes on from the branch, with or without commits.
    NeedsContinuation { reason: String, turns: Option<u32> },
    /// Counts as a failed attempt.
    Failed { reason: String },
    /// Does not count; the agent pauses until then (seconds since 1970), or for a while when that is not known.
    RateLimited { until: Option<u64> },
    /// The agent says that nothing needs to change, and git shows no change.
    NoChange { reason: String },
    /// The task's parts.
    Subtasks(Vec<Subtask>),
    /// The reviewed work is good.
    Accept { reason: String },
    /// The reviewed work is not.
    Reject { reason: String },
}

/// Judges a run.
///
/// In this order: a rate limit, unless the run came to a good end all the same; the turn limit; the time limit; the exit; what the role
/// owes. The turn limit stands above the exit because Claude Code reports it by a failing one.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    if let Some(until) = rate_limit(evidence) {
        return Verdict::RateLimited { until };
    }
    if turns_used_up(evidence) {
        return out_of_turns(evidence);
    }
    match evidence.outcome {
        Outcome::TimedOut(ran) => failed(format!("ended after {} s because its time was up{}", ran.as_secs(), kept(evidence))),
        Outcome::Exited(Exit::Code(0)) if evidence.stream.is_error => {
            failed(format!("reported an error: {}{}", said(evidence), kept(evidence)))
        }
        Outcome::Exited(Exit::Code(0)) => match evidence.result {
            Ok(file) => came_to_its_end(evidence, file),
            Err(error) => failed(format!("{}{}", describe(error), kept(evidence))),
        },
        Outcome::Exited(Exit::Code(code)) => failed(format!("exited with code {code}: {}{}", said(evidence), kept(evidence))),
        Outcome::Exited(Exit::Signal(signal)) => failed(format!("killed by signal {signal}: {}{}", said(evidence), kept(evidence))),
    }
}

fn claim(evidence: &Evidence<'_>) -> Option<Claim> {
    evidence.result.ok().flatten().map(|file| file.outcome)
}

fn exited_well(evidence: &Evidence<'_>) -> bool {
    evidence.outcome == Outcome::Exited(Exit::Code(0)) && !evidence.stream.is_error
}

/// Returns when the limit ends, if one ended the run.
fn rate_limit(evidence: &Evidence<'_>) -> Option<Option<u64>> {
    let until = evidence.stream.rate_limit.and_then(|limit| limit.until);
    let told = evidence.outcome == Outcome::Exited(Exit::Code(RATE_LIMITED_EXIT)) || claim(evidence) == Some(Claim::RateLimited);
    // A limit that passed while the agent waited for it did not end the run.
    let ended_by_it = evidence.stream.rate_limit.is_some() && !exited_well(evidence);
    (told || ended_by_it).then_some(until)
}

fn turns_used_up(evidence: &Evidence<'_>) -> bool {
    if evidence.stream.subtype.as_deref() == Some("error_max_turns") {
        return true;
    }
    let reached = evidence.max_turns.zip(turns(evidence)).is_some_and(|(max, used)| used >= max);
    // One that finished with its last turn finished.
    reached && matches!(evidence.outcome, Outcome::Exited(_)) && !exited_well(evidence)
}

fn out_of_turns(evidence: &Evidence<'_>) -> Verdict {
    let used = turns(evidence).map(|turns| format!(" after {turns}")).unwrap_or_default();
    match evidence.kind {
        RoleKind::Work | RoleKind::Breakdown => {
            Verdict::NeedsContinuation { reason: format!("ran out of turns{used}"), turns: turns(evidence) }
        }
        // A review has no branch to go on from; the next one begins anew.
        RoleKind::Review => failed(format!("ran out of turns{used} without a verdict; raise `max_turns` of the reviewer in agents.yaml")),
    }
}

/// Judges a run that exited with 0 and whose result file, if any, is well formed.
fn came_to_its_end(evidence: &Evidence<'_>, file: Option<&ResultFile>) -> Verdict {
    let claim = file.map(|file| file.outcome);
    match (evidence.kind, claim) {
        (_, Some(Claim::Failed)) => failed(format!("gave up: {}{}", said(evidence), kept(evidence))),
        (RoleKind::Work | RoleKind::Breakdown, Some(Claim::NeedsContinuation)) => {
            Verdict::NeedsContinuation { reason: reason(file, "asks for another run"), turns: turns(evidence) }
        }
        (RoleKind::Work, None | Some(Claim::Done | Claim::NoChange)) if evidence.work.is_any() => {
            Verdict::Submit { notes: notes(evidence, file), turns: turns(evidence) }
        }
        (RoleKind::Work | RoleKind::Breakdown, Some(Claim::NoChange)) => {
            Verdict::NoChange { reason: reason(file, "says that nothing needs to change") }
        }
        (RoleKind::Work, Some(Claim::Done)) => {
            failed(format!("says done, but the branch has no new commit and no change: {}", said(evidence)))
        }
        (RoleKind::Work, None) => failed(format!("exited without a commit or a change: {}", said(evidence))),
        (RoleKind::Breakdown, Some(Claim::Subtasks)) => Verdict::Subtasks(file.map(|file| file.subtasks.clone()).unwrap_or_default()),
        (RoleKind::Review, Some(Claim::Accept)) => Verdict::Accept { reason: reason(file, "accepted by the reviewer") },
        (RoleKind::Review, Some(Claim::Reject)) => Verdict::Reject { reason: reason(file, "rejected by the reviewer") },
        (RoleKind::Breakdown, None | Some(Claim::Done)) => failed(format!("left no subtasks in its result file: {}", said(evidence))),
        (RoleKind::Review, None | Some(Claim::Done)) => {
            failed(format!("left no verdict (accept or reject) in its result file: {}", said(evidence)))
        }
        // `rate_limited` was dealt with before and only completes the list.
        (RoleKind::Work, Some(claim @ (Claim::Accept | Claim::Reject | Claim::Subtasks | Claim::RateLimited)))
        | (RoleKind::Breakdown, Some(claim @ (Claim::Accept | Claim::Reject | Claim::RateLimited)))
        | (RoleKind::Review, Some(claim @ (Claim::NeedsContinuation | Claim::NoChange | Claim::Subtasks | Claim::RateLimited))) => {
            failed(format!("its result file says '{}', which its role cannot give{}", claim.as_str(), kept(evidence)))
        }
    }
}

fn failed(reason: String) -> Verdict {
    Verdict::Failed { reason }
}

/// Tells that a failed run's work is not lost.
fn kept(evidence: &Evidence<'_>) -> &'static str {
    if evidence.kind != RoleKind::Review && evidence.work.is_any() { "; its branch is kept" } else { "" }
}

/// Returns the turns taken. The stream counted them; the file only says so.
fn turns(evidence: &Evidence<'_>) -> Option<u32> {
    let counted = Some(evidence.stream.turns).filter(|&turns| turns > 0);
    counted.or_else(|| evidence.result.ok().flatten().and_then(|file| file.turns_used))
}

fn notes(evidence: &Evidence<'_>, file: Option<&ResultFile>) -> String {
    let written = file.and_then(|file| file.notes.clone().or_else(|| file.reason.clone()));
    written.unwrap_or_else(|| evidence.stream.last_text.clone())
}

fn reason(file: Option<&ResultFile>, otherwise: &str) -> String {
    let given = file.and_then(|file| given(file.reason.as_deref()).or_else(|| given(file.notes.as_deref())));
    given.unwrap_or(otherwise).to_owned()
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// Returns what the agent said about it: in its result file, else as its last text.
fn said<'a>(evidence: &Evidence<'a>) -> &'a str {
    let file = evidence.result.ok().flatten().and_then(|file| given(file.reason.as_deref()));
    let text = file.or_else(|| given(Some(&evidence.stream.last_text))).or(evidence.stream.subtype.as_deref());
    text.map_or("it gave no reason, see its log", |text| cut(text.trim(), MAX_QUOTE))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
