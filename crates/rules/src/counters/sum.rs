//! Sums in each bucket of one key.
//!
//! Sums of whole numbers are kept in 128 bits and are therefore exact whatever the order; only what
//! is read is brought into the range of 64 bits. Sums of fractions depend on the order of additions
//! in their last digits, as all floating-point sums do, and stop at the largest finite number.

use super::codec::{DecodeError, Reader, put_signed, sure};
use super::shard::{Cells, Place, heap_block};
use super::window::{Ages, SLOTS, Window};

/// What can be summed up.
pub(super) trait Addend: Copy + std::fmt::Debug {
    /// What a bucket's sum is kept in.
    type Wide: Copy + std::fmt::Debug;
    const ZERO: Self::Wide;
    fn widen(self) -> Self::Wide;
    /// The sum as one addend, where it is one.
    fn narrow(wide: Self::Wide) -> Option<Self>;
    fn plus(left: Self::Wide, right: Self::Wide) -> Self::Wide;
    fn nearest(wide: Self::Wide) -> Self;
    fn magnitude(wide: Self::Wide) -> u64;
    fn encode(wide: Self::Wide, out: &mut Vec<u8>);
    fn decode(bytes: &mut Reader<'_>) -> Result<Self::Wide, DecodeError>;
}

#[derive(Debug, Clone)]
pub(super) enum Sum<T: Addend> {
    /// All of it in the newest bucket.
    One(T),
    /// Bucket and sum, oldest first.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes in the entry of every key, not 24"
    )]
    Many(Box<Vec<(i64, T::Wide)>>),
}

impl<T: Addend> Sum<T> {
    pub(super) fn read(&self, newest: i64, ages: Ages) -> T {
        let total = self
            .buckets(newest)
            .filter(|(bucket, _)| {
                (i64::from(ages.young)..=i64::from(ages.old)).contains(&(newest - bucket))
            })
            .fold(T::ZERO, |sum, (_, wide)| T::plus(sum, wide));
        T::nearest(total)
    }

    fn buckets(&self, newest: i64) -> impl Iterator<Item = (i64, T::Wide)> {
        let (one, many) = match self {
            Self::One(value) => (Some((newest, value.widen())), [].as_slice()),
            Self::Many(sums) => (None, sums.as_slice()),
        };
        one.into_iter().chain(many.iter().copied())
    }

    fn from_sums(newest: i64, sums: Vec<(i64, T::Wide)>) -> Self {
        if let [(bucket, sum)] = sums.as_slice()
            && *bucket == newest
            && let Some(one) = T::narrow(*sum)
        {
            return Self::One(one);
        }
        Self::Many(Box::new(sums))
    }
}

impl<T: Addend> Cells for Sum<T> {
    type Input = T;

    fn first(_: Place, value: T, _: Window) -> Self {
        Self::One(value)
    }

    fn add(&mut self, place: Place, value: T, window: Window) {
        if let Self::One(sum) = self
            && place.before == place.newest
            && place.age == 0
            && let Some(sum) = T::narrow(T::plus(sum.widen(), value.widen()))
        {
            *self = Self::One(sum);
            return;
        }
        let mut sums = match self {
            Self::One(sum) => vec![(place.before, sum.widen())],
            Self::Many(sums) => std::mem::take(sums.as_mut()),
        };
        let oldest = place.newest - i64::from(window.reach());
        sums.retain(|(bucket, _)| *bucket >= oldest);
        let bucket = place.newest - i64::from(place.age);
        let at = sums.partition_point(|(other, _)| *other < bucket);
        match sums.get_mut(at) {
            Some((other, sum)) if *other == bucket => *sum = T::plus(*sum, value.widen()),
            _ => sums.insert(at, (bucket, value.widen())),
        }
        *self = Self::from_sums(place.newest, sums);
    }

    fn weight(&self, newest: i64, _: Window) -> u64 {
        self.buckets(newest)
            .fold(0, |sum, (_, wide)| sum.saturating_add(T::magnitude(wide)))
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(sums) => {
                heap_block(size_of::<Vec<(i64, T::Wide)>>())
                    + heap_block(sums.capacity() * size_of::<(i64, T::Wide)>())
            }
        }
    }

    fn tidy(&mut self, _: i64, _: Window) {
        if let Self::Many(sums) = self {
            sums.shrink_to_fit();
        }
    }

    fn encode(&self, newest: i64, _: Window, out: &mut Vec<u8>) {
        let count = self.buckets(newest).count();
        out.push(count as u8);
        for (bucket, sum) in self.buckets(newest) {
            out.push((newest - bucket) as u8);
            T::encode(sum, out);
        }
    }

    fn decode(newest: i64, window: Window, bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = bytes.count(2)?;
        sure(count <= SLOTS, "there are too many buckets")?;
        let mut sums: Vec<(i64, T::Wide)> = Vec::with_capacity(count);
        for _ in 0..count {
            let age = bytes.byte()?;
            let bucket = newest - i64::from(age);
            let follows = sums.last().is_none_or(|(last, _)| *last < bucket);
            sure(follows && age <= window.reach(), "an age is wrong")?;
            sums.push((bucket, T::decode(bytes)?));
        }
        sure(
            sums.last().is_some_and(|(last, _)| *last == newest),
            "the newest bucket is missing",
        )?;
        Ok(Self::from_sums(newest, sums))
    }
}

impl Addend for i64 {
    type Wide = i128;
    const ZERO: i128 = 0;

    fn widen(self) -> i128 {
        self.into()
    }

    fn narrow(wide: i128) -> Option<Self> {
        Self::try_from(wide).ok()
    }

    fn plus(left: i128, right: i128) -> i128 {
        left.saturating_add(right)
    }

    fn nearest(wide: i128) -> Self {
        wide.clamp(Self::MIN.into(), Self::MAX.into()) as Self
    }

    fn magnitude(wide: i128) -> u64 {
        u64::try_from(wide.unsigned_abs()).unwrap_or(u64::MAX)
    }

    fn encode(wide: i128, out: &mut Vec<u8>) {
        put_signed(out, wide);
    }

    fn decode(bytes: &mut Reader<'_>) -> Result<i128, DecodeError> {
        bytes.signed()
    }
}

impl Addend for f64 {
    type Wide = Self;
    const ZERO: Self = 0.0;

    fn widen(self) -> Self {
        self
    }

    fn narrow(wide: Self) -> Option<Self> {
        Some(wide)
    }

    fn plus(left: Self, right: Self) -> Self {
        (left + right).clamp(Self::MIN, Self::MAX)
    }

    fn nearest(wide: Self) -> Self {
        wide
    }

    fn magnitude(wide: Self) -> u64 {
        wide.abs() as u64
    }

    fn encode(wide: Self, out: &mut Vec<u8>) {
        out.extend(wide.to_le_bytes());
    }

    fn decode(bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = Self::from_le_bytes(bytes.array()?);
        sure(value.is_finite(), "a sum is not finite")?;
        Ok(value)
    }
}
