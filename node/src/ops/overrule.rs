//! The authority's state goes before what others did without knowing it: it restores its own values, and tells what lost.
//!
//! A node that cannot reach the authority edits and moves tasks all the same. When its records arrive, what the authority had
//! changed meanwhile stands: for a field of the document, and for the queue of a task that waits, the authority writes a
//! later change. The lines of a body are merged. What lost is listed by `octopoid conflicts` on every node.
//!
//! **Invariants**: nothing is dropped from history; what the authority restores is in the commit that takes the record in; only
//! what both sides changed is touched.

use octopoid_crdt::document::{Edit, Value};
use octopoid_crdt::ids::{Name, RecordId};
use octopoid_crdt::lifecycle::{Act, Entry};
use octopoid_crdt::record::{Body, Cause, Queue, Verified};
use std::collections::BTreeMap;

use super::grant::is_authority;
use crate::store::conflicts::{OVERRIDDEN, Overridden, overridden};
use crate::store::{TaskNo, Unit, WriteFault};

/// How many entries are kept for a task.
const MOST: usize = 64;

/// A task as it was before another node's record was taken in.
#[derive(Debug, Clone)]
pub struct Before {
    no: TaskNo,
    queue: String,
    /// Nobody works on it, and nothing is submitted.
    waits: bool,
    fields: BTreeMap<String, Value>,
    content: Option<String>,
}

/// Notes how a task stands before a record of another node is taken in that may overrule it; none where nothing can.
///
/// # Errors
/// When the store fails.
pub fn before(unit: &mut Unit<'_>, record: &Verified) -> Result<Option<Before>, WriteFault> {
    let payload = record.payload();
    let concerned = matches!(payload.body, Body::DocChange { .. } | Body::Move { .. } | Body::Cancel { .. });
    if !concerned || payload.author == unit.me() || !is_authority(unit)? {
        return Ok(None);
    }
    let Some(no) = unit.task_of_subject(&payload.subject)? else { return Ok(None) };
    let edits = matches!(payload.body, Body::DocChange { .. });
    let content = if edits { unit.content(no)? } else { None };
    let row = unit.row(no)?;
    if !row.listed {
        return Ok(None);
    }
    let waits = row.holder.is_none() && row.attempt.is_none();
    Ok(Some(Before { no, queue: row.queue.clone(), waits, fields: row.fields.clone(), content }))
}

/// Restores what a record that was just taken in changed without knowing of the authority's own change, and lists what lost.
///
/// # Errors
/// When the store fails.
pub fn settle(unit: &mut Unit<'_>, record: &Verified, before: &Before) -> Result<(), WriteFault> {
    let id = record.id();
    let edits = matches!(record.payload().body, Body::DocChange { .. });
    let acts = |entry: &Entry| match &entry.act {
        Act::Create | Act::Edit => edits,
        Act::Accept { .. } | Act::Reject { .. } | Act::Grant { .. } | Act::Submit { .. } | Act::Finish | Act::Move { .. } | Act::Cancel => {
            !edits
        }
        Act::Heads | Act::Claim { .. } | Act::Review { .. } | Act::Release { .. } | Act::Expire { .. } | Act::Merged { .. } => false,
        Act::Delete | Act::Unknown => false,
    };
    let log = &unit.log(before.no)?.log;
    let Some(entry) = log.position(&id).and_then(|index| log.at(index)).filter(|entry| entry.counts()) else { return Ok(()) };
    let unseen =
        (0u32..).zip(log.entries()).any(|(index, other)| other.id != id && other.counts() && acts(other) && !entry.past.contains(index));
    if !unseen {
        return Ok(());
    }
    let lost = if edits { restore_fields(unit, &id, before)? } else { restore_queue(unit, &record.payload().body, before)? };
    tell(unit, record, before.no, lost)
}

/// What lost: the field, what was wanted, and what stands.
type Lost = (String, Option<String>, Option<String>);

fn restore_fields(unit: &mut Unit<'_>, edit: &RecordId, before: &Before) -> Result<Vec<Lost>, WriteFault> {
    let Some((base, own)) = unit.fields_around(before.no, edit)? else { return Ok(Vec::new()) };
    let after = unit.row(before.no)?.fields.clone();
    let of = |fields: &BTreeMap<String, Value>, field: &str| fields.get(field).cloned().unwrap_or(Value::Null);
    let (mut lost, mut edits) = (Vec::new(), Vec::new());
    for field in own.scalars.keys().chain(base.scalars.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (was, wanted, stands) = (of(&base.scalars, field), of(&own.scalars, field), of(&before.fields, field));
        if wanted == was || stands == was || stands == wanted {
            continue;
        }
        if of(&after, field) != stands {
            edits.push(Edit::set(field, stands.clone()));
        }
        lost.push((field.clone(), text(&wanted), text(&stands)));
    }
    if own.content != base.content && before.content != base.content && before.content != own.content {
        lost.push(("content".to_owned(), None, None));
    }
    if !edits.is_empty()
        && let Err(error) = unit.edit(before.no, &edits)?
    {
        tracing::warn!(%error, "the authority's values could not be restored");
    }
    Ok(lost)
}

fn restore_queue(unit: &mut Unit<'_>, body: &Body, before: &Before) -> Result<Vec<Lost>, WriteFault> {
    let wanted = if let Body::Move { queue, .. } = body { queue.as_str() } else { Queue::Cancelled.as_str() };
    let after = unit.row(before.no)?.queue.clone();
    if wanted == before.queue {
        return Ok(Vec::new());
    }
    let lost = vec![("queue".to_owned(), Some(wanted.to_owned()), Some(before.queue.clone()))];
    if after == before.queue {
        return Ok(lost);
    }
    // Work that was under way is not forced on: what a person took back stays back.
    let Some(queue) = Queue::parse(&before.queue).ok().filter(|_| before.waits) else { return Ok(Vec::new()) };
    let reason = "the authority's queue goes before one that was set without knowing it".to_owned();
    let body = Body::Move { queue, cause: Cause::Edit, by: "octopoid".to_owned(), reason, keep: None };
    let legal = match Act::of(&body) {
        Some(act) => unit.would_count(before.no, &act)?.is_ok(),
        None => false,
    };
    if !legal {
        return Ok(Vec::new());
    }
    unit.write(before.no, body)?;
    Ok(lost)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.chars().take(200).collect()),
    }
}

/// Lists what lost for all nodes.
fn tell(unit: &mut Unit<'_>, record: &Verified, no: TaskNo, lost: Vec<Lost>) -> Result<(), WriteFault> {
    if lost.is_empty() {
        return Ok(());
    }
    let row = unit.row(no)?;
    let (scope, id) = (row.scope.clone(), row.id.clone());
    let Ok(scope) = scope.parse::<Name>() else { return Ok(()) };
    let mut all = unit.item(OVERRIDDEN, scope.as_str(), &id)?.map(|item| overridden(&item.json)).unwrap_or_default();
    let payload = record.payload();
    all.extend(lost.into_iter().map(|(what, lost, kept)| Overridden {
        record: record.id().to_string(),
        what,
        lost,
        kept,
        node: payload.author.to_string(),
        at_ms: payload.wall_ms,
    }));
    all.drain(..all.len().saturating_sub(MOST));
    // A list of texts and numbers is always JSON.
    unit.put(OVERRIDDEN, &scope, &id, Some(serde_json::to_string(&all).unwrap_or_default()))?;
    Ok(())
}
