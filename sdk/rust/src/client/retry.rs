//! When a call is tried again, and after how long.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use http::HeaderValue;

use crate::{error::ClientError, transport::TransportError};

/// The pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, also when the node asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once, by its nature or by its idempotency key.
    Always,
    /// Only when the first one surely did not arrive.
    Unsent,
}

/// Tells whether a failed try may be followed by another one.
pub(super) fn may_repeat(error: &ClientError, repeat: Repeat) -> bool {
    if is_unsent(error) {
        return true;
    }
    let passes = match error {
        ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => true,
        // Too busy, or whoever must answer cannot be reached.
        ClientError::Status { status, .. } | ClientError::Stranger { status, .. } => matches!(status, 429 | 502..=504),
        // It proves to be nobody the next time either.
        ClientError::Untrusted { .. }
        | ClientError::Decode { .. }
        | ClientError::Encode { .. }
        | ClientError::TooLarge { .. }
        | ClientError::BadId(_)
        | ClientError::BadToken
        | ClientError::NoNode
        | ClientError::Option { .. } => false,
    };
    passes && repeat == Repeat::Always
}

/// Tells whether a request surely did not arrive.
pub(super) fn is_unsent(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { source: TransportError::Unreachable(_) | TransportError::Nowhere(_), .. })
}

/// Returns how long to wait before try `next` (from 1), with a part by chance so that callers spread.
pub(super) fn pause(next: u32, asked: Option<Duration>) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_PAUSE);
    }
    let whole = FIRST_PAUSE.saturating_mul(1 << next.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    // Half of it, and some of the other half.
    whole.mul_f64(0.5 + 0.5 * f64::from(u8::try_from(chance() >> 56).unwrap_or_default()) / 255.0)
}

/// Reads how long an answer asks to wait.
pub(super) fn retry_after(value: Option<&HeaderValue>) -> Option<Duration> {
    value?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Makes up a key under which a node knows a repeated call again. It need not be hard to guess.
pub(super) fn idempotency_key() -> HeaderValue {
    HeaderValue::try_from(format!("sdk-{:016x}{:016x}", chance(), chance())).unwrap_or_else(|_| HeaderValue::from_static("sdk"))
}

/// Returns what the standard library seeds its tables with.
fn chance() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_follow_what_the_node_asks() {
        for (next, low, high) in [(1, 50, 100), (2, 100, 200), (3, 200, 400), (30, 2_500, 5_000)] {
            let taken = pause(next, None);
            assert!((Duration::from_millis(low)..=Duration::from_millis(high)).contains(&taken), "{next}: {taken:?}");
        }
        assert_eq!(pause(1, Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(pause(1, Some(Duration::from_secs(3_600))), LONGEST_PAUSE);
    }

    #[test]
    fn every_key_is_another() {
        assert_ne!(idempotency_key(), idempotency_key());
    }
}
