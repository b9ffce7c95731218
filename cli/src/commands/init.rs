//! `octopoid init`

use std::path::Path;

use crate::{
    connection::ConnectError,
    failure::Failure,
    node_bridge::{self, InitOptions},
    output::Output,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid init --machine-id mac-studio")]
pub struct Args {
    /// Keep everything on this machine (the default).
    #[arg(long)]
    local: bool,
    /// This machine's name; its host name by default.
    #[arg(long, value_name = "ID")]
    machine_id: Option<String>,
    /// A fixed port for the API; 0 for any.
    #[arg(long, value_name = "N")]
    api_port: Option<u16>,
}

pub fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let here = std::env::current_dir().map_err(ConnectError::Folder)?;
    let report = node_bridge::init(&here, &InitOptions { machine_id: args.machine_id.clone(), api_port: args.api_port })?;
    if output.json() {
        return Ok(output.value(&report)?);
    }
    let shown = |path: &Path| path.display().to_string();
    if report.created.is_empty() {
        output.line(format!("{} is an Octopoid project already; nothing was changed", shown(&report.root)))?;
    } else {
        output.line(format!("{} is an Octopoid project; this machine is {}", shown(&report.root), report.machine_id))?;
    }
    for path in &report.created {
        output.note(format!("  made {}", shown(path)));
    }
    for path in &report.kept {
        output.note(format!("  kept {}", shown(path)));
    }
    for note in &report.notes {
        output.warn(note);
    }
    output.note("\nNext:\n  octopoid enqueue \"Add user authentication\" --role implement\n  octopoid start\n  octopoid status");
    Ok(())
}
