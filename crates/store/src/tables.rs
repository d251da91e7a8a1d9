//! The audited tables, and the one way a row gets its commitment.
//!
//! A row's canonical bytes are the JSON array of its audited columns in the order given here:
//! integers as numbers, text as JSON strings (RFC 8785 escapes), NULL as `null`, bytes as
//! `{"hex":"…"}`, and bytes of a [`Column::Digested`] column as `{"sha256":"…"}`. The commitment is
//! `manara_audit::commit(salt, canonical)`. Writing and verifying both come through here, so a
//! column that is not listed is one nobody vouches for.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One audited table.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Which column is the key by which leaves name the row.
    pub(crate) key: usize,
    pub(crate) columns: &'static [Column],
    /// Columns that, when taken, turn an insert into nothing; empty where that is an error.
    ignore_taken: &'static str,
    /// Its statements, made from the columns once.
    pub(crate) sql: LazyLock<Statements>,
}

/// One audited column.
pub(crate) enum Column {
    /// Committed to as it is.
    Plain(&'static str),
    /// Large bytes, committed to by their SHA-256.
    Digested(&'static str),
}

use Column::{Digested, Plain};

macro_rules! tables {
    ($($ident:ident = $name:literal [$($column:expr),+ $(,)?] $(ignore $ignore:literal)?;)+) => {
        $(pub(crate) static $ident: Table = Table {
            name: $name,
            key: 0,
            columns: &[$($column),+],
            ignore_taken: concat!($($ignore)?),
            sql: LazyLock::new(|| Statements::of(&$ident)),
        };)+
        /// Every audited table.
        pub(crate) static ALL: &[&Table] = &[$(&$ident),+];
    };
}

tables! {
    EVENTS = "events" [
        Plain("decision"), Plain("source"), Plain("event_id"), Plain("type"), Plain("received_at"),
        Plain("fingerprint"), Plain("body"), Plain("media"),
    ] ignore "source, event_id";
    EVENT_CONFLICTS = "event_conflicts" [
        Plain("id"), Plain("source"), Plain("event_id"), Plain("fingerprint"), Plain("body"),
        Plain("received_at"),
    ];
    DECISIONS = "decisions" [Plain("id"), Plain("case_id"), Plain("body"), Plain("about")];
    STRIKES = "strikes" [
        Plain("id"), Plain("account"), Plain("weight"), Plain("policy"), Plain("decision"), Plain("at"),
        Plain("withdrawn"),
    ];
    CASES = "cases" [
        Plain("id"), Plain("queue"), Plain("entity_type"), Plain("entity_id"), Plain("account"),
        Plain("policy"), Plain("priority"), Plain("opened_at"), Plain("state"), Plain("by"),
        Plain("at"), Plain("decision"), Plain("outcome"),
    ];
    CASE_EVENTS = "case_events" [Plain("id"), Plain("case_id"), Plain("decision"), Plain("added_at")];
    CASE_TRAIL = "case_trail" [
        Plain("id"), Plain("case_id"), Plain("what"), Plain("author"), Plain("at"), Plain("note"),
    ];
    OUTBOX = "outbox" [
        Plain("id"), Plain("action"), Plain("receiver"), Plain("decision"), Plain("source"),
        Plain("event_id"), Plain("body"), Plain("created_at"), Plain("state"), Plain("finished_at"),
    ];
    BANKS = "banks" [
        Plain("id"), Plain("name"), Plain("description"), Plain("enabled"),
        Plain("settings"), Plain("created_at"),
    ];
    MEMBER_BATCHES = "member_batches" [
        Plain("id"), Plain("bank"), Plain("first"), Plain("count"), Plain("digest"),
        Plain("author"), Plain("added_at"),
    ];
    MEMBER_REMOVALS = "member_removals" [
        Plain("id"), Plain("member"), Plain("bank"), Plain("reason"), Plain("author"),
        Plain("removed_at"),
    ];
    MEMBER_CHANGES = "member_changes" [
        Plain("id"), Plain("member"), Plain("bank"), Plain("settings"), Plain("reason"),
        Plain("author"), Plain("changed_at"),
    ];
    OPINIONS = "opinions" [
        Plain("id"), Plain("member"), Plain("bank"), Plain("stance"), Plain("note"),
        Plain("exchange"), Plain("author"), Plain("given_at"),
    ];
    RULE_VERSIONS = "rule_versions" [
        Plain("id"), Plain("name"), Plain("version"), Plain("hash"), Plain("text"), Plain("file"),
        Plain("mode"), Plain("recorded_at"),
    ];
    LABELS = "labels" [
        Plain("id"), Plain("entity_type"), Plain("entity_id"), Plain("label"), Plain("set_at"),
        Plain("ends_at"), Plain("decision"), Plain("ended_at"), Plain("ended_by"),
    ];
    RULE_STOPS = "rule_stops" [
        Plain("id"), Plain("rule"), Plain("why"), Plain("decision"), Plain("stopped_at"),
        Plain("reset_at"), Plain("reset_by"), Plain("note"),
    ];
    SETS = "sets" [Plain("id"), Plain("name"), Plain("description"), Plain("created_at")];
    SET_ITEMS = "set_items" [
        Plain("id"), Plain("set_name"), Plain("item"), Plain("note"), Plain("author"),
        Plain("added_at"), Plain("removed_at"), Plain("removed_by"),
    ];
    RULE_FILES = "rule_files" [
        Plain("id"), Plain("file"), Plain("version"), Plain("sha256"), Plain("author"),
        Plain("note"), Plain("at"), Plain("proposal"), Plain("text"),
    ];
    RULE_PROPOSALS = "rule_proposals" [
        Plain("id"), Plain("file"), Plain("base"), Plain("author"), Plain("note"),
        Plain("proposed_at"), Plain("state"), Plain("decided_by"), Plain("decided_at"),
        Plain("answer"), Plain("text"),
    ];
    PREVIEWS = "previews" [
        Plain("sha256"), Plain("content_type"), Plain("added_at"), Digested("bytes"),
    ] ignore "sha256";
    API_KEYS = "api_keys" [
        Plain("id"), Plain("name"), Plain("secret_sha256"), Plain("scopes"), Plain("created_at"),
        Plain("revoked_at"),
    ];
    REVIEWERS = "reviewers" [
        Plain("id"), Plain("login"), Plain("password_hash"), Plain("role"), Plain("created_at"),
        Plain("disabled_at"),
    ];
    SESSIONS = "sessions" [
        Plain("id"), Plain("token_sha256"), Plain("login"), Plain("csrf"), Plain("created_at"),
        Plain("expires_at"), Plain("ended_at"),
    ];
}

/// Members are covered by their batch: only their canonical bytes are made here.
pub(crate) static MEMBERS: Table = Table {
    name: "members",
    key: 0,
    columns: &[
        Plain("id"),
        Plain("signal_type"),
        Plain("value"),
        Plain("note"),
        Plain("exchange"),
        Plain("settings"),
    ],
    ignore_taken: "",
    sql: LazyLock::new(|| Statements::of(&MEMBERS)),
};

impl Column {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Plain(name) | Digested(name) => name,
        }
    }
}

/// The statements of one table, made from its columns once.
pub(crate) struct Statements {
    /// Adds a row: the columns in order, then salt and leaf.
    pub(crate) insert: String,
    /// Changes the row with that key to these values: the columns in order, then salt and leaf.
    pub(crate) update: String,
    /// Every row by leaf: the columns in order, then salt and leaf.
    pub(crate) scan: String,
    /// The leaf of a key.
    pub(crate) leaf_of: String,
}

impl Statements {
    fn of(table: &Table) -> Self {
        let names: Vec<&str> = table.columns.iter().map(Column::name).collect();
        let columns = names.join(", ");
        let (name, key) = (table.name, table.key_column());
        let marks: Vec<String> = (1..=names.len() + 2).map(|n| format!("?{n}")).collect();
        let sets: Vec<String> = names
            .iter()
            .chain(&["salt", "leaf"])
            .zip(&marks)
            // Setting the key to itself would make the engine look for rows that refer to it.
            .filter(|(column, _)| **column != key)
            .map(|(column, mark)| format!("{column} = {mark}"))
            .collect();
        let ignore = match table.ignore_taken {
            "" => String::new(),
            taken => format!(" ON CONFLICT ({taken}) DO NOTHING"),
        };
        Self {
            insert: format!(
                "INSERT INTO {name} ({columns}, salt, leaf) VALUES ({}){ignore}",
                marks.join(", ")
            ),
            update: format!(
                "UPDATE {name} SET {} WHERE {key} = ?{}",
                sets.join(", "),
                table.key + 1
            ),
            scan: format!("SELECT {columns}, salt, leaf FROM {name} ORDER BY leaf"),
            leaf_of: format!("SELECT leaf FROM {name} WHERE {key} = ?1"),
        }
    }
}

impl Table {
    /// The column by which leaves name the row.
    pub(crate) fn key_column(&self) -> &'static str {
        self.columns.get(self.key).map_or("leaf", Column::name)
    }

    /// The table of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|table| table.name == name)
    }

    /// Writes the canonical bytes of a row with these values, one for each column.
    pub(crate) fn canonical<'a>(
        &self,
        values: impl IntoIterator<Item = ValueRef<'a>>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        for (index, (column, value)) in self.columns.iter().zip(values).enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            match (column, value) {
                (Digested(_), ValueRef::Blob(bytes)) => put_digest(out, bytes),
                (_, value) => put_value(out, value),
            }
        }
        out.push(b']');
    }
}

/// A value on its way into a statement.
pub(crate) struct Bind<'a>(pub(crate) ValueRef<'a>);

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// Shorthands for the values of a row.
pub(crate) fn int(value: i64) -> ValueRef<'static> {
    ValueRef::Integer(value)
}
pub(crate) fn text(value: &str) -> ValueRef<'_> {
    ValueRef::Text(value.as_bytes())
}
pub(crate) fn blob(value: &[u8]) -> ValueRef<'_> {
    ValueRef::Blob(value)
}
pub(crate) fn maybe<T>(
    value: Option<T>,
    some: impl FnOnce(T) -> ValueRef<'static>,
) -> ValueRef<'static> {
    value.map_or(ValueRef::Null, some)
}
pub(crate) fn maybe_text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Integer(value) => put_int(out, value),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => put_text(out, text),
            // Never written by us: it can only come from a damaged file, and must equal nothing.
            Err(_) => put_hex(out, "not_utf8", bytes),
        },
        ValueRef::Blob(bytes) => put_hex(out, "hex", bytes),
        // No audited column holds one; as above, it must equal nothing.
        ValueRef::Real(value) => put_hex(out, "real", &value.to_be_bytes()),
    }
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

fn put_digest(out: &mut Vec<u8>, bytes: &[u8]) {
    put_hex(out, "sha256", &Sha256::digest(bytes));
}

fn put_hex(out: &mut Vec<u8>, label: &str, bytes: &[u8]) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(b"\":\"");
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    if let Some(space) = out.get_mut(start..) {
        // The space is exactly twice the bytes, which is all this asks for.
        let _ = hex::encode_to_slice(bytes, space);
    }
    out.extend_from_slice(b"\"}");
}

/// A JSON string with the escapes of RFC 8785.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for run in text.as_bytes().split_inclusive(|b| needs_escape(*b)) {
        match run.split_last() {
            Some((last, plain)) if needs_escape(*last) => {
                out.extend_from_slice(plain);
                put_escape(out, *last);
            }
            _ => out.extend_from_slice(run),
        }
    }
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(values: &[ValueRef<'_>], expect: &str) {
        let mut out = vec![b'x'];
        PREVIEWS.canonical(values.iter().copied(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn every_kind_of_value_has_one_spelling_of_its_own() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(
            &[
                text("a\"b\\\u{8}\t\n\u{c}\r\u{1}é/"),
                int(-7),
                ValueRef::Null,
                blob(b"abc"),
            ],
            &format!(r#"["a\"b\\\b\t\n\f\r\u0001é/",-7,null,{{"sha256":"{digest}"}}]"#),
        );
        check(
            &[
                blob(b"\x00\xff"),
                text("{}"),
                ValueRef::Text(b"\xff"),
                ValueRef::Real(1.0),
            ],
            r#"[{"hex":"00ff"},"{}",{"not_utf8":"ff"},{"real":"3ff0000000000000"}]"#,
        );
    }

    proptest! {
        #[test]
        fn the_values_can_be_read_out_of_the_canonical_bytes(a in ".*", b in any::<i64>(), c in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            CASES.canonical([text(&a), int(b), blob(&c), ValueRef::Null], &mut out);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, serde_json::json!([a, b, { "hex": hex::encode(c) }, null]));
        }
    }

    #[test]
    fn text_is_escaped_as_serde_json_escapes_it() {
        let all: String = (0..0x80_u8).map(char::from).collect();
        let mut out = Vec::new();
        put_text(&mut out, &all);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            serde_json::to_string(&all).unwrap()
        );
    }
}
