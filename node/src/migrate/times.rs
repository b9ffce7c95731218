//! Times as other systems wrote them.
//!
//! `2025-01-31 12:00:00` is UTC, as SQLite writes it; `2025-01-31T12:00:00` is the local time of the machine that wrote it;
//! `Z` and offsets mean what they say.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Unit};

/// In which zone a machine's local times are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// States that a text is no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time zone: use a name such as Europe/Berlin, an offset such as +02:00, or UTC")]
pub struct ZoneError(String);

impl Zone {
    /// Times are in UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Returns this machine's zone; UTC where it has none.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// Returns the zone's name, or how far it is from UTC now.
    #[must_use]
    pub fn name(&self) -> String {
        match self.0.iana_name() {
            Some(name) => name.to_owned(),
            None => self.0.to_offset(Timestamp::now()).to_string(),
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let wrong = || ZoneError(text.chars().filter(|c| !c.is_control()).take(60).collect());
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Ok(Self::UTC);
        }
        if text.starts_with(['+', '-']) {
            return offset(text).map(|offset| Self(TimeZone::fixed(offset))).ok_or_else(wrong);
        }
        TimeZone::get(text).map(Self).map_err(|_| wrong())
    }
}

/// Reads `+02`, `+0200` and `+02:00`, `-05:30:15` too.
fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    if hours > 25 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60 + seconds;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

/// Reads a time in milliseconds since 1970; none for what is no time, or before 1970.
pub(super) fn parse(text: &str, zone: &Zone) -> Option<u64> {
    let text = text.trim();
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0))).ok()?;
            let zone = if text.contains(' ') { &TimeZone::UTC } else { &zone.0 };
            // An hour that comes twice is the first of the two, one that is left out the one after it.
            zone.to_ambiguous_timestamp(civil).compatible().ok()?
        }
    };
    u64::try_from(time.as_millisecond()).ok()
}

/// Writes a time in milliseconds since 1970 as the API does.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_means_utc_and_a_t_means_the_machines_zone() {
        let berlin: Zone = "+02:00".parse().expect("a zone");
        for (text, meant) in [
            ("2025-06-01 12:00:00", "2025-06-01T12:00:00.000Z"),
            ("2025-06-01 12:00:00.250", "2025-06-01T12:00:00.250Z"),
            ("2025-06-01T12:00:00", "2025-06-01T10:00:00.000Z"),
            ("2025-06-01T12:00:00.123456", "2025-06-01T10:00:00.123Z"),
            ("2025-06-01T12:00:00Z", "2025-06-01T12:00:00.000Z"),
            ("2025-06-01T12:00:00+05:30", "2025-06-01T06:30:00.000Z"),
            ("2025-06-01 12:00:00+02:00", "2025-06-01T10:00:00.000Z"),
            (" 2025-06-01T12:00:00Z\n", "2025-06-01T12:00:00.000Z"),
        ] {
            assert_eq!(parse(text, &berlin).map(rfc3339).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "soon", "5", "1969-12-31T23:59:59Z", "2025-13-01 00:00:00", "2025-06-01T12:00:00+99:99"] {
            assert_eq!(parse(text, &Zone::UTC), None, "{text}");
        }
    }

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        for (text, at_noon) in [("UTC", "12:00"), ("+02:00", "10:00"), ("-0530", "17:30"), ("+01", "11:00")] {
            let zone: Zone = text.parse().unwrap_or_else(|error| panic!("{error}"));
            let ms = parse("2025-01-01T12:00:00", &zone).expect("a time");
            assert!(rfc3339(ms).contains(at_noon), "{text}: {}", rfc3339(ms));
        }
        for text in ["", "Middle/Earth", "+2", "+99:00", "+02:61", "+ü2", "local"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }
}
