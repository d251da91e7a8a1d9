//! Events and the decisions on them: the hot path.
//!
//! A new event is one row, one leaf, and nothing else unless rules fired. `(source, id)` is its
//! idempotency key: the same event again gets the stored decision, another event under the same
//! key is kept beside the first and refused.

use crate::error::{Context, StoreError};
use crate::evidence::Preview;
use crate::reader::{Reader, bytes32, damaged, from_json, get, parsed, time};
use crate::sql;
use crate::stops::NewStop;
use crate::tables::{DECISIONS, EVENT_CONFLICTS, EVENTS, STRIKES, blob, int, maybe_text, text};
use crate::tx::{Committed, Tx, json};
use jiff::Timestamp;
use manara_model::{
    Action, ActionKind, Author, Decision, DecisionId, EntityType, Event, MediaFacts,
};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::ops::ControlFlow;

/// Most later decisions read with one event.
const LATER_MAX: i64 = 50;
/// So many events in a row that are too old mean that all before them are.
const OLDER_IN_A_ROW_MAX: u32 = 1000;

/// An event that has been decided on and is ready to be kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event, media bytes taken out.
    pub event: Event,
    /// The JSON to keep of it.
    pub body: String,
    /// What became of its media, in order.
    pub media: Vec<MediaFacts>,
    /// What makes two sendings the same event: a hash of all its fields, media bytes included.
    pub fingerprint: [u8; 32],
    /// When it was received. Kept to the microsecond.
    pub received_at: Timestamp,
    /// The decision on it.
    pub decision: Decision,
    /// Previews for the reviewers.
    pub previews: Vec<Preview>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was new; this is the decision on it.
    New(Decision),
    /// It was here before; this is the decision that was made then.
    Duplicate(Decision),
    /// Its `(source, id)` belongs to an event with another body. Both are kept; nothing was done.
    Conflict {
        /// The event's id.
        id: String,
        /// When the first one was received.
        first_received_at: Timestamp,
    },
}

/// An event as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The audit leaf that covers it.
    pub leaf: u64,
    /// The event.
    pub event: Event,
    /// What became of its media, in order.
    pub media: Vec<MediaFacts>,
    /// When it was received.
    pub received_at: Timestamp,
    /// The decision on it.
    pub decision: Decision,
    /// What was found in it later, when members had been added; oldest first, at most 50.
    pub later: Vec<Decision>,
}

/// An event that was received not long ago, as far as members added since have to be compared with it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentEvent {
    /// The audit leaf that covers it. Newer events have larger ones.
    pub leaf: u64,
    /// The decision on it.
    pub decision: DecisionId,
    /// When it was received.
    pub received_at: Timestamp,
    /// The event.
    pub event: Event,
    /// What became of its media, in order.
    pub media: Vec<MediaFacts>,
}

/// A [`RecentEvent`] as it is kept. Reading one costs little; what takes the time is [`RecentRow::event`],
/// which any thread can do, or leave.
#[derive(Debug, Clone)]
pub struct RecentRow {
    leaf: u64,
    received_at: Timestamp,
    decision: String,
    body: String,
    media: Option<String>,
}

impl RecentRow {
    /// Whether the event has media.
    pub fn has_media(&self) -> bool {
        self.media.is_some()
    }

    /// The event.
    pub fn event(&self) -> Result<RecentEvent, StoreError> {
        let decision = self.decision.parse();
        Ok(RecentEvent {
            leaf: self.leaf,
            decision: decision.map_err(|error| damaged(EVENT, error))?,
            received_at: self.received_at,
            event: read_back(&self.body)?,
            media: self
                .media
                .as_deref()
                .map_or_else(|| Ok(Vec::new()), read_back)?,
        })
    }
}

/// An event that came under another's `(source, id)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictingEvent {
    /// Its source.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Its JSON.
    pub body: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// The audit leaf that covers it.
    pub leaf: u64,
}

impl Tx<'_> {
    /// Keeps events with their decisions, and what follows from those: strikes, cases, outbox rows
    /// and previews.
    ///
    /// Audit: one `decision.made` leaf for each new event, naming all rows written for it; one
    /// `event.conflict` leaf for each conflicting body seen for the first time; none for duplicates.
    pub fn record_events(
        &mut self,
        events: Vec<NewEvent>,
    ) -> Result<Committed<Vec<Recorded>>, StoreError> {
        self.record_events_with(events, |_, _, _| Ok(Vec::new()))
    }

    /// The same, with decisions that are made, or completed, here: `decide` is given what is in the database
    /// at this place of the log, the number of the event among `events`, and the event, and may change its
    /// decision's verdicts and actions. It is asked once for each event that is new, in their order, so that
    /// what it remembers is remembered in the order of the log; see [`Tx::when_ended`]. What it answers are
    /// the circuit breakers that have opened.
    pub fn record_events_with(
        &mut self,
        events: Vec<NewEvent>,
        mut decide: impl FnMut(&Reader, usize, &mut NewEvent) -> Result<Vec<NewStop>, StoreError>,
    ) -> Result<Committed<Vec<Recorded>>, StoreError> {
        let mut recorded = Vec::with_capacity(events.len());
        for (index, mut event) in events.into_iter().enumerate() {
            let reader = self.reader();
            recorded.push(if self.first_of(&event)? {
                let stops = decide(reader, index, &mut event)?;
                self.keep_decision(event, &stops)?
            } else {
                self.record_again(&event)?
            });
        }
        Ok(Committed(recorded))
    }

    /// Keeps an event if it is new, with its leaf open.
    fn first_of(&mut self, new: &NewEvent) -> Result<bool, StoreError> {
        self.begin("decision.made", &new.decision.author, new.received_at)?;
        let is_new = self.insert_event(new)?;
        if !is_new {
            self.abandon();
        }
        Ok(is_new)
    }

    fn keep_decision(&mut self, new: NewEvent, stops: &[NewStop]) -> Result<Recorded, StoreError> {
        self.count("events", 1);
        if !is_plain(&new) {
            self.insert_decision(&new.decision, None)?;
            self.follow_up(&new)?;
        }
        for stop in stops {
            self.insert_stop(stop, &new.decision)?;
        }
        self.seal(None)?;
        Ok(Recorded::New(new.decision))
    }

    fn insert_event(&mut self, new: &NewEvent) -> Result<bool, StoreError> {
        let decision = new.decision.id.to_string();
        let media = match new.media.as_slice() {
            [] => None,
            media => Some(json("media facts", &media)?),
        };
        self.insert(
            &EVENTS,
            &[
                text(&decision),
                text(&new.event.source),
                text(&new.event.id),
                text(&new.event.r#type),
                int(new.received_at.as_microsecond()),
                blob(&new.fingerprint),
                text(&new.body),
                maybe_text(media.as_deref()),
            ],
        )
    }

    /// What follows from a decision that has verdicts.
    fn follow_up(&mut self, new: &NewEvent) -> Result<(), StoreError> {
        let decision = &new.decision;
        if !decision.verdicts.is_empty() {
            self.count("decisions.verdicts", 1);
        }
        for preview in &new.previews {
            self.insert_preview(preview, new.received_at)?;
        }
        for action in &decision.actions {
            match action.kind {
                ActionKind::Strike => self.insert_strike(action, &new.event, decision)?,
                ActionKind::Enqueue => self.enqueue(action, &new.event, decision)?,
                _ => {}
            }
        }
        self.insert_deliveries(decision)
    }

    /// Keeps a decision that is more than its event's row says, and counts its actions. `about` is
    /// the decision that was made on the same event before.
    pub(crate) fn insert_decision(
        &mut self,
        decision: &Decision,
        about: Option<DecisionId>,
    ) -> Result<(), StoreError> {
        let (id, body) = (decision.id.to_string(), json("decision", decision)?);
        let case = decision.case.map(|case| case.to_string());
        let about = about.map(|about| about.to_string());
        self.insert(
            &DECISIONS,
            &[
                text(&id),
                maybe_text(case.as_deref()),
                text(&body),
                maybe_text(about.as_deref()),
            ],
        )?;
        for action in &decision.actions {
            self.count(&format!("actions.{}", action.kind), 1);
            if action.kind == ActionKind::Label {
                self.insert_label(action, decision)?;
            }
        }
        self.tally(decision)
    }

    fn insert_strike(
        &mut self,
        action: &Action,
        event: &Event,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let account = match (action.target.r#type, &event.account) {
            (EntityType::Account, _) => &action.target.id,
            (_, Some(account)) => &account.id,
            // Nobody is known to whom it could count.
            (_, None) => return Ok(()),
        };
        let id = self.next_id(&STRIKES)?;
        self.insert(
            &STRIKES,
            &[
                int(id),
                text(account),
                int(action.detail.weight.unwrap_or(1).into()),
                text(action.policy.as_str()),
                text(&decision.id.to_string()),
                int(decision.at.as_microsecond()),
                maybe_text(None),
            ],
        )?;
        Ok(())
    }

    /// Marks the strikes of a decision as taken back by another.
    pub(crate) fn withdraw_strikes(
        &mut self,
        of: DecisionId,
        by: DecisionId,
    ) -> Result<(), StoreError> {
        let by = by.to_string();
        for (id, strike) in self.reader().strikes_of(of)? {
            if strike.withdrawn.is_some() {
                continue;
            }
            self.update(
                &STRIKES,
                &[
                    int(id),
                    text(&strike.account),
                    int(strike.weight.into()),
                    text(strike.policy.as_str()),
                    text(&strike.decision.to_string()),
                    int(strike.at.as_microsecond()),
                    text(&by),
                ],
            )?;
        }
        Ok(())
    }

    /// The event's `(source, id)` is taken: by itself, or by another event.
    fn record_again(&mut self, new: &NewEvent) -> Result<Recorded, StoreError> {
        let (source, id) = (&new.event.source, &new.event.id);
        let reader = self.reader();
        let context = "looking up an event";
        let first = reader
            .first(context, sql::FINGERPRINT, (source, id), |row| {
                Ok((bytes32(row, 0, context)?, time(row, 1, context)?))
            })?
            .ok_or_else(|| {
                StoreError::Conflict(format!("decision {} was used before", new.decision.id))
            })?;
        let (fingerprint, first_received_at) = first;
        if fingerprint != new.fingerprint {
            self.record_conflict(new)?;
            return Ok(Recorded::Conflict {
                id: id.clone(),
                first_received_at,
            });
        }
        let stored = reader
            .event(source, id)?
            .ok_or_else(|| StoreError::not_found(format!("event {source} {id}")))?;
        Ok(Recorded::Duplicate(stored.decision))
    }

    fn record_conflict(&mut self, new: &NewEvent) -> Result<(), StoreError> {
        let (source, id) = (&new.event.source, &new.event.id);
        let params = (source, id, new.fingerprint);
        let known = self
            .reader()
            .number("looking up a conflict", sql::CONFLICT_KNOWN, params)?;
        if known != 0 {
            return Ok(());
        }
        self.begin("event.conflict", &Author::System, new.received_at)?;
        let row = self.next_id(&EVENT_CONFLICTS)?;
        self.insert(
            &EVENT_CONFLICTS,
            &[
                int(row),
                text(source),
                text(id),
                blob(&new.fingerprint),
                text(&new.body),
                int(new.received_at.as_microsecond()),
            ],
        )?;
        self.count("events.conflicts", 1);
        self.seal(None).map(|_| ())
    }
}

/// Whether the decision says nothing that the event's own row does not say.
fn is_plain(new: &NewEvent) -> bool {
    let NewEvent {
        event,
        decision,
        received_at,
        ..
    } = new;
    decision.verdicts.is_empty()
        && decision.actions.is_empty()
        && decision.author == Author::Rules
        && decision.case.is_none()
        && decision.note.is_empty()
        && decision.at.as_microsecond() == received_at.as_microsecond()
        && decision
            .event
            .as_ref()
            .is_some_and(|(source, id)| *source == event.source && *id == event.id)
}

impl Reader {
    /// The event of this source and id.
    pub fn event(&self, source: &str, id: &str) -> Result<Option<StoredEvent>, StoreError> {
        let found = self.stored_events(sql::EVENT, (source, id))?;
        Ok(found.into_iter().next())
    }

    /// The event that an automatic decision is about; of a later one see [`Decision::event`].
    pub fn event_of(&self, decision: DecisionId) -> Result<Option<StoredEvent>, StoreError> {
        let found = self.stored_events(sql::EVENT_BY_DECISION, [decision.to_string()])?;
        Ok(found.into_iter().next())
    }

    /// The newest events, newest first, older than leaf `before`.
    pub fn newest_events(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.stored_events(sql::NEWEST_EVENTS, (leaf_before(before), limit as i64))
    }

    /// Events as a statement gives them, each with what was found in it later.
    pub(crate) fn stored_events(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = self.all(EVENT, sql, params, stored_event)?;
        for event in &mut events {
            event.later = self.later_decisions(event.decision.id, LATER_MAX)?;
        }
        Ok(events)
    }

    /// The decisions that were made later on the same event, oldest first.
    pub(crate) fn later_decisions(
        &self,
        about: DecisionId,
        limit: i64,
    ) -> Result<Vec<Decision>, StoreError> {
        let params = (about.to_string(), limit);
        self.all(DECISION, sql::LATER_DECISIONS, params, |row| {
            from_json(row, 0, DECISION)
        })
    }

    /// The newest `limit` events that were received at `since` or later and whose leaf is before `before`, as
    /// they are kept, newest first, and from where on to go on: the leaf to give as `before` the next
    /// time, or nothing when there are no more. Whoever reads all of them page by page holds no
    /// snapshot for long.
    ///
    /// Events are kept in nearly the order in which they were received: one that took long to read
    /// comes behind younger ones. So older events are passed over, and the reading ends at
    /// 1,000 of them in a row.
    pub fn recent_page(
        &self,
        since: Timestamp,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<RecentRow>, Option<u64>), StoreError> {
        let (mut page, mut more) = (Vec::new(), None);
        if limit == 0 {
            return Ok((page, more));
        }
        self.each_recent(since, before, |row, received_at| {
            let leaf = get::<i64>(row, 0, EVENT)? as u64;
            page.push(RecentRow {
                leaf,
                received_at,
                decision: get(row, 2, EVENT)?,
                body: get(row, 3, EVENT)?,
                media: get(row, 4, EVENT)?,
            });
            Ok(if page.len() == limit {
                more = Some(leaf);
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok((page, more))
    }

    fn each_recent(
        &self,
        since: Timestamp,
        before: Option<u64>,
        mut each: impl FnMut(&Row<'_>, Timestamp) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self
            .conn
            .prepare_cached(sql::EVENTS_BACKWARDS)
            .context(EVENT)?;
        let mut rows = statement.query([leaf_before(before)]).context(EVENT)?;
        let mut older = 0;
        while let Some(row) = rows.next().context(EVENT)? {
            let received_at = time(row, 1, EVENT)?;
            if received_at < since {
                older += 1;
                if older == OLDER_IN_A_ROW_MAX {
                    break;
                }
                continue;
            }
            older = 0;
            if each(row, received_at)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Other bodies that came under this source and id, at most the first 100.
    pub fn conflicts(&self, source: &str, id: &str) -> Result<Vec<ConflictingEvent>, StoreError> {
        self.all("reading conflicts", sql::CONFLICTS, (source, id), conflict)
    }

    /// The newest events that came under another's source and id, newest first.
    pub fn recent_conflicts(&self, limit: usize) -> Result<Vec<ConflictingEvent>, StoreError> {
        self.all(
            "reading conflicts",
            sql::RECENT_CONFLICTS,
            [limit as i64],
            conflict,
        )
    }

    /// A decision, automatic or a person's.
    pub fn decision(&self, id: DecisionId) -> Result<Option<Decision>, StoreError> {
        let full = self.first(DECISION, sql::DECISION, [id.to_string()], |row| {
            from_json(row, 0, DECISION)
        })?;
        match full {
            Some(decision) => Ok(Some(decision)),
            None => Ok(self.event_of(id)?.map(|event| event.decision)),
        }
    }

    /// The newest decisions that have verdicts or are a person's, newest first.
    pub fn recent_decisions(&self, limit: usize) -> Result<Vec<Decision>, StoreError> {
        self.all(DECISION, sql::RECENT_DECISIONS, [limit as i64], |row| {
            from_json(row, 0, DECISION)
        })
    }
}

const EVENT: &str = "reading an event";
const DECISION: &str = "reading a decision";

fn stored_event(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let received_at = time(row, 4, EVENT)?;
    let decision = match get::<Option<String>>(row, 7, EVENT)? {
        Some(_) => from_json(row, 7, EVENT)?,
        None => Decision {
            id: parsed(row, 1, EVENT)?,
            author: Author::Rules,
            at: received_at,
            event: Some((get(row, 2, EVENT)?, get(row, 3, EVENT)?)),
            case: None,
            verdicts: Vec::new(),
            actions: Vec::new(),
            note: String::new(),
        },
    };
    Ok(StoredEvent {
        leaf: get::<i64>(row, 0, EVENT)? as u64,
        event: from_json(row, 5, EVENT)?,
        media: media_facts(row, 6)?,
        received_at,
        decision,
        later: Vec::new(),
    })
}

fn read_back<T: serde::de::DeserializeOwned>(kept: &str) -> Result<T, StoreError> {
    serde_json::from_str(kept).map_err(|error| damaged(EVENT, error))
}

fn leaf_before(before: Option<u64>) -> i64 {
    before.map_or(i64::MAX, |leaf| leaf.min(i64::MAX as u64) as i64)
}

fn media_facts(row: &Row<'_>, column: usize) -> Result<Vec<MediaFacts>, StoreError> {
    match row.get_ref(column).context(EVENT)? {
        ValueRef::Null => Ok(Vec::new()),
        _ => from_json(row, column, EVENT),
    }
}

fn conflict(row: &Row<'_>) -> Result<ConflictingEvent, StoreError> {
    const CONTEXT: &str = "reading a conflict";
    Ok(ConflictingEvent {
        source: get(row, 0, CONTEXT)?,
        id: get(row, 1, CONTEXT)?,
        body: get(row, 2, CONTEXT)?,
        received_at: time(row, 3, CONTEXT)?,
        leaf: get::<i64>(row, 4, CONTEXT)? as u64,
    })
}
