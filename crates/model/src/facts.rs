//! Facts: everything a rule may look at, and the matches among them.

use crate::{BankName, Event, MemberId};
use jiff::Timestamp;
use manara_signal::SignalType;
use serde::{Deserialize, Serialize};

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
    /// How the two were brought together, in words: `folded: tatweel 3, zero-width 1`, `mirrored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
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
}

/// Everything a rule may look at. Rules are a pure function of this.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The event itself.
    pub event: &'a Event,
    /// One entry for each of the event's media, in order.
    pub media: &'a [MediaFacts],
    /// All matches against enabled banks, within each signal type's widest distance.
    pub matches: &'a [Match],
    /// When Manara received the event.
    pub received_at: Timestamp,
}
