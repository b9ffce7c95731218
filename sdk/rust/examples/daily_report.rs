//! Prints what the day brought so far, in UTC and by the node's clock, as Markdown.

use std::{collections::BTreeMap, fmt::Write as _};

use octopoid_client::{Client, ClientError, ConnectOptions, TaskFilter};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&ConnectOptions::default())?;
    print!("{}", report(&client).await?);
    Ok(())
}

/// Reports what was done on the node's day, by role, and what is stuck.
pub async fn report(client: &Client) -> Result<String, ClientError> {
    let now = client.health().await?.timestamp;
    let day = now.split('T').next().unwrap_or_default();
    let (mut done, mut turns) = (BTreeMap::<String, Vec<String>>::new(), 0);
    let mut tasks = client.every_task(&TaskFilter { queue: vec!["done".to_owned()], ..TaskFilter::default() });
    while let Some(task) = tasks.next().await? {
        if task.completed_at.is_some_and(|at| at.starts_with(day)) {
            done.entry(task.role.unwrap_or_else(|| "any role".to_owned())).or_default().push(format!("- {} (`{}`)", task.title, task.id));
            turns += task.turns_used.unwrap_or(0);
        }
    }
    let queue = ["failed", "needs_continuation"].map(str::to_owned).to_vec();
    let stuck = client.tasks(&TaskFilter { queue, limit: Some(500), ..TaskFilter::default() }).await?.tasks;
    let mut told = format!("# {day}\n");
    for (role, lines) in &done {
        let _ = write!(told, "\n## Done: {role}\n\n{}\n", lines.join("\n"));
    }
    if !stuck.is_empty() {
        let lines: Vec<String> = stuck.iter().map(|task| format!("- {} (`{}`, {})", task.title, task.id, task.queue)).collect();
        let _ = write!(told, "\n## Stuck\n\n{}\n", lines.join("\n"));
    }
    let count: usize = done.values().map(Vec::len).sum();
    let _ = writeln!(told, "\n{count} tasks done in {turns} turns, {} stuck.", stuck.len());
    Ok(told)
}
