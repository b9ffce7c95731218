//! What a peer lacks, judged from its tips.
//!
//! **Invariants**: a plan names no record that the peer is known to hold, except below a fork; when both sides apply
//! what they are sent until no plan sends anything, both hold the union of what they held.

use std::collections::{BTreeMap, BTreeSet};

use super::Chains;
use crate::ids::{AuthorKey, RecordId};

/// The tips of every author that a node has records of.
pub type Tips = BTreeMap<AuthorKey, BTreeSet<RecordId>>;

/// Records of one author: those that the `from` ones reach through `prev`, as far as the `until` ones, which are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Whose records.
    pub author: AuthorKey,
    /// The newest to send.
    pub from: Vec<RecordId>,
    /// What the peer has, with all before it. Empty: from the author's first record on.
    pub until: Vec<RecordId>,
}

/// What to do about a peer's tips.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the peer surely lacks.
    pub send: Vec<Span>,
    /// What the peer lacks only if its unknown tips are on another branch of a fork: to be sent when the peer, too, has
    /// answered that it does not know the `from` ones. Otherwise the peer is merely ahead.
    pub unsure: Vec<Span>,
    /// The peer's tips that are not held here: told to the peer, which plans and sends them.
    pub unknown: Vec<RecordId>,
}

impl Chains {
    /// Plans what a peer with these tips lacks; `known` tells whether a record is held here.
    ///
    /// Costs one lookup per tip that differs, whatever the number of records.
    #[must_use]
    pub fn missing_for(&self, theirs: &Tips, known: impl Fn(&RecordId) -> bool) -> Plan {
        let mut plan = Plan::default();
        for (author, tips) in theirs {
            let held = self.author(author);
            let differing = tips.iter().filter(|id| !held.is_some_and(|chain| chain.tips.contains_key(*id)));
            plan.unknown.extend(differing.filter(|id| !known(id)));
        }
        let nothing = BTreeSet::new();
        for (author, chain) in self.authors() {
            let tips = theirs.get(author).unwrap_or(&nothing);
            let from: Vec<_> = chain.tips().filter(|id| !tips.contains(*id)).copied().collect();
            if from.is_empty() {
                continue;
            }
            let until: Vec<_> = tips.iter().filter(|id| known(id)).copied().collect();
            let all_known = until.len() == tips.len();
            let span = Span { author: *author, from, until };
            if all_known { plan.send.push(span) } else { plan.unsure.push(span) }
        }
        plan
    }
}

impl Span {
    /// Walks the span's records from the newest back; `prev_of` looks up what a held record continues.
    ///
    /// The records are sent in the order in which this node applied them, which the caller's numbering knows. From a
    /// tip whose branch holds none of `until` the walk goes back to the author's first record: the peer skips what it
    /// has by its id. Remembers what it visited only when it starts from several tips.
    pub fn walk<F: FnMut(&RecordId) -> Option<RecordId>>(&self, prev_of: F) -> Walk<'_, F> {
        Walk { span: self, prev_of, pending: self.from.clone(), visited: BTreeSet::new() }
    }
}

/// The records of a [`Span`], newest first; see [`Span::walk`].
pub struct Walk<'a, F> {
    span: &'a Span,
    prev_of: F,
    pending: Vec<RecordId>,
    visited: BTreeSet<RecordId>,
}

impl<F: FnMut(&RecordId) -> Option<RecordId>> Iterator for Walk<'_, F> {
    type Item = RecordId;

    fn next(&mut self) -> Option<RecordId> {
        loop {
            let id = self.pending.pop()?;
            if self.span.until.contains(&id) || (self.span.from.len() > 1 && !self.visited.insert(id)) {
                continue;
            }
            self.pending.extend((self.prev_of)(&id));
            return Some(id);
        }
    }
}
