//! `octopoid edit`

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use octopoid_client::{Task, TaskPatch};

use super::{BodyError, TaskArg, enqueue::check_role, parse_priority, read_body, tell, whole_blocker};
use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    node_bridge::Layout,
    output::Output,
};

mod draft;
mod form;

use draft::Draft;
pub use form::FormError;

/// States why a task was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The body cannot be used.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A title cannot be empty.
    #[error("the title is empty")]
    EmptyTitle,
    /// The form's file cannot be used.
    #[error("use the form at {}", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The editor could not be started.
    #[error("start the editor '{editor}'")]
    Start {
        editor: String,
        #[source]
        source: io::Error,
    },
    /// The editor says that it failed, by which users tell it to change nothing.
    #[error("the editor '{editor}' ended with {status}; nothing was changed")]
    Editor { editor: String, status: std::process::ExitStatus },
    /// The form cannot be read.
    #[error("read the form")]
    Form(#[source] FormError),
}

impl EditError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Body(_) | Self::EmptyTitle | Self::Form(_) => Exit::Usage,
            Self::File { .. } | Self::Start { .. } | Self::Editor { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => Some("set EDITOR, or name what to change: octopoid edit ID --priority P0".to_owned()),
            Self::EmptyTitle => Some("octopoid edit ID --title \"Add user authentication\"".to_owned()),
            Self::Body(_) | Self::File { .. } | Self::Editor { .. } | Self::Form(_) => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid edit add-user-auth --priority P0\n  octopoid edit add-user-auth")]
pub struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// One line for people.
    #[arg(long)]
    title: Option<String>,
    /// P0 (first) to P3.
    #[arg(long, value_parser = parse_priority)]
    priority: Option<String>,
    /// The agents' role that should do it; empty for an implementer.
    #[arg(long)]
    role: Option<String>,
    /// What is to be done: a file, or - for stdin.
    #[arg(long, value_name = "FILE|-")]
    body: Option<String>,
    /// The tasks that must be done first; empty for none.
    #[arg(long, value_name = "ID,…")]
    blocked_by: Option<String>,
    /// The branch that it is meant for.
    #[arg(long)]
    branch: Option<String>,
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let id = args.task.whole(&connection).await?;
    let patch = by_flags(&args)?;
    if !patch.is_empty() {
        return tell(output, &send(&connection, &id, patch).await?, "changed");
    }
    let task = connection.client.task(&id).await.map_err(Failure::about(&id))?;
    // The store stays free while a person thinks: what was read is named by its version.
    let layout = connection.layout.clone();
    drop(connection);
    match by_form(&task, &layout, output).await? {
        Some(changed) => tell(output, &changed, "changed"),
        None => {
            output.note("nothing was changed");
            if output.json() { Ok(output.value(&task)?) } else { Ok(()) }
        }
    }
}

/// Lets the user change a form until it can be taken; returns the changed task, or nothing when nothing was changed.
///
/// What was typed and not taken is never lost: on a terminal the editor opens again with the reason above it, and else the file
/// stays and is named.
async fn by_form(task: &Task, layout: &Layout, output: Output) -> Result<Option<Task>, Failure> {
    let mut draft = Draft::begin(task)?;
    let kept = |draft: &Draft| output.note(format!("what you typed is kept in {}", draft.path().display()));
    let mut last = None;
    loop {
        let text = match draft.edit() {
            Ok(Some(text)) => text,
            Ok(None) => {
                kept(&draft);
                return last.map_or(Ok(None), Err);
            }
            Err(error) => {
                if last.is_some() {
                    kept(&draft);
                }
                return Err(error.into());
            }
        };
        match take(task, layout, &text).await {
            Ok(changed) => {
                draft.remove()?;
                return Ok(changed);
            }
            Err(failure) if failure.exit() == Exit::Usage && io::stdin().is_terminal() => {
                draft.refuse(task, &text, &failure.chain())?;
                last = Some(failure);
            }
            Err(failure) => {
                kept(&draft);
                return Err(failure);
            }
        }
    }
}

/// Sends what differs between a task and its form, if anything does.
async fn take(task: &Task, layout: &Layout, text: &str) -> Result<Option<Task>, Failure> {
    let mut patch = draft::read(task, text)?;
    if patch.is_empty() {
        return Ok(None);
    }
    patch.version = Some(task.version);
    send(&Connection::to(layout.clone()).await?, &task.id, patch).await.map(Some)
}

async fn send(connection: &Connection, id: &str, mut patch: TaskPatch) -> Result<Task, Failure> {
    if let Some(Some(role)) = &patch.role {
        check_role(connection, role).await?;
    }
    if let Some(Some(blockers)) = &mut patch.blocked_by {
        let mut whole = Vec::new();
        for blocker in blockers.split(',').map(str::trim).filter(|blocker| !blocker.is_empty()) {
            whole.push(whole_blocker(connection, blocker).await?);
        }
        *blockers = whole.join(",");
    }
    connection.client.patch_task(id, &patch).await.map_err(Failure::about(id))
}

fn by_flags(args: &Args) -> Result<TaskPatch, EditError> {
    let nothing = |text: &String| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    if args.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
        return Err(EditError::EmptyTitle);
    }
    Ok(TaskPatch {
        title: args.title.as_ref().map(|title| title.trim().to_owned()),
        priority: args.priority.clone(),
        role: args.role.as_ref().map(nothing),
        content: args.body.as_deref().map(read_body).transpose()?.map(Some),
        blocked_by: args.blocked_by.as_ref().map(nothing),
        branch: args.branch.clone(),
        ..TaskPatch::default()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn patch(flags: &[&str]) -> Result<TaskPatch, EditError> {
        by_flags(&Line::try_parse_from(["edit", "a"].iter().chain(flags)).expect("flags").args)
    }

    #[test]
    fn flags_change_what_they_name_and_an_empty_one_clears() {
        let patch = patch(&["--priority", "p0", "--role", "", "--blocked-by", ""]).expect("patch");
        let expected = TaskPatch { priority: Some("P0".to_owned()), role: Some(None), blocked_by: Some(None), ..TaskPatch::default() };
        assert_eq!(patch, expected);
    }

    #[test]
    fn no_flags_ask_for_the_editor_and_an_empty_title_is_refused() {
        assert!(patch(&[]).expect("patch").is_empty());
        assert!(matches!(patch(&["--title", " "]), Err(EditError::EmptyTitle)));
    }
}
