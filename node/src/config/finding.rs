//! What is wrong with a project's files, told so that a person can mend it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::yaml::Place;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The node would not do what the file asks for.
    Error,
    /// It works, though perhaps not as meant.
    Warning,
}

impl Severity {
    /// Returns the word that is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing to mend: where, what, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops anything.
    pub severity: Severity,
    /// The file in which it is mended, relative to the project's root where it lies below it.
    pub file: PathBuf,
    /// The line, counted from 1; absent when the file as a whole is meant.
    pub line: Option<u32>,
    /// The column, counted from 1 in characters.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    pub(crate) fn error(at: &Place, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::at(Severity::Error, at, message.into(), fix.into())
    }

    pub(crate) fn warning(at: &Place, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::at(Severity::Warning, at, message.into(), fix.into())
    }

    fn at(severity: Severity, at: &Place, message: String, fix: String) -> Self {
        Self { severity, file: at.file.to_path_buf(), line: Some(at.line), column: Some(at.column), message, fix }
    }

    /// Makes a finding about a file as a whole.
    pub(crate) fn whole_file(severity: Severity, file: &Path, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity, file: file.to_owned(), line: None, column: None, message: message.into(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    /// Writes `file:line:column: severity: message (fix)`, the form that editors can jump to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}: {}", self.severity.as_str(), self.message)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, " ({})", self.fix) }
    }
}

/// States that files hold mistakes that must be mended before they can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.findings))]
pub struct Invalid {
    /// Every error and warning, in the order of the files.
    pub findings: Vec<Finding>,
}

fn lines(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Splits what was read into usable settings with warnings, or the reasons why there are none.
pub(super) fn settle<T>(value: T, findings: Vec<Finding>) -> Result<(T, Vec<Finding>), Invalid> {
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Err(Invalid { findings }) } else { Ok((value, findings)) }
}
