//! Creates a task and lists what waits: `cargo run -p octopoid-client --example create_and_list -- "Add user authentication"`

use std::{env, fmt::Write as _, time::UNIX_EPOCH};

use octopoid_client::{Client, ClientError, ConnectOptions, NewTask, TaskFilter};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&ConnectOptions::default())?;
    let title = env::args().nth(1).unwrap_or_else(|| "Add user authentication".to_owned());
    print!("{}", create_and_list(&client, &title).await?);
    Ok(())
}

/// Creates a task of this title; tells its id and which tasks wait, the first one first.
pub async fn create_and_list(client: &Client, title: &str) -> Result<String, ClientError> {
    let words: String = title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let id = format!("task-{}-{now:x}", words.trim_matches('-').replace("--", "-"));
    let new = NewTask {
        file_path: format!("tasks/incoming/TASK-{id}.md"),
        title: Some(title.to_owned()),
        priority: Some("P1".to_owned()),
        id,
        ..NewTask::default()
    };
    let mut told = format!("created {}\n", client.create_task(&new).await?.id);
    let waiting = TaskFilter { queue: vec!["incoming".to_owned()], by_priority: true, ..TaskFilter::default() };
    for task in client.tasks(&waiting).await?.tasks {
        let _ = writeln!(told, "{}  {}  {}", task.priority, task.id, task.title);
    }
    Ok(told)
}
