//! Agents that are shell scripts.

use std::{fmt::Write as _, path::Path};

/// What every script may use.
const PRELUDE: &str = r#"set -eu
# Commits everything.
commit() { git add -A; git commit -q -m "$1"; }
# Says what came of the work.
result() { printf '%s' "$1" > "$OCTOPOID_RESULT_FILE"; }
# Notes a line where the test looks.
note() { echo "$2" >> "$TABLE/$1"; }
# Waits until the test has put a file there.
await() { while [ ! -e "$TABLE/$1" ]; do sleep 0.05; done; }
"#;

/// One agent of agents.yaml.
#[derive(Debug, Clone)]
pub struct Agent {
    name: String,
    role: String,
    script: Option<String>,
    /// Seconds between two starts.
    interval: u32,
    lines: Vec<String>,
}

impl Agent {
    /// An agent that runs a shell script. The folder that it shares with its test is `$TABLE`.
    #[must_use]
    pub fn new(name: &str, role: &str, script: &str) -> Self {
        Self { name: name.to_owned(), role: role.to_owned(), script: Some(script.to_owned()), interval: 0, lines: Vec::new() }
    }

    /// An agent whose program is named by [`Self::with`].
    #[must_use]
    pub fn bare(name: &str, role: &str) -> Self {
        Self { name: name.to_owned(), role: role.to_owned(), script: None, interval: 0, lines: Vec::new() }
    }

    /// A reviewer that accepts everything.
    #[must_use]
    pub fn approver(name: &str) -> Self {
        Self::new(name, "review", r#"result '{"outcome":"accept","reason":"it is good"}'"#)
    }

    /// Sets how many seconds pass between two starts; none by default.
    #[must_use]
    pub fn every(mut self, seconds: u32) -> Self {
        self.interval = seconds;
        self
    }

    /// Adds a line of YAML, such as `timeout_seconds: 1`.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Writes the script and returns the agent's part of agents.yaml.
    pub(crate) fn write(&self, scripts: &Path, table: &Path) -> std::io::Result<String> {
        let mut yaml = format!("  - name: {}\n    role: {}\n    interval_seconds: {}\n", self.name, self.role, self.interval);
        if let Some(script) = &self.script {
            std::fs::create_dir_all(scripts)?;
            let path = scripts.join(format!("{}.sh", self.name));
            std::fs::write(&path, format!("{PRELUDE}{script}\n"))?;
            let _ = writeln!(yaml, "    command: [sh, '{}']", path.display());
        }
        let _ = writeln!(yaml, "    env: {{TABLE: '{}'}}", table.display());
        for line in &self.lines {
            let _ = writeln!(yaml, "    {line}");
        }
        Ok(yaml)
    }
}
