//! Rule sets: files compiled together, and evaluated on the facts of one event.

use crate::check::{CounterProgram, Plan, Whole, check_counter, check_rule};
use crate::compile::{BoolFn, EncodeFn};
use crate::counters::Window;
use crate::diagnostic::{Diagnostic, Problems, Severity, Source, Span};
use crate::env::{Ctx, Memo, Shared};
use crate::explain::{Explanation, explain};
use crate::lexicon::Lexicons;
use crate::memory::Memory;
use crate::parser::parse;
use crate::schema::Schema;
use crate::testing::{Test, TestOutcome, check_test, run};
use crate::typed::Typed;
use crate::types::Type;
use manara_model::{BankName, Facts, Name, RuleMode, Traced};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Largest rule file, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most rules in one set.
const RULES_MAX: usize = 10_000;

/// One rule, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique over all files.
    pub name: Name,
    /// Whether it acts, on what share of the events, or only records.
    pub mode: RuleMode,
    /// The policy it enforces.
    pub policy: Name,
    /// Why, in words for the person it concerns.
    pub reason: String,
    /// The same in other languages, by their BCP 47 tags.
    pub reasons: BTreeMap<String, String>,
    /// How often it may act, where it says so itself.
    pub limits: Limits,
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

impl Rule {
    /// Whether it is about events of this type.
    pub fn sees(&self, event_type: &str) -> bool {
        self.on.is_empty() || self.on.iter().any(|on| on == event_type)
    }
}

/// How often a rule may act before its circuit breaker opens; `None`: as the server's configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Events within an hour.
    pub per_hour: Option<u32>,
    /// Events within a day.
    pub per_day: Option<u32>,
}

/// What a counter makes of the events it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterFunction {
    /// How many there were.
    Count,
    /// How many different values they had.
    Distinct,
    /// What their values add up to.
    Sum,
    /// The value of the one before.
    Last,
}

/// One declared counter, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Its name, unique over all files.
    pub name: String,
    /// What it makes of the events.
    pub function: CounterFunction,
    /// Over how long.
    pub window: Window,
    /// The event types it counts; none for every type.
    pub on: Vec<String>,
    /// The type of what it reads.
    pub ty: Type,
    /// The file it is in.
    pub source: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Exactly what its author wrote.
    pub text: String,
    /// SHA-256 over its tokens: another hash is another counter, which begins anew.
    pub hash: [u8; 32],
}

/// `once per …`, ready to run.
pub(crate) struct Once {
    pub(crate) by: Vec<EncodeFn>,
    pub(crate) window: Window,
    /// As written.
    pub(crate) text: String,
}

/// What runs when a rule is evaluated.
pub(crate) struct Program {
    pub(crate) condition: BoolFn,
    pub(crate) when: Typed,
    pub(crate) effects: Vec<Plan>,
    /// Where the rule's text begins in its file: the spans of `when` count from the file's start.
    pub(crate) start: usize,
    /// Whether what happened before the event matters.
    pub(crate) looks_back: bool,
    /// The counters it reads.
    pub(crate) counters: Vec<usize>,
    pub(crate) once: Option<Once>,
}

/// Rules ready to run, with their tests. Made by [`compile`].
pub struct RuleSet {
    rules: Vec<Rule>,
    programs: Vec<Program>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) counter_programs: Vec<CounterProgram>,
    /// For each event type a rule names, sorted by it: all rules that see it, in order. There are few,
    /// and finding one among few by comparing is faster than by hashing.
    by_type: Vec<(String, Vec<usize>)>,
    /// The rules that see every other event type.
    for_others: Vec<usize>,
    pub(crate) shared: Shared,
    banks: BTreeMap<BankName, u32>,
    tests: Vec<Test>,
    warnings: Vec<Diagnostic>,
    fingerprint: [u8; 32],
    counters_ask_banks: bool,
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
        counters: BTreeMap::new(),
        counter_hashes: Vec::new(),
        lexicons: Lexicons::default(),
    };
    let mut found: Vec<Diagnostic> = Vec::new();
    let (mut rules, mut programs, mut tests) = (Vec::new(), Vec::new(), Vec::new());
    let mut rules_seen = 0_usize;
    let mut files = Vec::with_capacity(sources.len());
    // Lexicons first, since counters and rules of any file may ask about them.
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
    // Counters of any file can be used in all of them.
    let mut counters = Vec::new();
    for (source, file, problems) in &mut files {
        for counter in file.iter().flat_map(|file| &file.counters) {
            check_counter(counter, source, &mut whole, problems, &mut counters);
        }
    }
    let counters_ask_banks = !whole.banks.is_empty();
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
    let (counters, counter_programs): (Vec<Counter>, _) = counters.into_iter().unzip();
    let fingerprint = fingerprint_of(&rules, &counters);
    Ok(RuleSet {
        fingerprint,
        counters_ask_banks,
        rules,
        programs,
        counters,
        counter_programs,
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

fn fingerprint_of(rules: &[Rule], counters: &[Counter]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update((rules.len() as u64).to_le_bytes());
    let hashes = rules.iter().map(|rule| &rule.hash);
    for hash in hashes.chain(counters.iter().map(|counter| &counter.hash)) {
        hasher.update(hash);
    }
    hasher.finalize().into()
}

/// For each event type that some rule names, the rules that see it; and those that see the others.
fn index_by_type(rules: &[Rule]) -> (Vec<(String, Vec<usize>)>, Vec<usize>) {
    let sees = |event_type: Option<&String>| -> Vec<usize> {
        let sees =
            |rule: &Rule| rule.on.is_empty() || event_type.is_some_and(|t| rule.on.contains(t));
        rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.mode.runs() && sees(rule))
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

    /// The sets that rules ask, so that an operator can be told of those that nobody keeps.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.shared.sets.iter().map(|name| &**name)
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

    /// What tells this set from others: a hash over its rules and counters, in their order.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Whether what a counter counts depends on what was found in banks.
    pub fn counters_ask_banks(&self) -> bool {
        self.counters_ask_banks
    }

    /// The counters, in the order of the files and within them of the text.
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// Runs the `test` blocks, each against the rules of its own file.
    pub fn run_tests(&self) -> Vec<TestOutcome> {
        self.tests.iter().map(|test| run(test, self)).collect()
    }

    /// The rule of this name and what runs for it.
    pub(crate) fn rule_named(&self, name: &str) -> Option<(&Rule, &Program)> {
        let at = self.rules.iter().position(|r| r.name.as_str() == name)?;
        self.rule(at)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The running rules that see events of this type.
    pub(crate) fn seeing(&self, event_type: &str) -> &[usize] {
        let at = self
            .by_type
            .binary_search_by(|(named, _)| named.as_str().cmp(event_type));
        at.ok()
            .and_then(|at| self.by_type.get(at))
            .map_or(&self.for_others, |(_, rules)| rules)
    }

    pub(crate) fn rule(&self, index: usize) -> Option<(&Rule, &Program)> {
        Some((self.rules.get(index)?, self.programs.get(index)?))
    }

    /// The conditions of a file that did not hold on these facts, with their values: `max` of them,
    /// those that ended unknown first.
    pub(crate) fn unfired(
        &self,
        facts: &Facts<'_>,
        memory: &dyn Memory,
        source: &str,
        max: usize,
    ) -> String {
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo).remembering(memory);
        let of_file = self.rules.iter().zip(&self.programs);
        let mut explained: Vec<(&Rule, Explanation)> = of_file
            .filter(|(rule, _)| rule.source == source && rule.sees(&facts.event.r#type))
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
