//! `octopoid completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{failure::Failure, output::Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid completions bash > ~/.local/share/bash-completion/completions/octopoid")]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "octopoid", &mut script);
    if output.json() {
        return Ok(output.value(&String::from_utf8_lossy(&script))?);
    }
    Ok(output.bytes(&script)?)
}
