//! What passes into an agent's environment, and what never does.

use super::*;

fn task() -> TaskVariables {
    TaskVariables {
        task: "task-1".parse().expect("a name"),
        agent: "implementer-1".into(),
        role: "implement".into(),
        attempt: "3-3fa9c2d1".parse().expect("an attempt"),
        worktree: "/project/tree".into(),
        branch: "octopoid/task-1/3-3fa9c2d1".into(),
        base_branch: "main".into(),
        prompt_file: "/logs/prompt.md".into(),
        result_file: "/logs/result.json".into(),
    }
}

fn build(parent: &[(&str, &str)], pass: &[&str], set: &[(&str, &str)]) -> Environment {
    Environment::build(
        parent.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))),
        &pass.iter().map(|&g| g.to_owned()).collect::<Vec<_>>(),
        &set.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect(),
        &GitIdentity { name: "implementer-1".into(), email: "agent@octopoid.invalid".into() },
        &task(),
    )
}

#[test]
fn the_listed_variables_pass_and_no_others() {
    let listed = [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "LC_TIME",
        "TZ",
        "TMPDIR",
        "ANTHROPIC_API_KEY",
        "CLAUDE_CONFIG_DIR",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
        "AWS_PROFILE",
        "GOOGLE_CLOUD_PROJECT",
        "SSH_AUTH_SOCK",
    ];
    let other = ["CLAUDECODE", "GITHUB_TOKEN", "LD_PRELOAD", "PATHS", "LCALL", "SHELL", "OLDPWD", "GIT_DIR", "GIT_AUTHOR_DATE", "XPATH"];
    let parent: Vec<_> = listed.iter().chain(&other).map(|&name| (name, "value")).collect();
    let environment = build(&parent, &[], &[]);
    for name in listed {
        assert_eq!(environment.get(name), Some(OsStr::new("value")), "{name}");
    }
    for name in other {
        assert_eq!(environment.get(name), None, "{name}");
    }
}

#[test]
fn the_nodes_own_variables_never_pass_even_when_everything_is_asked_for() {
    let parent = [
        ("OCTOPOID_API_KEY", "oct_secret"),
        ("OCTOPOID_DIR", "/p/.octopoid"),
        ("OCTOPOID_TOKEN", "t"),
        ("CLAUDECODE", "1"),
        ("GIT_DIR", "/p/.git"),
    ];
    let environment = build(&parent, &["*", "OCTOPOID_*", "CLAUDECODE", "GIT_*"], &[]);
    for (name, _) in parent {
        assert_eq!(environment.get(name), None, "{name}");
    }
}

#[test]
fn configuration_passes_by_pattern_and_sets_but_not_what_is_reserved() {
    let set = [
        ("RUST_LOG", "debug"),
        ("OCTOPOID_TASK_ID", "other"),
        ("AGENT_NAME", "other"),
        ("CLAUDECODE", "1"),
        ("A=B", "x"),
        ("", "x"),
        ("NUL", "a\0b"),
    ];
    let environment = build(&[("CARGO_HOME", "/c"), ("DOCKER_HOST", "d")], &["CARGO_*"], &set);
    assert_eq!(environment.get("CARGO_HOME"), Some(OsStr::new("/c")));
    assert_eq!(environment.get("DOCKER_HOST"), None);
    assert_eq!(environment.get("RUST_LOG"), Some(OsStr::new("debug")));
    assert_eq!(environment.get("OCTOPOID_TASK_ID"), Some(OsStr::new("task-1")));
    assert_eq!(environment.get("AGENT_NAME"), Some(OsStr::new("implementer-1")));
    assert_eq!(environment.refused(), ["", "A=B", "AGENT_NAME", "CLAUDECODE", "NUL", "OCTOPOID_TASK_ID"]);
}

#[test]
fn the_task_is_described_under_both_the_present_and_the_former_names() {
    let environment = build(&[], &[], &[]);
    let expected = [
        ("AGENT_NAME", "implementer-1"),
        ("AGENT_ROLE", "implement"),
        ("CURRENT_TASK_ID", "task-1"),
        ("GIT_AUTHOR_EMAIL", "agent@octopoid.invalid"),
        ("GIT_AUTHOR_NAME", "implementer-1"),
        ("GIT_COMMITTER_EMAIL", "agent@octopoid.invalid"),
        ("GIT_COMMITTER_NAME", "implementer-1"),
        ("OCTOPOID_ATTEMPT", "3-3fa9c2d1"),
        ("OCTOPOID_BASE_BRANCH", "main"),
        ("OCTOPOID_BRANCH", "octopoid/task-1/3-3fa9c2d1"),
        ("OCTOPOID_EPOCH", "3"),
        ("OCTOPOID_PROMPT_FILE", "/logs/prompt.md"),
        ("OCTOPOID_RESULT_FILE", "/logs/result.json"),
        ("OCTOPOID_ROLE", "implement"),
        ("OCTOPOID_TASK_ID", "task-1"),
        ("OCTOPOID_WORKTREE", "/project/tree"),
    ];
    assert!(environment.iter().eq(expected.iter().map(|&(n, v)| (OsStr::new(n), OsStr::new(v)))), "{environment:?}");
}

#[test]
fn values_stay_out_of_debug_output() {
    let shown = format!("{:?}", build(&[("ANTHROPIC_API_KEY", "sk-secret")], &[], &[]));
    assert!(shown.contains("ANTHROPIC_API_KEY") && !shown.contains("sk-secret"), "{shown}");
}

#[test]
fn globs_match_whole_names() {
    for (glob, name, expected) in [
        ("A*", "A", true),
        ("A*", "BA", false),
        ("*_KEY", "MY_KEY", true),
        ("*_KEY", "MY_KEYS", false),
        ("A?C", "ABC", true),
        ("A?C", "AC", false),
        ("*A*B*", "xAyBz", true),
        ("*A*B*", "xByAz", false),
        ("", "", true),
        ("", "A", false),
        ("**", "anything", true),
    ] {
        assert_eq!(glob_matches(glob.as_bytes(), name.as_bytes()), expected, "{glob} {name}");
    }
}
