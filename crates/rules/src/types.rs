//! The types of values a rule can talk about.
//!
//! ```text
//!   bool  int  float  string  duration  time  list<T>  account  space  content  medium
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

    /// The narrowest type that holds values of both, if there is one.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Never, t) | (t, Self::Never) => Some(t.clone()),
            (Self::List(a), Self::List(b)) => Some(Self::list(a.join(b)?)),
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
            Self::Entity(EntityType::Media) => f.pad("medium"),
            Self::Entity(entity) => f.pad(entity.as_str()),
            Self::Never => f.pad("never"),
        }
    }
}

impl FromStr for Type {
    type Err = String;
    /// Reads the types an attribute may have: `string`, `int`, …, `list<string>`.
    fn from_str(text: &str) -> Result<Self, String> {
        let scalar = |word: &str| match word {
            "bool" => Some(Self::Bool),
            "int" => Some(Self::Int),
            "float" => Some(Self::Float),
            "string" => Some(Self::String),
            "duration" => Some(Self::Duration),
            "time" => Some(Self::Time),
            _ => None,
        };
        let list = || {
            text.strip_prefix("list<")?
                .strip_suffix('>')
                .and_then(scalar)
                .map(Self::list)
        };
        scalar(text).or_else(list).ok_or_else(|| {
            let found: String = text.chars().take(64).collect();
            format!("`{found}` is not a type: use bool, int, float, string, duration, time or list<…> of one of them")
        })
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
        ] {
            assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
        }
        for wrong in ["strings", "list<>", "list<list<int>>", "account", ""] {
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
