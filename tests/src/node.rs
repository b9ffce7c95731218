//! A node that runs.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use octopoid_client::{Client, Fingerprint, Token, Trust};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::wait::until;

/// How long a node that is told to end gets before the test takes it down.
const FAREWELL: Duration = Duration::from_secs(20);

/// A node's process, ended when it is dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    client: Client,
    api_url: String,
}

impl Node {
    /// Starts a node by a prepared command and waits until it serves.
    pub(crate) async fn start(mut command: Command, runtime: &Path, said: &Path) -> Result<Self, String> {
        let stderr = OpenOptions::new().create(true).append(true).open(said).map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().map_err(|error| error.to_string())?;
        let mut starting = Starting(Some(child));
        let file = runtime.join("node.json");
        let (api_url, trust) = until(async || starting.announced(&file)).await?;
        let token = std::fs::read_to_string(runtime.join("api.token")).map_err(|error| error.to_string())?;
        let token = Token::new(&token).map_err(|error| error.to_string())?;
        let client = Client::trusting(&api_url, Some(token), &trust).map_err(|error| error.to_string())?;
        let child = starting.0.take().ok_or("the node is gone")?;
        Ok(Self { child, client, api_url })
    }

    /// Returns a client with the node's token.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the address of its API.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Returns its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells whether it still runs.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the node's state").is_none()
    }

    /// Ends it as a crash does.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill9(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("collected");
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(to_pid(&self.child).expect("a process"), signal).expect("the node lives");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(mut self) -> Result<ExitStatus, String> {
        until(async || self.child.try_wait().map_err(|error| error.to_string())?.ok_or_else(|| "the node still runs".to_owned())).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A node that is not known to serve yet.
struct Starting(Option<Child>);

impl Starting {
    /// Returns the address of its API, and what makes its certificate trusted.
    fn announced(&mut self, file: &PathBuf) -> Result<(String, Trust), String> {
        let child = self.0.as_mut().ok_or("the node is gone")?;
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Err(format!("the node ended with {status}"));
        }
        let file = File::open(file).map_err(|error| error.to_string())?;
        let node: Value = serde_json::from_reader(file).map_err(|error| error.to_string())?;
        match node["api_url"].as_str() {
            Some(url) if node["pid"] == child.id() => {
                let pinned =
                    node["api_certificate"].as_str().map(str::parse::<Fingerprint>).transpose().map_err(|error| error.to_string())?;
                Ok((url.to_owned(), pinned.map_or(Trust::System, Trust::Exactly)))
            }
            Some(_) | None => Err(format!("node.json tells of another node: {node}")),
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(end);
    }
}

fn to_pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Tells a node to end, so that it takes its agents with it, and kills it when it does not.
fn end(child: &mut Child) {
    if let (Ok(None), Some(pid)) = (child.try_wait(), to_pid(child)) {
        let _ = kill_process(pid, Signal::TERM);
        let until = Instant::now() + FAREWELL;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
