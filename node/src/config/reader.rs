//! Takes typed settings out of a tree and reports everything that does not fit.
//!
//! **Invariants**: every key that a [`Section`] was asked for is known, every other key is reported when the section is
//! [`Section::finish`]ed; a value that does not fit is reported once and its default is used, so reading goes on.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive};

use super::{
    finding::Finding,
    suggest::nearest,
    yaml::{Entry, Node, Place, Value, clipped},
};

/// What to do about a value that does not fit.
const MEND: &str = "correct the value, or remove the line to use the default";

/// What reading gathers: findings, and where each key that was read stands.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub findings: Vec<Finding>,
    pub places: BTreeMap<String, Place>,
}

impl Report {
    pub fn error(&mut self, at: &Place, message: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::error(at, message, fix));
    }

    pub fn warning(&mut self, at: &Place, message: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding::warning(at, message, fix));
    }
}

/// One map of a file, under a path such as `api` or `agents[2]`; empty when the file does not have it.
pub(super) struct Section<'t> {
    path: String,
    entries: &'t [Entry],
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// Opens a map; anything else is reported and read as an empty one.
    pub fn open(path: impl Into<String>, node: &'t Node, report: &mut Report) -> Self {
        let path = path.into();
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            other @ (Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) | Value::List(_)) => {
                let name = if path.is_empty() { "the file" } else { &path };
                report.error(
                    &node.at,
                    format!("{name} must be a section of 'key: value' lines, not {}", other.describe()),
                    "see docs/configuration.md",
                );
                &[]
            }
        };
        Self { path, entries, asked: Vec::new() }
    }

    /// Returns a key's full path, such as `api.port`.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Tells whether a key is missing, or has no value.
    pub fn lacks(&self, key: &str) -> bool {
        !self.entries.iter().any(|entry| entry.key == key && !matches!(entry.value.value, Value::Null))
    }

    /// Returns where a key that was read has its value.
    pub fn place(&self, key: &str, report: &Report) -> Option<Place> {
        report.places.get(&self.name(key)).cloned()
    }

    /// Finds a key's value; a key without one (`key:`) counts as absent.
    fn take(&mut self, key: &'static str, report: &mut Report) -> Option<&'t Node> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        report.places.insert(self.name(key), entry.value.at.clone());
        (!matches!(entry.value.value, Value::Null)).then_some(&entry.value)
    }

    /// Reads a key with `read`, which says what it wants instead when the value does not fit.
    pub fn read<T>(&mut self, key: &'static str, report: &mut Report, read: impl FnOnce(&'t Node) -> Result<T, String>) -> Option<T> {
        let node = self.take(key, report)?;
        match read(node) {
            Ok(value) => Some(value),
            Err(wanted) => {
                report.error(&node.at, format!("{} must be {wanted}, not {}", self.name(key), node.value.describe()), MEND);
                None
            }
        }
    }

    /// Opens the section under a key.
    pub fn section(&mut self, key: &'static str, report: &mut Report) -> Self {
        let path = self.name(key);
        match self.take(key, report) {
            Some(node) => Self::open(path, node, report),
            None => Self { path, entries: &[], asked: Vec::new() },
        }
    }

    /// Reads `true` or `false`.
    pub fn flag(&mut self, key: &'static str, report: &mut Report) -> Option<bool> {
        self.read(key, report, |node| match node.value {
            Value::Bool(value) => Ok(value),
            Value::Null | Value::Int(_) | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                Err("true or false".to_owned())
            }
        })
    }

    /// Reads a whole number within a range.
    pub fn number<N>(&mut self, key: &'static str, range: RangeInclusive<N>, report: &mut Report) -> Option<N>
    where
        N: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        self.read(key, report, |node| {
            let value = match node.value {
                Value::Int(value) => N::try_from(value).ok(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
            };
            let wanted = || format!("a whole number from {} to {}", range.start(), range.end());
            value.filter(|value| range.contains(value)).ok_or_else(wanted)
        })
    }

    /// Reads text. A number or a flag is refused: its spelling would be lost, as in `1.10`.
    pub fn text(&mut self, key: &'static str, report: &mut Report) -> Option<String> {
        self.read(key, report, |node| plain_text(node).map(str::to_owned))
    }

    /// Reads text that parses into `T`; `wanted` says what fits.
    pub fn parsed<T>(&mut self, key: &'static str, wanted: &str, report: &mut Report, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.read(key, report, |node| plain_text(node).ok().and_then(parse).ok_or_else(|| wanted.to_owned()))
    }

    /// Reads one of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)], report: &mut Report) -> Option<T> {
        let node = self.take(key, report)?;
        let word = plain_text(node).unwrap_or_default();
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let words = || choices.iter().map(|(name, _)| *name);
        let fix = nearest(word, words()).map_or_else(|| MEND.to_owned(), |meant| format!("did you mean '{meant}'?"));
        let wanted = words().collect::<Vec<_>>().join(", ");
        report.error(&node.at, format!("{} must be one of {wanted}, not {}", self.name(key), node.value.describe()), fix);
        None
    }

    /// Reads a list of texts.
    pub fn texts(&mut self, key: &'static str, report: &mut Report) -> Option<Vec<String>> {
        let items = self.items(key, report)?;
        let name = self.name(key);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match plain_text(item) {
                Ok(text) => texts.push(text.to_owned()),
                Err(wanted) => {
                    report.error(&item.at, format!("{name}[{index}] must be {wanted}, not {}", item.value.describe()), MEND);
                }
            }
        }
        Some(texts)
    }

    /// Returns the items of a list.
    pub fn items(&mut self, key: &'static str, report: &mut Report) -> Option<&'t [Node]> {
        self.read(key, report, |node| match &node.value {
            Value::List(items) => Ok(items.as_slice()),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                Err("a list ('- item' lines, or [a, b])".to_owned())
            }
        })
    }

    /// Reads a map of names to texts, such as an environment; numbers and flags are taken as they are written.
    pub fn words(&mut self, key: &'static str, report: &mut Report) -> Option<BTreeMap<String, String>> {
        let path = self.name(key);
        let node = self.take(key, report)?;
        let section = Section::open(path.clone(), node, report);
        let mut words = BTreeMap::new();
        for entry in section.entries {
            let text = match &entry.value.value {
                Value::Text(text) | Value::Number(text) => Some(text.clone()),
                Value::Int(value) => Some(value.to_string()),
                Value::Bool(value) => Some(value.to_string()),
                Value::Null => Some(String::new()),
                Value::List(_) | Value::Map(_) => None,
            };
            match text {
                Some(text) => {
                    words.insert(entry.key.clone(), text);
                }
                None => {
                    let message = format!("{path}.{} must be text, not {}", clipped(&entry.key), entry.value.value.describe());
                    report.error(&entry.value.at, message, MEND);
                }
            }
        }
        Some(words)
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self, report: &mut Report) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let fix = match nearest(&entry.key, self.asked.iter().copied()) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            report.error(&entry.at, format!("unknown key '{}'", self.name(&clipped(&entry.key))), fix);
        }
    }
}

fn plain_text(node: &Node) -> Result<&str, String> {
    match &node.value {
        Value::Text(text) => Ok(text),
        Value::Bool(_) | Value::Int(_) | Value::Number(_) => Err("text (put it in quotes)".to_owned()),
        Value::Null | Value::List(_) | Value::Map(_) => Err("text".to_owned()),
    }
}
