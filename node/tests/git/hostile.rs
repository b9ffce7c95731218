//! A repository, an agent and names that mean harm.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use octopoid_crdt::ids::{AttemptName, Name};
use octopoid_node::git::{CommitError, Identity, MergeOutcome, RemoveError, Repository};

use crate::support::{Ask, Project, attempt, branch, commit_all, git, isolated, merged, name, oid, write};

const HOOKS: [&str; 14] = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-rewrite",
    "post-update",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "reference-transaction",
];

fn plant(folder: &Path, evidence: &Path) {
    for hook in HOOKS {
        write(folder, hook, &format!("#!/bin/sh\necho {hook} >> '{}'\n", evidence.display()));
        fs::set_permissions(folder.join(hook), fs::Permissions::from_mode(0o755)).expect("a mode");
    }
}

/// Goes through all operations once.
fn everything(project: &Project) {
    let repository = &project.repository;
    let (worktree, head) = project.work("t1", 1, "a", "x");
    assert_eq!(repository.snapshot(Some(&worktree)), repository.snapshot(Some(&worktree)));
    repository.push_branch(&worktree.branch()).expect("pushed");
    merged(Ask::at_origin("t1", 1, &head).merge(repository));
    let (second, head) = project.work("t2", 1, "b", "x");
    merged(Ask::new("t2", 1, &head).merge(repository));
    assert_eq!(fs::read_to_string(project.root().join("b")).expect("the checkout followed"), "x");
    repository.fetch_branch(&branch("main")).expect("fetched");
    write(second.path(), "c", "uncommitted");
    repository.remove_worktree(&second).expect("removed");
    repository.remove_worktree(&worktree).expect("removed");
}

#[test]
fn no_operation_runs_a_planted_hook() {
    isolated(|| {
        let project = Project::with_origin();
        let evidence = project.folder.path().join("evidence");
        plant(&project.root().join(".git/hooks"), &evidence);
        everything(&project);
        assert!(!evidence.exists(), "{}", fs::read_to_string(&evidence).unwrap_or_default());
        // The control: git itself does run them.
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "x"]);
        assert!(evidence.exists());
    });
}

#[test]
fn no_operation_runs_a_program_that_the_configuration_names() {
    isolated(|| {
        let project = Project::with_origin();
        let evidence = project.folder.path().join("evidence");
        let hooks = project.folder.path().join("hooks");
        plant(&hooks, &evidence);
        let run = format!("touch '{}'; cat", evidence.display());
        write(project.root(), ".gitattributes", "a filter=evil diff=evil merge=evil\n* diff=evil merge=evil\n");
        git(project.root(), ["add", "."]);
        git(project.root(), ["commit", "-qm", "attributes"]);
        git(project.root(), ["push", "-q", "origin", "main"]);
        for (key, value) in [
            ("core.hooksPath", hooks.to_str().expect("utf-8")),
            ("core.fsmonitor", run.as_str()),
            ("core.pager", &run),
            ("core.editor", &run),
            ("filter.evil.clean", &run),
            ("diff.evil.textconv", &run),
            ("diff.evil.command", &run),
            ("diff.external", &run),
            ("merge.evil.driver", &run),
            ("alias.fetch", &format!("!{run}")),
            ("alias.push", &format!("!{run}")),
            ("gpg.program", &run),
            ("commit.gpgSign", "true"),
            ("push.gpgSign", "if-asked"),
            ("sequence.editor", &run),
        ] {
            git(project.root(), ["config", key, value]);
        }
        let head = project.tip("main");
        project.repository.diff(&head, &head, octopoid_node::git::DiffForm::Patch, 1_000).expect("a diff");
        everything(&project);
        assert!(!evidence.exists());
    });
}

#[test]
fn variables_of_the_environment_do_not_lead_git_elsewhere() {
    isolated(|| {
        let project = Project::with_origin();
        let program = std::env::current_exe().expect("the test program");
        let evidence = project.folder.path().join("evidence");
        plant(&evidence.join("hooks"), &evidence.join("ran"));
        let output = std::process::Command::new(program)
            .args(["--exact", "hostile::an_operation_for_the_test_of_variables", "--nocapture", "--test-threads=1"])
            .env("OCTOPOID_TEST_ROOT", project.root())
            .env("GIT_DIR", "/nonexistent")
            .env("GIT_WORK_TREE", "/nonexistent")
            .env("GIT_INDEX_FILE", "/nonexistent")
            .env("GIT_NAMESPACE", "elsewhere")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "core.hooksPath")
            .env("GIT_CONFIG_VALUE_0", evidence.join("hooks"))
            .env("GIT_TRACE", evidence.join("trace"))
            .output()
            .expect("the test runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(!evidence.join("trace").exists() && !evidence.join("ran").exists());
        assert_eq!(git(&project.origin(), ["rev-parse", "main"]), project.tip("main").to_string());
    });
}

#[test]
fn an_operation_for_the_test_of_variables() {
    // On its own it works on a project of its own; the test above points it at one and bends the environment.
    let push = |root: &Path| {
        let repository = Repository::open(root).expect("a repository");
        let head = repository.branch_tip(&branch("main")).expect("a tip");
        assert_eq!(repository.fetch_branch(&branch("main")).expect("fetched"), Some(head));
        repository.push_branch(&branch("main")).expect("pushed");
    };
    match std::env::var_os("OCTOPOID_TEST_ROOT") {
        Some(root) => push(Path::new(&root)),
        None => isolated(|| push(Project::with_origin().root())),
    }
}

#[test]
fn hostile_names_never_become_identifiers() {
    let long = "a".repeat(129);
    let names = [
        "",
        "-",
        "-rf",
        "--help",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        "a b",
        "a\nb",
        "a\0",
        "a:b",
        "a~b",
        "a^b",
        "a?b",
        "a*",
        "a[b",
        "a..b",
        "a.",
        "a.lock",
        ".git",
        "refs/heads/x",
        "@",
        "@{-1}",
        "a@{0}",
        "$(id)",
        "`id`",
        "a;b",
        "a|b",
        "a&b",
        "é",
        "HEAD^",
        "+x",
        "x:y",
        &long,
    ];
    for text in names {
        assert!(text.parse::<Name>().is_err(), "{text:?}");
    }
    for text in ["", "1", "-1-abcdef01", "1-abcdef0", "1-abcdef012", "1-ghijklmn", "../1-abcdef01", "1-abcdef01/..", "1-abcdef01\n"] {
        assert!(text.parse::<AttemptName>().is_err(), "{text:?}");
    }
}

#[test]
fn names_at_the_edge_of_what_is_allowed_work_everywhere() {
    isolated(|| {
        let project = Project::with_origin();
        let longest = "x".repeat(128);
        for task in ["HEAD", "a-1-aabbccdd", "0", "a.b_c-d", "main", "FETCH_HEAD", "con", longest.as_str()] {
            let (worktree, head) = project.work(task, 1, &format!("f-{task}"), "x");
            project.repository.push_branch(&worktree.branch()).expect("pushed");
            merged(Ask::new(task, 1, &head).merge(&project.repository));
            project.repository.remove_worktree(&worktree).expect("removed");
        }
    });
}

#[test]
fn a_redirected_worktree_is_never_committed_from() {
    isolated(|| {
        let project = Project::new();
        let other = Project::new();
        let us = Identity::octopoid();
        let tampered = |worktree| {
            let refused = project.repository.commit_all(worktree, "m", &us, &us);
            assert!(matches!(refused, Err(CommitError::Tampered(_))), "{refused:?}");
            assert!(matches!(project.repository.remove_worktree(worktree), Err(RemoveError::Tampered(_))));
        };
        let worktree = project.add("t1", 1);
        write(worktree.path(), ".git", &format!("gitdir: {}\n", other.root().join(".git").display()));
        tampered(&worktree);
        let worktree = project.add("t2", 1);
        write(worktree.path(), ".git", &format!("gitdir: {}\n", project.root().join(".git").display()));
        tampered(&worktree);
        let worktree = project.add("t3", 1);
        write(&project.root().join(".git/worktrees/t3-1-abcd0001"), "commondir", &format!("{}\n", other.root().join(".git").display()));
        tampered(&worktree);
        let worktree = project.add("t4", 1);
        write(worktree.path(), ".git", "garbage");
        tampered(&worktree);
    });
}

#[test]
fn a_link_in_place_of_the_folder_of_worktrees_is_refused() {
    isolated(|| {
        let project = Project::new();
        let outside = project.folder.path().join("outside");
        fs::create_dir(&outside).expect("a folder");
        fs::create_dir(project.root().join(".octopoid")).expect("a folder");
        std::os::unix::fs::symlink(&outside, project.worktrees()).expect("a link");
        let made = project.repository.add_worktree(&name("t1"), attempt(1), &project.tip("main"), &project.worktrees());
        assert!(made.is_err());
        assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 0);
    });
}

/// Makes a commit whose tree has an entry that git itself would never make.
fn forged_commit(project: &Project, mode: &str, entry: &str) -> octopoid_crdt::ids::Oid {
    let file = project.folder.path().join("forged");
    fs::write(&file, "#!/bin/sh\n").expect("a file");
    let blob = git(project.root(), ["hash-object", "-w", file.to_str().expect("utf-8")]);
    let mut tree = format!("{mode} {entry}\0").into_bytes();
    tree.extend_from_slice(oid(&blob).as_bytes());
    fs::write(&file, tree).expect("a file");
    let tree = git(project.root(), ["hash-object", "-t", "tree", "--literally", "-w", file.to_str().expect("utf-8")]);
    oid(&git(project.root(), ["commit-tree", "-p", "main", "-m", "forged", &tree]))
}

#[test]
fn trees_that_lead_into_gits_folder_or_out_of_the_checkout_change_no_file() {
    isolated(|| {
        let project = Project::new();
        for (number, entry) in [".git", ".GIT", "..", "../planted", ".git/planted", "/planted"].into_iter().enumerate() {
            let head = forged_commit(&project, "100644", entry);
            let task = format!("t{number}");
            let files = || fs::read_dir(project.folder.path()).expect("a folder").count();
            let before = (project.tip("main"), files(), fs::read_dir(project.root().join(".git")).expect("a folder").count());
            let outcome = Ask::new(&task, 1, &head).try_merge(&project.repository);
            assert!(matches!(outcome, Ok(MergeOutcome::Awaiting { .. })), "{entry}: {outcome:?}");
            let made = project.repository.add_worktree(&name(&task), attempt(1), &head, &project.worktrees());
            assert!(made.is_err() || !project.folder.path().join("planted").exists(), "{entry}");
            assert!(project.root().join(".git/config").exists() && !project.root().join(".git/planted").exists(), "{entry}");
            assert_eq!((project.tip("main"), files()), (before.0, before.1), "{entry}");
        }
    });
}

#[test]
fn a_worktree_full_of_oddities_is_committed_or_refused_but_never_hangs() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        let made = std::process::Command::new("mkfifo").arg(worktree.path().join("pipe")).status().expect("mkfifo runs");
        assert!(made.success());
        std::os::unix::fs::symlink("/etc/passwd", worktree.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(".", worktree.path().join("loop")).expect("a link");
        write(worktree.path(), "-rf", "x");
        write(worktree.path(), "--end-of-options", "x");
        write(worktree.path(), "a\nb", "x");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        let tree = git(worktree.path(), ["ls-tree", "-r", "--name-only", "-z", &head.to_string()]);
        for file in ["-rf", "--end-of-options", "a\nb", "link", "loop"] {
            assert!(tree.split('\0').any(|entry| entry == file), "{file:?} in {tree:?}");
        }
        assert_eq!(git(worktree.path(), ["show", &format!("{head}:link")]), "/etc/passwd", "the link, not what it leads to");
    });
}
