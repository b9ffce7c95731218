//! `octopoid install-service`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    connection::find_project,
    failure::{Exit, Failure},
    output::Output,
    unit_file::{self, Unit, UnitError},
};

/// States why no unit was written or removed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The unit cannot be made.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// There is no place for it.
    #[error("neither XDG_CONFIG_HOME nor HOME names a folder for the unit")]
    NoHome,
    /// The program does not know its own path.
    #[error("find this program's own path")]
    Program(#[source] io::Error),
    /// Another unit has the name.
    #[error("{} is not this project's unit", .0.display())]
    Foreign(PathBuf),
    /// The file cannot be used.
    #[error("use {}", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ServiceError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unit(UnitError::Name(_)) => Exit::Usage,
            Self::Foreign(_) => Exit::Refused,
            Self::Unit(UnitError::Path { .. }) | Self::NoHome | Self::Program(_) | Self::File { .. } => Exit::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unit(UnitError::Path { .. }) => Some("move it, or write a unit by hand: docs/deployment.md shows one".to_owned()),
            Self::Foreign(_) => Some("give this project's another name: octopoid install-service --name NAME".to_owned()),
            Self::NoHome => Some("octopoid install-service --print > octopoid.service".to_owned()),
            Self::Unit(UnitError::Name(_)) | Self::Program(_) | Self::File { .. } => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid install-service\n  octopoid install-service --uninstall")]
pub struct Args {
    /// Print the unit and write nothing.
    #[arg(long, conflicts_with = "uninstall")]
    print: bool,
    /// Remove the unit.
    #[arg(long)]
    uninstall: bool,
    /// The unit's name, after `octopoid-`; that of the project's folder by default.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    unit: String,
    path: PathBuf,
    /// written, unchanged, removed or absent.
    outcome: &'static str,
    /// The commands that follow.
    next: Vec<String>,
}

pub fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    let project = layout.root();
    let name = unit_file::name(project, args.name.as_deref()).map_err(ServiceError::from)?;
    if args.print {
        let text = unit_of(project)?.text().map_err(ServiceError::from)?;
        return if output.json() { Ok(output.value(&text)?) } else { Ok(output.bytes(text.as_bytes())?) };
    }
    let folder = folder()?;
    let report = if args.uninstall { uninstall(&folder, name, project)? } else { install(&folder, name, project)? };
    if output.json() {
        return Ok(output.value(&report)?);
    }
    output.line(format!("{}: {}", report.path.display(), report.outcome))?;
    if !report.next.is_empty() {
        output.note(format!("\nNext:\n  {}", report.next.join("\n  ")));
    }
    Ok(())
}

fn unit_of(project: &Path) -> Result<Unit, ServiceError> {
    let program = std::env::current_exe().map_err(ServiceError::Program)?;
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty()).unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    Ok(Unit { project: project.to_owned(), program, path })
}

/// Returns where systemd looks for a user's units. A relative XDG_CONFIG_HOME is to be ignored.
fn folder() -> Result<PathBuf, ServiceError> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    Ok(config.ok_or(ServiceError::NoHome)?.join("systemd/user"))
}

fn install(folder: &Path, unit: String, project: &Path) -> Result<Report, ServiceError> {
    let path = folder.join(&unit);
    let text = unit_of(project)?.text()?;
    let present = present(&path, project)?;
    let outcome = if present.as_deref() == Some(&text) { "unchanged" } else { "written" };
    if outcome == "written" {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ServiceError::File { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        if present.is_some() {
            // Somebody may have edited it.
            let old = path.with_extension("service.old");
            fs::rename(&path, &old).map_err(failed(&old))?;
        }
        let half = path.with_extension("service.new");
        fs::write(&half, text).and_then(|()| fs::rename(&half, &path)).map_err(failed(&path))?;
    }
    let next = vec![
        "systemctl --user daemon-reload".to_owned(),
        format!("systemctl --user enable --now {unit}"),
        // Else the node ends with the last login.
        "loginctl enable-linger".to_owned(),
    ];
    Ok(Report { unit, path, outcome, next })
}

fn uninstall(folder: &Path, unit: String, project: &Path) -> Result<Report, ServiceError> {
    let path = folder.join(&unit);
    if present(&path, project)?.is_none() {
        return Ok(Report { unit, path, outcome: "absent", next: Vec::new() });
    }
    // What `enable` made goes too: `disable` would not find the unit any more.
    for path in [folder.join("default.target.wants").join(&unit), path.clone()] {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(ServiceError::File { path, source }),
            Ok(()) | Err(_) => {}
        }
    }
    let next = vec![format!("systemctl --user stop {unit}"), "systemctl --user daemon-reload".to_owned()];
    Ok(Report { unit, path, outcome: "removed", next })
}

/// Reads the unit that is there; refuses another project's.
fn present(path: &Path, project: &Path) -> Result<Option<String>, ServiceError> {
    match fs::read_to_string(path) {
        Ok(text) if unit_file::is_of(&text, project) => Ok(Some(text)),
        Ok(_) => Err(ServiceError::Foreign(path.to_owned())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ServiceError::File { path: path.to_owned(), source }),
    }
}
