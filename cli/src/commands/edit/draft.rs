//! The file in which a person edits a form.
//!
//! **Invariants**: the file is its owner's alone; what was typed and refused stays in it until it is taken.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use octopoid_client::{Task, TaskPatch};

use super::{EditError, form};

/// How the lines begin that say why a form was refused.
const REFUSED: &str = "# Refused: ";
/// What to do then.
const WHAT_NEXT: &str = "# Mend it and save. Without a further change nothing is sent, and this file is kept.";

/// A form on its way through an editor.
pub struct Draft {
    path: PathBuf,
    /// The text as it was put into the file.
    given: String,
    refused: bool,
}

impl Draft {
    /// Writes the form of a task into a new file.
    pub fn begin(task: &Task) -> Result<Self, EditError> {
        let path = std::env::temp_dir().join(format!("octopoid-{}-{}.md", task.id, std::process::id()));
        let given = form::write(task);
        create(&path, &given).map_err(|source| EditError::File { path: path.clone(), source })?;
        Ok(Self { path, given, refused: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the user change the text. `None` when a refused one comes back as it was given.
    ///
    /// An editor that failed on a form that was never refused is how users say that nothing is to change: the file goes.
    pub fn edit(&self) -> Result<Option<String>, EditError> {
        let edited = open_editor(&self.path).and_then(|()| fs::read_to_string(&self.path).map_err(self.failed()));
        if edited.is_err() && !self.refused {
            self.remove()?;
        }
        edited.map(|text| Some(text).filter(|text| !self.refused || *text != self.given))
    }

    /// Writes above the text why it was refused, instead of an earlier reason.
    pub fn refuse(&mut self, task: &Task, text: &str, reason: &str) -> Result<(), EditError> {
        let typed: String = text.split_inclusive('\n').filter(|line| !line.starts_with(REFUSED) && line.trim_end() != WHAT_NEXT).collect();
        let with = |reason: &str| format!("{REFUSED}{}\n{WHAT_NEXT}\n{typed}", reason.replace('\n', " "));
        // A line's number is that of the text with the reason above it.
        let told = form::difference(task, &with(reason)).err().map_or_else(|| reason.to_owned(), |error| error.to_string());
        self.given = with(&told);
        self.refused = true;
        fs::write(&self.path, &self.given).map_err(self.failed())
    }

    /// Removes the file.
    pub fn remove(&self) -> Result<(), EditError> {
        fs::remove_file(&self.path).map_err(self.failed())
    }

    fn failed(&self) -> impl Fn(io::Error) -> EditError + use<> {
        let path = self.path.clone();
        move |source| EditError::File { path: path.clone(), source }
    }
}

/// Reads what differs between a task and its form.
pub fn read(task: &Task, text: &str) -> Result<TaskPatch, EditError> {
    form::difference(task, text).map_err(EditError::Form)
}

/// Makes the file for its owner alone, and never through a link that somebody prepared.
fn create(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
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
