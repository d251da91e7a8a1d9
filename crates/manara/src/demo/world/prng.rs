//! The demo's only source of chance: `SplitMix64`, so that one seed always gives the same day.
//!
//! Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. Every picture
//! and every section of the day gets a generator of its own through [`Prng::fork`], so that adding
//! a sentence in one place does not redraw the pictures of another.

use std::ops::Range;

/// A stream of numbers that is a pure function of its seed.
#[derive(Debug, Clone)]
pub(crate) struct Prng(u64);

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent stream named by `label`; the parent is left as it was.
    pub(crate) fn fork(&self, label: u64) -> Self {
        Self(mix(self.0 ^ mix(label.wrapping_add(GOLDEN_GAMMA))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A number in `0..limit`, and 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // The bias of the multiplication is at most limit / 2^64: nothing a demo can show.
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A whole number in the range, which must not be empty.
    pub(crate) fn int(&mut self, range: Range<i64>) -> i64 {
        range.start + self.below((range.end - range.start) as usize) as i64
    }

    /// A number in the range, end exclusive.
    pub(crate) fn real(&mut self, range: Range<f32>) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1u32 << 24) as f32;
        range.start + unit * (range.end - range.start)
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.real(0.0..1.0) < probability
    }

    /// One of `choices`, which must not be empty: all lists of the demo are constants of its own.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// The finaliser of `SplitMix64`: every input bit reaches every output bit.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_sequence() {
        // First outputs of the reference implementation for seed 1234567.
        let mut prng = Prng::new(1_234_567);
        let found = [prng.next(), prng.next(), prng.next()];
        assert_eq!(
            found,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn stays_within_its_ranges_and_reaches_their_ends() {
        let mut prng = Prng::new(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[prng.below(5)] += 1;
            assert!((-3..4).contains(&prng.int(-3..4)));
            assert!((0.25..0.5).contains(&prng.real(0.25..0.5)));
        }
        assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
    }

    #[test]
    fn forks_differ_and_repeat() {
        let parent = Prng::new(1);
        assert_eq!(parent.fork(3).next(), parent.fork(3).next());
        assert_ne!(parent.fork(3).next(), parent.fork(4).next());
    }
}
