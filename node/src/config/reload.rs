//! Follows agents.yaml while the node runs.
//!
//! **Invariants**: a broken or missing file never replaces agents that were read before, and neither does one that is
//! being written; each state of the file is read once and its warnings are told once.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    agents::Agents,
    finding::{Finding, Invalid, Severity},
    load,
};
use crate::project::Layout;

/// How old a file's time must be before an equal one proves that nothing was written since: file systems count in ticks.
const TICK: Duration = Duration::from_secs(2);
/// How long nobody must have written to a changed file before it is believed. An editor empties the file and then writes it:
/// a text cut between the two can be valid, and name fewer agents.
pub const QUIET: Duration = Duration::from_millis(50);

/// The agents of a running node, and the file that they came from.
#[derive(Debug)]
pub struct AgentsFile {
    path: PathBuf,
    label: Arc<Path>,
    seen: Option<Stamp>,
    /// The text behind the last report; `None` for a file that could not be read.
    text: Option<String>,
    agents: Arc<Agents>,
}

/// What reading the file again brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// The file is as it was.
    Unchanged,
    /// The file was written less than [`QUIET`] ago and may not be whole: ask again after that.
    Unsettled,
    /// New agents are in force; the warnings are for the log.
    Changed(Vec<Finding>),
    /// The file cannot be used and the agents of before stay; told once for each change.
    Kept(Vec<Finding>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    changed: (i64, i64),
    size: u64,
    inode: u64,
    /// Whether the file was old enough when it was read that its stamp alone tells of a later write.
    settled: bool,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
        Self {
            modified,
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            size: metadata.size(),
            inode: metadata.ino(),
            settled: age.is_some_and(|age| age > TICK),
        }
    }

    /// Tells whether the file was written a moment ago. A time in the future says nothing and counts as old.
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.modified.and_then(|time| now.duration_since(time).ok()).is_some_and(|age| age < QUIET)
    }

    fn proves_unchanged(&self, now: &Self) -> bool {
        self.settled && *self == *now
    }
}

impl AgentsFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// Every mistake, when one of them is an error.
    pub fn open(layout: &Layout) -> Result<(Self, Vec<Finding>), Invalid> {
        let path = layout.agents_file();
        let label = Arc::from(layout.shown(&path));
        let mut file = Self { path, label, seen: None, text: None, agents: Arc::default() };
        match file.reload_if_changed() {
            Reload::Changed(warnings) => Ok((file, warnings)),
            Reload::Unchanged | Reload::Unsettled => Ok((file, Vec::new())),
            Reload::Kept(findings) if findings.iter().all(|finding| finding.severity == Severity::Warning) => Ok((file, findings)),
            Reload::Kept(findings) => Err(Invalid { findings }),
        }
    }

    /// Returns the agents in force.
    #[must_use]
    pub fn agents(&self) -> &Arc<Agents> {
        &self.agents
    }

    /// Reads the file again when it changed.
    pub fn reload_if_changed(&mut self) -> Reload {
        self.reload_at(SystemTime::now())
    }

    /// Reads the file again when it changed, at that time.
    pub fn reload_at(&mut self, now: SystemTime) -> Reload {
        let stamp = std::fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        if let (Some(seen), Some(current)) = (&self.seen, &stamp)
            && seen.proves_unchanged(current)
        {
            return Reload::Unchanged;
        }
        let first = self.seen.is_none() && self.text.is_none();
        let text = match load::read_text(&self.path) {
            Ok(Some(text)) => text,
            Ok(None) => return self.lost(first, "the file is missing", Severity::Warning),
            Err(error) => return self.lost(first, &format!("the file cannot be read: {error}"), Severity::Error),
        };
        if self.text.as_ref() == Some(&text) {
            self.seen = stamp;
            return Reload::Unchanged;
        }
        // Asked after the text was read: a write that began in between makes it fresh, whatever the text shows of it.
        let read = std::fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        if !first && read.is_some_and(|read| read.is_fresh(now)) {
            return Reload::Unsettled;
        }
        self.seen = stamp;
        let (agents, findings) = load::parse_agents(&text, &self.label);
        self.text = Some(text);
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Reload::Kept(findings);
        }
        self.agents = Arc::new(agents);
        Reload::Changed(findings)
    }

    fn lost(&mut self, first: bool, message: &str, severity: Severity) -> Reload {
        let told_before = !first && self.text.is_none();
        self.text = None;
        self.seen = Some(Stamp { modified: None, changed: (0, 0), size: 0, inode: 0, settled: false });
        if told_before {
            return Reload::Unchanged;
        }
        let kept = if first { "no agent is started" } else { "the agents read before stay" };
        Reload::Kept(vec![Finding::whole_file(severity, &self.label, format!("{message}; {kept}"), "run octopoid init to write one")])
    }
}
