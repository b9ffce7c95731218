//! Reads [`Agents`] from the tree of agents.yaml.

use std::{collections::BTreeMap, time::Duration};

use octopoid_crdt::{ids::Name, record::Queue};

use super::{
    agents::{Agent, Agents, PLACEHOLDERS},
    read_settings::name,
    reader::{Report, Section},
    roles::{BuiltIn, CustomRole, synonym},
    suggest::nearest,
    yaml::{Node, Place, Value, clipped},
};

/// More than anyone runs on one machine, and few enough to list.
const MAX_AGENTS: usize = 256;

/// Reads everything; an agent that cannot be understood is reported and left out.
pub(super) fn read(tree: &Node, report: &mut Report) -> Agents {
    let mut top = Section::open("", tree, report);
    let roles = read_roles(&mut top, report);
    let items = top.items("agents", report).unwrap_or_default();
    if items.is_empty() {
        let at = report.places.get("agents").unwrap_or(&tree.at).clone();
        report.warning(&at, "no agents are defined: tasks are queued, but nothing works on them", "add one under 'agents:'");
    }
    if let Some(surplus) = items.get(MAX_AGENTS) {
        report.error(&surplus.at, format!("more than {MAX_AGENTS} agents"), "use max_instances to run several of one kind");
    }
    let mut agents: Vec<Agent> = Vec::new();
    for (index, item) in items.iter().take(MAX_AGENTS).enumerate() {
        let section = Section::open(format!("agents[{index}]"), item, report);
        let agent = if is_section(item) { read_agent(section, item, &roles, report) } else { None };
        let Some(agent) = agent else { continue };
        if let Some(first) = agents.iter().find(|known| known.name == agent.name) {
            let at = report.places.get(&format!("agents[{index}].name")).unwrap_or(&item.at).clone();
            let message = format!("two agents are named '{}' (the first is on line {})", agent.name, first.at.line);
            report.error(&at, message, "give each agent a name of its own");
        }
        agents.push(agent);
    }
    top.finish(report);
    Agents { agents, roles, places: std::mem::take(&mut report.places) }
}

fn is_section(node: &Node) -> bool {
    match node.value {
        Value::Map(_) => true,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => false,
    }
}

fn read_agent(mut section: Section<'_>, item: &Node, roles: &[CustomRole], report: &mut Report) -> Option<Agent> {
    let name = name(&mut section, "name", report);
    let word = section.text("role", report);
    let role_at = section.place("role", report).unwrap_or_else(|| item.at.clone());
    let role = word.map(|word| find_role(&word, roles, &role_at, report));
    for key in ["name", "role"].into_iter().filter(|key| section.lacks(key)) {
        report.error(&item.at, format!("this agent has no {key}"), format!("add '{key}: …'"));
    }
    let seconds = |value: Option<u32>, default: u64| Duration::from_secs(value.map_or(default, u64::from));
    let (role, claims_from, tools) = role.flatten().unwrap_or_else(|| resolve(BuiltIn::Implement));
    let agent = Agent {
        name: name.clone().unwrap_or_else(|| "unnamed".parse().expect("a valid name")),
        role,
        claims_from,
        interval: seconds(section.number("interval_seconds", 0..=604_800, report), 0),
        model: section.text("model", report).filter(|model| !model.is_empty()),
        max_turns: section.number("max_turns", 1..=10_000, report).unwrap_or(50),
        enabled: section.flag("enabled", report).unwrap_or(true),
        paused: section.flag("paused", report).unwrap_or(false),
        max_instances: section.number("max_instances", 1..=64, report).unwrap_or(1),
        command: read_command(&mut section, report),
        prompt: section.parsed("prompt", "the name of a template in prompts/, or a path", report, prompt),
        timeout: seconds(section.number("timeout_seconds", 1..=604_800, report), 3600),
        allowed_tools: section.texts("allowed_tools", report).unwrap_or(tools),
        env: read_env(&mut section, report),
        env_pass: read_env_pass(&mut section, report),
        at: item.at.clone(),
    };
    section.finish(report);
    name.map(|_| agent)
}

fn prompt(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
    (fits && (text.contains('/') || text.trim_end_matches(".md").parse::<Name>().is_ok())).then(|| text.to_owned())
}

type Role = (Name, Queue, Vec<String>);

fn resolve(role: BuiltIn) -> Role {
    (role.as_str().parse().expect("names of built-in roles are names"), role.claims_from(), role.allowed_tools())
}

fn find_role(word: &str, roles: &[CustomRole], at: &Place, report: &mut Report) -> Option<Role> {
    if let Some(role) = roles.iter().find(|role| role.name.as_str() == word) {
        return Some((role.name.clone(), role.claims_from.clone(), BuiltIn::Implement.allowed_tools()));
    }
    if let Some(role) = BuiltIn::named(word) {
        return Some(resolve(role));
    }
    if let Some(role) = synonym(word) {
        report.warning(at, format!("role '{word}' is read as '{}'", role.as_str()), format!("write 'role: {}'", role.as_str()));
        return Some(resolve(role));
    }
    let known = || BuiltIn::ALL.iter().map(|role| role.as_str()).chain(roles.iter().map(|role| role.name.as_str()));
    let fix = match nearest(word, known()) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => "use one of these, or define it under 'roles:' in this file".to_owned(),
    };
    let list = known().collect::<Vec<_>>().join(", ");
    report.error(at, format!("unknown role '{}'; known roles: {list}", clipped(word)), fix);
    None
}

fn read_command(section: &mut Section<'_>, report: &mut Report) -> Option<Vec<String>> {
    let path = section.name("command");
    let words = section.texts("command", report)?;
    let at = section.place("command", report)?;
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        report.error(&at, format!("{path} names no program"), "write [program, argument, …], or remove the line to run Claude Code");
        return None;
    }
    for word in &words {
        warn_of_misspelt_placeholder(word, &at, report);
    }
    Some(words)
}

fn warn_of_misspelt_placeholder(word: &str, at: &Place, report: &mut Report) {
    let inner = word.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(inner, _)| inner);
    for name in inner.filter(|name| !PLACEHOLDERS.contains(name)) {
        if let Some(meant) = nearest(name, PLACEHOLDERS) {
            report.warning(
                at,
                format!("'{{{}}}' is no placeholder and stays as it is", clipped(name)),
                format!("did you mean '{{{meant}}}'?"),
            );
        }
    }
}

fn is_variable(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    starts && name.len() <= 256 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn read_env(section: &mut Section<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let path = section.name("env");
    let mut env = section.words("env", report).unwrap_or_default();
    let Some(at) = section.place("env", report) else { return env };
    env.retain(|name, value| {
        let own = name.starts_with("OCTOPOID_") || name == "CLAUDECODE";
        if own || !is_variable(name) || value.contains('\0') {
            let why = if own { "is set or removed by the node itself" } else { "is no variable that a program can be given" };
            report.error(&at, format!("{path}: '{}' {why}", clipped(name)), "remove it, or choose another name");
            return false;
        }
        true
    });
    env
}

fn read_env_pass(section: &mut Section<'_>, report: &mut Report) -> Vec<String> {
    let path = section.name("env_pass");
    let mut patterns = section.texts("env_pass", report).unwrap_or_default();
    let Some(at) = section.place("env_pass", report) else { return patterns };
    patterns.retain(|pattern| {
        let letters = pattern.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'*' | b'?'));
        if pattern.is_empty() || pattern.len() > 256 || !letters {
            let message = format!("{path}: '{}' is no name of a variable, nor a pattern of such names", clipped(pattern));
            report.error(&at, message, "use letters, digits, '_', and '*' or '?'");
            return false;
        }
        if pattern.bytes().all(|b| b == b'*') {
            report.warning(
                &at,
                format!("{path}: '*' hands the agent every secret of your environment"),
                "name the variables that it needs",
            );
        }
        true
    });
    patterns
}

fn read_roles(top: &mut Section<'_>, report: &mut Report) -> Vec<CustomRole> {
    let mut roles: Vec<CustomRole> = Vec::new();
    for (index, item) in top.items("roles", report).unwrap_or_default().iter().take(MAX_AGENTS).enumerate() {
        let section = Section::open(format!("roles[{index}]"), item, report);
        let Some(role) = (if is_section(item) { read_role(section, item, report) } else { None }) else { continue };
        if BuiltIn::named(role.name.as_str()).is_some() {
            let message = format!("role '{}' is built in", role.name);
            report.error(&item.at, message, "remove it here; edit its prompt to change what it does");
        } else if roles.iter().any(|known| known.name == role.name) {
            report.error(&item.at, format!("two roles are named '{}'", role.name), "remove one of them");
        } else {
            roles.push(role);
        }
    }
    roles
}

fn read_role(mut section: Section<'_>, item: &Node, report: &mut Report) -> Option<CustomRole> {
    let name = name(&mut section, "name", report);
    if section.lacks("name") {
        report.error(&item.at, "this role has no name", "add 'name: …'");
    }
    let wanted = "incoming, provisional, needs_continuation or a state of a flow";
    let claims_from = section.parsed("claims_from", wanted, report, claimable).unwrap_or(Queue::Incoming);
    let description = section.text("description", report).unwrap_or_default();
    section.finish(report);
    Some(CustomRole { name: name?, claims_from, description })
}

fn claimable(text: &str) -> Option<Queue> {
    let queue = Queue::parse(text).ok()?;
    match queue {
        Queue::Incoming | Queue::Provisional | Queue::NeedsContinuation | Queue::Custom(_) => Some(queue),
        Queue::Claimed | Queue::Done | Queue::Cancelled | Queue::Failed | Queue::Blocked | Queue::Backlog => None,
    }
}
