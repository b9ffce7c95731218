//! The crates depend on each other, and on the outside, only as ARCHITECTURE.md allows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).exec().expect("cargo metadata")
}

fn package<'m>(metadata: &'m Metadata, name: &str) -> &'m Package {
    metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == name).unwrap_or_else(|| panic!("no package {name}"))
}

fn normal_dependencies(package: &Package) -> BTreeSet<String> {
    package.dependencies.iter().filter(|dep| dep.kind == DependencyKind::Normal).map(|dep| dep.name.clone()).collect()
}

#[test]
fn the_crates_use_only_the_crates_that_they_may() {
    let allowed = BTreeMap::from([
        ("octopoid-crdt", vec![]),
        ("octopoid-net", vec![]),
        ("octopoid-client", vec![]),
        ("octopoid-node", vec!["octopoid-crdt", "octopoid-net", "octopoid-client"]),
        ("octopoid", vec!["octopoid-node", "octopoid-client"]),
    ]);
    let metadata = metadata();
    for (name, allowed) in allowed {
        let used = normal_dependencies(package(&metadata, name));
        let ours: Vec<_> = used.iter().filter(|dep| dep.starts_with("octopoid")).collect();
        for dep in ours {
            assert!(allowed.contains(&dep.as_str()), "{name} may not depend on {dep}");
        }
    }
}

#[test]
fn the_rules_and_the_carrier_stay_free_of_what_they_must_not_know() {
    let banned = [
        ("octopoid-crdt", vec!["tokio", "libp2p", "redb", "git2", "axum", "reqwest", "hyper", "getrandom", "rand"]),
        ("octopoid-net", vec!["redb", "git2", "axum", "automerge"]),
    ];
    let metadata = metadata();
    for (name, banned) in banned {
        let used = normal_dependencies(package(&metadata, name));
        for dep in banned {
            assert!(!used.contains(dep), "{name} may not depend on {dep}");
        }
    }
}

#[test]
fn every_dependency_that_the_project_is_built_on_is_in_use() {
    let metadata = metadata();
    let used: BTreeSet<String> = metadata.workspace_packages().into_iter().flat_map(normal_dependencies).collect();
    for dep in ["libp2p", "automerge", "tokio", "serde", "redb", "clap", "axum", "tracing", "git2", "ed25519-dalek"] {
        assert!(used.contains(dep), "{dep} is not in use");
    }
}

/// Returns the packages that the map of ARCHITECTURE.md names, each with its folder.
fn mapped(page: &str) -> BTreeSet<(String, String)> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut mapped = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').collect();
        for (folder, package) in
            quoted(cells[1]).into_iter().flat_map(|folder| quoted(cells[2]).into_iter().map(move |one| (folder.clone(), one)))
        {
            mapped.insert((folder.trim_end_matches('/').to_owned(), package));
        }
    }
    mapped
}

#[test]
fn the_architecture_page_names_every_package_and_no_other() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let metadata = metadata();
    let folder = |package: &Package| {
        let folder = package.manifest_path.parent().expect("a folder");
        folder.strip_prefix(&metadata.workspace_root).expect("a folder of the workspace").to_string()
    };
    let packages: BTreeSet<_> = metadata.workspace_packages().into_iter().map(|one| (folder(one), one.name.to_string())).collect();
    let (ours, others): (BTreeSet<_>, BTreeSet<_>) = mapped(&page).into_iter().partition(|named| packages.contains(named));
    assert_eq!(ours, packages, "ARCHITECTURE.md maps the packages of the workspace");
    for (folder, package) in others {
        // Those of other languages.
        let manifests =
            ["package.json", "pyproject.toml"].map(|file| std::fs::read_to_string(root.join(&folder).join(file)).unwrap_or_default());
        let named = manifests.iter().any(|manifest| manifest.contains(&format!("\"{package}\"")));
        assert!(named, "ARCHITECTURE.md names {package} in {folder}, which is not there");
    }
}
