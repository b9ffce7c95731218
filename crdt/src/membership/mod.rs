//! Who may do what, as each record's own past has it.
//!
//! A cluster record (Genesis, ClusterName, Join, Remove, Policy) counts if its author was an admin in the record's past;
//! the creator is the first. Every record carries a [`Seen`]: which counted cluster records its past holds. It follows
//! from those of `prev` and `deps`, and while they agree it is one of them, so a task's record costs nothing here.
//!
//! A removal is a rule of effect: it leaves out the member's records above its frontier that had not seen it, in every
//! set that holds the removal ([`Membership::left_out_by`]).
//!
//! **Invariants**: verdicts, views and standings depend on sets of records alone; a record that does not count changes
//! no set; nobody gains a standing by its own word.

mod effect;
mod entry;
mod law;
mod resolve;
mod seen;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use effect::Resolved;
use entry::{Change, Entry};
pub use law::NotCounted;
pub use seen::Seen;
use seen::{Bits, SeenTable};
pub use view::{Displaced, Member, Policy, Removal, View};

use crate::{
    chain::Place,
    ids::{AuthorKey, RecordId},
    record::{Access, Verified},
};

/// Views that are kept: records arrive with few different pasts at a time.
const VIEWS_KEPT: usize = 32;

/// What applying a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// To be stored beside the record: what the records that build on it have seen through it.
    pub seen: Seen,
    /// For a cluster record whether it counts; it is to be stored among the counted ones then. Others are never judged.
    pub counted: Option<Result<(), NotCounted>>,
}

/// States why the membership cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// A [`Seen`] that this membership never gave out: the store is damaged.
    #[error("membership set {0} is not known")]
    UnknownSeen(u32),
    /// A stored set is malformed, out of order or lost: the store is damaged.
    #[error("stored membership set {0} is malformed or lost")]
    StoredSet(usize),
    /// A record among the stored cluster records is none: the store is damaged.
    #[error("a stored membership record is of another kind")]
    StoredRecord,
    /// Four thousand million different pasts.
    #[error("too many different pasts of membership")]
    Full,
}

/// The counted cluster records that a node holds, and the sets of them that records have seen.
///
/// A store keeps two small tables: the counted records with their past, in arrival order, and the new sets
/// ([`Membership::set_bytes`] from the number it has on). A batch that is given up goes back to its mark
/// ([`Membership::reset`]).
#[derive(Debug, Clone, Default)]
pub struct Membership {
    entries: Vec<Entry>,
    numbers: BTreeMap<RecordId, usize>,
    table: SeenTable,
    all: Seen,
    /// The numbers of the records that can mask others.
    masking: Vec<usize>,
    views: VecDeque<Resolved>,
}

/// Where a membership stood, to go back to when a batch is given up.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    entries: usize,
    sets: usize,
    all: Seen,
}

impl Membership {
    /// Puts together what a store kept: the sets from number 1 on, and the counted records with what each had seen.
    ///
    /// # Errors
    /// When the rows do not fit together.
    pub fn restore<'a>(
        sets: impl IntoIterator<Item = &'a [u8]>,
        records: impl IntoIterator<Item = (Verified, Seen)>,
    ) -> Result<Self, MembershipError> {
        let mut membership = Self::default();
        for bytes in sets {
            let number = membership.table.len();
            let set = Bits::from_bytes(bytes).ok_or(MembershipError::StoredSet(number))?;
            let seen = membership.table.intern(set).ok_or(MembershipError::Full)?;
            if seen.0 as usize != number {
                return Err(MembershipError::StoredSet(number));
            }
        }
        let stored = membership.table.len();
        for (record, past) in records {
            let change = Change::of(&record).ok_or(MembershipError::StoredRecord)?;
            membership.count(&record, change, past)?;
        }
        // Each counted record's own set was stored with it.
        if membership.table.len() == stored { Ok(membership) } else { Err(MembershipError::StoredSet(stored)) }
    }

    /// Returns how many sets there are; a store that has the first `n` adds those from `n` on.
    #[must_use]
    pub fn sets(&self) -> usize {
        self.table.len()
    }

    /// Returns a set's bytes for the store.
    #[must_use]
    pub fn set_bytes(&self, seen: Seen) -> Option<Vec<u8>> {
        self.table.get(seen).map(Bits::to_bytes)
    }

    /// Returns what a record has seen whose `prev` and `deps` have seen these: their union.
    ///
    /// # Errors
    /// When one of them is not of this membership.
    pub fn past(&mut self, of: impl IntoIterator<Item = Seen>) -> Result<Seen, MembershipError> {
        let mut of = of.into_iter();
        let Some(first) = of.next() else { return Ok(Seen::NOTHING) };
        let mut union: Option<Bits> = None;
        for other in of.filter(|other| *other != first) {
            let other = self.set(other)?;
            match &mut union {
                Some(union) => union.join(other),
                None => {
                    let mut set = self.set(first)?.clone();
                    set.join(other);
                    union = Some(set);
                }
            }
        }
        match union {
            None => Ok(first),
            Some(set) => self.table.intern(set).ok_or(MembershipError::Full),
        }
    }

    /// Applies a record whose past has seen `past` ([`Membership::past`]). Each record is applied once, after what it
    /// builds on.
    ///
    /// # Errors
    /// When `past` is not of this membership.
    pub fn apply(&mut self, record: &Verified, past: Seen) -> Result<Applied, MembershipError> {
        let Some(change) = Change::of(record) else { return Ok(Applied { seen: past, counted: None }) };
        let view = self.view(past)?;
        let verdict = law::judge(&record.payload().author, &change, &view);
        let seen = if verdict.is_ok() { self.count(record, change, past)? } else { past };
        Ok(Applied { seen, counted: Some(verdict) })
    }

    /// Returns what everything held has seen together: the set of all counted records.
    #[must_use]
    pub fn all(&self) -> Seen {
        self.all
    }

    /// Returns who belongs to the cluster as this node knows it now.
    ///
    /// # Errors
    /// Never in a membership that applied all its records; the type is that of [`Membership::view`].
    pub fn current(&mut self) -> Result<Arc<View>, MembershipError> {
        self.view(self.all)
    }

    /// Returns what a past resolves to.
    ///
    /// Resolving takes 0.2 ms for 100 cluster records and 3 ms for 1,000; the last few results are kept.
    ///
    /// # Errors
    /// When `seen` is not of this membership.
    pub fn view(&mut self, seen: Seen) -> Result<Arc<View>, MembershipError> {
        Ok(Arc::clone(&self.resolved(seen)?.view))
    }

    fn resolved(&mut self, seen: Seen) -> Result<&Resolved, MembershipError> {
        match self.views.iter().position(|kept| kept.seen == seen) {
            Some(0) => {}
            Some(at) => {
                if let Some(kept) = self.views.remove(at) {
                    self.views.push_front(kept);
                }
            }
            None => {
                let set = self.set(seen)?;
                let resolved = Resolved::of(self, seen, set, resolve::resolve(&self.entries, set));
                self.views.truncate(VIEWS_KEPT - 1);
                self.views.push_front(resolved);
            }
        }
        self.views.front().ok_or(MembershipError::UnknownSeen(seen.0))
    }

    /// Returns the counted records that no other has in its past: who names them in its `deps` has seen everything.
    #[must_use]
    pub fn heads(&self) -> Vec<RecordId> {
        let mut below = Bits::default();
        for entry in &self.entries {
            below.join(&entry.past);
        }
        self.entries.iter().filter(|entry| !below.contains(entry.number)).map(|entry| entry.id).collect()
    }

    /// Returns how many records count.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.entries.len()
    }

    /// Notes where the membership stands.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { entries: self.entries.len(), sets: self.table.len(), all: self.all }
    }

    /// Forgets what was applied after a mark of this membership.
    pub fn reset(&mut self, mark: Mark) {
        for entry in self.entries.drain(mark.entries.min(self.entries.len())..) {
            self.numbers.remove(&entry.id);
        }
        self.masking.retain(|number| *number < mark.entries);
        self.table.truncate(mark.sets);
        self.views.retain(|kept| (kept.seen.0 as usize) < mark.sets);
        self.all = mark.all;
    }

    /// Returns what an author might do in a past.
    ///
    /// # Errors
    /// When `seen` is not of this membership.
    pub fn standing_at(&mut self, author: &AuthorKey, seen: Seen) -> Result<Option<Access>, MembershipError> {
        Ok(self.view(seen)?.access(author))
    }

    /// Tells whether a past holds a counted cluster record.
    #[must_use]
    pub fn has_seen(&self, seen: Seen, record: &RecordId) -> bool {
        let number = self.numbers.get(record);
        number.is_some_and(|number| self.table.get(seen).is_some_and(|set| set.contains(*number)))
    }

    /// Returns the removal that leaves a record out of a resolved set, if one does: `view` is the set's view, `place`
    /// and `seen` are the record's own.
    ///
    /// It stays in effect all the same if a record of a remaining member in that set has it in its past and the removal
    /// not ([`View::is_member`], [`Membership::has_seen`]): that only the caller can see.
    #[must_use]
    pub fn left_out_by(&self, view: &View, place: &Place, seen: Seen) -> Option<RecordId> {
        let unseen = |id: &RecordId| !self.has_seen(seen, id);
        let own = view.removals(&place.author).iter().find(|removal| unseen(&removal.id) && removal.leaves_out(&place.session, place.seq));
        own.map(|removal| removal.id).or_else(|| view.uprooted.get(&place.author).copied())
    }

    fn set(&self, seen: Seen) -> Result<&Bits, MembershipError> {
        self.table.get(seen).ok_or(MembershipError::UnknownSeen(seen.0))
    }

    fn count(&mut self, record: &Verified, change: Change, past: Seen) -> Result<Seen, MembershipError> {
        let number = self.entries.len();
        // Whose grants a forced move bounds: the authority as its author knew it.
        let displaced = if effect::can_mask(&change) { self.view(past)?.authority().copied() } else { None };
        let before = self.set(past)?.clone();
        let all = self.set(self.all)?.clone().with(number);
        let seen = self.table.intern(before.clone().with(number)).ok_or(MembershipError::Full)?;
        self.all = self.table.intern(all).ok_or(MembershipError::Full)?;
        if effect::can_mask(&change) {
            self.masking.push(number);
        }
        self.entries.push(Entry::new(number, record, change, before, displaced));
        self.numbers.insert(record.id(), number);
        Ok(seen)
    }
}
