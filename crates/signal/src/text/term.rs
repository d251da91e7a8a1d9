//! How a phrase is looked for: how much may be undone, whether inside words, and in what company.

use super::phrase::Phrase;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Most phrases in [`TermOptions::near`], and in [`TermOptions::not_near`].
pub const CONTEXT_MAX: usize = 16;
/// Greatest [`TermOptions::within`].
pub const WITHIN_MAX: u16 = 64;
/// Fewest letters of a phrase that is looked for inside words.
pub const SUBSTRING_MIN: usize = 4;
/// The same for ideographs.
const SUBSTRING_IDEOGRAPHS_MIN: usize = 2;

/// How much has to be undone for a phrase to be found, or may be.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The words are those of the phrase in the strict key.
    Strict,
    /// They are the same in the folded key only, or in another reading of it.
    #[default]
    Folded,
    /// They are the same only once digits and symbols are read as letters, Latin letters as Arabic
    /// ones, or a word's pieces as one word.
    Aggressive,
}

/// Where a phrase may stand.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// As whole words, Arabic ones with their particles.
    #[default]
    Words,
    /// Anywhere, inside words too.
    Substring,
}

/// Not the name of a level or scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{found}` is no {what}: give one of {known}")]
pub struct UnknownName {
    what: &'static str,
    known: &'static str,
    found: String,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Strict => "strict",
            Self::Folded => "folded",
            Self::Aggressive => "aggressive",
        })
    }
}

impl FromStr for Level {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strict" => Ok(Self::Strict),
            "folded" => Ok(Self::Folded),
            "aggressive" => Ok(Self::Aggressive),
            _ => Err(UnknownName {
                what: "level",
                known: "strict, folded, aggressive",
                found: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Words => "words",
            Self::Substring => "substring",
        })
    }
}

impl FromStr for Scope {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "words" => Ok(Self::Words),
            "substring" => Ok(Self::Substring),
            _ => Err(UnknownName {
                what: "scope",
                known: "words, substring",
                found: text.to_owned(),
            }),
        }
    }
}

/// How a phrase is looked for. `{}` in JSON is the default: whole words, strict and folded.
///
/// ```
/// use manara_signal::Phrase;
/// use manara_signal::text::{Level, TermOptions};
///
/// let options: TermOptions = serde_json::from_str(
///     r#"{"level": "aggressive", "not_near": ["museum", "exhibition"], "within": 5}"#,
/// )?;
/// assert_eq!((options.level, options.within), (Level::Aggressive, 5));
///
/// let refused = options.check(&Phrase::parse("the museum of the grey banner")?).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "`museum` in `not_near` is part of the phrase itself, which then is never found: leave it out"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", default, deny_unknown_fields)]
pub struct TermOptions {
    /// How far it is looked for: what is found only at a higher level is not reported.
    pub level: Level,
    /// Where it may stand.
    pub scope: Scope,
    /// If not empty, one of these must stand nearby, before or after.
    pub near: Vec<Phrase>,
    /// None of these may stand nearby.
    pub not_near: Vec<Phrase>,
    /// How many words at most lie between, for that to be nearby: 1 to [`WITHIN_MAX`].
    pub within: u16,
}

impl Default for TermOptions {
    fn default() -> Self {
        Self {
            level: Level::default(),
            scope: Scope::default(),
            near: Vec::new(),
            not_near: Vec::new(),
            within: 8,
        }
    }
}

/// Why a phrase cannot be looked for in the way that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermError {
    /// Too short to be looked for inside words.
    #[error(
        "`{phrase}` is too short to be looked for inside words: give {least} letters or more, or take whole words"
    )]
    ShortSubstring {
        /// The phrase as typed.
        phrase: String,
        /// Fewest letters.
        least: usize,
    },
    /// Only digits, which are part of many numbers.
    #[error(
        "`{phrase}` has only digits and would be found inside many numbers: take whole words, or add letters"
    )]
    NumericSubstring {
        /// The phrase as typed.
        phrase: String,
    },
    /// Substrings have no aggressive level.
    #[error(
        "inside words a phrase is looked for at the levels strict and folded only: take whole words for `aggressive`"
    )]
    AggressiveSubstring,
    /// More than [`CONTEXT_MAX`] phrases in a condition.
    #[error(
        "`{list}` has {found} phrases, at most {CONTEXT_MAX} are allowed: keep the telling ones"
    )]
    ManyInContext {
        /// `near` or `not_near`.
        list: &'static str,
        /// Number given.
        found: usize,
    },
    /// [`TermOptions::within`] out of range.
    #[error("`within` is {found}, it counts the words between and goes from 1 to {WITHIN_MAX}")]
    Within {
        /// Number given.
        found: u16,
    },
    /// A phrase of a condition is in the term itself.
    #[error(
        "`{phrase}` in `{list}` is part of the phrase itself, which then is {always} found: leave it out"
    )]
    ContextInTerm {
        /// `near` or `not_near`.
        list: &'static str,
        /// The phrase of the condition.
        phrase: String,
        /// `always` or `never`.
        always: &'static str,
    },
    /// The same phrase is asked for and excluded.
    #[error("`{phrase}` is in both `near` and `not_near`: leave it in one of them")]
    Contradiction {
        /// The phrase of both conditions.
        phrase: String,
    },
}

impl TermOptions {
    /// Whether a phrase can be looked for in this way.
    pub fn check(&self, phrase: &Phrase) -> Result<(), TermError> {
        if self.scope == Scope::Substring {
            self.check_substring(phrase)?;
        }
        for (list, phrases) in [("near", &self.near), ("not_near", &self.not_near)] {
            if phrases.len() > CONTEXT_MAX {
                return Err(TermError::ManyInContext {
                    list,
                    found: phrases.len(),
                });
            }
            if let Some(inside) = phrases.iter().find(|inside| is_part(inside, phrase)) {
                return Err(TermError::ContextInTerm {
                    list,
                    phrase: inside.original().to_owned(),
                    always: if list == "near" { "always" } else { "never" },
                });
            }
        }
        let excluded = |near: &&Phrase| self.not_near.iter().any(|p| p.folded() == near.folded());
        if let Some(both) = self.near.iter().find(excluded) {
            return Err(TermError::Contradiction {
                phrase: both.original().to_owned(),
            });
        }
        if !(1..=WITHIN_MAX).contains(&self.within) {
            return Err(TermError::Within { found: self.within });
        }
        Ok(())
    }

    fn check_substring(&self, phrase: &Phrase) -> Result<(), TermError> {
        if self.level == Level::Aggressive {
            return Err(TermError::AggressiveSubstring);
        }
        let letters = phrase.folded().chars().filter(|c| *c != ' ');
        let ideographs = phrase.folded().split(' ').all(|word| {
            word.chars().nth(1).is_none() && word.chars().all(|c| !c.is_ascii_alphanumeric())
        });
        let least = if ideographs {
            SUBSTRING_IDEOGRAPHS_MIN
        } else {
            SUBSTRING_MIN
        };
        if letters.clone().count() < least {
            return Err(TermError::ShortSubstring {
                phrase: phrase.original().to_owned(),
                least,
            });
        }
        if letters.clone().all(|c| c.is_ascii_digit()) {
            return Err(TermError::NumericSubstring {
                phrase: phrase.original().to_owned(),
            });
        }
        Ok(())
    }

    /// Whether anything must or must not stand nearby.
    pub(super) fn has_conditions(&self) -> bool {
        !self.near.is_empty() || !self.not_near.is_empty()
    }
}

/// Whether the words of one phrase stand in the other.
fn is_part(inside: &Phrase, phrase: &Phrase) -> bool {
    format!(" {} ", phrase.folded()).contains(&format!(" {} ", inside.folded()))
}

/// As typed.
impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.original())
    }
}

impl<'de> Deserialize<'de> for Phrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, phrase: &str, expect: &str) {
        let options: TermOptions = serde_json::from_str(json).unwrap();
        let said = options.check(&Phrase::parse(phrase).unwrap());
        let said = said.map_or_else(|why| why.to_string(), |()| "fine".to_owned());
        assert!(said.starts_with(expect), "{json} {phrase}: {said}");
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        check("{}", "grey banner", "fine");
        check(r#"{"scope":"substring"}"#, "grey", "fine");
        check(r#"{"scope":"substring"}"#, "ash", "`ash` is too short");
        check(r#"{"scope":"substring"}"#, "a-s-h", "`a-s-h` is too short");
        check(r#"{"scope":"substring"}"#, "灰旗", "fine");
        check(
            r#"{"scope":"substring"}"#,
            "2024 11",
            "`2024 11` has only digits",
        );
        check(
            r#"{"scope":"substring","level":"aggressive"}"#,
            "grey banner",
            "inside words",
        );
        check(
            r#"{"near":["Grey"]}"#,
            "grey banner",
            "`Grey` in `near` is part of the phrase itself, which then is always found",
        );
        check(r#"{"near":["rey"]}"#, "grey banner", "fine");
        check(
            r#"{"near":["join"],"not_near":["JOIN"]}"#,
            "grey banner",
            "`join` is in both",
        );
        check(r#"{"within":0}"#, "grey", "`within` is 0");
        check(r#"{"within":65}"#, "grey", "`within` is 65");
        let many = format!(r#"{{"near":[{}]}}"#, vec![r#""join""#; 17].join(","));
        check(&many, "grey", "`near` has 17 phrases");
    }

    #[test]
    fn options_are_read_and_written_alike() {
        let json = r#"{"level":"aggressive","scope":"words","near":["Join  us"],"not_near":[],"within":3}"#;
        let options: TermOptions = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&options).unwrap(), json);
        let default: TermOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(default, TermOptions::default());
        assert!(serde_json::from_str::<TermOptions>(r#"{"near":["…"]}"#).is_err());
        assert!(serde_json::from_str::<TermOptions>(r#"{"nera":[]}"#).is_err());
    }

    #[test]
    fn names_lead_back() {
        for level in [Level::Strict, Level::Folded, Level::Aggressive] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        for scope in [Scope::Words, Scope::Substring] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert_eq!(
            "loose".parse::<Level>().unwrap_err().to_string(),
            "`loose` is no level: give one of strict, folded, aggressive"
        );
    }
}
