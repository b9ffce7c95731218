//! Makes a project's folder.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use octopoid_crdt::ids::Name;

use super::{
    layout::Layout,
    write::{PRIVATE_FILE, PRIVATE_FOLDER, SHARED_FILE, SHARED_FOLDER, create_file, folder, replace_file},
};
use crate::{
    config::{self, BuiltIn, EditError, Merge},
    prompt,
};

/// What was found out about the machine and the repository before init.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The branch that is checked out, or the remote's default one; `None` where there is none yet.
    pub main_branch: Option<String>,
    /// Where `origin` leads.
    pub remote: Remote,
    /// Whether `gh` is installed and logged in.
    pub gh_logged_in: bool,
    /// Whether `claude` is installed.
    pub claude: bool,
    /// The machine's host name.
    pub hostname: String,
}

/// Where a repository's `origin` leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Remote {
    /// There is none.
    #[default]
    None,
    /// To GitHub.
    GitHub,
    /// Somewhere else.
    Other,
}

impl Found {
    /// Chooses what happens to accepted work: nothing is pushed or proposed where that was not clearly prepared.
    #[must_use]
    pub const fn merge(&self) -> Merge {
        match (self.remote, self.gh_logged_in) {
            (Remote::None, _) => Merge::Auto,
            (Remote::GitHub, true) => Merge::Pr,
            (Remote::GitHub, false) | (Remote::Other, _) => Merge::Never,
        }
    }
}

/// What init is asked to do.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// This machine's name; the host name when absent.
    pub machine_id: Option<Name>,
    /// A fixed port for the API.
    pub api_port: Option<u16>,
    /// What was found before.
    pub found: Found,
    /// Fresh random bytes, for the API's token.
    pub random: [u8; 32],
}

/// What init did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitReport {
    /// Files and folders that were made, relative to the root.
    pub created: Vec<PathBuf>,
    /// Files that were there and were left alone. In a repository from elsewhere they are worth reading before a start:
    /// agents.yaml names programs that will run.
    pub kept: Vec<PathBuf>,
    /// Files of this machine that were brought up to date.
    pub updated: Vec<PathBuf>,
    /// What is worth telling, one sentence each.
    pub notes: Vec<String>,
}

impl InitReport {
    /// Tells whether everything was there already.
    #[must_use]
    pub fn nothing_to_do(&self) -> bool {
        self.created.is_empty() && self.updated.is_empty()
    }
}

/// States why a project's folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file or folder could not be written.
    #[error("make {}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// local.yaml could not be changed.
    #[error("set this machine's name and port")]
    Local(#[from] EditError),
}

/// Makes `.octopoid` in a repository's work tree, or completes one. Repeating it changes nothing but what is asked for.
///
/// # Errors
/// When something cannot be written, or a folder of `.octopoid` is a symbolic link. What was made until then stays, and a
/// repeated call goes on from there.
pub fn init(root: &Path, options: &InitOptions) -> Result<InitReport, InitError> {
    let layout = Layout::at(root);
    let mut work = Work { layout: &layout, report: InitReport::default() };
    work.folders()?;
    // A committed .gitignore is not asked for, so it comes before anything that must not be committed.
    work.shared(&layout.ignore_file(), IGNORE)?;
    work.shared(&layout.config_file(), &config_text(&options.found))?;
    work.shared(&layout.agents_file(), &agents_text())?;
    for role in BuiltIn::ALL {
        let path = layout.prompts_dir().join(format!("{}.md", role.as_str()));
        work.shared(&path, prompt::default_template(role))?;
    }
    work.token(&options.random)?;
    work.local(options)?;
    work.advise(&options.found);
    Ok(work.report)
}

struct Work<'l> {
    layout: &'l Layout,
    report: InitReport,
}

impl Work<'_> {
    fn shown(&self, path: &Path) -> PathBuf {
        self.layout.shown(path).to_owned()
    }

    fn folders(&mut self) -> Result<(), InitError> {
        let layout = self.layout;
        for (path, mode) in [
            (layout.dir().to_owned(), SHARED_FOLDER),
            (layout.prompts_dir(), SHARED_FOLDER),
            (layout.flows_dir(), SHARED_FOLDER),
            (layout.runtime_dir(), PRIVATE_FOLDER),
            (layout.originals_dir(), PRIVATE_FOLDER),
            (layout.logs_dir(), PRIVATE_FOLDER),
            (layout.worktrees_dir(), PRIVATE_FOLDER),
        ] {
            if folder(&path, mode).map_err(|source| InitError::Write { path: path.clone(), source })? {
                self.report.created.push(self.shown(&path));
            }
        }
        Ok(())
    }

    /// Writes a file that belongs to the repository, unless it is there, and remembers how it was written.
    fn shared(&mut self, path: &Path, content: &str) -> Result<(), InitError> {
        let shown = self.shown(path);
        let made =
            create_file(path, content.as_bytes(), SHARED_FILE).map_err(|source| InitError::Write { path: path.to_owned(), source })?;
        if !made {
            self.report.kept.push(shown);
            return Ok(());
        }
        let original = self.layout.originals_dir().join(path.file_name().unwrap_or_default());
        replace_file(&original, content.as_bytes(), PRIVATE_FILE).map_err(|source| InitError::Write { path: original, source })?;
        self.report.created.push(shown);
        Ok(())
    }

    /// Makes the token; one that others could have read is replaced, as it may be known.
    fn token(&mut self, random: &[u8; 32]) -> Result<(), InitError> {
        let path = self.layout.token_file();
        let content = format!("{}\n", token(random));
        let failed = |source| InitError::Write { path: path.clone(), source };
        if create_file(&path, content.as_bytes(), PRIVATE_FILE).map_err(failed)? {
            self.report.created.push(self.shown(&path));
            return Ok(());
        }
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        if !found.is_file() || found.permissions().mode() & 0o077 != 0 || found.len() == 0 {
            replace_file(&path, content.as_bytes(), PRIVATE_FILE).map_err(failed)?;
            self.report.updated.push(self.shown(&path));
            self.report
                .notes
                .push("the API's token was readable by others or empty, so a new one was made; restart a running node".to_owned());
        }
        Ok(())
    }

    fn local(&mut self, options: &InitOptions) -> Result<(), InitError> {
        let path = self.layout.local_file();
        let existed = path.exists();
        // A name given once is kept when a repeated init does not give one.
        let default = (!existed && !self.has_machine_id()).then(|| machine_name(&options.found.hostname));
        let machine_id = options.machine_id.clone().or(default);
        if config::set_local(self.layout, machine_id.as_ref(), options.api_port)? {
            let list = if existed { &mut self.report.updated } else { &mut self.report.created };
            list.push(self.layout.shown(&path).to_owned());
        }
        Ok(())
    }

    fn has_machine_id(&self) -> bool {
        config::load(self.layout).is_ok_and(|(config, _)| config.server.machine_id.is_some())
    }

    fn advise(&mut self, found: &Found) {
        let notes = &mut self.report.notes;
        if self.report.created.iter().any(|path| path.ends_with("config.yaml")) && found.merge() == Merge::Never {
            notes.push(
                "accepted work waits for 'octopoid merge ID'; set repo.merge in .octopoid/config.yaml to auto (push) or pr (needs gh)"
                    .to_owned(),
            );
        }
        // A file with mistakes is for `octopoid validate`.
        let agents = config::load_agents(self.layout).map(|(agents, _)| agents.agents).unwrap_or_default();
        if !found.claude && agents.iter().any(|agent| agent.enabled && agent.command.is_none()) {
            notes.push("'claude' is not on PATH; install it, or name another program as 'command' in .octopoid/agents.yaml".to_owned());
        }
    }
}

/// Spells a token: `oct_` and 64 hexadecimal digits.
fn token(random: &[u8; 32]) -> String {
    random.iter().fold("oct_".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a machine's name of its host name: what does not fit becomes '-', and a name without letters 'machine'.
#[must_use]
pub fn machine_name(hostname: &str) -> Name {
    let first = hostname.split('.').next().unwrap_or_default();
    let plain: String = first.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(63).collect();
    let fallback = || "machine".parse().expect("a valid name");
    plain.trim_matches(['-', '_']).parse().unwrap_or_else(|_| fallback())
}

const IGNORE: &str = include_str!("files/gitignore");
const CONFIG: &str = include_str!("files/config.yaml");
const AGENTS: &str = include_str!("files/agents.yaml");

fn config_text(found: &Found) -> String {
    let branch = found.main_branch.as_deref().and_then(config::check_branch).unwrap_or_else(|| "main".to_owned());
    CONFIG.replace("@main_branch@", &config::quoted(&branch)).replace("@merge@", found.merge().as_str())
}

/// Writes the default list of tools out for each agent, so that people see and can change what they allow.
fn agents_text() -> String {
    let mut text = AGENTS.to_owned();
    for role in BuiltIn::ALL {
        let tools = role.allowed_tools().iter().fold(String::new(), |mut lines, tool| {
            let _ = write!(lines, "\n      - '{tool}'");
            lines
        });
        text = text.replace(&format!(" @tools:{}@", role.as_str()), &tools);
    }
    text
}
