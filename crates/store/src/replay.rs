//! The log of events read forwards, to remember again what followed from it, or to ask what would have.

use crate::error::{Context, StoreError};
use crate::events::RecentEvent;
use crate::reader::{Reader, damaged, get, time};
use crate::sql;
use jiff::Timestamp;
use manara_model::{Decision, DecisionId, Outcome};
use std::collections::HashMap;

const EVENT: &str = "reading the log of events";
/// Events are kept in nearly the order in which they were received: one that took long to read comes
/// behind younger ones. So many more are read before the first that is wanted.
const MARGIN: i64 = 1_000;

/// An event as it is kept, with the decision on it if that says more than that nothing fired. Reading one
/// costs little; what takes the time is [`LogRow::event`], which any thread can do.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The audit leaf that covers it: its place in the log.
    pub leaf: u64,
    /// When it was received.
    pub received_at: Timestamp,
    decision: String,
    body: String,
    media: Option<String>,
    decided: Option<String>,
}

impl LogRow {
    /// The event's type, source and everything else.
    pub fn event(&self) -> Result<RecentEvent, StoreError> {
        let read = |kept: &str| serde_json::from_str(kept).map_err(|error| damaged(EVENT, error));
        Ok(RecentEvent {
            leaf: self.leaf,
            decision: self.decision_id()?,
            received_at: self.received_at,
            event: read(&self.body)?,
            media: match self.media.as_deref() {
                Some(media) => {
                    serde_json::from_str(media).map_err(|error| damaged(EVENT, error))?
                }
                None => Vec::new(),
            },
        })
    }

    /// The decision that was made on it; nothing when no rule fired.
    pub fn decision(&self) -> Result<Option<Decision>, StoreError> {
        let decided = self.decided.as_deref().map(serde_json::from_str);
        decided
            .transpose()
            .map_err(|error| damaged("reading a decision", error))
    }

    /// The number of that decision.
    pub fn decision_id(&self) -> Result<DecisionId, StoreError> {
        self.decision
            .parse()
            .map_err(|error: manara_model::IdError| damaged(EVENT, error))
    }

    /// Bytes that it takes as kept.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.media.as_ref().map_or(0, String::len)
    }
}

impl Reader {
    /// The next `limit` events after a leaf, oldest first.
    pub fn log_after(&self, leaf: Option<u64>, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        let after = leaf.map_or(-1, |leaf| i64::try_from(leaf).unwrap_or(i64::MAX));
        self.all(EVENT, sql::LOG_AFTER, (after, limit as i64), |row| {
            Ok(LogRow {
                leaf: get::<i64>(row, 0, EVENT)?.unsigned_abs(),
                received_at: time(row, 1, EVENT)?,
                decision: get(row, 2, EVENT)?,
                body: get(row, 3, EVENT)?,
                media: get(row, 4, EVENT)?,
                decided: get(row, 5, EVENT)?,
            })
        })
    }

    /// After which leaf to begin so as to meet every event received at `since` or later; nothing when that is
    /// the beginning. Some that are older come first.
    pub fn leaf_before(&self, since: Timestamp) -> Result<Option<u64>, StoreError> {
        let since = since.as_microsecond();
        let newest = self.number(EVENT, sql::NEWEST_EVENT_LEAF, [])?;
        let (mut low, mut high) = (0_i64, i64::try_from(newest).unwrap_or(i64::MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> =
                self.first(EVENT, sql::EVENT_FROM_LEAF, [middle], |row| {
                    Ok((get(row, 0, EVENT)?, get(row, 1, EVENT)?))
                })?;
            match found {
                Some((leaf, received)) if received < since && leaf < high => low = leaf + 1,
                _ => high = middle,
            }
        }
        let place = low - MARGIN;
        Ok((place > 0).then_some(place.unsigned_abs()))
    }

    /// How many events come after a leaf, for a progress bar.
    pub fn events_after(&self, leaf: Option<u64>) -> Result<u64, StoreError> {
        let after = leaf.map_or(-1, |leaf| i64::try_from(leaf).unwrap_or(i64::MAX));
        self.number(EVENT, sql::COUNT_EVENTS_AFTER, [after])
    }

    /// The leaf of the event with this decision.
    pub fn leaf_of_event(&self, decision: DecisionId) -> Result<Option<u64>, StoreError> {
        self.first(EVENT, sql::LEAF_OF_EVENT, [decision.to_string()], |row| {
            Ok(get::<i64>(row, 0, EVENT)?.unsigned_abs())
        })
    }

    /// What people decided on the cases that events led to, by the events' decisions: of several cases, the
    /// newest judgement. Cases closed before `since` are left out.
    pub fn judged_events(
        &self,
        since: Timestamp,
    ) -> Result<HashMap<DecisionId, Outcome>, StoreError> {
        const CONTEXT: &str = "reading what people decided";
        let mut judged = HashMap::new();
        let mut statement = self
            .conn
            .prepare_cached(sql::JUDGED_EVENTS)
            .context(CONTEXT)?;
        let mut rows = statement.query([since.as_microsecond()]).context(CONTEXT)?;
        while let Some(row) = rows.next().context(CONTEXT)? {
            let decision = crate::reader::parsed(row, 0, CONTEXT)?;
            judged.insert(decision, crate::reader::parsed(row, 1, CONTEXT)?);
        }
        Ok(judged)
    }
}
