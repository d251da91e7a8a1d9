//! The outbox: what the platform still has to be told.
//!
//! ```text
//!            lease               Delivered ─▶ delivered (audited)
//!  pending ────────▶ one attempt ┤ Failed ────▶ pending, due later
//!     ▲                          └ Dead ──────▶ dead (audited) ──replay──▶ pending
//!     └──── lease ran out: the attempt's token no longer counts
//! ```
//! There is one row for each action and receiver, made in the commit of the decision. An action has
//! the same idempotency key at every attempt, so it may arrive twice and counts once.

use crate::error::{Context, StoreError};
use crate::reader::{Reader, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::store::Store;
use crate::tables::{OUTBOX, int, maybe, maybe_text, text};
use crate::tx::{Committed, Tx, json};
use jiff::Timestamp;
use manara_model::{Action, Author, CaseId, Decision, DecisionId};
use rusqlite::Row;
use serde::Serialize;

/// Longest error text kept of an attempt, in characters.
const ERROR_CHARS_MAX: usize = 500;

/// The right to report on one attempt. It is void once the lease ran out and somebody else took
/// the delivery, or once it was reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    id: i64,
    token: i64,
}

/// A delivery to be attempted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// To report with.
    pub token: Lease,
    /// What is to be done; its id is the idempotency key.
    pub action: Action,
    /// The decision that asked for it.
    pub decision: DecisionId,
    /// The event that decision was about: source and id.
    pub event: Option<(String, String)>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was decided.
    pub requested_at: Timestamp,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has it.
    Delivered,
    /// It did not work; try again.
    Failed {
        /// Why, for the operator.
        error: String,
        /// When to try again.
        next_at: Timestamp,
    },
    /// It did not work and is not tried again by itself.
    Dead {
        /// Why, for the operator.
        error: String,
    },
}

/// Where a delivery is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waiting for its next attempt, or under way.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Pending, Self::Delivered, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a delivery's state"))
    }
}

/// One action on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The action.
    pub action: Action,
    /// To whom.
    pub receiver: String,
    /// The decision that asked for it.
    pub decision: DecisionId,
    /// The event that decision was about: source and id.
    pub event: Option<(String, String)>,
    /// When it was decided.
    pub requested_at: Timestamp,
    /// Where it is.
    pub state: DeliveryState,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    /// Attempts begun.
    pub attempts: u32,
    /// When the next attempt is due, or the present one's lease ends.
    pub due_at: Timestamp,
    /// What the last attempt failed of.
    pub error: Option<String>,
}

/// What waits for one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiverCounts {
    /// The receiver's name.
    pub receiver: String,
    /// Waiting or under way.
    pub pending: u64,
    /// Given up.
    pub dead: u64,
}

impl Store {
    /// Takes at most `limit` deliveries to `receiver` that are due, and holds them until `until`.
    pub async fn lease_outbox(
        &self,
        receiver: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        let receiver = receiver.to_owned();
        self.write(move |tx| tx.lease_outbox(&receiver, now, until, limit))
            .await
    }

    /// Reports how an attempt ended. `false` when its lease had been lost.
    pub async fn settle_outbox(
        &self,
        token: Lease,
        attempt: Attempt,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Ok(tx
                .settle_outbox(vec![(token, attempt)], now)?
                .map(|kept| kept == 1))
        })
        .await
    }
}

impl Tx<'_> {
    /// One row for each delivered action and receiver.
    pub(crate) fn insert_deliveries(&mut self, decision: &Decision) -> Result<(), StoreError> {
        for action in decision
            .actions
            .iter()
            .filter(|action| action.is_delivered())
        {
            for receiver in self.receivers {
                let id = self.next_id(&OUTBOX)?;
                let row = Delivery {
                    id,
                    action: action.clone(),
                    receiver: receiver.clone(),
                    decision: decision.id,
                    event: decision.event.clone(),
                    requested_at: decision.at,
                    state: DeliveryState::Pending,
                    finished_at: None,
                    attempts: 0,
                    due_at: decision.at,
                    error: None,
                };
                self.put_delivery(&row, Self::insert_row)?;
                self.operational(sql::SET_DUE, (id, decision.at.as_microsecond()))?;
            }
        }
        Ok(())
    }

    /// Takes at most `limit` deliveries to `receiver` that are due, oldest first, and holds them
    /// until `until`. Audit: none; leases are not part of what is vouched for.
    pub fn lease_outbox(
        &mut self,
        receiver: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Committed<Vec<OutboxItem>>, StoreError> {
        let params = (
            receiver,
            now.as_microsecond(),
            until.as_microsecond(),
            limit as i64,
        );
        let mut items = self
            .reader()
            .all(LEASING, sql::LEASE, params, outbox_item)?;
        items.sort_by_key(|item| item.token.id);
        Ok(Committed(items))
    }

    /// Makes everything pending due at once: for a server that has just taken the place of another,
    /// whose leases nobody will report on and whose waits have been long enough. Audit: none.
    pub fn take_over_outbox(&mut self, now: Timestamp) -> Result<Committed<()>, StoreError> {
        self.operational(sql::TAKE_OVER, (now.as_microsecond(),))?;
        Ok(Committed(()))
    }

    /// Reports how attempts ended, and says for how many the lease still held; the others change
    /// nothing. Audit: one `action.delivered` leaf for those delivered, one `action.dead` leaf for
    /// those given up, none for those to be tried again.
    pub fn settle_outbox(
        &mut self,
        attempts: Vec<(Lease, Attempt)>,
        now: Timestamp,
    ) -> Result<Committed<usize>, StoreError> {
        let (mut delivered, mut dead) = (Vec::new(), Vec::new());
        let mut kept = 0;
        for (lease, attempt) in attempts {
            let params = (lease.id, lease.token);
            let Some(row) = self
                .reader()
                .first(DELIVERY, sql::LEASED, params, delivery)?
            else {
                continue;
            };
            kept += 1;
            match attempt {
                Attempt::Delivered => delivered.push(row),
                Attempt::Dead { error } => dead.push(Delivery {
                    error: Some(error),
                    ..row
                }),
                Attempt::Failed { error, next_at } => self.operational(
                    sql::POSTPONE,
                    (lease.id, next_at.as_microsecond(), shortened(&error)),
                )?,
            }
        }
        self.count("outbox.delivered", delivered.len() as i64);
        self.finish("action.delivered", delivered, DeliveryState::Delivered, now)?;
        self.finish("action.dead", dead, DeliveryState::Dead, now)?;
        Ok(Committed(kept))
    }

    fn finish(
        &mut self,
        kind: &str,
        rows: Vec<Delivery>,
        state: DeliveryState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.begin(kind, &Author::System, now)?;
        for row in rows {
            if let Some(error) = &row.error {
                self.operational(sql::SET_ERROR, (row.id, shortened(error)))?;
            }
            self.put_delivery(
                &Delivery {
                    state,
                    finished_at: Some(now),
                    ..row
                },
                Self::update,
            )?;
        }
        self.seal(None).map(|_| ())
    }

    /// Puts a delivery that was given up back into the outbox, with its old idempotency key.
    /// Audit: one `action.replayed` leaf.
    pub fn replay_dead(
        &mut self,
        id: i64,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let row = self
            .reader()
            .first(DELIVERY, sql::DEAD, [id], delivery)?
            .ok_or_else(|| StoreError::not_found(format!("dead delivery {id}")))?;
        self.begin("action.replayed", by, now)?;
        let pending = Delivery {
            state: DeliveryState::Pending,
            finished_at: None,
            ..row
        };
        self.put_delivery(&pending, Self::update)?;
        self.operational(sql::REVIVE, (id, now.as_microsecond()))?;
        self.seal(None).map(|_| Committed(()))
    }

    fn put_delivery(
        &mut self,
        row: &Delivery,
        put: impl FnOnce(
            &mut Self,
            &'static crate::tables::Table,
            &[rusqlite::types::ValueRef<'_>],
        ) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (decision, body) = (row.decision.to_string(), json("action", &row.action)?);
        let (source, id) = row
            .event
            .as_ref()
            .map(|(s, i)| (s.as_str(), i.as_str()))
            .unzip();
        put(
            self,
            &OUTBOX,
            &[
                int(row.id),
                text(row.action.id.as_str()),
                text(&row.receiver),
                text(&decision),
                maybe_text(source),
                maybe_text(id),
                text(&body),
                int(row.requested_at.as_microsecond()),
                text(row.state.as_str()),
                maybe(row.finished_at, |at| int(at.as_microsecond())),
            ],
        )
    }

    /// Changes columns that no leaf vouches for.
    fn operational(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        let changed = self
            .conn
            .prepare_cached(sql)
            .and_then(|mut s| s.execute(params));
        changed.context(DELIVERY).map(|_| ())
    }
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_CHARS_MAX).collect()
}

impl Reader {
    /// Deliveries that were given up, newest first, older than delivery `before`.
    pub fn dead_letters(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let params = (before.unwrap_or(i64::MAX), limit as i64);
        self.all(DELIVERY, sql::DEAD_LETTERS, params, delivery)
    }

    /// All deliveries that a decision asked for.
    pub fn deliveries(&self, decision: DecisionId) -> Result<Vec<Delivery>, StoreError> {
        self.all(DELIVERY, sql::DELIVERIES, [decision.to_string()], delivery)
    }

    pub(crate) fn deliveries_of_case(
        &self,
        case: CaseId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let params = (case.to_string(), limit as i64);
        self.all(DELIVERY, sql::DELIVERIES_OF_CASE, params, delivery)
    }

    /// What waits and what was given up, by receiver. Receivers with neither are left out.
    pub fn outbox_by_receiver(&self) -> Result<Vec<ReceiverCounts>, StoreError> {
        self.all(DELIVERY, sql::OUTBOX_BY_RECEIVER, [], |row| {
            Ok(ReceiverCounts {
                receiver: get(row, 0, DELIVERY)?,
                pending: get::<i64>(row, 1, DELIVERY)? as u64,
                dead: get::<i64>(row, 2, DELIVERY)? as u64,
            })
        })
    }
}

const LEASING: &str = "leasing deliveries";
const DELIVERY: &str = "a delivery";

fn outbox_item(row: &Row<'_>) -> Result<OutboxItem, StoreError> {
    let source: Option<String> = get(row, 5, LEASING)?;
    let id: Option<String> = get(row, 6, LEASING)?;
    Ok(OutboxItem {
        token: Lease {
            id: get(row, 0, LEASING)?,
            token: get(row, 1, LEASING)?,
        },
        attempt: get(row, 2, LEASING)?,
        action: from_json(row, 3, LEASING)?,
        decision: parsed(row, 4, LEASING)?,
        event: source.zip(id),
        requested_at: time(row, 7, LEASING)?,
    })
}

fn delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let source: Option<String> = get(row, 4, DELIVERY)?;
    let id: Option<String> = get(row, 5, DELIVERY)?;
    Ok(Delivery {
        id: get(row, 0, DELIVERY)?,
        receiver: get(row, 2, DELIVERY)?,
        decision: parsed(row, 3, DELIVERY)?,
        event: source.zip(id),
        action: from_json(row, 6, DELIVERY)?,
        requested_at: time(row, 7, DELIVERY)?,
        state: parsed(row, 8, DELIVERY)?,
        finished_at: maybe_time(row, 9, DELIVERY)?,
        attempts: get(row, 10, DELIVERY)?,
        due_at: time(row, 11, DELIVERY)?,
        error: get(row, 12, DELIVERY)?,
    })
}
