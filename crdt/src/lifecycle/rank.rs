//! Who wins among concurrent attempts and among concurrent reviews: one total order each, and nobody compares any other way.

use std::cmp::Reverse;

use crate::ids::{AuthorKey, RecordId, Subject};

/// The rank of an open attempt; the greatest wins.
///
/// The order of the fields is the rule: the authority's word first, then finished work before unfinished, then the later epoch, then a
/// lot that nobody can choose, then the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub grant: Option<(u64, u64)>,
    pub submitted: bool,
    pub epoch: u64,
    pub lot: Reverse<[u8; 32]>,
    pub id: Reverse<RecordId>,
}

/// The rank of an open review; the greatest wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReviewRank {
    pub lot: Reverse<[u8; 32]>,
    pub id: Reverse<RecordId>,
}

/// Draws a claimant's lot. Neither side of a partition can aim for it: a key is chosen before the task exists.
pub(crate) fn claim_lot(task: &Subject, epoch: u64, claimant: &AuthorKey) -> Reverse<[u8; 32]> {
    draw(task, &epoch.to_be_bytes(), claimant)
}

/// Draws a reviewer's lot for the record that the state rests on.
pub(crate) fn review_lot(task: &Subject, on: &RecordId, reviewer: &AuthorKey) -> Reverse<[u8; 32]> {
    draw(task, on.as_bytes(), reviewer)
}

fn draw(task: &Subject, what: &[u8], key: &AuthorKey) -> Reverse<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"octopoid/prio").update(task.as_bytes()).update(what).update(key.as_bytes());
    Reverse(*hasher.finalize().as_bytes())
}
