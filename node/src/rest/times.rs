//! Times as the contract writes and reads them: RFC 3339, UTC, milliseconds, `Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use crate::ops::Refused;

/// Returns this machine's time in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Writes a time; one beyond the year 9999, which only a broken clock writes, is shown as the last moment before it.
pub(super) fn rfc3339(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}

/// Writes the present time.
pub(super) fn now() -> String {
    rfc3339(now_ms())
}

/// Reads a time that a client supplies for a field. A time without an offset is UTC, as the first servers wrote it.
pub(super) fn parse(field: &str, text: &str) -> Result<u64, Refused> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        Refused::field(field, format!("'{shown}' is not a time such as 2026-01-31T12:00:00.000Z"))
    };
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let civil: DateTime = text.parse().map_err(|_| wrong())?;
            civil.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp()
        }
    };
    u64::try_from(time.as_millisecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_z() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert!(rfc3339(u64::MAX).ends_with('Z'));
    }

    #[test]
    fn times_of_clients_are_normalised_to_utc() {
        for text in ["2023-11-14T22:13:20.123Z", "2023-11-14T23:13:20.123+01:00", "2023-11-14 22:13:20.123", "2023-11-14T22:13:20.123"] {
            assert_eq!(parse("t", text).map(rfc3339), Ok("2023-11-14T22:13:20.123Z".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_by_name_of_its_field() {
        for text in ["", "soon", "5", "2023-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "2023-11-14T22:13:20.123Z; rm"] {
            let error = parse("last_rebase_attempt_at", text).expect_err(text);
            assert!(error.to_string().starts_with("last_rebase_attempt_at: "), "{error}");
        }
    }
}
