//! What a node does of itself: it claims, works, hands in, reviews, merges, and ends leases that ran out.

use octopoid_crdt::{
    ids::{RecordId, Subject},
    lifecycle::{Act, End, Phase},
    peer::settle,
    record::{Body, Cause},
};

use super::{
    super::{Bug, cluster::key},
    Ctx, Node, Run,
};

impl Node {
    pub(super) fn expire(&mut self, ctx: &mut Ctx<'_>) {
        for of in self.timers.due(self.moment(ctx)) {
            // One that is outranked can be ended only when it holds the task.
            let task = self.leases.get(&of).copied();
            if let Some(task) = task.filter(|task| self.store.would_count(self.index, task, &Act::Expire { of })) {
                self.write(ctx, task, Body::Expire { of, reason: String::new() });
            }
        }
    }

    /// The author of an Accept merges, if the branch does not have the task yet.
    pub(super) fn merge(&mut self, ctx: &mut Ctx<'_>) {
        for task in self.unmerged.clone() {
            let Some(state) = self.store.state(&task) else { continue };
            let Phase::Done { by: End::Accept { id, .. }, merged: None, .. } = state.phase else { continue };
            let author = self.store.entry(&task, &id).map(|entry| entry.author);
            if author != Some(key(self.index)) {
                continue;
            }
            self.unmerged.remove(&task);
            let on_branch = *ctx.branch.entry(task).or_insert(id);
            if on_branch == id {
                self.write(ctx, task, Body::Merged { accept: id, commit: None });
            }
        }
    }

    pub(super) fn look_for_work(&mut self, ctx: &mut Ctx<'_>) {
        let room = if self.reaches_authority() { ctx.config.agents.saturating_sub(self.runs.len()) } else { 0 };
        for _ in 0..room {
            let Some(task) = self.choose(ctx) else { break };
            let Some(state) = self.store.state(&task) else { break };
            self.claimable.remove(&task);
            let act = Act::Claim { epoch: state.epoch + 1, agent: "agent".into() };
            if self.store.would_count(self.index, &task, &act) {
                let body = Body::Claim {
                    epoch: state.epoch + 1,
                    source: state.queue.clone(),
                    agent: "agent".into(),
                    orchestrator: "node".into(),
                    ttl_seconds: ctx.config.ttl,
                    base: None,
                };
                self.take(ctx, task, body, false);
            }
        }
        for task in std::mem::take(&mut self.reviewable) {
            if !self.decides() || !ctx.dice.percent(ctx.config.eagerness) {
                self.reviewable.insert(task);
                continue;
            }
            let Some(on) = self.store.state(&task).and_then(|state| state.rests_on) else { continue };
            if self.store.would_count(self.index, &task, &Act::Review { on, agent: String::new() }) {
                let body = Body::Review { on, agent: "agent".into(), orchestrator: "node".into(), ttl_seconds: ctx.config.ttl };
                self.take(ctx, task, body, true);
            }
        }
    }

    fn take(&mut self, ctx: &mut Ctx<'_>, task: Subject, body: Body, review: bool) {
        let id = self.write(ctx, task, body);
        self.grant_own(ctx, task, id, review);
        self.runs.insert(id, Run { task, review, started: false, finished: false, since: ctx.now });
        if ctx.config.bug == Bug::StartAtOnce {
            self.begin(ctx, id);
        }
        if self.store.authority().is_none() || review {
            self.opened.push((task, id));
        }
    }

    /// Among the first tasks the one that this node is the likeliest of the connected members to take, else the oldest.
    fn choose(&self, ctx: &mut Ctx<'_>) -> Option<Subject> {
        let lot = |task: &Subject, node: usize| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(task.as_bytes()).update(key(node).as_bytes());
            *hasher.finalize().as_bytes()
        };
        let first: Vec<Subject> = self.claimable.iter().take(16).copied().collect();
        let mine = |task: &&Subject| {
            let own = lot(task, self.index);
            self.syncs.keys().all(|peer| lot(task, *peer) < own)
        };
        if ctx.config.eagerness < 50 {
            return first.iter().find(mine).or_else(|| first.first()).copied();
        }
        first.first().copied()
    }

    /// Work on a claim is finished: hand it in, or judge it.
    pub fn worked(&mut self, ctx: &mut Ctx<'_>, of: RecordId) {
        let Some(run) = self.runs.get_mut(&of).filter(|run| run.started) else { return };
        run.finished = true;
        let (task, review) = (run.task, run.review);
        self.hand_in(ctx, task, of, review);
    }

    pub(super) fn hand_in(&mut self, ctx: &mut Ctx<'_>, task: Subject, of: RecordId, review: bool) {
        if review {
            let on = self.store.entry(&task, &of).and_then(|entry| entry.act.names());
            let Some(on) = on else { return };
            let held = self.holders.get(&task) == Some(&of);
            let good = !ctx.dice.percent(10);
            let act = if good { Act::Accept { on } } else { Act::Reject { on } };
            if held && self.store.would_count(self.index, &task, &act) {
                let (by, reason) = (String::from("agent"), String::new());
                self.write(ctx, task, if good { Body::Accept { on, by, reason } } else { Body::Reject { on, by, reason } });
                self.runs.remove(&of);
                self.settled(ctx, settle::Input::Ended { of });
            } else if !self.decides() {
                // The authority was handed on meanwhile: a lease that is renewed for ever would keep the task from its heir.
                self.stop(ctx, of, Cause::Superseded);
                self.settled(ctx, settle::Input::Ended { of });
            }
        } else if self.store.would_count(self.index, &task, &Act::Submit { claim: of, base: None, head: None }) {
            self.write(ctx, task, Body::Submit { claim: of, base: None, head: None, tree: None, notes: String::new() });
            self.runs.remove(&of);
            self.settled(ctx, settle::Input::Ended { of });
        }
    }
}
