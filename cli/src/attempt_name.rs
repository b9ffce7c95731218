//! The attempts that `--attempt` names by a beginning.

use octopoid_client::ClientError;

use crate::{connection::Connection, failure::Exit};

/// States why no one attempt is meant.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// None begins like this.
    #[error("{task} has no attempt '{given}'{}", listed(known))]
    Unknown {
        /// The task.
        task: String,
        /// What was given.
        given: String,
        /// The attempts that there are.
        known: Vec<String>,
    },
    /// Several begin like this.
    #[error("attempt '{given}' of {task} could be {}", candidates.join(", "))]
    Several {
        /// The task.
        task: String,
        /// What was given.
        given: String,
        /// What it could mean.
        candidates: Vec<String>,
    },
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { ": it has none yet".to_owned() } else { format!(": it has {}", known.join(", ")) }
}

impl AttemptError {
    pub fn exit(&self) -> Exit {
        Exit::Usage
    }

    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { task, .. } | Self::Several { task, .. } => format!("'octopoid show {task}' lists its attempts and reviews"),
        }
    }
}

/// Finds the attempt or review that a text is, or is the only one to begin with; a number is that of an attempt.
pub async fn whole(connection: &Connection, task: &str, given: &str) -> Result<Result<String, AttemptError>, ClientError> {
    let attempts = connection.client.attempts(task).await?.attempts;
    let mut known: Vec<String> = attempts.into_iter().map(|attempt| attempt.attempt).collect();
    if matching(&known, given).is_empty() {
        // A review is no attempt, and has a log of its own all the same.
        let history = connection.client.history(task).await?.history;
        known.extend(history.iter().filter_map(|event| Some(event.details.as_ref()?.strip_prefix("review ")?.to_owned())));
    }
    let mut candidates = matching(&known, given);
    let (task, given) = (task.to_owned(), given.to_owned());
    Ok(match (candidates.pop(), candidates.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(AttemptError::Unknown { task, given, known }),
        (Some(last), false) => {
            candidates.push(last);
            Err(AttemptError::Several { task, given, candidates })
        }
    })
}

fn matching(known: &[String], given: &str) -> Vec<String> {
    let number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    let is_meant = |name: &&String| match name.split_once('-') {
        Some((epoch, _)) if number => epoch == given,
        Some(_) | None => !given.is_empty() && name.starts_with(given),
    };
    known.iter().filter(is_meant).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_an_attempts_own_and_not_the_beginning_of_another() {
        let known = ["1-3fa9c2d1", "1-4b000000", "10-3fa9c2d1"].map(str::to_owned);
        assert_eq!(matching(&known, "10"), ["10-3fa9c2d1"]);
        assert_eq!(matching(&known, "1").len(), 2);
        assert_eq!(matching(&known, "1-3"), ["1-3fa9c2d1"]);
        assert_eq!(matching(&known, "1-4b000000"), ["1-4b000000"]);
        assert!(matching(&known, "").is_empty() && matching(&known, "2").is_empty());
    }
}
