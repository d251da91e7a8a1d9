//! What can go wrong, in the caller's terms. No SQL error leaves this crate unexplained.

use manara_model::Refused;
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// Why a database cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A newer Manara wrote it.
    #[error(
        "this database is version {found}, this Manara knows up to {known}: \
         use the newer Manara, or restore a backup"
    )]
    Newer {
        /// The version of the database.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The file is something else.
    #[error("{} is not a Manara database ({why}): check the path, or choose an empty directory", path.display())]
    NotManara {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// The file was a Manara database and is damaged.
    #[error("{} is damaged ({why}): run `manara audit verify`, then restore a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The audit log was signed with another key than the one given.
    #[error(
        "the audit log in {} does not continue under this key ({why}): \
         put back the `audit.key` it was written with, or run `manara audit verify`",
        path.display()
    )]
    AuditKey {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The options cannot be used.
    #[error("cannot open the store: {0}")]
    Options(String),
    /// The file system or the engine refused.
    #[error("cannot open {}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason, in the system's words.
        why: String,
    },
}

/// Why a read or a write was not done. A write that ends in an error changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or the database has reached its configured size.
    #[error("the database cannot grow ({context}): free disk space, or raise the size limit")]
    Full {
        /// What was being done.
        context: &'static str,
    },
    /// Too much is waiting to be written, or another process held the database for a minute.
    #[error("the database is busy: try again in a moment")]
    Busy,
    /// What was to be made is there already, or was changed by somebody else meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// Stored data does not read back as what was written.
    #[error("stored data is damaged ({context}): {why}; run `manara audit verify`")]
    Corrupt {
        /// What was being read.
        context: &'static str,
        /// What was found.
        why: String,
    },
    /// The engine refused a statement.
    #[error("the database refused ({context}): {why}")]
    Sql {
        /// What was being done.
        context: &'static str,
        /// The engine's words.
        why: String,
    },
    /// There is no such thing.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, with its name: `bank TVEC_IMAGES`.
        what: String,
    },
    /// What was given cannot be stored.
    #[error("{what}: {problem}")]
    Invalid {
        /// Which field.
        what: &'static str,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The move is not legal.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The caller gave up in the middle of a write, for its own reason.
    #[error("{0}")]
    Aborted(String),
    /// The store is closed, or the job panicked before it ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn sql(context: &'static str, error: &rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(code, message) => {
                let why = message.clone().unwrap_or_else(|| code.to_string());
                match code.code {
                    ErrorCode::DiskFull => Self::Full { context },
                    ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                        Self::Corrupt { context, why }
                    }
                    _ => Self::Sql { context, why },
                }
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Corrupt {
                context,
                why: error.to_string(),
            },
            other => Self::Sql {
                context,
                why: other.to_string(),
            },
        }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }
}

/// Names what was being done when the engine refused.
pub(crate) trait Context<T> {
    fn context(self, context: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, rusqlite::Error> {
    fn context(self, context: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::sql(context, &error))
    }
}
