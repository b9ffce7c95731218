//! The authority's state goes before what others did without knowing it: it restores its own values, and tells what lost.
//!
//! A node that cannot reach the authority edits and moves tasks all the same. When its records arrive, what the authority had
//! changed meanwhile stands: for a field of the document (of a project or a draft, too), and for the queue of a task that waits, the authority writes a
//! later change. The lines of a body are merged. What lost is listed by `octopoid conflicts` on every node. A task that both
//! sides created is one task, whose fields are the authority's.
//!
//! **Invariants**: nothing is dropped from history; what the authority restores is in the commit that takes the record in, or
//! where it writes nothing yet in its first ([`super::put_off`]); only what both sides changed is touched.

use std::collections::{BTreeMap, BTreeSet};

use octopoid_crdt::document::{Edit, Fields, Value};
use octopoid_crdt::ids::{AuthorKey, Name, RecordId};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Queue, Verified};

use super::grant::is_authority;
use crate::store::conflicts::{Overridden, overridden, overridden_place};
use crate::store::{TaskNo, Unit, WriteFault};

/// How many changes are kept for a task: each one writes the list anew. Whoever lists a full one says that there may be more.
const MOST: usize = 64;

/// A task, or another document, as it was before another node's record was taken in.
#[derive(Debug, Clone)]
pub struct Before {
    no: TaskNo,
    queue: String,
    /// Nobody works on it, and nothing is submitted.
    waits: bool,
    fields: BTreeMap<String, Value>,
    content: Option<String>,
}

/// A record of another node, as the list of what lost names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theirs {
    pub id: RecordId,
    pub author: AuthorKey,
    pub at_ms: u64,
}

/// Tells whether a record is of the kinds that the authority's state goes before.
#[must_use]
pub fn is_concerned(body: &Body) -> bool {
    edits(body) || matches!(body, Body::Move { .. } | Body::Cancel { .. })
}

/// Tells whether a record changes a document. A second creation of an id does: the two are one task, or one project.
fn edits(body: &Body) -> bool {
    matches!(body, Body::DocChange { .. } | Body::TaskCreate { .. } | Body::DocCreate { .. })
}

/// Notes how a task or another document stands before a record of another node is taken in that may overrule it; none where nothing can.
///
/// # Errors
/// When the store fails.
pub fn before(unit: &mut Unit<'_>, record: &Verified) -> Result<Option<Before>, WriteFault> {
    let payload = record.payload();
    if !is_concerned(&payload.body) || payload.author == unit.me() || !is_authority(unit)? {
        return Ok(None);
    }
    let Some(no) = unit.find_subject(&payload.subject)? else { return Ok(None) };
    let content = if edits(&payload.body) { unit.content(no)? } else { None };
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
    let edits = edits(&record.payload().body);
    let log = &unit.log(before.no)?.log;
    let Some(entry) = log.position(&id).and_then(|index| log.at(index)).filter(|entry| entry.counts()) else { return Ok(()) };
    let unseen = (0u32..).zip(log.entries()).any(|(index, other)| {
        let competes = if edits { is_edit(&other.act) } else { is_step(&other.act) };
        other.id != id && other.counts() && competes && !entry.past.contains(index)
    });
    if !unseen {
        return Ok(());
    }
    let payload = record.payload();
    let lost = if edits { restore_fields(unit, &id, before)? } else { restore_queue(unit, &payload.body, before)? };
    tell(unit, before.no, Theirs { id, author: payload.author, at_ms: payload.wall_ms }, lost)
}

/// Tells whether a record of a log changes the document.
pub(super) const fn is_edit(act: &Act) -> bool {
    matches!(act, Act::Create | Act::Edit)
}

/// Tells whether a record of a log competes with another node's move.
pub(super) const fn is_step(act: &Act) -> bool {
    match act {
        Act::Accept { .. } | Act::Reject { .. } | Act::Grant { .. } | Act::Submit { .. } | Act::Finish | Act::Move { .. } | Act::Cancel => {
            true
        }
        Act::Create | Act::Edit | Act::Delete | Act::Unknown | Act::Heads => false,
        Act::Claim { .. } | Act::Review { .. } | Act::Release { .. } | Act::Expire { .. } | Act::Merged { .. } => false,
    }
}

/// What lost: the field, what was wanted, and what stands.
pub(super) type Lost = (String, Option<String>, Option<String>);

fn restore_fields(unit: &mut Unit<'_>, edit: &RecordId, before: &Before) -> Result<Vec<Lost>, WriteFault> {
    let Some((base, own)) = unit.fields_around(before.no, edit)? else { return Ok(Vec::new()) };
    let lost = compare(&base, &own, &before.fields, before.content.as_ref());
    put_back_fields(unit, before.no, lost.iter().map(|(field, _, _)| field.as_str()), &before.fields)?;
    Ok(lost)
}

/// Lists what an edit changed that stands here already as something else than its author saw.
pub(super) fn compare(base: &Fields, own: &Fields, stands: &BTreeMap<String, Value>, content: Option<&String>) -> Vec<Lost> {
    let mut lost = Vec::new();
    for field in own.scalars.keys().chain(base.scalars.keys()).collect::<BTreeSet<_>>() {
        let (was, wanted, stands) = (base.get(field), own.get(field), stands.get(field).unwrap_or(&Value::Null));
        if wanted != was && stands != was && stands != wanted {
            lost.push((field.clone(), text(wanted), text(stands)));
        }
    }
    let (was, wanted) = (base.content.as_ref(), own.content.as_ref());
    if wanted != was && content != was && content != wanted {
        lost.push(("content".to_owned(), None, None));
    }
    lost
}

/// Gives fields the values that stand, where they have others now. The body is merged instead.
pub(super) fn put_back_fields<'a>(
    unit: &mut Unit<'_>,
    no: TaskNo,
    fields: impl Iterator<Item = &'a str>,
    stands: &BTreeMap<String, Value>,
) -> Result<(), WriteFault> {
    let after = unit.row(no)?.fields.clone();
    let of = |fields: &BTreeMap<String, Value>, field: &str| fields.get(field).cloned().unwrap_or(Value::Null);
    let changed = fields.filter(|field| *field != "content" && of(&after, field) != of(stands, field));
    let edits: Vec<Edit> = changed.map(|field| Edit::set(field, of(stands, field))).collect();
    if !edits.is_empty()
        && let Err(error) = unit.edit(no, &edits)?
    {
        tracing::warn!(%error, "the authority's values could not be restored");
    }
    Ok(())
}

/// Returns the queue that a step asks for; none for what is no step.
pub(super) fn wanted(body: &Body) -> Option<&str> {
    if let Body::Move { queue, .. } = body {
        return Some(queue.as_str());
    }
    matches!(body, Body::Cancel { .. }).then(|| Queue::Cancelled.as_str())
}

fn restore_queue(unit: &mut Unit<'_>, body: &Body, before: &Before) -> Result<Vec<Lost>, WriteFault> {
    let Some(wanted) = wanted(body).filter(|wanted| *wanted != before.queue) else { return Ok(Vec::new()) };
    let stands = put_back_queue(unit, before.no, &before.queue, before.waits)?;
    let lost = || ("queue".to_owned(), Some(wanted.to_owned()), Some(before.queue.clone()));
    Ok(stands.then(lost).into_iter().collect())
}

/// Moves a task back to the queue that stands, if it is in another one. Tells whether that is where it is now.
pub(super) fn put_back_queue(unit: &mut Unit<'_>, no: TaskNo, queue: &str, waits: bool) -> Result<bool, WriteFault> {
    if unit.row(no)?.queue == queue {
        return Ok(true);
    }
    // Work that was under way is not forced on: what a person took back stays back.
    let Some(queue) = Queue::parse(queue).ok().filter(|_| waits) else { return Ok(false) };
    let reason = "the authority's queue goes before one that was set without knowing it".to_owned();
    let body = Body::Move { queue, cause: Cause::Edit, by: "octopoid".to_owned(), reason, keep: None };
    let legal = match Act::of(&body) {
        Some(act) => unit.would_count(no, &act)?.is_ok(),
        None => false,
    };
    if legal {
        unit.write(no, body)?;
    }
    Ok(legal)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.chars().take(200).collect()),
    }
}

/// Lists what lost for all nodes. What is listed already is not listed twice.
pub(super) fn tell(unit: &mut Unit<'_>, no: TaskNo, theirs: Theirs, lost: Vec<Lost>) -> Result<(), WriteFault> {
    if lost.is_empty() {
        return Ok(());
    }
    let row = unit.row(no)?;
    let scope = row.scope.clone();
    let (collection, key) = overridden_place(row.collection.as_deref(), &row.id);
    let Ok(scope) = scope.parse::<Name>() else { return Ok(()) };
    let mut all = unit.item(collection, scope.as_str(), &key)?.map(|item| overridden(&item.json)).unwrap_or_default();
    let before = all.len();
    let record = theirs.id.to_string();
    for (what, lost, kept) in lost {
        if !all.iter().any(|known| known.record == record && known.what == what) {
            let node = theirs.author.to_string();
            all.push(Overridden { record: record.clone(), what, lost, kept, node, at_ms: theirs.at_ms });
        }
    }
    if all.len() == before {
        return Ok(());
    }
    all.drain(..all.len().saturating_sub(MOST));
    // A list of texts and numbers is always JSON.
    unit.put(collection, &scope, &key, Some(serde_json::to_string(&all).unwrap_or_default()))?;
    Ok(())
}
