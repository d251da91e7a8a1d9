//! Media: fetched safely, decoded outside this process, signed.
//!
//! ```text
//!  URL ── Fetcher ──► bytes ── Pool ──► SignedMedia { sha256, md5, pdq, … }
//!                       │       ├─────► preview    (re-encoded, for a reviewer who asks)
//!                       │       └─────► thumbnail  (grey and blurred, for a report)
//!                       │
//!                       └─ pipe ─► manara media-worker ─ decode ─ hash ─ pipe ─► fixed-shape answer
//!                                      ▲
//!                     HEIC, AVIF ─ ffmpeg ─ RGB
//! ```
//! Image decoders read what strangers upload, so they run in worker processes ([`worker`]) with little
//! memory and no rights ([`sandbox`]); this process walks headers at most ([`container`]) and believes nothing a
//! worker says. What cannot be decoded is *undecodable*, with a reason, and never "clean".
//!
//! HEIC and AVIF are decoded by [`ffmpeg`] if there is one, in a sandbox of its own ([`confined`]).
//!
//! The network is the other way in: a URL in an event is chosen by a stranger, too. [`Fetcher`] goes to
//! public addresses only, which it resolves and checks itself ([`address`]).

mod address;
mod bars;
mod blocking;
pub(crate) mod confined;
mod container;
mod decode;
mod fetch;
mod ffmpeg;
mod heif;
mod key_frames;
mod pool;
mod protocol;
#[cfg(test)]
mod samples;
mod sandbox;
pub(crate) mod worker;

pub(crate) use blocking::BlockingPool;
pub(crate) use container::heif;
pub(crate) use decode::Extra;
#[cfg(test)]
pub(crate) use decode::Form;
pub(crate) use fetch::{FetchOptions, Fetcher};
pub(crate) use ffmpeg::{Missing, SAMPLES};
pub(crate) use pool::{Pool, PoolOptions, SignedMedia};
pub(crate) use sandbox::{Layer, Layers};

use crate::config;

/// The hidden subcommand that makes this program a media worker.
pub(crate) const WORKER_COMMAND: &str = "media-worker";
/// The hidden subcommand that takes rights from this program, which then becomes ffmpeg.
pub(crate) const FFMPEG_COMMAND: &str = "media-ffmpeg";

/// Which forms of an image are looked up beside the image as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variants {
    /// Mirrored and turned.
    pub(crate) dihedral: bool,
    /// As displayed, when EXIF says that this is not as stored.
    pub(crate) exif_orientation: bool,
    pub(crate) extra: Extra,
}

impl Variants {
    /// The image as stored, nothing else.
    pub(crate) const NONE: Self = Self {
        dihedral: false,
        exif_orientation: false,
        extra: Extra::NONE,
    };
}

impl From<&config::Media> for Variants {
    fn from(config: &config::Media) -> Self {
        Self {
            dihedral: config.dihedral,
            exif_orientation: config.exif_orientation,
            extra: Extra {
                without_bars: config.without_bars,
                reference_512: config.reference_512,
                key_frames_max: config.key_frames_max,
            },
        }
    }
}
