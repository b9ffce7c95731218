//! Turns the agents of earlier versions into an `agents.yaml` of this one.
//!
//! Only what means the same here is taken: name, role, model, limits and pauses. Commands, tools, prompts and environment of an earlier
//! version are not, since they spoke of that version's scripts; an agent of a role that is not built in is left out and told.
//!
//! **Invariants**: what is written passes this program's own checks; a file in which no agent is found is an error, never an empty result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::cells::as_text;
use crate::config::{self, quoted, role_of};

/// The most agents that are taken.
const MOST: usize = 256;

/// Agents of an earlier version, as this one writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The text of agents.yaml.
    pub text: String,
    /// The names of the agents in it.
    pub names: Vec<String>,
    /// What was left out, one sentence each.
    pub left_out: Vec<String>,
}

/// States why no agents were found.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file is no YAML.
    #[error("{}: {why}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No agent is in it.
    #[error("{} names no agent in any way that is known: a list 'agents', a map 'agents', or a list 'fleet'{}", path.display(), reasons(.left_out))]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was left out.
        left_out: Vec<String>,
    },
    /// What was made of it does not pass this program's checks.
    #[error("the agents of {} cannot be written for this version: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

fn reasons(left_out: &[String]) -> String {
    if left_out.is_empty() { String::new() } else { format!(" ({})", left_out.join("; ")) }
}

/// Reads the agents of a folder: its agents.yaml, else `agents/*/agent.yaml` in it or in `.octopoid` beside it. None where there is neither.
///
/// # Errors
/// When there are files, and no agent in them.
pub fn of_folder(folder: &Path) -> Result<Option<Converted>, AgentsError> {
    let folder = if folder.join(".orchestrator").is_dir() { folder.join(".orchestrator") } else { folder.to_owned() };
    let beside = folder.parent().unwrap_or(&folder).join(".octopoid");
    let mut blueprints = blueprints(&folder.join("agents"))?;
    for (name, blueprint) in self::blueprints(&beside.join("agents"))? {
        blueprints.entry(name).or_insert(blueprint);
    }
    let file = folder.join("agents.yaml");
    if file.is_file() {
        return convert(&yaml(&file)?, &blueprints, &file).map(Some);
    }
    if blueprints.is_empty() {
        return Ok(None);
    }
    convert(&Value::Null, &blueprints, &folder.join("agents")).map(Some)
}

fn yaml(path: &Path) -> Result<Value, AgentsError> {
    let text = config::read_text(path).map_err(|source| AgentsError::Read { path: path.to_owned(), source })?.unwrap_or_default();
    config::yaml_as_json(&text).map_err(|why| AgentsError::Yaml { path: path.to_owned(), why })
}

/// Reads `<name>/agent.yaml` below a folder, which need not be there.
fn blueprints(folder: &Path) -> Result<BTreeMap<String, Value>, AgentsError> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST) {
        let file = entry.path().join("agent.yaml");
        if file.is_file() {
            found.insert(entry.file_name().to_string_lossy().into_owned(), yaml(&file)?);
        }
    }
    Ok(found)
}

/// Converts what a file says.
fn convert(root: &Value, blueprints: &BTreeMap<String, Value>, path: &Path) -> Result<Converted, AgentsError> {
    let mut found: Vec<(String, Map<String, Value>)> = Vec::new();
    let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let named = |value: &Value| value.get("name").map(as_text).unwrap_or_default();
    match root.get("agents") {
        Some(Value::Array(agents)) => found.extend(agents.iter().map(|agent| (named(agent), map(agent)))),
        Some(Value::Object(agents)) => found.extend(agents.iter().map(|(name, agent)| (name.clone(), map(agent)))),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
    for agent in root.get("fleet").and_then(Value::as_array).into_iter().flatten() {
        let kind = agent.get("type").map(as_text).unwrap_or_default();
        let mut joined = blueprints.get(&kind).map(map).unwrap_or_default();
        joined.entry("role").or_insert_with(|| kind.clone().into());
        joined.extend(map(agent));
        found.push((named(agent), joined));
    }
    if found.is_empty() {
        let one = |(name, agent): (&String, &Value)| (agent.get("name").map_or_else(|| name.clone(), as_text), map(agent));
        found.extend(blueprints.iter().map(one));
    }
    let (mut text, mut names, mut left_out) = (HEAD.to_owned(), Vec::new(), Vec::new());
    for (name, agent) in found {
        match write(&name, &agent, &names) {
            Ok(lines) => {
                text.push_str(&lines);
                names.push(name);
            }
            Err(why) => left_out.push(format!("agent '{}' is left out: {why}", super::tables::shown(&name))),
        }
    }
    if names.is_empty() {
        return Err(AgentsError::Empty { path: path.to_owned(), left_out });
    }
    config::check_agents_text(&text).map_err(|why| AgentsError::Unfit { path: path.to_owned(), why })?;
    Ok(Converted { text, names, left_out })
}

const HEAD: &str = "# Made by 'octopoid import' of the agents of an earlier version. Commands, tools and prompts are this version's own:
# docs/configuration.md tells what can be set, and 'octopoid validate' checks it.
agents:
";

/// Writes one agent.
fn write(name: &str, agent: &Map<String, Value>, names: &[String]) -> Result<String, String> {
    if name.parse::<octopoid_crdt::ids::Name>().is_err() {
        return Err("its name cannot be used here".to_owned());
    }
    if names.iter().any(|known| known == name) {
        return Err("another agent has this name".to_owned());
    }
    let word = agent.get("role").or_else(|| agent.get("type")).map(as_text).unwrap_or_default();
    let role = role_of(&word).ok_or_else(|| match word.as_str() {
        "" => "it has no role".to_owned(),
        other => format!("its role '{}' is not built in; add it under 'roles:' with a prompt, then the agent", super::tables::shown(other)),
    })?;
    let mut lines = format!("  - name: {}\n    role: {role}\n", quoted(name));
    if let Some(model) =
        agent.get("model").and_then(Value::as_str).filter(|model| !model.is_empty() && !model.chars().any(char::is_control))
    {
        let _ = writeln!(lines, "    model: {}", quoted(model));
    }
    let number = |keys: &[&str], range: std::ops::RangeInclusive<u64>| {
        keys.iter().find_map(|key| agent.get(*key)?.as_u64()).filter(|number| range.contains(number))
    };
    for (key, value) in [
        ("interval_seconds", number(&["interval_seconds"], 0..=604_800)),
        ("max_turns", number(&["max_turns"], 1..=10_000)),
        ("max_instances", number(&["max_instances", "max_concurrent"], 1..=64)),
    ] {
        if let Some(value) = value {
            let _ = writeln!(lines, "    {key}: {value}");
        }
    }
    for key in ["enabled", "paused"] {
        if let Some(flag) = agent.get(key).and_then(Value::as_bool) {
            let _ = writeln!(lines, "    {key}: {flag}");
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Converted, AgentsError> {
        let root = config::yaml_as_json(text).unwrap_or_else(|why| panic!("{why}"));
        let blueprint = config::yaml_as_json("role: tester\nmax_turns: 7\n").unwrap_or_else(|why| panic!("{why}"));
        convert(&root, &BTreeMap::from([("checker".to_owned(), blueprint)]), Path::new("agents.yaml"))
    }

    #[test]
    fn every_shape_of_agents_yaml_names_its_agents() {
        for (text, name, lines) in [
            (
                "agents:\n  - name: impl-1\n    role: implementer\n    interval_seconds: 60\n    model: opus\n    max_turns: 20\n    paused: true\n    max_concurrent: 2\n",
                "impl-1",
                &["role: implement\n", "interval_seconds: 60", "max_turns: 20", "paused: true", "max_instances: 2", "model:"][..],
            ),
            (
                "agents:\n  implementer:\n    role: gatekeeper\n    max_instances: 3\n    claim_from: provisional\n",
                "implementer",
                &["role: review", "max_instances: 3"],
            ),
            ("fleet:\n  - name: t1\n    type: checker\n    enabled: false\n", "t1", &["role: test", "max_turns: 7", "enabled: false"]),
            ("fleet:\n  - {name: r, type: reviewer}\n", "r", &["role: review"]),
            ("other: 1\n", "checker", &["role: test", "max_turns: 7"]),
        ] {
            let converted = of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(converted.names, [name], "{text}");
            for line in lines {
                assert!(converted.text.contains(line), "{line} is not in {}", converted.text);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_told_and_left_out() {
        let converted =
            of("agents:\n  - {name: a, role: implementer}\n  - {name: b, role: proposer}\n  - {name: a, role: test}\n  - {role: test}\n")
                .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((converted.names.as_slice(), converted.left_out.len()), (&["a".to_owned()][..], 3));
        assert!(converted.left_out[0].contains("'proposer'"), "{:?}", converted.left_out);
    }

    #[test]
    fn a_file_without_agents_is_an_error() {
        let empty = convert(&Value::Null, &BTreeMap::new(), Path::new("agents.yaml"));
        assert!(matches!(empty, Err(AgentsError::Empty { .. })));
        let unknown =
            convert(&serde_json::json!({ "agents": [{ "name": "b", "role": "proposer" }] }), &BTreeMap::new(), Path::new("agents.yaml"));
        assert!(unknown.is_err_and(|error| error.to_string().contains("proposer")));
    }
}
