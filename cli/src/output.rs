//! What reaches the user: data on stdout, the rest on stderr.
//!
//! **Invariants**: with `--json` a command writes one JSON value to stdout and nothing else; without a terminal nothing
//! is coloured or cut; a reader that closed the pipe has seen enough, which is no failure.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::{clean, table::Table};

/// States why nothing more can be told.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader closed the pipe.
    #[error("the reader has gone")]
    Closed,
    /// Stdout cannot be written.
    #[error("write to stdout")]
    Write(#[source] io::Error),
    /// A value has no JSON form.
    #[error("write as JSON")]
    Json(#[source] serde_json::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Write(error) }
    }
}

/// What a word of the output means, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Finished well.
    Good,
    /// Under way.
    Busy,
    /// Worth a look.
    Warn,
    /// Went wrong.
    Bad,
    /// Less important than the rest.
    Dim,
}

/// The process's stdout and stderr, and how they are to be used.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    colour: bool,
    stderr_colour: bool,
    terminal: bool,
}

impl Output {
    /// Looks at the process's streams and environment.
    pub fn of_process(json: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let may = !set("NO_COLOR") && !dumb;
        let terminal = io::stdout().is_terminal();
        Self { json, colour: may && terminal && !json, stderr_colour: may && io::stderr().is_terminal(), terminal }
    }

    /// Tells whether one JSON value is wanted.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Tells whether a person watches stdout.
    pub const fn terminal(&self) -> bool {
        self.terminal
    }

    /// Returns the terminal's columns; `None` when stdout is no terminal.
    pub fn width(&self) -> Option<usize> {
        self.terminal.then(|| crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns)))
    }

    /// Writes the one JSON value.
    pub fn value<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), OutputError> {
        let text = if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.bytes((text.map_err(OutputError::Json)? + "\n").as_bytes())
    }

    /// Writes a line of data.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), OutputError> {
        self.bytes((text.as_ref().to_owned() + "\n").as_bytes())
    }

    /// Writes a table, its head dimmed.
    pub fn table(&self, table: &Table) -> Result<(), OutputError> {
        for (index, line) in table.lines(self.width()).iter().enumerate() {
            self.line(if index == 0 { self.paint(Tone::Dim, line) } else { line.clone() })?;
        }
        Ok(())
    }

    /// Writes data as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Tells the user something on stderr. That nobody can read it is not worth a failure.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", clean::text(text.as_ref()));
    }

    /// Tells a warning.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.labelled(Tone::Warn, "warning:", text.as_ref());
    }

    /// Tells an error.
    pub fn error(&self, text: &str) {
        self.labelled(Tone::Bad, "error:", text);
    }

    /// Tells which command to try next.
    pub fn hint(&self, text: &str) {
        self.labelled(Tone::Dim, "hint:", text);
    }

    fn labelled(&self, tone: Tone, label: &str, text: &str) {
        let label = paint(self.stderr_colour, tone, label);
        let _ = writeln!(io::stderr().lock(), "{label} {}", clean::text(text));
    }

    /// Colours a text for stdout, if colours are wanted.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colour, tone, text)
    }
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Busy => "36",
        Tone::Warn => "33",
        Tone::Bad => "1;31",
        Tone::Dim => "2",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Tells the tone of a queue's name.
pub fn queue_tone(queue: &str) -> Tone {
    match queue {
        "done" => Tone::Good,
        "claimed" | "provisional" => Tone::Busy,
        "failed" => Tone::Bad,
        "blocked" | "needs_continuation" => Tone::Warn,
        "cancelled" | "backlog" => Tone::Dim,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        assert!(matches!(OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe)), OutputError::Closed));
        assert!(matches!(OutputError::from(io::Error::from(io::ErrorKind::StorageFull)), OutputError::Write(_)));
    }

    #[test]
    fn colour_is_added_only_where_it_is_wanted() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Good, "x"), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(paint(true, queue_tone("incoming"), "x"), "x");
    }
}
