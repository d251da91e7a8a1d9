//! Opening a database file: what it is, which version, and how its connections are set up.
//!
//! `application_id` says "a Manara database", `user_version` says which migrations it has had.

use crate::error::OpenError;
use crate::sql;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// `MNRA`, in the header of every database of ours.
const APPLICATION_ID: i64 = 0x4D4E_5241;
/// One script for each version, in order.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_mins(1);
/// How long to wait between two attempts at what SQLite does not wait for by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Statements kept prepared on each connection; there are fewer.
const STATEMENTS_MAX: usize = 160;

/// The newest version this program knows.
pub(crate) fn known_version() -> u32 {
    MIGRATIONS.len() as u32
}

/// Opens `path` for writing, makes it a database if it is new, and brings it to the newest version.
/// `first` writes what a new database starts with.
pub(crate) fn for_writing(
    path: &Path,
    max_bytes: Option<u64>,
    first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, OpenError> {
    create_private(path)?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let explain = |error: rusqlite::Error| explain(path, &error);
    check_identity(path, &conn)?;
    when_free(|| set_up_writer(&conn, max_bytes)).map_err(explain)?;
    migrate(path, &conn, first)?;
    Ok(conn)
}

/// Opens an existing database of the newest version for reading.
pub(crate) fn for_reading(path: &Path) -> Result<Connection, OpenError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_identity(path, &conn)?;
    conn.execute_batch(sql::READER_PRAGMAS)
        .map_err(|error| explain(path, &error))?;
    Ok(conn)
}

/// The version of an existing database and the newest one this program knows. Changes nothing.
///
/// A database that is older is brought up to date when it is next opened for writing.
pub fn version_of(path: &Path) -> Result<(u32, u32), OpenError> {
    let conn = for_reading(path)?;
    let found = conn.query_row(sql::USER_VERSION, [], |r| r.get(0));
    Ok((
        found.map_err(|error| explain(path, &error))?,
        known_version(),
    ))
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(explain)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise the planner looks at bound values and prepares some statements anew for each one.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(explain)?;
    Ok(conn)
}

/// Makes the file, readable by its owner only: it holds personal data.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = match options.open(path) {
        Ok(file) => file.sync_all().and_then(|()| sync_directory_of(path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    made.map_err(|error| OpenError::Io {
        path: path.into(),
        why: error.to_string(),
    })
}

/// Makes the file's name as durable as its contents will be.
#[cfg(unix)]
fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere the system offers no way to.
#[cfg(not(unix))]
fn sync_directory_of(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn check_identity(path: &Path, conn: &Connection) -> Result<(), OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let objects: i64 = conn
        .query_row(sql::COUNT_OBJECTS, [], |r| r.get(0))
        .map_err(explain)?;
    let application: i64 = conn
        .query_row(sql::APPLICATION_ID, [], |r| r.get(0))
        .map_err(explain)?;
    if application != APPLICATION_ID && (application != 0 || objects != 0) {
        let why = "it is another program's SQLite database".into();
        return Err(OpenError::NotManara {
            path: path.into(),
            why,
        });
    }
    let found: u32 = conn
        .query_row(sql::USER_VERSION, [], |r| r.get(0))
        .map_err(explain)?;
    let known = known_version();
    if found > known {
        Err(OpenError::Newer { found, known })
    } else {
        Ok(())
    }
}

/// Repeats what another process holds up. SQLite does not wait by itself where it changes to
/// write-ahead logging, so of two processes that make one database the second would fail.
fn when_free(mut attempt: impl FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && started.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            ended => return ended,
        }
    }
}

fn set_up_writer(conn: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
    conn.execute_batch(sql::WRITER_PRAGMAS)?;
    if let Some(max_bytes) = max_bytes {
        let page: i64 = conn.query_row(sql::PAGE_SIZE, [], |r| r.get(0))?;
        let pages = i64::try_from(max_bytes).unwrap_or(i64::MAX) / page.max(1);
        conn.execute_batch(&sql::max_pages(pages.max(1)))?;
    }
    Ok(())
}

/// Applies the migrations a database lacks, all in one transaction.
fn migrate(
    path: &Path,
    conn: &Connection,
    first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let version = || conn.query_row(sql::USER_VERSION, [], |r| r.get::<_, u32>(0));
    if version().map_err(explain)? == known_version() {
        return Ok(());
    }
    conn.execute_batch(sql::BEGIN).map_err(explain)?;
    let migrated = (|| {
        // Read again under the lock: another process may have just done this.
        let had = version()?;
        for (script, number) in MIGRATIONS.iter().zip(1_u32..).filter(|(_, n)| *n > had) {
            conn.execute_batch(script)?;
            conn.execute_batch(&sql::set_version(APPLICATION_ID, number))?;
        }
        if had == 0 { first(conn) } else { Ok(()) }
    })();
    let done = migrated.and_then(|()| conn.execute_batch(sql::COMMIT));
    done.map_err(|error| {
        // The error that matters is the first; a failed rollback is repeated when the file closes.
        let _ = conn.execute_batch(sql::ROLLBACK);
        explain(error)
    })
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_path_buf();
    let why = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotManara {
            path,
            why: "it is no SQLite database".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { path, why },
        _ => OpenError::Io { path, why },
    }
}
