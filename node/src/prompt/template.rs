//! Finds the template of an agent and checks it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    context::{Context, sample},
    render::{RenderError, render},
};
use crate::{
    config::{BuiltIn, Finding, Place, Severity},
    project::Layout,
};

/// The largest template that is read, in bytes.
const MAX_TEMPLATE: u64 = 256 * 1024;

/// Returns the prompt that a built-in role has when the project has none of its own.
#[must_use]
pub const fn default_template(role: BuiltIn) -> &'static str {
    match role {
        BuiltIn::Implement => include_str!("defaults/implement.md"),
        BuiltIn::Breakdown => include_str!("defaults/breakdown.md"),
        BuiltIn::Review => include_str!("defaults/review.md"),
        BuiltIn::Test => include_str!("defaults/test.md"),
        BuiltIn::Fix => include_str!("defaults/fix.md"),
        BuiltIn::Research => include_str!("defaults/research.md"),
        BuiltIn::Docs => include_str!("defaults/docs.md"),
    }
}

/// One template, read.
#[derive(Debug, Clone)]
pub struct Template {
    shown: String,
    source: String,
}

impl Template {
    /// Reads the template of an agent: the one that it names, else `prompts/<role>.md`, else the built-in one of the role
    /// (for a role of the project's own that of implement).
    ///
    /// `named` is `prompt` of agents.yaml: a template's name, or with a slash a path relative to `.octopoid/`.
    ///
    /// # Errors
    /// When the named file is missing, or a file cannot be read or is larger than 256 KiB.
    pub fn find(layout: &Layout, role: &str, named: Option<&str>) -> Result<Self, RenderError> {
        if let Some(named) = named {
            return Self::read(layout, &file_of(layout, named));
        }
        match Self::read(layout, &layout.prompts_dir().join(format!("{role}.md"))) {
            Err(RenderError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let role = BuiltIn::named(role).unwrap_or(BuiltIn::Implement);
                Ok(Self { shown: format!("built-in prompt {}", role.as_str()), source: default_template(role).to_owned() })
            }
            other => other,
        }
    }

    fn read(layout: &Layout, path: &Path) -> Result<Self, RenderError> {
        let file = layout.shown(path).to_owned();
        let failed = |source| RenderError::Read { file: file.clone(), source };
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() || metadata.len() > MAX_TEMPLATE {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, format!("not a file of at most {MAX_TEMPLATE} bytes"))));
        }
        let source = fs::read_to_string(path).map_err(failed)?;
        Ok(Self { shown: file.display().to_string(), source })
    }

    /// Makes the prompt.
    ///
    /// # Errors
    /// When the template is wrong, names what does not exist, or gets too large.
    pub fn render(&self, context: &Context) -> Result<String, RenderError> {
        render(&self.shown, &self.source, context)
    }
}

fn file_of(layout: &Layout, named: &str) -> PathBuf {
    if named.contains('/') {
        layout.dir().join(named)
    } else if named.ends_with(".md") {
        layout.prompts_dir().join(named)
    } else {
        layout.prompts_dir().join(format!("{named}.md"))
    }
}

/// Checks an agent's template by rendering it for a first attempt and for a later one; `at` is where the agent names it.
#[must_use]
pub fn check(layout: &Layout, role: &str, named: Option<&str>, at: &Place) -> Option<Finding> {
    let tried = Template::find(layout, role, named)
        .and_then(|template| [false, true].into_iter().try_for_each(|history| template.render(&sample(role, history)).map(drop)));
    match tried.err()? {
        RenderError::Read { file, source } => Some(Finding::error(
            at,
            format!("the prompt {} cannot be read: {source}", file.display()),
            "make the file, or correct 'prompt'",
        )),
        RenderError::Template { file, line, message } => {
            let fix = "correct the template, or delete it to use the built-in one";
            let file: Arc<Path> = Arc::from(file.as_path());
            let mut finding = Finding::error(&Place { file, line: line.unwrap_or(1), column: 1 }, message, fix);
            finding.column = None;
            Some(finding)
        }
        RenderError::TooLarge { file } => {
            Some(Finding::whole_file(Severity::Error, &file, "the prompt gets too large or takes too long to make", "shorten the template"))
        }
    }
}
