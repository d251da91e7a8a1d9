//! Banks from the store into the matcher: all of them at start, changes as they come.

use crate::matcher::{Change, Matcher};
use manara_model::{BankName, MemberId};
use manara_signal::Signal;
use manara_signal::pdq::Pdq;
use manara_store::{BankChange, BankCursor, Store, StoreError};

/// Changes applied under one lock, so that lookups are never held up for long.
const BATCH: usize = 4096;

/// Fills an empty matcher with every bank.
pub(crate) fn load(store: &Store, matcher: &Matcher) -> Result<BankCursor, StoreError> {
    let mut hashes: Vec<(BankName, MemberId, Pdq)> = Vec::new();
    let mut others: Vec<Change> = Vec::new();
    let cursor = store.read(|reader| {
        reader.bank_changes(&BankCursor::default(), &mut |change| match change {
            BankChange::Member {
                bank,
                member,
                signal: Signal::Pdq(hash),
            } => hashes.push((bank, member, hash)),
            change => put(matcher, &mut others, change),
        })
    })?;
    // Removals among `others` must find what they remove, so the hashes go in first.
    matcher.load_pdq(hashes);
    matcher.apply(others);
    Ok(cursor)
}

/// Brings the matcher up to date from `cursor` on.
pub(crate) fn follow(
    store: &Store,
    matcher: &Matcher,
    cursor: BankCursor,
) -> Result<BankCursor, StoreError> {
    let mut batch = Vec::new();
    let cursor = store.read(|reader| {
        reader.bank_changes(&cursor, &mut |change| {
            put(matcher, &mut batch, change);
            if batch.len() >= BATCH {
                matcher.apply(batch.drain(..));
            }
        })
    })?;
    matcher.apply(batch);
    Ok(cursor)
}

fn put(matcher: &Matcher, batch: &mut Vec<Change>, change: BankChange) {
    match change {
        BankChange::Bank {
            name,
            enabled,
            distance,
        } => matcher.set_bank(&name, enabled, distance),
        BankChange::Member {
            bank,
            member,
            signal,
        } => batch.push(Change::Add {
            bank,
            member,
            signal,
        }),
        BankChange::Removed {
            bank,
            member,
            signal_type,
        } => batch.push(Change::Remove {
            bank,
            member,
            signal_type,
        }),
    }
}
