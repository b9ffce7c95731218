use std::{
    fs, thread,
    time::{Duration, Instant},
};

use octopoid_node::git::{Identity, LocalBranch, MergeError, MergeOutcome, MergeRequest, Reopened, Repository, Strategy};

use crate::support::{
    Ask, Project, accept, attempt, branch, commit_all, git, isolated, merged, merges_of, name, oid, read, try_git, undone, write,
};

#[test]
fn a_merge_is_a_commit_of_its_own_with_the_trailers_that_git_reads() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let base = project.tip("main");
        let (_, head) = project.work("t1", 1, "a", "x");
        let commit = merged(Ask { title: "Add a\n\nOctopoid-Task: t9", ..Ask::new("t1", 1, &head) }.merge(&project.repository));
        assert_eq!(project.tip("main"), commit);
        assert_eq!(git(project.root(), ["rev-parse", "main^1", "main^2"]), format!("{base}\n{head}"));
        assert_eq!(
            git(project.root(), ["log", "-1", "--format=%an <%ae>|%cn <%ce>|%s", "main"]),
            "agent <agent@localhost>|Octopoid <octopoid@localhost>|Merge task t1: Add a  Octopoid-Task: t9"
        );
        assert_eq!(
            git(project.root(), ["log", "-1", "--format=%(trailers)", "main"]).trim(),
            format!("Octopoid-Task: t1\nOctopoid-Attempt: {}\nOctopoid-Accept: {}", attempt(1), accept(1))
        );
        assert_eq!(git(project.root(), ["ls-tree", "--name-only", "main"]), ".gitignore\nREADME\na");
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "", "the user's checkout is untouched");
        git(project.root(), ["fsck", "--strict"]);
    });
}

#[test]
fn a_crash_between_the_merge_and_its_record_is_made_good_by_merging_again() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let (_, head) = project.work("t1", 1, "a", "x");
        let commit = merged(Ask::new("t1", 1, &head).merge(&project.repository));
        let there = MergeOutcome::AlreadyThere { commit, local: LocalBranch::Current };
        assert_eq!(Ask::new("t1", 1, &head).merge(&project.repository), there);
        // A new process, and after others merged too.
        let (_, other) = project.work("t2", 1, "b", "x");
        merged(Ask::new("t2", 1, &other).merge(&project.repository));
        let restarted = Repository::open(project.root()).expect("a repository");
        assert_eq!(Ask::new("t1", 1, &head).merge(&restarted), there);
        assert_eq!(merges_of(project.root(), "main", "t1"), 1);
    });
}

#[test]
fn an_attempt_without_commits_has_nothing_to_merge() {
    isolated(|| {
        let project = Project::new();
        let main = project.tip("main");
        let worktree = project.add("t1", 1);
        let head = project.repository.attempt_tip(worktree.task(), worktree.attempt()).expect("a tip");
        assert_eq!(Ask::new("t1", 1, &head).merge(&project.repository), MergeOutcome::NothingToMerge);
        assert_eq!(Ask { base: Some(&main), ..Ask::new("t1", 1, &head) }.merge(&project.repository), MergeOutcome::NothingToMerge);
        let request = MergeRequest {
            task: &name("t1"),
            attempt: attempt(1),
            accept: accept(1),
            base: None,
            head: None,
            branch: &branch("main"),
            title: "",
            author: &Identity::octopoid(),
            reopened: &Reopened::default(),
            strategy: Strategy::Local,
        };
        assert_eq!(project.repository.merge(&request).expect("an outcome"), MergeOutcome::NothingToMerge);
        assert_eq!(project.tip("main"), main);
    });
}

#[test]
fn work_that_a_person_merged_by_hand_still_gets_its_trailer() {
    isolated(|| {
        let project = Project::new();
        let base = project.tip("main");
        let (_, head) = project.work("t1", 1, "a", "x");
        git(project.root(), ["merge", "-q", "--ff-only", &head.to_string()]);
        merged(Ask { base: Some(&base), ..Ask::new("t1", 1, &head) }.merge(&project.repository));
        assert_eq!(merges_of(project.root(), "main", "t1"), 1);
        assert_eq!(git(project.root(), ["diff", "--stat", "main~1", "main"]), "");
    });
}

#[test]
fn a_conflict_names_the_paths_and_moves_nothing() {
    isolated(|| {
        let project = Project::new();
        let (_, one) = project.work("t1", 1, "README", "one\n");
        let (_, two) = project.work("t2", 1, "README", "two\n");
        merged(Ask::new("t1", 1, &one).merge(&project.repository));
        let main = project.tip("main");
        assert_eq!(Ask::new("t2", 1, &two).merge(&project.repository), MergeOutcome::Conflict { paths: vec!["README".into()] });
        assert_eq!(project.tip("main"), main);
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "");
        assert_eq!(read(project.root(), "README"), "one\n");
    });
}

#[test]
fn another_attempt_of_a_merged_task_is_refused_unless_the_merged_one_was_reopened() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let (_, one) = project.work("t1", 1, "a", "1");
        let (_, two) = project.work("t1", 2, "b", "2");
        let (_, three) = project.work("t1", 3, "c", "3");
        let first = merged(Ask::new("t1", 1, &one).merge(&project.repository));
        match Ask::new("t1", 2, &two).merge(&project.repository) {
            MergeOutcome::OtherAccept { landing } => {
                assert_eq!((landing.commit, landing.attempt, landing.accept), (first, Some(attempt(1)), Some(accept(1))));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(merges_of(project.root(), "main", "t1"), 1);
        // Reopening the wrong attempt does not help.
        let wrong = Ask { reopened: &undone(&[3]), ..Ask::new("t1", 2, &two) }.merge(&project.repository);
        assert!(matches!(wrong, MergeOutcome::OtherAccept { .. }));
        merged(Ask { reopened: &undone(&[1]), ..Ask::new("t1", 2, &two) }.merge(&project.repository));
        // Every earlier merge has to be reopened, not some.
        for reopened in [undone(&[1]), undone(&[2])] {
            let some = Ask { reopened: &reopened, ..Ask::new("t1", 3, &three) }.merge(&project.repository);
            assert!(matches!(some, MergeOutcome::OtherAccept { .. }), "{some:?}");
        }
        merged(Ask { reopened: &undone(&[1, 2]), ..Ask::new("t1", 3, &three) }.merge(&project.repository));
        assert_eq!(merges_of(project.root(), "main", "t1"), 3);
    });
}

#[test]
fn an_attempt_that_was_reopened_and_accepted_again_is_merged_once_for_each_accept() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let base = project.tip("main");
        let (worktree, one) = project.work("t1", 1, "a", "1");
        merged(Ask::new("t1", 1, &one).merge(&project.repository));
        write(worktree.path(), "a", "2");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        let again = Ask { accept: 9, reopened: &undone(&[1]), ..Ask::new("t1", 1, &head) };
        let commit = merged(again.merge(&project.repository));
        assert_eq!(again.merge(&project.repository), MergeOutcome::AlreadyThere { commit, local: LocalBranch::Current });
        assert_eq!(merges_of(project.root(), "main", "t1"), 2);
        // A third accept that has not seen the second one is no reason to merge beside it, nor to take its merge for its own.
        let beside = Ask { accept: 10, reopened: &undone(&[1]), ..Ask::new("t1", 1, &head) }.merge(&project.repository);
        assert!(matches!(&beside, MergeOutcome::OtherAccept { landing } if landing.accept == Some(accept(9))), "{beside:?}");
        merged(Ask { accept: 10, base: Some(&base), reopened: &undone(&[1, 9]), ..Ask::new("t1", 1, &head) }.merge(&project.repository));
    });
}

#[test]
fn only_trailers_count_and_they_are_found_wherever_history_leads() {
    isolated(|| {
        let project = Project::new();
        let (_, head) = project.work("t1", 1, "a", "x");
        for message in ["Merge task t1", "x\n\nOctopoid-Task: t1\n\nnot the last paragraph", "Octopoid-Task: t1", "x\n\nOctopoid-Task: t10"]
        {
            git(project.root(), ["commit", "-q", "--allow-empty", "-m", message]);
        }
        assert_eq!(project.repository.landings(&branch("main"), &name("t1")).expect("landings"), []);
        // On a side branch, whose merge was then made the wrong way round.
        git(project.root(), ["checkout", "-qb", "side", "HEAD~2"]);
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "x\n\noctopoid-task: t1\nOctopoid-Attempt: garbage"]);
        let hidden = oid(&git(project.root(), ["rev-parse", "HEAD"]));
        git(project.root(), ["checkout", "-q", "main"]);
        git(project.root(), ["merge", "-q", "--no-edit", "side"]);
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "later"]);
        match Ask::new("t1", 1, &head).merge(&project.repository) {
            MergeOutcome::OtherAccept { landing } => assert_eq!((landing.commit, landing.attempt), (hidden, None)),
            other => panic!("{other:?}"),
        }
        // A branch that was rewritten no longer holds it.
        git(project.root(), ["reset", "-q", "--hard", "HEAD~2"]);
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
    });
}

#[test]
fn an_attempt_that_forges_a_trailer_waits_for_a_person() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        git(worktree.path(), ["commit", "-q", "--allow-empty", "-m", "x\n\nOctopoid-Task: t2"]);
        let head = project.repository.attempt_tip(&name("t1"), attempt(1)).expect("a tip");
        let main = project.tip("main");
        match Ask::new("t1", 1, &head).merge(&project.repository) {
            MergeOutcome::Awaiting { reason } => assert!(reason.contains(&head.to_string()), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(project.tip("main"), main);
    });
}

#[test]
fn a_checkout_without_changes_follows_the_branch() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), "gone", "x");
        git(project.root(), ["add", "."]);
        git(project.root(), ["commit", "-qm", "more"]);
        let worktree = project.add("t1", 1);
        write(worktree.path(), "new/file", "x");
        write(worktree.path(), "README", "changed\n");
        fs::remove_file(worktree.path().join("gone")).expect("removed");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        write(project.root(), "untracked", "mine");
        write(project.root(), "ignored.log", "mine");
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "?? untracked");
        assert_eq!((read(project.root(), "README"), read(project.root(), "new/file")), ("changed\n".into(), "x".into()));
        assert!(!project.root().join("gone").exists());
        assert_eq!(git(project.root(), ["log", "-1", "--format=%s", "HEAD"]), "Merge task t1: Do the work");
    });
}

/// Asserts that a merge waits for a reason that holds `word`, and that nothing moved.
fn waits(project: &Project, head: &octopoid_crdt::ids::Oid, word: &str) {
    let before = (project.tip("main"), git(project.root(), ["status", "--porcelain", "--ignored"]));
    match Ask::new("t1", 1, head).merge(&project.repository) {
        MergeOutcome::Awaiting { reason } => assert!(reason.contains(word), "{reason:?} lacks {word:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((project.tip("main"), git(project.root(), ["status", "--porcelain", "--ignored"])), before);
}

#[test]
fn a_checkout_with_changed_files_makes_the_merge_wait() {
    isolated(|| {
        let project = Project::new();
        let (_, head) = project.work("t1", 1, "a", "x");
        write(project.root(), "README", "mine\n");
        waits(&project, &head, "README");
        git(project.root(), ["add", "README"]);
        waits(&project, &head, "README");
        assert_eq!(read(project.root(), "README"), "mine\n");
        git(project.root(), ["commit", "-qm", "mine"]);
        fs::remove_file(project.root().join("README")).expect("removed");
        waits(&project, &head, "README");
        git(project.root(), ["checkout", "README"]);
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
    });
}

#[test]
fn an_untracked_or_ignored_file_in_the_way_makes_the_merge_wait() {
    isolated(|| {
        let project = Project::new();
        let worktree = project.add("t1", 1);
        write(worktree.path(), "a", "theirs");
        write(worktree.path(), "d/e", "theirs");
        write(worktree.path(), "b.log", "theirs");
        git(worktree.path(), ["add", "-f", "b.log"]);
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        for file in ["a", "d", "b.log", "a/inside"] {
            write(project.root(), file, "mine");
            waits(&project, &head, file.split('/').next().expect("a part"));
            assert_eq!(read(project.root(), file), "mine");
            if let Some((folder, _)) = file.split_once('/') {
                fs::remove_dir_all(project.root().join(folder)).expect("removed");
            } else {
                fs::remove_file(project.root().join(file)).expect("removed");
            }
        }
        let outside = project.folder.path().join("outside");
        fs::create_dir(&outside).expect("a folder");
        std::os::unix::fs::symlink(&outside, project.root().join("d")).expect("a link");
        waits(&project, &head, "d");
        assert!(!outside.join("e").exists());
        fs::remove_file(project.root().join("d")).expect("removed");
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
    });
}

#[test]
fn a_rebase_or_merge_of_the_user_makes_the_merge_wait() {
    isolated(|| {
        let project = Project::new();
        let (_, head) = project.work("t1", 1, "a", "x");
        git(project.root(), ["checkout", "-qb", "other"]);
        write(project.root(), "README", "other\n");
        git(project.root(), ["commit", "-qam", "other"]);
        git(project.root(), ["checkout", "-q", "main"]);
        write(project.root(), "README", "mine\n");
        git(project.root(), ["commit", "-qam", "mine"]);
        assert!(!try_git(project.root(), ["rebase", "other"]).0, "a conflict");
        waits(&project, &head, "rebase");
        git(project.root(), ["rebase", "--abort"]);
        assert!(!try_git(project.root(), ["merge", "other"]).0, "a conflict");
        waits(&project, &head, "merge");
        git(project.root(), ["merge", "--abort"]);
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
    });
}

#[test]
fn a_checkout_in_a_linked_worktree_of_the_user_follows_too() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let linked = project.folder.path().join("linked");
        git(project.root(), ["worktree", "add", "-q", linked.to_str().expect("utf-8"), "main"]);
        let (_, head) = project.work("t1", 1, "a", "x");
        write(&linked, "README", "mine\n");
        match Ask::new("t1", 1, &head).merge(&project.repository) {
            MergeOutcome::Awaiting { reason } => assert!(reason.contains("linked") && reason.contains("README"), "{reason}"),
            other => panic!("{other:?}"),
        }
        git(&linked, ["checkout", "README"]);
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(&linked, ["status", "--porcelain"]), "");
        assert_eq!(read(&linked, "a"), "x");
    });
}

#[test]
fn a_crash_between_the_files_and_the_branch_is_taken_up() {
    isolated(|| {
        let project = Project::new();
        let (_, head) = project.work("t1", 1, "a", "x");
        // What a crash leaves: the files and the index of the merge, the branch where it was.
        git(project.root(), ["merge", "-q", "--squash", &head.to_string()]);
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "A  a");
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "");
        assert_eq!(merges_of(project.root(), "main", "t1"), 1);
    });
}

#[test]
fn files_go_back_when_the_branch_cannot_be_moved() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), "gone", "x");
        git(project.root(), ["add", "."]);
        git(project.root(), ["commit", "-qm", "more"]);
        let worktree = project.add("t1", 1);
        write(worktree.path(), "new/file", "x");
        write(worktree.path(), "README", "changed\n");
        fs::remove_file(worktree.path().join("gone")).expect("removed");
        let head = commit_all(&project.repository, &worktree).expect("a commit");
        write(project.root(), "untracked", "mine");
        // As another git command would hold it.
        let lock = project.root().join(".git/refs/heads/main.lock");
        fs::write(&lock, "").expect("a lock");
        assert!(matches!(Ask::new("t1", 1, &head).try_merge(&project.repository), Err(MergeError::KeepsMoving { .. })));
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "?? untracked");
        assert_eq!((read(project.root(), "README"), read(project.root(), "gone")), ("start\n".into(), "x".into()));
        fs::remove_file(&lock).expect("removed");
        fs::write(project.root().join(".git/index.lock"), "").expect("a lock");
        waits(&project, &head, "another git command");
        fs::remove_file(project.root().join(".git/index.lock")).expect("removed");
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(project.root(), ["status", "--porcelain"]), "?? untracked");
    });
}

#[test]
fn a_file_that_needs_a_filter_program_is_not_written_without_it() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), ".gitattributes", "*.bin filter=big\n");
        git(project.root(), ["add", "."]);
        git(project.root(), ["commit", "-qm", "attributes"]);
        let (_, head) = project.work("t1", 1, "x.bin", "stored");
        git(project.root(), ["config", "filter.big.smudge", "touch planted; cat"]);
        waits(&project, &head, "filter");
        assert!(!project.root().join("planted").exists());
        project.detach();
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
    });
}

#[test]
fn two_mergers_of_one_task_make_one_merge() {
    isolated(|| {
        for checked_out in [true, false] {
            let project = Project::new();
            if !checked_out {
                project.detach();
            }
            let heads: Vec<_> = (1..=4).map(|n| project.work("t1", n, &format!("f{n}"), "x").1).collect();
            let outcomes: Vec<_> = thread::scope(|scope| {
                let mergers: Vec<_> = (1..)
                    .zip(&heads)
                    .map(|(number, head)| {
                        // Each with a handle of its own, as another process would have.
                        let repository = Repository::open(project.root()).expect("a repository");
                        scope.spawn(move || Ask::new("t1", number, head).merge(&repository))
                    })
                    .collect();
                mergers.into_iter().map(|merger| merger.join().expect("a merger")).collect()
            });
            let done = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::Merged { .. })).count();
            let refused = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::OtherAccept { .. })).count();
            assert_eq!((done, refused), (1, 3), "{outcomes:?}");
            assert_eq!(merges_of(project.root(), "main", "t1"), 1);
            assert_eq!(git(project.root(), ["status", "--porcelain"]), "");
        }
    });
}

#[test]
fn mergers_of_many_tasks_and_a_committing_person_lose_nothing() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let heads: Vec<_> = (1..=6).map(|n| project.work(&format!("t{n}"), 1, &format!("f{n}"), "x").1).collect();
        let person = project.folder.path().join("person");
        git(project.root(), ["worktree", "add", "-q", "--detach", person.to_str().expect("utf-8"), "main"]);
        let moved = thread::scope(|scope| {
            let mergers: Vec<_> = (1..)
                .zip(&heads)
                .map(|(number, head)| {
                    let repository = Repository::open(project.root()).expect("a repository");
                    scope.spawn(move || merged(Ask::new(&format!("t{number}"), 1, head).merge(&repository)))
                })
                .collect();
            // A person's tool that moves the branch by compare-and-swap, as a push to this repository would.
            let mut moved = Vec::new();
            while mergers.iter().any(|merger| !merger.is_finished()) {
                let tip = git(&person, ["rev-parse", "main"]);
                let message = format!("person {}", moved.len());
                let commit = git(&person, ["commit-tree", "-p", &tip, "-m", &message, &format!("{tip}^{{tree}}")]);
                if try_git(&person, ["update-ref", "refs/heads/main", &commit, &tip]).0 {
                    moved.push(oid(&commit));
                }
                thread::sleep(Duration::from_millis(10));
            }
            moved
        });
        let main = project.tip("main");
        for commit in moved {
            assert!(project.repository.is_descendant(&main, &commit).expect("an answer"), "a person's commit is lost");
        }
        for number in 1..=6 {
            assert_eq!(merges_of(project.root(), "main", &format!("t{number}")), 1);
        }
        assert_eq!(git(project.root(), ["ls-tree", "--name-only", "main"]).lines().count(), 8);
    });
}

#[test]
fn a_missing_branch_or_head_is_named() {
    isolated(|| {
        let project = Project::new();
        let none = oid(&"ab".repeat(20));
        assert!(matches!(Ask::new("t1", 1, &none).try_merge(&project.repository), Err(MergeError::NoHead(_))));
        let (_, head) = project.work("t1", 1, "a", "x");
        git(project.root(), ["branch", "-qm", "main", "trunk"]);
        let error = Ask::new("t1", 1, &head).try_merge(&project.repository).expect_err("no branch");
        assert!(error.to_string().contains("main_branch"), "{error}");
    });
}

#[test]
fn an_attempt_without_common_history_waits_for_a_person() {
    isolated(|| {
        let project = Project::new();
        let tree = git(project.root(), ["rev-parse", "HEAD^{tree}"]);
        let alien = oid(&git(project.root(), ["commit-tree", "-m", "alien", &tree]));
        waits(&project, &alien, "no history");
    });
}

#[test]
fn ten_thousand_commits_are_searched_in_bounded_time_and_only_once() {
    isolated(|| {
        let project = Project::new();
        project.detach();
        let (_, head) = project.work("t1", 1, "a", "x");
        let mut stream = String::new();
        for number in 0..10_000 {
            let message = if number == 17 { "m\n\nOctopoid-Task: old\n".to_owned() } else { format!("commit {number}\n\nSome words.\n") };
            let from = if number == 0 { "from refs/heads/main^0\n" } else { "" };
            stream.push_str(&format!(
                "commit refs/heads/main\ncommitter T <t@l> {} +0000\ndata {}\n{message}\n{from}\n",
                1_700_000_000 + number,
                message.len()
            ));
        }
        let file = project.folder.path().join("stream");
        fs::write(&file, stream).expect("a file");
        let status = std::process::Command::new("git")
            .arg("-C")
            .arg(project.root())
            .args(["fast-import", "--quiet"])
            .stdin(fs::File::open(&file).expect("a file"))
            .status()
            .expect("git runs");
        assert!(status.success());
        let started = Instant::now();
        assert_eq!(project.repository.landings(&branch("main"), &name("old")).expect("landings").len(), 1);
        let cold = started.elapsed();
        merged(Ask::new("t1", 1, &head).merge(&project.repository));
        let started = Instant::now();
        assert_eq!(project.repository.landings(&branch("main"), &name("t1")).expect("landings").len(), 1);
        let warm = started.elapsed();
        eprintln!("10,000 commits: cold {cold:?}, warm {warm:?}");
        assert!(cold.as_secs() < 30 && warm < cold, "cold {cold:?}, warm {warm:?}");
    });
}
