//! What an honest member may want to do next.

use octopoid_crdt::{
    ids::RecordId,
    lifecycle::{Act, AttemptStatus, End, Phase, TaskState, Verdict},
    record::{Cause, Queue},
};

use super::{Checked, World, at, ensure, key, staging};

impl World {
    /// Writes one of the wishes that the law allows, and checks that it counts and has its effect at once.
    pub(super) fn act(&mut self, member: usize, choice: u8) -> Checked {
        let node = &self.members[member];
        let standing = self.standing(member, node.policy, node.known.clone());
        if !standing.is_member() {
            return Ok(());
        }
        let state = self.state(member);
        let mut wishes = self.wishes(member, &state);
        wishes.retain(|act| node.log.would_count(key(member), act, &standing, &node.removals).is_ok());
        let Some(act) = at(&wishes, choice).cloned() else { return Ok(()) };
        if matches!(act, Act::Submit { .. }) {
            self.start(member, &state)?;
        }
        if let Act::Merged { accept, .. } = &act
            && !self.branch.contains(accept)
        {
            self.branch.push(*accept);
            if choice.is_multiple_of(3) {
                return Ok(()); // it dies before it writes Merged, and rolls forward later
            }
        }
        let id = self.write(member, act.clone());
        let log = &self.members[member].log;
        let verdict = log.position(&id).and_then(|index| log.at(index)).map(|entry| entry.verdict);
        ensure(verdict == Some(Verdict::Counts), || format!("what the law allowed was voided: {act:?}, {verdict:?}"))?;
        self.check_obeyed(member, &act)
    }

    fn wishes(&self, member: usize, state: &TaskState) -> Vec<Act> {
        if state.deleted || !state.created {
            return vec![Act::Create, Act::Edit];
        }
        let agent = || String::from("agent");
        let moved = |queue: Queue, cause: Cause, keep: Option<RecordId>| Act::Move { queue, cause, keep };
        let current = state.current().map(|attempt| attempt.claim);
        let mut wishes = vec![Act::Edit, Act::Heads];
        match &state.phase {
            Phase::Waiting { .. } => {
                let grants = state.attempts.iter().filter(|attempt| attempt.status == AttemptStatus::Ungranted);
                let grants: Vec<Act> = grants.map(|attempt| Act::Grant { claim: attempt.claim, epoch: state.epoch + 1 }).collect();
                wishes.extend(grants.iter().cycle().take(4 * grants.len().min(1)).cloned());
                wishes.extend(vec![Act::Claim { epoch: state.epoch + 1, agent: agent() }; 5]);
                wishes.push(moved(Queue::Failed, Cause::GivenUp, None));
                wishes.extend(state.attempts.iter().map(|attempt| moved(Queue::Provisional, Cause::Adopt, Some(attempt.claim))).take(2));
                wishes.extend([Act::Finish, Act::Cancel]);
                wishes.extend(state.rests_on.map(|on| Act::Accept { on }));
            }
            Phase::Claimed { .. } => {
                let Some(claim) = current else { return wishes };
                wishes.extend(vec![Act::Submit { claim, base: None, head: None }; 6]);
                wishes.push(Act::Release { of: claim, cause: Cause::GivenBack });
                wishes.extend([Act::Expire { of: claim }, Act::Expire { of: claim }, Act::Accept { on: claim }, Act::Reject { on: claim }]);
                wishes.push(moved(Queue::Incoming, Cause::Requeue, Some(claim)));
            }
            Phase::Provisional { review, .. } => {
                let Some(on) = state.rests_on else { return wishes };
                wishes.extend(vec![Act::Review { on, agent: agent() }; 3]);
                wishes.extend(vec![Act::Accept { on }; 4]);
                wishes.extend([Act::Reject { on }, Act::Reject { on }]);
                wishes.extend(review.iter().map(|holder| Act::Expire { of: holder.review }));
                wishes.extend(review.iter().map(|holder| Act::Release { of: holder.review, cause: Cause::Stopped }));
                wishes.push(moved(staging(), Cause::Flow, current));
                wishes.push(moved(Queue::NeedsContinuation, Cause::BurnOut, current));
            }
            Phase::Done { by, merged, .. } => {
                if let End::Accept { id, submit: Some(_), .. } = by
                    && merged.is_none()
                    && self.may_merge(member, id)
                {
                    wishes.extend(vec![Act::Merged { accept: *id, commit: None }; 6]);
                }
                wishes.push(moved(Queue::Incoming, Cause::Reopen, None));
                wishes.push(moved(Queue::Provisional, Cause::Reopen, current));
            }
            Phase::Cancelled { .. } => wishes.extend(vec![moved(Queue::Incoming, Cause::Requeue, None); 3]),
            Phase::Deleted { .. } => {}
        }
        if self.profile.deletes {
            wishes.push(Act::Delete);
        }
        wishes
    }

    /// The fence: every merge commit of the task that is there was reopened in this Accept's past, or is this Accept's own.
    fn may_merge(&self, member: usize, accept: &RecordId) -> bool {
        let log = &self.members[member].log;
        let Some(entry) = log.position(accept).and_then(|index| log.at(index)) else { return false };
        let moves: Vec<_> = entry
            .past
            .iter()
            .filter_map(|index| log.at(index))
            .filter(|e| e.counts() && matches!(e.act, Act::Move { .. } | Act::Delete))
            .collect();
        let reopened = |id: &RecordId| log.position(id).is_some_and(|index| moves.iter().any(|m| m.past.contains(index)));
        self.branch.contains(accept) || self.branch.iter().all(reopened)
    }

    /// Work starts on the claim that holds; under an authority only on a grant, and once for each number.
    fn start(&mut self, member: usize, state: &TaskState) -> Checked {
        let log = &self.members[member].log;
        let Some(attempt) = state.current() else { return Ok(()) };
        let served = log.position(&attempt.claim).and_then(|index| log.at(index)).is_some_and(|entry| entry.standing.authority().is_some());
        let grant = log.entries().iter().find(|entry| {
            entry.counts() && matches!(entry.act, Act::Grant { claim, epoch } if claim == attempt.claim && epoch == attempt.name.epoch)
        });
        ensure(!served || grant.is_some(), || "work started without a grant".into())?;
        let Some(policy) = grant.and_then(|grant| grant.standing.policy) else { return Ok(()) };
        let started = *self.started.entry((policy.number, attempt.name.epoch)).or_insert(attempt.claim);
        ensure(started == attempt.claim, || format!("epoch {} was started twice", attempt.name.epoch))?;
        if self.profile.forced {
            return Ok(());
        }
        let begun = *self.begun.entry(attempt.name.epoch).or_insert(attempt.claim);
        ensure(begun == attempt.claim, || format!("epoch {} was started under two authorities", attempt.name.epoch))
    }
}
