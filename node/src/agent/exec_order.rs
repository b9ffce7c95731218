//! What node and launcher say to each other over the launcher's stdin, a socket.
//!
//! ```text
//! node → launcher   length (4 bytes, big endian), order (JSON)
//! launcher → node   READY                              it leads its own session and has understood the order
//! node → launcher   GO                                 the process record is stored
//! launcher → node   end of stream: the program runs  |  failure (JSON), end of stream
//! ```
//! Both ends are the same binary, so there is no version. The socket is closed by a successful exec, which is how the node
//! learns of it, and by the death of either side.

use std::{ffi::OsString, io};

use serde::{Deserialize, Serialize};

/// The launcher leads its own session and has understood the order.
pub(super) const READY: u8 = b'R';
/// The process record is stored: run the program.
pub(super) const GO: u8 = b'G';
/// The environment and arguments that a system accepts are smaller; JSON makes up to four bytes of one.
pub(super) const MAX_ORDER_BYTES: u32 = 32 << 20;
/// A failure is a few numbers and a short text.
pub(super) const MAX_FAILURE_BYTES: u64 = 4096;

/// What to run. Paths and variables need not be Unicode.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecOrder {
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    pub directory: OsString,
    /// The file to read from; null for nothing to read.
    pub stdin: Option<OsString>,
}

/// Where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    Session,
    Directory,
    Stdin,
    Exec,
}

/// Why the program does not run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecFailure {
    pub step: Step,
    pub errno: Option<i32>,
    pub text: String,
}

impl ExecFailure {
    pub(super) fn new(step: Step, error: &io::Error) -> Self {
        Self { step, errno: error.raw_os_error(), text: error.to_string().chars().take(400).collect() }
    }

    pub(super) fn source(&self) -> io::Error {
        self.errno.map_or_else(|| io::Error::other(self.text.clone()), io::Error::from_raw_os_error)
    }
}
