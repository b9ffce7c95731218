//! Why a command failed, as an exit code and a hint.
//!
//! **Invariants**: every failure has one exit code, decided here and nowhere else; a hint names a command.

use std::{error::Error, path::PathBuf, process::ExitCode};

use octopoid_client::{ClientError, ErrorKind};

use crate::{
    attempt_name::AttemptError,
    commands::{
        dashboard::DashboardError, edit::EditError, enqueue::EnqueueError, import::TransferError, install_service::ServiceError,
        logs::LogsError, man::ManError, server::ServerError, start::StartError, stop::StopError, validate::ValidateError, wait::WaitError,
    },
    connection::ConnectError,
    demo::DemoFailure,
    node_bridge::{BridgeError, LocalError},
    output::OutputError,
    queue_names::QueueError,
};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Did what it was asked.
    Done = 0,
    /// Could not.
    Failed = 1,
    /// Was asked wrongly.
    Usage = 2,
    /// There is no project here.
    NotInitialised = 3,
    /// The state forbids it.
    Refused = 4,
    /// The node cannot be reached.
    Unreachable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The project's state cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// A call about one task failed.
    #[error("{}", about_task(id, source))]
    Task {
        /// The task.
        id: String,
        /// Its text is part of this one's, so it is not named as the source.
        source: Box<ClientError>,
    },
    /// A task that another one is to wait for is none.
    #[error("--blocked-by {}", about_task(id, source))]
    Blocker {
        /// What was given.
        id: String,
        /// Its text is part of this one's, so it is not named as the source.
        source: Box<ClientError>,
    },
    /// Nothing more can be told.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The node's part failed.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// See [`EnqueueError`].
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// See [`DashboardError`].
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
    /// See [`EditError`].
    #[error(transparent)]
    Edit(#[from] EditError),
    /// See [`ServiceError`].
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// See [`ManError`].
    #[error(transparent)]
    Man(#[from] ManError),
    /// See [`LogsError`].
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// See [`TransferError`].
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// See [`ServerError`].
    #[error(transparent)]
    Server(#[from] ServerError),
    /// See [`StartError`].
    #[error(transparent)]
    Start(#[from] StartError),
    /// See [`StopError`].
    #[error(transparent)]
    Stop(#[from] StopError),
    /// See [`ValidateError`].
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// See [`WaitError`].
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// See [`AttemptError`].
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// See [`QueueError`].
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// What `doctor` found is told already.
    #[error("the store has problems")]
    Unsound,
    /// The demo came to no end.
    #[error(transparent)]
    Demo(#[from] DemoFailure),
    /// What the demo shows is told already.
    #[error("the demo did not end as it should")]
    DemoFailed {
        /// Where it played.
        repository: PathBuf,
    },
}

/// Names the task where the node's text does not.
fn about_task(id: &str, source: &ClientError) -> String {
    let text = source.to_string();
    if text.contains(&format!("'{id}'")) { text } else { format!("{id}: {text}") }
}

impl Failure {
    /// Says which task a failed call was about, so that the hint can name it.
    pub fn about(id: &str) -> impl FnOnce(ClientError) -> Self {
        move |source| Self::Task { id: id.to_owned(), source: Box::new(source) }
    }

    /// Tells how the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Connect(error) => of_connect(error),
            Self::Call(error) => of_call(error),
            Self::Task { source, .. } => of_call(source),
            Self::Blocker { source, .. } if source.kind() == ErrorKind::NotFound => Exit::Usage,
            Self::Blocker { source, .. } => of_call(source),
            Self::Output(OutputError::Closed) => Exit::Done,
            Self::Enqueue(error) => error.exit(),
            Self::Dashboard(error) => error.exit(),
            Self::Edit(error) => error.exit(),
            Self::Service(error) => error.exit(),
            Self::Man(error) => error.exit(),
            Self::Logs(error) => error.exit(),
            Self::Transfer(error) => error.exit(),
            Self::Server(error) => error.exit(),
            Self::Start(error) => error.exit(),
            Self::Stop(error) => error.exit(),
            Self::Wait(error) => error.exit(),
            Self::Attempt(error) => error.exit(),
            Self::Queue(error) => error.exit(),
            Self::Bridge(error) => of_bridge(error),
            Self::Output(OutputError::Write(_) | OutputError::Json(_))
            | Self::Validate(_)
            | Self::Unsound
            | Self::Demo(_)
            | Self::DemoFailed { .. } => Exit::Failed,
        }
    }

    /// Names the command to try next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(error) => connect_hint(error),
            Self::Call(error) => call_hint(error, None),
            Self::Task { id, source } | Self::Blocker { id, source } => call_hint(source, Some(id)),
            Self::Enqueue(error) => error.hint(),
            Self::Dashboard(error) => error.hint(),
            Self::Edit(error) => error.hint(),
            Self::Service(error) => error.hint(),
            Self::Logs(error) => error.hint(),
            Self::Transfer(error) => error.hint(),
            Self::Server(error) => error.hint(),
            Self::Start(error) => error.hint(),
            Self::Stop(error) => error.hint(),
            Self::Validate(_) => Some("fix what is listed, then run 'octopoid validate' again".to_owned()),
            Self::Wait(error) => Some(error.hint()),
            Self::Attempt(error) => Some(error.hint()),
            Self::Unsound => Some("octopoid doctor --rebuild makes the views anew from the records".to_owned()),
            Self::DemoFailed { repository } => {
                Some(format!("the repository is kept: cd {} && octopoid list, then octopoid logs ID", repository.display()))
            }
            Self::Bridge(error) => bridge_hint(error),
            Self::Output(_) | Self::Queue(_) | Self::Demo(_) | Self::Man(_) => None,
        }
    }

    /// Tells the failure and everything that led to it in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        // A task's failure holds its cause's text already.
        let mut cause = if let Self::Task { source, .. } | Self::Blocker { source, .. } = self { source.source() } else { self.source() };
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }
}

/// Tells how a command ends whose call failed.
pub fn of_call(error: &ClientError) -> Exit {
    match error.kind() {
        // A beginning of an id that means several tasks.
        ErrorKind::Refused if error.body().is_some_and(|body| !body.candidates.is_empty()) => Exit::Usage,
        ErrorKind::Invalid => Exit::Usage,
        ErrorKind::Refused => Exit::Refused,
        ErrorKind::Unreachable => Exit::Unreachable,
        ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Failed => Exit::Failed,
    }
}

fn of_bridge(error: &BridgeError) -> Exit {
    match error {
        BridgeError::OpenTasks(_) | BridgeError::Locked => Exit::Refused,
        BridgeError::Uninit(error) if error.is_refusal() => Exit::Refused,
        BridgeError::Init(error) if error.is_wrong_use() => Exit::Usage,
        BridgeError::Name(_) => Exit::Usage,
        BridgeError::Init(_)
        | BridgeError::Start(_)
        | BridgeError::Open(_)
        | BridgeError::Uninit(_)
        | BridgeError::Read(_)
        | BridgeError::Join(_)
        | BridgeError::Keep(_)
        | BridgeError::Program(_) => Exit::Failed,
    }
}

fn bridge_hint(error: &BridgeError) -> Option<String> {
    Some(match error {
        BridgeError::OpenTasks(_) => "'octopoid list' shows them; 'octopoid uninit --force' removes them, too".to_owned(),
        BridgeError::Locked => "run 'octopoid stop' and repeat the command".to_owned(),
        BridgeError::Read(_) => "'octopoid doctor' looks through the store".to_owned(),
        BridgeError::Init(_)
        | BridgeError::Start(_)
        | BridgeError::Open(_)
        | BridgeError::Uninit(_)
        | BridgeError::Join(_)
        | BridgeError::Keep(_)
        | BridgeError::Name(_)
        | BridgeError::Program(_) => return error.open_hint(),
    })
}

fn of_connect(error: &ConnectError) -> Exit {
    match error {
        ConnectError::Find(_) => Exit::NotInitialised,
        ConnectError::Held { .. } => Exit::Unreachable,
        ConnectError::Folder(_) | ConnectError::Token { .. } | ConnectError::Written { .. } | ConnectError::Local { .. } => Exit::Failed,
    }
}

fn connect_hint(error: &ConnectError) -> Option<String> {
    Some(match error {
        // Its text names the command.
        ConnectError::Find(_) => return None,
        ConnectError::Held { .. } => "run 'octopoid stop', or 'octopoid logs' to see what the node does".to_owned(),
        ConnectError::Token { .. } => "run 'octopoid init' again: it makes what is missing".to_owned(),
        ConnectError::Written { .. } => "run 'octopoid stop', then 'octopoid start'".to_owned(),
        ConnectError::Local { source: LocalError::Bridge(error), .. } => return error.open_hint(),
        ConnectError::Local { source: LocalError::Locked, .. } => "run 'octopoid stop' and repeat the command".to_owned(),
        ConnectError::Folder(_) => return None,
    })
}

fn call_hint(error: &ClientError, task: Option<&str>) -> Option<String> {
    let candidates = error.body().map(|body| body.candidates.as_slice()).unwrap_or_default();
    if !candidates.is_empty() {
        let ids: Vec<&str> = candidates.iter().take(8).map(|candidate| candidate.id.as_str()).collect();
        let told = error.to_string();
        // The node's text names them.
        if ids.iter().all(|id| told.contains(id)) {
            return Some("write more of the id; 'octopoid list' shows how much is enough".to_owned());
        }
        return Some(format!("name one of {}", ids.join(", ")));
    }
    if let ClientError::Status { status: 503, .. } = error
        && error.to_string().contains("cannot be reached")
    {
        return Some(
            "'octopoid status' shows who is connected; 'octopoid authority set NODE --force' replaces one that is gone".to_owned(),
        );
    }
    if let ClientError::Status { status: 503, .. } = error {
        // It answered: what it cannot do is write.
        return Some("see whether the disk is full or failing, then 'octopoid doctor' looks through the store".to_owned());
    }
    Some(match (error.kind(), task) {
        (ErrorKind::Refused, Some(id)) => format!("'octopoid show {id}' tells where the task is"),
        (ErrorKind::NotFound, Some(id)) if error.to_string().contains("attempt") => format!("'octopoid show {id}' lists its attempts"),
        (ErrorKind::NotFound, Some(_)) => "'octopoid list' shows every task".to_owned(),
        (ErrorKind::Unreachable, _) => "'octopoid status' tells whether the node runs, 'octopoid logs' what it says".to_owned(),
        (ErrorKind::Denied, _) if matches!(error, ClientError::Status { status: 403, .. }) => {
            "'octopoid peers' shows what each machine may do".to_owned()
        }
        (ErrorKind::Denied, _) => "run 'octopoid stop', then 'octopoid start': the node uses another token".to_owned(),
        (ErrorKind::Failed, _) => "'octopoid logs' shows what the node says about it".to_owned(),
        (ErrorKind::Refused | ErrorKind::NotFound, None) | (ErrorKind::Invalid, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use octopoid_client::{ErrorBody, Resolved};

    use super::*;
    use crate::node_bridge::FindError;

    fn status(status: u16) -> ClientError {
        ClientError::Status { status, body: Box::new(ErrorBody { error: "because".to_owned(), ..ErrorBody::default() }) }
    }

    #[test]
    fn a_status_decides_the_exit_code() {
        for (code, exit) in [
            (400, Exit::Usage),
            (401, Exit::Failed),
            (404, Exit::Failed),
            (409, Exit::Refused),
            (412, Exit::Refused),
            (500, Exit::Failed),
            (503, Exit::Unreachable),
        ] {
            assert_eq!(Failure::Call(status(code)).exit(), exit, "{code}");
            assert_eq!(Failure::about("a")(status(code)).exit(), exit, "{code}");
        }
    }

    #[test]
    fn who_is_not_reached_or_may_not_is_not_told_of_disks_and_tokens() {
        let with = |status: u16, text: &str| ClientError::Status {
            status,
            body: Box::new(ErrorBody { error: text.to_owned(), ..ErrorBody::default() }),
        };
        let hint = |error: ClientError| Failure::Call(error).hint().unwrap_or_default();
        assert!(hint(with(503, "the authority 'vm' cannot be reached now")).contains("octopoid status"));
        assert!(hint(with(503, "the disk is full")).contains("disk"));
        assert!(hint(with(403, "only an admin may")).contains("octopoid peers"));
        assert!(hint(with(401, "unknown key")).contains("token"));
    }

    #[test]
    fn a_missing_project_has_its_own_code_and_names_init() {
        let failure = Failure::from(ConnectError::Find(FindError::NotInitialised { from: "/x".into() }));
        assert_eq!(failure.exit(), Exit::NotInitialised);
        assert!(failure.chain().contains("octopoid init"), "{}", failure.chain());
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        assert_eq!(Failure::Output(OutputError::Closed).exit(), Exit::Done);
        assert_eq!(Failure::Output(OutputError::Write(std::io::Error::from(std::io::ErrorKind::StorageFull))).exit(), Exit::Failed);
    }

    #[test]
    fn a_refusal_names_the_task_once_and_the_next_command() {
        let failure = Failure::about("fix-1")(status(409));
        assert_eq!(failure.chain(), "fix-1: because");
        let body = ErrorBody { error: "Task 'fix-1' not found".to_owned(), ..ErrorBody::default() };
        let named = Failure::about("fix-1")(ClientError::Status { status: 404, body: Box::new(body) });
        assert_eq!(named.chain(), "Task 'fix-1' not found");
        assert!(failure.hint().is_some_and(|hint| hint.contains("octopoid show fix-1")));
    }

    #[test]
    fn a_store_that_cannot_write_is_no_node_that_is_away() {
        let hint = Failure::Call(status(503)).hint();
        assert!(hint.as_ref().is_some_and(|hint| hint.contains("disk") && !hint.contains("octopoid status")), "{hint:?}");
    }

    #[test]
    fn an_ambiguous_prefix_lists_what_it_could_mean() {
        let candidates = ["fix-1", "fix-2"].map(|id| Resolved { id: id.to_owned(), scope: "default".to_owned() }).to_vec();
        let body = ErrorBody { error: "'fix' means several tasks".to_owned(), candidates, ..ErrorBody::default() };
        let failure = Failure::about("fix")(ClientError::Status { status: 409, body: Box::new(body) });
        assert_eq!((failure.hint().as_deref(), failure.exit()), (Some("name one of fix-1, fix-2"), Exit::Usage));
    }
}
