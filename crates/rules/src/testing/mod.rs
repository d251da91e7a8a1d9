//! `test` blocks: one event played against the rules of the test's own file.
//!
//! A test may assert matches (`match {…}`) or give bank members (`members "BANK" { text "…" }`),
//! which are then looked for in the event with the same normaliser, link finder and distances that
//! the server uses. What it expects is checked against the rules of its own file only, so that a new
//! rule elsewhere cannot break it.

mod input;
mod lookup;

use crate::ast;
use crate::check::{Checker, Plan, PlanTarget, Use, Whole};
use crate::compile::subject_of;
use crate::diagnostic::{Problems, Source};
use crate::env::{Ctx, Memo, Shared};
use crate::lexer::shown;
use crate::literal::{parse_time, show_duration};
use crate::ruleset::RuleSet;
use crate::suggest::did_you_mean;
use input::{TestEvent, read_event, read_match, read_media, read_members};
use jiff::{SignedDuration, Timestamp};
use lookup::Members;
use manara_model::{
    Action, ActionKind, DecisionId, Detail, EntityType, Event, Facts, Match, MediaFacts, Verdict,
    actions_of,
};

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
    event: Event,
    media: Vec<MediaFacts>,
    matches: Vec<Match>,
    members: Members,
    received_at: Timestamp,
    expect: Vec<Expected>,
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
    let verdicts = rules.evaluate_those(&facts, |rule| rule.source == test.source);
    // The identifier only names the actions' keys, which no test looks at.
    let actions = actions_of(DecisionId::new(0, 0), &verdicts, |r#type, index| {
        test.event.entity(r#type, index)
    });
    let mut detail = differences(test, &facts, &verdicts, &actions);
    if !detail.is_empty() {
        detail.push_str(&rules.unfired(&facts, &test.source, EXPLAINED_MAX));
    }
    TestOutcome {
        name: test.name.clone(),
        source: test.source.clone(),
        line: test.line,
        passed: detail.is_empty(),
        detail: detail.trim_end().to_owned(),
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
        && open_or_same(expected.priority.as_ref(), found.priority.as_ref())
        && open_or_same(expected.weight.as_ref(), found.weight.as_ref())
        && open_or_same(expected.duration_s.as_ref(), found.duration_s.as_ref())
}

/// An action as a rule would write it.
fn show_action(kind: ActionKind, target: EntityType, detail: &Detail) -> String {
    let Detail {
        label,
        queue,
        priority,
        weight,
        duration_s,
    } = detail;
    let mut args = vec![target.to_string()];
    args.extend(
        [label, queue]
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
    format!("{kind}({})", args.join(", "))
}
