//! `octopoid doctor`

use std::time::Duration;

use crate::{clean, connection::Connection, failure::Failure, output::Output};

/// A look through a million tasks takes its time.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid doctor --rebuild")]
pub struct Args {
    /// Make the views anew from the records.
    #[arg(long)]
    rebuild: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let report = connection.client.with_timeout(PATIENCE).doctor(args.rebuild).await?;
    if output.json() {
        output.value(&report)?;
    } else {
        for problem in &report.problems {
            output.line(clean::line(problem))?;
        }
        let rebuilt = if report.rebuilt { ", views rebuilt" } else { "" };
        let verdict = if report.ok { "no problems" } else { "problems found" };
        output.line(format!("{verdict}: {} records, {} tasks{rebuilt}", report.records, report.tasks))?;
        if let Some(backup) = &report.backup {
            output.note(format!("the store as it was is kept as {backup}; remove it when all is well"));
        }
    }
    if report.ok { Ok(()) } else { Err(Failure::Unsound) }
}
