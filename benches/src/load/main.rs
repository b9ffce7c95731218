//! The load program: what a node does in a second, over its REST API, with every answer durable.
//!
//! **Invariants**: a duplicate grant, a lost claim or a failed request ends it with 1; nothing is left behind unless it is
//! asked to be kept.

mod args;
mod cluster;
mod crowd;
mod drive;
mod fill;
mod http;
mod measure;
mod node;
mod report;
mod scratch;
mod slow;
mod strangers;
mod tasks;
mod workload;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use self::args::Args;
use self::measure::MeasureError;
use self::report::Report;

/// The exit code of wrong arguments.
const USAGE: u8 = 2;
/// The exit code of a run that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if let (Some(first), Some(root)) = (words.next(), words.next())
        && first == node::HIDDEN
    {
        return node::serve(Path::new(&root));
    }
    let args = Args::parse();
    if let Err(error) = args.check() {
        eprintln!("load: {error}");
        return USAGE.into();
    }
    // One thread for all clients: the node needs the other core.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("load: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            measured = measure(&args) => finish(&args, measured),
            // The scratch project and the node end with the future that is dropped here.
            _ = tokio::signal::ctrl_c() => INTERRUPTED.into(),
        }
    })
}

async fn measure(args: &Args) -> Result<Report, MeasureError> {
    if args.nodes > 1 {
        return Ok(cluster::measure(args).await?);
    }
    if args.restart {
        return Ok(report::restart(args, &measure::restart(args).await?));
    }
    if args.slow > 0 {
        return Ok(report::slow(args, &measure::slow(args).await?));
    }
    if !args.scale.is_empty() {
        return Ok(report::scale(args, &measure::scale(args).await?));
    }
    Ok(report::everything(args, &measure::everything(args).await?))
}

fn finish(args: &Args, measured: Result<Report, MeasureError>) -> ExitCode {
    let report = match measured {
        Ok(report) => report,
        Err(error) => {
            eprintln!("load: {}", octopoid_node::causes::describe(&error));
            return ExitCode::FAILURE;
        }
    };
    let text = if args.json { format!("{:#}\n", report.json) } else { report.text };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    if report.good && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
