//! What a person may wish of a document, and the limits of it.
//!
//! **Invariants**: an edit that passes [`check`] has names, texts and a body that every node accepts.

use automerge::AutomergeError;

use super::{Fields, Value, gate::Reason, read};

/// The most lines that a body may have.
pub const MAX_LINES: usize = 4_096;
/// The most bytes that a body may have, line breaks included.
pub const MAX_CONTENT_BYTES: usize = 128 * 1024;
/// The most bytes that a text field may have.
pub const MAX_TEXT_BYTES: usize = 128 * 1024;
/// The most bytes that the name of a field or list may have.
pub const MAX_NAME_BYTES: usize = 64;
/// The most bytes that an entry of a list may have: two task ids' worth.
pub const MAX_ENTRY_BYTES: usize = 256;
/// The most edits that one call may bring.
pub const MAX_EDITS: usize = 1_024;

/// One wish of a person about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets a scalar field; the later or, among concurrent ones, one and the same value wins everywhere.
    Set {
        /// The field's name.
        field: String,
        /// Its new value.
        value: Value,
    },
    /// Sets the body by a line diff, so that concurrent edits of different lines merge.
    Content(Option<String>),
    /// Adds an entry to a list; wins over a concurrent removal.
    Add {
        /// The list's name.
        list: String,
        /// The entry.
        entry: String,
    },
    /// Removes an entry from a list.
    Remove {
        /// The list's name.
        list: String,
        /// The entry.
        entry: String,
    },
}

impl Edit {
    /// Sets a scalar field.
    #[must_use]
    pub fn set(field: &str, value: impl Into<Value>) -> Self {
        Self::Set { field: field.to_owned(), value: value.into() }
    }

    /// Sets the body.
    #[must_use]
    pub fn content(content: &str) -> Self {
        Self::Content(Some(content.to_owned()))
    }

    /// Adds an entry to a list.
    #[must_use]
    pub fn add(list: &str, entry: &str) -> Self {
        Self::Add { list: list.to_owned(), entry: entry.to_owned() }
    }

    /// Removes an entry from a list.
    #[must_use]
    pub fn remove(list: &str, entry: &str) -> Self {
        Self::Remove { list: list.to_owned(), entry: entry.to_owned() }
    }
}

/// States why an edit was refused; the document is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// A field's or list's name is not one that a document can hold.
    #[error("'{0}' is no field name: use lower-case letters, digits and '_', at most {MAX_NAME_BYTES} bytes, and edit the body as content")]
    Name(String),
    /// A text field is too long.
    #[error("{field} has {bytes} bytes, the limit is {MAX_TEXT_BYTES}: shorten it")]
    Text {
        /// The field.
        field: String,
        /// Its size.
        bytes: usize,
    },
    /// A list's entry is empty or too long.
    #[error("an entry of {list} has {bytes} bytes, it must have 1 to {MAX_ENTRY_BYTES}")]
    Entry {
        /// The list.
        list: String,
        /// The entry's size.
        bytes: usize,
    },
    /// The body has too many lines.
    #[error("content has {0} lines, the limit is {MAX_LINES}: shorten it or link to a file")]
    Lines(usize),
    /// The body has too many bytes.
    #[error("content has {0} bytes, the limit is {MAX_CONTENT_BYTES}: shorten it or link to a file")]
    Content(usize),
    /// One call brings too many edits.
    #[error("{0} edits at once, the limit is {MAX_EDITS}: split them")]
    TooMany(usize),
    /// A new document does not fit the one change that creates it.
    #[error("the fields need {0} changes, a new document has one of at most 256 KiB: create it with fewer and edit the rest in")]
    TooLarge(usize),
    /// The document cannot take a local edit that other nodes would accept; it is read-only.
    #[error("the document is read-only: other nodes would refuse the edit ({0})")]
    ReadOnly(Reason),
    /// Automerge panicked on this document; it is read-only.
    #[error("the document is read-only: automerge failed on it")]
    Unusable,
    /// Automerge refused the edit.
    #[error("automerge refused the edit")]
    Automerge(#[from] AutomergeError),
}

/// Turns the fields of a new document into edits, the body last.
pub(super) fn from_fields(fields: &Fields) -> Vec<Edit> {
    let scalars = fields.scalars.iter().map(|(field, value)| Edit::Set { field: field.clone(), value: value.clone() });
    let lists = fields.lists.iter().flat_map(|(list, entries)| entries.iter().map(|entry| Edit::add(list, entry)));
    scalars.chain(lists).chain(fields.content.is_some().then(|| Edit::Content(fields.content.clone()))).collect()
}

/// Refuses edits that break a limit, before anything is written.
pub(super) fn check(edits: &[Edit]) -> Result<(), EditError> {
    if edits.len() > MAX_EDITS {
        return Err(EditError::TooMany(edits.len()));
    }
    edits.iter().try_for_each(|edit| match edit {
        Edit::Set { field, value } => {
            check_name(field)?;
            match value {
                Value::Text(text) if text.len() > MAX_TEXT_BYTES => Err(EditError::Text { field: field.clone(), bytes: text.len() }),
                Value::Text(_) | Value::Null | Value::Bool(_) | Value::Int(_) => Ok(()),
            }
        }
        Edit::Content(content) => check_content(content.as_deref()),
        Edit::Add { list, entry } | Edit::Remove { list, entry } => {
            check_name(list)?;
            let fits = (1..=MAX_ENTRY_BYTES).contains(&entry.len());
            if fits { Ok(()) } else { Err(EditError::Entry { list: list.clone(), bytes: entry.len() }) }
        }
    })
}

fn check_name(name: &str) -> Result<(), EditError> {
    let head = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let tail = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let fits = head && tail && name.len() <= MAX_NAME_BYTES && name != read::CONTENT;
    if fits { Ok(()) } else { Err(EditError::Name(name.chars().take(MAX_NAME_BYTES).collect())) }
}

fn check_content(content: Option<&str>) -> Result<(), EditError> {
    let Some(content) = content else { return Ok(()) };
    if content.len() > MAX_CONTENT_BYTES {
        return Err(EditError::Content(content.len()));
    }
    let lines = content.split('\n').count();
    if lines > MAX_LINES { Err(EditError::Lines(lines)) } else { Ok(()) }
}
