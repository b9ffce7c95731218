//! `octopoid accept` and `octopoid reject`

use octopoid_client::{AcceptRequest, RejectRequest};

use super::{TaskArg, tell, user};
use crate::{connection::Connection, failure::Failure, output::Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid accept add-user-auth")]
pub struct AcceptArgs {
    #[command(flatten)]
    task: TaskArg,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid reject add-user-auth --reason \"the tests do not cover a wrong password\"")]
pub struct RejectArgs {
    #[command(flatten)]
    task: TaskArg,
    /// What is missing; the next attempt reads it.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
}

pub async fn accept(args: AcceptArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = AcceptRequest { accepted_by: user(), reason: args.reason };
    let task = connection.client.accept(&id, &request).await.map_err(Failure::about(&id))?;
    let what = task.merged_commit.as_ref().map_or_else(|| "accepted".to_owned(), |commit| format!("accepted, merged as {commit:.10}"));
    tell(output, &task, &what)
}

pub async fn reject(args: RejectArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = RejectRequest { reason: args.reason, rejected_by: user() };
    let task = connection.client.reject(&id, &request).await.map_err(Failure::about(&id))?;
    tell(output, &task, &format!("rejected, now {}", task.queue))
}
