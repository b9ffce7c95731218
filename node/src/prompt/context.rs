//! What a prompt's template can speak of.

use serde::Serialize;

/// The most bytes of a diff that a reviewer's prompt holds; the rest is one command away in the worktree.
pub const DIFF_LIMIT: usize = 64 * 1024;
/// The most earlier attempts that a prompt tells of, the latest ones.
const MAX_PREVIOUS: usize = 10;

/// Everything that a template can name, by these field names.
#[derive(Debug, Clone, Serialize)]
pub struct Context {
    /// What is to be done.
    pub task: Task,
    /// Where it is to be done.
    pub attempt: Attempt,
    /// What was tried before, oldest first.
    pub previous: Vec<Previous>,
    /// The earlier attempt whose branch this one starts from; none when it starts from the base branch.
    pub start: Option<Previous>,
    /// What is to be judged, for reviews.
    pub review: Option<Review>,
    /// The absolute path of the file for the result.
    pub result_file: String,
    /// Who is told.
    pub agent: Agent,
    /// The roles that subtasks can have.
    pub roles: Vec<RoleName>,
}

/// The task.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub content: String,
    /// The role it is for.
    pub role: Option<String>,
    /// P0 to P3.
    pub priority: String,
    /// Its kind, such as feature or bug.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// XS to XL.
    pub complexity: Option<String>,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// The branch that it is to be merged to, when it names one.
    pub branch: Option<String>,
    /// The tasks that it waited for.
    pub blocked_by: Vec<String>,
}

/// The attempt.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Attempt {
    /// Its name, such as `1-3fa9c2d1`.
    pub name: String,
    /// Which attempt of the task it is, from 1.
    pub number: u64,
    /// The branch that is checked out.
    pub branch: String,
    /// The branch that the work is for.
    pub base_branch: String,
    /// The absolute path of the worktree.
    pub worktree: String,
}

/// An earlier attempt and how it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Previous {
    /// Its name.
    pub attempt: String,
    /// Its branch, where one is left.
    pub branch: Option<String>,
    /// What was said about it.
    pub reason: String,
    /// How it ended.
    pub kind: Kind,
}

/// How an earlier attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A reviewer refused it; the new attempt starts from its branch.
    Rejected,
    /// Its agent failed.
    Failed,
    /// It did not merge; the new attempt starts from its branch.
    MergeConflict,
    /// Its agent ran out of turns; the new attempt starts from its branch.
    NeedsContinuation,
    /// Another attempt won.
    Superseded,
    /// It was interrupted: its agent fell silent, or its node ended.
    Expired,
}

/// What a reviewer judges.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// The change, cut at [`DIFF_LIMIT`].
    pub diff: String,
    /// Whether it was cut.
    pub diff_truncated: bool,
    /// The commit that was submitted, in hexadecimal; `None` when nothing was committed.
    pub submitted_commit: Option<String>,
    /// What the submitting agent said about it.
    pub notes: String,
    /// The reasons of earlier rejections of this task, oldest first.
    pub earlier_rejections: Vec<String>,
}

impl Review {
    /// Describes a submission, cutting a long diff at the end of a line.
    #[must_use]
    pub fn new(diff: &str, submitted_commit: Option<String>, notes: String, earlier_rejections: Vec<String>) -> Self {
        let (diff, diff_truncated) = cut(diff, DIFF_LIMIT);
        Self { diff: diff.to_owned(), diff_truncated, submitted_commit, notes, earlier_rejections }
    }
}

/// The agent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
}

/// A role that a subtask can have.
#[derive(Debug, Clone, Serialize)]
pub struct RoleName {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

impl Context {
    /// Drops what would make a prompt grow with every attempt.
    pub(super) fn bounded(&self) -> Self {
        let mut context = self.clone();
        context.previous.drain(..context.previous.len().saturating_sub(MAX_PREVIOUS));
        if let Some(review) = &mut context.review {
            review.earlier_rejections.drain(..review.earlier_rejections.len().saturating_sub(MAX_PREVIOUS));
        }
        context
    }
}

/// Cuts a text at the last end of a line within `limit` bytes, or at the last whole letter.
pub(super) fn cut(text: &str, limit: usize) -> (&str, bool) {
    if text.len() <= limit {
        return (text, false);
    }
    let letter = text.floor_char_boundary(limit);
    let line = text[..letter].rfind('\n').map_or(letter, |end| end + 1);
    (&text[..line], true)
}

/// Makes a context as agents of a role meet it, to try templates with: first attempts, or later ones with a history.
#[must_use]
pub fn sample(role: &str, history: bool) -> Context {
    let previous = |kind, reason: &str| Previous {
        attempt: "1-3fa9c2d1".to_owned(),
        branch: Some("octopoid/greet/1-3fa9c2d1".to_owned()),
        reason: reason.to_owned(),
        kind,
    };
    let review = Review::new(
        "--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo hello\n+echo \"hello $1\"\n",
        Some("4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned()),
        "greets by name now".to_owned(),
        if history { vec!["an empty name prints a trailing space".to_owned()] } else { Vec::new() },
    );
    Context {
        task: Task {
            id: "greet".to_owned(),
            title: "Greet people by name".to_owned(),
            content: "greet.sh takes a name and greets it.".to_owned(),
            role: Some(role.to_owned()),
            priority: "P1".to_owned(),
            blocked_by: if history { vec!["set-up".to_owned()] } else { Vec::new() },
            ..Task::default()
        },
        attempt: Attempt {
            name: "2-77aa00bb".to_owned(),
            number: 2,
            branch: "octopoid/greet/2-77aa00bb".to_owned(),
            base_branch: "main".to_owned(),
            worktree: "/project/.octopoid/worktrees/greet-2-77aa00bb".to_owned(),
        },
        previous: if history {
            vec![previous(Kind::Failed, "exit status 1"), previous(Kind::Rejected, "an empty name prints a trailing space")]
        } else {
            Vec::new()
        },
        start: history.then(|| previous(Kind::Rejected, "an empty name prints a trailing space")),
        review: (role == "review").then_some(review),
        result_file: "/project/.octopoid/logs/tasks/greet/2-77aa00bb/result.json".to_owned(),
        agent: Agent { name: format!("{role}-1"), role: role.to_owned() },
        roles: vec![RoleName { name: "implement".to_owned(), description: "writes code".to_owned() }],
    }
}
