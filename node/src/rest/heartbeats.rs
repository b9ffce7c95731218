//! When orchestrators were last heard; in memory, because nothing periodic goes into the history. Members tell each other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::times;

/// After how much silence an orchestrator is offline.
const SILENCE_MS: u64 = 120_000;
/// The most bytes of names that other nodes are told at once: a presence has one frame for everything.
const TOLD: usize = 2 * 1_024;
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

    /// Returns who was heard lately, the last one first, by scope and id with a slash between, and how many seconds ago.
    pub(super) fn recent(&self) -> Vec<(String, u64)> {
        let now = times::now_ms();
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent: Vec<_> = heard.iter().filter(|(_, at)| is_recent(**at, now)).collect();
        recent.sort_unstable_by_key(|(_, at)| std::cmp::Reverse(**at));
        let mut room = TOLD;
        let fits = recent.into_iter().map_while(|((scope, id), at)| {
            let name = name(scope, id);
            room = room.checked_sub(name.len())?;
            Some((name, now.saturating_sub(*at) / 1_000))
        });
        fits.collect()
    }

    /// Returns when an orchestrator was last heard.
    pub(super) fn last(&self, scope: &str, id: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(scope.to_owned(), id.to_owned())).copied()
    }
}

/// Tells whether a time is recent enough, as seen from now, to call an orchestrator active.
pub(super) fn is_recent(heard_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(heard_ms) < SILENCE_MS
}

/// Names an orchestrator to other nodes. A scope holds no slash, so no two have one name.
pub(super) fn name(scope: &str, id: &str) -> String {
    format!("{scope}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_told_than_fits_and_the_latest_of_it() {
        let heartbeats = Heartbeats::default();
        for number in 0..200 {
            heartbeats.beat("default", &format!("{number:0>100}"));
        }
        heartbeats.0.lock().expect("unpoisoned").insert(("default".to_owned(), "silent".to_owned()), times::now_ms() - SILENCE_MS);
        let told = heartbeats.recent();
        assert!((10..30).contains(&told.len()), "{}", told.len());
        assert!(told.iter().all(|(name, ago)| name.starts_with("default/0") && *ago < 60), "{told:?}");
    }
}
