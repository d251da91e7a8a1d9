//! What a signal is: a value of a known type that can be compared with others of that type.

use crate::digest::{Md5, Sha256};
use crate::examples::{self, Example};
use crate::hex::HexError;
use crate::invite::{Invite, InviteError};
use crate::name::{Name, NameError};
use crate::near::{
    EditIndex, RawText, RawTextError, ShingleIndex, SimilarText, SimilarTextError, Tlsh, TlshError,
    TlshIndex,
};
use crate::pdq::Pdq;
use crate::text::{Phrase, PhraseError};
use crate::url::{CanonicalUrl, Domain, DomainError, UrlError, UrlPrefix, UrlPrefixError};
use crate::wallet::{Wallet, WalletError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A kind of signal: how it is computed and compared. Written `sha256`, `md5`, `pdq`, `text`, `raw_text`,
/// `similar_text`, `text_tlsh`, `url`, `url_prefix`, `domain`, `invite`, `wallet`, `name`.
///
/// ```
/// use manara_signal::SignalType;
/// assert_eq!("pdq".parse(), Ok(SignalType::Pdq));
/// assert_eq!(SignalType::Pdq.to_string(), "pdq");
/// let unknown = "pdqq".parse::<SignalType>().unwrap_err();
/// assert_eq!(
///     unknown.to_string(),
///     "unknown signal type `pdqq`: did you mean `pdq`? (known: sha256, md5, pdq, text, raw_text, similar_text, text_tlsh, url, url_prefix, domain, invite, wallet, name)"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalType {
    /// SHA-256 of the file's bytes: exact copies.
    Sha256,
    /// MD5 of the file's bytes: exact copies, as older lists give them.
    Md5,
    /// PDQ perceptual hash of an image: copies that look alike.
    Pdq,
    /// A phrase, found in a text whatever its disguise.
    Text,
    /// A whole text, found again when few letters were changed; HMA's name for it.
    RawText,
    /// A whole text, found again when it was reworded, put in another order or made longer.
    SimilarText,
    /// TLSH of a long text, as ThreatExchange's members exchange it.
    TextTlsh,
    /// A web address in canonical form.
    Url,
    /// Everything under an address.
    UrlPrefix,
    /// A domain with its subdomains.
    Domain,
    /// An invitation to a group, channel or room, or its public name.
    Invite,
    /// An address to pay to.
    Wallet,
    /// A handle or display name, found again under counters, look-alikes and in other letters.
    Name,
}

impl SignalType {
    /// Every type, in the order in which they are listed to people.
    pub const ALL: [Self; 13] = [
        Self::Sha256,
        Self::Md5,
        Self::Pdq,
        Self::Text,
        Self::RawText,
        Self::SimilarText,
        Self::TextTlsh,
        Self::Url,
        Self::UrlPrefix,
        Self::Domain,
        Self::Invite,
        Self::Wallet,
        Self::Name,
    ];

    /// The name in files, rules and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Pdq => "pdq",
            Self::Text => "text",
            Self::RawText => "raw_text",
            Self::SimilarText => "similar_text",
            Self::TextTlsh => "text_tlsh",
            Self::Url => "url",
            Self::UrlPrefix => "url_prefix",
            Self::Domain => "domain",
            Self::Invite => "invite",
            Self::Wallet => "wallet",
            Self::Name => "name",
        }
    }

    /// Pairs of values that match and that do not, each with the reason. They are tests of this
    /// crate, and shown where an operator asks what a type means.
    pub fn examples(self) -> &'static [Example] {
        examples::of(self)
    }

    /// What a distance of this type is counted in; nothing for types that are equal or not.
    pub const fn unit(self) -> Option<&'static str> {
        match self {
            Self::Pdq => Some("bits"),
            Self::RawText => Some("percent of letters"),
            Self::SimilarText => Some("percent of pieces"),
            Self::TextTlsh => Some("TLSH"),
            Self::Name => Some("points"),
            _ => None,
        }
    }

    /// The widest distance at which a bank may let two signals match, in the type's
    /// [unit](Self::unit), since the indexes answer for no more; 0 for types that are equal or not.
    pub const fn widest_distance(self) -> u32 {
        match self {
            Self::RawText => EditIndex::DISTANCE_MAX,
            Self::SimilarText => ShingleIndex::DISTANCE_MAX,
            Self::TextTlsh => TlshIndex::DISTANCE_MAX,
            Self::Name => 40,
            _ => self.default_distance(),
        }
    }

    /// The distance up to which two signals match unless a bank says otherwise: 31 bits for `pdq`,
    /// as its authors recommend; an edit in twenty letters for `raw_text`, as in HMA; 0 for types that
    /// are equal or not.
    pub const fn default_distance(self) -> u32 {
        match self {
            Self::Pdq => 31,
            Self::RawText => EditIndex::DISTANCE,
            Self::SimilarText => ShingleIndex::DISTANCE,
            Self::TextTlsh => TlshIndex::DISTANCE,
            Self::Name => 20,
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
#[error("unknown signal type `{}`{} (known: {})", shown(given), hint(*nearest), known())]
pub struct UnknownSignalType {
    /// What was written.
    pub given: String,
    /// The known name it looks most like, if it is near enough to one to be a slip.
    pub nearest: Option<SignalType>,
}

fn known() -> String {
    SignalType::ALL.map(SignalType::name).join(", ")
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
    /// See [`SignalType::RawText`].
    RawText(RawText),
    /// See [`SignalType::SimilarText`].
    SimilarText(SimilarText),
    /// See [`SignalType::TextTlsh`].
    TextTlsh(Tlsh),
    /// See [`SignalType::Url`].
    Url(CanonicalUrl),
    /// See [`SignalType::UrlPrefix`].
    UrlPrefix(UrlPrefix),
    /// See [`SignalType::Domain`].
    Domain(Domain),
    /// See [`SignalType::Invite`].
    Invite(Invite),
    /// See [`SignalType::Wallet`].
    Wallet(Wallet),
    /// See [`SignalType::Name`].
    Name(Name),
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
    /// Not a text that can be compared as a whole.
    #[error(transparent)]
    RawText(#[from] RawTextError),
    /// Not a text that can be compared by its pieces.
    #[error(transparent)]
    SimilarText(#[from] SimilarTextError),
    /// Not a TLSH.
    #[error(transparent)]
    Tlsh(#[from] TlshError),
    /// Not an address that can be compared.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Not an address under which there could be others.
    #[error(transparent)]
    UrlPrefix(#[from] UrlPrefixError),
    /// Not a domain of somebody.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// Not an invitation of a known platform.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// Not an address of a known chain.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// Not a name that can be compared.
    #[error(transparent)]
    Name(#[from] NameError),
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
            Self::Wallet(source) => source.column(),
            _ => None,
        }
    }
}

impl Signal {
    /// Reads a value of the given type, as people and lists write it.
    ///
    /// `sha256`, `md5`, `pdq`: hexadecimal digits of either case. `text`: the phrase as an analyst
    /// would type it. `raw_text`, `similar_text`: the whole text. `text_tlsh`: `T1` and 70 digits. `url`: an
    /// address, with or without `https://`. `name`: with or without `@`.
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
            SignalType::RawText => Self::RawText(RawText::parse(text)?),
            SignalType::SimilarText => Self::SimilarText(SimilarText::parse(text)?),
            SignalType::TextTlsh => Self::TextTlsh(text.parse::<Tlsh>()?),
            SignalType::Url => Self::Url(CanonicalUrl::parse(text)?),
            SignalType::UrlPrefix => Self::UrlPrefix(UrlPrefix::parse(text)?),
            SignalType::Domain => Self::Domain(Domain::parse(text)?),
            SignalType::Invite => Self::Invite(Invite::parse(text)?),
            SignalType::Wallet => Self::Wallet(Wallet::parse(text)?),
            SignalType::Name => Self::Name(Name::parse(text)?),
        })
    }

    /// The text form: `Signal::parse(s.signal_type(), &s.encode())` gives `s` back.
    pub fn encode(&self) -> String {
        match self {
            Self::Sha256(hash) => hash.to_hex(),
            Self::Md5(hash) => hash.to_hex(),
            Self::Pdq(hash) => hash.to_hex(),
            Self::Text(phrase) => phrase.original().to_owned(),
            Self::RawText(text) => text.original().to_owned(),
            Self::SimilarText(text) => text.original().to_owned(),
            Self::TextTlsh(hash) => hash.to_string(),
            Self::Url(url) => url.as_str().to_owned(),
            Self::UrlPrefix(prefix) => prefix.to_string(),
            Self::Domain(domain) => domain.to_string(),
            Self::Invite(invite) => invite.to_string(),
            Self::Wallet(wallet) => wallet.to_string(),
            Self::Name(name) => name.original().to_owned(),
        }
    }

    /// Which type this is a value of.
    pub const fn signal_type(&self) -> SignalType {
        match self {
            Self::Sha256(_) => SignalType::Sha256,
            Self::Md5(_) => SignalType::Md5,
            Self::Pdq(_) => SignalType::Pdq,
            Self::Text(_) => SignalType::Text,
            Self::RawText(_) => SignalType::RawText,
            Self::SimilarText(_) => SignalType::SimilarText,
            Self::TextTlsh(_) => SignalType::TextTlsh,
            Self::Url(_) => SignalType::Url,
            Self::UrlPrefix(_) => SignalType::UrlPrefix,
            Self::Domain(_) => SignalType::Domain,
            Self::Invite(_) => SignalType::Invite,
            Self::Wallet(_) => SignalType::Wallet,
            Self::Name(_) => SignalType::Name,
        }
    }

    /// How far apart two signals are, in the [unit](SignalType::unit) of their type. Those of exact
    /// types are 0 apart or have no distance; phrases are 0 apart when their folded keys are equal.
    /// Texts and names farther apart than is ever looked for have none, nor have signals of different
    /// types, but that an address is 0 from the prefix or domain it is under. `self` is the member: for
    /// `raw_text` and `name` it matters.
    pub fn distance(&self, other: &Self) -> Option<u32> {
        match (self, other) {
            (Self::Pdq(a), Self::Pdq(b)) => Some(a.distance(b)),
            (Self::Text(a), Self::Text(b)) => (a.folded() == b.folded()).then_some(0),
            (Self::RawText(a), Self::RawText(b)) => edits(a, b),
            (Self::SimilarText(a), Self::SimilarText(b)) => {
                Some(a.shingles().overlap(b.shingles()).distance())
            }
            (Self::TextTlsh(a), Self::TextTlsh(b)) => Some(a.distance(b)),
            (Self::UrlPrefix(prefix), Self::Url(url)) => prefix.matches(url).then_some(0),
            (Self::Domain(domain), Self::Url(url)) => domain.matches(url).then_some(0),
            (Self::Name(a), Self::Name(b)) => {
                crate::name::compare(a, b).map(|found| u32::from(found.distance()))
            }
            _ => (self == other).then_some(0),
        }
    }
}

/// The distance of a text from a member.
fn edits(member: &RawText, text: &RawText) -> Option<u32> {
    let (mut index, mut hits) = (EditIndex::new(), Vec::new());
    index.insert(0, member);
    index.query(text, EditIndex::DISTANCE_MAX, &mut hits);
    hits.first().map(|hit| hit.distance)
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
