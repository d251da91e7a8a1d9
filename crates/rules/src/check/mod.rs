//! Checking: from syntax trees to rules and tests that can run, or to reports of why not.

mod calls;
mod clauses;
mod counter;
mod effects;
mod expr;
mod past;

pub(crate) use counter::{CounterProgram, check_counter};
#[cfg(test)]
pub(crate) use effects::EFFECTS;
pub(crate) use effects::{Plan, PlanTarget, Use, allowed_targets};
pub(crate) use expr::{Checker, forms};

use crate::ast::{self, Spanned};
use crate::compile::compile_condition;
use crate::diagnostic::{Problems, Source, Span};
use crate::env::{Ctx, Memo, Shared};
use crate::explain::constant;
use crate::lexer::shown;
use crate::lexicon::Lexicons;
use crate::ruleset::{Program, Rule};
use crate::schema::Schema;
use crate::suggest::did_you_mean;
use crate::typed::{Kind, Typed};
use crate::types::Type;
use manara_model::{BankName, Event, Facts, Name, RuleMode};
use std::collections::{BTreeMap, HashMap};

/// Most work one evaluation of one rule may cause, in units of roughly a nanosecond: what a rule's
/// [`cost`](crate::Rule::cost) is held against.
pub const RULE_COST_MAX: u32 = 100_000;
pub(crate) const COST_MAX: u64 = RULE_COST_MAX as u64;
/// Most event types one rule may name.
const EVENT_TYPES_MAX: usize = 64;

/// What the rules of all files share while they are checked.
pub(crate) struct Whole<'c> {
    pub(crate) schema: &'c Schema,
    pub(crate) shared: Shared,
    pub(crate) banks: BTreeMap<BankName, u32>,
    /// Where each rule's name was first used: the file, its line.
    pub(crate) names: HashMap<String, (String, u32)>,
    /// The counters of all files, by name: their number and what they read.
    pub(crate) counters: BTreeMap<String, (usize, Type)>,
    /// What tells each of them from others, by number.
    pub(crate) counter_hashes: Vec<[u8; 32]>,
    /// The lexicons of all files.
    pub(crate) lexicons: Lexicons,
}

/// Checks one rule. `None` after reports of what is wrong with it.
pub(crate) fn check_rule(
    rule: &ast::Rule,
    source: &Source,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Rule, Program)> {
    let errors_before = problems.errors();
    let line = problems.line(rule.span.start);
    let name = check_rule_name(&rule.name, source, line, whole, problems);
    check_parts(rule, problems);
    let on = check_event_types(&rule.on, whole.schema, problems);
    let mode = rule
        .mode
        .as_ref()
        .map_or(Some(RuleMode::Live), |mode| clauses::mode(mode, problems));
    let policy = rule
        .policy
        .as_ref()
        .and_then(|policy| parse_name(policy, "policy", problems));
    let (reason, reasons) = clauses::reasons(&rule.reasons, problems);
    let limits = clauses::limits(&rule.limits, problems);
    let mut checker = Checker::new(
        problems,
        whole.schema,
        &on,
        &mut whole.shared,
        &mut whole.banks,
        &whole.counters,
    );
    checker.rule = &rule.name.node;
    checker.lexicons = Some(&whole.lexicons);
    let when = rule.when.as_ref().map(|when| checker.condition(when));
    let effects: Vec<Plan> = rule
        .then
        .iter()
        .flatten()
        .filter_map(|effect| checker.effect(effect, Use::Asked))
        .collect();
    check_media_targets(rule, &mut checker);
    let once = rule
        .once
        .as_ref()
        .map(|once| clauses::once(once, &mut checker));
    let mut counters = Vec::new();
    if let Some(when) = &when {
        when.counters(&mut counters);
    }
    counters.sort_unstable();
    counters.dedup();
    let asked: Vec<[u8; 32]> = counters
        .iter()
        .filter_map(|number| whole.counter_hashes.get(*number).copied())
        .collect();
    let hash = checker.hash_with_asked(rule.hash, &asked);
    let when = when?;
    if rule.broken || problems.errors() > errors_before {
        return None;
    }
    check_constants(&when, problems);
    check_doubles(rule, &effects, problems);
    check_cost(&rule.name, &when, problems)?;
    let cost = u32::try_from(when.cost).ok()?;
    let (name, mode, policy) = (name?, mode?, policy?);
    let once = match once {
        None => None,
        Some(once) => Some(clauses::compile_once(
            once?,
            rule,
            source,
            &mut whole.shared,
        )),
    };
    let text = rule.span.of(&source.text).to_owned();
    let condition = compile_condition(&when, &mut whole.shared);
    let start = rule.span.start;
    let looks_back = when.looks_back() || once.is_some();
    let rule = Rule {
        name,
        mode,
        policy,
        reason,
        reasons,
        limits,
        on,
        source: source.name.clone(),
        line,
        text,
        hash,
        cost,
        version: 1,
    };
    Some((
        rule,
        Program {
            condition,
            when,
            effects,
            start,
            looks_back,
            counters,
            once,
        },
    ))
}

fn check_rule_name(
    name: &Spanned<String>,
    source: &Source,
    line: u32,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
) -> Option<Name> {
    if let Some((file, first)) = whole.names.get(&name.node) {
        let message = format!(
            "rule `{}` exists already, at {file}:{first}",
            shown(&name.node)
        );
        problems.error_hint(
            name.span,
            message,
            "rename one of the two: names are unique over all files",
        );
    } else {
        whole
            .names
            .insert(name.node.clone(), (source.name.clone(), line));
    }
    parse_name(name, "rule", problems)
}

fn parse_name(name: &Spanned<String>, noun: &str, problems: &mut Problems<'_>) -> Option<Name> {
    match name.node.parse::<Name>() {
        Ok(name) => Some(name),
        Err(problem) => {
            problems.refused(name.span, &format!("as the {noun}'s name, "), &problem);
            None
        }
    }
}

/// Names every part the rule lacks, each with what to write.
fn check_parts(rule: &ast::Rule, problems: &mut Problems<'_>) {
    if rule.broken {
        return;
    }
    let missing = [
        (
            rule.policy.is_none(),
            "policy",
            "add `policy` and the name of the policy it enforces, for example `policy tvec_known`",
        ),
        (
            rule.reasons.is_empty(),
            "reason",
            "add `reason` and a sentence for the person it concerns",
        ),
        (
            rule.when.is_none(),
            "condition",
            "add `when` and what must be true",
        ),
        (
            rule.then.is_none(),
            "effect",
            "add `then` and what is to be done, for example `then enqueue(\"tvec\")`",
        ),
    ];
    for (_, part, hint) in missing.into_iter().filter(|(missing, _, _)| *missing) {
        problems.error_hint(
            rule.name.span,
            format!("rule `{}` has no {part}", shown(&rule.name.node)),
            hint,
        );
    }
}

fn check_event_types(
    on: &[Spanned<String>],
    schema: &Schema,
    problems: &mut Problems<'_>,
) -> Vec<String> {
    if on.len() > EVENT_TYPES_MAX {
        let span = on.first().map_or(Span::default(), |first| first.span);
        problems.error_hint(
            span,
            format!("more than {EVENT_TYPES_MAX} event types"),
            "leave `on` out for every event type",
        );
    }
    let mut known: Vec<String> = Vec::with_capacity(on.len());
    for event_type in on {
        if known.contains(&event_type.node) {
            problems.warn(
                event_type.span,
                format!("`{}` is named twice", event_type.node),
                "leave one out",
            );
        } else if schema.knows_event_type(&event_type.node) {
            known.push(event_type.node.clone());
        } else {
            let hint = did_you_mean(&event_type.node, schema.event_types()).unwrap_or_else(|| {
                "declare it in the schema, or use a built-in event type".to_owned()
            });
            problems.error_hint(
                event_type.span,
                format!("unknown event type `{}`", shown(&event_type.node)),
                hint,
            );
        }
    }
    known
}

fn check_media_targets(rule: &ast::Rule, checker: &mut Checker<'_, '_>) {
    if checker.finds_media || rule.when.is_none() {
        return;
    }
    let is_media =
        |arg: &ast::Arg| matches!(&arg.value.kind, ast::ExprKind::Name(name) if name == "media");
    for effect in rule.then.iter().flatten() {
        if let Some(arg) = effect.args.first().filter(|arg| is_media(arg)) {
            let hint = "ask about media with `exists` or a bank, or name `content`";
            checker.problems.error_hint(
                arg.value.span,
                "the condition finds no media, so there is nothing to do this to",
                hint,
            );
        }
    }
}

/// Warns of parts of the condition that are the same for every event, outermost only.
fn check_constants(typed: &Typed, problems: &mut Problems<'_>) {
    if typed.ty == Type::Bool && typed.is_constant() {
        let (message, hint) = match value_of_constant(typed) {
            Some(true) => (
                "this is always true",
                "leave it out, or compare with a field of the event",
            ),
            Some(false) => (
                "this is never true",
                "leave it out, or compare with a field of the event",
            ),
            None => (
                "this has no value, so it is never true",
                "check for a division by zero or an overflow",
            ),
        };
        return problems.warn(typed.span, message, hint);
    }
    let joins = matches!(
        typed.kind,
        Kind::And(_) | Kind::Or(_) | Kind::Not(_) | Kind::Macro { .. } | Kind::Filter { .. }
    );
    for (i, part) in typed.parts().into_iter().enumerate() {
        // `true` means something as an operand of `==` or a branch of `? :`, not as a condition.
        let is_condition = joins || (i == 0 && matches!(typed.kind, Kind::Choose(..)));
        if is_condition || !matches!(part.kind, Kind::Literal(_)) {
            check_constants(part, problems);
        }
    }
}

fn value_of_constant(typed: &Typed) -> Option<bool> {
    let event = Event {
        id: String::new(),
        source: String::new(),
        r#type: String::new(),
        time: jiff::Timestamp::UNIX_EPOCH,
        account: None,
        space: None,
        content: None,
        attributes: serde_json::Map::new(),
    };
    let facts = Facts {
        event: &event,
        media: &[],
        matches: &[],
        received_at: event.time,
    };
    let (shared, memo) = (Shared::default(), Memo::default());
    constant(typed, &Ctx::new(&facts, &shared, &memo))
}

/// Warns where one rule asks for the same thing twice.
fn check_doubles(rule: &ast::Rule, effects: &[Plan], problems: &mut Problems<'_>) {
    let same = |a: &Plan, b: &Plan| {
        (a.kind, a.target, &a.detail.label, &a.detail.queue)
            == (b.kind, b.target, &b.detail.label, &b.detail.queue)
    };
    let written = rule.then.iter().flatten();
    for (i, (effect, at)) in effects.iter().zip(written).enumerate() {
        if effects.iter().take(i).any(|earlier| same(earlier, effect)) {
            problems.warn(
                at.span,
                "this rule asks for the same twice",
                "leave one out",
            );
        }
    }
}

fn check_cost(name: &Spanned<String>, when: &Typed, problems: &mut Problems<'_>) -> Option<()> {
    if when.cost <= COST_MAX {
        return Some(());
    }
    let message = format!(
        "rule `{}` costs up to {} for one event, the limit is {COST_MAX}",
        name.node, when.cost
    );
    let hint = match dearest(when).kind {
        Kind::Macro { .. } => {
            "this asks something dear of each element: ask a bank, or ask outside `exists`"
        }
        _ => "split the rule, or keep the values in a bank",
    };
    problems.error_hint(dearest(when).span, message, hint);
    None
}

/// The smallest part that is over the limit by itself.
fn dearest(typed: &Typed) -> &Typed {
    typed
        .parts()
        .into_iter()
        .find(|part| part.cost > COST_MAX)
        .map_or(typed, dearest)
}
