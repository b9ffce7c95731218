use std::{fs, os::unix::fs::PermissionsExt};

use octopoid_node::git::{AddError, CopyError};

use crate::support::{Project, attempt, branch, commit_all, git, isolated, name, oid, read, write};

#[test]
fn a_worktree_is_made_on_a_branch_of_its_own_at_the_base() {
    isolated(|| {
        let project = Project::new();
        let base = project.tip("main");
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "later"]);
        let made = project.repository.add_worktree(&name("t1"), attempt(1), &base, &project.worktrees()).expect("a worktree");
        assert_eq!(made.path(), project.worktrees().join("t1-1-abcd0001"));
        assert_eq!(git(made.path(), ["symbolic-ref", "HEAD"]), "refs/heads/octopoid/t1/1-abcd0001");
        assert_eq!(git(made.path(), ["rev-parse", "HEAD"]), base.to_string());
        assert_eq!(git(made.path(), ["status", "--porcelain"]), "");
        assert_eq!(read(made.path(), "README"), "start\n");
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "", "the user's checkout is untouched");
        assert!(project.repository.is_clean(&made).expect("an answer"));
    });
}

#[test]
fn neither_folder_nor_branch_nor_notes_of_git_are_ever_reused() {
    isolated(|| {
        let project = Project::new();
        let base = project.tip("main");
        let add = |task: &str| project.repository.add_worktree(&name(task), attempt(1), &base, &project.worktrees());
        let made = add("t1").expect("a worktree");
        assert!(matches!(add("t1"), Err(AddError::FolderExists(_))));
        fs::rename(made.path(), project.worktrees().join("elsewhere")).expect("a rename");
        assert!(matches!(add("t1"), Err(AddError::StillKnown(_))));
        git(project.root(), ["worktree", "prune"]);
        let error = add("t1").expect_err("the branch is there");
        assert!(matches!(error, AddError::BranchExists(_)), "{error:?}");
        assert!(error.to_string().contains("git branch -m octopoid/t1/1-abcd0001"), "{error}");
        fs::create_dir_all(project.worktrees().join("t2-1-abcd0001")).expect("a folder");
        assert!(matches!(add("t2"), Err(AddError::FolderExists(_))));
        assert!(project.repository.branch_tip(&branch("octopoid/t2/1-abcd0001")).is_err(), "nothing is left of a refused call");
    });
}

#[test]
fn attempts_that_start_at_once_each_get_their_worktree() {
    isolated(|| {
        let project = Project::new();
        let made = std::thread::scope(|scope| {
            let adding: Vec<_> = (1..=6)
                .map(|number| {
                    scope.spawn({
                        let project = &project;
                        move || project.add("t1", number)
                    })
                })
                .collect();
            adding.into_iter().map(|thread| thread.join().expect("a worktree")).collect::<Vec<_>>()
        });
        assert_eq!(project.repository.list_worktrees(&project.worktrees()).expect("a list"), made);
    });
}

#[test]
fn a_branch_in_the_way_is_named() {
    isolated(|| {
        let project = Project::new();
        git(project.root(), ["branch", "octopoid"]);
        let error = project
            .repository
            .add_worktree(&name("t1"), attempt(1), &project.tip("main"), &project.worktrees())
            .expect_err("a branch in the way");
        assert!(error.to_string().contains("git branch -m octopoid NEW-NAME"), "{error}");
    });
}

#[test]
fn a_base_that_is_not_here_is_named() {
    isolated(|| {
        let project = Project::new();
        for hex in ["ab".repeat(20), "ab".repeat(32)] {
            let made = project.repository.add_worktree(&name("t1"), attempt(1), &oid(&hex), &project.worktrees());
            assert!(matches!(made, Err(AddError::NoBase(_))));
        }
        let tree = project.repository.tree_of(&project.tip("main")).expect("a tree");
        let made = project.repository.add_worktree(&name("t1"), attempt(1), &tree, &project.worktrees());
        assert!(matches!(made, Err(AddError::NoBase(_))), "a tree is no commit");
    });
}

#[test]
fn a_failed_worktree_leaves_nothing_behind() {
    isolated(|| {
        let project = Project::new();
        fs::create_dir_all(project.root().join(".git/worktrees")).expect("a folder");
        // Git's folder of worktrees cannot be written to, so the branch is made and the worktree is not.
        let blocked = project.root().join(".git/worktrees");
        fs::remove_dir(&blocked).expect("removed");
        fs::write(&blocked, "a file").expect("a file");
        let base = project.tip("main");
        let made = project.repository.add_worktree(&name("t1"), attempt(1), &base, &project.worktrees());
        assert!(matches!(made, Err(AddError::Git { .. })), "{made:?}");
        assert!(project.repository.branch_tip(&branch("octopoid/t1/1-abcd0001")).is_err());
        assert!(!project.worktrees().join("t1-1-abcd0001").exists());
        fs::remove_file(&blocked).expect("removed");
        project.add("t1", 1);
    });
}

#[test]
fn worktrees_are_listed_without_the_users_own() {
    isolated(|| {
        let project = Project::new();
        assert_eq!(project.repository.list_worktrees(&project.worktrees()).expect("a list"), []);
        let (one, two) = (project.add("t1", 1), project.add("t2-x", 12));
        let own = project.folder.path().join("t3-1-abcd0001");
        git(project.root(), ["worktree", "add", "-q", "-b", "own", own.to_str().expect("utf-8")]);
        assert_eq!(project.repository.list_worktrees(&project.worktrees()).expect("a list"), [one.clone(), two]);
        fs::remove_dir_all(one.path()).expect("removed");
        assert_eq!(project.repository.list_worktrees(&project.worktrees()).expect("a list").len(), 2, "one whose folder is gone counts");
    });
}

#[test]
fn files_are_copied_with_their_permissions_and_never_committed() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), ".env", "SECRET=1\n");
        write(project.root(), "config/local [x].log", "ignored\n");
        fs::set_permissions(project.root().join(".env"), fs::Permissions::from_mode(0o600)).expect("a mode");
        let worktree = project.add("t1", 1);
        let files = [".env", "config/local [x].log", "none", "README"].map(str::to_owned);
        let report = project.repository.copy_files(&worktree, &files).expect("copies");
        assert_eq!(report.copied, [".env", "config/local [x].log"]);
        assert_eq!((report.missing, report.tracked, report.not_ignored), (vec!["none".into()], vec!["README".into()], vec![".env".into()]));
        assert_eq!(read(worktree.path(), ".env"), "SECRET=1\n");
        assert_eq!(fs::metadata(worktree.path().join(".env")).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(project.repository.is_clean(&worktree).expect("an answer"), "a copied file is no work");
        write(worktree.path(), "work", "x");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        assert_eq!(git(worktree.path(), ["ls-tree", "-r", "--name-only", &head.to_string()]), ".gitignore\nREADME\nwork");
        assert!(project.repository.is_clean(&worktree).expect("an answer"));
    });
}

#[test]
fn copies_never_leave_the_repository_on_either_side() {
    isolated(|| {
        let project = Project::new();
        let outside = project.folder.path().join("outside");
        fs::create_dir(&outside).expect("a folder");
        write(&outside, "secret", "x");
        let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, project.root().join(at)).expect("a link");
        link("../outside/secret", "file-link");
        link("../outside", "folder-link");
        link(".git/config", "git-link");
        // The repository itself brings a link where the copy would go.
        git(project.root(), ["add", "folder-link"]);
        git(project.root(), ["commit", "-qm", "a link"]);
        fs::remove_file(project.root().join("folder-link")).expect("removed");
        write(project.root(), "folder-link/planted", "x");
        write(project.root(), "dir/x", "x");
        let worktree = project.add("t1", 1);
        let copy = |file: &str| project.repository.copy_files(&worktree, &[file.to_owned()]);
        let paths = [
            "",
            ".",
            "..",
            "../outside/secret",
            "a/../../outside/secret",
            "/etc/passwd",
            ".git/config",
            ".GIT/config",
            "x/.git/config",
            "./.env",
            "a\0b",
            "a\nb",
            "dir/",
        ];
        for path in paths {
            assert!(matches!(copy(path), Err(CopyError::Path(_))), "{path:?}: {:?}", copy(path));
        }
        for path in ["file-link", "git-link", "folder-link/planted"] {
            assert!(matches!(copy(path), Err(CopyError::Link(_))), "{path:?}: {:?}", copy(path));
        }
        assert!(matches!(copy("dir"), Err(CopyError::NotAFile(_))));
        assert!(!outside.join("planted").exists());
    });
}

#[test]
fn a_file_that_is_too_large_is_not_copied() {
    isolated(|| {
        let project = Project::new();
        let big = fs::File::create(project.root().join("big.log")).expect("a file");
        big.set_len((16 << 20) + 1).expect("a size");
        let worktree = project.add("t1", 1);
        assert!(matches!(project.repository.copy_files(&worktree, &["big.log".to_owned()]), Err(CopyError::TooMuch(_))));
        let many: Vec<_> = (0..65).map(|n| format!("f{n}")).collect();
        assert!(matches!(project.repository.copy_files(&worktree, &many), Err(CopyError::TooMuch(_))));
    });
}
