//! Rule sets: files compiled together, and evaluated on the facts of one event.

use crate::check::{Plan, PlanTarget, Whole, check_rule};
use crate::compile::{BoolFn, subject_of};
use crate::diagnostic::{Diagnostic, Problems, Severity, Source, Span};
use crate::env::{Ctx, Memo, Shared};
use crate::explain::{Explanation, explain};
use crate::lexicon::Lexicons;
use crate::parser::parse;
use crate::schema::Schema;
use crate::testing::{Test, TestOutcome, check_test, run};
use crate::typed::Typed;
use manara_model::{BankName, Effect, EntityType, Facts, Mode, Name, Traced, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Largest rule file, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most rules in one set.
const RULES_MAX: usize = 10_000;

/// One rule, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique over all files.
    pub name: Name,
    /// Whether it acts or only records.
    pub mode: Mode,
    /// The policy it enforces.
    pub policy: Name,
    /// Why, in words for the person it concerns.
    pub reason: String,
    /// The event types it is about; none for every type.
    pub on: Vec<String>,
    /// The file it is in.
    pub source: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Exactly what its author wrote, from `rule` to the closing brace.
    pub text: String,
    /// SHA-256 over its tokens: the same as long as only comments and layout change.
    pub hash: [u8; 32],
    /// Upper bound of the work for one event, in units of roughly a nanosecond.
    pub cost: u32,
    /// Which recorded version it is; 1 until [`RuleSet::set_versions`] says otherwise.
    pub version: u32,
}

/// What runs when a rule is evaluated.
pub(crate) struct Program {
    pub(crate) condition: BoolFn,
    pub(crate) when: Typed,
    pub(crate) effects: Vec<Plan>,
    /// Where the rule's text begins in its file: the spans of `when` count from the file's start.
    pub(crate) start: usize,
}

/// Rules ready to run, with their tests. Made by [`compile`].
pub struct RuleSet {
    rules: Vec<Rule>,
    programs: Vec<Program>,
    /// For each event type a rule names, sorted by it: all rules that see it, in order. There are few,
    /// and finding one among few by comparing is faster than by hashing.
    by_type: Vec<(String, Vec<usize>)>,
    /// The rules that see every other event type.
    for_others: Vec<usize>,
    shared: Shared,
    banks: BTreeMap<BankName, u32>,
    tests: Vec<Test>,
    warnings: Vec<Diagnostic>,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet")
            .field("rules", &self.rules)
            .field("tests", &self.tests.len())
            .finish_non_exhaustive()
    }
}

/// Compiles files together. Every problem of every file is reported, not only the first; warnings
/// do not stand in the way and are kept in [`RuleSet::warnings`].
///
/// ```
/// use manara_rules::{Schema, Source, compile};
/// let source = Source {
///     name: "new.rules".into(),
///     text: r#"
///         rule new_account_links {
///           on post.created
///           policy spam_links
///           reason "New accounts cannot post links on their first day."
///           when account.age < 24h and content.links.size() > 0
///           then restrict(content, for: 24h)
///         }"#.into(),
/// };
/// let rules = compile(&[source], &Schema::builtin()).unwrap();
/// assert_eq!(rules.rules()[0].name.as_str(), "new_account_links");
/// ```
pub fn compile(sources: &[Source], schema: &Schema) -> Result<RuleSet, Vec<Diagnostic>> {
    let mut whole = Whole {
        schema,
        shared: Shared::default(),
        banks: BTreeMap::new(),
        names: HashMap::new(),
        lexicons: Lexicons::default(),
    };
    let mut found: Vec<Diagnostic> = Vec::new();
    let (mut rules, mut programs, mut tests) = (Vec::new(), Vec::new(), Vec::new());
    let mut rules_seen = 0_usize;
    let mut files = Vec::with_capacity(sources.len());
    // Lexicons first, since the rules of any file may ask about them.
    for source in sources {
        let mut problems = Problems::of(source);
        let file = read(source, &mut problems);
        for lexicon in file.iter().flat_map(|file| &file.lexicons) {
            whole
                .lexicons
                .add(lexicon, &mut whole.shared, &mut problems);
        }
        files.push((source, file, problems));
    }
    for (source, file, mut problems) in files {
        let Some(file) = file else {
            found.extend(problems.finish());
            continue;
        };
        let room = RULES_MAX.saturating_sub(rules_seen);
        rules_seen += file.rules.len();
        if let Some(first_over) = file.rules.get(room) {
            let message =
                format!("more than {RULES_MAX} rules: this one and those after it are not read");
            problems.error_hint(
                first_over.name.span,
                message,
                "put what only differs by a value into a bank or a list",
            );
        }
        for rule in file.rules.iter().take(room) {
            if let Some((rule, program)) = check_rule(rule, source, &mut whole, &mut problems) {
                rules.push(rule);
                programs.push(program);
            }
        }
        for test in &file.tests {
            tests.extend(check_test(test, source, &file, &mut whole, &mut problems));
        }
        found.extend(problems.finish());
    }
    if found.iter().any(|d| d.severity == Severity::Error) {
        return Err(found);
    }
    let (by_type, for_others) = index_by_type(&rules);
    let Whole { shared, banks, .. } = whole;
    Ok(RuleSet {
        rules,
        programs,
        by_type,
        for_others,
        shared,
        banks,
        tests,
        warnings: found,
    })
}

fn read(source: &Source, problems: &mut Problems<'_>) -> Option<crate::ast::File> {
    if source.text.len() > FILE_BYTES_MAX {
        let message = format!(
            "this file is {} bytes long, the limit is {FILE_BYTES_MAX}",
            source.text.len()
        );
        problems.error_hint(Span::default(), message, "split it into several files");
        return None;
    }
    Some(parse(source, problems))
}

/// For each event type that some rule names, the rules that see it; and those that see the others.
fn index_by_type(rules: &[Rule]) -> (Vec<(String, Vec<usize>)>, Vec<usize>) {
    let sees = |event_type: Option<&String>| -> Vec<usize> {
        let sees =
            |rule: &Rule| rule.on.is_empty() || event_type.is_some_and(|t| rule.on.contains(t));
        rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| sees(rule))
            .map(|(i, _)| i)
            .collect()
    };
    let named: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.on).collect();
    let by_type = named
        .into_iter()
        .map(|event_type| (event_type.clone(), sees(Some(event_type))))
        .collect();
    (by_type, sees(None))
}

impl RuleSet {
    /// The rules, in the order of the files and within them of the text.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The banks that rules ask about, each with the largest distance asked for, so that an
    /// operator can be told of banks that do not exist or do not match that far.
    pub fn banks(&self) -> Vec<(BankName, u32)> {
        self.banks
            .iter()
            .map(|(bank, distance)| (bank.clone(), *distance))
            .collect()
    }

    /// What the authors probably did not mean, in the order of the files.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Gives every rule the number of its recorded version, which its verdicts carry.
    pub fn set_versions(&mut self, mut version: impl FnMut(&Rule) -> u32) {
        for rule in &mut self.rules {
            rule.version = version(rule);
        }
    }

    /// The verdicts on one event: one for each rule that fires, live or shadow, in rule order.
    ///
    /// Nothing is allocated as long as no rule fires and no rule asks for a normalised text.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Vec<Verdict> {
        self.evaluate_those(facts, |_| true)
    }

    /// Runs the `test` blocks, each against the rules of its own file.
    pub fn run_tests(&self) -> Vec<TestOutcome> {
        self.tests.iter().map(|test| run(test, self)).collect()
    }

    /// The rule of this name and what runs for it.
    pub(crate) fn rule_named(&self, name: &str) -> Option<(&Rule, &Program)> {
        let at = self.rules.iter().position(|r| r.name.as_str() == name)?;
        Some((self.rules.get(at)?, self.programs.get(at)?))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The rules that see events of this type.
    fn seeing(&self, event_type: &str) -> &[usize] {
        let at = self
            .by_type
            .binary_search_by(|(named, _)| named.as_str().cmp(event_type));
        at.ok()
            .and_then(|at| self.by_type.get(at))
            .map_or(&self.for_others, |(_, rules)| rules)
    }

    pub(crate) fn evaluate_those(
        &self,
        facts: &Facts<'_>,
        wanted: impl Fn(&Rule) -> bool,
    ) -> Vec<Verdict> {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo);
        let mut verdicts = Vec::new();
        for index in self.seeing(&facts.event.r#type) {
            let (Some(rule), Some(program)) = (self.rules.get(*index), self.programs.get(*index))
            else {
                continue;
            };
            if wanted(rule) && (program.condition)(&ctx) == Some(true) {
                verdicts.push(verdict(rule, program, &ctx));
            }
        }
        verdicts
    }

    /// The conditions of a file that did not hold on these facts, with their values: `max` of them,
    /// those that ended unknown first.
    pub(crate) fn unfired(&self, facts: &Facts<'_>, source: &str, max: usize) -> String {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo);
        let mut explained: Vec<(&Rule, Explanation)> = self
            .seeing(&facts.event.r#type)
            .iter()
            .filter_map(|index| Some((self.rules.get(*index)?, self.programs.get(*index)?)))
            .filter(|(rule, _)| rule.source == source)
            .map(|(rule, program)| {
                (
                    rule,
                    explain(&program.when, program.start, &rule.text, &ctx),
                )
            })
            .filter(|(_, explanation)| explanation.value != Some(true))
            .collect();
        explained.sort_by_key(|(_, explanation)| explanation.value);
        let mut lines = Vec::new();
        for (rule, explanation) in explained.into_iter().take(max) {
            let value = explanation.value.map_or("unknown", |_| "false");
            lines.push(format!(
                "rule {} did not fire: its condition is {value}\n",
                rule.name
            ));
            let shown = |t: Traced| format!("    {} = {}\n", t.expression, t.value);
            lines.extend(explanation.trace.into_iter().map(shown));
        }
        lines.concat()
    }

    /// Both answers to every condition, for the property test that holds the two walks together.
    #[cfg(test)]
    pub(crate) fn both_answers(&self, facts: &Facts<'_>) -> Vec<(Option<bool>, Option<bool>)> {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo);
        let both = |program: &Program| {
            (
                (program.condition)(&ctx),
                explain(&program.when, 0, "", &ctx).value,
            )
        };
        self.programs.iter().map(both).collect()
    }
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
        mode: rule.mode,
        policy: rule.policy.clone(),
        reason: rule.reason.clone(),
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
