//! The tasks that the demo queues.

use octopoid_client::NewTask;

/// The feature that needs breaking down.
pub const FEATURE: &str = "add-report";
/// The fix of the test that fails.
pub const FIX: &str = "fix-words";
/// What waits for the fix.
pub const BLOCKED: &str = "explain-words";

/// Returns the tasks in the order in which they are queued.
pub fn queued() -> [NewTask; 3] {
    [
        NewTask {
            needs_breakdown: Some(true),
            ..task(
                FEATURE,
                "breakdown",
                "P1",
                "Add tally report",
                "tally shall print all that it can count of a text at once: lines, words, characters, and the longest line. Characters \
                 and the longest line cannot be counted yet.",
            )
        },
        task(
            FIX,
            "fix",
            "P0",
            "Count words that several blanks separate",
            "`printf 'two  words' | sh bin/tally words` prints 3.\n\nDone when: tests/cases/words-blanks.sh passes",
        ),
        NewTask {
            blocked_by: Some(FIX.to_owned()),
            ..task(
                BLOCKED,
                "docs",
                "P2",
                "Say in the README what a word is",
                "Say it with an example that has several blanks, and test the example.\n\nDone when: tests/cases/readme.sh passes",
            )
        },
    ]
}

/// Makes a task of the demo.
pub fn task(id: &str, role: &str, priority: &str, title: &str, content: &str) -> NewTask {
    NewTask {
        id: id.to_owned(),
        file_path: format!("tasks/{id}.md"),
        title: Some(title.to_owned()),
        content: Some(content.to_owned()),
        role: Some(role.to_owned()),
        priority: Some(priority.to_owned()),
        ..NewTask::default()
    }
}
