//! The audit log as it grows: the frontier in memory, its signed head, checkpoints and salts.

use crate::error::{Context, OpenError, StoreError};
use crate::sql;
use manara_audit::{Checkpoint, Frontier, Hash, SigningKey, open_checkpoint, sign_checkpoint};
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

/// At most one checkpoint is kept for each of these.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// The log's right edge, and what signs it.
pub(crate) struct Log {
    key: SigningKey,
    pub(crate) frontier: Frontier,
    /// The size at which the newest checkpoint was kept.
    kept_size: u64,
    kept_at: Instant,
    pub(crate) salts: Salts,
}

impl Log {
    /// Reads the log's edge and checks that it is one this key signed.
    pub(crate) fn load(path: &Path, conn: &Connection, key: SigningKey) -> Result<Self, OpenError> {
        let unfit = |why: String| OpenError::AuditKey {
            path: path.into(),
            why,
        };
        let mut log = Self {
            key,
            frontier: Frontier::new(),
            kept_size: 0,
            kept_at: Instant::now(),
            salts: Salts::new(),
        };
        log.reload(conn).map_err(|error| unfit(error.to_string()))?;
        Ok(log)
    }

    /// Reads the edge again, after another process has written.
    pub(crate) fn reload(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let corrupt = |why: String| StoreError::Corrupt {
            context: "audit log",
            why,
        };
        let (bytes, head): (Vec<u8>, String) = conn
            .query_row(sql::AUDIT_STATE, [], |r| Ok((r.get(0)?, r.get(1)?)))
            .context("reading the audit log's edge")?;
        let frontier = Frontier::decode(&bytes).map_err(|e| corrupt(e.to_string()))?;
        let head = open_checkpoint(&head, &self.key.verifying_key())
            .map_err(|e| corrupt(e.to_string()))?;
        if (head.size, head.root) != (frontier.size(), frontier.root()) {
            return Err(corrupt("its edge is not the one that was signed".into()));
        }
        let leaves = conn
            .query_row(sql::COUNT_LEAVES_BY_EDGE, [], |r| r.get::<_, i64>(0))
            .context("reading the audit log's end")? as u64;
        if leaves != frontier.size() {
            let why = format!(
                "it ends after {leaves} leaves, {} were signed",
                frontier.size()
            );
            return Err(corrupt(why));
        }
        self.kept_size = conn
            .query_row(sql::NEWEST_CHECKPOINT_SIZE, [], |r| r.get::<_, i64>(0))
            .context("reading the newest checkpoint")? as u64;
        self.frontier = frontier;
        Ok(())
    }

    /// The checkpoint over everything so far, signed.
    fn sign(&self) -> Result<String, StoreError> {
        sign_edge(&self.key, &self.frontier).map_err(|why| StoreError::Corrupt {
            context: "signing a checkpoint",
            why,
        })
    }

    /// Writes the edge, in the transaction that grew it, and a checkpoint when one is due.
    pub(crate) fn save(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let head = self.sign()?;
        conn.prepare_cached(sql::SET_AUDIT_STATE)
            .and_then(|mut s| s.execute((self.frontier.encode(), &head)))
            .context("writing the audit log's edge")?;
        if self.kept_at.elapsed() >= CHECKPOINT_EVERY {
            self.keep(conn, &head)?;
        }
        Ok(())
    }

    /// Keeps a checkpoint of the present size.
    pub(crate) fn checkpoint(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let head = self.sign()?;
        self.keep(conn, &head)
    }

    fn keep(&mut self, conn: &Connection, note: &str) -> Result<(), StoreError> {
        conn.prepare_cached(sql::ADD_CHECKPOINT)
            .and_then(|mut s| s.execute((self.frontier.size() as i64, note)))
            .context("keeping a checkpoint")?;
        self.kept_size = self.frontier.size();
        self.kept_at = Instant::now();
        Ok(())
    }

    /// Tries again after a while.
    pub(crate) fn postpone(&mut self) {
        self.kept_at = Instant::now();
    }

    /// How long until a checkpoint is due; `None` when the log has not grown since the last one.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        (self.frontier.size() > self.kept_size)
            .then(|| CHECKPOINT_EVERY.saturating_sub(self.kept_at.elapsed()))
    }
}

/// What a new database's log starts with: the empty edge, signed.
pub(crate) fn write_empty(conn: &Connection, key: &SigningKey) -> rusqlite::Result<()> {
    let empty = Frontier::new();
    let head = sign_edge(key, &empty)
        .map_err(|why| rusqlite::Error::ToSqlConversionFailure(why.into()))?;
    conn.execute(sql::FIRST_AUDIT_STATE, (empty.encode(), head))?;
    Ok(())
}

fn sign_edge(key: &SigningKey, frontier: &Frontier) -> Result<String, String> {
    let checkpoint = Checkpoint::new(key.name(), frontier.size(), frontier.root());
    sign_checkpoint(&checkpoint, key).map_err(|error| error.to_string())
}

/// Random bytes, fetched from the system a page at a time: every row takes 16 of them.
pub(crate) struct Salts {
    pool: Box<[u8; 4096]>,
    used: usize,
}

impl Salts {
    fn new() -> Self {
        Self {
            pool: Box::new([0; 4096]),
            used: 4096,
        }
    }

    /// 16 bytes never given before.
    pub(crate) fn take(&mut self) -> Result<[u8; 16], StoreError> {
        if self.used >= self.pool.len() {
            getrandom::fill(&mut self.pool[..]).map_err(|error| {
                StoreError::Aborted(format!("the system gives no random bytes: {error}"))
            })?;
            self.used = 0;
        }
        let mut salt = [0; 16];
        for (to, from) in salt.iter_mut().zip(self.pool.iter_mut().skip(self.used)) {
            *to = std::mem::take(from);
        }
        self.used += salt.len();
        Ok(salt)
    }
}

/// A hash column read back.
pub(crate) fn hash_of(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok().map(Hash)
}
