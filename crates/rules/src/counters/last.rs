//! The newest value of one key, as of now and as of any time within the lateness.
//!
//! Of each of the buckets a late reading can be in, the newest value is kept; of all older ones
//! together, one. Values carry their own times, so that a reading never answers with a later one.

use super::codec::{DecodeError, Reader, put_number, put_signed, sure};
use super::shard::{Cells, Place, heap_block};
use super::window::{Ages, Window};
use std::sync::Arc;

/// The longest text a counter keeps, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// 15 buckets for late readings, the newest, and one for all before.
const VALUES_MAX: usize = 17;

/// A value that `last` remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A finite fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text of up to [`TEXT_BYTES_MAX`] bytes.
    Text(Arc<str>),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// A point in time in nanoseconds since 1970.
    Time(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Last {
    /// Oldest first.
    seen: Vec<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    at_ms: i64,
    value: Value,
}

impl Last {
    /// The newest value in the buckets covered that is not later than `latest_ms`.
    pub(super) fn read(
        &self,
        newest: i64,
        ages: Ages,
        latest_ms: i64,
        window: Window,
    ) -> Option<&Value> {
        let seen = self
            .seen
            .iter()
            .rev()
            .find(|seen| seen.at_ms <= latest_ms)?;
        let age = window.age(newest, window.bucket_of(seen.at_ms))?;
        (age <= ages.old).then_some(&seen.value)
    }

    /// Keeps of each bucket, and of all that are too old for late readings, the newest.
    fn keep_newest(&mut self, newest: i64, window: Window) {
        let classes: Vec<_> = self
            .seen
            .iter()
            .map(|seen| seen.class(newest, window))
            .collect();
        // Classes come in order; of neighbours of one class the last stays.
        let mut after = classes.iter().skip(1).copied().chain([None]).zip(&classes);
        self.seen.retain(|_| {
            after
                .next()
                .is_some_and(|(next, class)| class.is_some() && *class != next)
        });
    }
}

impl Seen {
    fn class(&self, newest: i64, window: Window) -> Option<u8> {
        let age = window.age(newest, window.bucket_of(self.at_ms))?;
        Some(age.min(window.late() + 1))
    }
}

impl Cells for Last {
    type Input = Value;

    fn first(place: Place, value: Value, _: Window) -> Self {
        Self {
            seen: vec![Seen {
                at_ms: place.at_ms,
                value,
            }],
        }
    }

    fn add(&mut self, place: Place, value: Value, window: Window) {
        let at_ms = place.at_ms;
        let at = self.seen.partition_point(|seen| seen.at_ms <= at_ms);
        self.seen.insert(at, Seen { at_ms, value });
        self.keep_newest(place.newest, window);
    }

    /// One value is as good as another: of those that must go, the oldest does.
    fn weight(&self, _: i64, _: Window) -> u64 {
        1
    }

    fn heap_bytes(&self) -> usize {
        let texts = self.seen.iter().map(|seen| match &seen.value {
            Value::Text(text) => heap_block(text.len() + 2 * size_of::<usize>()),
            _ => 0,
        });
        heap_block(self.seen.capacity() * size_of::<Seen>()) + texts.sum::<usize>()
    }

    fn tidy(&mut self, _: i64, _: Window) {
        self.seen.shrink_to_fit();
    }

    fn encode(&self, _: i64, _: Window, out: &mut Vec<u8>) {
        out.push(self.seen.len() as u8);
        for seen in &self.seen {
            put_signed(out, seen.at_ms);
            encode_value(&seen.value, out);
        }
    }

    fn decode(newest: i64, window: Window, bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = bytes.count(2)?;
        sure(
            (1..=VALUES_MAX).contains(&count),
            "the number of values is wrong",
        )?;
        let mut last = Self {
            seen: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let at_ms = bytes.signed()?;
            let follows = last.seen.last().is_none_or(|seen| seen.at_ms < at_ms);
            sure(follows, "values are out of order")?;
            last.seen.push(Seen {
                at_ms,
                value: decode_value(bytes)?,
            });
        }
        let end = last.seen.last().map(|seen| window.bucket_of(seen.at_ms));
        sure(end == Some(newest), "the newest bucket is wrong")?;
        last.keep_newest(newest, window);
        sure(last.seen.len() == count, "a bucket has two values")?;
        Ok(last)
    }
}

fn encode_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(value) => tagged(0, *value, out),
        Value::Float(value) => {
            out.push(1);
            out.extend(value.to_le_bytes());
        }
        Value::Bool(value) => out.extend([2, u8::from(*value)]),
        Value::Text(text) => {
            out.push(3);
            put_number(out, text.len() as u64);
            out.extend(text.as_bytes());
        }
        Value::Duration(value) => tagged(4, *value, out),
        Value::Time(value) => tagged(5, *value, out),
    }
}

fn tagged(tag: u8, value: i64, out: &mut Vec<u8>) {
    out.push(tag);
    put_signed(out, value);
}

fn decode_value(bytes: &mut Reader<'_>) -> Result<Value, DecodeError> {
    Ok(match bytes.byte()? {
        0 => Value::Int(bytes.signed()?),
        1 => {
            let value = f64::from_le_bytes(bytes.array()?);
            sure(value.is_finite(), "a value is not finite")?;
            Value::Float(value)
        }
        2 => match bytes.byte()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(DecodeError::Damaged("a yes or no is neither")),
        },
        3 => {
            let len = bytes.count(1)?;
            sure(len <= TEXT_BYTES_MAX, "a text is too long")?;
            let text = str::from_utf8(bytes.bytes(len)?);
            Value::Text(
                text.map_err(|_| DecodeError::Damaged("a text is not UTF-8"))?
                    .into(),
            )
        }
        4 => Value::Duration(bytes.signed()?),
        5 => Value::Time(bytes.signed()?),
        _ => return Err(DecodeError::Damaged("a value is of an unknown type")),
    })
}
