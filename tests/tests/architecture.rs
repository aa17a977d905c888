//! Holds the rooms of this repository: which package may depend on which, where a library may
//! appear, what the pure packages must not touch, and how long files and functions may get.
//!
//! Each checker is a pure function from facts to complaints, and is itself tested with a made-up
//! violation. A rule that has to change is changed here, in the same commit, with its reason.

#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/packages.rs"]
mod packages;
#[path = "architecture/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use names::{named_functions, strangers};
use packages::{EDGES, Metadata, crossed_edges};
use sources::{complaints_about, names_a_cell};

/// Where Rust sources are.
const ROOMS: [&str; 5] = ["control-plane", "data-plane", "deploy", "proto", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source below `directory`, by its path from the root, with its text.
fn sources_below(directory: &str) -> std::io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from(directory)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root().join(&directory))? {
            let path = directory.join(entry?.file_name());
            if root().join(&path).is_dir() {
                directories.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let source = std::fs::read_to_string(root().join(&path))?;
                found.push((path, source));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn packages_depend_only_on_the_rooms_below_them() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&metadata.stdout).unwrap();
    assert_eq!(
        metadata.packages.len(),
        EDGES.len(),
        "every package has a room, and every room a package"
    );
    assert_eq!(crossed_edges(&metadata.packages), [""; 0]);
}

#[test]
fn the_top_level_is_fixed() {
    let names: Vec<_> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "target")
        .collect();
    assert_eq!(strangers(names.iter().map(String::as_str)), [""; 0]);
}

#[test]
fn sources_keep_to_their_rooms_and_sizes() {
    let files: Vec<_> = ROOMS
        .iter()
        .flat_map(|room| sources_below(room).unwrap())
        .collect();
    let complaints = files
        .iter()
        .flat_map(|(file, source)| complaints_about(file, source));
    let complaints: Vec<_> = complaints.collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(files.len() > 100, "only {} sources were found", files.len());
}

#[test]
fn exactly_one_cell_holds_the_live_snapshot() {
    let sources = sources_below("data-plane/src").unwrap();
    let cells = sources.iter().filter(|(_, source)| names_a_cell(source).unwrap());
    let cells: Vec<_> = cells.map(|(file, _)| file).collect();
    assert_eq!(cells.len(), 1, "{cells:?}");
}

#[test]
fn what_the_architecture_names_exists() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let text: String = text.split("```").step_by(2).collect();
    let sources: Vec<_> = ROOMS
        .iter()
        .flat_map(|room| sources_below(room).unwrap())
        .collect();
    let exists = |name: &str| {
        let (function, generic) = (format!("fn {name}("), format!("fn {name}<"));
        sources
            .iter()
            .any(|(_, source)| source.contains(&function) || source.contains(&generic))
    };
    let named = named_functions(&text);
    assert!(named.len() > 40, "only {named:?}");
    let gone: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert_eq!(gone, [""; 0]);
}
