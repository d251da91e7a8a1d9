//! The bytes of snapshots: numbers in as few bytes as they need, and a reader that trusts nothing.

use super::window::WindowError;
use thiserror::Error;

/// Why bytes are not a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The first four bytes are not those of a counter.
    #[error("this is not the snapshot of a counter; count again from the log")]
    NotACounter,
    /// Written by a version this one does not know.
    #[error("snapshots of version {0} cannot be read by this program; count again from the log")]
    Version(u8),
    /// The kind is none of the five.
    #[error("the snapshot is of an unknown kind of counter ({0}); count again from the log")]
    Kind(u8),
    /// The window is none.
    #[error("the window in the snapshot's head is wrong: {0}")]
    Window(#[from] WindowError),
    /// It ends too early.
    #[error("the snapshot is cut short; count again from the log")]
    Cut,
    /// A part holds what cannot be.
    #[error("the snapshot is damaged: {0}; count again from the log")]
    Damaged(&'static str),
}

/// The longest number: 128 bits, seven in each byte.
const NUMBER_BYTES_MAX: u32 = 19;

pub(super) fn put_number(out: &mut Vec<u8>, number: impl Into<u128>) {
    let mut rest = number.into();
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A number with a sign: the sign goes to the lowest bit.
pub(super) fn put_signed(out: &mut Vec<u8>, number: impl Into<i128>) {
    let number = number.into();
    put_number(out, ((number << 1) ^ (number >> 127)) as u128);
}

/// What is left to read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Cut)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn word(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn number<T: TryFrom<u128>>(&mut self) -> Result<T, DecodeError> {
        let too_large = DecodeError::Damaged("a number is too large");
        let mut number = 0_u128;
        for place in 0..NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return T::try_from(number).map_err(|_| too_large);
            }
        }
        Err(too_large)
    }

    pub(super) fn signed<T: TryFrom<i128>>(&mut self) -> Result<T, DecodeError> {
        let folded: u128 = self.number()?;
        let number = (folded >> 1) as i128 ^ -((folded & 1) as i128);
        T::try_from(number).map_err(|_| DecodeError::Damaged("a number is too large"))
    }

    /// How many things follow, each of `least` bytes or more: never more than there is room for.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, DecodeError> {
        let count: usize = self.number()?;
        if count > self.left() / least.max(1) {
            return Err(DecodeError::Cut);
        }
        Ok(count)
    }
}

/// Makes sure of something, or says what is damaged.
pub(super) fn sure(holds: bool, what: &'static str) -> Result<(), DecodeError> {
    if holds {
        Ok(())
    } else {
        Err(DecodeError::Damaged(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u128>(), signed in any::<i128>(), small in any::<i64>()) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_signed(&mut out, signed);
            put_signed(&mut out, small);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.signed(), Ok(small));
            prop_assert_eq!(reader.byte(), Err(DecodeError::Cut));
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let large = Err(DecodeError::Damaged("a number is too large"));
        assert_eq!(
            Reader::new(&[0x80, 0x04]).number::<u8>(),
            large.map(|(): ()| 0)
        );
        assert_eq!(
            Reader::new(&[0xff; 30]).number::<u128>(),
            large.map(|(): ()| 0)
        );
        assert_eq!(Reader::new(&[9, 0, 0]).count(1), Err(DecodeError::Cut));
    }
}
