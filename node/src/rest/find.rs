//! Finds tasks in a snapshot by what a request names.

use octopoid_client::Resolved;

use super::refusal::Refusal;
use crate::ops::{Refused, Target};
use crate::store::{Reader, TaskNo, TaskRow};

/// How many tasks an ambiguous beginning of an id shows.
const CANDIDATES: usize = 10;
/// How many ids a beginning is looked up among: deleted ones and those of other scopes count too.
const LOOKED_AT: usize = 1_000;

/// Finds the one listed task that is meant, as [`crate::ops::find`] does within a commit.
pub(super) fn find(reader: &Reader, target: &Target) -> Result<(TaskNo, TaskRow), Refusal> {
    let not_found = || Refusal::from(Refused::NotFound { id: target.id.clone() });
    if let Some(scope) = target.scope.as_deref().or(target.bound.as_deref()) {
        return listed(reader, scope, &target.id)?.ok_or_else(not_found);
    }
    if let Some(found) = listed(reader, &target.own_scope, &target.id)? {
        return Ok(found);
    }
    let mut found = Vec::new();
    for (scope, _) in reader.scopes_of(&target.id)? {
        found.extend(listed(reader, &scope, &target.id)?);
    }
    match found.len() {
        0 => Err(not_found()),
        1 => found.pop().ok_or_else(not_found),
        _ => {
            let scopes = found.into_iter().map(|(_, row)| row.scope).collect();
            Err(Refused::Ambiguous { id: target.id.clone(), scopes }.into())
        }
    }
}

fn listed(reader: &Reader, scope: &str, id: &str) -> Result<Option<(TaskNo, TaskRow)>, Refusal> {
    let Some(no) = reader.task_no(scope, id)? else { return Ok(None) };
    Ok(reader.row(no)?.filter(|row| row.listed).map(|row| (no, row)))
}

/// Finds the one task that an id, or its beginning, means.
pub(super) fn resolve(reader: &Reader, target: &Target) -> Result<Resolved, Refusal> {
    match find(reader, target) {
        Ok((_, row)) => return Ok(Resolved { id: row.id, scope: row.scope }),
        Err(Refusal::Operation(Refused::NotFound { .. })) => {}
        Err(refusal) => return Err(refusal),
    }
    let wanted = target.scope.as_deref().or(target.bound.as_deref());
    let mut own = Vec::new();
    let mut others = Vec::new();
    for (id, scope, no) in reader.ids_with_prefix(&target.id, LOOKED_AT)? {
        let visible = wanted.is_none_or(|wanted| wanted == scope) && reader.row(no)?.is_some_and(|row| row.listed);
        if visible {
            if scope == target.own_scope { &mut own } else { &mut others }.push(Resolved { id, scope });
        }
    }
    let mut candidates = if own.is_empty() { others } else { own };
    match candidates.len() {
        0 => Err(Refused::NotFound { id: target.id.clone() }.into()),
        1 => candidates.pop().ok_or(Refusal::Defect),
        _ => {
            candidates.truncate(CANDIDATES);
            Err(Refusal::Candidates { prefix: target.id.clone(), candidates })
        }
    }
}
