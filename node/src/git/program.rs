//! Runs the `git` program, for what needs the user's credentials, transports or configuration.
//!
//! **Invariants**: no hook and no monitor of the repository runs; nothing asks on a terminal; every run ends, output is
//! bounded, and a run that takes too long is killed with its helpers.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    mem,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// What every run is told, whatever the repository's configuration says.
const HARDENING: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "maintenance.auto=false",
    "gc.auto=0",
    "push.gpgSign=false",
    "core.pager=cat",
];

/// The user's own settings for reaching a remote; every other `GIT_*` variable could point git elsewhere and is dropped.
const KEPT_VARIABLES: [&str; 11] = [
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_NO_VERIFY",
];

/// How long a helper that outlived git may hold the output open.
const DRAIN: Duration = Duration::from_millis(500);

/// Bounds on one run of the `git` program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramLimits {
    /// After this time git and its helpers are killed.
    pub timeout: Duration,
    /// Bytes kept of each of stdout and stderr; the rest is read and dropped.
    pub output: usize,
    /// How often a fetch or push that failed on the way is tried in all.
    pub tries: u32,
    /// The largest bundle that is written, in bytes.
    pub bundle: u64,
}

impl Default for ProgramLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(2), output: 1 << 20, tries: 3, bundle: super::BUNDLE_LIMIT }
    }
}

/// States why the `git` program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not on PATH.
    #[error("the program 'git' was not found; install git")]
    Missing,
    /// It could not be started or watched.
    #[error("failed to run 'git {command}'")]
    Run { command: &'static str, source: io::Error },
    /// It was killed.
    #[error("'git {command}' took more than {seconds} s and was killed")]
    TimedOut { command: &'static str, seconds: u64 },
}

/// What a run left behind, whatever its exit status.
pub(super) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Whether either stream went over the limit.
    pub truncated: bool,
}

impl Output {
    /// Returns what git wrote for people, at most a few lines, never empty.
    pub fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let printable: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        let lines: Vec<&str> = printable.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        match (last.is_empty(), self.status.code()) {
            (false, _) => last.chars().take(2_000).collect(),
            (true, Some(code)) => format!("git exited with status {code}"),
            (true, None) => format!("git was killed by signal {}", self.status.signal().unwrap_or_default()),
        }
    }
}

/// Runs `git <command> <arguments>` in `folder` on the repository at `git_dir`.
pub(super) fn run(
    folder: &Path,
    git_dir: Option<&Path>,
    command: &'static str,
    arguments: &[&OsStr],
    limits: ProgramLimits,
) -> Result<Output, ProgramError> {
    run_with(&[], folder, git_dir, command, arguments, limits)
}

/// As [`run`], with variables for git and its helpers.
pub(super) fn run_with(
    variables: &[(&str, &str)],
    folder: &Path,
    git_dir: Option<&Path>,
    command: &'static str,
    arguments: &[&OsStr],
    limits: ProgramLimits,
) -> Result<Output, ProgramError> {
    let mut prepared = prepare(folder, git_dir);
    prepared.envs(variables.iter().copied());
    prepared.arg(command).args(arguments);
    wait(spawn(&mut prepared, command)?, command, limits)
}

/// As [`run`]; what git prints goes into a file, `most` bytes of it. Returns none when there is more, as soon as that is known.
pub(super) fn run_into(
    (mut file, most): (File, u64),
    folder: &Path,
    git_dir: Option<&Path>,
    command: &'static str,
    arguments: &[&OsStr],
    limits: ProgramLimits,
) -> Result<Option<Output>, ProgramError> {
    let mut prepared = prepare(folder, git_dir);
    prepared.arg(command).args(arguments);
    let mut child = spawn(&mut prepared, command)?;
    let stdout = child.stdout.take();
    // When the limit is reached the pipe is closed, of which git dies.
    let copying = thread::spawn(move || stdout.map_or(Ok(0), |stdout| io::copy(&mut stdout.take(most.saturating_add(1)), &mut file)));
    let output = wait(child, command, limits)?;
    let copied = copying.join().unwrap_or_else(|_| Err(io::Error::other("the copying thread ended")));
    let copied = copied.map_err(|source| ProgramError::Run { command, source })?;
    Ok((copied <= most).then_some(output))
}

fn spawn(prepared: &mut Command, command: &'static str) -> Result<Child, ProgramError> {
    prepared.spawn().map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound { ProgramError::Missing } else { ProgramError::Run { command, source } }
    })
}

fn prepare(folder: &Path, git_dir: Option<&Path>) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GIT_") && !KEPT_VARIABLES.contains(&text.as_ref()) {
            git.env_remove(&name);
        }
    }
    git.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    git.arg("--no-pager").arg("--no-replace-objects");
    for setting in HARDENING {
        git.arg("-c").arg(setting);
    }
    if let Some(git_dir) = git_dir {
        git.arg("--git-dir").arg(git_dir);
    }
    git
}

fn wait(mut child: Child, command: &'static str, limits: ProgramLimits) -> Result<Output, ProgramError> {
    let stdout = collect(child.stdout.take(), limits.output);
    let stderr = collect(child.stderr.take(), limits.output);
    let deadline = Instant::now() + limits.timeout;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                kill(&mut child);
                return Err(ProgramError::TimedOut { command, seconds: limits.timeout.as_secs() });
            }
            Err(source) => {
                kill(&mut child);
                return Err(ProgramError::Run { command, source });
            }
        }
    };
    // A helper that keeps a connection for later, such as ssh's master, may hold the streams long after git has ended.
    let ((stdout, cut_out), (stderr, cut_err)) = (stdout.finish(), stderr.finish());
    Ok(Output { status, stdout, stderr, truncated: cut_out || cut_err })
}

/// What was read of a stream so far, and whether more came than is kept.
type Kept = Arc<Mutex<(Vec<u8>, bool)>>;

/// A stream that a thread reads to its end, so that git never blocks on a full pipe.
struct Collected {
    kept: Kept,
    ended: mpsc::Receiver<()>,
}

impl Collected {
    fn finish(self) -> (Vec<u8>, bool) {
        let _ = self.ended.recv_timeout(DRAIN);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (mem::take(&mut kept.0), kept.1)
    }
}

fn collect(stream: Option<impl Read + Send + 'static>, limit: usize) -> Collected {
    let (send, ended) = mpsc::sync_channel(1);
    let kept = Kept::default();
    let shared = Arc::clone(&kept);
    thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut chunk = [0; 8_192];
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = read.min(limit.saturating_sub(kept.0.len()));
            kept.0.extend_from_slice(&chunk[..fits]);
            kept.1 |= fits < read;
        }
        // The receiver is gone when git was killed for its time-out.
        let _ = send.send(());
    });
    Collected { kept, ended }
}

fn kill(child: &mut Child) {
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}
