//! The jobs that agents do.

use octopoid_crdt::{ids::Name, record::Queue};

/// A role that Octopoid knows by itself: it has a prompt and a place in the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltIn {
    /// Writes code for a task.
    Implement,
    /// Splits a task into subtasks.
    Breakdown,
    /// Judges submitted work.
    Review,
    /// Writes tests.
    Test,
    /// Repairs a fault.
    Fix,
    /// Finds something out and writes it down.
    Research,
    /// Writes documentation.
    Docs,
}

impl BuiltIn {
    /// Every built-in role, in the order in which they are listed for people.
    pub const ALL: [Self; 7] = [Self::Implement, Self::Breakdown, Self::Review, Self::Test, Self::Fix, Self::Research, Self::Docs];

    /// Returns the role's name in tasks, agents.yaml and prompts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implement => "implement",
            Self::Breakdown => "breakdown",
            Self::Review => "review",
            Self::Test => "test",
            Self::Fix => "fix",
            Self::Research => "research",
            Self::Docs => "docs",
        }
    }

    /// Finds a built-in role by its exact name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Returns the queue from which agents of this role take tasks.
    #[must_use]
    pub const fn claims_from(self) -> Queue {
        match self {
            Self::Review => Queue::Provisional,
            Self::Implement | Self::Breakdown | Self::Test | Self::Fix | Self::Research | Self::Docs => Queue::Incoming,
        }
    }

    /// Returns the Claude Code tools that an agent of this role may use without asking.
    ///
    /// Nothing here downloads, pushes, or is a bare shell. Running a project's tests runs the
    /// project's code, which no list of tools can bound: where the tasks or the code are not trusted, run agents as
    /// another user or in a container. The placeholder `{result_file}` becomes the absolute path of the result file.
    #[must_use]
    pub fn allowed_tools(self) -> Vec<String> {
        let groups: &[&[&str]] = match self {
            Self::Implement | Self::Fix | Self::Test => &[READ, EDIT, RESULT, COMMIT, BUILD, TESTS],
            Self::Docs | Self::Research => &[READ, EDIT, RESULT, COMMIT, TESTS],
            Self::Review => &[READ, RESULT, TESTS],
            Self::Breakdown => &[READ, RESULT],
        };
        groups.concat().into_iter().map(str::to_owned).collect()
    }
}

const READ: &[&str] =
    &["Read", "Grep", "Glob", "Bash(git status:*)", "Bash(git diff:*)", "Bash(git log:*)", "Bash(git show:*)", "Bash(ls:*)"];
/// An absolute path is written with two slashes in Claude Code's rules, and only `Edit` takes a path for writing.
const RESULT: &[&str] = &["Edit(/{result_file})"];
const EDIT: &[&str] = &["Edit", "Write"];
const COMMIT: &[&str] = &[
    "Bash(git add:*)",
    "Bash(git commit:*)",
    "Bash(git merge:*)",
    "Bash(git rebase:*)",
    "Bash(git restore:*)",
    "Bash(git mv:*)",
    "Bash(git rm:*)",
    "Bash(mkdir:*)",
];
const BUILD: &[&str] = &[
    "Bash(cargo build:*)",
    "Bash(cargo check:*)",
    "Bash(cargo clippy:*)",
    "Bash(cargo fmt:*)",
    "Bash(npm run:*)",
    "Bash(pnpm run:*)",
    "Bash(yarn run:*)",
    "Bash(go build:*)",
    "Bash(go vet:*)",
    "Bash(make:*)",
    "Bash(just:*)",
];
const TESTS: &[&str] = &[
    "Bash(cargo test:*)",
    "Bash(cargo nextest run:*)",
    "Bash(npm test:*)",
    "Bash(pnpm test:*)",
    "Bash(yarn test:*)",
    "Bash(pytest:*)",
    "Bash(python -m pytest:*)",
    "Bash(python3 -m pytest:*)",
    "Bash(go test:*)",
    "Bash(make test:*)",
    "Bash(make check:*)",
    "Bash(just test:*)",
    "Bash(./test.sh:*)",
    "Bash(sh test.sh:*)",
];

/// Other words for built-in roles, from earlier versions and other tools.
const SYNONYMS: [(&str, BuiltIn); 6] = [
    ("implementer", BuiltIn::Implement),
    ("gatekeeper", BuiltIn::Review),
    ("reviewer", BuiltIn::Review),
    ("tester", BuiltIn::Test),
    ("fixer", BuiltIn::Fix),
    ("researcher", BuiltIn::Research),
];

/// Finds the built-in role that another word stands for.
pub(super) fn synonym(word: &str) -> Option<BuiltIn> {
    SYNONYMS.iter().find(|(name, _)| *name == word).map(|(_, role)| *role)
}

/// Returns the built-in role that a word names, in this version or an earlier one.
pub(crate) fn role_of(word: &str) -> Option<&'static str> {
    BuiltIn::named(word).or_else(|| synonym(word)).map(BuiltIn::as_str)
}

/// A role of the project's own, defined under `roles` in agents.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    /// How tasks and agents name it.
    pub name: Name,
    /// The queue from which its agents take tasks.
    pub claims_from: Queue,
    /// What it is for, shown to people and to the agents that break tasks down.
    pub description: String,
}
