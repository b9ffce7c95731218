//! Processes that agents leave behind.

use std::path::Path;

use rustix::process::{Pid, test_kill_process};

/// Tells whether a process lives; one that ended and was not collected does not.
#[must_use]
pub fn lives(pid: i32) -> bool {
    let known = Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    known && !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// Reads the numbers that scripts wrote into a file, one a line.
///
/// # Panics
/// When a line is no number: the script is wrong.
#[must_use]
pub fn pids_in(file: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.trim().parse().unwrap_or_else(|_| panic!("'{line}' is no process"))).collect()
}
