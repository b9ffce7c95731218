//! What must hold after every step, and when everybody holds everything.

use std::collections::BTreeSet;

use octopoid_crdt::{
    ids::RecordId,
    lifecycle::{Act, AttemptStatus, End, Entry, Index, Phase, Reach, Removal, TaskLog, TaskState},
    record::Queue,
};

use super::{Carried, Checked, World, apply, ensure};

const fn closes(entry: &Entry) -> bool {
    entry.counts() && matches!(entry.act, Act::Move { .. } | Act::Delete)
}

fn closed(log: &TaskLog, index: Index) -> bool {
    log.entries().iter().any(|entry| closes(entry) && entry.past.contains(index))
}

type Summary = (std::mem::Discriminant<Phase>, Queue, Option<RecordId>, Option<RecordId>, Option<RecordId>);

/// A state without its list of attempts, which names withdrawn ones too.
fn summary(state: &TaskState) -> Summary {
    let review = if let Phase::Provisional { review: Some(holder), .. } = &state.phase { Some(holder.review) } else { None };
    let current = state.current().map(|attempt| attempt.claim);
    (std::mem::discriminant(&state.phase), state.queue.clone(), state.rests_on, current, review)
}

impl World {
    /// Between two views of one member, the second of which holds more.
    pub(super) fn check_step(&self, member: usize, before: &TaskState, held: usize) -> Checked {
        let (log, after) = (&self.members[member].log, self.state(member));
        ensure(after.epoch >= before.epoch, || format!("I4: the highest epoch fell from {} to {}", before.epoch, after.epoch))?;
        let asked = log.entries().iter().filter(|entry| entry.counts() && matches!(entry.act, Act::Claim { .. } | Act::Grant { .. }));
        ensure(after.epoch <= asked.count() as u64, || format!("epoch {} was jumped to", after.epoch))?;
        let accepted = after.attempts.iter().filter(|a| matches!(a.status, AttemptStatus::Accepted | AttemptStatus::Merged));
        ensure(accepted.count() <= 1, || "I3: two attempts count as accepted".into())?;
        ensure(after.attempts.len() >= before.attempts.len(), || "an attempt vanished".into())?;
        self.check_done(member, before, &after, held)?;
        self.check_claimant(member, before, &after)?;
        self.check_reviewer(member, before, &after)
    }

    /// I6: done ends only by a Move or Delete that saw it, or a creation anew; removals are checked by the model and the golden vectors.
    fn check_done(&self, member: usize, before: &TaskState, after: &TaskState, held: usize) -> Checked {
        let (Phase::Done { by, .. }, false) = (&before.phase, matches!(after.phase, Phase::Done { .. })) else { return Ok(()) };
        let log = &self.members[member].log;
        let (End::Accept { id, .. } | End::Finish { id }) = by;
        let moved = log.position(id).is_some_and(|index| closed(log, index));
        let anew = log.entries().iter().skip(held).any(|entry| entry.anew);
        ensure(moved || anew || !self.members[member].removals.is_empty(), || format!("I6: done became {:?}", after.phase))
    }

    /// Whether `later` was written by somebody who held `earlier`.
    fn saw(&self, member: usize, later: &RecordId, earlier: &RecordId) -> bool {
        let log = &self.members[member].log;
        let later = log.position(later).and_then(|index| log.at(index));
        later.zip(log.position(earlier)).is_some_and(|(later, earlier)| later.past.contains(earlier))
    }

    /// Nobody takes over a live claim that it has seen.
    fn check_claimant(&self, member: usize, before: &TaskState, after: &TaskState) -> Checked {
        let (Phase::Claimed { attempt: a }, Phase::Claimed { attempt: b }) = (&before.phase, &after.phase) else { return Ok(()) };
        let (log, old, new) = (&self.members[member].log, &before.attempts[*a], &after.attempts[*b]);
        let lives = after.attempts.iter().any(|a| a.claim == old.claim && a.status == AttemptStatus::Superseded);
        if old.claim == new.claim || !lives || !self.saw(member, &new.claim, &old.claim) {
            return Ok(());
        }
        // A claim that was ended, and that a Submit or Move beside the end brings back, goes on beside the one that followed the end.
        let given_up =
            |e: &Entry| e.counts() && e.act.names() == Some(old.claim) && matches!(e.act, Act::Release { .. } | Act::Expire { .. });
        let closed_it = |e: &Entry| closes(e) && log.position(&old.claim).is_some_and(|index| e.past.contains(index));
        let ended = log.entries().iter().any(|e| (given_up(e) || closed_it(e)) && self.saw(member, &new.claim, &e.id));
        // Who knew that its author was removed did not see it live; it lives on where another member had built on it.
        let known = log.position(&new.claim).and_then(|index| log.at(index)).map(|entry| &entry.standing.removals);
        let removed = |(number, (cut, _)): (Index, &(Removal, Carried))| {
            cut.author == old.claimant && known.is_some_and(|known| known.contains(number))
        };
        ensure(ended || (0..).zip(&self.cuts).any(removed), || "a live claim was stolen".into())
    }

    /// Nobody takes over a live review that it has seen.
    fn check_reviewer(&self, member: usize, before: &TaskState, after: &TaskState) -> Checked {
        let review =
            |state: &TaskState| if let Phase::Provisional { review, .. } = &state.phase { review.as_ref().map(|r| r.review) } else { None };
        let (Some(old), Some(new)) = (review(before), review(after)) else { return Ok(()) };
        if before.rests_on != after.rests_on || !self.members[member].removals.is_empty() {
            return Ok(());
        }
        let ends = |e: &Entry| e.counts() && e.act.names() == Some(old) && !matches!(e.act, Act::Review { .. });
        let ended = self.members[member].log.entries().iter().any(ends);
        ensure(old == new || ended || !self.saw(member, &new, &old), || "a live review was stolen".into())
    }

    /// What a member writes over all that it holds has its effect at once.
    pub(super) fn check_obeyed(&self, member: usize, act: &Act) -> Checked {
        let state = self.state(member);
        let obeyed = match (act, &state.phase) {
            (Act::Accept { .. } | Act::Finish, phase) => matches!(phase, Phase::Done { .. }),
            (Act::Cancel, phase) => matches!(phase, Phase::Cancelled { .. }),
            (Act::Delete, phase) => matches!(phase, Phase::Deleted { .. }),
            (Act::Submit { .. } | Act::Review { .. }, phase) => matches!(phase, Phase::Provisional { .. }),
            (Act::Move { queue, .. }, _) => state.queue == *queue,
            (Act::Create, phase) => state.queue == Queue::Incoming && matches!(phase, Phase::Waiting { resume: None }),
            (Act::Edit | Act::Heads | Act::Claim { .. } | Act::Grant { .. } | Act::Release { .. } | Act::Expire { .. }, _)
            | (Act::Reject { .. } | Act::Merged { .. } | Act::Unknown, _) => true,
        };
        ensure(obeyed, || format!("after {act:?} over everything the task is {:?}", state.phase))
    }

    pub(super) fn check_end(&self) -> Checked {
        let state = self.state(0);
        for member in 1..self.members.len() {
            ensure(self.state(member) == state, || format!("I1: members differ: {state:#?} and {:#?}", self.state(member)))?;
        }
        self.check_finished_work(&state)?;
        self.check_merges(&state)?;
        self.check_grants(&state)?;
        self.check_removals(&state)
    }

    /// A Submit that is not rejected and that no Move or Delete saw is shown until a verdict.
    fn check_finished_work(&self, state: &TaskState) -> Checked {
        let log = &self.members[0].log;
        let served = log.entries().iter().any(|entry| entry.standing.policy.is_some());
        if served || !self.members[0].removals.is_empty() || log.entries().iter().any(|entry| entry.anew) {
            return Ok(());
        }
        let shown = matches!(state.phase, Phase::Provisional { .. } | Phase::Done { .. } | Phase::Cancelled { .. });
        for (index, submit) in (0..).zip(log.entries()).filter(|(_, e)| e.counts() && matches!(e.act, Act::Submit { .. })) {
            let rejects = |e: &Entry| matches!(e.act, Act::Reject { .. }) && e.counts() && e.past.contains(index);
            let rejected = log.entries().iter().filter(|e| rejects(e)).any(|e| {
                let about = e.about.and_then(|about| log.at(about));
                e.target == Some(index) || about.is_some_and(|about| about.target == submit.target)
            });
            ensure(shown || rejected || closed(log, index), || format!("finished work is hidden behind {:?}", state.phase))?;
        }
        Ok(())
    }

    /// A task merges once unless it is reopened, and what was merged is what counts.
    fn check_merges(&self, state: &TaskState) -> Checked {
        let log = &self.members[0].log;
        if !self.members[0].removals.is_empty() {
            return Ok(());
        }
        let live: Vec<_> = self.branch.iter().filter(|id| log.position(id).is_some_and(|index| !closed(log, index))).collect();
        ensure(live.len() <= 1, || "merged twice without being reopened".into())?;
        let told = |id| log.entries().iter().any(|e| e.counts() && matches!(&e.act, Act::Merged { accept, .. } if accept == id));
        if let (Some(accept), Phase::Done { by, .. }) = (live.first().filter(|id| told(**id)), &state.phase)
            && !log.entries().iter().any(|entry| entry.anew)
        {
            ensure(matches!(by, End::Accept { id, .. } if id == *accept), || "what was merged is not what counts".into())?;
        }
        Ok(())
    }

    fn check_grants(&self, state: &TaskState) -> Checked {
        let log = &self.members[0].log;
        let mut numbers = BTreeSet::new();
        let forced = self.cuts.iter().any(|(removal, _)| removal.reach == Reach::Grants);
        for entry in log.entries().iter().filter(|entry| entry.counts()) {
            let Act::Grant { epoch, .. } = entry.act else { continue };
            ensure(entry.standing.authority() == Some(entry.author), || "a grant of another than the authority counts".into())?;
            ensure(forced || numbers.insert(epoch), || format!("two grants have the number {epoch}"))?;
        }
        for attempt in &state.attempts {
            let claim = log.position(&attempt.claim).and_then(|index| log.at(index));
            let served = claim.is_some_and(|claim| claim.standing.authority().is_some());
            let granted = log.entries().iter().any(|e| e.counts() && matches!(e.act, Act::Grant { claim, .. } if claim == attempt.claim));
            ensure(!served || granted || attempt.status != AttemptStatus::Running, || "an attempt runs without a grant".into())?;
        }
        Ok(())
    }

    /// I10: what a removed member wrote above the frontier, and nobody built on, might as well not be there.
    fn check_removals(&self, state: &TaskState) -> Checked {
        let (log, removals) = (&self.members[0].log, &self.members[0].removals);
        let known = &self.members[0].known;
        for (number, (cut, _)) in (0..).zip(&self.cuts).filter(|(n, (cut, _))| known.contains(*n) && cut.reach == Reach::Everything) {
            let kept = |e: &Entry| cut.frontier.iter().any(|(session, last)| *session == e.standing.session && e.standing.seq <= *last);
            let above = |e: &Entry| e.author == cut.author && !kept(e) && !e.standing.removals.contains(number);
            let gone: Vec<Index> = (0..).zip(log.entries()).filter(|(_, e)| above(e)).map(|(index, _)| index).collect();
            let mut others = log.entries().iter().filter(|e| !above(e));
            if gone.is_empty() || others.any(|e| gone.iter().any(|index| e.past.contains(*index))) {
                continue;
            }
            let mut without = TaskLog::new(log.task());
            for entry in log.entries().iter().filter(|e| !above(e)) {
                apply(&mut without, &self.written[&entry.id], removals);
            }
            let without = without.resolve(removals);
            ensure(summary(&without) == summary(state), || {
                format!(
                    "I10: what {:?} wrote above {:?} has an effect: {:?}, without it {:?}",
                    cut.author,
                    cut.frontier,
                    summary(state),
                    summary(&without)
                )
            })?;
        }
        Ok(())
    }
}
