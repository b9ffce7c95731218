//! Finds the program, and builds it when it is older than its sources.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// Returns the path of the program.
///
/// `cargo test --workspace` has built it already, with the features of the whole workspace; a build of its own would
/// choose others and compile half of the dependencies again. So cargo is called only when a source that cargo noted for
/// the program is newer, or the program is missing.
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

/// Tells whether every source that cargo noted beside the program is older than it.
fn is_current(program: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let Some(built) = changed(program) else { return false };
    let Ok(noted) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    let Some((_, sources)) = noted.split_once(": ") else { return false };
    let older = |path: &Path| changed(path).is_some_and(|time: SystemTime| time <= built);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Blanks within a path are written with a backslash before them.
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().map(|path| PathBuf::from(path.replace('\0', " ")));
    older(&root.join("Cargo.lock")) && older(&root.join("cli/Cargo.toml")) && sources.all(|path| older(&path))
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
