//! Over a real socket with TLS: whom callers trust, and what those get who do not speak it.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use octopoid_client::{Authorities, Client, ClientError, Fingerprint, NewTask, Token, Trust};
use octopoid_node::config::Tls;
use octopoid_node::rest::{Limits, serve};
use octopoid_node::tls::Certificate;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Node, TOKEN};

/// A certificate, who has signed it, and its key, as PEM.
struct Made {
    certificate: String,
    authority: String,
    key: String,
}

fn params(names: &[&str], until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    params
}

/// Makes a certificate that an authority of its own has signed.
fn signed(names: &[&str], until: i32) -> Made {
    let (mut authority, authority_key) = (params(&[], 2999), KeyPair::generate().expect("a key"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate").pem();
    let key = KeyPair::generate().expect("a key");
    let certificate = params(names, until).signed_by(&key, &Issuer::new(authority, authority_key)).expect("a certificate").pem();
    Made { certificate, authority: root, key: key.serialize_pem() }
}

/// Makes a certificate that nobody else has signed; such as `openssl req -x509` makes may sign others.
fn own(names: &[&str], until: i32, may_sign: bool) -> Made {
    let (mut own, key) = (params(names, until), KeyPair::generate().expect("a key"));
    if may_sign {
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = own.self_signed(&key).expect("a certificate").pem();
    Made { authority: certificate.clone(), certificate, key: key.serialize_pem() }
}

struct Served {
    address: SocketAddr,
    fingerprint: Fingerprint,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
    node: Node,
}

async fn start(made: &Made, limits: Limits) -> Served {
    let node = Node::start();
    let files = Tls { cert: node.folder.join("api.crt"), key: node.folder.join("api.key") };
    fs::write(&files.cert, &made.certificate).expect("written");
    fs::write(&files.key, &made.key).expect("written");
    let certificate = Certificate::load(&files).expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, Some(certificate.acceptor()), node.app.clone(), limits, async move { drop(stopped.await) }));
    Served { address, fingerprint: certificate.fingerprint(), stop, ended, node }
}

impl Served {
    fn client(&self, host: &str, trust: &Trust) -> Client {
        let url = format!("https://{host}:{}", self.address.port());
        Client::trusting(&url, Some(Token::new(TOKEN).expect("a token")), trust).expect("a client")
    }

    /// Opens a connection and shakes hands.
    async fn connect(&self, made: &Made) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let root = rustls::pki_types::pem::PemObject::from_pem_slice(made.authority.as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
    }
}

fn quick() -> Limits {
    let moment = Duration::from_millis(300);
    Limits { connections: 8, handshake: moment, head: moment, stall: moment, farewell: Duration::from_secs(2) }
}

fn authorities(pem: &str) -> Trust {
    Trust::Authorities(Authorities::from_pem(pem.as_bytes()).expect("certificates"))
}

async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await.expect("an end in time");
    drop(read);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_private_authority_and_a_certificate_of_nobody_else_are_trusted_by_their_file() {
    let names = ["localhost", "127.0.0.1"];
    for made in [signed(&names, 2999), own(&names, 2999, false), own(&names, 2999, true)] {
        let served = start(&made, Limits::default()).await;
        for host in names {
            let client = served.client(host, &authorities(&made.authority));
            assert_eq!(client.health().await.expect("an answer").status, "healthy");
        }
        let client = served.client("localhost", &authorities(&made.authority));
        let task = NewTask { id: "t1".to_owned(), file_path: "t1.md".to_owned(), ..NewTask::default() };
        assert_eq!(client.create_task(&task).await.expect("made").id, "t1");
        assert_eq!(served.node.get("/api/v1/tasks/t1").await.is(200)["id"], "t1");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_certificate_that_is_not_trusted() {
    let names = ["localhost"];
    let stranger = authorities(&signed(&names, 2999).authority);
    let other_own = Trust::Exactly(Fingerprint::of(b"another certificate"));
    let cases = [
        ("signed by another authority", signed(&names, 2999), Some(&stranger)),
        ("signed by nobody, and another one expected", own(&names, 2999, true), Some(&stranger)),
        ("not the one that node.json names", own(&names, 2999, false), Some(&other_own)),
        ("of another name", signed(&["octo.lan"], 2999), None),
        ("of another name, and its own authority", own(&["octo.lan"], 2999, true), None),
        ("expired", signed(&names, 2021), None),
        ("expired, and its own authority", own(&names, 2021, true), None),
    ];
    for (what, made, trust) in cases {
        let served = start(&made, Limits::default()).await;
        let client = served.client("localhost", trust.unwrap_or(&authorities(&made.authority)));
        let error = client.health().await.expect_err(what);
        assert!(matches!(error, ClientError::Untrusted { .. }), "{what}: {error:?}");
        let counted = served.node.get("/metrics").await.text;
        assert!(counted.contains("octopoid_http_requests_total") && !counted.contains("/api/health"), "{what}: a request arrived");
    }
}

#[tokio::test]
async fn commands_on_the_nodes_machine_trust_its_certificate_whatever_it_says() {
    let made = own(&["octo.lan"], 2021, true);
    let served = start(&made, Limits::default()).await;
    let client = served.client("127.0.0.1", &Trust::Exactly(served.fingerprint));
    assert_eq!(client.health().await.expect("an answer").status, "healthy");
}

#[tokio::test]
async fn who_asks_in_the_clear_is_told_so_at_once() {
    let served = start(&own(&["localhost"], 2999, false), Limits { handshake: Duration::from_secs(60), ..quick() }).await;
    for sent in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), format!("POST / HTTP/1.1\r\n\r\n{}", "x".repeat(20_000)), "\0".to_owned()]
    {
        let mut stream = TcpStream::connect(served.address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let text = read_all(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains("https://"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_not_waited_for() {
    let served = start(&own(&["localhost"], 2999, false), quick()).await;
    // Nothing; the beginning of a record; a whole head of a record without its content.
    for sent in [&b""[..], &[22], &[22, 3, 1, 2, 0], &[22, 3, 1, 2, 0, 1, 0, 1, 252]] {
        let mut stream = TcpStream::connect(served.address).await.expect("a connection");
        stream.write_all(sent).await.expect("sent");
        let began = Instant::now();
        read_all(&mut stream).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{sent:?}");
    }
}

#[tokio::test]
async fn callers_that_shake_hands_take_places_and_give_them_back() {
    let made = own(&["localhost"], 2999, false);
    let served = start(&made, quick()).await;
    let mut held = Vec::new();
    for _ in 0..quick().connections {
        held.push(TcpStream::connect(served.address).await.expect("a connection"));
    }
    let mut refused = TcpStream::connect(served.address).await.expect("a connection");
    assert_eq!(read_all(&mut refused).await, "", "one more is cut off without a word in the clear");
    let client = served.client("localhost", &authorities(&made.authority));
    let began = Instant::now();
    while client.health().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "the silent ones lose their places");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(held);
}

#[tokio::test]
async fn the_bounds_of_a_connection_hold_over_tls_too() {
    let made = own(&["localhost"], 2999, false);
    let served = start(&made, Limits { connections: 1, ..quick() }).await;
    let mut slow = served.connect(&made).await;
    slow.write_all(b"GET /api/health HT").await.expect("sent");
    read_all(&mut slow).await;
    for n in 0..60 {
        served.node.task_with(&format!("t{n}"), serde_json::json!({ "content": "x".repeat(120_000) })).await;
    }
    let mut stream = served.connect(&made).await;
    let request = format!("GET /api/v1/tasks?limit=500 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    for _ in 0..8 {
        stream.write_all(request.as_bytes()).await.expect("sent");
    }
    // Nothing is read meanwhile: the one place is free again when the node gave the caller up.
    let client = served.client("localhost", &authorities(&made.authority));
    let began = Instant::now();
    while client.health().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the caller is cut off");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = read_all(&mut stream).await;
    assert!(text.len() < 8 * 60 * 120_000, "{} bytes", text.len());
}

#[tokio::test]
async fn a_shutdown_ends_streams_over_tls_in_order() {
    let made = own(&["localhost"], 2999, false);
    let served = start(&made, Limits::default()).await;
    let mut stream = served.connect(&made).await;
    let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("connected") {
        let mut part = [0; 256];
        let read = stream.read(&mut part).await.expect("the stream begins");
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..read]);
    }
    served.stop.send(()).expect("it runs");
    let ended = tokio::time::timeout(Duration::from_secs(4), served.ended).await.expect("an end in time");
    ended.expect("no panic").expect("no error");
    assert!(read_all(&mut stream).await.ends_with("0\r\n\r\n"), "the stream ends properly");
}
