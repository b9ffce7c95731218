//! The records of one task, judged, in order of arrival.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use super::{
    act::Act,
    entry::{Entry, Verdict},
    law::{Case, Refusal},
    past::{Index, Past},
    resolution::Resolution,
    standing::{Removals, Standing},
    state::TaskState,
};
use crate::ids::{AuthorKey, RecordId, Subject};

/// The judged records of one task.
///
/// A log is in causal order: whoever pushes an entry has pushed its past. What the whole log resolves to is kept until the next push, so
/// that judging a record whose author had seen everything, which is the common case, resolves nothing twice.
///
/// **Invariant**: an entry's verdict is that of [`TaskLog::judge`] over its past, in whichever order the log was filled.
#[derive(Debug, Clone)]
pub struct TaskLog {
    task: Subject,
    entries: Vec<Entry>,
    positions: BTreeMap<RecordId, Index>,
    /// What counts and can change the state.
    acting: Vec<Index>,
    /// What nobody has in its past.
    heads: Vec<Index>,
    ever_deleted: bool,
    /// What everything resolves to when no removal touches the task.
    resolved: OnceLock<Resolution>,
}

impl TaskLog {
    /// Makes the empty log of a task.
    #[must_use]
    pub const fn new(task: Subject) -> Self {
        Self {
            task,
            entries: Vec::new(),
            positions: BTreeMap::new(),
            acting: Vec::new(),
            heads: Vec::new(),
            ever_deleted: false,
            resolved: OnceLock::new(),
        }
    }

    /// Rebuilds a log from entries in the order in which they were pushed.
    #[must_use]
    pub fn from_entries(task: Subject, entries: Vec<Entry>) -> Self {
        let mut log = Self::new(task);
        log.entries.reserve(entries.len());
        entries.into_iter().for_each(|entry| log.push(entry));
        log
    }

    /// Appends an entry that [`Self::judge`] made of this log, or that was stored after it was. One that is there already is ignored.
    pub fn push(&mut self, entry: Entry) {
        let index = self.length();
        if self.positions.contains_key(&entry.id) {
            return;
        }
        self.positions.insert(entry.id, index);
        self.heads.retain(|head| !entry.past.contains(*head));
        self.heads.push(index);
        if entry.counts() && entry.act.acts() {
            self.acting.push(index);
            self.ever_deleted |= matches!(entry.act, Act::Delete);
            self.resolved = OnceLock::new();
        }
        self.entries.push(entry);
    }

    /// Returns the task.
    #[must_use]
    pub const fn task(&self) -> Subject {
        self.task
    }

    /// Returns the entries in log order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns how many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries that nobody has in its past: the `deps` of the next record.
    #[must_use]
    pub fn heads(&self) -> &[Index] {
        &self.heads
    }

    /// Returns where a record lies.
    #[must_use]
    pub fn position(&self, id: &RecordId) -> Option<Index> {
        self.positions.get(id).copied()
    }

    /// Returns the entry at a position.
    #[must_use]
    pub fn at(&self, index: Index) -> Option<&Entry> {
        usize::try_from(index).ok().and_then(|index| self.entries.get(index))
    }

    /// Returns what a record with these deps has in its past. Deps that are not of this task are ignored.
    #[must_use]
    pub fn past_of(&self, deps: &[RecordId]) -> Past {
        let mut past = Past::default();
        for index in deps.iter().filter_map(|id| self.position(id)) {
            if let Some(entry) = self.at(index) {
                past.union(&entry.past);
                past.insert(index);
            }
        }
        past
    }

    /// Returns the past of a record that is written over everything in the log.
    #[must_use]
    pub const fn everything(&self) -> Past {
        Past::below(self.length())
    }

    /// Judges a record over its past. `removals` may hold more than the record's past does: what that holds is in its standing.
    #[must_use]
    pub fn judge(&self, id: RecordId, author: AuthorKey, past: Past, act: Act, standing: Standing, removals: &Removals) -> Entry {
        let ruling = Case { log: self, author, past: &past, act: &act, standing: &standing, removals }.rule();
        let (verdict, ruling) = match ruling {
            Ok(ruling) => (Verdict::Counts, ruling),
            Err(refusal) => (Verdict::Void(refusal), super::law::Ruling::default()),
        };
        Entry { id, author, past, act, standing, verdict, target: ruling.target, about: ruling.about, anew: ruling.anew }
    }

    /// Tells whether a record over everything in the log would count, so that a node refuses before it signs.
    ///
    /// # Errors
    /// Why it would not.
    pub fn would_count(&self, author: AuthorKey, act: &Act, standing: &Standing, removals: &Removals) -> Result<(), Refusal> {
        let past = self.everything();
        Case { log: self, author, past: &past, act, standing, removals }.rule().map(|_| ())
    }

    /// Returns what the whole log resolves to under the removals that the node knows.
    #[must_use]
    pub fn resolve(&self, removals: &Removals) -> TaskState {
        TaskState::of(self, &self.resolution(None, removals, None))
    }

    /// Returns the claim of the attempt that an entry's author saw the task rest on or be done by: what a Move closes, whichever other
    /// claims have arrived here before it. None where the task waited.
    #[must_use]
    pub fn current_before(&self, entry: &Entry, removals: &Removals) -> Option<RecordId> {
        let state = self.resolution(Some(&entry.past), removals, Some(&entry.standing.removals));
        state.about().and_then(|about| self.claim_of(about)).and_then(|claim| self.id(claim))
    }

    /// Returns the entries that the removals leave out of the whole log, edits included: these have no effect on what people edit either.
    #[must_use]
    pub fn left_out(&self, removals: &Removals) -> BTreeSet<Index> {
        if removals.is_empty() {
            return BTreeSet::new();
        }
        super::standing::left_out(&self.entries, None, &removals.touching(&self.entries, None))
    }

    /// Resolves the entries within a past (everything when `None`) under the removals that `known` holds (all of them when `None`).
    pub(super) fn resolution(&self, within: Option<&Past>, removals: &Removals, known: Option<&Past>) -> Cow<'_, Resolution> {
        let within = within.filter(|past| !past.covers(self.length()));
        let touching = if removals.is_empty() { Vec::new() } else { removals.touching(&self.entries, known) };
        if within.is_none() && touching.is_empty() {
            Cow::Borrowed(self.resolved.get_or_init(|| Resolution::of(self, None, &[])))
        } else {
            Cow::Owned(Resolution::of(self, within, &touching))
        }
    }

    pub(super) fn acting(&self) -> &[Index] {
        &self.acting
    }

    pub(super) const fn was_ever_deleted(&self) -> bool {
        self.ever_deleted
    }

    pub(super) fn id(&self, index: Index) -> Option<RecordId> {
        self.at(index).map(|entry| entry.id)
    }

    pub(super) fn act(&self, index: Index) -> Option<&Act> {
        self.at(index).map(|entry| &entry.act)
    }

    /// The claim of an attempt that is given by its Submit or by the Claim itself.
    pub(super) fn claim_of(&self, about: Index) -> Option<Index> {
        let entry = self.at(about)?;
        if matches!(entry.act, Act::Submit { .. }) { entry.target } else { Some(about) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a log of 2^32 records fits no machine")]
    const fn length(&self) -> Index {
        self.entries.len() as Index
    }
}
