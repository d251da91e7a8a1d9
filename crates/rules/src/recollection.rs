//! A past that is kept in memory: labels, strikes and sets, for tests and back-tests.

use crate::memory::Sets;
use crate::state::{Past, Stopped};
use jiff::Timestamp;
use manara_model::{ActionKind, Entity, EntityType, Event, Mode, Name, Verdict};
use std::collections::HashMap;

/// What labels and strikes there are, as far as somebody said so.
#[derive(Debug, Clone, Default)]
pub struct Recollection {
    labels: HashMap<Entity, Vec<Carried>>,
    strikes: HashMap<String, Vec<(Timestamp, u64)>>,
    sets: Sets,
}

#[derive(Debug, Clone)]
struct Carried {
    label: String,
    set_at: Timestamp,
    ends_at: Option<Timestamp>,
}

impl Recollection {
    /// Only these sets are known.
    pub fn new(sets: Sets) -> Self {
        Self {
            sets,
            ..Self::default()
        }
    }

    /// The sets there are.
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// An entity carries a label from a time on.
    pub fn label(
        &mut self,
        entity: Entity,
        label: &str,
        set_at: Timestamp,
        ends_at: Option<Timestamp>,
    ) {
        let carried = self.labels.entry(entity).or_default();
        carried.retain(|it| it.ends_at.is_none_or(|ends_at| ends_at > set_at));
        carried.push(Carried {
            label: label.to_owned(),
            set_at,
            ends_at,
        });
    }

    /// An account is given strikes.
    pub fn strike(&mut self, account: &str, weight: u64, at: Timestamp) {
        let strikes = self.strikes.entry(account.to_owned()).or_default();
        strikes.push((at, weight));
    }

    /// Everything is taken back from an entity.
    pub fn restore(&mut self, entity: &Entity) {
        self.labels.remove(entity);
    }

    /// What live verdicts on an event bring about.
    pub fn remember(&mut self, event: &Event, verdicts: &[Verdict], at: Timestamp) {
        let live = verdicts.iter().filter(|verdict| verdict.mode == Mode::Live);
        for effect in live.flat_map(|verdict| &verdict.effects) {
            let Some(entity) = event.entity(effect.target, effect.index) else {
                continue;
            };
            match (effect.kind, &effect.detail.label) {
                (ActionKind::Label, Some(label)) => {
                    self.label(entity, label.as_str(), at, effect.detail.ends_at(at));
                }
                (ActionKind::Strike, _) => {
                    self.strike(&entity.id, effect.detail.weight.unwrap_or(1).into(), at);
                }
                _ => {}
            }
        }
    }
}

impl Past for Recollection {
    fn has_label(&self, entity: EntityType, id: &str, label: &str, at: Timestamp) -> Option<bool> {
        let entity = Entity {
            r#type: entity,
            id: id.to_owned(),
        };
        let carried = self.labels.get(&entity).into_iter().flatten();
        let is_carried = |it: &Carried| {
            let ended = it.ends_at.is_some_and(|ends_at| ends_at <= at);
            it.label == label && it.set_at <= at && !ended
        };
        Some(carried.into_iter().any(is_carried))
    }

    fn strikes(&self, account: &str, since: Option<Timestamp>, until: Timestamp) -> Option<u64> {
        let strikes = self.strikes.get(account).into_iter().flatten();
        let counted =
            strikes.filter(|(at, _)| since.is_none_or(|since| *at > since) && *at <= until);
        Some(counted.map(|(_, weight)| weight).sum())
    }

    fn in_set(&self, set: &str, item: &str) -> Option<bool> {
        self.sets.holds(set, item)
    }

    fn stopped(&self, _: Option<&Name>, _: Timestamp) -> Stopped {
        Stopped::default()
    }
}
