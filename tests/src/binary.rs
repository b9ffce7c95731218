//! Finds the program, and builds it when it is older than its sources.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The crates that the program is made of.
const CRATES: [&str; 5] = ["cli", "node", "net", "crdt", "sdk/rust"];

/// Returns the path of the program.
///
/// `cargo test --workspace` has built it already, with the features of the whole workspace; a build of its own may
/// choose others and compile dependencies again. So cargo is called only when the program is missing or a source is newer.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn octopoid() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = profile_folder();
        let program = folder.join("octopoid");
        if !is_current(&program) {
            build(&folder);
        }
        assert!(program.is_file(), "cargo built no {}", program.display());
        program
    })
}

/// Returns `target/<profile>`: tests lie in its `deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    folder.to_owned()
}

/// Tells whether everything that the program is made of is older than it.
fn is_current(program: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Ok(built) = changed(program) else { return false };
    let manifests = CRATES.iter().map(|name| root.join(name).join("Cargo.toml"));
    let single = manifests.chain([root.join("Cargo.toml"), root.join("Cargo.lock")]);
    let sources = CRATES.iter().map(|name| root.join(name).join("src"));
    single.chain(sources).all(|path| newest(&path).is_ok_and(|time| time <= built))
}

fn changed(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

/// Returns when a file, or the newest one of a folder, was changed.
fn newest(path: &Path) -> io::Result<SystemTime> {
    let mut newest = changed(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let target = folder.parent().expect("target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "octopoid", "--bin", "octopoid", "--manifest-path", manifest])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the program could not be built: cargo build --package octopoid");
}
