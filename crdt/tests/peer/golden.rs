//! Golden files: what version 1 wrote is read by every later release.
//!
//! With `OCTOPOID_WRITE_GOLDEN=1` a missing file is written; an existing one is never changed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use octopoid_crdt::peer::{
    Message,
    join::{Code, JoinFrame, Ticket},
};

use super::samples;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/frames/v1").join(format!("{name}.json"))
}

/// Returns what is golden; writes it first where it is missing and asked for.
fn golden(name: &str, found: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
    let path = path(name);
    if std::env::var_os("OCTOPOID_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(path.parent().expect("it has one")).expect("the golden folder can be made");
        fs::write(&path, serde_json::to_string_pretty(found).expect("texts are JSON") + "\n").expect("the golden folder is writable");
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} has no golden file ({error}): {}", path.display()));
    serde_json::from_str(&text).expect("a golden file is a JSON object of texts")
}

fn same(name: &str, found: &BTreeMap<&str, String>) {
    let wanted = golden(name, found);
    assert!(found.iter().all(|(key, value)| wanted.get(*key) == Some(value)), "{name}: wrote {found:?}, golden is {wanted:?}");
}

#[test]
fn every_message_is_written_and_read_byte_for_byte_as_its_golden_file_says() {
    let mut kinds = Vec::new();
    for (name, message) in samples::messages() {
        let bytes = message.encode().expect("a sample is within limits");
        same(name, &BTreeMap::from([("type", message.kind().to_string()), ("bytes", hex::encode(&bytes))]));
        assert_eq!(Message::decode(&bytes).expect("a golden frame is read"), Some(message.clone()));
        kinds.push(message.kind());
    }
    assert_eq!(kinds, (1..=10).collect::<Vec<_>>(), "every type has a sample");
}

#[test]
fn every_step_of_joining_is_written_and_read_byte_for_byte_as_its_golden_file_says() {
    for (name, frame) in samples::join_frames() {
        let bytes = frame.encode().expect("a sample is within limits");
        same(name, &BTreeMap::from([("bytes", hex::encode(&bytes))]));
        assert_eq!(JoinFrame::decode(&bytes).expect("a golden frame is read"), frame);
    }
}

#[test]
fn tickets_and_codes_are_as_their_golden_files_say() {
    let ticket = samples::ticket();
    let text = ticket.to_text().expect("a sample is within limits");
    same("ticket", &BTreeMap::from([("text", text.clone()), ("invite", hex::encode(ticket.invite()))]));
    assert_eq!(text.parse::<Ticket>().expect("a golden ticket is read"), ticket);
    let code = Code::compute((&samples::key(1), &[2; 32]), (&samples::key(3), &[4; 32]), &samples::cluster());
    same("code", &BTreeMap::from([("code", code.to_string())]));
}
