//! Keeps ARCHITECTURE.md true: its map against the tree, its arrows against the manifests, and the
//! rules about what may stand where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of the fenced block that follows a heading.
fn block(document: &str, heading: &str) -> Vec<String> {
    let after = document
        .split_once(heading)
        .unwrap_or_else(|| panic!("no heading {heading}"))
        .1;
    let body = after
        .split("```")
        .nth(1)
        .unwrap_or_else(|| panic!("no block under {heading}"));
    body.lines()
        .skip(1)
        .filter(|l| !l.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// Paths of the map: a line's first word, nested by two spaces of indentation.
fn mapped() -> BTreeSet<String> {
    let mut parents: Vec<String> = Vec::new();
    let mut paths = BTreeSet::new();
    for line in block(&read("ARCHITECTURE.md"), "## The map") {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let name = line.split_whitespace().next().unwrap().to_owned();
        parents.truncate(depth);
        paths.insert(format!("{}{name}", parents.concat()));
        parents.push(name);
    }
    paths
}

#[test]
fn everything_on_the_map_exists() {
    for path in mapped() {
        assert!(
            root().join(&path).exists(),
            "ARCHITECTURE.md names {path}, which does not exist"
        );
    }
}

#[test]
fn every_crate_and_module_is_on_the_map() {
    let mapped = mapped();
    let mut missing = Vec::new();
    for crate_dir in std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|e| e.unwrap().path())
    {
        let crate_name = crate_dir.file_name().unwrap().to_str().unwrap().to_owned();
        if !mapped.contains(&format!("crates/{crate_name}/")) {
            missing.push(format!("crates/{crate_name}/"));
        }
        for entry in std::fs::read_dir(crate_dir.join("src"))
            .unwrap()
            .map(|e| e.unwrap())
        {
            let name = entry.file_name().into_string().unwrap();
            let slash = if entry.file_type().unwrap().is_dir() {
                "/"
            } else {
                ""
            };
            let path = format!("crates/{crate_name}/src/{name}{slash}");
            let short = format!("crates/{crate_name}/{name}{slash}");
            let is_root = matches!(name.as_str(), "lib.rs" | "main.rs");
            if !is_root
                && !mapped.contains(&path)
                && !mapped.contains(&short)
                && mapped_module(&mapped, &crate_name, &name)
            {
                missing.push(path);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in ARCHITECTURE.md's map: {missing:?}"
    );
}

/// Whether the map goes down to the modules of this crate: it does for the binary.
fn mapped_module(mapped: &BTreeSet<String>, crate_name: &str, name: &str) -> bool {
    let goes_down = mapped
        .iter()
        .any(|p| p.starts_with(&format!("crates/{crate_name}/src/")));
    goes_down && (Path::new(name).extension().is_none_or(|e| e == "rs"))
}

/// `manara-x` dependencies of each crate, from its manifest.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::new();
    for crate_dir in std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|e| e.unwrap().path())
    {
        let manifest = std::fs::read_to_string(crate_dir.join("Cargo.toml")).unwrap();
        let depends = manifest
            .split("[dependencies]")
            .nth(1)
            .unwrap_or("")
            .split("\n[")
            .next()
            .unwrap()
            .to_owned();
        let targets = depends
            .lines()
            .filter_map(|l| {
                l.split(['.', ' ', '='])
                    .next()?
                    .strip_prefix("manara-")
                    .map(str::to_owned)
            })
            .collect();
        arrows.insert(
            crate_dir.file_name().unwrap().to_str().unwrap().to_owned(),
            targets,
        );
    }
    arrows
}

#[test]
fn the_arrows_between_crates_are_those_drawn() {
    let mut drawn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in block(&read("ARCHITECTURE.md"), "## The arrows") {
        let (from, to) = line
            .split_once("→")
            .unwrap_or_else(|| panic!("no arrow in `{line}`"));
        let to = to
            .split(',')
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty() && t != "nothing")
            .collect();
        drawn.insert(from.trim().to_owned(), to);
    }
    assert_eq!(arrows(), drawn);
}

/// All Rust sources of a crate, tests included.
fn sources(crate_name: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, into);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                into.push((entry, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &root().join("crates").join(crate_name).join("src"),
        &mut found,
    );
    found
}

#[test]
fn sql_stands_only_in_the_store() {
    for crate_name in ["signal", "model", "rules", "audit", "manara"] {
        for (path, text) in sources(crate_name) {
            for word in [
                "INSERT INTO ",
                "DELETE FROM ",
                "CREATE TABLE ",
                " FROM events",
            ] {
                assert!(
                    !text.contains(word),
                    "{} holds SQL (`{word}`)",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn leaf_crates_have_no_clock_runtime_or_network() {
    for crate_name in ["signal", "model", "rules", "audit"] {
        for (path, text) in sources(crate_name) {
            // A test may look at a clock, to see that no input takes for ever.
            let text = text.split("#[cfg(test)]").next().unwrap();
            for word in [
                "std::net",
                "std::fs",
                "tokio::",
                "SystemTime::now",
                "Instant::now",
                "Timestamp::now",
            ] {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn every_leaf_crate_asks_for_documentation() {
    for crate_name in ["signal", "model", "rules", "audit", "store"] {
        let root = read(format!("crates/{crate_name}/src/lib.rs"));
        assert!(
            root.contains("#![warn(missing_docs)]"),
            "crates/{crate_name} does not warn about missing docs"
        );
    }
}

#[test]
fn no_path_of_one_machine_stands_in_the_tree() {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    for name in names.split('\0').filter(|n| !n.is_empty()) {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else {
            continue;
        };
        // Put together here, so that this file does not hold what it looks for.
        for word in ["main", ".library", "shared"].map(|w| format!("/{}/{w}", "work")) {
            assert!(!text.contains(&word), "{name} names {word}");
        }
    }
}
