//! One write: rows, the leaf that covers them, and the proof that both were written.
//!
//! ```text
//!  open(kind, author) ── insert / update ──▶ row + salt + leaf number ──┐
//!        │                     └── commitment ──▶ leaf's records        ├─▶ one savepoint
//!        └────────────────────────── seal ──▶ leaf ──▶ frontier ────────┘
//! ```
//! A row can be written only while a leaf is open, and a job whose leaf was not sealed is rolled
//! back; that is how a state change without an audit leaf cannot be written.

use crate::error::{Context, StoreError};
use crate::log::Log;
use crate::reader::Reader;
use crate::sql;
use crate::tables::{Bind, Table};
use jiff::Timestamp;
use manara_audit::{AuthorKind, Leaf, Record, commit, leaf_hash};
use manara_model::Author;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A leaf is sealed and continued in the next one before its records reach this many bytes.
const RECORDS_BYTES_MAX: usize = 48 * 1024;

/// What a job gives back: its value, and with it the word that all it wrote is covered by leaves.
/// Only the operations of [`Tx`] make one.
#[derive(Debug)]
#[must_use = "return it from the job, or the value is lost"]
pub struct Committed<T>(pub(crate) T);

impl<T> Committed<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The same word with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Committed<U> {
        Committed(f(self.0))
    }
}

/// A write in progress. Its operations stand beside what they write: events, banks, cases, outbox,
/// access, rules, evidence.
pub struct Tx<'a> {
    reader: &'a Reader,
    pub(crate) conn: &'a Connection,
    log: &'a mut Log,
    /// Where actions are delivered.
    pub(crate) receivers: &'a [String],
    counters: Vec<(String, i64)>,
    open: Option<OpenLeaf>,
    canonical: Vec<u8>,
    ends: Vec<End>,
}

/// What is to be done once it is known whether a write stands: told `true`, or `false` when it was undone.
pub(crate) type End = Box<dyn FnOnce(bool) + Send>;

struct OpenLeaf {
    leaf: Leaf,
    records_bytes: usize,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(reader: &'a Reader, log: &'a mut Log, receivers: &'a [String]) -> Self {
        Self {
            reader,
            conn: &reader.conn,
            log,
            receivers,
            counters: Vec::new(),
            open: None,
            canonical: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Calls `end` on the writer's thread once it is known whether this write stands: with `true` after
    /// its commit, with `false` when it was undone. What is kept in memory beside the database is put
    /// back there; of several, what was done last is undone first, before any other write begins.
    pub fn when_ended(&mut self, end: impl FnOnce(bool) + Send + 'static) {
        self.ends.push(Box::new(end));
    }

    pub(crate) fn take_ends(&mut self) -> Vec<End> {
        std::mem::take(&mut self.ends)
    }

    /// What can be read, as this write sees it.
    pub fn reader(&self) -> &'a Reader {
        self.reader
    }

    /// Ends a job that found nothing to write.
    pub fn unchanged<T>(&self, value: T) -> Committed<T> {
        Committed(value)
    }

    /// Writes a leaf that covers no row: something that happened and changed nothing, such as a
    /// refused login. `kind` is two or more lower-case words joined by dots.
    pub fn note(
        &mut self,
        kind: &str,
        by: &Author,
        at: Timestamp,
        note: Option<String>,
    ) -> Result<Committed<u64>, StoreError> {
        self.begin(kind, by, at)?;
        self.seal(note).map(Committed)
    }

    /// Opens the leaf that the following rows belong to.
    pub(crate) fn begin(
        &mut self,
        kind: &str,
        by: &Author,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.open.is_some() {
            return Err(StoreError::Aborted(
                "an earlier step of this write failed".into(),
            ));
        }
        let leaf = Leaf {
            kind: kind.to_owned(),
            time: at.to_string(),
            author: audit_author(by),
            records: Vec::new(),
            note: None,
        };
        self.open = Some(OpenLeaf {
            leaf,
            records_bytes: 0,
        });
        Ok(())
    }

    /// Adds a row. `false` when the table ignores what is taken and it was.
    pub(crate) fn insert(
        &mut self,
        table: &'static Table,
        values: &[ValueRef<'_>],
    ) -> Result<bool, StoreError> {
        self.put(table, &table.sql.insert, values)
            .map(|changed| changed == 1)
    }

    /// Adds a row to a table that has no other of its kind.
    pub(crate) fn insert_row(
        &mut self,
        table: &'static Table,
        values: &[ValueRef<'_>],
    ) -> Result<(), StoreError> {
        if self.insert(table, values)? {
            return Ok(());
        }
        Err(StoreError::Conflict(format!(
            "this row of {} is there already",
            table.name
        )))
    }

    /// Gives the row of that key these values.
    pub(crate) fn update(
        &mut self,
        table: &'static Table,
        values: &[ValueRef<'_>],
    ) -> Result<(), StoreError> {
        match self.put(table, &table.sql.update, values)? {
            1 => Ok(()),
            _ => Err(StoreError::not_found(table.name)),
        }
    }

    fn put(
        &mut self,
        table: &'static Table,
        sql: &str,
        values: &[ValueRef<'_>],
    ) -> Result<usize, StoreError> {
        let context = table.name;
        let salt = self.log.salts.take()?;
        table.canonical(values.iter().copied(), &mut self.canonical);
        let hash = commit(&salt, &self.canonical);
        let leaf = self.log.frontier.size() as i64;
        let Some(open) = &mut self.open else {
            return Err(StoreError::Aborted(format!(
                "a row of {context} was written outside a leaf"
            )));
        };
        let mut statement = self.conn.prepare_cached(sql).context(context)?;
        let salt_and_leaf = [ValueRef::Blob(&salt), ValueRef::Integer(leaf)];
        for (index, value) in values.iter().chain(&salt_and_leaf).enumerate() {
            statement
                .raw_bind_parameter(index + 1, Bind(*value))
                .context(context)?;
        }
        let changed = statement.raw_execute().context(context)?;
        drop(statement);
        if changed == 0 {
            return Ok(0);
        }
        let key = key_text(values.get(table.key).copied());
        open.records_bytes += 110 + key.len() * 6 + table.name.len();
        open.leaf.records.push(Record {
            table: table.name.into(),
            key,
            hash,
        });
        if open.records_bytes > RECORDS_BYTES_MAX {
            self.continue_leaf()?;
        }
        Ok(changed)
    }

    /// Seals a full leaf and goes on in a new one of the same kind.
    fn continue_leaf(&mut self) -> Result<(), StoreError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let leaf = Leaf {
            records: Vec::new(),
            ..open.leaf.clone()
        };
        self.seal(None)?;
        self.open = Some(OpenLeaf {
            leaf,
            records_bytes: 0,
        });
        Ok(())
    }

    /// Drops the open leaf if it covers nothing yet, and says whether that was so.
    pub(crate) fn abandon(&mut self) -> bool {
        self.open
            .take_if(|open| open.leaf.records.is_empty())
            .is_some()
    }

    /// Writes the open leaf and gives its number.
    pub(crate) fn seal(&mut self, note: Option<String>) -> Result<u64, StoreError> {
        let Some(open) = self.open.take() else {
            return Err(StoreError::Aborted("a leaf was sealed twice".into()));
        };
        let leaf = Leaf { note, ..open.leaf };
        let sealed = self.append_leaf(&leaf);
        if sealed.is_err() {
            // Left open, so that a job which swallows the error is still rolled back.
            self.open = Some(OpenLeaf { leaf, ..open });
        }
        sealed
    }

    fn append_leaf(&mut self, leaf: &Leaf) -> Result<u64, StoreError> {
        let data = leaf.encode().map_err(|error| StoreError::Invalid {
            what: "audit leaf",
            problem: error.to_string(),
        })?;
        let hash = leaf_hash(&data);
        let seq = self.log.frontier.size();
        self.conn
            .prepare_cached(sql::ADD_LEAF)
            .and_then(|mut s| s.execute((seq as i64, &data, hash.0)))
            .context("writing an audit leaf")?;
        self.log.frontier.push(hash);
        Ok(seq)
    }

    /// Adds to a counter when the job is kept.
    pub(crate) fn count(&mut self, counter: &str, by: i64) {
        match self.counters.iter_mut().find(|(name, _)| name == counter) {
            Some((_, value)) => *value += by,
            None => self.counters.push((counter.to_owned(), by)),
        }
    }

    /// The next free id of a table whose rows are never deleted.
    pub(crate) fn next_id(&self, table: &'static Table) -> Result<i64, StoreError> {
        self.conn
            .prepare_cached(&sql::next_id(table))
            .and_then(|mut s| s.query_row([], |r| r.get(0)))
            .context(table.name)
    }

    /// 128 random bits, for identifiers.
    pub(crate) fn random(&mut self) -> Result<u128, StoreError> {
        self.log.salts.take().map(u128::from_ne_bytes)
    }

    /// Ends the job: what it counted, or that it left a leaf open.
    pub(crate) fn end(self) -> Result<Vec<(String, i64)>, StoreError> {
        match self.open {
            None => Ok(self.counters),
            Some(open) => Err(StoreError::Aborted(format!(
                "the step `{}` of this write failed and was not passed on",
                open.leaf.kind
            ))),
        }
    }
}

/// A row's key as leaves write it.
pub(crate) fn key_text(value: Option<ValueRef<'_>>) -> String {
    match value {
        Some(ValueRef::Text(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(ValueRef::Integer(value)) => value.to_string(),
        _ => String::new(),
    }
}

fn audit_author(author: &Author) -> manara_audit::Author {
    let (kind, id) = match author {
        Author::Rules => (AuthorKind::Rules, "rules"),
        Author::Reviewer(id) => (AuthorKind::Reviewer, id.as_str()),
        Author::Key(id) => (AuthorKind::Key, id.as_str()),
        Author::Operator(id) => (AuthorKind::Operator, id.as_str()),
        Author::System => (AuthorKind::System, "manara"),
    };
    manara_audit::Author {
        kind,
        id: id.to_owned(),
    }
}

/// An author as stored in a row.
pub(crate) fn author_json(author: &Author) -> Result<String, StoreError> {
    json("author", author)
}

/// A value as stored JSON.
pub(crate) fn json(
    what: &'static str,
    value: &impl serde::Serialize,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid {
        what,
        problem: error.to_string(),
    })
}
