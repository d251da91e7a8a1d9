//! Evaluating rules in two steps: what follows from the event alone, and what depends on the past.
//!
//! ```text
//!   facts ── begin ──▶ verdicts of rules that do not look back ─────────────────┐
//!            (anywhere, │                                                       ▼
//!             in any    └▶ rules that may still fire, keys and ─▶ State ─▶ judge ─▶ verdicts
//!             order)       inputs of counters          (one at a time, in the order of the log)
//! ```
//! A rule that looks back is first asked with nothing known of the past. Conditions are three-valued, so
//! that what is false then is false whatever happened, and most events need no second step.

use crate::check::{Plan, PlanTarget};
use crate::compile::{EncodeFn, subject_of};
use crate::counters::{Input, Key, KeyHasher, TEXT_BYTES_MAX, Value};
use crate::env::{Ctx, Memo};
use crate::explain::{Explanation, explain};
use crate::memory::{Memory, Nothing, Remembered, Sets};
use crate::ruleset::{CounterFunction, Program, Rule, RuleSet};
use crate::state::{OfEvent, Past, Readings};
use manara_model::{Effect, EntityType, Facts, Mode, RuleMode, Verdict};
use std::sync::Arc;

/// What the rules make of an event before it is known what happened earlier. Made by [`RuleSet::begin`].
#[derive(Debug, Default)]
pub struct Begun {
    /// Verdicts of rules that do not look back, by the rules' numbers.
    pub(crate) fired: Vec<(usize, Verdict)>,
    /// Rules that may still fire.
    pub(crate) waiting: Vec<usize>,
    /// What the event adds to counters.
    pub(crate) inputs: Vec<(usize, Key, Input)>,
    /// Under which keys the waiting rules read counters.
    pub(crate) reads: Vec<(usize, Key)>,
    /// Under which key a rule may fire once, for those that have fired or may.
    pub(crate) once: Vec<(usize, Key)>,
}

impl Begun {
    /// Whether nothing fired, nothing may fire and nothing is counted.
    pub fn is_done(&self) -> bool {
        self.fired.is_empty() && self.waiting.is_empty() && self.inputs.is_empty()
    }

    /// The verdicts there are already.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.fired.iter().map(|(_, verdict)| verdict)
    }
}

impl RuleSet {
    /// The first step: everything that does not depend on what happened before the event. `keys` makes the
    /// keys of counters; it must be that of the [`State`](crate::State) that is asked next.
    ///
    /// Nothing is allocated as long as no rule fires, none may fire later and nothing is counted.
    pub fn begin(&self, facts: &Facts<'_>, sets: &Sets, keys: &KeyHasher) -> Begun {
        let running = self.seeing(&facts.event.r#type).iter().copied();
        self.begin_those(facts, sets, keys, running)
    }

    /// The same with drafts, as if they were running; rules that are off stay so.
    pub fn begin_all(&self, facts: &Facts<'_>, sets: &Sets, keys: &KeyHasher) -> Begun {
        let rules = self.rules().iter().enumerate();
        let seeing = rules
            .filter(|(_, rule)| rule.mode != RuleMode::Off && rule.sees(&facts.event.r#type))
            .map(|(index, _)| index);
        self.begin_those(facts, sets, keys, seeing)
    }

    /// The same for rules of these numbers.
    pub(crate) fn begin_those(
        &self,
        facts: &Facts<'_>,
        sets: &Sets,
        keys: &KeyHasher,
        rules: impl Iterator<Item = usize>,
    ) -> Begun {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo).remembering(sets);
        let mut begun = Begun::default();
        for index in rules {
            let Some((rule, program)) = self.rule(index) else {
                continue;
            };
            match (program.condition)(&ctx) {
                Some(false) => {}
                Some(true) if !program.looks_back => {
                    begun.fired.push((index, verdict(rule, program, &ctx)));
                }
                _ if program.looks_back => begun.waiting.push(index),
                _ => {}
            }
        }
        if !(begun.waiting.is_empty() && self.counters.is_empty()) {
            self.find_keys(&ctx, keys, &mut begun);
        }
        begun
    }

    /// What the event adds to counters, and nothing else: for a log that is read again.
    pub fn begin_counting(&self, facts: &Facts<'_>, sets: &Sets, keys: &KeyHasher) -> Begun {
        self.begin_those(facts, sets, keys, std::iter::empty())
    }

    /// What the event adds to counters, and under which keys every counter is read for it, whichever rules
    /// ask: to look at rules one by one.
    pub fn begin_reading(&self, facts: &Facts<'_>, sets: &Sets, keys: &KeyHasher) -> Begun {
        let mut begun = self.begin_counting(facts, sets, keys);
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo).remembering(sets);
        let mut buffer = Vec::new();
        for (number, program) in self.counter_programs.iter().enumerate() {
            let key = key(&program.by, &ctx, keys, &mut buffer);
            begun.reads.extend(key.map(|key| (number, key)));
        }
        begun
    }

    /// The verdicts on an event with labels, strikes and sets, but without counters and whatever fired once.
    pub fn evaluate_alone(&self, facts: &Facts<'_>, past: &dyn Past) -> Vec<Verdict> {
        let readings = Readings::default();
        let memory = OfEvent {
            facts,
            readings: &readings,
            past,
        };
        self.evaluate_with(facts, &memory)
    }

    /// The verdicts on one event with nothing known of what happened before it: one for each running rule
    /// that fires, live or shadow, in rule order.
    ///
    /// Nothing is allocated as long as no rule fires and no rule asks for a normalised text.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Vec<Verdict> {
        self.evaluate_with(facts, &Nothing)
    }

    /// The same with what is known of what happened before.
    pub fn evaluate_with(&self, facts: &Facts<'_>, memory: &dyn Memory) -> Vec<Verdict> {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo).remembering(memory);
        let seeing = self.seeing(&facts.event.r#type).iter();
        seeing
            .filter_map(|index| self.judged(*index, &ctx))
            .collect()
    }

    /// The numbers of the rules of one file that see events of this type, whatever their modes.
    pub(crate) fn of_file<'a>(
        &'a self,
        source: &'a str,
        event_type: &'a str,
    ) -> impl Iterator<Item = usize> + 'a {
        let rules = self.rules().iter().enumerate();
        rules
            .filter(move |(_, rule)| rule.source == source && rule.sees(event_type))
            .map(|(index, _)| index)
    }

    pub(crate) fn judged(&self, index: usize, ctx: &Ctx<'_>) -> Option<Verdict> {
        let (rule, program) = self.rule(index)?;
        ((program.condition)(ctx) == Some(true)).then(|| verdict(rule, program, ctx))
    }

    fn find_keys(&self, ctx: &Ctx<'_>, keys: &KeyHasher, begun: &mut Begun) {
        let mut buffer = Vec::new();
        for index in 0..self.counters.len() {
            let counted = self.input(index, ctx, keys);
            let read = || {
                let waiting = begun.waiting.iter();
                let mut programs = waiting.filter_map(|rule| self.rule(*rule));
                programs.any(|(_, program)| program.counters.contains(&index))
            };
            let is_read = read();
            if counted.is_none() && !is_read {
                continue;
            }
            let Some(program) = self.counter_programs.get(index) else {
                continue;
            };
            let Some(key) = key(&program.by, ctx, keys, &mut buffer) else {
                continue;
            };
            begun
                .inputs
                .extend(counted.map(|input| (index, key, input)));
            if is_read {
                begun.reads.push((index, key));
            }
        }
        for rule in &begun.waiting {
            let once = self
                .rule(*rule)
                .and_then(|(_, program)| program.once.as_ref());
            let key = once.and_then(|once| key(&once.by, ctx, keys, &mut buffer));
            begun.once.extend(key.map(|key| (*rule, key)));
        }
    }

    /// What the event adds to a counter, if it counts there.
    fn input(&self, index: usize, ctx: &Ctx<'_>, keys: &KeyHasher) -> Option<Input> {
        let (counter, program) = (self.counters.get(index)?, self.counter_programs.get(index)?);
        let event_type = &ctx.facts.event.r#type;
        if !(counter.on.is_empty() || counter.on.contains(event_type)) {
            return None;
        }
        if let Some(filter) = &program.filter
            && filter(ctx) != Some(true)
        {
            return None;
        }
        let value = match &program.value {
            Some(value) => Some(value(ctx)?),
            None => None,
        };
        match (counter.function, value) {
            (CounterFunction::Count, _) => Some(Input::Event),
            (CounterFunction::Distinct, Some(value)) => Some(Input::Distinct(hashed(&value, keys))),
            (CounterFunction::Sum, Some(Remembered::Int(value))) => Some(Input::Int(value)),
            (CounterFunction::Sum, Some(Remembered::Float(value))) => Some(Input::Float(value)),
            (CounterFunction::Last, Some(value)) => kept(value).map(Input::Last),
            (CounterFunction::Sum, _) | (_, None) => None,
        }
    }
}

/// The key these parts make, unless one of them is unknown.
pub(crate) fn key(
    by: &[EncodeFn],
    ctx: &Ctx<'_>,
    keys: &KeyHasher,
    buffer: &mut Vec<u8>,
) -> Option<Key> {
    buffer.clear();
    for part in by {
        part(ctx, buffer)?;
    }
    Some(keys.key(&[buffer]))
}

fn hashed(value: &Remembered, keys: &KeyHasher) -> u64 {
    match value {
        Remembered::Bool(v) => keys.value(&[b"b", &[u8::from(*v)]]),
        Remembered::Int(v) => keys.value(&[b"i", &v.to_le_bytes()]),
        Remembered::Float(v) => keys.value(&[b"f", &(v + 0.0).to_le_bytes()]),
        Remembered::Text(v) => keys.value(&[b"t", v.as_bytes()]),
        Remembered::Duration(v) => keys.value(&[b"d", &v.as_nanos().to_le_bytes()]),
        Remembered::Time(v) => keys.value(&[b"m", &v.as_nanosecond().to_le_bytes()]),
    }
}

/// A value as `last` keeps it; nothing when it is too large to be kept.
fn kept(value: Remembered) -> Option<Value> {
    Some(match value {
        Remembered::Bool(v) => Value::Bool(v),
        Remembered::Int(v) => Value::Int(v),
        Remembered::Float(v) => Value::Float(v),
        Remembered::Text(v) if v.len() <= TEXT_BYTES_MAX => Value::Text(Arc::from(v)),
        Remembered::Text(_) => return None,
        Remembered::Duration(v) => Value::Duration(i64::try_from(v.as_nanos()).ok()?),
        Remembered::Time(v) => Value::Time(i64::try_from(v.as_nanosecond()).ok()?),
    })
}

fn verdict(rule: &Rule, program: &Program, ctx: &Ctx<'_>) -> Verdict {
    let Explanation {
        value,
        because,
        trace,
        media,
    } = explain(&program.when, program.start, &rule.text, ctx);
    debug_assert_eq!(
        value,
        Some(true),
        "the two walks disagree on rule {}",
        rule.name
    );
    Verdict {
        rule: rule.name.clone(),
        version: rule.version,
        mode: if rule.mode.acts() {
            Mode::Live
        } else {
            Mode::Shadow
        },
        policy: rule.policy.clone(),
        reason: rule.reason.clone(),
        reasons: rule.reasons.clone(),
        held: None,
        because,
        trace,
        effects: program
            .effects
            .iter()
            .flat_map(|plan| effects(plan, &media, ctx))
            .collect(),
    }
}

/// The effects a plan comes to on this event: one, or one for each medium found.
fn effects(plan: &Plan, media: &[usize], ctx: &Ctx<'_>) -> Vec<Effect> {
    let effect = |target, index| Effect {
        kind: plan.kind,
        target,
        index,
        detail: plan.detail.clone(),
    };
    match plan.target {
        PlanTarget::Entity(entity) => vec![effect(entity, None)],
        PlanTarget::Subject => vec![effect(subject_of(ctx), None)],
        PlanTarget::FoundMedia => media
            .iter()
            .map(|index| effect(EntityType::Media, Some(*index)))
            .collect(),
    }
}
