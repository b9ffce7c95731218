use std::fs;

use octopoid_node::git::{ChangedFile, CommitError, CompareError, DiffForm, Identity};

use crate::support::{Project, attempt, branch, commit_all, git, isolated, name, oid, try_git, write};

#[test]
fn all_uncommitted_work_becomes_one_commit_on_the_attempts_branch() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), "gone", "x");
        write(project.root(), "kept.log", "tracked though ignored");
        git(project.root(), ["add", "-f", "gone", "kept.log"]);
        git(project.root(), ["commit", "-qm", "more"]);
        let worktree = project.add("t1", 1);
        assert_eq!(commit_all(&project.repository, &worktree), None);
        write(worktree.path(), "README", "changed\n");
        write(worktree.path(), "deep/new file", "new\n");
        write(worktree.path(), "kept.log", "changed\n");
        write(worktree.path(), "build.log", "ignored\n");
        write(worktree.path(), "staged", "staged\n");
        git(worktree.path(), ["add", "staged"]);
        fs::remove_file(worktree.path().join("gone")).expect("removed");
        assert!(!project.repository.is_clean(&worktree).expect("an answer"));
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        assert_eq!(project.repository.attempt_tip(&name("t1"), attempt(1)).expect("a tip"), head);
        assert_eq!(
            git(worktree.path(), ["show", "--name-status", "--format=", "HEAD"]),
            "M\tREADME\nA\tdeep/new file\nD\tgone\nM\tkept.log\nA\tstaged"
        );
        assert_eq!(git(worktree.path(), ["log", "-1", "--format=%an|%cn|%s|%b", "HEAD"]), "agent|Octopoid|work of the agent|");
        assert_eq!(git(worktree.path(), ["status", "--porcelain"]), "");
        assert!(project.repository.is_clean(&worktree).expect("an answer"));
        assert_eq!(commit_all(&project.repository, &worktree), None);
        git(project.root(), ["fsck", "--strict"]);
    });
}

#[test]
fn only_merges_may_carry_the_task_trailer() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        write(worktree.path(), "x", "x");
        let us = Identity::octopoid();
        let refused = project.repository.commit_all(&worktree, "work\n\nOctopoid-Task: t2\n", &us, &us);
        assert!(matches!(refused, Err(CommitError::Trailer)), "{refused:?}");
    });
}

#[test]
fn the_attempts_branch_follows_an_agent_that_went_to_a_branch_of_its_own() {
    isolated(|| {
        let project = Project::new();
        for (number, switch) in [(1, ["checkout", "-qb", "feature"].as_slice()), (2, &["checkout", "-q", "--detach"])] {
            let worktree = project.add("t1", number);
            git(worktree.path(), switch);
            git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "on my own"]);
            let own = oid(&git(worktree.path(), ["rev-parse", "HEAD"]));
            assert_eq!(commit_all(&project.repository, &worktree), None);
            assert_eq!(project.repository.attempt_tip(&name("t1"), attempt(number)).expect("a tip"), own);
            assert_eq!(git(worktree.path(), ["symbolic-ref", "HEAD"]), worktree.branch().reference());
        }
        let feature = project.tip("feature");
        let worktree = project.add("t2", 1);
        git(worktree.path(), ["checkout", "-q", "feature"]);
        write(worktree.path(), "more", "x");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        assert_eq!(project.tip("feature"), feature, "only the attempt's branch moves");
        assert!(project.repository.is_descendant(&head, &feature).expect("an answer"));
    });
}

#[test]
fn work_that_does_not_build_on_the_attempts_branch_is_refused_and_kept() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "one"]);
        git(worktree.path(), ["checkout", "-q", "--detach", "HEAD~1"]);
        write(worktree.path(), "x", "x");
        let us = Identity::octopoid();
        let refused = project.repository.commit_all(&worktree, "m", &us, &us);
        assert!(matches!(refused, Err(CommitError::Strayed { .. })), "{refused:?}");
        assert!(worktree.path().join("x").exists());
        git(worktree.path(), ["checkout", "-q", "--orphan", "fresh"]);
        assert!(matches!(project.repository.commit_all(&worktree, "m", &us, &us), Err(CommitError::Strayed { .. })));
    });
}

#[test]
fn a_merge_that_only_lacked_its_commit_keeps_both_parents() {
    isolated(|| {
        let project = Project::new();
        let (_, other) = project.work("t1", 1, "README", "theirs\n");
        let (worktree, _) = project.work("t2", 1, "README", "ours\n");
        let (ok, _) = try_git(worktree.path(), ["merge", &other.to_string()]);
        assert!(!ok, "a conflict");
        let us = Identity::octopoid();
        match project.repository.commit_all(&worktree, "m", &us, &us) {
            Err(CommitError::Conflicts(paths)) => assert_eq!(paths, ["README"]),
            result => panic!("{result:?}"),
        }
        write(worktree.path(), "README", "both\n");
        git(worktree.path(), ["add", "README"]);
        assert!(!project.repository.is_clean(&worktree).expect("an answer"));
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        assert!(project.repository.is_descendant(&head, &other).expect("an answer"));
        assert!(project.repository.is_clean(&worktree).expect("an answer"));
    });
}

#[test]
fn a_rebase_under_way_is_left_to_its_author() {
    isolated(|| {
        let project = Project::new();
        let (_, other) = project.work("t1", 1, "README", "theirs\n");
        let (worktree, _) = project.work("t2", 1, "README", "ours\n");
        let (ok, _) = try_git(worktree.path(), ["rebase", &other.to_string()]);
        assert!(!ok, "a conflict");
        let us = Identity::octopoid();
        let refused = project.repository.commit_all(&worktree, "m", &us, &us);
        assert!(matches!(refused, Err(CommitError::Unfinished("rebase"))), "{refused:?}");
    });
}

#[test]
fn commits_are_counted_and_compared() {
    isolated(|| {
        let project = Project::new();
        let repository = &project.repository;
        let base = project.tip("main");
        let (worktree, one) = project.work("t1", 1, "a", "1\n2\n");
        assert_eq!(repository.ahead(&base, &one).expect("a count"), 1);
        assert_eq!(repository.ahead(&one, &base).expect("a count"), 0);
        assert!(repository.is_descendant(&one, &base).expect("an answer"));
        assert!(repository.is_descendant(&one, &one).expect("an answer"));
        assert!(!repository.is_descendant(&base, &one).expect("an answer"));
        fs::rename(worktree.path().join("a"), worktree.path().join("b")).expect("renamed");
        write(worktree.path(), "README", "changed\n");
        let two = commit_all(repository, &worktree).expect("a commit");
        let changed = |path: &str, status| ChangedFile { path: path.to_owned(), status };
        assert_eq!(repository.changed_files(&one, &two, 10).expect("files"), [changed("README", 'M'), changed("b", 'R')]);
        assert_eq!(repository.changed_files(&one, &two, 1).expect("files").len(), 1);
        assert_eq!(repository.merge_base(&two, &base).expect("a base"), Some(base.clone()));
        let none = oid(&"ab".repeat(20));
        assert!(matches!(repository.ahead(&none, &two), Err(CompareError::NoCommit(_))));
        assert_eq!(repository.tree_of(&base).expect("a tree").to_string(), git(project.root(), ["rev-parse", "main^{tree}"]));
        assert_eq!(project.tip("main"), repository.branch_tip(&branch("main")).expect("a tip"));
    });
}

#[test]
fn a_difference_is_text_of_bounded_size() {
    isolated(|| {
        let project = Project::new();
        let base = project.tip("main");
        let worktree = project.add("t1", 1);
        write(worktree.path(), "README", "start\nmore ü\n");
        fs::write(worktree.path().join("bin"), [0, 159, 146, 150, 0]).expect("a file");
        fs::write(worktree.path().join("latin"), b"caf\xe9\n".repeat(2_000)).expect("a file");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        let diff = |form, limit| project.repository.diff(&base, &head, form, limit).expect("a diff");
        let patch = diff(DiffForm::Patch, 1 << 20);
        assert!(
            patch.text.contains("+more ü\n") && patch.text.contains("diff --git a/README b/README") && !patch.truncated,
            "{}",
            patch.text
        );
        assert!(patch.text.contains("Binary files"), "{}", patch.text);
        let stat = diff(DiffForm::Stat, 1 << 20);
        assert!(stat.text.contains("README") && stat.text.contains("3 files changed"), "{}", stat.text);
        for limit in [0, 1, 10, 100, 1_000, 10_000] {
            for form in [DiffForm::Patch, DiffForm::Stat] {
                let cut = diff(form, limit);
                assert!(cut.text.len() <= limit && (cut.truncated || limit >= 1_000), "{form:?} {limit}");
            }
        }
        assert_eq!(project.repository.diff(&head, &head, DiffForm::Patch, 100).expect("a diff").text, "");
    });
}

#[test]
fn a_repository_inside_the_worktree_is_named_with_what_to_do() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        let inner = worktree.path().join("vendor");
        fs::create_dir(&inner).expect("a folder");
        git(&inner, ["init", "-q"]);
        write(&inner, "file", "x");
        git(&inner, ["add", "file"]);
        git(&inner, ["-c", "user.name=a", "-c", "user.email=a@invalid", "commit", "-qm", "inner"]);
        let author = Identity::new("agent", "agent@invalid");
        let refused = project.repository.commit_all(&worktree, "work", &author, &Identity::octopoid()).expect_err("nothing to commit");
        assert!(matches!(&refused, CommitError::Nested { path } if path == "vendor/"), "{refused:?}");
        assert!(inner.join("file").exists());
    });
}
