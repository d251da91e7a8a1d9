//! What a signal is: a value of a known type that can be compared with others of that type.

use crate::digest::{Md5, Sha256};
use crate::examples::{self, Example};
use crate::hex::HexError;
use crate::pdq::Pdq;
use crate::text::{Phrase, PhraseError};
use crate::url::{CanonicalUrl, UrlError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A kind of signal: how it is computed and compared. Written `sha256`, `md5`, `pdq`, `text`, `url`.
///
/// ```
/// use manara_signal::SignalType;
/// assert_eq!("pdq".parse(), Ok(SignalType::Pdq));
/// assert_eq!(SignalType::Pdq.to_string(), "pdq");
/// let unknown = "pdqq".parse::<SignalType>().unwrap_err();
/// assert_eq!(
///     unknown.to_string(),
///     "unknown signal type `pdqq`: did you mean `pdq`? (known: sha256, md5, pdq, text, url)"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalType {
    /// SHA-256 of the file's bytes: exact copies.
    Sha256,
    /// MD5 of the file's bytes: exact copies, as older lists give them.
    Md5,
    /// PDQ perceptual hash of an image: copies that look alike.
    Pdq,
    /// A phrase, found as whole words in a text whatever its disguise.
    Text,
    /// A web address in canonical form.
    Url,
}

impl SignalType {
    /// Every type, in the order in which they are listed to people.
    pub const ALL: [Self; 5] = [Self::Sha256, Self::Md5, Self::Pdq, Self::Text, Self::Url];

    /// The name in files, rules and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Pdq => "pdq",
            Self::Text => "text",
            Self::Url => "url",
        }
    }

    /// Pairs of values that match and that do not, each with the reason. They are tests of this
    /// crate, and shown where an operator asks what a type means.
    pub fn examples(self) -> &'static [Example] {
        examples::of(self)
    }

    /// The largest distance two signals of this type can have: 256 bits for `pdq`; 0 for the exact
    /// types, which are equal or not.
    pub const fn max_distance(self) -> u32 {
        match self {
            Self::Pdq => Pdq::BITS,
            _ => 0,
        }
    }

    /// The widest distance at which a bank may let two signals match: 31 bits for `pdq`, since the
    /// index answers for no more; 0 for the exact types.
    pub const fn widest_distance(self) -> u32 {
        self.default_distance()
    }

    /// The distance up to which two signals match unless a bank says otherwise: 31 bits for `pdq`,
    /// as its authors recommend, 0 for the exact types.
    pub const fn default_distance(self) -> u32 {
        match self {
            Self::Pdq => 31,
            _ => 0,
        }
    }
}

impl fmt::Display for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A signal type's name that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown signal type `{}`{} (known: sha256, md5, pdq, text, url)", shown(given), hint(*nearest))]
pub struct UnknownSignalType {
    /// What was written.
    pub given: String,
    /// The known name it looks most like, if it is near enough to one to be a slip.
    pub nearest: Option<SignalType>,
}

fn shown(given: &str) -> String {
    given
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}

fn hint(nearest: Option<SignalType>) -> String {
    nearest.map_or_else(String::new, |known| format!(": did you mean `{known}`?"))
}

impl FromStr for SignalType {
    type Err = UnknownSignalType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |name: &str| Self::ALL.into_iter().find(|t| t.name() == name);
        known(text).ok_or_else(|| UnknownSignalType {
            given: text.to_owned(),
            nearest: nearest(text),
        })
    }
}

/// The known name within two slips of the given one, ignoring case, dashes and underscores.
fn nearest(text: &str) -> Option<SignalType> {
    if text.len() > 40 {
        return None;
    }
    let plain: String = text
        .chars()
        .filter(|c| !"-_ ".contains(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let near = |t: SignalType| (strsim::damerau_levenshtein(&plain, t.name()), t);
    let slips_max = if plain.chars().count() < 4 { 1 } else { 2 };
    SignalType::ALL
        .into_iter()
        .map(near)
        .min()
        .filter(|(slips, _)| *slips <= slips_max)
        .map(|(_, t)| t)
}

/// A valid value of one signal type. Equal signals match at distance 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Signal {
    /// See [`SignalType::Sha256`].
    Sha256(Sha256),
    /// See [`SignalType::Md5`].
    Md5(Md5),
    /// See [`SignalType::Pdq`].
    Pdq(Pdq),
    /// See [`SignalType::Text`].
    Text(Phrase),
    /// See [`SignalType::Url`].
    Url(CanonicalUrl),
}

/// Why a text is not a signal of the type it was given as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignalError {
    /// Not the hexadecimal digits of a hash of this type.
    #[error("{}", hex_message(*.signal_type, .source))]
    Hex {
        /// The type that was asked for.
        signal_type: SignalType,
        /// What is wrong with the digits.
        source: HexError,
    },
    /// Not a phrase that can be looked for.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// Not an address that can be compared.
    #[error(transparent)]
    Url(#[from] UrlError),
}

fn hex_message(signal_type: SignalType, source: &HexError) -> String {
    let article = if signal_type == SignalType::Md5 {
        "an"
    } else {
        "a"
    };
    match source {
        HexError::Length { expected, found } => format!(
            "{article} {signal_type} signal is {expected} hexadecimal digits, this has {found}: {}",
            other_type(*found)
        ),
        HexError::Digit { .. } => format!("in {article} {signal_type} signal, {source}"),
    }
}

/// The likeliest reason for a hash of the wrong length: it is one of another type.
fn other_type(digits: usize) -> &'static str {
    match digits {
        32 => "32 digits is the length of an md5",
        40 => "40 digits is the length of a SHA-1, which is not a signal type here",
        64 => "64 digits is the length of a sha256 or pdq",
        _ => "check that it was copied whole",
    }
}

impl SignalError {
    /// Byte offset of the mistake inside the value, when it lies at one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Hex { source, .. } => source.column(),
            Self::Phrase(source) => source.column(),
            Self::Url(source) => source.column(),
        }
    }
}

impl Signal {
    /// Reads a value of the given type, as people and lists write it.
    ///
    /// `sha256`, `md5`, `pdq`: hexadecimal digits of either case. `text`: the phrase as an analyst
    /// would type it. `url`: an address, with or without `https://`.
    pub fn parse(ty: SignalType, text: &str) -> Result<Self, SignalError> {
        let hex = |source| SignalError::Hex {
            signal_type: ty,
            source,
        };
        Ok(match ty {
            SignalType::Sha256 => Self::Sha256(Sha256::from_hex(text).map_err(hex)?),
            SignalType::Md5 => Self::Md5(Md5::from_hex(text).map_err(hex)?),
            SignalType::Pdq => Self::Pdq(Pdq::from_hex(text).map_err(hex)?),
            SignalType::Text => Self::Text(Phrase::parse(text)?),
            SignalType::Url => Self::Url(CanonicalUrl::parse(text)?),
        })
    }

    /// The text form: `Signal::parse(s.signal_type(), &s.encode())` gives `s` back.
    pub fn encode(&self) -> String {
        match self {
            Self::Sha256(hash) => hash.to_hex(),
            Self::Md5(hash) => hash.to_hex(),
            Self::Pdq(hash) => hash.to_hex(),
            Self::Text(phrase) => phrase.original().to_owned(),
            Self::Url(url) => url.as_str().to_owned(),
        }
    }

    /// Which type this is a value of.
    pub const fn signal_type(&self) -> SignalType {
        match self {
            Self::Sha256(_) => SignalType::Sha256,
            Self::Md5(_) => SignalType::Md5,
            Self::Pdq(_) => SignalType::Pdq,
            Self::Text(_) => SignalType::Text,
            Self::Url(_) => SignalType::Url,
        }
    }

    /// How far apart two signals are, in the unit of their type: bits for `pdq`. Signals of exact
    /// types are 0 apart or have no distance; phrases are 0 apart when their folded keys are equal.
    /// Signals of different types have none.
    pub fn distance(&self, other: &Self) -> Option<u32> {
        match (self, other) {
            (Self::Pdq(a), Self::Pdq(b)) => Some(a.distance(b)),
            (Self::Text(a), Self::Text(b)) => (a.folded() == b.folded()).then_some(0),
            _ => (self == other).then_some(0),
        }
    }
}

/// As in bank files and the API: `{"signal_type":"md5","signal":"…"}`.
impl Serialize for Signal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written {
            signal_type: self.signal_type(),
            signal: self.encode().into(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        Self::parse(written.signal_type, &written.signal).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    signal_type: SignalType,
    signal: std::borrow::Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_refused(ty: SignalType, text: &str, message: &str, column: Option<usize>) {
        let error = Signal::parse(ty, text).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.column()),
            (message, column)
        );
    }

    #[test]
    fn a_refusal_says_what_and_where() {
        check_refused(
            SignalType::Sha256,
            "d41d8cd98f00b204e9800998ecf8427e",
            "a sha256 signal is 64 hexadecimal digits, this has 32: 32 digits is the length of an md5",
            None,
        );
        check_refused(
            SignalType::Pdq,
            "ff0x",
            "in a pdq signal, `x` at byte 3 is not a hexadecimal digit: only 0-9 and a-f are",
            Some(3),
        );
        check_refused(
            SignalType::Md5,
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "an md5 signal is 32 hexadecimal digits, this has 40: 40 digits is the length of a SHA-1, which is not a signal type here",
            None,
        );
    }

    #[track_caller]
    fn check_nearest(text: &str, expect: Option<SignalType>) {
        assert_eq!(text.parse::<SignalType>().unwrap_err().nearest, expect);
    }

    #[test]
    fn slips_in_a_type_name_are_guessed() {
        check_nearest("sha-256", Some(SignalType::Sha256));
        check_nearest("SHA256", Some(SignalType::Sha256));
        check_nearest("sha1", None);
        check_nearest("txet", Some(SignalType::Text));
        check_nearest("md", Some(SignalType::Md5));
        check_nearest("phash", None);
        check_nearest("", None);
        check_nearest(&"x".repeat(1 << 20), None);
    }

    #[test]
    fn json_names_the_type() {
        let signal = Signal::parse(SignalType::Text, "grey banner").unwrap();
        let json = serde_json::to_string(&signal).unwrap();
        assert_eq!(json, r#"{"signal_type":"text","signal":"grey banner"}"#);
        assert_eq!(serde_json::from_str::<Signal>(&json).unwrap(), signal);
        assert!(serde_json::from_str::<Signal>(r#"{"signal_type":"md5","signal":"00"}"#).is_err());
    }

    #[test]
    fn signals_of_two_types_have_no_distance() {
        let zeros = "0".repeat(64);
        let sha = Signal::parse(SignalType::Sha256, &zeros).unwrap();
        let pdq = Signal::parse(SignalType::Pdq, &zeros).unwrap();
        assert_eq!(sha.distance(&pdq), None);
        assert_eq!(sha.distance(&sha), Some(0));
    }

    fn any_signal() -> impl Strategy<Value = (SignalType, String)> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(|b| (SignalType::Sha256, crate::hex::encode(&b))),
            any::<[u8; 16]>()
                .prop_map(|b| (SignalType::Md5, crate::hex::encode(&b).to_uppercase())),
            any::<[u8; 32]>().prop_map(|b| (SignalType::Pdq, crate::hex::encode(&b))),
            "\\PC{1,40}".prop_map(|t| (SignalType::Text, t)),
            "[a-zاآпр0-9]{1,8}(\\.[a-z]{2,5}){1,2}(:[0-9]{1,4})?(/[ -~ا]{0,20})?"
                .prop_map(|t| (SignalType::Url, format!("https://{t}"))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_parses_to_the_same((ty, text) in any_signal()) {
            if let Ok(signal) = Signal::parse(ty, &text) {
                let encoded = signal.encode();
                let again = Signal::parse(ty, &encoded);
                prop_assert_eq!(again.as_ref().map(Signal::encode), Ok(encoded));
                prop_assert_eq!(again, Ok(signal));
            }
        }

        #[test]
        fn nothing_makes_parsing_panic(text: String) {
            for ty in SignalType::ALL {
                let _ = Signal::parse(ty, &text);
            }
        }
    }
}
