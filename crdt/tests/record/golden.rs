//! Golden files: what version 1 wrote is opened by every later release.
//!
//! With `OCTOPOID_WRITE_GOLDEN=1` a missing file is written; an existing one is never changed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use octopoid_crdt::record::{KINDS, Payload, Verified};

use crate::samples;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/records/v1")
}

fn description(record: &Verified) -> BTreeMap<&'static str, String> {
    let (payload, signature) = record.wire().split_at(record.wire().len() - 64);
    BTreeMap::from([
        ("cluster", record.cluster().to_string()),
        ("kind", record.payload().body.kind().to_string()),
        ("id", record.id().to_string()),
        ("payload", hex::encode(payload)),
        ("signature", hex::encode(signature)),
        ("wire", hex::encode(record.wire())),
    ])
}

fn read(name: &str) -> BTreeMap<String, String> {
    let path = folder().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("kind {name} has no golden file ({error}): {}", path.display()));
    serde_json::from_str(&text).expect("a golden file is a JSON object of texts")
}

#[test]
fn every_kind_is_written_byte_for_byte_as_its_golden_file_says() {
    let write = std::env::var_os("OCTOPOID_WRITE_GOLDEN").is_some();
    for body in samples::bodies() {
        let name = body.name();
        let found = description(&samples::signed(body));
        let path = folder().join(format!("{name}.json"));
        if write && !path.exists() {
            let text = serde_json::to_string_pretty(&found).expect("texts are JSON");
            fs::write(&path, text + "\n").expect("the golden folder is writable");
        }
        let wanted = read(name);
        assert!(found.iter().all(|(key, value)| wanted.get(*key) == Some(value)), "{name}: wrote {found:?}, golden is {wanted:?}");
    }
}

#[test]
fn every_golden_file_is_opened_and_encoded_again_byte_for_byte() {
    let names = KINDS.iter().map(|(_, name)| *name).chain(["unknown"]);
    for name in names {
        let golden = read(name);
        let cluster = golden["cluster"].parse().expect("the cluster is hex");
        let wire = hex::decode(&golden["wire"]).expect("the wire is hex");
        let record = Verified::check(cluster, &wire).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(record.payload().body.name(), name);
        assert_eq!(record.payload().body.kind().to_string(), golden["kind"]);
        assert_eq!(record.id().to_string(), golden["id"]);
        assert_eq!(hex::encode(record.payload().encode().expect("a decoded payload is well formed")), golden["payload"]);
        assert_eq!(golden["wire"], format!("{}{}", golden["payload"], golden["signature"]));
        let again = Payload::decode(&wire[..wire.len() - 64]).expect("a checked payload decodes");
        assert_eq!(&again, record.payload());
        assert_eq!(Verified::from_own_store(cluster, &wire).expect("it was checked").id(), record.id());
    }
}

#[test]
fn every_kind_has_one_sample() {
    let mut sampled: Vec<_> = samples::bodies().iter().map(|body| (body.kind(), body.name())).collect();
    assert_eq!(sampled.pop(), Some((4000, "unknown")));
    assert_eq!(sampled, KINDS);
}
