//! The systemd unit of a project's node, as text.
//!
//! **Invariants**: what a unit's text means to systemd is exactly the paths that were given; a path that systemd cannot take is
//! refused, never written differently.

use std::path::{Path, PathBuf};

/// How every unit begins that this program wrote; the project follows.
const MARK: &str = "# Written by 'octopoid install-service' for ";

/// States why a project has no unit.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// Systemd takes no such path.
    #[error("systemd cannot take {what} {}: it holds {why}", .path.display())]
    Path {
        /// What the path is of.
        what: &'static str,
        path: PathBuf,
        /// What systemd does not take.
        why: &'static str,
    },
    /// A unit's name is of few characters.
    #[error("'{0}' cannot be part of a unit's name: letters, digits, '.', '_' and '-' can")]
    Name(String),
}

/// What a unit is made of.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The project's folder.
    pub project: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Where the node and its agents look for programs.
    pub path: String,
}

/// Names the unit of a project: by what is given, else by its folder.
pub fn name(project: &Path, given: Option<&str>) -> Result<String, UnitError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(given) = given {
        let well = !given.is_empty() && given.len() <= 100 && given.chars().all(fits);
        return if well { Ok(format!("octopoid-{given}.service")) } else { Err(UnitError::Name(given.to_owned())) };
    }
    let folder = project.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = folder.chars().map(|c| if fits(c) { c } else { '-' }).take(100).collect();
    let plain = if plain.is_empty() { "project".to_owned() } else { plain };
    Ok(format!("octopoid-{plain}.service"))
}

/// Tells whether a text is a unit that this program wrote for a project.
pub fn is_of(text: &str, project: &Path) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix(MARK)).is_some_and(|named| Path::new(named) == project)
}

impl Unit {
    /// Writes the unit.
    ///
    /// Only the node is told to end: it ends its agents, which are process groups of their own, and commits what they did. What is left
    /// after that is killed.
    pub fn text(&self) -> Result<String, UnitError> {
        let project = specifiers(plain("the project's folder", &self.project)?);
        if project.ends_with(['\\', ' ']) {
            let why = "a blank or backslash at its end";
            return Err(UnitError::Path { what: "the project's folder", path: self.project.clone(), why });
        }
        let program = plain("the program's path", &self.program)?;
        if program.contains(['"', '\'', '\\']) {
            let why = "a quote or backslash";
            return Err(UnitError::Path { what: "the program's path", path: self.program.clone(), why });
        }
        let path = plain("PATH", Path::new(&self.path))?;
        Ok(format!(
            "{MARK}{}\n\
             # Changes of your own go into a file beside it: systemctl --user edit UNIT\n\
             [Unit]\n\
             Description=Octopoid node of {project}\n\
             # What fails ten times in five minutes needs a person: systemctl --user status UNIT\n\
             StartLimitIntervalSec=300\n\
             StartLimitBurst=10\n\
             \n\
             [Service]\n\
             Type=exec\n\
             WorkingDirectory={project}\n\
             Environment=\"PATH={}\"\n\
             ExecStart=\"{}\" start\n\
             # The node ends its agents itself and commits what they did.\n\
             KillMode=mixed\n\
             TimeoutStopSec=120\n\
             Restart=on-failure\n\
             RestartSec=5\n\
             # Wrong use, or no project there: the next try would end alike.\n\
             RestartPreventExitStatus=2 3\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n",
            self.project.display(),
            specifiers(path).replace('\\', "\\\\").replace('"', "\\\""),
            specifiers(program),
        ))
    }
}

/// Returns a path as text without line breaks or the like.
fn plain<'p>(what: &'static str, path: &'p Path) -> Result<&'p str, UnitError> {
    let refused = |why| UnitError::Path { what, path: path.to_owned(), why };
    let text = path.to_str().ok_or_else(|| refused("bytes that are no UTF-8"))?;
    if text.chars().any(char::is_control) { Err(refused("control characters")) } else { Ok(text) }
}

/// Keeps systemd from reading `%` as the beginning of a specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(project: &str, program: &str) -> Unit {
        Unit { project: project.into(), program: program.into(), path: "/usr/bin:/x \"y\"%".to_owned() }
    }

    #[test]
    fn blanks_quotes_and_percent_signs_mean_themselves() {
        let text = unit("/home/a b/100% 'mine'", "/opt/a b%/octopoid").text().expect("a unit");
        for line in [
            "WorkingDirectory=/home/a b/100%% 'mine'",
            "Environment=\"PATH=/usr/bin:/x \\\"y\\\"%%\"",
            "ExecStart=\"/opt/a b%%/octopoid\" start",
            "KillMode=mixed",
        ] {
            assert!(text.lines().any(|found| found == line), "no '{line}' in\n{text}");
        }
        assert!(is_of(&text, Path::new("/home/a b/100% 'mine'")) && !is_of(&text, Path::new("/home/a b")));
    }

    #[test]
    fn what_systemd_cannot_take_is_refused() {
        for (project, program) in [("/a\nb", "/o"), ("/a\\", "/o"), ("/a ", "/o"), ("/a", "/it's/o"), ("/a", "/o\\"), ("/a", "/\"o")] {
            assert!(matches!(unit(project, program).text(), Err(UnitError::Path { .. })), "{project} {program}");
        }
    }

    #[test]
    fn a_unit_is_named_by_its_folder_unless_told_otherwise() {
        assert_eq!(name(Path::new("/x/my app%"), None).expect("a name"), "octopoid-my-app-.service");
        assert_eq!(name(Path::new("/"), None).expect("a name"), "octopoid-project.service");
        assert_eq!(name(Path::new("/x"), Some("one")).expect("a name"), "octopoid-one.service");
        for given in ["", "a/b", "a b", "a@b"] {
            assert!(name(Path::new("/x"), Some(given)).is_err(), "{given}");
        }
    }
}
