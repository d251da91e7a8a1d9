//! Identifiers, each its own type, so that a case cannot be passed where a decision is meant.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a {noun} id: expected 26 characters of Crockford base 32")]
pub struct IdError {
    noun: &'static str,
    found: String,
}

macro_rules! ulid_id {
    ($name:ident, $noun:literal) => {
        #[doc = concat!("Identifies one ", $noun, ": a ULID, so that identifiers sort by time of creation.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// From a time in milliseconds since 1970 and 80 random bits (the upper bits of `random` are ignored).
            pub fn new(unix_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(unix_ms, random).0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&Ulid(self.0).to_string())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let ulid = Ulid::from_string(text)
                    .map_err(|_| IdError { noun: $noun, found: text.chars().take(64).collect() })?;
                Ok(Self(ulid.0))
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

ulid_id!(DecisionId, "decision");
ulid_id!(CaseId, "case");

/// Identifies one action, and is the idempotency key under which it is delivered.
///
/// It is derived from the decision and the action's place in it, so the same action can never be
/// delivered under two keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(String);

impl ActionId {
    /// The key of the `index`th action of `decision`.
    pub fn derive(decision: DecisionId, index: usize) -> Self {
        Self(format!("act_{decision}_{index}"))
    }
    /// The key as text, for example `act_01KAV…_0`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// A key read back from storage or a path.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lower-case name for a rule, policy, label or queue: `[a-z][a-z0-9_.-]*`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = |(i, c): (usize, char)| {
            c.is_ascii_lowercase()
                || (i > 0 && (c.is_ascii_digit() || matches!(c, '_' | '.' | '-')))
        };
        if text.is_empty() || text.len() > 64 || !text.chars().enumerate().all(shape) {
            return Err(format!(
                "`{}` is not a name: use a lower-case letter, then letters, digits, `_`, `.` or `-`, at most 64",
                text.chars().take(80).collect::<String>()
            ));
        }
        Ok(Self(text.to_owned()))
    }
}
impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_written_and_sort_by_time() {
        let (early, late) = (DecisionId::new(1, u128::MAX), DecisionId::new(2, 0));
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early < late && early.to_string() < late.to_string());
        assert!(
            "nonsense"
                .parse::<CaseId>()
                .unwrap_err()
                .to_string()
                .contains("is not a case id")
        );
    }

    #[test]
    fn names_are_lower_case_and_short() {
        assert!("tvec_known".parse::<Name>().is_ok());
        for bad in ["", "Tvec", "9a", "a b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
