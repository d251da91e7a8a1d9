//! Opening files that are new, old, foreign, damaged, or signed by somebody else.

use crate::fixtures::{Fixture, at, bank, furnished, options, plain, plainly};
use manara_model::Author;
use manara_store::{OpenError, Options, Store};
use rusqlite::Connection;
use std::path::Path;

#[track_caller]
fn check_refused(path: &Path, says: &str) -> OpenError {
    let error = Store::open(path, options()).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    error
}

#[test]
fn a_database_from_a_newer_version_is_refused_and_untouched() {
    let it = Fixture::new();
    let path = it.path();
    it.store.close_blocking().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = check_refused(
        &path,
        "this database is version 99, this Manara knows up to 1: use the newer Manara, or restore a backup",
    );
    assert_eq!(
        error,
        OpenError::Newer {
            found: 99,
            known: 1
        }
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are my notes, and quite a lot of them; not a database at all.".repeat(20),
    )
    .unwrap();
    check_refused(&text, "is not a Manara database (it is no SQLite database)");
    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    check_refused(&foreign, "it is another program's SQLite database");
    check_refused(dir.path(), "cannot open");
    check_refused(&dir.path().join("missing/manara.db"), "No such file");
}

#[test]
fn a_truncated_database_is_refused_or_found_out() {
    let it = furnished();
    let path = it.path();
    it.store.close_blocking().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    match Store::open(&path, options()) {
        Err(error) => assert!(
            matches!(
                error,
                OpenError::Corrupt { .. } | OpenError::AuditKey { .. }
            ),
            "{error:?}"
        ),
        Ok(store) => assert!(!store.verify(&mut |_, _| ()).unwrap().findings.is_empty()),
    }
}

#[test]
fn another_key_does_not_continue_the_log() {
    let it = Fixture::new();
    it.record(plain("post-1"));
    it.store.clone().close_blocking().unwrap();
    for other in [
        Options {
            audit_seed: [8; 32],
            ..options()
        },
        Options {
            origin: "other.example/log".into(),
            ..options()
        },
    ] {
        let error = Store::open(&it.path(), other).unwrap_err();
        assert!(matches!(error, OpenError::AuditKey { .. }), "{error:?}");
    }
    let it = it.reopened();
    it.verify();
}

#[test]
fn an_unusable_origin_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("manara.db");
    let error = Store::open(
        &path,
        Options {
            origin: "two words".into(),
            ..options()
        },
    )
    .unwrap_err();
    assert!(matches!(error, OpenError::Options(_)), "{error:?}");
    assert!(!path.exists());
}

#[test]
fn a_database_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let it = Fixture::new();
    it.write(|tx| tx.create_bank(&bank("A"), "", &plainly(), &Author::System, at(0)));
    for entry in std::fs::read_dir(it.dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn everything_is_there_after_closing_and_opening() {
    let it = furnished();
    let before = it.store.read(manara_store::Reader::totals).unwrap();
    let it = it.reopened();
    assert_eq!(it.store.read(manara_store::Reader::totals).unwrap(), before);
    it.verify();
    let files = std::fs::read_dir(it.dir.path()).unwrap().count();
    assert!(files >= 1);
}
