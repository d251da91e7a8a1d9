//! Verdicts and decisions.

use crate::action::word_enum;
use crate::{Action, ActionKind, CaseId, DecisionId, Detail, EntityType, Match, Name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

word_enum! {
    /// Whether a verdict acts or only records what its rule would have done.
    Mode, "a mode", {
        /// Evaluated, recorded and acted on.
        Live = "live",
        /// Evaluated and recorded, without effect.
        Shadow = "shadow",
    }
}

/// Whether a rule acts, and on how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleMode {
    /// Being written: checked and tested, and evaluated only when somebody asks for it.
    Draft,
    /// Evaluated and recorded in full, without effect.
    Shadow,
    /// In effect.
    Live,
    /// In effect on a share of the events, in shadow on the rest; the share in ten-thousandths, 1 to 9,999.
    Share(u16),
    /// Not evaluated.
    Off,
}

impl RuleMode {
    /// The words a mode begins with.
    pub const WORDS: [&'static str; 4] = ["live", "shadow", "draft", "off"];

    /// Whether the server evaluates it.
    pub fn runs(self) -> bool {
        matches!(self, Self::Shadow | Self::Live | Self::Share(_))
    }

    /// Whether it can have an effect.
    pub fn acts(self) -> bool {
        matches!(self, Self::Live | Self::Share(_))
    }
}

impl fmt::Display for RuleMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.pad("draft"),
            Self::Shadow => f.pad("shadow"),
            Self::Live => f.pad("live"),
            Self::Off => f.pad("off"),
            Self::Share(share) => {
                let percent = f64::from(*share) / 100.0;
                f.pad(&format!("live {percent}%"))
            }
        }
    }
}

impl FromStr for RuleMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let share = |text: &str| {
            let percent: f64 = text
                .strip_prefix("live ")?
                .strip_suffix('%')?
                .parse()
                .ok()?;
            Self::of_percent(percent)
        };
        match text {
            "draft" => Ok(Self::Draft),
            "shadow" => Ok(Self::Shadow),
            "live" => Ok(Self::Live),
            "off" => Ok(Self::Off),
            _ => share(text).ok_or_else(|| {
                format!(
                    "`{}` is not a mode: use live, live 10%, shadow, draft or off",
                    text.chars().take(64).collect::<String>()
                )
            }),
        }
    }
}

impl RuleMode {
    /// Live on so many percent of the events: more than 0 and less than 100, in steps of a hundredth.
    pub fn of_percent(percent: f64) -> Option<Self> {
        let share = (percent * 100.0).round();
        // In range, so the conversion is exact.
        (1.0..=9_999.0)
            .contains(&share)
            .then_some(Self::Share(share as u16))
    }
}

impl Serialize for RuleMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RuleMode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

word_enum! {
    /// What a rule that could act was kept from acting by.
    Held, "what holds a verdict back", {
        /// The event is not in the share for which its rule is live.
        Share = "share",
        /// The rule's own circuit breaker has opened.
        RuleLimit = "rule_limit",
        /// The circuit breaker of the whole server has opened.
        ServerLimit = "server_limit",
        /// It rests on a match that does not count.
        WithheldMatch = "withheld_match",
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
    /// The same in other languages, by their BCP 47 tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// Of a verdict in shadow whose rule is live: what held it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
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
/// Precedence, where verdicts ask for different things:
/// 1. A verdict in shadow asks for nothing.
/// 2. The same action on the same target is done once. The first rule's policy and reason stand; the
///    longer duration, the heavier strike and the higher priority win; "until undone" outlasts any
///    duration, and of a duration and a time the one that ends later wins. Labels of two names, cases in
///    two queues and messages to two receivers are not the same.
/// 3. What a graver action on the same target [covers](ActionKind::covers) is not done beside it.
/// 4. Everything else is done, in the order of the rules and within a rule as written.
///
/// `at` is when it is decided. `entity` gives the event's entity of a type (and the index of a medium); an
/// effect on an entity the event does not have is dropped, because there is nothing to act on.
pub fn actions_of(
    decision: DecisionId,
    at: Timestamp,
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
                    && a.detail.to == effect.detail.to
            });
            match same {
                Some(action) => action.detail = stronger(&action.detail, &effect.detail, at),
                None => actions.push(Action {
                    id: crate::ActionId::derive(decision, actions.len()),
                    kind: effect.kind,
                    target,
                    policy: verdict.policy.clone(),
                    rule: Some(verdict.rule.clone()),
                    reasons: verdict.all_reasons(),
                    detail: effect.detail.clone(),
                }),
            }
        }
    }
    let asked: Vec<_> = actions.iter().map(|a| (a.kind, a.target.clone())).collect();
    let is_covered = |action: &Action| {
        let graver = |(kind, target): &(ActionKind, crate::Entity)| {
            kind.covers(action.kind) && *target == action.target
        };
        asked.iter().any(graver)
    };
    actions.retain(|action| !is_covered(action));
    actions
}

impl Verdict {
    /// The reason in every language it is given in. The one without a language is under `und`, as BCP 47
    /// calls what is not determined.
    pub fn all_reasons(&self) -> BTreeMap<String, String> {
        let mut reasons = self.reasons.clone();
        if !self.reason.is_empty() && !reasons.values().any(|reason| *reason == self.reason) {
            reasons.insert("und".to_owned(), self.reason.clone());
        }
        reasons
    }
}

fn stronger(a: &Detail, b: &Detail, at: Timestamp) -> Detail {
    let (duration_s, until) = match (a.ends_at(at), b.ends_at(at)) {
        // No end means "until undone", which outlasts any.
        (None, _) | (_, None) => (None, None),
        (Some(first), Some(second)) if second > first => (b.duration_s, b.until),
        _ => (a.duration_s, a.until),
    };
    Detail {
        label: a.label.clone(),
        queue: a.queue.clone(),
        to: a.to.clone(),
        message: a.message.clone().or_else(|| b.message.clone()),
        priority: a.priority.max(b.priority),
        weight: a.weight.max(b.weight),
        duration_s,
        until,
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
            reasons: BTreeMap::new(),
            held: None,
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
        let actions = actions_of(
            DecisionId::new(1, 1),
            Timestamp::UNIX_EPOCH,
            verdicts,
            entity,
        );
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
    fn what_a_graver_action_covers_is_not_done_beside_it() {
        use ActionKind::{Label, Remove, Restrict};
        let live = |k, d| verdict(Mode::Live, k, d);
        check(
            &[
                live(Restrict, Some(60)),
                live(Label, None),
                live(Remove, None),
            ],
            &[(Label, None), (Remove, None)],
        );
        check(
            &[
                live(Restrict, Some(60)),
                verdict(Mode::Shadow, Remove, None),
            ],
            &[(Restrict, Some(60))],
        );
    }

    #[test]
    fn of_a_duration_and_a_time_the_later_end_wins() {
        let until = |seconds| {
            let mut verdict = verdict(Mode::Live, ActionKind::Restrict, None);
            for effect in &mut verdict.effects {
                effect.detail.until = Timestamp::from_second(seconds).ok();
            }
            verdict
        };
        let day = verdict(Mode::Live, ActionKind::Restrict, Some(86_400));
        check(
            &[day.clone(), until(3_600)],
            &[(ActionKind::Restrict, Some(86_400))],
        );
        check(&[day, until(90_000)], &[(ActionKind::Restrict, None)]);
    }

    #[test]
    fn the_modes_of_rules_read_back_as_written() {
        for text in [
            "live",
            "shadow",
            "draft",
            "off",
            "live 10%",
            "live 0.01%",
            "live 99.99%",
        ] {
            assert_eq!(text.parse::<RuleMode>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "on",
            "live 0%",
            "live 100%",
            "live 0.001%",
            "live NaN%",
            "shadow 10%",
        ] {
            assert!(wrong.parse::<RuleMode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shadow_verdicts_lead_to_nothing() {
        check(&[verdict(Mode::Shadow, ActionKind::Remove, None)], &[]);
    }
}
