//! Reads the task files of version 1, `TASK-<id>.md`.
//!
//! A heading `# [TASK-id] Title`, then lines `KEY: value`, which stand anywhere: each step of a task appended its own. Of keys that
//! say what a task is, the first occurrence counts; of those that say where it stands, the last.
//!
//! **Invariants**: the text is never changed: it becomes the task's body, byte for byte; whatever it is, reading it does not fail.

use std::collections::BTreeMap;

/// Keys of which the first occurrence counts.
const IDENTITY: [&str; 13] = [
    "ROLE",
    "PRIORITY",
    "BRANCH",
    "CREATED",
    "CREATED_BY",
    "PROJECT",
    "PROJECT_ID",
    "BLOCKED_BY",
    "CHECKS",
    "COMPLEXITY",
    "EXPEDITE",
    "SKIP_PR",
    "ORIGINAL_TASK",
];

/// What a task file says of its task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFile {
    /// The id in the heading, without `TASK-`.
    pub id: Option<String>,
    /// The heading's text.
    pub title: Option<String>,
    /// What its keys say.
    pub keys: BTreeMap<String, String>,
}

impl TaskFile {
    /// Returns what a key says; one without a value says nothing.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }
}

/// Reads a task file.
#[must_use]
pub fn parse(text: &str) -> TaskFile {
    let mut file = TaskFile::default();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if number == 0
            && let Some(heading) = line.strip_prefix("# ")
        {
            (file.id, file.title) = read_heading(heading.trim());
        } else if let Some((key, value)) = read_key(line) {
            let known = file.keys.contains_key(key);
            if !(known && IDENTITY.contains(&key)) {
                file.keys.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    file
}

/// Takes `[TASK-id] Title` apart.
fn read_heading(heading: &str) -> (Option<String>, Option<String>) {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    match heading.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((id, title)) => (given(bare(id.trim())), given(title)),
        None => (None, given(heading)),
    }
}

/// Reads `KEY: value`; none for a line that is something else, or says nothing.
fn read_key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let mut letters = key.bytes();
    let upper = letters.next().is_some_and(|b| b.is_ascii_uppercase())
        && letters.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let value = value.trim();
    (upper && key.len() <= 64 && !value.is_empty()).then_some((key, value))
}

/// Drops the `TASK-` that version 1 wrote before ids in some places and left out in others.
#[must_use]
pub fn bare(id: &str) -> &str {
    id.strip_prefix("TASK-").filter(|rest| !rest.is_empty()).unwrap_or(id)
}

/// Returns the id that a task file's name holds; none for a name that is no task file's.
#[must_use]
pub fn id_of_name(name: &str) -> Option<&str> {
    name.strip_suffix(".md").filter(|stem| !stem.is_empty()).map(bare)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# [TASK-9f3a] Add login\r\n\nROLE: implement\nPRIORITY: P1\nBRANCH: main\n\n## Context\nDo it: well.\n\n\
        CLAIMED_BY: impl-1\nCLAIMED_AT: 2025-01-01T10:00:00\nROLE: review\nNote: no key\nMY_OWN_KEY: kept\nEMPTY:\n\
        CLAIMED_BY: impl-2\nREJECTION_REASON: no tests: none\n";

    #[test]
    fn the_first_of_what_a_task_is_and_the_last_of_where_it_stands_count() {
        let file = parse(FILE);
        assert_eq!((file.id.as_deref(), file.title.as_deref()), (Some("9f3a"), Some("Add login")));
        for (key, value) in [
            ("ROLE", Some("implement")),
            ("PRIORITY", Some("P1")),
            ("CLAIMED_BY", Some("impl-2")),
            ("REJECTION_REASON", Some("no tests: none")),
            ("MY_OWN_KEY", Some("kept")),
            ("EMPTY", None),
            ("Note", None),
        ] {
            assert_eq!(file.get(key), value, "{key}");
        }
    }

    #[test]
    fn ids_come_with_and_without_their_prefix() {
        for (heading, id, title) in [
            ("# [TASK-1] One", Some("1"), Some("One")),
            ("# [gh-10-fix-it] Two", Some("gh-10-fix-it"), Some("Two")),
            ("# [REFACTOR-12-x] Three", Some("REFACTOR-12-x"), Some("Three")),
            ("# [task-m1x2-a0b1] Four", Some("task-m1x2-a0b1"), Some("Four")),
            ("# Only words", None, Some("Only words")),
            ("# [TASK-5]", Some("5"), None),
            ("## [TASK-6] deeper", None, None),
            ("# []", None, None),
        ] {
            let file = parse(heading);
            assert_eq!((file.id.as_deref(), file.title.as_deref()), (id, title), "{heading}");
        }
        assert_eq!(id_of_name("TASK-9f3a.md"), Some("9f3a"));
        assert_eq!(id_of_name("gh-10-x.md"), Some("gh-10-x"));
        assert_eq!((id_of_name("notes.txt"), id_of_name(".md")), (None, None));
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof![Just("ROLE"), Just("CLAIMED_BY"), Just("X_1"), Just("not a key"), Just("")];
        prop_oneof![
            ("\\PC{0,12}").prop_map(|text| text),
            (key, "[ -~]{0,10}").prop_map(|(key, value)| format!("{key}: {value}")),
            Just("# [TASK-a] t".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn any_text_reads_without_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn a_key_says_what_one_of_its_lines_says(lines in proptest::collection::vec(line(), 0..12)) {
            let text = lines.join("\n");
            let file = parse(&text);
            for (key, value) in &file.keys {
                let said: Vec<&str> = text.lines().filter_map(read_key).filter(|(known, _)| known == key).map(|(_, value)| value).collect();
                let counts = if IDENTITY.contains(&key.as_str()) { said.first() } else { said.last() };
                prop_assert_eq!(Some(&value.as_str()), counts);
            }
        }
    }
}
