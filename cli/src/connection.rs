//! How a command reaches the project's state: through the running node, or through the store itself.
//!
//! **Invariants**: the token is sent only to a server that answers as this project's node; a command waits 10 s at most
//! for a node that starts, and never works on a store that another process holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use octopoid_client::{Client, ClientError, Token, Trust};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    node_bridge::{self, FindError, Layout, LocalError},
    process,
};

/// How long a command waits for a node that starts or ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a node may take to say that it is there.
const GREETING: Duration = Duration::from_secs(2);
/// node.json holds a few short fields.
const NODE_FILE: u64 = 64 << 10;

/// What a running node writes once its socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// The process that serves.
    pub pid: u32,
    /// Where it listens.
    pub api_url: String,
    /// The SHA-256 of the certificate that it shows there; absent where it speaks no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_certificate: Option<String>,
    /// Its id in the network.
    #[serde(default)]
    pub peer_id: String,
    /// The machine's name.
    #[serde(default)]
    pub machine_id: String,
}

impl NodeFile {
    /// Reads the file; `None` when it is missing, half written by something else, or speaks of a process that is gone.
    pub fn of_living(layout: &Layout) -> Option<Self> {
        let path = layout.node_file();
        if fs::metadata(&path).ok()?.len() > NODE_FILE {
            return None;
        }
        let file: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        process::lives(file.pid).then_some(file)
    }

    /// Makes a client of the node. Over TLS it speaks to who shows the node's own certificate, and to nobody else.
    pub fn client(&self, token: Option<Token>) -> Result<Client, ClientError> {
        let pinned = self.api_certificate.as_deref().and_then(|text| text.parse().ok()).map(Trust::Exactly);
        Client::trusting(&self.api_url, token, &pinned.unwrap_or_default())
    }
}

/// States why the project's state cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no project here.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The current folder is gone.
    #[error("the current folder cannot be used")]
    Folder(#[source] io::Error),
    /// The token cannot be read.
    #[error("read the node's token at {}", .path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The token or the address in node.json is none.
    #[error("use what the node wrote to {}", .dir.display())]
    Written {
        /// The folder.
        dir: PathBuf,
        #[source]
        source: ClientError,
    },
    /// A process holds the store and does not answer.
    #[error("{} holds the store of {} and does not answer", holder(*.pid), .root.display())]
    Held {
        /// The process, if node.json tells.
        pid: Option<u32>,
        /// The project.
        root: PathBuf,
    },
    /// The store cannot be used without a node.
    #[error("open the store of {}", .root.display())]
    Local {
        /// The project.
        root: PathBuf,
        #[source]
        source: LocalError,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Finds the project of the current folder.
pub fn find_project() -> Result<Layout, ConnectError> {
    let here = std::env::current_dir().map_err(ConnectError::Folder)?;
    Ok(Layout::find(&here, std::env::var_os("OCTOPOID_DIR").as_deref())?)
}

/// A way to the project's state.
#[derive(Debug)]
pub struct Connection {
    /// Makes the calls.
    pub client: Client,
    /// The running node; `None` when this process works on the store itself.
    pub node: Option<NodeFile>,
    /// The project.
    pub layout: Layout,
}

impl Connection {
    /// Opens a way to the state of the current folder's project.
    pub async fn open() -> Result<Self, ConnectError> {
        Self::to(find_project()?).await
    }

    /// Opens a way to a project's state, and waits while a node starts.
    pub async fn to(layout: Layout) -> Result<Self, ConnectError> {
        Self::within(layout, PATIENCE).await
    }

    async fn within(layout: Layout, patience: Duration) -> Result<Self, ConnectError> {
        let end = Instant::now() + patience;
        loop {
            let file = NodeFile::of_living(&layout);
            if let Some(node) = &file
                && answers(node).await
            {
                return Self::through(layout, node.clone());
            }
            match node_bridge::open_local(&layout) {
                Ok(transport) => {
                    let token = read_token(&layout.token_file())?;
                    return Ok(Self { client: Client::over(transport, Some(token)), node: None, layout });
                }
                // Its holder is a node that starts or ends, or another command that will be done in a moment.
                Err(LocalError::Locked) if Instant::now() < end => tokio::time::sleep(GLANCE).await,
                Err(LocalError::Locked) => {
                    return Err(ConnectError::Held { pid: file.map(|node| node.pid), root: layout.root().to_owned() });
                }
                Err(source @ LocalError::Bridge(_)) => return Err(ConnectError::Local { root: layout.root().to_owned(), source }),
            }
        }
    }

    /// Opens a way to the running node, if one answers at once.
    pub async fn to_running(layout: &Layout) -> Result<Option<Self>, ConnectError> {
        match NodeFile::of_living(layout) {
            Some(node) if answers(&node).await => Self::through(layout.clone(), node).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn through(layout: Layout, node: NodeFile) -> Result<Self, ConnectError> {
        let token = read_token(&layout.token_file())?;
        let written = |source| ConnectError::Written { dir: layout.runtime_dir(), source };
        let client = node.client(Some(token)).map_err(written)?;
        Ok(Self { client, node: Some(node), layout })
    }
}

/// Tells whether the node that wrote the file listens. The port may by now be a stranger's, so no token is sent.
async fn answers(node: &NodeFile) -> bool {
    let Ok(client) = node.client(None) else { return false };
    match client.with_timeout(GREETING).health().await {
        Ok(health) => health.node.is_none_or(|name| node.machine_id.is_empty() || name == node.machine_id),
        // An unhealthy node says more in its answer to the command itself.
        Err(error) => matches!(error, ClientError::Status { status: 503, .. }),
    }
}

fn read_token(path: &Path) -> Result<Token, ConnectError> {
    let text = fs::read_to_string(path).map_err(|source| ConnectError::Token { path: path.to_owned(), source })?;
    Token::new(&text).map_err(|source| ConnectError::Written { dir: path.to_owned(), source })
}
