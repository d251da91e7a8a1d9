//! The checked tree: every name resolved, every type known, every cost bounded.
//!
//! Two walks read it: [`compile`](crate::compile) turns it into closures for the fast path, and
//! [`explain`](crate::explain) interprets it step by step to say why a rule fired. A property test
//! holds the two to the same answers.

use crate::ast::Binary;
use crate::diagnostic::Span;
use crate::env::{Bound, Ctx, Origin};
use crate::library::{Function, Prepared};
use crate::schema::{Field, MediumField};
use crate::types::Type;
use jiff::{SignedDuration, Timestamp};
use manara_model::BankName;

/// Most elements of one list that a rule looks at.
pub(crate) const LIST_MAX: usize = 256;
/// How many bound variables there may be at once: `exists` inside `exists`.
pub(crate) const SLOTS: usize = 2;

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Typed {
    pub(crate) kind: Kind,
    pub(crate) ty: Type,
    pub(crate) span: Span,
    /// Upper bound of the work it can cause, in units of roughly a nanosecond.
    pub(crate) cost: u64,
}

/// A value written in the rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Duration(SignedDuration),
    Time(Timestamp),
}

/// What a checked expression does.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Literal),
    Field(Field),
    Attribute(AttributeName),
    /// `attributes.m["key"]`
    Entry {
        map: AttributeName,
        key: Box<Typed>,
    },
    /// `"key" in attributes.m`
    HasKey {
        map: AttributeName,
        key: Box<Typed>,
    },
    /// The element a macro has bound in this slot.
    Variable {
        slot: usize,
    },
    MediumField {
        slot: usize,
        field: MediumField,
    },
    Not(Box<Typed>),
    Negate(Box<Typed>),
    And(Vec<Typed>),
    Or(Vec<Typed>),
    Binary(Binary, Box<Typed>, Box<Typed>),
    Choose(Box<Typed>, Box<Typed>, Box<Typed>),
    List(Vec<Typed>),
    Text {
        function: TextFunction,
        receiver: Box<Typed>,
        arg: Option<Box<Typed>>,
    },
    /// A function of the library, of at most one value.
    Call {
        function: &'static Function,
        subject: Option<Box<Typed>>,
        prepared: Prepared,
    },
    Size(Box<Typed>),
    Macro {
        which: Macro,
        list: Box<Typed>,
        slot: usize,
        name: Box<str>,
        body: Box<Typed>,
    },
    /// The elements of which a condition is true.
    Filter {
        list: Box<Typed>,
        slot: usize,
        name: Box<str>,
        body: Box<Typed>,
    },
    Has(Box<Typed>),
    HasEntity(manara_model::EntityType),
    /// Whether a bank has a member near enough.
    Matches(Lookup),
    /// How near the nearest member is; unknown when none is near enough to have been found.
    Distance(Lookup),
    /// In which form the nearest image was found; unknown when none was.
    Form(Lookup),
    /// What a counter reads for this event; its number in the rule set.
    Counter(usize),
    /// Whether the event's entity of this type carries a label.
    HasLabel(manara_model::EntityType, Box<str>),
    /// The weight of the account's strikes, all or those of a time before the event.
    Strikes(Option<SignedDuration>),
    /// Whether a set kept by operators holds a text.
    InSet(Box<str>, Box<Typed>),
    /// How many different members are near enough; unknown when something could not be compared.
    Members(Lookup),
    /// Already reported as wrong.
    Wrong,
}

/// An attribute by its name, and by those it had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttributeName {
    pub(crate) name: Box<str>,
    pub(crate) before: Box<[Box<str>]>,
}

/// Functions of one text, and perhaps another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFunction {
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    Lower,
}

/// Functions that bind a variable to each element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macro {
    Exists,
    All,
    Count,
}

/// A look into the matches that were found for the event.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) bank: BankName,
    pub(crate) target: Target,
    /// Largest distance; without it, each signal type's own.
    pub(crate) distance_max: Option<u32>,
    /// Smallest quality of the image that was looked up.
    pub(crate) quality_min: Option<u8>,
}

/// What of the event a bank is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Handle,
    DisplayName,
    SpaceName,
    Text,
    Links,
    Link { slot: usize },
    AllMedia,
    Medium { slot: usize },
    Account,
    Space,
    Content,
}

impl Typed {
    pub(crate) fn new(kind: Kind, ty: Type, span: Span) -> Self {
        let mut cost = cost_of(&kind);
        if matches!((&kind, &ty), (Kind::Attribute(_), Type::Set(_))) {
            // Each element is compared with those before it.
            cost = cost.saturating_add(1_000);
        }
        Self {
            kind,
            ty,
            span,
            cost,
        }
    }

    pub(crate) fn wrong(span: Span) -> Self {
        Self::new(Kind::Wrong, Type::Never, span)
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self.kind, Kind::Wrong)
    }

    /// The expressions it is made of.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Not(a) | Kind::Negate(a) | Kind::Size(a) | Kind::Has(a) => vec![a],
            Kind::And(items) | Kind::Or(items) | Kind::List(items) => items.iter().collect(),
            Kind::Binary(_, a, b) => vec![a, b],
            Kind::Choose(a, b, c) => vec![a, b, c],
            Kind::Text { receiver, arg, .. } => {
                std::iter::once(&**receiver).chain(arg.as_deref()).collect()
            }
            Kind::Call { subject, .. } => subject.as_deref().into_iter().collect(),
            Kind::InSet(_, item) => vec![item],
            Kind::Entry { key, .. } | Kind::HasKey { key, .. } => vec![key],
            Kind::Macro { list, body, .. } | Kind::Filter { list, body, .. } => vec![list, body],
            _ => Vec::new(),
        }
    }

    /// Whether its value is the same for every event.
    pub(crate) fn is_constant(&self) -> bool {
        match self.kind {
            Kind::Literal(_) => true,
            Kind::Field(_)
            | Kind::Attribute(_)
            | Kind::Variable { .. }
            | Kind::MediumField { .. }
            | Kind::HasEntity(_)
            | Kind::Matches(_)
            | Kind::Distance(_)
            | Kind::Form(_)
            | Kind::Counter(_)
            | Kind::HasLabel(..)
            | Kind::Strikes(_)
            | Kind::InSet(..)
            | Kind::Members(_)
            | Kind::Entry { .. }
            | Kind::HasKey { .. }
            // These are constant with a literal receiver only, which nobody writes.
            | Kind::Call { .. }
            | Kind::Macro { .. }
            | Kind::Filter { .. }
            | Kind::Wrong => false,
            _ => self.parts().into_iter().all(Self::is_constant),
        }
    }

    /// Whether its value depends on what happened before the event.
    pub(crate) fn looks_back(&self) -> bool {
        match self.kind {
            Kind::Counter(_) | Kind::HasLabel(..) | Kind::Strikes(_) => true,
            _ => self.parts().into_iter().any(Self::looks_back),
        }
    }

    /// The counters it reads.
    pub(crate) fn counters(&self, out: &mut Vec<usize>) {
        if let Kind::Counter(index) = self.kind {
            out.push(index);
        }
        for part in self.parts() {
            part.counters(out);
        }
    }

    /// The literal text it is, if it is one.
    pub(crate) fn literal_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What of the event it is, for which costly things are computed once.
    pub(crate) fn place(&self) -> Place {
        match self.kind {
            Kind::Field(field) => Place::Field(field),
            Kind::Variable { slot } => Place::Variable(slot),
            _ => Place::Elsewhere,
        }
    }

    /// Whether its elements are those of one of these fields.
    pub(crate) fn holds(&self, fields: &[Field]) -> bool {
        match &self.kind {
            Kind::Field(field) => fields.contains(field),
            Kind::Filter { list, .. } => list.holds(fields),
            _ => false,
        }
    }

    /// Most elements it can have, for a list.
    fn elements_max(&self) -> u64 {
        match &self.kind {
            Kind::Field(Field::ContentMedia) => 32,
            Kind::List(items) => items.len() as u64,
            Kind::Filter { list, .. } => list.elements_max(),
            Kind::Choose(_, a, b) => a.elements_max().max(b.elements_max()),
            _ => LIST_MAX as u64,
        }
    }
}

/// Where a value comes from, as far as the rule's text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Field(Field),
    Variable(usize),
    Elsewhere,
}

impl Place {
    /// Where it comes from on this event.
    pub(crate) fn now(self, ctx: &Ctx<'_>) -> Origin {
        match self {
            Self::Field(field) => Origin::Field(field),
            Self::Variable(slot) => match ctx.bound(slot) {
                Bound::Link(index) => Origin::Link(index),
                Bound::Found(index) => Origin::Found(index),
                _ => Origin::Elsewhere,
            },
            Self::Elsewhere => Origin::Elsewhere,
        }
    }
}

/// Upper bounds, in units of roughly a nanosecond on an ordinary text of a few hundred bytes.
fn cost_of(kind: &Kind) -> u64 {
    const COMPARE: u64 = 2;
    const SCAN: u64 = 20;
    const LOOK_UP: u64 = 10;
    const READ_COUNTER: u64 = 200;
    const ASK_STORE: u64 = 5_000;
    let own = match kind {
        Kind::Wrong => 0,
        Kind::Attribute(_) | Kind::Entry { .. } | Kind::HasKey { .. } => 20,
        Kind::Field(field) => field.cost(),
        Kind::Call {
            function, prepared, ..
        } => function.cost + prepared.cost(),
        Kind::Text { .. } | Kind::Size(_) => SCAN,
        Kind::Matches(_) | Kind::Distance(_) | Kind::Form(_) | Kind::Members(_) => LOOK_UP,
        Kind::Counter(_) => READ_COUNTER,
        Kind::HasLabel(..) | Kind::Strikes(_) => ASK_STORE,
        Kind::InSet(_, item) => SCAN + item.cost,
        Kind::Binary(Binary::In, item, list) => COMPARE * list.elements_max() + item.cost,
        _ => COMPARE,
    };
    let parts = match kind {
        Kind::Macro { list, body, .. } | Kind::Filter { list, body, .. } => {
            let elements = list.elements_max().saturating_mul(body.cost);
            list.cost.saturating_add(elements)
        }
        Kind::Not(a) | Kind::Negate(a) | Kind::Size(a) | Kind::Has(a) => a.cost,
        Kind::And(items) | Kind::Or(items) | Kind::List(items) => {
            items.iter().map(|i| i.cost).fold(0, u64::saturating_add)
        }
        Kind::Binary(_, a, b) => a.cost.saturating_add(b.cost),
        Kind::Choose(a, b, c) => a.cost.saturating_add(b.cost.max(c.cost)),
        Kind::Text { receiver, arg, .. } => receiver.cost + arg.as_ref().map_or(0, |a| a.cost),
        Kind::Call { subject, .. } => subject.as_ref().map_or(0, |s| s.cost),
        Kind::Entry { key, .. } | Kind::HasKey { key, .. } => key.cost,
        _ => 0,
    };
    own.saturating_add(parts)
}
