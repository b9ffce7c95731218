//! Renders one template with one context.
//!
//! Beside the built-in filters of the template language there are two: `fenced` puts a text into a block of backticks that
//! is longer than any in the text, so that nothing inside can end it; `inline` makes a text one line.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};

use super::context::{Context, cut};

/// The largest prompt, in bytes.
pub const OUTPUT_LIMIT: usize = 512 * 1024;
/// How much work a template may do: one for each step, and one for each 64 bytes that it handles.
const FUEL: u64 = 500_000;
/// The most bytes of one fenced text: above a task's largest body.
const FENCED_LIMIT: usize = 160 * 1024;
/// The most letters of a text within a line.
const INLINE_LIMIT: usize = 500;

/// States why a prompt could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template could not be read.
    #[error("read prompt template {}", .file.display())]
    Read {
        /// The template's file.
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The template is wrong.
    #[error("{}{}: {message}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Template {
        /// The template's file.
        file: PathBuf,
        /// The line, counted from 1.
        line: Option<u32>,
        /// What is wrong.
        message: String,
    },
    /// The prompt would be too large, or takes too much work.
    #[error("{}: the prompt is larger than {OUTPUT_LIMIT} bytes, or takes too long to make", .file.display())]
    TooLarge {
        /// The template's file.
        file: PathBuf,
    },
}

/// Renders `source`; `file` names it in errors.
pub(super) fn render(file: &str, source: &str, context: &Context) -> Result<String, RenderError> {
    let environment = environment();
    let failed = |error: minijinja::Error| describe(file, &error);
    let template = environment.template_from_named_str(file, source).map_err(failed)?;
    let mut output = Bounded { text: Vec::new() };
    match template.render_captured_to(Serde(context.bounded()), &mut output) {
        Ok(_) => Ok(String::from_utf8_lossy(&output.text).into_owned()),
        Err(error) => Err(failed(error)),
    }
}

fn environment() -> Environment<'static> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the usual delimiters differ");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(syntax);
    environment.set_recursion_limit(64);
    environment.add_filter("fenced", |text: &str, language: Option<&str>| fenced(text, language.unwrap_or_default()));
    environment.add_filter("inline", inline);
    environment
}

fn fenced(text: &str, language: &str) -> String {
    let (text, cut) = cut(text, FENCED_LIMIT);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let note = if cut { "\n(cut here)" } else { "" };
    format!("{fence}{language}\n{text}{end}{fence}{note}")
}

fn inline(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(INLINE_LIMIT).collect()
}

fn describe(file: &str, error: &minijinja::Error) -> RenderError {
    let file = PathBuf::from(file);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds is open; all others are mistakes in the template")]
    match error.kind() {
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => RenderError::TooLarge { file },
        kind => {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            let line = error.line().and_then(|line| u32::try_from(line).ok());
            RenderError::Template { file, line, message: format!("{kind}{detail}") }
        }
    }
}

/// Takes bytes up to the limit, then fails, so that a runaway template is stopped where it is.
struct Bounded {
    text: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > OUTPUT_LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "prompt too large"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::context::sample, *};

    fn template(source: &str) -> Result<String, RenderError> {
        render("prompts/x.md", source, &sample("implement", true))
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_text() {
        assert_eq!(fenced("plain", ""), "```\nplain\n```");
        assert_eq!(fenced("a\n```\nb\n", "diff"), "````diff\na\n```\nb\n````");
        assert!(fenced("`````` out", "").starts_with("```````\n"));
        assert!(fenced(&"x".repeat(FENCED_LIMIT + 1), "").ends_with("```\n(cut here)"));
    }

    #[test]
    fn a_title_with_line_breaks_becomes_one_line() {
        assert_eq!(inline("a\n# b\r\n\tc\u{0}d\u{2028}e"), "a # b c d e");
    }

    #[test]
    fn mistakes_name_the_file_and_the_line() {
        for (source, line, says) in [
            ("a\nb {{ task.titel }}\n", 2, "undefined"),
            ("a\n\n{% if task %}\nb", 4, "syntax"),
            ("{{ task.title | fencd }}", 1, "fencd"),
            ("a\n{{ nobody() }}", 2, "nobody"),
        ] {
            let error = template(source).expect_err(source);
            let RenderError::Template { file, line: told, message } = error else { panic!("{error}") };
            assert_eq!(file, PathBuf::from("prompts/x.md"));
            assert_eq!(told, Some(line), "{source:?}: {message}");
            assert!(message.contains(says), "{source:?}: {message}");
        }
    }

    #[test]
    fn a_runaway_template_is_stopped() {
        for source in [
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            "{% for a in range(9000) %}{{ 'y' * 9000 }}{% endfor %}",
            "{{ 'z' * 600000 }}",
            // Work without output, which the limit of the output alone would not stop.
            "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        ] {
            assert!(matches!(template(source), Err(RenderError::TooLarge { .. })), "{source}");
        }
    }
}
