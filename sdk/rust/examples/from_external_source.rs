//! Creates tasks from issues, each of them once however often it runs: `… --example from_external_source < issues.json`
//!
//! The input is a list such as `gh issue list --json number,title,body,labels` prints.

use std::{fmt::Write as _, io};

use octopoid_client::{Client, ClientError, ConnectOptions, ErrorKind, NewTask};
use serde_json::Value;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&ConnectOptions::default())?;
    let issues: Vec<Value> =
        serde_json::from_reader(io::stdin()).map_err(|source| ClientError::Decode { call: "the list of issues".to_owned(), source })?;
    print!("{}", create_from(&client, &issues).await?);
    Ok(())
}

/// Creates a task for each issue that has none yet; tells which.
pub async fn create_from(client: &Client, issues: &[Value]) -> Result<String, ClientError> {
    let mut told = String::new();
    for issue in issues {
        let id = format!("issue-{}", issue["number"]);
        let text = |field: &str| issue[field].as_str().map(str::to_owned);
        let has = |label: &str| issue["labels"].as_array().into_iter().flatten().any(|known| known["name"] == label);
        let task = NewTask {
            file_path: format!("tasks/incoming/TASK-{id}.md"),
            title: text("title"),
            content: text("body"),
            role: Some(if has("documentation") { "docs" } else { "implement" }.to_owned()),
            priority: Some(if has("urgent") { "P0" } else { "P2" }.to_owned()),
            id,
            ..NewTask::default()
        };
        match client.create_task(&task).await {
            Ok(task) => drop(writeln!(told, "created {}", task.id)),
            Err(error) if error.kind() == ErrorKind::Refused => drop(writeln!(told, "kept {}", task.id)),
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}
