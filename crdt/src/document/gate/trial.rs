//! The trial: a change is applied to a copy of its past, and the copy is put to every use that a document has.
//!
//! **Invariants**: the past given is never changed; a panic of automerge ends here. The process's panic hook is left
//! alone: it is global, and a library that swaps it races with every other thread.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use automerge::{ActorId, Automerge, Change, ROOT, ReadDoc, ScalarValue, transaction::Transactable};

use super::{Reason, Scanned};
use crate::document::{Actor, Clock, read};

thread_local! {
    static IN_TRIAL: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether this thread runs automerge on untrusted input, where a panic is expected and contained.
///
/// A program's panic hook asks this to keep such panics out of its log; this library installs no hook.
#[must_use]
pub fn in_trial() -> bool {
    IN_TRIAL.get()
}

/// Marks the thread for the time of a trial, nested or not.
struct Mark(bool);

impl Drop for Mark {
    fn drop(&mut self) {
        IN_TRIAL.set(self.0);
    }
}

/// Runs automerge so that its panic becomes a reason. What `run` owns is dropped then, so nothing torn is seen again.
pub(in crate::document) fn contained<T>(run: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    let _mark = Mark(IN_TRIAL.replace(true));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Reason::Panic))
}

/// Judges a scanned change on `past`, which holds exactly what the change's deps reach, and returns `past` with it.
pub(in crate::document) fn judge(
    past: &Automerge,
    clock: &Clock,
    scanned: &Scanned,
    bytes: &[u8],
    actor: Actor,
) -> Result<Automerge, Reason> {
    if scanned.start_op != clock.max_op() + 1 {
        return Err(Reason::StartOp);
    }
    if scanned.seq != clock.last_seq(actor) + 1 {
        return Err(Reason::Seq);
    }
    contained(|| {
        let change = Change::try_from(bytes).map_err(|_| Reason::Encoding)?;
        if change.hash() == scanned.hash { usable(past, change) } else { Err(Reason::Encoding) }
    })
}

/// Applies a change to a copy and puts the copy to use. Returns the document as loaded.
pub(in crate::document) fn usable(past: &Automerge, change: Change) -> Result<Automerge, Reason> {
    contained(|| {
        let hash = change.hash();
        let mut doc = past.clone();
        doc.apply_changes([change]).map_err(|_| Reason::Apply)?;
        if doc.get_heads().contains(&hash) { proven(doc) } else { Err(Reason::Apply) }
    })
}

/// Saves, loads, reads and writes a document. Returns it as loaded: what a restart would have.
///
/// Loading makes every change anew from the saved operations and compares the hashes of the heads, and a hash covers
/// all that its change builds on: so a change whose re-encoding differs from what was received ends here.
pub(in crate::document) fn proven(doc: Automerge) -> Result<Automerge, Reason> {
    contained(|| {
        let loaded = Automerge::load(&doc.save_nocompress()).map_err(|_| Reason::Load)?;
        if loaded.get_heads() != doc.get_heads() {
            return Err(Reason::Load);
        }
        drop(read::fields(&loaded));
        write(doc)?;
        Ok(loaded)
    })
}

/// Makes the edits that people make, on a document that is thrown away.
fn write(mut doc: Automerge) -> Result<(), Reason> {
    const PROBE: &str = "title";
    doc.set_actor(ActorId::from([0u8; Actor::LEN]));
    let mut tx = doc.transaction();
    let put = tx.put(ROOT, PROBE, ScalarValue::Null);
    let lines = read::content_list(&tx).map_or(Ok(()), |list| {
        let lines = tx.length(&list);
        tx.splice(&list, lines / 2, isize::from(lines > 0), [ScalarValue::Null, ScalarValue::Null])
    });
    put.and(lines).map_err(|_| Reason::Write)?;
    tx.commit();
    let written = doc.get_last_local_change().ok_or(Reason::Write)?;
    let null = read::holds(&doc, PROBE, &crate::document::Value::Null);
    if null && doc.get_heads() == [written.hash()] { Ok(()) } else { Err(Reason::Write) }
}
