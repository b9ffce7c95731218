//! config.yaml, agents.yaml and local.yaml: what they set, and what is told about their mistakes.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use octopoid_node::{
    config::{self, AgentsFile, Finding, Merge, Mode, Paths, Reload, Setup, Severity, Surroundings},
    project::Layout,
};

struct Project {
    _keep: tempfile::TempDir,
    layout: Layout,
}

fn project(config: &str, agents: &str) -> Project {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layout = Layout::at(folder.path().canonicalize().expect("it exists"));
    for path in [layout.runtime_dir(), layout.prompts_dir()] {
        fs::create_dir_all(path).expect("made");
    }
    fs::write(layout.config_file(), config).expect("written");
    fs::write(layout.agents_file(), agents).expect("written");
    Project { _keep: folder, layout }
}

fn of_config(text: &str) -> Vec<String> {
    let project = project(text, "agents: []\n");
    let findings = match config::load(&project.layout) {
        Ok((_, findings)) => findings,
        Err(invalid) => invalid.findings,
    };
    strings(&findings)
}

fn of_agents(text: &str) -> Vec<String> {
    let project = project("", text);
    let findings = match config::load_agents(&project.layout) {
        Ok((_, findings)) => findings,
        Err(invalid) => invalid.findings,
    };
    strings(&findings)
}

fn strings(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn told(findings: &[String], expected: &[&str]) {
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for (finding, start) in findings.iter().zip(expected) {
        assert!(finding.starts_with(start), "told  {finding}\nwanted {start}");
    }
}

/// The files of the README of version 2.
const SEED_CONFIG: &str = "\
# Mode: local or remote
mode: remote

# Server configuration (remote mode)
server:
  enabled: true
  url: https://octopoid-server.username.workers.dev
  cluster: production
  machine_id: my-machine
  api_key: your-api-key  # Optional

# Agent configuration
agents:
  max_concurrent: 3

# Repository
repo:
  path: /path/to/project
  main_branch: main
";
const SEED_AGENTS: &str = "\
agents:
  - name: implementer-1
    role: implement
    interval_seconds: 300
    model: claude-sonnet-4-20250514
    max_turns: 50

  - name: breakdown-agent
    role: breakdown
    interval_seconds: 600
    model: claude-sonnet-4-20250514

  - name: gatekeeper-1
    role: review
    interval_seconds: 300
    model: claude-opus-4-20250514
";

#[test]
fn the_files_of_version_2_are_read() {
    let project = project(SEED_CONFIG, SEED_AGENTS);
    let (settings, findings) = config::load(&project.layout).expect("no error");
    assert_eq!(settings.mode, Mode::Remote);
    assert_eq!(settings.server.cluster.as_ref().map(ToString::to_string).as_deref(), Some("production"));
    assert_eq!(settings.server.api_key.as_ref().map(config::ApiKey::expose), Some("your-api-key"));
    assert!(!format!("{settings:?}").contains("your-api-key"));
    assert_eq!((settings.max_concurrent, settings.repo.path.as_path()), (3, Path::new("/path/to/project")));
    told(&strings(&findings), &[".octopoid/config.yaml:10:12: warning: server.api_key stands in a file that may be committed"]);
    let (agents, findings) = config::load_agents(&project.layout).expect("no error");
    assert_eq!(findings, []);
    let agent = agents.get("implementer-1").expect("defined");
    assert_eq!((agent.interval, agent.max_turns, agent.enabled, agent.paused), (Duration::from_secs(300), 50, true, false));
    assert_eq!(agents.get("gatekeeper-1").expect("defined").claims_from.as_str(), "provisional");
}

#[test]
fn mode_remote_names_the_server_that_is_joined() {
    let told_of = |text: &str| of_config(text).into_iter().filter(|finding| finding.contains("mode")).collect::<Vec<_>>();
    let missing = [".octopoid/config.yaml:1:7: error: mode is remote, but server.url is not set"];
    told(&told_of("mode: remote\n"), &missing);
    told(&told_of("mode: remote\nserver: {cluster: home}\n"), &missing);
    told(&told_of("mode: remote\nserver: {enabled: false}\n"), &[]);
    let project = project("mode: remote\nserver: {url: 'https://queue.example.org'}\n", "agents: []\n");
    for (alone, expected) in [(true, 1), (false, 0)] {
        let surroundings = Surroundings { path: std::env::var_os("PATH"), node: None, alone };
        let findings = strings(&config::validate(&project.layout, &surroundings));
        let found = findings
            .iter()
            .filter(|finding| finding.contains("config.yaml:1:7: warning: mode is remote, but this machine is no member"))
            .count();
        assert_eq!(found, expected, "{findings:?}");
    }
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let project = project("", "agents: []\n");
    let (settings, findings) = config::load(&project.layout).expect("no error");
    assert_eq!(findings, []);
    assert_eq!((settings.mode, settings.scope.as_str(), settings.max_concurrent), (Mode::Local, "default", 3));
    assert_eq!((settings.lease_ttl, settings.tick_interval), (Duration::from_secs(300), Duration::from_secs(10)));
    assert_eq!((settings.repo.merge, settings.repo.base.as_str(), settings.log_limit), (Merge::Never, "main", 64 << 20));
    assert_eq!(settings.repo.path, project.layout.root());
    assert_eq!(settings.api, config::Api::default());
}

#[test]
fn this_machines_file_wins_over_the_shared_one() {
    let project = project("api:\n  port: 1000\n  auth: none\nserver:\n  machine_id: shared\nrepo: {merge: pr}\n", "agents: []\n");
    fs::write(project.layout.local_file(), "server: {machine_id: mine}\napi:\n  port: 2000\nrepo:\n").expect("written");
    let (settings, _) = config::load(&project.layout).expect("no error");
    assert_eq!((settings.api.port, settings.api.auth), (Some(2000), config::Auth::None));
    assert_eq!(settings.server.machine_id.expect("set").as_str(), "mine");
    assert_eq!(settings.repo.merge, Merge::Pr);
    fs::write(project.layout.local_file(), "# mine\napi:\n  port: many\n").expect("written");
    let findings = config::load(&project.layout).expect_err("an error").findings;
    told(&strings(&findings), &[".octopoid/runtime/local.yaml:3:9: error: api.port must be a whole number from 0 to 65535, not 'many'"]);
}

#[test]
fn every_mistake_of_config_yaml_is_told_with_its_place_at_once() {
    let findings = of_config(
        "mode: lokal\nscpoe: a\nserver:\n  machine_id: a/b\n  url: ftp://x\nagents:\n  max_concurrent: 0\nrepo:\n  main_branch: -x\n  \
         merge: allways\n  maine_branch: x\napi:\n  port: 70000\n  auth: none\n  host: 0.0.0.0\n  hosts: ['*']\n  tls: {cert: a.pem}\n\
         leases: {ttl_seconds: 4000}\nworktree:\n  copy: [.env, ../secret]\n  setup: {a: b}\nlogs: [1]\n",
    );
    let at = ".octopoid/config.yaml";
    told(
        &findings,
        &[
            &format!("{at}:1:7: error: mode must be one of local, remote, mesh, not 'lokal' (did you mean 'local'?)"),
            &format!("{at}:5:8: error: server.url must be an address that starts with http:// or https://, not 'ftp://x'"),
            &format!("{at}:4:15: error: server.machine_id must be a name"),
            &format!("{at}:7:19: error: agents.max_concurrent must be a whole number from 1 to 256, not 0"),
            &format!("{at}:9:16: error: repo.main_branch must be the name of a branch"),
            &format!("{at}:10:10: error: repo.merge must be one of auto, pr, never, not 'allways'"),
            &format!("{at}:11:3: error: unknown key 'repo.maine_branch' (did you mean 'main_branch'?)"),
            &format!("{at}:13:9: error: api.port must be"),
            &format!("{at}:16:10: error: api.hosts holds '*', which is not a host name"),
            &format!("{at}:17:8: error: api.tls needs both cert and key"),
            &format!("{at}:18:23: error: leases.ttl_seconds must be a whole number from 1 to 3600, not 4000"),
            &format!("{at}:20:9: error: worktree.copy holds '../secret'"),
            &format!("{at}:21:10: error: worktree.setup must be a list"),
            &format!("{at}:22:7: error: logs must be a section"),
            &format!("{at}:2:1: error: unknown key 'scpoe' (did you mean 'scope'?)"),
            &format!("{at}:15:9: error: api.auth is none while api.host 0.0.0.0 is reachable"),
            &format!("{at}:15:9: error: api.host 0.0.0.0 is reachable from other machines, so the token"),
        ],
    );
}

#[test]
fn texts_that_yaml_reads_as_numbers_or_flags_must_be_quoted() {
    told(
        &of_config("repo:\n  main_branch: 1.10\n"),
        &[".octopoid/config.yaml:2:16: error: repo.main_branch must be the name of a branch, without refs/heads/, not 1.10"],
    );
    told(
        &of_agents("agents:\n  - {name: a, role: fix, model: true}\n"),
        &[".octopoid/agents.yaml:2:33: error: agents[0].model must be text (put it in quotes), not true"],
    );
}

#[test]
fn settings_that_open_the_api_are_accepted_when_they_are_safe_or_meant() {
    for text in [
        "api: {host: 0.0.0.0, insecure: true}\n",
        "api: {host: '::', tls: {cert: c.pem, key: k.pem}}\n",
        "api: {host: localhost, auth: none}\n",
        "network: {listen: [/ip4/127.0.0.1/tcp/0], mdns: false}\n",
        "network: {peers: [/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWJ6hG4UvRD19oQdESGdj35m2ABXAh7MDQ1BqoUwGnDeYD]}\n",
    ] {
        assert_eq!(of_config(text), [""; 0], "{text}");
    }
}

#[test]
fn an_address_of_the_network_that_is_none_is_told_with_what_to_write() {
    for (text, wanted) in [
        ("network: {listen: ['0.0.0.0:4001']}\n", "write /ip4/0.0.0.0/tcp/4001"),
        ("network: {peers: [/ip4/192.0.2.7/tcp/4001]}\n", "`octopoid peers addresses`"),
        ("network: {anything: [1, 2]}\n", "unknown key 'network.anything'"),
    ] {
        let findings = of_config(text).join("\n");
        assert!(findings.contains(wanted), "{text}: {findings}");
    }
}

#[test]
fn a_worktree_is_prepared_by_a_line_for_the_shell_or_a_program() {
    let setup = |text: &str| config::load(&project(text, "agents: []\n").layout).expect(text).0.worktree.setup;
    assert_eq!(
        setup("worktree: {setup: npm ci && npm run build}\n").map(|setup| setup.argv()),
        Some(vec!["sh".into(), "-c".into(), "npm ci && npm run build".into()])
    );
    assert_eq!(setup("worktree: {setup: [make, -j, 4]}\n"), Some(Setup::Program(vec!["make".into(), "-j".into(), "4".into()])));
    assert_eq!(setup("worktree: {setup: ''}\n"), None);
    assert_eq!(setup("worktree: {setup: []}\n"), None);
}

#[test]
fn every_mistake_of_agents_yaml_is_told_with_its_place() {
    let findings = of_agents(
        "roles:\n  - name: translate\n    claims_from: done\n  - name: fix\nagents:\n  - name: a\n    role: implementer\n  - name: b\n    \
         role: transalte\n    tools: []\n  - name: a\n    role: translate\n    max_turns: 0\n    interval: 3\n  - role: fix\n  - name: c\n    \
         role: fix\n    command: claude -p\n    env: {OCTOPOID_ROLE: x, A=B: y, C: [1]}\n    env_pass: ['*', 'A-B']\n  - name: d\n    \
         role: fix\n    command: [sh, '{promt_file}', '{other}']\n    timeout_seconds: -1\n  - nonsense\n",
    );
    let at = ".octopoid/agents.yaml";
    told(
        &findings,
        &[
            &format!("{at}:3:18: error: roles[0].claims_from must be incoming, provisional"),
            &format!("{at}:4:5: error: role 'fix' is built in"),
            &format!("{at}:7:11: warning: role 'implementer' is read as 'implement' (write 'role: implement')"),
            &format!(
                "{at}:9:11: error: unknown role 'transalte'; known roles: implement, breakdown, review, test, fix, research, docs, \
                 translate (did you mean 'translate'?)"
            ),
            &format!("{at}:10:5: error: unknown key 'agents[1].tools'"),
            &format!("{at}:13:16: error: agents[2].max_turns must be a whole number from 1 to 10000, not 0"),
            &format!("{at}:14:5: error: unknown key 'agents[2].interval' (did you mean 'interval_seconds'?)"),
            &format!("{at}:11:11: error: two agents are named 'a' (the first is on line 6)"),
            &format!("{at}:15:5: error: this agent has no name"),
            &format!("{at}:18:14: error: agents[4].command must be a list"),
            &format!("{at}:19:40: error: agents[4].env.C must be text, not a list"),
            &format!("{at}:19:10: error: agents[4].env: 'A=B' is no variable"),
            &format!("{at}:19:10: error: agents[4].env: 'OCTOPOID_ROLE' is set or removed by the node itself"),
            &format!("{at}:20:15: warning: agents[4].env_pass: '*' hands the agent every secret"),
            &format!("{at}:20:15: error: agents[4].env_pass: 'A-B' is no name of a variable"),
            &format!("{at}:23:14: warning: '{{promt_file}}' is no placeholder and stays as it is (did you mean '{{prompt_file}}'?)"),
            &format!("{at}:24:22: error: agents[5].timeout_seconds must be"),
            &format!("{at}:25:5: error: agents[6] must be a section"),
        ],
    );
}

#[test]
fn what_is_missing_is_told_even_beside_other_mistakes() {
    let at = ".octopoid/agents.yaml";
    told(
        &of_agents("roles:\n  - {description: x}\n  - 3\nagents:\n  - {model: x, max_turns: no}\n"),
        &[
            &format!("{at}:2:5: error: this role has no name"),
            &format!("{at}:3:5: error: roles[1] must be a section"),
            &format!("{at}:5:5: error: this agent has no name"),
            &format!("{at}:5:5: error: this agent has no role"),
            &format!("{at}:5:27: error: agents[0].max_turns must be a whole number"),
        ],
    );
}

#[test]
fn a_file_without_agents_is_told_and_works() {
    for text in ["agents: []\n", "agents:\n", ""] {
        let findings = of_agents(text);
        assert!(matches!(&*findings, [only] if only.contains("warning: no agents are defined")), "{text:?}: {findings:?}");
    }
}

#[test]
fn commands_are_filled_once_and_other_braces_stay() {
    let agents = "agents:\n  - name: a\n    role: fix\n    model: '{worktree}'\n    command: [tools/run, '--in={prompt_file}', '{model}', '{max_turns}', '{\"a\": {b}}', '{']\n  - {name: b, role: review, model: opus, max_turns: 7}\n";
    let project = project("", agents);
    let (agents, _) = config::load_agents(&project.layout).expect("no error");
    let paths = Paths {
        root: Path::new("/project"),
        worktree: Path::new("/w"),
        prompt_file: Path::new("/p.md"),
        result_file: Path::new("/r.json"),
    };
    let own = agents.get("a").expect("defined").launch(&paths);
    assert_eq!(own.program, Path::new("/project/tools/run"));
    assert_eq!(own.args, ["--in=/p.md", "{worktree}", "50", "{\"a\": {b}}", "{"]);
    assert!(!own.prompt_on_stdin && !own.claude_stream);
    let claude = agents.get("b").expect("defined").launch(&paths);
    assert_eq!(claude.program, Path::new("claude"));
    assert_eq!(
        claude.args[..7],
        ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits", "--allowedTools"]
    );
    assert!(claude.args[7].starts_with("Read,Grep,Glob,") && claude.args[7].contains(",Edit(//r.json),"), "{}", claude.args[7]);
    assert_eq!(claude.args[8..], ["--max-turns", "7", "--model", "opus"]);
    assert!(claude.prompt_on_stdin && claude.claude_stream);
}

#[test]
fn no_default_tool_pushes_or_reaches_the_network() {
    for role in config::BuiltIn::ALL {
        for tool in role.allowed_tools() {
            let bad = ["git push", "curl", "wget", "WebFetch", "rm ", "sudo", "ssh", "Bash(*)", "npm install"]
                .iter()
                .find(|bad| tool.contains(**bad));
            assert!(bad.is_none() && tool != "Bash", "{}: {tool}", role.as_str());
        }
    }
    for role in [config::BuiltIn::Review, config::BuiltIn::Breakdown] {
        let tools = role.allowed_tools();
        assert!(!tools.iter().any(|tool| tool == "Edit" || tool == "Write" || tool.contains("commit")), "{}", role.as_str());
    }
}

/// Reads the file again as often as a node does, until nobody writes to it.
fn settled(file: &mut AgentsFile) -> Reload {
    loop {
        match file.reload_if_changed() {
            Reload::Unsettled => std::thread::sleep(config::QUIET),
            news @ (Reload::Unchanged | Reload::Changed(_) | Reload::Kept(_)) => return news,
        }
    }
}

#[test]
fn a_file_that_is_being_written_is_not_believed() {
    let project = project("", "agents:\n  - {name: a, role: fix}\n  - {name: b, role: fix}\n");
    let (mut file, _) = AgentsFile::open(&project.layout).expect("valid");
    // Emptied, and cut between two agents: both are valid texts.
    for part in ["", "agents:\n  - {name: a, role: fix}\n"] {
        fs::write(project.layout.agents_file(), part).expect("written");
        let written = fs::metadata(project.layout.agents_file()).and_then(|file| file.modified()).expect("a time");
        assert_eq!(file.reload_at(written), Reload::Unsettled, "{part:?}");
        assert_eq!(file.agents().agents.len(), 2, "{part:?}");
    }
    assert_eq!(settled(&mut file), Reload::Changed(Vec::new()));
    assert_eq!(file.agents().agents.len(), 1);
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_told_once_and_keeps_the_old() {
    let project = project("", "agents:\n  - {name: a, role: fix}\n");
    let (mut file, warnings) = AgentsFile::open(&project.layout).expect("valid");
    assert_eq!(warnings, []);
    assert_eq!(settled(&mut file), Reload::Unchanged);
    let write = |text: &str| fs::write(project.layout.agents_file(), text).expect("written");
    // The same size, within one tick of the clock.
    write("agents:\n  - {name: b, role: fix}\n");
    assert_eq!(settled(&mut file), Reload::Changed(Vec::new()));
    assert!(file.agents().get("b").is_some());
    write("agents:\n  - {name: c, role: fx}\n");
    match settled(&mut file) {
        Reload::Kept(findings) => told(&strings(&findings), &[".octopoid/agents.yaml:2:21: error: unknown role 'fx'"]),
        other @ (Reload::Unchanged | Reload::Unsettled | Reload::Changed(_)) => panic!("{other:?}"),
    }
    assert!(file.agents().get("b").is_some());
    assert_eq!(settled(&mut file), Reload::Unchanged);
    fs::remove_file(project.layout.agents_file()).expect("removed");
    assert!(matches!(settled(&mut file), Reload::Kept(findings) if findings[0].message.contains("the agents read before stay")));
    assert_eq!(settled(&mut file), Reload::Unchanged);
    assert!(file.agents().get("b").is_some());
    write("agents:\n  - {name: b, role: fix}\n  - {name: d, role: tester}\n");
    assert!(matches!(settled(&mut file), Reload::Changed(warnings) if warnings.len() == 1));
    assert_eq!(file.agents().agents.len(), 2);
    write("agents: [\n");
    assert!(AgentsFile::open(&project.layout).is_err());
}

#[test]
fn validate_tells_of_missing_programs_prompts_and_taken_ports() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let agents = "agents:\n  - {name: a, role: fix, command: [no-such-program-here]}\n  - {name: b, role: docs, enabled: false, command: [neither]}\n  - name: c\n    role: review\n    command: [sh]\n    prompt: nowhere\n  - {name: d, role: test, command: [./gone.sh]}\n";
    let project = project(&format!("api:\n  # our own\n  port: {port}\n"), agents);
    fs::write(project.layout.prompts_dir().join("test.md"), "# Test\n\n{{ task.titel }}\n").expect("written");
    fs::write(project.layout.prompts_dir().join("fix.md"), "# Fix\n{% if previous %}{% endfor %}\n").expect("written");
    let surroundings = Surroundings { path: std::env::var_os("PATH"), node: None, alone: false };
    let findings = config::validate(&project.layout, &surroundings);
    assert!(config::has_errors(&findings));
    let own = std::process::id();
    let held = format!(".octopoid/config.yaml:3:9: error: port {port} cannot be used: it is held by ");
    told(
        &strings(&findings),
        &[
            ".octopoid/agents.yaml:2:35: error: agent 'a' runs 'no-such-program-here', which is not on PATH",
            ".octopoid/agents.yaml:4:5: error: the prompt .octopoid/prompts/nowhere.md cannot be read",
            ".octopoid/agents.yaml:8:36: error: agent 'd' runs './gone.sh', which is no program that can be run",
            ".octopoid/config.yaml:1:1: error: ",
            if cfg!(target_os = "linux") { &held } else { ".octopoid/config.yaml:3:9: error: port" },
            ".octopoid/prompts/fix.md:2: error: ",
            ".octopoid/prompts/test.md:3: error: undefined value",
        ],
    );
    if cfg!(target_os = "linux") {
        assert!(findings[4].message.contains(&format!("(process {own})")), "{}", findings[4]);
        let as_node = config::validate(&project.layout, &Surroundings { node: Some(own), ..surroundings });
        assert!(!as_node.iter().any(|finding| finding.message.contains("port")), "the node's own port");
    }
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error && !finding.fix.is_empty()));
}
