//! Paths, arguments, terminals and markup in ids, branches and paths: refused before anything is written.

use axum::http::Method;
use serde_json::json;

use crate::support::Node;

const IDS: [&str; 46] = [
    "",
    ".",
    "..",
    "../x",
    "..\\x",
    "a/../b",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "-rf",
    "--help",
    "-",
    "_x",
    ".git",
    ".hidden",
    "a..b",
    "a.",
    "a.lock",
    "a b",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "a\0b",
    "a;b",
    "a|b",
    "a&b",
    "a$b",
    "$(id)",
    "`id`",
    "a'b",
    "a\"b",
    "a<b>",
    "<script>",
    "a%2e%2e",
    "a:b",
    "a*b",
    "a?b",
    "a[b]",
    "a{b}",
    "a~1",
    "a^b",
    "a@{1}",
    "ü",
    "\u{202e}a",
    "\u{1b}[2J",
    "con:",
];

const BRANCHES: [&str; 40] = [
    "-x",
    "--upload-pack=touch /tmp/x",
    "-",
    "..",
    "a..b",
    "../x",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a/b.lock",
    "a.",
    "a b",
    "a\tb",
    "a\nb",
    "a\0b",
    "a~b",
    "a^b",
    "a:b",
    "a?b",
    "a*b",
    "a[b",
    "a\\b",
    "@",
    "a@{b",
    "HEAD",
    "refs/heads/x",
    "refs/octopoid/rescue/x",
    "\u{7f}",
    "\u{1b}[31m",
    "a\r",
    "+refs/heads/*:refs/heads/*",
    ":main",
    "main:main",
    "a\u{a0}b",
    "ext::sh -c id",
    "^main",
];

const PATHS: [&str; 27] = [
    "",
    " ",
    "/etc/passwd",
    "/",
    "../x",
    "..",
    "a/../../x",
    "a/..",
    "tasks/../../../etc/shadow",
    "..\\..\\x",
    "a\\b",
    "C:\\x",
    "c:/x",
    "~/.ssh/id_rsa",
    "~",
    "-rf",
    "--output=x",
    "a\0b",
    "a\nb",
    "a\r\nb",
    "\u{1b}]0;x\u{7}",
    "\\\\server\\share",
    "//server/share",
    "/proc/self/environ",
    "./../x",
    "a/../b",
    "\u{9b}2J",
];

#[tokio::test]
async fn ids_branches_and_paths_that_could_mean_something_else_are_refused() {
    let node = Node::start();
    let cases = IDS
        .iter()
        .map(|id| ("id", json!({ "id": id, "file_path": "x.md" })))
        .chain(BRANCHES.iter().map(|branch| ("branch", json!({ "id": "x", "file_path": "x.md", "branch": branch }))))
        .chain(PATHS.iter().map(|path| ("file_path", json!({ "id": "x", "file_path": path }))));
    let mut count = 0;
    for (field, body) in cases {
        let answer = node.post("/api/v1/tasks", body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text);
        assert!(answer.body["error"].as_str().is_some_and(|error| error.contains(field)), "{body}: {}", answer.text);
        assert!(!answer.text.contains('\u{1b}'), "{body} is echoed as it is");
        count += 1;
    }
    assert!(count >= 100, "{count} cases");
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], 0);
    let files = std::fs::read_dir(&node.folder).expect("the folder").count();
    assert_eq!(files, 1, "nothing but the store was made");
}

#[tokio::test]
async fn an_edit_refuses_what_a_creation_refuses() {
    let node = Node::start();
    node.task("t").await;
    for branch in BRANCHES {
        node.patch("/api/v1/tasks/t", json!({ "branch": branch })).await.refuses(400, &["branch"]);
    }
    for path in PATHS {
        node.patch("/api/v1/tasks/t", json!({ "file_path": path })).await.refuses(400, &["file_path"]);
    }
    for id in IDS.iter().filter(|id| !id.is_empty()) {
        node.patch("/api/v1/tasks/t", json!({ "blocked_by": id })).await.refuses(400, &["blocked_by"]);
    }
    assert_eq!(node.get("/api/v1/tasks/t").await.is(200)["version"], 1);
}

#[tokio::test]
async fn an_odd_id_in_a_path_is_not_found_and_never_a_failure() {
    let node = Node::start();
    let odd = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%00",
        "%0a",
        "a%20b",
        "%1b%5b2J",
        "-rf",
        "%ff%fe",
        "a%2fb",
        "%252e",
        "'%20OR%201=1",
        "x%c0%af",
    ];
    for id in odd {
        for (method, rest) in
            [(Method::GET, ""), (Method::DELETE, ""), (Method::GET, "/history"), (Method::GET, "/log"), (Method::POST, "/cancel")]
        {
            let path = format!("/api/v1/tasks/{id}{rest}");
            let answer = node.call(method.clone(), &path, &[], None).await;
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{method} {path}: {} {}", answer.status, answer.text);
            assert!(answer.body["error"].is_string(), "{method} {path}: {}", answer.text);
        }
        for path in [format!("/api/v1/projects/{id}"), format!("/api/v1/orchestrators/{id}"), format!("/api/v1/tasks/resolve/{id}")] {
            let answer = node.get(&path).await;
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {} {}", answer.status, answer.text);
        }
    }
}

#[tokio::test]
async fn names_and_projects_follow_the_same_rules() {
    let node = Node::start();
    for id in IDS {
        node.post("/api/v1/projects", json!({ "id": id, "title": "x" })).await.refuses(400, &["id"]);
        node.post("/api/v1/tasks", json!({ "id": "x", "file_path": "x", "scope": if id.is_empty() { "/" } else { id } }))
            .await
            .refuses(400, &["scope"]);
        let body = json!({ "cluster": id, "machine_id": "m", "repo_url": "r" });
        node.post("/api/v1/orchestrators/register", body).await.refuses(400, &["cluster"]);
    }
    for branch in BRANCHES {
        node.post("/api/v1/projects", json!({ "id": "p", "title": "x", "branch": branch })).await.refuses(400, &["branch"]);
        node.post("/api/v1/projects", json!({ "id": "p", "title": "x", "base_branch": branch })).await.refuses(400, &["base_branch"]);
    }
    for name in ["a\nb", "\u{1b}[2J", "a\0", " "] {
        let body = json!({ "orchestrator_id": "o", "agent_name": name });
        node.post("/api/v1/tasks/claim", body).await.refuses(400, &["agent_name"]);
    }
}
