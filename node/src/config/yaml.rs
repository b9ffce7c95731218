//! Reads a YAML file into a tree whose every value knows where it stands.
//!
//! A derived `Deserialize` would stop at the first mistake; a tree lets the readers above it report all of them.
//!
//! **Invariants**: a [`Place`] is where a person looks to mend the value (for an alias, where it is used); no file larger
//! than [`MAX_FILE`], nested deeper than [`MAX_DEPTH`] or expanding to more than [`MAX_EVENTS`] parts becomes a tree.

use std::{fmt, ops::Range, path::Path, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::finding::Finding;

/// The largest file that is read, in bytes: far above what people write, far below what hurts.
pub const MAX_FILE: u64 = 1024 * 1024;
/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 16;
/// How many parts a file may expand to, aliases included.
const MAX_EVENTS: usize = 50_000;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it is shown to people.
    pub file: Arc<Path>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub at: Place,
    /// The bytes that a scalar takes in its file.
    pub bytes: Option<Range<usize>>,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is not whole, or too large; kept as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub at: Place,
    pub value: Node,
}

impl Node {
    /// Returns the tree as JSON, without its places.
    pub fn into_json(self) -> serde_json::Value {
        match self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => flag.into(),
            Value::Int(number) => number.into(),
            Value::Number(text) | Value::Text(text) => text.into(),
            Value::List(items) => items.into_iter().map(Self::into_json).collect(),
            Value::Map(entries) => {
                serde_json::Value::Object(entries.into_iter().map(|entry| (entry.key, entry.value.into_json())).collect())
            }
        }
    }
}

impl Value {
    /// Names the kind of value for a message.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("{value}"),
            Self::Int(value) => format!("{value}"),
            Self::Number(value) => value.clone(),
            Self::Text(text) => format!("'{}'", clipped(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a section".to_owned(),
        }
    }
}

/// Lays one file over another: where both have a map the keys are joined, else the upper value wins.
pub(super) fn overlay(lower: Node, upper: Node) -> Node {
    match (lower.value, upper.value) {
        (lower_value, Value::Null) => Node { value: lower_value, ..lower },
        (Value::Map(mut entries), Value::Map(over)) => {
            for entry in over {
                match entries.iter().position(|known| known.key == entry.key) {
                    Some(index) => {
                        let known = entries.remove(index);
                        entries.insert(index, Entry { value: overlay(known.value, entry.value), ..entry });
                    }
                    None => entries.push(entry),
                }
            }
            Node { at: lower.at, bytes: None, value: Value::Map(entries) }
        }
        (_, value) => Node { value, ..upper },
    }
}

/// Shortens text from a file so that a message stays a line.
pub(super) fn clipped(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

/// Parses a file's text; `file` is how the file is shown to people.
///
/// An empty file, or one with nothing but comments, is an empty map.
///
/// # Errors
/// A finding at the line where the text stops being YAML, or leaves the limits.
pub(super) fn parse(text: &str, file: &Arc<Path>) -> Result<Node, Finding> {
    let start = Place { file: file.clone(), line: 1, column: 1 };
    if text.len() as u64 > MAX_FILE {
        return Err(Finding::error(&start, format!("the file is larger than {MAX_FILE} bytes"), "keep only settings in it"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_events: MAX_EVENTS },
        with_snippet: false,
        strict_booleans: true,
    };
    let parsed: Option<Spanned<Raw>> = match serde_saphyr::from_str_with_options(text, options) {
        Ok(parsed) => parsed,
        Err(error) => return Err(syntax_finding(&error, start)),
    };
    Ok(match parsed {
        Some(root) => locate(root, text, file),
        None => Node { at: start, bytes: None, value: Value::Map(Vec::new()) },
    })
}

fn syntax_finding(error: &serde_saphyr::Error, start: Place) -> Finding {
    let at = match error.location() {
        Some(location) if location.line() > 0 => Place { line: clamp(location.line()), column: clamp(location.column()), ..start },
        Some(_) | None => start,
    };
    let text = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The place is told by the finding; the parser repeats it at the end of its own text.
    let line = text.lines().next().unwrap_or_default();
    let message = line.rfind(" at line ").map_or(line, |end| &line[..end]);
    Finding::error(&at, format!("not valid YAML: {message}"), "mend the line; indent with spaces and quote text that holds ': ' or ' #'")
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn locate(raw: Spanned<Raw>, text: &str, file: &Arc<Path>) -> Node {
    let place = |location: &serde_saphyr::Location| Place {
        file: file.clone(),
        line: clamp(location.line().max(1)),
        column: clamp(location.column().max(1)),
    };
    let at = place(&raw.referenced);
    let span = raw.defined.span();
    let bytes = span.byte_offset().zip(span.byte_len()).and_then(|(offset, len)| {
        let offset = usize::try_from(offset).ok()?;
        Some(offset..offset.checked_add(usize::try_from(len).ok()?)?)
    });
    let source = || bytes.clone().and_then(|range| text.get(range)).unwrap_or_default().trim().to_owned();
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Int(value) => Value::Int(value),
        Raw::Number => Value::Number(source()),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(items.into_iter().map(|item| locate(item, text, file)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry { at: place(&key.referenced), key: key.value, value: locate(value, text, file) })
                .collect(),
        ),
    };
    Node { at, bytes, value }
}

/// What the parser hands over, before places are resolved.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Number, Raw::Int))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value()?));
            if map.len() > MAX_EVENTS {
                return Err(A::Error::custom("too many keys"));
            }
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Arc<Path> {
        Arc::from(Path::new("config.yaml"))
    }

    fn entry<'n>(node: &'n Node, key: &str) -> &'n Entry {
        let Value::Map(entries) = &node.value else { panic!("not a map: {node:?}") };
        entries.iter().find(|entry| entry.key == key).expect("the key is there")
    }

    #[test]
    fn nested_keys_and_values_know_their_line_and_column() {
        let text = "# a comment\nmode: local\n\nserver:\n  # another\n  url: 'x'\n  list:\n    - one\n    - port: 07\n";
        let root = parse(text, &file()).expect("valid");
        let server = entry(&root, "server");
        assert_eq!((server.at.line, server.at.column), (4, 1));
        let url = entry(&server.value, "url");
        assert_eq!((url.at.line, url.at.column), (6, 3));
        assert_eq!((url.value.at.line, url.value.at.column), (6, 8));
        let Value::List(items) = &entry(&server.value, "list").value.value else { panic!("a list") };
        let port = entry(&items[1], "port");
        assert_eq!((port.at.line, port.at.column), (9, 7));
        assert_eq!(text.get(port.value.bytes.clone().expect("a span")), Some("07"));
    }

    #[test]
    fn a_file_of_comments_is_an_empty_map() {
        for text in ["", "\n\n", "# nothing yet\n", "---\n", "---\n# only this\n"] {
            let root = parse(text, &file()).expect(text);
            assert!(matches!(&root.value, Value::Map(entries) if entries.is_empty()) || matches!(root.value, Value::Null), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_is_a_finding_at_its_line() {
        for (text, line) in [
            ("mode: local\nserver: [1, 2\n", 3),
            ("a: 1\nb: 2\na: 3\n", 3),
            ("a:\n  b: 1\n c: 2\n", 3),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: *nowhere\n", 1),
        ] {
            let finding = parse(text, &file()).expect_err(text);
            assert!(finding.message.starts_with("not valid YAML: "), "{text:?}: {}", finding.message);
            let told = finding.line.expect("a line");
            assert!(told.abs_diff(line) <= 1, "{text:?}: line {told}: {}", finding.message);
            assert!(!finding.message.contains("line ") && !finding.message.contains("Policy"), "{}", finding.message);
        }
    }

    #[test]
    fn bombs_of_aliases_and_nesting_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(parse(&bomb, &file()).is_err());
        assert!(parse(&"[".repeat(2000), &file()).is_err());
        assert!(parse(&format!("{}1{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1)), &file()).is_err());
        assert!(parse(&"- x\n".repeat(MAX_EVENTS + 1), &file()).is_err());
        assert!(parse(&"x".repeat(usize::try_from(MAX_FILE).expect("fits") + 1), &file()).is_err());
    }
}
