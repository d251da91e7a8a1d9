//! `manara doctor`: what it says of this machine, of one that lacks something, and its exit code.

mod cli_support;
mod common;

use cli_support::Folder;
use common::run;
use serde_json::Value;

/// Runs it with `--json`: its exit code and the entry of this name.
#[track_caller]
fn check(arguments: &[&str], name: &str) -> (Option<i32>, Value) {
    let output = run(&[&["doctor", "--json"], arguments].concat());
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let found = checks.into_iter().find(|check| check["name"] == name);
    (output.status.code(), found.expect(name))
}

/// The sandbox's layers as the kernel itself tells of one process, to compare with.
fn kernel_has(layer: &str) -> bool {
    std::fs::read_to_string("/sys/kernel/security/lsm")
        .is_ok_and(|modules| modules.split(',').any(|module| module.trim() == layer))
}

#[test]
fn every_layer_is_looked_at() {
    for layer in ["rlimit", "no_new_privs", "seccomp"] {
        let (_, found) = check(&[], layer);
        assert_eq!(found["state"], "fine", "{found}");
        assert!(found.get("hint").is_none(), "{found}");
    }
    let (code, found) = check(&[], "landlock");
    if kernel_has("landlock") {
        assert_eq!(found["state"], "fine", "{found}");
    }
    if found["state"] == "fine" {
        assert_eq!(code, Some(0));
        let said = found["found"].as_str().expect("text");
        assert!(said.starts_with("on, ABI "), "{said}");
    }
}

#[test]
fn a_missing_layer_is_named_with_a_hint_and_an_exit_code() {
    for layer in ["rlimit", "landlock", "seccomp", "no_new_privs"] {
        let (code, found) = check(&["--without", layer], layer);
        assert_eq!(
            (code, found["state"].as_str()),
            (Some(1), Some("off")),
            "{found}"
        );
        assert!(
            found["hint"].as_str().is_some_and(|hint| hint.len() > 20),
            "{found}"
        );
    }
    let (code, found) = check(&["--without", "moat"], "media worker");
    assert_eq!(
        (code, found["state"].as_str()),
        (Some(1), Some("off")),
        "{found}"
    );
}

#[test]
fn the_data_directory_is_looked_at_and_left_as_it_is() {
    let folder = Folder::new();
    let data = folder.path("data").display().to_string();
    let arguments = ["--data", data.as_str()];
    let (code, found) = check(&arguments, "database");
    assert_eq!(
        (code, found["state"].as_str()),
        (Some(1), Some("off")),
        "{found}"
    );
    assert!(!folder.path("data").exists(), "looking made the directory");

    common::run_ok(&["bank", "create", "--data", &data, "SLOGANS"]);
    let (_, found) = check(&arguments, "database");
    assert_eq!(
        (found["state"].as_str(), found["found"].as_str()),
        (Some("fine"), Some("version 1"))
    );
    let (_, found) = check(&arguments, "free disk");
    assert!(
        found["found"]
            .as_str()
            .is_some_and(|found| found.ends_with(" GiB")),
        "{found}"
    );

    std::fs::write(folder.path("data").join("manara.db"), "not a database").expect("writing");
    let (code, found) = check(&arguments, "database");
    assert_eq!(
        (code, found["state"].as_str()),
        (Some(1), Some("off")),
        "{found}"
    );
}

#[test]
fn the_table_can_be_read_without_colour() {
    let output = run(&["doctor", "--without", "landlock"]);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        table.contains("landlock") && table.contains("OFF"),
        "{table}"
    );
    assert!(
        table.contains("ffmpeg") && table.contains("processor"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'), "{table}");
}
