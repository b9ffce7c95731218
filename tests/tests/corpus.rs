//! Replays the corpus of the fuzz targets: every input runs through its target, and memory stays small.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/targets.rs"]
mod targets;

/// The most memory that the whole replay may have taken.
const MEMORY_KIB: u64 = 256 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads the files of a folder, with their names.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    paths.map(|path| (path.display().to_string(), fs::read(&path).expect("a file"))).collect()
}

/// Runs every input, whole and cut short, and with one byte changed here and there.
fn replay(target: fn(&[u8]), inputs: Vec<(String, Vec<u8>)>) {
    assert!(!inputs.is_empty(), "the corpus holds inputs");
    for (name, input) in inputs {
        let step = (input.len() / 24).max(1);
        let spoilt = (0..input.len()).step_by(step).flat_map(|at| {
            let mut flipped = input.clone();
            flipped[at] ^= 0x41;
            [input[..at].to_vec(), flipped]
        });
        for data in std::iter::once(input.clone()).chain(spoilt) {
            let ran = std::panic::catch_unwind(|| target(&data));
            assert!(ran.is_ok(), "{name}, or a change of it: {:02x?}", &data[..data.len().min(256)]);
        }
    }
}

/// Golden files as bytes: a field of each holds them in hexadecimal.
fn golden(folder: &str, field: &str, takes: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let bytes = |text: &[u8]| {
        let json: serde_json::Value = serde_json::from_slice(text).expect("JSON");
        let hex = json[field].as_str().expect("the bytes");
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
    };
    let all = files(&root().join("crdt/tests/golden").join(folder));
    let name = |path: &str| Path::new(path).file_stem().is_some_and(|name| takes(&name.to_string_lossy()));
    all.into_iter().filter(|(path, _)| name(path)).map(|(path, text)| (path, bytes(&text))).collect()
}

/// The golden ticket, as its text.
fn tickets() -> Vec<(String, Vec<u8>)> {
    let path = root().join("crdt/tests/golden/frames/v1/ticket.json");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("a ticket")).expect("JSON");
    vec![(path.display().to_string(), json["text"].as_str().expect("the text").as_bytes().to_vec())]
}

/// Keeps panics that the gate contains out of the output.
fn quiet() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !octopoid_crdt::document::gate::in_trial() {
            loud(info);
        }
    }));
}

#[test]
fn the_corpus_brings_no_target_down_and_takes_little_memory() {
    quiet();
    let corpus = root().join("fuzz/corpus");
    let joins = |name: &str| name.starts_with("join_");
    replay(targets::record, golden("records/v1", "wire", |_| true));
    replay(targets::frame, golden("frames/v1", "bytes", |name| !joins(name) && !matches!(name, "ticket" | "code")));
    replay(targets::join, golden("frames/v1", "bytes", joins));
    replay(targets::ticket, tickets());
    replay(targets::gate, files(&root().join("crdt/tests/golden/gate")));
    replay(targets::rest, files(&corpus.join("rest")));
    replay(targets::task_file, files(&corpus.join("task_file")));
    replay(targets::import, files(&corpus.join("import")));
    let status = fs::read_to_string("/proc/self/status").expect("this process's status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most memory that was in use");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak <= MEMORY_KIB, "the replay took {peak} KiB");
}
