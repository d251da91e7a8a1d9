//! What rules did, by day: kept as decisions are, so that a list of rules costs nothing to show.
//! Operational: it is made from decisions, which are what is vouched for.

use crate::error::{Context, StoreError};
use crate::reader::{Reader, get, parsed, time};
use crate::sql;
use crate::tx::Tx;
use jiff::Timestamp;
use manara_model::{Author, Decision, Mode, Name, Verdict};
use std::collections::BTreeSet;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
const TALLY: &str = "what rules did";

/// How often a rule did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The rule.
    pub rule: Name,
    /// `live`, `shadow` or `held` (it was kept from acting): how it fired; otherwise a kind of action, for which
    /// live verdicts asked.
    pub what: String,
    /// On how many events.
    pub n: u64,
    /// When last.
    pub last_at: Timestamp,
}

impl Tx<'_> {
    /// Counts the verdicts of a decision by rules.
    pub(crate) fn tally(&mut self, decision: &Decision) -> Result<(), StoreError> {
        if decision.author != Author::Rules {
            return Ok(());
        }
        let at = decision.at.as_microsecond();
        for verdict in &decision.verdicts {
            for what in told(verdict) {
                let row = (at.div_euclid(DAY), verdict.rule.as_str(), what, at);
                let mut tally = self.conn.prepare_cached(sql::TALLY).context(TALLY)?;
                tally.execute(row).context(TALLY)?;
            }
        }
        Ok(())
    }
}

/// How it fired, and what it asked for, each once.
fn told(verdict: &Verdict) -> BTreeSet<&'static str> {
    if verdict.mode == Mode::Shadow {
        let held = verdict.held.is_some();
        return BTreeSet::from([if held { "held" } else { "shadow" }]);
    }
    let kinds = verdict.effects.iter().map(|effect| effect.kind.as_str());
    kinds.chain(["live"]).collect()
}

impl Reader {
    /// What each rule did from one day to another, both included, by days since 1970.
    pub fn tallies(&self, from: i64, to: i64) -> Result<Vec<Tally>, StoreError> {
        self.all(TALLY, sql::TALLIES, (from, to), |row| {
            Ok(Tally {
                rule: parsed(row, 0, TALLY)?,
                what: get(row, 1, TALLY)?,
                n: get::<i64>(row, 2, TALLY)?.unsigned_abs(),
                last_at: time(row, 3, TALLY)?,
            })
        })
    }

    /// What one rule did on each of these days: the day, and what it did.
    pub fn tallies_of(
        &self,
        rule: &Name,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Tally)>, StoreError> {
        let params = (rule.as_str(), from, to);
        self.all(TALLY, sql::TALLIES_OF, params, |row| {
            let tally = Tally {
                rule: rule.clone(),
                what: get(row, 1, TALLY)?,
                n: get::<i64>(row, 2, TALLY)?.unsigned_abs(),
                last_at: time(row, 3, TALLY)?,
            };
            Ok((get(row, 0, TALLY)?, tally))
        })
    }
}
