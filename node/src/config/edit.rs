//! Sets single keys of local.yaml in place, so that what a person wrote around them stays.

use std::{io, path::Path, sync::Arc};

use octopoid_crdt::ids::Name;

use super::{
    finding::Finding,
    load::read_text,
    yaml::{self, Entry, Node, Value},
};
use crate::project::Layout;

const HEADER: &str = "# This machine's own settings, not to be committed. They win over config.yaml.\n";

/// States why local.yaml could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file could not be read.
    #[error("read {file}")]
    Read {
        /// The file.
        file: String,
        #[source]
        source: io::Error,
    },
    /// The file could not be written.
    #[error("write {file}")]
    Write {
        /// The file.
        file: String,
        #[source]
        source: io::Error,
    },
    /// The file is not valid YAML.
    #[error("{0}")]
    Syntax(Finding),
    /// The key stands in a form that is not edited, such as `server: {…}` on one line.
    #[error("{file}: '{section}.{key}' cannot be set here; set it by hand")]
    Form {
        /// The file.
        file: String,
        /// The section.
        section: &'static str,
        /// The key in it.
        key: &'static str,
    },
}

/// Writes this machine's name and port to local.yaml; `None` leaves a key as it is. Tells whether the file changed.
///
/// # Errors
/// When the file cannot be read, understood or written; it is then as it was.
pub fn set_local(layout: &Layout, machine_id: Option<&Name>, api_port: Option<u16>) -> Result<bool, EditError> {
    change(layout, |mut text, label| {
        if let Some(name) = machine_id {
            text = set(&text, label, "server", "machine_id", &quoted(name.as_str()))?;
        }
        if let Some(port) = api_port {
            text = set(&text, label, "api", "port", &port.to_string())?;
        }
        Ok(text)
    })
}

/// What a machine keeps of the node by whose API it came to its cluster.
#[derive(Debug, Clone, Copy)]
pub struct JoinedBy<'a> {
    /// The address of that node's API.
    pub url: &'a str,
    /// The cluster's name, if it has one.
    pub cluster: Option<&'a Name>,
    /// The file of the certificates that are trusted there.
    pub ca: Option<&'a str>,
}

/// Writes `mode: remote` and the `server` block to local.yaml. The key is not kept: who is a member needs none, and an agent of the
/// same user could read it.
///
/// # Errors
/// When the file cannot be read, understood or written; it is then as it was.
pub fn set_server(layout: &Layout, server: JoinedBy<'_>) -> Result<bool, EditError> {
    change(layout, |mut text, label| {
        text = set_mode(&text, label)?;
        text = set(&text, label, "server", "url", &quoted(server.url))?;
        if let Some(name) = server.cluster {
            text = set(&text, label, "server", "cluster", &quoted(name.as_str()))?;
        }
        if let Some(ca) = server.ca {
            text = set(&text, label, "server", "ca", &quoted(ca))?;
        }
        Ok(text)
    })
}

/// Changes local.yaml by a function of its text.
fn change(layout: &Layout, edit: impl FnOnce(String, &Arc<Path>) -> Result<String, EditError>) -> Result<bool, EditError> {
    let path = layout.local_file();
    let file = layout.shown(&path).display().to_string();
    let read = read_text(&path).map_err(|source| EditError::Read { file: file.clone(), source })?;
    let before = read.clone().unwrap_or_else(|| HEADER.to_owned());
    let label: Arc<Path> = Arc::from(layout.shown(&path));
    let text = edit(before.clone(), &label)?;
    if read.is_some() && text == before {
        return Ok(false);
    }
    crate::project::replace_file(&path, text.as_bytes(), 0o600).map_err(|source| EditError::Write { file, source })?;
    Ok(true)
}

/// Quotes a text for YAML where it could be read as something else.
pub(crate) fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.'));
    let word = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && word && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn set(text: &str, file: &Arc<Path>, section: &'static str, key: &'static str, value: &str) -> Result<String, EditError> {
    let form = || EditError::Form { file: file.display().to_string(), section, key };
    let tree = yaml::parse(text, file).map_err(EditError::Syntax)?;
    let edited = match entry(&tree, section) {
        None => append(text, section, key, value),
        Some(found) => match (entry(&found.value, key), &found.value.value) {
            (Some(Entry { value: Node { bytes: Some(bytes), value: old, .. }, .. }), _) if is_scalar(old) => {
                let mut edited = text.to_owned();
                edited.replace_range(bytes.clone(), value);
                edited
            }
            (None, Value::Map(entries)) => insert(text, found, entries.first(), key, value),
            (None, Value::Null) => insert(text, found, None, key, value),
            _ => return Err(form()),
        },
    };
    let check = yaml::parse(&edited, file).map_err(|_| form())?;
    let told = entry(&check, section).and_then(|found| entry(&found.value, key)).map(|found| match &found.value.value {
        Value::Text(text) => quoted(text),
        other @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::List(_) | Value::Map(_)) => other.describe(),
    });
    if told.as_deref() == Some(value) { Ok(edited) } else { Err(form()) }
}

fn set_mode(text: &str, file: &Arc<Path>) -> Result<String, EditError> {
    let tree = yaml::parse(text, file).map_err(EditError::Syntax)?;
    match entry(&tree, "mode").map(|entry| &entry.value) {
        None => {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            Ok(format!("{text}{end}mode: remote\n"))
        }
        Some(Node { bytes: Some(bytes), value, .. }) if is_scalar(value) => {
            let mut edited = text.to_owned();
            edited.replace_range(bytes.clone(), "remote");
            Ok(edited)
        }
        Some(_) => Err(EditError::Form { file: file.display().to_string(), section: "config", key: "mode" }),
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) => true,
        Value::Null | Value::List(_) | Value::Map(_) => false,
    }
}

fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    }
}

fn append(text: &str, section: &str, key: &str, value: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{section}:\n  {key}: {value}\n")
}

/// Puts the key on a line below the section's own, indented like its first neighbour.
fn insert(text: &str, section: &Entry, first: Option<&Entry>, key: &str, value: &str) -> String {
    let indent = first.map_or(section.at.column + 1, |entry| entry.at.column.saturating_sub(1));
    let line = format!("{}{key}: {value}", " ".repeat(indent as usize));
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert((section.at.line as usize).min(lines.len()), &line);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, section: &'static str, key: &'static str, value: &str) -> Result<String, EditError> {
        set(text, &Arc::from(Path::new("local.yaml")), section, key, value)
    }

    #[test]
    fn a_key_is_set_and_what_stands_around_it_stays() {
        for (before, after) in [
            ("", "api:\n  port: 9000\n"),
            ("# mine", "# mine\napi:\n  port: 9000\n"),
            ("api:\n  port: 1 # mine\n  host: x\n", "api:\n  port: 9000 # mine\n  host: x\n"),
            ("api:\n    host: x\nmode: local\n", "api:\n    port: 9000\n    host: x\nmode: local\n"),
            ("api:\n  # port: 1\nmode: local\n", "api:\n  port: 9000\n  # port: 1\nmode: local\n"),
            ("api: {port: 1}\n", "api: {port: 9000}\n"),
        ] {
            assert_eq!(edit(before, "api", "port", "9000").expect(before), after);
        }
        assert_eq!(edit("server: {machine_id: 'ä'}", "server", "machine_id", "b").expect("set"), "server: {machine_id: b}");
    }

    #[test]
    fn a_form_that_cannot_be_edited_is_refused() {
        for text in ["api: {host: x}\n", "api: [1]\n", "api: 3\n", "api:\n  port: [1]\n"] {
            assert!(matches!(edit(text, "api", "port", "9000"), Err(EditError::Form { .. })), "{text}");
        }
        assert!(matches!(edit("api: [", "api", "port", "9000"), Err(EditError::Syntax(_))));
    }

    #[test]
    fn the_mode_is_set_or_changed_in_place() {
        let file: Arc<Path> = Arc::from(Path::new("local.yaml"));
        for (before, after) in
            [("# mine\n", "# mine\nmode: remote\n"), ("mode: local # mine\napi:\n  port: 1\n", "mode: remote # mine\napi:\n  port: 1\n")]
        {
            assert_eq!(set_mode(before, &file).expect(before), after);
        }
        assert!(matches!(set_mode("mode: [x]\n", &file), Err(EditError::Form { .. })));
    }

    #[test]
    fn quoting_keeps_texts_texts() {
        for (text, written) in
            [("mac-studio", "mac-studio"), ("no", "'no'"), ("007", "'007'"), ("it's", "'it''s'"), ("feature/x", "feature/x")]
        {
            assert_eq!(quoted(text), written);
        }
    }
}
