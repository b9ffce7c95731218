//! What `octopoid import` takes from the node's reading side: folders of version 1, and their agents.

use std::path::{Path, PathBuf};

use octopoid_node::{
    migrate::{
        agents::{self, AgentsError, Converted},
        folder::{self, FolderError},
    },
    project::{self, AgentsPut},
};

use super::Layout;

/// States why a folder of version 1 was not imported. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Its tasks cannot be read.
    #[error("import the folder")]
    Folder(#[source] Box<FolderError>),
    /// Its agents cannot be read.
    #[error("import the folder's agents")]
    Agents(#[source] Box<AgentsError>),
    /// agents.yaml cannot be written.
    #[error("write the agents")]
    Put(#[source] std::io::Error),
}

impl MigrateError {
    /// Tells whether the folder is none of version 1.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, Self::Folder(error) if matches!(error.as_ref(), FolderError::Unknown(_)))
    }

    /// Names what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Agents(_) => Some("mend or remove the file; the tasks alone are imported without it".to_owned()),
            Self::Folder(error) if matches!(error.as_ref(), FolderError::Unknown(_)) => {
                Some("octopoid import .orchestrator --dry-run".to_owned())
            }
            Self::Folder(_) | Self::Put(_) => None,
        }
    }
}

/// Reads a folder of version 1 as the text that an import takes.
pub fn read_folder(path: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<u8>, MigrateError> {
    let tables = folder::read(path, progress).map_err(|error| MigrateError::Folder(Box::new(error)))?;
    Ok(tables.to_envelope().to_string().into_bytes())
}

/// The agents of a folder, as this version writes them.
#[derive(Debug)]
pub struct OldAgents(Converted);

/// Reads the agents of a folder of version 1; none where it names none at all.
pub fn old_agents(path: &Path) -> Result<Option<OldAgents>, MigrateError> {
    Ok(agents::of_folder(path).map_err(|error| MigrateError::Agents(Box::new(error)))?.map(OldAgents))
}

impl OldAgents {
    /// Writes them where that loses nothing: into agents.yaml while that is as init wrote it, else into a file beside it. Returns the file
    /// that was written, and what is worth telling.
    pub fn put(&self, layout: &Layout, dry_run: bool) -> Result<(Option<PathBuf>, Vec<String>), MigrateError> {
        let Self(Converted { text, names, left_out }) = self;
        let put = project::put_agents(layout, text, dry_run).map_err(MigrateError::Put)?;
        let agents = names.join(", ");
        let wrote = if dry_run { "would write" } else { "wrote" };
        let (path, note) = match put {
            AgentsPut::Same(path) => (None, format!("{} has the agents already: {agents}", path.display())),
            AgentsPut::Replaced(path) => {
                let note = format!("{wrote} {} with the agents {agents}; they work once 'octopoid start' runs", path.display());
                (Some(path), note)
            }
            AgentsPut::Beside(path) => {
                let note = format!("agents.yaml is edited and stays as it is; {wrote} the agents {agents} to {}", path.display());
                (Some(path), note)
            }
            AgentsPut::Kept(path) => (None, format!("{} is there and stays as it is; its agents were not replaced", path.display())),
        };
        let notes = std::iter::once(note).chain(left_out.iter().cloned()).collect();
        Ok((path.filter(|_| !dry_run), notes))
    }
}
