//! `octopoid status`

use std::time::Duration;

use jiff::Timestamp;
use octopoid_client::{NodeStatus, Task};

use super::{agents, peers};
use crate::{
    clean,
    connection::{Connection, find_project},
    failure::Failure,
    live::{self, LiveTable},
    output::{Output, Tone},
    when,
};

/// How often a watched status is read.
const GLANCE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid status\n  octopoid status --watch")]
pub struct Args {
    /// Go on until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    if args.watch {
        let mut table = LiveTable::of_process(output);
        loop {
            // Opened anew each time: without a node, holding the store would keep it from everybody else.
            table.show(&Connection::to(layout.clone()).await?.client.node_status().await?);
            tokio::time::sleep(GLANCE).await;
        }
    }
    let connection = Connection::to(layout).await?;
    let status = connection.client.node_status().await?;
    if output.json() {
        return Ok(output.value(&status)?);
    }
    for line in lines(&status, connection.node.is_some(), Timestamp::now(), output) {
        output.line(line)?;
    }
    for warning in &status.warnings {
        output.warn(clean::line(warning));
    }
    Ok(())
}

/// The whole status, one line for each thing that a user asks about.
fn lines(status: &NodeStatus, runs: bool, now: Timestamp, output: Output) -> Vec<String> {
    let mut lines = vec![node_line(status, runs)];
    if status.paused {
        lines.push(output.paint(Tone::Warn, "paused: octopoid resume"));
    }
    lines.extend(cluster_lines(status, output));
    lines.push(live::queue_line(status, |tone, text| output.paint(tone, text)));
    if status.agents.is_empty() {
        lines.push("no agents: add some to .octopoid/agents.yaml".to_owned());
    } else {
        lines.extend(agents::table(&status.agents, now).lines(output.width()));
    }
    if status.cost_usd > 0.0 {
        lines.push(format!("cost so far: ${:.2}", status.cost_usd));
    }
    lines.extend(retries(status, now));
    lines.extend(asks(status).into_iter().map(|line| output.paint(Tone::Warn, &line)));
    lines
}

fn node_line(status: &NodeStatus, runs: bool) -> String {
    let node = &status.node;
    let name = clean::line(&node.machine_id);
    match (&node.api_url, node.pid) {
        (Some(url), Some(pid)) if runs => format!("{} mode, node {name} at {url} (process {pid}, version {})", status.mode, node.version),
        _ => format!("{} mode, node {name} does not run: octopoid start", status.mode),
    }
}

/// The cluster: its members, and what is not with them yet.
fn cluster_lines(status: &NodeStatus, output: Output) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(name) = &status.cluster {
        let authority = status.authority.as_ref().map(|name| format!(", authority {}", clean::line(name))).unwrap_or_default();
        lines.push(format!("cluster {}, {} other members{authority}", clean::line(name), status.members.len()));
    }
    if !status.members.is_empty() {
        lines.extend(peers::table(&status.members).lines(output.width()));
    }
    if status.offline {
        let told = if status.kept_offline { ", as it was told to: octopoid cluster online" } else { "" };
        lines.push(output.paint(Tone::Warn, &format!("⚠️  Working offline{told}")));
    }
    if status.pending_sync > 0 && !status.members.is_empty() {
        lines.push(format!(
            "Pending sync: {} {}",
            status.pending_sync,
            plural(usize::try_from(status.pending_sync).unwrap_or(usize::MAX), "operation", "operations")
        ));
    }
    if status.join_requests > 0 {
        lines.push(output.paint(Tone::Warn, "a machine asks to join: octopoid peers"));
    }
    lines
}

/// What waits by itself after a failed attempt, and until when.
fn retries(status: &NodeStatus, now: Timestamp) -> Option<String> {
    let first = status.retrying.first()?;
    let next = when::relative(&first.retry_at, now);
    Some(clean::line(&match status.retrying.len() {
        1 => format!("{} failed, the next attempt is {next}", first.task_id),
        count => format!("{count} failed, the next attempt is {next} ({})", first.task_id),
    }))
}

/// What a person is asked to do, each line with the command for it.
fn asks(status: &NodeStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(first) = status.waiting_for_review.first() {
        let id = if status.waiting_for_review.len() == 1 { first } else { "ID" };
        lines.push(format!(
            "{} {}: octopoid accept {id}",
            status.waiting_for_review.len(),
            plural(status.waiting_for_review.len(), "waits for your review", "wait for your review")
        ));
    }
    lines.extend(status.awaiting_merge.iter().map(|task| {
        // What another machine merges, or is told with its command, needs none from here.
        let told = task.reason.ends_with(Task::MERGED_ELSEWHERE) || task.reason.contains("octopoid merge");
        let command = if told { String::new() } else { format!(": octopoid merge {}", task.task_id) };
        clean::line(&format!("{} awaits merging ({}){command}", task.task_id, task.reason))
    }));
    if let Some(first) = status.needs_intervention.first() {
        let id = if status.needs_intervention.len() == 1 { first } else { "ID" };
        lines.push(format!(
            "{} {}: octopoid show {id}",
            status.needs_intervention.len(),
            plural(status.needs_intervention.len(), "needs you", "need you")
        ));
    }
    if status.conflicts > 0 {
        let count = usize::try_from(status.conflicts).unwrap_or(usize::MAX);
        lines.push(format!("{count} {} to look at: octopoid conflicts", plural(count, "conflict", "conflicts")));
    }
    lines
}

fn plural<'t>(count: usize, one: &'t str, many: &'t str) -> &'t str {
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use octopoid_client::{AwaitingMerge, NodeInfo, Retrying};

    use super::*;

    fn status() -> NodeStatus {
        NodeStatus {
            mode: "local".to_owned(),
            node: NodeInfo {
                machine_id: "mac-studio".to_owned(),
                api_url: Some("http://127.0.0.1:8787".to_owned()),
                pid: Some(42),
                version: "0.1.0".to_owned(),
                ..NodeInfo::default()
            },
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_status_tells_the_mode_the_node_and_its_address() {
        assert_eq!(node_line(&status(), true), "local mode, node mac-studio at http://127.0.0.1:8787 (process 42, version 0.1.0)");
        assert_eq!(node_line(&status(), false), "local mode, node mac-studio does not run: octopoid start");
    }

    #[test]
    fn a_wait_after_a_failed_attempt_is_told_with_its_end() {
        let now = "2026-03-01T12:00:00Z".parse().expect("time");
        let retrying = |id: &str, at: &str| Retrying { task_id: id.to_owned(), retry_at: at.to_owned() };
        let mut status = NodeStatus { retrying: vec![retrying("a", "2026-03-01T12:00:30Z")], ..status() };
        assert_eq!(retries(&status, now).as_deref(), Some("a failed, the next attempt is in 30 s"));
        status.retrying.push(retrying("b", "2026-03-01T12:10:00Z"));
        assert_eq!(retries(&status, now).as_deref(), Some("2 failed, the next attempt is in 30 s (a)"));
        assert_eq!(retries(&NodeStatus::default(), now), None);
    }

    #[test]
    fn what_another_machine_merges_names_no_command_that_would_be_refused_here() {
        let waits = |reason: &str| {
            let awaiting_merge = vec![AwaitingMerge { task_id: "c".to_owned(), reason: reason.to_owned() }];
            asks(&NodeStatus { awaiting_merge, ..status() })
        };
        let reason = format!("'office' is this cluster's integrator {}", Task::MERGED_ELSEWHERE);
        assert_eq!(waits(&reason), [format!("c awaits merging ({reason})")]);
        let told = "repo.merge is never: `octopoid merge c` on 'office', this cluster's integrator, merges it";
        assert_eq!(waits(told), [format!("c awaits merging ({told})")]);
    }

    #[test]
    fn what_waits_for_a_person_names_the_command() {
        let status = NodeStatus {
            waiting_for_review: vec!["a".to_owned(), "b".to_owned()],
            awaiting_merge: vec![AwaitingMerge { task_id: "c".to_owned(), reason: "a file is in the way".to_owned() }],
            needs_intervention: vec!["d".to_owned()],
            conflicts: 2,
            ..status()
        };
        assert_eq!(
            asks(&status),
            [
                "2 wait for your review: octopoid accept ID",
                "c awaits merging (a file is in the way): octopoid merge c",
                "1 needs you: octopoid show d",
                "2 conflicts to look at: octopoid conflicts",
            ]
        );
        assert!(asks(&NodeStatus::default()).is_empty());
    }
}
