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

/// The tests need ffmpeg, as scripts/test knows: without it they fail, here and elsewhere.
#[test]
fn ffmpeg_is_given_a_drawing_of_each_format_in_its_sandbox() {
    let (_, found) = check(&[], "ffmpeg");
    assert_eq!(found["state"], "fine", "{found}");
    let said = found["found"].as_str().expect("text");
    assert!(
        said.contains("ffmpeg version ") && said.ends_with("reads HEIC and AVIF"),
        "{said}"
    );
    for layer in ["rlimit", "landlock", "seccomp", "no_new_privs"] {
        let (_, found) = check(&["--without", layer], "ffmpeg sandbox");
        assert_eq!(
            (found["state"].as_str(), found["found"].as_str()),
            (Some("off"), Some(format!("without {layer}").as_str()))
        );
    }
}

#[test]
fn an_ffmpeg_that_is_missing_or_wrong_is_said_to_be_so() {
    let folder = Folder::new();
    let data = folder.path("data").display().to_string();
    common::run_ok(&["bank", "create", "--data", &data, "SLOGANS"]);
    let configured = |setting: &str| {
        folder.write(
            "data/manara.toml",
            format!("[media]\nffmpeg = '{setting}'\n"),
        );
        let (code, found) = check(&["--data", &data], "ffmpeg");
        let [state, said] =
            ["state", "found"].map(|name| found[name].as_str().unwrap_or_default().to_owned());
        assert!(
            found["hint"]
                .as_str()
                .is_some_and(|hint| hint.contains("undecodable")),
            "{found}"
        );
        (code, state, said)
    };
    let (code, state, said) = configured("");
    assert_eq!((code, state.as_str()), (Some(0), "optional"));
    assert!(said.contains("switched off"), "{said}");
    let (_, state, said) = configured("no-such-ffmpeg");
    assert!(
        state == "optional" && said.contains("not installed"),
        "{said}"
    );
    let (code, state, said) = configured("/nonexistent/ffmpeg");
    assert_eq!((code, state.as_str()), (Some(1), "off"));
    assert!(said.contains("cannot be started"), "{said}");
    let script = folder.write("script", "#!/bin/sh\nexec ffmpeg\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("making it executable");
    let (code, state, _) = configured(&script.display().to_string());
    assert_eq!((code, state.as_str()), (Some(1), "off"));

    folder.write("data/manara.toml", "[media]\nffmpeg = 'bin/ffmpeg'\n");
    let (code, found) = check(&["--data", &data], "configuration");
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
