//! The processes that this program has started and not yet seen the end of.
//!
//! One list for the whole program, since a program that ends in a hurry ends for all of its parts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{LeftoverReport, ProcessRecord, leftovers};

static LIVE: Mutex<BTreeMap<i32, ProcessRecord>> = Mutex::new(BTreeMap::new());

fn live() -> MutexGuard<'static, BTreeMap<i32, ProcessRecord>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn began(record: &ProcessRecord) {
    live().insert(record.pid, record.clone());
}

pub(super) fn ended(record: &ProcessRecord) {
    live().remove(&record.pid);
}

/// Kills every agent that runs, with all that it started, without asking it to end by itself: for a program that ends at once.
///
/// Their claims stay; the next start of the node gives them back.
pub async fn kill_all() -> LeftoverReport {
    let records = live().values().cloned().collect();
    leftovers(records).await
}
