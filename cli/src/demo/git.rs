//! Programs that the demo runs itself: git and the shell, untouched by what the user has configured.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// States why a program did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It is not installed.
    #[error("run '{program}'; the demo needs git and sh on PATH")]
    Missing {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("run '{command}' in {}: {said}", .folder.display())]
    Failed { command: String, folder: PathBuf, said: String },
}

/// What a program printed, and whether it succeeded.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Whether it exited with 0.
    pub success: bool,
    /// Its stdout.
    pub text: String,
    /// Its stderr.
    pub errors: String,
}

/// Runs git in a folder and returns what it printed.
pub async fn git<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Result<String, GitError> {
    let ran = run("git", folder, arguments).await?;
    if ran.success {
        return Ok(ran.text);
    }
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ");
    Err(GitError::Failed { command: format!("git {words}"), folder: folder.to_owned(), said: ran.errors.trim().to_owned() })
}

/// Runs the program's tests in a checkout.
pub async fn run_tests(checkout: &Path) -> Result<Ran, GitError> {
    run("sh", checkout, &["tests/run.sh"]).await
}

async fn run<S: AsRef<OsStr>>(program: &'static str, folder: &Path, arguments: &[S]) -> Result<Ran, GitError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    // Variables such as GIT_DIR would lead git to another repository, settings of the user's change what it does.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C").env("HOME", folder);
    let output = command.output().await.map_err(|source| GitError::Missing { program, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { success: output.status.success(), text: text(&output.stdout), errors: text(&output.stderr) })
}
