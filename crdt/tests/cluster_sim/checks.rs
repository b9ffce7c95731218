//! What must hold after every commit, and in the end.

use std::collections::BTreeSet;

use octopoid_crdt::{
    ids::{RecordId, Subject},
    lifecycle::{Act, AttemptStatus, End, Entry, Phase, Reach, TaskState},
};

use super::{
    cluster::{key, short},
    node::Node,
    store::Store,
    world::World,
};

pub type Checked = Result<(), String>;

pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

const fn closes(entry: &Entry) -> bool {
    entry.counts() && matches!(entry.act, Act::Move { .. } | Act::Delete)
}

/// I3, I4, I6 between two views of one node, the second of which holds more.
pub fn step(store: &Store, task: &Subject, state: &TaskState, (epoch, done): (u64, bool)) -> Checked {
    let log = &store.logs[task];
    ensure(state.epoch >= epoch, || format!("I4: the highest epoch fell from {epoch} to {}", state.epoch))?;
    let asked = log.entries().iter().filter(|e| e.counts() && matches!(e.act, Act::Claim { .. })).count() as u64;
    ensure(state.epoch <= asked, || format!("epoch {} was jumped to", state.epoch))?;
    let accepted = state.attempts.iter().filter(|a| matches!(a.status, AttemptStatus::Accepted | AttemptStatus::Merged));
    ensure(accepted.count() <= 1, || "I3: two attempts count as accepted".into())?;
    let reopened = log.entries().iter().any(|entry| closes(entry) || entry.anew);
    ensure(!done || reopened || matches!(state.phase, Phase::Done { .. }), || format!("I6: done became {:?}", state.phase))?;
    shows_finished_work(store, task, state)
}

/// A Submit that is not rejected and that no Move or Delete saw is shown until a verdict.
fn shows_finished_work(store: &Store, task: &Subject, state: &TaskState) -> Checked {
    let log = &store.logs[task];
    // A granted attempt goes before whatever was handed in without the authority's knowledge.
    if matches!(state.phase, Phase::Provisional { .. } | Phase::Done { .. } | Phase::Cancelled { .. })
        || store.policy.is_some()
        || log.entries().iter().any(|e| e.anew)
    {
        return Ok(());
    }
    for (index, submit) in (0..).zip(log.entries()).filter(|(_, e)| e.counts() && matches!(e.act, Act::Submit { .. })) {
        let over = |e: &Entry| e.past.contains(index) && (closes(e) || (e.counts() && matches!(e.act, Act::Reject { .. })));
        ensure(log.entries().iter().any(over), || format!("finished work {} is hidden behind {:?}", short(&submit.id), state.phase))?;
    }
    Ok(())
}

type Summary = (std::mem::Discriminant<Phase>, String, Option<RecordId>, Option<RecordId>, u64);

fn summary(state: &TaskState) -> Summary {
    (
        std::mem::discriminant(&state.phase),
        state.queue.as_str().to_owned(),
        state.rests_on,
        state.current().map(|attempt| attempt.claim),
        state.epoch,
    )
}

impl World {
    fn honest(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter_map(|slot| slot.node.as_ref()).filter(|node| !node.hostile)
    }

    /// I2: every committed record is on every node.
    pub fn check_nothing_lost(&self, by: &BTreeSet<RecordId>) -> Checked {
        for node in self.honest() {
            let lost: Vec<String> = by.iter().filter(|id| !node.store.knows(id)).map(short).collect();
            ensure(lost.is_empty(), || {
                format!("node {} lacks {} records, among them {:?}", node.index, lost.len(), lost.iter().take(3).collect::<Vec<_>>())
            })?;
        }
        Ok(())
    }

    /// I1: all nodes show the same.
    pub fn check_agreement(&self) -> Checked {
        let Some(first) = self.honest().next() else { return Ok(()) };
        for node in self.honest() {
            ensure(node.store.chains.digest() == first.store.chains.digest(), || {
                format!("nodes {} and {} hold different records", first.index, node.index)
            })?;
            for task in first.store.logs.keys() {
                let (a, b) = (first.store.state(task), node.store.state(task));
                let same = a.as_ref().map(summary) == b.as_ref().map(summary);
                ensure(same, || format!("I1: nodes {} and {} differ: {a:#?} and {b:#?}", first.index, node.index))?;
            }
        }
        Ok(())
    }

    /// I1 at any time: nodes that hold the same records show the same.
    pub fn check_equals(&self) -> Checked {
        let nodes: Vec<&Node> = self.honest().filter(|node| node.store.committed == node.store.records.len()).collect();
        for (at, a) in nodes.iter().enumerate() {
            let equal = |b: &&&Node| a.store.committed == b.store.committed && a.store.durable.digest() == b.store.durable.digest();
            let Some(b) = nodes[at + 1..].iter().find(equal) else { continue };
            for task in a.store.logs.keys() {
                let (one, other) = (a.store.state(task), b.store.state(task));
                let same = one.as_ref().map(summary) == other.as_ref().map(summary);
                ensure(same, || format!("I1: nodes {} and {} hold the same and show {one:#?} and {other:#?}", a.index, b.index))?;
            }
        }
        Ok(())
    }

    /// What an authority granted that had been replaced by force is shown and gives nobody the task. Returns how many such grants there are.
    pub fn check_late_grants(&self) -> Result<usize, String> {
        let mut late = 0;
        for node in self.honest() {
            let store = &node.store;
            for (task, log) in &store.logs {
                let Some(state) = store.state(task) else { continue };
                let is_late = |entry: &Entry| {
                    let (session, seq, seen) = (&entry.standing.session, entry.standing.seq, &entry.standing.removals);
                    let taken = store.masks.iter().filter(|(_, mask)| mask.reach == Reach::Grants && mask.author == entry.author);
                    taken.into_iter().any(|(number, mask)| mask.lies_above(session, seq) && !seen.contains(*number))
                };
                let granted = |entry: &Entry| {
                    let Act::Grant { claim, .. } = entry.act else { return None };
                    entry.counts().then(|| (claim, is_late(entry)))
                };
                let grants: Vec<(RecordId, bool)> = log.entries().iter().filter_map(granted).collect();
                for (claim, _) in grants.iter().filter(|(_, late)| *late) {
                    late += 1;
                    let holds = grants.iter().any(|(of, late)| of == claim && !late);
                    let attempt = state.attempts.iter().find(|attempt| attempt.claim == *claim);
                    // What the old one accepted besides is done by that Accept, which no move masks.
                    let open = [AttemptStatus::Running, AttemptStatus::Submitted, AttemptStatus::Superseded];
                    let none = attempt.is_none_or(|attempt| !open.contains(&attempt.status));
                    ensure(holds || none, || format!("a late grant counts on node {}: {attempt:?}", node.index))?;
                }
            }
        }
        Ok(late)
    }

    /// A task merges once, and what was merged is what counts.
    pub fn check_merges(&self) -> Checked {
        let Some(node) = self.honest().next() else { return Ok(()) };
        for (task, accept) in &self.branch {
            let Some(state) = node.store.state(task) else { continue };
            let log = &node.store.logs[task];
            let told = log.entries().iter().any(|e| e.counts() && matches!(&e.act, Act::Merged { accept: of, .. } if of == accept));
            if told && !log.entries().iter().any(|e| closes(e) || e.anew) {
                let counts = matches!(&state.phase, Phase::Done { by: End::Accept { id, .. }, .. } if id == accept);
                ensure(counts, || format!("what was merged is not what counts: {:?}", state.phase))?;
            }
        }
        Ok(())
    }

    /// I7: every open task can be claimed or has a holder that lives and works on it.
    pub fn check_nothing_stuck(&self) -> Checked {
        let Some(first) = self.honest().next() else { return Ok(()) };
        for task in first.store.logs.keys() {
            let Some(state) = first.store.state(task) else { continue };
            let held = match &state.phase {
                Phase::Claimed { attempt } => state.attempts.get(*attempt).map(|attempt| (attempt.claim, attempt.claimant)),
                Phase::Provisional { review: Some(holder), .. } => Some((holder.review, holder.reviewer)),
                Phase::Provisional { review: None, .. } | Phase::Waiting { .. } | Phase::Done { .. } => None,
                Phase::Cancelled { .. } | Phase::Deleted { .. } => None,
            };
            let Some((id, author)) = held else { continue };
            let lives =
                self.honest().find(|node| key(node.index) == author).is_some_and(|node| node.runs.get(&id).is_some_and(|run| run.started));
            ensure(lives, || format!("I7: {} is held by nobody who works on it", short(&id)))?;
        }
        Ok(())
    }

    /// Every task has come to an end.
    pub fn check_all_done(&self) -> Checked {
        for node in self.honest() {
            let open = node
                .store
                .logs
                .keys()
                .filter(|task| node.store.state(task).is_some_and(|s| !matches!(s.phase, Phase::Done { .. })))
                .count();
            ensure(open == 0, || format!("on node {} {open} tasks are not done", node.index))?;
        }
        Ok(())
    }
}
