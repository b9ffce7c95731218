//! `octopoid dashboard`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Serialize;
use tokio::process::Command;

use crate::{
    connection::{ConnectError, Connection},
    failure::{Exit, Failure},
    output::Output,
};

/// What opens a file in the user's browser; the first that is there.
const OPENERS: [&str; 2] = if cfg!(target_os = "macos") { ["open", "xdg-open"] } else { ["xdg-open", "open"] };
/// How long it is watched whether that fails. Some are the browser itself and go on.
const GLANCE: Duration = Duration::from_secs(3);

/// States why there is no dashboard to look at.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// A node serves it.
    #[error("no node runs here")]
    NoNode,
    /// The page that leads to it cannot be written.
    #[error("write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DashboardError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoNode => Exit::Unreachable,
            Self::Write { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoNode => Some("run 'octopoid start'".to_owned()),
            Self::Write { .. } => Some("open the address that 'octopoid dashboard' prints".to_owned()),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid dashboard\n  octopoid dashboard --open")]
pub struct Args {
    /// Open it in the browser, too.
    #[arg(long)]
    open: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    url: String,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let node = connection.node.ok_or(DashboardError::NoNode)?;
    let file = connection.layout.token_file();
    let token = fs::read_to_string(&file).map_err(|source| ConnectError::Token { path: file, source })?;
    let url = address(&node.api_url, token.trim());
    if output.json() {
        output.value(&Report { url: url.clone() })?;
    } else {
        output.line(&url)?;
        output.note("whoever has this address may do everything that you can do here");
    }
    if args.open {
        let page = connection.layout.dashboard_page();
        write(&page, &url).map_err(|source| DashboardError::Write { path: page.clone(), source })?;
        if !open(&page).await {
            output.note("nothing on this machine opens it: open the address in a browser");
        }
    }
    Ok(())
}

/// Puts the token where no browser sends it: what follows the `#` stays in the browser.
fn address(api_url: &str, token: &str) -> String {
    format!("{}/#token={token}", api_url.trim_end_matches('/'))
}

/// Writes a page that leads to the dashboard. A program's arguments are everybody's to read on this machine; this file is the user's.
fn write(page: &Path, url: &str) -> io::Result<()> {
    // An old one may be another user's to read, as after a restored backup: it is made anew.
    match fs::remove_file(page) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let text = format!("<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0; url={}\">\n", attribute(url));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(page)?.write_all(text.as_bytes())
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Hands a file to what opens files here; tells whether there is such a program and it has not failed.
async fn open(page: &Path) -> bool {
    for opener in OPENERS {
        let mut command = Command::new(opener);
        let Ok(mut child) = command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else { continue };
        match tokio::time::timeout(GLANCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => return true,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_stands_behind_the_sign_that_no_browser_sends() {
        assert_eq!(address("http://127.0.0.1:8787", "oct_1"), "http://127.0.0.1:8787/#token=oct_1");
        assert_eq!(address("https://[::1]:1/", "oct_1"), "https://[::1]:1/#token=oct_1");
    }

    #[test]
    fn the_page_that_leads_there_is_the_users_alone_and_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("dashboard.html");
        fs::write(&page, "old").expect("written");
        fs::set_permissions(&page, fs::Permissions::from_mode(0o644)).expect("set");
        write(&page, "http://127.0.0.1:1/?a=\"&b#token=oct_1").expect("written");
        let text = fs::read_to_string(&page).expect("read");
        assert!(text.contains("content=\"0; url=http://127.0.0.1:1/?a=&quot;&amp;b#token=oct_1\""), "{text}");
        assert_eq!(fs::metadata(&page).expect("a file").permissions().mode() & 0o777, 0o600);
    }
}
