//! Other processes of this machine.

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, test_kill_process},
};

/// Tells whether a process exists, whoever owns it.
pub fn lives(pid: u32) -> bool {
    let Some(pid) = to_pid(pid) else { return false };
    match test_kill_process(pid) {
        Ok(()) => !is_zombie(pid),
        Err(error) => error == Errno::PERM,
    }
}

/// Asks a process to end.
pub fn ask_to_end(pid: u32) -> Result<(), Errno> {
    kill_process(to_pid(pid).ok_or(Errno::SRCH)?, Signal::TERM)
}

/// Tells whether a process runs this program, as far as the system tells. A number alone proves nothing: it is reused.
pub fn is_octopoid(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "octopoid")
}

/// Ended and not yet collected by its parent: such a process holds no lock and no port.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The name in parentheses may itself hold parentheses and blanks.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_impossible_ones_do_not() {
        assert!(lives(std::process::id()));
        assert!(!lives(0));
        assert!(!lives(u32::MAX));
    }

    #[test]
    fn a_process_that_ended_does_not_live_even_before_it_is_collected() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while lives(child.id()) {
            assert!(std::time::Instant::now() < end, "an ended child still counts as living");
            std::thread::yield_now();
        }
        child.wait().expect("collected");
    }
}
