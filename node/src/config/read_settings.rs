//! Reads [`Config`] from the tree of config.yaml with local.yaml over it.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use octopoid_crdt::ids::Name;

use super::{
    reader::{Report, Section},
    settings::{Api, ApiKey, Auth, Compat, Config, Merge, Mode, Network, Repo, Server, Setup, Tls, Worktree},
    yaml::{Node, Value},
};

/// What a name of a scope, cluster, machine, agent or role looks like.
const A_NAME: &str = "a name: letters, digits, '.', '_' and '-', at most 128, starting with a letter or digit";

/// Reads everything, with defaults where something is missing or does not fit.
pub(super) fn read(tree: &Node, root: &Path, report: &mut Report) -> Config {
    let mut top = Section::open("", tree, report);
    let mode = top.choice("mode", &[("local", Mode::Local), ("remote", Mode::Remote), ("mesh", Mode::Mesh)], report);
    let config = Config {
        mode: mode.unwrap_or(Mode::Local),
        scope: name(&mut top, "scope", report).unwrap_or_else(default_scope),
        server: server(top.section("server", report), root, report),
        max_concurrent: agents(top.section("agents", report), report),
        repo: repo(top.section("repo", report), root, report),
        api: api(top.section("api", report), root, report),
        network: network(top.section("network", report), report),
        lease_ttl: leases(top.section("leases", report), report),
        worktree: worktree(top.section("worktree", report), report),
        tick_interval: scheduler(top.section("scheduler", report), report),
        log_limit: logs(top.section("logs", report), report),
        places: Default::default(),
    };
    top.finish(report);
    judge_exposure(&config.api, report);
    judge_mode(&config, report);
    Config { places: std::mem::take(&mut report.places), ..config }
}

fn default_scope() -> Name {
    "default".parse().expect("a valid name")
}

pub(super) fn name(section: &mut Section<'_>, key: &'static str, report: &mut Report) -> Option<Name> {
    section.parsed(key, A_NAME, report, |text| text.parse().ok())
}

fn server(mut section: Section<'_>, root: &Path, report: &mut Report) -> Server {
    let server = Server {
        enabled: section.flag("enabled", report),
        url: section.parsed("url", "an address that starts with http:// or https://", report, address),
        cluster: name(&mut section, "cluster", report),
        machine_id: name(&mut section, "machine_id", report),
        api_key: section.text("api_key", report).map(ApiKey),
        ca: section.text("ca", report).map(|ca| root.join(ca)),
    };
    section.finish(report);
    server
}

fn address(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let plain = !rest.is_empty() && !rest.starts_with('/') && !rest.chars().any(|c| c.is_whitespace() || c.is_control());
    plain.then(|| text.trim_end_matches('/').to_owned())
}

fn agents(mut section: Section<'_>, report: &mut Report) -> u32 {
    let max_concurrent = section.number("max_concurrent", 1..=256, report).unwrap_or(3);
    section.finish(report);
    max_concurrent
}

fn repo(mut section: Section<'_>, root: &Path, report: &mut Report) -> Repo {
    let merges = [("auto", Merge::Auto), ("pr", Merge::Pr), ("never", Merge::Never)];
    let wanted = "the name of a branch, without refs/heads/";
    let path = section.text("path", report).map_or_else(|| root.to_owned(), |path| root.join(path));
    let main_branch = section.parsed("main_branch", wanted, report, branch).unwrap_or_else(|| "main".to_owned());
    let repo = Repo {
        path,
        base: section.parsed("base", wanted, report, branch).unwrap_or_else(|| main_branch.clone()),
        main_branch,
        merge: section.choice("merge", &merges, report).unwrap_or(Merge::Never),
    };
    section.finish(report);
    repo
}

/// Accepts what git accepts as a branch, a little narrower: nothing that an option, a range or a reflog could be.
pub(crate) fn branch(text: &str) -> Option<String> {
    let plain = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
    let parts = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let fits = text.len() <= 200 && text.chars().all(plain) && parts;
    let odd = text.starts_with('-') || text.starts_with("refs/") || text.ends_with('.') || text.contains("..") || text.contains("@{");
    (fits && !odd && text != "@" && text != "HEAD").then(|| text.to_owned())
}

fn api(mut section: Section<'_>, root: &Path, report: &mut Report) -> Api {
    let base = Api::default();
    let api = Api {
        host: section.parsed("host", "an IP address, such as 127.0.0.1", report, host).unwrap_or(base.host),
        port: section.number("port", 0..=u16::MAX, report),
        auth: section.choice("auth", &[("token", Auth::Token), ("none", Auth::None)], report).unwrap_or(base.auth),
        hosts: hosts(&mut section, report),
        compat: section.choice("compat", &[("seed", Compat::Seed), ("head", Compat::Head)], report).unwrap_or(base.compat),
        insecure: section.flag("insecure", report).unwrap_or(false),
        tls: tls(section.section("tls", report), root, report),
    };
    section.finish(report);
    api
}

fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse().ok() }
}

fn hosts(section: &mut Section<'_>, report: &mut Report) -> Vec<String> {
    let named = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        !text.is_empty() && text.len() <= 255 && text.chars().all(plain)
    };
    let hosts = section.texts("hosts", report).unwrap_or_default();
    if let Some(bad) = hosts.iter().find(|host| !named(host))
        && let Some(at) = section.place("hosts", report)
    {
        let shown = super::yaml::clipped(bad);
        report.error(
            &at,
            format!("api.hosts holds '{shown}', which is not a host name"),
            "write host or host:port, without http:// and without *",
        );
    }
    hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn network(mut section: Section<'_>, report: &mut Report) -> Network {
    let base = Network::default();
    let listen = addresses(&mut section, "listen", report, "write /ip4/0.0.0.0/tcp/4001, or port 0 for any free one", |text| {
        let address: octopoid_net::Multiaddr = text.parse().ok()?;
        text.contains("/tcp/").then_some(address)
    });
    let outside = "write the address that others use, such as /ip4/203.0.113.7/tcp/4001";
    let announce = addresses(&mut section, "announce", report, outside, |text| octopoid_net::reachable(text).ok());
    let wanted = "write /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…: `octopoid peers addresses` on that machine prints it";
    let peers = addresses(&mut section, "peers", report, wanted, |text| octopoid_net::bootstrap(text).is_ok().then(|| text.to_owned()));
    let network = Network {
        listen: listen.unwrap_or(base.listen),
        announce: announce.unwrap_or_default(),
        peers: peers.unwrap_or_default(),
        mdns: section.flag("mdns", report).unwrap_or(base.mdns),
    };
    section.finish(report);
    network
}

/// Reads a list of addresses; each that is none is told.
fn addresses<T>(
    section: &mut Section<'_>,
    key: &'static str,
    report: &mut Report,
    help: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let texts = section.texts(key, report)?;
    let place = section.place(key, report);
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        match (read(&text), &place) {
            (Some(address), _) => all.push(address),
            (None, Some(at)) => {
                report.error(at, format!("network.{key} holds '{}', which is no address", super::yaml::clipped(&text)), help);
            }
            (None, None) => {}
        }
    }
    Some(all)
}

fn tls(mut section: Section<'_>, root: &Path, report: &mut Report) -> Option<Tls> {
    let cert = section.text("cert", report);
    let key = section.text("key", report);
    section.finish(report);
    let at = report.places.get("api.tls").cloned();
    match (cert, key, at) {
        (Some(cert), Some(key), _) => Some(Tls { cert: root.join(cert), key: root.join(key) }),
        (None, None, _) | (_, _, None) => None,
        (_, _, Some(at)) => {
            report.error(&at, "api.tls needs both cert and key", "name the PEM files of the certificate chain and of its key");
            None
        }
    }
}

/// Refuses an API that strangers could read or use.
fn judge_exposure(api: &Api, report: &mut Report) {
    if api.host.is_loopback() {
        return;
    }
    let Some(at) = report.places.get("api.host").cloned() else { return };
    if api.auth == Auth::None {
        report.error(
            &at,
            format!("api.auth is none while api.host {} is reachable from other machines", api.host),
            "set api.auth: token, or api.host: 127.0.0.1",
        );
    }
    if api.tls.is_none() && !api.insecure {
        let message = format!("api.host {} is reachable from other machines, so the token would travel in the clear", api.host);
        report.error(&at, message, "set api.tls with cert and key, or api.host: 127.0.0.1; api.insecure: true accepts the risk");
    }
}

fn judge_mode(config: &Config, report: &mut Report) {
    let server = &config.server;
    if config.joins_a_server()
        && server.url.is_none()
        && let Some(at) = report.places.get("mode").cloned()
    {
        let fix = "set it to the address of the authority's API; mode: mesh is a cluster without one, mode: local one machine";
        report.error(&at, "mode is remote, but server.url is not set", fix);
    }
    if server.api_key.is_some()
        && let Some(at) = report.places.get("server.api_key").cloned()
        && at.file.ends_with("config.yaml")
    {
        report.warning(&at, "server.api_key stands in a file that may be committed", "move it to .octopoid/runtime/local.yaml");
    }
}

fn leases(mut section: Section<'_>, report: &mut Report) -> Duration {
    let seconds = section.number("ttl_seconds", 1..=3600u32, report).unwrap_or(300);
    section.finish(report);
    Duration::from_secs(seconds.into())
}

fn scheduler(mut section: Section<'_>, report: &mut Report) -> Duration {
    let millis = section.number("tick_interval_ms", 50..=3_600_000u32, report).unwrap_or(10_000);
    section.finish(report);
    Duration::from_millis(millis.into())
}

fn logs(mut section: Section<'_>, report: &mut Report) -> u64 {
    let mib = section.number("max_mib", 1..=65_536u32, report).unwrap_or(64);
    section.finish(report);
    u64::from(mib) * 1024 * 1024
}

fn worktree(mut section: Section<'_>, report: &mut Report) -> Worktree {
    let copy = section.texts("copy", report).unwrap_or_default().into_iter().map(PathBuf::from).collect::<Vec<_>>();
    if let Some(bad) = copy.iter().find(|path| !stays_inside(path))
        && let Some(at) = section.place("copy", report)
    {
        let message = format!(
            "worktree.copy holds '{}', which leads out of the repository or into .git",
            super::yaml::clipped(&bad.to_string_lossy())
        );
        report.error(&at, message, "name files relative to the repository's root, without '..'");
    }
    let worktree = Worktree { copy, setup: section.read("setup", report, setup).flatten() };
    section.finish(report);
    worktree
}

fn stays_inside(path: &Path) -> bool {
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    let named = parts.peek().is_some_and(|first| !matches!(first, Component::Normal(name) if name.eq_ignore_ascii_case(".git")));
    named && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn setup(node: &Node) -> Result<Option<Setup>, String> {
    let wanted = || "a list [program, argument, …], or one line for sh".to_owned();
    match &node.value {
        Value::Text(line) if line.trim().is_empty() => Ok(None),
        Value::Text(line) => Ok(Some(Setup::Shell(line.clone()))),
        Value::List(items) => {
            let words = items.iter().map(|item| match &item.value {
                Value::Text(word) => Ok(word.clone()),
                Value::Int(number) => Ok(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => Err(wanted()),
            });
            let words = words.collect::<Result<Vec<_>, _>>()?;
            Ok(words.first().is_some_and(|program| !program.is_empty()).then_some(Setup::Program(words)))
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Map(_) => Err(wanted()),
    }
}
