//! All changes of one document, good and bad, and the document that they make.
//!
//! [`Document::admit`] is enough while nothing unusual happens. A history answers for the rest: changes that arrive
//! before those they build on, an actor that wrote two changes with one number, a document that automerge cannot use.
//!
//! **Invariants**: verdicts, document and what is left out are functions of the set of changes held, whatever the
//! order of arrival; a change once admitted or quarantined stays so.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, Change, ChangeHash};

use super::{
    Actor, Document, GateVerdict, Reason, Refused,
    gate::{self, Scanned, scan},
};

/// What a history knows of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not held, or a change that it builds on is not: without effect until that one comes.
    Waiting,
    /// Its verdict, for good.
    Judged(GateVerdict),
}

/// Why an admitted change is not shown. This is no verdict: it may be shown again when more changes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// Its actor wrote two changes with one number, and the other one is shown.
    Fork,
    /// It builds on a change that is left out.
    BuildsOnOne,
    /// The document does not work with it, though it did on its own past. The document is read-only then.
    InUse(Reason),
}

#[derive(Debug, Clone)]
struct Held {
    bytes: Vec<u8>,
    actor: Actor,
    scanned: Scanned,
    verdict: Option<GateVerdict>,
}

/// The changes of one document by hash, and what they make together.
#[derive(Debug, Clone)]
pub struct History {
    held: BTreeMap<ChangeHash, Held>,
    /// By a change that has no verdict yet: those that build on it.
    waiting: BTreeMap<ChangeHash, BTreeSet<ChangeHash>>,
    document: Document,
    left_out: BTreeMap<ChangeHash, LeftOut>,
}

impl Default for History {
    fn default() -> Self {
        Self { held: BTreeMap::new(), waiting: BTreeMap::new(), document: Document::empty(), left_out: BTreeMap::new() }
    }
}

impl History {
    /// Takes a change in, judges it and those that waited for it, and returns its hash; harmless when repeated.
    /// `actor` is the one that the author and session of the change's record make.
    ///
    /// # Errors
    /// When the pre-scan refuses the bytes: a final verdict too, but such bytes have no place in the history.
    pub fn insert(&mut self, change: &[u8], actor: Actor) -> Result<ChangeHash, Reason> {
        let scanned = scan(change, actor)?;
        let hash = scanned.hash;
        if self.held.contains_key(&hash) {
            return Ok(hash);
        }
        self.held.insert(hash, Held { bytes: change.to_vec(), actor, scanned, verdict: None });
        let mut ready = BTreeSet::from([hash]);
        let mut rebuild = false;
        while let Some(next) = ready.pop_first() {
            let Some(verdict) = self.judge(&next, &mut rebuild) else { continue };
            if let Some(held) = self.held.get_mut(&next) {
                held.verdict = Some(verdict);
            }
            ready.extend(self.waiting.remove(&next).unwrap_or_default());
        }
        if rebuild {
            self.rebuild();
        }
        Ok(hash)
    }

    /// Returns what is known of a change.
    #[must_use]
    pub fn standing(&self, change: &ChangeHash) -> Standing {
        self.held.get(change).and_then(|held| held.verdict).map_or(Standing::Waiting, Standing::Judged)
    }

    /// Returns the document that the admitted changes make.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Returns the document for editing. The changes that an edit writes belong into [`Self::insert`].
    #[must_use]
    pub fn into_document(self) -> Document {
        self.document
    }

    /// Returns the admitted changes that are not shown, and why.
    #[must_use]
    pub const fn left_out(&self) -> &BTreeMap<ChangeHash, LeftOut> {
        &self.left_out
    }

    /// Tells whether every change held has its verdict and every admitted one is shown: then [`Document::admit`] alone
    /// is enough for the next one.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty() && self.held.values().all(|held| held.verdict.is_some())
    }

    /// Tells whether the document does not work with all admitted changes; it is shown as far as it does.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.left_out.values().any(|why| matches!(why, LeftOut::InUse(_)))
    }

    /// Reaches a change's verdict, or notes what it waits for.
    fn judge(&mut self, hash: &ChangeHash, rebuild: &mut bool) -> Option<GateVerdict> {
        let held = self.held.get(hash).filter(|held| held.verdict.is_none())?;
        let mut missing = Vec::new();
        for dep in &held.scanned.deps {
            match self.standing(dep) {
                Standing::Judged(GateVerdict::Quarantined(_)) => return Some(GateVerdict::Quarantined(Reason::Poisoned)),
                Standing::Judged(GateVerdict::Admitted) => {}
                Standing::Waiting => missing.push(*dep),
            }
        }
        if !missing.is_empty() {
            // Under each: one that turns out to be quarantined decides, though another may never come.
            for dep in missing {
                self.waiting.entry(dep).or_default().insert(*hash);
            }
            return None;
        }
        let result = if self.left_out.is_empty() && !*rebuild {
            self.document.admit(&held.bytes, held.actor)
        } else {
            // The document shows a part only, so the past is made anew.
            self.past(&held.scanned.deps)
                .and_then(|past| past.verdict(&held.scanned, &held.bytes, held.actor))
                .map_err(Refused::Quarantined)
                .and(Err(Refused::Missing(*hash)))
        };
        Some(match result {
            Ok(()) => GateVerdict::Admitted,
            Err(Refused::Quarantined(reason)) => GateVerdict::Quarantined(reason),
            Err(Refused::Missing(_) | Refused::Fork(_) | Refused::InUse(_)) => {
                *rebuild = true;
                GateVerdict::Admitted
            }
        })
    }

    /// Makes the document that a change builds on.
    fn past(&self, deps: &[ChangeHash]) -> Result<Document, Reason> {
        let mut past = BTreeSet::new();
        let mut todo = deps.to_vec();
        while let Some(hash) = todo.pop() {
            if past.insert(hash) {
                todo.extend(self.held.get(&hash).into_iter().flat_map(|held| held.scanned.deps.iter().copied()));
            }
        }
        let mut numbers = BTreeSet::new();
        let forked = past.iter().filter_map(|hash| self.held.get(hash)).any(|held| !numbers.insert((held.actor, held.scanned.seq)));
        if forked { Err(Reason::Fork) } else { self.apply(&past) }
    }

    /// Applies changes at once, in their canonical order.
    fn apply(&self, changes: &BTreeSet<ChangeHash>) -> Result<Document, Reason> {
        gate::contained(|| {
            let mut doc = Automerge::new();
            let ordered = self.ordered(changes);
            let decoded: Result<Vec<Change>, _> = ordered.iter().map(|held| Change::try_from(held.bytes.as_slice())).collect();
            doc.apply_changes(decoded.map_err(|_| Reason::Encoding)?).map_err(|_| Reason::Apply)?;
            Ok(Document::of(doc))
        })
    }

    /// Orders changes so that each follows those it builds on, ties by hash.
    fn ordered(&self, changes: &BTreeSet<ChangeHash>) -> Vec<&Held> {
        let within = |hash: &ChangeHash| self.held.get(hash).filter(|_| changes.contains(hash));
        let mut open: BTreeMap<ChangeHash, usize> = BTreeMap::new();
        let mut ready = BTreeSet::new();
        for hash in changes {
            let deps = within(hash).map_or(0, |held| held.scanned.deps.iter().filter(|dep| changes.contains(dep)).count());
            if deps == 0 {
                ready.insert(*hash)
            } else {
                open.insert(*hash, deps).is_none()
            };
        }
        let children = self.children(changes);
        let mut ordered = Vec::with_capacity(changes.len());
        while let Some(hash) = ready.pop_first() {
            ordered.extend(within(&hash));
            for child in children.get(&hash).into_iter().flatten() {
                let Some(left) = open.get_mut(child) else { continue };
                *left -= 1;
                if *left == 0 {
                    ready.insert(*child);
                }
            }
        }
        ordered
    }

    fn children(&self, changes: &BTreeSet<ChangeHash>) -> BTreeMap<ChangeHash, Vec<ChangeHash>> {
        let mut children: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
        for (hash, held) in changes.iter().filter_map(|hash| Some((*hash, self.held.get(hash)?))) {
            for dep in &held.scanned.deps {
                children.entry(*dep).or_default().push(hash);
            }
        }
        children
    }

    /// Makes the document anew from all admitted changes.
    fn rebuild(&mut self) {
        let admitted = self.held.iter().filter(|(_, held)| held.verdict == Some(GateVerdict::Admitted)).map(|(hash, _)| *hash);
        let mut shown: BTreeSet<ChangeHash> = admitted.collect();
        self.left_out = self.losing_forks(&shown);
        shown.retain(|hash| !self.left_out.contains_key(hash));
        match self.apply(&shown).and_then(|document| gate::proven(document.doc)) {
            Ok(doc) => self.document = Document::of(doc),
            Err(_) => self.show_what_works(&shown),
        }
    }

    /// Takes changes in one by one, leaving out those with which the document does not work.
    fn show_what_works(&mut self, changes: &BTreeSet<ChangeHash>) {
        let mut document = Document::empty();
        let mut left_out = BTreeMap::new();
        for held in self.ordered(changes) {
            let hash = held.scanned.hash;
            if held.scanned.deps.iter().any(|dep| left_out.contains_key(dep)) {
                left_out.insert(hash, LeftOut::BuildsOnOne);
            } else if let Err(Refused::InUse(reason)) = document.join(&held.scanned, &held.bytes, held.actor) {
                left_out.insert(hash, LeftOut::InUse(reason));
            }
        }
        self.document = document;
        self.left_out.extend(left_out);
    }

    /// Finds what falls away where one actor wrote several changes with one number, which automerge cannot hold
    /// together: the one stays on which most other authors have built, so that a writer who forks itself late cannot
    /// make the work of others vanish; then the one of lowest hash.
    fn losing_forks(&self, admitted: &BTreeSet<ChangeHash>) -> BTreeMap<ChangeHash, LeftOut> {
        let mut numbered: BTreeMap<(u64, Actor), Vec<ChangeHash>> = BTreeMap::new();
        for (hash, held) in admitted.iter().filter_map(|hash| Some((*hash, self.held.get(hash)?))) {
            numbered.entry((held.scanned.seq, held.actor)).or_default().push(hash);
        }
        let children = self.children(admitted);
        let mut losing = BTreeMap::new();
        for ((_, actor), mut rivals) in numbered {
            rivals.retain(|hash| !losing.contains_key(hash));
            let rank = |hash: &ChangeHash| (std::cmp::Reverse(self.authors_after(hash, &children, actor)), *hash);
            rivals.sort_by_cached_key(rank);
            for loser in rivals.into_iter().skip(1) {
                for hash in after(&loser, &children) {
                    losing.entry(hash).or_insert(LeftOut::BuildsOnOne);
                }
                losing.insert(loser, LeftOut::Fork);
            }
        }
        losing
    }

    /// Counts the authors other than the actor's who built on a change.
    fn authors_after(&self, hash: &ChangeHash, children: &BTreeMap<ChangeHash, Vec<ChangeHash>>, actor: Actor) -> usize {
        let authors = after(hash, children).into_iter().filter_map(|hash| Some(self.held.get(&hash)?.actor.author));
        authors.filter(|author| *author != actor.author).collect::<BTreeSet<_>>().len()
    }
}

/// Returns a change and all that build on it.
fn after(hash: &ChangeHash, children: &BTreeMap<ChangeHash, Vec<ChangeHash>>) -> BTreeSet<ChangeHash> {
    let mut found = BTreeSet::new();
    let mut todo = vec![*hash];
    while let Some(next) = todo.pop() {
        if found.insert(next) {
            todo.extend(children.get(&next).into_iter().flatten());
        }
    }
    found
}
