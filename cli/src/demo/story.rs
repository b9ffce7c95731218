//! Tells what happened to a task, from its audit trail.

use jiff::Timestamp;
use octopoid_client::HistoryEvent;

/// How much of a commit's id is told.
const SHORT: usize = 10;

/// Returns when the first of some events happened.
pub fn beginning<'e>(events: impl IntoIterator<Item = &'e HistoryEvent>) -> Option<Timestamp> {
    events.into_iter().filter_map(at).min()
}

/// Returns how many seconds after the beginning the last of some events happened.
pub fn length<'e>(events: impl IntoIterator<Item = &'e HistoryEvent>, beginning: Option<Timestamp>) -> f64 {
    let last = events.into_iter().filter_map(at).max();
    beginning.zip(last).map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64())
}

/// Tells what was recorded, one line each, with the seconds since the beginning.
///
/// What follows from several records, such as that a task waited for others, has no time of its own and no line.
pub fn tell(events: &[HistoryEvent], beginning: Option<Timestamp>) -> Vec<String> {
    lines(events, beginning, |_| String::new())
}

/// Tells it with the machine on which each thing happened.
pub fn tell_of_machines(events: &[HistoryEvent], beginning: Option<Timestamp>) -> Vec<String> {
    let width = events.iter().filter_map(|event| event.node.as_ref()).map(String::len).max().unwrap_or_default();
    lines(events, beginning, |event| format!("{:width$}  ", event.node.as_deref().unwrap_or_default()))
}

fn lines(events: &[HistoryEvent], beginning: Option<Timestamp>, place: impl Fn(&HistoryEvent) -> String) -> Vec<String> {
    let line = |event: &HistoryEvent| {
        let since = beginning.zip(at(event)).map_or(0.0, |(first, this)| this.duration_since(first).as_secs_f64());
        format!("{since:5.1} s  {}{}", place(event), sentence(event))
    };
    events.iter().filter(|event| event.record_id.is_some()).map(line).collect()
}

fn at(event: &HistoryEvent) -> Option<Timestamp> {
    event.timestamp.parse().ok()
}

fn sentence(event: &HistoryEvent) -> String {
    let agent = event.agent.as_deref().unwrap_or("octopoid");
    let details = event.details.as_deref().unwrap_or_default();
    let with = |text: String| if details.is_empty() { text } else { format!("{text}: {details}") };
    match event.event.as_str() {
        "created" => "queued".to_owned(),
        // Each claim raises the epoch by one, so it counts the attempts.
        "claimed" => format!("{agent} starts attempt {}", details.trim_start_matches("epoch ")),
        "submitted" => with("submitted".to_owned()),
        "review_claimed" => format!("{agent} reviews"),
        "accepted" => with(format!("accepted by {agent}")),
        "rejected" => with(format!("rejected by {agent}")),
        "archived" => shortened(details),
        "requeued" => with("back in the queue".to_owned()),
        "superseded" => with("gives way".to_owned()),
        other => with(format!("{other} ({agent})")),
    }
}

/// Cuts the commit that a merge is told with.
fn shortened(details: &str) -> String {
    match details.strip_prefix("merged as ") {
        Some(commit) => format!("merged to main as {}", commit.chars().take(SHORT).collect::<String>()),
        None => details.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, agent: Option<&str>, details: Option<&str>, second: u32) -> HistoryEvent {
        HistoryEvent {
            event: event.to_owned(),
            agent: agent.map(str::to_owned),
            details: details.map(str::to_owned),
            timestamp: format!("2026-03-01T12:00:{second:02}.500Z"),
            record_id: Some("0a".to_owned()),
            ..HistoryEvent::default()
        }
    }

    #[test]
    fn a_story_says_who_did_what_and_when() {
        let events = [
            event("created", None, None, 0),
            event("claimed", Some("fixer"), Some("epoch 1"), 1),
            event("rejected", Some("reviewer"), Some("not ok  words"), 2),
            HistoryEvent { record_id: None, ..event("unblocked", None, Some("fix-1 ended"), 3) },
            event("archived", None, Some("merged as 0123456789abcdef"), 12),
        ];
        let start = beginning(&events);
        assert_eq!(
            tell(&events, start),
            [
                "  0.0 s  queued",
                "  1.0 s  fixer starts attempt 1",
                "  2.0 s  rejected by reviewer: not ok  words",
                " 12.0 s  merged to main as 0123456789",
            ]
        );
        assert!((length(&events, start) - 12.0).abs() < 1e-6);
    }

    #[test]
    fn a_story_of_several_machines_says_where() {
        let at = |node: &str, event: HistoryEvent| HistoryEvent { node: Some(node.to_owned()), ..event };
        let events = [
            at("laptop", event("claimed", Some("fixer"), Some("epoch 1"), 0)),
            at("desk", event("superseded", None, Some("another goes first"), 1)),
        ];
        let told = tell_of_machines(&events, beginning(&events));
        assert_eq!(told, ["  0.0 s  laptop  fixer starts attempt 1", "  1.0 s  desk    gives way: another goes first"]);
    }

    #[test]
    fn an_event_that_is_not_known_here_is_told_all_the_same() {
        assert_eq!(sentence(&event("lease_expired", None, Some("silent"), 0)), "lease_expired (octopoid): silent");
    }
}
