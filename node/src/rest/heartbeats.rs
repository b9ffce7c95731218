//! When orchestrators were last heard; in memory, because nothing periodic goes into the history.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::times;

/// After how much silence an orchestrator is offline.
const SILENCE_MS: u64 = 120_000;
/// How many orchestrators are remembered; beyond it the one that was silent longest is forgotten, and shown as offline.
const REMEMBERED: usize = 10_000;

/// When each orchestrator, by scope and id, was last heard.
#[derive(Debug, Default)]
pub(super) struct Heartbeats(Mutex<HashMap<(String, String), u64>>);

impl Heartbeats {
    /// Notes a sign of life and returns its time.
    pub(super) fn beat(&self, scope: &str, id: &str) -> u64 {
        let now = times::now_ms();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= REMEMBERED
            && let Some(oldest) = heard.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
        {
            heard.remove(&oldest);
        }
        heard.insert((scope.to_owned(), id.to_owned()), now);
        now
    }

    /// Returns when an orchestrator was last heard.
    pub(super) fn last(&self, scope: &str, id: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(scope.to_owned(), id.to_owned())).copied()
    }
}

/// Tells whether a time is recent enough to call an orchestrator active.
pub(super) fn is_recent(heard_ms: u64) -> bool {
    times::now_ms().saturating_sub(heard_ms) < SILENCE_MS
}
