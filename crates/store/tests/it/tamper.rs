//! Somebody changes the file behind our back: `verify` names what they changed.
//!
//! Each test changes a copy of one small store that has rows in every audited table.

use crate::fixtures::{
    Fixture, at, bank, decision_id, enqueue, furnished, judgement, plain, plainly, with_effects,
};
use manara_audit::{Frontier, SigningKey, VerifyingKey, leaf_hash};
use manara_model::{Author, Outcome};
use manara_store::verify_file;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::{Path, PathBuf};

/// Columns that no leaf vouches for, by design.
const OPERATIONAL: [(&str, &str); 4] = [
    ("outbox", "token"),
    ("outbox", "attempts"),
    ("outbox", "due_at"),
    ("outbox", "error"),
];
/// Tables that no leaf vouches for, by design.
const OPERATIONAL_TABLES: [&str; 3] = ["member_hits", "progress", "rule_tallies"];
/// Tables whose rows are covered otherwise than by a salt and a leaf of their own.
const OTHERWISE: [&str; 5] = [
    "members",
    "counters",
    "audit_leaves",
    "audit_state",
    "checkpoints",
];

/// A closed store, to be copied and damaged.
struct Original {
    fixture: Fixture,
    key: VerifyingKey,
}

impl Original {
    fn of(fixture: Fixture) -> Self {
        let key = fixture.store.verifying_key().clone();
        fixture.store.clone().close_blocking().unwrap();
        Self { fixture, key }
    }

    fn copy(&self) -> PathBuf {
        let path = self.fixture.dir.path().join("copy.db");
        for end in ["-wal", "-shm"] {
            // What the last check left behind, if it did.
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        std::fs::copy(self.fixture.path(), &path).unwrap();
        path
    }

    /// What is found after `change` was made to a copy.
    fn after(&self, change: impl FnOnce(&Connection)) -> Vec<String> {
        let path = self.copy();
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .unwrap();
        change(&conn);
        conn.close().unwrap();
        self.findings(&path).unwrap()
    }

    /// The names of the audited tables. Lets go of the copy it looks into.
    fn audited(&self) -> Vec<String> {
        audited(&Connection::open(self.copy()).unwrap())
    }

    fn rows_and_columns(&self, table: &str) -> (Vec<i64>, Vec<ColumnInfo>) {
        let conn = Connection::open(self.copy()).unwrap();
        let mut rows = conn.prepare(&format!("SELECT rowid FROM {table}")).unwrap();
        let rows = rows
            .query_map([], |r| r.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        (rows, columns(&conn, table))
    }

    fn findings(&self, path: &Path) -> Result<Vec<String>, String> {
        let report = verify_file(path, std::slice::from_ref(&self.key), &mut |_, _| ());
        let report = report.map_err(|error| error.to_string())?;
        Ok(report.findings.iter().map(ToString::to_string).collect())
    }

    /// Asserts that `change` is found, and that what is found says all of `names`.
    #[track_caller]
    fn check(&self, names: &[&str], change: impl FnOnce(&Connection)) {
        let found = self.after(change).join("\n");
        for name in names {
            assert!(found.contains(name), "expected `{name}` in:\n{found}");
        }
    }

    #[track_caller]
    fn check_sql(&self, names: &[&str], sql: &str) {
        self.check(names, |conn| conn.execute_batch(sql).unwrap());
    }
}

struct ColumnInfo {
    name: String,
    kind: String,
    is_key: bool,
}

fn columns(conn: &Connection, table: &str) -> Vec<ColumnInfo> {
    let mut statement = conn
        .prepare(&format!("PRAGMA table_info({table})"))
        .unwrap();
    let rows = statement
        .query_map([], |r| {
            Ok(ColumnInfo {
                name: r.get(1)?,
                kind: r.get(2)?,
                is_key: r.get::<_, i64>(5)? > 0,
            })
        })
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// Tables with a salt, and with a leaf or keyed by it: those the log vouches for row by row.
fn audited(conn: &Connection) -> Vec<String> {
    let mut statement = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let names: Vec<String> = statement
        .query_map([], |r| r.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let (audited, others): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|name| columns(conn, name).iter().any(|c| c.name == "salt"));
    for other in others {
        assert!(
            OTHERWISE.contains(&other.as_str()) || OPERATIONAL_TABLES.contains(&other.as_str()),
            "table {other} is not audited"
        );
    }
    audited
}

/// Another value of the same kind.
fn flipped(value: &Value, column: &ColumnInfo) -> Value {
    match value {
        Value::Integer(value) => Value::Integer(value ^ 1),
        Value::Text(text) if text.is_empty() => Value::Text("x".into()),
        Value::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            // Stays UTF-8: the lowest bit of an ASCII character.
            let at = bytes.iter().position(u8::is_ascii).unwrap();
            bytes[at] ^= 1;
            Value::Text(String::from_utf8(bytes).unwrap())
        }
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            Value::Blob(bytes)
        }
        Value::Null if column.kind == "INTEGER" => Value::Integer(0),
        Value::Null => Value::Text("x".into()),
        Value::Real(_) => unreachable!("no column holds one"),
    }
}

#[test]
fn an_untouched_store_has_no_findings() {
    let original = Original::of(furnished());
    assert_eq!(original.after(|_| ()), [""; 0]);
}

#[test]
fn one_flipped_bit_in_any_column_of_any_row_is_named() {
    let original = Original::of(furnished());
    let mut flips = 0;
    for table in original.audited() {
        let (rows, columns) = original.rows_and_columns(&table);
        assert!(!rows.is_empty(), "the fixture has no rows in {table}");
        // The first and the last row: one made early and perhaps changed since, one made late.
        let mut rows = vec![rows[0], rows[rows.len() - 1]];
        rows.dedup();
        for column in columns {
            if OPERATIONAL.contains(&(table.as_str(), column.name.as_str())) {
                continue;
            }
            for rowid in &rows {
                let name = &column.name;
                let value = |conn: &Connection| -> Value {
                    conn.query_row(
                        &format!("SELECT {name} FROM {table} WHERE rowid = ?1"),
                        [rowid],
                        |r| r.get(0),
                    )
                    .unwrap()
                };
                let found = original.after(|conn| {
                    let other = flipped(&value(conn), &column);
                    let sql = format!("UPDATE OR REPLACE {table} SET {name} = ?1 WHERE rowid = ?2");
                    assert_eq!(conn.execute(&sql, (other, rowid)).unwrap(), 1);
                });
                let found = found.join("\n");
                assert!(
                    found.contains(&format!("{table}/")),
                    "{table}.{name} of row {rowid}: {found}"
                );
                flips += 1;
            }
        }
    }
    assert!(flips > 200, "{flips}");
}

#[test]
fn a_deleted_row_is_named_in_every_table() {
    let original = Original::of(furnished());
    let tables = original.audited();
    assert!(tables.len() >= 20, "{tables:?}");
    for table in tables {
        original.check(&[&format!("record {table}/"), "is gone"], |conn| {
            let sql = format!("DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})");
            assert_eq!(conn.execute(&sql, []).unwrap(), 1, "{table}");
        });
    }
}

#[test]
fn an_added_row_is_named_in_every_table() {
    let original = Original::of(furnished());
    for table in original.audited() {
        original.check(&[&format!("record {table}/"), "has no leaf"], |conn| {
            let values: Vec<String> = columns(conn, &table)
                .iter()
                .map(
                    |column| match (column.kind.as_str(), column.name.as_str()) {
                        ("INTEGER", "leaf") if !column.is_key => "leaf".into(),
                        ("INTEGER", name) => format!("{name} + 1000"),
                        ("BLOB", name) => format!("randomblob(length({name}))"),
                        (_, name) => format!("{name} || 'x'"),
                    },
                )
                .collect();
            let sql = format!(
                "INSERT INTO {table} SELECT {} FROM {table} LIMIT 1",
                values.join(", ")
            );
            assert_eq!(conn.execute(&sql, []).unwrap(), 1, "{table}");
        });
    }
}

#[test]
fn a_row_put_back_to_an_earlier_state_is_named() {
    let it = Fixture::new();
    it.record(with_effects("post-1", &[enqueue("tvec", 5)]));
    let case = it.open_case().id;
    let it = it.reopened();
    let early = it.dir.path().join("early.db");
    it.store.clone().close_blocking().unwrap();
    std::fs::copy(it.path(), &early).unwrap();
    let it = it.reopened();
    it.write(move |tx| {
        tx.decide_case(
            case,
            "noor",
            &judgement(Outcome::Remove),
            decision_id(),
            at(9),
        )
    });
    let original = Original::of(it);
    original.check(
        &[
            "cases/",
            "was rolled back: it is as leaf 0 left it, leaf 1 changed it since",
        ],
        |conn| {
            conn.execute_batch(&format!(
                "ATTACH '{}' AS early; REPLACE INTO main.cases SELECT * FROM early.cases",
                early.display()
            ))
            .unwrap();
        },
    );
}

#[test]
fn a_changed_member_is_named() {
    let original = Original::of(furnished());
    for change in [
        "value = 'grey banter'",
        "note = 'other'",
        "exchange = 'other'",
        "settings = '{\"mode\":\"shadow\"}'",
        "signal_type = 'url'",
        "digest8 = x'0011223344556677'",
    ] {
        let change = change.replace("'grey banter'", "CAST('grey banter' AS BLOB)");
        original.check_sql(
            &["member 1 is not as it was added"],
            &format!("UPDATE members SET {change} WHERE id = 1"),
        );
    }
    let batch = "batch 1 (members 1 to 3): the members are not those that were added";
    original.check_sql(&[batch], "UPDATE members SET note = 'other' WHERE id = 2");
    original.check_sql(
        &["member 2 would not be found"],
        "UPDATE members SET lookup = lookup + 1 WHERE id = 2",
    );
    original.check_sql(
        &["members 2 to 2 of batch 1 are gone", batch],
        "DELETE FROM members WHERE id = 2",
    );
    original.check_sql(
        &["members 3 to 3 of batch 1 are gone", batch],
        "DELETE FROM members WHERE id = 3",
    );
    let added = "INSERT INTO members SELECT 99, signal_type, x'00', note, exchange, settings, 0, digest8 FROM members LIMIT 1";
    original.check_sql(&["member 99 is in no batch that was added"], added);
    let swap = "UPDATE members SET id = 77 WHERE id = 1; UPDATE members SET id = 1 WHERE id = 2; UPDATE members SET id = 2 WHERE id = 77";
    original.check_sql(&["member 1 is not as it was added", batch], swap);
}

#[test]
fn a_changed_leaf_is_named() {
    let original = Original::of(furnished());
    let flip = "SET data = CAST(replace(CAST(data AS TEXT), 'operator', 'operatos') AS BLOB)";
    original.check_sql(
        &["leaf 2 was altered"],
        &format!("UPDATE audit_leaves {flip} WHERE seq = 2"),
    );
    original.check_sql(
        &["leaf 3 was altered"],
        "UPDATE audit_leaves SET hash = zeroblob(32) WHERE seq = 3",
    );
    original.check_sql(
        &["leaf 3 was altered"],
        "UPDATE audit_leaves SET hash = x'00' WHERE seq = 3",
    );
    original.check_sql(
        &["leaf 4 is missing"],
        "DELETE FROM audit_leaves WHERE seq = 4",
    );
    original.check_sql(
        &["leaves 4 to 6 are missing"],
        "DELETE FROM audit_leaves WHERE seq BETWEEN 4 AND 6",
    );
    let last = "WHERE seq = (SELECT max(seq) FROM audit_leaves)";
    original.check_sql(
        &["the log ends after", "audit_state"],
        &format!("DELETE FROM audit_leaves {last}"),
    );
    let extra = "INSERT INTO audit_leaves SELECT seq + 1, data, hash FROM audit_leaves ORDER BY seq DESC LIMIT 1";
    original.check_sql(&["audit_state", "the log has"], extra);
}

#[test]
fn a_leaf_rewritten_together_with_its_hash_is_found_by_the_signature() {
    let original = Original::of(furnished());
    original.check(
        &[
            "checkpoint signed",
            "the difference is in one of leaves",
            "another root than the leaves",
        ],
        |conn| {
            let data: Vec<u8> = conn
                .query_row("SELECT data FROM audit_leaves WHERE seq = 2", [], |r| {
                    r.get(0)
                })
                .unwrap();
            let data = String::from_utf8(data)
                .unwrap()
                .replace("root", "boot")
                .into_bytes();
            let hash = leaf_hash(&data).0;
            conn.execute(
                "UPDATE audit_leaves SET data = ?1, hash = ?2 WHERE seq = 2",
                (data, hash),
            )
            .unwrap();
        },
    );
}

#[test]
fn a_leaf_added_with_a_matching_edge_is_found_by_the_signature() {
    let original = Original::of(furnished());
    original.check(&["checkpoint"], |conn| {
        let (mut frontier, data) = conn
            .query_row(
                "SELECT frontier, (SELECT data FROM audit_leaves WHERE seq = 0) FROM audit_state",
                [],
                |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)),
            )
            .unwrap();
        let mut edge = Frontier::decode(&frontier).unwrap();
        let hash = leaf_hash(&data);
        conn.execute(
            "INSERT INTO audit_leaves VALUES (?1, ?2, ?3)",
            (edge.size() as i64, &data, hash.0),
        )
        .unwrap();
        edge.push(hash);
        frontier = edge.encode();
        conn.execute("UPDATE audit_state SET frontier = ?1", [frontier])
            .unwrap();
    });
}

#[test]
fn a_changed_checkpoint_is_named() {
    let original = Original::of(furnished());
    let size: i64 = Connection::open(original.copy())
        .unwrap()
        .query_row("SELECT max(size) FROM checkpoints", [], |r| r.get(0))
        .unwrap();
    let named = format!("checkpoint at size {size}");
    original.check_sql(
        &[&named],
        "UPDATE checkpoints SET note = replace(note, 'forum.example', 'forum.examples')",
    );
    let stored = format!("checkpoint stored for size {} says size {size}", size - 1);
    original.check_sql(&[&stored], "UPDATE checkpoints SET size = size - 1");
    let forged = SigningKey::from_seed([8; 32], "forum.example/log").unwrap();
    let root = Frontier::new().root();
    let checkpoint = manara_audit::Checkpoint::new("forum.example/log", 3, root);
    let note = manara_audit::sign_checkpoint(&checkpoint, &forged).unwrap();
    original.check(&["checkpoint at size 3 is not signed by key"], |conn| {
        conn.execute("INSERT INTO checkpoints VALUES (3, ?1)", [note])
            .unwrap();
    });
}

#[test]
fn a_changed_edge_is_named() {
    let original = Original::of(furnished());
    original.check_sql(&["audit_state", "is missing"], "DELETE FROM audit_state");
    original.check_sql(
        &["audit_state", "does not decode"],
        "UPDATE audit_state SET frontier = x'00'",
    );
    original.check_sql(
        &["is not signed by key"],
        "UPDATE audit_state SET head = 'x' || head",
    );
    let other = Frontier::new().encode();
    original.check(&["audit_state", "is that of 0 leaves"], |conn| {
        conn.execute("UPDATE audit_state SET frontier = ?1", [other])
            .unwrap();
    });
}

#[test]
fn a_wrong_counter_is_named() {
    let original = Original::of(furnished());
    original.check_sql(
        &["counter events says 4, there are 6"],
        "UPDATE counters SET value = 4 WHERE name = 'events'",
    );
    original.check_sql(
        &["counter bank.1 says 0, there are 3"],
        "DELETE FROM counters WHERE name = 'bank.1'",
    );
    original.check_sql(
        &["counter nonsense says 1, there are 0"],
        "INSERT INTO counters VALUES ('nonsense', 1)",
    );
}

#[test]
fn a_changed_schema_is_named() {
    let original = Original::of(furnished());
    original.check_sql(
        &["schema: index cases_by_place is missing"],
        "DROP INDEX cases_by_place",
    );
    original.check_sql(
        &["schema: trigger quiet was added"],
        "CREATE TRIGGER quiet AFTER INSERT ON cases BEGIN DELETE FROM cases WHERE id = new.id; END",
    );
    original.check_sql(&["schema: table extra was added"], "CREATE TABLE extra (a)");
    original.check_sql(
        &["schema: table banks was changed"],
        "ALTER TABLE banks ADD COLUMN extra TEXT",
    );
}

#[test]
fn another_key_signs_nothing_here() {
    let mut original = Original::of(furnished());
    original.key = SigningKey::from_seed([8; 32], "forum.example/log")
        .unwrap()
        .verifying_key();
    original.check(&["is not signed by key"], |_| ());
}

#[test]
fn a_log_left_behind_is_not_written_on() {
    let it = furnished();
    let path = it.path();
    it.store.close_blocking().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("DELETE FROM audit_leaves WHERE seq > 5")
        .unwrap();
    let error = manara_store::Store::open(&path, crate::fixtures::options()).unwrap_err();
    assert!(
        error.to_string().contains("it ends after 6 leaves"),
        "{error}"
    );
}

/// Everything a reader could see, apart from what no leaf vouches for.
fn everything(path: &Path) -> Result<Vec<(String, Vec<Value>)>, rusqlite::Error> {
    let conn = Connection::open(path)?;
    let mut tables = audited(&Connection::open(path)?);
    tables.extend(OTHERWISE.map(str::to_owned));
    let mut all = Vec::new();
    for table in tables {
        let names: Vec<String> = columns(&conn, &table)
            .into_iter()
            .map(|column| column.name)
            .filter(|column| !OPERATIONAL.contains(&(table.as_str(), column.as_str())))
            .collect();
        let mut statement = conn.prepare(&format!("SELECT {} FROM {table}", names.join(", ")))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..names.len())
                .map(|column| row.get(column))
                .collect::<Result<_, _>>()?;
            all.push((table.clone(), values));
        }
    }
    Ok(all)
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    let original = Original::of(furnished());
    let intact = std::fs::read(original.fixture.path()).unwrap();
    let before = everything(&original.copy()).unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let (mut found, mut harmless) = (0, 0);
    for _ in 0..400 {
        // xorshift, so that every run flips the same bits.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (byte, bit) = (state as usize % intact.len(), (state >> 60) as u32 & 7);
        let path = original.copy();
        let mut bytes = intact.clone();
        bytes[byte] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        if original
            .findings(&path)
            .is_ok_and(|findings| findings.is_empty())
        {
            // Not found, so it has to be a place that holds nothing, or nothing vouched for.
            let after = std::panic::catch_unwind(|| everything(&path).unwrap());
            assert!(
                after.is_ok_and(|after| after == before),
                "byte {byte} bit {bit} went unnoticed"
            );
            harmless += 1;
        } else {
            found += 1;
        }
    }
    assert!(found > 30, "{found} found, {harmless} harmless");
}

#[test]
fn a_damaged_table_does_not_hide_damage_elsewhere() {
    let original = Original::of(furnished());
    let path = original.copy();
    let conn = Connection::open(&path).unwrap();
    let page: i64 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'strikes'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    conn.execute_batch("UPDATE banks SET description = 'other' WHERE id = 1")
        .unwrap();
    conn.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let page = page as usize;
    bytes[(page - 1) * 4096..page * 4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let found = original.findings(&path).unwrap().join("\n");
    for expect in [
        "strikes could not be checked to the end",
        "record banks/1 does not match leaf",
    ] {
        assert!(found.contains(expect), "{found}");
    }
}

#[test]
fn the_wrong_half_of_a_swap_is_named() {
    // Two rows of the same table exchange their contents, salts and leaves included.
    let it = Fixture::new();
    it.write(|tx| {
        let _ = tx.create_bank(&bank("A"), "first", &plainly(), &Author::System, at(0))?;
        tx.create_bank(&bank("B"), "second", &plainly(), &Author::System, at(1))
    });
    it.record(plain("post-1"));
    let original = Original::of(it);
    original.check_sql(
        &["record banks/1", "record banks/2"],
        "UPDATE banks SET id = 9 WHERE id = 1; UPDATE banks SET id = 1 WHERE id = 2; UPDATE banks SET id = 2 WHERE id = 9",
    );
}
