//! What a node does in server-wins mode: the authority grants and judges, the others wait for its grants.

use octopoid_crdt::{
    ids::{AuthorKey, RecordId, Subject},
    lifecycle::{Act, AttemptStatus, Phase, TaskState},
    record::{Body, Cause, Verified},
};

use super::{super::cluster::key, Ctx, Node};

/// How long a grant is waited for.
const PATIENCE: u64 = 1_000;

impl Node {
    /// Whether this node's verdicts count: it is the authority, or there is none.
    pub(super) fn decides(&self) -> bool {
        self.store.authority().is_none_or(|authority| authority == key(self.index))
    }

    pub(super) fn reaches_authority(&self) -> bool {
        self.decides() || self.syncs.keys().any(|peer| Some(key(*peer)) == self.store.authority())
    }

    /// Grants a claim in the commit that takes it in.
    pub(super) fn grant(&mut self, ctx: &mut Ctx<'_>, task: Subject, record: &Verified) {
        let of = record.id();
        let ours = self.store.authority() == Some(key(self.index)) && !self.hostile && self.may_write(ctx);
        if ours && matches!(record.payload().body, Body::Claim { .. }) {
            self.write_grant(ctx, task, of);
        }
    }

    /// The authority's own claim is granted in its own commit.
    pub(super) fn grant_own(&mut self, ctx: &mut Ctx<'_>, task: Subject, of: RecordId, review: bool) {
        if !review && self.store.authority() == Some(key(self.index)) {
            self.write_grant(ctx, task, of);
        }
    }

    fn write_grant(&mut self, ctx: &mut Ctx<'_>, task: Subject, claim: RecordId) {
        let Some(state) = self.store.state(&task) else { return };
        let epoch = state.epoch + 1;
        if self.store.would_count(self.index, &task, &Act::Grant { claim, epoch }) {
            self.write(ctx, task, Body::Grant { claim, epoch });
        }
    }

    /// The number under which work on a claim starts: its grant's, where it has one.
    pub(super) fn epoch_of(&self, task: &Subject, of: &RecordId) -> Option<u64> {
        let state = self.store.state(task)?;
        state.attempts.iter().find(|attempt| attempt.claim == *of).map(|attempt| attempt.name.epoch)
    }

    /// An own claim that has not started: it starts on its grant, once that is on disk here, and is given back when another has the task.
    pub(super) fn wait_for_grant(&mut self, ctx: &mut Ctx<'_>, task: Subject, of: RecordId, state: &TaskState) {
        let status = state.attempts.iter().find(|attempt| attempt.claim == of).map(|attempt| attempt.status);
        match status {
            Some(AttemptStatus::Running) => {
                let grants = |act: &Act| matches!(act, Act::Grant { claim, .. } if *claim == of);
                let granted = self.store.logs[&task].entries().iter().find(|entry| entry.counts() && grants(&entry.act));
                match granted.map(|entry| entry.id) {
                    Some(grant) if self.store.is_durable(&grant) => self.begin(ctx, of),
                    Some(_) | None => drop(self.touched.insert(task)),
                }
            }
            Some(AttemptStatus::Ungranted) if matches!(state.phase, Phase::Waiting { .. }) => {}
            _ => self.stop(ctx, of, Cause::Superseded),
        }
    }

    /// Gives back what nobody grants in time, and hands the authority on at times.
    pub(super) fn follow_authority(&mut self, ctx: &mut Ctx<'_>) {
        let Some(authority) = self.store.authority() else { return };
        let late = |run: &super::Run| !run.review && !run.started && ctx.now >= run.since + PATIENCE;
        let late: Vec<RecordId> = self.runs.iter().filter(|(_, run)| late(run)).map(|(of, _)| *of).collect();
        for of in late {
            self.stop(ctx, of, Cause::Stopped);
        }
        if authority == key(self.index) && ctx.dice.percent(1) {
            self.hand_on(ctx);
        } else if ctx.config.forced && self.index == 0 && !self.reaches_authority() && ctx.dice.percent(20) {
            self.take_over(ctx, authority);
        }
    }

    /// A forced move by the admin: what the old authority wrote beyond what is known of it here grants nothing.
    fn take_over(&mut self, ctx: &mut Ctx<'_>, old: AuthorKey) {
        let honest = ctx.config.nodes - usize::from(ctx.config.hostile);
        let heir = usize::try_from(ctx.dice.below(honest as u64)).expect("few");
        let Some((policy, _)) = self.store.policy.filter(|_| key(heir) != old) else { return };
        let (number, frontier) = (policy.number + 1, Some(self.store.frontier_of(old)));
        let body = Body::Policy { number, authority: Some(key(heir)), integrator: key(0), last: None, frontier };
        self.write_over(ctx, Subject::CLUSTER, body, &std::collections::BTreeSet::new());
        *ctx.counts.entry("forced moves").or_default() += 1;
    }

    /// A planned move: it names this node's last record, so whoever knows of it knows of every grant before it.
    fn hand_on(&mut self, ctx: &mut Ctx<'_>) {
        let honest = ctx.config.nodes - usize::from(ctx.config.hostile);
        let heir = usize::try_from(ctx.dice.below(honest as u64)).expect("few");
        let Some((policy, _)) = self.store.policy.filter(|_| heir != self.index) else { return };
        let Some(last) = self.writer.slot(|| self.session).prev else { return };
        let (number, authority) = (policy.number + 1, Some(key(heir)));
        let body = Body::Policy { number, authority, integrator: key(0), last: Some(last), frontier: None };
        self.write_over(ctx, Subject::CLUSTER, body, &std::collections::BTreeSet::new());
    }

    /// Claims that an earlier process wrote and that wait for a grant: nobody waits for them any more.
    pub(super) fn give_requests_back(&mut self, ctx: &mut Ctx<'_>) {
        if self.store.authority().is_none() || self.hostile {
            return;
        }
        let me = key(self.index);
        let tasks: Vec<Subject> = self.store.logs.keys().copied().collect();
        for task in tasks {
            let attempts = self.store.state(&task).map(|state| state.attempts).unwrap_or_default();
            let waits = attempts.into_iter().filter(|attempt| attempt.claimant == me && attempt.status == AttemptStatus::Ungranted);
            for claim in waits.map(|attempt| attempt.claim).collect::<Vec<_>>() {
                self.release(ctx, task, claim, Cause::Stopped);
            }
        }
    }
}
