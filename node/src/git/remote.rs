//! Fetches from and pushes to `origin` by the `git` program, which brings the user's credentials.
//!
//! **Invariants**: a push never forces; references are given by full name after `--end-of-options`; the number of tries is
//! bounded, and only failures of the transport are tried again.

use std::{ffi::OsStr, path::Path, thread, time::Duration};

use git2::ErrorCode;
use octopoid_crdt::ids::Oid;

use super::{
    Branch, ProgramError, ProgramLimits, Repository,
    program::{self, Output},
    repository::{from_git, tip},
};

/// The remote that is used.
const ORIGIN: &str = "origin";

/// The pause before the second try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What git says when trying again cannot help.
const LASTING: [&str; 8] = [
    "does not appear to be a git repository",
    "Permission denied",
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "not found",
    "transport 'ext' not allowed",
    "Host key verification failed",
];

/// What a remote says when another push came first.
const RACES: [&str; 6] =
    ["cannot lock ref", "failed to update ref", "failed to lock", "incorrect old value", "reference already exists", "fetch first"];

/// How a push ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The remote's branch is at the commit.
    Done,
    /// The remote's branch holds commits that were not known; fetch first.
    Moved,
}

/// States why a remote was not reached or said no.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no `origin`.
    #[error("no remote 'origin'; add one: git remote add origin URL")]
    NoRemote,
    /// The `git` program gave no answer.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The remote refused the branch, by a rule or hook of its own.
    #[error("origin refused branch '{branch}': {message}")]
    Refused { branch: Branch, message: String },
    /// The remote could not be reached or read.
    #[error("failed to {action} origin: {message}")]
    Failed { action: &'static str, message: String },
    /// The repository here could not be read.
    #[error("failed to read the repository")]
    Git(#[from] git2::Error),
}

/// Returns the version of the `git` program, such as `2.47.3`.
///
/// # Errors
/// When it cannot be run.
pub fn git_version() -> Result<String, ProgramError> {
    let output = program::run(Path::new("/"), None, "version", &[], ProgramLimits::default())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().trim_start_matches("git version ").chars().take(100).collect())
}

/// Tells whether a remote's address is at github.com, by its host and not by what the text contains.
#[must_use]
pub fn looks_like_github(url: &str) -> bool {
    let host = match url.split_once("://") {
        Some((scheme, rest)) if ["https", "http", "ssh", "git"].contains(&scheme.to_ascii_lowercase().as_str()) => {
            rest.split(['/', '?', '#']).next().unwrap_or_default()
        }
        Some(_) => return false,
        // scp's form: [user@]host:path, where the host has no slash.
        None => match url.split_once(':') {
            Some((host, _)) if !host.contains('/') => host,
            _ => return false,
        },
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    matches!(host.as_str(), "github.com" | "www.github.com" | "ssh.github.com")
}

impl Repository {
    /// Fetches a branch of `origin` and returns its tip; `None` when `origin` has no such branch. No local branch moves.
    ///
    /// # Errors
    /// With the remote's message when it cannot be reached.
    pub fn fetch_branch(&self, branch: &Branch) -> Result<Option<Oid>, RemoteError> {
        let refspec = format!("+{}:{}", branch.reference(), branch.tracking_reference());
        let options = ["--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-prune", "--end-of-options", ORIGIN, &refspec];
        let missing = |output: &Output| output.message().contains("couldn't find remote ref");
        let output = self.reach("fetch from", "fetch", &options, missing)?;
        if !output.status.success() {
            return Ok(None);
        }
        Ok(tip(&self.git()?, &branch.tracking_reference())?.map(from_git).transpose()?)
    }

    /// Pushes a local branch to `origin` under the same name.
    ///
    /// # Errors
    /// With the remote's message when it refuses or cannot be reached.
    pub fn push_branch(&self, branch: &Branch) -> Result<Pushed, RemoteError> {
        let head = tip(&self.git()?, &branch.reference())?;
        let head = head.ok_or_else(|| git2::Error::from_str(&format!("there is no branch '{branch}' to push")))?;
        self.push_commit(head, branch)
    }

    /// Pushes a commit onto a branch of `origin` as a plain fast-forward, which the remote refuses when the branch moved.
    pub(super) fn push_commit(&self, commit: git2::Oid, branch: &Branch) -> Result<Pushed, RemoteError> {
        let refspec = format!("{commit}:{}", branch.reference());
        let options = [
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--no-signed",
            "--recurse-submodules=no",
            "--end-of-options",
            ORIGIN,
            refspec.as_str(),
        ];
        let output = self.reach("push to", "push", &options, |output| rejection(output).is_some())?;
        match rejection(&output) {
            None => Ok(Pushed::Done),
            Some(reason) if is_race(&reason) => Ok(Pushed::Moved),
            Some(reason) => Err(RemoteError::Refused { branch: branch.clone(), message: format!("{reason}\n{}", output.message()) }),
        }
    }

    /// Runs a command that talks to `origin`, again after a failure on the way; `answered` tells a failure that is an answer.
    fn reach(
        &self,
        action: &'static str,
        command: &'static str,
        options: &[&str],
        answered: impl Fn(&Output) -> bool,
    ) -> Result<Output, RemoteError> {
        let git = self.git()?;
        match git.find_remote(ORIGIN) {
            Err(error) if error.code() == ErrorCode::NotFound => return Err(RemoteError::NoRemote),
            other => drop(other?),
        }
        let variables: &[_] = if chooses_ssh(&git)? { &[] } else { &[("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")] };
        let arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        let mut pause = FIRST_PAUSE;
        for left in (0..self.limits.tries.max(1)).rev() {
            let output = program::run_with(variables, self.root(), Some(self.git_dir()), command, &arguments, self.limits)?;
            if output.status.success() || answered(&output) {
                return Ok(output);
            }
            let message = output.message();
            if left == 0 || LASTING.iter().any(|text| message.contains(text)) {
                return Err(RemoteError::Failed { action, message });
            }
            tracing::debug!(command, message, "git did not reach the remote, trying again");
            thread::sleep(pause);
            pause *= 2;
        }
        Err(RemoteError::Failed { action, message: "no try was allowed".to_owned() })
    }
}

/// Tells whether the user said which ssh to run; else ours is told not to ask, since nobody sees the question.
fn chooses_ssh(git: &git2::Repository) -> Result<bool, git2::Error> {
    let by_environment = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| std::env::var_os(name).is_some());
    Ok(by_environment || git.config()?.snapshot()?.get_bytes("core.sshCommand").is_ok())
}

/// Returns the summary of a reference that the push did not update.
fn rejection(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("!\t"))?;
    let summary = line.split('\t').nth(1).unwrap_or(line);
    // The remote broke off: not an answer.
    (!summary.starts_with("[remote failure]")).then(|| summary.chars().filter(|c| !c.is_control()).take(500).collect())
}

fn is_race(summary: &str) -> bool {
    summary.starts_with("[rejected]") || RACES.iter().any(|text| summary.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_is_told_by_the_host() {
        for url in [
            "https://github.com/o/r.git",
            "https://user:token@github.com/o/r",
            "git@github.com:o/r.git",
            "ssh://git@github.com:22/o/r",
            "ssh://git@ssh.github.com:443/o/r.git",
            "HTTPS://GitHub.com/o/r",
        ] {
            assert!(looks_like_github(url), "{url}");
        }
        for url in [
            "https://github.com.evil.example/o/r",
            "https://github.com@evil.example/o/r",
            "https://evil.example/github.com/o/r",
            "git@evil.example:github.com/o/r",
            "/srv/github.com/r.git",
            "./github.com:x",
            "file://github.com/o/r",
            "ext::sh -c github.com",
            "",
        ] {
            assert!(!looks_like_github(url), "{url}");
        }
    }
}
