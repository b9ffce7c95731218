//! A bare repository that several machines share as their remote.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tempfile::TempDir;

use crate::{Project, Said, command};

/// The repository, gone when it is dropped.
#[derive(Debug)]
pub struct Origin {
    folder: TempDir,
    home: TempDir,
}

impl Origin {
    /// Makes a bare repository of a project's.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        let scratch = || tempfile::tempdir().expect("scratch folder");
        let origin = Self { folder: scratch(), home: scratch() };
        let from = project.repo();
        let _ = origin.git(&["clone", "-q", "--bare", &from.display().to_string(), "."]);
        origin
    }

    /// Makes it a project's remote, in place of any other.
    ///
    /// # Panics
    /// When git fails.
    pub fn add_to(&self, project: &Project) {
        if project.git(&["remote"]).lines().any(|name| name == "origin") {
            project.git(&["remote", "remove", "origin"]);
        }
        project.git(&["remote", "add", "origin", &self.folder.path().display().to_string()]);
        project.git(&["fetch", "-q", "origin"]);
    }

    /// Moves it out of reach, or back.
    ///
    /// # Panics
    /// When it cannot be moved.
    pub fn be_away(&self, away: bool) {
        let (here, there) = (self.folder.path().to_owned(), self.home.path().join("away"));
        let (from, to) = if away { (here, there) } else { (there, here) };
        std::fs::rename(from, to).expect("moved");
    }

    /// Refuses branches with a word in their name, or none any more.
    ///
    /// # Panics
    /// When its hook cannot be written.
    pub fn refuse(&self, word: Option<&str>) {
        let hook = self.folder.path().join("hooks/update");
        let script = word.map_or("#!/bin/sh\n".to_owned(), |word| {
            format!("#!/bin/sh\ncase $1 in *{word}*) echo 'that branch is not wanted'; exit 1 ;; esac\n")
        });
        std::fs::write(&hook, script).expect("written");
        std::fs::set_permissions(hook, Permissions::from_mode(0o755)).expect("made a program");
    }

    /// Runs git in it and returns what it says.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, args: &[&str]) -> String {
        let output = command("git", self.folder.path(), self.home.path()).args(args).stdin(Stdio::null()).output();
        Said::new(format!("git {}", args.join(" ")), output.expect("git runs")).ok().to_owned()
    }

    /// Returns the tasks that were merged to `main`, the last one first.
    #[must_use]
    pub fn merged(&self) -> Vec<String> {
        let log = self.git(&["log", "--first-parent", "--format=%(trailers:key=Octopoid-Task,valueonly,separator=%x2C)", "main"]);
        log.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}
