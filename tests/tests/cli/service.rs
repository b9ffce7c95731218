//! What lets the node run as a service, and what goes into a package.

use std::fs;
use std::path::PathBuf;

use octopoid_tests::{Project, Said, command};

/// A project in a folder whose name has what units treat specially, with a folder for settings of its own.
struct Home {
    project: Project,
    folder: PathBuf,
}

impl Home {
    fn new() -> Self {
        let project = Project::new();
        let folder = project.table().join("100% mine");
        project.git(&["clone", "-q", ".", folder.to_str().expect("UTF-8")]);
        let home = Self { project, folder };
        let _ = home.run(&["init", "--machine-id", "here"]).ok();
        home
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut octopoid = command("octopoid", &self.folder, &self.project.home());
        octopoid.env("XDG_CONFIG_HOME", self.project.table().join("settings")).args(args);
        Said::new(format!("octopoid {}", args.join(" ")), octopoid.output().expect("octopoid runs"))
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.project.table().join("settings/systemd/user").join(name)
    }
}

#[test]
fn a_service_is_installed_for_the_project_and_removed_again() {
    let home = Home::new();
    let printed = home.run(&["install-service", "--print"]);
    assert!(!home.unit("octopoid-100--mine.service").exists(), "--print writes nothing");
    let said = home.run(&["install-service"]);
    assert!(said.ok().ends_with("octopoid-100--mine.service: written"), "{said:?}");
    for next in ["systemctl --user enable --now octopoid-100--mine.service", "loginctl enable-linger"] {
        assert!(said.stderr.contains(next), "{said:?}");
    }
    let unit = fs::read_to_string(home.unit("octopoid-100--mine.service")).expect("the unit");
    assert_eq!(unit, printed.stdout);
    let folder = home.folder.canonicalize().expect("a folder").display().to_string().replace('%', "%%");
    assert!(unit.contains(&format!("\nWorkingDirectory={folder}\n")) && unit.contains("/octopoid\" start\n"), "{unit}");
    assert!(home.run(&["install-service"]).ok().ends_with(": unchanged"));

    // What somebody edited is put aside, and another project's unit is left alone.
    fs::write(home.unit("octopoid-100--mine.service"), format!("{unit}# mine\n")).expect("written");
    assert!(home.run(&["install-service"]).ok().ends_with(": written"));
    assert!(fs::read_to_string(home.unit("octopoid-100--mine.service.old")).expect("put aside").ends_with("# mine\n"));
    fs::write(home.unit("octopoid-other.service"), "[Service]\n").expect("written");
    for args in [&["install-service", "--name", "other"][..], &["install-service", "--uninstall", "--name", "other"]] {
        assert!(home.run(args).refused(4).contains("is not this project's unit"), "{args:?}");
    }
    assert_eq!(home.run(&["install-service", "--name", "a/b"]).code, Some(2));

    let wants = home.unit("default.target.wants");
    fs::create_dir(&wants).expect("a folder");
    std::os::unix::fs::symlink("../octopoid-100--mine.service", wants.join("octopoid-100--mine.service")).expect("as enable does");
    let report = home.run(&["install-service", "--uninstall", "--json"]).json();
    assert_eq!(report["outcome"], "removed", "{report}");
    assert!(!home.unit("octopoid-100--mine.service").exists() && fs::read_dir(wants).expect("the folder").next().is_none());
    assert!(home.run(&["install-service", "--uninstall"]).ok().ends_with(": absent"));
}

#[test]
fn every_command_that_is_shown_has_a_manual_page() {
    let project = Project::repository();
    let folder = project.table().join("man");
    let pages = project.run(&["man", "--output", folder.to_str().expect("UTF-8"), "--json"]).json();
    let names: Vec<String> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(pages.as_array().map(Vec::len), Some(names.len()));
    let help = project.run(&["--help"]);
    let commands = help.ok().lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut shown = 0;
    for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help") {
        shown += 1;
        let page = fs::read_to_string(folder.join(format!("octopoid-{command}.1"))).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(&format!(".TH octopoid-{command} 1")) && page.contains(".SH SYNOPSIS"), "{page}");
        assert!(page.contains("octopoid"), "{page}");
    }
    assert!(shown > 30 && names.contains(&"octopoid.1".to_owned()), "{shown} of {names:?}");
    assert!(!names.contains(&"octopoid-man.1".to_owned()), "what is hidden has no page");
}
