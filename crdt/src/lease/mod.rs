//! Leases without trusted clocks: an observer times each claim from when *it* first saw it or its last renewal.
//!
//! Why: no two machines agree on the time, so a lease is a promise about silence. The clock is the caller's and must count
//! the time that the machine slept.
//!
//! **Invariants**: a lease is due only after 1.1 × its length of silence on the observer's own clock; an observer that starts
//! anew waits a full length again; one observer's delay differs from another's, so that one of them writes the Expire.

mod wake;

use std::collections::{BTreeSet, HashMap};

pub use wake::{GRACE_MS, PULSE_MS, Wake};

use crate::ids::{AuthorKey, RecordId};

/// A reading of the observer's own clock, in milliseconds since some start; never compared between machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// The longest lease, in seconds.
pub const LONGEST_SECONDS: u32 = 3_600;
/// The lease where the claimant names none, in seconds.
pub const DEFAULT_SECONDS: u32 = 300;

/// What happens to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A claim or review was seen, or came to hold.
    Opened { of: RecordId, seconds: u32 },
    /// Its holder was heard of; a new length replaces the old one.
    Renewed { of: RecordId, seconds: Option<u32> },
    /// It ran out while another claim goes first, so that its end could not be written: the law ends only what holds. It is due
    /// at once when it comes to hold.
    Outranked { of: RecordId },
    /// A record ended it.
    Ended { of: RecordId },
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    seconds: u32,
    heard: Moment,
    due: Moment,
    /// It has run out once already.
    overdue: bool,
}

/// The leases that one observer times.
#[derive(Debug)]
pub struct Timers {
    observer: AuthorKey,
    leases: HashMap<RecordId, Lease>,
    by_due: BTreeSet<(Moment, RecordId)>,
}

impl Timers {
    /// Starts without leases.
    #[must_use]
    pub fn new(observer: AuthorKey) -> Self {
        Self { observer, leases: HashMap::new(), by_due: BTreeSet::new() }
    }

    /// Notes what happened at a moment; returns whether the lease is known.
    pub fn handle(&mut self, now: Moment, input: Input) -> bool {
        match input {
            Input::Opened { of, seconds } => {
                match self.leases.get(&of).copied() {
                    None => self.set(of, seconds, now),
                    Some(lease) if lease.overdue => self.put(of, Lease { due: now, ..lease }),
                    Some(_) => {}
                }
                true
            }
            Input::Outranked { of } => match self.leases.get(&of).copied() {
                // It was renewed meanwhile.
                Some(lease) if lease.due > now => true,
                Some(lease) => {
                    let due = self.after_silence(&of, lease.seconds, now);
                    self.put(of, Lease { due, overdue: true, ..lease });
                    true
                }
                None => false,
            },
            Input::Renewed { of, seconds } => match self.leases.get(&of).copied() {
                Some(lease) => {
                    self.set(of, seconds.unwrap_or(lease.seconds), now.max(lease.heard));
                    true
                }
                None => false,
            },
            Input::Ended { of } => match self.leases.remove(&of) {
                Some(lease) => self.by_due.remove(&(lease.due, of)),
                None => false,
            },
        }
    }

    fn set(&mut self, of: RecordId, seconds: u32, heard: Moment) {
        let seconds = seconds.clamp(1, LONGEST_SECONDS);
        let due = self.after_silence(&of, seconds, heard);
        self.put(of, Lease { seconds, heard, due, overdue: false });
    }

    fn put(&mut self, of: RecordId, lease: Lease) {
        if let Some(old) = self.leases.insert(of, lease) {
            self.by_due.remove(&(old.due, of));
        }
        self.by_due.insert((lease.due, of));
    }

    /// Returns when a lease runs out that is silent from a moment on.
    fn after_silence(&self, of: &RecordId, seconds: u32, from: Moment) -> Moment {
        let length = u64::from(seconds) * 1_000;
        Moment(from.0.saturating_add(length + length / 10 + self.jitter(of, length)))
    }

    /// Spreads observers over a tenth of the lease, one second at least.
    fn jitter(&self, of: &RecordId, length: u64) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"octopoid/expire").update(of.as_bytes()).update(self.observer.as_bytes());
        let mut lot = [0; 8];
        hasher.finalize_xof().fill(&mut lot);
        u64::from_le_bytes(lot) % (length / 10).max(1_000)
    }

    /// Returns the leases that ran out, the longest silent first.
    #[must_use]
    pub fn due(&self, now: Moment) -> Vec<RecordId> {
        self.by_due.iter().take_while(|(due, _)| *due <= now).map(|(_, of)| *of).collect()
    }

    /// Returns when the next lease runs out.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Returns how many milliseconds of a lease are left as its holder counts them, 0 when it is overdue.
    #[must_use]
    pub fn remaining_ms(&self, of: &RecordId, now: Moment) -> Option<u64> {
        let lease = self.leases.get(of)?;
        Some((lease.heard.0 + u64::from(lease.seconds) * 1_000).saturating_sub(now.0))
    }

    /// Returns how many leases are timed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Tells whether no lease is timed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim(n: u8) -> RecordId {
        RecordId([n; 32])
    }

    #[test]
    fn a_lease_is_due_after_a_tenth_more_than_its_length_of_silence() {
        let mut timers = Timers::new(AuthorKey([1; 32]));
        timers.handle(Moment(1_000), Input::Opened { of: claim(1), seconds: 300 });
        assert!(timers.due(Moment(1_000 + 329_999)).is_empty());
        assert_eq!(timers.due(Moment(1_000 + 330_000 + 30_000)), vec![claim(1)]);
    }

    #[test]
    fn a_renewal_starts_the_silence_anew_and_an_end_stops_it() {
        let mut timers = Timers::new(AuthorKey([1; 32]));
        timers.handle(Moment(0), Input::Opened { of: claim(1), seconds: 10 });
        assert!(timers.handle(Moment(9_000), Input::Renewed { of: claim(1), seconds: None }));
        assert!(timers.due(Moment(9_000 + 10_999)).is_empty());
        assert_eq!(timers.remaining_ms(&claim(1), Moment(10_000)), Some(9_000));
        assert!(timers.handle(Moment(10_000), Input::Ended { of: claim(1) }));
        assert!(timers.due(Moment(u64::MAX)).is_empty());
        assert!(!timers.handle(Moment(11_000), Input::Renewed { of: claim(1), seconds: None }));
    }

    #[test]
    fn seeing_a_claim_again_does_not_lengthen_its_lease() {
        let mut timers = Timers::new(AuthorKey([1; 32]));
        timers.handle(Moment(0), Input::Opened { of: claim(1), seconds: 10 });
        timers.handle(Moment(8_000), Input::Opened { of: claim(1), seconds: 10 });
        assert_eq!(timers.remaining_ms(&claim(1), Moment(9_000)), Some(1_000));
    }

    #[test]
    fn what_ran_out_while_another_claim_went_first_is_due_as_soon_as_it_holds() {
        let mut timers = Timers::new(AuthorKey([1; 32]));
        timers.handle(Moment(0), Input::Opened { of: claim(1), seconds: 10 });
        assert_eq!(timers.due(Moment(13_000)), vec![claim(1)]);
        assert!(timers.handle(Moment(13_000), Input::Outranked { of: claim(1) }));
        assert!(timers.due(Moment(20_000)).is_empty(), "nothing can be written yet");
        assert_eq!(timers.due(Moment(30_000)), vec![claim(1)], "it is looked at again, in case it has ended");
        timers.handle(Moment(20_000), Input::Opened { of: claim(1), seconds: 10 });
        assert_eq!(timers.due(Moment(20_000)), vec![claim(1)]);
        timers.handle(Moment(20_001), Input::Renewed { of: claim(1), seconds: None });
        assert!(timers.due(Moment(30_000)).is_empty(), "its holder lives after all");
    }

    #[test]
    fn two_observers_do_not_expire_at_the_same_moment() {
        let due = |observer: u8| {
            let mut timers = Timers::new(AuthorKey([observer; 32]));
            timers.handle(Moment(0), Input::Opened { of: claim(7), seconds: 300 });
            timers.next_due()
        };
        assert_ne!(due(1), due(2));
    }

    proptest! {
        #[test]
        fn the_order_of_due_times_and_the_leases_agree(steps in prop::collection::vec((0u8..4, 0u8..4, 1u32..20), 1..60)) {
            let mut timers = Timers::new(AuthorKey([1; 32]));
            for (at, (kind, of, seconds)) in steps.into_iter().enumerate() {
                let of = claim(of);
                let input = match kind {
                    0 => Input::Opened { of, seconds },
                    1 => Input::Renewed { of, seconds: Some(seconds) },
                    2 => Input::Outranked { of },
                    _ => Input::Ended { of },
                };
                timers.handle(Moment(at as u64 * 700), input);
                prop_assert_eq!(timers.by_due.len(), timers.leases.len());
                for due in timers.due(Moment(at as u64 * 700)) {
                    prop_assert!(timers.leases[&due].heard.0 + u64::from(timers.leases[&due].seconds) * 1_100 <= at as u64 * 700);
                }
            }
        }
    }
}
