//! Who asks whom for tips, and when: digests after a quiet moment, tips where they differ.
//!
//! **Invariants**: each telling of tips is answered by one of the peer's, crossing ones answer each other; tips are told only
//! where digests differ or something is lacked, and answered at a bounded rate.

use std::collections::BTreeSet;

use super::{Offence, Output};
use crate::{
    chain::{Chains, Plan, Span, Tips},
    ids::RecordId,
    lease::Moment,
    peer::{Message, limits},
};

/// The quiet that must follow a change before a digest goes out; the greater key waits twice as long and mostly need not.
const QUIET_MS: u64 = 100;
/// How long a change may be put off because there is no quiet.
const UNQUIET_MS: u64 = 1_000;
/// A digest goes out this often whatever happens.
const ROUND_MS: u64 = 30_000;
/// How long the answer to tips is waited for before they may be told again.
const ANSWER_MS: u64 = 5_000;
/// Tellings of tips that are answered at once, and one more each [`REFILL_MS`].
const BURST: u64 = 16;
const REFILL_MS: u64 = 250;

#[derive(Debug)]
pub(super) struct Exchange {
    quiet_ms: u64,
    last_change: Moment,
    /// Since when something changed here that the peer was not told of.
    dirty: Option<Moment>,
    told_at: Moment,
    /// The peer's last digest, and since when it is to be looked at.
    theirs: Option<[u8; 32]>,
    look: Option<Moment>,
    /// Whether tips are to be told, and since when the answer is awaited.
    ask: bool,
    asked: Option<Moment>,
    /// Tips that are being told, and those that were told in full.
    partial: Tips,
    partial_size: usize,
    told: Option<Tips>,
    unsure: Vec<Span>,
    /// The peer's tips that are not held here.
    wanted: BTreeSet<RecordId>,
    budget: u64,
    refilled: Moment,
}

impl Exchange {
    pub(super) fn new(lower: bool, now: Moment) -> Self {
        Self {
            quiet_ms: if lower { QUIET_MS } else { 2 * QUIET_MS },
            last_change: now,
            dirty: None,
            told_at: now,
            theirs: None,
            look: None,
            ask: false,
            asked: None,
            partial: Tips::new(),
            partial_size: 0,
            told: None,
            unsure: Vec::new(),
            wanted: BTreeSet::new(),
            budget: BURST,
            refilled: now,
        }
    }

    pub(super) fn greeted(&mut self, now: Moment, digest: [u8; 32], chains: &Chains) {
        self.theirs = Some(digest);
        self.ask = digest != chains.digest();
        self.told_at = now;
    }

    pub(super) fn told_digest(&mut self, now: Moment, digest: [u8; 32]) {
        self.theirs = Some(digest);
        self.look.get_or_insert(now);
    }

    pub(super) fn applied(&mut self, now: Moment, ids: &[RecordId]) {
        self.last_change = now;
        self.dirty.get_or_insert(now);
        for id in ids {
            self.wanted.remove(id);
        }
    }

    /// Asks for what is lacked.
    pub(super) fn ask(&mut self) {
        self.ask = true;
    }

    pub(super) fn told_tips(&mut self, tips: Tips, more: bool) -> Result<(), Offence> {
        for (author, ids) in tips {
            self.partial_size += 1 + ids.len();
            self.partial.entry(author).or_default().extend(ids);
        }
        // An author weighs as much as an id, and a repeated one again: empty frames have an end too.
        if self.partial_size > 2 * limits::TIPS {
            return Err(Offence::Tips);
        }
        if !more {
            self.partial_size = 0;
            self.told = Some(std::mem::take(&mut self.partial));
        }
        Ok(())
    }

    /// Returns tips that were told and are to be answered now.
    pub(super) fn take_tips(&mut self, now: Moment) -> Option<Tips> {
        let gained = now.0.saturating_sub(self.refilled.0) / REFILL_MS;
        if gained > 0 {
            self.budget = self.budget.saturating_add(gained).min(BURST);
            self.refilled = now;
        }
        if self.told.is_none() || self.budget == 0 {
            return None;
        }
        self.budget -= 1;
        self.told.take()
    }

    /// Tells the own tips in answer, unless they were told and this is the answer.
    pub(super) fn answer_tips(&mut self, now: Moment, chains: &Chains, out: &mut Vec<Output>) {
        if self.asked.take().is_none() {
            self.tell(now, chains, out);
        }
        self.ask = false;
    }

    /// Keeps what is not decided yet; returns the peer's tips to be named as not held.
    pub(super) fn planned(&mut self, plan: &Plan) -> Vec<RecordId> {
        self.wanted = plan.unknown.iter().copied().collect();
        self.unsure.clone_from(&plan.unsure);
        if self.unsure.is_empty() {
            return Vec::new();
        }
        self.wanted.iter().copied().take(limits::IDS).collect()
    }

    /// The peer does not know these tips of ours: where it has another branch, ours are sent.
    pub(super) fn told_unknown(&mut self, ids: &[RecordId]) -> Vec<Span> {
        let mut send = Vec::new();
        for span in std::mem::take(&mut self.unsure) {
            let from: Vec<RecordId> = span.from.iter().copied().filter(|id| ids.binary_search(id).is_ok()).collect();
            if !from.is_empty() {
                send.push(Span { author: span.author, from, until: span.until });
            }
        }
        send
    }

    pub(super) fn go_on(&mut self, now: Moment, busy: bool, chains: &Chains, out: &mut Vec<Output>) {
        if self.asked.is_some_and(|at| now.0.saturating_sub(at.0) >= ANSWER_MS) {
            self.asked = None;
        }
        let quiet = !busy && now.0.saturating_sub(self.last_change.0) >= self.quiet_ms;
        let over = |since: Moment| quiet || now.0.saturating_sub(since.0) >= UNQUIET_MS;
        if self.look.is_some_and(over) {
            self.look = None;
            self.ask |= self.theirs != Some(chains.digest());
        }
        if self.ask && self.asked.is_none() {
            self.ask = false;
            self.asked = Some(now);
            self.tell(now, chains, out);
        }
        let round = now.0.saturating_sub(self.told_at.0) >= ROUND_MS;
        if self.dirty.is_some_and(over) || round {
            self.dirty = None;
            let digest = chains.digest();
            // Who has told us the same digest needs no other word.
            if round || (self.theirs != Some(digest) && self.asked.is_none()) {
                self.told_at = now;
                out.push(Output::Send(Message::Digest { digest }));
            }
        }
    }

    fn tell(&mut self, now: Moment, chains: &Chains, out: &mut Vec<Output>) {
        self.told_at = now;
        self.dirty = None;
        let (mut tips, mut count, mut total) = (Tips::new(), 0, 0);
        for (author, chain) in chains.authors() {
            let ids: BTreeSet<RecordId> = chain.tips().take(limits::TIPS_OF_AUTHOR).copied().collect();
            if count + ids.len() > limits::IDS || tips.len() >= limits::AUTHORS {
                out.push(Output::Send(Message::Tips { tips: std::mem::take(&mut tips), more: true }));
                count = 0;
            }
            if total + ids.len() > limits::TIPS {
                break;
            }
            (count, total) = (count + ids.len(), total + ids.len());
            tips.insert(*author, ids);
        }
        out.push(Output::Send(Message::Tips { tips, more: false }));
    }

    pub(super) fn wake_at(&self) -> Moment {
        let quiet = self.last_change.0.saturating_add(self.quiet_ms);
        let mut at = self.told_at.0.saturating_add(ROUND_MS);
        for since in [self.dirty, self.look].into_iter().flatten() {
            at = at.min(quiet.max(since.0)).min(since.0.saturating_add(UNQUIET_MS));
        }
        if let Some(asked) = self.asked {
            at = at.min(asked.0.saturating_add(ANSWER_MS));
        }
        if self.told.is_some() {
            at = at.min(self.refilled.0.saturating_add(REFILL_MS));
        }
        Moment(at)
    }

    pub(super) fn is_current(&self) -> bool {
        !self.ask && self.asked.is_none() && self.told.is_none() && self.wanted.is_empty()
    }

    pub(super) fn in_agreement(&self, chains: &Chains) -> bool {
        self.theirs.is_some_and(|theirs| theirs == chains.digest())
    }
}
