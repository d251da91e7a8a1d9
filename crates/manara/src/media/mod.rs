//! Media: fetched safely, decoded outside this process, signed.
//!
//! ```text
//!  URL ── Fetcher ──► bytes ── Pool ──► SignedMedia { sha256, md5, pdq, … }
//!                       │       ├─────► preview    (re-encoded, for a reviewer who asks)
//!                       │       └─────► thumbnail  (grey and blurred, for a report)
//!                       │
//!                       └─ pipe ─► manara media-worker ─ decode ─ hash ─ pipe ─► fixed-shape answer
//! ```
//! Image decoders read what strangers upload, so they run in worker processes with little memory and
//! no rights ([`worker`]); this process walks headers at most ([`container`]) and believes nothing a
//! worker says. What cannot be decoded is *undecodable*, with a reason, and never "clean".
//!
//! The network is the other way in: a URL in an event is chosen by a stranger, too. [`Fetcher`] goes to
//! public addresses only, which it resolves and checks itself ([`address`]).

mod address;
mod blocking;
mod container;
mod decode;
mod fetch;
mod pool;
mod protocol;
#[cfg(test)]
mod samples;
pub(crate) mod worker;

pub(crate) use blocking::BlockingPool;
pub(crate) use fetch::{FetchOptions, Fetcher};
pub(crate) use pool::{Pool, PoolOptions, SignedMedia};

/// The hidden subcommand that makes this program a media worker.
pub(crate) const WORKER_COMMAND: &str = "media-worker";
