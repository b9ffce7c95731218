//! Runs the project's setup command in a worktree before the agent.
//!
//! It is run as an agent is: on record before its first instruction, with the agent's environment, and ended with everything
//! that it started when its time is over, its node stops or its claim is lost.

use std::fmt::Write as _;
use std::time::Duration;

use super::attempt::{AttemptError, Process};
use super::workplace::Workplace;
use crate::agent::{Argv, EndCause, Ended, Exit};
use crate::config::Setup;

/// How long the command may take.
const TIME: Duration = Duration::from_secs(600);
/// The folder of its output, beside the agent's.
const LOGS: &str = "setup";

/// States how a setup command came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setup command of config.yaml failed: {0}")]
pub(super) struct SetupError(String);

impl SetupError {
    /// Says that the program could not be run.
    pub fn missing(program: &str, error: &std::io::Error) -> Self {
        Self(format!("'{program}' could not be run: {error}"))
    }
}

/// Describes the process of the setup command; none where config.yaml has none.
pub(super) async fn process(setup: Option<&Setup>, place: &Workplace) -> Result<Option<Process>, AttemptError> {
    let Some(argv) = setup.map(Setup::argv) else { return Ok(None) };
    let Some((program, arguments)) = argv.split_first() else { return Ok(None) };
    let logs = place.folder.join(LOGS);
    tokio::fs::create_dir_all(&logs).await.map_err(AttemptError::Folder)?;
    let argv = Argv { program: program.into(), arguments: arguments.iter().map(Into::into).collect() };
    Ok(Some(Process { argv, stdin: None, logs, time: TIME }))
}

/// Tells what came of it: nothing to say, a stop, or a failure with the end of what it wrote.
pub(super) async fn judge(ended: &Ended, place: &Workplace) -> Result<(), AttemptError> {
    let how = match (ended.cause, ended.exit) {
        (EndCause::Stopped(reason), _) => return Err(AttemptError::Stopped(reason)),
        (EndCause::TimedOut, _) => format!("not done after {} s", TIME.as_secs()),
        (EndCause::Exited, Exit::Code(0)) => return Ok(()),
        (EndCause::Exited, Exit::Code(code)) => format!("exit status {code}"),
        (EndCause::Exited, Exit::Signal(signal)) => format!("ended by signal {signal}"),
    };
    Err(SetupError(format!("{how}{}", last_words(place).await)).into())
}

/// Returns the last line that the command wrote to stderr, and where the rest is.
async fn last_words(place: &Workplace) -> String {
    /// A line that is longer says no more.
    const LINE: usize = 300;
    let path = place.folder.join(LOGS).join("stderr.log");
    let text = tokio::fs::read(&path).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut words = String::new();
    if let Some(line) = text.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        let _ = write!(words, ": {}", line.chars().take(LINE).collect::<String>());
    }
    let _ = write!(words, " (see setup/ in the attempt's logs)");
    words
}
