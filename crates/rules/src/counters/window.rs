//! Windows: how a length of time is cut into buckets, and which of them a reading covers.

use jiff::SignedDuration;
use thiserror::Error;

/// The most buckets one key keeps: 60 of the window, the one it began in, 15 for late events.
pub(super) const SLOTS: usize = 76;
/// How many parts a window is cut into.
const PARTS: i64 = 60;
const LATENESS_MAX_MS: i64 = 60 * 60 * 1_000;
const SPAN_MIN_MS: i64 = 1_000;
const SPAN_MAX_MS: i64 = 366 * 24 * 60 * 60 * 1_000;

/// A sliding window of time, cut into buckets of a sixtieth.
///
/// ```
/// use jiff::SignedDuration;
/// use manara_rules::counters::Window;
///
/// let hour = Window::of(SignedDuration::from_hours(1)).unwrap();
/// assert_eq!(hour.bucket(), SignedDuration::from_mins(1));
/// assert_eq!(hour.lateness(), SignedDuration::from_mins(15));
/// assert!(hour.error_share() < 0.017);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    span_ms: i64,
    bucket_ms: i64,
    /// Buckets a reading covers besides the one it is in.
    cover: i64,
    /// Buckets more that are kept for readings as of an earlier time.
    late: i64,
}

/// Why a length of time is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WindowError {
    /// Below a second buckets would be shorter than the clocks of platforms agree.
    #[error("the window is shorter than 1 second; give 1s or more")]
    TooShort,
    /// A year and a day is the longest.
    #[error("the window is longer than 366 days; give 366d or less")]
    TooLong,
}

/// The buckets a reading covers, as ages: how many buckets before the key's newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ages {
    pub(super) young: u8,
    pub(super) old: u8,
}

impl Ages {
    pub(super) fn contains(self, age: u8) -> bool {
        (self.young..=self.old).contains(&age)
    }
}

impl Window {
    /// A window of an hour.
    pub const HOUR: Self = Self {
        span_ms: 3_600_000,
        bucket_ms: 60_000,
        cover: 60,
        late: 15,
    };
    /// A window of 24 hours.
    pub const DAY: Self = Self {
        span_ms: 86_400_000,
        bucket_ms: 1_440_000,
        cover: 60,
        late: 3,
    };

    /// A window of this length, from one second to 366 days; parts of a millisecond count as one.
    pub fn of(span: SignedDuration) -> Result<Self, WindowError> {
        if span < SignedDuration::from_millis(SPAN_MIN_MS) {
            return Err(WindowError::TooShort);
        }
        if span > SignedDuration::from_millis(SPAN_MAX_MS) {
            return Err(WindowError::TooLong);
        }
        let whole_ms = span.as_secs() * 1_000 + i64::from(span.subsec_millis());
        let span_ms = whole_ms + i64::from(span > SignedDuration::from_millis(whole_ms));
        let bucket_ms = divided_up(span_ms, PARTS);
        Ok(Self {
            span_ms,
            bucket_ms,
            cover: divided_up(span_ms, bucket_ms),
            late: divided_up(lateness_ms(span_ms), bucket_ms),
        })
    }

    /// Its length.
    pub fn span(self) -> SignedDuration {
        SignedDuration::from_millis(self.span_ms)
    }

    /// The width of a bucket: a sixtieth of the window, rounded up to a millisecond.
    pub fn bucket(self) -> SignedDuration {
        SignedDuration::from_millis(self.bucket_ms)
    }

    /// By which share of the window more time is covered than was asked for: a sixtieth, and a
    /// little more where windows of seconds do not divide into whole milliseconds.
    pub fn error_share(self) -> f64 {
        ((self.cover + 1) * self.bucket_ms) as f64 / self.span_ms as f64 - 1.0
    }

    /// How late an event may come, after the newest one of its key, and still be counted and read
    /// as of its own time: a quarter of the window, an hour at most.
    pub fn lateness(self) -> SignedDuration {
        SignedDuration::from_millis(lateness_ms(self.span_ms))
    }

    pub(super) fn span_ms(self) -> i64 {
        self.span_ms
    }

    pub(super) fn bucket_of(self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.bucket_ms)
    }

    /// The first millisecond of a bucket.
    pub(super) fn start_of(self, bucket: i64) -> i64 {
        bucket.saturating_mul(self.bucket_ms)
    }

    /// The last millisecond of a bucket.
    pub(super) fn end_of(self, bucket: i64) -> i64 {
        bucket
            .saturating_add(1)
            .saturating_mul(self.bucket_ms)
            .saturating_sub(1)
    }

    /// The greatest age kept; every greater one is forgotten.
    pub(super) fn reach(self) -> u8 {
        (self.cover + self.late) as u8
    }

    pub(super) fn late(self) -> u8 {
        self.late as u8
    }

    /// How old an event in `bucket` is for a key whose newest is `newest`; nothing beyond reach.
    pub(super) fn age(self, newest: i64, bucket: i64) -> Option<u8> {
        u8::try_from(newest - bucket)
            .ok()
            .filter(|age| *age <= self.reach())
    }

    /// What a reading at `bucket` covers; nothing when all the key has is older. A reading older
    /// than the lateness is answered as of the oldest bucket that can still be answered for.
    pub(super) fn ages(self, newest: i64, bucket: i64) -> Option<Ages> {
        let bucket = bucket.max(newest - self.late);
        let old = u8::try_from(self.cover + newest - bucket).ok()?;
        let young = u8::try_from((newest - bucket).max(0)).ok()?;
        Some(Ages { young, old })
    }

    /// Every bucket a key keeps.
    pub(super) fn all(self) -> Ages {
        Ages {
            young: 0,
            old: self.reach(),
        }
    }

    /// Whether a key's newest bucket lies further ahead of the clock than events may be late: then the clock was
    /// set back, and what came before that would stand in the way of everything until the clock is there again.
    pub(super) fn is_ahead(self, newest: i64, now_ms: i64) -> bool {
        newest > self.bucket_of(now_ms).saturating_add(self.late)
    }

    /// Whether nothing of a key can be read any more at `bucket` and as late as is allowed before it.
    pub(super) fn expired(self, newest: i64, bucket: i64) -> bool {
        newest < bucket - i64::from(self.reach())
    }
}

fn lateness_ms(span_ms: i64) -> i64 {
    (span_ms / 4).min(LATENESS_MAX_MS)
}

fn divided_up(value: i64, by: i64) -> i64 {
    (value + by - 1) / by
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(span_ms: i64, bucket_ms: i64, cover: i64, late: i64) {
        let window = Window::of(SignedDuration::from_millis(span_ms)).unwrap();
        assert_eq!(
            (window.bucket_ms, window.cover, window.late),
            (bucket_ms, cover, late)
        );
    }

    #[test]
    fn windows_are_cut_into_sixty() {
        check(1_000, 17, 59, 15);
        check(60_000, 1_000, 60, 15);
        check(3_600_000, 60_000, 60, 15);
        check(14_400_000, 240_000, 60, 15);
        check(86_400_000, 1_440_000, 60, 3);
        check(SPAN_MAX_MS, 527_040_000, 60, 1);
    }

    #[test]
    fn an_hour_and_a_day_are_windows_like_others() {
        assert_eq!(Window::of(SignedDuration::from_hours(1)), Ok(Window::HOUR));
        assert_eq!(Window::of(SignedDuration::from_hours(24)), Ok(Window::DAY));
    }

    #[test]
    fn too_short_and_too_long_are_refused() {
        let of = |ms| Window::of(SignedDuration::from_millis(ms));
        assert_eq!(of(999), Err(WindowError::TooShort));
        assert_eq!(of(-5), Err(WindowError::TooShort));
        assert_eq!(of(SPAN_MAX_MS + 1), Err(WindowError::TooLong));
        assert_eq!(Window::of(SignedDuration::MAX), Err(WindowError::TooLong));
        let parts = Window::of(SignedDuration::new(1, 1)).unwrap();
        assert_eq!(parts.span(), SignedDuration::from_millis(1_001));
    }

    proptest! {
        #[test]
        fn a_reading_covers_the_window_and_at_most_one_bucket_more(
            span_ms in prop_oneof![1_000..5_000_i64, SPAN_MIN_MS..=SPAN_MAX_MS],
            at_ms in -1_000_000_000_000..4_000_000_000_000_i64,
        ) {
            let window = Window::of(SignedDuration::from_millis(span_ms)).unwrap();
            let newest = window.bucket_of(at_ms);
            let ages = window.ages(newest, newest).unwrap();
            let first_ms = (newest - i64::from(ages.old)) * window.bucket_ms;
            prop_assert!(first_ms <= at_ms - span_ms && at_ms <= window.end_of(newest));
            // Both ends together, and what whole milliseconds add.
            let covered = window.end_of(newest) + 1 - first_ms;
            prop_assert!(covered - span_ms <= window.bucket_ms + 59.min(window.bucket_ms - 1));
            prop_assert!(usize::from(window.reach()) < SLOTS && window.late() <= 15);
            prop_assert!(lateness_ms(span_ms) <= window.late * window.bucket_ms);
        }
    }
}
