//! Notices when an agent moves a branch that is not its own.
//!
//! An agent shares the repository with its user, so git lets it move any branch. Nothing is moved back: the user, or a remote,
//! may have followed by then. What such a branch named before is kept by a reference, and whoever asks is told.
//!
//! **Invariants**: a move is laid to an agent only where git's own log of the branch names it, or where a branch without a log
//! holds its work; the branches of attempts are not looked at.

use std::collections::BTreeMap;
use std::fmt;

use git2::ErrorCode;
use octopoid_crdt::ids::{AttemptName, Name, Oid};

use super::repository::{from_git, to_git};
use super::{Branch, ReadError, Repository};

/// The most branches that are watched; a repository with more has others to look after it.
const MAX_BRANCHES: usize = 10_000;
/// How git's log of a remote's branch begins where this repository pushed to it.
const PUSHED: &[u8] = b"update by push";

/// Where branches were at one moment, by the full names of their references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches(BTreeMap<String, Oid>);

/// A branch that an agent moved, or that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The full name of its reference.
    pub reference: String,
    /// The commit that it named before the agent moved it first.
    pub before: Oid,
    /// The commit that it names; `None` when it is gone.
    pub after: Option<Oid>,
    /// Somebody moved it on from where the agent had moved it.
    pub followed: bool,
    /// The reference that keeps what it named.
    pub kept: String,
}

impl Moved {
    /// Tells whether it is a branch, here or at the remote.
    #[must_use]
    pub fn is(&self, branch: &Branch) -> bool {
        self.reference == branch.reference() || self.reference == branch.tracking_reference()
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference, before, after, followed, kept } = self;
        match (reference.strip_prefix("refs/heads/"), after) {
            (Some(name), Some(after)) if *followed => {
                write!(f, "it moved branch '{name}' from {before:.10}, and others moved it on to {after:.10}: git log {before:.10}..{name}")
            }
            (Some(name), Some(after)) => {
                write!(f, "it moved branch '{name}' from {before:.10} to {after:.10}; to put it back: git update-ref {reference} {before}")
            }
            (Some(name), None) => {
                write!(f, "branch '{name}' is gone since it began; to put it back: git update-ref {reference} {before}")
            }
            (None, Some(after)) => {
                let name = reference.strip_prefix("refs/remotes/").unwrap_or(reference);
                write!(f, "it pushed to '{name}', which was at {before:.10} and is at {after:.10}")
            }
            (None, None) => write!(f, "'{reference}' is gone since it began"),
        }?;
        write!(f, " (kept as {kept})")
    }
}

impl Repository {
    /// Notes where the branches are, here and at remotes, but for those of attempts.
    ///
    /// # Errors
    /// When the references cannot be read.
    pub fn branches(&self) -> Result<Branches, ReadError> {
        self.read("the branches", |git| {
            let mut tips = BTreeMap::new();
            for glob in ["refs/heads/*", "refs/remotes/*"] {
                for reference in git.references_glob(glob)? {
                    let reference = reference?;
                    let Ok(name) = reference.name().map(str::to_owned) else { continue };
                    let of_attempt = name.starts_with("refs/heads/octopoid/") || name.split('/').nth(3) == Some("octopoid");
                    let Some(tip) = reference.target().filter(|_| !of_attempt && tips.len() < MAX_BRANCHES) else { continue };
                    tips.insert(name, from_git(tip)?);
                }
            }
            Ok(Branches(tips))
        })
    }

    /// Finds the branches that the agent of this e-mail address moved since, and those that are gone, and keeps what they named.
    ///
    /// `head` is the agent's work.
    ///
    /// # Errors
    /// When the references cannot be read, or one cannot be kept.
    pub fn moved_by(&self, email: &str, since: &Branches, head: &Oid, task: &Name, attempt: AttemptName) -> Result<Vec<Moved>, ReadError> {
        self.read("the branches", |git| {
            let head = to_git(head)?;
            let mut found = Vec::new();
            for (reference, noted) in &since.0 {
                let (was, is) = (to_git(noted)?, target(git, reference)?);
                let moved = match is {
                    Some(is) if is == was => None,
                    Some(is) => first_move(git, email, reference, was, is, head)?,
                    // A fetch prunes branches of a remote, and git leaves no log of a branch that is gone.
                    None => reference.starts_with("refs/heads/").then_some((was, false)),
                };
                if let Some((before, followed)) = moved {
                    let kept = format!("refs/octopoid/moved/{task}/{attempt}/{}", reference.trim_start_matches("refs/"));
                    git.reference(&kept, before, true, "octopoid: where the branch was")?;
                    let (before, after) = (from_git(before)?, is.map(from_git).transpose()?);
                    found.push(Moved { reference: reference.clone(), before, after, followed, kept });
                }
            }
            Ok(found)
        })
    }
}

/// Returns what a reference names, whether or not the commit is there; `None` when the reference is not.
fn target(git: &git2::Repository, reference: &str) -> Result<Option<git2::Oid>, git2::Error> {
    match git.find_reference(reference) {
        Ok(found) => Ok(found.target()),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what a reference named before an agent moved it first, and whether somebody moved it on; `None` when no agent did.
fn first_move(
    git: &git2::Repository,
    email: &str,
    reference: &str,
    from: git2::Oid,
    to: git2::Oid,
    head: git2::Oid,
) -> Result<Option<(git2::Oid, bool)>, git2::Error> {
    let log = git.reflog(reference)?;
    if log.is_empty() {
        let holds_work = to == head || git.graph_descendant_of(head, to).unwrap_or(false);
        return Ok(holds_work.then_some((from, false)));
    }
    let local = reference.starts_with("refs/heads/");
    // What an agent fetched is no move of a branch.
    let by_agent = |entry: &git2::ReflogEntry<'_>| {
        entry.committer().email_bytes() == email.as_bytes()
            && (local || entry.message_bytes().is_some_and(|message| message.starts_with(PUSHED)))
    };
    // The newest entry comes first.
    let since: Vec<_> = log.iter().take_while(|entry| entry.id_new() != from).collect();
    let followed = since.first().is_some_and(|newest| !by_agent(newest));
    Ok(since.iter().rfind(|entry| by_agent(entry)).map(|first| (first.id_old(), followed)))
}
