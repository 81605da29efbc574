//! `ARCHITECTURE.md` says which crate depends on which: each of its lines is what the manifests say, and no crate is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::root;

/// Crates by their short names, each with those that it depends on.
type Map = BTreeMap<String, BTreeSet<String>>;

/// What the page draws: lines of `crate  ->  crate, crate`.
fn drawn(page: &str) -> Map {
    let lines = page.lines().filter_map(|line| line.split_once("  ->  "));
    lines
        .map(|(from, to)| {
            (from.trim().to_owned(), to.split(',').map(|name| name.trim().to_owned()).collect())
        })
        .collect()
}

/// The crates of the workspace that a manifest names as dependencies, those of build scripts and tests left out. All may
/// depend on `types`, so it is left out too.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some(rest) = line.strip_prefix("starling-") {
            let name = rest.split(['.', ' ', '=']).next().unwrap_or_default();
            let counts = section == "[dependencies]"
                || (section.starts_with("[target.") && section.ends_with(".dependencies]"));
            if counts && name != "types" {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// What the manifests say, of the crates that depend on others at all.
fn built(root: &Path) -> Map {
    let folders = fs::read_dir(root.join("crates")).unwrap();
    let mut built = Map::new();
    for folder in folders {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let Ok(manifest) = fs::read_to_string(folder.path().join("Cargo.toml")) else { continue };
        let short = name.strip_prefix("starling-").unwrap_or(&name).to_owned();
        built.insert(short, dependencies(&manifest));
    }
    built
}

#[test]
fn the_map_of_dependencies_is_what_the_manifests_say() {
    let root = root();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let built = built(&root);
    assert!(built.len() > 20, "the crates are not found");
    for name in built.keys() {
        let title = if name == "starling" {
            "| `starling` (binary) |".to_owned()
        } else {
            format!("| `starling-{name}` |")
        };
        assert!(page.contains(&title), "the map has no row for {name}");
    }
    let of_others: Map = built.into_iter().filter(|(_, of)| !of.is_empty()).collect();
    assert_eq!(drawn(&page), of_others);
}

#[test]
fn dependencies_are_read_from_the_sections_that_are_built() {
    let manifest = "[package]\nname = \"starling-x\"\n[dependencies]\nstarling-plan.workspace = true\nserde = \"1\"\n\
        [target.'cfg(unix)'.dependencies]\nstarling-files = { path = \"..\" }\n[build-dependencies]\nstarling-source.workspace = true\n\
        [dev-dependencies]\nstarling-fake.workspace = true\n";
    assert_eq!(dependencies(manifest), ["files".to_owned(), "plan".to_owned()].into());
    assert_eq!(dependencies("[dependencies]\nstarling-types.workspace = true\n"), BTreeSet::new());
}
