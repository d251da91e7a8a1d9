//! Sets that operators keep for rules to ask: trusted accounts, partners' domains.

use crate::error::StoreError;
use crate::reader::{Reader, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{SET_ITEMS, SETS, int, maybe, maybe_text, text};
use crate::tx::{Committed, Tx, author_json};
use jiff::Timestamp;
use manara_model::{Author, Name};
use rusqlite::Row;

/// Most sets.
const SETS_MAX: u64 = 1_000;
/// Most items of all sets together: they are kept in memory.
const ITEMS_MAX: u64 = 1_000_000;
/// Longest item, in bytes.
const ITEM_BYTES_MAX: usize = 256;
const DESCRIPTION_BYTES_MAX: usize = 1024;

/// A set as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSet {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// Since when there is one.
    pub created_at: Timestamp,
    /// How many items it holds.
    pub items: u64,
}

/// An item of a set, now or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetItem {
    id: i64,
    /// The item.
    pub item: String,
    /// Why it is there.
    pub note: String,
    /// Who added it.
    pub author: Author,
    /// When.
    pub added_at: Timestamp,
    /// When and by whom it was taken out.
    pub removed: Option<(Timestamp, Author)>,
}

impl Tx<'_> {
    /// Makes an empty set. Audit: one `set.created` leaf.
    pub fn create_set(
        &mut self,
        name: &Name,
        description: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        within("description", description.len(), DESCRIPTION_BYTES_MAX)?;
        if self.reader().set(name)?.is_some() {
            return Err(StoreError::Conflict(format!(
                "there is a set {name} already"
            )));
        }
        if self.reader().number(SET, sql::COUNT_SETS, [])? >= SETS_MAX {
            return Err(StoreError::Conflict(format!(
                "there are {SETS_MAX} sets, and no room for more"
            )));
        }
        self.begin("set.created", by, now)?;
        let id = self.next_id(&SETS)?;
        self.insert_row(
            &SETS,
            &[
                int(id),
                text(name.as_str()),
                text(description),
                int(now.as_microsecond()),
            ],
        )?;
        self.seal(Some(name.to_string()))?;
        Ok(Committed(()))
    }

    /// Adds items that are not there yet, and says how many those were. Audit: one `set.items_added` leaf, none
    /// when all are there already.
    pub fn add_to_set(
        &mut self,
        name: &Name,
        items: &[String],
        note: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<u64>, StoreError> {
        self.reader().expect_set(name)?;
        within("note", note.len(), DESCRIPTION_BYTES_MAX)?;
        let held = self.reader().number(SET, sql::COUNT_SET_ITEMS, [])?;
        if held + items.len() as u64 > ITEMS_MAX {
            return Err(StoreError::Conflict(format!(
                "all sets together hold at most {ITEMS_MAX} items: use a bank for more"
            )));
        }
        self.begin("set.items_added", by, now)?;
        let author = author_json(by)?;
        let mut added = 0;
        for item in items {
            within("item", item.len(), ITEM_BYTES_MAX)?;
            if item.is_empty() {
                return Err(invalid("item", "is empty: leave it out"));
            }
            if self.reader().set_item(name, item)?.is_some() {
                continue;
            }
            let id = self.next_id(&SET_ITEMS)?;
            self.insert_row(
                &SET_ITEMS,
                &[
                    int(id),
                    text(name.as_str()),
                    text(item),
                    text(note),
                    text(&author),
                    int(now.as_microsecond()),
                    maybe(None::<i64>, int),
                    maybe_text(None),
                ],
            )?;
            added += 1;
        }
        if added == 0 {
            self.abandon();
        } else {
            self.seal(Some(format!("{name}: {added}")))?;
        }
        Ok(Committed(added))
    }

    /// Takes items out, and says how many were there. Audit: one `set.items_removed` leaf, none when none was.
    pub fn remove_from_set(
        &mut self,
        name: &Name,
        items: &[String],
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<u64>, StoreError> {
        self.reader().expect_set(name)?;
        self.begin("set.items_removed", by, now)?;
        let author = author_json(by)?;
        let mut removed = 0;
        for item in items {
            let Some(found) = self.reader().set_item(name, item)? else {
                continue;
            };
            let added_by = author_json(&found.author)?;
            self.update(
                &SET_ITEMS,
                &[
                    int(found.id),
                    text(name.as_str()),
                    text(item),
                    text(&found.note),
                    text(&added_by),
                    int(found.added_at.as_microsecond()),
                    int(now.as_microsecond()),
                    text(&author),
                ],
            )?;
            removed += 1;
        }
        if removed == 0 {
            self.abandon();
        } else {
            self.seal(Some(format!("{name}: {removed}")))?;
        }
        Ok(Committed(removed))
    }
}

impl Reader {
    /// Every set with the items it holds now.
    pub fn sets(&self) -> Result<Vec<(Name, Vec<String>)>, StoreError> {
        let names: Vec<Name> = self.all(SET, sql::SETS, [], |row| parsed(row, 0, SET))?;
        let mut sets = Vec::with_capacity(names.len());
        for name in names {
            let items = self.all(SET, sql::SET_ITEMS, [name.as_str()], |row| get(row, 0, SET))?;
            sets.push((name, items));
        }
        Ok(sets)
    }

    /// The sets there are, by name.
    pub fn set_list(&self) -> Result<Vec<KeptSet>, StoreError> {
        self.all(SET, sql::SETS, [], kept_set)
    }

    /// One set.
    pub fn set(&self, name: &Name) -> Result<Option<KeptSet>, StoreError> {
        self.first(SET, sql::SET, [name.as_str()], kept_set)
    }

    /// The items of a set, newest first, those that were taken out among them.
    pub fn set_history(&self, name: &Name, limit: usize) -> Result<Vec<SetItem>, StoreError> {
        let params = (name.as_str(), limit as i64);
        self.all(SET, sql::SET_HISTORY, params, set_item)
    }

    fn set_item(&self, name: &Name, item: &str) -> Result<Option<SetItem>, StoreError> {
        self.first(SET, sql::SET_ITEM, (name.as_str(), item), set_item)
    }

    fn expect_set(&self, name: &Name) -> Result<(), StoreError> {
        let found = self.set(name)?;
        found.map_or_else(
            || Err(StoreError::not_found(format!("set {name}"))),
            |_| Ok(()),
        )
    }
}

const SET: &str = "a set";

fn within(what: &'static str, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes > max {
        return Err(invalid(
            what,
            &format!("is {bytes} bytes long, the limit is {max}"),
        ));
    }
    Ok(())
}

fn invalid(what: &'static str, problem: &str) -> StoreError {
    StoreError::Invalid {
        what,
        problem: problem.to_owned(),
    }
}

fn kept_set(row: &Row<'_>) -> Result<KeptSet, StoreError> {
    Ok(KeptSet {
        name: parsed(row, 0, SET)?,
        description: get(row, 1, SET)?,
        created_at: time(row, 2, SET)?,
        items: get::<i64>(row, 3, SET)?.unsigned_abs(),
    })
}

fn set_item(row: &Row<'_>) -> Result<SetItem, StoreError> {
    let removed = match maybe_time(row, 5, SET)? {
        Some(at) => Some((at, from_json(row, 6, SET)?)),
        None => None,
    };
    Ok(SetItem {
        id: get(row, 0, SET)?,
        item: get(row, 1, SET)?,
        note: get(row, 2, SET)?,
        author: from_json(row, 3, SET)?,
        added_at: time(row, 4, SET)?,
        removed,
    })
}
