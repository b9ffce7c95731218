//! `octopoid uninit`

use crate::{
    commands::stop::{self, StopError},
    connection::{ConnectError, Connection, find_project},
    failure::Failure,
    node_bridge::{self, Layout},
    output::Output,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid uninit")]
pub struct Args {
    /// Remove open tasks, edited files and unfinished work, too.
    #[arg(long)]
    force: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = match find_project() {
        // An earlier call kept what was edited, and took what made this a project.
        Err(ConnectError::Find(error)) if args.force => remains().ok_or(ConnectError::Find(error))?,
        found => found?,
    };
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
    if !report.kept.is_empty() && !args.force {
        output.note("'octopoid uninit --force' removes what was edited");
    }
    if report.branches > 0 {
        let count = report.branches;
        output.note(format!("{count} branch{} of attempts stay: git branch --list 'octopoid/*'", if count == 1 { "" } else { "es" }));
    }
    Ok(())
}

fn remains() -> Option<Layout> {
    Layout::find_remains(&std::env::current_dir().ok()?)
}
