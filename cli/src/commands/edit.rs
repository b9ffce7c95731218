//! `octopoid edit`

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use octopoid_client::{Task, TaskPatch};

use super::{BodyError, TaskArg, enqueue::check_role, parse_priority, read_body, tell, whole_blocker};
use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    output::Output,
};

mod form;

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
    /// The form cannot be read. It is kept, so that the work is not lost.
    #[error("read the form kept at {}", .path.display())]
    Form {
        path: PathBuf,
        #[source]
        source: FormError,
    },
}

impl EditError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Body(_) | Self::EmptyTitle | Self::Form { .. } => Exit::Usage,
            Self::File { .. } | Self::Start { .. } | Self::Editor { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { .. } => Some("set EDITOR, or name what to change: octopoid edit ID --priority P0".to_owned()),
            Self::EmptyTitle => Some("octopoid edit ID --title \"Add user authentication\"".to_owned()),
            Self::Body(_) | Self::File { .. } | Self::Editor { .. } | Self::Form { .. } => None,
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
    /// The agents' role that should do it; empty for any.
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
    let mut patch = by_flags(&args)?;
    if patch.is_empty() {
        let task = connection.client.task(&id).await.map_err(Failure::about(&id))?;
        // The store stays free while a person thinks: what was read is named by its version.
        let layout = connection.layout.clone();
        drop(connection);
        patch = by_form(&task)?;
        if patch.is_empty() {
            output.note("nothing was changed");
            return if output.json() { Ok(output.value(&task)?) } else { Ok(()) };
        }
        patch.version = Some(task.version);
        return send(&Connection::to(layout).await?, &id, patch, output).await;
    }
    send(&connection, &id, patch, output).await
}

async fn send(connection: &Connection, id: &str, mut patch: TaskPatch, output: Output) -> Result<(), Failure> {
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
    let task = connection.client.patch_task(id, &patch).await.map_err(Failure::about(id))?;
    tell(output, &task, "changed")
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

/// Lets the user change a form in an editor and returns the difference.
fn by_form(task: &Task) -> Result<TaskPatch, EditError> {
    let path = std::env::temp_dir().join(format!("octopoid-{}-{}.md", task.id, std::process::id()));
    let failed = |source| EditError::File { path: path.clone(), source };
    let before = form::write(task);
    create(&path, &before).map_err(failed)?;
    let edited = open_editor(&path).and_then(|()| std::fs::read_to_string(&path).map_err(failed));
    let outcome = edited.and_then(|text| form::difference(task, &text).map_err(|source| EditError::Form { path: path.clone(), source }));
    if !matches!(outcome, Err(EditError::Form { .. })) {
        std::fs::remove_file(&path).map_err(failed)?;
    }
    outcome
}

/// Makes the file for its owner alone, and never through a link that somebody prepared.
fn create(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

fn open_editor(path: &Path) -> Result<(), EditError> {
    let named = |variable| std::env::var(variable).ok().filter(|name| !name.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // An editor may be named with arguments, as "code --wait"; no shell reads it.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status =
        Command::new(program).args(words).arg(path).status().map_err(|source| EditError::Start { editor: editor.clone(), source })?;
    if status.success() { Ok(()) } else { Err(EditError::Editor { editor, status }) }
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
