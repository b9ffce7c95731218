use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use octopoid_node::git::{Change, Snapshot};

use crate::support::{Project, commit_all, git, isolated, write};

/// Returns the names of what an action of an agent changed in the eyes of the guard.
fn changed_by(project: &Project, task: &str, act: impl FnOnce(&Path)) -> Vec<Change> {
    let worktree = project.add(task, 1);
    let before = project.repository.snapshot(Some(&worktree));
    act(worktree.path());
    Snapshot::compare(&before, &project.repository.snapshot(Some(&worktree)))
}

fn names(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.what.as_str()).collect()
}

#[test]
fn ordinary_work_changes_nothing_that_is_watched() {
    isolated(|| {
        let project = Project::with_origin();
        let worktree = project.add("t1", 1);
        let before = project.repository.snapshot(Some(&worktree));
        write(worktree.path(), "a", "x");
        commit_all(&project.repository, &worktree).expect("a commit");
        git(worktree.path(), ["config", "user.name", "agent"]);
        git(worktree.path(), ["fetch", "-q"]);
        git(worktree.path(), ["branch", "side"]);
        assert_eq!(Snapshot::compare(&before, &project.repository.snapshot(Some(&worktree))), []);
        assert_ne!(before, project.repository.snapshot(None), "the worktree is part of the snapshot");
    });
}

#[test]
fn every_planted_key_is_a_change_with_both_values() {
    isolated(|| {
        let project = Project::new();
        let keys = [
            "core.hooksPath",
            "core.fsmonitor",
            "core.sshCommand",
            "core.editor",
            "filter.x.clean",
            "include.path",
            "includeIf.gitdir:/.path",
            "credential.helper",
            "diff.external",
            "merge.x.driver",
            "remote.origin.url",
            "url.ext::sh.insteadOf",
            "diff.x.textconv",
        ];
        for (number, key) in keys.iter().enumerate() {
            let changes = changed_by(&project, &format!("t{number}"), |path| drop(git(path, ["config", key, "evil"])));
            assert!(changes.iter().any(|change| change.after.as_deref() == Some("evil") && change.before.is_none()), "{key}: {changes:?}");
        }
        let changes = changed_by(&project, "alias", |path| drop(git(path, ["config", "alias.st", "!evil"])));
        assert!(names(&changes).contains(&"alias.st"), "{changes:?}");
        let changes = changed_by(&project, "unset", |path| drop(git(path, ["config", "--unset", "core.sshCommand"])));
        let gone = changes.iter().find(|change| change.what == "core.sshcommand").expect("a change");
        assert_eq!((gone.before.as_deref(), gone.after.as_deref()), (Some("evil"), None));
        assert_eq!(gone.to_string(), "core.sshcommand: evil -> (none)");
    });
}

#[test]
fn a_planted_or_changed_hook_is_a_change() {
    isolated(|| {
        let project = Project::new();
        let hook = project.root().join(".git/hooks/pre-commit");
        let changes = changed_by(&project, "t1", |_| fs::write(&hook, "#!/bin/sh\n").expect("a hook"));
        assert_eq!(names(&changes), ["hooks/pre-commit"]);
        let changes = changed_by(&project, "t2", |_| fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("a mode"));
        assert_eq!(names(&changes), ["hooks/pre-commit"]);
        assert!(changes[0].after.as_ref().expect("a value").contains("executable"));
        let changes = changed_by(&project, "t3", |_| fs::write(&hook, "#!/bin/zz\n").expect("a hook"));
        assert_eq!(names(&changes), ["hooks/pre-commit"], "same length, other content");
        let changes = changed_by(&project, "t4", |_| fs::remove_file(&hook).expect("removed"));
        assert_eq!((names(&changes), &changes[0].after), (vec!["hooks/pre-commit"], &None));
        let changes = changed_by(&project, "t5", |_| {
            fs::remove_dir_all(project.root().join(".git/hooks")).expect("removed");
            std::os::unix::fs::symlink("/tmp", project.root().join(".git/hooks")).expect("a link");
        });
        assert!(names(&changes).contains(&"hooks"), "{changes:?}");
    });
}

#[test]
fn files_that_change_what_history_git_sees_are_watched() {
    isolated(|| {
        let project = Project::new();
        for (number, file) in ["info/attributes", "info/grafts", "objects/info/alternates", "shallow"].iter().enumerate() {
            let changes = changed_by(&project, &format!("t{number}"), |_| write(&project.root().join(".git"), file, ""));
            assert_eq!(names(&changes), [*file]);
            fs::remove_file(project.root().join(".git").join(file)).expect("removed");
        }
    });
}

#[test]
fn hooks_in_a_folder_of_the_users_own_are_watched_there() {
    isolated(|| {
        let project = Project::new();
        git(project.root(), ["config", "core.hooksPath", ".hooks"]);
        write(project.root(), ".hooks/pre-commit", "mine");
        let changes = changed_by(&project, "t1", |_| write(project.root(), ".hooks/pre-commit", "evil"));
        assert_eq!(names(&changes), ["core.hooksPath/pre-commit"]);
    });
}

#[test]
fn included_files_and_the_users_own_configuration_count() {
    isolated(|| {
        let project = Project::new();
        let home = std::env::var("HOME").expect("a home");
        git(project.root(), ["config", "include.path", "../extra"]);
        write(project.root(), "extra", "[core]\n\teditor = vi\n");
        let changes = changed_by(&project, "t1", |_| write(project.root(), "extra", "[core]\n\teditor = evil\n"));
        assert!(names(&changes).contains(&"core.editor"), "{changes:?}");
        git(project.root(), ["config", "includeIf.onbranch:never.path", "~/later"]);
        let changes = changed_by(&project, "t2", |_| write(Path::new(&home), "later", "[core]\n\teditor = evil\n"));
        assert!(changes.iter().any(|change| change.what.contains("later")), "a file that would be included later: {changes:?}");
        let changes = changed_by(&project, "t3", |_| write(Path::new(&home), ".gitconfig", "[core]\n\tpager = evil\n"));
        assert!(names(&changes).contains(&"core.pager"), "{changes:?}");
    });
}

#[test]
fn what_is_set_for_the_worktree_alone_counts() {
    isolated(|| {
        let project = Project::new();
        git(project.root(), ["config", "extensions.worktreeConfig", "true"]);
        let changes = changed_by(&project, "t1", |path| drop(git(path, ["config", "--worktree", "core.fsmonitor", "evil"])));
        assert_eq!(names(&changes), ["worktree core.fsmonitor"]);
        let changes = changed_by(&project, "t2", |path| write(path, ".git", "gitdir: /elsewhere\n"));
        assert_eq!(names(&changes), ["worktree .git"]);
    });
}

#[test]
fn a_configuration_that_can_no_longer_be_read_is_a_change() {
    isolated(|| {
        let project = Project::new();
        let changes = changed_by(&project, "t1", |_| fs::write(project.root().join(".git/config"), "[core\n").expect("a file"));
        assert!(names(&changes).contains(&"configuration"), "{changes:?}");
    });
}

#[test]
fn passwords_in_addresses_are_compared_but_not_shown() {
    isolated(|| {
        let project = Project::new();
        git(project.root(), ["remote", "add", "origin", "https://me:one@example.org/x"]);
        let changes = changed_by(&project, "t1", |path| drop(git(path, ["remote", "set-url", "origin", "https://me:two@example.org/x"])));
        let change = changes.iter().find(|change| change.what == "remote.origin.url").expect("a change");
        assert!(!change.to_string().contains("one") && !change.to_string().contains("two"), "{change}");
    });
}
