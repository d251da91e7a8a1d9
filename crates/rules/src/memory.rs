//! What happened before an event, as far as rules may ask: counters, labels, strikes and sets.
//!
//! Rules stay a pure function: what is remembered enters as an argument, like the facts. Where nothing
//! is known, everything here is unknown, and so a condition that ends false without it is false whatever
//! happened before. That is what lets most of the work be done before the place of an event in the log is known.

use jiff::{SignedDuration, Timestamp};
use manara_model::EntityType;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A value that a counter reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Remembered {
    /// True or false.
    Bool(bool),
    /// A whole number: how many, how many different, a sum.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A length of time.
    Duration(SignedDuration),
    /// A point in time.
    Time(Timestamp),
}

/// What is known of what happened before one event. Every answer is about that event, and `None` where
/// it is not known.
pub trait Memory: fmt::Debug {
    /// What the counter of this number in the rule set reads.
    fn counter(&self, counter: usize) -> Option<Remembered>;
    /// Whether the event's entity of this type carries a label.
    fn has_label(&self, entity: EntityType, label: &str) -> Option<bool>;
    /// The weight of the account's strikes that nobody took back: all of them, or those of a time before
    /// the event.
    fn strikes(&self, within: Option<SignedDuration>) -> Option<i64>;
    /// Whether a set kept by operators holds a text.
    fn in_set(&self, set: &str, item: &str) -> Option<bool>;
}

/// Nothing is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

impl Memory for Nothing {
    fn counter(&self, _: usize) -> Option<Remembered> {
        None
    }
    fn has_label(&self, _: EntityType, _: &str) -> Option<bool> {
        None
    }
    fn strikes(&self, _: Option<SignedDuration>) -> Option<i64> {
        None
    }
    fn in_set(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
}

/// The sets that operators keep: names of trusted accounts, domains of partners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sets(BTreeMap<String, HashSet<String>>);

impl Sets {
    /// Makes `set` hold `items`, and nothing else.
    pub fn set(&mut self, set: &str, items: impl IntoIterator<Item = String>) {
        self.0.insert(set.to_owned(), items.into_iter().collect());
    }

    /// Whether a set holds an item; unknown when there is no such set.
    pub fn holds(&self, set: &str, item: &str) -> Option<bool> {
        self.0.get(set).map(|items| items.contains(item))
    }

    /// The names of the sets there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Sets do not depend on the event's place in the log; nothing else is known.
impl Memory for Sets {
    fn counter(&self, _: usize) -> Option<Remembered> {
        None
    }
    fn has_label(&self, _: EntityType, _: &str) -> Option<bool> {
        None
    }
    fn strikes(&self, _: Option<SignedDuration>) -> Option<i64> {
        None
    }
    fn in_set(&self, set: &str, item: &str) -> Option<bool> {
        self.holds(set, item)
    }
}

impl Remembered {
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
    pub(crate) fn as_duration(&self) -> Option<SignedDuration> {
        match self {
            Self::Duration(value) => Some(*value),
            _ => None,
        }
    }
    pub(crate) fn as_time(&self) -> Option<Timestamp> {
        match self {
            Self::Time(value) => Some(*value),
            _ => None,
        }
    }
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }
}
