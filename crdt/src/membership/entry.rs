//! One counted cluster record, as the law and the resolver need it.

use super::{Policy, Removal, seen::Bits};
use crate::{
    ids::{AuthorKey, Name, RecordId, SessionId},
    record::{Access, Body, Verified},
};

/// What a cluster record changes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The author founds the cluster.
    Found,
    /// The cluster gets a name.
    Name(Name),
    /// Somebody is let in, or gets another access or name.
    Join { member: AuthorKey, access: Access, name: Name, invite: Option<[u8; 32]> },
    /// Somebody is removed.
    Remove { member: AuthorKey, removal: Removal },
    /// A policy is set.
    Policy(Policy),
}

impl Change {
    /// Reads a record; `None` unless it is a cluster record.
    pub(super) fn of(record: &Verified) -> Option<Self> {
        let id = record.id();
        Some(match &record.payload().body {
            Body::Genesis { .. } => Self::Found,
            Body::ClusterName { name } => Self::Name(name.clone()),
            Body::Join { member, access, name, invite } => {
                Self::Join { member: *member, access: *access, name: name.clone(), invite: *invite }
            }
            Body::Remove { member, frontier, .. } => Self::Remove { member: *member, removal: Removal { id, frontier: frontier.clone() } },
            Body::Policy { number, authority, integrator, last, frontier } => Self::Policy(Policy {
                id,
                number: *number,
                authority: *authority,
                integrator: *integrator,
                last: *last,
                frontier: frontier.clone(),
            }),
            Body::Heads
            | Body::TaskCreate { .. }
            | Body::DocChange { .. }
            | Body::Claim { .. }
            | Body::Review { .. }
            | Body::Grant { .. }
            | Body::Release { .. }
            | Body::Expire { .. }
            | Body::Submit { .. }
            | Body::Accept { .. }
            | Body::Reject { .. }
            | Body::Merged { .. }
            | Body::Finish { .. }
            | Body::Move { .. }
            | Body::Cancel { .. }
            | Body::Delete { .. }
            | Body::DocCreate { .. }
            | Body::DocDelete { .. }
            | Body::Put { .. }
            | Body::Append { .. }
            | Body::Unknown { .. } => return None,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place in arrival order, which is its bit in a set.
    pub(super) number: usize,
    pub(super) id: RecordId,
    pub(super) author: AuthorKey,
    pub(super) session: SessionId,
    pub(super) seq: u64,
    pub(super) change: Change,
    /// What it had seen, itself not included.
    pub(super) past: Bits,
    /// For a policy: the authority in its past.
    pub(super) displaced: Option<AuthorKey>,
}

impl Entry {
    pub(super) fn new(number: usize, record: &Verified, change: Change, past: Bits, displaced: Option<AuthorKey>) -> Self {
        let payload = record.payload();
        Self { number, id: record.id(), author: payload.author, session: payload.session, seq: payload.seq, change, past, displaced }
    }

    /// Returns the removal that this record is, if it is one.
    pub(super) fn removal(&self) -> Option<&Removal> {
        match &self.change {
            Change::Remove { removal, .. } => Some(removal),
            Change::Found | Change::Name(_) | Change::Join { .. } | Change::Policy(_) => None,
        }
    }
}
