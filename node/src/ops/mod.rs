//! What can be done to tasks: each operation checks a request against the rules and writes its records in one commit.
//!
//! **Invariants**: an operation checks everything before it writes; a refusal leaves no trace.

pub mod actions;
pub mod admission;
pub mod breakdown;
pub mod claim;
pub mod conflicts;
pub mod create;
pub mod drafts;
pub mod edit;
pub mod fail;
pub mod finish;
pub mod flows;
pub mod grant;
pub mod idempotency;
pub mod import;
pub mod judge;
pub mod keys;
pub mod members;
pub mod messages;
pub mod orchestrators;
pub mod overrule;
pub mod projects;
pub mod put_off;
pub mod roles;

use octopoid_crdt::ids::{Name, RecordId};
use octopoid_crdt::lifecycle::Act;

use crate::store::{TaskNo, TaskRow, Unit, WriteFault};

/// States why an operation was not done. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No listed task has this id.
    #[error("Task '{id}' not found")]
    NotFound {
        /// The id asked for.
        id: String,
    },
    /// Several tenants have a task of this id.
    #[error("Task '{id}' exists in the scopes {}: name one with ?scope=", scopes.join(", "))]
    Ambiguous {
        /// The id asked for.
        id: String,
        /// The scopes that have it.
        scopes: Vec<String>,
    },
    /// The id is taken.
    #[error("Task '{id}' already exists")]
    Exists {
        /// The id asked for.
        id: String,
    },
    /// A field of the request is wrong.
    #[error("{field}: {message}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The rules do not allow the step from where the task is.
    #[error("{message}")]
    Transition {
        /// What was refused.
        message: String,
        /// Why.
        details: Vec<String>,
    },
    /// The caller saw another version.
    #[error("version {seen} is not the current one, which is {current}: read the task again")]
    Version {
        /// What the caller saw.
        seen: u64,
        /// What is current.
        current: u64,
    },
    /// An `If-Match` header names another state.
    #[error("If-Match does not name the current state, which is {current}: read the task again")]
    Precondition {
        /// The current ETag.
        current: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(WriteFault),
}

impl From<WriteFault> for Refused {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Record { what, why } => Self::Field { field: what, message: why },
            WriteFault::NotAMember(why) => Self::step("This node cannot write to the cluster", why),
            WriteFault::Store => Self::Store(fault),
        }
    }
}

impl Refused {
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Field { field: field.to_owned(), message: message.into() }
    }

    pub(crate) fn step(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Transition { message: message.into(), details: vec![detail.into()] }
    }
}

/// A task as an operation left it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its number.
    pub no: TaskNo,
    /// Its row.
    pub row: TaskRow,
    /// Its body.
    pub content: Option<String>,
}

/// Which task an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The tenant; none looks in the node's own, then in the others.
    pub scope: Option<String>,
    /// The node's own tenant.
    pub own_scope: String,
    /// The only tenant that the caller may see; none for all.
    pub bound: Option<String>,
    /// The task's id.
    pub id: String,
}

/// What the caller requires of the task's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// The version in the request's body.
    pub version: Option<u64>,
    /// The values of `If-Match`; empty means no condition.
    pub etags: Vec<String>,
}

/// Returns the ETag of a state: `<version>-<8 hex of its heads>`.
#[must_use]
pub fn etag(row: &TaskRow) -> String {
    format!("{}-{}", row.version, hex::encode(row.heads))
}

impl Expect {
    /// Checks the conditions.
    ///
    /// # Errors
    /// When one does not hold.
    pub fn check(&self, row: &TaskRow) -> Result<(), Refused> {
        let current = etag(row);
        let names = |tag: &String| tag == "*" || *tag == current || *tag == row.version.to_string();
        if !self.etags.is_empty() && !self.etags.iter().any(names) {
            return Err(Refused::Precondition { current });
        }
        match self.version {
            Some(seen) if seen != row.version => Err(Refused::Version { seen, current: row.version }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Finds the one listed task that is meant.
///
/// # Errors
/// When there is none, or one in several scopes.
pub fn find(unit: &mut Unit<'_>, target: &Target) -> Result<TaskNo, Refused> {
    let not_found = || Refused::NotFound { id: target.id.clone() };
    let wanted = target.scope.as_deref().or(target.bound.as_deref());
    if let Some(scope) = wanted {
        if target.bound.as_deref().is_some_and(|bound| bound != scope) {
            return Err(not_found());
        }
        return listed(unit, scope, &target.id)?.ok_or_else(not_found);
    }
    if let Some(no) = listed(unit, &target.own_scope, &target.id)? {
        return Ok(no);
    }
    let known = unit.scopes_of(&target.id)?;
    let mut found = Vec::new();
    for (scope, _) in known {
        if let Some(no) = listed(unit, &scope, &target.id)? {
            found.push((scope, no));
        }
    }
    match found.as_slice() {
        [] => Err(not_found()),
        [(_, no)] => Ok(*no),
        [_, _, ..] => Err(Refused::Ambiguous { id: target.id.clone(), scopes: found.into_iter().map(|(scope, _)| scope).collect() }),
    }
}

fn listed(unit: &mut Unit<'_>, scope: &str, id: &str) -> Result<Option<TaskNo>, WriteFault> {
    match unit.find(scope, id)? {
        Some(no) if unit.row(no)?.listed => Ok(Some(no)),
        Some(_) | None => Ok(None),
    }
}

/// Returns a task as it is now.
///
/// # Errors
/// When the store fails.
pub fn snapshot(unit: &mut Unit<'_>, no: TaskNo) -> Result<Snapshot, WriteFault> {
    Ok(Snapshot { no, row: unit.row(no)?.clone(), content: unit.content(no)? })
}

/// Refuses a step that the lifecycle rules would not count.
fn allow(unit: &mut Unit<'_>, no: TaskNo, act: &Act, message: &str) -> Result<(), Refused> {
    unit.would_count(no, act)?.map_err(|refusal| Refused::step(message, refusal.to_string()))
}

/// Returns the record that the state rests on.
fn rests_on(unit: &mut Unit<'_>, no: TaskNo) -> Result<Option<RecordId>, WriteFault> {
    Ok(unit.row(no)?.rests_on.map(RecordId))
}

/// Reads a name from a request.
///
/// # Errors
/// When it leaves the pattern of names.
pub fn name(field: &str, text: &str) -> Result<Name, Refused> {
    text.parse().map_err(|error: octopoid_crdt::ids::IdError| Refused::field(field, error.to_string()))
}

/// Reads a priority.
///
/// # Errors
/// When it is none of P0 to P3.
pub fn priority(text: &str) -> Result<(), Refused> {
    if matches!(text, "P0" | "P1" | "P2" | "P3") {
        Ok(())
    } else {
        Err(Refused::field("priority", format!("'{text}' is not one of P0, P1, P2, P3")))
    }
}

/// Reads a complexity.
///
/// # Errors
/// When it is none of XS to XL.
pub fn complexity(text: &str) -> Result<(), Refused> {
    let known = matches!(text, "XS" | "S" | "M" | "L" | "XL");
    if known { Ok(()) } else { Err(Refused::field("complexity", format!("'{text}' is not one of XS, S, M, L, XL"))) }
}
