//! The rules as short stories, each of which a change of a rule should have to rewrite on purpose.

use octopoid_crdt::{
    ids::{AuthorKey, Oid, RecordId, SessionId, Subject},
    lifecycle::{Act, AttemptStatus, End, Past, Phase, PolicyAt, Reach, Refusal, Removal, Removals, Standing, TaskLog, TaskState, Verdict},
    record::{Access, Cause, Queue},
};

const ANNA: u8 = 1;
const BEN: u8 = 2;
const CLEO: u8 = 3;

/// One node's log of a task, in which several people write.
#[derive(Clone)]
struct Task {
    log: TaskLog,
    removals: Removals,
    policy: Option<PolicyAt>,
    known: Past,
    written: u8,
}

impl Task {
    fn new() -> Self {
        let log = TaskLog::new(Subject([9; 32]));
        let mut task = Self { log, removals: Removals::none(), policy: None, known: Past::default(), written: 0 };
        task.by(ANNA, Act::Create);
        task
    }

    /// Somebody writes over everything that is there.
    fn by(&mut self, author: u8, act: Act) -> RecordId {
        let heads: Vec<RecordId> = self.log.heads().iter().filter_map(|head| self.log.at(*head)).map(|entry| entry.id).collect();
        self.over(&heads, author, act)
    }

    /// Somebody writes over what it had seen.
    fn over(&mut self, deps: &[RecordId], author: u8, act: Act) -> RecordId {
        self.written += 1;
        let id = RecordId([self.written; 32]);
        let standing = self.standing(author, Access::Worker);
        self.log.push(self.log.judge(id, AuthorKey([author; 32]), self.log.past_of(deps), act, standing, &self.removals));
        id
    }

    fn standing(&self, author: u8, access: Access) -> Standing {
        let (policy, removals) = (self.policy, self.known.clone());
        Standing { access: Some(access), policy, session: SessionId([author; 16]), seq: u64::from(self.written), removals }
    }

    fn state(&self) -> TaskState {
        self.log.resolve(&self.removals)
    }

    fn verdict(&self, id: RecordId) -> Verdict {
        self.log.position(&id).and_then(|index| self.log.at(index)).expect("a record of this task").verdict
    }

    fn status(&self, claim: RecordId) -> AttemptStatus {
        self.state().attempts.iter().find(|attempt| attempt.claim == claim).expect("an attempt of this task").status
    }

    fn refused(&self, author: u8, act: &Act) -> Option<Refusal> {
        self.log.would_count(AuthorKey([author; 32]), act, &self.standing(author, Access::Worker), &self.removals).err()
    }
}

fn claim(epoch: u64) -> Act {
    Act::Claim { epoch, agent: "implementer".into() }
}

fn submit(claim: RecordId) -> Act {
    let oid = |byte: u8| Oid::from_bytes(&[byte; 20]);
    Act::Submit { claim, base: oid(1), head: oid(2) }
}

const fn to(queue: Queue, cause: Cause, keep: Option<RecordId>) -> Act {
    Act::Move { queue, cause, keep }
}

#[test]
fn a_task_is_claimed_submitted_accepted_and_merged() {
    let mut task = Task::new();
    assert_eq!(task.state().phase, Phase::Waiting { resume: None });
    let attempt = task.by(ANNA, claim(1));
    assert_eq!((task.state().queue, task.state().phase), (Queue::Claimed, Phase::Claimed { attempt: 0 }));
    let work = task.by(ANNA, submit(attempt));
    assert_eq!(task.state().queue, Queue::Provisional);
    let accept = task.by(BEN, Act::Accept { on: work });
    let Phase::Done { by, merged: None, needs_merge: true } = task.state().phase else { panic!("{:?}", task.state().phase) };
    assert_eq!(by, End::Accept { id: accept, attempt: Some(0), submit: Some(work) });
    task.by(BEN, Act::Merged { accept, commit: Oid::from_bytes(&[3; 20]) });
    assert!(matches!(task.state().phase, Phase::Done { merged: Some(_), needs_merge: false, .. }));
    assert_eq!(task.status(attempt), AttemptStatus::Merged);
    assert_eq!(task.state().current().map(|attempt| attempt.name.to_string()), Some("1-02020202".into()));
}

#[test]
fn work_without_commits_needs_no_merge() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    let work = task.by(ANNA, Act::Submit { claim: attempt, base: Oid::from_bytes(&[1; 20]), head: Oid::from_bytes(&[1; 20]) });
    task.by(BEN, Act::Accept { on: work });
    assert!(matches!(task.state().phase, Phase::Done { merged: None, needs_merge: false, .. }));
}

#[test]
fn each_refusal_has_its_reason() {
    let mut task = Task::new();
    assert_eq!(task.refused(BEN, &claim(2)), Some(Refusal::StaleEpoch));
    let attempt = task.by(ANNA, claim(1));
    assert_eq!(task.refused(BEN, &claim(2)), Some(Refusal::Held));
    assert_eq!(task.refused(BEN, &submit(attempt)), Some(Refusal::NotTheHolder));
    assert_eq!(task.refused(BEN, &Act::Release { of: attempt, cause: Cause::Stopped }), Some(Refusal::NotTheHolder));
    assert_eq!(task.refused(BEN, &Act::Review { on: attempt, agent: "reviewer".into() }), Some(Refusal::NothingToReview));
    assert_eq!(task.refused(BEN, &to(Queue::Done, Cause::Edit, None)), Some(Refusal::NotATargetQueue));
    assert_eq!(task.refused(BEN, &to(Queue::Incoming, Cause::Edit, Some(RecordId([99; 32])))), Some(Refusal::UnknownTarget));
    assert_eq!(task.refused(BEN, &Act::Grant { claim: attempt, epoch: 2 }), Some(Refusal::NotTheAuthority));
    let reader = task.standing(CLEO, Access::Reader);
    let asked = task.log.would_count(AuthorKey([CLEO; 32]), &Act::Edit, &reader, &task.removals);
    assert_eq!(asked, Err(Refusal::NotAMember));
    task.by(BEN, Act::Finish);
    assert_eq!(task.refused(ANNA, &submit(attempt)), Some(Refusal::Finished));
    task.by(BEN, Act::Delete);
    assert_eq!(task.refused(ANNA, &Act::Cancel), Some(Refusal::Deleted));
    let unknown = TaskLog::new(Subject([8; 32]));
    let asked = unknown.would_count(AuthorKey([ANNA; 32]), &claim(1), &task.standing(ANNA, Access::Worker), &Removals::none());
    assert_eq!(asked, Err(Refusal::NoTask));
}

#[test]
fn a_submit_beats_the_expire_that_did_not_see_it() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    let expire = task.over(&[attempt], BEN, Act::Expire { of: attempt });
    let newer = task.over(&[expire], BEN, claim(2));
    let work = task.over(&[attempt], ANNA, submit(attempt));
    assert_eq!(task.verdict(work), Verdict::Counts);
    assert_eq!((task.state().rests_on, task.state().epoch), (Some(work), 2));
    assert_eq!(task.status(newer), AttemptStatus::Superseded);
}

#[test]
fn reviews_are_exclusive_until_they_end() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    let work = task.by(ANNA, submit(attempt));
    let look = |on| Act::Review { on, agent: "reviewer".into() };
    let review = task.by(BEN, look(work));
    assert_eq!(task.refused(CLEO, &look(work)), Some(Refusal::Held));
    task.by(BEN, Act::Release { of: review, cause: Cause::GivenBack });
    assert_eq!(task.refused(CLEO, &look(work)), None);
    let review = task.by(CLEO, look(work));
    let Phase::Provisional { review: Some(holder), .. } = task.state().phase else { panic!("nobody reviews") };
    assert_eq!((holder.review, holder.reviewer), (review, AuthorKey([CLEO; 32])));
    let reject = task.by(BEN, Act::Reject { on: work });
    let state = task.state();
    assert_eq!((state.queue, state.rejection_count, state.phase), (Queue::Incoming, 1, Phase::Waiting { resume: Some(0) }));
    assert_eq!(state.attempts.first().and_then(|attempt| attempt.rejected_by), Some(reject));
}

#[test]
fn a_flow_step_keeps_its_attempt_and_a_verdict_on_the_step_means_it() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    task.by(ANNA, submit(attempt));
    let staging = Queue::parse("staging").expect("a name");
    let step = task.by(BEN, to(staging.clone(), Cause::Flow, Some(attempt)));
    assert_eq!((task.state().queue, task.state().rests_on), (staging, Some(step)));
    assert_eq!(task.refused(BEN, &claim(2)), Some(Refusal::Held));
    task.by(BEN, Act::Reject { on: step });
    assert_eq!((task.state().queue, task.status(attempt)), (Queue::Incoming, AttemptStatus::Rejected));
}

#[test]
fn a_lost_attempt_is_adopted_whatever_closed_it() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    let work = task.by(ANNA, submit(attempt));
    task.by(BEN, to(Queue::Failed, Cause::GivenUp, None));
    assert_eq!(task.status(attempt), AttemptStatus::MovedAway);
    let adopt = task.by(BEN, to(Queue::Provisional, Cause::Adopt, Some(attempt)));
    let Phase::Provisional { submit, .. } = task.state().phase else { panic!("not adopted") };
    assert_eq!((task.state().rests_on, submit), (Some(adopt), work));
    task.by(BEN, Act::Accept { on: adopt });
    assert_eq!(task.status(attempt), AttemptStatus::Accepted);
}

#[test]
fn burn_out_hands_in_and_waits_to_be_gone_on_from() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    task.by(ANNA, submit(attempt));
    task.by(ANNA, to(Queue::NeedsContinuation, Cause::BurnOut, Some(attempt)));
    assert_eq!((task.state().queue, task.state().phase), (Queue::NeedsContinuation, Phase::Waiting { resume: Some(0) }));
    assert_eq!(task.refused(BEN, &claim(2)), None);
}

#[test]
fn a_deleted_task_made_anew_is_fresh_but_its_epochs_go_on() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    task.by(ANNA, submit(attempt));
    task.by(BEN, Act::Delete);
    assert!(task.state().deleted);
    task.by(CLEO, Act::Create);
    let state = task.state();
    assert_eq!((state.deleted, state.queue, state.epoch), (false, Queue::Incoming, 1));
    assert_eq!(task.status(attempt), AttemptStatus::Withdrawn);
    assert_eq!(task.refused(BEN, &claim(1)), Some(Refusal::StaleEpoch));
    assert_eq!(task.refused(BEN, &claim(2)), None);
}

#[test]
fn under_an_authority_a_claim_waits_for_its_grant() {
    let mut task = Task::new();
    task.policy = Some(PolicyAt { number: 1, authority: Some(AuthorKey([CLEO; 32])) });
    let create = RecordId([1; 32]);
    let first = task.over(&[create], ANNA, claim(1));
    let second = task.over(&[create], BEN, claim(1));
    assert_eq!(task.state().phase, Phase::Waiting { resume: None });
    assert_eq!(task.refused(ANNA, &Act::Grant { claim: first, epoch: 1 }), Some(Refusal::NotTheAuthority));
    task.by(CLEO, Act::Grant { claim: second, epoch: 1 });
    assert_eq!((task.status(first), task.status(second)), (AttemptStatus::Ungranted, AttemptStatus::Running));
    assert_eq!(task.refused(CLEO, &Act::Grant { claim: first, epoch: 2 }), Some(Refusal::Held));
    let work = task.by(BEN, submit(second));
    assert_eq!(task.refused(ANNA, &Act::Accept { on: work }), Some(Refusal::NotTheAuthority));
    assert_eq!(task.refused(CLEO, &Act::Accept { on: work }), None);
}

#[test]
fn after_a_forced_move_later_grants_of_the_old_authority_do_not_count() {
    let mut task = Task::new();
    task.policy = Some(PolicyAt { number: 1, authority: Some(AuthorKey([CLEO; 32])) });
    let mine = task.by(ANNA, claim(1));
    let other = task.over(&[RecordId([1; 32])], BEN, claim(1));
    let old = task.over(&[mine], CLEO, Act::Grant { claim: mine, epoch: 1 });
    // An admin who had not seen the grant moves the authority to Ben.
    task.removals.add(0, Removal { author: AuthorKey([CLEO; 32]), frontier: Vec::new(), reach: Reach::Grants });
    assert_eq!((task.verdict(old), task.status(mine)), (Verdict::Counts, AttemptStatus::Ungranted));
    task.policy = Some(PolicyAt { number: 2, authority: Some(AuthorKey([BEN; 32])) });
    task.known = Past::below(1);
    let new = task.over(&[other], BEN, Act::Grant { claim: other, epoch: 1 });
    assert_eq!(
        (task.verdict(new), task.status(other), task.status(mine)),
        (Verdict::Counts, AttemptStatus::Running, AttemptStatus::Ungranted)
    );
    assert!(!task.state().contested);
}

#[test]
fn a_removed_members_late_records_have_no_effect_unless_others_built_on_them() {
    let mut task = Task::new();
    let attempt = task.by(ANNA, claim(1));
    let built = task.clone();
    let work = task.by(ANNA, submit(attempt));
    let removal = Removal { author: AuthorKey([ANNA; 32]), frontier: vec![(SessionId([ANNA; 16]), 2)], reach: Reach::Everything };
    task.removals.add(0, removal.clone());
    assert_eq!(task.state().queue, Queue::Claimed);
    // Ben accepts without having seen the removal.
    task.over(&[work], BEN, Act::Accept { on: work });
    assert_eq!(task.state().queue, Queue::Done);

    // In another history Ben has seen it.
    let mut task = built;
    let work = task.by(ANNA, submit(attempt));
    task.removals.add(0, removal);
    task.known = Past::below(1);
    let accept = task.by(BEN, Act::Accept { on: work });
    assert_eq!((task.verdict(accept), task.state().queue), (Verdict::Void(Refusal::NotCurrent), Queue::Claimed));
}

#[test]
fn what_git_has_counts_before_a_lower_id() {
    let mut task = Task::new();
    let create = RecordId([1; 32]);
    let (a, b) = (task.over(&[create], ANNA, claim(1)), task.over(&[create], BEN, claim(1)));
    let (work_a, work_b) = (task.over(&[a], ANNA, submit(a)), task.over(&[b], BEN, submit(b)));
    let lower = task.over(&[work_a], ANNA, Act::Accept { on: work_a });
    let higher = task.over(&[work_b], BEN, Act::Accept { on: work_b });
    assert!(lower < higher && task.state().contested);
    assert_eq!(task.status(a), AttemptStatus::Accepted);
    task.over(&[higher], BEN, Act::Merged { accept: higher, commit: None });
    assert_eq!((task.status(a), task.status(b)), (AttemptStatus::Contested, AttemptStatus::Merged));
}
