//! `octopoid uninit`

use crate::{
    commands::stop::{self, StopError},
    connection::{Connection, find_project},
    failure::Failure,
    node_bridge,
    output::Output,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid uninit")]
pub struct Args {
    /// Remove edited files and unfinished work too.
    #[arg(long)]
    force: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    if let Some(connection) = Connection::to_running(&layout).await? {
        let pid = connection.node.as_ref().map(|node| node.pid);
        if !args.force {
            return Err(StopError::Runs { pid: pid.unwrap_or_default() }.into());
        }
        stop::end(&connection, false, output).await?;
    }
    let report = node_bridge::uninit(&layout, args.force)?;
    if output.json() {
        return Ok(output.value(&report)?);
    }
    for path in report.removed.iter().chain(&report.worktrees) {
        output.line(format!("removed {}", path.display()))?;
    }
    for path in &report.kept {
        // A folder stays for what is in it, which is somebody's own.
        let why = if layout.root().join(path).is_dir() { "it holds what is yours" } else { "it was edited" };
        output.note(format!("kept {}: {why}", path.display()));
    }
    Ok(())
}
