//! The one place that reads the clock and draws randomness; everything else is handed the result.

use jiff::Timestamp;
use manara_model::DecisionId;

/// The time now, to the microsecond: what the stores keep.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the clock is read"
)]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// `N` bytes from the operating system's generator.
///
/// The process ends when there is none: no key, salt or session may be made from less.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!("the operating system has no randomness: {error}");
        std::process::abort();
    }
    bytes
}

pub(crate) fn decision_id(now: Timestamp) -> DecisionId {
    DecisionId::new(unix_ms(now), u128::from_be_bytes(random()))
}

fn unix_ms(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}
