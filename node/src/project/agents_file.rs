//! Puts agents that came from elsewhere into a project.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    layout::Layout,
    write::{SHARED_FILE, create_file, replace_file},
};

/// The file beside an edited agents.yaml.
const BESIDE: &str = "agents.imported.yaml";

/// Where the agents went; paths are relative to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentsPut {
    /// The file said the same already.
    Same(PathBuf),
    /// agents.yaml was as init wrote it, and says this now.
    Replaced(PathBuf),
    /// agents.yaml is edited; this is a file beside it.
    Beside(PathBuf),
    /// Such a file is there, and says something else.
    Kept(PathBuf),
}

/// Writes an agents.yaml unless somebody edited the one that is there; then a file beside it, unless there is one.
///
/// With `dry_run` nothing is written, and the answer is the same.
///
/// # Errors
/// When a file cannot be read or written.
pub fn put_agents(layout: &Layout, text: &str, dry_run: bool) -> io::Result<AgentsPut> {
    let file = layout.agents_file();
    let shown = |path: &Path| layout.shown(path).to_owned();
    let current = optional(&file)?;
    if current.as_deref() == Some(text.as_bytes()) {
        return Ok(AgentsPut::Same(shown(&file)));
    }
    let original = optional(&layout.originals_dir().join("agents.yaml"))?;
    if current.is_none() || current == original {
        if !dry_run {
            replace_file(&file, text.as_bytes(), SHARED_FILE)?;
        }
        return Ok(AgentsPut::Replaced(shown(&file)));
    }
    let beside = layout.dir().join(BESIDE);
    match optional(&beside)? {
        Some(found) if found == text.as_bytes() => return Ok(AgentsPut::Same(shown(&beside))),
        Some(_) => return Ok(AgentsPut::Kept(shown(&beside))),
        None => {}
    }
    if !dry_run && !create_file(&beside, text.as_bytes(), SHARED_FILE)? {
        return Ok(AgentsPut::Kept(shown(&beside)));
    }
    Ok(AgentsPut::Beside(shown(&beside)))
}

fn optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
