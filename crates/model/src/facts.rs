//! Facts: everything a rule may look at, and the matches among them.

use crate::{BankName, Event, MemberId};
use jiff::Timestamp;
use manara_signal::{Pdq, SignalType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A part of an original text, in bytes of its UTF-8 form, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A signal of the event that is near enough to a member of an enabled bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Match {
    /// The type both sides share.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signal_type: SignalType,
    /// The bank the member belongs to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub bank: BankName,
    /// Which member.
    #[cfg_attr(feature = "openapi", schema(value_type = i64))]
    pub member: MemberId,
    /// Distance in the signal type's own unit: bits for `pdq`, 0 for exact types.
    pub distance: u32,
    /// Where the signal was taken from: `content.text`, `account.handle`, `content.media[0]`, …
    pub field: String,
    /// Quality of the query signal, 0 to 100, where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// Which part of the original text matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// How a text was brought to the member, in words: `folded: tatweel 3, zero-width 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// The form of the image that matched, when it is not the image as stored: `rotate90`, `flip_y`,
    /// `exif_orientation`, `without_bars`, `frame_12`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// The hash of that form. The hash of the image as stored is kept with the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub form_hash: Option<Pdq>,
    /// Beside a form: how far the image as stored is from the member, if it was found as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_stored: Option<u32>,
    /// Why rules do not see it, if they do not. It is recorded all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// Why a match has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Withheld {
    /// The bank is in shadow.
    BankShadow,
    /// The member is in shadow.
    MemberShadow,
    /// The member is in quarantine, because it matched far more than it used to.
    Quarantine,
    /// The event is not in the share for which the bank counts.
    EnableRatio,
    /// A member of a negative bank was found in the same place, at least as near.
    Vetoed {
        /// The negative bank.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        bank: BankName,
        /// Its member.
        #[cfg_attr(feature = "openapi", schema(value_type = i64))]
        member: MemberId,
        /// How far that one is.
        distance: u32,
    },
}

impl Withheld {
    /// The reason in one word, as in the API and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::BankShadow => "bank_shadow",
            Self::MemberShadow => "member_shadow",
            Self::Quarantine => "quarantine",
            Self::EnableRatio => "enable_ratio",
            Self::Vetoed { .. } => "vetoed",
        }
    }
}

/// As a reviewer reads it: `vetoed by SAFE 12 at distance 3`.
impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BankShadow => f.write_str("the bank is in shadow"),
            Self::MemberShadow => f.write_str("the member is in shadow"),
            Self::Quarantine => f.write_str("the member is in quarantine"),
            Self::EnableRatio => f.write_str("the event is outside the bank's enable ratio"),
            Self::Vetoed {
                bank,
                member,
                distance,
            } => write!(f, "vetoed by {bank} {member} at distance {distance}"),
        }
    }
}

impl Match {
    /// The name of an image that matched as it is stored.
    pub const STORED_FORM: &str = "original";

    /// The form in which a medium matched; a text or a link has none.
    pub fn form(&self) -> Option<&str> {
        match self.signal_type {
            SignalType::Pdq | SignalType::Sha256 | SignalType::Md5 => {
                Some(self.form.as_deref().unwrap_or(Self::STORED_FORM))
            }
            _ => None,
        }
    }
}

/// What became of a medium when it was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoding {
    /// Pixels were read and hashed.
    Decoded,
    /// The bytes could not be read as the medium they claim to be. Never the same as "clean".
    Undecodable,
    /// The bytes could not be fetched.
    Unavailable,
    /// Only ready-made signals were given.
    SignalsOnly,
}

/// What is known of one medium of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFacts {
    /// Whether it could be read.
    pub decoding: Decoding,
    /// Why not, in words, when it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Width in pixels, 0 when unknown.
    pub width: u32,
    /// Height in pixels, 0 when unknown.
    pub height: u32,
    /// PDQ quality, 0 to 100; `None` without a PDQ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// The forms in which it was looked up, so that members added later can be compared with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<MediaForm>,
    /// SHA-256 and MD5 of its bytes, in lower-case hexadecimal, where Manara has read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<SignalType, String>,
}

/// One form of an image: as it is stored, turned, cut, a frame of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaForm {
    /// Which, in the words of [`Match::form`]; [`Match::STORED_FORM`] as it is stored.
    pub form: String,
    /// Its hash.
    pub hash: Pdq,
    /// Its quality, 0 to 100.
    pub quality: u8,
}

/// Everything a rule may look at. Rules are a pure function of this.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The event itself.
    pub event: &'a Event,
    /// One entry for each of the event's media, in order.
    pub media: &'a [MediaFacts],
    /// The matches that count: against enabled banks, none of them withheld.
    pub matches: &'a [Match],
    /// When Manara received the event.
    pub received_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_form(more: &str, expect: Option<&str>) {
        let json = format!(
            r#"{{"bank":"TVEC","member":7,"distance":4,"field":"content.media[0]",{more}}}"#
        );
        let found: Match = serde_json::from_str(&json).unwrap();
        assert_eq!(found.form(), expect);
        let again = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Match>(&again).unwrap(), found);
    }

    #[test]
    fn a_match_without_a_form_is_of_the_image_as_stored() {
        check_form(r#""signal_type":"pdq","quality":90"#, Some("original"));
        check_form(r#""signal_type":"sha256""#, Some("original"));
        check_form(r#""signal_type":"text""#, None);
        let hash = "0f".repeat(32);
        check_form(
            &format!(r#""signal_type":"pdq","form":"flip_y","form_hash":"{hash}""#),
            Some("flip_y"),
        );
    }
}
