//! `octopoid requeue`, `release`, `cancel`, `delete` and `merge`

use octopoid_client::{CancelRequest, MergeRequest, ReleaseRequest, RequeueRequest};

use super::{TaskArg, tell, user};
use crate::{connection::Connection, failure::Failure, output::Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid requeue add-user-auth --reopen --reason \"the release was rolled back\"")]
pub struct RequeueArgs {
    #[command(flatten)]
    task: TaskArg,
    /// Open a task again that is done or cancelled.
    #[arg(long)]
    reopen: bool,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid release add-user-auth")]
pub struct ReleaseArgs {
    #[command(flatten)]
    task: TaskArg,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid cancel add-user-auth --reason \"not wanted any more\"")]
pub struct CancelArgs {
    #[command(flatten)]
    task: TaskArg,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid delete add-user-auth")]
pub struct DeleteArgs {
    #[command(flatten)]
    task: TaskArg,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid merge add-user-auth")]
pub struct MergeArgs {
    #[command(flatten)]
    task: TaskArg,
}

pub async fn requeue(args: RequeueArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = RequeueRequest { reason: args.reason, requeued_by: Some(user()), from_any: true, reopen: args.reopen };
    let task = connection.client.requeue(&id, &request).await.map_err(Failure::about(&id))?;
    tell(output, &task, &format!("requeued, now {}", task.queue))
}

pub async fn release(args: ReleaseArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = ReleaseRequest { reason: args.reason, ..ReleaseRequest::default() };
    let task = connection.client.release(&id, &request).await.map_err(Failure::about(&id))?;
    tell(output, &task, &format!("released, now {}", task.queue))
}

pub async fn cancel(args: CancelArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = CancelRequest { reason: args.reason, cancelled_by: Some(user()) };
    let task = connection.client.cancel(&id, &request).await.map_err(Failure::about(&id))?;
    tell(output, &task, "cancelled")
}

pub async fn delete(args: &DeleteArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let answer = connection.client.delete_task(&id).await.map_err(Failure::about(&id))?;
    if output.json() {
        return Ok(output.value(&answer)?);
    }
    Ok(output.line(format!("{id}: deleted"))?)
}

pub async fn merge(args: &MergeArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let request = MergeRequest { merged_by: Some(user()) };
    let task = connection.client.merge(&id, &request).await.map_err(Failure::about(&id))?;
    let what = task.merged_commit.as_ref().map_or_else(|| "not merged".to_owned(), |commit| format!("merged as {commit:.10}"));
    tell(output, &task, &what)
}
