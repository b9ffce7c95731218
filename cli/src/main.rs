//! The one program, `octopoid`.

mod attempt_name;
mod clean;
mod commands;
mod connection;
mod demo;
mod failure;
mod live;
mod log_file;
mod node_bridge;
mod output;
mod process;
mod queue_names;
mod table;
mod task_id;
mod unit_file;
mod when;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use crate::{
    commands::Command,
    failure::{Exit, Failure},
    output::{Output, OutputError},
};

/// Queue work for coding agents and run it on your machines.
#[derive(Debug, Parser)]
#[command(name = "octopoid", version, about, long_about = None, max_term_width = 100)]
struct Cli {
    /// Print one JSON value to stdout.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What `--json` prints when a command fails.
#[derive(Debug, Serialize)]
struct FailureReport {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    exit_code: u8,
}

fn main() -> ExitCode {
    // The launcher becomes the agent's program: it must run before any thread and read nothing.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__launch") {
        return node_bridge::launcher_main();
    }
    let cli = Cli::parse();
    let output = Output::of_process(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("start the runtime: {error}"));
            return Exit::Failed.into();
        }
    };
    let outcome = runtime.block_on(commands::run(cli.command, output));
    // Reading stdin may hold a thread for ever; nothing waits for it.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => Exit::Done.into(),
        Err(failure) => report(output, &failure).into(),
    }
}

/// Tells a failure, once, here.
fn report(output: Output, failure: &Failure) -> Exit {
    let exit = failure.exit();
    if exit == Exit::Done {
        return exit;
    }
    let (error, hint) = (failure.chain(), failure.hint());
    output.error(&error);
    if let Some(hint) = &hint {
        output.hint(hint);
    }
    let told_already = matches!(failure, Failure::Output(_) | Failure::Validate(_) | Failure::Unsound | Failure::DemoFailed { .. });
    if output.json() && !told_already {
        // The failure is on stderr already, whatever happens to stdout.
        let _: Result<(), OutputError> = output.value(&FailureReport { error, hint, exit_code: exit as u8 });
    }
    exit
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_and_takes_json() {
        let mut root = Cli::command();
        root.build();
        for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.clone().render_long_help().to_string();
            let name = command.get_name();
            assert!(help.contains("Example"), "{name} has no example");
            assert!(help.contains(&format!("octopoid {name}")), "the example of {name} does not show it");
            assert!(help.contains("--json"), "{name} does not take --json");
        }
    }

    #[test]
    fn a_wrong_use_is_told_by_its_code() {
        for line in
            ["octopoid", "octopoid enqueue", "octopoid enqueue x --priority P9", "octopoid accept", "octopoid wait a --timeout soon"]
        {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), i32::from(Exit::Usage as u8), "{line}");
        }
    }
}
