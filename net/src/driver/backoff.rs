//! How long to wait before the next dial.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Returns the pause after so many failures in a row: 0.2 s, doubled each time up to 30 s, a quarter more or less as `draw` says, so that
/// nodes that lost each other at one time do not come back at one time.
pub(super) fn pause(failures: u32, draw: u64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST);
    let share = (draw >> 11) as f64 / (1u64 << 53) as f64;
    doubled.mul_f64(0.75 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_fifth_of_a_second_to_half_a_minute_give_or_take_a_quarter() {
        let middle = u64::MAX / 2;
        let pauses: Vec<u128> = [0, 1, 2, 7, 8, 100].map(|failures| pause(failures, middle).as_millis()).to_vec();
        assert_eq!(pauses, [200, 400, 800, 25_600, 30_000, 30_000]);
        assert_eq!((pause(0, 0).as_millis(), pause(0, u64::MAX).as_millis()), (150, 250));
        assert_eq!((pause(99, 0).as_millis(), pause(99, u64::MAX).as_millis()), (22_500, 37_500));
    }
}
