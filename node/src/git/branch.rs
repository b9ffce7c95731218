//! Names of branches, and of the references that belong to an attempt.
//!
//! **Invariants**: a [`Branch`] is a valid short branch name, never starts with a dash and is used by its full name only.

use std::{fmt, str::FromStr};

use octopoid_crdt::ids::{AttemptName, Name};

/// The longest branch name taken, in bytes; file systems stop at 255 for one component.
const MAX_LEN: usize = 200;

/// A branch's short name, such as `main`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Branch(String);

/// States why a text cannot name a branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BranchError {
    /// Nothing was given.
    #[error("the branch name is empty")]
    Empty,
    /// Such a name would be read as an option.
    #[error("branch '{0}' starts with '-'")]
    Dash(String),
    /// The short name is wanted.
    #[error("branch '{0}' is given as a full reference; leave out 'refs/heads/'")]
    Full(String),
    /// Git refuses the name.
    #[error("'{0}' is not a valid branch name; see 'git help check-ref-format'")]
    Invalid(String),
}

impl Branch {
    /// Names the branch of an attempt: `octopoid/<task>/<attempt>`.
    #[must_use]
    pub fn of_attempt(task: &Name, attempt: AttemptName) -> Self {
        Self(format!("octopoid/{task}/{attempt}"))
    }

    /// Returns the short name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the full name of the reference, the only form that is given to git.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }

    /// Returns the reference in which this repository remembers the branch of `origin`.
    #[must_use]
    pub fn tracking_reference(&self) -> String {
        format!("refs/remotes/origin/{}", self.0)
    }
}

impl FromStr for Branch {
    type Err = BranchError;

    fn from_str(text: &str) -> Result<Self, BranchError> {
        let shown = || text.chars().take(MAX_LEN).collect::<String>();
        if text.is_empty() {
            return Err(BranchError::Empty);
        }
        if text.starts_with('-') {
            return Err(BranchError::Dash(shown()));
        }
        if text.starts_with("refs/") {
            return Err(BranchError::Full(shown()));
        }
        let fits = text.len() <= MAX_LEN && text != "HEAD" && text != "@";
        if fits && git2::Reference::is_valid_name(&format!("refs/heads/{text}")) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BranchError::Invalid(shown()))
        }
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names the reference that keeps what a removed worktree held: `refs/octopoid/rescue/<task>/<attempt>`.
#[must_use]
pub fn rescue_reference(task: &Name, attempt: AttemptName) -> String {
    format!("refs/octopoid/rescue/{task}/{attempt}")
}

/// Names an attempt's worktree, its folder and git's administrative folder alike.
pub(super) fn worktree_name(task: &Name, attempt: AttemptName) -> String {
    format!("{task}-{attempt}")
}

/// Reads back what [`worktree_name`] wrote; `None` for any other text.
pub(super) fn parse_worktree_name(text: &str) -> Option<(Name, AttemptName)> {
    let (rest, claim) = text.rsplit_once('-')?;
    let (task, epoch) = rest.rsplit_once('-')?;
    let task = task.parse().ok()?;
    let attempt = format!("{epoch}-{claim}").parse().ok()?;
    (worktree_name(&task, attempt) == text).then_some((task, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_branch_names_are_taken() {
        for name in ["main", "feature/x", "release-1.2", "größe", "octopoid/t/1-aabbccdd", "a@b", "x-"] {
            assert_eq!(name.parse::<Branch>().map(|b| b.reference()), Ok(format!("refs/heads/{name}")));
        }
    }

    #[test]
    fn hostile_branch_names_are_refused() {
        let long = "a".repeat(MAX_LEN + 1);
        let names = [
            "",
            "-",
            "-f",
            "--upload-pack=sh",
            "--exec=x",
            "refs/heads/main",
            "refs/../main",
            "HEAD",
            "@",
            "a..b",
            "../main",
            "a/../b",
            "/abs",
            "a//b",
            "a/",
            ".hidden",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?b",
            "a*b",
            "a[b",
            "a\\b",
            "a@{1}",
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "a.",
            "+main:main",
            "ext::sh -c x",
            long.as_str(),
        ];
        for name in names {
            assert!(name.parse::<Branch>().is_err(), "{name:?} was taken");
        }
        assert!(names.len() >= 30);
    }

    #[test]
    fn a_worktree_name_is_read_back_and_nothing_else_is() {
        let task: Name = "add-auth-2".parse().expect("a name");
        let attempt: AttemptName = "12-3fa9c2d1".parse().expect("an attempt");
        let text = worktree_name(&task, attempt);
        assert_eq!(parse_worktree_name(&text), Some((task, attempt)));
        for other in ["", "x", "x-1", "x-1-zzzzzzzz", "x-01-3fa9c2d1", "x-+1-3fa9c2d1", "x-1-3FA9C2D1", "../x-1-3fa9c2d1", "-1-3fa9c2d1"] {
            assert_eq!(parse_worktree_name(other), None, "{other}");
        }
    }
}
