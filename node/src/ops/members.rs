//! What admins decide about the cluster: its name, its members, who grants and who merges.
//!
//! **Invariants**: a record is written only if it will count where its past is what this node knows now.

use octopoid_crdt::draft;
use octopoid_crdt::ids::{AuthorKey, Name, RecordId};
use octopoid_crdt::record::{Access, Body};

use crate::store::{Unit, WriteFault};

/// States why the cluster was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersRefused {
    /// Only admins may.
    #[error("only an admin of the cluster may do this: ask one, or run it on an admin's machine")]
    NotAdmin,
    /// Nobody of this key belongs to the cluster.
    #[error("{0} is no member of the cluster: `octopoid peers list` shows who is")]
    NotMember(AuthorKey),
    /// Another member has the name.
    #[error("the name '{name}' is another member's: choose another")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// The key's drafts would get the numbers of another member's.
    #[error("the node's key gives the draft numbers of {0}: remove its `.octopoid/runtime/node.key` and let it join with a new one")]
    SharesNumbers(AuthorKey),
    /// The ticket let somebody else in already.
    #[error("the invitation was used before: make a new one with `octopoid invite`")]
    InviteUsed,
    /// Nobody could administer the cluster any more.
    #[error("this is the only admin: make another member an admin first")]
    LastAdmin,
    /// Authority and integrator act on tasks.
    #[error(
        "{0} may not act on tasks: the authority (`octopoid authority set NAME`) and the integrator (`octopoid cluster integrator NAME`) must be workers or admins"
    )]
    NotWorker(AuthorKey),
    /// Another node is the authority, and it alone can hand that over.
    #[error("{0} is the authority, and hands that over itself: ask its node, or take it by --force when that is gone for good")]
    AuthorityElsewhere(AuthorKey),
    /// The store failed, or this node may not write.
    #[error(transparent)]
    Store(#[from] WriteFault),
}

/// Who is let in, and as what.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The key of the member's node.
    pub member: AuthorKey,
    /// What it may do.
    pub access: Access,
    /// What people call it.
    pub name: Name,
    /// The hash of the ticket's secret, where it came with one.
    pub invite: Option<[u8; 32]>,
}

/// Who grants and who merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The node whose grants and verdicts alone count (server-wins); none: every member's.
    pub authority: Option<AuthorKey>,
    /// The node that merges where there is no remote.
    pub integrator: AuthorKey,
}

fn check_admin(unit: &mut Unit<'_>) -> Result<(), MembersRefused> {
    let me = unit.me();
    if unit.membership()?.access(&me) == Some(Access::Admin) { Ok(()) } else { Err(MembersRefused::NotAdmin) }
}

/// Names the cluster; writes nothing when that is its name.
///
/// # Errors
/// When this node is no admin.
pub fn name_cluster(unit: &mut Unit<'_>, name: &Name) -> Result<(), MembersRefused> {
    check_admin(unit)?;
    if unit.membership()?.name() != Some(name) {
        unit.write_cluster(Body::ClusterName { name: name.clone() })?;
    }
    Ok(())
}

/// Names the cluster, and its founder by what its machine is called where it has no name yet.
///
/// # Errors
/// When this node is no admin.
pub fn open_to_others(unit: &mut Unit<'_>, name: &Name, machine: Option<Name>) -> Result<(), MembersRefused> {
    name_cluster(unit, name)?;
    let (me, view) = (unit.me(), unit.membership()?);
    let nameless = view.members().any(|(key, member)| *key == me && member.name.is_none());
    if let (true, Some(machine)) = (nameless, machine) {
        join(unit, Admission { member: me, access: Access::Admin, name: machine, invite: None })?;
    }
    Ok(())
}

/// Lets a member in, or changes its access or name; writes nothing when it is that already.
///
/// # Errors
/// When this node is no admin, the name is another's, the ticket was used, or no admin would be left.
pub fn join(unit: &mut Unit<'_>, admission: Admission) -> Result<RecordId, MembersRefused> {
    check_admin(unit)?;
    let Admission { member, access, name, invite } = admission;
    let view = unit.membership()?;
    if view.members().any(|(key, other)| *key != member && other.name.as_ref() == Some(&name)) {
        return Err(MembersRefused::NameTaken { name });
    }
    if let Some((other, _)) = view.members().find(|(key, _)| share_numbers(&view, key, &member)) {
        return Err(MembersRefused::SharesNumbers(*other));
    }
    let let_in = invite.as_ref().and_then(|invite| view.invited(invite));
    if let_in.is_some_and(|by| *by != member || view.access(by).is_none()) {
        return Err(MembersRefused::InviteUsed);
    }
    if let Some((_, known)) = view.members().find(|(key, _)| **key == member)
        && (known.access, known.name.as_ref()) == (access, Some(&name))
    {
        return Ok(known.by);
    }
    if access != Access::Admin {
        check_other_admin(&view, &member)?;
    }
    Ok(unit.write_cluster(Body::Join { member, access, name, invite })?)
}

/// Removes a member. What this node holds of it stays in effect; what comes later does not, unless others had built on it.
///
/// # Errors
/// When this node is no admin and not the member, there is no such member, or no admin would be left.
pub fn remove(unit: &mut Unit<'_>, member: &AuthorKey, reason: &str) -> Result<RecordId, MembersRefused> {
    if unit.me() != *member {
        check_admin(unit)?;
    }
    let view = unit.membership()?;
    if view.access(member).is_none() {
        return Err(MembersRefused::NotMember(*member));
    }
    check_other_admin(&view, member)?;
    let mut frontier = unit.frontier_of(member)?;
    if unit.me() == *member {
        // Its own farewell is the last that counts.
        unit.include_next(&mut frontier);
    }
    Ok(unit.write_cluster(Body::Remove { member: *member, frontier, reason: reason.to_owned() })?)
}

/// Tells whether two nodes would give their drafts the same numbers.
fn share_numbers(view: &octopoid_crdt::membership::View, one: &AuthorKey, other: &AuthorKey) -> bool {
    one != other && draft::numbers(one, view.creator()) == draft::numbers(other, view.creator())
}

fn check_other_admin(view: &octopoid_crdt::membership::View, member: &AuthorKey) -> Result<(), MembersRefused> {
    let is_admin = view.access(member) == Some(Access::Admin);
    let others = view.members().any(|(key, other)| key != member && other.access == Access::Admin);
    if is_admin && !others { Err(MembersRefused::LastAdmin) } else { Ok(()) }
}

/// Sets who grants and who merges; writes nothing when it is so already.
///
/// Moving the authority away is planned when this node is the old one: its latest record ends its grants. An admin moves
/// it by force: of the old one's grants those count that this node holds.
///
/// # Errors
/// When this node is no admin and not the authority that is moved, or somebody named may not act on tasks.
pub fn set_policy(unit: &mut Unit<'_>, roles: Roles) -> Result<Option<RecordId>, MembersRefused> {
    let (me, view) = (unit.me(), unit.membership()?);
    let old = view.authority().copied();
    let moves = old.is_some() && old != roles.authority;
    let planned = moves && old == Some(me);
    if view.access(&me) != Some(Access::Admin) && !planned {
        return Err(MembersRefused::NotAdmin);
    }
    for key in roles.authority.iter().chain([&roles.integrator]) {
        if !view.is_member(key) {
            return Err(MembersRefused::NotWorker(*key));
        }
    }
    if old == roles.authority && view.integrator() == Some(&roles.integrator) {
        return Ok(None);
    }
    let number = view.policy().map_or(1, |policy| policy.number.saturating_add(1));
    let frontier = match old.filter(|_| moves && !planned) {
        Some(old) => Some(unit.frontier_of(&old)?),
        None => None,
    };
    let last = if planned { unit.last_own() } else { None };
    let body = Body::Policy { number, authority: roles.authority, integrator: roles.integrator, last, frontier };
    Ok(Some(unit.write_cluster(body)?))
}

/// Makes a node the one that merges where there is no remote; writes nothing when it is so already.
///
/// # Errors
/// As [`set_policy`].
pub fn set_integrator(unit: &mut Unit<'_>, integrator: AuthorKey) -> Result<Option<RecordId>, MembersRefused> {
    let authority = unit.membership()?.authority().copied();
    set_policy(unit, Roles { authority, integrator })
}

/// Makes a node the authority, or none; writes nothing when it is so already.
///
/// With `force` an admin takes the authority from a node that cannot be asked. Without it only that node hands it over, and so
/// there is no moment in which two grant.
///
/// # Errors
/// As [`set_policy`]; without `force` also when another node is the authority.
pub fn set_authority(unit: &mut Unit<'_>, authority: Option<AuthorKey>, force: bool) -> Result<Option<RecordId>, MembersRefused> {
    let (me, view) = (unit.me(), unit.membership()?);
    let old = view.authority().copied();
    if let Some(old) = old.filter(|old| *old != me && !force && Some(*old) != authority) {
        return Err(MembersRefused::AuthorityElsewhere(old));
    }
    let integrator = view.integrator().copied().or_else(|| view.creator().copied()).unwrap_or(me);
    set_policy(unit, Roles { authority, integrator })
}
