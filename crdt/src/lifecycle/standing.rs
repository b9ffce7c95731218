//! What membership and policy say of an author, and how a removal masks what it wrote.
//!
//! **Invariants**
//! - A standing is that of the record's own past, so it is the same on every node.
//! - A removal is a mask on a set of records, never a verdict: nothing that was stored as counting stops counting, it is left out.

use std::collections::BTreeSet;

use super::{
    act::Act,
    entry::Entry,
    past::{Index, Past},
};
use crate::{
    ids::{AuthorKey, SessionId},
    record::{Access, RemovalFrontier},
};

/// The Policy that a record was written under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyAt {
    /// Orders policies.
    pub number: u64,
    /// The member whose Grants, Accepts, Rejects, Expires and Finishes alone count; `None` in a mesh.
    pub authority: Option<AuthorKey>,
}

/// What the records in a record's own past say of its author. The membership rules compute it, the entry keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The author's access; `None` for one that is not (or no longer) a member.
    pub access: Option<Access>,
    /// The Policy in force; `None` where none was ever set, which means a mesh.
    pub policy: Option<PolicyAt>,
    /// The author's session, for removals.
    pub session: SessionId,
    /// The record's number in that session, for removals.
    pub seq: u64,
    /// The numbers (see [`Removals`]) of the removals that the record's past holds.
    pub removals: Past,
}

impl Standing {
    /// Tells whether the author was a member in the sense of the lifecycle: an admin or a worker.
    #[must_use]
    pub const fn is_member(&self) -> bool {
        match self.access {
            Some(Access::Worker | Access::Admin) => true,
            Some(Access::Reader) | None => false,
        }
    }

    /// Returns the authority, if the mode is server-wins.
    #[must_use]
    pub const fn authority(&self) -> Option<AuthorKey> {
        match self.policy {
            Some(policy) => policy.authority,
            None => None,
        }
    }
}

/// Which of an author's records a removal masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of them: the author was removed from the cluster. What others had built on unknowingly stays.
    Everything,
    /// Grants: the author lost the authority by a forced move. Nothing stays.
    Grants,
}

/// A member's removal, or a forced move of the authority, with its frontier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Whose records are masked.
    pub author: AuthorKey,
    /// Up to where they stay in effect; a session that is not named has none that do.
    pub frontier: RemovalFrontier,
    /// Which of them are masked.
    pub reach: Reach,
}

impl Removal {
    /// Tells whether a place in the author's chain lies above the frontier.
    #[must_use]
    pub fn lies_above(&self, session: &SessionId, seq: u64) -> bool {
        !self.frontier.iter().any(|(named, last)| named == session && seq <= *last)
    }

    fn is_below(&self, entry: &Entry) -> bool {
        let concerned = match self.reach {
            Reach::Everything => true,
            Reach::Grants => matches!(entry.act, Act::Grant { .. }),
        };
        concerned && entry.author == self.author && self.lies_above(&entry.standing.session, entry.standing.seq)
    }

    fn spares_what_others_built_on(&self) -> bool {
        match self.reach {
            Reach::Everything => true,
            Reach::Grants => false,
        }
    }
}

/// The removals that some set of records holds, each by the number that this node gave it.
///
/// Numbers are a node's own and must be stable: the order in which it applied them. They are compared with [`Standing::removals`] alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals(Vec<(Index, Removal)>);

impl Removals {
    /// No removal.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds one under its number.
    pub fn add(&mut self, number: Index, removal: Removal) {
        self.0.push((number, removal));
    }

    /// Goes through them with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &(Index, Removal)> {
        self.0.iter()
    }

    /// Tells whether a set of numbers holds every one: what has seen that much is masked by none of them.
    #[must_use]
    pub fn all_held_by(&self, seen: &Past) -> bool {
        self.0.iter().all(|(number, _)| seen.contains(*number))
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns those that can matter to these entries and that `known` holds; everything when `known` is `None`.
    pub(super) fn touching<'a>(&'a self, entries: &[Entry], known: Option<&Past>) -> Vec<&'a (Index, Removal)> {
        let held = |number: Index| known.is_none_or(|known| known.contains(number));
        let masks = |number: Index, removal: &Removal| entries.iter().any(|e| removal.is_below(e) && !e.standing.removals.contains(number));
        self.0.iter().filter(|(number, removal)| held(*number) && masks(*number, removal)).collect()
    }
}

/// Returns the entries of a set that the removals leave out of it.
///
/// Goes from the last entry to the first: whether a record is itself left out decides whether it saves what it was built on.
pub(super) fn left_out(entries: &[Entry], within: Option<&Past>, removals: &[&(Index, Removal)]) -> BTreeSet<Index> {
    let mut out = BTreeSet::new();
    if removals.is_empty() {
        return out;
    }
    let view: Vec<(Index, &Entry)> = (0..).zip(entries).filter(|(i, _)| within.is_none_or(|past| past.contains(*i))).collect();
    for (position, &(index, entry)) in view.iter().enumerate().rev() {
        let masked = removals.iter().any(|(number, removal)| {
            let saves = |(x, later): &(Index, &Entry)| {
                later.past.contains(index) && later.standing.is_member() && !later.standing.removals.contains(*number) && !out.contains(x)
            };
            let hit = removal.is_below(entry) && !entry.standing.removals.contains(*number);
            hit && !(removal.spares_what_others_built_on() && view.iter().skip(position + 1).any(saves))
        });
        if masked {
            out.insert(index);
        }
    }
    out
}
