//! `octopoid show`

use jiff::Timestamp;
use octopoid_client::{AttemptInfo, HistoryEvent, Task};

use super::TaskArg;
use crate::{
    clean,
    connection::Connection,
    failure::Failure,
    output::{Output, queue_tone},
    table::Table,
    when,
};

/// How much of the beginning and the end of a long history is shown.
const FIRST: usize = 2;
const RECENT: usize = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid show add-user-auth")]
pub struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// Show a long history whole.
    #[arg(long)]
    all: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let task = connection.client.task(&id).await.map_err(Failure::about(&id))?;
    if output.json() {
        return Ok(output.value(&task)?);
    }
    let attempts = connection.client.attempts(&id).await.map_err(Failure::about(&id))?.attempts;
    let history = connection.client.history(&id).await.map_err(Failure::about(&id))?.history;
    let now = Timestamp::now();
    output.line(format!("{}  {}", task.id, clean::line(&task.title)))?;
    for (name, value) in facts(&task, &attempts, now) {
        let value = clean::line(&value);
        let value = if name == "queue" { output.paint(queue_tone(&task.queue), &value) } else { value };
        output.line(format!("  {name:<12} {value}"))?;
    }
    if let Some(content) = task.content.as_deref().filter(|content| !content.trim().is_empty()) {
        output.line("")?;
        output.line(clean::text(content.trim_end()))?;
    }
    tell_attempts(output, &attempts, now)?;
    if !history.is_empty() {
        output.line("")?;
        output.table(&events(&history, args.all, &id, now))?;
    }
    Ok(())
}

/// Everything that is set, by the names that a person would use.
fn facts(task: &Task, attempts: &[AttemptInfo], now: Timestamp) -> Vec<(&'static str, String)> {
    let ago = |time: &Option<String>| time.as_deref().map(|time| when::relative(time, now));
    let mut facts = vec![("queue", queue(task, now)), ("priority", task.priority.clone())];
    let flag = |set: bool, text: &str| set.then(|| text.to_owned());
    let optional = [
        ("role", task.role.clone()),
        ("type", task.kind.clone()),
        ("complexity", task.complexity.clone()),
        ("project", task.project_id.clone()),
        ("branch", Some(task.branch.clone())),
        ("blocked by", task.blocked_by.clone().map(|ids| ids.replace(',', ", "))),
        ("attention", flag(task.needs_intervention, "a person is asked for")),
        ("contested", flag(task.contested, "more than one attempt was accepted")),
        ("next try", ago(&task.retry_at)),
        ("counts", counts(task, attempts)),
        ("pull request", task.pr_url.clone()),
        ("merged as", task.merged_commit.clone()),
        ("not merged", task.awaiting_merge.clone()),
        ("created", ago(&Some(task.created_at.clone()))),
        ("submitted", ago(&task.submitted_at)),
        ("completed", ago(&task.completed_at)),
        ("notes", task.execution_notes.clone()),
    ];
    facts.extend(optional.into_iter().filter_map(|(name, value)| value.filter(|value| !value.is_empty()).map(|value| (name, value))));
    facts
}

/// Tells how often something went wrong, apart from how often somebody sent the task back by hand: `attempt_count` is both.
fn counts(task: &Task, attempts: &[AttemptInfo]) -> Option<String> {
    let failed = attempts.iter().filter(|attempt| attempt.state == AttemptInfo::FAILED).count() as u64;
    let requeued = task.attempt_count.saturating_sub(failed);
    let told = [("failed", failed), ("rejected", task.rejection_count), ("requeued", requeued)].into_iter().filter_map(|(what, count)| {
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        (count > 0).then(|| format!("{what} {times}"))
    });
    Some(told.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

fn queue(task: &Task, now: Timestamp) -> String {
    let mut text = task.queue.clone();
    if let Some(agent) = &task.claimed_by {
        text.push_str(&format!(", held by {agent}"));
        if let Some(node) = &task.holder {
            text.push_str(&format!(" on {node}"));
        }
        if let Some(until) = &task.lease_expires_at {
            text.push_str(&format!(", lease ends {}", when::relative(until, now)));
        }
    }
    text
}

fn tell_attempts(output: Output, attempts: &[AttemptInfo], now: Timestamp) -> Result<(), Failure> {
    if attempts.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let mut table = Table::new(&["ATTEMPT", "STATE", "AGENT", "NODE", "CLAIMED", "COMMITS", "TURNS", "COST", "REASON"]);
    for attempt in attempts {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        table.row([
            attempt.attempt.clone(),
            attempt.state.clone(),
            attempt.agent.clone().unwrap_or_else(|| "-".to_owned()),
            attempt.node.clone().unwrap_or_else(|| "-".to_owned()),
            when::relative(&attempt.claimed_at, now),
            number(attempt.commits_count),
            number(attempt.turns_used),
            attempt.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.2}")),
            attempt.reason.clone().unwrap_or_default(),
        ]);
    }
    Ok(output.table(&table)?)
}

/// What happened; of a long history the beginning and the end, with a line that says what is left out.
fn events(history: &[HistoryEvent], all: bool, id: &str, now: Timestamp) -> Table {
    let mut table = Table::new(&["WHEN", "EVENT", "BY", "DETAILS"]);
    let left_out = if all { 0 } else { history.len().saturating_sub(FIRST + RECENT) };
    for (number, event) in history.iter().enumerate() {
        if number == FIRST && left_out > 0 {
            table.row(["…", "…", "", &format!("{left_out} more: octopoid show {id} --all")]);
        }
        if (FIRST..FIRST + left_out).contains(&number) {
            continue;
        }
        table.row([
            when::relative(&event.timestamp, now).as_str(),
            &event.event,
            event.agent.as_deref().or(event.node.as_deref()).unwrap_or("-"),
            event.details.as_deref().unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_shown() {
        let now = "2026-03-01T12:00:00Z".parse().expect("time");
        let task = Task {
            queue: "claimed".to_owned(),
            priority: "P1".to_owned(),
            branch: "main".to_owned(),
            claimed_by: Some("implementer-1".to_owned()),
            holder: Some("mac-studio".to_owned()),
            lease_expires_at: Some("2026-03-01T12:03:00Z".to_owned()),
            created_at: "2026-03-01T10:00:00Z".to_owned(),
            ..Task::default()
        };
        let expected = [
            ("queue", "claimed, held by implementer-1 on mac-studio, lease ends in 3 min"),
            ("priority", "P1"),
            ("branch", "main"),
            ("created", "2 h ago"),
        ];
        assert_eq!(facts(&task, &[], now), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn what_failed_is_told_apart_from_what_somebody_sent_back() {
        let attempt = |state: &str| AttemptInfo { state: state.to_owned(), ..AttemptInfo::default() };
        let attempts = [attempt(AttemptInfo::FAILED), attempt("rejected"), attempt("moved"), attempt("claimed")];
        let task = |attempt_count, rejection_count| Task { attempt_count, rejection_count, ..Task::default() };
        assert_eq!(counts(&task(3, 1), &attempts).as_deref(), Some("failed once, rejected once, requeued 2 times"));
        assert_eq!(counts(&task(1, 0), &attempts).as_deref(), Some("failed once"));
        assert_eq!(counts(&task(2, 0), &[]).as_deref(), Some("requeued 2 times"));
        assert_eq!(counts(&task(0, 0), &[]), None);
    }

    #[test]
    fn a_long_history_shows_both_ends_and_says_what_is_left_out() {
        let now = "2026-03-01T12:00:00Z".parse().expect("time");
        let event = |number| HistoryEvent { event: format!("event-{number}"), ..HistoryEvent::default() };
        let history: Vec<_> = (0..15).map(event).collect();
        let lines = events(&history, false, "fix-1", now).lines(None);
        assert_eq!(lines.len(), 1 + FIRST + 1 + RECENT, "{lines:#?}");
        assert!(lines[1].contains("event-0") && lines[2].contains("event-1") && lines[4].contains("event-5"), "{lines:#?}");
        assert!(lines[3].contains("3 more: octopoid show fix-1 --all"), "{lines:#?}");
        assert!(lines.last().is_some_and(|line| line.contains("event-14")));
        assert_eq!(events(&history, true, "fix-1", now).lines(None).len(), 16);
        assert_eq!(events(&history[..12], false, "fix-1", now).lines(None).len(), 13);
    }
}
