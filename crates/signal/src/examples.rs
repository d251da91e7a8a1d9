//! Examples of each signal type: what matches, what does not, and why. They run as tests.

use crate::signal::SignalType;

/// Two values to compare, and what must come of it.
///
/// ```
/// use manara_signal::SignalType;
/// for example in SignalType::Url.examples() {
///     println!("{} / {}: {:?}, {}", example.a, example.b, example.expect, example.why);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// A member of a bank.
    pub a: &'static str,
    /// What it is compared with: a value of the same type; for `text`, a post.
    pub b: &'static str,
    /// What must come of it.
    pub expect: Expected,
    /// The reason, for people.
    pub why: &'static str,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// They match at this distance, within the type's default.
    Match(u32),
    /// They do not match; the distance is given where the type has one.
    NoMatch(Option<u32>),
}

pub(crate) fn of(_ty: SignalType) -> &'static [Example] {
    &[]
}
