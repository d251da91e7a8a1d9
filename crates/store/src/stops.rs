//! Circuit breakers that have opened: a rule that acted more often than it may is in shadow until a
//! person has looked at it.

use crate::error::StoreError;
use crate::members::OwnCase;
use crate::reader::{Reader, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{RULE_STOPS, int, maybe, maybe_text, text};
use crate::tx::{Committed, Tx, author_json};
use jiff::Timestamp;
use manara_model::{Author, Decision, DecisionId, Entity, EntityType, Name};
use rusqlite::Row;

/// Longest note with which a circuit breaker is reset, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// A circuit breaker that opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStop {
    /// The rule; without one, every rule of the server.
    pub rule: Option<Name>,
    /// In words: how often it acted, and how often it may.
    pub why: String,
    /// The queue of the case about it.
    pub queue: Name,
    /// The policy of that case.
    pub policy: Name,
    /// Its priority, 1 to 9.
    pub priority: u8,
}

/// A circuit breaker that has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStop {
    id: i64,
    /// The rule; without one, every rule of the server.
    pub rule: Option<Name>,
    /// In words: how often it acted, and how often it may.
    pub why: String,
    /// The decision that would have been one too many.
    pub decision: DecisionId,
    /// Since when nothing is done.
    pub stopped_at: Timestamp,
    /// When, by whom and why it was allowed again.
    pub reset: Option<(Timestamp, Author, String)>,
}

impl Tx<'_> {
    /// Opens a circuit breaker and a case about it, within the leaf of the decision.
    pub(crate) fn insert_stop(
        &mut self,
        stop: &NewStop,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let row = RuleStop {
            id: self.next_id(&RULE_STOPS)?,
            rule: stop.rule.clone(),
            why: stop.why.clone(),
            decision: decision.id,
            stopped_at: decision.at,
            reset: None,
        };
        self.put_stop(&row, Self::insert_row)?;
        let case = OwnCase {
            entity: Entity {
                r#type: EntityType::Rule,
                id: stored_rule(stop.rule.as_ref()).to_owned(),
            },
            queue: &stop.queue,
            policy: &stop.policy,
            priority: stop.priority,
            samples: &[decision.id],
            note: stop.why.clone(),
        };
        self.own_case(case, &Author::System, decision.at)
            .map(|_| ())
    }

    /// Lets a rule (or, with `None`, all rules) act again whose circuit breaker has opened, and says whether
    /// it had. `note` says why, at most 1,024 bytes; the case about it, if that is pending, says so too. Audit:
    /// one `rule.reset` leaf, none when it had not.
    pub fn reset_rule(
        &mut self,
        rule: Option<&Name>,
        by: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<Committed<bool>, StoreError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(StoreError::Invalid {
                what: "note",
                problem: format!("{} bytes, the limit is {NOTE_BYTES_MAX}", note.len()),
            });
        }
        let rule = stored_rule(rule);
        self.begin("rule.reset", by, now)?;
        let was_open = self.close_stop(rule, by, note, now)?;
        if was_open {
            self.own_case_heard(EntityType::Rule, rule, "rule_reset", by, now, note)?;
            self.seal(Some(format!("{rule}: {note}")))?;
        } else {
            self.abandon();
        }
        Ok(Committed(was_open))
    }

    /// Closes an open circuit breaker, within the open leaf. `false` when there is none.
    pub(crate) fn close_stop(
        &mut self,
        rule: &str,
        by: &Author,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(open) = self.reader().first(STOP, sql::STOP_OPEN, [rule], stop)? else {
            return Ok(false);
        };
        let reset = Some((now, by.clone(), note.to_owned()));
        self.put_stop(&RuleStop { reset, ..open }, Self::update)?;
        Ok(true)
    }

    fn put_stop(
        &mut self,
        stop: &RuleStop,
        put: impl FnOnce(
            &mut Self,
            &'static crate::tables::Table,
            &[rusqlite::types::ValueRef<'_>],
        ) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let by = match &stop.reset {
            Some((_, by, _)) => Some(author_json(by)?),
            None => None,
        };
        let at = stop.reset.as_ref().map(|(at, _, _)| at.as_microsecond());
        put(
            self,
            &RULE_STOPS,
            &[
                int(stop.id),
                text(stored_rule(stop.rule.as_ref())),
                text(&stop.why),
                text(&stop.decision.to_string()),
                int(stop.stopped_at.as_microsecond()),
                maybe(at, int),
                maybe_text(by.as_deref()),
                maybe_text(stop.reset.as_ref().map(|(_, _, note)| note.as_str())),
            ],
        )
    }
}

impl Reader {
    /// The circuit breaker of a rule (or, with `None`, of the server) if it is open.
    pub fn open_stop(&self, rule: Option<&Name>) -> Result<Option<RuleStop>, StoreError> {
        self.first(STOP, sql::STOP_OPEN, [stored_rule(rule)], stop)
    }

    /// Every circuit breaker that is open, by the names of the rules.
    pub fn open_stops(&self) -> Result<Vec<RuleStop>, StoreError> {
        self.all(STOP, sql::STOPS_OPEN, [], stop)
    }

    /// When the circuit breaker of a rule (or, with `None`, of the server) has opened, newest first.
    pub fn stops_of(&self, rule: Option<&Name>, limit: usize) -> Result<Vec<RuleStop>, StoreError> {
        self.all(STOP, sql::STOPS_OF, (stored_rule(rule), limit as i64), stop)
    }

    /// How often it had opened up to a time. What was counted before it was reset does not count again.
    pub fn stops_until(&self, rule: Option<&Name>, at: Timestamp) -> Result<u64, StoreError> {
        let params = (stored_rule(rule), at.as_microsecond());
        self.number(STOP, sql::STOPS_UNTIL, params)
    }
}

/// What stands for all rules; no rule has this name.
const ALL_RULES: &str = "*";

fn stored_rule(rule: Option<&Name>) -> &str {
    rule.map_or(ALL_RULES, Name::as_str)
}

const STOP: &str = "a circuit breaker";

fn stop(row: &Row<'_>) -> Result<RuleStop, StoreError> {
    let rule = match get::<String>(row, 1, STOP)?.as_str() {
        ALL_RULES => None,
        _ => Some(parsed(row, 1, STOP)?),
    };
    let reset = match maybe_time(row, 5, STOP)? {
        Some(at) => Some((
            at,
            from_json(row, 6, STOP)?,
            get::<Option<String>>(row, 7, STOP)?.unwrap_or_default(),
        )),
        None => None,
    };
    Ok(RuleStop {
        id: get(row, 0, STOP)?,
        rule,
        why: get(row, 2, STOP)?,
        decision: parsed(row, 3, STOP)?,
        stopped_at: time(row, 4, STOP)?,
        reset,
    })
}
