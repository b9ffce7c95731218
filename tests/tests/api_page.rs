//! `docs/api.md` says what `sdk/openapi.json` says: it is written from it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Set to anything, the page is written instead of compared, as the description itself is.
const WRITE: &str = "OCTOPOID_WRITE_OPENAPI";

/// The order in which groups of calls are read best; others follow by name.
const ORDER: [&str; 13] = [
    "tasks",
    "projects",
    "drafts",
    "messages",
    "actions",
    "flows",
    "roles",
    "orchestrators",
    "scheduler",
    "events",
    "node",
    "cluster",
    "conflicts",
];

const HEAD: &str = "\
# The REST API

Written from [sdk/openapi.json](../sdk/openapi.json), which a node also serves as `/api/openapi.json`. After a change of the API:
`OCTOPOID_WRITE_OPENAPI=1 cargo test -p octopoid-node --test rest description`, then the same with `-p octopoid-tests --test api_page`.

Every node serves it, on loopback and port 8787 unless told otherwise (`octopoid status` names the address). All calls but `/api/health` need a
token: the node's own, or a key of one scope that `POST /api/v1/orchestrators/register` gives. The clients in [sdk.md](sdk.md) do all of this.

```sh
TOKEN=$(cat .octopoid/runtime/api.token)
curl -H \"Authorization: Bearer $TOKEN\" \"http://127.0.0.1:8787/api/v1/tasks?queue=incoming\"
curl -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\
  -d '{\"id\": \"add-auth\", \"file_path\": \"add-auth.md\", \"title\": \"Add user authentication\", \"role\": \"implement\"}' \\
  http://127.0.0.1:8787/api/v1/tasks
```

A call that fails answers with an [ErrorBody](#errorbody). With the header `Idempotency-Key` a call can be repeated safely within a day.
";

#[test]
fn the_page_of_the_api_is_that_of_its_description() {
    let file = |path: &str| format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file("sdk/openapi.json")).expect("the description");
    let made = Page::of(&serde_json::from_str(&text).expect("JSON"));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file("docs/api.md"), &made).expect("the page is written");
    }
    let committed = std::fs::read_to_string(file("docs/api.md")).unwrap_or_default();
    assert!(committed == made, "docs/api.md is out of date: run {WRITE}=1 cargo test -p octopoid-tests --test api_page");
}

/// A page that is being written.
struct Page {
    text: String,
}

/// One call of the description.
struct Call<'a> {
    method: String,
    path: &'a str,
    said: &'a Value,
}

impl Page {
    fn of(api: &Value) -> String {
        let mut page = Self { text: HEAD.to_owned() };
        let groups = groups(api);
        page.line("\n## Calls\n");
        page.line("| call | does |\n|---|---|");
        for call in groups.iter().flat_map(|(_, calls)| calls) {
            let name = call.name();
            page.line(&format!("| [`{name}`](#{}) | {} |", anchor(&name), words(&call.said["summary"])));
        }
        page.line("\n## Refusals\n\nWhat these mean is the same for every call; each call lists those that it may answer with.\n");
        page.line("| status | means |\n|---|---|");
        for (name, said) in object(&api["components"]["responses"]) {
            page.line(&format!("| {} | {} |", name.trim_start_matches(|c: char| !c.is_ascii_digit()), words(&said["description"])));
        }
        for (tag, calls) in &groups {
            page.line(&format!("\n## Calls on {tag}"));
            calls.iter().for_each(|call| page.call(call));
        }
        page.line("\n## Shapes\n\nA field that is marked with * is always there, and is needed in what is sent.");
        for (name, shape) in object(&api["components"]["schemas"]) {
            page.shape(name, shape);
        }
        page.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn call(&mut self, call: &Call<'_>) {
        self.line(&format!("\n### {}\n", call.name()));
        self.line(&words(&call.said["summary"]));
        if let Some(more) = call.said["description"].as_str() {
            self.line(&format!("\n{}", more.trim()));
        }
        let parameters = call.said["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !parameters.is_empty() {
            self.line("\n| parameter | in | type | means |\n|---|---|---|---|");
        }
        for parameter in parameters {
            let [name, place] = ["name", "in"].map(|key| parameter[key].as_str().expect("a text"));
            let needed = if parameter["required"] == true && place != "path" { ", needed" } else { "" };
            self.line(&format!("| `{name}` | {place}{needed} | {} | {} |", kind(&parameter["schema"]), words(&parameter["description"])));
        }
        if let Some(body) = call.said.get("requestBody") {
            let optional = if body["required"] == true { "" } else { " (may be left out)" };
            self.line(&format!("\nBody: {}{optional}", content(body)));
        }
        let answers: Vec<String> = object(&call.said["responses"]).map(|(status, said)| answer(status, said)).collect();
        self.line(&format!("\nAnswers: {}", answers.join(" · ")));
    }

    fn shape(&mut self, name: &str, shape: &Value) {
        self.line(&format!("\n### {name}"));
        if let Some(description) = shape["description"].as_str() {
            self.line(&format!("\n{}", description.trim()));
        }
        if shape.get("properties").is_none() {
            return self.line(&format!("\n{}", kind(shape)));
        }
        let needed: Vec<&str> = shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.line("\n| field | type | means |\n|---|---|---|");
        for (field, said) in object(&shape["properties"]) {
            let mark = if needed.contains(&field.as_str()) { " *" } else { "" };
            self.line(&format!("| `{field}`{mark} | {} | {} |", kind(said), words(&said["description"])));
        }
    }
}

impl Call<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Returns the calls by group, both in the order of the page.
fn groups(api: &Value) -> Vec<(&str, Vec<Call<'_>>)> {
    let mut groups: Vec<(&str, Vec<Call<'_>>)> = Vec::new();
    for (path, item) in object(&api["paths"]) {
        for (method, said) in object(item) {
            let tag = said["tags"][0].as_str().expect("a tag");
            let call = Call { method: method.to_uppercase(), path, said };
            match groups.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, calls)) => calls.push(call),
                None => groups.push((tag, vec![call])),
            }
        }
    }
    groups.sort_by_key(|(tag, _)| (ORDER.iter().position(|known| known == tag).unwrap_or(ORDER.len()), *tag));
    groups
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// Tells what a body or an answer holds.
fn content(said: &Value) -> String {
    let (media, of) = object(&said["content"]).next().expect("a media type");
    let kind = kind(&of["schema"]);
    match (media.as_str(), kind.is_empty()) {
        ("application/json", true) => "JSON".to_owned(),
        ("application/json", false) => kind,
        (media, true) => format!("`{media}`"),
        (media, false) => format!("`{media}`: {kind}"),
    }
}

/// Tells an answer; that of a refusal is always the same shape.
fn answer(status: &str, said: &Value) -> String {
    let refused = status.starts_with(['4', '5']);
    if refused || said.get("content").is_none() { status.to_owned() } else { format!("**{status}** {}", content(said)) }
}

/// Names the type of a value.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ");
    }
    if let Some(either) = schema["oneOf"].as_array() {
        return either.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::String(name) => vec![name],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return String::new(),
    };
    let mut told = String::new();
    for name in names {
        let name = match name {
            "array" => format!("list of {}", kind(&schema["items"])),
            "object" if schema["additionalProperties"].is_object() => format!("{} by name", kind(&schema["additionalProperties"])),
            name => name.to_owned(),
        };
        let or = if told.is_empty() { "" } else { " or " };
        let _ = write!(told, "{or}{name}");
    }
    told
}

/// Puts a text on one line of a table.
fn words(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Makes a heading's anchor as GitHub does.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    kept.replace(' ', "-")
}
