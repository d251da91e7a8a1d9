//! The function library: every function and method of the language is one entry of one table.
//!
//! The checker, both evaluators, "did you mean" and the reference pages read the same entry: its
//! name, what it is called on, its parameters, its result, its cost, and how it is evaluated.
//!
//! ```text
//!               ┌─ prepare (once, while checking): literal arguments ─► Prepared, or a report
//!   Function ───┤
//!               └─ run (for each event): Input { value, Prepared, event } ─► an answer, or why not
//! ```
//!
//! A function that needs more of the language than one value (a bound name, a bank, two texts) is
//! [`How::Built`]: the checker has a branch for it, and the entry describes it.

mod links;
mod names;
mod numbers;
mod sample;
mod table;
mod texts;
mod times;

pub(crate) use table::table;
pub(crate) use texts::lexicon_found;

use crate::env::{Ctx, Origin, Shared};
use crate::types::{Shape, Type};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use manara_signal::name::{Name, SloganIndex};
use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// One function of the language.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) on: On,
    pub(crate) params: &'static [Param],
    /// In words, as the reference shows it.
    pub(crate) result: &'static str,
    /// Upper bound of the work, in units of roughly a nanosecond on a text of a few hundred bytes.
    pub(crate) cost: u64,
    pub(crate) doc: &'static str,
    pub(crate) example: &'static str,
    pub(crate) how: How,
}

/// What a function is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// It stands by itself: `has(…)`.
    Nothing,
    Text,
    /// A list or a set.
    List,
    Map,
    Time,
    Duration,
    Bank,
    /// An account, a space or content.
    Entity,
    /// A set kept by operators.
    Set,
    Lexicon,
}

/// A parameter.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) wants: Wants,
    pub(crate) need: Need,
}

/// What may be given for a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wants {
    /// A text written out, called this in messages, and what to do when it is not.
    LiteralText(&'static str, &'static str),
    /// A number written out.
    LiteralNumber(&'static str, &'static str),
    /// Any value of one of these types; it is what the function is about.
    Value(&'static [Shape]),
    /// Checked by the language itself; shown so in the reference.
    Own(&'static str),
}

/// Whether a parameter must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    May,
    /// May be given, with its name before it.
    Named,
}

/// How a function is evaluated.
#[derive(Debug)]
pub(crate) enum How {
    /// By a part of the language of its own.
    Built,
    /// By `run`, with what `prepare` has made of the literal arguments.
    Run { prepare: Prepare, run: Run },
}

/// Makes of a call's literal arguments what each evaluation needs.
pub(crate) type Prepare = fn(&Given<'_>, &mut Workshop<'_>) -> Result<Prepared, Refused>;

/// The literal arguments of a call, in the order of the function's parameters.
#[derive(Debug)]
pub(crate) struct Given<'g>(pub(crate) Vec<Option<GivenLiteral<'g>>>);

/// A literal argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GivenLiteral<'g> {
    Text(&'g str),
    Number(f64),
}

impl Given<'_> {
    pub(crate) fn text(&self, param: usize) -> Option<&str> {
        match self.0.get(param)? {
            Some(GivenLiteral::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self, param: usize) -> Option<f64> {
        match self.0.get(param)? {
            Some(GivenLiteral::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

/// What preparing may use.
pub(crate) struct Workshop<'w> {
    pub(crate) shared: &'w mut Shared,
    /// The name of the rule that is checked.
    pub(crate) rule: &'w str,
}

/// Why a literal argument is refused: which, where in it, and what to do.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) param: usize,
    /// In bytes of the text it stands for.
    pub(crate) at: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Refused {
    pub(crate) fn new(param: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            param,
            at: None,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// What was made of literal arguments while checking.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    Nothing,
    /// Its number among the phrases of the rule set.
    Phrase(u64),
    Pattern(regex::Regex),
    Level(manara_signal::text::Level),
    Zone(TimeZone),
    Name {
        name: Name,
        score_min: u8,
    },
    Slogan(Arc<SloganIndex>),
    /// Its number among the lexicons of the rule set.
    Lexicon(usize),
    Share {
        /// Of 2^53 equal parts, how many are in.
        parts: u64,
        rule: Box<str>,
    },
}

impl Prepared {
    /// What it adds to the cost of a call.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            // A large pattern may step through many states at each character.
            Self::Pattern(pattern) => pattern.as_str().len() as u64,
            _ => 0,
        }
    }
}

/// A value that a function is about.
#[derive(Debug, Clone)]
pub(crate) enum Operand<'a> {
    Nothing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Duration(SignedDuration),
    Time(Timestamp),
}

/// What a function is evaluated on.
#[derive(Debug)]
pub(crate) struct Input<'a, 'c> {
    pub(crate) ctx: &'c Ctx<'a>,
    pub(crate) value: Operand<'a>,
    /// What of the event the value is.
    pub(crate) origin: Origin,
    pub(crate) prepared: &'c Prepared,
}

impl<'a> Input<'a, '_> {
    /// The text it is about. The checker lets nothing else through.
    pub(crate) fn text(&self) -> &str {
        match &self.value {
            Operand::Text(text) => text,
            _ => "",
        }
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self.value {
            Operand::Text(text) => text,
            _ => Cow::Borrowed(""),
        }
    }
}

/// An answer, or why there is none.
pub(crate) type Answer<T> = Result<T, &'static str>;

/// What is done with each of several texts.
pub(crate) type EachText<'v> = dyn FnMut(&str) -> ControlFlow<()> + 'v;

/// The evaluation, by what it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run {
    Bool(for<'a> fn(Input<'a, '_>) -> Answer<bool>),
    Int(for<'a> fn(Input<'a, '_>) -> Answer<i64>),
    Float(for<'a> fn(Input<'a, '_>) -> Answer<f64>),
    Text(for<'a> fn(Input<'a, '_>) -> Answer<Cow<'a, str>>),
    /// Visits every text of a list, however many there are.
    Texts(for<'a> fn(Input<'a, '_>, &mut EachText<'_>) -> Answer<()>),
}

impl Run {
    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::String,
            Self::Texts(_) => Type::list(Type::String),
        }
    }
}

impl Function {
    /// Upper bound of the work for a link of the event, which is read once however often it is asked;
    /// `None` for functions that are not about links.
    pub(crate) fn cost_of_kept_link(&self) -> Option<u64> {
        (self.cost == table::LINK).then_some(30)
    }
}

impl On {
    /// What a value of this type can be asked.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        match ty {
            Type::String => Some(Self::Text),
            Type::List(_) | Type::Set(_) => Some(Self::List),
            Type::Map(_) => Some(Self::Map),
            Type::Time => Some(Self::Time),
            Type::Duration => Some(Self::Duration),
            _ => None,
        }
    }

    /// Before the function's name, as the reference writes it.
    fn written(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Text => "text.",
            Self::List => "list.",
            Self::Map => "map.",
            Self::Time => "time.",
            Self::Duration => "duration.",
            Self::Bank => "bank(\"B\").",
            Self::Entity => "account.",
            Self::Set => "set(\"S\").",
            Self::Lexicon => "lexicon(\"L\").",
        }
    }
}

/// The function of this name that is called on this.
pub(crate) fn find(on: On, name: &str) -> Option<&'static Function> {
    table().iter().find(|f| f.on == on && f.name == name)
}

/// The names of the functions that are called on this, in the order of the alphabet.
pub(crate) fn names(on: On) -> Vec<&'static str> {
    let mut names: Vec<&str> = table()
        .iter()
        .filter(|f| f.on == on)
        .map(|f| f.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A function, as people see it: for completion, hover and generated reference pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its name: `contains`.
    pub name: &'static str,
    /// What it is called on: `text`, `list`, `map`, `time`, `duration`, `bank("B")`,
    /// `lexicon("L")`, or nothing.
    pub on: &'static str,
    /// How it is written: `text.contains(part: string)`.
    pub signature: String,
    /// What it answers: `bool`, `list<string>`, …
    pub result: &'static str,
    /// What it does, in a sentence without a full stop.
    pub doc: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
}

/// A level of the normaliser by its name, or a report with what there is.
pub(crate) fn level(text: &str) -> Result<manara_signal::text::Level, Refused> {
    texts::level(Some(text), 0)
}

/// Every function of the language.
///
/// ```
/// let lower = manara_rules::functions().find(|f| f.name == "lower").unwrap();
/// assert_eq!((lower.signature.as_str(), lower.result), ("text.lower()", "string"));
/// ```
pub fn functions() -> impl Iterator<Item = FunctionDoc> {
    table().iter().map(|function| FunctionDoc {
        name: function.name,
        on: function.on.written().trim_end_matches('.'),
        signature: signature(function),
        result: function.result,
        doc: function.doc,
        example: function.example,
    })
}

/// Whether it is a text written out.
pub(crate) fn is_text(param: &Param) -> bool {
    matches!(param.wants, Wants::LiteralText(..) | Wants::Own("\"…\""))
}

/// How it is written: `text.contains(part: string)`.
pub(crate) fn signature(function: &Function) -> String {
    let params: Vec<String> = function.params.iter().map(written_param).collect();
    let on = function.on.written();
    format!("{on}{}({})", function.name, params.join(", "))
}

fn written_param(param: &Param) -> String {
    let ty = match param.wants {
        Wants::LiteralText(..) => "\"…\"".to_owned(),
        Wants::LiteralNumber(..) => "number".to_owned(),
        Wants::Value(shapes) => {
            let types: Vec<String> = shapes.iter().map(|s| s.ty().to_string()).collect();
            types.join(" or ")
        }
        Wants::Own(words) => words.to_owned(),
    };
    match param.need {
        Need::Must => format!("{}: {ty}", param.name),
        Need::May | Need::Named => format!("[{}: {ty}]", param.name),
    }
}
