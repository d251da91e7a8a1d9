//! Signals: comparable values taken from content, and the indexes that find their matches.
//!
//! Content comes in as bytes, pixels or text. A hasher or normaliser turns it into a [`Signal`] of
//! some [`SignalType`]; an index of known signals answers which of them it matches.
//!
//! ```text
//! file bytes ── digest ──► Sha256, Md5 ──┐
//! RGB pixels ── pdq ─────► Pdq + quality ├──► index / text::PhraseIndex ──► keys of the members
//! text ──────── text ────► Normalised ───┤        that match, with distance or span
//!             └ url ─────► CanonicalUrl ─┘
//! ```
//!
//! This crate knows nothing of the rest of Manara: it does no I/O, reads no clock, and does not
//! panic whatever it is given. Keys in the indexes are `u64`s whose meaning belongs to the caller.
//!
//! ```
//! use manara_signal::{Signal, SignalType};
//!
//! let a = Signal::parse(SignalType::Url, "http://www.Example.com:80/a/../shop?utm_source=x")?;
//! let b = Signal::parse(SignalType::Url, "https://example.com/shop")?;
//! assert_eq!(a.distance(&b), Some(0));
//!
//! let refused = Signal::parse(SignalType::Md5, "d41d8cd9").unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "an md5 signal is 32 hexadecimal digits, this has 8: check that it was copied whole"
//! );
//! # Ok::<(), manara_signal::SignalError>(())
//! ```
#![warn(missing_docs)]

pub mod digest;
mod examples;
mod hex;
pub mod index;
pub mod name;
pub mod language;
pub mod near;
pub mod invite;
pub mod pdq;
mod signal;
pub mod text;
pub mod url;
pub mod wallet;

pub use digest::{Md5, Sha256};
pub use examples::{Example, Expected};
pub use hex::HexError;
pub use name::Name;
pub use invite::{Invite, InviteError, Platform};
pub use pdq::Pdq;
pub use signal::{Signal, SignalError, SignalType, UnknownSignalType};
pub use text::{Phrase, PhraseError};
pub use url::{CanonicalUrl, Domain, DomainError, UrlError, UrlPrefix, UrlPrefixError};
pub use wallet::{Chain, Wallet, WalletError};
