//! A task as a text that a person edits.
//!
//! **Invariants**: a form that is not touched is no difference; a line that cannot be understood is an error with its
//! number, never ignored.

use octopoid_client::{Task, TaskPatch};

use crate::commands::parse_priority;

/// What ends the fields and begins the body.
const RULE: &str = "---";

/// States why a form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A line is neither a field nor a comment.
    #[error("line {line}: expected 'title', 'priority', 'role', 'branch' or 'blocked_by', a colon and a value")]
    Line { line: usize },
    /// A field has a value that it cannot have.
    #[error("line {line}: {problem}")]
    Value { line: usize, problem: String },
    /// The line that begins the body is gone.
    #[error("the line '{RULE}' between the fields and the body is missing")]
    NoRule,
}

/// Writes the form of a task.
pub fn write(task: &Task) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!(
        "# Task {}. Change what you like and save; an empty value clears a field.\n\
         # Lines that begin with '#' are ignored, down to the line '{RULE}'. What follows it is the body.\n\
         title: {}\npriority: {}\nrole: {}\nbranch: {}\nblocked_by: {}\n{RULE}\n{}\n",
        task.id,
        task.title.replace('\n', " "),
        task.priority,
        text(&task.role),
        task.branch,
        text(&task.blocked_by),
        text(&task.content),
    )
}

/// Reads a form back and returns what differs from the task.
pub fn difference(task: &Task, form: &str) -> Result<TaskPatch, FormError> {
    let mut patch = TaskPatch::default();
    let mut lines = form.lines().enumerate();
    let mut body_from = None;
    for (index, line) in lines.by_ref() {
        match line.trim_end() {
            RULE => {
                body_from = Some(index + 1);
                break;
            }
            "" => {}
            comment if comment.starts_with('#') => {}
            field => read_field(task, field, index + 1, &mut patch)?,
        }
    }
    let from = body_from.ok_or(FormError::NoRule)?;
    let body = form.split_inclusive('\n').skip(from).collect::<String>();
    let (before, after) = (task.content.as_deref().unwrap_or_default(), body.as_str());
    // Editors add or drop the last line's end; that alone is no change.
    if before.trim_end_matches('\n') != after.trim_end_matches('\n') {
        patch.content = Some((!after.trim().is_empty()).then(|| after.trim_end_matches('\n').to_owned()));
    }
    Ok(patch)
}

fn read_field(task: &Task, field: &str, line: usize, patch: &mut TaskPatch) -> Result<(), FormError> {
    let (name, value) = field.split_once(':').ok_or(FormError::Line { line })?;
    let value = value.trim();
    let wrong = |problem: &str| FormError::Value { line, problem: problem.to_owned() };
    let optional = || (!value.is_empty()).then(|| value.to_owned());
    match name.trim() {
        "title" if value.is_empty() => return Err(wrong("the title is empty")),
        "title" => patch.title = (value != task.title.replace('\n', " ").trim()).then(|| value.to_owned()),
        "priority" => {
            let value = parse_priority(value).map_err(|problem| FormError::Value { line, problem: format!("priority {problem}") })?;
            patch.priority = (value != task.priority).then_some(value);
        }
        "role" => patch.role = (optional().as_deref() != task.role.as_deref().filter(|role| !role.is_empty())).then(optional),
        "branch" if value.is_empty() => return Err(wrong("the branch is empty")),
        "branch" => patch.branch = (value != task.branch).then(|| value.to_owned()),
        "blocked_by" => {
            patch.blocked_by = (optional().as_deref() != task.blocked_by.as_deref().filter(|ids| !ids.is_empty())).then(optional);
        }
        _ => return Err(FormError::Line { line }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            id: "a".to_owned(),
            title: "Fix: it".to_owned(),
            priority: "P2".to_owned(),
            branch: "main".to_owned(),
            blocked_by: Some("b,c".to_owned()),
            content: Some("# heading\n---\ntitle: not a field\n".to_owned()),
            ..Task::default()
        }
    }

    #[test]
    fn a_form_that_is_not_touched_changes_nothing() {
        for content in [None, Some(String::new()), Some("one line".to_owned()), task().content] {
            let task = Task { content, ..task() };
            assert_eq!(difference(&task, &write(&task)), Ok(TaskPatch::default()), "{:?}", task.content);
            assert_eq!(difference(&task, write(&task).trim_end()), Ok(TaskPatch::default()), "{:?}", task.content);
        }
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let form =
            write(&task()).replace("priority: P2", "priority: p0").replace("blocked_by: b,c", "blocked_by:").replace("role: ", "role: fix");
        let expected = TaskPatch {
            priority: Some("P0".to_owned()),
            role: Some(Some("fix".to_owned())),
            blocked_by: Some(None),
            ..TaskPatch::default()
        };
        assert_eq!(difference(&task(), &form), Ok(expected));
    }

    #[test]
    fn a_new_body_is_sent_as_it_is_and_an_empty_one_clears() {
        let head = write(&task()).split("---\n").next().expect("head").to_owned();
        let new = difference(&task(), &format!("{head}---\nnew\n\n  indented\n")).expect("patch");
        assert_eq!(new.content, Some(Some("new\n\n  indented".to_owned())));
        let none = difference(&task(), &format!("{head}---\n")).expect("patch");
        assert_eq!(none.content, Some(None));
    }

    #[test]
    fn a_mistake_names_its_line() {
        let form = write(&task());
        assert_eq!(
            difference(&task(), &form.replace("priority: P2", "priority: P7")).expect_err("P7").to_string(),
            "line 4: priority must be one of P0, P1, P2, P3"
        );
        assert_eq!(difference(&task(), &form.replace("role: ", "roel: ")), Err(FormError::Line { line: 5 }));
        assert_eq!(
            difference(&task(), &form.replace("title: Fix: it", "title:")).expect_err("no title").to_string(),
            "line 3: the title is empty"
        );
        assert_eq!(difference(&task(), "title: x\n"), Err(FormError::NoRule));
    }
}
