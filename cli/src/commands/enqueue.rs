//! `octopoid enqueue`

use octopoid_client::{ClientError, ErrorKind, NewTask};

use super::{BodyError, parse_complexity, parse_priority, read_body, whole_blocker};
use crate::{
    connection::Connection,
    failure::{Exit, Failure, of_call},
    node_bridge,
    output::Output,
    task_id,
};

/// The roles that every node knows.
const BUILT_IN: [&str; 7] = ["implement", "breakdown", "review", "test", "fix", "research", "docs"];

/// States why a task was not queued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// A task must say what is to be done.
    #[error("the description is empty")]
    Empty,
    /// No agent would ever take the task.
    #[error("unknown role '{role}': it must be one of {}", valid.join(", "))]
    Role {
        /// What was given.
        role: String,
        /// What would do.
        valid: Vec<String>,
    },
    /// The body cannot be used.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No randomness for an id.
    #[error("make an id: {0}")]
    Random(getrandom::Error),
    /// The registered roles cannot be listed.
    #[error("list the registered roles")]
    Roles(#[source] ClientError),
}

impl EnqueueError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Empty | Self::Role { .. } | Self::Body(_) => Exit::Usage,
            Self::Random(_) => Exit::Failed,
            Self::Roles(error) => of_call(error),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("octopoid enqueue \"Add user authentication\"".to_owned()),
            Self::Role { .. } => Some("add an agent with this role to .octopoid/agents.yaml, then run 'octopoid validate'".to_owned()),
            Self::Body(_) | Self::Random(_) | Self::Roles(_) => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid enqueue \"Add user authentication\" --role implement --priority P1")]
pub struct Args {
    /// What is to be done. Its first line is the title.
    description: String,
    /// The agents' role that should do it.
    #[arg(long)]
    role: Option<String>,
    /// P0 (first) to P3.
    #[arg(long, value_parser = parse_priority)]
    priority: Option<String>,
    /// The project that it belongs to.
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// XS to XL.
    #[arg(long, value_parser = parse_complexity)]
    complexity: Option<String>,
    /// A kind of your own, which claims can filter by.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// More about it: a file, or - for stdin.
    #[arg(long, value_name = "FILE|-")]
    body: Option<String>,
    /// A task that must be done first; can be repeated.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    blocked_by: Vec<String>,
    /// The branch that it is meant for.
    #[arg(long)]
    branch: Option<String>,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let (title, rest) = split(&args.description)?;
    let body = args.body.as_deref().map(read_body).transpose().map_err(EnqueueError::Body)?;
    let connection = Connection::open().await?;
    if let Some(role) = &args.role {
        check_role(&connection, role).await?;
    }
    let mut blockers = Vec::new();
    for blocker in &args.blocked_by {
        blockers.push(whole_blocker(&connection, blocker).await?);
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(EnqueueError::Random)?;
    let id = task_id::make(&title, random);
    let task = NewTask {
        file_path: format!("tasks/incoming/TASK-{id}.md"),
        id,
        title: Some(title),
        content: content(&rest, body.as_deref()),
        priority: args.priority,
        complexity: args.complexity,
        role: args.role,
        kind: args.kind,
        branch: args.branch,
        blocked_by: (!blockers.is_empty()).then(|| blockers.join(",")),
        project_id: args.project,
        ..NewTask::default()
    };
    let task = connection.client.create_task(&task).await?;
    if output.json() {
        return Ok(output.value(&task)?);
    }
    output.line(&task.id)?;
    let role = task.role.as_deref().unwrap_or("implement (it names no role)");
    let blocked = task.blocked_by.as_ref().map(|ids| format!(", after {ids}")).unwrap_or_default();
    output.note(format!("queued in {} as {} for {role}{blocked}", task.queue, task.priority));
    if connection.client.cluster().await.is_ok_and(|cluster| cluster.members.len() > 1 && cluster.offline) {
        output.note("✓ Task created locally, will sync when a peer is available");
    }
    if connection.node.is_none() {
        output.note("no node runs: 'octopoid start' begins the work");
    }
    Ok(())
}

/// Splits a description into its first line and the rest.
fn split(description: &str) -> Result<(String, String), EnqueueError> {
    let text = description.trim();
    let (title, rest) = text.split_once('\n').unwrap_or((text, ""));
    if title.is_empty() { Err(EnqueueError::Empty) } else { Ok((title.trim_end().to_owned(), rest.trim().to_owned())) }
}

/// Joins what the description says beyond its title with the body.
fn content(rest: &str, body: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = [rest, body.unwrap_or_default()].into_iter().filter(|part| !part.trim().is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// Refuses a role that no agent has: the task would wait for ever.
pub(super) async fn check_role(connection: &Connection, role: &str) -> Result<(), EnqueueError> {
    let mut valid: Vec<String> = BUILT_IN.iter().map(|name| (*name).to_owned()).collect();
    valid.extend(node_bridge::agent_roles(&connection.layout));
    if valid.iter().any(|name| name == role) {
        return Ok(());
    }
    match connection.client.roles(None).await {
        Ok(list) => valid.extend(list.roles.into_iter().map(|registered| registered.name)),
        // A node without this call has no registered roles.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(EnqueueError::Roles(error)),
    }
    if valid.iter().any(|name| name == role) {
        return Ok(());
    }
    valid.sort_unstable();
    valid.dedup();
    Err(EnqueueError::Role { role: role.to_owned(), valid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_title_and_the_rest_is_the_body() {
        assert_eq!(split("  Fix it \n\nSoon.\n").expect("title"), ("Fix it".to_owned(), "Soon.".to_owned()));
        assert_eq!(split("Fix it").expect("title"), ("Fix it".to_owned(), String::new()));
        assert!(matches!(split(" \n\t"), Err(EnqueueError::Empty)));
        assert_eq!(EnqueueError::Empty.exit(), Exit::Usage);
    }

    #[test]
    fn a_body_follows_what_the_description_says() {
        assert_eq!(content("", None), None);
        assert_eq!(content("", Some(" \n")), None);
        assert_eq!(content("a", Some("b\n")).as_deref(), Some("a\n\nb\n"));
    }

    #[test]
    fn an_unknown_role_lists_the_valid_ones() {
        let error = EnqueueError::Role { role: "implment".to_owned(), valid: vec!["docs".to_owned(), "implement".to_owned()] };
        assert_eq!(error.to_string(), "unknown role 'implment': it must be one of docs, implement");
        assert_eq!(error.exit(), Exit::Usage);
    }
}
