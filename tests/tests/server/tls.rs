//! A node that serves its API over TLS, and a machine that comes to its cluster by it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use octopoid_client::{Client, ConnectOptions};
use octopoid_tests::Project;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use crate::office::{served, until_served_by};

/// Makes a certificate as `openssl req -x509` does, and its key, in a folder outside the repository; configures them.
fn serve_over_tls(machine: &Project, until: i32) -> PathBuf {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    let (cert_file, key_file) = (machine.home().join("api.crt"), machine.home().join("api.key"));
    fs::write(&cert_file, certificate.pem()).expect("written");
    fs::write(&key_file, key.serialize_pem()).expect("written");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("set");
    let config = machine.dir().join("config.yaml");
    let text = fs::read_to_string(&config).expect("config.yaml");
    let text = text.split("\n# of this test\n").next().unwrap_or_default();
    let tls = format!("{{cert: {}, key: {}}}", cert_file.display(), key_file.display());
    fs::write(&config, format!("{text}\n# of this test\napi:\n  host: 0.0.0.0\n  hosts: [localhost]\n  tls: {tls}\n")).expect("written");
    cert_file
}

#[tokio::test]
async fn a_machine_joins_by_an_https_address() {
    let mut cluster = served(1, &[]).await;
    cluster.machines[0].stop(&[]).await;
    let certificate = serve_over_tls(&cluster.machines[0], 2999);
    cluster.machines[0].start().await;
    let office = &cluster.machines[0];
    let url = office.node().api_url().to_owned();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert!(office.run(&["status"]).ok().contains(&url), "commands on the machine trust their own node");
    let there = ConnectOptions { project_dir: Some(office.repo()), ..ConnectOptions::default() };
    Client::connect(&there).expect("a project's node").node_status().await.expect("scripts on the machine trust it as well");
    let id = office.enqueue("There before", &[]);
    let port = url.rsplit(':').next().expect("a port");
    let (url, key) = (format!("https://localhost:{port}"), office.read(".octopoid/runtime/api.token").trim().to_owned());

    let mut machine = cluster.prepared(&[]);
    let untrusted = machine.run(&["init", "--server", &url, "--api-key", &key]);
    assert!(untrusted.refused(1).contains("--ca FILE"), "{untrusted:?}");
    let ca = certificate.display().to_string();
    let missing = machine.run(&["init", "--server", &url, "--api-key", &key, "--ca", "no/such/file"]);
    assert!(missing.refused(1).contains("no/such/file"), "{missing:?}");
    let other_name = format!("https://127.0.0.1:{port}");
    let misnamed = machine.run(&["init", "--server", &other_name, "--api-key", &key, "--ca", &ca]);
    assert!(misnamed.refused(1).contains("not trusted"), "the certificate names localhost only: {misnamed:?}");
    let clear = machine.run(&["init", "--server", &format!("http://127.0.0.1:{port}"), "--api-key", &key]);
    assert!(clear.refused(1).contains("https://"), "{clear:?}");
    assert!(!machine.dir().join("runtime/octopoid.redb").exists(), "nothing was made of a cluster");

    let said = machine.run(&["init", "--server", &url, "--api-key", &key, "--cluster", "home", "--ca", &ca]);
    assert!(said.ok().contains("this machine is a member of the cluster now"), "{said:?}");
    let local = machine.read(".octopoid/runtime/local.yaml");
    assert!(local.contains("mode: remote") && local.contains(&url) && local.contains(&ca), "{local}");
    machine.start().await;
    until_served_by(&machine, "machine-1").await;
    machine.until_in(&id, "incoming").await;
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_by_validate_and_status() {
    let mut project = Project::new();
    let certificate = serve_over_tls(&project, 2021);
    let key = certificate.with_extension("key");
    let validated = project.run(&["validate"]);
    assert!(validated.code == Some(1) && validated.stdout.contains("certificate has expired at 2021-01-01"), "{validated:?}");
    project.start().await;
    let status = project.run(&["status"]);
    let _ = status.ok();
    assert!(status.stderr.contains("certificate has expired at 2021-01-01"), "{status:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    let status = project.run(&["status"]);
    assert!(status.stderr.contains("other users of this machine can read the API's key"), "{status:?}");
    project.stop(&[]).await;

    serve_over_tls(&project, 2999);
    assert!(!project.run(&["validate"]).ok().contains("certificate"), "all is well");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    let validated = project.run(&["validate"]);
    assert!(validated.ok().contains("can read the API's key"), "a warning: {validated:?}");
    fs::write(&key, KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    let validated = project.run(&["validate"]);
    assert!(validated.code == Some(1) && validated.stdout.contains("is not the key of the certificate in"), "{validated:?}");
    let start = project.run(&["start", "--once"]);
    assert!(start.refused(1).contains("is not the key of the certificate in"), "{start:?}");
}

#[tokio::test]
async fn a_node_that_speaks_tls_lets_nobody_hang() {
    let mut project = Project::new();
    serve_over_tls(&project, 2999);
    let address = project.start().await.api_url().trim_start_matches("https://").to_owned();
    let mut plain = std::net::TcpStream::connect(&address).expect("a connection");
    plain.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut text = String::new();
    plain.read_to_string(&mut text).expect("an end in time");
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("use https://"), "{text}");
    let mut silent = std::net::TcpStream::connect(&address).expect("a connection");
    silent.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let began = Instant::now();
    assert_eq!(silent.read(&mut [0; 16]).expect("an end, no time-out of ours"), 0);
    assert!(began.elapsed() < Duration::from_secs(15), "the node waits 10 s for a handshake: {:?}", began.elapsed());
}
