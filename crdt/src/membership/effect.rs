//! What membership means for the records of tasks: the standing of each, and the removals that mask some.
//!
//! **Invariants**: a removal is known by the number of its record here, which never changes while a store lives; what
//! masks in a set are the removals in effect in that set's view, what a record has seen are all that its past holds.

use std::sync::Arc;

use super::{Membership, MembershipError, Seen, View, entry::Change, seen::Bits};
use crate::{
    chain::Place,
    ids::RecordId,
    lifecycle::{Index, Past, PolicyAt, Reach, Removal, Removals, Standing},
};

/// What a past resolves to, as it is kept for the next record with the same one.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) seen: Seen,
    pub(super) view: Arc<View>,
    /// What the view's removals and forced policies mask.
    masks: Arc<Removals>,
    /// The numbers of all removals and forced policies in the set.
    held: Past,
}

impl Resolved {
    pub(super) fn of(membership: &Membership, seen: Seen, set: &Bits, view: View) -> Self {
        Self { seen, masks: Arc::new(masks(membership, &view)), held: held(membership, set), view: Arc::new(view) }
    }
}

impl Membership {
    /// Returns what a record's past says of its author, for the lifecycle's law: `place` and `past` are the record's own.
    ///
    /// # Errors
    /// When `past` is not of this membership.
    pub fn standing(&mut self, place: &Place, past: Seen) -> Result<Standing, MembershipError> {
        let resolved = self.resolved(past)?;
        let policy = resolved.view.policy().map(|policy| PolicyAt { number: policy.number, authority: policy.authority });
        Ok(Standing {
            access: resolved.view.access(&place.author),
            policy,
            session: place.session,
            seq: place.seq,
            removals: resolved.held.clone(),
        })
    }

    /// Returns what is masked in a set of records whose membership is `seen`: in a record's past that of the record, in
    /// all that a node holds [`Membership::all`].
    ///
    /// # Errors
    /// When `seen` is not of this membership.
    pub fn masks(&mut self, seen: Seen) -> Result<Arc<Removals>, MembershipError> {
        Ok(Arc::clone(&self.resolved(seen)?.masks))
    }
}

fn masks(membership: &Membership, view: &View) -> Removals {
    let number = |id: &RecordId| membership.numbers.get(id).map(|number| index(*number));
    let everything = |author, frontier| Removal { author, frontier, reach: Reach::Everything };
    let removed = view.removals.iter().flat_map(|(author, removals)| {
        removals.iter().filter_map(move |removal| Some((number(&removal.id)?, everything(*author, removal.frontier.clone()))))
    });
    // Whose only Joins are masked has nothing that stays, wherever it stopped.
    let uprooted = view.uprooted.iter().filter_map(|(author, by)| Some((number(by)?, everything(*author, Vec::new()))));
    let displaced = view.displaced.iter().filter_map(|moved| {
        Some((number(&moved.by)?, Removal { author: moved.author, frontier: moved.frontier.clone(), reach: Reach::Grants }))
    });
    let mut found: Vec<_> = removed.chain(uprooted).chain(displaced).collect();
    found.sort_by_key(|(number, removal)| (*number, removal.author));
    let mut masks = Removals::none();
    for (number, removal) in found {
        masks.add(number, removal);
    }
    masks
}

fn held(membership: &Membership, set: &Bits) -> Past {
    let masking = membership.masking.iter().filter(|number| set.contains(**number));
    masking.map(|number| index(*number)).collect()
}

/// Tells whether a cluster record can mask others.
pub(super) fn can_mask(change: &Change) -> bool {
    match change {
        Change::Remove { .. } => true,
        Change::Policy(policy) => policy.frontier.is_some(),
        Change::Found | Change::Name(_) | Change::Join { .. } => false,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sets of records are numbered by 32 bits, so there are fewer records")]
const fn index(number: usize) -> Index {
    number as Index
}
