//! `octopoid conflicts`

use octopoid_client::{AdoptRequest, AttemptInfo, Conflict, ConflictList, OverriddenChange};

use super::{TaskArg, tell, user};
use crate::{clean, connection::Connection, failure::Failure, output::Output, table::Table};

/// How many conflicts are listed at once.
const PAGE: u64 = 100;
/// How many changes that the authority overrode are kept for a task.
const MOST: usize = 64;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid conflicts\n  octopoid conflicts show add-user-auth\n  \
    octopoid conflicts adopt add-user-auth --attempt 2-3fa9c2d1\n  octopoid conflicts dismiss add-user-auth")]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the tasks about which something lost (the default).
    List,
    /// Show what lost about a task, and what can be done.
    #[command(after_help = "Example:\n  octopoid conflicts show add-user-auth")]
    Show {
        #[command(flatten)]
        task: TaskArg,
        /// Of what is no task: its collection.
        #[arg(long, value_parser = ["project", "draft"])]
        collection: Option<String>,
    },
    /// Take an attempt up again that lost.
    ///
    /// Submitted work waits for your verdict instead of what won; of an attempt that submitted nothing the next one starts
    /// from its branch. What won until now keeps its branch.
    #[command(after_help = "Example:\n  octopoid conflicts adopt add-user-auth --attempt 2-3fa9c2d1")]
    Adopt {
        #[command(flatten)]
        task: TaskArg,
        /// The attempt's name, or its number where only one has it.
        #[arg(long, value_name = "A")]
        attempt: String,
    },
    /// Hide on all machines what lost about a task so far.
    #[command(after_help = "Example:\n  octopoid conflicts dismiss add-user-auth")]
    Dismiss {
        #[command(flatten)]
        task: TaskArg,
        /// Of what is no task: its collection.
        #[arg(long, value_parser = ["project", "draft"])]
        collection: Option<String>,
    },
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let client = &connection.client;
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => list(&client.conflicts(0, PAGE).await?, output),
        Verb::Show { task, collection: Some(collection) } => {
            show(&client.conflict_in(&collection, task.given()).await.map_err(Failure::about(task.given()))?, output)
        }
        Verb::Show { task, collection: None } => {
            let id = task.whole(&connection).await?;
            show(&client.conflict(&id).await.map_err(Failure::about(&id))?, output)
        }
        Verb::Adopt { task, attempt } => {
            let id = task.whole(&connection).await?;
            let request = AdoptRequest { attempt, adopted_by: Some(user()) };
            let task = client.adopt(&id, &request).await.map_err(Failure::about(&id))?;
            let what = match task.queue.as_str() {
                "provisional" => format!("attempt {} is adopted and waits for a verdict", clean::line(&request.attempt)),
                _ => format!("the next attempt starts from the branch of {}", clean::line(&request.attempt)),
            };
            tell(output, &task, &what)
        }
        Verb::Dismiss { task, collection } => {
            let (id, conflict) = match &collection {
                Some(collection) => (task.given().to_owned(), client.dismiss_conflict_in(collection, task.given()).await),
                None => {
                    let id = task.whole(&connection).await?;
                    let dismissed = client.dismiss_conflict(&id).await;
                    (id, dismissed)
                }
            };
            let conflict = conflict.map_err(Failure::about(&id))?;
            if output.json() {
                return Ok(output.value(&conflict)?);
            }
            let kept = if collection.is_some() { "" } else { "; its branches are kept" };
            Ok(output.line(format!("{id}: dismissed{kept}"))?)
        }
    }
}

fn list(list: &ConflictList, output: Output) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.value(list)?);
    }
    if list.conflicts.is_empty() {
        return Ok(output.line("no conflicts to look at")?);
    }
    let mut table = Table::new(&["TASK", "QUEUE", "WON", "WHAT LOST"]);
    for conflict in &list.conflicts {
        let id = match &conflict.collection {
            Some(collection) => format!("{collection} {}", conflict.task_id),
            None => conflict.task_id.clone(),
        };
        table.row([id.as_str(), &conflict.queue, conflict.winner.as_deref().unwrap_or_default(), &lost(conflict)]);
    }
    output.table(&table)?;
    let shown = list.conflicts.len() as u64;
    if shown < list.total {
        output.note(format!("{} more", list.total - shown));
    }
    output.note("what to do about one: octopoid conflicts show TASK");
    Ok(())
}

/// Says in a few words what lost.
fn lost(conflict: &Conflict) -> String {
    let mut parts: Vec<String> = conflict.attempts.iter().map(|attempt| format!("attempt {}", attempt.attempt)).collect();
    parts.extend(conflict.creations.iter().map(|creation| format!("the creation by {}", creation.node)));
    parts.extend(conflict.merges.iter().map(|commit| format!("merge {commit:.10}")));
    parts.extend(conflict.cut_blockers.iter().map(|blocker| format!("waiting for {blocker}")));
    parts.extend(conflict.overridden.iter().map(|change| format!("{} of {}", change.what, change.node)));
    parts.join(", ")
}

fn show(conflict: &Conflict, output: Output) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.value(conflict)?);
    }
    for line in lines(conflict) {
        output.line(clean::indented(&line))?;
    }
    Ok(())
}

/// What lost about a task, each with the command for it.
fn lines(conflict: &Conflict) -> Vec<String> {
    let id = &conflict.task_id;
    if let Some(collection) = &conflict.collection {
        let mut lines = vec![format!("{collection} {id}")];
        lines.extend(conflict.overridden.iter().map(overruled));
        lines.extend(earlier(conflict));
        let done = format!("  done with it: octopoid conflicts dismiss {id} --collection {collection}");
        lines.push(if conflict.dismissed { "  dismissed".to_owned() } else { done });
        return lines;
    }
    let winner = conflict.winner.as_ref().map_or_else(String::new, |winner| format!(", rests on attempt {winner}"));
    let mut lines = vec![format!("{id}  {}", conflict.title), format!("  {}{winner}", conflict.queue)];
    for attempt in &conflict.attempts {
        lines.push(attempt_line(attempt));
        lines.push(format!("    look at it: octopoid diff {id} --attempt {}", attempt.attempt));
        lines.push(format!("    take it up: octopoid conflicts adopt {id} --attempt {}", attempt.attempt));
    }
    if !conflict.attempts.is_empty() && matches!(conflict.queue.as_str(), "done" | "cancelled") {
        lines.push(format!("  the task is {}: before you adopt one, octopoid requeue {id} --reopen", conflict.queue));
    }
    for creation in &conflict.creations {
        lines.push(format!("  created by {} too, at {}: both are one task now", creation.node, creation.created_at));
        lines.push(format!("    change what does not fit: octopoid edit {id}"));
    }
    lines.extend(conflict.merges.iter().map(|commit| format!("  merged as {commit} too: look at the integration branch")));
    for blocker in &conflict.cut_blockers {
        lines.push(format!("  does not wait for {blocker}, which would close a circle"));
        lines.push(format!("    change what it waits for: octopoid edit {id}"));
    }
    for change in &conflict.overridden {
        lines.push(overruled(change));
        lines.push(format!("    change it again: octopoid edit {id}"));
    }
    lines.extend(earlier(conflict));
    lines.push(if conflict.dismissed { "  dismissed".to_owned() } else { format!("  done with it: octopoid conflicts dismiss {id}") });
    lines
}

/// Says that there may have been more than is listed.
fn earlier(conflict: &Conflict) -> Option<String> {
    let full = conflict.overridden.len() >= MOST;
    full.then(|| format!("  these are the latest {MOST}; what was overridden before them is in the records alone"))
}

/// Tells of a change that the authority's state goes before.
fn overruled(change: &OverriddenChange) -> String {
    let OverriddenChange { what, node, at, .. } = change;
    if what == "content" {
        return format!("  the body was edited by {node} too, at {at}: its lines are merged");
    }
    let shown = |value: &Option<String>| value.as_ref().map_or_else(|| "nothing".to_owned(), |value| format!("'{value}'"));
    let (lost, kept) = (shown(&change.lost), shown(&change.kept));
    format!("  {what} {lost} was set by {node} at {at} without reaching the authority, where it was {kept} by then: that stands")
}

fn attempt_line(attempt: &AttemptInfo) -> String {
    let who = attempt.agent.as_deref().unwrap_or("somebody");
    let node = attempt.node.as_deref().unwrap_or("an unknown node");
    let what = attempt.submitted_at.as_ref().map_or_else(|| "submitted nothing".to_owned(), |at| format!("submitted at {at}"));
    format!("  attempt {} by {who} on {node} lost: {what}", attempt.attempt)
}

#[cfg(test)]
mod tests {
    use octopoid_client::ConflictingCreation;

    use super::*;

    fn conflict() -> Conflict {
        let attempt = AttemptInfo {
            attempt: "1-3fa9c2d1".to_owned(),
            agent: Some("implementer".to_owned()),
            node: Some("laptop".to_owned()),
            ..AttemptInfo::default()
        };
        Conflict {
            task_id: "t".to_owned(),
            title: "A task".to_owned(),
            queue: "provisional".to_owned(),
            winner: Some("1-00000000".to_owned()),
            attempts: vec![attempt],
            ..Conflict::default()
        }
    }

    #[test]
    fn what_lost_is_told_with_the_commands_for_it() {
        assert_eq!(
            lines(&conflict()),
            [
                "t  A task",
                "  provisional, rests on attempt 1-00000000",
                "  attempt 1-3fa9c2d1 by implementer on laptop lost: submitted nothing",
                "    look at it: octopoid diff t --attempt 1-3fa9c2d1",
                "    take it up: octopoid conflicts adopt t --attempt 1-3fa9c2d1",
                "  done with it: octopoid conflicts dismiss t",
            ]
        );
    }

    #[test]
    fn before_an_attempt_at_a_finished_task_is_adopted_the_task_is_opened_again() {
        let done = Conflict { queue: "done".to_owned(), dismissed: true, ..conflict() };
        let lines = lines(&done);
        assert!(lines.iter().any(|line| line.ends_with("octopoid requeue t --reopen")), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("  dismissed"));
    }

    #[test]
    fn a_list_that_is_full_says_so() {
        let overridden = |count: usize| Conflict { overridden: vec![OverriddenChange::default(); count], ..conflict() };
        let full = |count: usize| lines(&overridden(count)).iter().any(|line| line.contains("the latest 64"));
        assert!(!full(63) && full(64));
        let project = Conflict { collection: Some("project".to_owned()), ..overridden(64) };
        assert!(lines(&project).iter().any(|line| line.contains("the latest 64")));
    }

    #[test]
    fn a_list_says_in_a_few_words_what_lost() {
        let creation = ConflictingCreation { node: "laptop".to_owned(), ..ConflictingCreation::default() };
        let all = Conflict {
            creations: vec![creation],
            merges: vec!["1234567890abcdef".to_owned()],
            cut_blockers: vec!["u".to_owned()],
            ..conflict()
        };
        assert_eq!(lost(&all), "attempt 1-3fa9c2d1, the creation by laptop, merge 1234567890, waiting for u");
    }
}
