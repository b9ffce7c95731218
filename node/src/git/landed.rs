//! Which tasks a branch holds the merge of, read from the trailers of its commits.
//!
//! **Invariants**: every commit that the tip reaches is read, through all parents; a task id counts only as the value of an
//! `Octopoid-Task` trailer, as `git interpret-trailers` understands trailers.

use std::collections::HashMap;

use octopoid_crdt::ids::{AttemptName, Name, Oid, RecordId};

use super::repository::from_git;

pub(super) const TASK: &str = "Octopoid-Task";
pub(super) const ATTEMPT: &str = "Octopoid-Attempt";
pub(super) const ACCEPT: &str = "Octopoid-Accept";

/// A commit of the branch that carries a task's trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The commit.
    pub commit: Oid,
    /// The attempt that it says it merged; `None` when it names none that can be read.
    pub attempt: Option<AttemptName>,
    /// The accept record that it says it followed.
    pub accept: Option<RecordId>,
}

/// What was found below one tip. History never changes below a commit, so a later tip adds to it.
#[derive(Debug, Default)]
pub(super) struct LandedIndex {
    tip: Option<git2::Oid>,
    by_task: HashMap<String, Vec<Landing>>,
}

impl LandedIndex {
    /// Returns the task's commits below `tip`, reading only what earlier calls have not read.
    pub fn find(&mut self, git: &git2::Repository, tip: git2::Oid, task: &Name) -> Result<Vec<Landing>, git2::Error> {
        if self.tip != Some(tip)
            && let Err(error) = self.read_to(git, tip)
        {
            *self = Self::default();
            return Err(error);
        }
        Ok(self.by_task.get(task.as_str()).cloned().unwrap_or_default())
    }

    fn read_to(&mut self, git: &git2::Repository, tip: git2::Oid) -> Result<(), git2::Error> {
        let mut walk = git.revwalk()?;
        walk.push(tip)?;
        match self.tip {
            Some(known) if git.graph_descendant_of(tip, known).unwrap_or(false) => walk.hide(known)?,
            // The branch was rewritten: what the old tip reached may be gone from it.
            _ => *self = Self::default(),
        }
        for commit in walk {
            let commit = commit?;
            for (task, landing) in landings(git, commit)? {
                self.by_task.entry(task).or_default().push(landing);
            }
        }
        self.tip = Some(tip);
        Ok(())
    }
}

/// Returns the tasks that a commit says it merged.
fn landings(git: &git2::Repository, commit: git2::Oid) -> Result<Vec<(String, Landing)>, git2::Error> {
    let found = git.find_commit(commit)?;
    let trailers = trailers(found.message_raw_bytes());
    let value = |key: &str| trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str());
    let landing = Landing {
        commit: from_git(commit)?,
        attempt: value(ATTEMPT).and_then(|text| text.parse().ok()),
        accept: value(ACCEPT).and_then(|text| text.parse().ok()),
    };
    let tasks = trailers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TASK));
    Ok(tasks.map(|(_, task)| (task.clone(), landing.clone())).collect())
}

/// Returns the first commit between branches' tips and `head` that carries a task trailer of its own.
pub(super) fn forged(git: &git2::Repository, tips: &[git2::Oid], head: git2::Oid) -> Result<Option<git2::Oid>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.push(head)?;
    for tip in tips {
        walk.hide(*tip)?;
    }
    for commit in walk {
        let commit = commit?;
        if has_task_trailer(git.find_commit(commit)?.message_raw_bytes()) {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

/// Tells whether a commit message carries an `Octopoid-Task` trailer.
pub(super) fn has_task_trailer(message: &[u8]) -> bool {
    trailers(message).iter().any(|(name, _)| name.eq_ignore_ascii_case(TASK))
}

/// Returns the trailers of a commit message; only for messages that mention our key at all, which few do.
fn trailers(message: &[u8]) -> Vec<(String, String)> {
    let message = message.split(|b| *b == 0).next().unwrap_or_default();
    if !message.windows(TASK.len()).any(|window| window.eq_ignore_ascii_case(TASK.as_bytes())) {
        return Vec::new();
    }
    let Ok(parsed) = git2::message_trailers_bytes(message.to_vec()) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in parsed.iter() {
        let value = String::from_utf8_lossy(value);
        let mut lines = value.lines();
        found.push((String::from_utf8_lossy(key).into_owned(), lines.next().unwrap_or_default().trim().to_owned()));
        // libgit2 reads the line after an empty value as its continuation.
        found.extend(lines.filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(message: &str) -> Vec<String> {
        trailers(message.as_bytes()).into_iter().filter(|(key, _)| key.eq_ignore_ascii_case(TASK)).map(|(_, value)| value).collect()
    }

    #[test]
    fn a_task_counts_only_in_the_last_paragraph_of_trailers() {
        assert_eq!(tasks("Merge x\n\nOctopoid-Task: t1\nOctopoid-Attempt: 1-aabbccdd\n"), ["t1"]);
        assert_eq!(tasks("Merge x\n\nbody\n\noctopoid-task:t1\n"), ["t1"]);
        assert_eq!(tasks("Merge x\n\nOctopoid-Task: t1\n\n\n"), ["t1"]);
        assert_eq!(tasks("Merge x\n\nOctopoid-Task:\nOctopoid-Task: t1\n"), ["", "t1"]);
        for message in [
            "Octopoid-Task: t1",
            "Octopoid-Task: t1\n",
            "Merge\nOctopoid-Task: t1\n",
            "Merge\n\nOctopoid-Task: t1\n\nand then more prose\n",
            "Merge\n\nprose with Octopoid-Task: t1 in it\n",
            "Merge\n\n    Octopoid-Task: t1\n",
            "Revert \"Octopoid-Task: t1\"\n\nThis reverts commit 1.\n",
            "",
        ] {
            assert_eq!(tasks(message), Vec::<String>::new(), "{message:?}");
        }
    }

    #[test]
    fn a_value_is_compared_whole() {
        assert_eq!(tasks("m\n\nOctopoid-Task: t10\n"), ["t10"]);
        assert_eq!(tasks("m\n\nX-Octopoid-Task: t1\nOctopoid-Tasks: t2\n"), Vec::<String>::new());
    }
}
