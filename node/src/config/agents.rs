//! The agents of a project, as `.octopoid/agents.yaml` defines them, and how each is started.
//!
//! **Invariants**: names are unique; every role is built in or defined in the same file; a command has a program. What a
//! placeholder stands for is inserted once and never expanded again, and no shell sees it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use octopoid_crdt::{ids::Name, record::Queue};

use super::{roles::CustomRole, yaml::Place};

/// The program that agents run when agents.yaml names none.
pub const DEFAULT_PROGRAM: &str = "claude";

/// Everything that agents.yaml says.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    /// The agents, in the order of the file.
    pub agents: Vec<Agent>,
    /// Roles of the project's own.
    pub roles: Vec<CustomRole>,
    pub(super) places: BTreeMap<String, Place>,
}

impl Agents {
    /// Finds an agent by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name.as_str() == name)
    }

    /// Returns where a key such as `agents[0].command` is set, when it is.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }
}

/// One agent: a job, the program that does it, and its limits.
#[derive(Debug, Clone)]
pub struct Agent {
    /// How it is named in claims, logs and on the command line.
    pub name: Name,
    /// Its job: which tasks it takes and which prompt it gets.
    pub role: Name,
    /// The queue from which it takes tasks.
    pub claims_from: Queue,
    /// The least time between two starts; zero means whenever there is work.
    pub interval: Duration,
    /// The model, for the program to choose when absent.
    pub model: Option<String>,
    /// After how many turns it is to stop.
    pub max_turns: u32,
    /// Whether it exists for the scheduler at all.
    pub enabled: bool,
    /// Whether it starts nothing new for now.
    pub paused: bool,
    /// How many of it run at a time.
    pub max_instances: u32,
    /// Its program and arguments with placeholders; `None` for Claude Code.
    pub command: Option<Vec<String>>,
    /// The prompt: the name of a template in `prompts/`, or a path relative to `.octopoid/`.
    pub prompt: Option<String>,
    /// After how long it is ended.
    pub timeout: Duration,
    /// What Claude Code may do without asking.
    pub allowed_tools: Vec<String>,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
    /// Which of the node's variables it gets beside the usual ones; `*` and `?` stand for any letters and any one.
    pub env_pass: Vec<String>,
    pub(super) at: Place,
}

/// The paths of one attempt that a command may name.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'p> {
    /// The project's root: a relative program that has a folder in its name is found below it.
    pub root: &'p Path,
    /// The attempt's worktree.
    pub worktree: &'p Path,
    /// The file that holds the rendered prompt.
    pub prompt_file: &'p Path,
    /// The file to which the agent may write its result.
    pub result_file: &'p Path,
}

/// How to start one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether the prompt file is its standard input; nothing is, otherwise.
    pub prompt_on_stdin: bool,
    /// Whether its output is Claude Code's stream of JSON lines.
    pub claude_stream: bool,
}

/// The placeholders that commands and lists of tools may hold.
pub(super) const PLACEHOLDERS: [&str; 5] = ["prompt_file", "model", "max_turns", "worktree", "result_file"];

impl Agent {
    /// Returns the program that it runs, as agents.yaml names it.
    #[must_use]
    pub fn program(&self) -> &str {
        self.command.as_deref().and_then(<[String]>::first).map_or(DEFAULT_PROGRAM, String::as_str)
    }

    /// Returns where the agent is defined.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.at
    }

    /// Builds the command line for one attempt.
    #[must_use]
    pub fn launch(&self, paths: &Paths<'_>) -> Launch {
        match self.command.as_deref().and_then(<[String]>::split_first) {
            Some((program, args)) => Launch {
                program: resolve_program(&self.fill(program, paths), paths.root),
                args: args.iter().map(|arg| self.fill(arg, paths)).collect(),
                prompt_on_stdin: false,
                claude_stream: false,
            },
            None => self.claude(paths),
        }
    }

    fn claude(&self, paths: &Paths<'_>) -> Launch {
        let fixed = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"];
        let mut args: Vec<String> = fixed.map(str::to_owned).to_vec();
        if !self.allowed_tools.is_empty() {
            let tools: Vec<_> = self.allowed_tools.iter().map(|tool| self.fill(tool, paths)).collect();
            args.extend(["--allowedTools".to_owned(), tools.join(",")]);
        }
        args.extend(["--max-turns".to_owned(), self.max_turns.to_string()]);
        if let Some(model) = &self.model {
            args.extend(["--model".to_owned(), model.clone()]);
        }
        Launch { program: DEFAULT_PROGRAM.into(), args, prompt_on_stdin: true, claude_stream: true }
    }

    /// Replaces the placeholders of one word; other braces stay as they are.
    fn fill(&self, word: &str, paths: &Paths<'_>) -> String {
        let value = |name: &str| {
            Some(match name {
                "prompt_file" => paths.prompt_file.to_string_lossy().into_owned(),
                "worktree" => paths.worktree.to_string_lossy().into_owned(),
                "result_file" => paths.result_file.to_string_lossy().into_owned(),
                "model" => self.model.clone().unwrap_or_default(),
                "max_turns" => self.max_turns.to_string(),
                _ => return None,
            })
        };
        let mut filled = String::with_capacity(word.len());
        let mut rest = word;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            filled.push_str(before);
            let replaced = from.find('}').and_then(|close| Some((value(&from[1..close])?, close)));
            rest = match replaced {
                Some((text, close)) => {
                    filled.push_str(&text);
                    &from[close + 1..]
                }
                None => {
                    filled.push('{');
                    &from[1..]
                }
            };
        }
        filled.push_str(rest);
        filled
    }

    /// Tells whether a variable of the node's environment is passed on because `env_pass` names it.
    #[must_use]
    pub fn passes(&self, variable: &str) -> bool {
        self.env_pass.iter().any(|pattern| matches(pattern.as_bytes(), variable.as_bytes()))
    }
}

/// Finds the program that a command names: below the project's root when it is a relative path, else on PATH.
pub(super) fn resolve_program(program: &str, root: &Path) -> PathBuf {
    if program.contains('/') { root.join(program) } else { PathBuf::from(program) }
}

/// Matches a pattern of `*` and `?`, going back to the last star only, so the cost is the product of the lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_pass_what_they_name_and_no_more() {
        for (pattern, name, passes) in [
            ("FOO", "FOO", true),
            ("FOO", "FOOBAR", false),
            ("FOO*", "FOOBAR", true),
            ("*_TOKEN", "GITHUB_TOKEN", true),
            ("*_TOKEN", "GITHUB_TOKENS", false),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("*A*B*", "xxAyyBzz", true),
            ("", "A", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), passes, "{pattern} {name}");
        }
    }
}
