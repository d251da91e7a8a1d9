//! Verdicts and decisions.

use crate::action::word_enum;
use crate::{Action, ActionKind, CaseId, DecisionId, Detail, EntityType, Match, Name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

word_enum! {
    /// Whether a rule acts or only records what it would have done.
    Mode, "a mode", {
        /// Evaluated, recorded and acted on.
        Live = "live",
        /// Evaluated and recorded, without effect.
        Shadow = "shadow",
    }
}

/// The value of one part of a rule's condition, kept so that a person can see why it fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Traced {
    /// The part as written in the rule.
    pub expression: String,
    /// Its value, as the rule language writes it; long texts are cut.
    pub value: String,
}

/// What a verdict asks for, on the entity of that type in the event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Effect {
    /// What is to be done.
    pub kind: ActionKind,
    /// To which of the event's entities.
    pub target: EntityType,
    /// For `media`, which of the event's media; others have one entity of each type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The parts that only some kinds have.
    #[serde(flatten)]
    pub detail: Detail,
}

/// A rule that fired, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule's name.
    pub rule: Name,
    /// Which recorded version of it.
    pub version: u32,
    /// Whether it acted.
    pub mode: Mode,
    /// The policy it enforces.
    pub policy: Name,
    /// Why, in words for the person it concerns.
    pub reason: String,
    /// The matches its condition rested on.
    pub because: Vec<Match>,
    /// The values its condition rested on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<Traced>,
    /// What it asks for.
    pub effects: Vec<Effect>,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Author {
    /// The rules, unaided.
    Rules,
    /// A person at the console, by login name.
    Reviewer(String),
    /// A client of the API, by key id.
    Key(String),
    /// Somebody at the command line of the server's machine.
    Operator(String),
    /// Manara itself (delivery, start-up).
    System,
}

/// All verdicts on one event, or one human's judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its identifier.
    pub id: DecisionId,
    /// Who decided.
    pub author: Author,
    /// When.
    pub at: Timestamp,
    /// The event it is about: its source and id. A human's judgement is about a case instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<(String, String)>,
    /// The case it closed, for a human's judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// The rules that fired, shadow ones included.
    pub verdicts: Vec<Verdict>,
    /// What is to be done, one action for each kind and target however many rules asked for it.
    pub actions: Vec<Action>,
    /// What the reviewer wrote, for a human's judgement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The actions that `verdicts` on `event` lead to, each at most once.
///
/// Shadow verdicts lead to none. Where two rules ask for the same action on the same target, the
/// first rule's policy stands and the longer duration, heavier strike and higher priority win.
/// `entity` gives the event's entity of a type (and the index of a medium); an effect on an entity
/// the event does not have is dropped, because there is nothing to act on.
pub fn actions_of(
    decision: DecisionId,
    verdicts: &[Verdict],
    entity: impl Fn(EntityType, Option<usize>) -> Option<crate::Entity>,
) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for verdict in verdicts.iter().filter(|v| v.mode == Mode::Live) {
        for effect in &verdict.effects {
            let Some(target) = entity(effect.target, effect.index) else {
                continue;
            };
            let same = actions.iter_mut().find(|a| {
                a.kind == effect.kind
                    && a.target == target
                    && a.detail.label == effect.detail.label
                    && a.detail.queue == effect.detail.queue
            });
            match same {
                Some(action) => action.detail = stronger(&action.detail, &effect.detail),
                None => actions.push(Action {
                    id: crate::ActionId::derive(decision, actions.len()),
                    kind: effect.kind,
                    target,
                    policy: verdict.policy.clone(),
                    detail: effect.detail.clone(),
                }),
            }
        }
    }
    actions
}

fn stronger(a: &Detail, b: &Detail) -> Detail {
    Detail {
        label: a.label.clone(),
        queue: a.queue.clone(),
        priority: a.priority.max(b.priority),
        weight: a.weight.max(b.weight),
        // No duration means "until undone", which outlasts any duration.
        duration_s: a.duration_s.and_then(|a| b.duration_s.map(|b| a.max(b))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entity;

    fn verdict(mode: Mode, kind: ActionKind, duration_s: Option<u64>) -> Verdict {
        Verdict {
            rule: "r".parse().unwrap(),
            version: 1,
            mode,
            policy: "p".parse().unwrap(),
            reason: String::new(),
            because: vec![],
            trace: vec![],
            effects: vec![Effect {
                kind,
                target: EntityType::Content,
                index: None,
                detail: Detail {
                    duration_s,
                    ..Detail::default()
                },
            }],
        }
    }

    #[track_caller]
    fn check(verdicts: &[Verdict], expect: &[(ActionKind, Option<u64>)]) {
        let entity = |r#type, _| {
            (r#type == EntityType::Content).then(|| Entity {
                r#type,
                id: "p-1".into(),
            })
        };
        let actions = actions_of(DecisionId::new(1, 1), verdicts, entity);
        let found: Vec<_> = actions
            .iter()
            .map(|a| (a.kind, a.detail.duration_s))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn the_same_action_is_asked_for_once_and_the_longer_duration_wins() {
        use ActionKind::{Remove, Restrict};
        let live = |k, d| verdict(Mode::Live, k, d);
        check(&[live(Remove, None), live(Remove, None)], &[(Remove, None)]);
        check(
            &[live(Restrict, Some(60)), live(Restrict, Some(90))],
            &[(Restrict, Some(90))],
        );
        check(
            &[live(Restrict, Some(60)), live(Restrict, None)],
            &[(Restrict, None)],
        );
    }

    #[test]
    fn shadow_verdicts_lead_to_nothing() {
        check(&[verdict(Mode::Shadow, ActionKind::Remove, None)], &[]);
    }
}
