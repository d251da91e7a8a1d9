//! Banks: named sets of members, each a signal with its provenance.

use jiff::Timestamp;
use manara_signal::Signal;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// A bank's name: letters, digits, `_`, `-` or `.`, beginning with a letter or digit, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BankName(Arc<str>);

impl BankName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BankName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = |(i, c): (usize, char)| {
            c.is_ascii_alphanumeric() || (i > 0 && matches!(c, '_' | '-' | '.'))
        };
        if text.is_empty() || text.len() > 64 || !text.chars().enumerate().all(shape) {
            return Err(format!(
                "`{}` is not a bank name: use ASCII letters, digits, `_`, `-` or `.`, at most 64, for example `TVEC_IMAGES`",
                text.chars().take(80).collect::<String>()
            ));
        }
        Ok(Self(text.into()))
    }
}
impl TryFrom<String> for BankName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<BankName> for String {
    fn from(name: BankName) -> String {
        name.0.as_ref().to_owned()
    }
}
impl fmt::Display for BankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Identifies a member within a database, or the line of a bank file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub i64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A bank as listed: its name, whether it takes part in matching, and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// Its name, unique in a database.
    pub name: BankName,
    /// What it holds and why, in the words of whoever made it.
    pub description: String,
    /// Whether its members take part in matching.
    pub enabled: bool,
    /// In how many bits an image hash may differ from a member's and still match, 0 to
    /// [`Bank::DISTANCE_MAX`].
    pub distance: u32,
    /// Whether an image also matches a member when it is mirrored or turned.
    pub dihedral: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of members, removed ones left out.
    pub members: u64,
}

impl Bank {
    /// The widest distance of a bank, and that of a new one: the reference's threshold for PDQ.
    pub const DISTANCE_MAX: u32 = 31;
}

/// One member of a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// The comparable value.
    pub signal: Signal,
    /// Why it is here: free text from whoever added it, at most 1,024 bytes.
    pub note: String,
    /// When it was added.
    pub added_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bank_names_keep_to_their_alphabet() {
        for good in ["TVEC_IMAGES", "a", "9-lives.v2"] {
            assert!(good.parse::<BankName>().is_ok(), "{good}");
        }
        for bad in ["", "_x", "has space", "سجل", &"a".repeat(65), "a/b"] {
            assert!(bad.parse::<BankName>().is_err(), "{bad}");
        }
    }
}
