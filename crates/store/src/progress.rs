//! How far background work has got, so that a restart goes on where it stopped. Operational: nothing
//! is decided by it.

use crate::banks::BankCursor;
use crate::error::{Context, StoreError};
use crate::reader::{Reader, from_json};
use crate::sql;
use crate::tx::{Committed, Tx, json};

const PROGRESS: &str = "the progress of background work";

impl Tx<'_> {
    /// Keeps up to where the work of this name has followed the banks.
    pub fn set_progress(
        &mut self,
        name: &str,
        at: &BankCursor,
    ) -> Result<Committed<()>, StoreError> {
        let value = json(PROGRESS, at)?;
        self.conn
            .prepare_cached(sql::SET_PROGRESS)
            .and_then(|mut s| s.execute((name, value)))
            .context(PROGRESS)?;
        Ok(Committed(()))
    }
}

impl Reader {
    /// Up to where the work of this name has followed the banks, if it ever has.
    pub fn progress(&self, name: &str) -> Result<Option<BankCursor>, StoreError> {
        self.first(PROGRESS, sql::PROGRESS, [name], |row| {
            from_json(row, 0, PROGRESS)
        })
    }
}
