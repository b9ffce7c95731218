//! Reads the files of a project into settings.

use std::{fs, io, path::Path, sync::Arc};

use super::{
    agents::Agents,
    finding::{Finding, Invalid, Severity, settle},
    read_agents, read_settings,
    reader::Report,
    settings::Config,
    yaml::{self, MAX_FILE, Node, Place, Value},
};
use crate::project::Layout;

/// Reads config.yaml with this machine's local.yaml over it.
///
/// # Errors
/// Every mistake of both files, when one of them is an error; warnings come with the settings.
pub fn load(layout: &Layout) -> Result<(Config, Vec<Finding>), Invalid> {
    let (config, findings) = check(layout);
    settle(config, findings)
}

/// Reads agents.yaml.
///
/// # Errors
/// As [`load`].
pub fn load_agents(layout: &Layout) -> Result<(Agents, Vec<Finding>), Invalid> {
    let (agents, findings) = check_agents(layout);
    settle(agents, findings)
}

/// Reads the settings and all findings; where something is wrong the default stands in.
pub(super) fn check(layout: &Layout) -> (Config, Vec<Finding>) {
    let mut report = Report::default();
    let lower = tree(layout, &layout.config_file(), Presence::Needed, &mut report);
    let upper = tree(layout, &layout.local_file(), Presence::Optional, &mut report);
    let config = read_settings::read(&yaml::overlay(lower, upper), layout.root(), &mut report);
    (config, report.findings)
}

/// Reads the agents and all findings.
pub(super) fn check_agents(layout: &Layout) -> (Agents, Vec<Finding>) {
    let mut report = Report::default();
    let path = layout.agents_file();
    let label: Arc<Path> = Arc::from(layout.shown(&path));
    let agents = match read_text(&path) {
        Ok(Some(text)) => return parse_agents(&text, &label),
        Ok(None) => {
            let message = "the file is missing: tasks are queued, but nothing works on them";
            report.findings.push(Finding::whole_file(Severity::Warning, &label, message, "run octopoid init to write one"));
            Agents::default()
        }
        Err(error) => {
            report.findings.push(unreadable(&label, &error));
            Agents::default()
        }
    };
    (agents, report.findings)
}

/// Checks the text of an agents.yaml.
///
/// # Errors
/// The first mistake, for one who did not write the text by hand.
pub(crate) fn check_agents_text(text: &str) -> Result<(), String> {
    let (_, findings) = parse_agents(text, &Arc::from(Path::new("agents.yaml")));
    findings.into_iter().find(|finding| finding.severity == Severity::Error).map_or(Ok(()), |finding| Err(finding.message))
}

/// Reads a YAML text of another kind than this program's own, within the same limits.
///
/// # Errors
/// When it is no YAML.
pub(crate) fn yaml_as_json(text: &str) -> Result<serde_json::Value, String> {
    let tree = yaml::parse(text, &Arc::from(Path::new("agents.yaml"))).map_err(|finding| finding.message)?;
    Ok(tree.into_json())
}

/// Reads the agents from a text; `label` is how its file is shown.
pub(super) fn parse_agents(text: &str, label: &Arc<Path>) -> (Agents, Vec<Finding>) {
    let mut report = Report::default();
    match yaml::parse(text, label) {
        Ok(tree) => (read_agents::read(&tree, &mut report), report.findings),
        Err(finding) => (Agents::default(), vec![finding]),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    Optional,
}

fn tree(layout: &Layout, path: &Path, presence: Presence, report: &mut Report) -> Node {
    let label: Arc<Path> = Arc::from(layout.shown(path));
    let empty = Node { at: Place { file: label.clone(), line: 1, column: 1 }, bytes: None, value: Value::Null };
    let finding = match read_text(path) {
        Ok(Some(text)) => match yaml::parse(&text, &label) {
            Ok(tree) => return tree,
            Err(finding) => finding,
        },
        Ok(None) if presence == Presence::Optional => return empty,
        Ok(None) => {
            let message = "the file is missing, so the defaults are used";
            Finding::whole_file(Severity::Warning, &label, message, "run octopoid init to write one")
        }
        Err(error) => unreadable(&label, &error),
    };
    report.findings.push(finding);
    empty
}

pub(super) fn unreadable(label: &Path, error: &io::Error) -> Finding {
    Finding::whole_file(Severity::Error, label, format!("the file cannot be read: {error}"), "make it a readable UTF-8 text file")
}

/// Reads a settings file; `None` when there is none. Larger files than a person writes are refused before they are read.
pub(crate) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let size = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if size > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_FILE} bytes")));
    }
    let text = fs::read_to_string(path)?;
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}
