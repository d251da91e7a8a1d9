//! Why a rule fired: its condition evaluated step by step, with every value written down.
//!
//! This interprets the checked tree, where [`compile`](crate::compile) turns it into closures: it
//! is slower, looks at every operand instead of stopping at the first that decides, and keeps
//! - the **trace**: each part of the condition with its value, or why it has none;
//! - the **matches** the outcome rests on. A lookup that is true but did not help the condition to
//!   be true (it stands under `not`, or in an `and` that failed) is no evidence, and left out;
//! - the **media** the condition found, for effects on `media`.

use crate::ast::Binary;
use crate::compile::{text_form, text_holds};
use crate::diagnostic::Span;
use crate::env::{self, Bound, Ctx, medium_of};
use crate::library::{Function, How, Input, Operand, Prepared, Run, lexicon_found};
use crate::literal::{show_duration, show_string};
use crate::memory::Remembered;
use crate::ops;
use crate::schema::Field;
use crate::typed::{
    AttributeName, Kind, LIST_MAX, Literal, Lookup, Macro, Place, TextFunction, Typed,
};
use crate::types::Type;
use jiff::{SignedDuration, Timestamp};
use manara_model::{Match, Traced};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// Longest text shown in a trace, in characters.
const SHOWN_CHARS_MAX: usize = 200;
/// Most elements of a list shown in a trace.
const SHOWN_ELEMENTS_MAX: usize = 8;
/// Most lines of one trace.
const LINES_MAX: usize = 64;
/// Most lines of a full trace.
const FULL_LINES_MAX: usize = 10_000;

/// What a fired rule rests on.
#[derive(Debug, Default)]
pub(crate) struct Explanation {
    pub(crate) value: Option<bool>,
    pub(crate) because: Vec<Match>,
    pub(crate) trace: Vec<Traced>,
    /// Indexes of the media the condition found, ascending.
    pub(crate) media: Vec<usize>,
}

/// Evaluates the condition, keeping what it rests on. `text` is its rule's, which begins at `start`
/// of the file that the condition's spans count in.
pub(crate) fn explain(condition: &Typed, start: usize, text: &str, ctx: &Ctx<'_>) -> Explanation {
    let mut walk = Walk::new(start, text);
    let value = walk.eval(condition, ctx, true).as_bool();
    let Walk {
        because,
        trace,
        mut media,
        ..
    } = walk;
    media.sort_unstable();
    media.dedup();
    let mut unique: Vec<Match> = Vec::with_capacity(because.len());
    for found in because {
        if !unique.contains(&found) {
            unique.push(found);
        }
    }
    Explanation {
        value,
        because: unique,
        trace,
        media,
    }
}

/// The value of a condition that does not depend on the event.
pub(crate) fn constant(condition: &Typed, ctx: &Ctx<'_>) -> Option<bool> {
    let mut walk = Walk {
        keep_trace: false,
        ..Walk::new(0, "")
    };
    walk.eval(condition, ctx, true).as_bool()
}

/// Every part of a condition with its value, in the order of the text, parts below what they are
/// parts of.
#[derive(Debug, Default)]
pub(crate) struct FullTrace {
    pub(crate) value: Option<bool>,
    pub(crate) lines: Vec<FullLine>,
    /// Whether there was more than the limit.
    pub(crate) cut: bool,
}

/// One part of a condition.
#[derive(Debug)]
pub(crate) struct FullLine {
    pub(crate) depth: u16,
    pub(crate) expression: String,
    pub(crate) value: String,
}

/// Evaluates the condition, writing down every part of it; see [`explain`].
pub(crate) fn explain_fully(
    condition: &Typed,
    start: usize,
    text: &str,
    ctx: &Ctx<'_>,
) -> FullTrace {
    let mut walk = Walk {
        keep_trace: false,
        full: Some(FullTrace::default()),
        ..Walk::new(start, text)
    };
    let value = walk.eval(condition, ctx, true).as_bool();
    FullTrace {
        value,
        ..walk.full.unwrap_or_default()
    }
}

/// Why a value is not known.
#[derive(Debug, Clone, PartialEq)]
enum Why {
    Missing(String),
    WrongType(String, Type),
    Unreadable(usize),
    NoMatch,
    NoResult,
    TooLong,
    /// What happened before is not known here, or the event came too late to be counted.
    NotRemembered,
    /// A function has no answer, for the reason it gives.
    Because(&'static str),
    /// One of its parts is unknown, and says why on its own line.
    Part,
}

#[derive(Debug, Clone)]
enum Value<'a> {
    Unknown(Why),
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Duration(SignedDuration),
    Time(Timestamp),
    Medium(usize),
    Link(usize, &'a str),
    /// An element of `content.found_links`.
    Found(usize, &'a str),
    /// So many entries.
    Map(usize),
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Link(_, text) | Self::Found(_, text) => Some(text),
            _ => None,
        }
    }
    /// As what a function is about.
    fn into_operand(self) -> Option<Operand<'a>> {
        Some(match self {
            Self::Bool(v) => Operand::Bool(v),
            Self::Int(v) => Operand::Int(v),
            Self::Float(v) => Operand::Float(v),
            Self::Text(v) => Operand::Text(v),
            Self::Link(_, v) | Self::Found(_, v) => Operand::Text(Cow::Borrowed(v)),
            Self::Duration(v) => Operand::Duration(v),
            Self::Time(v) => Operand::Time(v),
            Self::Unknown(_) | Self::Medium(_) | Self::Map(_) | Self::List(_) => return None,
        })
    }
    fn of_bool(value: Option<bool>) -> Self {
        value.map_or(Self::Unknown(Why::Part), Self::Bool)
    }
    fn bound(&self) -> Option<Bound<'_>> {
        Some(match self {
            Self::Unknown(_) | Self::List(_) | Self::Map(_) => return None,
            Self::Bool(v) => Bound::Bool(*v),
            Self::Int(v) => Bound::Int(*v),
            Self::Float(v) => Bound::Float(*v),
            Self::Text(v) => Bound::Text(v),
            Self::Duration(v) => Bound::Duration(*v),
            Self::Time(v) => Bound::Time(*v),
            Self::Medium(index) => Bound::Medium(*index),
            Self::Link(index, _) => Bound::Link(*index),
            Self::Found(index, _) => Bound::Found(*index),
        })
    }

    /// As the rule language writes it.
    fn show(&self) -> String {
        match self {
            Self::Unknown(why) => match why {
                Why::Missing(path) => format!("unknown ({path} is missing)"),
                Why::WrongType(path, ty) => format!("unknown ({path} is not of type {ty})"),
                Why::Unreadable(index) => {
                    format!("unknown (content.media[{index}] could not be read)")
                }
                Why::NoMatch => "unknown (nothing near enough)".to_owned(),
                Why::NoResult => "unknown (out of range or divided by zero)".to_owned(),
                Why::NotRemembered => "unknown (what came before is not known)".to_owned(),
                Why::TooLong => "unknown (past the 256th element)".to_owned(),
                Why::Because(why) => format!("unknown ({why})"),
                Why::Part => "unknown".to_owned(),
            },
            Self::Bool(v) => v.to_string(),
            Self::Int(v) => v.to_string(),
            Self::Float(v) => format!("{v:?}"),
            Self::Text(v) => show_string(v, SHOWN_CHARS_MAX),
            Self::Link(_, v) | Self::Found(_, v) => show_string(v, SHOWN_CHARS_MAX),
            Self::Map(1) => "{1 entry}".to_owned(),
            Self::Map(len) => format!("{{{len} entries}}"),
            Self::Duration(v) => show_duration(*v),
            Self::Time(v) => format!("timestamp(\"{v}\")"),
            Self::Medium(index) => format!("content.media[{index}]"),
            Self::List(items) => show_list(items),
        }
    }
}

fn show_list(items: &[Value<'_>]) -> String {
    let mut shown = String::from("[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            shown.push_str(", ");
        }
        if i == SHOWN_ELEMENTS_MAX || shown.len() > SHOWN_CHARS_MAX {
            shown.extend(["… ", &items.len().to_string(), " in all"]);
            break;
        }
        shown.push_str(&item.show());
    }
    shown.push(']');
    shown
}

struct Walk<'t> {
    start: usize,
    text: &'t str,
    because: Vec<Match>,
    trace: Vec<Traced>,
    media: Vec<usize>,
    keep_trace: bool,
    /// Every part with its value, where that is wanted.
    full: Option<FullTrace>,
    depth: u16,
}

/// How much evidence there was, to go back to.
#[derive(Clone, Copy)]
struct Mark {
    because: usize,
    media: usize,
}

impl<'t> Walk<'t> {
    fn new(start: usize, text: &'t str) -> Self {
        Self {
            start,
            text,
            because: Vec::new(),
            trace: Vec::new(),
            media: Vec::new(),
            keep_trace: true,
            full: None,
            depth: 0,
        }
    }

    /// Keeps a line of the full trace for a part whose value is not known yet; its place.
    fn open_line(&mut self, typed: &Typed) -> Option<usize> {
        self.full.as_ref()?;
        // A literal is its own value.
        if matches!(typed.kind, Kind::Literal(_)) {
            return None;
        }
        let expression = self.written(typed);
        self.add_line(expression, String::new())
    }

    fn add_line(&mut self, expression: String, value: String) -> Option<usize> {
        let depth = self.depth;
        let full = self.full.as_mut()?;
        if full.lines.len() >= FULL_LINES_MAX {
            full.cut = true;
            return None;
        }
        full.lines.push(FullLine {
            depth,
            expression,
            value,
        });
        Some(full.lines.len() - 1)
    }

    fn close_line(&mut self, line: Option<usize>, value: &Value<'_>) {
        let full = self.full.as_mut();
        if let Some(line) = line.and_then(|line| full?.lines.get_mut(line)) {
            line.value = value.show();
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            because: self.because.len(),
            media: self.media.len(),
        }
    }

    fn drop_since(&mut self, mark: Mark) {
        self.because.truncate(mark.because);
        self.media.truncate(mark.media);
    }

    /// Evaluates a part. `wanted` is the outcome it would contribute to: true, or false under `not`.
    fn eval<'e>(&mut self, typed: &'e Typed, ctx: &Ctx<'e>, wanted: bool) -> Value<'e> {
        let mark = self.mark();
        let line = self.open_line(typed);
        self.depth = self.depth.saturating_add(1);
        let value = self.value(typed, ctx, wanted);
        self.depth = self.depth.saturating_sub(1);
        self.close_line(line, &value);
        if typed.ty == Type::Bool && value.as_bool() != Some(wanted) {
            self.drop_since(mark);
        }
        self.note(typed, &value);
        value
    }

    fn note(&mut self, typed: &Typed, value: &Value<'_>) {
        let is_plain = matches!(
            typed.kind,
            Kind::Literal(_) | Kind::And(_) | Kind::Or(_) | Kind::Not(_)
        );
        if is_plain || !self.keep_trace || self.trace.len() >= LINES_MAX {
            return;
        }
        if matches!(typed.kind, Kind::List(_)) && typed.is_constant() {
            return;
        }
        let expression = self.written(typed);
        self.keep(expression, value.show());
    }

    /// Keeps a line of the trace, once.
    fn keep(&mut self, expression: String, value: String) {
        if !self.keep_trace || self.trace.len() >= LINES_MAX {
            return;
        }
        let line = Traced { expression, value };
        if !self.trace.contains(&line) {
            self.trace.push(line);
        }
    }

    /// A part as its author wrote it, on one line.
    fn written(&self, typed: &Typed) -> String {
        let span = Span {
            start: typed.span.start.saturating_sub(self.start),
            end: typed.span.end.saturating_sub(self.start),
        };
        let written = span
            .of(self.text)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let mut expression: String = written.chars().take(SHOWN_CHARS_MAX).collect();
        if expression.len() < written.len() {
            expression.push('…');
        }
        expression
    }

    fn value<'e>(&mut self, typed: &'e Typed, ctx: &Ctx<'e>, wanted: bool) -> Value<'e> {
        match &typed.kind {
            Kind::Literal(literal) => literal_value(literal),
            Kind::Field(field) => field_value(*field, ctx),
            Kind::Attribute(attribute) => {
                let path = || format!("attributes.{}", attribute.name);
                json_value(ctx.attribute(attribute), &typed.ty, path, ctx)
            }
            Kind::Entry { map, key } => self.entry(map, key, &typed.ty, ctx),
            Kind::HasKey { map, key } => {
                let key = self.operand(key, ctx);
                match key.as_text() {
                    Some(key) => match ctx.has_key(map, key) {
                        Some(there) => Value::Bool(there),
                        None => no_map(map, ctx),
                    },
                    None => Value::Unknown(Why::Part),
                }
            }
            Kind::Variable { slot, .. } => bound_value(ctx, ctx.bound(*slot)),
            Kind::MediumField { slot, field, .. } => medium_value(*slot, *field, ctx),
            Kind::Not(inner) => match self.eval(inner, ctx, !wanted) {
                Value::Bool(value) => Value::Bool(!value),
                unknown => unknown,
            },
            Kind::Negate(inner) => negated(&self.eval(inner, ctx, wanted)),
            Kind::And(items) => {
                let values: Vec<_> = items
                    .iter()
                    .map(|item| self.eval(item, ctx, wanted).as_bool())
                    .collect();
                Value::of_bool(ops::all(values))
            }
            Kind::Or(items) => {
                let values: Vec<_> = items
                    .iter()
                    .map(|item| self.eval(item, ctx, wanted).as_bool())
                    .collect();
                Value::of_bool(ops::any(values))
            }
            Kind::Binary(op, left, right) => {
                // Whatever is compared contributes by its value, whichever it is.
                let (left, right) = (self.operand(left, ctx), self.operand(right, ctx));
                binary(*op, &left, &right)
            }
            Kind::Choose(condition, yes, no) => match self.operand(condition, ctx).as_bool() {
                Some(true) => self.eval(yes, ctx, wanted),
                Some(false) => self.eval(no, ctx, wanted),
                None => Value::Unknown(Why::Part),
            },
            Kind::List(items) => {
                Value::List(items.iter().map(|item| self.operand(item, ctx)).collect())
            }
            Kind::Text {
                function,
                receiver,
                arg,
            } => self.text(*function, receiver, arg.as_deref(), ctx),
            Kind::Call {
                function,
                subject,
                prepared,
            } => self.call(function, subject.as_deref(), prepared, ctx),
            Kind::Size(of) => self.size(of, ctx),
            Kind::Filter {
                list,
                slot,
                name,
                body,
            } => self.filter(list, (*slot, name), body, ctx),
            Kind::Macro {
                which,
                list,
                slot,
                name,
                body,
            } => self.macro_call(*which, list, (*slot, name), body, ctx, wanted),
            Kind::Has(field) => match self.operand(field, ctx) {
                Value::Unknown(_) => Value::Bool(false),
                Value::List(items) => Value::Bool(!items.is_empty()),
                Value::Map(len) => Value::Bool(len > 0),
                _ => Value::Bool(true),
            },
            Kind::HasEntity(entity) => Value::Bool(ctx.has_entity(*entity)),
            Kind::Matches(lookup) => self.matches(lookup, ctx),
            Kind::Distance(lookup) => self.distance(lookup, ctx),
            Kind::Form(lookup) => self.form(lookup, ctx),
            Kind::Counter(index) => remembered(ctx.counter(*index)),
            Kind::HasLabel(entity, label) => match ctx.has_label(*entity, label) {
                Some(has) => Value::Bool(has),
                None if ctx.has_entity(*entity) => Value::Unknown(Why::NotRemembered),
                None => Value::Unknown(Why::Missing(entity.to_string())),
            },
            Kind::Strikes(within) => match ctx.strikes(*within) {
                Some(weight) => Value::Int(weight),
                None => Value::Unknown(Why::NotRemembered),
            },
            Kind::InSet(set, item) => {
                let item = self.operand(item, ctx);
                Value::of_bool(item.as_text().and_then(|item| ctx.in_set(set, item)))
            }
            Kind::Members(lookup) => self.members(lookup, ctx),
            Kind::Wrong => Value::Unknown(Why::Part),
        }
    }

    /// An operand whose value matters, whatever it is: a true condition is evidence for what it is
    /// part of, and so is a false one.
    fn operand<'e>(&mut self, typed: &'e Typed, ctx: &Ctx<'e>) -> Value<'e> {
        self.eval(typed, ctx, true)
    }

    fn text<'e>(
        &mut self,
        function: TextFunction,
        receiver: &'e Typed,
        arg: Option<&'e Typed>,
        ctx: &Ctx<'e>,
    ) -> Value<'e> {
        let value = self.operand(receiver, ctx);
        let Some(text) = value.as_text() else {
            if let Some(arg) = arg {
                self.operand(arg, ctx);
            }
            return Value::Unknown(Why::Part);
        };
        match arg {
            None => Value::Text(text_form(function, Cow::Borrowed(text)).into_owned().into()),
            Some(arg) => {
                let part = self.operand(arg, ctx);
                Value::of_bool(part.as_text().map(|part| text_holds(function, text, part)))
            }
        }
    }

    /// What a map holds under a key, or why that is not known.
    fn entry<'e>(
        &mut self,
        map: &AttributeName,
        key: &'e Typed,
        ty: &Type,
        ctx: &Ctx<'e>,
    ) -> Value<'e> {
        let key = self.operand(key, ctx);
        let Some(key) = key.as_text() else {
            return Value::Unknown(Why::Part);
        };
        if ctx.has_key(map, key).is_none() {
            return no_map(map, ctx);
        }
        let path = || format!("attributes.{}[{}]", map.name, show_string(key, 40));
        json_value(ctx.entry(map, key), ty, path, ctx)
    }

    fn call<'e>(
        &mut self,
        function: &'static Function,
        subject: Option<&'e Typed>,
        prepared: &'e Prepared,
        ctx: &Ctx<'e>,
    ) -> Value<'e> {
        let How::Run { run, .. } = function.how else {
            return Value::Unknown(Why::Part);
        };
        let value = match subject {
            None => Operand::Nothing,
            Some(subject) => match self.operand(subject, ctx).into_operand() {
                Some(value) => value,
                None => return Value::Unknown(Why::Part),
            },
        };
        let place = subject.map_or(Place::Elsewhere, Typed::place);
        let input = Input {
            ctx,
            value,
            origin: place.now(ctx),
            prepared,
        };
        if let Some((lexicon, phrases)) = lexicon_found(&input)
            && !phrases.is_empty()
        {
            let phrases = phrases.into_iter().map(|it| Value::Text(it.into()));
            let found = Value::List(phrases.collect()).show();
            let asked = format!("lexicon({})", show_string(lexicon, SHOWN_CHARS_MAX));
            self.add_line(asked.clone(), found.clone());
            self.keep(asked, found);
        }
        let answer = match run {
            Run::Bool(run) => run(input).map(Value::Bool),
            Run::Int(run) => run(input).map(Value::Int),
            Run::Float(run) => run(input).map(Value::Float),
            Run::Text(run) => run(input).map(Value::Text),
            Run::Texts(run) => {
                let mut items = Vec::new();
                run(input, &mut |text| {
                    if items.len() == LIST_MAX {
                        items.push(Value::Unknown(Why::TooLong));
                        return ControlFlow::Break(());
                    }
                    items.push(Value::Text(text.to_owned().into()));
                    ControlFlow::Continue(())
                })
                .map(|()| Value::List(items))
            }
        };
        answer.unwrap_or_else(|why| Value::Unknown(Why::Because(why)))
    }

    fn size<'e>(&mut self, of: &'e Typed, ctx: &Ctx<'e>) -> Value<'e> {
        let value = self.operand(of, ctx);
        let items = match &value {
            Value::List(items) => items,
            Value::Map(len) => return Value::Int(*len as i64),
            other => {
                return match other.as_text() {
                    Some(text) => Value::Int(text.chars().count() as i64),
                    None => Value::Unknown(Why::Part),
                };
            }
        };
        if let Some(len) = length(of, ctx) {
            return Value::Int(len);
        }
        let is_written = matches!(of.kind, Kind::List(_));
        if !is_written && items.iter().any(|item| matches!(item, Value::Unknown(_))) {
            return Value::Unknown(Why::Part);
        }
        Value::Int(items.len() as i64)
    }

    /// The elements of which the condition holds, and an unknown one for each that may be among them.
    fn filter<'e>(
        &mut self,
        list: &'e Typed,
        (slot, name): (usize, &str),
        body: &'e Typed,
        ctx: &Ctx<'e>,
    ) -> Value<'e> {
        let Value::List(items) = self.operand(list, ctx) else {
            return Value::Unknown(Why::Part);
        };
        let mut kept = Vec::new();
        let mut told = false;
        for item in items {
            let holds = self.body((slot, name), &item, body, ctx, (true, &mut told, true));
            match (holds, item) {
                (Some(true), item) => {
                    if let Value::Medium(index) = item {
                        self.media.push(index);
                    }
                    kept.push(item);
                }
                (Some(false), _) => {}
                (None, Value::Unknown(why)) => kept.push(Value::Unknown(why)),
                (None, _) => kept.push(Value::Unknown(Why::Part)),
            }
        }
        Value::List(kept)
    }

    /// A condition on one element of a list. The trace shows one element in detail: the first of
    /// which it is `telling`; the full trace shows each.
    fn body(
        &mut self,
        (slot, name): (usize, &str),
        item: &Value<'_>,
        body: &Typed,
        ctx: &Ctx<'_>,
        (wanted, told, telling): (bool, &mut bool, bool),
    ) -> Option<bool> {
        let bound = item.bound()?;
        let before = self.trace.len();
        if !*told {
            self.note_binding(name, item);
        }
        if self.full.is_some() {
            self.add_line(name.to_owned(), item.show());
        }
        let keep = self.keep_trace;
        self.keep_trace &= !*told;
        // The element may be computed here, so what is bound to it lives shorter than the facts.
        let inner: Ctx<'_> = *ctx;
        let value = self.eval(body, &inner.with(slot, bound), wanted).as_bool();
        self.keep_trace = keep;
        if !*told && value == Some(telling) {
            *told = true;
        } else if !*told {
            self.trace.truncate(before);
        }
        value
    }

    fn macro_call<'e>(
        &mut self,
        which: Macro,
        list: &'e Typed,
        (slot, name): (usize, &str),
        body: &'e Typed,
        ctx: &Ctx<'e>,
        wanted: bool,
    ) -> Value<'e> {
        let media = self.media.len();
        let Value::List(items) = self.operand(list, ctx) else {
            return Value::Unknown(Why::Part);
        };
        // Of the media a filter has found, those count of which this condition is true as well.
        self.media.truncate(media);
        let mut values = Vec::with_capacity(items.len());
        let telling = which != Macro::All;
        let mut told = false;
        let wanted_inside = if which == Macro::Count { true } else { wanted };
        for item in &items {
            let how = (wanted_inside, &mut told, telling);
            let value = self.body((slot, name), item, body, ctx, how);
            if let (Value::Medium(index), Some(true), true) = (item, value, wanted_inside) {
                self.media.push(*index);
            }
            values.push(value);
        }
        match which {
            Macro::Exists => Value::of_bool(ops::any(values)),
            Macro::All => Value::of_bool(ops::all(values)),
            Macro::Count if values.contains(&None) => Value::Unknown(Why::Part),
            Macro::Count => Value::Int(values.iter().filter(|v| **v == Some(true)).count() as i64),
        }
    }

    fn note_binding(&mut self, name: &str, item: &Value<'_>) {
        if self.keep_trace && self.trace.len() < LINES_MAX {
            self.trace.push(Traced {
                expression: name.to_owned(),
                value: item.show(),
            });
        }
    }

    fn matches<'e>(&mut self, lookup: &Lookup, ctx: &Ctx<'e>) -> Value<'e> {
        self.because_of(ctx.matches(lookup));
        match (ctx.has_match(lookup), ctx.unreadable(lookup.target)) {
            (Some(value), _) => Value::Bool(value),
            (None, Some(index)) => Value::Unknown(Why::Unreadable(index)),
            (None, None) => Value::Unknown(Why::Part),
        }
    }

    fn distance<'e>(&mut self, lookup: &Lookup, ctx: &Ctx<'e>) -> Value<'e> {
        let nearest = ctx.distance(lookup);
        self.because_of(
            ctx.matches(lookup)
                .filter(|m| Some(i64::from(m.distance)) == nearest),
        );
        nearest.map_or(Value::Unknown(Why::NoMatch), Value::Int)
    }

    fn form<'e>(&mut self, lookup: &Lookup, ctx: &Ctx<'e>) -> Value<'e> {
        let nearest = ctx.nearest_image(lookup);
        self.because_of(nearest.into_iter());
        match nearest.and_then(Match::form) {
            Some(form) => Value::Text(Cow::Borrowed(form)),
            None => Value::Unknown(Why::NoMatch),
        }
    }

    fn members<'e>(&mut self, lookup: &Lookup, ctx: &Ctx<'e>) -> Value<'e> {
        self.because_of(ctx.matches(lookup));
        match (ctx.members(lookup), ctx.unreadable(lookup.target)) {
            (Some(members), _) => Value::Int(members),
            (None, Some(index)) => Value::Unknown(Why::Unreadable(index)),
            (None, None) => Value::Unknown(Why::Part),
        }
    }

    fn because_of<'m>(&mut self, matches: impl Iterator<Item = &'m Match>) {
        for found in matches {
            self.media.extend(medium_of(&found.field));
            self.because.push(found.clone());
        }
    }
}

/// Why nothing can be said of a map's keys.
fn no_map<'e>(map: &AttributeName, ctx: &Ctx<'e>) -> Value<'e> {
    let path = format!("attributes.{}", map.name);
    Value::Unknown(match ctx.attribute(map) {
        None => Why::Missing(path),
        Some(_) => Why::WrongType(path, Type::map(Type::String)),
    })
}

// ---- leaves ----

fn remembered<'e>(value: Option<Remembered>) -> Value<'e> {
    match value {
        None => Value::Unknown(Why::NotRemembered),
        Some(Remembered::Bool(v)) => Value::Bool(v),
        Some(Remembered::Int(v)) => Value::Int(v),
        Some(Remembered::Float(v)) => Value::Float(v),
        Some(Remembered::Text(v)) => Value::Text(v.into()),
        Some(Remembered::Duration(v)) => Value::Duration(v),
        Some(Remembered::Time(v)) => Value::Time(v),
    }
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Bool(v) => Value::Bool(*v),
        Literal::Int(v) => Value::Int(*v),
        Literal::Float(v) => Value::Float(*v),
        Literal::Text(v) => Value::Text(Cow::Borrowed(v)),
        Literal::Duration(v) => Value::Duration(*v),
        Literal::Time(v) => Value::Time(*v),
    }
}

fn field_value<'e>(field: Field, ctx: &Ctx<'e>) -> Value<'e> {
    let value = match field.ty() {
        Type::String => ctx.text(field).map(|v| Value::Text(v.into())),
        Type::Int => ctx.int(field).map(Value::Int),
        Type::Time => ctx.time(field).map(Value::Time),
        Type::Duration => ctx.duration(field).map(Value::Duration),
        _ => ctx.len(field).map(|len| {
            let element = |index| match ctx.element(field, index) {
                Some(bound) => bound_value(ctx, bound),
                None => Value::Unknown(Why::Part),
            };
            Value::List((0..len).map(element).collect())
        }),
    };
    value.unwrap_or_else(|| {
        let missing = match field {
            Field::AccountAge => Field::AccountCreatedAt,
            Field::ContentDetectedLanguage | Field::ContentTextKey
                if ctx.text(Field::ContentText).is_some() =>
            {
                return Value::Unknown(Why::Because(if field == Field::ContentTextKey {
                    "nothing is left of the text"
                } else {
                    "the language cannot be told"
                }));
            }
            Field::ContentDetectedLanguage | Field::ContentTextKey => Field::ContentText,
            Field::ContentLinks | Field::ContentFoundLinks | Field::ContentLinkDomains => {
                return Value::Unknown(Why::Missing("content".to_owned()));
            }
            other => other,
        };
        Value::Unknown(Why::Missing(missing.path()))
    })
}

fn medium_value<'e>(slot: usize, field: crate::schema::MediumField, ctx: &Ctx<'e>) -> Value<'e> {
    let Some(index) = ctx.medium_index(slot) else {
        return Value::Unknown(Why::Part);
    };
    let value = match field.ty() {
        Type::String => ctx.medium_text(index, field).map(Value::Text),
        Type::Int => ctx.medium_int(index, field).map(Value::Int),
        _ => ctx.medium_bool(index, field).map(Value::Bool),
    };
    value.unwrap_or_else(|| {
        Value::Unknown(Why::Missing(format!(
            "content.media[{index}].{}",
            field.name()
        )))
    })
}

fn json_value<'e>(
    json: Option<&'e Json>,
    ty: &Type,
    path: impl Fn() -> String,
    ctx: &Ctx<'e>,
) -> Value<'e> {
    let Some(json) = json else {
        return Value::Unknown(Why::Missing(path()));
    };
    let value = match ty {
        Type::Bool => env::json_bool(json).map(Value::Bool),
        Type::Int => env::json_int(json).map(Value::Int),
        Type::Float => env::json_float(json).map(Value::Float),
        Type::String => env::json_text(json).map(|v| Value::Text(v.into())),
        Type::Duration => env::json_duration(json).map(Value::Duration),
        Type::Time => env::json_time(json).map(Value::Time),
        Type::Map(_) => json.as_object().map(|map| Value::Map(map.len())),
        Type::List(of) | Type::Set(of) => env::json_elements(json, ty).map(|elements| {
            let is_long = json.as_array().is_some_and(|items| items.len() > LIST_MAX);
            let elements: Vec<_> = elements.collect();
            let last = elements.len().saturating_sub(1);
            let element = |(i, element): (usize, Option<Bound<'e>>)| match element {
                Some(bound) => bound_value(ctx, bound),
                None if is_long && i == last => Value::Unknown(Why::TooLong),
                None => Value::Unknown(Why::WrongType(format!("{}[{i}]", path()), (**of).clone())),
            };
            Value::List(elements.into_iter().enumerate().map(element).collect())
        }),
        _ => None,
    };
    value.unwrap_or_else(|| Value::Unknown(Why::WrongType(path(), ty.clone())))
}

/// The true length of a list of which only the first 256 elements are looked at.
fn length(of: &Typed, ctx: &Ctx<'_>) -> Option<i64> {
    match (&of.kind, &of.ty) {
        (Kind::Attribute(name), Type::List(_)) => {
            Some(ctx.attribute(name)?.as_array()?.len() as i64)
        }
        (
            Kind::Call {
                function,
                subject,
                prepared,
            },
            _,
        ) => {
            let How::Run {
                run: Run::Texts(run),
                ..
            } = function.how
            else {
                return None;
            };
            // Evaluated a second time, since few ask and only a verdict's reader waits.
            let mut quiet = Walk {
                keep_trace: false,
                ..Walk::new(0, "")
            };
            let value = quiet.operand(subject.as_deref()?, ctx).into_operand()?;
            let place = subject.as_deref().map_or(Place::Elsewhere, Typed::place);
            let input = Input {
                ctx,
                value,
                origin: place.now(ctx),
                prepared,
            };
            let mut len = 0;
            run(input, &mut |_| {
                len += 1;
                ControlFlow::Continue(())
            })
            .ok()?;
            Some(len)
        }
        _ => None,
    }
}

fn bound_value<'e>(ctx: &Ctx<'e>, bound: Bound<'e>) -> Value<'e> {
    match bound {
        Bound::Nothing => Value::Unknown(Why::Part),
        Bound::Medium(index) => Value::Medium(index),
        Bound::Link(index) => Value::Link(index, ctx.link(index).unwrap_or_default()),
        Bound::Found(index) => Value::Found(index, ctx.found_link(index).unwrap_or_default()),
        Bound::Text(v) => Value::Text(v.into()),
        Bound::Bool(v) => Value::Bool(v),
        Bound::Int(v) => Value::Int(v),
        Bound::Float(v) => Value::Float(v),
        Bound::Duration(v) => Value::Duration(v),
        Bound::Time(v) => Value::Time(v),
    }
}

// ---- operators ----

fn negated<'e>(value: &Value<'e>) -> Value<'e> {
    let result = match value {
        Value::Int(v) => v.checked_neg().map(Value::Int),
        Value::Float(v) => Some(Value::Float(-v)),
        Value::Duration(v) => v.checked_neg().map(Value::Duration),
        _ => return Value::Unknown(Why::Part),
    };
    result.unwrap_or(Value::Unknown(Why::NoResult))
}

fn binary<'e>(op: Binary, left: &Value<'e>, right: &Value<'e>) -> Value<'e> {
    use Binary::{Equal, Greater, GreaterEqual, In, Less, LessEqual, NotEqual};
    if matches!(left, Value::Unknown(_)) || matches!(right, Value::Unknown(_)) {
        return Value::Unknown(Why::Part);
    }
    if op == In {
        let Value::List(items) = right else {
            return Value::Unknown(Why::Part);
        };
        let equal = items
            .iter()
            .map(|item| order(left, item).map(Ordering::is_eq));
        return Value::of_bool(ops::any(equal));
    }
    if matches!(
        op,
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual
    ) {
        return Value::of_bool(order(left, right).map(|ordering| ops::holds(op, ordering)));
    }
    let result = match (left, right) {
        (Value::Int(a), Value::Int(b)) => ops::int(op, *a, *b).map(Value::Int),
        (Value::Float(a), Value::Float(b)) => ops::float(op, *a, *b).map(Value::Float),
        (Value::Duration(a), Value::Duration(b)) => ops::duration(op, *a, *b).map(Value::Duration),
        (Value::Time(a), Value::Duration(b)) | (Value::Duration(b), Value::Time(a)) => {
            ops::moved(op, *a, *b).map(Value::Time)
        }
        (Value::Time(a), Value::Time(b)) => Some(Value::Duration(a.duration_since(*b))),
        _ => match (left.as_text(), right.as_text()) {
            (Some(a), Some(b)) => Some(Value::Text(format!("{a}{b}").into())),
            _ => None,
        },
    };
    result.unwrap_or(Value::Unknown(Why::NoResult))
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => ops::int_to_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => ops::int_to_float(*b, *a).map(Ordering::reverse),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        _ => Some(left.as_text()?.cmp(right.as_text()?)),
    }
}
