//! Banks from the store into the matcher: all of them at start, changes as they come.

use crate::matcher::{Change, Matcher};
use crate::snapshot::{self, Head};
use anyhow::Context;
use manara_model::{BankName, MemberId, MemberSettings};
use manara_signal::index::PdqIndex;
use manara_signal::pdq::Pdq;
use manara_signal::{Signal, SignalType};
use manara_store::{BankChange, BankCursor, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Changes applied under one lock, so that lookups are never held up for long.
const BATCH: usize = 4096;
/// How often a changed image index is kept for the next start.
const KEPT_EVERY: Duration = Duration::from_secs(600);

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
                settings,
                ..
            } => {
                if settings != MemberSettings::default() {
                    others.push(Change::Set {
                        bank: bank.clone(),
                        member,
                        signal: Signal::Pdq(hash),
                        settings,
                    });
                }
                hashes.push((bank, member, hash));
            }
            change => put(matcher, &mut others, change),
        })
    })?;
    // Removals among `others` must find what they remove, so the hashes go in first.
    matcher.load_pdq(hashes);
    matcher.apply(others);
    Ok(cursor)
}

/// Loads these banks, and those that forbid their matches.
pub(crate) fn load_for(
    store: &Store,
    matcher: &Matcher,
    asked: &[BankName],
) -> Result<(), StoreError> {
    let mut batch: Vec<Change> = Vec::new();
    store.read(|reader| {
        let wanted: Vec<BankName> = reader
            .banks()?
            .into_iter()
            .filter(|bank| asked.contains(&bank.name) || bank.settings.is_negative())
            .map(|bank| bank.name)
            .collect();
        reader.bank_changes(&BankCursor::default(), &mut |change| {
            let bank = match &change {
                BankChange::Bank { name: bank, .. }
                | BankChange::Member { bank, .. }
                | BankChange::Settings { bank, .. }
                | BankChange::Removed { bank, .. } => bank,
            };
            if wanted.contains(bank) {
                put(matcher, &mut batch, change);
            }
            if batch.len() >= BATCH {
                matcher.apply(batch.drain(..));
            }
        })
    })?;
    matcher.apply(batch);
    matcher.tend();
    Ok(())
}

/// The same, with the image hashes from the file that an earlier run left, as far as it goes.
pub(crate) fn load_with(
    store: &Store,
    matcher: &Matcher,
    file: &Path,
) -> Result<BankCursor, StoreError> {
    let Some((head, index)) = kept(store, file)? else {
        let cursor = load(store, matcher)?;
        Keeping::new(store, matcher, cursor, file).run();
        return Ok(cursor);
    };
    matcher.adopt(head.banks, index);
    let mut batch = Vec::new();
    let cursor = store.read(|reader| {
        reader.bank_changes_knowing(&head.cursor, SignalType::Pdq, &mut |change| {
            put(matcher, &mut batch, change);
            if batch.len() >= BATCH {
                matcher.apply(batch.drain(..));
            }
        })
    })?;
    matcher.apply(batch);
    matcher.tend();
    Ok(cursor)
}

/// The index in the file, if it is one of this database. What is wrong with it is logged, since the
/// index can always be built again.
fn kept(store: &Store, file: &Path) -> Result<Option<(Head, PdqIndex)>, StoreError> {
    let (head, index) = match snapshot::open(file) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::warn!("the image index is built again from the database: {error:#}");
            return Ok(None);
        }
    };
    let state = store.read(|reader| reader.bank_state(&head.cursor))?;
    if state.map(hex::encode).as_deref() == Some(&head.state) {
        Ok(Some((head, index)))
    } else {
        tracing::warn!(
            "the image index is built again from the database: {} was made from another one",
            file.display()
        );
        Ok(None)
    }
}

/// The image index as it was at a cursor, to be written for the next start.
pub(crate) struct Keeping {
    store: Store,
    cursor: BankCursor,
    banks: Vec<(BankName, u64)>,
    index: PdqIndex,
    file: PathBuf,
}

impl Keeping {
    fn new(store: &Store, matcher: &Matcher, cursor: BankCursor, file: &Path) -> Self {
        let (banks, index) = matcher.view();
        Self {
            store: store.clone(),
            cursor,
            banks,
            index,
            file: file.to_owned(),
        }
    }

    /// Writes it, if there are many hashes. The next start can do without, so an error is logged and
    /// nothing more.
    pub(crate) fn run(self) {
        if self.index.len() < snapshot::HASHES_MIN {
            return;
        }
        if let Err(error) = self.write() {
            tracing::warn!("the image index was not kept for the next start: {error:#}");
        }
    }

    fn write(self) -> anyhow::Result<()> {
        let state = self.store.read(|reader| reader.bank_state(&self.cursor))?;
        let head = Head {
            cursor: self.cursor,
            state: hex::encode(state.context("the database has gone back")?),
            banks: self.banks,
        };
        snapshot::write(&self.file, &head, &self.index)
    }
}

/// How far a matcher has followed the banks, for those who rely on what it knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followed(Arc<Mutex<BankCursor>>);

impl Followed {
    /// Whether the matcher knows all that was changed up to `cursor`.
    pub(crate) fn reaches(&self, cursor: &BankCursor) -> bool {
        self.lock().reaches(cursor)
    }

    fn set(&self, cursor: BankCursor) {
        *self.lock() = cursor;
    }

    fn lock(&self) -> MutexGuard<'_, BankCursor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows a database's banks with a matcher that was filled by [`load_with`].
#[derive(Debug)]
pub(crate) struct Follower {
    store: Store,
    pub(crate) matcher: Arc<Matcher>,
    pub(crate) followed: Followed,
    cursor: BankCursor,
    file: PathBuf,
    /// Changes since the index was kept.
    changed: usize,
    kept_at: Instant,
}

impl Follower {
    pub(crate) fn new(
        store: Store,
        matcher: Arc<Matcher>,
        cursor: BankCursor,
        file: PathBuf,
    ) -> Self {
        let followed = Followed::default();
        followed.set(cursor);
        Self {
            store,
            matcher,
            followed,
            cursor,
            file,
            changed: 0,
            kept_at: Instant::now(),
        }
    }

    /// Takes up what has changed. Now and then gives the index as it is, to be kept, if `may_keep`.
    pub(crate) fn follow(&mut self, may_keep: bool) -> Result<Option<Keeping>, StoreError> {
        let (cursor, changed) = follow(&self.store, &self.matcher, self.cursor)?;
        self.cursor = cursor;
        self.followed.set(cursor);
        self.changed += changed;
        let many = self.changed >= snapshot::HASHES_MIN;
        let due = many || (self.changed > 0 && self.kept_at.elapsed() >= KEPT_EVERY);
        if due && may_keep {
            (self.changed, self.kept_at) = (0, Instant::now());
            let (store, matcher) = (&self.store, &self.matcher);
            return Ok(Some(Keeping::new(store, matcher, cursor, &self.file)));
        }
        Ok(None)
    }
}

/// Brings the matcher up to date from `cursor` on; says how many members came or went.
fn follow(
    store: &Store,
    matcher: &Matcher,
    cursor: BankCursor,
) -> Result<(BankCursor, usize), StoreError> {
    let (mut batch, mut changed) = (Vec::new(), 0);
    let cursor = store.read(|reader| {
        reader.bank_changes(&cursor, &mut |change| {
            changed += usize::from(!matches!(change, BankChange::Bank { .. }));
            put(matcher, &mut batch, change);
            if batch.len() >= BATCH {
                matcher.apply(batch.drain(..));
            }
        })
    })?;
    matcher.apply(batch);
    Ok((cursor, changed))
}

fn put(matcher: &Matcher, batch: &mut Vec<Change>, change: BankChange) {
    match change {
        BankChange::Bank {
            name,
            enabled,
            settings,
        } => matcher.set_bank(&name, enabled, settings),
        BankChange::Member {
            bank,
            member,
            signal,
            settings,
            ..
        } => batch.push(Change::Add {
            bank,
            member,
            signal,
            settings,
        }),
        BankChange::Settings {
            bank,
            member,
            signal,
            settings,
        } => batch.push(Change::Set {
            bank,
            member,
            signal,
            settings,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::MediaSignals;
    use manara_model::{Author, BankSettings};
    use manara_signal::pdq::PdqHash;
    use manara_store::Options;

    const HASHES: u64 = snapshot::HASHES_MIN as u64 + 100;

    fn hash(n: u64) -> Pdq {
        let mut hash = Pdq([0; 32]);
        for (word, salt) in hash.0.chunks_exact_mut(8).zip(1_u64..) {
            let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (salt << 17));
            word.copy_from_slice(&mixed.rotate_left(23).to_le_bytes());
        }
        hash
    }

    fn store(folder: &Path, salt: u64) -> Store {
        let options = Options {
            audit_seed: [7; 32],
            origin: "manara.example/audit".into(),
            max_bytes: None,
            readers: 2,
        };
        let store = Store::open(&folder.join(format!("{salt}.db")), options).unwrap();
        let bank: BankName = "IMAGES".parse().unwrap();
        let members = (salt..salt + HASHES).map(|n| (Signal::Pdq(hash(n)), String::new()));
        let slogan = Signal::parse(SignalType::Text, "grey banner").unwrap();
        let members: Vec<_> = members.chain([(slogan, String::new())]).collect();
        store
            .write_blocking(move |tx| {
                let members = members.into_iter().map(Into::into).collect();
                let (settings, now) = (BankSettings::default(), crate::clock::now());
                tx.create_bank_with(&bank, "", &settings, members, &Author::System, now)
            })
            .unwrap();
        store
    }

    fn finds(matcher: &Matcher, n: u64) -> Vec<MemberId> {
        let mut signals = MediaSignals::unavailable(String::new());
        let hash = PdqHash {
            hash: hash(n),
            quality: 90,
        };
        signals.pdq.push((hash, "original".into()));
        let found = matcher.matches_of_medium("m", &signals);
        found.iter().map(|m| m.member).collect()
    }

    #[test]
    fn an_index_that_was_kept_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 0);
        let file = dir.path().join(snapshot::NAME);
        let first = Matcher::default();
        load_with(&store, &first, &file).unwrap();
        assert!(file.exists());

        let bank: BankName = "IMAGES".parse().unwrap();
        store
            .write_blocking(move |tx| {
                let now = crate::clock::now();
                let added = Signal::Pdq(hash(HASHES + 5));
                let made =
                    tx.add_member(&bank, (added, String::new()).into(), &Author::System, now)?;
                let gone = tx.remove_member(&bank, MemberId(3), "", &Author::System, now)?;
                Ok(made.map(|_| *gone.get()))
            })
            .unwrap();
        let (again, anew) = (Matcher::default(), Matcher::default());
        load_with(&store, &again, &file).unwrap();
        load(&store, &anew).unwrap();
        assert_eq!(again.size(), anew.size());
        for n in [0, 1, 2, 3, 77, HASHES - 1, HASHES + 5] {
            assert_eq!(finds(&again, n), finds(&anew, n), "hash {n}");
        }
        assert!(finds(&again, 2).is_empty(), "member 3 is hash 2");
        assert_eq!(finds(&again, 0), [MemberId(1)]);
        assert_eq!(again.matches_of_text("t", "the grey banner").len(), 1);
    }

    #[test]
    fn the_index_of_another_database_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(snapshot::NAME);
        load_with(&store(dir.path(), 0), &Matcher::default(), &file).unwrap();
        let matcher = Matcher::default();
        load_with(&store(dir.path(), 1), &matcher, &file).unwrap();
        assert!(finds(&matcher, 0).is_empty());
        assert_eq!(finds(&matcher, HASHES), [MemberId(HASHES as i64)]);
        // And the file is now of this one.
        let again = Matcher::default();
        load_with(&store(dir.path(), 1_000_000), &again, &file).unwrap();
        assert_eq!(finds(&again, 1_000_000), [MemberId(1)]);
    }
}
