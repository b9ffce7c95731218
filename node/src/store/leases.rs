//! The leases that this node times, joined to tasks when they are read.
//!
//! **Invariants**: a node that stood still reads what others sent, and renews its own, before it ends a lease.

use std::sync::Mutex;

use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::lease::{Input, Moment, Timers, Wake};

/// Shared timers over the clock that counts suspend.
#[derive(Debug)]
pub struct Leases {
    timers: Mutex<Timers>,
    wake: Mutex<Wake>,
}

/// Reads the clock that goes on while the machine sleeps.
#[must_use]
pub fn now() -> Moment {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    Moment(seconds * 1_000 + nanos / 1_000_000)
}

impl Leases {
    pub(super) fn new(observer: AuthorKey) -> Self {
        Self { timers: Mutex::new(Timers::new(observer)), wake: Mutex::new(Wake::new(now())) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Timers) -> T) -> T {
        act(&mut self.timers.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Notes what happened to a lease; returns whether it is known.
    pub fn handle(&self, input: Input) -> bool {
        self.with(|timers| timers.handle(now(), input))
    }

    /// Notes that this node runs, to be called every [`PULSE_MS`](octopoid_crdt::lease::PULSE_MS); returns from when on it
    /// may end leases.
    pub fn pulse(&self) -> Moment {
        let mut wake = self.wake.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        wake.pulse(now());
        wake.listens_until()
    }

    /// Returns the claims and reviews whose leases ran out; none while this node has only just woken.
    #[must_use]
    pub fn due(&self) -> Vec<RecordId> {
        if self.pulse() > now() { Vec::new() } else { self.with(|timers| timers.due(now())) }
    }

    /// Returns in how many milliseconds the next lease may be ended.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        let listens = self.pulse();
        self.with(|timers| timers.next_due()).map(|due| due.max(listens).0.saturating_sub(now().0))
    }

    /// Returns how many milliseconds of a lease are left.
    #[must_use]
    pub fn remaining_ms(&self, of: &RecordId) -> Option<u64> {
        self.with(|timers| timers.remaining_ms(of, now()))
    }
}
