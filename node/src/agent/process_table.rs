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
    /// Ended with all of its threads, and only waits for its parent to notice.
    pub zombie: bool,
}

/// Whether a process was started with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Carried,
    Absent,
    /// Its environment reads as empty, as that of every process does for a moment while it runs another program.
    #[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "only Linux has /proc"))]
    Unclear,
}

/// Reads one line of `/proc/<pid>/stat`. The program's name stands in brackets and may itself hold brackets and spaces.
#[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "only Linux has /proc"))]
fn parse_stat(line: &str) -> Option<Process> {
    let (head, tail) = line.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // Fields 3 to 6 are read; the number of threads is field 20, the start time field 22.
    let threads: i64 = fields.nth(13)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    // A main thread that ended shows the whole process as a zombie, although its other threads run on.
    let zombie = matches!(state, "Z" | "X" | "x") && threads <= 1;
    Some(Process { pid, parent, group, session, started, zombie })
}

#[cfg(target_os = "linux")]
mod system {
    use std::{fs, io::Read as _};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{Marker, Process, Token, parse_stat};
    use crate::agent::environ::TOKEN_VARIABLE;

    /// Far above what the system allows for arguments and environment together.
    const MAX_ENVIRON_BYTES: u64 = 16 << 20;
    /// When more numbers were given out in between, reading the whole table is quicker.
    const MAX_RANGE: i32 = 4096;
    /// The parent of all kernel threads, which have no environment.
    const KERNEL_THREADS: i32 = 2;

    /// Reads the whole table. It is not a snapshot: what starts while it is read may be missing; see [`created`].
    pub fn all() -> Vec<Process> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(one).collect()
    }

    /// Reads the processes whose numbers were given out after `last` and up to `now`.
    pub fn created(last: i32, now: i32) -> Vec<Process> {
        // Numbers begin anew after the highest.
        if now < last || now - last > MAX_RANGE {
            return all();
        }
        (last + 1..=now).filter_map(one).filter(|process| is_main_thread(process.pid)).collect()
    }

    /// Returns the number that was given out last.
    pub fn last_pid() -> Option<i32> {
        fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().nth(4)?.parse().ok()
    }

    pub fn one(pid: i32) -> Option<Process> {
        parse_stat(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    /// Threads have numbers and files as well, though they are not listed.
    fn is_main_thread(pid: i32) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("Tgid:")).is_some_and(|tgid| tgid.trim().parse() == Ok(pid))
    }

    pub fn boot() -> Option<String> {
        Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
    }

    /// Tells whether the process was started with the token. A process of another user, whose environment cannot be read, was not.
    pub fn marker(process: &Process, token: &Token) -> Marker {
        let Ok(file) = fs::File::open(format!("/proc/{}/environ", process.pid)) else { return Marker::Absent };
        let mut environ = Vec::new();
        if file.take(MAX_ENVIRON_BYTES).read_to_end(&mut environ).is_err() {
            return Marker::Absent;
        }
        if environ.is_empty() {
            let never_has_one = process.zombie || process.parent == KERNEL_THREADS;
            return if never_has_one { Marker::Absent } else { Marker::Unclear };
        }
        let variable = format!("{TOKEN_VARIABLE}={}", token.as_str());
        if environ.split(|&byte| byte == 0).any(|other| other == variable.as_bytes()) { Marker::Carried } else { Marker::Absent }
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

    use super::{Marker, Process, Token};

    pub fn all() -> Vec<Process> {
        Vec::new()
    }

    pub fn created(_last: i32, _now: i32) -> Vec<Process> {
        Vec::new()
    }

    pub fn last_pid() -> Option<i32> {
        None
    }

    pub fn one(_pid: i32) -> Option<Process> {
        None
    }

    pub fn boot() -> Option<String> {
        None
    }

    pub fn marker(_process: &Process, _token: &Token) -> Marker {
        Marker::Absent
    }

    pub fn signal(_process: &Process, _signal: Signal) {}
}

pub(super) use system::{all, boot, created, last_pid, marker, one, signal};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "42 (a) R 1 (b c) S 7 42 41 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 1 0 98765 2400000 200 18446744073709551615";
        let expected = Process { pid: 42, parent: 7, group: 42, session: 41, started: 98765, zombie: false };
        assert_eq!(parse_stat(line), Some(expected));
        let zombie = line.replace(") S ", ") Z ");
        assert_eq!(parse_stat(&zombie), Some(Process { zombie: true, ..expected }));
        assert_eq!(parse_stat(&zombie.replace(" 20 0 1 0 ", " 20 0 3 0 ")), Some(expected), "its other threads run on");
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
        assert_eq!(marker(&process, &Token::random().expect("randomness")), Marker::Absent);
        let last = last_pid().expect("a number");
        assert!(created(own - 1, own).contains(&process) && created(last, last).is_empty());
        // This very thread has a number of its own, which must not pass for a process.
        let link = std::fs::read_link("/proc/thread-self").expect("a link");
        let thread: i32 = link.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        assert!(thread != own && created(thread - 1, thread).is_empty());
    }
}
