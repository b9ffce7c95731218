//! The project folder: made, found, completed and taken away.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use octopoid_node::{
    config::{self, BuiltIn, Merge, Surroundings},
    project::{FindError, Found, InitError, InitOptions, Layout, Remote, UninitError, UninitOptions, init, machine_name, uninit},
};

fn options() -> InitOptions {
    let found = Found { main_branch: Some("trunk".to_owned()), claude: true, hostname: "Mac Studio.local".to_owned(), ..Found::default() };
    InitOptions { machine_id: None, api_port: None, found, random: [7; 32] }
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().canonicalize().expect("it exists");
    (folder, root)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push((path.clone(), fs::read(&path).expect("a file"))) }
        }
    }
    found.sort();
    found
}

#[test]
fn init_writes_files_that_are_read_without_a_finding() {
    let (_keep, root) = scratch();
    let report = init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    assert!(report.notes.is_empty() && report.kept.is_empty(), "{report:?}");
    let (settings, findings) = config::load(&layout).expect("no error");
    assert_eq!(findings, [], "config.yaml");
    assert_eq!((settings.repo.main_branch.as_str(), settings.repo.merge), ("trunk", Merge::Auto));
    assert_eq!(settings.server.machine_id.expect("written").as_str(), "Mac-Studio");
    let (agents, findings) = config::load_agents(&layout).expect("no error");
    assert_eq!(findings, [], "agents.yaml");
    for agent in &agents.agents {
        let role = BuiltIn::named(agent.role.as_str()).expect("built in");
        assert_eq!(agent.allowed_tools, role.allowed_tools(), "{}", agent.name);
    }
    let roles: Vec<_> = agents.agents.iter().map(|agent| agent.role.as_str()).collect();
    assert_eq!(roles, ["implement", "fix", "breakdown", "review"]);
}

#[test]
fn the_commented_examples_of_the_written_files_are_valid_too() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    for path in [layout.config_file(), layout.agents_file()] {
        let text = fs::read_to_string(&path).expect("written");
        let example = |line: &&str| {
            let rest = line.trim_start().strip_prefix('#')?;
            let body = rest.strip_prefix(' ').unwrap_or(rest);
            let key = body.trim_start().trim_start_matches("- ").split_once(':')?.0;
            (key.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !body.contains("{prompt_file}")).then(|| {
                let indent = line.len() - line.trim_start().len();
                format!("{}{body}", " ".repeat(indent))
            })
        };
        let opened: Vec<String> = text.lines().map(|line| example(&line).unwrap_or_else(|| line.to_owned())).collect();
        fs::write(&path, opened.join("\n") + "\n").expect("written");
    }
    let (_, findings) = config::load(&layout).map_err(|invalid| invalid.to_string()).expect("no error");
    let about_secrets = |message: &str| message.contains("api_key");
    assert!(findings.iter().all(|finding| about_secrets(&finding.message)), "{findings:?}");
    let (agents, findings) = config::load_agents(&layout).map_err(|invalid| invalid.to_string()).expect("no error");
    assert_eq!(findings, []);
    assert_eq!(agents.agents.len(), 7);
    assert_eq!(agents.roles.len(), 1);
}

#[test]
fn a_repeated_init_changes_nothing() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    fs::write(layout.config_file(), "mode: mesh\n").expect("edited");
    let before = tree(&root);
    let report = init(&root, &InitOptions { random: [9; 32], ..options() }).expect("repeated");
    assert!(report.nothing_to_do(), "{report:?}");
    assert_eq!(before, tree(&root));
}

#[test]
fn a_repeated_init_puts_back_what_is_missing_and_takes_a_new_name_and_port() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    fs::remove_file(layout.prompts_dir().join("fix.md")).expect("removed");
    fs::remove_dir(layout.flows_dir()).expect("removed");
    let again = InitOptions { machine_id: Some("linux-ws".parse().expect("a name")), api_port: Some(9001), ..options() };
    let report = init(&root, &again).expect("repeated");
    assert_eq!(report.created, [Path::new(".octopoid/flows"), Path::new(".octopoid/prompts/fix.md")]);
    assert_eq!(report.updated, [Path::new(".octopoid/runtime/local.yaml")]);
    init(&root, &options()).expect("a third time");
    let (settings, _) = config::load(&layout).expect("no error");
    assert_eq!(settings.server.machine_id.expect("kept").as_str(), "linux-ws");
    assert_eq!(settings.api.port, Some(9001));
}

#[test]
fn what_is_private_is_readable_by_its_owner_alone() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    for folder in [layout.runtime_dir(), layout.logs_dir(), layout.worktrees_dir()] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    assert_eq!((mode(&layout.token_file()), mode(&layout.local_file())), (0o600, 0o600));
    let token = fs::read_to_string(layout.token_file()).expect("a token");
    assert_eq!(token, format!("oct_{}\n", "07".repeat(32)));
    fs::set_permissions(layout.runtime_dir(), fs::Permissions::from_mode(0o755)).expect("loosened");
    init(&root, &options()).expect("repeated");
    assert_eq!(mode(&layout.runtime_dir()), 0o700);
}

#[test]
fn a_token_that_others_could_read_is_replaced() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    fs::set_permissions(layout.token_file(), fs::Permissions::from_mode(0o644)).expect("loosened");
    let report = init(&root, &InitOptions { random: [9; 32], ..options() }).expect("repeated");
    assert_eq!(report.updated, [Path::new(".octopoid/runtime/api.token")]);
    assert_eq!(mode(&layout.token_file()), 0o600);
    assert!(fs::read_to_string(layout.token_file()).expect("a token").starts_with("oct_0909"));
}

#[test]
fn init_does_not_follow_a_link_out_of_the_repository() {
    let (_keep, root) = scratch();
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(root.join(".octopoid")).expect("made");
    symlink(elsewhere.path(), root.join(".octopoid/runtime")).expect("linked");
    assert!(matches!(init(&root, &options()), Err(InitError::Write { path, .. }) if path.ends_with("runtime")));
    assert_eq!(tree(elsewhere.path()), []);
}

#[test]
fn git_does_not_see_what_belongs_to_the_machine() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let lines = fs::read_to_string(Layout::at(&root).ignore_file()).expect("written");
    for folder in ["/runtime/", "/logs/", "/worktrees/"] {
        assert!(lines.lines().any(|line| line == folder), "{folder}");
    }
    let outside: Vec<_> = fs::read_dir(&root).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(outside, [".octopoid"]);
}

#[test]
fn merging_is_chosen_by_what_was_found() {
    for (remote, gh_logged_in, merge) in [
        (Remote::None, true, Merge::Auto),
        (Remote::GitHub, true, Merge::Pr),
        (Remote::GitHub, false, Merge::Never),
        (Remote::Other, true, Merge::Never),
    ] {
        let (_keep, root) = scratch();
        let found = Found { remote, gh_logged_in, ..options().found };
        let report = init(&root, &InitOptions { found, ..options() }).expect("made");
        let (settings, _) = config::load(&Layout::at(&root)).expect("no error");
        assert_eq!(settings.repo.merge, merge);
        assert_eq!(report.notes.iter().any(|note| note.contains("repo.merge")), merge == Merge::Never);
    }
}

#[test]
fn host_names_become_names() {
    for (host, name) in [("mac-studio", "mac-studio"), ("Büro PC.lan", "B-ro-PC"), ("", "machine"), ("--", "machine"), ("a.b", "a")] {
        assert_eq!(machine_name(host).as_str(), name);
    }
}

#[test]
fn a_command_finds_the_nearest_project_above_it() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    let deep = root.join("src/deep");
    fs::create_dir_all(&deep).expect("made");
    assert_eq!(Layout::find(&deep, None).expect("found"), layout);
    // A worktree holds the committed files of .octopoid, but no runtime.
    let worktree = layout.worktrees_dir().join("t1-1-3fa9c2d1");
    fs::create_dir_all(worktree.join(".octopoid/prompts")).expect("made");
    assert_eq!(Layout::find(&worktree, None).expect("found"), layout);
}

#[test]
fn the_variable_names_the_root_or_the_folder_itself() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    for named in [root.clone(), root.join(".octopoid")] {
        assert_eq!(Layout::find(elsewhere.path(), Some(named.as_os_str())).expect("found").root(), root);
    }
    assert_eq!(Layout::find(&root, Some("".as_ref())).expect("found").root(), root);
    let wrong = Layout::find(&root, Some(elsewhere.path().as_os_str())).expect_err("no project there");
    assert!(wrong.is_not_initialised() && wrong.to_string().contains("OCTOPOID_DIR"), "{wrong}");
}

#[test]
fn without_a_project_the_error_names_init() {
    let (_keep, root) = scratch();
    fs::create_dir(root.join(".octopoid")).expect("made");
    let error = Layout::find(&root, None).expect_err("no runtime");
    assert!(matches!(&error, FindError::NotInitialised { from } if *from == root));
    assert!(error.to_string().contains("octopoid init"), "{error}");
    assert!(!Layout::find(&root.join("nowhere"), None).expect_err("no folder").is_not_initialised());
}

#[test]
fn uninit_removes_what_init_made_and_keeps_what_was_edited() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    fs::write(layout.prompts_dir().join("review.md"), "mine").expect("edited");
    let mut clean = |_: &Path| None;
    let report = uninit(&layout, &mut UninitOptions { force: false, running: None, unfinished: &mut clean }).expect("removed");
    assert_eq!(tree(&root), [(layout.prompts_dir().join("review.md"), b"mine".to_vec())]);
    assert!(report.kept.contains(&PathBuf::from(".octopoid/prompts/review.md")), "{report:?}");
    assert!(report.removed.contains(&PathBuf::from(".octopoid/config.yaml")), "{report:?}");
    uninit(&layout, &mut UninitOptions { force: true, running: None, unfinished: &mut clean }).expect("removed");
    assert!(!layout.dir().exists());
}

#[test]
fn uninit_refuses_to_lose_work_or_to_remove_a_running_node() {
    let (_keep, root) = scratch();
    init(&root, &options()).expect("made");
    let layout = Layout::at(&root);
    let worktree = layout.worktrees_dir().join("t1-1-3fa9c2d1");
    fs::create_dir(&worktree).expect("made");
    let before = tree(&root);
    let mut dirty = |_: &Path| Some("2 uncommitted files".to_owned());
    let refused = uninit(&layout, &mut UninitOptions { force: false, running: None, unfinished: &mut dirty }).expect_err("refused");
    assert!(
        matches!(refused, UninitError::Unfinished(_)) && refused.to_string().contains("t1-1-3fa9c2d1 (2 uncommitted files)"),
        "{refused}"
    );
    let running = UninitOptions { force: true, running: Some(42), unfinished: &mut dirty };
    assert!(matches!(uninit(&layout, &mut { running }), Err(UninitError::Running(42))));
    assert_eq!(before, tree(&root));
    let report = uninit(&layout, &mut UninitOptions { force: true, running: None, unfinished: &mut dirty }).expect("forced");
    assert_eq!(report.worktrees, [worktree]);
    assert!(!layout.dir().exists());
}

#[test]
fn validate_is_silent_about_a_whole_project() {
    let (_keep, root) = scratch();
    init(&root, &InitOptions { api_port: Some(0), ..options() }).expect("made");
    let layout = Layout::at(&root);
    let bin = root.join("bin");
    fs::create_dir(&bin).expect("made");
    fs::write(bin.join("claude"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(bin.join("claude"), fs::Permissions::from_mode(0o755)).expect("made a program");
    let run = |args: &[&str]| {
        let git = std::process::Command::new("git")
            .current_dir(&root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("HOME", &root)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(args)
            .output()
            .expect("git runs");
        assert!(git.status.success(), "{args:?}: {}", String::from_utf8_lossy(&git.stderr));
    };
    run(&["init", "-q", "-b", "trunk"]);
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").expect("set")))).ok();
    let surroundings = Surroundings { path, node: None, alone: false };
    let findings = config::validate(&layout, &surroundings);
    assert!(matches!(&*findings, [only] if only.message.contains("no commit")), "{findings:?}");
    run(&["commit", "-q", "--allow-empty", "-m", "first"]);
    assert_eq!(config::validate(&layout, &surroundings), []);
    fs::write(layout.config_file(), "repo:\n  base: nowhere\n  main_branch: gone\n").expect("written");
    let told: Vec<_> = config::validate(&layout, &surroundings).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            ".octopoid/config.yaml:2:9: error: the repository has no branch 'nowhere' (correct repo.base, or make the branch)",
            ".octopoid/config.yaml:3:16: error: the repository has no branch 'gone' (correct repo.main_branch, or make the branch)",
        ]
    );
}
