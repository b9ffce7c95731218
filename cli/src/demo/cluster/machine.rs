//! One machine of the demo: a clone of the repository, a node as a process of its own, and a road to the shared repository.
//!
//! **Invariants**: a node ends with this process however that ends, since it holds the other end of the node's stdin.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use octopoid_client::{Client, Token};
use octopoid_node::project::Layout;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    connection::NodeFile,
    demo::{DemoError, git::git, project::MAIN},
};

/// How long a node may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop: agents get ten seconds to end.
const FAREWELL: Duration = Duration::from_secs(30);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two looks.
const GLANCE: Duration = Duration::from_millis(50);
/// Milliseconds between two ticks of the scheduler, which looks at once when something changed.
const TICK: &str = "250";
/// Others are found by what a ticket and members tell, on loopback alone; accepted work goes to origin.
const SETTINGS: &str = "network:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n";

/// See the module.
#[derive(Debug)]
pub struct Machine {
    /// What it is called.
    pub name: &'static str,
    /// Its clone of the repository.
    pub repository: PathBuf,
    /// The places of Octopoid's files.
    pub layout: Layout,
    folder: PathBuf,
    /// The bare repository that all share, and the link by which this machine reaches it.
    origin: PathBuf,
    road: PathBuf,
    program: PathBuf,
    node: Option<(Child, Client)>,
}

impl Machine {
    /// Makes a clone of the shared repository that reaches it by a link of its own.
    pub async fn make(scratch: &Path, name: &'static str, origin: &Path) -> Result<Self, DemoError> {
        let folder = scratch.join(name);
        let (repository, road) = (folder.join("tally"), folder.join("origin.git"));
        fs::create_dir_all(&folder).map_err(|source| DemoError::Write { path: folder.clone(), source })?;
        let program = std::env::current_exe().map_err(DemoError::Launcher)?;
        let layout = Layout::at(&repository);
        let machine = Self { name, repository, layout, folder, origin: origin.to_owned(), road, program, node: None };
        machine.open_road()?;
        let words = ["clone", "--quiet", "--branch", MAIN].map(std::ffi::OsStr::new);
        git(&machine.folder, &[&words[..], &[machine.road.as_os_str(), machine.repository.as_os_str()]].concat()).await?;
        git(&machine.repository, &["config", "core.autocrlf", "false"]).await?;
        Ok(machine)
    }

    /// Makes it a project with settings and agents.
    pub async fn init(&self, agents: &str) -> Result<(), DemoError> {
        self.octopoid(&["init", "--machine-id", self.name, "--api-port", "0"]).await?;
        let path = self.layout.config_file();
        let read = fs::read_to_string(&path).map_err(|source| DemoError::Write { path: path.clone(), source })?;
        // A remote that is not GitHub's is pushed to only where somebody says so.
        let text = format!("{}\n{SETTINGS}", read.replace("merge: never", "merge: auto"));
        crate::demo::project::write(&path, &text)?;
        crate::demo::project::write(&self.layout.agents_file(), agents)
    }

    /// Runs this program in the clone, as a user does, and returns what it printed.
    pub async fn octopoid(&self, arguments: &[&str]) -> Result<String, DemoError> {
        let output = self.command(arguments).stdin(Stdio::null()).output().await.map_err(DemoError::Launcher)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(DemoError::Command {
            command: arguments.iter().take(2).copied().collect::<Vec<_>>().join(" "),
            machine: self.name,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.repository).env("OCTOPOID_DIR", &self.repository).kill_on_drop(true);
        // Variables that would lead git to another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"] {
            command.env_remove(name);
        }
        command
    }

    /// Starts the node and waits until it listens.
    pub async fn start(&mut self) -> Result<(), DemoError> {
        let path = self.folder.join("node.out");
        let failed = |source| DemoError::Write { path: path.clone(), source };
        let said = File::create(&path).map_err(failed)?;
        let mut command = self.command(&["start", "--attached", "--api-port", "0", "--tick-interval", TICK]);
        command.stdin(Stdio::piped()).stdout(said.try_clone().map_err(failed)?).stderr(said);
        // Ctrl-C is for the demo, which then ends its nodes in order.
        let mut child = command.process_group(0).spawn().map_err(DemoError::Launcher)?;
        let end = Instant::now() + START;
        let url = loop {
            let file = NodeFile::of_living(&self.layout).filter(|file| Some(file.pid) == child.id());
            match (file, child.try_wait()) {
                (Some(file), _) => break file.api_url,
                (None, Ok(None)) if Instant::now() < end => sleep(GLANCE).await,
                (None, _) => return Err(DemoError::NoStart { machine: self.name, log: path }),
            }
        };
        let token = fs::read_to_string(self.layout.token_file()).map_err(DemoError::Token)?;
        let client = Client::http(&url, Some(Token::new(&token)?))?.with_timeout(PATIENCE);
        self.node = Some((child, client));
        Ok(())
    }

    /// Returns a client of the node that runs.
    pub fn client(&self) -> Result<&Client, DemoError> {
        self.node.as_ref().map(|(_, client)| client).ok_or(DemoError::NodeEnded)
    }

    /// Tells the node to end, by the end of its stdin.
    pub fn begin_stop(&mut self) {
        if let Some((child, _)) = &mut self.node {
            drop(child.stdin.take());
        }
    }

    /// Waits until the node has ended.
    pub async fn stop(&mut self) -> Result<(), DemoError> {
        self.begin_stop();
        let Some((mut child, _)) = self.node.take() else { return Ok(()) };
        match timeout(FAREWELL, child.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(DemoError::NodeStays { seconds: FAREWELL.as_secs() }),
        }
    }

    /// Cuts this machine off: from the other nodes, and from the repository that all share.
    pub async fn cut_off(&self) -> Result<(), DemoError> {
        fs::remove_file(&self.road).map_err(|source| DemoError::Write { path: self.road.clone(), source })?;
        self.client()?.keep_offline(true).await?;
        Ok(())
    }

    /// Mends what [`Self::cut_off`] did.
    pub async fn mend(&self) -> Result<(), DemoError> {
        self.open_road()?;
        self.client()?.keep_offline(false).await?;
        Ok(())
    }

    fn open_road(&self) -> Result<(), DemoError> {
        symlink(&self.origin, &self.road).map_err(|source| DemoError::Write { path: self.road.clone(), source })
    }
}
