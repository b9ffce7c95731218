use axum::http::Method;
use serde_json::{Value, json};

use crate::support::Node;

const PATH: &str = "/api/v1/messages";

async fn say(node: &Node, task: &str, content: &str, extra: Value) -> Value {
    let mut body = json!({ "task_id": task, "from_actor": "ann", "type": "comment", "content": content });
    extra.as_object().expect("fields").iter().for_each(|(field, value)| body[field] = value.clone());
    node.post(PATH, body).await.is(201)
}

fn texts(list: &Value) -> Vec<&str> {
    list["messages"].as_array().expect("messages").iter().map(|message| message["content"].as_str().expect("a text")).collect()
}

#[tokio::test]
async fn a_message_has_every_field() {
    let node = Node::start();
    node.task("t").await;
    let message = say(&node, "t", "hello\nworld", json!({ "to_actor": "bob" })).await;
    for (field, value) in [
        ("task_id", json!("t")),
        ("from_actor", json!("ann")),
        ("to_actor", json!("bob")),
        ("type", json!("comment")),
        ("content", json!("hello\nworld")),
        ("parent_message_id", Value::Null),
        ("thread_id", message["id"].clone()),
        ("scope", json!("default")),
    ] {
        assert_eq!(message[field], value, "{field}");
    }
    assert!(
        message["id"].as_str().is_some_and(|id| id.len() == 64) && message["created_at"].as_str().is_some_and(|time| time.ends_with('Z'))
    );
    assert_eq!(message.as_object().map(serde_json::Map::len), Some(10));
    let list = node.get(PATH).await.is(200);
    assert_eq!((&list["messages"][0], &list["total"], &list["limit"], &list["offset"]), (&message, &json!(1), &json!(50), &json!(0)));
}

#[tokio::test]
async fn messages_are_found_by_task_actor_type_thread_and_whether_they_are_answered() {
    let node = Node::start();
    node.task("a").await;
    node.task("b").await;
    node.task_with("elsewhere", json!({ "scope": "s" })).await;
    let root = say(&node, "a", "1", json!({ "to_actor": "bob", "type": "question" })).await;
    let answer = say(&node, "a", "2", json!({ "from_actor": "bob", "parent_message_id": root["id"] })).await;
    let third = say(&node, "a", "3", json!({ "parent_message_id": answer["id"] })).await;
    say(&node, "b", "4", json!({ "to_actor": "cy" })).await;
    say(&node, "elsewhere", "5", json!({ "scope": "s" })).await;
    assert_eq!((&answer["thread_id"], &third["thread_id"], &third["parent_message_id"]), (&root["id"], &root["id"], &answer["id"]));
    let thread = format!("thread_id={}", root["id"].as_str().expect("an id"));
    for (query, wanted) in [
        ("", vec!["1", "2", "3", "4"]),
        ("task_id=a", vec!["1", "2", "3"]),
        ("task_id=b,a", vec!["1", "2", "3", "4"]),
        ("task_id=nobody", vec![]),
        ("to_actor=bob", vec!["1"]),
        ("to_actor=bob,cy", vec!["1", "4"]),
        ("from_actor=bob", vec!["2"]),
        ("type=question", vec!["1"]),
        ("type=comment&task_id=a", vec!["2", "3"]),
        (&thread, vec!["1", "2", "3"]),
        (&format!("{thread}&type=comment"), vec!["2", "3"]),
        ("unreplied=true", vec!["3", "4"]),
        ("unreplied=false", vec!["1", "2"]),
        ("unreplied=true&task_id=a", vec!["3"]),
        ("limit=2&offset=1", vec!["2", "3"]),
        ("scope=s", vec!["5"]),
    ] {
        let list = node.get(&format!("{PATH}?{query}")).await.is(200);
        assert_eq!(texts(&list), wanted, "{query}");
        assert!(query.contains("limit") || list["total"] == wanted.len(), "{query}: {}", list["total"]);
    }
    assert_eq!(node.get(&format!("{PATH}?limit=2&offset=1")).await.is(200)["total"], 4);
    for query in ["unreplied=maybe", "limit=x"] {
        node.get(&format!("{PATH}?{query}")).await.refuses(400, &[query.split('=').next().unwrap_or_default()]);
    }
}

#[tokio::test]
async fn what_rejections_and_forced_moves_said_is_in_both_lists_and_can_be_answered() {
    let node = Node::start();
    node.task("t").await;
    node.submit("a").await;
    node.post("/api/v1/tasks/t/reject", json!({ "rejected_by": "gate", "reason": "no tests" })).await.is(200);
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "backlog", "reason": "later", "forced_by": "ann" })).await.is(200);
    let all = node.get(PATH).await.is(200);
    assert_eq!(texts(&all), ["no tests", "later"]);
    let [rejection, forced] = all["messages"].as_array().expect("messages").as_slice() else { panic!("{all}") };
    assert_eq!((&rejection["type"], &rejection["from_actor"], &rejection["task_id"]), (&json!("rejection"), &json!("gate"), &json!("t")));
    assert_eq!((&forced["type"], &forced["from_actor"]), (&json!("force_queue"), &json!("ann")));
    say(&node, "t", "sorry", json!({ "parent_message_id": rejection["id"] })).await;
    let mine = node.get("/api/v1/tasks/t/messages").await.is(200);
    assert_eq!(mine, node.get(PATH).await.is(200), "one truth");
    assert_eq!(texts(&mine), ["no tests", "later", "sorry"]);
    assert_eq!(mine["messages"][2]["thread_id"], rejection["id"]);
    assert_eq!(texts(&node.get(&format!("{PATH}?unreplied=true")).await.is(200)), ["later", "sorry"]);
    assert_eq!(texts(&node.get("/api/v1/tasks/t/messages?type=rejection,comment").await.is(200)), ["no tests", "sorry"]);
    node.post("/api/v1/tasks/t/force-queue", json!({ "queue": "done", "reason": "by hand" })).await.is(200);
    assert_eq!(node.get(&format!("{PATH}?type=force_queue")).await.is(200)["total"], 2);
    node.delete("/api/v1/tasks/t").await.is(200);
    node.get("/api/v1/tasks/t/messages").await.is(404);
    assert_eq!(node.get(PATH).await.is(200)["total"], 4, "what was said stays");
}

#[tokio::test]
async fn a_message_needs_a_task_and_an_answer_one_of_the_same_task() {
    let node = Node::start();
    node.task("a").await;
    node.task("b").await;
    let other = say(&node, "b", "x", json!({})).await;
    let unknown = node.post(PATH, json!({ "task_id": "nobody", "from_actor": "a", "type": "t", "content": "c" })).await.is(404);
    assert_eq!(unknown["task_id"], "nobody");
    for (field, value) in [
        ("task_id", Value::Null),
        ("from_actor", json!("")),
        ("from_actor", json!("a\u{1b}[2J")),
        ("type", json!("x".repeat(200))),
        ("type", Value::Null),
        ("content", json!(" ")),
        ("content", json!(5)),
        ("content", json!("a\u{0}b")),
        ("content", json!("x".repeat(70_000))),
        ("to_actor", json!("a\nb")),
        ("parent_message_id", json!("7")),
        ("parent_message_id", json!("0".repeat(64))),
        ("parent_message_id", other["id"].clone()),
    ] {
        let mut body = json!({ "task_id": "a", "from_actor": "ann", "type": "comment", "content": "c" });
        body[field] = value;
        node.post(PATH, body).await.refuses(400, &[field]);
    }
    let record = node.get("/api/v1/tasks/a/history").await.is(200)["history"][0]["record_id"].clone();
    let body = json!({ "task_id": "a", "from_actor": "ann", "type": "comment", "content": "c", "parent_message_id": record });
    node.post(PATH, body).await.refuses(400, &["parent_message_id", "no message"]);
    assert_eq!(node.get(&format!("{PATH}?task_id=a")).await.is(200)["total"], 0);
}

#[tokio::test]
async fn a_message_is_written_once_for_one_key() {
    let node = Node::start();
    node.task("t").await;
    let body = json!({ "task_id": "t", "from_actor": "ann", "type": "comment", "content": "c" }).to_string();
    let send = || node.call(Method::POST, PATH, &[("idempotency-key", "k")], Some(body.clone()));
    let first = send().await.is(201);
    assert_eq!(send().await.is(201), first);
    assert_eq!(node.get(PATH).await.is(200)["total"], 1);
}
