//! `octopoid stop`

use std::time::Duration;

use octopoid_client::StopRequest;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    connection::{ConnectError, Connection, find_project},
    failure::{Exit, Failure},
    output::Output,
    process,
};

/// How long agents and the node may take to end: agents get 10 s after the first signal, and their work is committed.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it is looked whether the process is gone.
const GLANCE: Duration = Duration::from_millis(50);

/// States why the node still runs.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It was told to end and did not.
    #[error("process {pid} was told to end and still runs after {} s", PATIENCE.as_secs())]
    Stays { pid: u32 },
    /// The process is not ours to end.
    #[error("process {pid} holds the store and could not be told to end: {errno}")]
    Signal { pid: u32, errno: rustix::io::Errno },
    /// The command needs the node to be stopped first.
    #[error("the node runs as process {pid}")]
    Runs { pid: u32 },
}

impl StopError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stays { .. } | Self::Signal { .. } => Exit::Failed,
            Self::Runs { .. } => Exit::Refused,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stays { pid } => Some(format!("'octopoid logs' shows what it does; 'kill -9 {pid}' ends it, and nothing is lost")),
            Self::Signal { .. } => None,
            Self::Runs { .. } => Some("run 'octopoid stop'".to_owned()),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid stop --drain")]
pub struct Args {
    /// Let running agents finish first.
    #[arg(long)]
    drain: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    stopped: bool,
    pid: Option<u32>,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    let pid = match Connection::to_running(&layout).await? {
        Some(connection) => Some(end(&connection, args.drain, output).await?),
        // No answer: either nothing runs, or a node starts, ends or hangs.
        None => match Connection::to(layout).await {
            Ok(connection) if connection.node.is_some() => Some(end(&connection, args.drain, output).await?),
            Ok(_) => None,
            Err(ConnectError::Held { pid: Some(pid), .. }) if process::is_octopoid(pid) => {
                process::ask_to_end(pid).map_err(|errno| StopError::Signal { pid, errno })?;
                gone(pid, Some(Instant::now() + PATIENCE)).await?;
                Some(pid)
            }
            Err(error) => return Err(error.into()),
        },
    };
    if output.json() {
        return Ok(output.value(&Report { stopped: pid.is_some(), pid })?);
    }
    Ok(output.line(pid.map_or_else(|| "no node runs".to_owned(), |pid| format!("stopped (process {pid})")))?)
}

/// Tells a node to end and waits until its process is gone.
pub async fn end(connection: &Connection, drain: bool, output: Output) -> Result<u32, Failure> {
    let answer = connection.client.stop_node(&StopRequest { drain }).await?;
    if drain && answer.running > 0 {
        output.note(format!("waiting for {} agents to finish; 'octopoid stop' without --drain ends them", answer.running));
    }
    // Draining takes as long as the agents' work does.
    gone(answer.pid, (!drain).then(|| Instant::now() + PATIENCE)).await?;
    Ok(answer.pid)
}

async fn gone(pid: u32, end: Option<Instant>) -> Result<(), StopError> {
    while process::lives(pid) {
        if end.is_some_and(|end| Instant::now() >= end) {
            return Err(StopError::Stays { pid });
        }
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}
