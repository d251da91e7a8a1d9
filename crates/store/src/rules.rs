//! Every version of every rule that was ever in force, so that an old verdict can be explained.

use crate::error::StoreError;
use crate::reader::{Reader, bytes32, get, parsed, time};
use crate::sql;
use crate::tables::{RULE_VERSIONS, blob, int, text};
use crate::tx::{Committed, Tx};
use jiff::Timestamp;
use manara_model::{Author, Name, RuleMode};
use rusqlite::Row;

/// A rule as it is in force now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Its name.
    pub name: Name,
    /// The hash of its canonical text; another hash is another version.
    pub hash: [u8; 32],
    /// Its text as written.
    pub text: String,
    /// The file it stands in.
    pub file: String,
    /// Whether it acts.
    pub mode: RuleMode,
}

/// A recorded version of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVersion {
    /// 1 for the first text under this name, and so on.
    pub version: u32,
    /// What was in force.
    pub rule: RuleText,
    /// Since when.
    pub recorded_at: Timestamp,
}

impl Tx<'_> {
    /// Gives each rule its version number: a new one when its hash is not that of the newest
    /// version under its name. Audit: one `rules.recorded` leaf over the new versions, none when
    /// there are none.
    pub fn record_rules(
        &mut self,
        rules: &[RuleText],
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<Vec<u32>>, StoreError> {
        self.begin("rules.recorded", by, now)?;
        let mut new = 0;
        let mut versions = Vec::with_capacity(rules.len());
        for rule in rules {
            let newest = self.reader().newest_version(&rule.name)?;
            let version = match newest {
                Some((version, hash)) if hash == rule.hash => version,
                newest => {
                    new += 1;
                    let version = newest.map_or(1, |(version, _)| version.saturating_add(1));
                    self.insert_version(rule, version, now)?;
                    version
                }
            };
            versions.push(version);
        }
        if new == 0 {
            self.abandon();
        } else {
            self.seal(None)?;
        }
        Ok(Committed(versions))
    }

    fn insert_version(
        &mut self,
        rule: &RuleText,
        version: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = self.next_id(&RULE_VERSIONS)?;
        self.insert_row(
            &RULE_VERSIONS,
            &[
                int(id),
                text(rule.name.as_str()),
                int(version.into()),
                blob(&rule.hash),
                text(&rule.text),
                text(&rule.file),
                text(&rule.mode.to_string()),
                int(now.as_microsecond()),
            ],
        )
    }
}

impl Reader {
    /// One version of a rule.
    pub fn rule_version(
        &self,
        name: &Name,
        version: u32,
    ) -> Result<Option<RuleVersion>, StoreError> {
        self.first(RULE, sql::RULE, (name.as_str(), version), rule_version)
    }

    /// All versions of a rule, newest first.
    pub fn rule_versions(&self, name: &Name) -> Result<Vec<RuleVersion>, StoreError> {
        self.all(RULE, sql::RULE_HISTORY, [name.as_str()], rule_version)
    }

    fn newest_version(&self, name: &Name) -> Result<Option<(u32, [u8; 32])>, StoreError> {
        self.first(RULE, sql::NEWEST_RULE, [name.as_str()], |row| {
            Ok((get(row, 0, RULE)?, bytes32(row, 1, RULE)?))
        })
    }
}

const RULE: &str = "a rule's version";

fn rule_version(row: &Row<'_>) -> Result<RuleVersion, StoreError> {
    Ok(RuleVersion {
        version: get(row, 1, RULE)?,
        rule: RuleText {
            name: parsed(row, 0, RULE)?,
            hash: bytes32(row, 2, RULE)?,
            text: get(row, 3, RULE)?,
            file: get(row, 4, RULE)?,
            mode: parsed(row, 5, RULE)?,
        },
        recorded_at: time(row, 6, RULE)?,
    })
}
