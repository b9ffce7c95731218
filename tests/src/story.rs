//! Stories: pages of documentation whose commands are run.
//!
//! A fenced block `console` holds command lines (`$ …`), each followed by what it prints on stdout and stderr, and by `? N`
//! where it ends with another code than 0. In an expected line `[..]` stands for any text; a line `...` stands for any lines.
//! A fenced block `LANGUAGE file=PATH` is written to that file. All of a page runs in one repository with one commit; a block
//! `console on=second` runs in a clone of it, as on a second machine. Where a command says `oct1…` it gets the ticket that was
//! printed last. A line `<!-- $ command -->` is run too, and says what readers need not: how a test is kept to itself.

use std::{fmt, path::Path, process::Stdio};

use crate::{Project, command};

/// A page and what its blocks say.
#[derive(Debug)]
pub struct Story {
    name: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    File { path: String, text: String },
    Command { line: usize, second: bool, command: String, expected: Vec<String>, code: i32 },
}

/// States where a page and the program differ.
#[derive(Debug)]
pub struct StoryError {
    place: String,
    command: String,
    expected: String,
    found: String,
}

impl fmt::Display for StoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, command, expected, found } = self;
        write!(f, "{place}: $ {command}\n--- the page says\n{expected}\n--- it printed\n{found}")
    }
}

impl Story {
    /// Reads a page.
    ///
    /// # Panics
    /// When a block is not as blocks are.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let mut steps = Vec::new();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(hidden) = line.strip_prefix("<!-- $ ").and_then(|rest| rest.strip_suffix(" -->")) {
                let expected = vec!["...".to_owned()];
                steps.push(Step::Command { line: number, second: false, command: hidden.to_owned(), expected, code: 0 });
            }
            let Some(info) = line.strip_prefix("```") else { continue };
            let block: Vec<(&str, usize)> = lines.by_ref().take_while(|(line, _)| *line != "```").collect();
            if matches!(info, "console" | "console on=second") {
                steps.extend(commands(&block, info != "console", &format!("{name}:{number}")));
            } else if let Some((_, path)) = info.split_once(" file=") {
                let text = block.iter().map(|(line, _)| format!("{line}\n")).collect();
                steps.push(Step::File { path: path.to_owned(), text });
            }
        }
        assert!(steps.iter().any(|step| matches!(step, Step::Command { .. })), "{name} has no commands");
        Self { name, steps }
    }

    /// Runs the page and returns how many commands it has.
    ///
    /// # Errors
    /// At the first command that prints or ends otherwise than the page says.
    ///
    /// # Panics
    /// When a file cannot be written or `sh` not run.
    pub fn run(&self) -> Result<usize, StoryError> {
        let project = Ends(Project::repository());
        let (mut other, mut ticket) = (None, String::new());
        let mut commands = 0;
        for step in &self.steps {
            match step {
                Step::File { path, text } => project.0.write(path, text),
                Step::Command { line, second, command, expected, code } => {
                    commands += 1;
                    let machine = if *second { other.get_or_insert_with(|| Ends(Project::clone_of(&project.0))) } else { &project };
                    let (said, ended) = shell(&machine.0, &command.replace("oct1…", &ticket));
                    let expected = expected.join("\n");
                    if let Some(printed) = said.lines().find(|line| line.starts_with("oct1")) {
                        printed.clone_into(&mut ticket);
                    }
                    if matches(&expected, &said) && ended == Some(*code) {
                        continue;
                    }
                    let ended = ended.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
                    return Err(StoryError {
                        place: format!("{}:{line}", self.name),
                        command: command.clone(),
                        expected: format!("{expected}\n? {code}"),
                        found: format!("{said}\n? {ended}"),
                    });
                }
            }
        }
        Ok(commands)
    }
}

/// Ends the node that a story leaves.
struct Ends(Project);

impl Drop for Ends {
    fn drop(&mut self) {
        if self.0.dir().join("runtime/node.json").exists() {
            drop(self.0.run(&["stop"]));
        }
    }
}

fn commands(block: &[(&str, usize)], second: bool, place: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (text, number) in block {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step::Command { line: *number, second, command: command.to_owned(), expected: Vec::new(), code: 0 });
            continue;
        }
        let Some(Step::Command { expected, code, .. }) = steps.last_mut() else { panic!("{place}: a block begins with '$ '") };
        match text.strip_prefix("? ") {
            Some(number) => *code = number.parse().unwrap_or_else(|_| panic!("{place}: '{text}' is no exit code")),
            None => expected.push((*text).to_owned()),
        }
    }
    steps
}

/// Runs a line and returns what it printed and its exit code.
fn shell(project: &Project, line: &str) -> (String, Option<i32>) {
    let mut shell = command("sh", &project.repo(), &project.home());
    let output = shell.arg("-c").arg(format!("exec 2>&1\n{line}")).stdin(Stdio::null()).output().expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    (said, output.status.code())
}

/// Compares a text with one that has wildcards.
fn matches(expected: &str, said: &str) -> bool {
    let expected: Vec<&str> = expected.trim_end_matches('\n').split('\n').collect();
    let said: Vec<&str> = said.split('\n').map(str::trim_end).collect();
    lines_match(&expected, &said)
}

fn lines_match(expected: &[&str], said: &[&str]) -> bool {
    match (expected.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => (0..=said.len()).any(|skipped| lines_match(rest, &said[skipped..])),
        (Some((line, rest)), Some((found, others))) => line_matches(line.trim_end(), found) && lines_match(rest, others),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn line_matches(expected: &str, said: &str) -> bool {
    let Some((head, rest)) = expected.split_once("[..]") else { return expected == said };
    let Some(mut left) = said.strip_prefix(head) else { return false };
    loop {
        if line_matches(rest, left) {
            return true;
        }
        let mut characters = left.chars();
        if characters.next().is_none() {
            return false;
        }
        left = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_parts_of_a_line_and_for_lines() {
        assert!(matches("a [..] c\n...\nend", "a b c\nx\ny\nend"));
        assert!(matches("one\n...", "one"));
        assert!(!matches("a [..] c", "a b d"));
        assert!(!matches("one\ntwo", "one"));
        assert!(!matches("one", "one\ntwo"));
    }

    #[test]
    fn a_page_has_commands_that_are_not_shown_and_a_second_machine() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let page = folder.path().join("page.md");
        let text = "<!-- $ echo oct1abc && git commit -q --allow-empty -m hidden -->\n\n```console on=second\n$ git log --format=%s\nhidden\nfirst\n\
                    $ git remote; touch here; echo oct1…\noct1abc\n```\n\n```console\n$ ls here\n[..]No such file[..]\n? 2\n```\n";
        std::fs::write(&page, text).expect("page");
        assert_eq!(Story::read(&page).run().map_err(|error| error.to_string()), Ok(4));
    }

    #[test]
    fn a_page_that_says_something_else_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let page = folder.path().join("page.md");
        std::fs::write(
            &page,
            "# Page\n\n```sh file=said\necho hello\n```\n\n```console\n$ sh said\nhello\n$ sh said; exit 3\nhello\n? 4\n```\n",
        )
        .expect("page");
        let error = Story::read(&page).run().expect_err("the code differs");
        assert_eq!(error.place, "page.md:10");
        assert_eq!((error.expected.as_str(), error.found.as_str()), ("hello\n? 4", "hello\n? 3"));
    }
}
