//! The hostile member: it signs with its own key and may write anything over any past, fork its chain, and say anything.

use std::collections::BTreeSet;

use octopoid_crdt::{
    ids::{RecordId, SessionId, Subject},
    peer::{ClaimAnswer, Message, Rival},
    record::{Body, Cause, Payload, Queue},
};

use super::{
    cluster::{self, key},
    node::{Ctx, Do, Frame, Node},
};

pub fn act(node: &mut Node, ctx: &mut Ctx<'_>) {
    if !ctx.dice.percent(40) {
        return;
    }
    let tasks: Vec<Subject> = node.store.logs.keys().copied().collect();
    let Some(task) = ctx.dice.pick(&tasks).copied() else { return };
    if ctx.dice.percent(15) {
        lie(node, ctx);
        return;
    }
    let ids: Vec<RecordId> = node.store.logs[&task].entries().iter().map(|entry| entry.id).collect();
    let Some(mut named) = ctx.dice.pick(&ids).copied() else { return };
    let state = node.store.state(&task);
    let mut deps: BTreeSet<RecordId> = [named].into();
    deps.extend(ctx.dice.pick(&ids));
    if ctx.dice.percent(50) {
        deps = node.store.heads(&task);
        named = state.as_ref().and_then(|state| state.rests_on).unwrap_or(named);
    }
    let body = body(ctx, named, state.map_or(0, |state| state.epoch));
    if ctx.dice.percent(70) {
        node.write_over(ctx, task, body, &deps);
        return;
    }
    // A fork: it continues an older record of its own, in a session of its own making.
    let own: Vec<RecordId> = node.store.records.iter().filter(|r| r.payload().author == key(node.index)).map(|r| r.id()).collect();
    let prev = ctx.dice.pick(&own).copied();
    deps.extend(cluster::founding(ctx.config.nodes).last().map(|record| record.id()));
    let mut session = [0xaa; 16];
    session[0] = u8::try_from(ctx.dice.below(4)).expect("small");
    let subject = cluster::subject_of(&body, task);
    let payload = Payload {
        author: key(node.index),
        session: SessionId(session),
        seq: 0,
        prev,
        subject,
        wall_ms: ctx.dice.roll() >> 1,
        deps: deps.into_iter().collect(),
        body,
    };
    node.equivocate(ctx, payload);
}

fn body(ctx: &mut Ctx<'_>, named: RecordId, epoch: u64) -> Body {
    let (by, reason) = (String::from("x"), String::new());
    let epoch = *ctx.dice.pick(&[1, 2, epoch, epoch + 1, u64::MAX]).expect("not empty");
    match ctx.dice.below(14) {
        0 => Body::Heads,
        1..=3 => Body::Claim { epoch, source: Queue::Incoming, agent: by, orchestrator: reason, ttl_seconds: ctx.config.ttl, base: None },
        4 => Body::Review { on: named, agent: by, orchestrator: reason, ttl_seconds: ctx.config.ttl },
        5 => Body::Grant { claim: named, epoch },
        6 => Body::Release { of: named, cause: Cause::Stopped, reason },
        7 => Body::Expire { of: named, reason },
        8 | 9 => Body::Submit { claim: named, base: None, head: None, tree: None, notes: reason },
        10 => Body::Accept { on: named, by, reason },
        11 => Body::Reject { on: named, by, reason },
        12 => Body::Move { queue: Queue::Incoming, cause: Cause::Requeue, by, reason, keep: None },
        _last => Body::Unknown { kind: 900, body: vec![0x80] },
    }
}

/// Frames that say what is not.
fn lie(node: &mut Node, ctx: &mut Ctx<'_>) {
    let peers: Vec<(usize, u64)> = node.syncs.iter().map(|(peer, (conn, _))| (*peer, *conn)).collect();
    let Some((to, conn)) = ctx.dice.pick(&peers).copied() else { return };
    let roll = |ctx: &mut Ctx<'_>| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&ctx.dice.roll().to_le_bytes());
        RecordId(id)
    };
    let message = match ctx.dice.below(7) {
        0 => {
            Message::Tips { tips: [(key(0), [roll(ctx)].into()), (key(node.index), [roll(ctx)].into())].into(), more: ctx.dice.percent(50) }
        }
        1 => Message::Tips { tips: [].into(), more: false },
        2 => Message::Unknown { ids: node.store.records.iter().map(|record| record.id()).collect::<BTreeSet<_>>().into_iter().collect() },
        3 => Message::Digest { digest: [7; 32] },
        4 => Message::Ack { number: ctx.dice.below(12), waiting: vec![], answers: vec![] },
        5 => {
            let of: Vec<RecordId> =
                node.store.records.iter().filter(|r| matches!(r.payload().body, Body::Claim { .. })).map(|r| r.id()).collect();
            let Some(of) = ctx.dice.pick(&of).copied() else { return };
            let rival = Rival { id: roll(ctx), author: key(node.index), epoch: u64::MAX, started: ctx.dice.percent(50) };
            Message::Ack { number: 1, waiting: vec![], answers: vec![ClaimAnswer { of, rivals: vec![rival] }] }
        }
        _forged => Message::Records { number: ctx.dice.below(30), records: vec![vec![7; 300], vec![]] },
    };
    ctx.out.push(Do::Send { to, conn, frame: Frame::Plain(message) });
}
