//! Accepts what agents with the role docs submitted, as long as they committed something.

use std::fmt::Write as _;

use octopoid_client::{AcceptRequest, Client, ClientError, ConnectOptions, ErrorKind, TaskFilter};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&ConnectOptions::default())?;
    print!("{}", auto_approve(&client).await?);
    Ok(())
}

/// Accepts submitted documents; tells which.
pub async fn auto_approve(client: &Client) -> Result<String, ClientError> {
    let submitted = TaskFilter { queue: vec!["provisional".to_owned()], role: vec!["docs".to_owned()], ..TaskFilter::default() };
    let verdict = AcceptRequest { accepted_by: "auto-approve".to_owned(), reason: None };
    let mut told = String::new();
    let mut tasks = client.every_task(&submitted);
    while let Some(task) = tasks.next().await? {
        if task.commits_count == 0 {
            continue;
        }
        match client.accept(&task.id, &verdict).await {
            Ok(task) => drop(writeln!(told, "accepted {}", task.id)),
            // Somebody was faster, or rejected it.
            Err(error) if error.kind() == ErrorKind::Refused => drop(writeln!(told, "left {}: {error}", task.id)),
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}
