//! `test` blocks: one event played against the rules of the test's own file.
//!
//! A test may assert matches (`match {…}`) or give bank members (`members "BANK" { text "…" }`),
//! which are then looked for in the event with the same normaliser, link finder and distances that
//! the server uses. What it expects is checked against the rules of its own file only, so that a new
//! rule elsewhere cannot break it.

mod input;
mod lookup;

use crate::ast::{self, Spanned};
use crate::check::{Checker, Plan, PlanTarget, Use, Whole};
use crate::compile::subject_of;
use crate::counters::KeyHasher;
use crate::diagnostic::{Problems, Source};
use crate::env::{Ctx, Memo, Shared};
use crate::lexer::shown;
use crate::literal::{parse_time, show_duration};
use crate::memory::{Remembered, Sets};
use crate::recollection::Recollection;
use crate::ruleset::RuleSet;
use crate::schema::root_entity;
use crate::state::{Breakers, OfEvent, Readings, Settings, State, Undo};
use crate::suggest::{did_you_mean, did_you_mean_or_list};
use crate::typed::{Kind, Literal};
use crate::types::Type;
use input::{TestEvent, read_event, read_match, read_media, read_members};
use jiff::{SignedDuration, Timestamp};
use lookup::Members;
use manara_model::{
    Action, ActionKind, DecisionId, Detail, EntityType, Event, Facts, Held, Match, MediaFacts,
    Mode, Verdict, actions_of,
};

/// Most keys of a counter in a test.
const KEYS_MAX: usize = 10_000;
/// How many rules a failed test explains.
const EXPLAINED_MAX: usize = 3;

/// The clock of a test that names none.
const DEFAULT_TIME: &str = "2026-01-01T12:00:00Z";

/// What came of one `test` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// The test's name.
    pub name: String,
    /// The file it is in.
    pub source: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Whether everything came as expected.
    pub passed: bool,
    /// For a failed test: what was expected and what was found, with the difference, and the values
    /// of the conditions that did not hold. Empty for a passed one.
    pub detail: String,
}

/// A checked test.
#[derive(Debug)]
pub(crate) struct Test {
    name: String,
    source: String,
    line: u32,
    before: Vec<(u32, Event)>,
    given: Vec<Given>,
    event: Event,
    media: Vec<MediaFacts>,
    matches: Vec<Match>,
    members: Members,
    received_at: Timestamp,
    expect: Vec<Expected>,
}

/// What a test takes for granted.
#[derive(Debug)]
enum Given {
    Counter(usize, Remembered),
    Label(EntityType, String),
    Strikes(u64),
    Set(String, Vec<String>),
}

#[derive(Debug)]
enum Expected {
    Nothing,
    Verdict { rule: String, fires: bool },
    Action(Plan),
}

/// Checks one test. `None` after reports of what is wrong with it.
pub(crate) fn check_test(
    test: &ast::Test,
    source: &Source,
    file: &ast::File,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
) -> Option<Test> {
    let errors_before = problems.errors();
    let at = match &test.at {
        None => None,
        Some(at) => {
            let time = parse_time(&at.node);
            if time.is_none() {
                let message = format!("`{}` is not a time", shown(&at.node));
                problems.error_hint(at.span, message, "write it as `\"2026-11-22T10:15:00Z\"`");
            }
            time
        }
    };
    if test.event.is_none() && !test.broken {
        let hint = "add `event { \"type\": \"post.created\", … }`";
        problems.error_hint(test.name.span, "this test has no event", hint);
    }
    if test.expect.is_empty() && !test.broken {
        let hint =
            "add `expect` and the effects, `expect nothing`, or `expect verdict` and a rule's name";
        problems.error_hint(
            test.name.span,
            "this test expects nothing in particular",
            hint,
        );
    }
    let default_time = at.or_else(|| parse_time(DEFAULT_TIME))?;
    let read = test
        .event
        .as_ref()
        .and_then(|json| read_event(json, default_time, whole.schema, problems));
    let expect = check_expected(test, file, whole, problems);
    let members = read_members(&test.members, problems);
    let mut before = Vec::with_capacity(test.before.len());
    for (times, json) in &test.before {
        let read = read_event(json, default_time, whole.schema, problems)?;
        before.push((*times, read.event));
    }
    let given = check_given(test, whole, problems);
    let TestEvent { event } = read?;
    let media = read_media(&test.media, &event, problems);
    let matches: Vec<Match> = test
        .matches
        .iter()
        .filter_map(|json| read_match(json, &event, problems))
        .collect();
    if test.broken || problems.errors() > errors_before {
        return None;
    }
    let line = problems.line(test.name.span.start);
    let received_at = at.unwrap_or(event.time);
    let (name, source) = (test.name.node.clone(), source.name.clone());
    Some(Test {
        name,
        source,
        line,
        before,
        given,
        event,
        media,
        matches,
        members: Members::new(members),
        received_at,
        expect,
    })
}

fn check_expected(
    test: &ast::Test,
    file: &ast::File,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
) -> Vec<Expected> {
    let mut expected = Vec::with_capacity(test.expect.len());
    for expect in &test.expect {
        match expect {
            ast::Expect::Nothing(span) => {
                if test.expect.len() > 1 {
                    problems.error_hint(
                        *span,
                        "`nothing` cannot be expected with something",
                        "keep one of the two",
                    );
                }
                expected.push(Expected::Nothing);
            }
            ast::Expect::Verdict { rule, fires } => {
                let names = || file.rules.iter().map(|r| r.name.node.as_str());
                if !names().any(|name| name == rule.node) {
                    let hint = did_you_mean(&rule.node, names()).unwrap_or_else(|| {
                        "a test plays against the rules of its own file".to_owned()
                    });
                    problems.error_hint(
                        rule.span,
                        format!("no rule `{}` in this file", shown(&rule.node)),
                        hint,
                    );
                }
                expected.push(Expected::Verdict {
                    rule: rule.node.clone(),
                    fires: *fires,
                });
            }
            ast::Expect::Action(effect) => {
                let mut checker = Checker::new(
                    problems,
                    whole.schema,
                    &[],
                    &mut whole.shared,
                    &mut whole.banks,
                    &whole.counters,
                );
                expected.extend(checker.effect(effect, Use::Expected).map(Expected::Action));
            }
        }
    }
    expected
}

/// Plays a test.
pub(crate) fn run(test: &Test, rules: &RuleSet) -> TestOutcome {
    let mut matches = test.matches.clone();
    matches.extend(test.members.matches(&test.event));
    matches.sort_by(|a, b| {
        (a.distance, &a.field, &a.bank, a.member).cmp(&(b.distance, &b.field, &b.bank, b.member))
    });
    let facts = Facts {
        event: &test.event,
        media: &test.media,
        matches: &matches,
        received_at: test.received_at,
    };
    let (verdicts, readings, past) = play(test, rules, &facts);
    // The identifier only names the actions' keys, which no test looks at.
    let actions = actions_of(
        DecisionId::new(0, 0),
        test.received_at,
        &verdicts,
        |r#type, index| test.event.entity(r#type, index),
    );
    let mut detail = differences(test, &facts, &verdicts, &actions);
    if !detail.is_empty() {
        let memory = OfEvent {
            facts: &facts,
            readings: &readings,
            past: &past,
        };
        detail.push_str(&rules.unfired(&facts, &memory, &test.source, EXPLAINED_MAX));
    }
    TestOutcome {
        name: test.name.clone(),
        source: test.source.clone(),
        line: test.line,
        passed: detail.is_empty(),
        detail: detail.trim_end().to_owned(),
    }
}

/// The verdicts on a test's event after all that came before it, and what is remembered then.
///
/// Rules of every mode are evaluated, and no share or circuit breaker keeps one from acting.
fn play(test: &Test, rules: &RuleSet, facts: &Facts<'_>) -> (Vec<Verdict>, Readings, Recollection) {
    let mut sets = Sets::default();
    for given in &test.given {
        if let Given::Set(name, items) = given {
            sets.set(name, items.iter().cloned());
        }
    }
    let mut past = Recollection::new(sets);
    let settings = Settings {
        keys: KeyHasher::new([0; 16]),
        keys_max: KEYS_MAX,
        breakers: Breakers::NONE,
    };
    let mut state = State::new(rules, settings);
    for (times, event) in &test.before {
        let before = Facts {
            event,
            media: &[],
            matches: &[],
            received_at: event.time.min(test.received_at),
        };
        for _ in 0..*times {
            step(test, rules, &before, &mut state, &mut past);
        }
    }
    for given in &test.given {
        match given {
            Given::Label(entity, label) => {
                if let Some(entity) = test.event.entity(*entity, None) {
                    past.label(entity, label, Timestamp::MIN, None);
                }
            }
            Given::Strikes(weight) => {
                if let Some(account) = &test.event.account {
                    past.strike(&account.id, *weight, test.event.time.min(test.received_at));
                }
            }
            Given::Counter(..) | Given::Set(..) => {}
        }
    }
    let (verdicts, readings) = step(test, rules, facts, &mut state, &mut past);
    (verdicts, readings, past)
}

fn step(
    test: &Test,
    rules: &RuleSet,
    facts: &Facts<'_>,
    state: &mut State,
    past: &mut Recollection,
) -> (Vec<Verdict>, Readings) {
    let seeing = rules.of_file(&test.source, &facts.event.r#type);
    let begun = rules.begin_those(facts, past.sets(), state.keys(), seeing);
    let mut undo = Undo::default();
    let mut readings = state.count(rules, &begun, facts.event, facts.received_at, &mut undo);
    for given in &test.given {
        if let Given::Counter(number, value) = given {
            readings.set(*number, value.clone());
        }
    }
    let judged = state.judge(rules, facts, begun, &readings, past);
    let (mut verdicts, _) = state.settle(
        rules,
        judged,
        facts.event,
        facts.received_at,
        past,
        &mut undo,
    );
    for verdict in verdicts
        .iter_mut()
        .filter(|it| it.held == Some(Held::Share))
    {
        (verdict.mode, verdict.held) = (Mode::Live, None);
    }
    past.remember(facts.event, &verdicts, facts.received_at);
    (verdicts, readings)
}

fn check_given(test: &ast::Test, whole: &mut Whole<'_>, problems: &mut Problems<'_>) -> Vec<Given> {
    let mut given = Vec::with_capacity(test.given.len());
    for it in &test.given {
        given.extend(match it {
            ast::Given::Counter(name, value) => given_counter(name, value, whole, problems),
            ast::Given::Label(entity, label) => given_label(entity, label, problems),
            ast::Given::Strikes(weight) => {
                let given = match weight.kind {
                    ast::ExprKind::Int(weight) => u64::try_from(weight).ok(),
                    _ => None,
                };
                if given.is_none() {
                    let message = "the weight of strikes is a whole number";
                    let hint = "for example `given strikes = 3`";
                    problems.error_hint(weight.span, message, hint);
                }
                given.map(Given::Strikes)
            }
            ast::Given::Set(name, items) => {
                let items = items.iter().map(|item| item.node.clone()).collect();
                Some(Given::Set(name.node.clone(), items))
            }
        });
    }
    given
}

fn given_label(
    entity: &Spanned<String>,
    label: &Spanned<String>,
    problems: &mut Problems<'_>,
) -> Option<Given> {
    let found = root_entity(&entity.node);
    if found.is_none() {
        let message = format!("`{}` carries no labels", shown(&entity.node));
        let hint = did_you_mean_or_list(&entity.node, &["account", "space", "content"]);
        problems.error_hint(entity.span, message, hint);
    }
    Some(Given::Label(found?, label.node.clone()))
}

fn given_counter(
    name: &Spanned<String>,
    value: &ast::Expr,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
) -> Option<Given> {
    let Some((number, ty)) = whole.counters.get(&name.node).cloned() else {
        let known = whole.counters.keys().map(String::as_str);
        let hint = did_you_mean(&name.node, known)
            .unwrap_or_else(|| "declare it: `counter … = count(…) by … over …`".to_owned());
        let message = format!("there is no counter `{}`", shown(&name.node));
        problems.error_hint(name.span, message, hint);
        return None;
    };
    let mut checker = Checker::new(
        problems,
        whole.schema,
        &[],
        &mut whole.shared,
        &mut whole.banks,
        &whole.counters,
    );
    let typed = checker.expr(value);
    let found = match &typed.kind {
        Kind::Literal(literal) if typed.ty == ty => Some(remembered(literal)),
        // A whole number may stand for a sum of fractions.
        Kind::Literal(Literal::Int(value)) if ty == Type::Float => {
            Some(Remembered::Float(*value as f64))
        }
        Kind::Wrong => None,
        _ => {
            let message = format!("counter `{}` reads a {ty}", name.node);
            problems.error_hint(value.span, message, "write the value itself");
            None
        }
    };
    found.map(|value| Given::Counter(number, value))
}

fn remembered(literal: &Literal) -> Remembered {
    match literal {
        Literal::Bool(v) => Remembered::Bool(*v),
        Literal::Int(v) => Remembered::Int(*v),
        Literal::Float(v) => Remembered::Float(*v),
        Literal::Text(v) => Remembered::Text(v.to_string()),
        Literal::Duration(v) => Remembered::Duration(*v),
        Literal::Time(v) => Remembered::Time(*v),
    }
}

/// What came other than expected, empty when nothing did.
fn differences(test: &Test, facts: &Facts<'_>, verdicts: &[Verdict], actions: &[Action]) -> String {
    let mut out = String::new();
    let mut planned: Vec<(EntityType, &Plan)> = Vec::new();
    for expected in &test.expect {
        match expected {
            Expected::Nothing if !verdicts.is_empty() => {
                out.push_str("expected nothing\n");
                for verdict in verdicts {
                    out.extend([
                        "+ rule ",
                        verdict.rule.as_str(),
                        " (",
                        verdict.mode.as_str(),
                        ") fired\n",
                    ]);
                }
            }
            Expected::Verdict { rule, fires } => {
                let fired = verdicts.iter().any(|v| v.rule.as_str() == rule);
                if fired != *fires {
                    let (wanted, found) = if *fires {
                        ("to fire", "it did not")
                    } else {
                        ("not to fire", "it did")
                    };
                    out.extend(["expected rule ", rule, " ", wanted, "; ", found, "\n"]);
                }
            }
            Expected::Action(plan) => planned.push((target_of(plan, facts), plan)),
            Expected::Nothing => {}
        }
    }
    if !planned.is_empty() {
        out.push_str(&action_differences(&planned, actions));
    }
    out
}

fn action_differences(planned: &[(EntityType, &Plan)], actions: &[Action]) -> String {
    let missing: Vec<String> = planned
        .iter()
        .filter(|(target, plan)| {
            !actions
                .iter()
                .any(|action| is_action(*target, plan, action))
        })
        .map(|(target, plan)| show_action(plan.kind, *target, &plan.detail))
        .collect();
    let unexpected: Vec<String> = actions
        .iter()
        .filter(|action| {
            !planned
                .iter()
                .any(|(target, plan)| is_action(*target, plan, action))
        })
        .map(|action| show_action(action.kind, action.target.r#type, &action.detail))
        .collect();
    if missing.is_empty() && unexpected.is_empty() {
        return String::new();
    }
    let list = |items: Vec<String>| {
        if items.is_empty() {
            "nothing".to_owned()
        } else {
            items.join(", ")
        }
    };
    let expected = planned
        .iter()
        .map(|(target, plan)| show_action(plan.kind, *target, &plan.detail))
        .collect();
    let found = actions
        .iter()
        .map(|a| show_action(a.kind, a.target.r#type, &a.detail))
        .collect();
    let mut lines = vec![format!(
        "expected {}\nfound    {}\n",
        list(expected),
        list(found)
    )];
    lines.extend(missing.into_iter().map(|line| format!("- {line}\n")));
    lines.extend(unexpected.into_iter().map(|line| format!("+ {line}\n")));
    lines.concat()
}

fn target_of(plan: &Plan, facts: &Facts<'_>) -> EntityType {
    match plan.target {
        PlanTarget::Entity(entity) => entity,
        PlanTarget::FoundMedia => EntityType::Media,
        PlanTarget::Subject => {
            let (shared, memo) = (Shared::default(), Memo::default());
            subject_of(&Ctx::new(facts, &shared, &memo))
        }
    }
}

/// Whether the action is the one planned; details the test leaves open may be anything.
fn is_action(target: EntityType, plan: &Plan, action: &Action) -> bool {
    fn open_or_same<T: PartialEq>(expected: Option<&T>, found: Option<&T>) -> bool {
        expected.is_none() || expected == found
    }
    let (expected, found) = (&plan.detail, &action.detail);
    plan.kind == action.kind
        && target == action.target.r#type
        && expected.label == found.label
        && expected.queue == found.queue
        && expected.to == found.to
        && open_or_same(expected.priority.as_ref(), found.priority.as_ref())
        && open_or_same(expected.weight.as_ref(), found.weight.as_ref())
        && open_or_same(expected.duration_s.as_ref(), found.duration_s.as_ref())
        && open_or_same(expected.until.as_ref(), found.until.as_ref())
        && open_or_same(expected.message.as_ref(), found.message.as_ref())
}

/// An action as a rule would write it.
fn show_action(kind: ActionKind, target: EntityType, detail: &Detail) -> String {
    let Detail {
        label,
        queue,
        priority,
        weight,
        duration_s,
        until,
        to,
        message: _,
    } = detail;
    let mut args = vec![target.to_string()];
    args.extend(
        [label, queue, to]
            .into_iter()
            .flatten()
            .map(|name| format!("\"{name}\"")),
    );
    args.extend(weight.map(|weight| weight.to_string()));
    args.extend(priority.map(|priority| format!("priority: {priority}")));
    args.extend(duration_s.map(|seconds| {
        let lasting = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        format!("for: {}", show_duration(lasting))
    }));
    args.extend(until.map(|until| format!("until: timestamp(\"{until}\")")));
    format!("{kind}({})", args.join(", "))
}
