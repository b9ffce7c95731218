//! What an attempt is told: the task, what was tried before, and for a review the work to judge.
//!
//! **Invariants**: everything comes from the task's records, so a task that changes machines keeps its story; which attempt a record is
//! about follows from what its author had seen, never from the order in which records arrived here.

use octopoid_crdt::ids::{AttemptName, AuthorKey, Oid, RecordId};
use octopoid_crdt::lifecycle::{Act, Entry, Removals};
use octopoid_crdt::record::{Body, Cause};

use crate::prompt::{Kind, Previous};
use crate::store::{Fault, Life, Reader, StoredLog, TaskNo};

/// One attempt as the next one is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chapter {
    pub claim: RecordId,
    pub attempt: AttemptName,
    pub agent: String,
    /// The node that ran it, which has its branch.
    pub node: AuthorKey,
    pub base: Option<Oid>,
    /// What was submitted; none where that is no change.
    pub head: Option<Oid>,
    pub notes: String,
    /// How it ended, once it has.
    pub ended: Option<(Kind, String)>,
}

impl Chapter {
    /// Tells of the attempt once it has ended, as prompts do.
    pub fn told(&self, task: &octopoid_crdt::ids::Name) -> Option<Previous> {
        let (kind, reason) = self.ended.clone()?;
        let branch = Some(format!("octopoid/{task}/{}", self.attempt));
        Some(Previous { attempt: self.attempt.to_string(), branch, reason, kind })
    }
}

/// What happened to a task so far, attempt by attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Story {
    pub chapters: Vec<Chapter>,
    /// An earlier attempt that a person took up again.
    resume: Option<RecordId>,
    /// The attempt that ended last.
    ended: Option<RecordId>,
    /// The attempt that is to be judged.
    judged: Option<RecordId>,
}

impl Story {
    /// Reads a task's story from its records.
    pub fn read(reader: &Reader, masks: &Removals, no: TaskNo) -> Result<Self, Fault> {
        Self::told_by(&reader.log(no)?, reader, masks)
    }

    /// Reads the story of a task for whoever judges what a record of it stands for.
    pub fn for_review(reader: &Reader, masks: &Removals, no: TaskNo, on: &RecordId) -> Result<Self, Fault> {
        let stored = reader.log(no)?;
        Ok(Self { judged: claim_of(&stored, on), ..Self::told_by(&stored, reader, masks)? })
    }

    fn told_by(stored: &StoredLog, reader: &Reader, masks: &Removals) -> Result<Self, Fault> {
        let mut story = Self::default();
        // A task that was deleted and made anew begins anew.
        let life = Life::of(&stored.log, stored.log.left_out(masks));
        for ((index, entry), arrival) in (0..).zip(stored.log.entries()).zip(&stored.arrivals) {
            if !entry.counts() || !tells(&entry.act) || !life.holds(index, entry) {
                continue;
            }
            let record = reader.record(*arrival)?.ok_or_else(|| Fault::Missing(entry.id.to_string()))?;
            story.tell(stored, masks, entry, &record.payload().body);
        }
        Ok(story)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`tells` has picked the kinds that are part of the story")]
    fn tell(&mut self, stored: &StoredLog, masks: &Removals, entry: &Entry, body: &Body) {
        match body {
            Body::Claim { epoch, agent, .. } => self.chapters.push(Chapter {
                claim: entry.id,
                attempt: AttemptName::new(*epoch, &entry.id),
                agent: agent.clone(),
                node: entry.author,
                base: None,
                head: None,
                notes: String::new(),
                ended: None,
            }),
            Body::Submit { claim, base, head, notes, .. } => {
                if let Some(chapter) = self.of(claim) {
                    (chapter.base, chapter.head, chapter.notes) = (base.clone(), head.clone(), notes.clone());
                }
            }
            Body::Reject { on, reason, .. } => {
                let claim = claim_of(stored, on);
                // What was rejected now is what the next one goes on from, whatever was taken up before.
                self.resume = None;
                self.end(claim, Kind::Rejected, reason);
            }
            Body::Release { of, cause, reason } if *cause != Cause::BrokenDown => self.end(Some(*of), Kind::Expired, reason),
            Body::Expire { of, reason } => self.end(Some(*of), Kind::Expired, reason),
            Body::Move { cause, reason, keep, .. } => {
                self.resume = *keep;
                let kind = match cause {
                    Cause::AttemptFailed => Kind::Failed,
                    Cause::BurnOut => Kind::NeedsContinuation,
                    Cause::MergeConflict => Kind::MergeConflict,
                    Cause::Requeue | Cause::Reopen | Cause::ForceQueue => Kind::Rejected,
                    Cause::Superseded => Kind::Superseded,
                    Cause::Edit | Cause::Flow | Cause::GivenUp | Cause::Adopt | Cause::GivenBack | Cause::Stopped => return,
                    Cause::LeaseExpired | Cause::BrokenDown => return,
                };
                // A task that waited is moved on behalf of the attempt that ended last.
                let open = stored.log.current_before(entry, masks);
                let by_hand = matches!(cause, Cause::Requeue | Cause::Reopen | Cause::ForceQueue);
                if open.is_none() && by_hand && self.put_back(reason) {
                    return;
                }
                self.end(open.or(self.ended), kind, reason);
            }
            _ => {}
        }
    }

    /// Notes that a person put a task back whose attempt had ended before: how it ended stays true, and what the person says comes
    /// beside it. Tells whether it had ended.
    fn put_back(&mut self, reason: &str) -> bool {
        let chapter = self.ended.and_then(|claim| self.of(&claim));
        let Some((_, before)) = chapter.and_then(|chapter| chapter.ended.as_mut()) else { return false };
        if !reason.is_empty() {
            *before = if before.is_empty() { reason.to_owned() } else { format!("{before}; put back by hand: {reason}") };
        }
        true
    }

    fn of(&mut self, claim: &RecordId) -> Option<&mut Chapter> {
        self.chapters.iter_mut().find(|chapter| chapter.claim == *claim)
    }

    fn end(&mut self, claim: Option<RecordId>, kind: Kind, reason: &str) {
        if let Some(chapter) = claim.and_then(|claim| self.of(&claim)) {
            chapter.ended = Some((kind, reason.to_owned()));
            self.ended = claim;
        }
    }

    /// Returns the attempt whose branch the next one goes on from: a person's choice, else one that was sent back with work
    /// that is worth keeping.
    pub fn start_from(&self) -> Option<&Chapter> {
        if let Some(resume) = self.resume {
            return self.chapters.iter().find(|chapter| chapter.claim == resume);
        }
        // One that failed or was interrupted after that had started from there, too, and ends nothing of what was asked for.
        let goes_on = |kind: &Kind| match kind {
            Kind::Rejected | Kind::MergeConflict | Kind::NeedsContinuation => true,
            Kind::Failed | Kind::Superseded | Kind::Expired => false,
        };
        let sent_back = |chapter: &&Chapter| chapter.ended.as_ref().is_some_and(|(kind, _)| goes_on(kind));
        // One of a lower number is of another side of a partition, and may have arrived here last.
        self.chapters.iter().filter(sent_back).max_by_key(|chapter| chapter.attempt.epoch)
    }

    /// Returns the attempt to judge: the one that the verdict is about, which need not be the last one that submitted something.
    pub fn judged(&self) -> Option<&Chapter> {
        self.judged.and_then(|claim| self.chapter(&claim))
    }

    /// Returns the attempts before the current one, as prompts show them.
    pub fn previous(&self, task: &octopoid_crdt::ids::Name) -> Vec<Previous> {
        self.chapters.iter().filter_map(|chapter| chapter.told(task)).collect()
    }

    /// Returns the reasons of all rejections, oldest first.
    pub fn rejections(&self) -> Vec<String> {
        let ended = self.chapters.iter().filter_map(|chapter| chapter.ended.as_ref());
        ended.filter(|(kind, _)| *kind == Kind::Rejected).map(|(_, reason)| reason.clone()).collect()
    }

    /// Returns what the attempt that a claim opened has submitted.
    pub fn chapter(&self, claim: &RecordId) -> Option<&Chapter> {
        self.chapters.iter().find(|chapter| chapter.claim == *claim)
    }
}

/// Tells whether a record is part of the story.
fn tells(act: &Act) -> bool {
    matches!(act, Act::Claim { .. } | Act::Submit { .. } | Act::Reject { .. } | Act::Release { .. } | Act::Expire { .. } | Act::Move { .. })
}

/// Returns the claim of the attempt that a record which a verdict names belongs to.
pub(super) fn claim_of(stored: &StoredLog, on: &RecordId) -> Option<RecordId> {
    let entry = stored.log.entries().iter().find(|entry| entry.id == *on)?;
    match &entry.act {
        Act::Submit { claim, .. } => Some(*claim),
        Act::Claim { .. } => Some(*on),
        Act::Move { keep, .. } => *keep,
        Act::Create | Act::Edit | Act::Heads | Act::Grant { .. } | Act::Review { .. } | Act::Release { .. } | Act::Expire { .. } => None,
        Act::Accept { .. } | Act::Reject { .. } | Act::Merged { .. } | Act::Finish | Act::Cancel | Act::Delete | Act::Unknown => None,
    }
}
