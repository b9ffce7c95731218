//! Whether an observer has been awake for long enough to tell a silent holder from one that it has not listened to.
//!
//! **Invariants**: after a standstill of the observer's own process or machine nothing is held against anybody before
//! [`GRACE_MS`] of listening; a standstill is noticed at the latest when it is asked whether leases may end.

use super::Moment;

/// How often the observer must say that it runs, in milliseconds.
pub const PULSE_MS: u64 = 250;
/// A longer gap between two signs of life is a standstill, in milliseconds: a stopped process or a machine that slept.
const STANDSTILL_MS: u64 = 1_000;
/// How long an observer that stood still first reads what others have sent, and renews what it holds itself.
pub const GRACE_MS: u64 = 750;

/// An observer's own signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    last: Moment,
    until: Moment,
}

impl Wake {
    /// Begins awake: after a start every lease is timed anew anyway.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self { last: now, until: now }
    }

    /// Notes that the observer runs.
    pub fn pulse(&mut self, now: Moment) {
        if now.0.saturating_sub(self.last.0) > STANDSTILL_MS {
            self.until = Moment(now.0.saturating_add(GRACE_MS));
        }
        self.last = self.last.max(now);
    }

    /// Returns from when on leases may be ended; a moment that is not in the future when the observer has listened.
    #[must_use]
    pub const fn listens_until(&self) -> Moment {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_all_the_time_need_not_wait() {
        let mut wake = Wake::new(Moment(0));
        for at in (0..10_000).step_by(250) {
            wake.pulse(Moment(at));
            assert!(wake.listens_until() <= Moment(at));
        }
    }

    #[test]
    fn after_a_standstill_others_are_listened_to_first_and_once() {
        let mut wake = Wake::new(Moment(0));
        wake.pulse(Moment(8 * 3_600_000));
        assert_eq!(wake.listens_until(), Moment(8 * 3_600_000 + GRACE_MS));
        for at in 1..10 {
            wake.pulse(Moment(8 * 3_600_000 + at * PULSE_MS));
        }
        assert_eq!(wake.listens_until(), Moment(8 * 3_600_000 + GRACE_MS), "it is no new standstill");
    }
}
