use std::{fs, os::unix::fs::PermissionsExt};

use octopoid_node::git::{RemoveError, Removed, rescue_reference};

use crate::support::{Project, attempt, commit_all, git, isolated, name, oid, try_git, write};

fn rescue_of(project: &Project, task: &str) -> Option<String> {
    let reference = rescue_reference(&name(task), attempt(1));
    let (found, text) = try_git(project.root(), ["rev-parse", "--verify", "--quiet", &reference]);
    found.then(|| text.trim().to_owned())
}

fn is_gone(project: &Project, task: &str) -> bool {
    let folder = format!("{task}-1-abcd0001");
    let listed = git(project.root(), ["worktree", "list"]).contains(&folder);
    let left: Vec<_> = fs::read_dir(project.worktrees()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    !listed && left.is_empty() && !project.root().join(".git/worktrees").join(folder).exists()
}

#[test]
fn a_clean_worktree_goes_and_its_branch_stays() {
    isolated(|| {
        let project = Project::new();
        let (worktree, head) = project.work("t1", 1, "a", "x");
        write(worktree.path(), "ignored.log", "x");
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::Clean);
        assert!(is_gone(&project, "t1"));
        assert_eq!(rescue_of(&project, "t1"), None);
        assert_eq!(project.repository.attempt_tip(&name("t1"), attempt(1)).expect("a tip"), head);
    });
}

#[test]
fn uncommitted_work_is_in_the_rescue_reference_before_the_folder_goes() {
    isolated(|| {
        let project = Project::new();
        let (worktree, head) = project.work("t1", 1, "a", "x");
        write(worktree.path(), "a", "changed");
        write(worktree.path(), "untracked/file", "new");
        write(worktree.path(), "ignored.log", "x");
        fs::remove_file(worktree.path().join("README")).expect("removed");
        let Removed::Rescued(commit) = project.repository.remove_worktree(&worktree).expect("removed") else { panic!("not rescued") };
        assert!(is_gone(&project, "t1"));
        assert_eq!(rescue_of(&project, "t1"), Some(commit.to_string()));
        let tree = git(project.root(), ["ls-tree", "-r", "--name-only", &commit.to_string()]);
        assert_eq!(tree, ".gitignore\na\nuntracked/file");
        assert_eq!(git(project.root(), ["show", &format!("{commit}:a")]), "changed");
        assert_eq!(git(project.root(), ["rev-parse", &format!("{commit}^")]), head.to_string());
        assert_eq!(project.repository.attempt_tip(&name("t1"), attempt(1)).expect("a tip"), head, "the branch does not move");
        assert_eq!(git(project.root(), ["log", "-1", "--format=%(trailers)", &commit.to_string()]), "");
    });
}

#[test]
fn commits_that_no_branch_holds_are_rescued() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["checkout", "-q", "--detach"]);
        git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "lost"]);
        let lost = oid(&git(worktree.path(), ["rev-parse", "HEAD"]));
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::Rescued(lost.clone()));
        assert_eq!(rescue_of(&project, "t1"), Some(lost.to_string()));
        git(project.root(), ["gc", "-q", "--prune=now"]);
        assert!(project.repository.has_commit(&lost).expect("an answer"));
    });
}

#[test]
fn commits_on_a_remote_branch_need_no_rescue() {
    isolated(|| {
        let project = Project::with_origin();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["checkout", "-q", "--detach"]);
        git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "pushed"]);
        git(worktree.path(), ["push", "-q", "origin", "HEAD:refs/heads/side"]);
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::Clean);
    });
}

#[test]
fn work_on_an_orphan_branch_and_in_conflicts_is_rescued_as_it_is() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["checkout", "-q", "--orphan", "fresh"]);
        write(worktree.path(), "new", "x");
        assert!(matches!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::Rescued(_)));
        assert!(is_gone(&project, "t1"));
        let (_, other) = project.work("t2", 2, "README", "theirs\n");
        let (worktree, _) = project.work("t3", 1, "README", "ours\n");
        let (merged, _) = try_git(worktree.path(), ["merge", &other.to_string()]);
        assert!(!merged);
        let Removed::Rescued(commit) = project.repository.remove_worktree(&worktree).expect("removed") else { panic!("not rescued") };
        assert!(git(project.root(), ["show", &format!("{commit}:README")]).contains("<<<<<<<"));
    });
}

#[test]
fn a_second_rescue_of_an_attempt_keeps_the_first_reachable() {
    isolated(|| {
        let project = Project::new();
        let earlier = project.tip("main");
        let reference = rescue_reference(&name("t1"), attempt(1));
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "an earlier rescue"]);
        git(project.root(), ["update-ref", &reference, "HEAD"]);
        git(project.root(), ["reset", "-q", "--hard", &earlier.to_string()]);
        let first = oid(&rescue_of(&project, "t1").expect("a rescue"));
        let worktree = project.add("t1", 1);
        write(worktree.path(), "x", "later");
        let Removed::Rescued(second) = project.repository.remove_worktree(&worktree).expect("removed") else { panic!("not rescued") };
        assert!(project.repository.is_descendant(&second, &first).expect("an answer"));
        assert_eq!(git(project.root(), ["show", &format!("{reference}:x")]), "later");
    });
}

#[test]
fn a_repository_inside_the_worktree_is_not_thrown_away() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["init", "-q", "inner"]);
        git(&worktree.path().join("inner"), ["commit", "-q", "--allow-empty", "-m", "inner"]);
        let refused = project.repository.remove_worktree(&worktree);
        assert!(matches!(&refused, Err(RemoveError::Nested { path }) if path.trim_end_matches('/') == "inner"), "{refused:?}");
        assert!(worktree.path().join("inner/.git").exists());
        // To add it keeps no more of it than the name of its commit.
        git(worktree.path(), ["add", "inner"]);
        git(worktree.path(), ["commit", "-q", "-m", "a link"]);
        let refused = project.repository.remove_worktree(&worktree);
        assert!(matches!(&refused, Err(RemoveError::Nested { path }) if path == "inner"), "{refused:?}");
        git(worktree.path(), ["rm", "-q", "--cached", "inner"]);
        // Deeper down, beside other work, and without a commit of its own.
        fs::rename(worktree.path().join("inner"), worktree.path().join("deep")).expect("renamed");
        fs::create_dir(worktree.path().join("inner")).expect("a folder");
        fs::rename(worktree.path().join("deep"), worktree.path().join("inner/deep")).expect("renamed");
        write(worktree.path(), "inner/work", "x");
        assert!(matches!(project.repository.remove_worktree(&worktree), Err(RemoveError::Nested { .. })));
        // One that the project ignores is no work, such as a package manager's cache.
        fs::rename(worktree.path().join("inner/deep"), worktree.path().join("cache.log")).expect("renamed");
        assert!(matches!(project.repository.remove_worktree(&worktree), Ok(Removed::Rescued(_))));
    });
}

#[test]
fn a_worktree_that_the_user_locked_or_an_agent_redirected_stays() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        let path = worktree.path().to_str().expect("utf-8").to_owned();
        git(project.root(), ["worktree", "lock", &path]);
        assert!(matches!(project.repository.remove_worktree(&worktree), Err(RemoveError::Locked(_))));
        git(project.root(), ["worktree", "unlock", &path]);
        fs::remove_file(worktree.path().join(".git")).expect("removed");
        git(worktree.path(), ["init", "-q"]);
        write(worktree.path(), "work", "x");
        assert!(matches!(project.repository.remove_worktree(&worktree), Err(RemoveError::Tampered(_))));
        assert!(worktree.path().join("work").exists());
    });
}

#[test]
fn a_worktree_whose_folder_is_gone_is_forgotten() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        fs::remove_dir_all(worktree.path()).expect("removed");
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::WasGone);
        assert!(is_gone(&project, "t1"));
    });
}

#[test]
fn a_removal_that_a_crash_cut_short_is_finished_and_never_taken_for_work() {
    isolated(|| {
        let project = Project::new();
        let (worktree, _) = project.work("t1", 1, "a", "x");
        let renamed = project.worktrees().join(".removing-t1-1-abcd0001");
        fs::rename(worktree.path(), &renamed).expect("renamed");
        fs::remove_file(renamed.join("a")).expect("half removed");
        let left = project.repository.list_worktrees(&project.worktrees()).expect("a list");
        assert_eq!(left, std::slice::from_ref(&worktree));
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::WasGone);
        assert_eq!(rescue_of(&project, "t1"), None);
        fs::create_dir_all(project.worktrees().join(".removing-t9-1-abcd0001/x")).expect("a folder");
        assert_eq!(project.repository.sweep_removed(&project.worktrees()).expect("swept"), 1);
        assert!(is_gone(&project, "t1"));
        assert_eq!(project.repository.sweep_removed(&project.folder.path().join("none")).expect("swept"), 0);
    });
}

#[test]
fn folders_that_forbid_their_removal_go_too() {
    isolated(|| {
        let project = Project::new();
        let (worktree, _) = project.work("t1", 1, "a", "x");
        write(worktree.path(), "cache.log/deep/file", "x");
        for folder in ["cache.log/deep", "cache.log"] {
            fs::set_permissions(worktree.path().join(folder), fs::Permissions::from_mode(0o500)).expect("a mode");
        }
        assert_eq!(project.repository.remove_worktree(&worktree).expect("removed"), Removed::Clean);
        assert!(is_gone(&project, "t1"));
    });
}

#[test]
fn removing_a_worktree_follows_no_link() {
    isolated(|| {
        let project = Project::new();
        let outside = project.folder.path().join("outside");
        write(&outside, "precious", "x");
        let worktree = project.add("t1", 1);
        std::os::unix::fs::symlink(&outside, worktree.path().join("link")).expect("a link");
        commit_all(&project.repository, &worktree).expect("a commit");
        project.repository.remove_worktree(&worktree).expect("removed");
        assert!(outside.join("precious").exists());
    });
}
