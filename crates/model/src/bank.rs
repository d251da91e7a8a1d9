//! Banks: named sets of members, each a signal with its provenance.

use crate::Author;
use crate::action::word_enum;
use jiff::Timestamp;
use manara_signal::text::{TermError, TermOptions};
use manara_signal::{Signal, SignalType};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// A bank as listed: its name, how it takes part in matching, and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// Its name, unique in a database.
    pub name: BankName,
    /// What it holds and why, in the words of whoever made it.
    pub description: String,
    /// Whether its members take part in matching.
    pub enabled: bool,
    /// How they do.
    #[serde(flatten)]
    pub settings: BankSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of members, removed ones left out.
    pub members: u64,
}

word_enum! {
    /// What matches are worth.
    BankMode, "a bank's mode", {
        /// Rules see them.
        Live = "live",
        /// They are recorded and have no effect.
        Shadow = "shadow",
    }
}

word_enum! {
    /// What a member's matches are worth.
    #[derive(Default)]
    MemberMode, "a member's mode", {
        /// What its bank says.
        #[default]
        Live = "live",
        /// They are recorded and have no effect.
        Shadow = "shadow",
        /// The same, because it matched far more than it used to; a person decides how it goes on.
        Quarantine = "quarantine",
    }
}

/// How the members of a bank match. A new bank's are the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BankSettings {
    /// What its matches are worth.
    pub mode: BankMode,
    /// How far signals match, where it is not as far as their type's default; in the type's unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub distance: BTreeMap<SignalType, u32>,
    /// Lowest quality, 0 to 100, of an image hash that is compared.
    pub quality_min: u8,
    /// Whether an image also matches a member when it is mirrored or turned.
    pub dihedral: bool,
    /// The share of events for which its matches count, always the same ones; for a careful start.
    pub enable_ratio: Ratio,
    /// The banks whose matches this bank's own forbid. A bank that vetoes any is a *negative* bank:
    /// its matches lead to nothing else.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub vetoes: BTreeSet<BankName>,
    /// Whether a member that matches far more than it used to goes into quarantine by itself.
    pub quarantine: bool,
    /// From when on its members match no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
}

impl Default for BankSettings {
    fn default() -> Self {
        Self {
            mode: BankMode::Live,
            distance: BTreeMap::new(),
            quality_min: Self::QUALITY_MIN,
            dihedral: true,
            enable_ratio: Ratio::ALL,
            vetoes: BTreeSet::new(),
            quarantine: true,
            expires_at: None,
            tags: BTreeSet::new(),
        }
    }
}

/// Why a bank or member cannot have these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Farther than signals of this type may match.
    #[error("the distance of {signal_type} signals is 0 to {max}, not {given}")]
    Distance {
        /// Of which type.
        signal_type: SignalType,
        /// What was asked for.
        given: u32,
        /// The widest.
        max: u32,
    },
    /// Over 100.
    #[error("a quality is 0 to 100, not {0}")]
    Quality(u8),
    /// More than [`TAGS_MAX`].
    #[error("{0} tags: at most {TAGS_MAX} are kept")]
    Tags(usize),
    /// A bank that forbids its own matches.
    #[error("bank {0} cannot veto itself: name the banks whose matches it forbids")]
    VetoesItself(BankName),
    /// The phrase cannot be looked for like this.
    #[error(transparent)]
    Term(#[from] TermError),
    /// A signal of this type has none of this setting.
    #[error("{setting} is not a setting of {signal_type} signals")]
    Foreign {
        /// The setting.
        setting: &'static str,
        /// The type.
        signal_type: SignalType,
    },
}

impl BankSettings {
    /// The quality floor of a new bank: below it Meta's reference does not compare PDQ hashes.
    pub const QUALITY_MIN: u8 = 50;

    /// How far signals of this type match, in the type's unit.
    pub fn distance(&self, signal_type: SignalType) -> u32 {
        let own = self.distance.get(&signal_type).copied();
        own.unwrap_or_else(|| signal_type.default_distance())
    }

    /// Whether it is a negative bank, whose matches forbid those of other banks.
    pub fn is_negative(&self) -> bool {
        !self.vetoes.is_empty()
    }

    /// Whether a bank of this name can have these settings.
    pub fn check(&self, name: &BankName) -> Result<(), SettingsError> {
        for (signal_type, given) in &self.distance {
            check_distance(*signal_type, *given)?;
        }
        if self.quality_min > 100 {
            return Err(SettingsError::Quality(self.quality_min));
        }
        if self.vetoes.contains(name) {
            return Err(SettingsError::VetoesItself(name.clone()));
        }
        check_tags(&self.tags)
    }
}

fn check_distance(signal_type: SignalType, given: u32) -> Result<(), SettingsError> {
    let max = signal_type.widest_distance();
    if given > max {
        return Err(SettingsError::Distance {
            signal_type,
            given,
            max,
        });
    }
    Ok(())
}

fn check_tags(tags: &BTreeSet<Tag>) -> Result<(), SettingsError> {
    if tags.len() > TAGS_MAX {
        return Err(SettingsError::Tags(tags.len()));
    }
    Ok(())
}

/// How one member matches, where it is not as its bank says. The default is as the bank says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberSettings {
    /// What its matches are worth.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: MemberMode,
    /// How far it matches; never farther than the bank says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u32>,
    /// Lowest quality, 0 to 100, of an image hash that is compared with it; never lower than the bank says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_min: Option<u8>,
    /// From when on it matches no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// Whether a person has vouched for it: it does not go into quarantine by itself any more.
    #[serde(skip_serializing_if = "is_default")]
    pub vouched: bool,
    /// How a phrase is looked for.
    #[serde(skip_serializing_if = "is_default")]
    pub term: TermOptions,
}

impl MemberSettings {
    /// Whether a member with this signal can have these settings.
    pub fn check(&self, signal: &Signal) -> Result<(), SettingsError> {
        self.check_type(signal.signal_type())?;
        match signal {
            Signal::Text(phrase) => Ok(self.term.check(phrase)?),
            _ => Ok(()),
        }
    }

    fn check_type(&self, signal_type: SignalType) -> Result<(), SettingsError> {
        let foreign = |setting| SettingsError::Foreign {
            setting,
            signal_type,
        };
        if let Some(given) = self.distance {
            if signal_type.widest_distance() == 0 {
                return Err(foreign("distance"));
            }
            check_distance(signal_type, given)?;
        }
        if let Some(quality) = self.quality_min {
            if signal_type != SignalType::Pdq {
                return Err(foreign("quality_min"));
            }
            if quality > 100 {
                return Err(SettingsError::Quality(quality));
            }
        }
        if signal_type != SignalType::Text && self.term != TermOptions::default() {
            return Err(foreign("term"));
        }
        check_tags(&self.tags)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Most tags of a bank or a member.
pub const TAGS_MAX: usize = 32;

/// A word to find banks and members by: at most 64 bytes, without white space and commas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Tag {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let barred = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';');
        if text.is_empty() || text.len() > 64 || text.contains(barred) {
            return Err(format!(
                "`{}` is not a tag: use one word of at most 64 bytes, without commas",
                text.chars()
                    .take(80)
                    .flat_map(char::escape_debug)
                    .collect::<String>()
            ));
        }
        Ok(Self(text.into()))
    }
}
impl TryFrom<String> for Tag {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<Tag> for String {
    fn from(tag: Tag) -> String {
        tag.0.into()
    }
}
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A share of all, in millionths; written as a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u32);

impl Ratio {
    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// The share, 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Whether what has this number is in the share. The same number always is or is not, and what
    /// is in a share is in every larger one. `number` should be a hash.
    pub fn includes(self, number: u64) -> bool {
        number % 1_000_000 < u64::from(self.0)
    }
}
impl TryFrom<f64> for Ratio {
    type Error = String;
    fn try_from(share: f64) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!(
                "`{share}` is not a share: use a number from 0 to 1"
            ));
        }
        // In range, so that nothing is cut off but what is finer than a millionth.
        Ok(Self((share * 1e6).round() as u32))
    }
}
impl FromStr for Ratio {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| {
            format!(
                "`{}` is not a share: use a number from 0 to 1",
                text.escape_debug()
            )
        };
        text.parse::<f64>().map_err(wrong)?.try_into()
    }
}
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}
impl Serialize for Ratio {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_f64().serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// A member to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// The comparable value.
    pub signal: Signal,
    /// Why it is to be here: free text, at most 1,024 bytes.
    pub note: String,
    /// The exchange it came by, if it did.
    pub exchange: Option<Exchange>,
    /// How it matches.
    pub settings: MemberSettings,
}

impl From<(Signal, String)> for NewMember {
    /// As its bank says, from nobody in particular.
    fn from((signal, note): (Signal, String)) -> Self {
        Self {
            signal,
            note,
            exchange: None,
            settings: MemberSettings::default(),
        }
    }
}

/// The name of a hash exchange: a [`Tag`].
pub type Exchange = Tag;

/// One member of a bank, with its provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// The comparable value.
    pub signal: Signal,
    /// Why it is here: free text from whoever added it, at most 1,024 bytes.
    pub note: String,
    /// The exchange it came by, if it did.
    pub exchange: Option<Exchange>,
    /// Who added it.
    pub added_by: Author,
    /// When it was added.
    pub added_at: Timestamp,
    /// How it matches now.
    pub settings: MemberSettings,
}

word_enum! {
    /// What somebody holds of a member, in the words of the ThreatExchange library.
    Stance, "an opinion", {
        /// It is what the bank is for.
        PositiveClass = "positive_class",
        /// It is not.
        NegativeClass = "negative_class",
        /// It is worth looking into.
        InvestigationSeed = "investigation_seed",
    }
}

/// What somebody holds of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// Of which member.
    pub member: MemberId,
    /// What they hold.
    pub stance: Stance,
    /// Why, at most 1,024 bytes.
    pub note: String,
    /// The exchange it came by; without one it is our own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// Who.
    pub author: Author,
    /// When.
    pub at: Timestamp,
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

    #[track_caller]
    fn check_settings(json: &str, expect: Result<(), &str>) {
        let settings: BankSettings = serde_json::from_str(json).unwrap();
        let found = settings.check(&"B".parse().unwrap());
        assert_eq!(
            found.map_err(|e| e.to_string()),
            expect.map_err(str::to_owned)
        );
        let again = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<BankSettings>(&again).unwrap(),
            settings
        );
    }

    #[test]
    fn bank_settings_are_checked() {
        check_settings("{}", Ok(()));
        check_settings(
            r#"{"distance":{"pdq":20},"enable_ratio":0.25,"tags":["a"],"vetoes":["C"]}"#,
            Ok(()),
        );
        check_settings(
            r#"{"distance":{"pdq":32}}"#,
            Err("the distance of pdq signals is 0 to 31, not 32"),
        );
        check_settings(
            r#"{"distance":{"md5":1}}"#,
            Err("the distance of md5 signals is 0 to 0, not 1"),
        );
        check_settings(
            r#"{"quality_min":101}"#,
            Err("a quality is 0 to 100, not 101"),
        );
        check_settings(
            r#"{"vetoes":["B"]}"#,
            Err("bank B cannot veto itself: name the banks whose matches it forbids"),
        );
    }

    #[track_caller]
    fn check_member(signal_type: SignalType, json: &str, expect: Result<(), &str>) {
        let settings: MemberSettings = serde_json::from_str(json).unwrap();
        let found = settings.check_type(signal_type);
        assert_eq!(
            found.map_err(|e| e.to_string()),
            expect.map_err(str::to_owned)
        );
        assert_eq!(serde_json::to_string(&settings).unwrap(), json);
    }

    #[test]
    fn member_settings_are_checked_and_the_default_is_written_as_nothing() {
        check_member(SignalType::Text, "{}", Ok(()));
        check_member(
            SignalType::Pdq,
            r#"{"mode":"shadow","distance":9,"quality_min":80}"#,
            Ok(()),
        );
        check_member(
            SignalType::Md5,
            r#"{"distance":1}"#,
            Err("distance is not a setting of md5 signals"),
        );
        check_member(
            SignalType::Url,
            r#"{"quality_min":1}"#,
            Err("quality_min is not a setting of url signals"),
        );
        assert!(serde_json::from_str::<MemberSettings>(r#"{"mod":"live"}"#).is_err());
    }

    #[test]
    fn a_share_of_events_is_a_part_of_every_larger_one() {
        let ratio = |text: &str| text.parse::<Ratio>();
        for wrong in ["-0.1", "1.1", "NaN", "x", ""] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
        let (quarter, half) = (ratio("0.25").unwrap(), ratio("0.5").unwrap());
        let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let count = (0..10_000).filter(|n| quarter.includes(mixed(*n))).count();
        assert!((2_300..2_700).contains(&count), "{count}");
        assert!((0..10_000).all(|n| !quarter.includes(mixed(n)) || half.includes(mixed(n))));
        assert!((0..1_000).all(|n| Ratio::ALL.includes(mixed(n))));
        assert_eq!(serde_json::to_string(&quarter).unwrap(), "0.25");
    }
}
