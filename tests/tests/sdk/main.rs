//! The Rust client plays the table of cases that every SDK plays, `sdk/cases.json`, against a real node, so that all behave alike.
//!
//! What the types cannot hold, such as an unknown field or a limit below 0, is refused before it is sent; the table's error with 400
//! that names it stands for that.

mod calls;
mod examples;
mod matching;
mod printed;
mod proxy;

use std::time::Duration;

use octopoid_client::{CallOptions, Client, Token};
use octopoid_tests::Project;
use serde_json::{Value, json};

use calls::{Failure, Step, UNKNOWN};
use matching::{Values, compare, filled};
use proxy::Proxy;

fn table() -> Value {
    serde_json::from_str(include_str!("../../../sdk/cases.json")).expect("the table is JSON")
}

/// Returns a client of a step's own; what it is told wrongly is refused here.
fn client(step: &Value, values: &Values, proxy: &Proxy, key: &str) -> Result<Client, Failure> {
    let key = step.get("as").map_or_else(|| key.to_owned(), |key| filled(key, values).as_str().expect("a key").to_owned());
    let token = (!key.is_empty()).then(|| Token::new(&key)).transpose()?;
    let client = Client::http(proxy.url(), token)?;
    let scope = values["scope"].as_str().map(str::to_owned);
    let client = client.with_options(&CallOptions { scope, max_retries: Some(2), ..CallOptions::default() })?;
    let told = filled(&step["options"], values);
    let retries = told["max_retries"].as_i64().map(u32::try_from).transpose();
    let options = CallOptions {
        timeout: told["timeout"].as_f64().map(Duration::from_secs_f64),
        max_retries: retries.map_err(|_| Failure::mistake("max_retries is a number from 0 up by its type".to_owned()))?,
        scope: told["scope"].as_str().map(str::to_owned),
        idempotency_key: told["idempotency_key"].as_str().map(str::to_owned),
    };
    Ok(client.with_options(&options)?)
}

async fn play(step: &Value, values: &mut Values, proxy: &Proxy, key: &str) -> Result<(), String> {
    let faults = step["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    proxy.expect(faults);
    let call = Step {
        call: step["call"].as_str().expect("a call"),
        ids: filled(&step["ids"], values).as_array().cloned().unwrap_or_default(),
        with: step.get("with").map_or_else(|| json!({}), |fields| filled(fields, values)),
        take: step["take"].as_u64().map_or(1, |take| usize::try_from(take).expect("few")),
    };
    let given = match client(step, values, proxy, key) {
        Ok(client) => call.play(&client).await,
        Err(failure) => Err(failure),
    };
    let given = match (given, step.get("error")) {
        (Ok(given), None) => given,
        (Ok(given), Some(_)) => return Err(format!("was not refused: {given}")),
        (Err(failure), None) => return Err(format!("was refused: {failure:?}")),
        (Err(failure), Some(expected)) => {
            is_refused(&failure, &filled(expected, values))?;
            Value::Null
        }
    };
    if let Some(expected) = step.get("expect") {
        compare(&given, &filled(expected, values), "it")?;
    }
    let requests = step["requests"].as_u64();
    if requests.is_some_and(|requests| requests != proxy.requests()) {
        return Err(format!("made {} requests, not {requests:?}", proxy.requests()));
    }
    for (name, path) in step["save"].as_object().into_iter().flatten() {
        let pointer = format!("/{}", path.as_str().expect("a path").replace('.', "/"));
        let part = given.pointer(&pointer).ok_or_else(|| format!("there is no {path} in {given}"))?;
        values.insert(name.clone(), part.clone());
    }
    Ok(())
}

fn is_refused(failure: &Failure, expected: &Value) -> Result<(), String> {
    let same_class = expected["class"] == failure.class;
    let same_status = expected["status"].is_null() || expected["status"].as_u64() == failure.status.map(u64::from);
    let says = failure.message.contains(expected["message"].as_str().unwrap_or_default());
    let same_details = expected["details"].is_null() || expected["details"] == json!(failure.details);
    if same_class && same_status && says && same_details { Ok(()) } else { Err(format!("was refused by {failure:?}, not as {expected}")) }
}

#[tokio::test]
async fn the_client_behaves_as_the_table_says() {
    let mut node = Project::new();
    node.start().await;
    let key = node.read(".octopoid/runtime/api.token").trim().to_owned();
    let proxy = Proxy::before(node.node().api_url()).await;
    let (table, mut failed) = (table(), Vec::new());
    for (number, case) in table["cases"].as_array().expect("cases").iter().enumerate() {
        let mut values = Values::from([("scope".to_owned(), json!(format!("case-{number}")))]);
        for (at, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            if let Err(why) = play(step, &mut values, &proxy, &key).await {
                failed.push(format!("{}, step {}, {}: {why}", case["name"], at + 1, step["call"]));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test]
async fn the_client_has_every_call_that_the_table_names() {
    // Nobody listens there: a call that the client has fails to connect, or lacks its arguments.
    let client = Client::http("http://127.0.0.1:1", None).expect("an address");
    let table = table();
    for (resource, methods) in table["surface"].as_object().expect("a surface") {
        for method in methods.as_array().expect("methods") {
            let call = format!("{resource}.{}", method.as_str().expect("a name"));
            let ids = vec![json!("1"), json!("1")];
            let step = Step { call: &call, ids, with: json!({ "status": "passed" }), take: 1 };
            let failure = step.play(&client).await.expect_err("nobody listens");
            assert!(!failure.message.starts_with(UNKNOWN), "{}", failure.message);
        }
    }
}
