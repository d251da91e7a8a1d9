//! Labels on entities: who carries which, since when and until when, so that rules can ask.

use crate::error::StoreError;
use crate::overview::Strike;
use crate::reader::{Reader, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{LABELS, int, maybe, maybe_text, text};
use crate::tx::Tx;
use jiff::Timestamp;
use manara_model::{Action, ActionKind, Decision, DecisionId, Entity, EntityType, Name};
use rusqlite::Row;

/// A label that an entity carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityLabel {
    id: i64,
    /// What carries it.
    pub entity: Entity,
    /// Its name.
    pub label: Name,
    /// Since when.
    pub set_at: Timestamp,
    /// Until when; without it, until it is taken back.
    pub ends_at: Option<Timestamp>,
    /// The decision that set it.
    pub decision: DecisionId,
}

impl Tx<'_> {
    /// Keeps that an entity carries a label, within the leaf of the decision.
    pub(crate) fn insert_label(
        &mut self,
        action: &Action,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let Some(label) = &action.detail.label else {
            return Ok(());
        };
        let ends_at = action.detail.ends_at(decision.at);
        let label = EntityLabel {
            id: self.next_id(&LABELS)?,
            entity: action.target.clone(),
            label: label.clone(),
            set_at: decision.at,
            ends_at,
            decision: decision.id,
        };
        self.put_label(&label, None, Self::insert_row)
    }

    /// Carries out on what Manara keeps itself what a decision restores: labels end, and rules act again.
    pub(crate) fn settle_restored(&mut self, decision: &Decision) -> Result<(), StoreError> {
        let restored = decision.actions.iter();
        for action in restored.filter(|action| action.kind == ActionKind::Restore) {
            if action.target.r#type == EntityType::Rule {
                self.close_stop(
                    &action.target.id,
                    &decision.author,
                    &decision.note,
                    decision.at,
                )?;
            }
            for label in self.reader().labels(&action.target, decision.at)? {
                self.put_label(&label, Some((decision.at, decision.id)), Self::update)?;
            }
        }
        Ok(())
    }

    fn put_label(
        &mut self,
        label: &EntityLabel,
        ended: Option<(Timestamp, DecisionId)>,
        put: impl FnOnce(
            &mut Self,
            &'static crate::tables::Table,
            &[rusqlite::types::ValueRef<'_>],
        ) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let ended_by = ended.map(|(_, by)| by.to_string());
        put(
            self,
            &LABELS,
            &[
                int(label.id),
                text(label.entity.r#type.as_str()),
                text(&label.entity.id),
                text(label.label.as_str()),
                int(label.set_at.as_microsecond()),
                maybe(label.ends_at, |at| int(at.as_microsecond())),
                text(&label.decision.to_string()),
                maybe(ended, |(at, _)| int(at.as_microsecond())),
                maybe_text(ended_by.as_deref()),
            ],
        )
    }
}

impl Reader {
    /// The labels an entity carries at that time, oldest first.
    pub fn labels(&self, entity: &Entity, at: Timestamp) -> Result<Vec<EntityLabel>, StoreError> {
        let params = (entity.r#type.as_str(), &entity.id, at.as_microsecond());
        self.all(LABEL, sql::LABELS, params, label)
    }

    /// Whether an entity carries a label at that time.
    pub fn has_label(
        &self,
        r#type: EntityType,
        id: &str,
        label: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let params = (r#type.as_str(), id, label, at.as_microsecond());
        Ok(self.number(LABEL, sql::HAS_LABEL, params)? != 0)
    }

    /// Every label that was carried at that time, whatever has become of it since.
    pub fn labels_at(&self, at: Timestamp) -> Result<Vec<EntityLabel>, StoreError> {
        self.all(LABEL, sql::LABELS_AT, [at.as_microsecond()], label)
    }

    /// Every strike given before a time that nobody has taken back, the newest million, oldest first.
    pub fn strikes_before(&self, at: Timestamp) -> Result<Vec<Strike>, StoreError> {
        let mut strikes = self.all(
            "strikes",
            sql::STRIKES_BEFORE,
            [at.as_microsecond()],
            crate::overview::strike,
        )?;
        strikes.reverse();
        Ok(strikes)
    }

    /// The weight of an account's strikes after `since` up to `until` that nobody has taken back.
    pub fn strikes_since(
        &self,
        account: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let params = (account, since.as_microsecond(), until.as_microsecond());
        self.number("strikes", sql::STRIKES_SINCE, params)
    }
}

const LABEL: &str = "a label";

fn label(row: &Row<'_>) -> Result<EntityLabel, StoreError> {
    Ok(EntityLabel {
        id: get(row, 0, LABEL)?,
        entity: Entity {
            r#type: parsed(row, 1, LABEL)?,
            id: get(row, 2, LABEL)?,
        },
        label: parsed(row, 3, LABEL)?,
        set_at: time(row, 4, LABEL)?,
        ends_at: maybe_time(row, 5, LABEL)?,
        decision: parsed(row, 6, LABEL)?,
    })
}
