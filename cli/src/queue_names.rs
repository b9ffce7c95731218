//! The names that `--queue` takes.

use octopoid_client::{ClientError, ErrorKind};

use crate::{
    connection::Connection,
    failure::{Exit, of_call},
};

/// The queues of every project.
const BUILT_IN: [&str; 9] =
    ["incoming", "claimed", "provisional", "done", "cancelled", "failed", "blocked", "backlog", "needs_continuation"];

/// States why a queue is not looked into.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No task could ever be in it.
    #[error("unknown queue '{queue}': it must be one of {}", valid.join(", "))]
    Unknown {
        /// What was given.
        queue: String,
        /// What would do.
        valid: Vec<String>,
    },
    /// The registered flows cannot be listed.
    #[error("list the registered flows")]
    Flows(#[source] ClientError),
}

impl QueueError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::Usage,
            Self::Flows(error) => of_call(error),
        }
    }
}

/// Refuses a queue that is neither built in nor a state of a registered flow.
pub async fn check(connection: &Connection, queues: &[String]) -> Result<(), QueueError> {
    if queues.iter().all(|queue| BUILT_IN.contains(&queue.as_str())) {
        return Ok(());
    }
    let mut valid: Vec<String> = BUILT_IN.map(str::to_owned).to_vec();
    match connection.client.flows(None).await {
        // What a page does not show may be a state of one that it leaves out.
        Ok(page) if page.total > page.flows.len() as u64 => return Ok(()),
        Ok(page) => {
            for flow in page.flows {
                // Written by the node as a list of names; anything else names no state.
                let states: Vec<String> = serde_json::from_str(&flow.states).unwrap_or_default();
                valid.extend(states.into_iter().filter(|state| !BUILT_IN.contains(&state.as_str())));
            }
        }
        // A node without this call has no registered flows.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(QueueError::Flows(error)),
    }
    let unknown = queues.iter().find(|queue| !valid.contains(queue));
    unknown.map_or(Ok(()), |queue| Err(QueueError::Unknown { queue: queue.clone(), valid }))
}
