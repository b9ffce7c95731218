//! The leases that this node times, joined to tasks when they are read.

use std::sync::Mutex;

use octopoid_crdt::ids::{AuthorKey, RecordId};
use octopoid_crdt::lease::{Input, Moment, Timers};

/// Shared timers over the clock that counts suspend.
#[derive(Debug)]
pub struct Leases {
    timers: Mutex<Timers>,
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
        Self { timers: Mutex::new(Timers::new(observer)) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Timers) -> T) -> T {
        act(&mut self.timers.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Notes what happened to a lease; returns whether it is known.
    pub fn handle(&self, input: Input) -> bool {
        self.with(|timers| timers.handle(now(), input))
    }

    /// Returns the claims and reviews whose leases ran out.
    #[must_use]
    pub fn due(&self) -> Vec<RecordId> {
        self.with(|timers| timers.due(now()))
    }

    /// Returns in how many milliseconds the next lease runs out.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.with(|timers| timers.next_due()).map(|due| due.0.saturating_sub(now().0))
    }

    /// Returns how many milliseconds of a lease are left.
    #[must_use]
    pub fn remaining_ms(&self, of: &RecordId) -> Option<u64> {
        self.with(|timers| timers.remaining_ms(of, now()))
    }
}
