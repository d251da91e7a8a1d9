//! The check of everything against the audit log.
//!
//! ```text
//!  leaves, in order ──▶ LogVerifier ◀── checkpoints, signed head
//!     │ records            (manara_audit)
//!     ▼
//!  rows of every audited table, by the leaf that covers them: one merge, flat memory
//!     row and record agree │ differ │ row without record │ record without row
//!                                                          └ row covered by a later leaf: superseded
//!                                                            … by an earlier leaf: rolled back
//!                                                            … there is none: gone
//!  members ──▶ the digest of their batch      counters ──▶ recount      schema ──▶ the migrations
//! ```
//! What it cannot see: columns named "operational" in the schema, free pages, and the loss of a
//! whole tail together with its signed head (compare with a checkpoint kept elsewhere for that).

use crate::banks::{Batch, lookup};
use crate::error::{Context, StoreError};
use crate::log::hash_of;
use crate::open;
use crate::reader::Reader;
use crate::sql;
use crate::tables::{self, Table};
use crate::tx::key_text;
use manara_audit::verify::read_checkpoint;
use manara_audit::{Frontier, Hash, Leaf, LogVerifier, Record, VerifyingKey, commit};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Findings that are listed; what is beyond them is counted.
const FINDINGS_MAX: usize = 10_000;
/// How often progress is told, in rows.
const PROGRESS_EVERY: u64 = 4096;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Leaves of the log.
    pub leaves: u64,
    /// Checkpoints kept, the signed head not counted.
    pub checkpoints: u64,
    /// Rows checked, members of banks included.
    pub records: u64,
    /// What does not agree; nothing when all does.
    pub findings: Vec<Finding>,
}

/// One thing that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A leaf, a checkpoint, or a row and its leaf.
    #[error(transparent)]
    Log(#[from] manara_audit::Finding),
    /// A row is in an older state than the log says.
    #[error(
        "record {table}/{key} was rolled back: it is as leaf {found} left it, leaf {newest} changed it since"
    )]
    RolledBack {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// The leaf whose state it has.
        found: u64,
        /// The leaf whose state it should have.
        newest: u64,
    },
    /// The log's stored edge is not that of its leaves.
    #[error("the audit log's stored edge (audit_state) {0}")]
    Edge(String),
    /// A member of a bank is not as it was added.
    #[error("member {member} {problem}")]
    Member {
        /// Its number.
        member: i64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Members that were added are not there.
    #[error("members {first} to {last} of batch {batch} are gone")]
    MembersGone {
        /// The batch they were added in.
        batch: i64,
        /// The first one gone.
        first: i64,
        /// The last one gone.
        last: i64,
    },
    /// The members of a batch are not those that were added.
    #[error("batch {batch} (members {first} to {last}): the members are not those that were added")]
    Batch {
        /// The batch.
        batch: i64,
        /// Its first member.
        first: i64,
        /// Its last member.
        last: i64,
    },
    /// A kept sum is wrong.
    #[error("counter {name} says {kept}, there are {counted}")]
    Counter {
        /// Its name.
        name: String,
        /// What it says.
        kept: i64,
        /// What a recount gives.
        counted: i64,
    },
    /// The database has other tables, indexes or triggers than Manara made.
    #[error("schema: {what} {name} {problem}")]
    Schema {
        /// `table`, `index`, `trigger` or `view`.
        what: String,
        /// Its name.
        name: String,
        /// `is missing`, `was added` or `was changed`.
        problem: &'static str,
    },
    /// The engine finds its own structures damaged.
    #[error("the database file is damaged: {0}")]
    Engine(String),
    /// A part could not be read to its end.
    #[error("{part} could not be checked to the end: {why}")]
    Unreadable {
        /// What was being checked.
        part: &'static str,
        /// Why it ended.
        why: String,
    },
    /// There are more findings than are listed.
    #[error("and {0} more")]
    More(u64),
}

/// Checks the database at `path`, which may be in use, on one snapshot. `keys` are the public keys
/// its log may be signed with. `progress` is told what is done of how much.
///
/// An error means that the file could not be opened at all.
pub fn verify_file(
    path: &Path,
    keys: &[VerifyingKey],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, StoreError> {
    let unopened = |error: crate::OpenError| StoreError::Sql {
        context: "opening the database to verify it",
        why: error.to_string(),
    };
    let conn = open::for_reading(path).map_err(unopened)?;
    let reader = Reader { conn };
    reader
        .conn
        .execute_batch(sql::BEGIN_READ)
        .context("beginning to verify")?;
    let count = |sql: &str| {
        reader
            .number("counting what to verify", sql, [])
            .unwrap_or(0)
    };
    let total = count(sql::COUNT_LEAVES_BY_EDGE) + count(sql::COUNT_MEMBERS);
    let mut check = Check {
        db: &reader,
        keys,
        progress,
        done: 0,
        total,
        report: VerifyReport {
            leaves: 0,
            checkpoints: 0,
            records: 0,
            findings: Vec::new(),
        },
        more: 0,
        gone: HashSet::new(),
        unreadable: HashSet::new(),
    };
    check.part("the schema", Check::schema);
    check.part("the audit log", Check::log_and_rows);
    check.part("members of banks", Check::members);
    check.part("counters", Check::counters);
    check.part("the database file", Check::engine);
    Ok(check.end())
}

struct Check<'a> {
    db: &'a Reader,
    keys: &'a [VerifyingKey],
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
    report: VerifyReport,
    more: u64,
    /// Rows that were found to be gone, each told once though several leaves name it.
    gone: HashSet<(&'static str, String)>,
    /// Tables that could not be read to their end: whether a row is gone from them is not known.
    unreadable: HashSet<&'static str>,
}

impl Check<'_> {
    /// Runs one part; what keeps it from its end is a finding like any other.
    fn part(&mut self, part: &'static str, run: impl FnOnce(&mut Self) -> Result<(), StoreError>) {
        if let Err(error) = run(self) {
            self.found(Finding::Unreadable {
                part,
                why: error.to_string(),
            });
        }
    }

    fn found(&mut self, finding: impl Into<Finding>) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding.into());
        } else {
            self.more += 1;
        }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(PROGRESS_EVERY) {
            (self.progress)(self.done.min(self.total), self.total);
        }
    }

    fn end(mut self) -> VerifyReport {
        (self.progress)(self.total, self.total);
        if self.more > 0 {
            self.report.findings.push(Finding::More(self.more));
        }
        self.report
    }

    // --- The log, and the rows of audited tables --------------------------------------------------

    fn log_and_rows(&mut self) -> Result<(), StoreError> {
        let conn = &self.db.conn;
        let mut scans = Vec::with_capacity(tables::ALL.len());
        for table in tables::ALL {
            scans.push((*table, conn.prepare(&table.sql.scan).context(table.name)?));
        }
        let mut cursors = Vec::with_capacity(scans.len());
        for (table, scan) in &mut scans {
            let rows = scan.query([]).context(table.name)?;
            let mut cursor = Cursor {
                table,
                rows,
                head: None,
                canonical: Vec::new(),
            };
            self.advance(&mut cursor);
            cursors.push(cursor);
        }
        let mut notes = conn.prepare(sql::ALL_CHECKPOINTS).context("checkpoints")?;
        let mut notes = notes.query([]).context("checkpoints")?;
        let mut note = next_note(&mut notes)?;
        let mut leaves = conn.prepare(sql::ALL_LEAVES).context("leaves")?;
        let mut leaves = leaves.query([]).context("leaves")?;
        let mut verifier = LogVerifier::new();
        while let Some(row) = leaves.next().context("leaves")? {
            let seq = integer(row, 0) as u64;
            let (data, hash) = (
                bytes(row, 1),
                hash_of(bytes(row, 2)).unwrap_or(Hash([0; 32])),
            );
            let leaf = match verifier.push(seq, data, hash) {
                Ok(leaf) => Some(leaf),
                Err(finding) => {
                    self.found(finding);
                    // What it names is still worth comparing, so that damage to both is told.
                    Leaf::decode(data).ok()
                }
            };
            for finding in verifier.take_findings() {
                self.found(finding);
            }
            self.rows_of(seq, leaf.as_ref(), &mut cursors)?;
            while let Some((size, text)) = note.take_if(|(size, _)| *size <= verifier.size()) {
                self.checkpoint(&mut verifier, size, &text);
                note = next_note(&mut notes)?;
            }
            self.report.leaves += 1;
            self.step();
        }
        while let Some((size, text)) = note {
            self.checkpoint(&mut verifier, size, &text);
            note = next_note(&mut notes)?;
        }
        for cursor in &mut cursors {
            while let Some(head) = cursor.head.take() {
                self.without_leaf(cursor.table, head.key);
                self.advance(cursor);
            }
        }
        self.edge(verifier)
    }

    /// Goes on to a table's next row. Damage ends that table; the others are still checked.
    fn advance(&mut self, cursor: &mut Cursor<'_>) {
        if let Err(error) = cursor.advance() {
            cursor.head = None;
            self.unreadable.insert(cursor.table.name);
            self.found(Finding::Unreadable {
                part: cursor.table.name,
                why: error.to_string(),
            });
        }
    }

    fn checkpoint(&mut self, verifier: &mut LogVerifier, size: u64, note: &str) {
        self.report.checkpoints += 1;
        let checked = read_checkpoint(size, note, self.keys)
            .and_then(|checkpoint| verifier.check_checkpoint(&checkpoint));
        if let Err(finding) = checked {
            self.found(finding);
        }
    }

    /// Compares the rows that say they are covered by leaf `seq` with what it says.
    fn rows_of(
        &mut self,
        seq: u64,
        leaf: Option<&Leaf>,
        cursors: &mut [Cursor<'_>],
    ) -> Result<(), StoreError> {
        let records = leaf.map_or(&[][..], |leaf| &leaf.records);
        let mut seen = vec![false; records.len()];
        for cursor in cursors {
            while let Some(head) = cursor.head.take_if(|head| head.leaf <= seq as i64) {
                let table = cursor.table;
                if head.leaf < seq as i64 {
                    self.without_leaf(table, head.key);
                } else if leaf.is_some() {
                    self.compare(seq, records, &mut seen, table, head);
                }
                // Under a leaf that does not decode nothing can be said; the leaf has been named.
                self.report.records += 1;
                self.advance(cursor);
            }
        }
        for (index, record) in records.iter().enumerate() {
            if !seen.get(index).copied().unwrap_or(true) {
                self.unseen(seq, record)?;
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        seq: u64,
        records: &[Record],
        seen: &mut [bool],
        table: &'static Table,
        row: Head,
    ) {
        let mut logged = None;
        for (record, seen) in records.iter().zip(seen) {
            // Where a leaf names a row twice, the last one counts.
            if record.table == table.name && record.key == row.key {
                *seen = true;
                logged = Some(record.hash);
            }
        }
        let (table, key, index) = (table.name.to_owned(), row.key, seq);
        let finding = match logged {
            None => manara_audit::Finding::RecordWithoutLeaf { table, key },
            Some(logged) if logged == row.hash => return,
            Some(logged) if logged == Record::ERASED => {
                manara_audit::Finding::RecordReturned { table, key, index }
            }
            Some(logged) => manara_audit::Finding::RecordDiffers {
                table,
                key,
                index,
                computed: row.hash,
                logged,
            },
        };
        self.found(finding);
    }

    /// A record no row of this leaf answers to: superseded, rolled back, erased or gone.
    fn unseen(&mut self, seq: u64, record: &Record) -> Result<(), StoreError> {
        let (key, index) = (record.key.clone(), seq);
        let Some(table) = Table::named(&record.table) else {
            let table = record.table.clone();
            self.found(manara_audit::Finding::RecordGone { table, key, index });
            return Ok(());
        };
        if self.unreadable.contains(table.name) {
            return Ok(());
        }
        let covered = self
            .db
            .first(table.name, &table.sql.leaf_of, [&record.key], |row| {
                Ok(integer(row, 0))
            })?;
        match covered {
            Some(leaf) if leaf >= seq as i64 => {}
            Some(leaf) => {
                let found = leaf.max(0) as u64;
                self.found(Finding::RolledBack {
                    table: table.name,
                    key,
                    found,
                    newest: seq,
                });
            }
            None if record.hash == Record::ERASED => {}
            None if self.gone.len() >= FINDINGS_MAX
                || self.gone.insert((table.name, key.clone())) =>
            {
                let table = table.name.to_owned();
                self.found(manara_audit::Finding::RecordGone { table, key, index });
            }
            None => {}
        }
        Ok(())
    }

    fn without_leaf(&mut self, table: &'static Table, key: String) {
        self.found(manara_audit::Finding::RecordWithoutLeaf {
            table: table.name.to_owned(),
            key,
        });
    }

    /// The stored edge and its signature, after the last leaf.
    fn edge(&mut self, mut verifier: LogVerifier) -> Result<(), StoreError> {
        let state = self.db.first("audit_state", sql::AUDIT_STATE, [], |row| {
            Ok((bytes(row, 0).to_vec(), string(row, 1)))
        })?;
        let Some((frontier, head)) = state else {
            self.found(Finding::Edge("is missing".into()));
            return Ok(());
        };
        let size = match Frontier::decode(&frontier) {
            Err(error) => {
                self.found(Finding::Edge(format!("does not decode: {error}")));
                verifier.size()
            }
            Ok(frontier) => {
                self.compare_edge(&verifier, &frontier);
                frontier.size()
            }
        };
        let checked = read_checkpoint(size, &head, self.keys).and_then(|checkpoint| {
            // An edge that lies before the last leaf has been told of already.
            if size < verifier.size() {
                Ok(())
            } else {
                verifier.check_checkpoint(&checkpoint)
            }
        });
        if let Err(finding) = checked {
            self.found(finding);
        }
        verifier
            .finish()
            .into_iter()
            .for_each(|finding| self.found(finding));
        Ok(())
    }

    fn compare_edge(&mut self, verifier: &LogVerifier, kept: &Frontier) {
        let (leaves, size) = (verifier.size(), kept.size());
        if leaves != size {
            self.found(Finding::Edge(format!(
                "is that of {size} leaves, the log has {leaves}"
            )));
        } else if verifier.root().is_some_and(|root| root != kept.root()) {
            self.found(Finding::Edge("has another root than the leaves".into()));
        }
    }

    // --- Members -----------------------------------------------------------------------------------

    fn members(&mut self) -> Result<(), StoreError> {
        const CONTEXT: &str = "members of banks";
        let conn = &self.db.conn;
        let mut batches = conn.prepare(sql::ALL_BATCHES).context(CONTEXT)?;
        let mut batches = batches.query([]).context(CONTEXT)?;
        let mut members = conn.prepare(sql::ALL_MEMBERS).context(CONTEXT)?;
        let mut members = members.query([]).context(CONTEXT)?;
        let mut batch = Expected::next(&mut batches)?;
        while let Some(row) = members.next().context(CONTEXT)? {
            let id = integer(row, 0);
            while batch.as_ref().is_some_and(|batch| id >= batch.end()) {
                self.batch_end(batch.take());
                batch = Expected::next(&mut batches)?;
            }
            match &mut batch {
                Some(batch) if id >= batch.first => self.member(batch, id, row),
                _ => self.found(Finding::Member {
                    member: id,
                    problem: "is in no batch that was added",
                }),
            }
            self.report.records += 1;
            self.step();
        }
        while batch.is_some() {
            self.batch_end(batch.take());
            batch = Expected::next(&mut batches)?;
        }
        Ok(())
    }

    fn member(&mut self, batch: &mut Expected, id: i64, row: &Row<'_>) {
        if id > batch.next {
            self.found(Finding::MembersGone {
                batch: batch.id,
                first: batch.next,
                last: id - 1,
            });
        }
        batch.next = id + 1;
        let value = |column| row.get_ref(column).unwrap_or(ValueRef::Null);
        let digest8 = batch.rows.add([0, 1, 2, 3, 4, 5].map(value));
        if bytes(row, 7) != digest8 {
            self.found(Finding::Member {
                member: id,
                problem: "is not as it was added",
            });
        } else if integer(row, 6) != lookup(raw(row, 1), bytes(row, 2)) {
            self.found(Finding::Member {
                member: id,
                problem: "would not be found: its lookup number was changed",
            });
        }
    }

    fn batch_end(&mut self, batch: Option<Expected>) {
        let Some(batch) = batch else { return };
        let last = batch.end() - 1;
        if batch.next <= last {
            self.found(Finding::MembersGone {
                batch: batch.id,
                first: batch.next,
                last,
            });
        }
        if batch.rows.digest().as_slice() != batch.digest {
            self.found(Finding::Batch {
                batch: batch.id,
                first: batch.first,
                last,
            });
        }
    }

    // --- What is derived, and the engine -----------------------------------------------------------

    fn counters(&mut self) -> Result<(), StoreError> {
        const CONTEXT: &str = "counters";
        let reader = self.db;
        let read = |sql: &str| -> Result<BTreeMap<String, i64>, StoreError> {
            let rows = reader.all(CONTEXT, sql, [], |row| {
                Ok((string(row, 0), integer(row, 1)))
            })?;
            Ok(rows.into_iter().filter(|(_, value)| *value != 0).collect())
        };
        let (kept, mut counted) = (read(sql::COUNTERS)?, read(sql::RECOUNT)?);
        for (name, kept) in kept {
            let counted = counted.remove(&name).unwrap_or(0);
            if kept != counted {
                self.found(Finding::Counter {
                    name,
                    kept,
                    counted,
                });
            }
        }
        for (name, counted) in counted {
            self.found(Finding::Counter {
                name,
                kept: 0,
                counted,
            });
        }
        Ok(())
    }

    fn schema(&mut self) -> Result<(), StoreError> {
        const CONTEXT: &str = "the schema";
        let expected = Reader {
            conn: Connection::open_in_memory().context(CONTEXT)?,
        };
        for script in open::MIGRATIONS {
            expected.conn.execute_batch(script).context(CONTEXT)?;
        }
        let read = |db: &Reader| -> Result<BTreeMap<(String, String), String>, StoreError> {
            let rows = db.all(CONTEXT, sql::SCHEMA, [], |row| {
                Ok(((string(row, 0), string(row, 1)), string(row, 2)))
            })?;
            Ok(rows.into_iter().collect())
        };
        let (found, mut expected) = (read(self.db)?, read(&expected)?);
        for ((what, name), text) in found {
            let problem = match expected.remove(&(what.clone(), name.clone())) {
                None => "was added",
                Some(expected) if expected != text => "was changed",
                Some(_) => continue,
            };
            self.found(Finding::Schema {
                what,
                name,
                problem,
            });
        }
        for (what, name) in expected.into_keys() {
            self.found(Finding::Schema {
                what,
                name,
                problem: "is missing",
            });
        }
        Ok(())
    }

    fn engine(&mut self) -> Result<(), StoreError> {
        let damage = self
            .db
            .all("integrity", sql::INTEGRITY, [], |row| Ok(string(row, 0)))?;
        for what in damage.into_iter().filter(|what| what != "ok") {
            self.found(Finding::Engine(what));
        }
        let orphans = self.db.all("references", sql::FOREIGN_KEYS, [], |row| {
            Ok(format!(
                "row {} of {} refers to a row of {} that is not there",
                integer(row, 1),
                string(row, 0),
                string(row, 2)
            ))
        })?;
        for what in orphans {
            self.found(Finding::Engine(what));
        }
        Ok(())
    }
}

/// The rows of one table in the order of the leaves that cover them.
struct Cursor<'a> {
    table: &'static Table,
    rows: Rows<'a>,
    head: Option<Head>,
    canonical: Vec<u8>,
}

/// The next row of a table.
struct Head {
    leaf: i64,
    key: String,
    /// What it commits to as it is.
    hash: Hash,
}

impl Cursor<'_> {
    fn advance(&mut self) -> Result<(), StoreError> {
        let Some(row) = self.rows.next().context(self.table.name)? else {
            self.head = None;
            return Ok(());
        };
        let columns = self.table.columns.len();
        let value = |column: usize| row.get_ref(column).unwrap_or(ValueRef::Null);
        self.table
            .canonical((0..columns).map(value), &mut self.canonical);
        // A salt of another length is not the one that was used; with any other the hash differs.
        let salt: [u8; 16] = bytes(row, columns).try_into().unwrap_or_default();
        self.head = Some(Head {
            leaf: integer(row, columns + 1),
            key: key_text(Some(value(self.table.key))),
            hash: commit(&salt, &self.canonical),
        });
        Ok(())
    }
}

/// A batch of members as its row says it was.
struct Expected {
    id: i64,
    first: i64,
    count: i64,
    digest: Vec<u8>,
    rows: Batch,
    /// The member that comes next.
    next: i64,
}

impl Expected {
    fn next(rows: &mut Rows<'_>) -> Result<Option<Self>, StoreError> {
        let row = rows.next().context("batches of members")?;
        Ok(row.map(|row| {
            let first = integer(row, 1);
            Self {
                id: integer(row, 0),
                first,
                count: integer(row, 2),
                digest: bytes(row, 3).to_vec(),
                rows: Batch::new(first),
                next: first,
            }
        }))
    }

    /// One past the last member.
    fn end(&self) -> i64 {
        self.first.saturating_add(self.count)
    }
}

fn next_note(rows: &mut Rows<'_>) -> Result<Option<(u64, String)>, StoreError> {
    let row = rows.next().context("checkpoints")?;
    Ok(row.map(|row| (integer(row, 0) as u64, string(row, 1))))
}

// Columns as they are: in a damaged file they may hold anything, which must come out as "differs"
// and not end the check.

fn integer(row: &Row<'_>, column: usize) -> i64 {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(value)) => value,
        _ => -1,
    }
}

fn raw<'a>(row: &'a Row<'_>, column: usize) -> &'a [u8] {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => bytes,
        _ => &[],
    }
}

fn bytes<'a>(row: &'a Row<'_>, column: usize) -> &'a [u8] {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes)) => bytes,
        _ => &[],
    }
}

fn string(row: &Row<'_>, column: usize) -> String {
    String::from_utf8_lossy(raw(row, column)).into_owned()
}
