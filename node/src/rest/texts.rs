//! What a text in a request may be, before an operation sees it.
//!
//! **Invariants**: a text that passes fits the record or document field that it goes into, so that a request can make
//! neither a record that cannot be signed nor a name that a shell, git or a terminal reads as something else.

use octopoid_crdt::record::{Queue, limits};
use serde_json::Value;

use crate::ops::Refused;

/// The most bytes of a one-line text such as a title or a path.
const LINE: usize = 4_096;
/// The longest branch name taken, in bytes; file systems stop at 255 for one component.
const BRANCH: usize = 200;

/// Reads a name of an agent, a person or a role: one line of 1 to 128 bytes.
pub(crate) fn label(field: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::field(field, "is required and must not be empty"));
    }
    sized_line(field, text, limits::LABEL)
}

/// Reads a text of one line.
pub(crate) fn line(field: &str, text: &str) -> Result<(), Refused> {
    sized_line(field, text, LINE)
}

fn sized_line(field: &str, text: &str, limit: usize) -> Result<(), Refused> {
    if text.len() > limit {
        return Err(Refused::field(field, format!("{} bytes, the limit is {limit}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::field(field, "control characters and line breaks are not allowed"));
    }
    Ok(())
}

/// Reads a reason, which a person or an agent reads later.
pub(crate) fn reason(field: &str, text: &str) -> Result<(), Refused> {
    if text.len() > limits::TEXT {
        return Err(Refused::field(field, format!("{} bytes, the limit is {}", text.len(), limits::TEXT)));
    }
    body(field, text)
}

/// Reads a reason that must be there.
pub(crate) fn required_reason(field: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::field(field, "is required and must not be empty"));
    }
    reason(field, text)
}

/// Reads a text of many lines; its size is checked by the document.
pub(crate) fn body(field: &str, text: &str) -> Result<(), Refused> {
    if text.contains('\0') { Err(Refused::field(field, "the character NUL is not allowed")) } else { Ok(()) }
}

/// Reads a path below the project: never opened by the node, but given to agents.
pub(crate) fn file_path(field: &str, text: &str) -> Result<(), Refused> {
    line(field, text)?;
    let refuse = |why: &str| Err(Refused::field(field, format!("{why}: name a file below the project, such as tasks/my-task.md")));
    if text.trim().is_empty() {
        return refuse("is required and must not be empty");
    }
    if text.starts_with(['-', '~', '/']) || text.contains('\\') || text.as_bytes().get(1) == Some(&b':') {
        return refuse("the path must be relative, with '/' between folders, and not begin with '-' or '~'");
    }
    if text.split('/').any(|part| part == "..") {
        return refuse("the path must not contain '..'");
    }
    Ok(())
}

/// Reads the short name of a branch by git's own rules, `-` at the beginning and full references refused too.
pub(crate) fn branch(field: &str, text: &str) -> Result<(), Refused> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part_is_odd = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let wrong = text.is_empty()
        || text.len() > BRANCH
        || text.starts_with('-')
        || text.starts_with("refs/")
        || text.ends_with('.')
        || text.contains("..")
        || text.contains("@{")
        || matches!(text, "@" | "HEAD")
        || text.chars().any(odd)
        || text.split('/').any(part_is_odd);
    if wrong {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        return Err(Refused::field(field, format!("'{shown}' is not a branch name; see git help check-ref-format")));
    }
    Ok(())
}

/// Reads an address on the web.
pub(crate) fn url(field: &str, text: &str) -> Result<(), Refused> {
    line(field, text)?;
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        Ok(())
    } else {
        Err(Refused::field(field, "an address begins with https:// or http://"))
    }
}

/// Reads the name of a queue; whether a flow knows a custom one is decided with the task.
pub(crate) fn queue(field: &str, text: &str) -> Result<Queue, Refused> {
    Queue::parse(text).map_err(|_| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        Refused::field(
            field,
            format!("'{shown}' is no queue: use incoming, provisional, done, cancelled, failed, blocked, backlog or needs_continuation"),
        )
    })
}

/// Turns JSON, or JSON text, into JSON text.
pub(crate) fn json(field: &str, value: Value) -> Result<String, Refused> {
    match value {
        Value::String(text) => match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Refused::field(field, format!("the text is not JSON: {error}"))),
        },
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Ok(value.to_string()),
    }
}

/// Turns hooks into JSON text: a list of objects with a name each.
pub(crate) fn hooks(field: &str, value: Value) -> Result<String, Refused> {
    let text = json(field, value)?;
    let list: Vec<Value> = serde_json::from_str(&text).map_err(|_| Refused::field(field, "hooks are a list of objects"))?;
    if list.iter().all(|hook| hook.get("name").is_some_and(Value::is_string)) {
        Ok(text)
    } else {
        Err(Refused::field(field, "each hook is an object with a text 'name'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_follow_gits_rules() {
        for good in ["main", "feature/a-b", "project/p.1", "ümlaut", "a@b", "release-1.0"] {
            assert_eq!(branch("branch", good), Ok(()), "{good}");
        }
        for bad in
            ["", "-x", "a..b", "a b", "a~1", "a^", "a:b", "x.lock", "x/.y", "a//b", "/a", "a/", "@", "HEAD", "a@{1}", "refs/heads/a", "a\n"]
        {
            assert!(branch("branch", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hooks_are_objects_with_a_name() {
        assert_eq!(hooks("hooks", Value::from(r#"[{"name":"tests"}]"#)), Ok(r#"[{"name":"tests"}]"#.to_owned()));
        for bad in [r#"{"name":"tests"}"#, "[1]", "[{}]", r#"[{"name":1}]"#, "nonsense"] {
            assert!(hooks("hooks", Value::from(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_is_one_line_that_fits_a_record() {
        assert_eq!(label("agent_name", "implementer-1"), Ok(()));
        for bad in [String::new(), " ".to_owned(), "a\nb".to_owned(), "a\u{1b}[2J".to_owned(), "x".repeat(129)] {
            assert!(label("agent_name", &bad).is_err(), "{bad:?}");
        }
    }
}
