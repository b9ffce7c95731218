//! The file in which any agent may say what came of its work.
//!
//! **Invariants**: what was parsed is within its limits: sizes, the number of subtasks, and dependencies that exist and form no cycle.
//! It is a claim, not a fact: [`judge`](super::judge()) decides.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;
use serde_json::{Map, Value};

const MAX_FILE_BYTES: u64 = 256 << 10;
const MAX_SUBTASKS: usize = 100;
const MAX_TITLE_BYTES: usize = 512;
const MAX_BODY_BYTES: usize = 128 << 10;
const MAX_WORD_BYTES: usize = 128;
const MAX_REASON_BYTES: usize = 4 << 10;
const MAX_NOTES_BYTES: usize = 32 << 10;

const OUTCOMES: &[(&str, Claim)] = &[
    ("done", Claim::Done),
    ("accept", Claim::Accept),
    ("reject", Claim::Reject),
    ("failed", Claim::Failed),
    ("needs_continuation", Claim::NeedsContinuation),
    ("rate_limited", Claim::RateLimited),
    ("no_change", Claim::NoChange),
    ("subtasks", Claim::Subtasks),
];
const PRIORITIES: &[&str] = &["P0", "P1", "P2", "P3"];
const COMPLEXITIES: &[&str] = &["XS", "S", "M", "L", "XL"];

/// What the agent says came of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The work is done.
    Done,
    /// The reviewed work is good.
    Accept,
    /// The reviewed work is not.
    Reject,
    /// It gave up.
    Failed,
    /// It needs another run.
    NeedsContinuation,
    /// Its model's use is limited for now.
    RateLimited,
    /// Nothing needs to change.
    NoChange,
    /// The task is broken down.
    Subtasks,
}

impl Claim {
    /// Returns the word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        OUTCOMES.iter().find(|(_, claim)| *claim == self).map_or("", |(word, _)| word)
    }
}

/// One part of a task that was broken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtask {
    /// Its title; never empty.
    pub title: String,
    /// Its body; may be empty.
    pub body: String,
    /// The role that shall do it.
    pub role: Option<String>,
    /// P0 to P3.
    pub priority: Option<String>,
    /// XS to XL.
    pub complexity: Option<String>,
    /// The subtasks, by their place in the list, that must be done before.
    pub depends_on: Vec<usize>,
}

/// What an agent left in its result file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFile {
    /// What it says came of its work.
    pub outcome: Claim,
    /// Why.
    pub reason: Option<String>,
    /// What the next reader should know.
    pub notes: Option<String>,
    /// Turns that it took.
    pub turns_used: Option<u32>,
    /// The parts; not empty exactly when the outcome is [`Claim::Subtasks`].
    pub subtasks: Vec<Subtask>,
}

/// States what is wrong with a result file.
#[derive(Debug, thiserror::Error)]
pub enum ResultFileError {
    /// It cannot be read.
    #[error("the result file cannot be read")]
    Read(#[source] io::Error),
    /// It is a link, folder, pipe or device.
    #[error("the result file must be a regular file, not a link, folder or device")]
    NotAFile,
    /// It is too large.
    #[error("the result file must be at most {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the result file is not JSON")]
    Syntax(#[source] serde_json::Error),
    /// A field is wrong.
    #[error("in the result file, {field} {problem}")]
    Field { field: String, problem: String },
}

impl ResultFile {
    /// Reads the file that an agent may have left.
    ///
    /// Blocks, but never for long: an agent may put a link or a pipe in the file's place, and neither is followed.
    ///
    /// # Errors
    /// When there is something but it is no valid result file. No file is no error.
    pub fn read(path: &Path) -> Result<Option<Self>, ResultFileError> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let flags = i32::try_from(flags).map_err(|_| ResultFileError::Read(io::ErrorKind::InvalidInput.into()))?;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return Err(ResultFileError::NotAFile),
            Err(error) => return Err(ResultFileError::Read(error)),
        };
        if !file.metadata().map_err(ResultFileError::Read)?.is_file() {
            return Err(ResultFileError::NotAFile);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(ResultFileError::Read)?;
        Self::parse(&bytes).map(Some)
    }

    /// Parses a result file. Unknown fields are ignored.
    ///
    /// # Errors
    /// When it is too large, not JSON, or a field is wrong; the error names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResultFileError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ResultFileError::TooLarge);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(ResultFileError::Syntax)?;
        let object = Fields::of(&value, String::new())?;
        let outcome = object.outcome()?;
        let result = Self {
            outcome,
            reason: object.text("reason", MAX_REASON_BYTES)?,
            notes: object.text("notes", MAX_NOTES_BYTES)?,
            turns_used: object.count("turns_used")?,
            subtasks: object.subtasks()?,
        };
        if outcome == Claim::Reject && result.reason.as_ref().is_none_or(|reason| reason.trim().is_empty()) {
            return Err(object.wrong("reason", "must say why when the outcome is reject: the next attempt is told"));
        }
        match (outcome, result.subtasks.is_empty()) {
            (Claim::Subtasks, true) => Err(object.wrong("subtasks", "must name at least one subtask when the outcome is subtasks")),
            (Claim::Subtasks, false) | (_, true) => Ok(result),
            (_, false) => Err(object.wrong("outcome", "must be subtasks when subtasks are named")),
        }
    }
}

/// The fields of an object, and its own name for errors.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    prefix: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, prefix: String) -> Result<Self, ResultFileError> {
        match value.as_object() {
            Some(object) => Ok(Self { object, prefix }),
            None if prefix.is_empty() => Err(field("the whole", "must be an object")),
            None => Err(field(prefix.trim_end_matches('.'), "must be an object")),
        }
    }

    /// Returns a field's value; null is as good as absent.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, problem: impl Into<String>) -> ResultFileError {
        field(&format!("{}{name}", self.prefix), problem)
    }

    fn text(&self, name: &str, limit: usize) -> Result<Option<String>, ResultFileError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(name, "must be text"))?;
        if text.len() > limit {
            return Err(self.wrong(name, format!("must be at most {limit} bytes")));
        }
        Ok(Some(text.to_owned()))
    }

    fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, ResultFileError> {
        let Some(text) = self.text(name, MAX_WORD_BYTES)? else { return Ok(None) };
        if words.contains(&text.as_str()) { Ok(Some(text)) } else { Err(self.wrong(name, format!("must be one of {}", words.join(", ")))) }
    }

    fn count(&self, name: &str) -> Result<Option<u32>, ResultFileError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(name, "must be a whole number, zero or more"))
    }

    fn list(&self, name: &str, limit: usize) -> Result<&'a [Value], ResultFileError> {
        let Some(value) = self.get(name) else { return Ok(&[]) };
        let list = value.as_array().ok_or_else(|| self.wrong(name, "must be a list"))?;
        if list.len() > limit { Err(self.wrong(name, format!("must have at most {limit} entries"))) } else { Ok(list) }
    }

    fn outcome(&self) -> Result<Claim, ResultFileError> {
        let words: Vec<&str> = OUTCOMES.iter().map(|(word, _)| *word).collect();
        let word = self.one_of("outcome", &words)?;
        let claim = word.and_then(|word| OUTCOMES.iter().find(|(known, _)| *known == word));
        claim.map(|(_, claim)| *claim).ok_or_else(|| self.wrong("outcome", format!("is missing: give one of {}", words.join(", "))))
    }

    fn subtasks(&self) -> Result<Vec<Subtask>, ResultFileError> {
        let list = self.list("subtasks", MAX_SUBTASKS)?;
        let subtasks = list.iter().enumerate().map(|(index, value)| subtask(index, list.len(), value)).collect::<Result<Vec<_>, _>>()?;
        match cycle(&subtasks) {
            Some(index) => {
                Err(self.wrong(&format!("subtasks[{index}].depends_on"), "leads back to itself: take one dependency of the cycle out"))
            }
            None => Ok(subtasks),
        }
    }
}

fn field(name: &str, problem: impl Into<String>) -> ResultFileError {
    ResultFileError::Field { field: name.to_owned(), problem: problem.into() }
}

fn subtask(index: usize, count: usize, value: &Value) -> Result<Subtask, ResultFileError> {
    let fields = Fields::of(value, format!("subtasks[{index}]."))?;
    let title = fields.text("title", MAX_TITLE_BYTES)?.filter(|title| !title.trim().is_empty());
    let mut depends_on = Vec::new();
    for entry in fields.list("depends_on", MAX_SUBTASKS)? {
        let known = entry.as_u64().and_then(|index| usize::try_from(index).ok()).filter(|&index| index < count);
        let known =
            known.ok_or_else(|| fields.wrong("depends_on", format!("must hold places in the list of subtasks, 0 to {}", count - 1)))?;
        if !depends_on.contains(&known) {
            depends_on.push(known);
        }
    }
    Ok(Subtask {
        title: title.ok_or_else(|| fields.wrong("title", "must not be empty"))?,
        body: fields.text("body", MAX_BODY_BYTES)?.unwrap_or_default(),
        role: fields.text("role", MAX_WORD_BYTES)?,
        priority: fields.one_of("priority", PRIORITIES)?,
        complexity: fields.one_of("complexity", COMPLEXITIES)?,
        depends_on,
    })
}

/// Returns a subtask that depends on itself, directly or through others.
fn cycle(subtasks: &[Subtask]) -> Option<usize> {
    // Takes away what depends on nothing that is left, until nothing can be taken away.
    let mut left = vec![true; subtasks.len()];
    let blocker = |left: &[bool], i: usize| subtasks[i].depends_on.iter().copied().find(|&d| left[d]);
    loop {
        let free: Vec<usize> = (0..left.len()).filter(|&i| left[i] && blocker(&left, i).is_none()).collect();
        if free.is_empty() {
            break;
        }
        free.into_iter().for_each(|i| left[i] = false);
    }
    // What is left depends on what is left: following it for long enough arrives in a cycle.
    let start = left.iter().position(|&left| left)?;
    Some((0..left.len()).fold(start, |at, _| blocker(&left, at).unwrap_or(at)))
}

#[cfg(test)]
#[path = "result_file_tests.rs"]
mod tests;
