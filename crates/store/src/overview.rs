//! How much there is of everything, at no cost: sums are kept as they change.

use crate::error::StoreError;
use crate::reader::{Reader, damaged, get, parsed, time};
use crate::sql;
use jiff::Timestamp;
use manara_model::{ActionKind, DecisionId, Name};
use rusqlite::Row;
use serde::Serialize;
use std::collections::BTreeMap;

/// Totals over the whole database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Events kept, duplicates not counted.
    pub events: u64,
    /// Events that came under another's source and id.
    pub conflicts: u64,
    /// Events on which at least one rule fired, shadow rules included.
    pub decisions_with_verdicts: u64,
    /// Judgements of reviewers.
    pub judgements: u64,
    /// Actions asked for, by kind; kinds that never were are left out.
    pub actions: BTreeMap<String, u64>,
    /// Cases ever opened.
    pub cases: u64,
    /// Cases waiting for a reviewer.
    pub open_cases: u64,
    /// Cases with a reviewer.
    pub claimed_cases: u64,
    /// Deliveries waiting or under way.
    pub outbox_pending: u64,
    /// Deliveries given up.
    pub outbox_dead: u64,
    /// Deliveries done.
    pub outbox_delivered: u64,
    /// Members of all banks, removed ones left out.
    pub members: u64,
    /// Leaves of the audit log.
    pub leaves: u64,
}

/// A mark against an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strike {
    /// Whose.
    pub account: String,
    /// How heavy.
    pub weight: u32,
    /// Under which policy.
    pub policy: Name,
    /// By which decision.
    pub decision: DecisionId,
    /// When.
    pub at: Timestamp,
    /// The decision by which a person took it back.
    pub withdrawn: Option<DecisionId>,
}

impl Reader {
    /// Totals over the whole database.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        let counters: BTreeMap<String, u64> = self.counters()?.into_iter().collect();
        let counter = |name: &str| counters.get(name).copied().unwrap_or(0);
        let actions = ActionKind::ALL.iter().filter_map(|kind| {
            let count = counter(&format!("actions.{kind}"));
            (count > 0).then(|| (kind.to_string(), count))
        });
        Ok(Totals {
            events: counter("events"),
            conflicts: counter("events.conflicts"),
            decisions_with_verdicts: counter("decisions.verdicts"),
            judgements: counter("decisions.reviewed"),
            actions: actions.collect(),
            cases: counter("cases"),
            open_cases: self.number(TOTALS, sql::COUNT_CASES, ["open"])?,
            claimed_cases: self.number(TOTALS, sql::COUNT_CASES, ["claimed"])?,
            outbox_pending: self.number(TOTALS, sql::COUNT_PENDING, [])?,
            outbox_dead: self.number(TOTALS, sql::COUNT_DEAD, [])?,
            outbox_delivered: counter("outbox.delivered"),
            members: counters
                .iter()
                .filter(|(name, _)| name.starts_with("bank."))
                .map(|(_, count)| count)
                .sum(),
            leaves: self.number(TOTALS, sql::COUNT_LEAVES_BY_EDGE, [])?,
        })
    }

    pub(crate) fn counters(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.all(TOTALS, sql::COUNTERS, [], |row| {
            Ok((
                get(row, 0, TOTALS)?,
                get::<i64>(row, 1, TOTALS)?.max(0) as u64,
            ))
        })
    }

    /// The newest strikes of an account that nobody has taken back, newest first.
    pub fn strikes(&self, account: &str, limit: usize) -> Result<Vec<Strike>, StoreError> {
        self.all(STRIKE, sql::STRIKES, (account, limit as i64), strike)
    }

    /// All strikes that a decision led to, each with its row's number.
    pub(crate) fn strikes_of(
        &self,
        decision: DecisionId,
    ) -> Result<Vec<(i64, Strike)>, StoreError> {
        let numbered = |row: &Row<'_>| Ok((get(row, 6, STRIKE)?, strike(row)?));
        self.all(
            STRIKE,
            sql::STRIKES_OF_DECISION,
            [decision.to_string()],
            numbered,
        )
    }

    /// The weight of all strikes of an account that nobody has taken back.
    pub fn strikes_weight(&self, account: &str) -> Result<u64, StoreError> {
        self.number(STRIKE, sql::STRIKES_WEIGHT, [account])
    }
}

const TOTALS: &str = "totals";
const STRIKE: &str = "a strike";

pub(crate) fn strike(row: &Row<'_>) -> Result<Strike, StoreError> {
    Ok(Strike {
        account: get(row, 0, STRIKE)?,
        weight: get(row, 1, STRIKE)?,
        policy: parsed(row, 2, STRIKE)?,
        decision: parsed(row, 3, STRIKE)?,
        at: time(row, 4, STRIKE)?,
        withdrawn: get::<Option<String>>(row, 5, STRIKE)?
            .map(|text| text.parse())
            .transpose()
            .map_err(|error: manara_model::IdError| damaged(STRIKE, error.to_string()))?,
    })
}
