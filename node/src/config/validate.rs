//! Checks a project as a whole: its files, its repository, its agents' programs and its port.
//!
//! **Invariants**: nothing is changed, no program of the repository runs, and git is told not to run any either.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    agents::{Agent, Agents, resolve_program},
    finding::{Finding, Severity},
    load, port,
    settings::{Config, DEFAULT_PORT, Tls},
    yaml::Place,
};
use crate::{
    project::Layout,
    prompt,
    tls::{Certificate, Doubt},
};

/// The oldest git that works: linked worktrees, `--end-of-options` and the hardened settings need it.
const OLDEST_GIT: (u32, u32) = (2, 34);

/// What of the caller's surroundings the checks look at.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The search path for programs.
    pub path: Option<OsString>,
    /// The process of the node that serves this project, when one does: its port is no finding.
    pub node: Option<u32>,
    /// Whether this machine is known to be a member of no cluster.
    pub alone: bool,
}

/// Returns everything that is worth mending, errors and warnings, in the order of files and lines.
#[must_use]
pub fn validate(layout: &Layout, surroundings: &Surroundings) -> Vec<Finding> {
    let (config, mut findings) = load::check(layout);
    let (agents, of_agents) = load::check_agents(layout);
    findings.extend(of_agents);
    prompts(layout, &agents, &mut findings);
    programs(layout, &agents, surroundings, &mut findings);
    api(layout, &config, surroundings, &mut findings);
    repository(layout, &config, surroundings, &mut findings);
    if surroundings.alone && config.joins_a_server() {
        let at = place(layout, &config, &["mode"]);
        let fix = "run octopoid init, with the node stopped, to join the cluster of server.url";
        findings.push(Finding::warning(&at, "mode is remote, but this machine is no member of a cluster yet and works alone", fix));
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column, a.severity).cmp(&(&b.file, b.line, b.column, b.severity)));
    findings.dedup();
    findings
}

fn prompts(layout: &Layout, agents: &Agents, findings: &mut Vec<Finding>) {
    let mut tried = BTreeSet::new();
    for agent in &agents.agents {
        if tried.insert((agent.role.clone(), agent.prompt.clone())) {
            findings.extend(prompt::check(layout, agent.role.as_str(), agent.prompt.as_deref(), agent.place()));
        }
    }
}

fn programs(layout: &Layout, agents: &Agents, surroundings: &Surroundings, findings: &mut Vec<Finding>) {
    for (index, agent) in agents.agents.iter().enumerate().filter(|(_, agent)| agent.enabled) {
        let path = agent.env.get("PATH").map(OsString::from).or_else(|| surroundings.path.clone());
        let program = agent.program();
        if program.contains('{') || find_program(&resolve_program(program, layout.root()), path.as_deref()).is_some() {
            continue;
        }
        let at = agents.place(&format!("agents[{index}].command")).unwrap_or(agent.place());
        findings.push(missing(agent, program, at));
    }
}

fn missing(agent: &Agent, program: &str, at: &Place) -> Finding {
    let place = if program.contains('/') { "is no program that can be run" } else { "is not on PATH" };
    let fix = match agent.command {
        Some(_) => "correct 'command', or install the program",
        None => "install Claude Code, or name another program as 'command'",
    };
    Finding::error(at, format!("agent '{}' runs '{program}', which {place}", agent.name), fix)
}

/// Finds a program: a path as it is, a bare name on the search path.
#[must_use]
pub fn find_program(program: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let runs = |file: &Path| fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return runs(program).then(|| program.to_owned());
    }
    std::env::split_paths(path?).map(|folder| folder.join(program)).find(|file| runs(file))
}

/// Returns where a key is set, else the start of config.yaml.
fn place(layout: &Layout, config: &Config, keys: &[&str]) -> Place {
    let known = keys.iter().find_map(|key| config.place(key));
    known.cloned().unwrap_or_else(|| Place { file: Arc::from(layout.shown(&layout.config_file())), line: 1, column: 1 })
}

fn api(layout: &Layout, config: &Config, surroundings: &Surroundings, findings: &mut Vec<Finding>) {
    let at = place(layout, config, &["api.port", "api.host", "api"]);
    findings.extend(config.api.tls.iter().flat_map(|files| certificate(files, &place(layout, config, &["api.tls"]))));
    if config.api.host.is_unspecified() && config.api.hosts.is_empty() {
        let message = "api.hosts names nothing under which other machines may ask, so they are refused (421)";
        findings.push(Finding::warning(&at, message, "add the name or address that callers use to api.hosts"));
    }
    let port = config.api.port.unwrap_or(DEFAULT_PORT);
    if port == 0 || surroundings.node.is_some() && config.api.port.is_none() {
        return;
    }
    let Err(error) = port::is_free(config.api.host, port) else { return };
    let holder = port::holder(port);
    if surroundings.node.is_some() && holder.as_ref().is_none_or(|holder| Some(holder.pid) == surroundings.node) {
        return;
    }
    let who = holder.map_or_else(|| error.to_string(), |holder| format!("it is held by {} (process {})", holder.name, holder.pid));
    findings.push(match config.api.port {
        Some(_) => {
            Finding::error(&at, format!("port {port} cannot be used: {who}"), "choose another api.port, or remove it to take a free one")
        }
        None => {
            Finding::warning(&at, format!("port {port} is taken: {who}"), "the node takes the next free port; set api.port to choose one")
        }
    });
}

fn certificate(files: &Tls, at: &Place) -> Vec<Finding> {
    match Certificate::load(files) {
        Err(error) => vec![Finding::error(at, crate::causes::describe(&error), "correct api.tls")],
        Ok(certificate) => certificate.doubts(Timestamp::now()).into_iter().map(|doubt| doubtful(&doubt, at)).collect(),
    }
}

fn doubtful(doubt: &Doubt, at: &Place) -> Finding {
    let fix = match doubt {
        Doubt::Expired(_) | Doubt::ExpiresSoon(_) => "renew it, and start the node again",
        Doubt::NotYet(_) => "look at this machine's clock",
        Doubt::KeyIsRead(_) => "",
    };
    if doubt.refuses() { Finding::error(at, doubt.to_string(), fix) } else { Finding::warning(at, doubt.to_string(), fix) }
}

fn repository(layout: &Layout, config: &Config, surroundings: &Surroundings, findings: &mut Vec<Finding>) {
    let at = place(layout, config, &["repo.path", "repo"]);
    let Some(program) = find_program(Path::new("git"), surroundings.path.as_deref()) else {
        return findings.push(Finding::error(&at, "git is not on PATH", "install git 2.34 or later"));
    };
    let git = Git { program, path: surroundings.path.clone(), repository: config.repo.path.clone() };
    match git.version() {
        Some(version) if version >= OLDEST_GIT => {}
        Some((major, minor)) => {
            findings.push(Finding::error(&at, format!("git is version {major}.{minor}; 2.34 or later is needed"), "update git"));
        }
        None => findings.push(Finding::warning(&at, "git does not tell its version", "check that 'git --version' works")),
    }
    if !git.succeeds(&["rev-parse", "--is-inside-work-tree"]) {
        let message = format!("{} is no work tree of a git repository", config.repo.path.display());
        return findings.push(Finding::error(&at, message, "run 'git init' there, or correct repo.path"));
    }
    if !git.succeeds(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) {
        return findings.push(Finding::error(&at, "the repository has no commit to start from", "make a first commit"));
    }
    for (key, branch) in [("repo.main_branch", &config.repo.main_branch), ("repo.base", &config.repo.base)] {
        let refs = [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")];
        let exists = refs.iter().any(|name| git.succeeds(&["show-ref", "--verify", "--quiet", name]));
        if !exists && (key == "repo.main_branch" || config.place(key).is_some()) {
            let at = place(layout, config, &[key, "repo"]);
            findings.push(Finding::error(
                &at,
                format!("the repository has no branch '{branch}'"),
                format!("correct {key}, or make the branch"),
            ));
        }
    }
}

/// Asks git questions that change nothing.
struct Git {
    program: PathBuf,
    path: Option<OsString>,
    repository: PathBuf,
}

impl Git {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for setting in ["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never"] {
            command.args(["-c", setting]);
        }
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(variable);
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.arg("-C").arg(&self.repository).args(args).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn succeeds(&self, args: &[&str]) -> bool {
        self.command(args).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn version(&self) -> Option<(u32, u32)> {
        let output = Command::new(&self.program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        version(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Reads `git version 2.39.5 (…)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("git version ")?.split(['.', ' ', '-']).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Tells whether findings hold an error.
#[must_use]
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read() {
        for (text, told) in [
            ("git version 2.39.5\n", Some((2, 39))),
            ("git version 2.34.1.windows.1", Some((2, 34))),
            ("git version 2.50.1 (Apple Git-155)", Some((2, 50))),
            ("git version 3.0-rc1", Some((3, 0))),
            ("hub version 1", None),
        ] {
            assert_eq!(version(text), told, "{text}");
        }
    }
}
