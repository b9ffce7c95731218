//! The description of the API, and what answers where nothing is described.

use axum::http::Method;
use serde_json::Value;

use crate::support::Node;

/// Set to anything, the committed description is written instead of compared.
const WRITE: &str = "OCTOPOID_WRITE_OPENAPI";

#[test]
fn the_committed_description_is_that_of_the_handlers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/openapi.json");
    let made = octopoid_node::rest::openapi();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, made).expect("the description is written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == made, "sdk/openapi.json is out of date: run {WRITE}=1 cargo test -p octopoid-node --test rest description");
}

fn described() -> Vec<(Method, String)> {
    let api: Value = serde_json::from_str(octopoid_node::rest::openapi()).expect("json");
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", api["openapi"]);
    let paths = api["paths"].as_object().expect("paths").clone();
    let calls = paths.into_iter().flat_map(|(path, item)| {
        let methods: Vec<String> = item.as_object().expect("an item").keys().cloned().collect();
        methods.into_iter().map(move |method| (method.to_uppercase().parse().expect("a method"), path.clone()))
    });
    calls.collect()
}

#[tokio::test]
async fn every_call_that_is_described_is_answered() {
    let node = Node::start();
    let calls = described();
    assert!(calls.len() >= 45, "{}", calls.len());
    for (method, path) in calls.into_iter().filter(|(_, path)| path != "/api/v1/events") {
        let real = path.replace("{id}", "x").replace("{name}", "x").replace("{prefix}", "x").replace("{scope}", "default");
        let answer = node.call(method.clone(), &real, &[], None).await;
        assert_ne!(answer.body["error"], "Not Found", "{method} {path}");
        assert_ne!(answer.status.as_u16(), 405, "{method} {path}");
        assert_ne!(answer.status.as_u16(), 500, "{method} {path}: {}", answer.text);
    }
}

#[test]
fn every_call_has_an_id_of_its_own_and_tells_who_may_not_call() {
    let api: Value = serde_json::from_str(octopoid_node::rest::openapi()).expect("json");
    let mut known = std::collections::BTreeSet::new();
    for (path, item) in api["paths"].as_object().expect("paths") {
        for (method, call) in item.as_object().expect("an item") {
            let id = call["operationId"].as_str().expect("an id").to_owned();
            assert!(known.insert(id.clone()), "{method} {path}: {id} is another call's id");
            for status in ["400", "401", "403", "421", "503"] {
                assert!(call["responses"][status].is_object(), "{method} {path} does not tell of {status}");
            }
            let scoped = call["parameters"].as_array().is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "scope"));
            assert!(scoped || !path.starts_with("/api/v1/"), "{method} {path} does not take a scope");
        }
    }
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    let api: Value = serde_json::from_str(octopoid_node::rest::openapi()).expect("json");
    let text = octopoid_node::rest::openapi();
    for kind in ["schemas", "responses"] {
        let reference = format!("\"#/components/{kind}/");
        let named = text.split(reference.as_str()).skip(1).map(|part| part.split('"').next().unwrap_or_default());
        let names: std::collections::BTreeSet<&str> = named.collect();
        assert!(names.len() > 5, "{kind}: {names:?}");
        for name in names {
            assert!(api["components"][kind].get(name).is_some(), "{name} is not described");
        }
    }
}

#[tokio::test]
async fn an_unknown_route_and_method_answer_in_json() {
    let node = Node::start();
    let body = node.get("/api/v1/nowhere?x=1").await.is(404);
    assert_eq!((body["error"].as_str(), body["message"].as_str()), (Some("Not Found"), Some("Endpoint /api/v1/nowhere not found")));
    assert!(body["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    for path in ["/api/v1/tasks/x/y/z", "/api/v2/tasks", "/favicon.ico", "/api", "/api/v1", "//", "/api/v1/tasks/x/unknown"] {
        assert_eq!(node.get(path).await.is(404)["error"], "Not Found", "{path}");
    }
    for (method, path) in [
        (Method::PUT, "/api/v1/tasks"),
        (Method::DELETE, "/api/v1/tasks"),
        (Method::GET, "/api/v1/tasks/x/cancel"),
        (Method::POST, "/api/health"),
        (Method::OPTIONS, "/api/v1/tasks"),
        (Method::TRACE, "/api/v1/tasks"),
        (Method::PATCH, "/api/v1/projects"),
    ] {
        let answer = node.call(method.clone(), path, &[], None).await;
        assert!(answer.header("allow").is_some(), "{method} {path}");
        assert_eq!(answer.is(405)["error"], "Method Not Allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn the_root_names_the_program_and_its_endpoints() {
    let node = Node::start();
    let root = node.get("/").await.is(200);
    assert_eq!((root["name"].as_str(), root["version"].as_str()), (Some("Octopoid"), Some("2.0.0")));
    let endpoints = root["endpoints"].as_array().expect("endpoints");
    assert!(endpoints.contains(&Value::from("POST /api/v1/tasks/claim")), "{endpoints:?}");
    assert_eq!(node.get("/api/openapi.json").await.text, octopoid_node::rest::openapi());
}
