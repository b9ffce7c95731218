//! Whether a cluster record counts, judged in its own past.
//!
//! **Invariants**: the verdict depends on the record and on what its past resolves to, so every node reaches the same
//! one, once.

use super::{Policy, View, entry::Change};
use crate::{ids::AuthorKey, record::Access};

/// States why a cluster record has no effect. It is stored and relayed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCounted {
    /// Its author was no admin in the record's past, nor does the record concern the author alone.
    #[error("its author was not an admin then")]
    NotAdmin,
    /// Its past holds nobody to remove.
    #[error("it removes nobody who was a member then")]
    NotMember,
    /// Its invitation let somebody else in already.
    #[error("its invitation was used before")]
    InviteUsed,
    /// Its number does not follow from the policy in its past.
    #[error("a policy there must have number {expected}")]
    PolicyNumber {
        /// The only number that counts there.
        expected: u64,
    },
    /// It names somebody who may not do the work.
    #[error("authority and integrator must be workers or admins then")]
    PolicyMember,
    /// It moves the authority neither by the old one's word nor by an admin with a frontier.
    #[error("moving the authority needs the old one's last record, or an admin's frontier")]
    PolicyMove,
}

/// Judges a cluster record in the view that its past resolves to.
pub(super) fn judge(author: &AuthorKey, change: &Change, past: &View) -> Result<(), NotCounted> {
    let admin = past.access(author) == Some(Access::Admin);
    let as_admin = if admin { Ok(()) } else { Err(NotCounted::NotAdmin) };
    match change {
        // Its author and cluster were checked with its signature.
        Change::Found => Ok(()),
        Change::Name(_) => as_admin,
        Change::Join { member, invite, .. } => {
            as_admin?;
            let used = invite.as_ref().and_then(|invite| past.invites.get(invite));
            if used.is_some_and(|by| by != member) { Err(NotCounted::InviteUsed) } else { Ok(()) }
        }
        Change::Remove { member, .. } => {
            // Anybody may leave.
            if !admin && author != member {
                return Err(NotCounted::NotAdmin);
            }
            if past.access(member).is_some() { Ok(()) } else { Err(NotCounted::NotMember) }
        }
        Change::Policy(policy) => judge_policy(author, admin, policy, past),
    }
}

fn judge_policy(author: &AuthorKey, admin: bool, policy: &Policy, past: &View) -> Result<(), NotCounted> {
    let old = past.authority().copied();
    let own_move = old == Some(*author) && policy.last.is_some();
    if !admin && !own_move {
        return Err(NotCounted::NotAdmin);
    }
    // Without this a single policy with the greatest number would be the last for ever.
    let expected = past.policy().map_or(1, |policy| policy.number.saturating_add(1));
    if policy.number != expected {
        return Err(NotCounted::PolicyNumber { expected });
    }
    if !past.is_member(&policy.integrator) || !policy.authority.as_ref().is_none_or(|key| past.is_member(key)) {
        return Err(NotCounted::PolicyMember);
    }
    let allowed = match old {
        Some(old) if policy.authority != Some(old) => own_move || (admin && policy.frontier.is_some()),
        Some(_) | None => policy.last.is_none() && policy.frontier.is_none(),
    };
    if allowed { Ok(()) } else { Err(NotCounted::PolicyMove) }
}
