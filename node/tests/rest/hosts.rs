use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use octopoid_node::rest::Hosts;

use crate::support::Node;

fn hosts() -> Hosts {
    Hosts::new(&["octo.lan:8787".to_owned(), "home.example".to_owned(), "10.0.0.5".to_owned(), "not a host".to_owned()])
}

fn status(uri: &str, headers: &[(&str, &[u8])]) -> u16 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_bytes(value).expect("a value"));
    }
    match hosts().check(&uri.parse::<Uri>().expect("an address"), &map) {
        Ok(()) => 200,
        Err(octopoid_node::rest::Refusal::Misdirected(_)) => 421,
        Err(octopoid_node::rest::Refusal::Forbidden(_)) => 403,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_host_must_be_one_of_the_nodes_names() {
    let cases: &[(&[u8], u16)] = &[
        (b"localhost", 200),
        (b"localhost:8787", 200),
        (b"LOCALHOST:1", 200),
        (b"127.0.0.1", 200),
        (b"127.0.0.1:8787", 200),
        (b"[::1]", 200),
        (b"[::1]:8787", 200),
        (b"[0:0:0:0:0:0:0:1]:80", 200),
        (b"octo.lan:8787", 200),
        (b"home.example", 200),
        (b"home.example:9", 200),
        (b"Home.Example", 200),
        (b"10.0.0.5:8787", 200),
        (b"octo.lan", 421),
        (b"octo.lan:80", 421),
        (b"evil.example", 421),
        (b"evil.example:8787", 421),
        (b"localhost.evil.example", 421),
        (b"127.0.0.1.evil.example", 421),
        (b"127.0.0.1.nip.io", 421),
        (b"localhost.", 421),
        (b"localhost@evil.example", 421),
        (b"evil.example@localhost", 421),
        (b"localhost evil.example", 421),
        (b"localhost,evil.example", 421),
        (b"localhost#x", 421),
        (b"localhost/evil", 421),
        (b"localhost:", 421),
        (b"localhost:x", 421),
        (b"localhost:-1", 421),
        (b"localhost:99999", 421),
        (b"localhost:8787:1", 421),
        (b"0.0.0.0", 421),
        (b"0", 421),
        (b"2130706433", 421),
        (b"0x7f.0.0.1", 421),
        (b"127.1", 421),
        (b"127.0.0.2", 421),
        (b"[::]", 421),
        (b"[::ffff:127.0.0.1]", 421),
        (b"[::1%lo]", 421),
        (b"[::1", 421),
        (b"::1", 421),
        (b"[evil]", 421),
        (b"", 421),
        (b" localhost", 421),
        (b"xn--localhost", 421),
        (b"not a host", 421),
        (b"10.0.0.50", 421),
        (b"\xff\xfe", 421),
        (b"localhost\t", 421),
        (b"http://localhost", 421),
    ];
    for (host, expected) in cases {
        assert_eq!(status("/api/v1/tasks", &[("host", host)]), *expected, "{}", String::from_utf8_lossy(host));
    }
    assert_eq!(status("/", &[]), 421, "no host");
    assert_eq!(status("/", &[("host", b"localhost"), ("host", b"localhost")]), 421, "two hosts");
    assert_eq!(status("http://localhost:8787/", &[("host", b"localhost:8787")]), 200);
    assert_eq!(status("http://evil.example/", &[("host", b"localhost")]), 421, "an address with another host");
    assert_eq!(status("http://localhost:1/", &[("host", b"localhost:2")]), 421);
}

#[test]
fn an_origin_must_be_a_page_of_the_node_itself() {
    let cases: &[(&[u8], u16)] = &[
        (b"http://127.0.0.1:8787", 200),
        (b"http://localhost:8787", 200),
        (b"https://localhost:8787", 200),
        (b"http://[::1]:8787", 200),
        (b"http://octo.lan:8787", 200),
        (b"http://home.example:8787", 200),
        (b"http://localhost:3000", 403),
        (b"http://localhost", 403),
        (b"https://localhost", 403),
        (b"http://127.0.0.1:87870", 403),
        (b"http://evil.example", 403),
        (b"http://evil.example:8787", 403),
        (b"https://evil.example:8787", 403),
        (b"null", 403),
        (b"", 403),
        (b"file://", 403),
        (b"http://", 403),
        (b"http:// ", 403),
        (b"localhost:8787", 403),
        (b"//localhost:8787", 403),
        (b"http://localhost:8787/", 403),
        (b"http://localhost:8787.evil.example", 403),
        (b"http://localhost:8787@evil.example", 403),
        (b"http://evil.example#localhost:8787", 403),
        (b"chrome-extension://abc", 403),
        (b"HTTP://LOCALHOST:8787", 403),
        (b"http://localhost:8787 http://evil.example", 403),
        (b"http://127.0.0.1.nip.io:8787", 403),
        (b"ws://localhost:8787", 403),
        (b"javascript://localhost:8787", 403),
        (b"\xff", 403),
    ];
    for (origin, expected) in cases {
        let headers: &[(&str, &[u8])] = &[("host", b"127.0.0.1:8787"), ("origin", origin)];
        assert_eq!(status("/", headers), *expected, "{}", String::from_utf8_lossy(origin));
    }
    let twice: &[(&str, &[u8])] = &[("host", b"localhost"), ("origin", b"http://localhost"), ("origin", b"http://localhost")];
    assert_eq!(status("/", twice), 403);
    assert_eq!(status("/", &[("host", b"localhost"), ("origin", b"http://localhost")]), 200, "the default port");
}

#[tokio::test]
async fn a_foreign_page_is_refused_before_its_token_is_looked_at() {
    let node = Node::start();
    let misdirected = [("host", "evil.example"), ("authorization", "Bearer oct_wrong")];
    // The helper sends a good host of its own first, so two are sent here.
    node.call(Method::GET, "/api/v1/tasks", &misdirected, None).await.is(421);
    let foreign = [("origin", "http://evil.example"), ("authorization", "Bearer oct_wrong")];
    let answer = node.call(Method::GET, "/api/health", &foreign, None).await;
    assert!(answer.header("access-control-allow-origin").is_none(), "no CORS");
    answer.refuses(403, &["another site"]);
}
