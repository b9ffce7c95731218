//! Lists and counts over buckets and facets.
//!
//! **Invariants**: the total is that of the same snapshot as the page; the cost follows the page and the number of
//! buckets, not the number of tasks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use redb::ReadOnlyTable;

use super::index::{BucketKey, BucketNo, Buckets, Facet};
use super::read::Reader;
use super::row::{TaskNo, TaskRow};
use super::{Fault, tables};

/// Which tasks to list; an empty list of values means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of these tenants; none means all.
    pub scopes: Vec<String>,
    /// Only in these queues.
    pub queues: Vec<String>,
    /// Only of these priorities.
    pub priorities: Vec<String>,
    /// Only of these roles.
    pub roles: Vec<String>,
    /// Only of these types.
    pub kinds: Vec<String>,
    /// Only those that need a person, or only the others.
    pub needs_intervention: Option<bool>,
    /// Only those that are claimable, or only the others.
    pub ready: Option<bool>,
    /// Only those under one of these values of a facet.
    pub facet: Option<(Facet, Vec<String>)>,
    /// Only those under one of these values of a second facet, checked row by row.
    pub also: Option<(Facet, Vec<String>)>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The latest creation first, ties by id.
    #[default]
    Newest,
    /// P0 first, then the oldest, ties by id.
    Priority,
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// The tasks with their numbers.
    pub tasks: Vec<(TaskNo, TaskRow)>,
    /// How many tasks the filter matches.
    pub total: u64,
}

impl Filter {
    /// Tells whether tasks of a bucket pass.
    #[must_use]
    pub fn takes(&self, key: &BucketKey) -> bool {
        let among = |values: &[String], value: &str| values.is_empty() || values.iter().any(|wanted| wanted == value);
        among(&self.scopes, &key.scope)
            && among(&self.queues, &key.queue)
            && among(&self.priorities, &key.priority)
            && among(&self.roles, &key.role)
            && among(&self.kinds, &key.kind)
            && self.needs_intervention.is_none_or(|wanted| wanted == key.needs_intervention)
            && self.ready.is_none_or(|wanted| wanted == key.ready)
    }
}

/// One ordered range of tasks, and where it stands.
struct Run {
    tasks: Box<dyn Iterator<Item = Result<Entry, Fault>>>,
}

type BucketTable = ReadOnlyTable<(u32, u64, &'static str), u64>;
type BucketRange = redb::Range<'static, (u32, u64, &'static str), u64>;
type FacetTable = ReadOnlyTable<(u8, &'static str, u32, u64, &'static str), u64>;

/// The smallest and largest task id that a key can hold, for ranges over all ids.
const ANY_ID: (&str, &str) = ("", "\u{10FFFF}");

fn bucket_run(table: &Arc<BucketTable>, bucket: BucketNo, oldest_first: bool) -> Result<Run, Fault> {
    if oldest_first {
        return Ok(Run { tasks: Box::new(OldestFirst::new(table, bucket)?) });
    }
    let range = table.range((bucket, 0, ANY_ID.0)..=(bucket, u64::MAX, ANY_ID.1))?;
    Ok(Run { tasks: Box::new(range.map(read_entry)) })
}

type BucketEntry = (redb::AccessGuard<'static, (u32, u64, &'static str)>, redb::AccessGuard<'static, u64>);

fn read_entry(item: Result<BucketEntry, redb::StorageError>) -> Result<Entry, Fault> {
    let (key, no) = item?;
    let (_, created, id) = key.value();
    Ok((created, id.to_owned(), no.value()))
}

/// How many tasks of one moment are put in order in memory; more are found again from the other side.
const TIES: usize = 256;

type Entry = (u64, String, TaskNo);

/// A bucket from its oldest creation on. Read backwards, its keys give the ids of one moment in the wrong order.
struct OldestFirst {
    table: Arc<BucketTable>,
    bucket: BucketNo,
    /// What is still to come, and the first entry of it that was read already.
    back: BucketRange,
    next: Option<Entry>,
    /// The tasks of the present moment: few of them, the lowest id last, or many.
    few: Vec<Entry>,
    many: Option<BucketRange>,
}

impl OldestFirst {
    fn new(table: &Arc<BucketTable>, bucket: BucketNo) -> Result<Self, Fault> {
        let back = table.range((bucket, 0, ANY_ID.0)..=(bucket, u64::MAX, ANY_ID.1))?;
        Ok(Self { table: table.clone(), bucket, back, next: None, few: Vec::new(), many: None })
    }

    fn step_back(&mut self) -> Result<Option<Entry>, Fault> {
        match self.next.take() {
            Some(entry) => Ok(Some(entry)),
            None => self.back.next_back().map(read_entry).transpose(),
        }
    }

    /// Goes to the next moment in which tasks were created.
    fn advance(&mut self) -> Result<bool, Fault> {
        let Some(first) = self.step_back()? else { return Ok(false) };
        let created = first.0;
        self.few.push(first);
        while let Some(entry) = self.step_back()? {
            if entry.0 != created {
                self.next = Some(entry);
                break;
            }
            self.few.push(entry);
            if self.few.len() > TIES {
                self.few.clear();
                self.many = Some(self.table.range((self.bucket, created, ANY_ID.0)..=(self.bucket, created, ANY_ID.1))?);
                self.back = self.table.range((self.bucket, 0, ANY_ID.0)..(self.bucket, created, ANY_ID.0))?;
                break;
            }
        }
        Ok(true)
    }
}

impl Iterator for OldestFirst {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.few.pop() {
                return Some(Ok(entry));
            }
            if let Some(item) = self.many.as_mut().and_then(Iterator::next) {
                return Some(read_entry(item));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

fn facet_run(table: &FacetTable, facet: Facet, value: &str, bucket: BucketNo, oldest_first: bool) -> Result<Run, Fault> {
    let facet = facet as u8;
    let range = table.range((facet, value, bucket, 0, ANY_ID.0)..=(facet, value, bucket, u64::MAX, ANY_ID.1))?;
    let mut tasks = Vec::new();
    for item in range {
        let (key, no) = item?;
        let (_, _, _, created, id) = key.value();
        tasks.push((created, id.to_owned(), no.value()));
    }
    if oldest_first {
        // Stable, so ties stay in the order of their ids.
        tasks.sort_by_key(|(created, _, _)| Reverse(*created));
    }
    Ok(Run { tasks: Box::new(tasks.into_iter().map(Ok)) })
}

/// Merges ordered runs into one ordered sequence.
pub(super) struct Merge {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(u64, String, TaskNo, usize)>>,
    oldest_first: bool,
}

impl Merge {
    fn new(runs: Vec<Run>, oldest_first: bool) -> Result<Self, Fault> {
        let mut merge = Self { heads: BinaryHeap::with_capacity(runs.len()), runs, oldest_first };
        for index in 0..merge.runs.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, index: usize) -> Result<(), Fault> {
        if let Some(task) = self.runs[index].tasks.next() {
            let (created, id, no) = task?;
            let order = if self.oldest_first { u64::MAX - created } else { created };
            self.heads.push(Reverse((order, id, no, index)));
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<TaskNo>, Fault> {
        let Some(Reverse((_, _, no, index))) = self.heads.pop() else { return Ok(None) };
        self.advance(index)?;
        Ok(Some(no))
    }
}

impl Reader {
    /// Lists tasks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, filter: &Filter, sort: Sort, offset: u64, limit: u64) -> Result<Page, Fault> {
        let mut page = Page::default();
        let mut skip = offset;
        for group in self.groups(filter, sort)? {
            let (runs, size) = self.ranges(filter, &group, sort == Sort::Priority)?;
            if filter.also.is_none() {
                page.total += size;
                if skip >= size || page.tasks.len() as u64 >= limit {
                    skip = skip.saturating_sub(size);
                    continue;
                }
            }
            let mut merge = Merge::new(runs, sort == Sort::Priority)?;
            while filter.also.is_some() || (page.tasks.len() as u64) < limit {
                let Some(no) = merge.next()? else { break };
                if filter.also.is_none() && skip > 0 {
                    skip -= 1;
                    continue;
                }
                let Some(row) = self.row(no)? else { continue };
                if !filter.also.as_ref().is_none_or(|(facet, values)| Facet::of(&row).iter().any(|(f, v)| f == facet && values.contains(v)))
                {
                    continue;
                }
                if filter.also.is_some() {
                    page.total += 1;
                    if skip > 0 {
                        skip -= 1;
                        continue;
                    }
                }
                if (page.tasks.len() as u64) < limit {
                    page.tasks.push((no, row));
                }
            }
        }
        Ok(page)
    }

    /// Walks the tasks of the buckets that a filter picks, oldest first; the buckets are the writer's, which are current.
    pub(super) fn walk(&self, buckets: &Buckets, filter: &Filter) -> Result<Merge, Fault> {
        let table = Arc::new(self.txn().open_table(tables::BY_BUCKET)?);
        let picked = buckets.iter().filter(|(_, key, size)| *size > 0 && filter.takes(key));
        let runs = picked.map(|(number, _, _)| bucket_run(&table, number, true)).collect::<Result<_, _>>()?;
        Merge::new(runs, true)
    }

    /// Returns the buckets that a filter picks, in groups that are listed one after the other.
    fn groups(&self, filter: &Filter, sort: Sort) -> Result<Vec<Vec<(BucketNo, u64)>>, Fault> {
        let mut groups: BTreeMap<String, Vec<(BucketNo, u64)>> = BTreeMap::new();
        for (number, key, size) in self.buckets()? {
            if size > 0 && filter.takes(&key) {
                let group = if sort == Sort::Priority { key.priority } else { String::new() };
                groups.entry(group).or_default().push((number, size));
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Opens the ordered ranges of a group, with the number of tasks in them.
    fn ranges(&self, filter: &Filter, group: &[(BucketNo, u64)], oldest_first: bool) -> Result<(Vec<Run>, u64), Fault> {
        let Some((facet, values)) = &filter.facet else {
            let table = Arc::new(self.txn().open_table(tables::BY_BUCKET)?);
            let runs = group.iter().map(|(number, _)| bucket_run(&table, *number, oldest_first)).collect::<Result<_, _>>()?;
            return Ok((runs, group.iter().map(|(_, size)| size).sum()));
        };
        let table = self.txn().open_table(tables::BY_FACET)?;
        let mut runs = Vec::new();
        for value in values.iter().collect::<BTreeSet<_>>() {
            for (number, _) in group {
                runs.push(facet_run(&table, *facet, value, *number, oldest_first)?);
            }
        }
        let size = runs.iter().map(|run| run.tasks.size_hint().0 as u64).sum();
        Ok((runs, size))
    }

    /// Counts listed tasks by queue, in one scope or in all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn queue_counts(&self, scope: Option<&str>) -> Result<BTreeMap<String, u64>, Fault> {
        let mut counts = BTreeMap::new();
        for (_, key, size) in self.buckets()? {
            if scope.is_none_or(|scope| scope == key.scope) {
                *counts.entry(key.queue).or_default() += size;
            }
        }
        Ok(counts)
    }
}
