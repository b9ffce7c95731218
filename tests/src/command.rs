//! Commands of the program, as a user gives them.

use std::{
    fmt,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::octopoid;

/// Prepares a program to run with an environment of the test's own.
#[must_use]
pub fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let with_octopoid = std::env::join_paths(octopoid().parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path)));
    command.env_clear().current_dir(folder);
    command.env("PATH", with_octopoid.unwrap_or(path)).env("HOME", home).env("USER", "tester").env("LANG", "C.UTF-8");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A Person").env(format!("GIT_{role}_EMAIL"), "person@example.org");
    }
    command
}

/// What a command said and how it ended.
pub struct Said {
    told: String,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Said {
    /// Keeps what a command wrote.
    ///
    /// # Panics
    /// When that is no text.
    #[must_use]
    pub fn new(told: String, output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { told, code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Returns stdout of a command that did what it was asked, without the last line's end.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.trim_end_matches('\n')
    }

    /// Returns stderr of a command that ended with this code.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        &self.stderr
    }

    /// Returns the one JSON value that stdout is.
    ///
    /// # Panics
    /// When it is none, or more than one.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is not one JSON value: {error}: {self:?}"))
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        write!(f, "'{}' ended with {code}\n--- stdout\n{}\n--- stderr\n{}", self.told, self.stdout, self.stderr)
    }
}
