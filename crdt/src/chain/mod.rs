//! Who wrote what after what: the chains of authors' records, their tips and their forks.
//!
//! Each record names its author's record before it. The records that none of the author's later ones continue are the
//! author's **tips**, normally one; all tips together say exactly which records a node holds.
//!
//! **Invariants**: tips, forks and digest depend on the set of applied records alone, not on order or repetition;
//! applying a record looks up its own id, its `prev` and its `deps`, whatever is held besides; a fork refuses nothing.

mod plan;
mod stored;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

pub use plan::{Plan, Span, Tips, Walk};
pub use stored::StoredError;
pub use writer::{Slot, Writer, WriterError};

use crate::{
    ids::{AuthorKey, RecordId, SessionId},
    record::{Payload, Verified},
};

/// Fork points that are kept per author as evidence, the lowest ids; a fork beyond them is applied but not listed.
pub const FORKS_KEPT: usize = 64;

/// Where a record stands: what a store remembers of each record to check the ones that continue it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Who wrote it.
    pub author: AuthorKey,
    /// In which session.
    pub session: SessionId,
    /// At which place of the session.
    pub seq: u64,
}

impl Place {
    /// Returns the place that a payload claims.
    #[must_use]
    pub fn of(payload: &Payload) -> Self {
        Self { author: payload.author, session: payload.session, seq: payload.seq }
    }
}

/// One author's records, as far as their ends go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorChain {
    tips: BTreeMap<RecordId, (SessionId, u64)>,
    forks: BTreeSet<Option<RecordId>>,
}

impl AuthorChain {
    /// Returns the author's tips, ascending by id.
    pub fn tips(&self) -> impl Iterator<Item = &RecordId> {
        self.tips.keys()
    }

    /// Tells whether a tip was written in a session.
    #[must_use]
    pub fn ends_in(&self, session: &SessionId) -> bool {
        self.tips.values().any(|(of, _)| of == session)
    }

    /// Returns the records that more than one record continues; `None` stands for two beginnings.
    pub fn forks(&self) -> impl Iterator<Item = Option<&RecordId>> {
        self.forks.iter().map(Option::as_ref)
    }
}

/// Two records of one author that continue the same record: a restored backup, a copied key, or a lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Whose chain forked.
    pub author: AuthorKey,
    /// The record that is continued twice; `None` for two beginnings.
    pub at: Option<RecordId>,
    /// The continuation that arrived here later.
    pub by: RecordId,
}

/// What applying a record did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// It was held already; nothing changed.
    Known,
    /// It is held now.
    Added {
        /// The fork that it made, to be shown in `status`.
        fork: Option<Fork>,
    },
}

/// States why a record cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Records that it builds on are not held; it can be applied when they are.
    #[error("{} records that it builds on are missing", ids.len())]
    Missing {
        /// The missing ones, `prev` first.
        ids: Vec<RecordId>,
    },
    /// It continues another author's record. It will never be applied.
    #[error("prev must be a record of the same author")]
    Author,
    /// Its place does not follow from that of `prev`. It will never be applied.
    #[error("seq must be one more than that of prev, or 0 in a new session")]
    Place,
}

/// The chains of all authors whose records a node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains {
    authors: BTreeMap<AuthorKey, AuthorChain>,
}

impl Chains {
    /// Puts together what a store kept, one row per author.
    #[must_use]
    pub fn restore(rows: impl IntoIterator<Item = (AuthorKey, AuthorChain)>) -> Self {
        Self { authors: rows.into_iter().collect() }
    }

    /// Applies a record; `place_of` looks up a record that is held.
    ///
    /// Only the row of the record's author changes ([`Chains::author`]).
    ///
    /// # Errors
    /// When something that it builds on is missing, or it stands at a place that cannot be.
    pub fn apply(&mut self, record: &Verified, place_of: impl Fn(&RecordId) -> Option<Place>) -> Result<Applied, ApplyError> {
        let (id, payload) = (record.id(), record.payload());
        if place_of(&id).is_some() {
            return Ok(Applied::Known);
        }
        check_place(payload, place_of)?;
        let chain = self.authors.entry(payload.author).or_default();
        let continues = match &payload.prev {
            Some(prev) => chain.tips.remove(prev).is_some(),
            None => chain.tips.is_empty(),
        };
        chain.tips.insert(id, (payload.session, payload.seq));
        if continues {
            return Ok(Applied::Added { fork: None });
        }
        chain.forks.insert(payload.prev);
        if chain.forks.len() > FORKS_KEPT {
            chain.forks.pop_last();
        }
        Ok(Applied::Added { fork: Some(Fork { author: payload.author, at: payload.prev, by: id }) })
    }

    /// Returns one author's chain, which is the row to store after an apply.
    #[must_use]
    pub fn author(&self, author: &AuthorKey) -> Option<&AuthorChain> {
        self.authors.get(author)
    }

    /// Returns every author's chain, ascending by key.
    pub fn authors(&self) -> impl Iterator<Item = (&AuthorKey, &AuthorChain)> {
        self.authors.iter()
    }

    /// Returns the tips of all authors, as they are sent to a peer whose digest differs.
    #[must_use]
    pub fn tips(&self) -> Tips {
        self.authors.iter().map(|(author, chain)| (*author, chain.tips.keys().copied().collect())).collect()
    }

    /// Hashes all tips. Two nodes with equal digests hold the same records.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"octopoid/tips/v1");
        for (author, chain) in &self.authors {
            hasher.update(author.as_bytes()).update(&(chain.tips.len() as u64).to_be_bytes());
            for id in chain.tips.keys() {
                hasher.update(id.as_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}

fn check_place(payload: &Payload, place_of: impl Fn(&RecordId) -> Option<Place>) -> Result<(), ApplyError> {
    let prev = payload.prev.as_ref().map(&place_of);
    let missing_prev = payload.prev.filter(|_| prev == Some(None));
    let missing_deps = payload.deps.iter().filter(|dep| Some(**dep) != payload.prev && place_of(dep).is_none()).copied();
    let ids: Vec<_> = missing_prev.into_iter().chain(missing_deps).collect();
    if !ids.is_empty() {
        return Err(ApplyError::Missing { ids });
    }
    let Some(Some(prev)) = prev else { return Ok(()) };
    if prev.author != payload.author {
        return Err(ApplyError::Author);
    }
    let follows = if prev.session == payload.session { prev.seq.checked_add(1) == Some(payload.seq) } else { payload.seq == 0 };
    if follows { Ok(()) } else { Err(ApplyError::Place) }
}
