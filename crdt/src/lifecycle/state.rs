//! The state of a task as the rest of the system sees it: by ids and names instead of positions.

use super::{
    act::Act,
    attempts::{Fate, Status},
    log::TaskLog,
    past::Index,
    resolution::{Resolution, Settled},
};
use crate::{
    ids::{AttemptName, AuthorKey, Oid, RecordId},
    record::Queue,
};

/// What the records of a task say of it. A pure function of their set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// Whether there is a Create in effect; a task without one is not shown.
    pub created: bool,
    /// Whether it is deleted: 404, and out of lists.
    pub deleted: bool,
    /// The queue that it is shown in; `cancelled` for a deleted one.
    pub queue: Queue,
    /// Where it stands, with what that stage needs.
    pub phase: Phase,
    /// The record that an Accept, Reject or Review must name.
    pub rests_on: Option<RecordId>,
    /// Whether several attempts compete, or were accepted.
    pub contested: bool,
    /// The highest epoch that was ever given; the next claim has one more.
    pub epoch: u64,
    /// Every claim that counts, by epoch, then id: none is ever dropped. In a mesh each is an attempt.
    pub attempts: Vec<Attempt>,
    /// How often another attempt was asked for. Releases and expiries are not counted.
    pub attempt_count: u32,
    /// How often work was rejected.
    pub rejection_count: u32,
}

/// Where a task stands. Attempts are given by their place in [`TaskState::attempts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nobody works on it; `resume` is the attempt to start from.
    Waiting { resume: Option<usize> },
    /// An agent works on it.
    Claimed { attempt: usize },
    /// Submitted work waits for a verdict; the queue is that of the Move that keeps it open, if one does.
    Provisional { attempt: usize, submit: RecordId, review: Option<Holder> },
    /// Accepted or finished. `needs_merge`: the accepted Submit has commits and no Merged is known.
    Done { by: End, merged: Option<Merge>, needs_merge: bool },
    /// Given up.
    Cancelled { by: RecordId },
    /// Deleted.
    Deleted { by: RecordId },
}

/// Why a task is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By an Accept, of an attempt unless it was a person's word on a waiting task.
    Accept { id: RecordId, attempt: Option<usize>, submit: Option<RecordId> },
    /// Without a submit.
    Finish { id: RecordId },
}

/// What a Merged record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The Merged record.
    pub id: RecordId,
    /// The merge commit; `None` when there was nothing to merge.
    pub commit: Option<Oid>,
}

/// Who holds a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The Review record.
    pub review: RecordId,
    /// Its author, where renewals go.
    pub reviewer: AuthorKey,
    /// The agent that reviews.
    pub agent: String,
}

/// What was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The Submit record.
    pub id: RecordId,
    /// Where the branch starts.
    pub base: Option<Oid>,
    /// The branch's tip.
    pub head: Option<Oid>,
}

impl Submission {
    /// Tells whether there are commits to merge.
    #[must_use]
    pub fn has_commits(&self) -> bool {
        self.head.is_some() && self.head != self.base
    }
}

/// A claim that counts, and the attempt it opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How branches, worktrees and logs name it. While it is ungranted the epoch is the one that was asked for.
    pub name: AttemptName,
    /// The Claim record.
    pub claim: RecordId,
    /// The claim's author: where renewals, submits and releases go.
    pub claimant: AuthorKey,
    /// The agent that works on it.
    pub agent: String,
    /// What became of it.
    pub status: Status,
    /// What was handed in.
    pub submit: Option<Submission>,
    /// The Reject that ended it, with the reason in its body.
    pub rejected_by: Option<RecordId>,
}

impl TaskState {
    pub(super) fn of(log: &TaskLog, resolution: &Resolution) -> Self {
        let mut attempts: Vec<Attempt> = resolution.fates.iter().filter_map(|fate| attempt(log, fate)).collect();
        attempts.sort_by_key(|attempt| (attempt.name.epoch, attempt.claim));
        let names = Names { log, attempts: &attempts };
        Self {
            created: resolution.created,
            deleted: resolution.is_deleted(),
            queue: resolution.queue.clone(),
            phase: names.phase(&resolution.settled),
            rests_on: resolution.rests_on().and_then(|index| log.id(index)),
            contested: resolution.contested,
            epoch: resolution.epoch,
            attempt_count: resolution.attempt_count,
            rejection_count: resolution.rejection_count,
            attempts,
        }
    }

    /// Returns the attempt that the task's state is about: the running, submitted or accepted one.
    #[must_use]
    pub fn current(&self) -> Option<&Attempt> {
        let place = match &self.phase {
            Phase::Claimed { attempt } | Phase::Provisional { attempt, .. } => Some(*attempt),
            Phase::Done { by: End::Accept { attempt, .. }, .. } => *attempt,
            Phase::Done { by: End::Finish { .. }, .. } | Phase::Waiting { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
        };
        place.and_then(|place| self.attempts.get(place))
    }
}

fn attempt(log: &TaskLog, fate: &Fate) -> Option<Attempt> {
    let entry = log.at(fate.claim)?;
    let Act::Claim { agent, .. } = &entry.act else { return None };
    Some(Attempt {
        name: AttemptName::new(fate.epoch, &entry.id),
        claim: entry.id,
        claimant: entry.author,
        agent: agent.clone(),
        status: fate.status,
        submit: fate.submit.and_then(|submit| submission(log, submit)),
        rejected_by: fate.rejected_by.and_then(|index| log.id(index)),
    })
}

fn submission(log: &TaskLog, index: Index) -> Option<Submission> {
    let entry = log.at(index)?;
    let Act::Submit { base, head, .. } = &entry.act else { return None };
    Some(Submission { id: entry.id, base: base.clone(), head: head.clone() })
}

struct Names<'a> {
    log: &'a TaskLog,
    attempts: &'a [Attempt],
}

impl Names<'_> {
    fn id(&self, index: Index) -> RecordId {
        self.log.id(index).unwrap_or(RecordId([0; 32]))
    }

    fn attempt(&self, claim: Index) -> Option<usize> {
        let id = self.id(claim);
        self.attempts.iter().position(|attempt| attempt.claim == id)
    }

    fn phase(&self, settled: &Settled) -> Phase {
        match *settled {
            Settled::Waiting { resume, .. } => Phase::Waiting { resume: resume.and_then(|claim| self.attempt(claim)) },
            Settled::Claimed { claim } => Phase::Claimed { attempt: self.attempt(claim).unwrap_or_default() },
            Settled::Provisional { claim, submit, review, .. } => Phase::Provisional {
                attempt: self.attempt(claim).unwrap_or_default(),
                submit: self.id(submit),
                review: review.and_then(|index| self.holder(index)),
            },
            Settled::Done { end, about, merged } => self.done(end, about, merged),
            Settled::Cancelled { by } => Phase::Cancelled { by: self.id(by) },
            Settled::Deleted { by } => Phase::Deleted { by: self.id(by) },
        }
    }

    fn holder(&self, review: Index) -> Option<Holder> {
        let entry = self.log.at(review)?;
        let Act::Review { agent, .. } = &entry.act else { return None };
        Some(Holder { review: entry.id, reviewer: entry.author, agent: agent.clone() })
    }

    fn merge(&self, merged: Index) -> Option<Merge> {
        let entry = self.log.at(merged)?;
        let Act::Merged { commit, .. } = &entry.act else { return None };
        Some(Merge { id: entry.id, commit: commit.clone() })
    }

    fn done(&self, end: Index, about: Option<Index>, merged: Option<Index>) -> Phase {
        let merged = merged.and_then(|index| self.merge(index));
        let submit = about.and_then(|index| submission(self.log, index));
        let needs_merge = merged.is_none() && submit.as_ref().is_some_and(Submission::has_commits);
        let by = if matches!(self.log.act(end), Some(Act::Finish)) {
            End::Finish { id: self.id(end) }
        } else {
            let attempt = about.and_then(|about| self.log.claim_of(about)).and_then(|claim| self.attempt(claim));
            End::Accept { id: self.id(end), attempt, submit: submit.map(|submit| submit.id) }
        };
        Phase::Done { by, merged, needs_merge }
    }
}
