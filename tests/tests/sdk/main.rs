//! The Rust client plays the table of cases that every SDK plays, `sdk/cases.json`, against a real node, so that all behave alike.
//!
//! What the types cannot hold, such as an unknown field or a limit below 0, is refused before it is sent; the table's error with 400
//! that names it stands for that.

mod calls;
mod examples;
mod matching;
mod nodes;
mod printed;
mod proxy;

use std::time::Duration;

use octopoid_client::{CallOptions, Client, Token, Trust};
use octopoid_tests::Project;
use serde_json::{Value, json};

use calls::{Failure, Step, UNKNOWN};
use matching::{Values, compare, filled};
use proxy::Proxy;

fn table() -> Value {
    serde_json::from_str(include_str!("../../../sdk/cases.json")).expect("the table is JSON")
}

fn steps(case: &Value) -> &Vec<Value> {
    case["steps"].as_array().expect("steps")
}

/// Where the table is played.
struct Place {
    url: String,
    key: String,
    trust: Trust,
    /// What stands before the node, if faults are to happen.
    proxy: Option<Proxy>,
}

impl Place {
    /// Plays each case in a scope of its own, and fails with all that are not as the table says.
    async fn play(&self, cases: &[(usize, &Value)]) {
        let mut failed = Vec::new();
        for (number, case) in cases {
            let mut values = Values::from([("scope".to_owned(), json!(format!("case-{number}")))]);
            for (at, step) in steps(case).iter().enumerate() {
                if let Err(why) = play(step, &mut values, self).await {
                    failed.push(format!("{}, step {}, {}: {why}", case["name"], at + 1, step["call"]));
                    break;
                }
            }
        }
        assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), failed.join("\n"));
    }
}

/// Returns a client of a step's own; what it is told wrongly is refused here.
fn client(step: &Value, values: &Values, place: &Place) -> Result<Client, Failure> {
    let key = step.get("as").map_or_else(|| place.key.clone(), |key| filled(key, values).as_str().expect("a key").to_owned());
    let token = (!key.is_empty()).then(|| Token::new(&key)).transpose()?;
    let client = Client::trusting(&place.url, token, &place.trust)?;
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

async fn play(step: &Value, values: &mut Values, place: &Place) -> Result<(), String> {
    if let Some(proxy) = &place.proxy {
        proxy.expect(step["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    let call = Step {
        call: step["call"].as_str().expect("a call"),
        ids: filled(&step["ids"], values).as_array().cloned().unwrap_or_default(),
        with: step.get("with").map_or_else(|| json!({}), |fields| filled(fields, values)),
        take: step["take"].as_u64().map_or(1, |take| usize::try_from(take).expect("few")),
    };
    let given = match client(step, values, place) {
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
    let made = place.proxy.as_ref().map(Proxy::requests);
    let requests = step["requests"].as_u64();
    if requests.is_some() && made.is_some() && requests != made {
        return Err(format!("made {made:?} requests, not {requests:?}"));
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
    let place = Place { url: proxy.url().to_owned(), key, trust: Trust::System, proxy: Some(proxy) };
    let table = table();
    place.play(&table["cases"].as_array().expect("cases").iter().enumerate().collect::<Vec<_>>()).await;
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
