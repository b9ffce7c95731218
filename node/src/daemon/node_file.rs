//! `runtime/node.json`: how commands find the node that serves.
//!
//! **Invariants**: the file is whole or absent, is written after the socket listens, and is removed only by the process
//! that wrote it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What commands need to reach the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// The process that serves.
    pub pid: u32,
    /// The address of its API.
    pub api_url: String,
    /// The SHA-256 of the certificate that it shows there, as hex; absent where it speaks no TLS. Commands on this machine trust it by
    /// this, so that it matters neither who has signed it nor which names it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_certificate: Option<String>,
    /// The node's id in the network.
    pub peer_id: String,
    /// The machine's name.
    pub machine_id: String,
}

/// The files while their node runs.
#[derive(Debug)]
pub struct Announced {
    paths: Vec<PathBuf>,
}

impl NodeFile {
    /// Writes the file whole, and beside it the pid file where one is wanted.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn announce(&self, node_file: &Path, pid_file: Option<&Path>) -> io::Result<Announced> {
        let text = serde_json::to_string_pretty(self)?;
        write_whole(node_file, &text)?;
        let mut announced = Announced { paths: vec![node_file.to_owned()] };
        if let Some(pid_file) = pid_file {
            write_whole(pid_file, &format!("{}\n", self.pid))?;
            announced.paths.push(pid_file.to_owned());
        }
        Ok(announced)
    }
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

impl Announced {
    /// Takes on a file that others write while the node runs, and that is of no use to the next one. One that is left from before, as
    /// after a crash, is removed at once.
    #[must_use]
    pub fn with(mut self, path: PathBuf) -> Self {
        remove(&path);
        self.paths.push(path);
        self
    }

    /// Removes the files: nobody can reach the node any more.
    pub fn withdraw(self) {
        self.paths.iter().for_each(|path| remove(path));
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), %error, "could not be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_write_meanwhile_is_there_neither_before_the_node_nor_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (node, page) = (folder.path().join("node.json"), folder.path().join("page.html"));
        let file = NodeFile {
            pid: 1,
            api_url: "http://127.0.0.1:1".to_owned(),
            api_certificate: None,
            peer_id: String::new(),
            machine_id: String::new(),
        };
        std::fs::write(&page, "of a node that crashed").expect("written");
        let announced = file.announce(&node, None).expect("announced").with(page.clone());
        assert!(node.exists() && !page.exists());
        std::fs::write(&page, "of this one").expect("written");
        announced.withdraw();
        assert!(!node.exists() && !page.exists());
    }
}
