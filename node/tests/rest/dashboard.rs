//! The page for browsers: who gets it, and what a browser is told to allow it.

use axum::http::Method;
use octopoid_node::rest::Auth;
use serde_json::json;

use crate::support::{Answer, Node};

/// What a browser sends when somebody enters an address.
const NAVIGATION: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const FILES: [&str; 12] = [
    "/",
    "/dashboard/style.css",
    "/dashboard/icon.svg",
    "/dashboard/script.js",
    "/dashboard/refresher.js",
    "/dashboard/api.js",
    "/dashboard/dom.js",
    "/dashboard/overview.js",
    "/dashboard/tasks.js",
    "/dashboard/task.js",
    "/dashboard/acts.js",
    "/dashboard/output.js",
];

async fn browse(node: &Node, method: Method, path: &str) -> Answer {
    node.call(method, path, &[("authorization", ""), ("accept", NAVIGATION)], None).await
}

/// Every directive of a policy.
fn directives(answer: &Answer) -> Vec<String> {
    let policy = answer.header("content-security-policy").expect("a policy");
    policy.split(';').map(|directive| directive.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_its_files_without_a_token_and_may_do_little_with_them() {
    let node = Node::start();
    for path in FILES {
        let answer = browse(&node, Method::GET, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = answer.header("content-type").expect("a type").to_owned();
        let expected = match path.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(kind, expected, "{path}");
        let directives = directives(&answer);
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(directives.iter().any(|known| known == directive), "{path}: {directive} is not in {directives:?}");
        }
        assert!(!directives.iter().any(|directive| directive.contains("unsafe") || directive.contains('*')), "{directives:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        assert!(answer.header("access-control-allow-origin").is_none() && answer.header("set-cookie").is_none(), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_the_same_whatever_the_node_holds() {
    let (empty, full) = (Node::start(), Node::with(|settings| settings.machine_id = "a-secret-name".to_owned()));
    full.task_with("t", json!({ "title": "a secret title" })).await;
    for path in FILES {
        let (one, other) = (browse(&empty, Method::GET, path).await, browse(&full, Method::GET, path).await);
        assert!(!one.text.is_empty() && one.text == other.text, "{path}");
        // A query changes nothing and comes back nowhere.
        let asked = browse(&full, Method::GET, &format!("{path}?scope=%3Cscript%3E")).await;
        assert!(asked.status == 200 && asked.text == one.text, "{path}");
    }
}

#[tokio::test]
async fn a_program_gets_json_and_needs_a_token_as_ever() {
    let node = Node::start();
    for accept in ["", "*/*", "application/json", "application/json, text/plain, */*", "application/json, text/html", "text/html;q=0"] {
        node.call(Method::GET, "/", &[("authorization", ""), ("accept", accept)], None).await.refuses(401, &["token"]);
        let named = node.call(Method::GET, "/", &[("accept", accept)], None).await;
        assert_eq!((named.header("vary"), named.header("content-type")), (Some("accept"), Some("application/json")), "{accept}");
        assert_eq!(named.is(200)["name"], "Octopoid", "{accept}");
    }
    let open = Node::with(|settings| settings.auth = Auth::NoneOnLoopback);
    assert_eq!(open.call(Method::GET, "/", &[("authorization", "")], None).await.is(200)["name"], "Octopoid");
    assert!(browse(&open, Method::GET, "/").await.text.starts_with("<!doctype html>"));
}

#[tokio::test]
async fn naming_html_opens_nothing_but_the_page() {
    let node = Node::start();
    for path in [
        "/api/v1/tasks",
        "/api/v1/events",
        "/metrics",
        "/api/openapi.json",
        "/dashboard",
        "/dashboard/",
        "/dashboard/page.html",
        "/dashboard/../api/v1/tasks",
        "/dashboard/%2e%2e/api/v1/tasks",
        "/dashboard/script.js/",
        "/dashboard//script.js",
        "/DASHBOARD/script.js",
        "//",
        "/index.html",
    ] {
        browse(&node, Method::GET, path).await.refuses(401, &["token"]);
    }
    for path in ["/", "/dashboard/script.js"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            browse(&node, method, path).await.refuses(401, &["token"]);
        }
    }
}

#[tokio::test]
async fn the_page_is_given_to_no_page_of_another_site_and_under_no_other_name() {
    let node = Node::start();
    for path in FILES {
        let with = |name: &'static str, value: &'static str| [("authorization", ""), ("accept", NAVIGATION), (name, value)];
        node.call(Method::GET, path, &with("origin", "http://evil.example"), None).await.refuses(403, &["another site"]);
        // The helper sends a good name of its own first, so two are sent here.
        node.call(Method::GET, path, &with("host", "evil.example"), None).await.is(421);
        assert_eq!(node.call(Method::GET, path, &with("origin", "http://127.0.0.1:8787"), None).await.status, 200, "{path}");
    }
}
