//! The agent's argument list: placeholders filled, no shell in between.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// States why a `command` of agents.yaml gives no argument list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The list holds no program.
    #[error("`command` is empty: name a program and its arguments as a list in agents.yaml, or leave `command` out to run Claude Code")]
    Empty,
    /// A placeholder has no value.
    #[error("`command` uses {{{0}}}, but the agent has no `{0}` in agents.yaml: set it or take the placeholder out")]
    NoValue(&'static str),
    /// An argument cannot be passed to a program.
    #[error("`command` holds a NUL character in argument {0}: take it out in agents.yaml")]
    Nul(usize),
}

/// What placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    /// `{prompt_file}`
    pub prompt_file: &'a Path,
    /// `{model}`
    pub model: Option<&'a str>,
    /// `{max_turns}`
    pub max_turns: Option<u32>,
    /// `{worktree}`
    pub worktree: &'a Path,
    /// `{result_file}`
    pub result_file: &'a Path,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    /// A path, or a name that is looked up in the agent's PATH.
    pub program: OsString,
    /// The arguments after the program's name.
    pub arguments: Vec<OsString>,
}

impl Argv {
    /// Fills the placeholders of a command. Other braces stay as they are, and what a placeholder stands for is not looked
    /// at again.
    ///
    /// # Errors
    /// When the command is empty, uses a placeholder that has no value, or holds a NUL character.
    pub fn fill(command: &[String], placeholders: &Placeholders<'_>) -> Result<Self, CommandError> {
        let mut filled = Vec::with_capacity(command.len());
        for (index, argument) in command.iter().enumerate() {
            if argument.contains('\0') {
                return Err(CommandError::Nul(index));
            }
            filled.push(fill_argument(argument, placeholders)?);
        }
        let mut filled = filled.into_iter();
        let program = filled.next().filter(|program| !program.is_empty()).ok_or(CommandError::Empty)?;
        Ok(Self { program, arguments: filled.collect() })
    }
}

/// Returns the command for Claude Code, with placeholders; its prompt belongs on stdin.
///
/// What has no value is left out, so that Claude Code's own default holds.
#[must_use]
pub fn claude_code(allowed_tools: &[String], max_turns: Option<u32>, model: Option<&str>) -> Vec<String> {
    let mut command: Vec<String> =
        ["claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"].map(str::to_owned).into();
    if !allowed_tools.is_empty() {
        command.extend(["--allowedTools".to_owned(), allowed_tools.join(",")]);
    }
    if max_turns.is_some() {
        command.extend(["--max-turns", "{max_turns}"].map(str::to_owned));
    }
    if model.is_some() {
        command.extend(["--model", "{model}"].map(str::to_owned));
    }
    command
}

fn fill_argument(argument: &str, placeholders: &Placeholders<'_>) -> Result<OsString, CommandError> {
    let mut filled = OsString::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.find('{') {
        filled.push(&rest[..at]);
        rest = &rest[at..];
        let (value, length) = match value_at(rest, placeholders)? {
            Some((value, length)) => (value, length),
            None => (OsString::from("{"), 1),
        };
        filled.push(value);
        rest = &rest[length..];
    }
    filled.push(rest);
    Ok(filled)
}

fn value_at(text: &str, placeholders: &Placeholders<'_>) -> Result<Option<(OsString, usize)>, CommandError> {
    let max_turns = placeholders.max_turns.map(|turns| turns.to_string());
    let values: [(&'static str, Option<&OsStr>); 5] = [
        ("prompt_file", Some(placeholders.prompt_file.as_os_str())),
        ("model", placeholders.model.map(OsStr::new)),
        ("max_turns", max_turns.as_deref().map(OsStr::new)),
        ("worktree", Some(placeholders.worktree.as_os_str())),
        ("result_file", Some(placeholders.result_file.as_os_str())),
    ];
    for (name, value) in values {
        if text[1..].strip_prefix(name).is_some_and(|after| after.starts_with('}')) {
            return match value {
                Some(value) => Ok(Some((value.to_owned(), name.len() + 2))),
                None => Err(CommandError::NoValue(name)),
            };
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: fn() -> Placeholders<'static> = || Placeholders {
        prompt_file: Path::new("/l/{model}.md"),
        model: Some("sonnet"),
        max_turns: Some(30),
        worktree: Path::new("/w t"),
        result_file: Path::new("/l/r.json"),
    };

    fn fill(command: &[&str], placeholders: &Placeholders<'_>) -> Result<Vec<String>, CommandError> {
        let command: Vec<String> = command.iter().map(|&s| s.to_owned()).collect();
        let argv = Argv::fill(&command, placeholders)?;
        Ok(std::iter::once(argv.program).chain(argv.arguments).map(|s| s.into_string().expect("text")).collect())
    }

    #[test]
    fn placeholders_are_filled_once_and_other_braces_stay() {
        let command =
            ["run", "--in={worktree}", "{prompt_file}", "{max_turns}{model}", "{\"a\":{result_file}}", "{other} {{model}} {", "$(x); 'y'"];
        let expected = ["run", "--in=/w t", "/l/{model}.md", "30sonnet", "{\"a\":/l/r.json}", "{other} {sonnet} {", "$(x); 'y'"];
        assert_eq!(fill(&command, &FULL()).expect("filled"), expected);
    }

    #[test]
    fn a_command_that_cannot_run_is_refused_with_the_next_step() {
        let without = Placeholders { model: None, max_turns: None, ..FULL() };
        assert_eq!(fill(&[], &FULL()), Err(CommandError::Empty));
        assert_eq!(fill(&[""], &FULL()), Err(CommandError::Empty));
        assert_eq!(fill(&["x", "{model}"], &without), Err(CommandError::NoValue("model")));
        assert_eq!(fill(&["x", "a\0b"], &FULL()), Err(CommandError::Nul(1)));
        let message = CommandError::NoValue("max_turns").to_string();
        assert!(message.contains("{max_turns}") && message.contains("agents.yaml"), "{message}");
    }

    #[test]
    fn claude_code_gets_turns_model_and_tools_only_where_they_are_set() {
        let tools = ["Read".to_owned(), "Bash(git *)".to_owned()];
        let command = claude_code(&tools, Some(30), Some("sonnet"));
        let refs: Vec<&str> = command.iter().map(String::as_str).collect();
        let expected = [
            "claude",
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--permission-mode",
            "acceptEdits",
            "--allowedTools",
            "Read,Bash(git *)",
            "--max-turns",
            "30",
            "--model",
            "sonnet",
        ];
        assert_eq!(fill(&refs, &FULL()).expect("filled"), expected);
        assert!(!claude_code(&[], None, None).iter().any(|a| a.starts_with("--m") || a.starts_with("--a")));
    }
}
