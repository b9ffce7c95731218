//! Every pairing of names, pages and tokens over a real socket: what is refused is refused before its body is read.

use std::net::SocketAddr;
use std::time::Duration;

use octopoid_node::rest::{Limits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Node, TOKEN};

/// What a request's `Host` lines are, and whether they name the node.
const HOSTS: [(&[&str], bool); 9] = [
    (&["localhost:8787"], true),
    (&["127.0.0.1:8787"], true),
    (&["octo.lan:8787"], true),
    (&[], false),
    (&["localhost:8787", "localhost:8787"], false),
    (&["evil.example"], false),
    (&["localhost.evil.example:8787"], false),
    (&["evil.example@localhost:8787"], false),
    (&["octo.lan:80"], false),
];

/// What its `Origin` lines are, and whether they are a page of the node.
const ORIGINS: [(&[&str], bool); 8] = [
    (&[], true),
    (&["http://localhost:8787"], true),
    (&["https://127.0.0.1:8787"], true),
    (&["null"], false),
    (&["http://evil.example"], false),
    (&["http://localhost:3000"], false),
    (&["http://localhost:8787.evil.example"], false),
    (&["http://localhost:8787", "http://localhost:8787"], false),
];

/// What its `Authorization` lines are, and whether they are good.
fn tokens() -> [(Vec<String>, bool); 7] {
    let good = format!("Bearer {TOKEN}");
    [
        (vec![good.clone()], true),
        (vec![], false),
        (vec!["Bearer oct_wrong".to_owned()], false),
        (vec![format!("Basic {TOKEN}")], false),
        (vec![TOKEN.to_owned()], false),
        (vec!["Bearer ".to_owned()], false),
        (vec![good.clone(), good], false),
    ]
}

/// Sends a creation; its body only when it may be read. Returns the status.
async fn create(address: SocketAddr, id: &str, headers: &str, with_body: bool) -> u16 {
    let body = format!("{{\"id\":\"{id}\",\"file_path\":\"x.md\"}}");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let length = if with_body { body.len() } else { 100_000 };
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    if with_body {
        stream.write_all(body.as_bytes()).await.expect("sent");
    }
    status(&mut stream).await
}

/// Asks for the dashboard's page as a browser does. Returns the status.
async fn browse(address: SocketAddr, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET / HTTP/1.1\r\n{headers}Accept: text/html,*/*;q=0.8\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    status(&mut stream).await
}

async fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = vec![0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer)).await;
    read.expect("an answer that does not wait for the body").expect("an answer");
    String::from_utf8_lossy(&answer).strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok()).expect("a status")
}

fn lines(name: &str, values: &[&str]) -> String {
    values.iter().map(|value| format!("{name}: {value}\r\n")).collect()
}

#[tokio::test]
async fn names_pages_and_tokens_are_judged_in_this_order_and_before_the_body() {
    let node = Node::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(serve(listener, None, node.app.clone(), Limits::default(), std::future::pending()));
    let (mut cases, mut made) = (0, 0);
    for (hosts, is_ours) in HOSTS {
        for (origins, is_own_page) in ORIGINS {
            for (tokens, is_known) in tokens() {
                let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
                let headers = lines("Host", hosts) + &lines("Origin", origins) + &lines("Authorization", &tokens);
                let expected = match (is_ours, is_own_page, is_known) {
                    (false, _, _) => 421,
                    (true, false, _) => 403,
                    (true, true, false) => 401,
                    (true, true, true) => 201,
                };
                let status = create(address, &format!("t{cases}"), &headers, expected == 201).await;
                assert_eq!(status, expected, "{headers}");
                (cases, made) = (cases + 1, made + u64::from(expected == 201));
            }
        }
    }
    assert!(cases >= 500, "{cases} cases");
    assert_eq!(node.get("/api/v1/tasks").await.is(200)["total"], made, "what was refused made nothing");
    served.abort();
}

#[tokio::test]
async fn the_page_for_browsers_is_judged_by_names_and_pages_alone() {
    let node = Node::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(serve(listener, None, node.app.clone(), Limits::default(), std::future::pending()));
    for (hosts, is_ours) in HOSTS {
        for (origins, is_own_page) in ORIGINS {
            for (tokens, _) in tokens() {
                let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
                let headers = lines("Host", hosts) + &lines("Origin", origins) + &lines("Authorization", &tokens);
                let expected = match (is_ours, is_own_page) {
                    (false, _) => 421,
                    (true, false) => 403,
                    (true, true) => 200,
                };
                assert_eq!(browse(address, &headers).await, expected, "{headers}");
            }
        }
    }
    served.abort();
}
