//! `octopoid list`

use jiff::Timestamp;
use octopoid_client::{Client, Task, TaskFilter};

use super::parse_priority;
use crate::{connection::Connection, failure::Failure, output::Output, queue_names, table::Table, task_id, when};

/// The most that a node answers at once.
const PAGE: u64 = 500;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid list --queue incoming,claimed --priority P0,P1")]
pub struct Args {
    /// Only these queues; every queue by default.
    #[arg(long, value_delimiter = ',', value_name = "QUEUE,…")]
    queue: Vec<String>,
    /// Only these priorities.
    #[arg(long, value_delimiter = ',', value_name = "P0,…", value_parser = parse_priority)]
    priority: Vec<String>,
    /// Only these roles.
    #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
    role: Vec<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    queue_names::check(&connection, &args.queue).await?;
    let filtered = !(args.queue.is_empty() && args.priority.is_empty() && args.role.is_empty());
    let filter = TaskFilter { queue: args.queue, priority: args.priority, role: args.role, ..TaskFilter::default() };
    let (tasks, total) = up_to(&connection.client, filter, args.limit).await?;
    if output.json() {
        return Ok(output.value(&tasks)?);
    }
    if tasks.is_empty() {
        let nothing = if filtered { "no task matches" } else { "no tasks: octopoid enqueue \"Add user authentication\"" };
        output.note(nothing);
        return Ok(());
    }
    output.table(&table(&tasks, Timestamp::now()))?;
    if (tasks.len() as u64) < total {
        output.note(format!("{} of {total} tasks; --limit {total} shows all", tasks.len()));
    }
    Ok(())
}

/// Reads pages until there are enough or no more.
async fn up_to(client: &Client, mut filter: TaskFilter, limit: u64) -> Result<(Vec<Task>, u64), Failure> {
    let mut tasks: Vec<Task> = Vec::new();
    loop {
        let have = tasks.len() as u64;
        filter.limit = Some((limit - have).min(PAGE));
        filter.offset = Some(have);
        let page = client.tasks(&filter).await?;
        let last = page.tasks.is_empty();
        tasks.extend(page.tasks);
        if last || tasks.len() as u64 >= limit.min(page.total) {
            return Ok((tasks, page.total));
        }
    }
}

fn table(tasks: &[Task], now: Timestamp) -> Table {
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    let mut table = Table::new(&["ID", "QUEUE", "PRIORITY", "ROLE", "HELD BY", "UPDATED", "TITLE"]);
    for task in tasks {
        table.row([
            task_id::shown(&task.id, &ids),
            &queue(task),
            &task.priority,
            task.role.as_deref().unwrap_or("-"),
            task.claimed_by.as_deref().unwrap_or("-"),
            &when::relative(&task.updated_at, now),
            &task.title,
        ]);
    }
    table
}

/// Names the queue, marked where a person should look.
fn queue(task: &Task) -> String {
    let blocked = task.blocked_by.as_ref().is_some_and(|ids| !ids.is_empty()) && task.queue == "incoming";
    match (task.needs_intervention, blocked, &task.awaiting_merge) {
        (true, ..) => format!("{} !", task.queue),
        (false, true, _) => format!("{} (blocked)", task.queue),
        (false, false, Some(_)) => format!("{} (unmerged)", task.queue),
        (false, false, None) => task.queue.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str) -> Task {
        let updated_at = "2026-03-01T11:55:00.000Z".to_owned();
        Task {
            id: id.to_owned(),
            title: format!("Do {id}"),
            queue: "incoming".to_owned(),
            priority: "P2".to_owned(),
            updated_at,
            ..Task::default()
        }
    }

    #[test]
    fn a_list_is_aligned_and_marks_what_waits_for_others() {
        let blocked = Task { blocked_by: Some("one".to_owned()), ..task("two") };
        let lines = table(&[task("one"), blocked], "2026-03-01T12:00:00Z".parse().expect("time")).lines(None);
        assert_eq!(
            lines,
            [
                "ID   QUEUE               PRIORITY  ROLE  HELD BY  UPDATED    TITLE",
                "one  incoming            P2        -     -        5 min ago  Do one",
                "two  incoming (blocked)  P2        -     -        5 min ago  Do two",
            ]
        );
    }
}
