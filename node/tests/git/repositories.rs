use std::fs;

use octopoid_node::git::{BundleError, Identity, OpenError, ProgramLimits, ReadError, Repository, git_version};
use tempfile::TempDir;

use crate::support::{Project, branch, git, isolated, oid, write};

#[test]
fn a_folder_without_a_repository_is_refused() {
    isolated(|| {
        let folder = TempDir::new().expect("a folder");
        assert!(matches!(Repository::open(folder.path()), Err(OpenError::NotARepository(_))));
        assert!(matches!(Repository::open(&folder.path().join("none")), Err(OpenError::Io { .. })));
    });
}

#[test]
fn a_folder_inside_a_repository_is_not_its_root() {
    isolated(|| {
        let project = Project::new();
        write(project.root(), "src/x", "");
        assert!(matches!(Repository::open(&project.root().join("src")), Err(OpenError::NotARepository(_))));
        assert!(matches!(Repository::open(&project.root().join(".git")), Err(OpenError::NotARepository(_) | OpenError::Bare(_))));
    });
}

#[test]
fn a_bare_repository_is_refused() {
    isolated(|| {
        let project = Project::with_origin();
        assert!(matches!(Repository::open(&project.origin()), Err(OpenError::Bare(_))));
    });
}

#[test]
fn a_repository_without_commits_names_the_command_that_makes_one() {
    isolated(|| {
        let folder = TempDir::new().expect("a folder");
        git(folder.path(), ["init", "-q"]);
        let error = Repository::open(folder.path()).expect_err("no commits");
        assert!(error.to_string().contains("git commit --allow-empty -m start"), "{error}");
        git(folder.path(), ["commit", "-q", "--allow-empty", "-m", "start"]);
        Repository::open(folder.path()).expect("a repository");
    });
}

#[test]
fn a_sha256_repository_is_refused_by_name() {
    isolated(|| {
        let folder = TempDir::new().expect("a folder");
        git(folder.path(), ["init", "-q", "--object-format=sha256"]);
        git(folder.path(), ["commit", "-q", "--allow-empty", "-m", "start"]);
        let error = Repository::open(folder.path()).expect_err("sha256");
        assert!(matches!(error, OpenError::Sha256), "{error:?}");
    });
}

#[test]
fn a_linked_worktree_of_the_user_can_be_the_project() {
    isolated(|| {
        let project = Project::new();
        let linked = project.folder.path().join("linked");
        git(project.root(), ["worktree", "add", "-q", "-b", "side", linked.to_str().expect("utf-8")]);
        let repository = Repository::open(&linked).expect("a repository");
        assert_eq!(repository.head_branch().expect("HEAD"), Some(branch("side")));
        assert_eq!(repository.root_commit().expect("a root"), project.repository.root_commit().expect("a root"));
    });
}

#[test]
fn the_root_commit_is_the_same_in_every_clone_and_as_history_grows() {
    isolated(|| {
        let project = Project::with_origin();
        let root = project.repository.root_commit().expect("a root");
        assert_eq!(root, project.tip("main"));
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "more"]);
        assert_eq!(project.repository.root_commit().expect("a root"), root);
        assert_eq!(project.clone_of_origin("clone").root_commit().expect("a root"), root);
    });
}

#[test]
fn a_shallow_clone_does_not_claim_to_know_its_root() {
    isolated(|| {
        let project = Project::with_origin();
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "more"]);
        git(project.root(), ["push", "-q", "origin", "main"]);
        let url = format!("file://{}", project.origin().display());
        git(project.folder.path(), ["clone", "-q", "--depth=1", &url, "shallow"]);
        let repository = Repository::open(&project.folder.path().join("shallow")).expect("a repository");
        assert!(matches!(repository.root_commit(), Err(ReadError::Shallow)));
    });
}

#[test]
fn branches_and_commits_are_looked_up_by_full_name() {
    isolated(|| {
        let project = Project::new();
        let repository = &project.repository;
        // A tag of the same name is another reference.
        git(project.root(), ["commit", "-q", "--allow-empty", "-m", "more"]);
        git(project.root(), ["tag", "main", "HEAD~1"]);
        let head = oid(&git(project.root(), ["rev-parse", "HEAD"]));
        assert_eq!(repository.branch_tip(&branch("main")).expect("a tip"), head);
        assert_eq!(repository.head_branch().expect("HEAD"), Some(branch("main")));
        assert!(matches!(repository.branch_tip(&branch("none")), Err(ReadError::NoBranch(_))));
        assert!(repository.has_commit(&head).expect("an answer"));
        assert!(!repository.has_commit(&oid(&"ab".repeat(20))).expect("an answer"));
        project.detach();
        assert_eq!(repository.head_branch().expect("HEAD"), None);
    });
}

#[test]
fn the_user_is_the_committer_where_an_identity_is_configured() {
    isolated(|| {
        let project = Project::new();
        assert_eq!(project.repository.committer(), Identity::octopoid());
        git(project.root(), ["config", "user.name", "Ada"]);
        assert_eq!(project.repository.committer(), Identity::octopoid(), "a name without an address is no identity");
        git(project.root(), ["config", "user.email", "ada@example.org"]);
        assert_eq!(project.repository.committer(), Identity::new("Ada", "ada@example.org"));
    });
}

#[test]
fn remotes_are_found_with_the_address_that_git_uses() {
    isolated(|| {
        let project = Project::new();
        assert!(!project.repository.has_remote("origin").expect("an answer"));
        git(project.root(), ["remote", "add", "origin", "gh:o/r"]);
        git(project.root(), ["config", "url.https://github.com/.insteadOf", "gh:"]);
        assert_eq!(project.repository.remote_url("origin").expect("an answer").as_deref(), Some("https://github.com/o/r"));
        assert!(!project.repository.has_remote("-x").expect("an answer"));
    });
}

#[test]
fn the_version_of_git_is_a_number() {
    isolated(|| {
        let version = git_version().expect("git");
        assert!(version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.'), "{version}");
    });
}

#[test]
fn a_repository_with_a_broken_configuration_is_an_error_and_not_a_panic() {
    isolated(|| {
        let project = Project::new();
        fs::write(project.root().join(".git/config"), "[core\nbroken").expect("a file");
        assert!(matches!(Repository::open(project.root()), Err(OpenError::Git { .. })));
    });
}

#[test]
fn a_branch_is_packed_whole_or_not_at_all_and_no_more_than_the_limit_is_written() {
    isolated(|| {
        let project = Project::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        fs::write(project.root().join("noise"), noise).expect("a file");
        git(project.root(), ["add", "noise"]);
        git(project.root(), ["commit", "-qm", "noise"]);
        let file = project.folder.path().join("bundle");
        let pack = |bundle: u64| {
            let limits = ProgramLimits { bundle, ..ProgramLimits::default() };
            project.repository.clone().with_limits(limits).pack_branch(&branch("main"), &[], &file)
        };
        let refused = pack(300_000).expect_err("noise does not shrink");
        assert!(matches!(refused, BundleError::TooLarge { most: 300_000, .. }), "{refused}");
        assert!(refused.to_string().contains("set up a remote"), "{refused}");
        let written = fs::metadata(&file).expect("the file").len();
        assert!(written <= 300_001, "{written} bytes were written");

        pack(1 << 30).expect("packed");
        let exact = fs::metadata(&file).expect("the file").len();
        pack(exact).expect("the limit itself is allowed");
        assert!(matches!(pack(exact - 1), Err(BundleError::TooLarge { .. })));
        pack(exact).expect("packed");
        project.repository.take_branch(&branch("main"), &file, "refs/octopoid/taken/x").expect("taken");
        assert_eq!(git(project.root(), ["rev-parse", "refs/octopoid/taken/x"]).trim(), project.tip("main").to_string());
        let unknown = project.repository.pack_branch(&branch("octopoid/none"), &[], &file).expect_err("no such branch");
        assert!(matches!(unknown, BundleError::Pack { .. }), "{unknown}");
    });
}
