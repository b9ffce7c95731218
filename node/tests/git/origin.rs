use std::{
    thread,
    time::{Duration, Instant},
};

use octopoid_node::git::{LocalBranch, MergeError, MergeOutcome, ProgramError, ProgramLimits, Pushed, RemoteError, Repository};

use crate::support::{Ask, Project, branch, git, isolated, merged, merges_of, oid, read, script, try_git, write};

fn plant_hook(project: &Project, hook: &str, text: &str) {
    script(&project.origin().join("hooks"), hook, text);
}

#[test]
fn a_merge_is_pushed_and_the_checkout_follows() {
    isolated(|| {
        let project = Project::with_origin();
        let (_, head) = project.work("t1", 1, "a", "x");
        let outcome = Ask::at_origin("t1", 1, &head).merge(&project.repository);
        let MergeOutcome::Merged { commit, local: LocalBranch::Current } = outcome else { panic!("{outcome:?}") };
        assert_eq!(git(&project.origin(), ["rev-parse", "main"]), commit.to_string());
        assert_eq!((project.tip("main"), read(project.root(), "a")), (commit.clone(), "x".to_owned()));
        assert_eq!(git(project.root(), ["status", "--porcelain", "--branch"]), "## main");
        let again = Ask::at_origin("t1", 1, &head).merge(&project.repository);
        assert_eq!(again, MergeOutcome::AlreadyThere { commit, local: LocalBranch::Current });
    });
}

#[test]
fn a_crash_after_the_push_is_made_good_by_merging_again() {
    isolated(|| {
        let project = Project::with_origin();
        let before = project.tip("main");
        let (_, head) = project.work("t1", 1, "a", "x");
        let commit = merged(Ask::at_origin("t1", 1, &head).merge(&project.repository));
        // As if the node had died before anything local moved.
        git(project.root(), ["reset", "-q", "--hard", &before.to_string()]);
        git(project.root(), ["update-ref", "-d", "refs/remotes/origin/main"]);
        let restarted = Repository::open(project.root()).expect("a repository");
        let again = Ask::at_origin("t1", 1, &head).merge(&restarted);
        assert_eq!(again, MergeOutcome::AlreadyThere { commit: commit.clone(), local: LocalBranch::Current });
        assert_eq!(project.tip("main"), commit);
        assert_eq!(merges_of(&project.origin(), "main", "t1"), 1);
    });
}

#[test]
fn the_merge_is_made_on_what_others_pushed_meanwhile() {
    isolated(|| {
        let project = Project::with_origin();
        let other = project.clone_of_origin("other");
        let (_, head) = project.work("t1", 1, "a", "x");
        write(other.root(), "b", "theirs");
        git(other.root(), ["add", "b"]);
        git(other.root(), ["commit", "-qm", "theirs"]);
        git(other.root(), ["push", "-q", "origin", "main"]);
        merged(Ask::at_origin("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(&project.origin(), ["ls-tree", "--name-only", "main"]), ".gitignore\nREADME\na\nb");
        assert_eq!(read(project.root(), "b"), "theirs");
    });
}

#[test]
fn what_others_merged_at_origin_is_where_the_next_attempt_starts() {
    isolated(|| {
        let project = Project::with_origin();
        let other = project.clone_of_origin("other");
        let theirs = |file: &str| {
            write(other.root(), file, "theirs");
            git(other.root(), ["add", file]);
            git(other.root(), ["commit", "-qm", "theirs"]);
            git(other.root(), ["push", "-q", "origin", "main"]);
            oid(&git(other.root(), ["rev-parse", "main"]))
        };
        let newest = || project.repository.newest_tip(&branch("main")).expect("a tip");
        let (before, first) = (project.tip("main"), theirs("b"));
        assert_eq!(newest(), before, "what was not fetched is not known");
        assert_eq!(project.repository.follow_origin(&branch("main")).expect("fetched"), LocalBranch::Current);
        assert_eq!((project.tip("main"), newest()), (first.clone(), first.clone()));
        // A checkout that is in the way stays where it is, and the next attempt starts from what was fetched all the same.
        write(project.root(), "b", "mine");
        let second = theirs("c");
        write(other.root(), "b", "again");
        git(other.root(), ["commit", "-qam", "theirs"]);
        git(other.root(), ["push", "-q", "origin", "main"]);
        let followed = project.repository.follow_origin(&branch("main")).expect("fetched");
        assert!(matches!(followed, LocalBranch::Behind { .. }), "{followed:?}");
        assert_eq!((project.tip("main"), read(project.root(), "b")), (first, "mine".to_owned()));
        assert_eq!(newest().to_string(), git(other.root(), ["rev-parse", "main"]), "{second}");
        // With commits of its own the local branch is what the user wants to build on.
        git(project.root(), ["commit", "-qam", "mine"]);
        assert_eq!(newest(), project.tip("main"));
        assert!(project.repository.newest_tip(&branch("none")).is_err());
    });
}

#[test]
fn a_checkout_with_changes_stays_behind_without_holding_up_the_merge() {
    isolated(|| {
        let project = Project::with_origin();
        let before = project.tip("main");
        let (_, head) = project.work("t1", 1, "a", "x");
        write(project.root(), "README", "mine\n");
        match Ask::at_origin("t1", 1, &head).merge(&project.repository) {
            MergeOutcome::Merged { local: LocalBranch::Behind { reason }, .. } => assert!(reason.contains("README"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((project.tip("main"), read(project.root(), "README")), (before, "mine\n".to_owned()));
        assert_eq!(merges_of(&project.origin(), "main", "t1"), 1);
    });
}

#[test]
fn local_commits_that_origin_lacks_stay_local() {
    isolated(|| {
        let project = Project::with_origin();
        let (_, head) = project.work("t1", 1, "a", "x");
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "mine"]);
        let mine = project.tip("main");
        match Ask::at_origin("t1", 1, &head).merge(&project.repository) {
            MergeOutcome::Merged { local: LocalBranch::Behind { reason }, .. } => assert!(reason.contains("git pull"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(project.tip("main"), mine);
        assert!(!try_git(&project.origin(), ["cat-file", "-e", &mine.to_string()]).0);
    });
}

#[test]
fn an_origin_without_the_branch_gets_it_first() {
    isolated(|| {
        let project = Project::with_origin();
        git(&project.origin(), ["update-ref", "-d", "refs/heads/main"]);
        let (_, head) = project.work("t1", 1, "a", "x");
        let commit = merged(Ask::at_origin("t1", 1, &head).merge(&project.repository));
        assert_eq!(git(&project.origin(), ["rev-parse", "main"]), commit.to_string());
        assert_eq!(project.repository.fetch_branch(&branch("none")).expect("an answer"), None);
    });
}

#[test]
fn two_machines_that_merge_one_task_make_one_merge() {
    isolated(|| {
        let project = Project::with_origin();
        let clones: Vec<_> = (1..=3).map(|n| (n, project.clone_of_origin(&format!("clone{n}")))).collect();
        let heads: Vec<_> = clones
            .iter()
            .map(|(number, clone)| {
                write(clone.root(), &format!("f{number}"), "x");
                git(clone.root(), ["checkout", "-qb", "work"]);
                git(clone.root(), ["add", "."]);
                git(clone.root(), ["commit", "-qm", "work"]);
                let head = oid(&git(clone.root(), ["rev-parse", "HEAD"]));
                git(clone.root(), ["checkout", "-q", "main"]);
                head
            })
            .collect();
        let outcomes: Vec<_> = thread::scope(|scope| {
            let mergers = clones
                .iter()
                .zip(&heads)
                .map(|((number, clone), head)| scope.spawn(move || Ask::at_origin("t1", *number, head).merge(clone)));
            let mergers: Vec<_> = mergers.collect();
            mergers.into_iter().map(|merger| merger.join().expect("a merger")).collect()
        });
        let done = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::Merged { .. })).count();
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::OtherAccept { .. })).count();
        assert_eq!((done, refused), (1, 2), "{outcomes:?}");
        assert_eq!(merges_of(&project.origin(), "main", "t1"), 1);
    });
}

#[test]
fn a_submitted_commit_of_another_machine_is_fetched_from_its_branch() {
    isolated(|| {
        let project = Project::with_origin();
        let other = project.clone_of_origin("other");
        let (worktree, head) = project.work("t1", 1, "a", "x");
        assert!(matches!(Ask::at_origin("t1", 1, &head).try_merge(&other), Err(MergeError::NoHead(_))));
        assert_eq!(project.repository.push_branch(&worktree.branch()).expect("pushed"), Pushed::Done);
        merged(Ask::at_origin("t1", 1, &head).merge(&other));
    });
}

#[test]
fn a_push_never_forces() {
    isolated(|| {
        let project = Project::with_origin();
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "pushed"]);
        assert_eq!(project.repository.push_branch(&branch("main")).expect("pushed"), Pushed::Done);
        assert_eq!(project.repository.push_branch(&branch("main")).expect("again"), Pushed::Done);
        let kept = project.tip("main");
        git(project.root(), ["reset", "-q", "--hard", "HEAD~1"]);
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "another"]);
        git(project.root(), ["config", "remote.origin.push", "+refs/heads/*:refs/heads/*"]);
        assert_eq!(project.repository.push_branch(&branch("main")).expect("an answer"), Pushed::Moved);
        assert_eq!(git(&project.origin(), ["rev-parse", "main"]), kept.to_string());
    });
}

#[test]
fn a_refusal_carries_the_words_of_the_remote() {
    isolated(|| {
        let project = Project::with_origin();
        plant_hook(&project, "pre-receive", "echo main is frozen until Monday >&2; exit 1");
        let (_, head) = project.work("t1", 1, "a", "x");
        match Ask::at_origin("t1", 1, &head).try_merge(&project.repository) {
            Err(MergeError::Remote(RemoteError::Refused { message, .. })) => assert!(message.contains("frozen until Monday"), "{message}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_branch_that_moves_at_every_push_ends_the_merge_with_an_error() {
    isolated(|| {
        let project = Project::with_origin();
        // The server's branch moves between our fetch and our push, every time.
        plant_hook(
            &project,
            "pre-receive",
            "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main $(git -c user.name=x -c user.email=x commit-tree -p main -m x main^{tree})",
        );
        let (_, head) = project.work("t1", 1, "a", "x");
        match Ask::at_origin("t1", 1, &head).try_merge(&project.repository) {
            Err(MergeError::KeepsMoving { rounds, .. }) => assert!(rounds > 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(merges_of(&project.origin(), "main", "t1"), 0);
    });
}

#[test]
fn a_remote_that_is_missing_or_broken_is_an_error_with_its_message() {
    isolated(|| {
        let project = Project::new();
        assert!(matches!(project.repository.fetch_branch(&branch("main")), Err(RemoteError::NoRemote)));
        git(project.root(), ["remote", "add", "origin", "../nowhere.git"]);
        match project.repository.fetch_branch(&branch("main")) {
            Err(RemoteError::Failed { message, .. }) => assert!(message.contains("nowhere.git"), "{message}"),
            other => panic!("{other:?}"),
        }
        let planted = project.folder.path().join("planted");
        git(project.root(), ["remote", "set-url", "origin", &format!("ext::touch {}", planted.display())]);
        git(project.root(), ["config", "protocol.ext.allow", "always"]);
        assert!(matches!(project.repository.fetch_branch(&branch("main")), Err(RemoteError::Failed { .. })));
        assert!(!planted.exists(), "the ext transport never runs");
    });
}

#[test]
fn a_remote_that_does_not_answer_is_given_up_with_its_helpers_killed() {
    isolated(|| {
        let project = Project::new();
        git(project.root(), ["remote", "add", "origin", "ssh://localhost/x"]);
        let pid_file = project.folder.path().join("pid");
        let helper = format!("echo $$ > '{}'; exec sleep 300 #", pid_file.display());
        git(project.root(), ["config", "core.sshCommand", &helper]);
        let limits = ProgramLimits { timeout: Duration::from_secs(1), ..ProgramLimits::default() };
        let started = Instant::now();
        match project.repository.clone().with_limits(limits).fetch_branch(&branch("main")) {
            Err(RemoteError::Program(ProgramError::TimedOut { command: "fetch", .. })) => {}
            other => panic!("{other:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(60));
        let pid = std::fs::read_to_string(&pid_file).expect("the helper ran");
        let proc = std::path::PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        let deadline = Instant::now() + Duration::from_secs(10);
        // Where the first process of the machine reaps late, the dead helper shows as a zombie.
        while std::fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the helper lives");
            thread::sleep(Duration::from_millis(10));
        }
    });
}

#[test]
fn output_beyond_the_limit_is_read_and_dropped() {
    isolated(|| {
        let project = Project::with_origin();
        plant_hook(&project, "pre-receive", "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; echo the end >&2; exit 1");
        let (worktree, _) = project.work("t1", 1, "a", "x");
        match project.repository.push_branch(&worktree.branch()) {
            Err(RemoteError::Refused { message, .. }) => assert!(message.len() < 10_000),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn ssh_is_told_not_to_ask_unless_the_user_chose_it() {
    isolated(|| {
        let project = Project::new();
        let home = std::path::PathBuf::from(std::env::var_os("HOME").expect("a home"));
        script(&home, "bin/ssh", "echo \"$@\" >> \"$HOME/asked\"; echo Permission denied >&2; exit 255");
        git(project.root(), ["remote", "add", "origin", "ssh://localhost/x"]);
        assert!(project.repository.fetch_branch(&branch("main")).is_err());
        assert!(read(&home, "asked").contains("-oBatchMode=yes"));
        std::fs::remove_file(home.join("asked")).expect("removed");
        git(project.root(), ["config", "core.sshCommand", "ssh -oMine=yes"]);
        assert!(project.repository.fetch_branch(&branch("main")).is_err());
        let asked = read(&home, "asked");
        assert!(asked.contains("-oMine=yes") && !asked.contains("BatchMode"), "{asked}");
    });
}

#[test]
fn a_failure_on_the_way_is_tried_again() {
    isolated(|| {
        let project = Project::with_origin();
        let home = std::path::PathBuf::from(std::env::var_os("HOME").expect("a home"));
        // Fails once, then serves the repository as a server's shell would.
        let serve = "if mkdir \"$HOME/failed\"; then echo connection reset >&2; exit 255; fi; for last; do :; done; exec sh -c \"$last\"";
        script(&home, "bin/ssh", serve);
        let url = format!("ssh://localhost{}", project.origin().display());
        git(project.root(), ["remote", "set-url", "origin", &url]);
        assert_eq!(project.repository.fetch_branch(&branch("main")).expect("fetched"), Some(project.tip("main")));
        assert!(home.join("failed").exists());
    });
}
