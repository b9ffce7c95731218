//! From a set of counted cluster records to a [`View`].
//!
//! Removals first, the more senior author's before the others': admins that remove each other at once do not both
//! vanish, and nobody becomes more senior by what it writes later. Then what the remaining members' Joins, names and
//! policies say.
//!
//! **Invariants**: ties are broken by ids and by sizes of pasts, never by arrival; the result of a set does not depend
//! on what else a node holds.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Displaced, Member, Policy, View,
    entry::{Change, Entry},
    seen::Bits,
};
use crate::{
    ids::{AuthorKey, Name, RecordId},
    record::Access,
};

/// Resolves the entries whose numbers are in `set`.
pub(super) fn resolve(entries: &[Entry], set: &Bits) -> View {
    let mut chosen: Vec<_> = entries.iter().filter(|entry| set.contains(entry.number)).collect();
    // A record's past is smaller than the record's own set, so this order is causal.
    chosen.sort_by_key(|entry| (entry.past.len(), entry.id));
    let mut resolver = Resolver { creator: creator(&chosen), entries: chosen, removals: BTreeMap::new(), spared: BTreeSet::new() };
    // Whom sparing keeps a member may have removed somebody: settle again. The spared only grow, so this ends.
    loop {
        resolver.settle_removals();
        if !resolver.spare_what_others_built_on() {
            return resolver.view();
        }
    }
}

fn creator(entries: &[&Entry]) -> Option<AuthorKey> {
    entries.iter().find(|entry| matches!(entry.change, Change::Found)).map(|entry| entry.author)
}

struct Resolver<'a> {
    creator: Option<AuthorKey>,
    /// In causal order.
    entries: Vec<&'a Entry>,
    /// The removals in effect, by whom they remove.
    removals: BTreeMap<AuthorKey, Vec<&'a Entry>>,
    /// Numbers of entries above a frontier that a remaining member had built on.
    spared: BTreeSet<usize>,
}

impl<'a> Resolver<'a> {
    /// Orders members: by how much their first Join had in its past, then by its id. The creator stands before all.
    fn seniority(&self) -> BTreeMap<AuthorKey, (usize, RecordId)> {
        let mut ranks = BTreeMap::new();
        for entry in &self.entries {
            match &entry.change {
                Change::Found => ranks.entry(entry.author).or_insert((0, entry.id)),
                Change::Join { member, .. } => ranks.entry(*member).or_insert((entry.past.len(), entry.id)),
                Change::Name(_) | Change::Remove { .. } | Change::Policy(_) => continue,
            };
        }
        ranks
    }

    fn settle_removals(&mut self) {
        let ranks = self.seniority();
        self.removals.clear();
        let mut removes: Vec<_> = self.entries.iter().copied().filter(|entry| matches!(entry.change, Change::Remove { .. })).collect();
        removes.sort_by_key(|entry| (ranks.get(&entry.author).copied(), entry.past.len(), entry.id));
        let mut effective = self.effective();
        for remove in removes {
            let Change::Remove { member, .. } = &remove.change else { continue };
            if !effective.contains(&remove.number) {
                continue;
            }
            self.removals.entry(*member).or_default().push(remove);
            // Most who leave wrote no cluster record: then nothing else changes.
            if self.entries.iter().any(|entry| entry.author == *member && self.masking(entry).next().is_some()) {
                effective = self.effective();
            }
        }
    }

    /// Returns the removals in effect that leave an entry out by its author and place.
    fn masking<'b>(&'b self, entry: &'b Entry) -> impl Iterator<Item = &'b Entry> {
        self.removals_of(&entry.author).iter().copied().filter(move |remove| {
            remove.number != entry.number
                && !entry.past.contains(remove.number)
                && remove.removal().is_some_and(|removal| removal.leaves_out(&entry.session, entry.seq))
        })
    }

    fn removals_of(&self, member: &AuthorKey) -> &[&'a Entry] {
        self.removals.get(member).map_or(&[], Vec::as_slice)
    }

    /// Returns the numbers of the entries in effect: written by the creator or on a Join in effect, and not masked.
    fn effective(&self) -> BTreeSet<usize> {
        let mut effective = BTreeSet::new();
        let mut joins: BTreeMap<AuthorKey, Vec<usize>> = BTreeMap::new();
        for entry in &self.entries {
            let rooted = self.creator == Some(entry.author)
                || joins.get(&entry.author).is_some_and(|joins| joins.iter().any(|number| entry.past.contains(*number)));
            let masked = !self.spared.contains(&entry.number) && self.masking(entry).next().is_some();
            if !rooted || masked {
                continue;
            }
            effective.insert(entry.number);
            if let Change::Join { member, .. } = &entry.change {
                joins.entry(*member).or_default().push(entry.number);
            }
        }
        effective
    }

    /// Spares entries above a frontier that a remaining member's record has in its past and the removal not.
    ///
    /// Starts from the members that need no sparing and grows, so nobody is spared by its own word. Removals are not
    /// spared: who was removed by them can be let in again, and that needs no second thought about order.
    ///
    /// Tells whether any was spared that was not before.
    fn spare_what_others_built_on(&mut self) -> bool {
        let before = self.spared.len();
        loop {
            let effective = self.effective();
            let members = self.members(&effective);
            let built_on = |entry: &Entry, remove: &Entry| {
                self.entries.iter().any(|other| {
                    effective.contains(&other.number)
                        && other.author != entry.author
                        && members.contains_key(&other.author)
                        && other.past.contains(entry.number)
                        && !other.past.contains(remove.number)
                })
            };
            let more: Vec<_> = self
                .entries
                .iter()
                .filter(|entry| !self.spared.contains(&entry.number) && !matches!(entry.change, Change::Remove { .. }))
                .filter(|entry| self.masking(entry).next().is_some() && self.masking(entry).all(|remove| built_on(entry, remove)))
                .map(|entry| entry.number)
                .collect();
            if more.is_empty() {
                return self.spared.len() > before;
            }
            self.spared.extend(more);
        }
    }

    /// Returns the members: a removal wins over each Join that had not seen it.
    fn members(&self, effective: &BTreeSet<usize>) -> BTreeMap<AuthorKey, Member> {
        let mut standing: BTreeMap<AuthorKey, Vec<(&Entry, Member)>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| effective.contains(&entry.number)) {
            let (key, member) = match &entry.change {
                Change::Found => (entry.author, Member { access: Access::Admin, name: None, by: entry.id }),
                Change::Join { member, access, name, .. } => (*member, Member { access: *access, name: Some(name.clone()), by: entry.id }),
                Change::Name(_) | Change::Remove { .. } | Change::Policy(_) => continue,
            };
            if self.removals_of(&key).iter().all(|remove| entry.past.contains(remove.number)) {
                let joins = standing.entry(key).or_default();
                joins.retain(|(earlier, _)| !entry.past.contains(earlier.number));
                joins.push((entry, member));
            }
        }
        // Of concurrent Joins the least access, then the lowest id.
        let least =
            |joins: Vec<(&Entry, Member)>| joins.into_iter().map(|(_, member)| member).min_by_key(|member| (member.access, member.by));
        standing.into_iter().filter_map(|(key, joins)| least(joins).map(|member| (key, member))).collect()
    }

    fn view(&self) -> View {
        let effective = self.effective();
        let mut view = View { creator: self.creator, members: self.members(&effective), ..View::default() };
        for entry in &self.entries {
            if let Change::Join { member, invite: Some(invite), .. } = &entry.change {
                // Used even if the Join has lost its effect.
                view.invites.entry(*invite).or_insert(*member);
            }
        }
        for (member, removes) in &self.removals {
            let mut removals: Vec<_> = removes.iter().filter_map(|remove| remove.removal().cloned()).collect();
            removals.sort_by_key(|removal| removal.id);
            view.removals.insert(*member, removals);
        }
        view.uprooted = self.uprooted(&effective);
        view.name = self.last_name(&effective);
        view.policy = self.policy(&effective);
        view.displaced = self.displaced(&effective);
        view
    }

    /// Returns the authors none of whose Joins is in effect, with the removal of who let them in.
    fn uprooted(&self, effective: &BTreeSet<usize>) -> BTreeMap<AuthorKey, RecordId> {
        let mut uprooted: BTreeMap<AuthorKey, RecordId> = BTreeMap::new();
        for entry in &self.entries {
            let Change::Join { member, .. } = &entry.change else { continue };
            if effective.contains(&entry.number) || self.creator == Some(*member) {
                continue;
            }
            let by = self.masking(entry).map(|remove| remove.id).min().or_else(|| uprooted.get(&entry.author).copied());
            if let Some(by) = by {
                uprooted.entry(*member).or_insert(by);
            }
        }
        for entry in self.entries.iter().filter(|entry| effective.contains(&entry.number)) {
            if let Change::Join { member, .. } = &entry.change {
                uprooted.remove(member);
            }
        }
        uprooted
    }

    /// Returns the name that no other has in its past; of several the one with the lowest id.
    fn last_name(&self, effective: &BTreeSet<usize>) -> Option<Name> {
        let mut last: Vec<(&Entry, &Name)> = Vec::new();
        for entry in self.entries.iter().filter(|entry| effective.contains(&entry.number)) {
            if let Change::Name(name) = &entry.change {
                last.retain(|(earlier, _)| !entry.past.contains(earlier.number));
                last.push((entry, name));
            }
        }
        last.into_iter().min_by_key(|(entry, _)| entry.id).map(|(_, name)| name.clone())
    }

    /// Returns the forced moves in effect, ascending by id.
    fn displaced(&self, effective: &BTreeSet<usize>) -> Vec<Displaced> {
        let forced = self.entries.iter().filter(|entry| effective.contains(&entry.number)).filter_map(|entry| {
            let Change::Policy(policy) = &entry.change else { return None };
            let (frontier, author) = (policy.frontier.clone()?, entry.displaced?);
            (policy.authority != Some(author)).then_some(Displaced { author, by: entry.id, frontier })
        });
        let mut moves: Vec<_> = forced.collect();
        moves.sort_by_key(|moved| moved.by);
        moves
    }

    /// Returns the policy of the highest number, then of the lowest id.
    fn policy(&self, effective: &BTreeSet<usize>) -> Option<Policy> {
        let in_effect = self.entries.iter().filter(|entry| effective.contains(&entry.number));
        let policies = in_effect.filter_map(|entry| if let Change::Policy(policy) = &entry.change { Some(policy) } else { None });
        policies.max_by_key(|policy| (policy.number, Reverse(policy.id))).cloned()
    }
}
