//! The launcher's side of a launch: a short life between the node and the agent's program.
//!
//! It exists because a process must lead its own session and be on record before the agent's first instruction, and because a
//! node that dies in between must leave nothing. A hook between fork and exec would need unsafe code and could not wait.

use std::{
    env,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, ExitCode, Stdio},
};

use super::exec_order::{ExecFailure, ExecOrder, GO, MAX_ORDER_BYTES, READY, Step};

/// Runs the launcher: the whole of a program's main function in the hidden mode that [`Launcher`](super::Launcher) names.
///
/// Does not return when the agent's program starts, because it takes this process over. Must be called before any thread is
/// started and anything is read from stdin.
#[must_use]
pub fn launcher_main() -> ExitCode {
    // Failures that can be told are told over the socket; stderr already belongs to the agent's log.
    match hand_over() {
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

fn hand_over() -> io::Result<()> {
    // The copy is closed on exec; stdin itself is replaced.
    let mut node = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let order = receive(&mut node)?;
    if let Err(error) = rustix::process::setsid() {
        return report(node, &ExecFailure::new(Step::Session, &error.into()));
    }
    node.write_all(&[READY])?;
    let mut word = [0];
    // A node that died reads as end of stream: leave without a trace.
    node.read_exact(&mut word)?;
    if word != [GO] {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let failure = run(&order);
    report(node, &failure)
}

fn receive(node: &mut UnixStream) -> io::Result<ExecOrder> {
    let mut length = [0; 4];
    node.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ORDER_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut order = Vec::new();
    node.take(length.into()).read_to_end(&mut order)?;
    Ok(serde_json::from_slice(&order)?)
}

/// Runs the program in place of this one; returns only when that fails.
fn run(order: &ExecOrder) -> ExecFailure {
    // Entered here and not by `Command`, so that a missing folder is not taken for a missing program.
    if let Err(error) = env::set_current_dir(&order.directory) {
        return ExecFailure::new(Step::Directory, &error);
    }
    let stdin = match &order.stdin {
        None => Stdio::null(),
        Some(path) => match File::open(path) {
            Ok(file) => file.into(),
            Err(error) => return ExecFailure::new(Step::Stdin, &error),
        },
    };
    let environment = order.environment.iter().map(|(name, value)| (name, value));
    let error = Command::new(&order.program).args(&order.arguments).env_clear().envs(environment).stdin(stdin).exec();
    ExecFailure::new(Step::Exec, &error)
}

fn report(mut node: UnixStream, failure: &ExecFailure) -> io::Result<()> {
    node.write_all(&serde_json::to_vec(failure)?)
}
