//! Checking counters: what is counted, by what, over how long.

use super::clauses::{compile_key, key_parts, plain, window};
use super::expr::Checker;
use super::{Whole, check_event_types};
use crate::ast;
use crate::compile::{BoolFn, EncodeFn, ValueFn, compile_condition, value_fn};
use crate::counters::Window;
use crate::diagnostic::{Problems, Source, Span};
use crate::lexer::shown;
use crate::parser::COUNTER_FUNCTIONS;
use crate::ruleset::{Counter, CounterFunction};
use crate::schema::ROOTS;
use crate::suggest::did_you_mean_or_list;
use crate::typed::Typed;
use crate::types::Type;

/// Most counters of one set.
pub(crate) const COUNTERS_MAX: usize = 1_000;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most work to find out whether and how an event counts, as for a rule.
const COST_MAX: u64 = super::COST_MAX;

/// What runs when an event comes.
pub(crate) struct CounterProgram {
    pub(crate) by: Vec<EncodeFn>,
    pub(crate) value: Option<ValueFn>,
    pub(crate) filter: Option<BoolFn>,
}

/// Checks one counter and gives it its number. Nothing after reports of what is wrong with it.
pub(crate) fn check_counter(
    counter: &ast::Counter,
    source: &Source,
    whole: &mut Whole<'_>,
    problems: &mut Problems<'_>,
    made: &mut Vec<(Counter, CounterProgram)>,
) {
    let errors_before = problems.errors();
    let name = &counter.name.node;
    check_name(counter, made, problems);
    let function = check_function(counter, problems);
    check_parts(counter, problems);
    let on = check_event_types(&counter.on, whole.schema, problems);
    let none = std::collections::BTreeMap::new();
    let mut checker = Checker::new(
        problems,
        whole.schema,
        &on,
        &mut whole.shared,
        &mut whole.banks,
        // A counter counts what events say, never what other counters read.
        &none,
    );
    checker.lexicons = Some(&whole.lexicons);
    checker.of_counter = true;
    let by = key_parts(&counter.by, counter.name.span, &mut checker);
    let over = counter.over.as_ref();
    let window = over.and_then(|over| window(over, &mut checker));
    let value = counter.value.as_ref().map_or(Given::Nothing, |value| {
        let typed = checker.expr(value);
        plain(typed, "what is counted", &mut checker).map_or(Given::Wrong, Given::Is)
    });
    let filter = counter.filter.as_ref().map_or(Given::Nothing, |filter| {
        let typed = checker.condition(filter);
        plain(typed, "`where`", &mut checker).map_or(Given::Wrong, Given::Is)
    });
    let checked = Checked {
        by,
        window,
        value,
        filter,
    };
    let ty = function.and_then(|function| checked.reads(function, &mut checker));
    checked.check_cost(counter.name.span, &mut checker);
    let hash = checker.hash_with_asked(counter.hash, &[]);
    let (Some(function), Some(ty)) = (function, ty) else {
        remember_wrong(name, whole);
        return;
    };
    if counter.broken || problems.errors() > errors_before {
        remember_wrong(name, whole);
        return;
    }
    let Some((by, window, value, filter)) = checked.whole() else {
        return remember_wrong(name, whole);
    };
    let program = CounterProgram {
        by: compile_key(&by, &mut whole.shared),
        value: value.map(|value| value_fn(&value, &mut whole.shared)),
        filter: filter.map(|filter| compile_condition(&filter, &mut whole.shared)),
    };
    whole
        .counters
        .insert(name.clone(), (made.len(), ty.clone()));
    let declared = Counter {
        name: name.clone(),
        function,
        window,
        on,
        ty,
        source: source.name.clone(),
        line: problems.line(counter.span.start),
        text: counter.span.of(&source.text).to_owned(),
        hash,
    };
    whole.counter_hashes.push(hash);
    made.push((declared, program));
}

/// A counter that is wrong is reported once, and not again wherever it is used.
fn remember_wrong(name: &str, whole: &mut Whole<'_>) {
    let wrong = (usize::MAX, Type::Never);
    whole.counters.entry(name.to_owned()).or_insert(wrong);
}

struct Checked {
    by: Option<Vec<Typed>>,
    window: Option<Window>,
    value: Given,
    filter: Given,
}

/// A part that may be left out.
enum Given {
    Nothing,
    /// It was reported.
    Wrong,
    Is(Typed),
}

impl Given {
    fn cost(&self) -> u64 {
        match self {
            Self::Is(typed) => typed.cost,
            Self::Nothing | Self::Wrong => 0,
        }
    }
}

type Parts = (Vec<Typed>, Window, Option<Typed>, Option<Typed>);

impl Checked {
    /// What the counter reads, or nothing after a report.
    fn reads(&self, function: CounterFunction, checker: &mut Checker<'_, '_>) -> Option<Type> {
        let value = match (&self.value, function) {
            (_, CounterFunction::Count) | (Given::Nothing, _) => None,
            (Given::Wrong, _) => return None,
            (Given::Is(value), _) => Some(value),
        };
        match (function, value) {
            (CounterFunction::Count | CounterFunction::Distinct, _) => Some(Type::Int),
            (_, None) => None,
            (CounterFunction::Last, Some(value)) => Some(value.ty.clone()),
            (CounterFunction::Sum, Some(value)) if value.ty.is_number() => Some(value.ty.clone()),
            (CounterFunction::Sum, Some(value)) => {
                let message = format!("`sum` adds up numbers, this is a {}", value.ty);
                let hint = "name a field that is an int or a float";
                checker.problems.error_hint(value.span, message, hint);
                None
            }
        }
    }

    fn check_cost(&self, at: Span, checker: &mut Checker<'_, '_>) {
        let by = self.by.iter().flatten().map(|part| part.cost);
        let cost: u64 = by.sum::<u64>() + self.value.cost() + self.filter.cost();
        if cost > COST_MAX {
            let message =
                format!("this counter costs up to {cost} for one event, the limit is {COST_MAX}");
            let hint = "count by a field of the event";
            checker.problems.error_hint(at, message, hint);
        }
    }

    fn whole(self) -> Option<Parts> {
        let value = match self.value {
            Given::Nothing => None,
            Given::Wrong => return None,
            Given::Is(typed) => Some(typed),
        };
        let filter = match self.filter {
            Given::Nothing => None,
            Given::Wrong => return None,
            Given::Is(typed) => Some(typed),
        };
        Some((self.by?, self.window?, value, filter))
    }
}

fn check_name(
    counter: &ast::Counter,
    made: &[(Counter, CounterProgram)],
    problems: &mut Problems<'_>,
) {
    let (name, span) = (counter.name.node.as_str(), counter.name.span);
    let earlier = made.iter().find(|(earlier, _)| earlier.name == name);
    if let Some((earlier, _)) = earlier {
        let message = format!(
            "counter `{}` exists already, at {}:{}",
            shown(name),
            earlier.source,
            earlier.line
        );
        problems.error_hint(
            span,
            message,
            "rename one of the two: names are unique over all files",
        );
    }
    if made.len() >= COUNTERS_MAX {
        problems.error(span, format!("more than {COUNTERS_MAX} counters"));
    }
    if ROOTS.contains(&name) {
        let message = format!("`{name}` already means something in conditions");
        problems.error_hint(span, message, "choose another name");
    }
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_plain {
        let message = format!("`{}` cannot be a counter's name", shown(name));
        let hint = "use lower-case letters, digits and `_`, beginning with a letter, at most 64";
        problems.error_hint(span, message, hint);
    }
}

fn check_function(counter: &ast::Counter, problems: &mut Problems<'_>) -> Option<CounterFunction> {
    let word = counter.function.node.as_str();
    let found = match word {
        "count" => Some(CounterFunction::Count),
        "distinct" => Some(CounterFunction::Distinct),
        "sum" => Some(CounterFunction::Sum),
        "last" => Some(CounterFunction::Last),
        _ => None,
    };
    if found.is_none() {
        let message = format!("a counter cannot be `{}`", shown(word));
        let hint = did_you_mean_or_list(word, COUNTER_FUNCTIONS);
        problems.error_hint(counter.function.span, message, hint);
    }
    found
}

fn check_parts(counter: &ast::Counter, problems: &mut Problems<'_>) {
    if counter.broken {
        return;
    }
    let missing = [
        (
            counter.by.is_empty(),
            "does not say what it counts by",
            "add `by` and a field, for example `by account.id`",
        ),
        (
            counter.over.is_none(),
            "does not say over how long it counts",
            "add `over` and a duration, for example `over 24h`",
        ),
    ];
    for (_, what, hint) in missing.into_iter().filter(|(missing, _, _)| *missing) {
        let message = format!("counter `{}` {what}", shown(&counter.name.node));
        problems.error_hint(counter.name.span, message, hint);
    }
}
