//! `octopoid demo`

use crate::{
    clean,
    demo::{
        self, Check, Report, TaskReport,
        cluster::{self, ClusterReport, Lost},
    },
    failure::Failure,
    live::{ClusterTable, LiveTable},
    output::{Output, OutputError, Tone, queue_tone},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid demo --keep\n  octopoid demo --cluster")]
pub struct Args {
    /// Keep the scratch folder.
    #[arg(long)]
    keep: bool,
    /// Play a cluster: three machines, of which one is cut off in the middle.
    #[arg(long)]
    cluster: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    if args.cluster {
        return machines(args, output).await;
    }
    if !output.json() {
        output.note("A node starts in a scratch repository. Shell scripts play its agents; everything else is real.");
    }
    let mut table = LiveTable::of_process(output);
    let outcome = demo::play(args.keep, |status| table.show(status)).await;
    table.finish();
    let report = outcome?;
    if output.json() {
        output.value(&report)?;
    } else {
        tell(&report, output)?;
    }
    if report.ok { Ok(()) } else { Err(Failure::DemoFailed { repository: report.repository }) }
}

async fn machines(args: &Args, output: Output) -> Result<(), Failure> {
    if !output.json() {
        let names = cluster::NAMES.join(", ");
        output.note(format!("Three nodes start on this machine: {names}. Shell scripts play their agents; everything else is real."));
    }
    let mut table = ClusterTable::of_process(output);
    let outcome = cluster::play(args.keep, |glance| table.show(glance)).await;
    table.finish();
    let report = outcome?;
    if output.json() {
        output.value(&report)?;
    } else {
        tell_of_machines(&report, output)?;
    }
    let looked_at = report.machines.first().map_or(report.repository, |machine| machine.repository.clone());
    if report.ok { Ok(()) } else { Err(Failure::DemoFailed { repository: looked_at }) }
}

/// Tells what happened to each task, what was checked, and where to look.
fn tell(report: &Report, output: Output) -> Result<(), OutputError> {
    stories(&report.tasks, output)?;
    graph("The history of main", &report.graph, output)?;
    checks(&report.checks, output)?;
    output.line(format!("\n{} tasks in {:.1} s", report.tasks.len(), report.seconds))?;
    if report.kept {
        let repository = report.repository.display();
        output.line(format!("The repository is kept: cd {repository} && octopoid list"))?;
        output.line(format!("What the agents were told and printed: {repository}/.octopoid/logs/tasks/"))
    } else {
        output.line("octopoid demo --keep keeps the repository, with every prompt and log, to look around in")
    }
}

/// Tells the same of several machines, and what lost when they met again.
fn tell_of_machines(report: &ClusterReport, output: Output) -> Result<(), OutputError> {
    stories(&report.tasks, output)?;
    graph("The history of main in the shared repository", &report.graph, output)?;
    output.line("\nWhat lost")?;
    for lost in &report.lost {
        for line in lost_lines(lost) {
            output.line(format!("  {}", clean::indented(&line)))?;
        }
    }
    checks(&report.checks, output)?;
    output.line(format!("\n{} tasks on {} machines in {:.1} s", report.tasks.len(), report.machines.len(), report.seconds))?;
    if report.kept {
        output.line("The machines are kept:")?;
        for machine in &report.machines {
            output.line(format!("  {:<7} cd {} && octopoid conflicts", machine.name, machine.repository.display()))?;
        }
        Ok(())
    } else {
        output.line("octopoid demo --cluster --keep keeps the machines to look around in: octopoid conflicts lists there what lost")
    }
}

/// One attempt that lost, and where its work is.
fn lost_lines(lost: &Lost) -> Vec<String> {
    let end = if lost.stopped { "was stopped" } else { "went on" };
    let winner = lost.winner.as_deref().unwrap_or("another one");
    let kept = match &lost.commit {
        Some(commit) => format!("    its work is kept: branch {} on {}, at {commit:.10}", lost.branch, lost.machine),
        None => format!("    its branch {} is gone from {}", lost.branch, lost.machine),
    };
    vec![
        format!("{}: attempt {} by {} on {} lost against {winner} and {end}", lost.task, lost.attempt, lost.agent, lost.machine),
        kept,
        format!("    look at it on any machine: octopoid conflicts show {}", lost.task),
    ]
}

fn stories(tasks: &[TaskReport], output: Output) -> Result<(), OutputError> {
    for task in tasks {
        let queue = output.paint(queue_tone(&task.queue), &clean::line(&task.queue));
        output.line(format!("\n{} ({}): {queue}", clean::line(&task.title), clean::line(&task.id)))?;
        for line in &task.story {
            output.line(format!("  {}", clean::line(line)))?;
        }
    }
    Ok(())
}

fn graph(title: &str, graph: &[String], output: Output) -> Result<(), OutputError> {
    output.line(format!("\n{title}"))?;
    graph.iter().try_for_each(|line| output.line(format!("  {}", clean::text(line))))
}

fn checks(checks: &[Check], output: Output) -> Result<(), OutputError> {
    output.line("\nChecks")?;
    for check in checks {
        match &check.problem {
            None => output.line(format!("  {}  {}", output.paint(Tone::Good, "ok    "), check.what))?,
            Some(problem) => {
                output.line(format!("  {}  {}: {}", output.paint(Tone::Bad, "not ok"), check.what, clean::text(problem)))?;
            }
        }
    }
    Ok(())
}
