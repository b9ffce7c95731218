//! `octopoid demo`

use crate::{clean, failure::Failure, live::LiveTable, node_bridge, output::Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid demo --keep")]
pub struct Args {
    /// Keep the scratch folder.
    #[arg(long)]
    keep: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let mut table = LiveTable::of_process(output);
    let outcome = node_bridge::demo(args.keep, |status| table.show(status)).await;
    table.finish();
    let report = outcome?;
    if output.json() {
        output.value(&report)?;
    } else {
        for task in &report.tasks {
            output.line(format!("{} ({}): {}", clean::line(&task.title), task.id, task.queue))?;
            for line in &task.story {
                output.line(format!("  {}", clean::line(line)))?;
            }
        }
        if args.keep {
            output.line(format!("The repository is kept at {}", report.repository.display()))?;
        }
    }
    if report.ok { Ok(()) } else { Err(Failure::DemoFailed) }
}
