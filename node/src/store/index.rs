//! Buckets and facets: how a list of any size is found, counted and paged without reading the tasks that are not shown.
//!
//! A **bucket** is one combination of the fields that lists filter by; it knows its size, and its tasks are kept in order
//! of creation. A filter picks buckets, a total is a sum of sizes, and a page is a merge of a few ordered ranges.
//!
//! **Invariants**: a listed task is in exactly one bucket; sizes equal the number of entries in [`super::tables::BY_BUCKET`].

use std::collections::HashMap;

use minicbor::{CborLen, Decode, Encode};

use super::row::TaskRow;

/// A bucket's number.
pub type BucketNo = u32;

/// The fields that decide in which bucket a task is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
pub struct BucketKey {
    /// The tenant.
    #[n(0)]
    pub scope: String,
    /// The queue's name.
    #[n(1)]
    pub queue: String,
    /// P0 to P3.
    #[n(2)]
    pub priority: String,
    /// The agent's job; empty where the task names none.
    #[n(3)]
    pub role: String,
    /// The task's type; empty where it has none.
    #[n(4)]
    pub kind: String,
    /// A scheduler may claim from it.
    #[n(5)]
    pub ready: bool,
    /// A person should look.
    #[n(6)]
    pub needs_intervention: bool,
}

impl BucketKey {
    /// Returns the bucket of a task; none while it is not listed.
    #[must_use]
    pub fn of(row: &TaskRow) -> Option<Self> {
        row.is_listed_task().then(|| Self {
            scope: row.scope.clone(),
            queue: row.queue.clone(),
            priority: row.priority().to_owned(),
            role: row.text("role").unwrap_or_default().to_owned(),
            kind: row.text("type").unwrap_or_default().to_owned(),
            ready: row.ready,
            needs_intervention: row.flag("needs_intervention"),
        })
    }
}

/// What a task can be found under besides its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Facet {
    /// By `project_id`.
    Project = 1,
    /// By the name in `claimed_by`.
    ClaimedBy = 2,
    /// Accepted, with a branch that is still to be merged.
    AwaitingMerge = 3,
    /// Broken down into subtasks that take its place.
    BrokenDown = 4,
    /// Submitted, and to be accepted without a review.
    AutoAccept = 5,
    /// In a circle of tasks that wait for each other, which was cut here.
    Circle = 6,
    /// Something about it lost that nobody has dismissed.
    Conflict = 7,
}

impl Facet {
    /// Returns the facets of a row with their values.
    #[must_use]
    pub fn of(row: &TaskRow) -> Vec<(Self, String)> {
        let mut facets = Vec::new();
        if !row.is_listed_task() {
            return facets;
        }
        if let Some(project) = row.text("project_id") {
            facets.push((Self::Project, project.to_owned()));
        }
        if let Some(agent) = row.claimed_by() {
            facets.push((Self::ClaimedBy, agent.to_owned()));
        }
        if row.needs_merge {
            facets.push((Self::AwaitingMerge, String::new()));
        }
        if row.is_broken_down() {
            facets.push((Self::BrokenDown, String::new()));
        }
        if row.queue == "provisional" && row.flag("auto_accept") {
            facets.push((Self::AutoAccept, String::new()));
        }
        if !row.cut.is_empty() {
            facets.push((Self::Circle, String::new()));
        }
        if row.in_conflict {
            facets.push((Self::Conflict, String::new()));
        }
        facets
    }
}

impl TaskRow {
    /// Returns who is shown as holding the task.
    #[must_use]
    pub fn claimed_by(&self) -> Option<&str> {
        match &self.holder {
            Some(holder) => Some(&holder.agent),
            None if self.queue == "failed" => self.text("claimed_by"),
            None => None,
        }
    }

    /// Tells whether lists of tasks show it: a project has a row too.
    #[must_use]
    pub fn is_listed_task(&self) -> bool {
        self.listed && self.collection.is_none()
    }

    /// Tells whether subtasks have taken the task's place.
    #[must_use]
    pub fn is_broken_down(&self) -> bool {
        self.queue == "incoming" && self.flag("has_plan") && self.text("role") == Some("breakdown") && !self.blocked_by.is_empty()
    }
}

/// Every bucket ever seen, kept in memory by the writer; there are as many as combinations in use, not as tasks.
#[derive(Debug, Default)]
pub struct Buckets {
    keys: Vec<BucketKey>,
    numbers: HashMap<BucketKey, BucketNo>,
    sizes: Vec<u64>,
}

impl Buckets {
    /// Adds the next bucket as it was stored.
    pub fn restore(&mut self, key: BucketKey, size: u64) {
        let number = self.number(&key);
        self.sizes[number as usize] = size;
    }

    /// Returns a bucket's number, giving it one when it is new.
    #[expect(clippy::cast_possible_truncation, reason = "four billion combinations of priority, role and queue do not fit in memory first")]
    pub fn number(&mut self, key: &BucketKey) -> BucketNo {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.keys.len() as BucketNo;
        self.keys.push(key.clone());
        self.sizes.push(0);
        self.numbers.insert(key.clone(), number);
        number
    }

    /// Returns a bucket's number if it has one.
    #[must_use]
    pub fn find(&self, key: &BucketKey) -> Option<BucketNo> {
        self.numbers.get(key).copied()
    }

    /// Counts a task in.
    pub fn enter(&mut self, number: BucketNo) {
        self.sizes[number as usize] += 1;
    }

    /// Counts a task out.
    pub fn leave(&mut self, number: BucketNo) {
        let size = &mut self.sizes[number as usize];
        debug_assert!(*size > 0, "a bucket was left more often than entered");
        *size = size.saturating_sub(1);
    }

    /// Returns a bucket's key and size.
    #[must_use]
    pub fn get(&self, number: BucketNo) -> (&BucketKey, u64) {
        (&self.keys[number as usize], self.sizes[number as usize])
    }

    /// Goes through all buckets with their numbers and sizes.
    pub fn iter(&self) -> impl Iterator<Item = (BucketNo, &BucketKey, u64)> {
        self.keys.iter().zip(&self.sizes).zip(0..).map(|((key, size), number)| (number, key, *size))
    }
}
