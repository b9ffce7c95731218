//! Tells how a node is and what happens there, until it is interrupted.

use std::fmt::Write as _;

use octopoid_client::{Client, ClientError, ConnectOptions, Event, EventQuery, TaskFilter};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&ConnectOptions::default())?;
    print!("{}", overview(&client).await?);
    let mut events = client.follow(EventQuery::default());
    loop {
        println!("{}", line(&events.next().await?));
    }
}

/// Tells how a node is, what waits there, and where a person is asked for.
pub async fn overview(client: &Client) -> Result<String, ClientError> {
    let health = client.health().await?;
    let mut told = format!("{} ({}) is {}\n", health.node.unwrap_or_default(), health.mode.unwrap_or_default(), health.status);
    for (queue, count) in client.poll("", None).await?.queue_counts {
        let _ = writeln!(told, "{count:5}  {queue}");
    }
    let stuck = TaskFilter { needs_intervention: Some(true), ..TaskFilter::default() };
    for task in client.tasks(&stuck).await?.tasks {
        let _ = writeln!(told, "a person is asked for: {}  {}", task.id, task.title);
    }
    Ok(told)
}

/// Tells of one event.
pub fn line(event: &Event) -> String {
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{} {} {} {}", event.timestamp, event.kind, shown(&event.task_id), shown(&event.queue))
}
