//! The table of cases at nodes that are set up otherwise: one speaks TLS, one answers as the last TypeScript server did. The cases
//! with faults are left out: those happen in a proxy, which stands before a node of the usual kind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use octopoid_client::{Authorities, Client, ErrorKind, TaskFilter, Token, Trust};
use octopoid_tests::Project;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Place, steps, table};

/// Starts a node with a line for the section `api` of its settings.
async fn node(project: &mut Project, api: &str) -> Place {
    let config = project.dir().join("config.yaml");
    let text = fs::read_to_string(&config).expect("config.yaml");
    fs::write(&config, format!("{text}\napi:\n  {api}\n")).expect("written");
    project.start().await;
    let key = project.read(".octopoid/runtime/api.token").trim().to_owned();
    Place { url: project.node().api_url().to_owned(), key, trust: Trust::System, proxy: None }
}

/// Makes an authority that nobody knows and a certificate of it for a node of this machine; returns the authority's and what the
/// node's settings say.
fn private(project: &Project) -> (String, String) {
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::new(Vec::<String>::new()).expect("no names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).expect("a certificate").pem();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");
    let (cert_file, key_file) = (project.home().join("api.crt"), project.home().join("api.key"));
    fs::write(&cert_file, certificate.pem()).expect("written");
    fs::write(&key_file, key.serialize_pem()).expect("written");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("set");
    (root_pem, format!("tls: {{cert: {}, key: {}}}", cert_file.display(), key_file.display()))
}

/// Returns the cases that need no proxy, with their numbers.
fn plain(table: &Value) -> Vec<(usize, &Value)> {
    let needs_proxy = |step: &Value| step.get("faults").is_some() || step.get("requests").is_some();
    let cases = table["cases"].as_array().expect("cases").iter().enumerate();
    let plain: Vec<_> = cases.filter(|(_, case)| !steps(case).iter().any(needs_proxy)).collect();
    assert!(plain.len() > 40, "most of the table needs no proxy");
    plain
}

/// Lists tasks as a program does that was written against the last TypeScript server.
async fn asked_without_a_client(place: &Place) -> String {
    let address = place.url.trim_start_matches("http://");
    let head = format!("GET /api/v1/tasks HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", place.key);
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await.expect("an answer");
    said
}

#[tokio::test]
async fn the_table_holds_over_tls_for_who_trusts_the_authority() {
    let mut project = Project::new();
    let (authority, api) = private(&project);
    let mut place = node(&mut project, &api).await;
    assert!(place.url.starts_with("https://127.0.0.1:"), "{}", place.url);
    let stranger = Client::http(&place.url, Some(Token::new(&place.key).expect("a key"))).expect("an address");
    let untrusted = stranger.tasks(&TaskFilter::default()).await.expect_err("nobody knows the authority");
    assert_eq!(untrusted.kind(), ErrorKind::Unreachable, "{untrusted}");
    place.trust = Trust::Authorities(Authorities::from_pem(authority.as_bytes()).expect("PEM"));
    place.play(&plain(&table())).await;
}

#[tokio::test]
async fn the_table_holds_at_a_node_that_answers_as_an_old_server_did() {
    let mut project = Project::new();
    let place = node(&mut project, "compat: head").await;
    let said = asked_without_a_client(&place).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("api.compat is head"), "{said}");
    place.play(&plain(&table())).await;
}
