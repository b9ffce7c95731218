//! Times for people: how long ago, how long until.

use jiff::{SignedDuration, Timestamp};

/// Tells a time relative to now, such as `5 min ago` or `in 2 h`; what is no time stays as it is.
pub fn relative(text: &str, now: Timestamp) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    let gap = now.duration_since(time);
    match gap.as_secs() {
        0..=4 => "just now".to_owned(),
        -4..=-1 => "now".to_owned(),
        seconds if seconds > 0 => format!("{} ago", span(gap)),
        _ => format!("in {}", span(gap.abs())),
    }
}

/// Tells a duration in its one or two largest units.
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=35_999 => match (seconds / 3_600, seconds % 3_600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
        36_000..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_distance() {
        let now: Timestamp = "2026-03-01T12:00:00.000Z".parse().expect("time");
        for (time, expected) in [
            ("2026-03-01T11:59:58.500Z", "just now"),
            ("2026-03-01T12:00:02Z", "now"),
            ("2026-03-01T11:59:15Z", "45 s ago"),
            ("2026-03-01T11:01:00Z", "59 min ago"),
            ("2026-03-01T09:55:00Z", "2 h 5 min ago"),
            ("2026-03-01T08:00:00Z", "4 h ago"),
            ("2026-02-28T12:00:00Z", "24 h ago"),
            ("2026-02-20T12:00:00Z", "9 days ago"),
            ("2026-03-01T12:10:00Z", "in 10 min"),
            ("soon", "soon"),
        ] {
            assert_eq!(relative(time, now), expected, "{time}");
        }
    }
}
