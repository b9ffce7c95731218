//! What agents cost: beside the logs of each attempt, and summed up for the whole node.
//!
//! **Invariants**: both outlive the node. The sum counts every run once, also reviews, which are no attempts, and runs whose
//! logs were removed since.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::agent::StreamSummary;
use crate::project::{Layout, replace_file};

/// The file beside an attempt's logs.
const USAGE: &str = "usage.json";
/// What is more is not our file.
const MOST_BYTES: u64 = 4_096;

/// What one run of an agent used, as far as its program says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// US dollars.
    #[serde(default)]
    pub cost_usd: Option<f64>,
    /// Turns of the model.
    #[serde(default)]
    pub turns: Option<u32>,
}

impl Usage {
    /// Reads what a run used from its folder of logs; none where nothing is known, as of programs that do not say.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(USAGE))
    }
}

impl From<&StreamSummary> for Usage {
    fn from(stream: &StreamSummary) -> Self {
        Self { cost_usd: stream.cost_usd, turns: Some(stream.turns).filter(|turns| *turns > 0) }
    }
}

/// The sum over all runs on this node.
#[derive(Debug)]
pub struct Spending {
    file: PathBuf,
    usd: Mutex<f64>,
}

impl Spending {
    /// Reads the sum; nothing was spent where the file is missing or damaged.
    #[must_use]
    pub fn open(layout: &Layout) -> Self {
        let file = layout.spending_file();
        let usd = read::<Usage>(&file).and_then(|sum| sum.cost_usd).unwrap_or_default();
        Self { file, usd: Mutex::new(usd) }
    }

    /// Returns the sum in US dollars.
    #[must_use]
    pub fn usd(&self) -> f64 {
        *self.usd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a run used beside its logs, and adds it to the sum.
    ///
    /// # Errors
    /// When a file cannot be written; the sum of this process counts it all the same.
    pub(super) fn add(&self, folder: &Path, usage: Usage) -> io::Result<()> {
        if usage == Usage::default() {
            return Ok(());
        }
        let kept = write(&folder.join(USAGE), usage);
        let Some(cost) = usage.cost_usd else { return kept };
        let mut usd = self.usd.lock().unwrap_or_else(PoisonError::into_inner);
        *usd += cost;
        kept.and(write(&self.file, Usage { cost_usd: Some(*usd), turns: None }))
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Option<T> {
    let short = std::fs::metadata(file).is_ok_and(|found| found.len() <= MOST_BYTES);
    if short { serde_json::from_slice(&std::fs::read(file).ok()?).ok() } else { None }
}

fn write(file: &Path, usage: Usage) -> io::Result<()> {
    replace_file(file, &serde_json::to_vec(&usage)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_known_after_a_restart_and_a_damaged_file_is_no_hindrance() {
        let root = tempfile::tempdir().expect("a folder");
        let layout = Layout::at(root.path());
        std::fs::create_dir_all(layout.runtime_dir()).expect("a folder");
        let spending = Spending::open(&layout);
        spending.add(root.path(), Usage { cost_usd: Some(0.5), turns: Some(3) }).expect("written");
        spending.add(root.path(), Usage { cost_usd: Some(0.25), turns: None }).expect("written");
        spending.add(root.path(), Usage::default()).expect("nothing to write");
        assert!((Spending::open(&layout).usd() - 0.75).abs() < 1e-9);
        assert_eq!(Usage::read(root.path()), Some(Usage { cost_usd: Some(0.25), turns: None }));
        std::fs::write(layout.spending_file(), "{").expect("written");
        assert!(Spending::open(&layout).usd().abs() < f64::EPSILON);
        assert_eq!(Usage::read(&layout.runtime_dir()), None);
    }
}
