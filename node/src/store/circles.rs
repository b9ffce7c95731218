//! Circles of tasks that wait for each other, which only a merge of edits can make: each is cut where its edge of the
//! greatest (task, blocker) pair is.
//!
//! An edge is cut exactly if its blocker reaches back to its task over smaller edges alone. The greatest edge of every
//! circle is such a one, so what is left has no circle; and an edge that is cut is the greatest of some circle, so no
//! more is cut than must be. That follows from the edges, whoever learns of them in which order. Whether a task is
//! finished plays no part: it would otherwise be another circle's turn whenever one is reopened.
//!
//! **Invariants**: `cut` of a row is a function of what all documents of the scope say; nothing waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::ids::Subject;

use super::Fault;
use super::index::Facet;
use super::list::{Filter, Page, Sort};
use super::read::Reader;
use super::row::TaskNo;
use super::unit::{Unit, WriteFault};

/// What each task of a circle waits for.
type Edges = BTreeMap<TaskNo, (String, BTreeMap<String, TaskNo>)>;

impl Reader {
    /// Returns a page of the tasks where circles are cut, the newest first; their rows say which blockers they do not wait for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn circles(&self, offset: u64, limit: u64) -> Result<Page, Fault> {
        let cut = Filter { facet: Some((Facet::Circle, vec![String::new()])), ..Filter::default() };
        self.list(&cut, Sort::Newest, offset, limit)
    }
}

impl Unit<'_> {
    /// Decides anew which edges are cut, after those of one task have changed. `before` is what it waited for.
    pub(super) fn cut_circles(&mut self, no: TaskNo, before: &[String]) -> Result<(), WriteFault> {
        let subject = self.slot(no)?.subject;
        // Most tasks are new: nothing waits for them, so no circle goes through them.
        let had_cut = !self.slot(no)?.row.cut.is_empty();
        if !had_cut && self.dependents_of(&subject)?.is_empty() {
            return Ok(());
        }
        let around = self.around(no, subject, before)?;
        let edges = self.edges_among(&around)?;
        for other in around {
            let cut = cut_of(&edges, other);
            let slot = self.slot(other)?;
            if slot.row.cut != cut {
                self.touch(other);
                let slot = self.slot(other)?;
                slot.row.cut = cut;
                (slot.blockers_stale, slot.changed) = (true, true);
            }
        }
        Ok(())
    }

    /// Returns the task and all that are in a circle with it, by what it waits for now or did before.
    fn around(&mut self, no: TaskNo, subject: Subject, before: &[String]) -> Result<BTreeSet<TaskNo>, WriteFault> {
        let mut ahead = BTreeSet::from([no]);
        let scope = self.slot(no)?.row.scope.clone();
        let mut todo = self.blockers(no)?;
        for id in before {
            todo.extend(self.find(&scope, id)?);
        }
        while let Some(next) = todo.pop() {
            if ahead.insert(next) {
                todo.extend(self.blockers(next)?);
            }
        }
        let mut around = BTreeSet::from([no]);
        let mut todo = vec![subject];
        while let Some(subject) = todo.pop() {
            for dependent in self.dependents_of(&subject)? {
                if ahead.contains(&dependent) && around.insert(dependent) {
                    todo.push(self.slot(dependent)?.subject);
                }
            }
        }
        Ok(around)
    }

    fn blockers(&mut self, no: TaskNo) -> Result<Vec<TaskNo>, WriteFault> {
        let row = &self.slot(no)?.row;
        let (scope, ids) = (row.scope.clone(), row.blocked_by.clone());
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.find(&scope, &id)?);
        }
        Ok(found)
    }

    fn edges_among(&mut self, tasks: &BTreeSet<TaskNo>) -> Result<Edges, WriteFault> {
        let mut edges = Edges::new();
        for &no in tasks {
            let row = &self.slot(no)?.row;
            let (scope, id, ids) = (row.scope.clone(), row.id.clone(), row.blocked_by.clone());
            let mut blockers = BTreeMap::new();
            for blocker in ids {
                if let Some(other) = self.find(&scope, &blocker)?
                    && tasks.contains(&other)
                {
                    blockers.insert(blocker, other);
                }
            }
            edges.insert(no, (id, blockers));
        }
        Ok(edges)
    }
}

/// Returns the blockers of a task that it does not wait for.
fn cut_of(edges: &Edges, no: TaskNo) -> Vec<String> {
    let Some((id, blockers)) = edges.get(&no) else { return Vec::new() };
    let closes = |(blocker, other): &(&String, &TaskNo)| reaches(edges, **other, no, (id, blocker));
    blockers.iter().filter(closes).map(|(blocker, _)| blocker.clone()).collect()
}

/// Tells whether one task reaches another over edges smaller than a given one.
fn reaches(edges: &Edges, from: TaskNo, to: TaskNo, below: (&String, &String)) -> bool {
    let mut seen = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(next) = todo.pop() {
        if next == to {
            return true;
        }
        if !seen.insert(next) {
            continue;
        }
        let Some((id, blockers)) = edges.get(&next) else { continue };
        todo.extend(blockers.iter().filter(|(blocker, _)| (id, *blocker) < below).map(|(_, other)| *other));
    }
    false
}
