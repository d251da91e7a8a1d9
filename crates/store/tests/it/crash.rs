//! Killed in the middle: what was acknowledged is there, once, and the log agrees.
//!
//! The writer is a program of its own (`examples/crash_writer.rs`), so that it can be killed the
//! way a power cut kills it, and so that two of them can write to one file.

use crate::fixtures::{open, verify};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// Where the writer is. It is built here, because not every way of running this test does: a
/// writer left over from an earlier build would be tested instead.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().unwrap();
        // TARGET/PROFILE/deps/it-…
        let profile = test.ancestors().nth(2).unwrap();
        let name = profile.file_name().unwrap().to_str().unwrap();
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--offline",
                "--package",
                "manara-store",
                "--example",
                "crash_writer",
            ])
            .args(["--profile", if name == "debug" { "dev" } else { name }])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(built.success(), "building the writer: {built}");
        profile
            .join("examples")
            .join(format!("crash_writer{}", std::env::consts::EXE_SUFFIX))
    });
    &PROGRAM
}

fn writer(database: &Path, prefix: &str, events: u32) -> Child {
    Command::new(program())
        .arg(database)
        .arg(prefix)
        .arg(events.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program().display()))
}

/// The ids it has printed, each after its write was acknowledged, once it has ended. The last line
/// counts only when it is whole.
fn acknowledged(child: &mut Child) -> Vec<String> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut ids = Vec::new();
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        ids.extend(line.strip_suffix('\n').map(str::to_owned));
        line.clear();
    }
    child.wait().unwrap();
    ids
}

/// Asserts that every acknowledged event is there with what follows from it.
#[track_caller]
fn check(database: &Path, ids: &[String]) {
    let store = open(database);
    let missing: Vec<_> = ids
        .iter()
        .filter(|id| {
            let event = store.read(|r| r.event("crash.example", id)).unwrap();
            let Some(event) = event else { return true };
            let deliveries = store.read(|r| r.deliveries(event.decision.id)).unwrap();
            deliveries.len()
                != event
                    .decision
                    .actions
                    .iter()
                    .filter(|a| a.kind.is_delivered())
                    .count()
        })
        .collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    verify(&store);
    store.close_blocking().unwrap();
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("manara.db");
    let mut kept = Vec::new();
    for round in 0_u64..8 {
        let mut child = writer(&database, &format!("round-{round}"), u32::MAX);
        std::thread::sleep(Duration::from_millis(150 + round * 67));
        child.kill().unwrap();
        kept.extend(acknowledged(&mut child));
        check(&database, &kept);
    }
    assert!(
        kept.len() > 100,
        "only {} events were written, the rounds prove little",
        kept.len()
    );
    assert_eq!(kept.iter().collect::<HashSet<_>>().len(), kept.len());
}

#[test]
fn two_processes_write_one_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("manara.db");
    let mut children = [writer(&database, "a", 300), writer(&database, "b", 300)];
    let kept: Vec<String> = children.iter_mut().flat_map(acknowledged).collect();
    assert_eq!(kept.len(), 600);
    check(&database, &kept);
}
