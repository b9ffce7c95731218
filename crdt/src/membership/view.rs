//! Who belongs to the cluster and what it has decided, as one set of cluster records has it.
//!
//! **Invariants**: a view names ids and keys, never a store's numbers, so that two nodes' views of one set are equal.

use std::collections::BTreeMap;

use crate::{
    ids::{AuthorKey, Name, RecordId, SessionId},
    record::{Access, RemovalFrontier},
};

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it may do.
    pub access: Access,
    /// What people call it; the cluster's creator has none before a Join gives it one.
    pub name: Option<Name>,
    /// The Join that says so; for the creator its Genesis. A member's first record names it in its `deps`.
    pub by: RecordId,
}

/// A removal in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The Remove record.
    pub id: RecordId,
    /// What it leaves of the member's records.
    pub frontier: RemovalFrontier,
}

impl Removal {
    /// Tells whether a place lies above the frontier: beyond its session's last number, or in a session that it does
    /// not name.
    #[must_use]
    pub fn leaves_out(&self, session: &SessionId, seq: u64) -> bool {
        match self.frontier.binary_search_by_key(session, |(named, _)| *named) {
            Ok(at) => self.frontier.get(at).is_none_or(|(_, last)| seq > *last),
            Err(_) => true,
        }
    }
}

/// The policy in force: who grants, judges and merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The record that says so.
    pub id: RecordId,
    /// Its number, from 1; grants are ordered by it first.
    pub number: u64,
    /// The node whose grants and verdicts alone count; none: every member's.
    pub authority: Option<AuthorKey>,
    /// The node that merges where there is no remote.
    pub integrator: AuthorKey,
    /// At a planned move the old authority's last record.
    pub last: Option<RecordId>,
    /// At a forced move, what counts of the old authority's grants.
    pub frontier: Option<RemovalFrontier>,
}

/// A forced move of the authority that is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// Who lost the authority.
    pub author: AuthorKey,
    /// The Policy record.
    pub by: RecordId,
    /// What counts of its grants.
    pub frontier: RemovalFrontier,
}

/// What a set of cluster records resolves to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub(super) creator: Option<AuthorKey>,
    pub(super) name: Option<Name>,
    pub(super) members: BTreeMap<AuthorKey, Member>,
    pub(super) removals: BTreeMap<AuthorKey, Vec<Removal>>,
    pub(super) uprooted: BTreeMap<AuthorKey, RecordId>,
    pub(super) invites: BTreeMap<[u8; 32], AuthorKey>,
    pub(super) policy: Option<Policy>,
    pub(super) displaced: Vec<Displaced>,
}

impl View {
    /// Returns what a key may do; none for a stranger or a removed member.
    #[must_use]
    pub fn access(&self, key: &AuthorKey) -> Option<Access> {
        self.members.get(key).map(|member| member.access)
    }

    /// Tells whether a key may write tasks' records: what the lifecycle calls a member.
    #[must_use]
    pub fn is_member(&self, key: &AuthorKey) -> bool {
        self.access(key).is_some_and(|access| access >= Access::Worker)
    }

    /// Returns all members, ascending by key.
    pub fn members(&self) -> impl Iterator<Item = (&AuthorKey, &Member)> {
        self.members.iter()
    }

    /// Returns the cluster's name.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Returns the key that founded the cluster; none while the Genesis is not in the set.
    #[must_use]
    pub fn creator(&self) -> Option<&AuthorKey> {
        self.creator.as_ref()
    }

    /// Returns the policy in force, if one was ever set.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Returns the node whose grants alone count, in server-wins mode.
    #[must_use]
    pub fn authority(&self) -> Option<&AuthorKey> {
        self.policy.as_ref().and_then(|policy| policy.authority.as_ref())
    }

    /// Returns the node that merges without a remote: the policy's, else the cluster's creator.
    #[must_use]
    pub fn integrator(&self) -> Option<&AuthorKey> {
        self.policy.as_ref().map(|policy| &policy.integrator).or(self.creator.as_ref())
    }

    /// Returns whom an invitation let in, if it was used.
    #[must_use]
    pub fn invited(&self, invite: &[u8; 32]) -> Option<&AuthorKey> {
        self.invites.get(invite)
    }

    /// Returns the removals of a member that are in effect, ascending by id, also when it was let in again.
    #[must_use]
    pub fn removals(&self, key: &AuthorKey) -> &[Removal] {
        self.removals.get(key).map_or(&[], Vec::as_slice)
    }
}
