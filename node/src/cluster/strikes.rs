//! What members did that no correct node does, counted for people to see.
//!
//! **Invariants**: a strike decides nothing: what a record does follows from the records alone; only members are counted, so that
//! nobody makes the count grow with keys; a relay is struck for bad frames and signatures alone, an author for what it signed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use octopoid_crdt::ids::AuthorKey;

/// What is held against a member since this node's start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strikes {
    /// How often it did what no correct node does.
    pub count: u64,
    /// What it did last.
    pub last: String,
}

/// The strikes of all members.
#[derive(Debug, Default)]
pub(super) struct StrikeBook(Mutex<BTreeMap<AuthorKey, Strikes>>);

impl StrikeBook {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AuthorKey, Strikes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one against a member.
    pub fn add(&self, member: AuthorKey, why: String) {
        let mut strikes = self.lock();
        let strikes = strikes.entry(member).or_default();
        (strikes.count, strikes.last) = (strikes.count.saturating_add(1), why);
    }

    /// Returns what is held against a member.
    pub fn of(&self, member: &AuthorKey) -> Strikes {
        self.lock().get(member).cloned().unwrap_or_default()
    }

    /// Forgets who is no member any more.
    pub fn keep(&self, members: &BTreeSet<AuthorKey>) {
        self.lock().retain(|member, _| members.contains(member));
    }
}
