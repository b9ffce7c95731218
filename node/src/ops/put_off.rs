//! Judges afterwards what other nodes did and what arrived while the authority was starting.
//!
//! A node writes nothing before it has what members know of its own records, so it cannot restore a value either as records come
//! in meanwhile. From where on they came is noted in the commit that takes the first of them in. Before the node writes anything
//! else it goes through them: the state without them stood here, and each of them is compared with it in the order of arrival, as if
//! it came now.
//!
//! **Invariants**: an own record that has another one in its past was written after that was judged; judging twice lists nothing
//! twice and changes nothing, so a crash in between is no harm.

use std::collections::BTreeSet;

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::lifecycle::{Index, Past, TaskLog};
use octopoid_crdt::record::{Body, Verified};

use super::grant::is_authority;
use super::overrule::{Theirs, compare, is_concerned, is_edit, is_step, put_back_fields, put_back_queue, tell, wanted};
use crate::store::{TaskNo, Unit, WriteFault};

/// How many records are looked at in one commit.
const TOGETHER: usize = 128;

/// Notes that a record which was just taken in is to be judged afterwards, if the authority's state may go before it.
///
/// # Errors
/// When the store fails.
pub fn put_off(unit: &mut Unit<'_>, record: &Verified) -> Result<(), WriteFault> {
    let payload = record.payload();
    if is_concerned(&payload.body) && payload.author != unit.me() && is_authority(unit)? {
        unit.put_off(&record.id())?;
    }
    Ok(())
}

/// Judges a few of the records that were put off. Tells whether none are left.
///
/// # Errors
/// When the store fails.
pub fn settle_some(unit: &mut Unit<'_>) -> Result<bool, WriteFault> {
    let Some(first) = unit.first_put_off()? else { return Ok(true) };
    let (tasks, next) = unit.tasks_from(first, TOGETHER)?;
    if is_authority(unit)? {
        for no in tasks {
            settle(unit, no, first)?;
        }
    }
    unit.set_first_put_off(next);
    Ok(next.is_none())
}

/// A record that came while nothing could be written.
struct Late {
    index: Index,
    edits: bool,
    theirs: Theirs,
}

/// Judges what came about one task from an arrival on.
fn settle(unit: &mut Unit<'_>, no: TaskNo, first: u64) -> Result<(), WriteFault> {
    if !unit.row(no)?.listed {
        return Ok(());
    }
    let own = own_past(unit, no)?;
    let late = late(unit, no, first, &own)?;
    let Some(begin) = late.first().map(|late| late.index) else { return Ok(()) };
    settle_fields(unit, no, &late, |index| index < begin || own.contains(index))?;
    settle_queue(unit, no, &late, begin)
}

/// Returns this node's records about a task, with what they build on.
fn own_past(unit: &mut Unit<'_>, no: TaskNo) -> Result<Past, WriteFault> {
    let me = unit.me();
    let mut own = Past::default();
    for (index, entry) in (0..).zip(unit.log(no)?.log.entries()).filter(|(_, entry)| entry.author == me && entry.counts()) {
        own.union(&entry.past);
        own.insert(index);
    }
    Ok(own)
}

fn late(unit: &mut Unit<'_>, no: TaskNo, first: u64, own: &Past) -> Result<Vec<Late>, WriteFault> {
    let log = unit.log(no)?;
    let entries = (0u32..).zip(log.log.entries()).zip(log.arrivals.iter().zip(&log.walls));
    let came = entries.filter(|((index, entry), (arrival, _))| **arrival >= first && entry.counts() && !own.contains(*index));
    let late = came.filter(|((_, entry), _)| is_edit(&entry.act) || is_step(&entry.act));
    let told = late.map(|((index, entry), (_, wall_ms))| Late {
        index,
        edits: is_edit(&entry.act),
        theirs: Theirs { id: entry.id, author: entry.author, at_ms: *wall_ms },
    });
    Ok(told.collect())
}

/// Compares the edits one after the other with what stood here and with what came of those before them.
fn settle_fields(unit: &mut Unit<'_>, no: TaskNo, late: &[Late], stood: impl Fn(Index) -> bool) -> Result<(), WriteFault> {
    let late: Vec<&Late> = late.iter().filter(|late| late.edits).collect();
    if late.is_empty() {
        return Ok(());
    }
    let mut stands = unit.fields_of(no, stood)?;
    let mut restored = BTreeSet::new();
    for late in late {
        let Some((base, own)) = unit.fields_around(no, &late.theirs.id)? else { continue };
        let lost = compare(&base, &own, &stands.scalars, stands.content.as_ref());
        let kept: BTreeSet<String> = lost.iter().map(|(field, _, _)| field.clone()).collect();
        let changed = own.scalars.keys().chain(base.scalars.keys()).filter(|field| base.get(field) != own.get(field));
        for field in changed.filter(|field| !kept.contains(*field)) {
            stands.scalars.insert(field.clone(), own.get(field).clone());
        }
        if base.content != own.content && stands.content == base.content {
            stands.content.clone_from(&own.content);
        }
        restored.extend(kept);
        tell(unit, no, late.theirs, lost)?;
    }
    put_back_fields(unit, no, restored.iter().map(String::as_str), &stands.scalars)
}

/// Compares the moves one after the other with the queue that the task stood in.
fn settle_queue(unit: &mut Unit<'_>, no: TaskNo, late: &[Late], begin: Index) -> Result<(), WriteFault> {
    let (mut stands, waits, mut steps) = stood_in(unit, no, begin)?;
    let mut lost: Vec<(Theirs, String)> = Vec::new();
    for late in late.iter().filter(|late| !late.edits) {
        let Some(queue) = wanted_by(unit, &late.theirs.id)? else { continue };
        let log = &unit.log(no)?.log;
        let knew = log.at(late.index).is_some_and(|entry| steps.iter().all(|other| entry.past.contains(*other)));
        // Who builds on a move that lost has not seen that it did.
        if knew && lost.is_empty() {
            stands = queue;
        } else if queue != stands {
            lost.push((late.theirs, queue));
        }
        steps.push(late.index);
    }
    if lost.is_empty() || !put_back_queue(unit, no, &stands, waits)? {
        return Ok(());
    }
    for (theirs, queue) in lost {
        tell(unit, no, theirs, vec![("queue".to_owned(), Some(queue), Some(stands.clone()))])?;
    }
    Ok(())
}

/// Returns the queue that a task was in, whether it waited there, and which records had brought it there.
fn stood_in(unit: &mut Unit<'_>, no: TaskNo, begin: Index) -> Result<(String, bool, Vec<Index>), WriteFault> {
    let masks = unit.masks();
    let log = &unit.log(no)?.log;
    let entries: Vec<_> = log.entries().iter().zip(0..begin).map(|(entry, _)| entry.clone()).collect();
    let steps = (0..).zip(&entries).filter(|(_, entry)| entry.counts() && is_step(&entry.act)).map(|(index, _)| index).collect();
    let state = TaskLog::from_entries(log.task(), entries).resolve(&masks);
    Ok((state.queue.as_str().to_owned(), state.current().is_none(), steps))
}

fn wanted_by(unit: &mut Unit<'_>, id: &RecordId) -> Result<Option<String>, WriteFault> {
    let record = unit.known(id)?;
    let body: &Body = &record.payload().body;
    Ok(wanted(body).map(str::to_owned))
}
