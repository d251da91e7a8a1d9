//! The types of values a rule can talk about.
//!
//! ```text
//!   bool  int  float  string  duration  time  list<T>  set<T>  map<T>  account  space  content  medium
//!                                  └── never ──┘   (below all: the element of an empty list)
//! ```

use manara_model::EntityType;
use std::{fmt, str::FromStr};

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A number with a fraction; never infinite and never "not a number".
    Float,
    /// Text.
    String,
    /// A length of time: `24h`.
    Duration,
    /// A point in time: `timestamp("2026-11-22T10:15:00Z")`.
    Time,
    /// Several values of one type, at most 256 of them looked at.
    List(Box<Type>),
    /// Several different values of one type, in no order; at most 256 of them looked at.
    Set(Box<Type>),
    /// Values of one type, each under a name of its own.
    Map(Box<Type>),
    /// The account, space or content of the event, or one of its media.
    Entity(EntityType),
    /// The type of no value: what an empty list holds, or an expression already reported as wrong.
    Never,
}

impl Type {
    /// A list of this type.
    pub fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// A set of this type.
    pub fn set(of: Self) -> Self {
        Self::Set(Box::new(of))
    }

    /// A map from names to this type.
    pub fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    /// What a list or set holds.
    pub(crate) fn element(&self) -> Option<&Self> {
        match self {
            Self::List(of) | Self::Set(of) => Some(of),
            _ => None,
        }
    }

    /// Whether it is one value that can be compared, and not several or an entity.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(
            self,
            Self::List(_) | Self::Set(_) | Self::Map(_) | Self::Entity(_)
        )
    }

    /// The narrowest type that holds values of both, if there is one.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Never, t) | (t, Self::Never) => Some(t.clone()),
            (Self::List(a), Self::List(b)) => Some(Self::list(a.join(b)?)),
            (Self::Set(a), Self::Set(b)) => Some(Self::set(a.join(b)?)),
            (Self::Map(a), Self::Map(b)) => Some(Self::map(a.join(b)?)),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    /// Whether a value of this type may stand where `wanted` is expected.
    pub(crate) fn fits(&self, wanted: &Self) -> bool {
        self.join(wanted).is_some()
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Never)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.pad("bool"),
            Self::Int => f.pad("int"),
            Self::Float => f.pad("float"),
            Self::String => f.pad("string"),
            Self::Duration => f.pad("duration"),
            Self::Time => f.pad("time"),
            Self::List(of) => write!(f, "list<{of}>"),
            Self::Set(of) => write!(f, "set<{of}>"),
            Self::Map(of) => write!(f, "map<{of}>"),
            Self::Entity(EntityType::Media) => f.pad("medium"),
            Self::Entity(entity) => f.pad(entity.as_str()),
            Self::Never => f.pad("never"),
        }
    }
}

impl FromStr for Type {
    type Err = String;
    /// Reads the types an attribute may have: `string`, `int`, …, `list<string>`, `set<string>`,
    /// `map<string>`.
    fn from_str(text: &str) -> Result<Self, String> {
        let several = |word: &str, make: fn(Self) -> Self| {
            let of = text.strip_prefix(word)?.strip_prefix('<')?;
            scalar(of.strip_suffix('>')?).map(make)
        };
        scalar(text)
            .or_else(|| several("list", Self::list))
            .or_else(|| several("set", Self::set))
            .or_else(|| several("map", Self::map))
            .ok_or_else(|| {
                let found: String = text.chars().take(64).collect();
                format!(
                    "`{found}` is not a type: use bool, int, float, string, duration, time, or list<…>, set<…> or map<…> of one of them"
                )
            })
    }
}

/// The types that fields and functions of the language have, for tables made at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Int,
    Float,
    Text,
    Duration,
    Time,
    Texts,
    Media,
}

impl Shape {
    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Float => Type::Float,
            Self::Text => Type::String,
            Self::Duration => Type::Duration,
            Self::Time => Type::Time,
            Self::Texts => Type::list(Type::String),
            Self::Media => Type::list(Type::Entity(EntityType::Media)),
        }
    }
}

fn scalar(word: &str) -> Option<Type> {
    match word {
        "bool" => Some(Type::Bool),
        "int" => Some(Type::Int),
        "float" => Some(Type::Float),
        "string" => Some(Type::String),
        "duration" => Some(Type::Duration),
        "time" => Some(Type::Time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_written() {
        for text in [
            "bool",
            "int",
            "float",
            "string",
            "duration",
            "time",
            "list<string>",
            "list<int>",
            "set<string>",
            "map<string>",
        ] {
            assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
        }
        for wrong in [
            "strings",
            "list<>",
            "list<list<int>>",
            "set<",
            "account",
            "",
        ] {
            assert!(
                wrong.parse::<Type>().unwrap_err().contains("is not a type"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_empty_list_joins_any_list() {
        let empty = Type::list(Type::Never);
        assert_eq!(
            empty.join(&Type::list(Type::Int)),
            Some(Type::list(Type::Int))
        );
        assert_eq!(Type::Int.join(&Type::Float), None);
        assert!(Type::Never.fits(&Type::Bool));
    }
}
