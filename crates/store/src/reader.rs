//! Reading: a few read-only connections, each read a consistent snapshot.

use crate::error::{Context, OpenError, StoreError};
use crate::{open, sql};
use jiff::Timestamp;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What can be read. Its operations stand beside what they read: events, banks, cases, outbox,
/// access, rules, evidence, overview, audit.
pub struct Reader {
    pub(crate) conn: Connection,
}

impl Reader {
    /// Opens an existing database for reading only: nothing is made, migrated or written.
    pub fn open(path: &std::path::Path) -> Result<Self, crate::OpenError> {
        let conn = open::for_reading(path)?;
        Ok(Self { conn })
    }

    /// The first row of a statement, if there is one.
    pub(crate) fn first<T>(
        &self,
        context: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql).context(context)?;
        let mut rows = statement.query(params).context(context)?;
        rows.next().context(context)?.map(read).transpose()
    }

    /// All rows of a statement.
    pub(crate) fn all<T>(
        &self,
        context: &'static str,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(context, sql, params, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Every row of a statement, one after the other.
    pub(crate) fn each(
        &self,
        context: &'static str,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(sql).context(context)?;
        let mut rows = statement.query(params).context(context)?;
        while let Some(row) = rows.next().context(context)? {
            read(row)?;
        }
        Ok(())
    }

    /// A number the statement counts.
    pub(crate) fn number(
        &self,
        context: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<u64, StoreError> {
        let found = self.first(context, sql, params, |row| get::<i64>(row, 0, context))?;
        Ok(found.unwrap_or(0).max(0) as u64)
    }
}

/// A column of a row.
pub(crate) fn get<T: FromSql>(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<T, StoreError> {
    row.get(column).context(context)
}

/// A column that parses as what it was written from.
pub(crate) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<T, StoreError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = row
        .get_ref(column)
        .context(context)?
        .as_str()
        .map_err(|e| damaged(context, e))?;
    text.parse().map_err(|error| damaged(context, error))
}

/// A column of JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<T, StoreError> {
    let text = row
        .get_ref(column)
        .context(context)?
        .as_str()
        .map_err(|e| damaged(context, e))?;
    serde_json::from_str(text).map_err(|error| damaged(context, error))
}

/// A column of 32 bytes.
pub(crate) fn bytes32(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<[u8; 32], StoreError> {
    let bytes = row
        .get_ref(column)
        .context(context)?
        .as_blob()
        .map_err(|e| damaged(context, e))?;
    bytes
        .try_into()
        .map_err(|_| damaged(context, format!("{} bytes instead of 32", bytes.len())))
}

/// A time column.
pub(crate) fn time(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<Timestamp, StoreError> {
    let micros: i64 = get(row, column, context)?;
    Timestamp::from_microsecond(micros).map_err(|error| damaged(context, error))
}

/// A time column that may be empty.
pub(crate) fn maybe_time(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    let micros: Option<i64> = get(row, column, context)?;
    micros
        .map(|micros| Timestamp::from_microsecond(micros).map_err(|error| damaged(context, error)))
        .transpose()
}

pub(crate) fn damaged(context: &'static str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        context,
        why: why.to_string(),
    }
}

/// The connections that reads share.
pub(crate) struct Readers {
    path: PathBuf,
    max: usize,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Reader>,
    open: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, max: usize) -> Self {
        Self {
            path,
            max: max.max(1),
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Runs `f` on one snapshot, waiting for a connection when all are in use.
    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lent = self.lend()?;
        let Some(reader) = &lent.reader else {
            return Err(StoreError::Closed);
        };
        reader
            .conn
            .execute_batch(sql::BEGIN_READ)
            .context("beginning a read")?;
        f(reader)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool is whole after every statement under its lock, so a panic elsewhere spoils nothing.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut pool = self.pool();
        loop {
            if let Some(reader) = pool.idle.pop() {
                return Ok(Lent {
                    readers: self,
                    reader: Some(reader),
                });
            }
            if pool.open < self.max {
                pool.open += 1;
                break;
            }
            pool = self
                .returned
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(pool);
        // From here on the place in the pool is given back by `Lent`, with or without a connection.
        let mut lent = Lent {
            readers: self,
            reader: None,
        };
        let conn = open::for_reading(&self.path).map_err(|error| unopened(&error))?;
        lent.reader = Some(Reader { conn });
        Ok(lent)
    }
}

fn unopened(error: &OpenError) -> StoreError {
    StoreError::Sql {
        context: "opening a connection for reading",
        why: error.to_string(),
    }
}

/// A connection on loan.
struct Lent<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A connection that cannot end its snapshot is closed instead of lent again.
        let fit = self.reader.take().filter(|reader| {
            reader.conn.is_autocommit() || reader.conn.execute_batch(sql::END_READ).is_ok()
        });
        let mut pool = self.readers.pool();
        match fit {
            Some(reader) => pool.idle.push(reader),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.returned.notify_one();
    }
}
