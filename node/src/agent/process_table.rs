//! The system's processes as `/proc` shows them. Elsewhere the table is empty and groups are all that is known.
//!
//! **Invariants**: a [`Process`] that was read stays that process: signals go through a descriptor of it whose start time
//! is compared, never to a number that may have changed hands.

use super::Token;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// Clock ticks since the boot.
    pub started: u64,
    /// Ended, and only waits for its parent to notice.
    pub zombie: bool,
}

/// Reads one line of `/proc/<pid>/stat`. The program's name stands in brackets and may itself hold brackets and spaces.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has /proc"))]
fn parse_stat(line: &str) -> Option<Process> {
    let (head, tail) = line.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // Fields 3 to 6 are read; the start time is field 22.
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, parent, group, session, started, zombie: matches!(state, "Z" | "X" | "x") })
}

#[cfg(target_os = "linux")]
mod system {
    use std::{fs, io::Read as _};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{Process, Token, parse_stat};
    use crate::agent::environ::TOKEN_VARIABLE;

    /// Far above what the system allows for arguments and environment together.
    const MAX_ENVIRON_BYTES: u64 = 16 << 20;

    /// Reads the whole table. It is not a snapshot: what starts while it is read may be missing.
    pub fn all() -> Vec<Process> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(one).collect()
    }

    pub fn one(pid: i32) -> Option<Process> {
        parse_stat(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    pub fn boot() -> Option<String> {
        Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
    }

    /// Tells whether the process was started with the token. A process of another user, whose environment cannot be read, was not.
    pub fn carries(process: &Process, token: &Token) -> bool {
        let Ok(file) = fs::File::open(format!("/proc/{}/environ", process.pid)) else { return false };
        let mut environ = Vec::new();
        if file.take(MAX_ENVIRON_BYTES).read_to_end(&mut environ).is_err() {
            return false;
        }
        let marker = format!("{TOKEN_VARIABLE}={}", token.as_str());
        environ.split(|&byte| byte == 0).any(|variable| variable == marker.as_bytes())
    }

    /// Signals exactly this process; nothing happens when it is gone.
    pub fn signal(process: &Process, signal: Signal) {
        let Some(pid) = Pid::from_raw(process.pid) else { return };
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if one(process.pid).is_some_and(|now| now.started == process.started)
            && let Err(error) = pidfd_send_signal(&descriptor, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::debug!(pid = process.pid, %error, "signal not delivered");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use rustix::process::Signal;

    use super::{Process, Token};

    pub fn all() -> Vec<Process> {
        Vec::new()
    }

    pub fn one(_pid: i32) -> Option<Process> {
        None
    }

    pub fn boot() -> Option<String> {
        None
    }

    pub fn carries(_process: &Process, _token: &Token) -> bool {
        false
    }

    pub fn signal(_process: &Process, _signal: Signal) {}
}

pub(super) use system::{all, boot, carries, one, signal};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "42 (a) R 1 (b c) S 7 42 41 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 1 0 98765 2400000 200 18446744073709551615";
        let expected = Process { pid: 42, parent: 7, group: 42, session: 41, started: 98765, zombie: false };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat(&line.replace(") S ", ") Z ")), Some(Process { zombie: true, ..expected }));
        for damaged in ["", "42", "42 (x", "42 (x) S 1 2", "x (x) S 1 2 3"] {
            assert_eq!(parse_stat(damaged), None, "{damaged}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_running_test_finds_itself_in_the_table() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let process = one(own).expect("own row");
        assert!(!process.zombie && all().contains(&process));
        assert!(boot().is_some_and(|boot| boot.len() == 36));
        assert!(!carries(&process, &Token::random().expect("randomness")));
    }
}
