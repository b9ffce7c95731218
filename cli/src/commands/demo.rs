//! `octopoid demo`

use crate::{
    clean,
    demo::{self, Report},
    failure::Failure,
    live::LiveTable,
    output::{Output, OutputError, Tone, queue_tone},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid demo --keep")]
pub struct Args {
    /// Keep the scratch folder.
    #[arg(long)]
    keep: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
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

/// Tells what happened to each task, what was checked, and where to look.
fn tell(report: &Report, output: Output) -> Result<(), OutputError> {
    for task in &report.tasks {
        let queue = output.paint(queue_tone(&task.queue), &clean::line(&task.queue));
        output.line(format!("\n{} ({}): {queue}", clean::line(&task.title), clean::line(&task.id)))?;
        for line in &task.story {
            output.line(format!("  {}", clean::line(line)))?;
        }
    }
    output.line("\nThe history of main")?;
    for line in &report.graph {
        output.line(format!("  {}", clean::text(line)))?;
    }
    output.line("\nChecks")?;
    for check in &report.checks {
        match &check.problem {
            None => output.line(format!("  {}  {}", output.paint(Tone::Good, "ok    "), check.what))?,
            Some(problem) => {
                output.line(format!("  {}  {}: {}", output.paint(Tone::Bad, "not ok"), check.what, clean::text(problem)))?;
            }
        }
    }
    output.line(format!("\n{} tasks in {:.1} s", report.tasks.len(), report.seconds))?;
    if report.kept {
        let repository = report.repository.display();
        output.line(format!("The repository is kept: cd {repository} && octopoid list"))?;
        output.line(format!("What the agents were told and printed: {repository}/.octopoid/logs/tasks/"))
    } else {
        output.line("octopoid demo --keep keeps the repository, with every prompt and log, to look around in")
    }
}
