#![expect(clippy::wildcard_enum_match_arm, reason = "a test's node acts on a few kinds of records")]
//! One node: the real machines, driven as a daemon drives them. Nothing goes out before it is committed.

mod served;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::{
    chain::Writer,
    ids::{RecordId, SessionId, Subject},
    lease::{Input as LeaseInput, Moment, Timers},
    lifecycle::{Act, Phase, TaskState},
    peer::{
        ClaimAnswer, Message,
        settle::{self, Contender, Known, Settle, Verdict},
        sync::{self, Output, Sync, Taken},
    },
    record::{Body, Cause, Payload, Verified},
};

use super::{
    Bug, Config,
    cluster::{self, Crypto, key},
    dice::Dice,
    store::{Outcome, Store},
};

/// What travels between two nodes.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Encoded, as on a real connection.
    Wire(Vec<u8>),
    /// Not encoded, where a schedule must be cheap.
    Plain(Message),
    /// A renewal without its signature, which 19 nodes would check each time.
    Renewed { of: RecordId, seconds: u32 },
}

/// What a node asks of the world.
#[derive(Debug)]
pub enum Do {
    Send { to: usize, conn: u64, frame: Frame },
    Close { to: usize, conn: u64 },
    Commit,
    Work { of: RecordId, ms: u64 },
}

/// One beginning of work on a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub task: Subject,
    pub epoch: u64,
    pub node: usize,
    pub claim: RecordId,
}

/// What is shared by all nodes of a world.
pub struct Ctx<'a> {
    pub now: u64,
    pub dice: &'a mut Dice,
    pub crypto: &'a Crypto,
    pub config: &'a Config,
    /// The integration branch: task → the accept that merged it.
    pub branch: &'a mut BTreeMap<Subject, RecordId>,
    pub starts: &'a mut Vec<Start>,
    pub broken: &'a mut Option<String>,
    pub counts: &'a mut BTreeMap<&'static str, u64>,
    pub out: Vec<Do>,
}

/// A claim or review that is worked on.
#[derive(Debug, Clone)]
pub struct Run {
    pub task: Subject,
    pub review: bool,
    pub started: bool,
    pub finished: bool,
    pub since: u64,
}

struct Report {
    peer: usize,
    conn: u64,
    number: u64,
    taken: Taken,
    /// Claims and reviews of the peer itself.
    asked: Vec<(Subject, RecordId)>,
}

/// A task as it was seen last, to compare.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    epoch: u64,
    done: bool,
}

pub struct Node {
    pub index: usize,
    pub store: Store,
    pub settle: Settle,
    pub runs: BTreeMap<RecordId, Run>,
    pub syncs: BTreeMap<usize, (u64, Sync)>,
    pub hostile: bool,
    timers: Timers,
    writer: Writer,
    session: SessionId,
    /// This machine's clock: its boot lies anywhere, its calendar too.
    boot: u64,
    wall: u64,
    born: u64,
    next_renewal: u64,
    committing: bool,
    reports: Vec<Report>,
    opened: Vec<(Subject, RecordId)>,
    touched: BTreeSet<Subject>,
    /// Who holds each task.
    holders: BTreeMap<Subject, RecordId>,
    /// Every open claim and review that is timed, the outranked ones too.
    leases: BTreeMap<RecordId, Subject>,
    claimable: BTreeSet<Subject>,
    reviewable: BTreeSet<Subject>,
    unmerged: BTreeSet<Subject>,
    before: BTreeMap<Subject, Before>,
}

impl Node {
    /// Starts a process on what is on disk.
    pub fn start(index: usize, disk: &[Verified], ctx: &mut Ctx<'_>) -> Self {
        let store = Store::open(ctx.config.bug, disk);
        let boot = ctx.dice.below(1 << 40);
        let ten_years = 10 * 365 * 86_400_000;
        let mut session = [0; 16];
        session[..8].copy_from_slice(&ctx.dice.roll().to_le_bytes());
        let now = Moment(ctx.now + boot);
        let mut node = Self {
            index,
            settle: Settle::new(key(index), now),
            runs: BTreeMap::new(),
            syncs: BTreeMap::new(),
            hostile: ctx.config.hostile && index + 1 == ctx.config.nodes,
            timers: Timers::new(key(index)),
            writer: Writer::new(key(index), &store.chains),
            session: SessionId(session),
            boot,
            wall: ten_years + ctx.dice.below(2 * ten_years),
            born: ctx.now,
            next_renewal: ctx.now,
            committing: false,
            reports: Vec::new(),
            opened: Vec::new(),
            touched: store.logs.keys().copied().collect(),
            holders: BTreeMap::new(),
            leases: BTreeMap::new(),
            claimable: BTreeSet::new(),
            reviewable: BTreeSet::new(),
            unmerged: BTreeSet::new(),
            before: BTreeMap::new(),
            store,
        };
        node.derive(ctx);
        node.give_back(ctx);
        node.give_requests_back(ctx);
        node
    }

    fn moment(&self, ctx: &Ctx<'_>) -> Moment {
        Moment(ctx.now + self.boot)
    }

    /// Claims that an earlier process held are given back, also those that others outrank: its agents are dead.
    fn give_back(&mut self, ctx: &mut Ctx<'_>) {
        let me = key(self.index);
        let own = |(id, task): (&RecordId, &Subject)| self.contender(task, id).is_some_and(|c| c.author == me).then_some((*task, *id));
        let open: Vec<(Subject, RecordId)> = self.leases.iter().filter_map(own).collect();
        for (task, id) in open {
            self.release(ctx, task, id, Cause::Stopped);
        }
    }

    pub fn connected(&mut self, ctx: &mut Ctx<'_>, peer: usize, conn: u64) {
        let now = self.moment(ctx);
        self.syncs.insert(peer, (conn, Sync::new(key(self.index), key(peer), cluster::cluster(), now)));
        self.drive(ctx, peer, sync::Input::Connected);
        self.settled(ctx, settle::Input::Connected { peer: key(peer) });
        let started: Vec<RecordId> = self.runs.iter().filter(|(_, run)| run.started).map(|(id, _)| *id).collect();
        self.renew(ctx, &started, Some(peer));
    }

    pub fn disconnected(&mut self, ctx: &mut Ctx<'_>, peer: usize, conn: u64) {
        if self.syncs.get(&peer).is_some_and(|(known, _)| *known == conn) {
            self.syncs.remove(&peer);
            self.settled(ctx, settle::Input::Disconnected { peer: key(peer) });
        }
    }

    pub fn frame(&mut self, ctx: &mut Ctx<'_>, peer: usize, conn: u64, frame: Frame) {
        if self.syncs.get(&peer).is_none_or(|(known, _)| *known != conn) {
            return;
        }
        self.settled(ctx, settle::Input::Heard { peer: key(peer) });
        match frame {
            Frame::Wire(bytes) => match Message::decode(&bytes) {
                Ok(Some(message)) => self.drive(ctx, peer, sync::Input::Frame(message)),
                Ok(None) => {}
                Err(error) => *ctx.broken = Some(format!("a frame was not read: {error}")),
            },
            Frame::Plain(message) => self.drive(ctx, peer, sync::Input::Frame(message)),
            Frame::Renewed { of, seconds } => self.renewed(ctx, of, seconds),
        }
    }

    fn renewed(&mut self, ctx: &mut Ctx<'_>, of: RecordId, seconds: u32) {
        let now = self.moment(ctx);
        self.timers.handle(now, LeaseInput::Renewed { of, seconds: Some(seconds) });
        self.settled(ctx, settle::Input::Started { of });
    }

    /// Runs one peer's sync machine and does what it says.
    fn drive(&mut self, ctx: &mut Ctx<'_>, peer: usize, input: sync::Input) {
        let now = self.moment(ctx);
        let Some((conn, machine)) = self.syncs.get_mut(&peer) else { return };
        let conn = *conn;
        let outputs = machine.handle(now, input, &self.store).expect("this store does not fail");
        for output in outputs {
            match output {
                Output::Send(message) => {
                    let frame = if ctx.config.real {
                        Frame::Wire(message.encode().expect("machines make frames within limits"))
                    } else {
                        Frame::Plain(message)
                    };
                    ctx.out.push(Do::Send { to: peer, conn, frame });
                }
                Output::TakeIn { number, records } => {
                    let checked: Vec<Option<Verified>> = records.iter().map(|wire| ctx.crypto.check(wire)).collect();
                    let forged = checked.iter().filter(|record| record.is_none()).count();
                    self.take_in(ctx, peer, conn, number, checked.into_iter().flatten().collect(), forged);
                }
                Output::Retry { number, records } => self.take_in(ctx, peer, conn, number, records, 0),
                Output::Holds { .. } => {}
                Output::Answered { answers } => {
                    for answer in answers {
                        self.settled(ctx, settle::Input::Answered { peer: key(peer), answer });
                    }
                }
                Output::Pass(_) => {}
                Output::Strike { why } => {
                    let hostile = ctx.config.hostile && peer + 1 == ctx.config.nodes;
                    if !hostile && !self.hostile {
                        *ctx.broken = Some(format!("node {} struck node {peer}: {why}", self.index));
                    }
                }
                Output::Close { .. } => ctx.out.push(Do::Close { to: peer, conn }),
            }
        }
    }

    fn take_in(&mut self, ctx: &mut Ctx<'_>, peer: usize, conn: u64, number: u64, records: Vec<Verified>, forged: usize) {
        let mut report = Report { peer, conn, number, taken: Taken { forged, ..Taken::default() }, asked: Vec::new() };
        for record in records {
            match self.store.apply(&record) {
                Outcome::Held => {
                    let payload = record.payload();
                    if payload.author == key(peer) && matches!(payload.body, Body::Claim { .. } | Body::Review { .. }) {
                        report.asked.push((payload.subject, record.id()));
                    }
                    self.touched.insert(payload.subject);
                    report.taken.held.push(record.id());
                    self.grant(ctx, payload.subject, &record);
                }
                Outcome::Waiting(missing) => report.taken.waiting.push((record, missing)),
                Outcome::Never => {}
            }
        }
        self.reports.push(report);
        self.commit_soon(ctx);
    }

    /// Records that come from nowhere in particular: what can be applied is.
    pub fn stray(&mut self, ctx: &mut Ctx<'_>, wires: &[Vec<u8>]) {
        for record in wires.iter().filter_map(|wire| ctx.crypto.check(wire)) {
            let _ = self.store.apply(&record);
            self.touched.insert(record.payload().subject);
        }
        self.commit_soon(ctx);
    }

    fn commit_soon(&mut self, ctx: &mut Ctx<'_>) {
        if !std::mem::replace(&mut self.committing, true) {
            ctx.out.push(Do::Commit);
        }
    }

    /// Everything applied is on disk: now it may be told and answered.
    pub fn committed(&mut self, ctx: &mut Ctx<'_>) {
        self.committing = false;
        let first = self.store.committed;
        self.store.commit();
        let me = key(self.index);
        let fresh: Vec<Verified> = self.store.records[first..].to_vec();
        for record in &fresh {
            self.tell_settle(ctx, record);
        }
        let ids: Vec<RecordId> = fresh.iter().map(Verified::id).collect();
        let own: Vec<u64> = (first as u64..).zip(&fresh).filter(|(_, record)| record.payload().author == me).map(|(n, _)| n).collect();
        let peers: Vec<usize> = self.syncs.keys().copied().collect();
        for peer in peers {
            if !own.is_empty() {
                self.drive(ctx, peer, sync::Input::Wrote { arrivals: own.clone() });
            }
            if !ids.is_empty() {
                self.drive(ctx, peer, sync::Input::Applied { ids: ids.clone() });
            }
        }
        for report in std::mem::take(&mut self.reports) {
            self.report(ctx, report);
        }
        for (task, id) in std::mem::take(&mut self.opened) {
            if let Some(contender) = self.contender(&task, &id) {
                let others = self.contenders(&task);
                self.settled(ctx, settle::Input::Opened { contender, others });
            }
        }
        self.derive(ctx);
    }

    fn report(&mut self, ctx: &mut Ctx<'_>, mut report: Report) {
        let same = self.syncs.get(&report.peer).is_some_and(|(conn, _)| *conn == report.conn);
        if !same {
            return;
        }
        let answers: Vec<ClaimAnswer> = report
            .asked
            .iter()
            .map(|(task, id)| {
                let Some(asked) = self.contender(task, id) else { return ClaimAnswer { of: *id, rivals: vec![] } };
                let others = self.contenders(task);
                self.settle.answer(&asked, others)
            })
            .collect();
        report.taken.answers = answers;
        self.drive(ctx, report.peer, sync::Input::Taken { number: report.number, taken: report.taken });
    }

    fn contender(&self, task: &Subject, id: &RecordId) -> Option<Contender> {
        settle::contender(self.store.logs.get(task)?, id)
    }

    fn contenders(&self, task: &Subject) -> Vec<Known> {
        let known = self.store.logs.get(task).zip(self.store.state(task));
        known.map(|(log, state)| settle::contenders(log, &state)).unwrap_or_default()
    }

    fn tell_settle(&mut self, ctx: &mut Ctx<'_>, record: &Verified) {
        let (id, payload) = (record.id(), record.payload());
        match &payload.body {
            Body::Claim { .. } | Body::Review { .. } => {
                if let Some(contender) = self.contender(&payload.subject, &id).filter(|c| c.author != key(self.index)) {
                    self.settled(ctx, settle::Input::Seen(Known { contender, started: false }));
                }
            }
            Body::Release { of, .. } | Body::Expire { of, .. } => self.settled(ctx, settle::Input::Ended { of: *of }),
            Body::Submit { claim, .. } => self.settled(ctx, settle::Input::Started { of: *claim }),
            _ => {}
        }
    }

    pub fn settled(&mut self, ctx: &mut Ctx<'_>, input: settle::Input) {
        let now = self.moment(ctx);
        for verdict in self.settle.handle(now, input) {
            let what = match verdict {
                Verdict::Start { .. } => "starts",
                Verdict::Yield { .. } => "yields",
                Verdict::Stop { .. } => "stops of the started",
            };
            *ctx.counts.entry(what).or_default() += 1;
            match verdict {
                Verdict::Start { of } => self.begin(ctx, of),
                Verdict::Yield { of, .. } | Verdict::Stop { of, .. } => self.stop(ctx, of, Cause::Superseded),
            }
        }
    }

    fn begin(&mut self, ctx: &mut Ctx<'_>, of: RecordId) {
        let Some(run) = self.runs.get_mut(&of) else { return };
        if std::mem::replace(&mut run.started, true) {
            return;
        }
        let task = run.task;
        if !run.review
            && let Some(epoch) = self.epoch_of(&task, &of)
        {
            ctx.starts.push(Start { task, epoch, node: self.index, claim: of });
        }
        let ms = ctx.dice.within(ctx.config.work.0, ctx.config.work.1);
        ctx.out.push(Do::Work { of, ms });
        self.renew(ctx, &[of], None);
    }

    /// Ends work on an own claim and gives it back.
    fn stop(&mut self, ctx: &mut Ctx<'_>, of: RecordId, cause: Cause) {
        if ctx.config.bug == Bug::ForgottenRelease {
            return;
        }
        if let Some(run) = self.runs.remove(&of) {
            self.release(ctx, run.task, of, cause);
        }
    }

    fn release(&mut self, ctx: &mut Ctx<'_>, task: Subject, of: RecordId, cause: Cause) {
        if self.store.would_count(self.index, &task, &Act::Release { of, cause }) {
            self.write(ctx, task, Body::Release { of, cause, reason: String::new() });
        }
    }

    /// Writes an own record over everything that is applied about the task.
    pub fn write(&mut self, ctx: &mut Ctx<'_>, task: Subject, body: Body) -> RecordId {
        let mut heads = self.store.heads(&task);
        while heads.len() > 50 {
            let some: BTreeSet<RecordId> = heads.iter().take(50).copied().collect();
            self.write_over(ctx, task, Body::Heads, &some);
            heads = self.store.heads(&task);
        }
        self.write_over(ctx, task, body, &heads)
    }

    pub fn write_over(&mut self, ctx: &mut Ctx<'_>, task: Subject, body: Body, deps: &BTreeSet<RecordId>) -> RecordId {
        let slot = self.writer.slot(|| self.session);
        let mut deps = deps.clone();
        if slot.seq == 0 {
            deps.extend(cluster::founding(ctx.config.nodes).last().map(Verified::id));
        }
        // What a node knows of policies, its records have seen.
        if self.store.policy.is_some() && !self.hostile {
            deps.extend(self.store.cluster_heads());
        }
        let subject = cluster::subject_of(&body, task);
        let wall_ms = ctx.now + self.wall;
        let payload = Payload {
            author: key(self.index),
            session: slot.session,
            seq: slot.seq,
            prev: slot.prev,
            subject,
            wall_ms,
            deps: deps.into_iter().collect(),
            body,
        };
        let record = ctx.crypto.sign(self.index, payload);
        let _ = self.store.apply(&record);
        self.writer.wrote(&record).expect("it stands in the slot");
        self.touched.insert(subject);
        self.commit_soon(ctx);
        *ctx.counts.entry(record.payload().body.name()).or_default() += 1;
        record.id()
    }

    /// A record at a place of its own choosing: only the hostile member does this.
    pub fn equivocate(&mut self, ctx: &mut Ctx<'_>, payload: Payload) {
        let record = ctx.crypto.sign(self.index, payload);
        let _ = self.store.apply(&record);
        self.touched.insert(record.payload().subject);
        self.commit_soon(ctx);
    }

    fn may_write(&self, ctx: &Ctx<'_>) -> bool {
        !self.writer.is_fresh() || ctx.now >= self.born + 2_000 || self.syncs.values().all(|(_, sync)| sync.is_current())
    }

    pub fn tick(&mut self, ctx: &mut Ctx<'_>, working: bool) {
        let now = self.moment(ctx);
        self.settled(ctx, settle::Input::Tick);
        let due: Vec<usize> =
            self.syncs.iter().filter(|(_, (_, sync))| sync.wake_at().is_some_and(|at| at <= now)).map(|(peer, _)| *peer).collect();
        for peer in due {
            self.drive(ctx, peer, sync::Input::Tick);
        }
        if ctx.now >= self.next_renewal {
            self.next_renewal = ctx.now + u64::from(ctx.config.ttl) * 200;
            let started: Vec<RecordId> =
                self.runs.iter().filter(|(_, run)| run.started || ctx.config.bug == Bug::ForgottenRelease).map(|(id, _)| *id).collect();
            self.renew(ctx, &started, None);
        }
        if !self.may_write(ctx) || self.hostile {
            return;
        }
        self.expire(ctx);
        self.follow_authority(ctx);
        if working {
            self.merge(ctx);
            self.look_for_work(ctx);
        }
    }

    fn renew(&mut self, ctx: &mut Ctx<'_>, of: &[RecordId], to: Option<usize>) {
        let now = self.moment(ctx);
        if of.is_empty() {
            return;
        }
        for id in of {
            self.timers.handle(now, LeaseInput::Renewed { of: *id, seconds: None });
        }
        let frames: Vec<Frame> = of.iter().map(|id| Frame::Renewed { of: *id, seconds: ctx.config.ttl }).collect();
        for (peer, (conn, _)) in self.syncs.iter().filter(|(peer, _)| to.is_none_or(|to| to == **peer)) {
            for frame in &frames {
                ctx.out.push(Do::Send { to: *peer, conn: *conn, frame: frame.clone() });
            }
        }
    }

    /// Lets everything that follows from the touched tasks follow.
    fn derive(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.store.masked_anew) {
            // A number that a late grant had given is not given any more.
            self.before.values_mut().for_each(|before| before.epoch = 0);
            self.touched.extend(self.store.logs.keys().copied());
        }
        for task in std::mem::take(&mut self.touched) {
            let Some(state) = self.store.state(&task) else { continue };
            if !self.hostile {
                self.check_step(ctx, &task, &state);
            }
            self.follow_lease(ctx, task, &state);
            self.follow_runs(ctx, task, &state);
            let set = |set: &mut BTreeSet<Subject>, holds: bool| if holds { set.insert(task) } else { set.remove(&task) };
            let running = self.runs.values().any(|run| run.task == task);
            set(&mut self.claimable, !running && matches!(state.phase, Phase::Waiting { .. }));
            set(&mut self.reviewable, !running && matches!(&state.phase, Phase::Provisional { review: None, .. }));
            set(&mut self.unmerged, matches!(&state.phase, Phase::Done { merged: None, .. }));
        }
    }

    fn follow_lease(&mut self, ctx: &mut Ctx<'_>, task: Subject, state: &TaskState) {
        let now = self.moment(ctx);
        let holder = match &state.phase {
            Phase::Claimed { attempt } => state.attempts.get(*attempt).map(|attempt| attempt.claim),
            Phase::Provisional { review, .. } => review.as_ref().map(|holder| holder.review),
            Phase::Waiting { .. } | Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
        };
        match holder {
            Some(id) => drop(self.holders.insert(task, id)),
            None => drop(self.holders.remove(&task)),
        }
        let open: BTreeSet<RecordId> =
            self.contenders(&task).iter().filter(|known| !known.started).map(|known| known.contender.id).collect();
        let over: Vec<RecordId> = self.leases.iter().filter(|(id, of)| **of == task && !open.contains(id)).map(|(id, _)| *id).collect();
        for of in over {
            self.leases.remove(&of);
            self.timers.handle(now, LeaseInput::Ended { of });
        }
        for of in open {
            self.leases.insert(of, task);
            self.timers.handle(now, LeaseInput::Opened { of, seconds: ctx.config.ttl });
        }
    }

    /// Own claims on a task: stopped when they have ended or finished work beats them; handed in when they may be.
    fn follow_runs(&mut self, ctx: &mut Ctx<'_>, task: Subject, state: &TaskState) {
        let own: Vec<(RecordId, Run)> = self.runs.iter().filter(|(_, run)| run.task == task).map(|(id, run)| (*id, run.clone())).collect();
        for (id, run) in own {
            let (ended, beaten) = if run.review {
                let rests = matches!(&state.phase, Phase::Provisional { .. });
                let on = self.store.entry(&task, &id).and_then(|entry| entry.act.names());
                let over = self.store.logs[&task]
                    .entries()
                    .iter()
                    .any(|e| e.counts() && matches!(e.act, Act::Release { of, .. } | Act::Expire { of } if of == id));
                (over, !rests || state.rests_on != on || !self.decides())
            } else if self.store.authority().is_some() && !run.started {
                self.wait_for_grant(ctx, task, id, state);
                continue;
            } else {
                use octopoid_crdt::lifecycle::AttemptStatus as Status;
                let status = state.attempts.iter().find(|attempt| attempt.claim == id).map(|attempt| attempt.status);
                let finished = !matches!(state.phase, Phase::Claimed { .. } | Phase::Waiting { .. });
                (!matches!(status, Some(Status::Running | Status::Superseded)), status == Some(Status::Superseded) && finished)
            };
            if ended {
                self.runs.remove(&id);
                self.settled(ctx, settle::Input::Ended { of: id });
            } else if beaten {
                self.stop(ctx, id, Cause::Superseded);
                self.settled(ctx, settle::Input::Ended { of: id });
            } else if run.finished {
                self.hand_in(ctx, task, id, run.review);
            }
        }
    }

    fn check_step(&mut self, ctx: &mut Ctx<'_>, task: &Subject, state: &TaskState) {
        let done = matches!(state.phase, Phase::Done { .. });
        let before = self.before.insert(*task, Before { epoch: state.epoch, done }).unwrap_or_default();
        if let Err(broken) = super::checks::step(&self.store, task, state, (before.epoch, before.done)) {
            ctx.broken.get_or_insert(format!("node {}: {broken}", self.index));
        }
    }
}
