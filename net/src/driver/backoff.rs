//! How long to wait before the next dial.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
/// The longest pause before a peer elsewhere is dialed.
const FAR: Duration = Duration::from_secs(30);
/// The longest pause before a peer on this node's own network is dialed: one that was cut off is to be back within seconds of the cable, and
/// the packet that this costs does not leave that network.
const NEAR: Duration = Duration::from_secs(2);

/// Returns the pause after so many failures in a row: 0.2 s, doubled each time up to 30 s, or 2 s for a peer that is `near`, a quarter more
/// or less as `draw` says, so that nodes that lost each other at one time do not come back at one time.
pub(super) fn pause(failures: u32, near: bool, draw: u64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << failures.min(10)).min(if near { NEAR } else { FAR });
    let share = (draw >> 11) as f64 / (1u64 << 53) as f64;
    doubled.mul_f64(0.75 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_fifth_of_a_second_to_half_a_minute_give_or_take_a_quarter() {
        let middle = u64::MAX / 2;
        let pauses: Vec<u128> = [0, 1, 2, 7, 8, 100].map(|failures| pause(failures, false, middle).as_millis()).to_vec();
        assert_eq!(pauses, [200, 400, 800, 25_600, 30_000, 30_000]);
        assert_eq!((pause(0, false, 0).as_millis(), pause(0, false, u64::MAX).as_millis()), (150, 250));
        assert_eq!((pause(99, false, 0).as_millis(), pause(99, false, u64::MAX).as_millis()), (22_500, 37_500));
    }

    #[test]
    fn a_peer_on_the_same_network_is_dialed_every_few_seconds_however_long_it_is_away() {
        let pauses: Vec<u128> = [0, 2, 4, 100].map(|failures| pause(failures, true, u64::MAX / 2).as_millis()).to_vec();
        assert_eq!(pauses, [200, 800, 2_000, 2_000]);
    }
}
